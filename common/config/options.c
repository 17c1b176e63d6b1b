/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/options.h"

#include "common/base/buf.h"
#include "common/base/escape.h"
#include "common/base/file.h"
#include "common/base/nearest.h"
#include "common/base/xalloc.h"
#include "common/config/option_help.h"
#include "common/config/option_value.h"
#include "common/config/yaml_node.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NAME_MAX_BYTES = 128,
	NAMES_MAX = 256, /* that are compared with a misspelt one */
	HELP_MAX_BYTES = 1 << 18,
	EXIT_USAGE = 2
};

static const char command_line[] = "the command line";

enum source {
	SOURCE_DEFAULT,
	SOURCE_FILE,
	SOURCE_ENV,
	SOURCE_ARGUMENT
};

/* Where a value came from. */
struct given {
	enum source source;
	char *origin;           /* NULL: the default */
	struct yaml_tree *tree; /* that a section lies in */
};

struct options {
	const struct option_table *table;
	enum options_action action;
	const char *choice; /* the value of the option that asked for the action, or NULL */
	const struct option_command *command;
	const char *operand; /* in argv */
	char *config_file, *config_origin;
	int argc;
	char **argv; /* copies: for a reload, and so that they outlive a process that renames itself
		      */
	char *const *env;
	void *values;
	struct given *given; /* one per spec */
};

/* An option of the command line, before the file and the environment are looked at. */
struct argument {
	size_t spec;
	struct str value;
};
struct arguments {
	struct argument *items;
	size_t count;
};

static void arguments_done(struct arguments *a)
{
	free(a->items);
}

/* --- names --- */

static size_t spec_count(const struct options *o)
{
	return o->table->count;
}

static bool is_flag_name(const struct option_spec *s, struct str name)
{
	_cleanup_buf_ struct buf own;
	buf_init(&own, NAME_MAX_BYTES);
	option_flag_name(s, &own);
	return str_eq(name, buf_str(&own));
}

