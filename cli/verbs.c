/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verbs.h"

#include "cli/argparse.h"
#include "cli/cmd_check.h"
#include "cli/cmd_docs.h"
#include "cli/cmd_login.h"
#include "cli/cmd_profile.h"
#include "cli/cmd_token.h"
#include "cli/cmd_version.h"
#include "cli/session.h"
#include "common/base/completion.h"
#include "common/base/date.h"

#include <errno.h>
#include <unistd.h>

#define ARGS(array) .args = (array), .args_n = ARRAY_SIZE(array)

/* ---- checks of values ---- */

static bool check_date(struct str value, struct buf *why)
{
	struct date date;
	if (date_parse(value, &date))
		return true;
	buf_printf(why, "Invalid date format: %.*s", STR_ARG(value));
	return false;
}

/* "-" is standard input. Nothing is opened: who writes into a named pipe writes once. */
static bool check_file(struct str value, struct buf *why)
{
	char *path = str_dup(value);
	bool readable = strcmp(path, "-") == 0 || access(path, R_OK) == 0;
	int error = errno;
	free(path);
	if (readable)
		return true;
	buf_printf(
		why, "can't open '%.*s': [Errno %d] %s: ", STR_ARG(value), error, strerror(error));
	python_repr(value, why);
	return false;
}

bool verbs_log_level(struct str name, int *ret)
{
	static const struct {
		const char *name;
		enum console_level level;
	} levels[] = {{"CRITICAL", CONSOLE_CRITICAL}, {"ERROR", CONSOLE_ERROR},
		{"WARNING", CONSOLE_WARNING}, {"INFO", CONSOLE_INFO}, {"DEBUG", CONSOLE_DEBUG},
		{"FATAL", CONSOLE_CRITICAL}, {"WARN", CONSOLE_WARNING}};
	uint64_t number;
	bool is_number = str_to_u64(name, &number);
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (is_number ? number == (uint64_t)levels[i].level
			      : str_eq_nocase(str_trim(name), str_of(levels[i].name))) {
			*ret = (int)levels[i].level;
			return true;
		}
	}
	return false;
}

static bool check_log_level(struct str value, struct buf *why)
{
	int level;
	if (verbs_log_level(value, &level))
		return true;
	buf_append_str(why, STR("invalid parse value: "));
	python_repr(value, why);
	return false;
}

/* ---- arguments that several verbs have ---- */

static const char *const formats[] = {"json", "text", NULL};

#define FORMAT_TYPE                                                                                \
	{                                                                                          \
		.names = {"--format-type", "-t"}, .dest = "format_type", .count = ARG_ONE,         \
		.choices = formats, .help = "Specify the output format type (Default text)."       \
	}
#define SERVICE(text)                                                                              \
	{                                                                                          \
		.names = {"--service", "-s"}, .dest = "service", .count = ARG_FLAG, .help = (text) \
	}
#define TOKEN_NAME                                                                                 \
	{                                                                                          \
		.dest = "name", .count = ARG_ONE, .help = "Name of the token."                     \
	}

/* ---- token ---- */

static const struct arg token_set_args[] = {TOKEN_NAME,
	{.names = {"--expires-at", "-e"},
		.dest = "expires_at",
		.count = ARG_ONE,
		.check = check_date,
		.help = "Expiration date of the token. The date is based on UTC time. "
			"Format: YYYY-MM-DD"},
	{.names = {"--description", "-d"},
		.dest = "description",
		.count = ARG_ONE,
		.help = "Description of the token."},
	SERVICE("Create a service token."),
	{.names = {"--roles", "-r"},
		.dest = "roles",
		.count = ARG_SOME,
		.help = "Roles for the token. Only applicable for service tokens."},
	FORMAT_TYPE};
