/* SPDX-License-Identifier: Apache-2.0 */
/* login.yaml: who is logged in, where, and the credentials for it.
 *
 * The form is that of the existing command line, whose files are read as they are. In its form the
 * access token is part of refresh_url ("…?access_token=T"); ours keeps it in refresh_token, out of
 * any URL. The file is readable by its owner only and replaced as a whole. Threads: one at a time.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>

/* Texts are owned, and NULL where the file says null or nothing. */
struct login {
	char *url; /* without '/' at its end */
	char *name;
	bool osmo_token; /* the credential is an access token that is exchanged for JWTs */
	bool has_token;
	char *id_token; /* the JWT; never NULL with has_token */
	char *refresh_token;
	char *refresh_url;
	char *username;
	bool has_dev;
	char *dev_username; /* never NULL with has_dev */
};

void login_done(struct login *l);
#define _cleanup_login_ __attribute__((cleanup(login_done)))

/* NOT_FOUND         the document is empty or no mapping: nobody is logged in
 * INVALID_ARGUMENT  it is no YAML, or a field is missing or of the wrong kind (line and field) */
struct status login_parse(struct str yaml, struct login *ret);
/* Appends the YAML. */
void login_format(const struct login *l, struct buf *out);

/* The access token of a login with osmo_token, from refresh_token or from refresh_url; the caller
 * wipes and frees it. NULL if there is none. */
char *login_access_token(const struct login *l);
/* The value of "access_token" in the query of @url, decoded; the caller wipes and frees it. NULL if
 * there is none. */
char *url_access_token(struct str url);

/* True if the login has what a new JWT takes: an address, and an access token or a refresh token.
 */
bool login_is_renewable(const struct login *l);

/* True if @text can be the value of a header, and in the file: it is UTF-8 and has no control
 * characters but tabs (RFC 9110, 5.5). */
bool login_text_fits_header(const char *text);

/* Path of login.yaml: in $OSMO_CONFIG_FILE_DIR, else $XDG_CONFIG_HOME/osmo, else ~/.config/osmo.
 * FAILED_PRECONDITION  there is no home directory */
struct status login_file_path(struct buf *out);
/* NOT_FOUND             there is no file, or no mapping in it
 * FAILED_PRECONDITION   it cannot be read
 * INVALID_ARGUMENT      as login_parse; messages name the file */
struct status login_file_read(const char *path, struct login *ret);
/* Creates missing folders. FAILED_PRECONDITION: it cannot be written; an old file is untouched. */
struct status login_file_write(const char *path, const struct login *l);
/* A missing file is fine. */
struct status login_file_remove(const char *path);

/* True if a plain @text would not be read as a string by YAML 1.1 ("yes", "12", "2026-05-01"). */
bool yaml_needs_quotes(const char *text);
