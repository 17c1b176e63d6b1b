/* SPDX-License-Identifier: Apache-2.0 */
/* Makes JWTs that no honest issuer would: any header, any claims, signed well or badly. Built on
 * OpenSSL alone, so that it shares no code with what it tests. */
#pragma once

#include "common/base/str.h"
#include "service/auth/jwt_key.h"

struct forge_key;

struct forge_key *forge_key_new(enum jwt_algorithm algorithm);
void forge_key_free(struct forge_key *key);
/* In PEM; the caller frees it. */
char *forge_key_pem(const struct forge_key *key, bool private);

/* The caller frees the text. @header and @claims are taken as they are. */
char *forge_jwt(const struct forge_key *key, const char *header, const char *claims);
/* Signed with HMAC-SHA-256 under @secret. */
char *forge_hmac_jwt(struct str secret, const char *header, const char *claims);
/* @signature is base64url already. */
char *forge_raw_jwt(const char *header, const char *claims, const char *signature);
