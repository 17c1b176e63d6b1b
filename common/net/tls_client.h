/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for clients of HTTP/2: whom to believe and what to show, from files.
 *
 * TLS 1.2 and 1.3, ALPN h2; the server's certificate must come from the given authorities and hold
 * the name or address that was asked for. A reload reads all files into a new context and swaps it
 * in whole: connections keep the context they began with, a file that is wrong changes nothing.
 * Threads: any; a lock guards the swap. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <openssl/types.h>

struct tls_client_options {
	const char *ca_file;   /* PEM bundle; NULL: the system's */
	const char *cert_file; /* of the client, with key_file; or NULL */
	const char *key_file;  /* without a pass phrase */
	const char
		*server_name; /* that the certificate must hold, if it is not the host; or NULL */
};

struct tls_client;

/* Copies @o and reads its files.
 *
 * INVALID_ARGUMENT  a file that cannot be read or used; the message names it and the reason. Half
 * of a certificate and its key; a server name that is none */
struct status tls_client_new(const struct tls_client_options *o, struct tls_client **ret);
void tls_client_free(struct tls_client *t);
DEFINE_CLEANUP(struct tls_client *, tls_client_free);

/* Reads the files again; on failure the old ones stay in use. Errors as tls_client_new. */
struct status tls_client_reload(struct tls_client *t);

/* A session for one connection to @host (a name, or an IP address), owned by the caller (SSL_free).
 */
SSL *tls_client_session(struct tls_client *t, const char *host);
