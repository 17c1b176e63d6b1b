/* SPDX-License-Identifier: Apache-2.0 */
/* Every handler by name, for the table in methods.c. self: a const struct api. Internal to api/. */
#pragma once

#include "service/interceptor/chain.h"

call_step_fn token_api_set, token_api_list, token_api_update, token_api_rotate, token_api_delete,
	token_api_delete_all, token_api_whoami;
call_step_fn auth_api_login_info, auth_api_exchange, auth_api_keys, auth_api_token_info,
	auth_api_authorize;
call_step_fn profile_api_get, profile_api_set;
call_step_fn role_api_list, role_api_get, role_api_put, role_api_delete;
call_step_fn compat_api_create_user_token, compat_api_create_service_token,
	compat_api_delete_user_token, compat_api_delete_service_token, compat_api_list_user_tokens,
	compat_api_list_service_tokens, compat_api_exchange_token, compat_api_get_token_info,
	compat_api_get_keys, compat_api_get_login_info, compat_api_get_profile,
	compat_api_set_profile, compat_api_list_roles, compat_api_get_role, compat_api_put_role,
	compat_api_put_roles, compat_api_delete_role, compat_api_get_version, compat_api_get_health;
