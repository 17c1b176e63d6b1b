/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_target.h"

#include "common/base/file.h"
#include "common/base/xalloc.h"
#include "service/store/postgres/pg_error.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
	HOSTS_MAX = 16,
	WORDS_MAX = 64, /* libpq knows some 45 */
	CONNECT_TIMEOUT_MS = 3000,
};

struct pg_target {
	struct {
		char *keyword, *value;
	} words[WORDS_MAX]; /* all but the hosts */
	size_t n_words;
	struct pg_candidate hosts[HOSTS_MAX];
	size_t n_hosts;
	char *password_file;
	bool pooler;
	int connect_timeout_ms;
};

/* --- Parse --- */

static const char *word(const struct pg_target *t, const char *keyword)
{
	for (size_t i = 0; i < t->n_words; i++)
		if (strcmp(t->words[i].keyword, keyword) == 0)
			return t->words[i].value;
	return NULL;
}

static void set_word(struct pg_target *t, const char *keyword, const char *value)
{
	for (size_t i = 0; i < t->n_words; i++)
		if (strcmp(t->words[i].keyword, keyword) == 0) {
			free(t->words[i].value);
			t->words[i].value = xstrdup(value);
			return;
		}
	if (t->n_words == WORDS_MAX)
		return;
	t->words[t->n_words].keyword = xstrdup(keyword);
	t->words[t->n_words++].value = xstrdup(value);
}

static void set_default(struct pg_target *t, const char *keyword, const char *value)
{
	if (!word(t, keyword))
		set_word(t, keyword, value);
}

static const char *take(const PQconninfoOption *options, const char *keyword)
{
	for (; options && options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val && *options->val ? options->val : NULL;
	return NULL;
}

static struct status bad_url(const char *reason)
{
	return status_error(STATUS_INVALID_ARGUMENT,
		"must be a connection string like postgresql://user@host:5432/database, %s",
		reason);
}

/* Item @i of a list "a,b,c", as a text of its own, or NULL if it is empty. */
static char *item(const char *list, size_t i)
{
	struct str rest = str_of(list), part = {NULL, 0};
	if (!list)
		return NULL;
	for (size_t k = 0; k <= i; k++)
		if (!str_split(&rest, ',', &part))
			return NULL;
	return part.n ? str_dup(part) : NULL;
}

static size_t count_items(const char *list)
{
	struct str rest = str_of(list), part;
	size_t n = 0;
	while (list && str_split(&rest, ',', &part))
		n++;
	return n;
}

static struct status take_hosts(struct pg_target *t, const PQconninfoOption *given)
{
	const char *hosts = take(given, "host"), *addresses = take(given, "hostaddr");
	const char *ports = take(given, "port");
	size_t n_hosts = count_items(hosts), n_addresses = count_items(addresses);
	size_t n_ports = count_items(ports);
	size_t n = n_hosts ? n_hosts : n_addresses ? n_addresses : 1;
	if (n > HOSTS_MAX)
		return bad_url("and may have 16 hosts at most");
	if ((n_addresses && n_addresses != n) || (n_ports > 1 && n_ports != n))
		return bad_url("with as many ports (or one) and as many addresses as hosts");
	for (size_t i = 0; i < n; i++)
		t->hosts[t->n_hosts++] = (struct pg_candidate){
			item(hosts, i),
			item(addresses, i),
			item(ports, n_ports == 1 ? 0 : i),
		};
	return status_ok();
}

static bool is_host_word(const char *keyword)
{
	return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
	       strcmp(keyword, "port") == 0;
}

static struct status take_words(
	struct pg_target *t, const PQconninfoOption *given, const PQconninfoOption *defaults)
{
	if (take(given, "password") || take(given, "sslpassword"))
		return bad_url("without a password: put it into a file (--postgres-password-file)");
	if (take(given, "service")) /* its host would be looked up by libpq, on the loop */
		return bad_url("and not the name of a service");
	const char *attrs = take(given, "target_session_attrs");
	if (attrs && strcmp(attrs, "read-write") != 0 && strcmp(attrs, "primary") != 0)
		return bad_url("and target_session_attrs must be read-write or primary");
	/* What the environment says (PGUSER, PGSSLMODE ...) holds where the string says nothing. */
	for (const PQconninfoOption *o = defaults; o->keyword; o++)
		if (!is_host_word(o->keyword) && o->val && *o->val)
			set_word(t, o->keyword, o->val);
	for (const PQconninfoOption *o = given; o->keyword; o++)
		if (!is_host_word(o->keyword) && o->val && *o->val)
			set_word(t, o->keyword, o->val);
	set_word(t, "target_session_attrs", attrs ? attrs : "read-write");
	set_word(t, "client_encoding", "UTF8");
	set_word(t, "fallback_application_name", "token-service");
	if (!take(given, "gssencmode"))
		set_word(t, "gssencmode", "disable"); /* it may ask a KDC, and wait for it */
	/* A peer that vanished without a word is noticed in some 20 s even with nothing to send. */
	set_default(t, "keepalives_idle", "10");
	set_default(t, "keepalives_interval", "3");
	set_default(t, "keepalives_count", "3");
	return status_ok();
}

static struct status take_all(
	struct pg_target *t, const PQconninfoOption *given, const PQconninfoOption *defaults)
{
	TRY(take_words(t, given, defaults));
	const char *hosts = take(given, "host");
	TRY(take_hosts(t, hosts || take(given, "hostaddr") ? given : defaults));
	if (!hosts && take(given, "port")) {
		free(t->hosts[0].port);
		t->hosts[0].port = xstrdup(take(given, "port"));
	}
	const char *timeout = word(t, "connect_timeout");
	uint64_t seconds;
	if (timeout && str_to_u64(str_of(timeout), &seconds) && seconds > 0 && seconds < 3600)
		t->connect_timeout_ms = (int)seconds * 1000;
	return status_ok();
}

struct status pg_target_parse(const struct pg_target_options *options, struct pg_target **ret)
{
	char *error = NULL;
	PQconninfoOption *given = PQconninfoParse(options->url ? options->url : "", &error);
	PQconninfoOption *defaults = PQconndefaults();
	struct status status = status_ok();
	_cleanup_(pg_target_freep) struct pg_target *t = xnew(struct pg_target);
	t->pooler = options->pooler;
	t->connect_timeout_ms =
		options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	if (options->password_file)
		t->password_file = xstrdup(options->password_file);
	if (!given || !defaults) /* libpq's text may repeat a password */
		status = bad_url("which this is not");
	else
		status = take_all(t, given, defaults);
	PQfreemem(error);
	PQconninfoFree(given);
	PQconninfoFree(defaults);
	if (status_is_ok(&status))
		*ret = TAKE_PTR(t);
	return status;
}

static void free_candidate(struct pg_candidate *c)
{
	free(c->host);
	free(c->address);
	free(c->port);
}

void pg_target_free(struct pg_target *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_words; i++) {
		free(t->words[i].keyword);
		secret_free(t->words[i].value);
	}
	for (size_t i = 0; i < t->n_hosts; i++)
		free_candidate(&t->hosts[i]);
	free(t->password_file);
	free(t);
}

