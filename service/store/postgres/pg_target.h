/* SPDX-License-Identifier: Apache-2.0 */
/* Where the database is: a connection string of libpq, taken apart so that we walk through its
 * hosts and their addresses ourselves.
 *
 * libpq would look names up inside PQconnectStart, which blocks a loop, and leaves it to its
 * blocking functions to give up on a host that does not answer. So names are resolved beforehand,
 * on a thread that may block, and each try has one address and a time limit of ours.
 * Only a server that takes writes will do (target_session_attrs=read-write). Immutable once
 * parsed; threads: any. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/secret.h"
#include "common/base/status.h"
#include "service/store/postgres/pq.h"

#include <stdbool.h>
#include <stddef.h>

struct pg_target;

struct pg_target_options {
	const char *url;           /* postgresql://... or "host=... dbname=..." */
	const char *password_file; /* NULL: none */
	bool pooler;               /* a pooler that shares connections by transaction */
	int connect_timeout_ms;    /* for one address; 0: 3 s; connect_timeout of the URL wins */
};

/* INVALID_ARGUMENT  the text is no connection string, holds a password, or asks for a server that
 *                   cannot be written; the message does not repeat what may be secret */
struct status pg_target_parse(const struct pg_target_options *options, struct pg_target **ret);
void pg_target_free(struct pg_target *t);
DEFINE_CLEANUP(struct pg_target *, pg_target_free);

bool pg_target_is_pooler(const struct pg_target *t);
int pg_target_connect_timeout_ms(const struct pg_target *t);
/* What is sent there may be read on the way: another machine, and no TLS is asked for. */
bool pg_target_is_plaintext(const struct pg_target *t);

/* The addresses to try, in order, and the password of the moment. */
struct pg_candidate {
	char *host, *address, *port; /* NULL: not given */
};
struct pg_candidates {
	struct pg_candidate *items;
	size_t n;
	struct secret password;
};
/* Blocks. UNAVAILABLE if no host has an address; what file_read_secret says of the password. */
struct status pg_target_resolve(const struct pg_target *t, struct pg_candidates *ret);
void pg_candidates_done(struct pg_candidates *c);

/* Begins to connect to candidate @i; NULL if libpq is out of memory. Does not block. */
PGconn *pg_target_connect(const struct pg_target *t, const struct pq *pq,
	const struct pg_candidates *candidates, size_t i);
