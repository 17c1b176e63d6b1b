/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/jwt.h"

#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/sha256.h"
#include "common/base/xalloc.h"
#include "service/domain/principal.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <math.h>
#include <openssl/err.h>
#include <string.h>

/* --- What both sides share --- */

/* Behind the reference, which is the first half of a jti. */
enum {
	JTI_RANDOM_BYTES = 16,
	JTI_BYTES = JWT_TOKEN_REF_BYTES + JTI_RANDOM_BYTES
};

struct jwt_token_ref jwt_token_ref_of(const struct token_hash *of)
{
	/* Of the hash, not of the secret: whoever sees a JWT learns nothing to look up a token by.
	 */
	static const char domain[] = "osmo jwt token ref v1";
	char text[sizeof domain + TOKEN_HASH_BYTES];
	memcpy(text, domain, sizeof domain);
	memcpy(text + sizeof domain, of->bytes, TOKEN_HASH_BYTES);
	uint8_t hash[SHA256_BYTES];
	sha256((struct str){text, sizeof text}, hash);
	struct jwt_token_ref ref;
	memcpy(ref.bytes, hash, sizeof ref.bytes);
	return ref;
}

bool jwt_token_ref_is_good(
	const struct jwt_token_ref *ref, const struct token *token, struct unix_time now)
{
	const struct token_fields *f = &token->fields;
	struct jwt_token_ref wanted = jwt_token_ref_of(&f->hash);
	if (jwt_token_ref_eq(ref, &wanted))
		return true;
	if (now.us >= f->old_until.us)
		return false;
	wanted = jwt_token_ref_of(&f->old_hash);
	return jwt_token_ref_eq(ref, &wanted);
}

bool jwt_token_ref_eq(const struct jwt_token_ref *a, const struct jwt_token_ref *b)
{
	return secret_eq((struct str){(const char *)a->bytes, sizeof a->bytes},
		(struct str){(const char *)b->bytes, sizeof b->bytes});
}

static json_t *json_of(struct str s)
{
	return json_stringn(s.n ? s.p : "", s.n);
}

static struct str text_of(const json_t *value)
{
	return (struct str){json_string_value(value), json_string_length(value)};
}

/* --- Making --- */

static json_t *make_jti(const struct token_hash *secret, const struct random *random)
{
	uint8_t id[JTI_BYTES];
	struct jwt_token_ref ref = jwt_token_ref_of(secret);
	memcpy(id, ref.bytes, sizeof ref.bytes);
	random_bytes(random, id + sizeof ref.bytes, JTI_RANDOM_BYTES);
	_cleanup_buf_ struct buf text;
	buf_init(&text, 64);
	base64_encode(&text, BASE64_URL, id, sizeof id);
	return json_of(buf_str(&text));
}

/* jansson keeps the order in which members were set. NULL if a text is not UTF-8. */
static char *make_claims(struct str issuer, struct str audience, const struct token *token,
	const struct token_hash *secret, int64_t now_s, int64_t expires_s,
	const struct random *random)
{
	const struct token_fields *f = &token->fields;
	json_t *claims = json_object(), *roles = json_array();
	int failed = 0;
	for (size_t i = 0; i < f->n_roles; i++)
		failed |= json_array_append_new(roles, json_of(f->roles[i]));
	failed |= json_object_set_new(claims, "iss", json_of(issuer));
	failed |= json_object_set_new(claims, "aud", json_of(audience));
	failed |= json_object_set_new(claims, "iat", json_integer(now_s));
	failed |= json_object_set_new(claims, "nbf", json_integer(now_s));
	failed |= json_object_set_new(claims, "exp", json_integer(expires_s));
	failed |= json_object_set_new(claims, "unique_name", json_of(f->owner));
	failed |= json_object_set_new(claims, "roles", roles);
	failed |= json_object_set_new(claims, "jti", make_jti(secret, random));
	failed |= json_object_set_new(claims, "osmo_token_name", json_of(f->name));
	failed |= json_object_set_new(
		claims, "osmo_token_kind", json_string(token_kind_name(f->kind)));
	char *text = failed ? NULL : json_dumps(claims, JSON_COMPACT);
	json_decref(claims);
	return text;
}

