/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_shared.h"

enum pg_schema pg_shared_schema(struct pg_shared *s, struct status *ret_refusal)
{
	pthread_mutex_lock(&s->state.lock);
	enum pg_schema schema = s->state.schema;
	if (schema == PG_SCHEMA_REFUSED)
		*ret_refusal = s->state.refusal;
	pthread_mutex_unlock(&s->state.lock);
	return schema;
}

void pg_shared_set_schema(struct pg_shared *s, enum pg_schema schema, const struct status *refusal)
{
	pthread_mutex_lock(&s->state.lock);
	s->state.schema = schema;
	if (refusal)
		s->state.refusal = *refusal;
	pthread_mutex_unlock(&s->state.lock);
}
