/* SPDX-License-Identifier: Apache-2.0 */
#include "service/domain/token.h"

#include "common/base/base64.h" /* hex_value */
#include "common/base/sha256.h"
#include "common/base/xalloc.h"

#include <string.h>
#include <zlib.h>

const char *token_kind_name(enum token_kind kind)
{
	return kind == TOKEN_SERVICE ? "SERVICE" : "USER";
}

/* Appends a NUL-terminated copy of @s at *@at and moves it on. */
static struct str pack_text(char **at, struct str s)
{
	struct str copy = {*at, s.n};
	if (s.n)
		memcpy(*at, s.p, s.n);
	(*at)[s.n] = '\0';
	*at += s.n + 1;
	return copy;
}

struct token *token_new(const struct token_fields *f)
{
	/* One block: the struct, the array of roles, then the texts. */
	size_t texts = f->owner.n + f->name.n + f->description.n + f->last_used_from.n + 4;
	for (size_t i = 0; i < f->n_roles; i++)
		texts += f->roles[i].n + 1;
	size_t bytes = sizeof(struct token) + f->n_roles * sizeof(struct str) + texts;

	struct token *t = xmalloc(bytes);
	struct str *roles = (struct str *)(t + 1);
	char *at = (char *)(roles + f->n_roles);
	t->fields = *f;
	t->bytes = bytes;
	atomic_init(&t->refs_, 1);
	atomic_init(&t->use_noted_us_, f->last_used.us);
	t->fields.owner = pack_text(&at, f->owner);
	t->fields.name = pack_text(&at, f->name);
	t->fields.description = pack_text(&at, f->description);
	t->fields.last_used_from = pack_text(&at, f->last_used_from);
	for (size_t i = 0; i < f->n_roles; i++)
		roles[i] = pack_text(&at, f->roles[i]);
	t->fields.roles = roles;
	return t;
}

struct token *token_ref(struct token *t)
{
	atomic_fetch_add_explicit(&t->refs_, 1, memory_order_relaxed);
	return t;
}

void token_unref(struct token *t)
{
	if (t && atomic_fetch_sub_explicit(&t->refs_, 1, memory_order_acq_rel) == 1)
		free(t);
}

bool token_expired(const struct token *t, struct unix_time now)
{
	return now.us >= date_start(t->fields.expires).us;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9');
}

struct status token_name_check(struct str name)
{
	if (name.n > TOKEN_NAME_MAX_BYTES)
		return status_invalid("name", "Token name must be at most %d bytes long, got %zu",
			TOKEN_NAME_MAX_BYTES, name.n);
	bool ok = name.n && is_letter(name.p[0]) && is_alnum(name.p[name.n - 1]);
	for (size_t i = 0; ok && i < name.n; i++)
		ok = is_alnum(name.p[i]) || name.p[i] == '_' || name.p[i] == '-';
	if (!ok)
		return status_invalid("name",
			"Token name %.*s must match regex ^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$",
			STR_ARG(name));
	return status_ok();
}

struct status token_expiry_parse(const char *field, struct str text, struct unix_time now,
	int32_t max_lifetime_days, const char *max_lifetime_text, struct date *ret)
{
	struct date today = date_of(now), date;
	if (!date_parse(text, &date))
		return status_invalid(field,
			"Invalid date format %.*s. Date must be in YYYY-MM-DD format (e.g. "
			"2025-12-31)",
			STR_ARG(text));
	if (date.days <= today.days) {
		char current[DATE_TEXT_BYTES];
		date_format(today, current);
		return status_invalid(
			field, "Expiration date must be past the current date (%s)", current);
	}
	if (date.days - today.days > max_lifetime_days)
		return status_invalid(
			field, "Access token cannot last longer than %s", max_lifetime_text);
	*ret = date;
	return status_ok();
}

struct status token_description_check(struct str description)
{
	if (description.n > TOKEN_DESCRIPTION_MAX_BYTES)
		return status_invalid("description",
			"Description must be at most %d bytes long, got %zu",
			TOKEN_DESCRIPTION_MAX_BYTES, description.n);
	if (!str_is_utf8(description) ||
		memchr(description.p ? description.p : "", '\0', description.n))
		return status_invalid("description", "Description must be UTF-8 text without NUL");
	return status_ok();
}

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const struct str prefix = {"osmo_", 5};
enum {
	SECRET_BYTES = 32,
	SECRET_DIGITS = 43,
	CHECKSUM_DIGITS = 6
};

/* The big-endian number @bytes in base 62, with leading zeros; destroys @bytes. */
static void encode_base62(uint8_t *bytes, size_t n, char *ret, size_t digits)
{
	for (size_t d = digits; d-- > 0;) {
		unsigned remainder = 0;
		for (size_t i = 0; i < n; i++) {
			unsigned value = remainder << 8 | bytes[i];
			bytes[i] = (uint8_t)(value / 62);
			remainder = value % 62;
		}
		ret[d] = base62[remainder];
	}
}

