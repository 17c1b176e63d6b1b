/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines as const tables: what a program understands is data, and parsing, help (usage.h),
 * completion (cmd_docs.c) and manual pages (manpage.h) are printed from the same table.
 *
 * The rules are those of Python's argparse 3.11, because the users of the existing command line
 * know them: unique prefixes of long options, "--opt=value", "-oVALUE", joined flags, "--",
 * arguments that look like negative numbers, the wording of every error, and unknown arguments
 * being reported by the program as a whole. Threads: one at a time. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct cli;

enum arg_count {
	ARG_FLAG,     /* an option without a value */
	ARG_ONE,      /* exactly one value */
	ARG_OPTIONAL, /* a positional argument that may be left out */
	ARG_SOME      /* one or more values */
};

enum arg_hint {
	ARG_HINT_NONE,
	ARG_HINT_FILE /* completion offers files */
};

struct arg {
	const char *names[2]; /* "--service", "-s"; none: a positional argument */
	const char *dest;     /* the key of args_value, and the metavar if there is no other */
	enum arg_count count;
	const char *const *choices; /* NULL-terminated, or NULL */
	const char *metavar;
	const char *help;
	int exclusive; /* at most one argument of a group that is not 0 */
	bool secret;   /* args_parse keeps a copy and overwrites the caller's */
	enum arg_hint hint;
	/* False when @value is not acceptable, and @why says it to the user. */
	bool (*check)(struct str value, struct buf *why);
};

struct command {
	const char *name;
	const char *help; /* the line in the list of its parent */
	const char *description;
	const char *epilog;
	const char *manual;     /* more paragraphs for the manual page */
	bool raw;               /* description and epilog keep their line breaks */
	bool raw_help;          /* so do the texts of the arguments */
	const struct arg *args; /* "-h, --help" comes before them by itself */
	size_t args_n;
	const struct command *const *commands; /* NULL-terminated, or NULL */
	const char *commands_dest;
	bool command_required;
	int (*run)(struct cli *c); /* returns the exit code */
};

/* The "-h, --help" that every command has. */
extern const struct arg arg_help;

struct arg_values {
	const struct arg *arg;
	char **values;
	size_t n;
	bool owned;
};

/* What was typed. Values are borrowed from the argument vector, but for secrets. */
struct args {
	const struct command *command; /* the innermost one; the root if none was named */
	struct arg_values *seen;
	size_t n;
};

enum args_outcome {
	ARGS_RUN,  /* @ret is filled */
	ARGS_HELP, /* @text is for stdout, the exit code 0 */
	ARGS_ERROR /* @text is for stderr, the exit code 2 */
};

/* Parses argv[1..argc-1] for the program @root. @columns: width of the help (usage.h).
 * @ret must be released with args_done whatever the outcome. */
enum args_outcome args_parse(const struct command *root, int argc, char **argv, int columns,
	struct args *ret, struct buf *text);
void args_done(struct args *a);

/* True if the flag or option was given. */
bool args_has(const struct args *a, const char *dest);
/* The (last) value of @dest, or NULL. */
const char *args_value(const struct args *a, const char *dest);
/* All values of @dest; *ret_n is 0 when it was not given. */
char *const *args_values(const struct args *a, const char *dest, size_t *ret_n);

/* "usage: …" and "osmo token set: error: …", as args_parse words an error of @prog. */
void args_error(const struct command *command, const char *prog, int columns, const char *message,
	struct buf *text);

/* "--expires-at/-e", "name" */
void arg_format_name(const struct arg *arg, struct buf *out);
/* As Python's repr() of a text. */
void python_repr(struct str s, struct buf *out);
