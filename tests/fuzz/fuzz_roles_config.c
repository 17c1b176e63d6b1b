/* SPDX-License-Identifier: Apache-2.0 */
/* `roles:` of a configuration file: roles that are taken are whole and the file's own. */
#include "common/base/cleanup.h"
#include "common/config/yaml_node.h"
#include "service/app/role_app.h"
#include "service/domain/role.h"
#include "service/roles_config.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *tree = NULL;
	struct status s = yaml_tree_parse("f", (struct str){(const char *)data, size}, &tree);
	if (!status_is_ok(&s))
		return 0;
	_cleanup_(role_set_unrefp) struct role_set *set = NULL;
	s = roles_config_parse(yaml_node_find(yaml_tree_root(tree), "roles"), &set);
	if (!status_is_ok(&s)) {
		MUST(!set && s.code == STATUS_INVALID_ARGUMENT);
		MUST(strncmp(s.message, "f:", 2) == 0); /* and its line */
		return 0;
	}
	for (size_t i = 0; i < role_set_count(set); i++) {
		const struct role *role = role_set_at(set, i);
		struct status whole = role_check(role);
		MUST(status_is_ok(&whole) && role->immutable);
		MUST(role_set_find(set, role->name) == role);
	}
	return 0;
}
