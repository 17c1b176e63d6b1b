/* SPDX-License-Identifier: Apache-2.0 */
/* What the two ends of TLS (tls.h, tls_client.h) share: why a file cannot be used. Threads: any. */
#pragma once

#include "common/base/status.h"

/* INVALID_ARGUMENT: "cannot use @what '/x/tls.crt': No such file", with the reason that OpenSSL
 * queued first, which is the one closest to the cause. Empties OpenSSL's queue. */
struct status tls_file_error(const char *what, const char *file);

/* A callback for SSL_CTX_set_default_passwd_cb. A program that runs unattended cannot ask for a
 * pass phrase: without this OpenSSL would prompt. */
int tls_no_pass_phrase(char *text, int size, int writing, void *arg);
