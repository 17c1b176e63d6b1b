/* SPDX-License-Identifier: Apache-2.0 */
/* The files that options name: keys, certificates. They are read before anything is opened, for a
 * wrong file is a wrong option.
 *
 * Blocking; threads: one at a time. */
#pragma once

#include "common/base/status.h"
#include "service/auth/jwt_key.h"
#include "service/auth/server_key.h"

struct service_options;
struct tls_server;

struct service_files {
	struct tls_server *tls;        /* of the listeners, or NULL */
	struct jwt_keys signing_keys;  /* none: they are in the store */
	struct jwt_keys external_keys; /* of the other issuer */
	struct server_key *server_key; /* NULL: DIR/key */
};

/* INVALID_ARGUMENT: names the option, the file and what is wrong with it. */
struct status service_files_read(const struct service_options *v, struct service_files *ret);
void service_files_done(struct service_files *f);

/* --jwt-key-file and --external-jwks-file again, when they have changed. */
struct status service_files_read_signing_keys(
	const struct service_options *v, struct jwt_keys *ret);
struct status service_files_read_external_keys(
	const struct service_options *v, struct jwt_keys *ret);