bool pg_target_is_pooler(const struct pg_target *t)
{
	return t->pooler;
}

int pg_target_connect_timeout_ms(const struct pg_target *t)
{
	return t->connect_timeout_ms;
}

static bool is_local(const struct pg_candidate *c)
{
	const char *where = c->address ? c->address : c->host;
	return !where || *where == '/' || *where == '@' || strcmp(where, "localhost") == 0 ||
	       strcmp(where, "::1") == 0 || strncmp(where, "127.", 4) == 0;
}

bool pg_target_is_plaintext(const struct pg_target *t)
{
	const char *mode = word(t, "sslmode");
	if (mode && (strcmp(mode, "require") == 0 || strncmp(mode, "verify", 6) == 0))
		return false;
	for (size_t i = 0; i < t->n_hosts; i++)
		if (!is_local(&t->hosts[i]))
			return true;
	return false;
}

/* --- Addresses --- */

static char *dup_or_null(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static void add(struct pg_candidates *c, const struct pg_candidate *host, const char *address)
{
	c->items = xreallocarray(c->items, c->n + 1, sizeof *c->items);
	c->items[c->n++] = (struct pg_candidate){
		dup_or_null(host->host), dup_or_null(address), dup_or_null(host->port)};
}

static void add_addresses(struct pg_candidates *c, const struct pg_candidate *host)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int error = getaddrinfo(host->host, NULL, &hints, &found);
	if (error) {
		pg_log_text(host->host, gai_strerror(error));
		return;
	}
	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		char text[NI_MAXHOST];
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0,
			    NI_NUMERICHOST) == 0)
			add(c, host, text);
	}
	freeaddrinfo(found);
}

static bool is_socket_path(const char *host)
{
	return *host == '/' || *host == '@';
}

struct status pg_target_resolve(const struct pg_target *t, struct pg_candidates *ret)
{
	struct pg_candidates c = {.n = 0};
	if (t->password_file)
		TRY(file_read_secret(t->password_file, false, &c.password));
	for (size_t i = 0; i < t->n_hosts; i++) {
		const struct pg_candidate *host = &t->hosts[i];
		if (host->address || !host->host || is_socket_path(host->host))
			add(&c, host, host->address);
		else
			add_addresses(&c, host);
	}
	if (c.n == 0) {
		pg_candidates_done(&c);
		return status_error(STATUS_UNAVAILABLE, "no host of the database has an address");
	}
	*ret = c;
	return status_ok();
}

void pg_candidates_done(struct pg_candidates *c)
{
	for (size_t i = 0; i < c->n; i++)
		free_candidate(&c->items[i]);
	free(c->items);
	secret_done(&c->password);
	memset(c, 0, sizeof *c);
}

/* --- Connect --- */

PGconn *pg_target_connect(const struct pg_target *t, const struct pq *pq,
	const struct pg_candidates *candidates, size_t i)
{
	const struct pg_candidate *c = &candidates->items[i];
	const char *keywords[WORDS_MAX + 5], *values[WORDS_MAX + 5];
	size_t n = 0;
	for (size_t k = 0; k < t->n_words; k++) {
		keywords[n] = t->words[k].keyword;
		values[n++] = t->words[k].value;
	}
	const struct {
		const char *keyword, *value;
	} own[] = {{"host", c->host}, {"hostaddr", c->address}, {"port", c->port},
		{"password", candidates->password.p}};
	for (size_t k = 0; k < ARRAY_SIZE(own); k++)
		if (own[k].value) {
			keywords[n] = own[k].keyword;
			values[n++] = own[k].value;
		}
	keywords[n] = values[n] = NULL;
	return pq->connect_start(keywords, values);
}