static bool find_spec(const struct option_table *t, struct str flag_name, size_t *ret)
{
	for (size_t i = 0; i < t->count; i++) {
		if (is_flag_name(&t->specs[i], flag_name)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static size_t index_of(const struct option_table *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->specs[i].name, name) == 0)
			return i;
	fprintf(stderr, "fatal: no option '%s' in the table\n", name);
	abort();
}

/* ", did you mean" in a form that fits behind a message, or nothing. */
struct hint {
	char text[NAME_MAX_BYTES + 32];
};

static struct hint hint_of(const char *prefix, const char *nearest)
{
	struct hint h = {""};
	if (nearest)
		snprintf(h.text, sizeof h.text, "; did you mean '%s%s'?", prefix, nearest);
	return h;
}

/* The nearest of the names that may stand there: flags, or keys of the file. */
static struct hint hint_for(
	const struct option_table *t, const struct option_command *c, struct str word, bool in_file)
{
	char names[NAMES_MAX][NAME_MAX_BYTES];
	const char *candidates[NAMES_MAX];
	size_t n = 0;
	for (size_t i = 0; i < t->count && n < NAMES_MAX; i++) {
		const struct option_spec *s = &t->specs[i];
		if (!in_file && !option_is_taken(c, s))
			continue;
		_cleanup_buf_ struct buf own;
		buf_init(&own, NAME_MAX_BYTES - 1);
		option_flag_name(s, &own);
		snprintf(names[n], sizeof names[n], "%s", buf_str(&own).p);
		candidates[n] = names[n];
		n++;
	}
	for (const struct option_builtin *b = option_builtins; !in_file && b->name; b++)
		if (b->help && n < NAMES_MAX)
			candidates[n++] = b->name;
	return hint_of(in_file ? "" : "--", nearest_name(word, candidates, n));
}

/* --- one value --- */

static void given_done(struct given *g)
{
	free(g->origin);
	yaml_tree_unref(g->tree);
	*g = (struct given){0};
}

static void came_from(struct options *o, size_t i, enum source source, const char *origin)
{
	/* what a lower source gave is replaced, lists included */
	if (o->given[i].source != source)
		option_clear(&o->table->specs[i], o->values);
	given_done(&o->given[i]);
	o->given[i] = (struct given){.source = source, .origin = xstrdup(origin)};
}

static struct status take_list(struct options *o, const struct option_spec *s, struct str text,
	const char *subject, const char *origin)
{
	struct str rest = text, part;
	if (!text.n)
		return status_ok();
	while (str_split(&rest, ',', &part)) {
		part = str_trim(part);
		if (!part.n)
			return option_mismatch(
				subject, "a list without empty entries", text, origin);
		TRY(option_parse(s, part, subject, origin, o->values));
	}
	return status_ok();
}

static struct status take_secret_file(struct options *o, const struct option_spec *s,
	struct str path, const char *subject, const char *origin)
{
	_cleanup_free_ char *name = str_dup(path);
	struct secret secret = {NULL, 0};
	struct status st = strlen(name) != path.n || !path.n
				   ? status_error(STATUS_INVALID_ARGUMENT, "no path")
				   : file_read_secret(name, true, &secret);
	if (!status_is_ok(&st))
		return status_invalid(subject, "%s from %s: %s", subject, origin, st.message);
	secret_done(option_slot(s, o->values));
	*(struct secret *)option_slot(s, o->values) = secret;
	return status_ok();
}

static struct status take_value(
	struct options *o, size_t i, enum source source, struct str text, const char *origin)
{
	const struct option_spec *s = &o->table->specs[i];
	char subject[NAME_MAX_BYTES];
	snprintf(subject, sizeof subject, "--%s%s", s->name,
		s->type == OPTION_SECRET ? "-file" : "");
	came_from(o, i, source, origin);
	if (s->type == OPTION_LIST)
		return take_list(o, s, text, subject, origin);
	if (s->type == OPTION_SECRET)
		return take_secret_file(o, s, text, subject, origin);
	return option_parse(s, text, subject, origin, o->values);
}

/* --- defaults --- */

static struct status take_defaults(struct options *o)
{
	for (size_t i = 0; i < spec_count(o); i++) {
		const struct option_spec *s = &o->table->specs[i];
		if (!s->initial)
			continue;
		TRY(take_value(o, i, SOURCE_DEFAULT, str_of(s->initial), "the default"));
	}
	return status_ok();
}

/* --- the file --- */

/* "FILE:3" */
static char *place_of(const struct yaml_node *n)
{
	return xasprintf("%s:%u", yaml_tree_name(n->tree), n->line);
}

static struct status take_sequence(
	struct options *o, size_t i, const struct yaml_node *sequence, const char *origin)
{
	const struct option_spec *s = &o->table->specs[i];
	char subject[NAME_MAX_BYTES];
	snprintf(subject, sizeof subject, "--%s", s->name);
	came_from(o, i, SOURCE_FILE, origin);
	for (const struct yaml_node *e = sequence->first; e; e = e->next) {
		_cleanup_free_ char *place = place_of(e);
		if (e->kind != YAML_KIND_SCALAR)
			return status_invalid(
				subject, "%s must be a list of texts, see %s", subject, place);
		TRY(option_parse(s, e->text, subject, place, o->values));
	}
	return status_ok();
}

static struct status take_section(struct options *o, size_t i, const struct yaml_node *n,
	struct yaml_tree *tree, const char *origin)
{
	came_from(o, i, SOURCE_FILE, origin);
	o->given[i].tree = yaml_tree_ref(tree);
	*(const struct yaml_node **)option_slot(&o->table->specs[i], o->values) = n;
	return status_ok();
}

static struct status take_entry(
	struct options *o, const struct yaml_node *n, struct yaml_tree *tree)
{
	_cleanup_free_ char *place = place_of(n);
	size_t i;
	if (!find_spec(o->table, n->key, &i))
		return status_error(STATUS_INVALID_ARGUMENT, "unknown option '%s' in %s%s",
			shown(n->key).text, place, hint_for(o->table, NULL, n->key, true).text);
	if (n->kind == YAML_KIND_NULL)
		return status_ok();
	const struct option_spec *s = &o->table->specs[i];
	if (s->type == OPTION_SECTION)
		return take_section(o, i, n, tree, place);
	if (s->type == OPTION_LIST && n->kind == YAML_KIND_SEQUENCE)
		return take_sequence(o, i, n, place);
	if (n->kind == YAML_KIND_SCALAR)
		return take_value(o, i, SOURCE_FILE, n->text, place);

	_cleanup_buf_ struct buf what;
	buf_init(&what, 400);
	option_describe(s, &what);
	return status_invalid(s->name, "--%s must be %s, got a %s from %s", s->name,
		buf_str(&what).p, n->kind == YAML_KIND_SEQUENCE ? "list" : "mapping", place);
}

static struct status take_file(struct options *o)
{
	if (!o->config_file)
		return status_ok();
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *tree = NULL;
	struct status s = yaml_tree_read(o->config_file, &tree);
	/* a malformed file says FILE:LINE itself; one that cannot be read was named by somebody */
	if (s.code == STATUS_INVALID_ARGUMENT)
		return s;
	if (!status_is_ok(&s))
		return status_invalid(
			"--config", "--config from %s: %s", o->config_origin, s.message);
	const struct yaml_node *root = yaml_tree_root(tree);
	if (root->kind == YAML_KIND_NULL)
		return status_ok();
	if (root->kind != YAML_KIND_MAPPING)
		return yaml_node_error(root, "a configuration must be a mapping of options");
	for (const struct yaml_node *n = root->first; n; n = n->next)
		TRY(take_entry(o, n, tree));
	return status_ok();
}

/* --- the environment --- */

static const char *env_find(char *const *env, struct str name)
{
	for (; env && *env; env++)
		if (strncmp(*env, name.p, name.n) == 0 && (*env)[name.n] == '=')
			return (*env)[name.n + 1] ? *env + name.n + 1 : NULL;
	return NULL;
}

static struct status take_env_secret(struct options *o, size_t i, struct buf *name)
{
	const struct option_spec *s = &o->table->specs[i];
	const char *secret = env_find(o->env, buf_str(name));
	if (secret) {
		came_from(o, i, SOURCE_ENV, buf_str(name).p);
		secret_done(option_slot(s, o->values));
		*(struct secret *)option_slot(s, o->values) = secret_of(str_of(secret));
	}
	buf_append_str(name, STR("_FILE"));
	const char *path = env_find(o->env, buf_str(name));
	if (path && secret)
		return status_invalid(s->name, "%.*s and %s must not both be set",
			(int)(name->n - strlen("_FILE")), name->p, name->p);
	return path ? take_value(o, i, SOURCE_ENV, str_of(path), name->p) : status_ok();
}

static struct status take_env(struct options *o)
{
	for (size_t i = 0; i < spec_count(o); i++) {
		const struct option_spec *s = &o->table->specs[i];
		if (s->type == OPTION_SECTION)
			continue;
		_cleanup_buf_ struct buf name;
		buf_init(&name, NAME_MAX_BYTES);
		option_env_name(o->table, s, &name);
		if (s->type == OPTION_SECRET) {
			TRY(take_env_secret(o, i, &name));
			continue;
		}
		const char *text = env_find(o->env, buf_str(&name));
		if (text)
			TRY(take_value(o, i, SOURCE_ENV, str_of(text), name.p));
	}
	return status_ok();
}

static void find_config_in_env(struct options *o)
{
	char name[NAME_MAX_BYTES];
	snprintf(name, sizeof name, "%s_CONFIG", o->table->env_prefix);
	const char *path = env_find(o->env, str_of(name));
	if (path && !o->config_file) {
		o->config_file = xstrdup(path);
		o->config_origin = xstrdup(name);
	}
}

/* --- the command line --- */

static struct status unknown_flag(const struct options *o, struct str name)
{
	for (size_t i = 0; i < spec_count(o); i++) {
		const struct option_spec *s = &o->table->specs[i];
		assert(s);
		bool named = str_eq(name, str_of(s->name)) || is_flag_name(s, name);
		if (named && s->type == OPTION_SECTION)
			return status_invalid(s->name,
				"'%s' is no option of the command line: give it in the file of "
				"--config",
				s->name);
		if (named && s->type == OPTION_SECRET && option_is_taken(o->command, s))
			return status_invalid(s->name,
				"--%s is refused, because all users can read a command line: give "
				"--%s-file FILE",
				s->name, s->name);
		if (named && o->command)
			return status_invalid(s->name, "--%s is no option of the command '%s'",
				s->name, o->command->name);
		if (named)
			return status_invalid(
				s->name, "--%s belongs to a command; see --help", s->name);
	}
	return status_error(STATUS_INVALID_ARGUMENT, "unknown option '--%s'%s", shown(name).text,
		hint_for(o->table, o->command, name, false).text);
}

/* The value of `--name VALUE` or `--name=VALUE`. */
static struct status value_of(const struct options *o, int *at, struct str name, struct str inlined,
	const char *metavar, struct str *ret)
{
	if (inlined.p) {
		*ret = inlined;
		return status_ok();
	}
	/* "--config --help": a value was forgotten; one that begins so can be given with '=' */
	if (*at + 1 >= o->argc || strncmp(o->argv[*at + 1], "--", 2) == 0)
		return status_error(STATUS_INVALID_ARGUMENT, "--%.*s needs a value: --%.*s %s",
			STR_ARG(name), STR_ARG(name), metavar);
	*ret = str_of(o->argv[++*at]);
	return status_ok();
}

/* `--no-NAME` of a flag: its index. */
static bool find_negated(const struct option_table *t, struct str name, size_t *ret)
{
	return str_starts_with(name, STR("no-")) && find_spec(t, str_sub(name, 3, name.n), ret) &&
	       t->specs[*ret].type == OPTION_FLAG;
}

static struct status take_flag(
	struct options *o, struct arguments *args, struct str name, struct str inlined, int *at)
{
	size_t i;
	struct str value = inlined;
	if (!inlined.p && find_negated(o->table, name, &i))
		value = STR("false");
	else if (!find_spec(o->table, name, &i))
		return unknown_flag(o, name);
	const struct option_spec *s = &o->table->specs[i];
	if (!option_is_taken(o->command, s))
		return unknown_flag(o, name);
	if (s->type != OPTION_FLAG)
		TRY(value_of(o, at, name, inlined, option_metavar(s), &value));
	else if (!value.p)
		value = STR("true");
	args->items = xreallocarray(args->items, args->count + 1, sizeof args->items[0]);
	args->items[args->count++] = (struct argument){i, value};
	return status_ok();
}

static struct status take_config(struct options *o, struct str inlined, int *at)
{
	struct str path = {NULL, 0};
	TRY(value_of(o, at, STR("config"), inlined, "FILE", &path));
	if (!path.n)
		return status_error(STATUS_INVALID_ARGUMENT,
			"--config must be a file, got '' from %s", command_line);
	free(o->config_file);
	free(o->config_origin);
	o->config_file = str_dup(path);
	o->config_origin = xstrdup(command_line);
	return status_ok();
}

/* Which of the words that @b takes: *@ret, of the table. */
static struct status choose(const struct option_builtin *b, struct str value, const char **ret)
{
	_cleanup_buf_ struct buf expected;
	buf_init(&expected, NAME_MAX_BYTES);
	for (size_t i = 0; b->choices[i]; i++) {
		if (str_eq(value, str_of(b->choices[i]))) {
			*ret = b->choices[i];
			return status_ok();
		}
		const char *before = !i ? "" : b->choices[i + 1] ? ", " : " or ";
		buf_printf(&expected, "%s%s", before, b->choices[i]);
	}
	return status_error(STATUS_INVALID_ARGUMENT, "--%s must be %s, got '%s' from %s", b->name,
		expected.p, shown(value).text, command_line);
}

static struct status take_action(
	struct options *o, const struct option_builtin *b, struct str inlined, int *at)
{
	const char *choice = NULL;
	struct str value;
	if (!b->metavar && inlined.p)
		return status_error(STATUS_INVALID_ARGUMENT, "--%s takes no value", b->name);
	if (b->metavar) {
		TRY(value_of(o, at, str_of(b->name), inlined, b->metavar, &value));
		TRY(choose(b, value, &choice));
	}
	/* whoever asks for help gets it, whatever else is there */
	if (o->action == OPTIONS_HELP)
		return status_ok();
	o->action = b->action;
	o->choice = choice;
	return status_ok();
}

static const struct option_builtin *find_letter(struct str arg)
{
	for (const struct option_builtin *b = option_builtins; b->name; b++)
		if (b->letter && arg.n == 2 && arg.p[0] == '-' && arg.p[1] == b->letter)
			return b;
	return NULL;
}

static const struct option_command *find_command(const struct option_table *t, struct str name)
{
	for (size_t i = 0; i < t->command_count; i++)
		if (str_eq(name, str_of(t->commands[i].name)))
			return &t->commands[i];
	return NULL;
}

static struct status stray_argument(const struct options *o, const char *arg, bool first)
{
	const struct option_table *t = o->table;
	if (find_command(t, str_of(arg)) && !o->command)
		return status_error(STATUS_INVALID_ARGUMENT,
			"the command '%s' must stand before all options", arg);
	if (!first || !t->command_count)
		return status_error(STATUS_INVALID_ARGUMENT,
			"unexpected argument '%s': there are options only",
			shown(str_of(arg)).text);
	const char *names[NAMES_MAX];
	size_t n = 0;
	for (; n < t->command_count && n < NAMES_MAX; n++)
		names[n] = t->commands[n].name;
	return status_error(STATUS_INVALID_ARGUMENT, "unknown command '%s'%s",
		shown(str_of(arg)).text, hint_of("", nearest_name(str_of(arg), names, n)).text);
}

static struct status take_argument(struct options *o, struct arguments *args, int *at)
{
	struct str arg = str_of(o->argv[*at]);
	if (!str_starts_with(arg, STR("-")) || arg.n == 1) {
		if (!o->command || !o->command->operand || o->operand)
			return stray_argument(o, o->argv[*at], *at == 1);
		o->operand = o->argv[*at];
		return status_ok();
	}
	const struct option_builtin *builtin = find_letter(arg);
	if (builtin)
		return take_action(o, builtin, (struct str){NULL, 0}, at);
	if (!str_starts_with(arg, STR("--")) || arg.n == 2)
		return status_error(
			STATUS_INVALID_ARGUMENT, "unknown option '%s'", shown(arg).text);
	struct str name = str_sub(arg, 2, str_index(arg, '=') - 2);
	struct str inlined = {NULL, 0};
	if (name.n + 2 < arg.n)
		inlined = str_sub(arg, name.n + 3, arg.n);
	builtin = option_builtin_find(name);
	if (builtin)
		return builtin->action == OPTIONS_RUN ? take_config(o, inlined, at)
						      : take_action(o, builtin, inlined, at);
	return take_flag(o, args, name, inlined, at);
}

/* Sorts the arguments; an error of one is kept back, so that a --help behind it still helps. */
static struct status read_arguments(struct options *o, struct arguments *args)
{
	struct status first = status_ok();
	int at = 1;
	if (o->argc > 1)
		o->command = find_command(o->table, str_of(o->argv[1]));
	if (o->command)
		at++;
	for (; at < o->argc; at++) {
		struct status s = take_argument(o, args, &at);
		if (status_is_ok(&first))
			first = s;
	}
	return first;
}

static struct status apply_arguments(struct options *o, const struct arguments *args)
{
	for (size_t i = 0; i < args->count; i++)
		TRY(take_value(o, args->items[i].spec, SOURCE_ARGUMENT, args->items[i].value,
			command_line));
	return status_ok();
}

/* --- all together --- */

static struct status check_required(const struct options *o)
{
	for (size_t i = 0; i < spec_count(o); i++) {
		const struct option_spec *s = &o->table->specs[i];
		bool wanted = (s->flags & OPTION_REQUIRED) && option_is_taken(o->command, s);
		if (!wanted || o->given[i].source != SOURCE_DEFAULT)
			continue;
		_cleanup_buf_ struct buf env;
		buf_init(&env, NAME_MAX_BYTES);
		option_env_name(o->table, s, &env);
		const char *file = s->type == OPTION_SECRET ? "-file" : "";
		return status_invalid(s->name,
			"--%s%s is required: give it on the command line, as %s or in the file of "
			"--config",
			s->name, file, buf_str(&env).p);
	}
	return status_ok();
}

static struct status read_all(struct options *o)
{
	_cleanup_(arguments_done) struct arguments args = {NULL, 0};
	struct status s = read_arguments(o, &args);
	if (o->action != OPTIONS_RUN && o->action != OPTIONS_CHECK)
		return status_ok();
	TRY(s);
	if (o->command && o->command->operand && !o->operand)
		return status_error(STATUS_INVALID_ARGUMENT, "the command '%s' needs a %s",
			o->command->name, o->command->operand);
	find_config_in_env(o);
	TRY(take_defaults(o));
	TRY(take_file(o));
	TRY(take_env(o));
	TRY(apply_arguments(o, &args));
	return check_required(o);
}

/* Paths and names of others stand in messages; none of them may break the line. */
static void keep_on_one_line(struct status *s)
{
	for (char *p = s->message; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7F)
			*p = '?';
}

static struct options *options_new(
	const struct option_table *t, int argc, char *const *argv, char *const *env)
{
	struct options *o = xnew(struct options);
	o->table = t;
	o->env = env;
	o->values = xcalloc(1, t->values_size);
	o->given = xcalloc(t->count ? t->count : 1, sizeof o->given[0]);
	o->argc = argc;
	o->argv = xcalloc((size_t)argc + 1, sizeof o->argv[0]);
	for (int i = 0; i < argc; i++)
		o->argv[i] = xstrdup(argv[i]);
	return o;
}

void options_free(struct options *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < spec_count(o); i++) {
		option_clear(&o->table->specs[i], o->values);
		given_done(&o->given[i]);
	}
	for (int i = 0; i < o->argc; i++)
		free(o->argv[i]);
	free(o->argv);
	free(o->given);
	free(o->values);
	free(o->config_file);
	free(o->config_origin);
	free(o);
}

