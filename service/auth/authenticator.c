/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/authenticator.h"

#include "common/base/xalloc.h"
#include "service/auth/jwt_cache.h"

#include <assert.h>

enum {
	DEFAULT_JWT_CACHE_ENTRIES = 4096,
	/* Replicas whose clocks differ, and a clock that is set back: nbf of ours is when it was
	 * signed, so it guards against nothing else. */
	OUR_LEEWAY_S = 300,
};

struct authenticator {
	struct authenticator_config config;
	struct jwt_cache *jwts;
};

struct authenticator *authenticator_new(const struct authenticator_config *config)
{
	assert(config->n_external <= AUTHENTICATOR_MAX_ISSUERS);
	struct authenticator *a = xnew(struct authenticator);
	a->config = *config;
	a->jwts = jwt_cache_new(
		config->jwt_cache_entries ? config->jwt_cache_entries : DEFAULT_JWT_CACHE_ENTRIES);
	return a;
}

void authenticator_free(struct authenticator *a)
{
	if (!a)
		return;
	jwt_cache_free(a->jwts);
	free(a);
}

void auth_outcome_done(struct auth_outcome *o)
{
	token_unref(o->principal.token);
	jwt_unref(o->jwt);
	o->principal.token = NULL;
	o->jwt = NULL;
}

static void refuse(struct auth_outcome *o, const char *reason)
{
	*o = (struct auth_outcome){
		.status = status_error(STATUS_UNAUTHENTICATED, AUTH_INVALID_CREDENTIAL),
		.reason = reason};
}

/* --- What a credential says by itself --- */

/* The token that a credential is, or was made from; still to be looked up. */
struct lookup {
	struct token_hash hash; /* of an access token ... */
	struct jwt *jwt;        /* ... or a JWT of ours: a reference */
};

static enum cache_result look(
	const struct authenticator *a, const struct lookup *l, struct token **ret)
{
	struct token_lookup *tokens = a->config.tokens;
	if (!l->jwt)
		return token_lookup_try_hash(tokens, &l->hash, ret);
	return token_lookup_try_name(
		tokens, l->jwt->token_kind, l->jwt->user, l->jwt->token_name, ret);
}

static void ask_store(const struct authenticator *a, const struct lookup *l,
	struct store_waiter waiter, store_token_fn *done)
{
	struct token_lookup *tokens = a->config.tokens;
	if (!l->jwt)
		token_lookup_by_hash(tokens, &l->hash, waiter, done);
	else
		token_lookup_by_name(
			tokens, l->jwt->token_kind, l->jwt->user, l->jwt->token_name, waiter, done);
}

/* Who is believed at the moment, and by which keys. */
struct trust {
	struct jwt_issuer issuers[1 + AUTHENTICATOR_MAX_ISSUERS];
	struct keyring_state *states[1 + AUTHENTICATOR_MAX_ISSUERS];
	size_t n;
	uint64_t generation; /* as trusted_generation has it */
};

static void trust_done(struct trust *t)
{
	for (size_t i = 0; i < t->n; i++)
		keyring_state_unref(t->states[i]);
}

/* @issuer is left out while its ring has no keys yet. */
static void trust_add(struct trust *t, const struct jwt_issuer *issuer, struct keyring *ring)
{
	struct keyring_state *state = keyring_get(ring);
	if (!state)
		return;
	t->issuers[t->n] = *issuer;
	t->issuers[t->n].keys = &state->trusted;
	t->states[t->n++] = state;
	t->generation += state->generation;
}

static void trust_init(struct trust *t, const struct authenticator_config *c)
{
	const struct jwt_issuer ours = {.issuer = c->issuer,
		.audience = c->audience,
		.user_claim = STR("unique_name"),
		.leeway_s = OUR_LEEWAY_S,
		.ours = true};
	t->n = 0;
	t->generation = 0;
	trust_add(t, &ours, c->keyring);
	for (size_t i = 0; i < c->n_external; i++)
		trust_add(t, &c->external[i].issuer, c->external[i].keys);
}

/* Grows whenever one of the rings changes. */
static uint64_t trusted_generation(const struct authenticator_config *c)
{
	uint64_t sum = keyring_generation(c->keyring);
	for (size_t i = 0; i < c->n_external; i++)
		sum += keyring_generation(c->external[i].keys);
	return sum;
}

/* A JWT whose signature and claims are good, from the cache or checked now. */
static enum jwt_fault check_jwt(
	struct authenticator *a, struct str text, struct unix_time now, struct jwt **ret)
{
	struct jwt_cache_key key = jwt_cache_key_of(text);
	struct jwt *known = jwt_cache_get(a->jwts, &key, trusted_generation(&a->config));
	if (known) {
		enum jwt_fault fault = jwt_check_time(known, now);
		if (fault == JWT_VALID)
			*ret = known;
		else
			jwt_unref(known);
		return fault;
	}
	_cleanup_(trust_done) struct trust trust;
	trust_init(&trust, &a->config);
	enum jwt_fault fault = jwt_check(text, trust.issuers, trust.n, now, ret);
	if (fault == JWT_VALID)
		jwt_cache_put(a->jwts, &key, trust.generation, *ret);
	return fault;
}

