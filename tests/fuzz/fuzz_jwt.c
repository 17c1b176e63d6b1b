/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is read as a JWT or refused; so is any text as the claims of one. */
#include "cli/jwt.h"
#include "common/base/base64.h"
#include "common/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct str text)
{
	struct jwt jwt;
	struct status s = jwt_parse(text, &jwt);
	if (!status_is_ok(&s))
		return;
	(void)jwt_expired(&jwt, unix_time_from_s(1700000000));
	jwt_done(&jwt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse((struct str){(const char *)data, size});
	_cleanup_buf_ struct buf text;
	buf_init(&text, 1 << 20);
	buf_append_str(&text, STR("e30."));
	base64_encode(&text, BASE64_URL, data, size);
	buf_append_str(&text, STR(".c2ln"));
	parse(buf_str(&text));
	return 0;
}
