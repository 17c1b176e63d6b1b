/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manpage.h"

#include "cli/argparse.h"
#include "cli/usage.h"
#include "common/base/roff.h"
#include "common/base/xalloc.h"

#include <assert.h>

enum {
	TEXT_MAX = 1 << 20
};

/* The usage on one line, without "usage: ". */
static void synopsis(struct buf *out, const struct command *c, const char *prog)
{
	_cleanup_buf_ struct buf usage;
	buf_init(&usage, TEXT_MAX);
	usage_format(c, prog, 1 << 20, &usage);
	usage.p[usage.n - 1] = '\0';
	const char *rest = usage.p + strlen("usage: ") + strlen(prog);
	buf_append_str(out, STR(".PP\n.B "));
	roff_text(out, prog);
	buf_append_char(out, '\n');
	roff_text(out, rest + (*rest == ' '));
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
			roff_entry(out, invocation.p, c->args[i].help);
		}
	}
	roff_entry(out, "-h, --help", arg_help.help);
}

static void body(struct buf *out, const struct command *c)
{
	if (c->description)
		roff_paragraph(out, c->description);
	if (c->manual)
		roff_paragraph(out, c->manual);
	arguments(out, c);
	if (!c->epilog)
		return;
	buf_append_str(out, STR(".PP\n.nf\n"));
	roff_text(out, c->epilog);
	buf_append_str(out, STR("\n.fi\n"));
}

static void commands(struct buf *out, const struct command *c, const char *prog)
{
	for (size_t i = 0; c->commands[i]; i++) {
		_cleanup_free_ char *below = xasprintf("%s %s", prog, c->commands[i]->name);
		roff_subsection(out, below);
		roff_paragraph(out, c->commands[i]->help);
		body(out, c->commands[i]);
	}
}

static void common_sections(struct buf *out)
{
	roff_section(out, "FILES");
	roff_entry(out, "login.yaml",
		"The login: in $OSMO_CONFIG_FILE_DIR, else in $XDG_CONFIG_HOME/osmo, else in "
		"~/.config/osmo. It holds credentials and is readable by its owner only.");
	roff_section(out, "ENVIRONMENT");
	roff_entry(out, "OSMO_CONFIG_FILE_DIR", "Folder of login.yaml.");
	roff_entry(out, "OSMO_CACERT, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE",
		"As --cacert; the first that is set counts. Each may also be a folder, as "
		"openssl-rehash(1) prepares it.");
	roff_entry(out, "OSMO_TIMEOUT",
		"Seconds without progress after which a request is given up, from 1 to 86400 "
		"(default 60).");
	roff_entry(out, "OSMO_LOGIN_DEV",
		"If true, the user name of login.yaml is sent beside the login token, for services "
		"that run in development mode.");
	roff_entry(out, "http_proxy, https_proxy, all_proxy, no_proxy",
		"Proxies, as curl(1) has them.");
	roff_entry(out, "COLUMNS", "Width of the help.");
	roff_section(out, "EXIT STATUS");
	roff_entry(out, "0", "Done.");
	roff_entry(out, "1", "The service refused what was submitted.");
	roff_entry(out, "2", "Wrong arguments, not logged in, not allowed, not found.");
	roff_entry(out, "3", "Interrupted.");
	roff_entry(
		out, "10", "The service cannot be reached, or is broken, or the login has ended.");
	roff_entry(out, "75", "Too many requests: try again later.");
}

static void see_also(struct buf *out, const struct command *root, const struct command *page)
{
	roff_section(out, "SEE ALSO");
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
	/* one phrase */
	_cleanup_free_ char *phrase =
		xstrdup(whole ? "access tokens of an OSMO service." : c->help);
	phrase[strcspn(phrase, ".")] = '\0';
	roff_title(out, name, "1", "osmo", "User Commands", phrase);
	roff_section(out, "SYNOPSIS");
	if (!c->commands || whole)
		synopsis(out, c, prog);
	for (size_t i = 0; c->commands && !whole && c->commands[i]; i++) {
		_cleanup_free_ char *below = xasprintf("%s %s", prog, c->commands[i]->name);
		synopsis(out, c->commands[i], below);
	}
	roff_section(out, "DESCRIPTION");
	body(out, c);
	if (c->commands) {
		roff_section(out, "COMMANDS");
		if (!whole)
			commands(out, c, prog);
		for (size_t i = 0; whole && c->commands[i]; i++)
			roff_entry(out, c->commands[i]->name, c->commands[i]->help);
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
