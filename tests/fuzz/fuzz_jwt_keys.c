/* SPDX-License-Identifier: Apache-2.0 */
/* A file of keys, PEM or JWK, and what the store keeps of ours: keys that are taken have one of two
 * algorithms and an id of their own, and are read back from what they are written as. In the input
 * `@` and `#` stand for a private and a public key, so that no real one is in the corpus. */
#include "service/auth/jwt_key.h"
#include "service/auth/key_record.h"
#include "tests/fuzz/must.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(const struct jwt_keys *keys, size_t i)
{
	struct jwt_key *key = keys->keys[i];
	struct str kid = jwt_key_id(key);
	MUST(kid.n && kid.n <= JWT_KEY_ID_MAX_BYTES && jwt_keys_find(keys, kid) == key);
	const enum jwt_algorithm algorithm = jwt_key_algorithm(key);
	MUST(algorithm == JWT_ES256 || algorithm == JWT_RS256);
	for (int private = 0; private <= jwt_key_is_private(key); private ++) {
		struct secret text = jwt_key_export(key, private);
		_cleanup_jwt_keys_ struct jwt_keys again = {.n = 0};
		struct status s = jwt_keys_parse(secret_str(&text), &again);
		MUST(status_is_ok(&s) && again.n == 1);
		MUST(str_eq(jwt_key_id(again.keys[0]), kid));
		MUST(jwt_key_is_private(again.keys[0]) == private);
		MUST(jwt_key_algorithm(again.keys[0]) == algorithm);
		secret_done(&text);
	}
}

static void check_record(struct str text)
{
	struct key_record r = {.n_retired = 0}, again = {.n_retired = 0};
	struct status s = key_record_parse(text, &r);
	if (!status_is_ok(&s)) {
		MUST(s.code == STATUS_DATA_LOSS && s.message[0]);
		return;
	}
	_cleanup_buf_ struct buf out, out_again;
	buf_init(&out, KEY_RECORD_MAX_BYTES);
	buf_init(&out_again, KEY_RECORD_MAX_BYTES);
	key_record_format(&r, &out);
	s = key_record_parse(buf_str(&out), &again);
	MUST(status_is_ok(&s) && again.n_retired == r.n_retired);
	key_record_format(&again, &out_again);
	MUST(str_eq(buf_str(&out), buf_str(&out_again)));
	key_record_done(&r);
	key_record_done(&again);
}

static struct secret private_key, public_key;

static void insert_keys(struct str text, struct buf *out)
{
	if (!private_key.p) {
		struct jwt_key *key = jwt_key_generate(JWT_ES256);
		private_key = jwt_key_export(key, true);
		public_key = jwt_key_export(key, false);
		jwt_key_unref(key);
	}
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '@')
			buf_append_str(out, secret_str(&private_key));
		else if (text.p[i] == '#')
			buf_append_str(out, secret_str(&public_key));
		else
			buf_append_char(out, text.p[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf input;
	buf_init(&input, 4 << 20);
	insert_keys((struct str){(const char *)data, size}, &input);
	const struct str text = buf_str(&input);
	struct jwt_keys keys = {.n = 0};
	struct status s = jwt_keys_parse(text, &keys);
	if (status_is_ok(&s)) {
		MUST(keys.n > 0 && keys.n <= JWT_KEYS_MAX);
		for (size_t i = 0; i < keys.n; i++)
			check_key(&keys, i);
		jwt_keys_done(&keys);
	} else {
		MUST(s.code == STATUS_INVALID_ARGUMENT && s.message[0] && !keys.n);
	}
	check_record(text);
	return 0;
}
