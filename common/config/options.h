/* SPDX-License-Identifier: Apache-2.0 */
/* Options: one const table per program, from which everything about an option follows.
 *
 *     struct service_options { char *grpc_listen; int64_t threads; bool dev_login; };
 *
 *     static const struct option_spec specs[] = {
 *             {.name = "grpc-listen", OPTION_STRING_AT(struct service_options, grpc_listen),
 *                     .metavar = "ADDR", .initial = "127.0.0.1:50051", .group = "Listening",
 *                     .help = "where gRPC is served"},
 *             ...
 *
 * A value comes from, the first that is there: the command line (--grpc-listen ADDR), the
 * environment (TOKEN_SERVICE_GRPC_LISTEN), the file of --config (YAML; the key is the name as it is
 * written here, `grpc-listen`, in no other spelling), the default. All of them are checked, also
 * those that another one hides.
 *
 * - An environment variable that is empty counts as not set, a key without a value (`key:`) too. An
 *   empty text (`--name=` or `name: ""`) takes back what lies below; an option that has a default
 *   refuses it. Variables with our prefix that name no option are no error, but worth
 *   a warning, except for those that Kubernetes puts into every pod (TOKEN_SERVICE_PORT...).
 * - A flag: --name, --no-name, or --name=true|false (also yes, no, on, off, 1, 0).
 * - A list: the option again and again, or commas; in the file a sequence or text with commas.
 *   Giving it replaces what lies below, so `--name=` is the empty list.
 * - A secret is never on the command line, nor in the file: NAME-file names a file that holds it,
 *   in all three places; the environment may also hold the secret itself.
 * - Of other options the last on the command line counts.
 *
 * A wrong option is one line that names the option, the value, where it came from and what was
 * expected. The program then exits with 2, before anything but the files named here was opened.
 *
 * Threads: a struct options never changes once it was read; any thread may look. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/secret.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct yaml_node;
struct options;

enum option_type {
	OPTION_FLAG,     /* bool */
	OPTION_STRING,   /* char *: NULL when it was not given and has no default */
	OPTION_INT,      /* int64_t */
	OPTION_DURATION, /* int64_t: milliseconds; "500ms", "30s", "2m", "1h", "1d", "1h30m", "0" */
	OPTION_SIZE,     /* int64_t: bytes; "4096", "64KiB", "1MiB", "1GiB", "1kB", "1MB", "1GB" */
	OPTION_ENUM,     /* int: the value of the choice */
	OPTION_LIST,     /* struct option_list */
	OPTION_SECRET,   /* struct secret: p is NULL when it was not given */
	OPTION_SECTION   /* const struct yaml_node *: in the file only, NULL when it is not there */
};

struct option_list {
	char **items; /* NUL-terminated */
	size_t count;
};

struct option_choice {
	const char *name; /* NULL ends the list */
	int value;
};

enum option_flags {
	OPTION_RELOADABLE = 1 << 0,
	OPTION_REQUIRED = 1 << 1,
	OPTION_HIDDEN = 1 << 2,      /* not in the help */
	OPTION_COMMAND_ONLY = 1 << 3 /* just for the commands that list it */
};

struct option_spec {
	const char *name;      /* "grpc-listen" */
	enum option_type type; /* type and offset: OPTION_..._AT below */
	size_t offset;
	const char *metavar;                 /* "ADDR" */
	const char *initial;                 /* the default as a user would write it, or NULL */
	int64_t min, max;                    /* INT, DURATION, SIZE; max 0: no upper bound */
	const struct option_choice *choices; /* ENUM */
	/* STRING, and each entry of a LIST: the message stands behind the option's name. Or NULL.
	 */
	struct status (*check)(struct str value);
	const char *group; /* heading in the help */
	unsigned flags;
	const char *help; /* a phrase without a full stop; the default is added to it */
};

#define OPTION_AT_(type_, s, member, c_type)                                                       \
	.type = (type_),                                                                           \
	.offset =                                                                                  \
		offsetof(s, member) +                                                              \
		0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((s *)0)->member), c_type) \
					? 1                                                        \
					: -1])
#define OPTION_FLAG_AT(s, member) OPTION_AT_(OPTION_FLAG, s, member, bool)
#define OPTION_STRING_AT(s, member) OPTION_AT_(OPTION_STRING, s, member, char *)
#define OPTION_INT_AT(s, member) OPTION_AT_(OPTION_INT, s, member, int64_t)
#define OPTION_DURATION_AT(s, member) OPTION_AT_(OPTION_DURATION, s, member, int64_t)
#define OPTION_SIZE_AT(s, member) OPTION_AT_(OPTION_SIZE, s, member, int64_t)
#define OPTION_ENUM_AT(s, member) OPTION_AT_(OPTION_ENUM, s, member, int)
#define OPTION_LIST_AT(s, member) OPTION_AT_(OPTION_LIST, s, member, struct option_list)
#define OPTION_SECRET_AT(s, member) OPTION_AT_(OPTION_SECRET, s, member, struct secret)
#define OPTION_SECTION_AT(s, member) OPTION_AT_(OPTION_SECTION, s, member, const struct yaml_node *)

