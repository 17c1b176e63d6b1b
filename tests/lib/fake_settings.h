/* SPDX-License-Identifier: Apache-2.0 */
/* A store that has nothing but one setting, in memory; its answers can be made to fail. */
#pragma once

#include "common/base/status.h"
#include "service/store/store.h"

struct store *fake_settings_new(void);
void fake_settings_free(struct store *s);

/* The setting as it is, or NULL. */
const char *fake_settings_value(const struct store *s);
void fake_settings_set(struct store *s, const char *value);
/* The operation after @skip more ones fails. */
void fake_settings_fail(struct store *s, unsigned skip, enum status_code code);
/* How many operations there were. */
unsigned fake_settings_count(const struct store *s);
