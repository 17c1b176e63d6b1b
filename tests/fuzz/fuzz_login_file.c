/* SPDX-License-Identifier: Apache-2.0 */
/* Any login.yaml is read or refused; what was read is written so that it reads the same again. */
#include "cli/login_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const char *a, const char *b)
{
	if ((a == NULL) != (b == NULL) || (a && strcmp(a, b) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_login_ struct login first = {.url = NULL};
	struct status s = login_parse((struct str){(const char *)data, size}, &first);
	if (!status_is_ok(&s))
		return 0;
	free(login_access_token(&first));
	_cleanup_buf_ struct buf text;
	buf_init(&text, 1 << 26);
	login_format(&first, &text);
	_cleanup_login_ struct login second = {.url = NULL};
	s = login_parse(buf_str(&text), &second);
	if (!first.url[0]) /* nothing but slashes */
		return 0;
	if (!status_is_ok(&s))
		abort();
	check_same(first.url, second.url);
	check_same(first.id_token, second.id_token);
	check_same(first.refresh_token, second.refresh_token);
	check_same(first.refresh_url, second.refresh_url);
	check_same(first.username, second.username);
	check_same(first.dev_username, second.dev_username);
	if (first.osmo_token != second.osmo_token || first.has_dev != second.has_dev ||
		first.has_token != second.has_token)
		abort();
	return 0;
}
