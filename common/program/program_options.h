/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of servers have in common: the values some of them may have, and how they go
 * together. The tables stay with the programs, as their help does. Threads: the one that starts. */
#pragma once

#include "common/base/arena.h"
#include "common/base/str.h"
#include "common/config/options.h"

#include <stdbool.h>

extern const struct option_choice program_tls_client_auth_choices[];
extern const struct option_choice program_log_level_choices[];
extern const struct option_choice program_log_format_choices[];

/* For .check of a row; INVALID_ARGUMENT, with what was expected. */
struct status program_check_address(struct str value);
struct status program_check_network(struct str value);

/* The texts of @list, in an array of @arena. */
struct str *program_list_texts(struct arena *arena, const struct option_list *list);

/* --tls-cert-file, --tls-key-file, --tls-client-ca-file (NULL: not given) and --tls-client-auth. */
struct program_tls_options {
	const char *cert_file, *key_file, *client_ca_file;
	int client_auth;
};

/* All of these return INVALID_ARGUMENT that names the option and what it must be. */

struct status program_check_tls(const struct options *o, const struct program_tls_options *tls);
/* A certificate (option @cert, its value or NULL) and its key go together. */
struct status program_check_pair(const struct options *o, const char *cert, const char *cert_file,
	const char *key, const char *key_file);
/* Others than this machine are served with TLS, or because that was asked for, and never with
 * --dev-login. @name: the option that says @address, a valid one. */
struct status program_check_listener(const struct options *o, const char *name, const char *address,
	bool tls, bool insecure_plaintext, bool dev_login);
/* @path: NULL, or a file in a folder that is there. */
struct status program_check_ready_file(const struct options *o, const char *path);
