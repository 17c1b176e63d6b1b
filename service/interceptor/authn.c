/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/authn.h"

#include "common/base/secret.h"
#include "common/codec/schema.h"
#include "service/auth/authenticator.h"
#include "service/interceptor/auth_failure.h"
#include "service/interceptor/token_use.h"

#include <string.h>

/* The transport dropped the headers of others already (proxy_trust.h); whoever adds a transport and
 * forgets that must not open this door. */
static bool is_trusted_proxy(const struct authn *a, const struct call_peer *peer)
{
	return a->config.trusted_proxies &&
	       cidr_list_has(a->config.trusted_proxies, (const struct sockaddr *)&peer->address);
}

void authn_init(struct authn *a, const struct authn_config *config)
{
	a->config = *config;
}

/* --- Failures --- */

/* RFC 6750, 3: the challenge that goes with a 401. */
static void challenge(struct call *c, bool bearer_sent)
{
	c->reply_headers[CALL_REPLY_WWW_AUTHENTICATE] =
		bearer_sent ? STR("Bearer realm=\"osmo\", error=\"invalid_token\"")
			    : STR("Bearer realm=\"osmo\"");
}

static struct call_step refuse_credential(struct authn *a, struct call *c, const char *reason)
{
	auth_failures_note(a->config.failures, c, AUTH_FAILURE_CALL, reason);
	challenge(c, true);
	return call_failed(c, status_error(STATUS_UNAUTHENTICATED, AUTH_INVALID_CREDENTIAL));
}

/* --- The credential of a call --- */

static bool is_token68(struct str s)
{
	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    (c && strchr("-._~+/", c))))
			return false;
	}
	return s.n > 0;
}

bool authn_bearer_parse(struct str value, struct str *ret)
{
	static const struct str scheme = {"Bearer ", 7};
	if (!str_eq_nocase(str_sub(value, 0, scheme.n), scheme))
		return false;
	struct str token = str_sub(value, scheme.n, value.n);
	while (token.n && token.p[0] == ' ')
		token = str_sub(token, 1, token.n);
	if (!is_token68(token))
		return false;
	*ret = token;
	return true;
}

enum sent {
	SENT_NOTHING,
	SENT_CREDENTIAL,
	SENT_NONSENSE
};

static struct status once(const struct call *c, enum call_metadata_key key)
{
	if (c->metadata[key].count > 1)
		return status_error(STATUS_INVALID_ARGUMENT,
			"%s was sent %u times, once is expected", call_metadata_name(key),
			c->metadata[key].count);
	return status_ok();
}

/* INVALID_ARGUMENT when it is not clear which one is meant. */
static struct status get_credential(
	const struct call *c, enum sent *ret_sent, struct str *ret_credential)
{
	const struct call_metadata *authorization = &c->metadata[CALL_AUTHORIZATION];
	const struct call_metadata *raw = &c->metadata[CALL_OSMO_AUTH];
	TRY(once(c, CALL_AUTHORIZATION));
	TRY(once(c, CALL_OSMO_AUTH));
	*ret_sent = SENT_NOTHING;
	if (authorization->count) {
		*ret_sent = authn_bearer_parse(authorization->value, ret_credential)
				    ? SENT_CREDENTIAL
				    : SENT_NONSENSE;
		if (raw->count && *ret_sent == SENT_CREDENTIAL &&
			!secret_eq(*ret_credential, raw->value))
			return status_error(STATUS_INVALID_ARGUMENT,
				"authorization and x-osmo-auth carry different credentials");
	} else if (raw->count) {
		*ret_sent = is_token68(raw->value) ? SENT_CREDENTIAL : SENT_NONSENSE;
		*ret_credential = raw->value;
	}
	return status_ok();
}

/* --- Principals --- */

/* A principal of a call, with what it holds. */
struct held {
	struct call_release release;
	struct principal principal;
};

static void release_held(struct call_release *release)
{
	token_unref(container_of(release, struct held, release)->principal.token);
}

