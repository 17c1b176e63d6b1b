/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made on the spot: a CA, and what it signs. */
#pragma once

#include <openssl/types.h>

struct certs_ca {
	EVP_PKEY *key;
	X509 *cert;
};

void certs_ca_init(struct certs_ca *ca, const char *name);
void certs_ca_done(struct certs_ca *ca);
/* Writes the CA's certificate as PEM. */
void certs_ca_write(const struct certs_ca *ca, const char *file);

/* A certificate of @common_name with the subject alternative names @san ("DNS:localhost,URI:…", or
 * NULL), and its key, as PEM. */
void certs_issue(const struct certs_ca *ca, const char *common_name, const char *san,
	const char *cert_file, const char *key_file);