/* The word of another issuer is enough. */
static void accept_external(struct auth_outcome *o, struct jwt *_takes_jwt)
{
	*o = (struct auth_outcome){.jwt = _takes_jwt};
	o->principal = (struct principal){.kind = PRINCIPAL_USER,
		.name = _takes_jwt->user,
		.roles = _takes_jwt->roles,
		.n_roles = _takes_jwt->n_roles,
		.method = AUTH_JWT};
}

/* True: *@ret_outcome is filled in; false: *@ret_lookup is, and its JWT is the caller's. */
static bool decide_alone(struct authenticator *a, struct str credential, struct unix_time now,
	struct auth_outcome *ret_outcome, struct lookup *ret_lookup)
{
	*ret_lookup = (struct lookup){.jwt = NULL};
	if (token_secret_is_well_formed(credential)) {
		ret_lookup->hash = token_secret_hash(credential);
		return false;
	}
	struct jwt *jwt = NULL;
	enum jwt_fault fault = check_jwt(a, credential, now, &jwt);
	if (fault != JWT_VALID) {
		refuse(ret_outcome, jwt_fault_name(fault));
		return true;
	}
	if (!jwt->ours) {
		accept_external(ret_outcome, jwt);
		return true;
	}
	ret_lookup->jwt = jwt;
	return false;
}

/* --- What its token says --- */

static void judge(
	const struct lookup *l, struct token *token, struct unix_time now, struct auth_outcome *o)
{
	if (!token) {
		refuse(o, "unknown_token");
		return;
	}
	if (l->jwt) {
		if (!jwt_token_ref_is_good(&l->jwt->token_ref, token, now)) {
			refuse(o, "replaced_token");
			return;
		}
	} else if (!token_opens_with(token, &l->hash, now)) {
		refuse(o, "unknown_token");
		return;
	}
	if (token_expired(token, now)) {
		refuse(o, "expired_token");
		return;
	}
	o->status = status_ok();
	o->reason = NULL;
	o->jwt = NULL;
	o->principal = (struct principal){
		.kind = token->fields.kind == TOKEN_SERVICE ? PRINCIPAL_SERVICE : PRINCIPAL_USER,
		.name = token->fields.owner,
		.roles = token->fields.roles,
		.n_roles = token->fields.n_roles,
		.method = l->jwt ? AUTH_JWT : AUTH_ACCESS_TOKEN,
		.token = token_ref(token),
	};
}

bool authenticator_try(struct authenticator *a, struct str credential, struct auth_outcome *ret)
{
	struct unix_time now = clock_now(a->config.clock);
	struct lookup lookup;
	if (decide_alone(a, credential, now, ret, &lookup))
		return true;
	struct token *token = NULL;
	enum cache_result known = look(a, &lookup, &token);
	if (known != CACHE_MISS)
		judge(&lookup, token, now, ret);
	token_unref(token);
	jwt_unref(lookup.jwt);
	return known != CACHE_MISS;
}

/* --- With the store --- */

struct check {
	struct authenticator *a;
	void *arg;
	auth_done_fn *done;
	struct lookup lookup;
	struct auth_outcome outcome;
	struct loop_task task;
};

static void finish(struct check *check)
{
	check->done(check->arg, &check->outcome);
	auth_outcome_done(&check->outcome);
	jwt_unref(check->lookup.jwt);
	free(check);
}

static void run_finish(struct loop_task *task)
{
	finish(container_of(task, struct check, task));
}

static void on_found(void *arg, const struct status *status, struct token *token)
{
	struct check *check = arg;
	if (status_is_ok(status) || status->code == STATUS_NOT_FOUND)
		judge(&check->lookup, status_is_ok(status) ? token : NULL,
			clock_now(check->a->config.clock), &check->outcome);
	else
		check->outcome = (struct auth_outcome){.status = *status, .reason = "store"};
	finish(check);
}

void authenticator_check(struct authenticator *a, struct str credential, struct store_waiter waiter,
	auth_done_fn *done)
{
	struct check *check = xnew(struct check);
	check->a = a;
	check->arg = waiter.arg;
	check->done = done;
	if (decide_alone(
		    a, credential, clock_now(a->config.clock), &check->outcome, &check->lookup)) {
		check->task.run = run_finish;
		loop_post(waiter.home, &check->task);
		return;
	}
	waiter.arg = check;
	ask_store(a, &check->lookup, waiter, on_found);
}
