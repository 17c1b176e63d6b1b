/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_version.h"

#include "cli/render.h"
#include "cli/session.h"
#include "common/base/xalloc.h"

enum {
	TEXT_MAX = 1024 * 1024
};

/* The version of the service, if one is known and answers; *ret is NULL otherwise. It is public, so
 * no credentials are sent, and a single try must do. */
static int fetch(struct cli *c, json_t **ret)
{
	*ret = NULL;
	int failed = cli_login_load(c);
	if (failed || !c->login.url)
		return failed;
	_cleanup_free_ char *url = xasprintf("%s/api/version", c->login.url);
	const struct http_request request = {.method = "GET", .url = url, .single = true};
	_cleanup_response_ struct http_response r;
	http_response_init(&r);
	struct status s = http_client_send(cli_http(c), &request, &r);
	if (!status_is_ok(&s))
		return EXIT_DONE;
	if (r.status >= 400 && r.status < 500) {
		console_log(CONSOLE_ERROR, "Server responded with status code %ld", r.status);
		return EXIT_DONE;
	}
	return cli_check(c, &r, ret);
}

static void append_part(struct buf *out, const json_t *version, const char *key)
{
	const json_t *part = json_object_get(version, key);
	if (!part || json_is_null(part) || (json_is_string(part) && !json_string_length(part)))
		return;
	buf_append_str(out, out->n ? STR(".") : STR(""));
	render_value(part, out);
}

static void show_text(const json_t *service)
{
	cli_print(STR("OSMO client version:  " CLI_VERSION "\n"));
	if (!json_object_size(service))
		return;
	_cleanup_buf_ struct buf version;
	buf_init(&version, TEXT_MAX);
	append_part(&version, service, "major");
	append_part(&version, service, "minor");
	append_part(&version, service, "revision");
	append_part(&version, service, "hash");
	cli_printf("OSMO service version: %s\n", version.n ? version.p : "");
}

static void show_json(const json_t *service)
{
	json_t *all = json_pack("{s:{s:s,s:s,s:s,s:s}}", "client", "major", CLI_VERSION_MAJOR,
		"minor", CLI_VERSION_MINOR, "revision", CLI_VERSION_REVISION, "hash", "");
	if (json_object_size(service))
		json_object_set(all, "service", (json_t *)(uintptr_t)service);
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	render_json(all, 4, &text);
	buf_append_char(&text, '\n');
	cli_print(buf_str(&text));
	json_decref(all);
}

int cmd_version(struct cli *c)
{
	json_t *service;
	int failed = fetch(c, &service);
	if (failed && c->json)
		return failed; /* one JSON value on standard output, and that is the error */
	if (c->json)
		show_json(service);
	else
		show_text(service);
	json_decref(service);
	return failed;
}
