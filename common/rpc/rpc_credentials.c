/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_credentials.h"

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/net/tls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* PEM files in memory. */
struct pem {
	struct buf cert, key, ca;
};

/* gRPC's end of one listener. */
struct listener {
	struct server_tls *tls;
	struct listener *next;
	unsigned generation; /* of the files it was handed last */
};

struct server_tls {
	struct tls_options options; /* owned strings */
	struct {
		pthread_mutex_t lock;
		struct pem pem;
		unsigned generation;
		struct listener *listeners;
	} shared;
};

enum {
	MAX_PEM_BYTES = 1 << 20 /* a bundle of CAs */
};

static void pem_init(struct pem *p)
{
	buf_init(&p->cert, MAX_PEM_BYTES);
	buf_init(&p->key, MAX_PEM_BYTES);
	buf_init(&p->ca, MAX_PEM_BYTES);
}

static void pem_done(struct pem *p)
{
	buf_done(&p->cert);
	buf_done(&p->key);
	buf_done(&p->ca);
}

static struct status read_pem(const char *what, const char *path, struct buf *out)
{
	if (!path)
		return status_ok();
	struct status s = file_read(path, MAX_PEM_BYTES, out);
	if (!status_is_ok(&s))
		return status_error(STATUS_INVALID_ARGUMENT, "the %s: %s", what, s.message);
	if (!out->n || !memmem(out->p, out->n, "-----BEGIN ", 11))
		return status_error(STATUS_INVALID_ARGUMENT,
			"cannot use the %s '%s': there is no PEM block in it", what, path);
	return status_ok();
}

static struct status pem_read(const struct tls_options *o, struct pem *ret)
{
	TRY(read_pem("TLS certificate", o->cert_file, &ret->cert));
	TRY(read_pem("TLS key", o->key_file, &ret->key));
	if (o->client_auth == TLS_CLIENT_NONE)
		return status_ok();
	return read_pem("TLS CA", o->client_ca_file, &ret->ca);
}

static bool pem_eq(const struct pem *a, const struct pem *b)
{
	return str_eq(buf_str(&a->cert), buf_str(&b->cert)) &&
	       str_eq(buf_str(&a->key), buf_str(&b->key)) &&
	       str_eq(buf_str(&a->ca), buf_str(&b->ca));
}

/* What gRPC would only log; the copy that is tried is thrown away. */
static struct status try_files(const struct tls_options *o)
{
	_cleanup_(tls_server_freep) struct tls_server *trial = NULL;
	return tls_server_new(o, &trial);
}

/* Files that are replaced meanwhile would be tried in one state and used in another. */
static struct status read_tried(const struct tls_options *o, struct pem *ret)
{
	struct pem again;
	pem_init(&again);
	struct status s = pem_read(o, ret);
	if (status_is_ok(&s))
		s = try_files(o);
	if (status_is_ok(&s))
		s = pem_read(o, &again);
	if (status_is_ok(&s) && !pem_eq(ret, &again))
		s = status_error(STATUS_UNAVAILABLE, "'%s' and '%s' change while they are read",
			o->cert_file, o->key_file);
	pem_done(&again);
	return s;
}

static struct status load(struct server_tls *t)
{
	struct pem pem;
	pem_init(&pem);
	struct status s = read_tried(&t->options, &pem);
	if (status_is_ok(&s)) {
		pthread_mutex_lock(&t->shared.lock);
		struct pem old = t->shared.pem;
		t->shared.pem = pem;
		t->shared.generation++;
		pthread_mutex_unlock(&t->shared.lock);
		pem = old;
	}
	pem_done(&pem);
	return s;
}

struct status server_tls_new(const struct tls_options *o, struct server_tls **ret)
{
	_cleanup_(server_tls_freep) struct server_tls *t = xnew(struct server_tls);
	t->options = (struct tls_options){
		.cert_file = o->cert_file ? xstrdup(o->cert_file) : NULL,
		.key_file = o->key_file ? xstrdup(o->key_file) : NULL,
		.client_ca_file = o->client_ca_file ? xstrdup(o->client_ca_file) : NULL,
		.client_auth = o->client_auth,
	};
	pthread_mutex_init(&t->shared.lock, NULL);
	pem_init(&t->shared.pem);
	TRY(load(t));
	*ret = TAKE_PTR(t);
	return status_ok();
}