static void checksum(const char *text, size_t n, char ret[CHECKSUM_DIGITS])
{
	uint32_t crc = (uint32_t)crc32(0, (const Bytef *)text, (uInt)n);
	uint8_t bytes[4] = {
		(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
	encode_base62(bytes, sizeof bytes, ret, CHECKSUM_DIGITS);
}

struct secret token_secret_of_bytes(const uint8_t bytes[TOKEN_SECRET_BYTES])
{
	char text[TOKEN_SECRET_CHARS];
	uint8_t number[SECRET_BYTES];
	memcpy(number, bytes, sizeof number);
	memcpy(text, prefix.p, prefix.n);
	encode_base62(number, sizeof number, text + prefix.n, SECRET_DIGITS);
	checksum(text, prefix.n + SECRET_DIGITS, text + prefix.n + SECRET_DIGITS);
	struct secret secret = secret_of((struct str){text, sizeof text});
	secret_wipe(text, sizeof text);
	secret_wipe(number, sizeof number);
	return secret;
}

struct secret token_secret_mint(const struct random *random)
{
	uint8_t bytes[SECRET_BYTES];
	random_bytes(random, bytes, sizeof bytes);
	struct secret secret = token_secret_of_bytes(bytes);
	secret_wipe(bytes, sizeof bytes);
	return secret;
}

static bool is_ours(struct str s)
{
	if (s.n != TOKEN_SECRET_CHARS || !str_starts_with(s, prefix))
		return false;
	for (size_t i = prefix.n; i < s.n; i++)
		if (!is_alnum(s.p[i]))
			return false;
	char sum[CHECKSUM_DIGITS];
	checksum(s.p, prefix.n + SECRET_DIGITS, sum);
	return memcmp(sum, s.p + prefix.n + SECRET_DIGITS, sizeof sum) == 0;
}

static bool is_hex(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (hex_value(s.p[i]) < 0)
			return false;
	return true;
}

bool token_secret_is_well_formed(struct str secret)
{
	return is_ours(secret) || (secret.n == 64 && is_hex(secret));
}

/* How many characters from @at on are letters or digits. */
static size_t run_of(struct str text, size_t at)
{
	size_t n = 0;
	while (at + n < text.n && is_alnum(text.p[at + n]))
		n++;
	return n;
}

size_t token_secret_find(struct str text, size_t at, size_t *ret_n)
{
	enum {
		TELLING_CHARS = 16 /* of one that was cut off */
	};
	for (size_t n; at < text.n; at += n ? n : 1) {
		uint8_t bytes[32];
		n = run_of(text, at);
		struct str run = str_sub(text, at, n);
		if (n == 2 * sizeof bytes && hex_decode(run, bytes, sizeof bytes)) {
			*ret_n = n;
			return at;
		}
		/* "osmo", "_", and the rest */
		bool is_prefix =
			n >= prefix.n - 1 &&
			str_starts_with(str_sub(text, at + n - (prefix.n - 1), text.n), prefix);
		size_t rest = is_prefix ? run_of(text, at + n + 1) : 0;
		if (rest >= TELLING_CHARS) {
			*ret_n = prefix.n + rest;
			return at + n - (prefix.n - 1);
		}
	}
	return text.n;
}

struct token_hash token_secret_hash(struct str secret)
{
	struct token_hash hash;
	sha256(secret, hash.bytes);
	return hash;
}

bool token_hash_eq(const struct token_hash *a, const struct token_hash *b)
{
	return secret_eq((struct str){(const char *)a->bytes, sizeof a->bytes},
		(struct str){(const char *)b->bytes, sizeof b->bytes});
}

bool token_opens_with(const struct token *t, const struct token_hash *hash, struct unix_time now)
{
	const struct token_fields *f = &t->fields;
	if (token_hash_eq(&f->hash, hash))
		return true;
	return now.us < f->old_until.us && token_hash_eq(&f->old_hash, hash);
}

bool token_note_use(struct token *t, struct unix_time now, int64_t apart_us)
{
	int64_t noted = atomic_load_explicit(&t->use_noted_us_, memory_order_relaxed);
	return now.us - noted >= apart_us &&
	       atomic_compare_exchange_strong_explicit(&t->use_noted_us_, &noted, now.us,
		       memory_order_relaxed, memory_order_relaxed);
}

bool token_is_unchanged(const struct token_fields *a, const struct token_fields *b)
{
	bool same = token_hash_eq(&a->hash, &b->hash) && str_eq(a->description, b->description) &&
		    a->expires.days == b->expires.days && a->n_roles == b->n_roles;
	for (size_t i = 0; same && i < a->n_roles; i++)
		same = str_eq(a->roles[i], b->roles[i]);
	return same;
}