struct status options_read(const struct option_table *t, int argc, char *const *argv,
	char *const *env, struct options **ret)
{
	_cleanup_(options_freep) struct options *o = options_new(t, argc, argv, env);
	struct status s = read_all(o);
	if (!status_is_ok(&s)) {
		keep_on_one_line(&s);
		s.code = STATUS_INVALID_ARGUMENT;
		return s;
	}
	*ret = TAKE_PTR(o);
	return status_ok();
}

const void *options_values(const struct options *o)
{
	return o->values;
}

enum options_action options_action(const struct options *o)
{
	return o->action;
}

const char *options_operand(const struct options *o)
{
	return o->operand;
}

const struct option_command *options_command(const struct options *o)
{
	return o->command;
}

const char *options_config_file(const struct options *o)
{
	return o->config_file;
}

const char *options_origin(const struct options *o, const char *name)
{
	const struct given *g = &o->given[index_of(o->table, name)];
	return g->origin ? g->origin : "the default";
}

void options_format(const struct options *o, const char *name, struct buf *out)
{
	option_format(&o->table->specs[index_of(o->table, name)], o->values, out);
}

struct status options_error(const struct options *o, const char *name, const char *format, ...)
{
	char what[300], subject[NAME_MAX_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	snprintf(subject, sizeof subject, "--%s", name);

	_cleanup_buf_ struct buf value;
	buf_init(&value, 1 << 20);
	options_format(o, name, &value);
	struct status s = option_mismatch(subject, what, buf_str(&value), options_origin(o, name));
	keep_on_one_line(&s);
	return s;
}

/* --- reload --- */

static bool same_value(
	const struct option_spec *s, const struct options *a, const struct options *b)
{
	const void *x = option_slot_const(s, a->values), *y = option_slot_const(s, b->values);
	if (s->type == OPTION_SECRET) {
		const struct secret *p = x, *q = y;
		return !p->p == !q->p && secret_eq(secret_str(p), secret_str(q));
	}
	if (s->type == OPTION_SECTION)
		return yaml_node_eq(
			*(const struct yaml_node *const *)x, *(const struct yaml_node *const *)y);
	if (s->type == OPTION_LIST) {
		const struct option_list *p = x, *q = y;
		bool same = p->count == q->count;
		for (size_t i = 0; same && i < p->count; i++)
			same = strcmp(p->items[i], q->items[i]) == 0;
		return same;
	}
	_cleanup_buf_ struct buf p, q;
	buf_init(&p, YAML_TEXT_MAX_BYTES);
	buf_init(&q, YAML_TEXT_MAX_BYTES);
	option_format(s, a->values, &p);
	option_format(s, b->values, &q);
	return str_eq(buf_str(&p), buf_str(&q));
}

static void swap_bytes(void *a, void *b, size_t n)
{
	char *x = a, *y = b;
	for (size_t i = 0; i < n; i++) {
		char c = x[i];
		x[i] = y[i];
		y[i] = c;
	}
}

static size_t size_of(enum option_type type)
{
	switch (type) {
	case OPTION_FLAG:
		return sizeof(bool);
	case OPTION_STRING:
		return sizeof(char *);
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_SIZE:
		return sizeof(int64_t);
	case OPTION_ENUM:
		return sizeof(int);
	case OPTION_LIST:
		return sizeof(struct option_list);
	case OPTION_SECRET:
		return sizeof(struct secret);
	case OPTION_SECTION:
		return sizeof(const struct yaml_node *);
	}
	return 0;
}

static void *copy_of(const struct option_spec *s, const void *slot, void *room)
{
	memcpy(room, slot, size_of(s->type));
	if (s->type == OPTION_STRING && *(char *const *)slot) {
		*(char **)room = xstrdup(*(char *const *)slot);
	} else if (s->type == OPTION_LIST) {
		const struct option_list *from = slot;
		struct option_list *to = room;
		to->items = xcalloc(from->count ? from->count : 1, sizeof to->items[0]);
		for (size_t i = 0; i < from->count; i++)
			to->items[i] = xstrdup(from->items[i]);
	} else if (s->type == OPTION_SECRET && ((const struct secret *)slot)->p) {
		*(struct secret *)room = secret_of(secret_str(slot));
	}
	return room;
}

/* Gives option @i of @to the value and the origin that it has in @from. */
static void keep_old(const struct options *from, struct options *to, size_t i)
{
	const struct option_spec *s = &from->table->specs[i];
	const struct given *g = &from->given[i];
	union {
		struct option_list list;
		struct secret secret;
		int64_t number;
		char *text;
	} room;
	copy_of(s, option_slot_const(s, from->values), &room);
	option_clear(s, to->values);
	swap_bytes(option_slot(s, to->values), &room, size_of(s->type));
	given_done(&to->given[i]);
	to->given[i].source = g->source;
	to->given[i].origin = g->origin ? xstrdup(g->origin) : NULL;
	to->given[i].tree = g->tree ? yaml_tree_ref(g->tree) : NULL;
}

struct status options_reload(
	const struct options *o, options_changed_fn *changed, void *arg, struct options **ret)
{
	_cleanup_(options_freep) struct options *fresh = NULL;
	TRY(options_read(o->table, o->argc, o->argv, o->env, &fresh));
	for (size_t i = 0; i < spec_count(o); i++) {
		const struct option_spec *s = &o->table->specs[i];
		if (same_value(s, o, fresh))
			continue;
		_cleanup_buf_ struct buf before, after;
		buf_init(&before, YAML_TEXT_MAX_BYTES);
		buf_init(&after, YAML_TEXT_MAX_BYTES);
		option_format(s, o->values, &before);
		option_format(s, fresh->values, &after);
		bool applied = s->flags & OPTION_RELOADABLE;
		if (!applied)
			keep_old(o, fresh, i);
		if (!changed)
			continue;
		changed(arg, &(const struct option_change){.name = s->name,
				     .old = buf_str(&before).p,
				     .new = buf_str(&after).p,
				     .applied = applied});
	}
	*ret = TAKE_PTR(fresh);
	return status_ok();
}

/* --- for main() --- */

static int print(struct str text)
{
	bool ok = fwrite(text.p, 1, text.n, stdout) == text.n;
	return ok && fflush(stdout) == 0 ? 0 : 1;
}

static int print_action(const struct options *o)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, HELP_MAX_BYTES);
	if (o->action == OPTIONS_VERSION)
		buf_printf(&out, "%s %s\n", o->table->program, o->table->version);
	else if (o->action == OPTIONS_COMPLETION)
		option_help_completion(o->table, o->choice, &out);
	else if (o->action == OPTIONS_HELP_JSON)
		option_help_json(o->table, &out);
	else if (o->action == OPTIONS_HELP_MAN)
		option_help_man(o->table, &out);
	else
		option_help_text(o->table, o->command, option_help_width(), &out);
	return print(buf_str(&out));
}

