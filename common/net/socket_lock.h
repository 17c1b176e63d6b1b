/* SPDX-License-Identifier: Apache-2.0 */
/* The right to be the one server behind the path of a unix socket.
 *
 * A second bind of a path "succeeds" once somebody removed the first one's file, so a lock file
 * PATH.lock stands beside it: who holds its flock owns PATH, and only the owner removes a socket
 * that a killed process left behind. Both files go when the lock is released; a crash leaves them,
 * which harms nobody. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

struct socket_lock;

/* Takes the lock of @path and removes a stale socket there.
 *
 * FAILED_PRECONDITION  another process serves @path, or the file there is no socket
 * INVALID_ARGUMENT     the lock file cannot be made (its folder is missing, no permission) */
struct status socket_lock_take(const char *path, struct socket_lock **ret);
/* Removes the socket and the lock file. NULL is allowed. */
void socket_lock_release(struct socket_lock *l);
DEFINE_CLEANUP(struct socket_lock *, socket_lock_release);
