/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/tls.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/test_tls.XXXXXX";
static struct certs_ca ca, other_ca;

/* The path of @name in the folder of this run; good until the eighth further call. */
static const char *in_folder(const char *name)
{
	static char paths[8][100];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static void issue(const struct certs_ca *issuer, const char *name, const char *san)
{
	char cert[50], key[50];
	snprintf(cert, sizeof cert, "%s.crt", name);
	snprintf(key, sizeof key, "%s.key", name);
	certs_issue(issuer, name, san, in_folder(cert), in_folder(key));
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_folder(name), "w");
	fputs(text, f);
	fclose(f);
}

static int make_files(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	certs_ca_init(&ca, "ca");
	certs_ca_init(&other_ca, "other ca");
	certs_ca_write(&ca, in_folder("ca.crt"));
	issue(&ca, "server", "DNS:localhost");
	issue(&ca, "second", "DNS:localhost");
	issue(&ca, "alice", NULL);
	issue(&ca, "spiffe", "URI:https://a/b,URI:spiffe://domain/ns/a/sa/b,DNS:c");
	issue(&ca, "uri", "URI:urn:x:y,URI:urn:z");
	issue(&ca, "dns", "DNS:not-an-identity");
	issue(&ca, "two", "URI:spiffe://domain/a,URI:spiffe://domain/b");
	issue(&other_ca, "mallory", NULL);
	write_file("garbage", "no PEM at all\n");
	FILE *f = fopen(in_folder("locked.key"), "w");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	PEM_write_PKCS8PrivateKey(f, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
	EVP_PKEY_free(key);
	fclose(f);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	certs_ca_done(&ca);
	certs_ca_done(&other_ca);
	char command[100];
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

static struct tls_server *new_server(enum tls_client_auth auth)
{
	struct tls_server *t = NULL;
	const struct tls_options o = {.cert_file = in_folder("server.crt"),
		.key_file = in_folder("server.key"),
		.client_ca_file = in_folder("ca.crt"),
		.client_auth = auth};
	assert_ok(tls_server_new(&o, &t));
	return t;
}

/* --- a handshake in memory --- */

struct client {
	SSL_CTX *context;
	SSL *ssl, *server;
};

static void client_init(struct client *c, const char *cert_name)
{
	c->context = SSL_CTX_new(TLS_client_method());
	c->server = NULL;
	if (cert_name) {
		char cert[50], key[50];
		snprintf(cert, sizeof cert, "%s.crt", cert_name);
		snprintf(key, sizeof key, "%s.key", cert_name);
		assert_int_equal(
			SSL_CTX_use_certificate_chain_file(c->context, in_folder(cert)), 1);
		assert_int_equal(
			SSL_CTX_use_PrivateKey_file(c->context, in_folder(key), SSL_FILETYPE_PEM),
			1);
	}
	c->ssl = SSL_new(c->context);
}

/* True when both sides are content. */
static bool shake(struct client *c, struct tls_server *t)
{
	BIO *ours, *theirs;
	c->server = tls_server_session(t);
	assert_int_equal(BIO_new_bio_pair(&ours, 0, &theirs, 0), 1);
	SSL_set_bio(c->server, ours, ours);
	SSL_set_bio(c->ssl, theirs, theirs);
	SSL_set_accept_state(c->server);
	SSL_set_connect_state(c->ssl);
	for (unsigned i = 0; i < 20; i++) {
		SSL_do_handshake(c->ssl);
		SSL_do_handshake(c->server);
	}
	char byte;
	return SSL_is_init_finished(c->server) && SSL_is_init_finished(c->ssl) &&
	       SSL_write(c->ssl, "x", 1) == 1 && SSL_read(c->server, &byte, 1) == 1;
}

static void client_done(struct client *c)
{
	SSL_free(c->ssl);
	SSL_free(c->server);
	SSL_CTX_free(c->context);
}

static void old_protocols_are_refused(void **state)
{
	(void)state;
	_cleanup_(tls_server_freep) struct tls_server *t = new_server(TLS_CLIENT_NONE);
	static const struct {
		int version;
		bool served;
	} versions[] = {{TLS1_1_VERSION, false}, {TLS1_2_VERSION, true}, {TLS1_3_VERSION, true}};
	for (size_t i = 0; i < 3; i++) {
		struct client c;
		client_init(&c, NULL);
		SSL_set_security_level(c.ssl, 0); /* else it would not even ask */
		SSL_set_min_proto_version(c.ssl, versions[i].version);
		SSL_set_max_proto_version(c.ssl, versions[i].version);
		assert_int_equal(shake(&c, t), versions[i].served);
		client_done(&c);
	}
}

static void alpn_is_http_1_1_or_nothing(void **state)
{
	(void)state;
	_cleanup_(tls_server_freep) struct tls_server *t = new_server(TLS_CLIENT_NONE);
	static const struct {
		const char *offered;
		bool served;
	} offers[] = {{"\x02h2\x08http/1.1", true}, {"\x08http/1.1", true}, {"\x02h2", false}};
	for (size_t i = 0; i < 3; i++) {
		struct client c;
		const unsigned char *chosen;
		unsigned n;
		client_init(&c, NULL);
		SSL_set_alpn_protos(c.ssl, (const unsigned char *)offers[i].offered,
			(unsigned)strlen(offers[i].offered));
		assert_int_equal(shake(&c, t), offers[i].served);
		SSL_get0_alpn_selected(c.ssl, &chosen, &n);
		if (offers[i].served)
			assert_str(((struct str){(const char *)chosen, n}), "http/1.1");
		client_done(&c);
	}
}

static void check_client(enum tls_client_auth auth, const char *cert, bool served, const char *who)
{
	_cleanup_(tls_server_freep) struct tls_server *t = new_server(auth);
	struct client c;
	char identity[TLS_IDENTITY_BYTES] = "nobody";
	client_init(&c, cert);
	assert_int_equal(shake(&c, t), served);
	assert_int_equal(tls_client_identity(c.server, identity), who != NULL);
	assert_string_equal(identity, who ? who : "nobody");
	client_done(&c);
}

static void client_certificates_are_asked_for_as_configured(void **state)
{
	(void)state;
	check_client(TLS_CLIENT_NONE, "alice", true, NULL);
	check_client(TLS_CLIENT_OPTIONAL, NULL, true, NULL);
	check_client(TLS_CLIENT_OPTIONAL, "alice", true, "alice");
	check_client(TLS_CLIENT_OPTIONAL, "mallory", false, NULL);
	check_client(TLS_CLIENT_REQUIRED, NULL, false, NULL);
	check_client(TLS_CLIENT_REQUIRED, "alice", true, "alice");
	check_client(TLS_CLIENT_REQUIRED, "mallory", false, NULL);
}

static void the_identity_is_spiffe_else_uri_else_common_name(void **state)
{
	(void)state;
	check_client(TLS_CLIENT_REQUIRED, "spiffe", true, "spiffe://domain/ns/a/sa/b");
	check_client(TLS_CLIENT_REQUIRED, "uri", true, "urn:x:y");
	check_client(TLS_CLIENT_REQUIRED, "dns", true, "dns");
	check_client(TLS_CLIENT_REQUIRED, "two", true, NULL);
}

/* --- files --- */

static void a_file_that_is_wrong_is_named_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		const char *cert, *key, *client_ca, *message;
	} wrong[] = {
		{"missing.crt", "server.key", "ca.crt",
			"cannot use the TLS certificate '%s/missing.crt': No such file or "
			"directory"},
		{"garbage", "server.key", "ca.crt",
			"cannot use the TLS certificate '%s/garbage': there is no PEM block of "
			"that "
			"kind in it"},
		{"server.crt", "missing.key", "ca.crt",
			"cannot use the TLS key '%s/missing.key': No such file or directory"},
		{"server.crt", "server.crt", "ca.crt",
			"cannot use the TLS key '%s/server.crt': there is no PEM block of that "
			"kind "
			"in it"},
		{"server.crt", "second.key", "ca.crt",
			"cannot use the TLS key '%s/second.key': key values mismatch"},
		{"server.crt", "locked.key", "ca.crt",
			"cannot use the TLS key '%s/locked.key': it has a pass phrase; expected a "
			"key without"},
		{"server.crt", "server.key", "missing.crt",
			"cannot use the TLS client CA '%s/missing.crt': No such file or directory"},
		{"server.crt", "server.key", "garbage",
			"cannot use the TLS client CA '%s/garbage': no certificate or crl found"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		char message[400];
		const char *hole = strstr(wrong[i].message, "%s");
		snprintf(message, sizeof message, "%.*s%s%s", (int)(hole - wrong[i].message),
			wrong[i].message, folder, hole + 2);
		const struct tls_options o = {.cert_file = in_folder(wrong[i].cert),
			.key_file = in_folder(wrong[i].key),
			.client_ca_file = in_folder(wrong[i].client_ca),
			.client_auth = TLS_CLIENT_REQUIRED};
		struct tls_server *t = NULL;
		assert_status(tls_server_new(&o, &t), STATUS_INVALID_ARGUMENT, message);
		assert_null(t);
	}
}

static void half_a_configuration_is_refused(void **state)
{
	(void)state;
	struct tls_server *t = NULL;
	assert_status(tls_server_new(&(const struct tls_options){.cert_file = "x"}, &t),
		STATUS_INVALID_ARGUMENT,
		"TLS needs a certificate and a key, got only the certificate");
	assert_status(tls_server_new(&(const struct tls_options){.key_file = "x"}, &t),
		STATUS_INVALID_ARGUMENT, "TLS needs a certificate and a key, got only the key");
	assert_status(tls_server_new(&(const struct tls_options){.cert_file = "x",
					     .key_file = "x",
					     .client_auth = TLS_CLIENT_OPTIONAL},
			      &t),
		STATUS_INVALID_ARGUMENT,
		"client certificates need the file of the CA that signs them");
}

static void serial_of_peer(struct tls_server *t, long *ret)
{
	struct client c;
	client_init(&c, NULL);
	assert_true(shake(&c, t));
	*ret = ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(c.ssl)));
	client_done(&c);
}

