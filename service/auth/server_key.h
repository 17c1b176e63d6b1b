/* SPDX-License-Identifier: Apache-2.0 */
/* The server's own secret of 256 bits, from which all other keys derive (HKDF, RFC 5869): the one
 * that encrypts our signing keys in the store, and the one that secrets of repeatable requests
 * derive from. Whoever has it and the database can sign as we do: where the
 * database is backed up or shared, the key belongs elsewhere (a file of its own, a mounted secret).
 *
 * A file may hold several keys, one a line: the first is used, all are tried to decrypt, so that a
 * key can be replaced without downtime. Immutable. Threads: any. */
#pragma once

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SERVER_KEY_BYTES = 32,
	SERVER_KEYS_MAX = 8
};

struct server_key;

/* One to eight keys, one a line: 64 hexadecimal digits, or base64 of 32 bytes.
 *
 * INVALID_ARGUMENT  anything else; the message names the line and quotes nothing of it */
struct status server_key_parse(struct str text, struct server_key **ret);
/* Reads a file of keys; and the same for DIR/key, which is made with a new key if it is missing and
 * @random is given, and which must be nobody else's to read.
 *
 * NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, FAILED_PRECONDITION (others may read it): the
 * message names the file */
struct status server_key_read(const char *path, struct server_key **ret);
struct status server_key_read_or_make(
	const char *path, const struct random *random, struct server_key **ret);
void server_key_free(struct server_key *k);
DEFINE_CLEANUP(struct server_key *, server_key_free);

/* 256 bits that are a function of the @which-th key and @salt: for token_secret_of_bytes. The first
 * key, 0, is that for new secrets; false: there is no such key. */
bool server_key_derive_token(
	const struct server_key *k, size_t which, const uint8_t salt[32], uint8_t ret[32]);

/* AES-256-GCM under the first key, bound to @purpose: text (base64url), safe to store. */
void server_key_seal(const struct server_key *k, const char *purpose, struct str plain,
	const struct random *random, struct buf *out);
/* The reverse, into @out, which should be a secret one; *@ret_is_first is false when another than
 * the first key did it.
 *
 * FAILED_PRECONDITION  it was sealed under a key that we do not have
 * DATA_LOSS            it is damaged, or was sealed for another purpose */
struct status server_key_open(const struct server_key *k, const char *purpose, struct str sealed,
	struct buf *out, bool *ret_is_first);
