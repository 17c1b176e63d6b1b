/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for servers: certificates from files, reloaded without a restart, and who the client is.
 *
 * TLS 1.2 and 1.3, ALPN http/1.1, optional or required client certificates. A reload reads all
 * files into a new context and swaps it in whole: connections keep the context they began with, a
 * file that is wrong changes nothing.
 * Threads: any; a lock guards the swap. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

enum tls_client_auth {
	TLS_CLIENT_NONE,
	TLS_CLIENT_OPTIONAL, /* a certificate that is sent must verify */
	TLS_CLIENT_REQUIRED,
};

struct tls_options {
	const char *cert_file;      /* PEM: the certificate, then its chain */
	const char *key_file;       /* PEM, without a pass phrase */
	const char *client_ca_file; /* PEM bundle; needed for client certificates, else NULL */
	enum tls_client_auth client_auth;
};

struct tls_server;

/* Copies @o and reads its files.
 *
 * INVALID_ARGUMENT  a file that cannot be read or used; the message names it and the reason. */
struct status tls_server_new(const struct tls_options *o, struct tls_server **ret);
void tls_server_free(struct tls_server *t);
DEFINE_CLEANUP(struct tls_server *, tls_server_free);

/* Reads the files again; on failure the old context stays in use. Errors as tls_server_new. */
struct status tls_server_reload(struct tls_server *t);

/* A session for one accepted connection, owned by the caller (SSL_free). */
SSL *tls_server_session(struct tls_server *t);

enum {
	TLS_IDENTITY_BYTES = 2048
};
/* Who the verified client certificate of @ssl names: the SPIFFE ID, else the first URI, else the
 * common name. False when there is none, when there are two SPIFFE IDs, or when its text is no
 * UTF-8, has a control byte or is too long: a certificate that is wrong in one place is not asked
 * elsewhere. */
bool tls_client_identity(const SSL *ssl, char ret[TLS_IDENTITY_BYTES]);
