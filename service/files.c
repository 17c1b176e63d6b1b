/* SPDX-License-Identifier: Apache-2.0 */
#include "service/files.h"

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/net/tls.h"
#include "service/admin_token.h"
#include "service/options.h"

static struct status of_option(const char *name, struct status status)
{
	if (status_is_ok(&status))
		return status;
	return status_error(STATUS_INVALID_ARGUMENT, "--%s: %s", name, status.message);
}

static struct status read_keys(const char *path, struct jwt_keys *ret)
{
	_cleanup_secret_ struct secret text = {NULL, 0};
	TRY(file_read_secret(path, true, &text));
	struct status status = jwt_keys_parse(secret_str(&text), ret);
	if (status_is_ok(&status))
		return status;
	return status_error(status.code, "'%s': %s", path, status.message);
}

static struct status read_signing_keys(const char *path, struct jwt_keys *ret)
{
	TRY(read_keys(path, ret));
	if (jwt_key_is_private(ret->keys[0]))
		return status_ok();
	jwt_keys_done(ret);
	*ret = (struct jwt_keys){.n = 0};
	return status_error(STATUS_INVALID_ARGUMENT,
		"'%s': the first key must be a private one, to sign with; it is a public one",
		path);
}

struct status service_files_read_signing_keys(const struct service_options *v, struct jwt_keys *ret)
{
	return of_option("jwt-key-file", read_signing_keys(v->jwt_key_file, ret));
}

struct status service_files_read_external_keys(
	const struct service_options *v, struct jwt_keys *ret)
{
	return of_option("external-jwks-file", read_keys(v->external_jwks_file, ret));
}

static struct status read_all(const struct service_options *v, struct service_files *f)
{
	if (v->tls_cert_file) {
		const struct tls_options tls = {v->tls_cert_file, v->tls_key_file,
			v->tls_client_ca_file, (enum tls_client_auth)v->tls_client_auth};
		TRY(tls_server_new(&tls, &f->tls));
	}
	if (v->jwt_key_file)
		TRY(service_files_read_signing_keys(v, &f->signing_keys));
	if (v->external_jwks_file)
		TRY(service_files_read_external_keys(v, &f->external_keys));
	if (v->encryption_key_file)
		TRY(of_option("encryption-key-file",
			server_key_read(v->encryption_key_file, &f->server_key)));
	if (v->admin_token_file)
		TRY(of_option("admin-token-file", admin_token_check_file(v->admin_token_file)));
	return status_ok();
}

struct status service_files_read(const struct service_options *v, struct service_files *ret)
{
	struct service_files files = {.tls = NULL};
	struct status status = read_all(v, &files);
	if (status_is_ok(&status))
		*ret = files;
	else
		service_files_done(&files);
	return status;
}

void service_files_done(struct service_files *f)
{
	tls_server_free(f->tls);
	jwt_keys_done(&f->signing_keys);
	jwt_keys_done(&f->external_keys);
	server_key_free(f->server_key);
}
