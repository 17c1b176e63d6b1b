/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_token.h"

#include "cli/jwt.h"
#include "cli/render.h"
#include "cli/session.h"
#include "common/base/clock.h"
#include "common/base/date.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"

#include <ctype.h>

#define TOKEN_NAME_REGEX "^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$"

enum {
	TEXT_MAX = 256 * 1024 * 1024,
	DEFAULT_LIFETIME_DAYS = 31
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alphanumeric(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9');
}

/* TOKEN_NAME_REGEX */
static bool is_token_name(struct str s)
{
	if (!s.n || !is_letter(s.p[0]) || !is_alphanumeric(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alphanumeric(s.p[i]) && s.p[i] != '_' && s.p[i] != '-')
			return false;
	return true;
}

/* "/api/auth/access_token/user", or …/service */
static const char *collection(const struct cli *c)
{
	return args_has(c->args, "service") ? "/api/auth/access_token/service"
					    : "/api/auth/access_token/user";
}

static void append_parameter(struct buf *path, const char *name, const char *value)
{
	buf_append_char(path, memchr(path->p, '?', path->n) ? '&' : '?');
	buf_printf(path, "%s=", name);
	url_encode(str_of(value), true, path);
}

/* The date is sent as it was typed: the service judges it. */
static void append_expiry(const struct cli *c, struct buf *path)
{
	char default_date[DATE_TEXT_BYTES];
	const char *date = args_value(c->args, "expires_at");
	if (!date) {
		struct date today = date_of(clock_now(&clock_system));
		date_format(date_add_days(today, DEFAULT_LIFETIME_DAYS), default_date);
		date = default_date;
	}
	append_parameter(path, "expires_at", date);
}

static int check_set(struct cli *c, const char *name, size_t roles)
{
	bool service = args_has(c->args, "service");
	if (!is_token_name(str_of(name)))
		return cli_failf(c, EXIT_FAILED, "Token name %s must match regex %s", name,
			TOKEN_NAME_REGEX);
	if (service && !roles)
		return cli_failf(c, EXIT_FAILED, "Roles are required for service tokens.");
	if (!service && roles)
		return cli_failf(c, EXIT_FAILED, "Roles are not supported for personal tokens.");
	return EXIT_DONE;
}

/* EXIT_DONE, or the exit code: what was answered is no token. */
static int show_secret(struct cli *c, const json_t *secret)
{
	if (!json_is_string(secret))
		return cli_failf(c, EXIT_SERVICE, "The service did not answer with a token");
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	if (c->json) {
		buf_append_str(&text, STR("{\"token\": "));
		render_json(secret, -1, &text);
		buf_append_char(&text, '}');
	} else {
		buf_append_str(&text, STR("Note: Save the token in a secure location as it will "
					  "not be shown again\nAccess token: "));
		render_value(secret, &text);
	}
	buf_append_char(&text, '\n');
	cli_print(buf_str(&text));
	return EXIT_DONE;
}

int cmd_token_set(struct cli *c)
{
	const char *name = args_value(c->args, "name");
	const char *description = args_value(c->args, "description");
	size_t roles_n;
	char *const *roles = args_values(c->args, "roles", &roles_n);
	name = name ? name : "";
	int failed = check_set(c, name, roles_n);
	if (failed)
		return failed;
	_cleanup_buf_ struct buf path;
	buf_init(&path, TEXT_MAX);
	buf_printf(&path, "%s/%s", collection(c), name);
	append_expiry(c, &path);
	if (description && *description)
		append_parameter(&path, "description", description);
	for (size_t i = 0; i < roles_n; i++)
		append_parameter(&path, "roles", roles[i]);
	json_t *secret;
	failed = cli_call(c, &(struct api_request){.method = "POST", .path = path.p}, &secret);
	if (failed)
		return failed;
	failed = show_secret(c, secret);
	json_decref(secret);
	return failed;
}

int cmd_token_delete(struct cli *c)
{
	const char *name = args_value(c->args, "name");
	name = name ? name : "";
	_cleanup_buf_ struct buf path;
	buf_init(&path, TEXT_MAX);
	buf_printf(&path, "%s/", collection(c));
	url_encode(str_of(name), false, &path);
	json_t *answer;
	int failed = cli_call(c,
		&(struct api_request){.method = "DELETE", .path = path.p, .repeatable = true},
		&answer);
	if (failed)
		return failed;
	json_decref(answer);
	cli_printf("Access token %s deleted\n", name);
	return EXIT_DONE;
}

int cmd_token_delete_all(struct cli *c)
{
	const char *user = args_value(c->args, "user");
	_cleanup_buf_ struct buf path;
	buf_init(&path, TEXT_MAX);
	buf_append_str(&path, STR("/v1/users/"));
	url_encode(str_of(user ? user : ""), false, &path);
	buf_append_str(&path, STR("/tokens"));
	json_t *answer;
	int failed = cli_call(c,
		&(struct api_request){.method = "DELETE", .path = path.p, .repeatable = true},
		&answer);
	if (failed)
		return failed;
	const json_t *deleted = json_object_get(answer, "deleted");
	if (json_is_integer(deleted))
		cli_printf("%lld access tokens of %s deleted\n",
			(long long)json_integer_value(deleted), user);
	else
		failed = cli_failf(c, EXIT_SERVICE,
			"The service did not answer with the number of tokens deleted");
	json_decref(answer);
	return failed;
}

/* ---- update, rotate: of the newer API ---- */

static void append_v1_path(const char *name, const char *verb, struct buf *path)
{
	buf_append_str(path, STR("/v1/tokens/"));
	url_encode(str_of(name), false, path);
	buf_append_str(path, str_of(verb));
}

/* Sends @_takes_body with "kind". */
static int send_v1(struct cli *c, const char *method, const char *path, json_t *_takes_body,
	bool repeatable, json_t **ret)
{
	if (args_has(c->args, "service"))
		json_object_set_new(_takes_body, "kind", json_string("SERVICE"));
	_cleanup_buf_ struct buf body;
	buf_init(&body, TEXT_MAX);
	render_json(_takes_body, -1, &body);
	json_decref(_takes_body);
	return cli_call(c,
		&(struct api_request){.method = method,
			.path = path,
			.body = buf_str(&body),
			.repeatable = repeatable},
		ret);
}

/* The body that changes what is given and nothing else. NULL if a text of it is no UTF-8: JSON
 * cannot carry that, and without it the service would empty the field. */
static json_t *make_update(const char *description, char *const *roles, size_t roles_n)
{
	json_t *body = json_object(), *list = json_array();
	int missing = 0;
	for (size_t i = 0; i < roles_n; i++)
		missing |= json_array_append_new(list, json_string(roles[i]));
	if (description)
		missing |= json_object_set_new(body, "description", json_string(description));
	if (roles_n)
		json_object_set(body, "roles", list);
	json_decref(list);
	json_object_set_new(body, "updateMask",
		json_string(!description ? "roles"
			    : roles_n    ? "description,roles"
					 : "description"));
	if (!missing)
		return body;
	json_decref(body);
	return NULL;
}

int cmd_token_update(struct cli *c)
{
	const char *name = args_value(c->args, "name");
	const char *description = args_value(c->args, "description");
	size_t roles_n;
	char *const *roles = args_values(c->args, "roles", &roles_n);
	name = name ? name : "";
	if (!description && !roles_n)
		return cli_usage_error(c, "osmo token update",
			"one of the arguments --description/-d --roles/-r is required");
	if (roles_n && !args_has(c->args, "service"))
		return cli_failf(c, EXIT_FAILED, "Roles are not supported for personal tokens.");
	json_t *body = make_update(description, roles, roles_n);
	if (!body)
		return cli_usage_error(c, "osmo token update",
			"arguments --description/-d --roles/-r: expected texts in UTF-8");
	_cleanup_buf_ struct buf path;
	buf_init(&path, TEXT_MAX);
	append_v1_path(name, "", &path);
	json_t *answer;
	int failed = send_v1(c, "PATCH", path.p, body, true, &answer);
	if (failed)
		return failed;
	json_decref(answer);
	cli_printf("Access token %s updated\n", name);
	return EXIT_DONE;
}

bool cmd_token_parse_overlap(struct str text, int64_t *ret_s)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	uint64_t n;
	if (str_eq(text, STR("0"))) {
		*ret_s = 0;
		return true;
	}
	for (size_t i = 0; text.n && i < ARRAY_SIZE(units); i++) {
		if (text.p[text.n - 1] != units[i].unit)
			continue;
		if (!str_to_u64(str_sub(text, 0, text.n - 1), &n) || n > 1000000)
			return false;
		*ret_s = (int64_t)n * units[i].s;
		return true;
	}
	return false;
}

/* Who rotates the very token that the login is by would be logged out by it. */
static int keep_login(struct cli *c, const char *name, const json_t *secret)
{
	struct jwt jwt;
	struct login *login = &c->login;
	if (!login->osmo_token || !json_is_string(secret) ||
		jwt_parse(str_of(login->id_token), &jwt).code != STATUS_OK)
		return EXIT_DONE;
	const char *kind = args_has(c->args, "service") ? "SERVICE" : "USER";
	bool same = jwt.token_name && jwt.token_kind && strcmp(jwt.token_name, name) == 0 &&
		    strcmp(jwt.token_kind, kind) == 0;
	jwt_done(&jwt);
	if (!same)
		return EXIT_DONE;
	secret_free(login->refresh_token);
	login->refresh_token = xstrdup(json_string_value(secret));
	/* in the old form the address has the token in it */
	if (login->refresh_url)
		login->refresh_url[strcspn(login->refresh_url, "?#")] = '\0';
	int failed = cli_exchange(c, login);
	struct status saved = cli_login_save(c);
	if (!status_is_ok(&saved))
		return cli_failf(c, EXIT_FAILED,
			"The token is rotated, but the login could not be saved: %s\nPlease "
			"re-login with \"osmo login\"",
			saved.message);
	return failed;
}

static void show_old_secret(const struct cli *c, const json_t *answer)
{
	const char *until = json_string_value(
		json_object_get(json_object_get(answer, "token"), "oldSecretUntil"));
	if (until && !c->json)
		cli_printf("The old token is good until %s\n", until);
}

int cmd_token_rotate(struct cli *c)
{
	const char *name = args_value(c->args, "name");
	const char *overlap = args_value(c->args, "overlap");
	const char *expires = args_value(c->args, "expires_at");
	int64_t overlap_s = 0;
	name = name ? name : "";
	if (overlap)
		(void)cmd_token_parse_overlap(str_of(overlap), &overlap_s); /* was checked */
	json_t *body = json_object();
	if (overlap_s) {
		char text[32];
		snprintf(text, sizeof text, "%llds", (long long)overlap_s);
		json_object_set_new(body, "overlap", json_string(text));
	}
	if (expires)
		json_object_set_new(body, "expireDate", json_string(expires));
	_cleanup_buf_ struct buf path;
	buf_init(&path, TEXT_MAX);
	append_v1_path(name, ":rotate", &path);
	json_t *answer;
	int failed = send_v1(c, "POST", path.p, body, false, &answer);
	if (failed)
		return failed;
	const json_t *secret = json_object_get(answer, "secret");
	failed = show_secret(c, secret);
	if (!failed) {
		show_old_secret(c, answer);
		failed = keep_login(c, name, secret);
	}
	json_decref(answer);
	return failed;
}

/* ---- list ---- */

enum column {
	COLUMN_NAME,
	COLUMN_DESCRIPTION,
	COLUMN_ROLES,
	COLUMN_ACTIVE,
	COLUMN_EXPIRES,
	COLUMN_COUNT
};

static const char *const column_titles[COLUMN_COUNT] = {
	"Name", "Description", "Roles", "Active", "Expires At (UTC)"};

/* What Python calls false: null, false, 0, "", [] and {}. */
static bool is_nothing(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) ||
	       (json_is_number(v) && json_number_value(v) == 0) ||
	       (json_is_string(v) && json_string_length(v) == 0) ||
	       (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0);
}

