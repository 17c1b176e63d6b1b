/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_metadata.h"

#include "common/rpc/slices.h"

void rpc_metadata_read(
	const grpc_metadata_array *from, const struct call_trust *trust, struct call *call)
{
	for (size_t i = 0; i < from->count; i++) {
		const grpc_metadata *entry = &from->metadata[i];
		enum call_metadata_key key;
		if (!call_metadata_key_of(slice_str(&entry->key), &key))
			continue;
		struct call_metadata *m = &call->metadata[key];
		if (m->count++ == 0)
			m->value = slice_str(&entry->value);
	}
	for (enum call_metadata_key key = 0; key < CALL_METADATA_COUNT; key++) {
		struct call_metadata *m = &call->metadata[key];
		if (m->count && call_metadata_is_identity(key) &&
			!(trust && trust->keeps(trust, &call->peer, key)))
			*m = (struct call_metadata){.count = 0};
	}
}

bool rpc_metadata_add(struct rpc_metadata *m, const char *key, struct str value)
{
	assert(m->n < RPC_METADATA_MAX);
	grpc_metadata *entry = &m->entries[m->n];
	memset(entry, 0, sizeof *entry);
	entry->key = grpc_slice_from_static_string(key);
	entry->value = slice_copy(value);
	if (!str_ends_with(str_of(key), STR("-bin")) &&
		!grpc_header_nonbin_value_is_legal(entry->value)) {
		grpc_slice_unref(entry->value);
		return false;
	}
	m->n++;
	return true;
}

void rpc_metadata_clear(struct rpc_metadata *m)
{
	for (size_t i = 0; i < m->n; i++)
		grpc_slice_unref(m->entries[i].value);
	m->n = 0;
}
