/* tool_cheap_keys.c - PASSPHRASE-FILE KEY...: seals CA key files anew, at the lowest cost that vcc-signer opens, all under one lock. For tests that open
 * them many times and ask nothing about that cost.
 * Never: a key that anybody relies on. */
#include <fcntl.h>
#include <stdio.h>

#include "shared/pki/key.h"
#include "shared/sys/file.h"

/* The mode stays. */
static int write_over(const char *path, struct span bytes)
{
	FILE *f = fopen(path, "w");
	if (f == NULL)
		return E_SYS_IO;
	bool done = fwrite(bytes.p, 1, bytes.n, f) == bytes.n;
	return fclose(f) == 0 && done ? 0 : E_SYS_IO;
}

int main(int argc, char **argv)
{
	struct buf          passphrase = BUF_MAX(1026), file = BUF_MAX(16384);
	struct keyfile_lock cheap = {.cost.operations = 0}, opened = {.cost.operations = 0};
	struct refusal      why = {0};
	int                 r = argc > 2 ? file_read(AT_FDCWD, argv[1], true, &passphrase, &why) : E_RANGE;

	while (passphrase.n > 0 && passphrase.p[passphrase.n - 1] == '\n')
		passphrase.n--;
	if (r == 0)
		r = keyfile_lock_make(buf_span(&passphrase), (struct keyfile_cost){1, 8}, &cheap);
	for (int i = 2; r == 0 && i < argc; i++) {
		struct key *k = NULL;
		buf_reset(&file);
		r = file_read(AT_FDCWD, argv[i], true, &file, &why);
		if (r == 0)
			r = keyfile_open_keep(buf_span(&file), buf_span(&passphrase), &opened, &k);
		buf_reset(&file);
		if (r == 0)
			r = keyfile_seal_under(k, &cheap, &file);
		if (r == 0)
			r = write_over(argv[i], buf_span(&file));
		key_free(k);
	}
	buf_wipe(&passphrase);
	buf_free(&file);
	if (r < 0)
		fprintf(stderr, "tool_cheap_keys: %s\n", err_what(r));
	return r < 0 ? 1 : 0;
}