/* A field that is missing is "-". */
static void cell_value(const json_t *token, const char *key, struct buf *out)
{
	const json_t *value = json_object_get(token, key);
	if (value)
		render_value(value, out);
	else
		buf_append_char(out, '-');
}

/* The date of a moment: what stands before the 'T'. */
static void cell_expiry(
	const json_t *token, struct date today, struct buf *date_text, struct buf *active)
{
	_cleanup_buf_ struct buf moment;
	buf_init(&moment, TEXT_MAX);
	cell_value(token, "expires_at", &moment);
	struct str text = buf_str(&moment);
	text.n = str_index(text, 'T');
	struct date date;
	if (!date_parse(text, &date)) {
		buf_append_str(date_text, text);
		buf_append_char(active, '-');
		return;
	}
	char formatted[DATE_TEXT_BYTES];
	date_format(date, formatted);
	buf_append_str(date_text, str_of(formatted));
	/* a token is good through the day before its date */
	buf_append_str(active, date.days <= today.days ? STR("Expired") : STR("Active"));
}

static void add_row(struct table *table, const json_t *token, struct date today)
{
	struct buf cells[COLUMN_COUNT];
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		buf_init(&cells[i], TEXT_MAX);
	cell_value(token, "token_name", &cells[COLUMN_NAME]);
	cell_value(token, "description", &cells[COLUMN_DESCRIPTION]);
	const json_t *roles = json_object_get(token, "roles");
	if (roles)
		render_joined(roles, &cells[COLUMN_ROLES]);
	else
		buf_append_char(&cells[COLUMN_ROLES], '-');
	cell_expiry(token, today, &cells[COLUMN_EXPIRES], &cells[COLUMN_ACTIVE]);
	struct str texts[COLUMN_COUNT];
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		texts[i] = buf_str(&cells[i]);
	table_add(table, texts);
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		buf_done(&cells[i]);
}

static int show_table(struct cli *c, const json_t *tokens)
{
	if (!json_is_array(tokens))
		return cli_failf(c, EXIT_SERVICE, "The service did not answer with a list");
	_cleanup_(table_freep) struct table *table = table_new(column_titles, COLUMN_COUNT);
	struct date today = date_of(clock_now(&clock_system));
	for (size_t i = 0; i < json_array_size(tokens); i++)
		add_row(table, json_array_get(tokens, i), today);
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	table_format(table, &text);
	buf_append_char(&text, '\n');
	cli_print(buf_str(&text));
	return EXIT_DONE;
}

int cmd_token_list(struct cli *c)
{
	json_t *tokens;
	int failed = cli_call(c,
		&(struct api_request){.method = "GET", .path = collection(c), .repeatable = true},
		&tokens);
	if (failed)
		return failed;
	if (is_nothing(tokens)) {
		cli_print(STR("No tokens found\n"));
	} else if (c->json) {
		_cleanup_buf_ struct buf text;
		buf_init(&text, TEXT_MAX);
		render_json(tokens, 2, &text);
		buf_append_char(&text, '\n');
		cli_print(buf_str(&text));
	} else {
		failed = show_table(c, tokens);
	}
	json_decref(tokens);
	return failed;
}
