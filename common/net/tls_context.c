/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/tls_context.h"

#include <openssl/ssl.h>
#include <stdlib.h>

void tls_context_init(struct tls_context *c)
{
	pthread_mutex_init(&c->lock_, NULL);
	c->context_ = NULL;
}

void tls_context_done(struct tls_context *c)
{
	SSL_CTX_free(c->context_);
	pthread_mutex_destroy(&c->lock_);
}

void tls_context_replace(struct tls_context *c, SSL_CTX *takes_fresh)
{
	pthread_mutex_lock(&c->lock_);
	SSL_CTX *old = c->context_;
	c->context_ = takes_fresh;
	pthread_mutex_unlock(&c->lock_);
	SSL_CTX_free(old); /* sessions hold references of their own */
}

SSL *tls_context_session(struct tls_context *c)
{
	pthread_mutex_lock(&c->lock_);
	SSL *ssl = SSL_new(c->context_);
	pthread_mutex_unlock(&c->lock_);
	if (!ssl)
		abort(); /* out of memory, as in xalloc */
	return ssl;
}