static const struct command token_set = {.name = "set",
	.help = "Set a token for the current user.",
	.epilog = "Ex. osmo token set my-token --expires-at 2026-05-01 --description "
		  "\"My token description\"",
	.manual = "Creates a personal access token of the current user, or with --service a "
		  "service token with the given roles. Without --expires-at it expires 31 days "
		  "from today. The token is good through the day before its date. It is printed "
		  "once and cannot be shown again.",
	.raw = true,
	ARGS(token_set_args),
	.run = cmd_token_set};

static const struct arg token_delete_args[] = {TOKEN_NAME, SERVICE("Delete a service token.")};
static const struct command token_delete = {.name = "delete",
	.help = "Delete a token for the current user.",
	.epilog = "Ex. osmo token delete my-token",
	.manual = "Deletes the token for good: whoever uses it is refused from then on.",
	.raw = true,
	ARGS(token_delete_args),
	.run = cmd_token_delete};

static const struct arg token_list_args[] = {SERVICE("List all service tokens."), FORMAT_TYPE};
static const struct command token_list = {.name = "list",
	.help = "List all tokens for the current user.",
	.epilog = "Ex. osmo token list",
	.manual = "Prints name, description, roles and expiry date of every token, and whether it "
		  "is still active; with -t json, the list as the service gave it.",
	.raw = true,
	ARGS(token_list_args),
	.run = cmd_token_list};

static bool check_overlap(struct str value, struct buf *why)
{
	int64_t seconds;
	if (cmd_token_parse_overlap(value, &seconds))
		return true;
	buf_printf(why, "Invalid overlap: %.*s, expected 90s, 30m, 24h, 7d or 0", STR_ARG(value));
	return false;
}

static const struct arg token_update_args[] = {TOKEN_NAME,
	{.names = {"--description", "-d"},
		.dest = "description",
		.count = ARG_ONE,
		.help = "New description of the token."},
	SERVICE("Update a service token."),
	{.names = {"--roles", "-r"},
		.dest = "roles",
		.count = ARG_SOME,
		.help = "New roles for the token, instead of those it has. Only applicable for "
			"service tokens."}};
static const struct command token_update = {.name = "update",
	.help = "Change description or roles of a token.",
	.epilog = "Ex. osmo token update my-token --description \"My new description\"\n"
		  "Ex. osmo token update my-service --service --roles osmo-user osmo-backend",
	.manual = "What is not given stays as it is, and so do the token itself and its expiry "
		  "date.",
	.raw = true,
	ARGS(token_update_args),
	.run = cmd_token_update};

static const struct arg token_rotate_args[] = {TOKEN_NAME,
	{.names = {"--overlap", "-o"},
		.dest = "overlap",
		.count = ARG_ONE,
		.check = check_overlap,
		.help = "How long the old token stays good beside the new one, like 90s, 30m, 24h "
			"or 7d, at most 30d (default 0: not at all)."},
	{.names = {"--expires-at", "-e"},
		.dest = "expires_at",
		.count = ARG_ONE,
		.check = check_date,
		.help = "New expiration date of the token. Without it the date stays. The date is "
			"based on UTC time. Format: YYYY-MM-DD"},
	SERVICE("Rotate a service token."), FORMAT_TYPE};
static const struct command token_rotate = {.name = "rotate",
	.help = "Replace a token by a new one of the same name.",
	.epilog = "Ex. osmo token rotate my-token --overlap 24h",
	.manual = "Name, roles and description stay. Whoever uses the old token is refused from "
		  "then on, or after the overlap; a token that an earlier overlap kept ends at "
		  "once. The new token is printed once and cannot be shown again. If it is the "
		  "one that the login is by, the login goes on with the new one.",
	.raw = true,
	ARGS(token_rotate_args),
	.run = cmd_token_rotate};

static const struct arg token_delete_all_args[] = {
	{.dest = "user", .count = ARG_ONE, .help = "Name of the user."}};
