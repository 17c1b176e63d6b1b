/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/goaway.h"

#include "common/base/cleanup.h"
#include "common/rpc/tsan.h"

#include <semaphore.h>
#include <string.h>

/* grpc_core::Server::SendGoaways(); a grpc_server * is its `this`. */
extern void core_send_goaways(grpc_server *server) __asm__("_ZN9grpc_core6Server11SendGoawaysEv")
	__attribute__((weak));

/* Code inside gRPC needs an "execution context" on its stack, which only gRPC can make. The
 * callback that tells of a queue's shutdown runs on one of gRPC's threads and has one. */
struct errand {
	grpc_completion_queue_functor functor;
	grpc_server *server;
	sem_t done;
};

static void run(grpc_completion_queue_functor *functor, int ok)
{
	(void)ok;
	struct errand *errand = container_of(functor, struct errand, functor);
	tsan_take_over(errand);
	core_send_goaways(errand->server);
	sem_post(&errand->done);
}

static bool is_known_version(void)
{
	return strcmp(grpc_version_string(), "29.0.0") == 0; /* gRPC 1.51 */
}

bool goaway_send(grpc_server *server)
{
	if (!core_send_goaways || !is_known_version())
		return false;
	struct errand errand = {.functor.functor_run = run, .server = server};
	sem_init(&errand.done, 0, 0);
	tsan_hand_over(&errand);
	grpc_completion_queue *queue =
		grpc_completion_queue_create_for_callback(&errand.functor, NULL);
	grpc_completion_queue_shutdown(queue);
	while (sem_wait(&errand.done) != 0) { /* EINTR */
	}
	grpc_completion_queue_destroy(queue);
	sem_destroy(&errand.done);
	return true;
}
