/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/token_use.h"

#include "service/app/token_keeper.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static void format(const struct sockaddr_storage *address, char ret[TOKEN_USE_ADDRESS_BYTES])
{
	const void *bytes = NULL;
	int family = address->ss_family;
	ret[0] = '\0';
	if (family == AF_INET) {
		bytes = &((const struct sockaddr_in *)address)->sin_addr;
	} else if (family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
		bytes = in6;
		if (IN6_IS_ADDR_V4MAPPED(in6)) {
			family = AF_INET;
			bytes = in6->s6_addr + 12;
		}
	}
	if (bytes && !inet_ntop(family, bytes, ret, TOKEN_USE_ADDRESS_BYTES))
		ret[0] = '\0';
}

/* An address without a port, as proxies write it. */
static bool parse(struct str text, struct sockaddr_storage *ret)
{
	char copy[TOKEN_USE_ADDRESS_BYTES];
	if (!text.n || text.n >= sizeof copy)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	memset(ret, 0, sizeof *ret);
	if (inet_pton(AF_INET, copy, &((struct sockaddr_in *)ret)->sin_addr) == 1)
		ret->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, copy, &((struct sockaddr_in6 *)ret)->sin6_addr) == 1)
		ret->ss_family = AF_INET6;
	return ret->ss_family != 0;
}

/* Takes the last part of a list with commas. */
static struct str take_last(struct str *list)
{
	size_t at = list->n;
	while (at && list->p[at - 1] != ',')
		at--;
	struct str last = str_trim(str_sub(*list, at, list->n));
	*list = str_sub(*list, 0, at ? at - 1 : 0);
	return last;
}

void token_use_address(
	const struct cidr_list *proxies, const struct call *c, char ret[TOKEN_USE_ADDRESS_BYTES])
{
	struct sockaddr_storage address = c->peer.address, next;
	struct str list = c->metadata[CALL_FORWARDED_FOR].value;
	while (proxies && list.n && cidr_list_has(proxies, (const struct sockaddr *)&address)) {
		if (!parse(take_last(&list), &next))
			break;
		address = next;
	}
	format(&address, ret);
}

void token_use_note(const struct token_use *u, const struct call *c, struct token *token)
{
	char address[TOKEN_USE_ADDRESS_BYTES];
	if (!u || !u->keeper || !token || !token_keeper_is_due(u->keeper, token))
		return;
	token_use_address(u->proxies, c, address);
	token_keeper_note(u->keeper, token, str_of(address));
}

void token_use_note_elsewhere(const struct token_use *u, struct token *token)
{
	if (u && u->keeper && token && token_keeper_is_due(u->keeper, token))
		token_keeper_note(u->keeper, token, STR(""));
}
