/* SPDX-License-Identifier: Apache-2.0 */
#include "service/commands.h"

#include "common/base/log.h"
#include "service/options.h"
#include "service/store/sqlite/maintenance.h"

#include <stdio.h>

struct status commands_backup(const struct options *o)
{
	const struct service_options *v = options_values(o);
	const char *to = options_operand(o);
	struct sqlite_backup_result result;
	TRY(sqlite_backup(v->data_dir, to, &result));
	printf("%s: %lld tokens, %lld bytes\n", to, (long long)result.tokens,
		(long long)result.bytes);
	return status_ok();
}

static struct status damaged(const char *data_dir, int problems)
{
	return status_error(STATUS_DATA_LOSS,
		"the database in '%s' has %d problem%s: restore a backup", data_dir, problems,
		problems == 1 ? "" : "s");
}

static void print_problem(void *arg, const char *text)
{
	(void)arg;
	puts(text);
}

struct status commands_check(const struct options *o)
{
	const struct service_options *v = options_values(o);
	struct sqlite_check_result result;
	TRY(sqlite_check(v->data_dir, print_problem, NULL, &result));
	if (result.problems)
		return damaged(v->data_dir, result.problems);
	printf("the database is sound: schema version %d, %lld personal and %lld service tokens, "
	       "%lld bytes\n",
		result.schema_version, (long long)result.user_tokens,
		(long long)result.service_tokens, (long long)result.bytes);
	return status_ok();
}

static void log_problem(void *arg, const char *text)
{
	(void)arg;
	log_error("store.problem", LOG_TEXT("problem", text));
}

struct status commands_check_before_start(const struct service_options *v)
{
	struct sqlite_check_result result;
	struct status status = sqlite_check(v->data_dir, log_problem, NULL, &result);
	if (status.code == STATUS_NOT_FOUND)
		return status_ok();
	TRY(status);
	if (result.problems)
		return damaged(v->data_dir, result.problems);
	log_info("store.checked", LOG_I64("bytes", result.bytes));
	return status_ok();
}