static void free_const(const char *s)
{
	union {
		const char *in;
		char *out;
	} p = {.in = s};
	free(p.out);
}

void server_tls_free(struct server_tls *t)
{
	if (!t)
		return;
	while (t->shared.listeners) {
		struct listener *l = t->shared.listeners;
		t->shared.listeners = l->next;
		free(l);
	}
	pem_done(&t->shared.pem);
	pthread_mutex_destroy(&t->shared.lock);
	free_const(t->options.cert_file);
	free_const(t->options.key_file);
	free_const(t->options.client_ca_file);
	free(t);
}

struct status server_tls_reload(struct server_tls *t)
{
	return load(t);
}

/* gRPC: at each handshake, on any of its threads. */
static grpc_ssl_certificate_config_reload_status fetch(
	void *arg, grpc_ssl_server_certificate_config **ret)
{
	struct listener *l = arg;
	struct server_tls *t = l->tls;
	grpc_ssl_certificate_config_reload_status result =
		GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
	pthread_mutex_lock(&t->shared.lock);
	if (l->generation != t->shared.generation) {
		l->generation = t->shared.generation;
		const struct pem *pem = &t->shared.pem;
		grpc_ssl_pem_key_cert_pair pair = {
			.private_key = pem->key.p, .cert_chain = pem->cert.p};
		/* gRPC 1.51 aborts without roots; where no client certificate is asked for they
		 * mean nothing, and a certificate that is there anyway does. */
		*ret = grpc_ssl_server_certificate_config_create(
			pem->ca.n ? pem->ca.p : pem->cert.p, &pair, 1);
		result = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
	}
	pthread_mutex_unlock(&t->shared.lock);
	return result;
}

static grpc_ssl_client_certificate_request_type request_type(enum tls_client_auth auth)
{
	switch (auth) {
	case TLS_CLIENT_NONE:
		break;
	case TLS_CLIENT_OPTIONAL:
		return GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
	case TLS_CLIENT_REQUIRED:
		return GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
	}
	return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
}

grpc_server_credentials *server_tls_credentials(struct server_tls *t)
{
	struct listener *l = xnew(struct listener);
	l->tls = t;
	l->next = t->shared.listeners;
	t->shared.listeners = l;
	return grpc_ssl_server_credentials_create_with_options(
		grpc_ssl_server_credentials_create_options_using_config_fetcher(
			request_type(t->options.client_auth), fetch, l));
}

static bool usable(const grpc_auth_property *p)
{
	struct str value = {p->value, p->value_length};
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
			return false;
	return value.n > 0 && value.n < TLS_IDENTITY_BYTES && str_is_utf8(value);
}

/* The first property @name; @n_spiffe counts those that are SPIFFE IDs, if it is not NULL. */
static const grpc_auth_property *find_property(
	const grpc_auth_context *context, const char *name, unsigned *n_spiffe)
{
	grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(context, name);
	const grpc_auth_property *first = grpc_auth_property_iterator_next(&it);
	for (const grpc_auth_property *p = first; n_spiffe && p;
		p = grpc_auth_property_iterator_next(&it))
		if (str_starts_with((struct str){p->value, p->value_length}, STR("spiffe://")))
			++*n_spiffe;
	return first;
}

static const grpc_auth_property *identity(const grpc_auth_context *context)
{
	unsigned n_spiffe = 0;
	const grpc_auth_property *uri =
		find_property(context, GRPC_PEER_URI_PROPERTY_NAME, &n_spiffe);
	if (n_spiffe > 1)
		return NULL;
	if (n_spiffe == 1)
		return find_property(context, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME, NULL);
	return uri ? uri : find_property(context, GRPC_X509_CN_PROPERTY_NAME, NULL);
}

struct str rpc_tls_identity(grpc_call *call, struct arena *arena)
{
	struct str result = {NULL, 0};
	grpc_auth_context *context = grpc_call_auth_context(call);
	if (!context)
		return result;
	const grpc_auth_property *p = identity(context);
	if (p && usable(p))
		result = arena_str(arena, (struct str){p->value, p->value_length});
	grpc_auth_context_release(context);
	return result;
}
