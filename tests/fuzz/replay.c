/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target on every file of the folders that are named: a corpus as a regression test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return 1;
	}
	char *data = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&data, &size);
	char block[4096];
	size_t n;
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		fwrite(block, 1, n, memory);
	fclose(memory);
	fclose(f);
	/* an exact-size copy, so that a sanitizer sees the first byte too many */
	uint8_t *exact = malloc(size ? size : 1);
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	for (int i = 1; i < argc; i++) {
		struct dirent **names;
		int n = scandir(argv[i], &names, NULL, alphasort);
		if (n < 0) {
			perror(argv[i]);
			return 1;
		}
		for (int k = 0; k < n; k++) {
			if (names[k]->d_name[0] != '.') {
				char path[4096];
				snprintf(path, sizeof path, "%s/%s", argv[i], names[k]->d_name);
				if (replay_file(path))
					return 1;
				count++;
			}
			free(names[k]);
		}
		free(names);
	}
	if (!count) {
		fputs("no corpus: nothing was replayed\n", stderr);
		return 1;
	}
	printf("%u inputs replayed\n", count);
	return 0;
}
