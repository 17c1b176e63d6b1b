/* SPDX-License-Identifier: Apache-2.0 */
/* Lists as they are in a column, which an operator may have written by hand: what is read can be
 * written, and reads back as the same. */
#include "service/store/row_codec.h"
#include "tests/fuzz/must.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_roles(struct str text, struct arena *arena)
{
	const struct str *roles, *again;
	size_t n, n_again;
	struct status s = row_roles_parse(text, arena, &roles, &n);
	if (!status_is_ok(&s)) {
		MUST(s.code == STATUS_DATA_LOSS && s.message[0]);
		return;
	}
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 20);
	s = row_roles_format(roles, n, &out);
	MUST(status_is_ok(&s));
	s = row_roles_parse(buf_str(&out), arena, &again, &n_again);
	MUST(status_is_ok(&s) && n_again == n);
	for (size_t i = 0; i < n; i++)
		MUST(str_eq(roles[i], again[i]));
}

static void check_policies(struct str text, struct arena *arena)
{
	struct role role = {.n_policies = 0}, again = {.n_policies = 0};
	struct status s = row_policies_parse(text, arena, &role);
	if (!status_is_ok(&s)) {
		MUST(s.code == STATUS_DATA_LOSS && s.message[0] && !role.policies);
		return;
	}
	_cleanup_buf_ struct buf out, out_again;
	buf_init(&out, 1 << 20);
	buf_init(&out_again, 1 << 20);
	s = row_policies_format(&role, &out);
	MUST(status_is_ok(&s));
	s = row_policies_parse(buf_str(&out), arena, &again);
	MUST(status_is_ok(&s));
	s = row_policies_format(&again, &out_again);
	MUST(status_is_ok(&s) && str_eq(buf_str(&out), buf_str(&out_again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct arena *arena = arena_new();
	check_roles(text, arena);
	check_policies(text, arena);
	arena_free(arena);
	return 0;
}
