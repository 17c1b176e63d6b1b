/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes that several handlers of osmo.compat.v1 share. Messages live in the given arena. */
#pragma once

#include "common/base/arena.h"
#include "common/rpc/call.h"
#include "service/domain/token.h"

#include "osmo/compat/v1/compat_service.pb-c.h"

Osmo__Compat__V1__TokenObject *token_to_object(const struct token *t, struct arena *arena);

/* The answer that is written `null`. */
ProtobufCMessage *compat_null_reply(struct call *c);