/* The compact form, or an empty secret if the library failed. */
static struct secret sign(const struct jwt_key *key, const char *claims)
{
	cjose_err error;
	struct secret text = {NULL, 0};
	cjose_header_t *header = cjose_header_new(&error);
	if (!header)
		return text;
	const struct jwt_public_key *public = jwt_key_public(key);
	cjose_jws_t *jws = NULL;
	char *kid = str_dup(public->kid);
	if (cjose_header_set(header, CJOSE_HDR_ALG, public->alg.p, &error) &&
		cjose_header_set(header, "typ", "JWT", &error) &&
		cjose_header_set(header, CJOSE_HDR_KID, kid, &error))
		jws = cjose_jws_sign(jwt_key_cjose(key), header, (const uint8_t *)claims,
			strlen(claims), &error);
	const char *compact;
	if (jws && cjose_jws_export(jws, &compact, &error))
		text = secret_of(str_of(compact));
	free(kid);
	cjose_jws_release(jws);
	cjose_header_release(header);
	return text;
}

struct status jwt_make(const struct jwt_key *key, struct str issuer, struct str audience,
	const struct token *token, const struct token_hash *secret, struct unix_time now,
	const struct random *random, struct jwt_made *ret)
{
	const struct token_fields *f = &token->fields;
	bool is_old = secret && !token_hash_eq(secret, &f->hash);
	struct unix_time token_end = date_start(f->expires);
	if (is_old && f->old_until.us < token_end.us)
		token_end = f->old_until;
	int64_t now_s = unix_time_s(now), token_end_s = unix_time_s(token_end);
	int64_t expires_s =
		now_s + JWT_LIFETIME_S < token_end_s ? now_s + JWT_LIFETIME_S : token_end_s;
	char *claims = make_claims(issuer, audience, token, is_old ? &f->old_hash : &f->hash, now_s,
		expires_s, random);
	if (!claims)
		return status_error(STATUS_INTERNAL, "the claims of a JWT are no UTF-8");
	struct secret text = sign(key, claims);
	free(claims);
	if (!text.p) {
		ERR_clear_error();
		return status_error(STATUS_INTERNAL, "a JWT could not be signed");
	}
	if (text.n > JWT_MAX_BYTES) {
		secret_done(&text);
		return status_error(STATUS_FAILED_PRECONDITION,
			"the roles of token %.*s do not fit into a JWT of %d bytes",
			STR_ARG(token->fields.name), JWT_MAX_BYTES);
	}
	*ret = (struct jwt_made){.text = text, .expires = unix_time_from_s(expires_s)};
	return status_ok();
}

/* --- Checking --- */

const char *jwt_fault_name(enum jwt_fault fault)
{
	switch (fault) {
	case JWT_VALID:
		return "valid";
	case JWT_MALFORMED:
		return "malformed";
	case JWT_UNKNOWN_ISSUER:
		return "unknown_issuer";
	case JWT_UNKNOWN_KEY:
		return "unknown_key";
	case JWT_BAD_SIGNATURE:
		return "bad_signature";
	case JWT_WRONG_AUDIENCE:
		return "wrong_audience";
	case JWT_NOT_YET_VALID:
		return "not_yet_valid";
	case JWT_EXPIRED:
		return "expired";
	case JWT_BAD_CLAIMS:
		return "bad_claims";
	}
	return "";
}

static bool is_base64url(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_'))
			return false;
	}
	return s.n > 0 && s.n % 4 != 1;
}

enum part {
	HEADER,
	CLAIMS,
	SIGNATURE,
	PARTS
};

static bool split(struct str compact, struct str parts[PARTS])
{
	if (compact.n > JWT_MAX_BYTES)
		return false;
	struct str rest = compact;
	for (size_t i = 0; i < PARTS; i++)
		if (!str_split(&rest, '.', &parts[i]) || !is_base64url(parts[i]))
			return false;
	return rest.p == NULL;
}