bool options_start(const struct option_table *t, int argc, char *const *argv, struct options **ret,
	int *exit_code)
{
	_cleanup_(options_freep) struct options *o = NULL;
	struct status s = options_read(t, argc, argv, environ, &o);
	if (!status_is_ok(&s)) {
		fprintf(stderr, "%s: %s\n", t->program, s.message);
		*exit_code = EXIT_USAGE;
		return false;
	}
	if (o->action != OPTIONS_RUN && o->action != OPTIONS_CHECK) {
		*exit_code = print_action(o);
		return false;
	}
	*ret = TAKE_PTR(o);
	return true;
}

/* --- oversight --- */

/* The option that the variable @name says, or the file of its secret. */
static const struct option_spec *spec_of_env(const struct option_table *t, struct str name)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option_spec *s = &t->specs[i];
		_cleanup_buf_ struct buf own;
		buf_init(&own, NAME_MAX_BYTES);
		option_env_name(t, s, &own);
		if (str_eq(name, buf_str(&own)))
			return s;
		buf_append_str(&own, STR("_FILE"));
		if (s->type == OPTION_SECRET && str_eq(name, buf_str(&own)))
			return s;
	}
	return NULL;
}

/* @word has @part in it that begins it or follows a '_', and ends it or is followed by one. */
static bool has_words(struct str word, struct str part)
{
	for (size_t i = 0; i + part.n <= word.n; i++)
		if (str_starts_with(str_sub(word, i, word.n), part) &&
			(i == 0 || word.p[i - 1] == '_') &&
			(i + part.n == word.n || word.p[i + part.n] == '_'))
			return true;
	return false;
}

