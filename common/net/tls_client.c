/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/tls_client.h"

#include "common/base/xalloc.h"
#include "common/net/tls_context.h"
#include "common/net/tls_error.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum {
	N_FILES = 3,
	MAX_NAME_BYTES = 255 /* of a DNS name, and of OpenSSL */
};

struct tls_client {
	char *files[N_FILES]; /* CA, certificate, key; NULL where there is none */
	char *server_name;
	struct tls_context context;
};

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free);

enum {
	CA,
	CERT,
	KEY
};

static struct status use_files(const struct tls_client *t, SSL_CTX *c)
{
	if (t->files[CA]) {
		if (SSL_CTX_load_verify_file(c, t->files[CA]) != 1)
			return tls_file_error("the TLS CA", t->files[CA]);
	} else if (SSL_CTX_set_default_verify_paths(c) != 1) {
		return tls_file_error("the TLS CA", "of the system");
	}
	if (!t->files[CERT])
		return status_ok();
	if (SSL_CTX_use_certificate_chain_file(c, t->files[CERT]) != 1)
		return tls_file_error("the TLS certificate", t->files[CERT]);
	if (SSL_CTX_use_PrivateKey_file(c, t->files[KEY], SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(c) != 1)
		return tls_file_error("the TLS key", t->files[KEY]);
	return status_ok();
}

static struct status context_new(const struct tls_client *t, SSL_CTX **ret)
{
	ERR_clear_error();
	_cleanup_(SSL_CTX_freep) SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	if (!c)
		return tls_file_error("TLS", "client method");
	SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* frames have lengths, so a close_notify that is missing cuts nothing short */
	SSL_CTX_set_options(c, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* RFC 9113, 9.2.2 wants the same */
	if (SSL_CTX_set_cipher_list(c, TLS_CONTEXT_CIPHERS) != 1)
		return tls_file_error("TLS", "cipher list");
	SSL_CTX_set_default_passwd_cb(c, tls_no_pass_phrase);
	static const unsigned char alpn[] = "\x02h2";
	if (SSL_CTX_set_alpn_protos(c, alpn, sizeof alpn - 1) != 0)
		return tls_file_error("TLS", "ALPN");
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	TRY(use_files(t, c));
	*ret = TAKE_PTR(c);
	return status_ok();
}

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

struct status tls_client_new(const struct tls_client_options *o, struct tls_client **ret)
{
	if (!o->cert_file != !o->key_file)
		return status_error(STATUS_INVALID_ARGUMENT,
			"a TLS client certificate needs its key as well, got only the %s",
			o->cert_file ? "certificate" : "key");
	/* an empty one would mean "any" to OpenSSL */
	size_t n = o->server_name ? strlen(o->server_name) : 1;
	if (n < 1 || n > MAX_NAME_BYTES)
		return status_error(STATUS_INVALID_ARGUMENT,
			"the name that a TLS server must have needs 1 to %d characters, got %zu",
			MAX_NAME_BYTES, n);
	_cleanup_(tls_client_freep) struct tls_client *t = xnew(struct tls_client);
	tls_context_init(&t->context);
	t->files[CA] = copy(o->ca_file);
	t->files[CERT] = copy(o->cert_file);
	t->files[KEY] = copy(o->key_file);
	t->server_name = copy(o->server_name);
	TRY(tls_client_reload(t));
	*ret = TAKE_PTR(t);
	return status_ok();
}

void tls_client_free(struct tls_client *t)
{
	if (!t)
		return;
	tls_context_done(&t->context);
	for (size_t i = 0; i < N_FILES; i++)
		free(t->files[i]);
	free(t->server_name);
	free(t);
}

struct status tls_client_reload(struct tls_client *t)
{
	SSL_CTX *fresh = NULL;
	TRY(context_new(t, &fresh));
	tls_context_replace(&t->context, fresh);
	return status_ok();
}

static bool is_ip(const char *text)
{
	unsigned char bytes[16];
	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* RFC 6066, 3: no server name is sent for an address. */
static bool expect(SSL *ssl, const char *name)
{
	if (is_ip(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *tls_client_session(struct tls_client *t, const char *host)
{
	SSL *ssl = tls_context_session(&t->context);
	if (!expect(ssl, t->server_name ? t->server_name : host))
		abort(); /* out of memory, as in xalloc */
	return ssl;
}