bool jwt_is_well_formed(struct str compact)
{
	struct str parts[PARTS];
	return split(compact, parts);
}

/* The object that a part is the text of, or NULL. */
static json_t *decode_object(struct str part)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, JWT_MAX_BYTES);
	if (!base64_decode(&text, part))
		return NULL;
	json_t *object = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(object))
		return object;
	json_decref(object);
	return NULL;
}

/* RFC 8725, 3.11: a JWT of another kind (a logout token, a security event) is not for us. */
static bool typ_is_ours(const json_t *header)
{
	const json_t *typ = json_object_get(header, "typ");
	if (!typ)
		return true;
	struct str name = text_of(typ);
	if (name.n > 12 && str_eq_nocase(str_sub(name, 0, 12), STR("application/")))
		name = str_sub(name, 12, name.n);
	return str_eq_nocase(name, STR("JWT")) || str_eq_nocase(name, STR("at+jwt"));
}

/* A header that is understood whole: nothing critical that we do not know (RFC 7515, 4.1.11), no
 * JWT inside a JWT, no unencoded payload. */
static bool header_is_understood(const json_t *header)
{
	const json_t *kid = json_object_get(header, "kid");
	if (kid && (!json_string_length(kid) || json_string_length(kid) > JWT_KEY_ID_MAX_BYTES))
		return false;
	return json_is_string(json_object_get(header, "alg")) && typ_is_ours(header) &&
	       !json_object_get(header, "crit") && !json_object_get(header, "cty") &&
	       !json_object_get(header, "b64");
}

static const struct jwt_issuer *find_issuer(
	const struct jwt_issuer *issuers, size_t n, const json_t *claims)
{
	const json_t *iss = json_object_get(claims, "iss");
	for (size_t i = 0; iss && i < n; i++)
		if (str_eq(issuers[i].issuer, text_of(iss)))
			return &issuers[i];
	return NULL;
}

/* The issuer's key that the header names, if the header's algorithm is the key's own. Without a kid
 * it is the issuer's only key of that algorithm. */
static const struct jwt_key *find_key(const struct jwt_issuer *issuer, const json_t *header)
{
	enum jwt_algorithm algorithm;
	if (!jwt_algorithm_from_name(text_of(json_object_get(header, "alg")), &algorithm))
		return NULL;
	const json_t *kid = json_object_get(header, "kid");
	if (kid) {
		const struct jwt_key *key = jwt_keys_find(issuer->keys, text_of(kid));
		return key && jwt_key_algorithm(key) == algorithm ? key : NULL;
	}
	const struct jwt_key *only = NULL;
	for (size_t i = 0; i < issuer->keys->n; i++) {
		if (jwt_key_algorithm(issuer->keys->keys[i]) != algorithm)
			continue;
		if (only)
			return NULL;
		only = issuer->keys->keys[i];
	}
	return only;
}

static bool signature_is_good(struct str compact, struct str signature, const struct jwt_key *key)
{
	/* cjose halves whatever it is given, so that the length of r and s is ours to check. */
	_cleanup_buf_ struct buf bytes;
	buf_init(&bytes, JWT_MAX_BYTES);
	if (!base64_decode(&bytes, signature) || bytes.n != jwt_key_signature_bytes(key))
		return false;
	cjose_err error;
	cjose_jws_t *jws = cjose_jws_import(compact.p, compact.n, &error);
	bool good = jws && cjose_jws_verify(jws, jwt_key_cjose(key), &error);
	cjose_jws_release(jws);
	if (!good)
		ERR_clear_error();
	return good;
}

static bool audience_has(const json_t *aud, struct str wanted)
{
	if (json_is_string(aud))
		return str_eq(text_of(aud), wanted);
	bool found = false;
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const json_t *one = json_array_get(aud, i);
		if (!json_is_string(one))
			return false;
		found = found || str_eq(text_of(one), wanted);
	}
	return found;
}