static struct str *copy_roles(struct arena *arena, const struct str *roles, size_t n)
{
	struct str *copy = arena_calloc(arena, n + 1, sizeof *copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_str(arena, roles[i]);
	return copy;
}

/* Makes the principal of an outcome the call's; takes its token over. */
static void adopt(const struct authn *a, struct call *c, struct auth_outcome *o)
{
	token_use_note(a->config.use, c, o->principal.token);
	struct held *held = arena_calloc(c->arena, 1, sizeof *held);
	held->principal = o->principal;
	if (o->jwt) { /* the word of another issuer: no token to live in */
		held->principal.name = arena_str(c->arena, o->principal.name);
		held->principal.roles =
			copy_roles(c->arena, o->principal.roles, o->principal.n_roles);
	}
	if (TAKE_PTR(o->principal.token)) {
		held->release.run = release_held;
		call_at_release(c, &held->release);
	}
	call_context(c)->principal = &held->principal;
	call_context(c)->has_credential = true;
}

static struct call_step accept_principal(struct call *c, const struct principal *p)
{
	call_context(c)->principal = p;
	call_context(c)->has_credential = true;
	return call_next(c);
}

static const struct authn_identity *find_identity(const struct authn *a, struct str identity)
{
	for (size_t i = 0; identity.n && i < a->config.n_identities; i++)
		if (str_eq(a->config.identities[i].identity, identity))
			return &a->config.identities[i];
	return NULL;
}

/* --- x-osmo-user --- */

static size_t count_parts(struct str list)
{
	size_t n = 1;
	for (size_t i = 0; i < list.n; i++)
		n += list.p[i] == ',';
	return n;
}

/* @first, then the roles of @list, not trimmed, as in the existing system. */
static struct status join_roles(struct arena *arena, const struct str *first, size_t n_first,
	struct str list, struct principal *ret)
{
	size_t room = count_parts(list), n = 0;
	struct str *roles = arena_calloc(
		arena, n_first + (room < AUTHN_MAX_ROLES ? room : AUTHN_MAX_ROLES), sizeof *roles);
	struct str part;
	for (; n < n_first; n++)
		roles[n] = first[n];
	while (str_split(&list, ',', &part)) {
		if (!part.n)
			continue;
		if (!principal_name_is_valid(part) || n == n_first + AUTHN_MAX_ROLES)
			return status_error(STATUS_INVALID_ARGUMENT,
				"x-osmo-roles: at most %d roles of 1 to %d bytes of UTF-8 "
				"without control characters are expected, separated by commas",
				AUTHN_MAX_ROLES, PRINCIPAL_NAME_MAX_BYTES);
		roles[n++] = part;
	}
	ret->roles = roles;
	ret->n_roles = n;
	return status_ok();
}

/* The user that the headers name, with @default_roles before those of the headers. */
static struct status header_principal(const struct call *c, enum auth_method method,
	const struct str *default_roles, size_t n_default_roles, struct principal **ret)
{
	const struct call_metadata *user = &c->metadata[CALL_OSMO_USER];
	const struct call_metadata *roles = &c->metadata[CALL_OSMO_ROLES];
	/* An empty name must not become everybody, nor roles without a name somebody. */
	if (!user->value.n)
		return status_error(STATUS_UNAUTHENTICATED, "x-osmo-user names no user");
	if (!principal_name_is_valid(user->value))
		return status_error(STATUS_INVALID_ARGUMENT,
			"x-osmo-user: 1 to %d bytes of UTF-8 without control characters are "
			"expected",
			PRINCIPAL_NAME_MAX_BYTES);
	struct principal *p = arena_calloc(c->arena, 1, sizeof *p);
	*p = (struct principal){.kind = PRINCIPAL_USER, .name = user->value, .method = method};
	TRY(join_roles(c->arena, default_roles, n_default_roles, roles->value, p));
	*ret = p;
	return status_ok();
}

/* Whose x-osmo-user and x-osmo-roles these are. */
enum speaker {
	SPEAKER_NOBODY, /* there are none, or they mean nothing */
	SPEAKER_PROXY,
	SPEAKER_DEVELOPER
};

static enum speaker find_speaker(const struct authn *a, const struct call *c)
{
	if (!c->metadata[CALL_OSMO_USER].count && !c->metadata[CALL_OSMO_ROLES].count)
		return SPEAKER_NOBODY;
	if (is_trusted_proxy(a, &c->peer))
		return SPEAKER_PROXY;
	return a->config.dev_login ? SPEAKER_DEVELOPER : SPEAKER_NOBODY;
}

/* Also where a credential decides: a proxy that sends them twice lets others send them too. */
static struct status check_headers(const struct call *c, enum speaker speaker)
{
	if (speaker == SPEAKER_NOBODY)
		return status_ok();
	TRY(once(c, CALL_OSMO_USER));
	return once(c, CALL_OSMO_ROLES);
}

static struct call_step run_headers(struct authn *a, struct call *c, enum speaker speaker)
{
	struct principal *p = NULL;
	struct status status =
		speaker == SPEAKER_PROXY
			? header_principal(c, AUTH_TRUSTED_PROXY, NULL, 0, &p)
			: header_principal(c, AUTH_DEV_LOGIN, a->config.default_roles,
				  a->config.n_default_roles, &p);
	if (status_is_ok(&status))
		return accept_principal(c, p);
	if (status.code == STATUS_UNAUTHENTICATED) {
		auth_failures_note(a->config.failures, c, AUTH_FAILURE_CALL, "empty_user");
		challenge(c, false);
	}
	return call_failed(c, status);
}

/* --- The step --- */

struct pending {
	struct authn *a;
	struct call *call;
};

static void on_checked(void *arg, struct auth_outcome *o)
{
	const struct pending *pending = arg;
	struct call *c = pending->call;
	if (call_is_finished(c)) { /* by its deadline */
		call_release_pending(c);
		return;
	}
	if (status_is_ok(&o->status)) {
		adopt(pending->a, c, o);
		call_resume(c);
		return;
	}
	if (o->status.code == STATUS_UNAUTHENTICATED)
		(void)refuse_credential(pending->a, c, o->reason);
	else
		(void)call_failed(c, o->status);
	call_release_pending(c);
}

static struct call_step run_credential(struct authn *a, struct call *c, struct str credential)
{
	_cleanup_auth_outcome_ struct auth_outcome o = {.reason = NULL};
	if (authenticator_try(a->config.authenticator, credential, &o)) {
		if (!status_is_ok(&o.status))
			return refuse_credential(a, c, o.reason);
		adopt(a, c, &o);
		return call_next(c);
	}
	if (!c->on_loop)
		return call_move(c);
	struct pending *pending = arena_alloc(c->arena, sizeof *pending);
	*pending = (struct pending){a, c};
	authenticator_check(a->config.authenticator, credential,
		(struct store_waiter){c->home, call_context(c)->deadline, pending}, on_checked);
	return call_pending(c);
}

struct call_step authn_run(void *self, struct call *c)
{
	struct authn *a = self;
	enum sent sent;
	struct str credential;
	enum speaker speaker = find_speaker(a, c);
	struct status status = get_credential(c, &sent, &credential);
	if (status_is_ok(&status))
		status = check_headers(c, speaker);
	if (!status_is_ok(&status))
		return call_failed(c, status);
	if (sent == SENT_NONSENSE)
		return refuse_credential(a, c, "malformed");
	if (sent == SENT_CREDENTIAL)
		return run_credential(a, c, credential);

