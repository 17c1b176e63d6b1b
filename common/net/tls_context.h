/* SPDX-License-Identifier: Apache-2.0 */
/* A context of OpenSSL's that is replaced whole while others make sessions of it; what the two ends
 * of TLS (tls.h, tls_client.h) keep theirs in. Threads: any, but for init and done. */
#pragma once

#include <openssl/types.h>
#include <pthread.h>

/* Of TLS 1.2 what both ends take: a key of its own for each session, and encryption that
 * authenticates (RFC 9325, 4.2). With TLS 1.3 there is nothing else. */
#define TLS_CONTEXT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_context {
	pthread_mutex_t lock_;
	SSL_CTX *context_;
};

/* Without a context until tls_context_replace. */
void tls_context_init(struct tls_context *c);
void tls_context_done(struct tls_context *c);
/* Sessions that were begun with the old one keep it. */
void tls_context_replace(struct tls_context *c, SSL_CTX *takes_fresh);
/* The caller's (SSL_free). */
SSL *tls_context_session(struct tls_context *c);
