/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/login_file.h"

#include "common/base/base64.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

enum {
	FILE_MAX_BYTES = 1024 * 1024,
	MAX_LINKS = 40 /* as the kernel has it */
};

static void text_done(char **text)
{
	secret_free(*text);
	*text = NULL;
}

void login_done(struct login *l)
{
	text_done(&l->url);
	text_done(&l->name);
	text_done(&l->id_token);
	text_done(&l->refresh_token);
	text_done(&l->refresh_url);
	text_done(&l->username);
	text_done(&l->dev_username);
	*l = (struct login){.url = NULL};
}

/* ---- reading ---- */

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	bool has_event;
};

static struct status next(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = yaml_parser_parse(&r->parser, &r->event);
	if (r->has_event)
		return status_ok();
	return status_error(STATUS_INVALID_ARGUMENT, "line %zu is no YAML: %s",
		r->parser.problem_mark.line + 1,
		r->parser.problem ? r->parser.problem : "unreadable");
}

static struct status wrong(const struct reader *r, const char *field, const char *wanted)
{
	return status_error(STATUS_INVALID_ARGUMENT, "line %zu: %s: expected %s",
		r->event.start_mark.line + 1, field, wanted);
}

/* Leaves the current event at the end of the node that it begins. */
static struct status skip_node(struct reader *r)
{
	int depth = 0;
	for (;;) {
		yaml_event_type_t type = r->event.type;
		if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
			depth++;
		else if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT)
			depth--;
		if (depth <= 0)
			return status_ok();
		TRY(next(r));
	}
}