/* For each Service of the namespace Kubernetes sets NAME_SERVICE_HOST, NAME_SERVICE_PORT,
 * NAME_SERVICE_PORT_GRPC, NAME_PORT=tcp://10.0.0.1:80, NAME_PORT_80_TCP, NAME_PORT_80_TCP_ADDR and
 * so on. Ours may be called as the prefix is, or as its beginning, or so that the prefix begins it:
 * token, token-service-gateway. */
static bool is_of_kubernetes(struct str rest, struct str value)
{
	return has_words(rest, STR("SERVICE_HOST")) || has_words(rest, STR("SERVICE_PORT")) ||
	       str_eq(rest, STR("HOST")) || str_eq(rest, STR("PORT")) ||
	       str_starts_with(rest, STR("PORT_")) || has_words(rest, STR("TCP")) ||
	       has_words(rest, STR("UDP")) || has_words(rest, STR("SCTP")) ||
	       (has_words(rest, STR("PORT")) && memmem(value.p, value.n, "://", 3));
}

static const char *nearest_option(const struct option_table *t, struct str word)
{
	const char *candidates[NAMES_MAX];
	size_t n = 0;
	for (; n < t->count && n < NAMES_MAX; n++)
		candidates[n] = t->specs[n].name;
	return nearest_name(word, candidates, n);
}

