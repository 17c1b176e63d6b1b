/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_profile.h"

#include "cli/render.h"
#include "cli/session.h"
#include "common/base/date.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"

enum {
	TEXT_MAX = 64 * 1024 * 1024
};

/* ---- list ---- */

/* The token that this login was made with, as the service knows it; *ret is NULL if it was made
 * otherwise. The token travels in the body; existing services want it in the query. */
static int fetch_token(struct cli *c, json_t **ret)
{
	*ret = NULL;
	char *token = login_access_token(&c->login);
	if (!token)
		return EXIT_DONE;
	_cleanup_buf_ struct buf body, query;
	buf_init(&body, TEXT_MAX);
	buf_init(&query, TEXT_MAX);
	json_t *object = json_pack("{s:s}", "token", token);
	render_json(object, -1, &body);
	json_decref(object);
	buf_append_str(&query, STR("/api/auth/access_token?access_token="));
	url_encode(str_of(token), true, &query);
	const struct api_request legacy = {.method = "GET", .path = query.p, .repeatable = true};
	const struct api_request request = {.method = "POST",
		.path = "/api/auth/access_token",
		.body = buf_str(&body),
		.repeatable = true,
		.secret_body = true,
		.fallback = &legacy};
	int failed = cli_call(c, &request, ret);
	secret_free(token);
	return failed;
}

/* "LABEL: VALUE"; a field that is missing is empty. */
static void line(struct buf *out, const char *label, const json_t *object, const char *key)
{
	buf_printf(out, "%s: ", label);
	const json_t *value = json_object_get(object, key);
	if (value)
		render_value(value, out);
	buf_append_char(out, '\n');
}

static void pool_lines(struct buf *out, const json_t *pools)
{
	size_t n = json_array_size(pools);
	for (size_t i = 0; i < n; i++) {
		buf_append_str(out, STR("  - "));
		render_value(json_array_get(pools, i), out);
		buf_append_char(out, '\n');
	}
	if (!n)
		buf_append_char(out, '\n');
}

static void token_lines(struct buf *out, const json_t *token)
{
	_cleanup_buf_ struct buf moment;
	buf_init(&moment, TEXT_MAX);
	const json_t *expires = json_object_get(token, "expires_at");
	if (expires)
		render_value(expires, &moment);
	struct str date_text = buf_str(&moment);
	date_text.n = str_index(date_text, 'T');
	struct date date;
	char formatted[DATE_TEXT_BYTES];
	if (date_parse(date_text, &date)) {
		date_format(date, formatted);
		date_text = str_of(formatted);
	}
	buf_append_str(out, STR("token roles:\n"));
	line(out, "  name", token, "token_name");
	buf_printf(out, "  expires_at: %.*s\n  roles: ", STR_ARG(date_text));
	const json_t *roles = json_object_get(token, "roles");
	if (roles)
		render_joined(roles, out);
	buf_append_char(out, '\n');
}

static void profile_lines(const struct cli *c, const json_t *answer, struct buf *out)
{
	const json_t *profile = json_object_get(answer, "profile");
	buf_append_str(out, STR("user:\n"));
	if (c->login.name && *c->login.name)
		buf_printf(out, "  name: %s\n", c->login.name);
	line(out, "  email", profile, "username");
	buf_append_str(out, STR("notifications:\n"));
	line(out, "  email", profile, "email_notification");
	line(out, "  slack", profile, "slack_notification");
	buf_append_str(out, STR("bucket:\n"));
	line(out, "  default", profile, "bucket");
	buf_append_str(out, STR("pool:\n"));
	line(out, "  default", profile, "pool");
	buf_append_str(out, STR("  accessible:\n"));
	pool_lines(out, json_object_get(answer, "pools"));
	const json_t *token = json_object_get(answer, "token");
	if (json_object_size(token))
		token_lines(out, token);
}

int cmd_profile_list(struct cli *c)
{
	json_t *answer;
	int failed = cli_call(c,
		&(struct api_request){
			.method = "GET", .path = "/api/profile/settings", .repeatable = true},
		&answer);
	if (failed)
		return failed;
	json_t *token;
	if (!json_is_object(answer))
		failed = cli_failf(c, EXIT_SERVICE, "The service did not answer with a profile");
	else if (!(failed = fetch_token(c, &token))) {
		if (token)
			json_object_set_new(answer, "token", token);
		_cleanup_buf_ struct buf text;
		buf_init(&text, TEXT_MAX);
		if (c->json) {
			render_json(answer, 2, &text);
			buf_append_char(&text, '\n');
		} else {
			profile_lines(c, answer, &text);
		}
		cli_print(buf_str(&text));
	}
	json_decref(answer);
	return failed;
}

/* ---- set ---- */

static int fail_notification(struct cli *c, const char *value)
{
	_cleanup_free_ char *message = xasprintf(
		"argument value: Invalid type of notification: %s. Must be slack or email.", value);
	return cli_usage_error(c, "osmo profile set", message);
}

int cmd_profile_set(struct cli *c)
{
	const char *setting = args_value(c->args, "setting");
	const char *value = args_value(c->args, "value");
	const char *enabled = args_value(c->args, "enabled");
	value = value ? value : "";
	bool on = !enabled || strcmp(enabled, "true") == 0;
	json_t *change;
	if (strcmp(setting, "notifications") != 0) {
		change = json_pack("{s:s}", setting, value);
	} else if (strcmp(value, "email") == 0) {
		change = json_pack("{s:b}", "email_notification", on);
		if (!on)
			cli_print(STR("Disabling email notifications\n"));
	} else if (strcmp(value, "slack") == 0) {
		change = json_pack("{s:b}", "slack_notification", on);
	} else {
		return fail_notification(c, value);
	}
	if (!change)
		return cli_usage_error(
			c, "osmo profile set", "argument value: expected a text in UTF-8");
	_cleanup_buf_ struct buf body;
	buf_init(&body, TEXT_MAX);
	render_json(change, -1, &body);
	json_decref(change);
	json_t *answer;
	int failed = cli_call(c,
		&(struct api_request){
			.method = "POST", .path = "/api/profile/settings", .body = buf_str(&body)},
		&answer);
	if (failed)
		return failed;
	json_decref(answer);
	cli_print(STR("Profile Set\n"));
	return EXIT_DONE;
}
