/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/key_record.h"

#include "common/base/secret.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct key_record_key key_of(struct jwt_key *key, int64_t since_s)
{
	return (struct key_record_key){key, since_s};
}

void key_record_init(struct key_record *r, struct jwt_key *_takes_current,
	struct jwt_key *_takes_next, int64_t now_s)
{
	*r = (struct key_record){
		.current = key_of(_takes_current, now_s), .next = key_of(_takes_next, now_s)};
}

void key_record_done(struct key_record *r)
{
	jwt_key_unref(r->current.key);
	jwt_key_unref(r->next.key);
	for (size_t i = 0; i < r->n_retired; i++)
		jwt_key_unref(r->retired[i].key);
	*r = (struct key_record){.n_retired = 0};
}

/* {"since":1800000000,"jwk":{...}} */
static void format_key(const struct key_record_key *k, bool private, struct buf *out)
{
	_cleanup_secret_ struct secret jwk = jwt_key_export(k->key, private);
	buf_printf(out, "{\"since\":%lld,\"jwk\":", (long long)k->since_s);
	buf_append_str(out, secret_str(&jwk));
	buf_append_char(out, '}');
}

void key_record_format(const struct key_record *r, struct buf *out)
{
	buf_append_str(out, STR("{\"version\":1,\"current\":"));
	format_key(&r->current, true, out);
	buf_append_str(out, STR(",\"next\":"));
	format_key(&r->next, true, out);
	buf_append_str(out, STR(",\"retired\":["));
	for (size_t i = 0; i < r->n_retired; i++) {
		if (i)
			buf_append_char(out, ',');
		format_key(&r->retired[i], false, out);
	}
	buf_append_str(out, STR("]}"));
}

/* Kept apart from the parser of key files: there, a key of no use is passed over. */
static bool parse_key(const json_t *object, bool private, struct key_record_key *ret)
{
	const json_t *since = json_object_get(object, "since");
	const json_t *jwk = json_object_get(object, "jwk");
	if (!json_is_integer(since) || !json_is_object(jwk))
		return false;
	char *text = json_dumps(jwk, JSON_COMPACT);
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
	struct status status = jwt_keys_parse(str_of(text), &keys);
	secret_free(text);
	if (!status_is_ok(&status) || keys.n != 1 || (private && !jwt_key_is_private(keys.keys[0])))
		return false;
	*ret = key_of(jwt_key_ref(keys.keys[0]), json_integer_value(since));
	return true;
}

static bool parse_record(const json_t *root, struct key_record *r)
{
	const json_t *retired = json_object_get(root, "retired");
	if (json_integer_value(json_object_get(root, "version")) != 1 ||
		!parse_key(json_object_get(root, "current"), true, &r->current) ||
		!parse_key(json_object_get(root, "next"), true, &r->next) ||
		!json_is_array(retired) || json_array_size(retired) > KEY_RECORD_MAX_RETIRED)
		return false;
	for (; r->n_retired < json_array_size(retired); r->n_retired++)
		if (!parse_key(json_array_get(retired, r->n_retired), false,
			    &r->retired[r->n_retired]))
			return false;
	return true;
}

struct status key_record_parse(struct str text, struct key_record *ret)
{
	_cleanup_key_record_ struct key_record r = {.n_retired = 0};
	json_t *root = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, NULL);
	bool ok = parse_record(root, &r);
	json_decref(root);
	if (!ok)
		return status_error(STATUS_DATA_LOSS,
			"they are damaged, or of a newer version of this service");
	*ret = r;
	r = (struct key_record){.n_retired = 0};
	return status_ok();
}

void key_record_expire(struct key_record *r, int64_t now_s)
{
	while (r->n_retired &&
		now_s - r->retired[r->n_retired - 1].since_s > KEY_RETIRED_LIFETIME_S)
		jwt_key_unref(r->retired[--r->n_retired].key);
}

struct status key_record_promote(
	struct key_record *r, struct jwt_key *_takes_new_next, int64_t now_s)
{
	key_record_expire(r, now_s);
	if (r->n_retired == KEY_RECORD_MAX_RETIRED) {
		jwt_key_unref(_takes_new_next);
		return status_error(STATUS_RESOURCE_EXHAUSTED,
			"the signing key was changed %d times within an hour; earlier keys are "
			"still needed",
			KEY_RECORD_MAX_RETIRED);
	}
	memmove(r->retired + 1, r->retired, r->n_retired * sizeof r->retired[0]);
	r->n_retired++;
	r->retired[0] = key_of(r->current.key, now_s);
	r->current = key_of(r->next.key, now_s);
	r->next = key_of(_takes_new_next, now_s);
	return status_ok();
}

void key_record_replace_next(struct key_record *r, struct jwt_key *_takes_new_next, int64_t now_s)
{
	jwt_key_unref(r->next.key);
	r->next = key_of(_takes_new_next, now_s);
}

void key_record_trusted(const struct key_record *r, struct jwt_keys *ret)
{
	*ret = (struct jwt_keys){.n = 0};
	jwt_keys_add(ret, r->current.key);
	jwt_keys_add(ret, r->next.key);
	for (size_t i = 0; i < r->n_retired; i++)
		jwt_keys_add(ret, r->retired[i].key);
}