void options_suspicious_env(const struct option_table *t, char *const *env,
	void (*found)(void *arg, const struct option_stray *stray), void *arg)
{
	size_t prefix = strlen(t->env_prefix);
	for (; env && *env; env++) {
		struct str whole = str_of(*env);
		struct str name = str_sub(whole, 0, str_index(whole, '='));
		if (name.n <= prefix + 1 || name.n + 1 >= whole.n ||
			strncmp(name.p, t->env_prefix, prefix) != 0 || name.p[prefix] != '_')
			continue;
		struct str rest = str_sub(name, prefix + 1, name.n);
		const struct option_spec *spec = spec_of_env(t, name);
		bool section = spec && spec->type == OPTION_SECTION;
		if ((spec && !section) || str_eq(rest, STR("CONFIG")) ||
			(!spec && is_of_kubernetes(rest, str_sub(whole, name.n + 1, whole.n))))
			continue;
		_cleanup_free_ char *text = str_dup(name);
		const struct option_stray stray = {
			text, section ? spec->name : nearest_option(t, rest), section};
		found(arg, &stray);
	}
}

static bool is_option_name(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!(*p >= 'a' && *p <= 'z') && !(p != name && *p >= '0' && *p <= '9') &&
			!(p != name && *p == '-' && p[-1] != '-'))
			return false;
	return name[0] && name[strlen(name) - 1] != '-';
}