static struct str scalar(const struct reader *r)
{
	return (struct str){(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
}

static bool is_null(const struct reader *r)
{
	struct str s = scalar(r);
	return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (s.n == 0 || str_eq(s, STR("~")) || str_eq(s, STR("null")) ||
		       str_eq(s, STR("Null")) || str_eq(s, STR("NULL")));
}

static struct status read_text(struct reader *r, const char *field, char **ret)
{
	if (r->event.type != YAML_SCALAR_EVENT)
		return wrong(r, field, "a text");
	struct str s = scalar(r);
	if (s.n && memchr(s.p, '\0', s.n))
		return wrong(r, field, "a text without NUL");
	text_done(ret);
	if (!is_null(r))
		*ret = xstrndup(s.p, s.n);
	return status_ok();
}

static struct status read_bool(struct reader *r, const char *field, bool *ret)
{
	static const struct {
		const char *name;
		bool value;
	} words[] = {{"true", true}, {"yes", true}, {"on", true}, {"y", true}, {"1", true},
		{"false", false}, {"no", false}, {"off", false}, {"n", false}, {"0", false}};
	if (r->event.type == YAML_SCALAR_EVENT) {
		for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
			if (str_eq_nocase(scalar(r), str_of(words[i].name))) {
				*ret = words[i].value;
				return status_ok();
			}
		}
	}
	return wrong(r, field, "true or false");
}

/* A field of the file: where its value goes. */
struct field {
	const char *name;
	char **text;
	bool *flag;
	const struct field *fields; /* of a mapping, ended by an empty one */
	bool *present;              /* of a mapping: set if it is not null */
};

static struct status read_mapping(struct reader *r, const struct field *fields);

static struct status read_field(struct reader *r, const struct field *f)
{
	if (f->text)
		return read_text(r, f->name, f->text);
	if (f->flag)
		return read_bool(r, f->name, f->flag);
	if (r->event.type == YAML_SCALAR_EVENT && is_null(r))
		return status_ok();
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return wrong(r, f->name, "a mapping");
	*f->present = true;
	return read_mapping(r, f->fields);
}

/* The current event is the mapping's start, and its end afterwards. */
static struct status read_mapping(struct reader *r, const struct field *fields)
{
	for (;;) {
		TRY(next(r));
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return status_ok();
		if (r->event.type != YAML_SCALAR_EVENT)
			return wrong(r, "key", "a text");
		const struct field *found = fields;
		while (found->name && !str_eq(str_of(found->name), scalar(r)))
			found++;
		TRY(next(r));
		if (found->name)
			TRY(read_field(r, found));
		else
			TRY(skip_node(r));
	}
}

static struct status read_document(struct reader *r, struct login *l)
{
	const struct field token[] = {{.name = "id_token", .text = &l->id_token},
		{.name = "refresh_token", .text = &l->refresh_token},
		{.name = "refresh_url", .text = &l->refresh_url},
		{.name = "username", .text = &l->username}, {.name = NULL}};
	const struct field dev[] = {{.name = "username", .text = &l->dev_username}, {.name = NULL}};
	const struct field all[] = {{.name = "url", .text = &l->url},
		{.name = "name", .text = &l->name}, {.name = "osmo_token", .flag = &l->osmo_token},
		{.name = "token_login", .fields = token, .present = &l->has_token},
		{.name = "dev_login", .fields = dev, .present = &l->has_dev}, {.name = NULL}};
	TRY(next(r)); /* the stream's start */
	TRY(next(r));
	if (r->event.type == YAML_DOCUMENT_START_EVENT)
		TRY(next(r));
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return status_error(STATUS_NOT_FOUND, "nobody is logged in");
	TRY(read_mapping(r, all));
	/* what follows must be the end of the only document */
	do {
		TRY(next(r));
		if (r->event.type == YAML_DOCUMENT_START_EVENT)
			return wrong(r, "file", "one document");
	} while (r->event.type != YAML_STREAM_END_EVENT);
	return status_ok();
}

/* What becomes part of a header: a line break would begin another one. */
static struct status check_header_text(const char *field, const char *text)
{
	if (!text || login_text_fits_header(text))
		return status_ok();
	return status_error(STATUS_INVALID_ARGUMENT,
		"%s: expected a text without line breaks and control characters", field);
}

bool login_text_fits_header(const char *text)
{
	if (!str_is_utf8(str_of(text)))
		return false;
	for (const char *p = text; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7F)
			return false;
	return true;
}

static struct status check_fields(const struct login *l)
{
	if (!l->url || !*l->url)
		return status_error(STATUS_INVALID_ARGUMENT, "url: must be set");
	if (l->has_token && !l->id_token)
		return status_error(STATUS_INVALID_ARGUMENT, "token_login.id_token: must be set");
	if (l->has_dev && !l->dev_username)
		return status_error(STATUS_INVALID_ARGUMENT, "dev_login.username: must be set");
	TRY(check_header_text("token_login.id_token", l->id_token));
	TRY(check_header_text("token_login.username", l->username));
	return check_header_text("dev_login.username", l->dev_username);
}

struct status login_parse(struct str yaml, struct login *ret)
{
	struct reader r = {.has_event = false};
	if (!yaml_parser_initialize(&r.parser))
		return status_error(STATUS_INTERNAL, "out of memory");
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)yaml.p, yaml.n);
	_cleanup_login_ struct login l = {.url = NULL};
	struct status s = read_document(&r, &l);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	TRY(s);
	TRY(check_fields(&l));
	assert(l.url);
	size_t n = strlen(l.url);
	while (n && l.url[n - 1] == '/')
		l.url[--n] = '\0';
	*ret = l;
	l = (struct login){.url = NULL};
	return status_ok();
}

/* ---- writing ---- */

/* What YAML 1.1 reads as bool, int, float, null, date, merge key or value key (yaml.org/type). */
static const char not_a_string[] =
	"^("
	"|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
	"|~|null|Null|NULL|<<|=|[!&*]"
	"|[-+]?([0-9][0-9_]*)\\.[0-9_]*([eE][-+][0-9]+)?|\\.[0-9][0-9_]*([eE][-+][0-9]+)?"
	"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\\.[0-9_]*|[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)"
	"|[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+"
	"|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+"
	"|[0-9]{4}-[0-9]{2}-[0-9]{2}"
	"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\\.[0-9]*)?"
	"([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?"
	")$";

bool yaml_needs_quotes(const char *text)
{
	regex_t pattern;
	if (regcomp(&pattern, not_a_string, REG_EXTENDED | REG_NOSUB))
		return true;
	bool match = regexec(&pattern, text, 0, NULL, 0) == 0;
	regfree(&pattern);
	return match;
}

static int append_yaml(void *arg, unsigned char *p, size_t n)
{
	return buf_append(arg, p, n);
}

static unsigned char *bytes(const char *text)
{
	return (unsigned char *)(uintptr_t)text; /* libyaml copies, but takes no const */
}

