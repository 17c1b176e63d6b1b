/* SPDX-License-Identifier: Apache-2.0 */
/* The server's end of an HTTP/2 connection, frame by frame, as a test wants it: also wrong.
 *
 * It blocks, for a bounded time, and fails the test when what it waits for does not come.
 * Threads: the test's. */
#pragma once

#include "common/base/str.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;

enum {
	H2_PEER_TEXT_BYTES = 8192,
	H2_PEER_FRAME_BYTES = 16384 + 1,
};

struct h2_peer {
	int fd;
	nghttp2_hd_inflater *inflater;
	/* the last frame that was read */
	uint8_t type, flags;
	uint32_t stream;
	size_t n;
	uint8_t payload[H2_PEER_FRAME_BYTES];
	/* the last request that was read */
	char headers[H2_PEER_TEXT_BYTES]; /* "name: value\n" for each */
	char body[1 << 20];
	size_t body_n;
};

/* A socket that listens on 127.0.0.1. */
int h2_peer_listen(struct address *ret);
/* Takes a connection, reads its preface and SETTINGS, and sends the @n pairs of @settings. */
void h2_peer_accept(
	struct h2_peer *p, int listener, const nghttp2_settings_entry *settings, size_t n);
/* The same, but says nothing yet. */
void h2_peer_accept_silently(struct h2_peer *p, int listener);
void h2_peer_close(struct h2_peer *p);

/* The next frame, whatever it is; false at the end of the stream. */
bool h2_peer_read(struct h2_peer *p);
/* Skips to the next frame of @type. */
void h2_peer_expect(struct h2_peer *p, uint8_t type);
/* The next request, until its END_STREAM; returns its stream. */
uint32_t h2_peer_request(struct h2_peer *p);
/* The value of a header of the last request, or NULL; until the next call. */
const char *h2_peer_header(const struct h2_peer *p, const char *name);
/* True when the client closes the connection next, whatever frames come before. */
bool h2_peer_is_closed(struct h2_peer *p);

void h2_peer_raw(struct h2_peer *p, const void *bytes, size_t n);
void h2_peer_frame(struct h2_peer *p, uint8_t type, uint8_t flags, uint32_t stream,
	const void *payload, size_t n);
/* @fields: "name: value\n" for each. */
void h2_peer_headers(struct h2_peer *p, uint32_t stream, bool end, const char *fields);
void h2_peer_data(struct h2_peer *p, uint32_t stream, bool end, const void *bytes, size_t n);
/* A whole message with gRPC's prefix. */
void h2_peer_message(struct h2_peer *p, uint32_t stream, struct str message);
void h2_peer_reset(struct h2_peer *p, uint32_t stream, uint32_t error);
void h2_peer_goaway(struct h2_peer *p, uint32_t last, uint32_t error, const char *text);
void h2_peer_window(struct h2_peer *p, uint32_t stream, uint32_t increment);
