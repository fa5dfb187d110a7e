/* fuzz_records.c - a journal of any bytes is opened or refused, and opened again it holds the same; a batch that is decoded is encoded to the
 * same bytes. The first byte chooses: the bytes are a journal's file, or a batch. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/records.h"
#include "shared/sys/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void folder_remove(void)
{
	char name[96];
	snprintf(name, sizeof(name), "%s/journal", folder);
	unlink(name);
	rmdir(folder);
}

static int folder_open(void)
{
	if (folder[0] == '\0') {
		snprintf(folder, sizeof(folder), "%s/fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/var/tmp");
		if (mkdtemp(folder) == NULL)
			abort();
		atexit(folder_remove);
	}
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}

struct seen {
	size_t   n;
	uint64_t hash; /* of all records in their order, FNV-1a */
};

static int on_record(void *ctx, struct span record)
{
	struct seen *s = ctx;
	s->n++;
	for (size_t i = 0; i < record.n; i++)
		s->hash = (s->hash ^ record.p[i]) * 0x100000001b3u;
	s->hash = (s->hash ^ record.n) * 0x100000001b3u;
	return 0;
}

static int open_journal(int dir_fd, struct seen *ret)
{
	struct journal *j = NULL;
	struct refusal  why = {.code = 0};
	*ret = (struct seen){0, 0xcbf29ce484222325u};
	int r = journal_open(dir_fd, "journal", on_record, ret, &j, &why);
	if (r < 0 && why.code != r)
		abort();
	journal_close(j);
	return r;
}

static void try_journal(struct span bytes)
{
	struct seen one, two;
	int         dir_fd = folder_open();
	int         fd = openat(dir_fd, "journal", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n || close(fd) != 0)
		abort();
	if (open_journal(dir_fd, &one) == 0 && (open_journal(dir_fd, &two) < 0 || one.n != two.n || one.hash != two.hash))
		abort();
	close(dir_fd);
}

static const void *payload(const struct record *r)
{
	return &r->u;
}

static void try_batch(struct span batch)
{
	static struct record r;
	static struct buf    again = BUF_MAX(1 << 20);
	struct span          rest = batch;
	while (rest.n > 0) {
		struct span before = rest;
		if (record_decode(&rest, &r) < 0)
			return;
		buf_reset(&again);
		if (rest.n >= before.n || record_encode(r.kind, payload(&r), &again) < 0 ||
		    !span_equal((struct span){before.p, before.n - rest.n}, buf_span(&again)))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct span rest = {data + 1, size - 1};
	if (data[0] % 2 == 0)
		try_journal(rest);
	else
		try_batch(rest);
	return 0;
}