static void emit_text(yaml_emitter_t *e, const char *text, bool plain, bool quoted)
{
	yaml_event_t event;
	if (!yaml_scalar_event_initialize(&event, NULL, NULL, bytes(text), (int)strlen(text), plain,
		    quoted, YAML_ANY_SCALAR_STYLE))
		abort(); /* out of memory, or no UTF-8: all texts were checked */
	yaml_emitter_emit(e, &event);
}

static void emit_field(yaml_emitter_t *e, const char *key, const char *text)
{
	emit_text(e, key, true, false);
	if (!text)
		emit_text(e, "null", true, false);
	else
		emit_text(e, text, !yaml_needs_quotes(text), true);
}

static void emit_start(yaml_emitter_t *e)
{
	yaml_event_t event;
	yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
	yaml_emitter_emit(e, &event);
}

static void emit_end(yaml_emitter_t *e)
{
	yaml_event_t event;
	yaml_mapping_end_event_initialize(&event);
	yaml_emitter_emit(e, &event);
}

static void emit_login(yaml_emitter_t *e, const struct login *l)
{
	emit_start(e);
	emit_text(e, "dev_login", true, false);
	if (l->has_dev) {
		emit_start(e);
		emit_field(e, "username", l->dev_username);
		emit_end(e);
	} else {
		emit_text(e, "null", true, false);
	}
	emit_field(e, "name", l->name ? l->name : "");
	emit_text(e, "osmo_token", true, false);
	emit_text(e, l->osmo_token ? "true" : "false", true, false);
	emit_text(e, "token_login", true, false);
	if (l->has_token) {
		emit_start(e);
		emit_field(e, "id_token", l->id_token);
		emit_field(e, "refresh_token", l->refresh_token);
		emit_field(e, "refresh_url", l->refresh_url);
		emit_field(e, "username", l->username);
		emit_end(e);
	} else {
		emit_text(e, "null", true, false);
	}
	emit_field(e, "url", l->url);
	emit_end(e);
}

void login_format(const struct login *l, struct buf *out)
{
	yaml_emitter_t e;
	yaml_event_t event;
	if (!yaml_emitter_initialize(&e))
		abort();
	yaml_emitter_set_output(&e, append_yaml, out);
	yaml_emitter_set_width(&e, 80);
	yaml_emitter_set_unicode(&e, 0);
	yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
	yaml_emitter_emit(&e, &event);
	yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
	yaml_emitter_emit(&e, &event);
	emit_login(&e, l);
	yaml_document_end_event_initialize(&event, 1);
	yaml_emitter_emit(&e, &event);
	yaml_stream_end_event_initialize(&event);
	yaml_emitter_emit(&e, &event);
	yaml_emitter_delete(&e);
}

/* ---- the access token inside ---- */

