/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for gRPC: credentials from files, and who a client certificate names.
 *
 * gRPC asks for the server's files at each handshake; it is handed new ones after a reload. Before
 * gRPC sees them, they are tried (common/net/tls.h), because gRPC only logs what is wrong. */
#pragma once

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <grpc/grpc_security.h>

struct server_tls;
struct tls_options;

/* Copies @o and reads its files. Errors as tls_server_new. */
struct status server_tls_new(const struct tls_options *o, struct server_tls **ret);
/* After the server that uses it. NULL is allowed. */
void server_tls_free(struct server_tls *t);
DEFINE_CLEANUP(struct server_tls *, server_tls_free);

/* Any thread; on failure the old files stay in use. */
struct status server_tls_reload(struct server_tls *t);

/* For one listener: each needs its own, to be told of a reload. The caller's
 * (grpc_server_credentials_release). */
grpc_server_credentials *server_tls_credentials(struct server_tls *t);

/* As tls_client_identity, of the connection of @call; the text is in @arena. */
struct str rpc_tls_identity(grpc_call *call, struct arena *arena);
