/* SPDX-License-Identifier: Apache-2.0 */
/* What the HTTP/2 client's tests cannot time: bytes and the end of the stream, together. */
#include "common/event/loop.h"
#include "common/h2/h2_socket.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PATIENCE_S = 10
};

static char folder[] = "/tmp/test_h2_socket.XXXXXX";
static char cert_file[100], key_file[100];

static int make_files(void **state)
{
	(void)state;
	struct certs_ca ca;
	if (!mkdtemp(folder))
		return -1;
	snprintf(cert_file, sizeof cert_file, "%s/server.crt", folder);
	snprintf(key_file, sizeof key_file, "%s/server.key", folder);
	certs_ca_init(&ca, "ca");
	certs_issue(&ca, "server", NULL, cert_file, key_file);
	certs_ca_done(&ca);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	unlink(cert_file);
	unlink(key_file);
	return rmdir(folder);
}

/* --- the server --- */

struct server {
	int listener;
	struct sockaddr_in address;
	pthread_t thread;
};

static int choose_h2(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
	const unsigned char *offered, unsigned n, void *arg)
{
	(void)ssl, (void)n, (void)arg;
	*ret = offered + 1;
	*ret_n = 2;
	return SSL_TLSEXT_ERR_OK;
}

/* Says "bye" and close_notify in one segment, and leaves the connection open until the client
 * closes it. */
static void *say_goodbye(void *arg)
{
	const struct server *s = arg;
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate_chain_file(c, cert_file), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(c, key_file, SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_alpn_select_cb(c, choose_h2, NULL);
	SSL_CTX_set_num_tickets(c, 0);
	int fd = accept(s->listener, NULL, NULL);
	assert_true(fd >= 0);
	SSL *ssl = SSL_new(c);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_accept(ssl), 1);
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &(int){1}, sizeof(int));
	assert_int_equal(SSL_write(ssl, "bye", 3), 3);
	SSL_shutdown(ssl);
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &(int){0}, sizeof(int));
	char byte;
	while (recv(fd, &byte, 1, 0) > 0)
		;
	SSL_free(ssl);
	SSL_CTX_free(c);
	close(fd);
	return NULL;
}

static void start_server(struct server *s)
{
	socklen_t n = sizeof s->address;
	s->address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&s->address, n), 0);
	assert_int_equal(listen(s->listener, 1), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&s->address, &n), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, say_goodbye, s), 0);
}

/* --- the client: reads as h2_connection does --- */

struct client {
	struct loop *loop;
	struct h2_socket *socket;
	char text[64];
	size_t n;
	bool ended, failed;
};

static void read_all(void *arg)
{
	struct client *c = arg;
	ssize_t n = h2_socket_read(c->socket, c->text + c->n, sizeof c->text - c->n);
	c->n += n > 0 ? (size_t)n : 0;
	c->ended = n < 0;
	if (c->ended)
		loop_stop(c->loop);
}

static void failed(void *arg, struct status why)
{
	(void)why;
	struct client *c = arg;
	c->failed = true;
	loop_stop(c->loop);
}

static void on_patience_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	loop_stop(arg);
}

static void an_end_that_comes_with_the_last_bytes_is_told(void **state)
{
	(void)state;
	struct server s;
	start_server(&s);
	struct client c = {.loop = loop_new()};
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x02h2", 3), 0);
	const struct h2_socket_handler handler = {
		.arg = &c, .opened = read_all, .ready = read_all, .failed = failed};
	assert_ok(h2_socket_open(c.loop, (const struct sockaddr *)&s.address, sizeof s.address,
		SSL_new(context), &handler, &c.socket));
	event_base_once(loop_base(c.loop), -1, EV_TIMEOUT, on_patience_over, c.loop,
		&(const struct timeval){.tv_sec = PATIENCE_S});
	loop_run(c.loop);
	assert_false(c.failed);
	assert_str(((struct str){c.text, c.n}), "bye");
	assert_true(c.ended);
	assert_string_equal(h2_socket_reason(c.socket), "the server closed the connection");
	h2_socket_free(c.socket);
	loop_free(c.loop);
	SSL_CTX_free(context);
	pthread_join(s.thread, NULL);
	close(s.listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_end_that_comes_with_the_last_bytes_is_told),
	};
	return cmocka_run_group_tests_name(__FILE__, tests, make_files, remove_files);
}
