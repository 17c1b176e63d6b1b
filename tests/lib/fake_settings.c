/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fake_settings.h"

#include "common/base/xalloc.h"

#include <string.h>

struct store {
	char *value;
	unsigned count, fail_at;
	enum status_code fail_code;
};

struct answer {
	struct loop_task task;
	struct status status;
	char *value;
	store_setting_fn *setting;
	store_done_fn *plain;
	void *arg;
};

struct store *fake_settings_new(void)
{
	return xnew(struct store);
}

void fake_settings_free(struct store *s)
{
	free(s->value);
	free(s);
}

const char *fake_settings_value(const struct store *s)
{
	return s->value;
}

void fake_settings_set(struct store *s, const char *value)
{
	char *copy = value ? xstrdup(value) : NULL;
	free(s->value);
	s->value = copy;
}

void fake_settings_fail(struct store *s, unsigned skip, enum status_code code)
{
	s->fail_at = s->count + skip + 1;
	s->fail_code = code;
}

unsigned fake_settings_count(const struct store *s)
{
	return s->count;
}

static void run(struct loop_task *task)
{
	struct answer *a = container_of(task, struct answer, task);
	if (a->setting)
		a->setting(a->arg, &a->status, str_of(a->value));
	else
		a->plain(a->arg, &a->status);
	free(a->value);
	free(a);
}

/* True: the operation is to be done. */
static bool begin(struct store *s, struct store_waiter waiter, struct answer **ret)
{
	struct answer *a = xnew(struct answer);
	a->task.run = run;
	a->arg = waiter.arg;
	s->count++;
	a->status =
		s->count == s->fail_at ? status_error(s->fail_code, "made to fail") : status_ok();
	*ret = a;
	return status_is_ok(&a->status);
}

void store_setting_get(
	struct store *s, struct str name, struct store_waiter waiter, store_setting_fn *done)
{
	(void)name;
	struct answer *a;
	if (begin(s, waiter, &a)) {
		if (s->value)
			a->value = xstrdup(s->value);
		else
			a->status = status_error(STATUS_NOT_FOUND, "no such setting");
	}
	a->setting = done;
	loop_post(waiter.home, &a->task);
}

void store_setting_init(struct store *s, struct str name, struct str value,
	struct store_waiter waiter, store_setting_fn *done)
{
	(void)name;
	struct answer *a;
	if (begin(s, waiter, &a)) {
		if (!s->value)
			s->value = str_dup(value);
		a->value = xstrdup(s->value);
	}
	a->setting = done;
	loop_post(waiter.home, &a->task);
}

void store_setting_put(struct store *s, struct str name, struct str value,
	struct store_waiter waiter, store_done_fn *done)
{
	(void)name;
	struct answer *a;
	if (begin(s, waiter, &a)) {
		free(s->value);
		s->value = str_dup(value);
	}
	a->plain = done;
	loop_post(waiter.home, &a->task);
}
