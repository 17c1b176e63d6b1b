/* SPDX-License-Identifier: Apache-2.0 */
#include "service/open_store.h"

#include "common/base/file.h"
#include "common/program/program_loops.h"
#include "service/options.h"
#include "service/store/postgres/postgres_store.h"
#include "service/store/sqlite/sqlite_store.h"

static struct status open_sqlite(const struct open_store_options *o, struct store **ret)
{
	return sqlite_store_open(&(struct sqlite_store_options){.data_dir = o->values->data_dir,
					 .clock = &clock_system,
					 .beside_service = o->beside_service,
					 .migrates_later = o->migrates_later},
		ret);
}

static struct status open_postgres(const struct open_store_options *o, struct store **ret)
{
	const struct service_options *v = o->values;
	const struct postgres_store_options options = {
		.url = v->postgres_url,
		.direct_url = v->postgres_direct_url,
		.password_file = v->postgres_password_file,
		.pooler = v->postgres_pooler != 0,
		.home = o->loops->control,
		.loops = o->loops->workers,
		.n_loops = o->loops->n,
		.n_connections = (size_t)v->postgres_connections,
		.connect_timeout_ms = (int)v->postgres_connect_timeout_ms,
		.statement_timeout_ms = (int)v->postgres_statement_timeout_ms,
		.clock = &clock_system,
	};
	TRY(postgres_store_open(&options, ret));
	if (o->metrics)
		postgres_store_register_metrics(*ret, o->metrics);
	return status_ok();
}

struct status open_store(const struct open_store_options *o, struct store **ret)
{
	if (!o->beside_service)
		TRY(file_make_dirs(o->values->data_dir, 0700));
	return o->values->store == SERVICE_STORE_POSTGRES ? open_postgres(o, ret)
							  : open_sqlite(o, ret);
}
