/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_login.h"

#include "cli/jwt.h"
#include "cli/session.h"
#include "common/base/cleanup.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum {
	TOKEN_MAX_BYTES = 8 * 1024
};

static const char prog[] = "osmo login";

/* ---- the arguments ---- */

/* "token" or "dev"; NULL after an error that was shown. */
static const char *choose_method(struct cli *c)
{
	const struct args *a = c->args;
	bool token = args_has(a, "token") || args_has(a, "token_file");
	const char *method = args_value(a, "method");
	if (!method && !token) {
		(void)cli_usage_error(c, prog,
			"one of the methods is required: --method token with --token-file FILE "
			"(- for standard input) or --token TOKEN, or --method dev with --username "
			"USERNAME");
		return NULL;
	}
	method = method ? method : "token";
	const char *wrong = NULL;
	if (strcmp(method, "token") == 0 && !token)
		wrong = "Must provide token file with --token_file or --token";
	else if (strcmp(method, "dev") == 0 && !args_value(a, "username"))
		wrong = "Must provide username";
	if (!wrong)
		return method;
	(void)cli_failf(c, EXIT_FAILED, "%s", wrong);
	return NULL;
}

/* It travels in a header. */
static int check_username(struct cli *c)
{
	const char *name = args_value(c->args, "username");
	if (!name || login_text_fits_header(name))
		return EXIT_DONE;
	return cli_usage_error(c, prog,
		"argument --username: expected a name in UTF-8 without line breaks and control "
		"characters");
}

static int choose_url(struct cli *c, char **ret)
{
	const char *url = args_value(c->args, "url");
	if (!url || !*url) {
		int failed = cli_login_load(c);
		if (failed)
			return failed;
		url = c->login.url;
	}
	if (!url)
		return cli_failf(c, EXIT_FAILED,
			"No url provided and no previous login found. Please provide a url: osmo "
			"login <url>");
	struct status s = url_check(url);
	if (!status_is_ok(&s))
		return cli_failf(c, EXIT_FAILED, "Bad url %s: %s", url, s.message);
	*ret = xstrdup(url);
	return EXIT_DONE;
}

/* ---- the token ---- */

/* A terminal that does not show what is typed. SIGINT is read from a descriptor meanwhile, not
 * handled: no moment between the question and the read in which Ctrl-C is lost. */
struct hidden_typing {
	struct termios before;
	sigset_t mask_before;
	int interrupts; /* signalfd */
};

static bool hide_typing(struct hidden_typing *h, int fd)
{
	if (!isatty(fd) || tcgetattr(fd, &h->before))
		return false;
	sigset_t interrupts;
	sigemptyset(&interrupts);
	sigaddset(&interrupts, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupts, &h->mask_before);
	h->interrupts = signalfd(-1, &interrupts, SFD_CLOEXEC);
	if (h->interrupts < 0) /* better an echo that stays off than a Ctrl-C that does nothing */
		sigprocmask(SIG_SETMASK, &h->mask_before, NULL);
	struct termios quiet = h->before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fd, TCSAFLUSH, &quiet);
	fputs("Token: ", stderr);
	return true;
}

static void show_typing(struct hidden_typing *h, int fd)
{
	tcsetattr(fd, TCSAFLUSH, &h->before);
	fputc('\n', stderr);
	if (h->interrupts >= 0)
		close(h->interrupts);
	sigprocmask(
		SIG_SETMASK, &h->mask_before, NULL); /* a Ctrl-C not read ends the program here */
}

/* Waits for a line, or for Ctrl-C: false. */
static bool wait_for_typing(const struct hidden_typing *h, int fd)
{
	struct pollfd on[] = {
		{.fd = fd, .events = POLLIN}, {.fd = h->interrupts, .events = POLLIN}};
	while (poll(on, ARRAY_SIZE(on), -1) < 0 && errno == EINTR)
		;
	return !on[1].revents;
}

/* Reads up to the end; from a terminal one line, which is not shown. */
static bool read_secret(int fd, char *p, size_t max, size_t *ret_n)
{
	struct hidden_typing hidden;
	bool terminal = hide_typing(&hidden, fd);
	size_t n = 0;
	ssize_t got = 1;
	while (n < max && got > 0 && !(terminal && n && p[n - 1] == '\n')) {
		if (terminal && !wait_for_typing(&hidden, fd))
			break; /* the signal is still pending: show_typing() lets it through */
		got = read(fd, p + n, max - n);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			n += (size_t)got;
	}
	int error = errno;
	if (terminal)
		show_typing(&hidden, fd);
	errno = error;
	*ret_n = n;
	return got >= 0;
}

static bool is_printable_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

static int check_token(struct cli *c, const char *option, const char *file, struct str token)
{
	const char *problem = !token.n                        ? "it is empty"
			      : token.n > TOKEN_MAX_BYTES / 2 ? "it is too long"
			      : !is_printable_ascii(token)    ? "it has blanks, line breaks or "
								"characters that no token has"
							      : NULL;
	if (!problem)
		return EXIT_DONE;
	_cleanup_free_ char *message = xasprintf("argument %s:%s%s expected an access token: %s",
		option, file ? " " : "", file ? file : "", problem);
	return cli_usage_error(c, prog, message);
}