/* A NumericDate: seconds since 1970, whole or not, up to the year 9999. */
static bool get_time(const json_t *claims, const char *name, bool round_up, struct unix_time *ret)
{
	static const double limit = 253402300799;
	const json_t *value = json_object_get(claims, name);
	if (!json_is_number(value))
		return false;
	double s = json_number_value(value);
	if (!(s >= 0 && s <= limit))
		return false;
	*ret = unix_time_from_s((int64_t)(round_up ? ceil(s) : floor(s)));
	return true;
}

/* Reads nbf and iat, of which the later one counts, and exp. */
static bool get_times(const json_t *claims, const struct jwt_issuer *issuer, struct jwt *ret)
{
	struct unix_time from = {0}, issued = {0};
	if (!get_time(claims, "exp", false, &ret->expires))
		return false;
	bool has_nbf = json_object_get(claims, "nbf") != NULL;
	bool has_iat = json_object_get(claims, "iat") != NULL;
	if (issuer->ours && !(has_nbf && has_iat))
		return false;
	if ((has_nbf && !get_time(claims, "nbf", true, &from)) ||
		(has_iat && !get_time(claims, "iat", true, &issued)))
		return false;
	ret->valid_from.us =
		(issued.us > from.us ? issued.us : from.us) - (int64_t)issuer->leeway_s * US_PER_S;
	return true;
}

static bool is_name(const json_t *value)
{
	return principal_name_is_valid(text_of(value));
}

/* The claim of this name, or, where a dot is in it, a member of an object. */
static const json_t *find_claim(const json_t *claims, struct str path)
{
	const json_t *at = claims;
	struct str rest = path, name;
	const json_t *whole = json_object_getn(claims, path.p, path.n);
	if (whole)
		return whole;
	while (at && str_split(&rest, '.', &name))
		at = json_object_getn(at, name.p, name.n);
	return at;
}

/* The roles as a list: an array of texts, or one text with spaces between. */
static bool get_roles(const json_t *value, struct str roles[JWT_MAX_ROLES], size_t *ret_n)
{
	size_t n = 0;
	if (!value || json_is_null(value)) {
		*ret_n = 0;
		return true;
	}
	if (json_is_string(value)) {
		struct str rest = text_of(value), part;
		while (str_split(&rest, ' ', &part)) {
			if (!part.n)
				continue;
			if (n == JWT_MAX_ROLES || !principal_name_is_valid(part))
				return false;
			roles[n++] = part;
		}
		*ret_n = n;
		return true;
	}
	if (!json_is_array(value) || json_array_size(value) > JWT_MAX_ROLES)
		return false;
	for (; n < json_array_size(value); n++) {
		const json_t *role = json_array_get(value, n);
		if (!is_name(role))
			return false;
		roles[n] = text_of(role);
	}
	*ret_n = n;
	return true;
}

/* Which token one of ours was made from. */
static bool get_token(const json_t *claims, struct jwt *ret)
{
	const json_t *name = json_object_get(claims, "osmo_token_name");
	struct str kind = text_of(json_object_get(claims, "osmo_token_kind"));
	struct str jti = text_of(json_object_get(claims, "jti"));
	if (!is_name(name))
		return false;
	ret->token_name = text_of(name);
	if (str_eq(kind, STR("USER")))
		ret->token_kind = TOKEN_USER;
	else if (str_eq(kind, STR("SERVICE")))
		ret->token_kind = TOKEN_SERVICE;
	else
		return false;
	_cleanup_buf_ struct buf id;
	buf_init(&id, 64);
	if (!is_base64url(jti) || !base64_decode(&id, jti) || id.n != JTI_BYTES)
		return false;
	memcpy(ret->token_ref.bytes, id.p, sizeof ret->token_ref.bytes);
	return true;
}