	const struct authn_identity *identity = find_identity(a, c->peer.tls_identity);
	if (identity)
		return accept_principal(c, &identity->principal);
	if (speaker != SPEAKER_NOBODY)
		return run_headers(a, c, speaker);
	call_context(c)->principal = &principal_anonymous;
	return call_next(c);
}

/* --- Configuration --- */

struct status authn_identity_parse(struct str text, struct arena *arena, struct authn_identity *ret)
{
	const char *expected = "IDENTITY=USER:ROLE+ROLE... is expected, or "
			       "IDENTITY=service/NAME:ROLE+ROLE...";
	size_t equals = text.n;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '=')
			equals = i;
	struct str identity = str_sub(text, 0, equals);
	struct str rest = str_sub(text, equals + 1, text.n), name;
	if (!identity.n || !str_split(&rest, ':', &name))
		return status_error(STATUS_INVALID_ARGUMENT, "'%.*s': %s", STR_ARG(text), expected);
	struct principal p = {.kind = PRINCIPAL_USER, .method = AUTH_MTLS};
	if (str_starts_with(name, STR("service/"))) {
		p.kind = PRINCIPAL_SERVICE;
		name = str_sub(name, 8, name.n);
	}
	if (!principal_name_is_valid(name))
		return status_error(STATUS_INVALID_ARGUMENT,
			"'%.*s': '%.*s' names no principal; %s", STR_ARG(text), STR_ARG(name),
			expected);
	p.name = name;
	struct str *roles = arena_calloc(arena, AUTHN_MAX_ROLES, sizeof *roles), role;
	while (str_split(&rest, '+', &role)) {
		if (!principal_name_is_valid(role) || p.n_roles == AUTHN_MAX_ROLES)
			return status_error(STATUS_INVALID_ARGUMENT,
				"'%.*s': '%.*s' names no role; %s", STR_ARG(text), STR_ARG(role),
				expected);
		roles[p.n_roles++] = role;
	}
	p.roles = roles;
	*ret = (struct authn_identity){.identity = identity, .principal = p};
	return status_ok();
}
