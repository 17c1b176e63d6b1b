/* SPDX-License-Identifier: Apache-2.0 */
/* A key file, `%`, and a sealed text: what opens was sealed by one of these keys, which is tried
 * with a text of their own. */
#include "service/auth/server_key.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, file = STR("");
	_cleanup_(server_key_freep) struct server_key *k = NULL;
	str_split(&rest, '%', &file);
	struct status s = server_key_parse(file, &k);
	if (!status_is_ok(&s)) {
		MUST(s.code == STATUS_INVALID_ARGUMENT && s.message[0] && !k);
		return 0;
	}
	_cleanup_buf_ struct buf plain, sealed;
	buf_init(&plain, size + 64);
	buf_init(&sealed, 2 * size + 256);
	bool first = false;
	s = server_key_open(k, "fuzz", rest, &plain, &first);
	if (!status_is_ok(&s))
		MUST((s.code == STATUS_DATA_LOSS || s.code == STATUS_FAILED_PRECONDITION) &&
			s.message[0] && !plain.n);
	buf_reset(&plain);
	server_key_seal(k, "fuzz", rest, &random_system, &sealed);
	s = server_key_open(k, "fuzz", buf_str(&sealed), &plain, &first);
	MUST(status_is_ok(&s) && first && str_eq(buf_str(&plain), rest));
	s = server_key_open(k, "other", buf_str(&sealed), &plain, &first);
	MUST(s.code == STATUS_DATA_LOSS);
	return 0;
}
