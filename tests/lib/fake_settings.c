/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fake_settings.h"

#include "common/base/arena.h"
#include "common/base/xalloc.h"
#include "service/store/store_ops.h"

#include <string.h>

struct fake_settings {
	struct store store;
	char *value;
	unsigned count, fail_at;
	enum status_code fail_code;
};

static const struct fake_settings *fake_of(const struct store *s)
{
	return (const void *)s;
}

static bool is_old(const struct fake_settings *f, const struct store_op *op)
{
	return f->value && str_eq(str_of(f->value), op->in.setting.old);
}

static void run(struct fake_settings *f, struct store_op *op)
{
	struct str value = op->in.setting.value;
	bool init = op->type == STORE_OP_SETTING_INIT && !f->value;
	if (init || op->type == STORE_OP_SETTING_REPLACE || op->type == STORE_OP_SETTING_PUT)
		fake_settings_set(&f->store, value.p);
	op->out.memory = arena_new();
	op->out.value = f->value ? arena_str(op->out.memory, str_of(f->value)) : STR("");
}

static void submit(struct store *s, struct store_op *op)
{
	struct fake_settings *f = container_of(s, struct fake_settings, store);
	f->count++;
	if (f->count == f->fail_at) {
		store_op_finish(op, status_error(f->fail_code, "made to fail"));
		return;
	}
	if (op->type == STORE_OP_SETTING_REPLACE && !is_old(f, op)) {
		store_op_finish(op, store_setting_changed(op->in.setting.name));
		return;
	}
	run(f, op);
	store_op_finish(op, f->value ? status_ok() : status_error(STATUS_NOT_FOUND, "not there"));
}

struct store *fake_settings_new(void)
{
	static const struct store_ops ops = {.name = "fake", .submit = submit};
	struct fake_settings *f = xnew(struct fake_settings);
	f->store.ops = &ops;
	return &f->store;
}

void fake_settings_free(struct store *s)
{
	struct fake_settings *f = container_of(s, struct fake_settings, store);
	free(f->value);
	free(f);
}

const char *fake_settings_value(const struct store *s)
{
	return fake_of(s)->value;
}

void fake_settings_set(struct store *s, const char *value)
{
	struct fake_settings *f = container_of(s, struct fake_settings, store);
	char *copy = value ? xstrdup(value) : NULL;
	free(f->value);
	f->value = copy;
}

void fake_settings_fail(struct store *s, unsigned skip, enum status_code code)
{
	struct fake_settings *f = container_of(s, struct fake_settings, store);
	f->fail_at = f->count + skip + 1;
	f->fail_code = code;
}

unsigned fake_settings_count(const struct store *s)
{
	return fake_of(s)->count;
}