/* The value of a query parameter, decoded. */
static char *query_decode(struct str s)
{
	char *text = xcalloc(s.n + 1, 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '%' && i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;
		if (low >= 0) {
			text[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			text[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	return text;
}

char *url_access_token(struct str url)
{
	static const struct str key = {"access_token=", 13};
	url.n = str_index(url, '#');
	size_t question = str_index(url, '?');
	if (question == url.n)
		return NULL;
	struct str query = str_sub(url, question + 1, url.n);
	for (struct str part; str_split(&query, '&', &part);)
		if (str_starts_with(part, key) && part.n > key.n)
			return query_decode(str_sub(part, key.n, part.n));
	return NULL;
}

char *login_access_token(const struct login *l)
{
	if (!l->has_token || !l->osmo_token)
		return NULL;
	if (l->refresh_token && *l->refresh_token)
		return xstrdup(l->refresh_token);
	return l->refresh_url ? url_access_token(str_of(l->refresh_url)) : NULL;
}

bool login_is_renewable(const struct login *l)
{
	if (!l->has_token || !l->refresh_url || !*l->refresh_url)
		return false;
	if (!l->osmo_token)
		return l->refresh_token && *l->refresh_token;
	char *token = login_access_token(l);
	bool has_token = token != NULL;
	secret_free(token);
	return has_token;
}

/* ---- the file ---- */

struct status login_file_path(struct buf *out)
{
	const char *folder = getenv("OSMO_CONFIG_FILE_DIR");
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	if (folder && *folder) {
		buf_printf(out, "%s/login.yaml", folder);
		return status_ok();
	}
	if (xdg && *xdg) {
		buf_printf(out, "%s/osmo/login.yaml", xdg);
		return status_ok();
	}
	if (!home || !*home) {
		const struct passwd *user = getpwuid(getuid());
		home = user ? user->pw_dir : NULL;
	}
	if (!home || !*home)
		return status_error(STATUS_FAILED_PRECONDITION,
			"no home directory for login.yaml: set HOME or OSMO_CONFIG_FILE_DIR");
	buf_printf(out, "%s/.config/osmo/login.yaml", home);
	return status_ok();
}

static struct status read_all(int fd, const char *path, struct buf *out)
{
	for (;;) {
		char block[4096];
		ssize_t n = read(fd, block, sizeof block);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return status_error(STATUS_FAILED_PRECONDITION, "cannot read %s: %m", path);
		if (n == 0)
			return status_ok();
		bool fits = buf_append(out, block, (size_t)n);
		secret_wipe(block, sizeof block);
		if (!fits)
			return status_error(STATUS_INVALID_ARGUMENT,
				"%s is larger than %d bytes: it is no login.yaml", path,
				FILE_MAX_BYTES);
	}
}

struct status login_file_read(const char *path, struct login *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return status_error(STATUS_NOT_FOUND, "nobody is logged in");
	if (fd < 0)
		return status_error(STATUS_FAILED_PRECONDITION, "cannot open %s: %m", path);
	_cleanup_buf_ struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	struct status s = read_all(fd, path, &text);
	if (status_is_ok(&s))
		s = login_parse(buf_str(&text), ret);
	if (s.code == STATUS_INVALID_ARGUMENT && !strstr(s.message, path))
		return status_error(STATUS_INVALID_ARGUMENT, "%s: %s", path, s.message);
	return s;
}

/* Creates the folder of @path and what is missing above it, for the owner only. */
static void make_folders(const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(copy, 0700); /* what matters shows when the file is made */
		*slash = '/';
	}
}

static bool write_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = str_sub(s, (size_t)n, s.n);
	}
	return true;
}

/* A new file beside @path takes its place, so a crash leaves the old one or the new one. */
static struct status replace(const char *path, struct str content)
{
	_cleanup_free_ char *temporary = xasprintf("%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return status_error(STATUS_FAILED_PRECONDITION, "cannot write %s: %m", path);
	bool ok = write_all(fd, content) && fsync(fd) == 0;
	int error = errno;
	if (close(fd) && ok) {
		ok = false;
		error = errno;
	}
	if (ok && rename(temporary, path)) {
		ok = false;
		error = errno;
	}
	if (ok)
		return status_ok();
	(void)unlink(temporary);
	errno = error;
	return status_error(STATUS_FAILED_PRECONDITION, "cannot write %s: %m", path);
}

/* What @path stands for: a symbolic link stays one, also while what it leads to is not there. */
static char *follow_links(const char *path)
{
	char *at = xstrdup(path);
	char target[PATH_MAX];
	ssize_t n;
	for (int links = 0; links < MAX_LINKS && (n = readlink(at, target, sizeof target)) > 0;
		links++) {
		int folder = target[0] == '/' ? 0 : (int)(strrchr(at, '/') + 1 - at);
		char *next = xasprintf("%.*s%.*s", folder, at, (int)n, target);
		free(at);
		at = next;
	}
	return at;
}

struct status login_file_write(const char *path, const struct login *l)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	login_format(l, &text);
	if (buf_overflown(&text))
		return status_error(STATUS_FAILED_PRECONDITION,
			"cannot write %s: it would be larger than %d bytes", path, FILE_MAX_BYTES);
	make_folders(path);
	_cleanup_free_ char *real = follow_links(path);
	/* no temporary file with a token in it stays behind when the user ends us */
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t interrupts, before;
	sigemptyset(&interrupts);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaddset(&interrupts, ends[i]);
	sigprocmask(SIG_BLOCK, &interrupts, &before);
	struct status s = replace(real, buf_str(&text));
	sigprocmask(SIG_SETMASK, &before, NULL);
	return s;
}

struct status login_file_remove(const char *path)
{
	if (unlink(path) && errno != ENOENT && errno != ENOTDIR)
		return status_error(STATUS_FAILED_PRECONDITION, "cannot remove %s: %m", path);
	return status_ok();
}
