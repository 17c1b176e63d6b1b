/* SPDX-License-Identifier: Apache-2.0 */
/* Any command line of osmo, its words separated by line feeds, is understood, or answered with a
 * help or an error; the first byte is the width. Files that are named are opened, so none is. */
#include "cli/argparse.h"
#include "cli/verbs.h"
#include "common/base/xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	WORDS_MAX = 64
};

static bool names_a_file(const char *text)
{
	return strstr(text, "--c") || strstr(text, "--t");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	static char program[] = "osmo";
	char *argv[WORDS_MAX] = {program};
	int argc = 1;
	_cleanup_free_ char *text = xstrndup((const char *)data + 1, size - 1);
	if (names_a_file(text))
		return 0;
	for (char *p = text; p && argc < WORDS_MAX; argc++) {
		argv[argc] = p;
		p = strchr(p, '\n');
		if (p)
			*p++ = '\0';
	}
	struct args args;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 24);
	enum args_outcome outcome = args_parse(&verbs_root, argc, argv, data[0], &args, &out);
	if (outcome == ARGS_RUN ? !args.command : !out.n || out.p[out.n - 1] != '\n')
		abort();
	args_done(&args);
	return 0;
}