static void a_reload_shows_the_new_certificate_or_keeps_the_old(void **state)
{
	(void)state;
	issue(&ca, "live", NULL);
	const struct tls_options o = {
		.cert_file = in_folder("live.crt"), .key_file = in_folder("live.key")};
	_cleanup_(tls_server_freep) struct tls_server *t = NULL;
	assert_ok(tls_server_new(&o, &t));
	long first, second, third;
	serial_of_peer(t, &first);
	issue(&ca, "live", NULL);
	serial_of_peer(t, &second);
	assert_int_equal(first, second); /* files alone change nothing */
	assert_ok(tls_server_reload(t));
	serial_of_peer(t, &second);
	assert_int_not_equal(first, second);
	write_file("live.key", "half written");
	struct status s = tls_server_reload(t);
	assert_int_equal(s.code, STATUS_INVALID_ARGUMENT);
	serial_of_peer(t, &third);
	assert_int_equal(second, third);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_protocols_are_refused),
		cmocka_unit_test(alpn_is_http_1_1_or_nothing),
		cmocka_unit_test(client_certificates_are_asked_for_as_configured),
		cmocka_unit_test(the_identity_is_spiffe_else_uri_else_common_name),
		cmocka_unit_test(a_file_that_is_wrong_is_named_with_the_reason),
		cmocka_unit_test(half_a_configuration_is_refused),
		cmocka_unit_test(a_reload_shows_the_new_certificate_or_keeps_the_old),
	};
	return cmocka_run_group_tests_name(__FILE__, tests, make_files, remove_files);
}
