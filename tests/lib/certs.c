/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/certs.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	VALID_S = 3600
};

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "certs: %s failed\n", what);
		abort();
	}
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	must(e != NULL, value);
	X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
}

static X509 *new_cert(const char *common_name, EVP_PKEY *key, X509 *issuer)
{
	static long serial;
	X509 *cert = X509_new();
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), VALID_S);
	X509_set_pubkey(cert, key);
	X509_NAME *name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name);
	return cert;
}

void certs_ca_init(struct certs_ca *ca, const char *name)
{
	ca->key = EVP_EC_gen("P-256");
	must(ca->key != NULL, "EVP_EC_gen");
	ca->cert = new_cert(name, ca->key, NULL);
	add_extension(ca->cert, ca->cert, NID_basic_constraints, "critical,CA:TRUE");
	must(X509_sign(ca->cert, ca->key, EVP_sha256()), "X509_sign");
}

void certs_ca_done(struct certs_ca *ca)
{
	EVP_PKEY_free(ca->key);
	X509_free(ca->cert);
}

static void write_cert(X509 *cert, const char *file)
{
	FILE *f = fopen(file, "w");
	must(f && PEM_write_X509(f, cert), file);
	fclose(f);
}

void certs_ca_write(const struct certs_ca *ca, const char *file)
{
	write_cert(ca->cert, file);
}

void certs_issue(const struct certs_ca *ca, const char *common_name, const char *san,
	const char *cert_file, const char *key_file)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	must(key != NULL, "EVP_EC_gen");
	X509 *cert = new_cert(common_name, key, ca->cert);
	if (san)
		add_extension(cert, ca->cert, NID_subject_alt_name, san);
	must(X509_sign(cert, ca->key, EVP_sha256()), "X509_sign");
	write_cert(cert, cert_file);
	FILE *f = fopen(key_file, "w");
	must(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), key_file);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}