static const struct command token_delete_all = {.name = "delete-all",
	.help = "Delete all tokens of a user (administrators).",
	.epilog = "Ex. osmo token delete-all alice@example.com",
	.manual = "Deletes all personal tokens of the user, as when somebody has left or has lost "
		  "a laptop. Service tokens stay.",
	.raw = true,
	ARGS(token_delete_all_args),
	.run = cmd_token_delete_all};

static const struct command *const token_commands[] = {&token_set, &token_delete, &token_list,
	&token_update, &token_rotate, &token_delete_all, NULL};
static const struct command token = {.name = "token",
	.help = "Set and delete access tokens.",
	.commands = token_commands,
	.commands_dest = "command",
	.command_required = true};

/* ---- login, logout ---- */

static const char *const methods[] = {"token", "dev", NULL};

static const struct arg login_args[] = {
	{.dest = "url",
		.count = ARG_OPTIONAL,
		.help = "The url of the osmo server to connect to. If not provided, uses the last "
			"used url."},
	{.names = {"--method"},
		.dest = "method",
		.count = ARG_ONE,
		.choices = methods,
		.help = "token: Log in with an access token; the default if a token is given. dev: "
			"Provide a username without any proof, for services that run in "
			"development mode."},
	{.names = {"--username"},
		.dest = "username",
		.count = ARG_ONE,
		.help = "Username for the method dev."},
	{.names = {"--token"},
		.dest = "token",
		.count = ARG_ONE,
		.exclusive = 1,
		.secret = true,
		.help = "Access token to log in with. Other users of the machine may see it while "
			"the program starts, and the shell may keep it: --token-file is better."},
	{.names = {"--token-file"},
		.dest = "token_file",
		.count = ARG_ONE,
		.metavar = "FILE",
		.exclusive = 1,
		.hint = ARG_HINT_FILE,
		.check = check_file,
		.help = "File containing the access token, - for standard input."}};
static const struct command login = {.name = "login",
	.help = "Log in with an access token, or as a developer.",
	.epilog = "Ex. osmo login https://osmo.example.com --token-file my-token.txt",
	.manual = "Remembers the service and the login in login.yaml (see FILES). The access token "
		  "is exchanged for a short-lived one, which is renewed when it has expired. A "
		  "token file may also hold the refresh address that earlier versions used.",
	.raw = true,
	ARGS(login_args),
	.run = cmd_login};
static const struct command logout = {
	.name = "logout", .help = "Remove stored access tokens.", .run = cmd_logout};

/* ---- profile ---- */

static const char *const settings[] = {"notifications", "bucket", "pool", NULL};
static const char *const switches[] = {"true", "false", NULL};

static const struct arg profile_set_args[] = {
	{.dest = "setting", .count = ARG_ONE, .choices = settings, .help = "Field to set"},
	{.dest = "value", .count = ARG_ONE, .help = "Type of notification, or name of bucket/pool"},
	{.dest = "enabled",
		.count = ARG_OPTIONAL,
		.choices = switches,
		.help = "Enable or disable, strictly for notifications."}};
static const struct command profile_set = {.name = "set",
	.help = "Set profile settings.",
	.epilog = "Ex. osmo profile set bucket my_bucket\n"
		  "Ex. osmo profile set pool my_pool\n"
		  "Ex. osmo profile set notifications email true # Enable only email "
		  "notifications\n"
		  "Ex. osmo profile set notifications slack false # Disable slack notifications",
	.raw = true,
	.raw_help = true,
	ARGS(profile_set_args),
	.run = cmd_profile_set};

static const struct arg profile_list_args[] = {FORMAT_TYPE};
static const struct command profile_list = {.name = "list",
	.help = "Fetch notification settings.",
	.manual = "Prints the user, the settings and, for a login by token, name, expiry date and "
		  "roles of the token.",
	ARGS(profile_list_args),
	.run = cmd_profile_list};

static const struct command *const profile_commands[] = {&profile_set, &profile_list, NULL};
static const struct command profile = {.name = "profile",
	.help = "Manage user profile.",
	.commands = profile_commands,
	.commands_dest = "command",
	.command_required = true};

