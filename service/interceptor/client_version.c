/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/client_version.h"

enum {
	NUMBERS = 3
};

struct version {
	uint64_t numbers[NUMBERS];
	struct str suffix;
};

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool parse(struct str text, struct version *ret)
{
	*ret = (struct version){.suffix = STR("")};
	struct str rest = text, part;
	for (size_t i = 0; i < NUMBERS; i++)
		if (!str_split(&rest, '.', &part) || !str_to_u64(part, &ret->numbers[i]))
			return false;
	if (!str_split(&rest, '.', &part))
		return true;
	for (size_t i = 0; i < part.n; i++)
		if (!is_alnum(part.p[i]))
			return false;
	ret->suffix = part;
	return part.n > 0 && !rest.p;
}

bool client_version_is_valid(struct str version)
{
	struct version v;
	return version.p && parse(version, &v);
}

int client_version_compare(struct str a, struct str b)
{
	struct version x, y;
	if (!parse(a, &x) || !parse(b, &y))
		return 0;
	for (size_t i = 0; i < NUMBERS; i++)
		if (x.numbers[i] != y.numbers[i])
			return x.numbers[i] < y.numbers[i] ? -1 : 1;
	return str_cmp(x.suffix, y.suffix);
}

static struct status out_of_date(const struct client_version_config *config, struct str client)
{
	return status_error(STATUS_FAILED_PRECONDITION,
		"Your client is out of date. Client version is %.*s but the newest client version "
		"is "
		"%s. Please run the following command:\ncurl -fsSL %s/client/install.sh | bash",
		STR_ARG(client), config->latest, config->service_url ? config->service_url : "");
}

struct call_step client_version_run(void *self, struct call *c)
{
	const struct client_version_config *config = self;
	if (!c->metadata[CALL_CLIENT_VERSION].count)
		return call_next(c);
	struct str client = c->metadata[CALL_CLIENT_VERSION].value;
	if (!client_version_is_valid(client))
		return call_failed(
			c, status_error(STATUS_INVALID_ARGUMENT,
				   "x-osmo-client-version: Version should be of the format "
				   "major.minor.revision, got '%.*s'",
				   STR_ARG(client)));
	if (client_version_compare(client, str_of(config->latest)) < 0)
		c->reply_headers[CALL_REPLY_SERVICE_VERSION] = str_of(config->latest);
	if (config->least && client_version_compare(client, str_of(config->least)) < 0)
		return call_failed(c, out_of_date(config, client));
	return call_next(c);
}
