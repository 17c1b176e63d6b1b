/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/tls_error.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

struct status tls_file_error(const char *what, const char *file)
{
	unsigned long error = ERR_get_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;
	int number = ERR_GET_REASON(error);
	bool is_pem = ERR_GET_LIB(error) == ERR_LIB_PEM;
	if (ERR_SYSTEM_ERROR(error))
		reason = strerrordesc_np(number);
	else if ((is_pem && number == PEM_R_NO_START_LINE) || number == ERR_R_UNSUPPORTED)
		reason = "there is no PEM block of that kind in it";
	else if ((is_pem && number == PEM_R_BAD_PASSWORD_READ) ||
		 number == ERR_R_INTERRUPTED_OR_CANCELLED)
		reason = "it has a pass phrase; expected a key without";
	ERR_clear_error();
	return status_error(STATUS_INVALID_ARGUMENT, "cannot use %s '%s': %s", what, file,
		reason ? reason : "unknown reason");
}

int tls_no_pass_phrase(char *text, int size, int writing, void *arg)
{
	(void)text, (void)size, (void)writing, (void)arg;
	return -1;
}