/* ---- version, completion, man ---- */

static const struct arg version_args[] = {FORMAT_TYPE};
static const struct command version = {.name = "version",
	.help = "Command to show client version.",
	.manual = "Also shows the version of the service, if one is known and answers.",
	ARGS(version_args),
	.run = cmd_version};

/* ---- check ---- */

static const struct arg check_args[] = {
	{.dest = "url", .count = ARG_ONE, .help = "The url of the service."},
	{.names = {"--grpc"},
		.dest = "grpc",
		.count = ARG_ONE,
		.metavar = "URL",
		.help = "Where the service speaks gRPC, as http://HOST:PORT or https://HOST:PORT; "
			"without it only HTTP is tried."},
	{.names = {"--server-name"},
		.dest = "server_name",
		.count = ARG_ONE,
		.metavar = "NAME",
		.help = "The name in the service's certificate, if it is not the host of the "
			"urls."},
	{.names = {"--token-file"},
		.dest = "token_file",
		.count = ARG_ONE,
		.metavar = "FILE",
		.hint = ARG_HINT_FILE,
		.check = check_file,
		.help = "File containing the access token of somebody who may make tokens."}};
static const struct command check = {.name = "check",
	.help = "Try out a service: make a token, use it, delete it.",
	.epilog = "Ex. osmo check http://127.0.0.1:8080 --grpc http://127.0.0.1:50051 "
		  "--token-file admin.token",
	.manual =
		"Makes a token with a name of its own, finds it in the list, asks with it who its "
		"owner is, deletes it, and sees that it opens nothing any more; over HTTP, and "
		"with --grpc over gRPC as well. Needs no login and leaves none. Exits with 0 if "
		"all of it is true.",
	.raw = true,
	ARGS(check_args),
	.run = cmd_check};

/* ---- completion, man ---- */

static const struct arg completion_args[] = {{.dest = "shell",
	.count = ARG_ONE,
	.choices = completion_shells,
	.help = "The shell that the script is for."}};
static const struct command completion = {.name = "completion",
	.help = "Print a completion script for a shell.",
	.epilog = "Ex. source <(osmo completion bash)\n"
		  "Ex. osmo completion zsh > \"${fpath[1]}/_osmo\"\n"
		  "Ex. osmo completion fish > ~/.config/fish/completions/osmo.fish",
	.raw = true,
	ARGS(completion_args),
	.run = cmd_completion};

static const struct arg man_args[] = {{.dest = "page",
	.count = ARG_OPTIONAL,
	.help = "Name of the page: osmo, or osmo-COMMAND (default osmo)."}};
static const struct command man = {.name = "man",
	.help = "Print a manual page.",
	.epilog = "Ex. osmo man osmo-token | man -l -",
	.raw = true,
	ARGS(man_args),
	.run = cmd_man};

/* ---- osmo ---- */

static const struct arg root_args[] = {{.names = {"--log-level"},
					       .dest = "log_level",
					       .count = ARG_ONE,
					       .check = check_log_level,
					       .help = "Least level of messages on standard "
						       "error: DEBUG, INFO, WARNING, ERROR or "
						       "CRITICAL (default INFO)."},
	{.names = {"--cacert"},
		.dest = "cacert",
		.count = ARG_ONE,
		.metavar = "FILE",
		.hint = ARG_HINT_FILE,
		.check = check_file,
		.help = "File of the certificate authorities that vouch for the service, instead "
			"of those of the system."}};
static const struct command *const root_commands[] = {
	&login, &logout, &version, &token, &profile, &check, &completion, &man, NULL};

const struct command verbs_root = {.name = "osmo",
	.description = "Access tokens of an OSMO service: log in, make tokens, list and delete "
		       "them, and see what they may do.",
	ARGS(root_args),
	.commands = root_commands,
	.commands_dest = "module"};
