/* SPDX-License-Identifier: Apache-2.0 */
/* Who a call is from by the word of others. Lines: the trusted networks, the peer in gRPC's
 * notation, then "name: value" for each header. Through gRPC's metadata, the list of trusted
 * proxies and authn: nobody becomes somebody by a header but through a trusted peer, and what such
 * a peer says is taken whole or refused. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/codec/schema.h"
#include "common/rpc/proxy_trust.h"
#include "common/rpc/rpc_metadata.h"
#include "common/rpc/rpc_peer.h"
#include "service/interceptor/authn.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	MAX_HEADERS = 16
};

static struct principal seen; /* by the handler; of kind -1: the call did not get there */

static struct call_step handle(void *self, struct call *c)
{
	(void)self;
	seen = *call_context(c)->principal;
	MUST(call_context(c)->has_credential == (seen.kind != PRINCIPAL_ANONYMOUS));
	return call_finished(c, NULL);
}

static void ignore(struct call *c)
{
	(void)c;
}

static size_t read_headers(struct str text, grpc_metadata headers[MAX_HEADERS])
{
	size_t n = 0;
	struct str line;
	while (n < MAX_HEADERS && str_split(&text, '\n', &line)) {
		size_t colon = str_index(line, ':');
		struct str name = str_sub(line, 0, colon);
		/* credentials are another target's */
		if (str_eq_nocase(name, STR("authorization")) ||
			str_eq_nocase(name, STR("x-osmo-auth")))
			continue;
		struct str value = str_trim(str_sub(line, colon + 1, line.n));
		headers[n++] = (grpc_metadata){
			.key = grpc_slice_from_static_buffer(name.p ? name.p : "", name.n),
			.value = grpc_slice_from_static_buffer(value.p ? value.p : "", value.n)};
	}
	return n;
}

static void check_principal(const struct call *c, bool trusted)
{
	const struct call_metadata *user = &c->metadata[CALL_OSMO_USER];
	const struct call_metadata *roles = &c->metadata[CALL_OSMO_ROLES];
	if (!trusted)
		MUST(!user->count && !roles->count && !c->metadata[CALL_FORWARDED_FOR].count);
	if (!user->count && !roles->count) {
		MUST(seen.kind == PRINCIPAL_ANONYMOUS && !seen.n_roles);
		return;
	}
	if (c->status.code != STATUS_OK) {
		MUST((int)seen.kind == -1 && c->status.message[0]);
		return;
	}
	MUST(user->count == 1 && roles->count <= 1);
	MUST(seen.kind == PRINCIPAL_USER && seen.method == AUTH_TRUSTED_PROXY);
	MUST(str_eq(seen.name, user->value) && principal_name_is_valid(seen.name));
	MUST(seen.n_roles <= AUTHN_MAX_ROLES);
	for (size_t i = 0; i < seen.n_roles; i++) {
		MUST(principal_name_is_valid(seen.roles[i]));
		MUST(str_index(seen.roles[i], ',') == seen.roles[i].n);
		MUST(seen.roles[i].p >= roles->value.p &&
			seen.roles[i].p + seen.roles[i].n <= roles->value.p + roles->value.n);
	}
}

static void run(const struct proxy_trust *trust, struct str peer, struct str headers)
{
	static const struct call_ops ops = {.finished = ignore, .release = ignore};
	static const struct schema_method method = {.path = "/fuzz/Method"};
	struct authn authn;
	authn_init(&authn, &(struct authn_config){.trusted_proxies = &trust->proxies});
	const struct chain_step steps[] = {{"authn", authn_run, &authn}, {"handler", handle, NULL}};
	struct chain *chain = chain_new(steps, 2);
	grpc_metadata list[MAX_HEADERS];
	const grpc_metadata_array array = {
		.count = read_headers(headers, list), .capacity = MAX_HEADERS, .metadata = list};
	char text[RPC_PEER_BYTES];
	struct call c;
	call_init(&c, &ops);
	c.arena = arena_new();
	c.method = &method;
	c.transport = "fuzz";
	rpc_peer_parse(peer, text, &c.peer);
	MUST(c.peer.text.n && c.peer.text.n < RPC_PEER_BYTES);
	rpc_metadata_read(&array, &trust->trust, &c);
	seen = (struct principal){.kind = (enum principal_kind) - 1};
	call_handler_start(chain_handler(chain), &c);
	check_principal(
		&c, cidr_list_has(&trust->proxies, (const struct sockaddr *)&c.peer.address));
	call_unref(&c);
	arena_free(c.arena);
	chain_free(chain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, networks = STR(""), peer = STR("");
	log_set_level(LOG_ERROR); /* refusals are not news here */
	str_split(&rest, '\n', &networks);
	str_split(&rest, '\n', &peer);
	struct cidr_list proxies;
	struct status s = cidr_list_parse(networks, &proxies);
	if (!status_is_ok(&s))
		return 0;
	struct proxy_trust trust;
	proxy_trust_init(&trust, proxies, false);
	run(&trust, peer, rest);
	proxy_trust_done(&trust);
	return 0;
}
