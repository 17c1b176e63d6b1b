/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of options and of `osmo login`, and the headers of an answer to it ("URL\nheaders"): what is
 * taken is one line with a host, and an origin is a URL. */
#include "cli/http_client.h"
#include "common/net/web_url.h"
#include "gateway/percent.h"
#include "tests/fuzz/must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(struct str text)
{
	struct status url = web_url_check(text), origin = web_origin_check(text);
	MUST(status_is_ok(&url) || url.message[0]);
	MUST(status_is_ok(&origin) || origin.message[0]);
	MUST(!status_is_ok(&origin) || status_is_ok(&url) || str_eq(text, STR("*")));
	for (size_t i = 0; status_is_ok(&url) && i < text.n; i++)
		MUST(text.p[i] > ' ' && text.p[i] < 0x7F);
	char *copy = str_dup(text);
	struct status ours = url_check(copy);
	MUST(status_is_ok(&ours) || (ours.code == STATUS_INVALID_ARGUMENT && ours.message[0]));
	MUST(!status_is_ok(&ours) || str_starts_with(text, STR("http")) ||
		str_eq_nocase(str_sub(text, 0, 4), STR("http")));
	free(copy);
}

static void check_encoding(struct str text)
{
	struct arena *arena = arena_new();
	for (int form = 0; form < 2; form++) {
		_cleanup_buf_ struct buf out;
		buf_init(&out, 3 * text.n);
		url_encode(text, form, &out);
		struct str again = STR("");
		MUST(percent_decode(
			buf_str(&out), form ? PERCENT_QUERY : PERCENT_ALL, arena, &again));
		MUST(str_eq(again, text));
		MUST(str_index(buf_str(&out), '/') == out.n &&
			str_index(buf_str(&out), '?') == out.n);
	}
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, line = STR(""), value = STR("");
	str_split(&rest, '\n', &line);
	check_url(line);
	check_encoding(line);
	struct http_response r;
	http_response_init(&r);
	buf_append_str(&r.headers, rest);
	if (http_response_header(&r, STR("retry-after"), &value))
		MUST(str_eq(str_trim(value), value) && str_index(value, '\n') == value.n);
	http_response_done(&r);
	return 0;
}
