/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC C core as a whole: started with the first user, ended with the last.
 *
 * Its threads block all signals, and what it logs goes to our log (its errors are mostly about
 * peers, who could fill a log with them, so they are debug events). After it, the process must not
 * fork. Threads: any. */
#pragma once

#include <grpc/grpc.h>
#include <signal.h>

void library_ref(void);
void library_unref(void);

/* gRPC starts threads whenever it likes, and they inherit the caller's signal mask: between these
 * two all signals are blocked. */
void library_block_signals(sigset_t *before);
void library_restore_signals(const sigset_t *before);

static inline grpc_arg library_int_arg(const char *key, int value)
{
	union {
		const char *in;
		char *out;
	} name = {.in = key}; /* gRPC forgot the const, it changes nothing */
	return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = name.out, .value.integer = value};
}