static int read_token_file(struct cli *c, const char *path, char **ret)
{
	bool standard_input = strcmp(path, "-") == 0;
	_cleanup_close_ int opened = standard_input ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int fd = standard_input ? STDIN_FILENO : opened;
	char text[TOKEN_MAX_BYTES];
	size_t n = 0;
	if (fd < 0 || !read_secret(fd, text, sizeof text, &n)) {
		_cleanup_free_ char *message =
			xasprintf("argument --token-file: can't read '%s': %m", path);
		return cli_usage_error(c, prog, message);
	}
	struct str token = str_trim((struct str){text, n});
	int failed =
		check_token(c, "--token-file", standard_input ? "standard input:" : path, token);
	if (!failed)
		*ret = str_dup(token);
	secret_wipe(text, sizeof text);
	return failed;
}

static int get_token(struct cli *c, char **ret)
{
	const char *file = args_value(c->args, "token_file");
	if (file)
		return read_token_file(c, file, ret);
	const char *token = args_value(c->args, "token");
	struct str text = str_trim(str_of(token));
	int failed = check_token(c, "--token", NULL, text);
	if (!failed)
		*ret = str_dup(text);
	return failed;
}

/* ---- logging in ---- */

static char *join(const char *url, const char *path)
{
	size_t n = strlen(url);
	while (n && url[n - 1] == '/')
		n--;
	return xasprintf("%.*s/%s", (int)n, url, path);
}

/* Anybody may ask a service how to log in: this tells a service from any other server. */
static int check_service(struct cli *c, const char *url)
{
	_cleanup_free_ char *info = join(url, "api/auth/login");
	_cleanup_response_ struct http_response r;
	http_response_init(&r);
	const struct http_request request = {.method = "GET", .url = info, .repeatable = true};
	struct status s = http_client_send(cli_http(c), &request, &r);
	if (!status_is_ok(&s))
		return cli_fail_transport(c, &s);
	if (r.status < 200 || r.status >= 300)
		return cli_failf(c, EXIT_FAILED,
			"Unexpected status code (%ld) when fetching login info from %s: %.*s",
			r.status, info, STR_ARG(buf_str(&r.body)));
	json_t *answer;
	int failed = cli_parse_json(c, buf_str(&r.body), &answer);
	if (!failed)
		json_decref(answer);
	return failed;
}

/* An old token file holds the address that refreshes the login, with the token in it. */
static int login_token(struct cli *c, const char *url, struct login *l)
{
	char *token = NULL;
	int failed = get_token(c, &token);
	if (failed)
		return failed;
	assert(token);
	l->has_token = l->osmo_token = true;
	if (str_starts_with(str_of(token), STR("http"))) {
		l->refresh_token = url_access_token(str_of(token));
		l->refresh_url = xstrndup(token, strcspn(token, "?#"));
	} else {
		l->refresh_token = xstrdup(token);
		l->refresh_url = join(url, "api/auth/jwt/access_token");
	}
	secret_free(token);
	if (!l->refresh_token)
		return cli_usage_error(c, prog,
			"argument --token-file: expected an access token, or an address with "
			"access_token=… in its query");
	return EXIT_DONE;
}

static void login_dev(const struct cli *c, struct login *l)
{
	l->has_dev = true;
	l->dev_username = xstrdup(args_value(c->args, "username"));
	l->name = xstrdup(l->dev_username);
}

/* The file keeps the claim "name" only; the greeting takes "unique_name" as well, which tokens of
 * the service have instead. */
static char *greeting_name(struct login *l)
{
	if (l->has_dev)
		return xstrdup(l->dev_username);
	struct jwt jwt;
	struct status s = jwt_parse(str_of(l->id_token), &jwt);
	if (!status_is_ok(&s))
		return xstrdup("");
	l->name = xstrdup(jwt.name ? jwt.name : "");
	char *name = xstrdup(jwt.name ? jwt.name : jwt.unique_name ? jwt.unique_name : "");
	jwt_done(&jwt);
	return name;
}

static int finish(struct cli *c, struct login *l)
{
	if (l->has_token) {
		int failed = cli_exchange(c, l);
		if (failed)
			return failed;
	}
	_cleanup_free_ char *name = greeting_name(l);
	login_done(&c->login);
	c->login = *l;
	*l = (struct login){.url = NULL};
	struct status s = cli_login_save(c);
	if (!status_is_ok(&s))
		return cli_failf(c, EXIT_FAILED, "%s", s.message);
	cli_printf("Successfully logged in. Welcome %s.\n", name);
	return EXIT_DONE;
}

int cmd_login(struct cli *c)
{
	const char *method = choose_method(c);
	if (!method)
		return EXIT_FAILED;
	_cleanup_login_ struct login l = {.url = NULL};
	int failed = check_username(c);
	if (failed || (failed = choose_url(c, &l.url)))
		return failed;
	assert(l.url);
	if (strcmp(method, "dev") == 0)
		login_dev(c, &l);
	else if ((failed = login_token(c, l.url, &l)))
		return failed;
	cli_printf("Logging in to %s\n", l.url);
	failed = check_service(c, l.url);
	size_t n = strlen(l.url);
	while (n && l.url[n - 1] == '/')
		l.url[--n] = '\0';
	return failed ? failed : finish(c, &l);
}

int cmd_logout(struct cli *c)
{
	_cleanup_buf_ struct buf path;
	buf_init(&path, 64 * 1024);
	struct status s = login_file_path(&path);
	if (status_is_ok(&s))
		s = login_file_remove(path.p);
	if (!status_is_ok(&s))
		return cli_failf(c, EXIT_FAILED, "%s", s.message);
	cli_print(STR("Successfully logged out.\n"));
	return EXIT_DONE;
}
