/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manpage.h"

#include "cli/argparse.h"
#include "cli/usage.h"
#include "common/base/xalloc.h"

#include <assert.h>
#include <ctype.h>

enum {
	TEXT_MAX = 1 << 20
};

/* Text as roff: backslashes, hyphens that are minus signs, and no request by accident. */
static void text(struct buf *out, const char *s)
{
	for (bool start = true; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			buf_append_str(out, STR("\\&"));
		if (*s == '\\')
			buf_append_str(out, STR("\\e"));
		else if (*s == '-')
			buf_append_str(out, STR("\\-"));
		else
			buf_append_char(out, *s);
		start = *s == '\n';
	}
}

static void paragraph(struct buf *out, const char *s)
{
	buf_append_str(out, STR(".PP\n"));
	text(out, s);
	buf_append_char(out, '\n');
}

static void entry(struct buf *out, const char *what, const char *help)
{
	buf_append_str(out, STR(".TP\n.B "));
	text(out, what);
	buf_append_char(out, '\n');
	text(out, help ? help : "");
	buf_append_char(out, '\n');
}

/* The usage on one line, without "usage: ". */
static void synopsis(struct buf *out, const struct command *c, const char *prog)
{
	_cleanup_buf_ struct buf usage;
	buf_init(&usage, TEXT_MAX);
	usage_format(c, prog, 1 << 20, &usage);
	usage.p[usage.n - 1] = '\0';
	const char *rest = usage.p + strlen("usage: ") + strlen(prog);
	buf_append_str(out, STR(".PP\n.B "));
	text(out, prog);
	buf_append_char(out, '\n');
	text(out, rest + (*rest == ' '));
	buf_append_char(out, '\n');
}

static void arguments(struct buf *out, const struct command *c)
{
	_cleanup_buf_ struct buf invocation;
	buf_init(&invocation, TEXT_MAX);
	for (int options = 0; options < 2; options++) {
		for (size_t i = 0; i < c->args_n; i++) {
			if ((c->args[i].names[0] != NULL) != (options != 0))
				continue;
			buf_reset(&invocation);
			arg_format_invocation(&c->args[i], &invocation);
			entry(out, invocation.p, c->args[i].help);
		}
	}
	entry(out, "-h, --help", arg_help.help);
}

static void body(struct buf *out, const struct command *c)
{
	if (c->description)
		paragraph(out, c->description);
	if (c->manual)
		paragraph(out, c->manual);
	arguments(out, c);
	if (!c->epilog)
		return;
	buf_append_str(out, STR(".PP\n.nf\n"));
	text(out, c->epilog);
	buf_append_str(out, STR("\n.fi\n"));
}

static void commands(struct buf *out, const struct command *c, const char *prog)
{
	for (size_t i = 0; c->commands[i]; i++) {
		_cleanup_free_ char *below = xasprintf("%s %s", prog, c->commands[i]->name);
		buf_append_str(out, STR(".SS "));
		text(out, below);
		buf_append_char(out, '\n');
		paragraph(out, c->commands[i]->help);
		body(out, c->commands[i]);
	}
}

static void common_sections(struct buf *out)
{
	buf_append_str(out, STR(".SH FILES\n"));
	entry(out, "login.yaml",
		"The login: in $OSMO_CONFIG_FILE_DIR, else in $XDG_CONFIG_HOME/osmo, else in "
		"~/.config/osmo. It holds credentials and is readable by its owner only.");
	buf_append_str(out, STR(".SH ENVIRONMENT\n"));
	entry(out, "OSMO_CONFIG_FILE_DIR", "Folder of login.yaml.");
	entry(out, "OSMO_CACERT, CURL_CA_BUNDLE, SSL_CERT_FILE",
		"As --cacert; the first that is set counts.");
	entry(out, "OSMO_TIMEOUT",
		"Seconds without progress after which a request is given up (default 60).");
	entry(out, "http_proxy, https_proxy, all_proxy, no_proxy", "Proxies, as curl(1) has them.");
	entry(out, "COLUMNS", "Width of the help.");
	buf_append_str(out, STR(".SH EXIT STATUS\n"));
	entry(out, "0", "Done.");
	entry(out, "1", "The service refused what was submitted.");
	entry(out, "2", "Wrong arguments, not logged in, not allowed, not found.");
	entry(out, "3", "Interrupted.");
	entry(out, "10", "The service cannot be reached, or is broken, or the login has ended.");
	entry(out, "75", "Too many requests: try again later.");
}

