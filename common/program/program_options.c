/* SPDX-License-Identifier: Apache-2.0 */
#include "common/program/program_options.h"

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/net/address.h"
#include "common/net/cidr.h"
#include "common/net/tls.h"

const struct option_choice program_tls_client_auth_choices[] = {{"none", TLS_CLIENT_NONE},
	{"optional", TLS_CLIENT_OPTIONAL}, {"required", TLS_CLIENT_REQUIRED}, {NULL, 0}};
const struct option_choice program_log_level_choices[] = {{"debug", LOG_DEBUG}, {"info", LOG_INFO},
	{"warning", LOG_WARNING}, {"error", LOG_ERROR}, {NULL, 0}};
const struct option_choice program_log_format_choices[] = {{"auto", LOG_FORMAT_AUTO},
	{"json", LOG_FORMAT_JSON}, {"logfmt", LOG_FORMAT_LOGFMT}, {NULL, 0}};

struct status program_check_address(struct str value)
{
	struct address a;
	return address_parse(value, &a);
}

struct status program_check_network(struct str value)
{
	_cleanup_cidr_list_ struct cidr_list list = {.n = 0};
	return cidr_list_parse(value, &list);
}

struct str *program_list_texts(struct arena *arena, const struct option_list *list)
{
	struct str *texts = arena_calloc(arena, list->count, sizeof *texts);
	for (size_t i = 0; i < list->count; i++)
		texts[i] = str_of(list->items[i]);
	return texts;
}

struct status program_check_pair(const struct options *o, const char *cert, const char *cert_file,
	const char *key, const char *key_file)
{
	if (!cert_file == !key_file)
		return status_ok();
	return options_error(
		o, cert_file ? cert : key, "given together with --%s", cert_file ? key : cert);
}

struct status program_check_tls(const struct options *o, const struct program_tls_options *tls)
{
	TRY(program_check_pair(o, "tls-cert-file", tls->cert_file, "tls-key-file", tls->key_file));
	if (tls->client_ca_file && !tls->cert_file)
		return options_error(
			o, "tls-client-ca-file", "given together with --tls-cert-file");
	if (tls->client_auth != TLS_CLIENT_NONE && (!tls->client_ca_file || !tls->cert_file))
		return options_error(o, "tls-client-auth",
			"'none' without --tls-cert-file and --tls-client-ca-file");
	return status_ok();
}

struct status program_check_listener(const struct options *o, const char *name, const char *address,
	bool tls, bool insecure_plaintext, bool dev_login)
{
	struct address a;
	TRY(address_parse(str_of(address), &a));
	if (address_is_loopback(&a))
		return status_ok();
	if (dev_login)
		return options_error(
			o, name, "a loopback address or a unix socket with --dev-login");
	if (!tls && !insecure_plaintext)
		return options_error(o, name,
			"a loopback address or a unix socket without --tls-cert-file (or with "
			"--insecure-plaintext)");
	return status_ok();
}

struct status program_check_ready_file(const struct options *o, const char *path)
{
	if (!path || file_can_be_written(path))
		return status_ok();
	return options_error(
		o, "ready-file", "a file in a folder that is there and may be written");
}
