/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes in memory, against a server that OpenSSL plays. */
#include "common/net/tls_client.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/test_tls_client.XXXXXX";
static struct certs_ca ca, other_ca;

static const char *in_folder(const char *name)
{
	static char paths[8][100];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static void issue(
	const struct certs_ca *issuer, const char *common_name, const char *file, const char *san)
{
	char cert[50], key[50];
	snprintf(cert, sizeof cert, "%s.crt", file);
	snprintf(key, sizeof key, "%s.key", file);
	certs_issue(issuer, common_name, san, in_folder(cert), in_folder(key));
}

static int make_files(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	certs_ca_init(&ca, "ca");
	certs_ca_init(&other_ca, "other ca");
	certs_ca_write(&ca, in_folder("ca.crt"));
	certs_ca_write(&other_ca, in_folder("other.crt"));
	issue(&ca, "server", "server",
		"DNS:service.example,DNS:*.wild.example,IP:127.0.0.1,IP:::1");
	issue(&ca, "gateway", "gateway", NULL);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	static const char *const names[] = {
		"ca.crt", "other.crt", "server.crt", "server.key", "gateway.crt", "gateway.key"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unlink(in_folder(names[i]));
	certs_ca_done(&ca);
	certs_ca_done(&other_ca);
	return rmdir(folder);
}

/* --- the server --- */

static int choose_h2(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
	const unsigned char *offered, unsigned n, void *arg)
{
	(void)ssl, (void)arg;
	assert_int_equal(n, 3);
	assert_memory_equal(offered, "\x02h2", 3);
	*ret = offered + 1;
	*ret_n = 2;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *server_context(int max_version)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate_chain_file(c, in_folder("server.crt")), 1);
	assert_int_equal(
		SSL_CTX_use_PrivateKey_file(c, in_folder("server.key"), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_load_verify_file(c, in_folder("ca.crt")), 1);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_select_cb(c, choose_h2, NULL);
	SSL_CTX_set_max_proto_version(c, max_version);
	SSL_CTX_set_min_proto_version(c, TLS1_VERSION);
	SSL_CTX_set_security_level(c, 0);
	return c;
}

/* True when both are satisfied. @ret_client and @ret_name: of the client's certificate and the
 * name that it asked for, or NULL. */
static bool shake(SSL *takes_client, int max_version, char ret_client[64], char ret_name[64])
{
	SSL_CTX *c = server_context(max_version);
	SSL *server = SSL_new(c);
	BIO *one, *two;
	assert_int_equal(BIO_new_bio_pair(&one, 0, &two, 0), 1);
	SSL_set_bio(server, one, one);
	SSL_set_bio(takes_client, two, two);
	SSL_set_accept_state(server);
	SSL_set_connect_state(takes_client);
	int a = 0, b = 0;
	for (int i = 0; i < 20 && (a != 1 || b != 1); i++) {
		a = SSL_do_handshake(takes_client);
		b = SSL_do_handshake(server);
	}
	X509 *cert = SSL_get0_peer_certificate(server);
	ret_client[0] = ret_name[0] = '\0';
	if (cert)
		X509_NAME_get_text_by_NID(
			X509_get_subject_name(cert), NID_commonName, ret_client, 64);
	const char *name = SSL_get_servername(server, TLSEXT_NAMETYPE_host_name);
	if (name)
		snprintf(ret_name, 64, "%s", name);
	SSL_free(server);
	SSL_free(takes_client);
	SSL_CTX_free(c);
	ERR_clear_error();
	return a == 1 && b == 1;
}

static bool reaches(const struct tls_client_options *o, const char *host)
{
	struct tls_client *t;
	char client[64], name[64];
	assert_ok(tls_client_new(o, &t));
	bool result = shake(tls_client_session(t, host), TLS1_3_VERSION, client, name);
	tls_client_free(t);
	return result;
}

static void a_server_is_known_by_name_or_address_and_authority(void **state)
{
	(void)state;
	char file[100];
	snprintf(file, sizeof file, "%s", in_folder("ca.crt"));
	const struct tls_client_options by_host = {.ca_file = file};
	assert_true(reaches(&by_host, "service.example"));
	assert_true(reaches(&by_host, "a.wild.example"));
	assert_true(reaches(&by_host, "127.0.0.1"));
	assert_true(reaches(&by_host, "::1"));
	assert_false(reaches(&by_host, "other.example"));
	assert_false(reaches(&by_host, "a.b.wild.example"));
	assert_false(reaches(&by_host, "127.0.0.2"));
	assert_false(reaches(&by_host, "server")); /* the common name does not count */
	const struct tls_client_options by_name = {
		.ca_file = file, .server_name = "service.example"};
	assert_true(reaches(&by_name, "10.0.0.1"));
	const struct tls_client_options stranger = {.ca_file = in_folder("other.crt")};
	assert_false(reaches(&stranger, "service.example"));
	const struct tls_client_options public = {.ca_file = NULL};
	assert_false(reaches(&public, "service.example"));
}

static void tls_1_2_is_the_oldest(void **state)
{
	(void)state;
	const struct tls_client_options o = {.ca_file = in_folder("ca.crt")};
	struct tls_client *t;
	char client[64], name[64];
	assert_ok(tls_client_new(&o, &t));
	assert_true(shake(tls_client_session(t, "service.example"), TLS1_2_VERSION, client, name));
	assert_string_equal(name, "service.example");
	assert_false(shake(tls_client_session(t, "service.example"), TLS1_1_VERSION, client, name));
	tls_client_free(t);
}

static const struct tls_client_options *gateway_options(void)
{
	static struct tls_client_options o;
	o = (struct tls_client_options){.ca_file = in_folder("ca.crt"),
		.cert_file = in_folder("gateway.crt"),
		.key_file = in_folder("gateway.key"),
		.server_name = "service.example"};
	return &o;
}

static void expect_identity(struct tls_client *t, const char *wanted)
{
	char client[64], name[64];
	assert_true(shake(tls_client_session(t, "127.0.0.1"), TLS1_3_VERSION, client, name));
	assert_string_equal(client, wanted);
}

static void a_reload_shows_the_new_certificate(void **state)
{
	(void)state;
	struct tls_client *t;
	assert_ok(tls_client_new(gateway_options(), &t));
	expect_identity(t, "gateway");
	issue(&ca, "renewed", "gateway", NULL);
	expect_identity(t, "gateway"); /* files alone change nothing */
	assert_ok(tls_client_reload(t));
	expect_identity(t, "renewed");
	tls_client_free(t);
	issue(&ca, "gateway", "gateway", NULL);
}

static void files_that_cannot_be_used_change_nothing(void **state)
{
	(void)state;
	struct tls_client *t;
	assert_ok(tls_client_new(gateway_options(), &t));
	issue(&ca, "half", "gateway", NULL);
	assert_int_equal(unlink(in_folder("gateway.key")), 0);
	expect_identity(t, "gateway");
	struct status s = tls_client_reload(t);
	assert_int_equal(s.code, STATUS_INVALID_ARGUMENT);
	assert_non_null(strstr(s.message, "gateway.key"));
	expect_identity(t, "gateway");
	issue(&ca, "whole", "gateway", NULL);
	assert_ok(tls_client_reload(t));
	expect_identity(t, "whole");
	tls_client_free(t);
	issue(&ca, "gateway", "gateway", NULL);
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	static const char long_name[300] = {[0 ... 298] = 'a'};
	const struct {
		struct tls_client_options options;
		const char *word;
	} bad[] = {
		{{.ca_file = "/nowhere/ca.crt"}, "/nowhere/ca.crt"},
		{{.ca_file = "/dev/null"}, "/dev/null"},
		{{.cert_file = in_folder("gateway.crt")}, "only the certificate"},
		{{.key_file = in_folder("gateway.key")}, "only the key"},
		{{.cert_file = in_folder("gateway.key"), .key_file = in_folder("gateway.key")},
			"gateway.key"},
		{{.cert_file = in_folder("gateway.crt"), .key_file = in_folder("server.key")},
			"server.key"},
		{{.server_name = ""}, "got 0"}, /* which would be any for OpenSSL */
		{{.server_name = long_name}, "got 299"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct tls_client *t = NULL;
		struct status s = tls_client_new(&bad[i].options, &t);
		assert_int_equal(s.code, STATUS_INVALID_ARGUMENT);
		assert_non_null(strstr(s.message, bad[i].word));
		assert_null(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_is_known_by_name_or_address_and_authority),
		cmocka_unit_test(tls_1_2_is_the_oldest),
		cmocka_unit_test(a_reload_shows_the_new_certificate),
		cmocka_unit_test(files_that_cannot_be_used_change_nothing),
		cmocka_unit_test(what_is_wrong_is_named),
	};
	return cmocka_run_group_tests_name(__FILE__, tests, make_files, remove_files);
}