static struct str copy_text(char **at, struct str s)
{
	struct str copy = {*at, s.n};
	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

/* A copy of @from and its texts in one block. */
static struct jwt *jwt_new(const struct jwt *from)
{
	size_t texts = from->user.n + from->token_name.n;
	for (size_t i = 0; i < from->n_roles; i++)
		texts += from->roles[i].n;
	size_t bytes = sizeof *from + from->n_roles * sizeof *from->roles + texts;
	struct jwt *jwt = xmalloc(bytes);
	struct str *roles = (struct str *)(jwt + 1);
	char *at = (char *)(roles + from->n_roles);
	memcpy(jwt, from, sizeof *jwt);
	jwt->bytes = bytes;
	atomic_init(&jwt->refs_, 1);
	jwt->roles = roles;
	for (size_t i = 0; i < from->n_roles; i++)
		roles[i] = copy_text(&at, from->roles[i]);
	jwt->user = copy_text(&at, from->user);
	jwt->token_name = copy_text(&at, from->token_name);
	return jwt;
}

static enum jwt_fault read_claims(const json_t *claims, const struct jwt_issuer *issuer,
	struct unix_time now, struct jwt **ret)
{
	struct jwt jwt = {.ours = issuer->ours};
	struct str roles[JWT_MAX_ROLES];
	if (!audience_has(json_object_get(claims, "aud"), issuer->audience))
		return JWT_WRONG_AUDIENCE;
	if (!get_times(claims, issuer, &jwt))
		return JWT_BAD_CLAIMS;
	enum jwt_fault fault = jwt_check_time(&jwt, now);
	if (fault != JWT_VALID)
		return fault;
	const json_t *user = find_claim(claims, issuer->user_claim);
	if (!is_name(user))
		return JWT_BAD_CLAIMS;
	jwt.user = text_of(user);
	if (issuer->ours && !get_token(claims, &jwt))
		return JWT_BAD_CLAIMS;
	if (!issuer->ours && issuer->roles_claim.n) {
		if (!get_roles(find_claim(claims, issuer->roles_claim), roles, &jwt.n_roles))
			return JWT_BAD_CLAIMS;
		jwt.roles = roles;
	}
	*ret = jwt_new(&jwt);
	return JWT_VALID;
}

static enum jwt_fault check_decoded(struct str compact, struct str signature, const json_t *header,
	const json_t *claims, const struct jwt_issuer *issuers, size_t n_issuers,
	struct unix_time now, struct jwt **ret)
{
	if (!header_is_understood(header))
		return JWT_MALFORMED;
	const struct jwt_issuer *issuer = find_issuer(issuers, n_issuers, claims);
	if (!issuer)
		return JWT_UNKNOWN_ISSUER;
	const struct jwt_key *key = find_key(issuer, header);
	if (!key)
		return JWT_UNKNOWN_KEY;
	if (!signature_is_good(compact, signature, key))
		return JWT_BAD_SIGNATURE;
	return read_claims(claims, issuer, now, ret);
}

enum jwt_fault jwt_check(struct str compact, const struct jwt_issuer *issuers, size_t n_issuers,
	struct unix_time now, struct jwt **ret)
{
	struct str parts[PARTS];
	if (!split(compact, parts))
		return JWT_MALFORMED;
	json_t *header = decode_object(parts[HEADER]);
	json_t *claims = header ? decode_object(parts[CLAIMS]) : NULL;
	enum jwt_fault fault = JWT_MALFORMED;
	if (claims)
		fault = check_decoded(
			compact, parts[SIGNATURE], header, claims, issuers, n_issuers, now, ret);
	json_decref(claims);
	json_decref(header);
	return fault;
}

enum jwt_fault jwt_check_time(const struct jwt *jwt, struct unix_time now)
{
	if (now.us >= jwt->expires.us) /* RFC 7519, 4.1.4: on or after */
		return JWT_EXPIRED;
	return now.us < jwt->valid_from.us ? JWT_NOT_YET_VALID : JWT_VALID;
}

struct jwt *jwt_ref(struct jwt *jwt)
{
	atomic_fetch_add_explicit(&jwt->refs_, 1, memory_order_relaxed);
	return jwt;
}

void jwt_unref(struct jwt *jwt)
{
	if (jwt && atomic_fetch_sub_explicit(&jwt->refs_, 1, memory_order_acq_rel) == 1)
		free(jwt);
}