/* `PROGRAM COMMAND [OPTION]...`: values of the same table, of which it takes some on the command
 * line; environment and file may hold all of them. */
struct option_command {
	const char *name, *summary;
	const char *const *options; /* names, NULL-terminated */
	const char *operand;        /* "FILE": takes exactly one, which is no option; or NULL */
};

/* What the manual page says below the options: {"FILES", "/etc/x.yaml", "what it holds"}; without
 * @what a paragraph. Entries of one section stand together; a NULL section ends the list. */
struct option_manual {
	const char *section, *what, *text;
};

struct option_table {
	const char *program;                /* "token-service" */
	const char *version;                /* "0.1.0" */
	const char *env_prefix;             /* "TOKEN_SERVICE" */
	const char *summary;                /* a sentence or two below the usage */
	const char *phrase;                 /* "serves access tokens", for whatis(1) */
	const struct option_manual *manual; /* or NULL */
	size_t values_size;                 /* sizeof(struct service_options) */
	const struct option_spec *specs;
	size_t count;
	const struct option_command *commands; /* or NULL */
	size_t command_count;
};

/* Every table has these without listing them: --config FILE (PREFIX_CONFIG), --check-config,
 * --completion SHELL, --help (-h), --version (-V), and --help-json and --help-man, which the help
 * does not show. */
enum options_action {
	OPTIONS_RUN,
	OPTIONS_CHECK, /* --check-config: check what the table cannot, say so, and exit */
	OPTIONS_COMPLETION,
	OPTIONS_HELP,
	OPTIONS_HELP_JSON,
	OPTIONS_HELP_MAN,
	OPTIONS_VERSION
};

/* For main(): prints help, version and errors itself. True: go on with *@ret (the action is RUN or
 * CHECK). False: exit with *@exit_code (0, or 2 after an error line on stderr). */
bool options_start(const struct option_table *t, int argc, char *const *argv, struct options **ret,
	int *exit_code);

/* Reads and prints nothing. argv[0] is skipped; @env is as environ and must outlive *@ret.
 *
 * INVALID_ARGUMENT  a wrong option; the message is one line */
struct status options_read(const struct option_table *t, int argc, char *const *argv,
	char *const *env, struct options **ret);
void options_free(struct options *o);
DEFINE_CLEANUP(struct options *, options_free);

/* The program's struct; it, and all that it points to, lives as long as @o. */
const void *options_values(const struct options *o);
enum options_action options_action(const struct options *o);
/* The command that was given, or NULL. */
const struct option_command *options_command(const struct options *o);
/* What the command was given beside options, or NULL if it takes nothing. */
const char *options_operand(const struct options *o);
/* The file of --config, or NULL. */
const char *options_config_file(const struct options *o);
/* Where the value of @name came from, for messages about what the table cannot check:
 * "the command line", "TOKEN_SERVICE_X", "FILE:3", "the default". */
const char *options_origin(const struct options *o, const char *name);
/* INVALID_ARGUMENT in the form of all errors here: "--NAME must be EXPECTED, got 'VALUE' from
 * ORIGIN"; @format and so on give EXPECTED. */
struct status options_error(const struct options *o, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with what was given as text, as help shows a default; a secret is ***. */
void options_format(const struct options *o, const char *name, struct buf *out);

/* What a reload changed. @old and @new are texts; of a secret and of a section nothing is shown. */
struct option_change {
	const char *name, *old, *new;
	bool applied; /* false: not reloadable; the old value stays until a restart */
};
typedef void(options_changed_fn)(void *arg, const struct option_change *c);

/* Reads the sources of @o again, secrets' files too, into a fresh *@ret; options that cannot be
 * reloaded keep their values. @changed (or NULL) is called for each option that differs. On an
 * error nothing was called and @o goes on. The caller swaps and frees. */
struct status options_reload(
	const struct options *o, options_changed_fn *changed, void *arg, struct options **ret);

/* An environment variable that somebody may take for an option. */
struct option_stray {
	const char *name;    /* "TOKEN_SERVICE_THREAD" */
	const char *nearest; /* the option that was probably meant, "threads", or NULL */
	bool in_file_only;   /* @nearest is a section: no variable can say it */
};

/* Calls @found for each variable of @env that has the prefix and a value, and is no option: a
 * warning's worth. Not for those that Kubernetes puts into every pod for its Services. */
void options_suspicious_env(const struct option_table *t, char *const *env,
	void (*found)(void *arg, const struct option_stray *stray), void *arg);

/* FAILED_PRECONDITION when the table itself is wrong: a name twice, a default that is refused, a
 * variable that Kubernetes would set. For the unit test of a table. */
struct status option_table_check(const struct option_table *t);
