/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a Set, and secrets: a name that is taken needs no escaping anywhere, a date that is
 * taken is within the lifetime, and no guess has the right checksum but one of the right form. */
#include "common/base/random.h"
#include "service/domain/token.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void check_secret(struct str text)
{
	if (token_secret_is_well_formed(text)) {
		MUST(text.n == 64 ||
			(text.n == TOKEN_SECRET_CHARS && str_starts_with(text, STR("osmo_"))));
		for (size_t i = 0; i < text.n; i++)
			MUST(is_alnum(text.p[i]) || i == 4);
	}
	if (text.n < TOKEN_SECRET_BYTES)
		return;
	uint8_t bytes[TOKEN_SECRET_BYTES];
	memcpy(bytes, text.p, sizeof bytes);
	struct secret secret = token_secret_of_bytes(bytes);
	MUST(token_secret_is_well_formed(secret_str(&secret)));
	char wrong[TOKEN_SECRET_CHARS]; /* with one character of it as the next one of the input */
	memcpy(wrong, secret_str(&secret).p, sizeof wrong);
	const size_t at = 5 + bytes[0] % (TOKEN_SECRET_CHARS - 5);
	wrong[at] = text.n > sizeof bytes ? text.p[sizeof bytes] : '0';
	MUST(!token_secret_is_well_formed((struct str){wrong, sizeof wrong}) ||
		wrong[at] == secret_str(&secret).p[at]);
	secret_done(&secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct status s = token_name_check(text);
	if (status_is_ok(&s)) {
		MUST(size && size <= TOKEN_NAME_MAX_BYTES && is_alnum(text.p[size - 1]));
		for (size_t i = 0; i < size; i++)
			MUST(is_alnum(text.p[i]) || text.p[i] == '-' || text.p[i] == '_');
	} else {
		MUST(str_eq(str_of(s.field), STR("name")) && s.message[0]);
	}
	s = token_description_check(text);
	MUST(!status_is_ok(&s) || (size <= TOKEN_DESCRIPTION_MAX_BYTES && str_is_utf8(text) &&
					  str_index(text, '\0') == size));
	const struct unix_time now = {INT64_C(1777636800) * US_PER_S};
	struct date expires = {-1};
	s = token_expiry_parse("expire_date", text, now, 365, "365d", &expires);
	if (status_is_ok(&s))
		MUST(expires.days > date_of(now).days && expires.days <= date_of(now).days + 365);
	else
		MUST(expires.days == -1 && str_eq(str_of(s.field), STR("expire_date")));
	check_secret(text);
	return 0;
}