/* For a service named as we are, Kubernetes puts NAME_PORT, NAME_PORT_50051_TCP, NAME_SERVICE_HOST
 * and NAME_SERVICE_PORT into the environment of every pod of the namespace. */
static bool is_kubernetes_name(struct str name)
{
	return str_eq(name, STR("port")) || str_starts_with(name, STR("port-")) ||
	       str_starts_with(name, STR("service-host")) ||
	       str_starts_with(name, STR("service-port"));
}

static struct status check_spec(const struct option_table *t, size_t i)
{
	const struct option_spec *s = &t->specs[i];
	const enum status_code wrong = STATUS_FAILED_PRECONDITION;
	if (!s->name || !is_option_name(s->name))
		return status_error(wrong, "option %zu has a bad name", i);
	if (option_builtin_find(str_of(s->name)) || str_starts_with(str_of(s->name), STR("no-")) ||
		is_kubernetes_name(str_of(s->name)))
		return status_error(wrong, "'%s': the name is taken", s->name);
	if (!s->help || !s->help[0])
		return status_error(wrong, "'%s' has no help", s->name);
	if (s->type == OPTION_ENUM && !s->choices)
		return status_error(wrong, "'%s' has no choices", s->name);
	if ((s->type == OPTION_SECRET || s->type == OPTION_SECTION) && s->initial)
		return status_error(wrong, "'%s' cannot have a default", s->name);
	if (s->max && s->max < s->min)
		return status_error(wrong, "'%s' has its least value above its greatest", s->name);
	if (s->offset >= t->values_size)
		return status_error(wrong, "'%s' lies outside the struct", s->name);
	for (size_t k = 0; k < i; k++)
		if (strcmp(t->specs[k].name, s->name) == 0 || t->specs[k].offset == s->offset)
			return status_error(
				wrong, "'%s' and '%s' collide", s->name, t->specs[k].name);
	return status_ok();
}

static struct status check_command(const struct option_table *t, const struct option_command *c)
{
	for (size_t i = 0; c->options[i]; i++) {
		size_t k = 0;
		while (k < t->count && strcmp(t->specs[k].name, c->options[i]) != 0)
			k++;
		if (k == t->count)
			return status_error(STATUS_FAILED_PRECONDITION,
				"command '%s' names '%s', which is no option", c->name,
				c->options[i]);
	}
	return status_ok();
}

struct status option_table_check(const struct option_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		TRY(check_spec(t, i));
	for (size_t i = 0; i < t->command_count; i++)
		TRY(check_command(t, &t->commands[i]));
	_cleanup_(options_freep) struct options *o = options_new(t, 0, NULL, NULL);
	struct status s = take_defaults(o);
	s.code = status_is_ok(&s) ? STATUS_OK : STATUS_FAILED_PRECONDITION;
	return s;
}