static void see_also(struct buf *out, const struct command *root, const struct command *page)
{
	buf_append_str(out, STR(".SH SEE ALSO\n"));
	const char *separator = "";
	if (page != root) {
		buf_printf(out, ".BR %s (1)", root->name);
		separator = ",\n";
	}
	assert(root->commands);
	for (size_t i = 0; root->commands[i]; i++) {
		if (root->commands[i] == page)
			continue;
		buf_printf(
			out, "%s.BR %s\\-%s (1)", separator, root->name, root->commands[i]->name);
		separator = ",\n";
	}
	buf_append_char(out, '\n');
}

static void page_format(struct buf *out, const struct command *root, const struct command *c)
{
	bool whole = c == root;
	_cleanup_free_ char *prog =
		xasprintf("%s%s%s", root->name, whole ? "" : " ", whole ? "" : c->name);
	_cleanup_free_ char *name =
		xasprintf("%s%s%s", root->name, whole ? "" : "-", whole ? "" : c->name);
	buf_append_str(out, STR(".TH "));
	for (const char *p = name; *p; p++)
		buf_append_char(out, (char)toupper((unsigned char)*p));
	buf_append_str(out, STR(" 1 \"\" \"osmo\" \"User Commands\"\n.SH NAME\n"));
	text(out, name);
	buf_append_str(out, STR(" \\- "));
	/* as whatis(1) wants it: one phrase, without a full stop */
	_cleanup_free_ char *phrase =
		xstrdup(whole ? "access tokens of an OSMO service." : c->help);
	phrase[strcspn(phrase, ".")] = '\0';
	text(out, phrase);
	buf_append_str(out, STR("\n.SH SYNOPSIS\n"));
	if (!c->commands || whole)
		synopsis(out, c, prog);
	for (size_t i = 0; c->commands && !whole && c->commands[i]; i++) {
		_cleanup_free_ char *below = xasprintf("%s %s", prog, c->commands[i]->name);
		synopsis(out, c->commands[i], below);
	}
	buf_append_str(out, STR(".SH DESCRIPTION\n"));
	body(out, c);
	if (c->commands) {
		buf_append_str(out, STR(".SH COMMANDS\n"));
		if (!whole)
			commands(out, c, prog);
		for (size_t i = 0; whole && c->commands[i]; i++)
			entry(out, c->commands[i]->name, c->commands[i]->help);
	}
	common_sections(out);
	see_also(out, root, c);
}

static const struct command *find_page(const struct command *root, struct str name)
{
	struct str root_name = str_of(root->name);
	if (str_eq(name, root_name))
		return root;
	if (!str_starts_with(name, root_name) || name.n < root_name.n + 2 ||
		name.p[root_name.n] != '-')
		return NULL;
	struct str rest = str_sub(name, root_name.n + 1, name.n);
	for (size_t i = 0; root->commands[i]; i++)
		if (str_eq(str_of(root->commands[i]->name), rest))
			return root->commands[i];
	return NULL;
}

bool manpage_format(const struct command *root, struct str name, struct buf *out)
{
	const struct command *c = find_page(root, name);
	if (c)
		page_format(out, root, c);
	return c != NULL;
}

void manpage_names(const struct command *root, struct str separator, struct buf *out)
{
	buf_append_str(out, str_of(root->name));
	for (size_t i = 0; root->commands[i]; i++)
		buf_printf(
			out, "%.*s%s-%s", STR_ARG(separator), root->name, root->commands[i]->name);
}
