/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/2 request and what comes back, as h2_channel and h2_connection carry it.
 *
 * The struct and all that it points to are the caller's memory (of the call); they stay as they
 * are from h2_channel_send until end() was called or h2_channel_cancel returned. Callbacks come on
 * the loop of the channel, never inside h2_channel_send or h2_channel_cancel, and none after
 * either of the two ends. Threads: the loop's. */
#pragma once

#include "common/base/list.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2_connection;
struct h2_request;

struct h2_header {
	struct str name; /* lower case */
	struct str value;
	bool unique; /* differs from request to request: not worth a place in the table of HPACK */
};

/* How it ended. */
enum h2_end {
	H2_END_COMPLETE,    /* the whole answer is here */
	H2_END_RESET,       /* by the server: RST_STREAM with request->error_code */
	H2_END_STOPPED,     /* a callback said so */
	H2_END_REFUSED,     /* certainly never worked on (RFC 9113, 8.7): safe to send again */
	H2_END_LOST,        /* the connection broke; what the server did is not known */
	H2_END_TOO_LARGE,   /* the server takes no headers of that size; it saw none of them */
	H2_END_UNREACHABLE, /* there is no connection; it never left */
	H2_END_CROWDED,     /* too many wait already; it never left */
};

struct h2_request_ops {
	/* The fields of the answer's head, its trailers and interim heads, in order of arrival; a
	 * head begins with ":status". False: enough, the stream is cancelled and end() says
	 * H2_END_STOPPED. */
	bool (*header)(struct h2_request *r, struct str name, struct str value);
	/* A part of the body; borrowed for the call. False: as above. */
	bool (*data)(struct h2_request *r, struct str bytes);
	/* Once, the last one. request->reason is set but after H2_END_COMPLETE. May free @r. */
	void (*end)(struct h2_request *r, enum h2_end end);
};

struct h2_request {
	const struct h2_request_ops *ops;
	struct str path;
	const struct h2_header *headers;
	size_t n_headers;
	struct str body;

	/* Set at the end. */
	uint32_t error_code; /* of RST_STREAM */
	const char *reason;  /* for a log; valid inside end() */

	/* Private. */
	enum {
		H2_REQUEST_IDLE,    /* not sent, or ended */
		H2_REQUEST_WAITING, /* for a connection, or for room on one */
		H2_REQUEST_ACTIVE,
		H2_REQUEST_ENDED, /* end() is about to be called */
	} state_;
	struct list node_;
	struct h2_connection *connection_;
	int32_t id_;
	size_t sent_; /* of the body */
	enum h2_end end_;
};
