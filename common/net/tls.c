/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/tls.h"

#include "common/base/str.h"
#include "common/base/xalloc.h"
#include "common/net/tls_context.h"
#include "common/net/tls_error.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct tls_server {
	char *cert_file, *key_file, *client_ca_file; /* client_ca_file may be NULL */
	enum tls_client_auth client_auth;
	struct tls_context context;
};

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free);

static int select_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_length,
	const unsigned char *offered, unsigned offered_length, void *arg)
{
	(void)ssl, (void)arg;
	static const unsigned char http11[] = "\x08http/1.1";
	unsigned char *found;
	if (SSL_select_next_proto(&found, ret_length, http11, sizeof http11 - 1, offered,
		    offered_length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, 3.2: no_application_protocol */
	*ret = found;
	return SSL_TLSEXT_ERR_OK;
}

static struct status set_client_auth(SSL_CTX *c, const struct tls_server *t)
{
	if (t->client_auth == TLS_CLIENT_NONE)
		return status_ok();
	if (SSL_CTX_load_verify_file(c, t->client_ca_file) != 1)
		return tls_file_error("the TLS client CA", t->client_ca_file);
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(t->client_ca_file);
	if (!names)
		return tls_file_error("the TLS client CA", t->client_ca_file);
	SSL_CTX_set_client_CA_list(c, names);
	SSL_CTX_set_verify(c,
		SSL_VERIFY_PEER |
			(t->client_auth == TLS_CLIENT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT
							       : 0),
		NULL);
	return status_ok();
}

static struct status context_new(const struct tls_server *t, SSL_CTX **ret)
{
	ERR_clear_error();
	_cleanup_(SSL_CTX_freep) SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	if (!c)
		return tls_file_error("TLS", "server method");
	SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	if (SSL_CTX_set_cipher_list(c, TLS_CONTEXT_CIPHERS) != 1)
		return tls_file_error("TLS", "cipher list");
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* lengths frame HTTP messages, so a close_notify that is missing cuts nothing short */
	SSL_CTX_set_options(c, SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* an idle connection gives its 34 KB of buffers back */
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	/* with client certificates a resumed session is refused without a context of its own */
	static const unsigned char session_context[] = "token-service";
	SSL_CTX_set_session_id_context(c, session_context, sizeof session_context - 1);
	SSL_CTX_set_default_passwd_cb(c, tls_no_pass_phrase);
	SSL_CTX_set_alpn_select_cb(c, select_alpn, NULL);
	if (SSL_CTX_use_certificate_chain_file(c, t->cert_file) != 1)
		return tls_file_error("the TLS certificate", t->cert_file);
	if (SSL_CTX_use_PrivateKey_file(c, t->key_file, SSL_FILETYPE_PEM) != 1)
		return tls_file_error("the TLS key", t->key_file);
	if (SSL_CTX_check_private_key(c) != 1)
		return tls_file_error("the TLS key", t->key_file);
	TRY(set_client_auth(c, t));
	*ret = TAKE_PTR(c);
	return status_ok();
}

static struct status check(const struct tls_options *o)
{
	if (!o->cert_file || !o->key_file)
		return status_error(STATUS_INVALID_ARGUMENT,
			"TLS needs a certificate and a key, got only the %s",
			o->cert_file ? "certificate" : "key");
	if (o->client_auth != TLS_CLIENT_NONE && !o->client_ca_file)
		return status_error(STATUS_INVALID_ARGUMENT,
			"client certificates need the file of the CA that signs them");
	return status_ok();
}

struct status tls_server_new(const struct tls_options *o, struct tls_server **ret)
{
	TRY(check(o));
	_cleanup_(tls_server_freep) struct tls_server *t = xnew(struct tls_server);
	tls_context_init(&t->context);
	t->cert_file = xstrdup(o->cert_file);
	t->key_file = xstrdup(o->key_file);
	t->client_ca_file = o->client_ca_file ? xstrdup(o->client_ca_file) : NULL;
	t->client_auth = o->client_auth;
	TRY(tls_server_reload(t));
	*ret = TAKE_PTR(t);
	return status_ok();
}

void tls_server_free(struct tls_server *t)
{
	if (!t)
		return;
	tls_context_done(&t->context);
	free(t->cert_file);
	free(t->key_file);
	free(t->client_ca_file);
	free(t);
}

struct status tls_server_reload(struct tls_server *t)
{
	SSL_CTX *fresh = NULL;
	TRY(context_new(t, &fresh));
	tls_context_replace(&t->context, fresh);
	return status_ok();
}

SSL *tls_server_session(struct tls_server *t)
{
	return tls_context_session(&t->context);
}

/* A name that would garble a log line or end early in C is no name. */
static bool take_text(const unsigned char *p, int n, char ret[TLS_IDENTITY_BYTES])
{
	if (n <= 0 || n >= TLS_IDENTITY_BYTES)
		return false;
	for (int i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7F)
			return false;
	if (!str_is_utf8((struct str){(const char *)p, (size_t)n}))
		return false;
	memcpy(ret, p, (size_t)n);
	ret[n] = '\0';
	return true;
}

static bool is_spiffe(const ASN1_STRING *uri)
{
	struct str text = {
		(const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)};
	return str_starts_with(text, STR("spiffe://"));
}

/* The URI of @names that names the client, or NULL. *@ret_ambiguous: there are two SPIFFE IDs,
 * where the standard (X509-SVID, 2) allows one. */
static const ASN1_STRING *find_uri(const GENERAL_NAMES *names, bool *ret_ambiguous)
{
	const ASN1_STRING *found = NULL;
	*ret_ambiguous = false;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_URI)
			continue;
		const ASN1_STRING *uri = name->d.uniformResourceIdentifier;
		if (is_spiffe(uri) && found && is_spiffe(found))
			*ret_ambiguous = true;
		if (!found || (is_spiffe(uri) && !is_spiffe(found)))
			found = uri;
	}
	return found;
}

static bool identity_from_common_name(X509 *cert, char ret[TLS_IDENTITY_BYTES])
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0)
		return false;
	unsigned char *text = NULL;
	int n = ASN1_STRING_to_UTF8(
		&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	bool found = n > 0 && take_text(text, n, ret);
	OPENSSL_free(text);
	return found;
}

bool tls_client_identity(const SSL *ssl, char ret[TLS_IDENTITY_BYTES])
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	if (!cert || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool ambiguous;
	const ASN1_STRING *uri = find_uri(names, &ambiguous);
	bool found;
	if (uri)
		found = !ambiguous &&
			take_text(ASN1_STRING_get0_data(uri), ASN1_STRING_length(uri), ret);
	else
		found = identity_from_common_name(cert, ret);
	GENERAL_NAMES_free(names);
	return found;
}
