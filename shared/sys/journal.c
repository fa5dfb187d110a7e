/* journal.c - room shared/sys: an append-only file of checked records, for one process.
 * Never: knowing what is in a record. */
#include "shared/sys/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/be.h"
#include "shared/base/id.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

/* File: MAGIC, u64 sequence of the first record, then records. Record: u32 length of the payload, u32 CRC-32 of all that follows it, u64 sequence (counts by
 * 1), u64 durable (all records up to this sequence were on disk before this one was written), payload. Big-endian. */
static const uint8_t magic[8] = {'v', 'c', 'c', 'j', 'r', 'n', 'l', '1'};
enum { FILE_HEAD = 16, HEAD = 24, CRC_FROM = 8, WINDOW = 4 * (HEAD + JOURNAL_RECORD_MAX) };

struct journal {
	int      dir_fd;
	int      fd;
	char     name[NAME_MAX + 1];
	off_t    end; /* bytes written */
	uint64_t sequence; /* of the last record */
	uint64_t durable;  /* synced up to here */
	bool     broken;   /* a failed sync may have lost pages that the kernel calls clean: only reading again tells */
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A window that slides over the file. */
struct reader {
	int      fd;
	off_t    size;
	off_t    at; /* file offset of the window */
	size_t   n;
	uint8_t *window;
};

/* `n` bytes at offset `at`, or NULL when the file is shorter or cannot be read (then r->fd is -1). */
static const uint8_t *reader_see(struct reader *r, off_t at, size_t n)
{
	if (at + (off_t)n > r->size)
		return NULL;
	if (at >= r->at && at + (off_t)n <= r->at + (off_t)r->n)
		return r->window + (at - r->at);
	r->at = at;
	r->n = 0;
	while (r->n < n) {
		ssize_t got = pread(r->fd, r->window + r->n, WINDOW - r->n, at + (off_t)r->n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			r->fd = -1;
			return NULL;
		}
		r->n += (size_t)got;
	}
	return r->window;
}

/* Intact record at `at`: its payload, sequence and durable mark. False for anything else. */
static bool record_see(struct reader *r, off_t at, uint64_t *ret_sequence, uint64_t *ret_durable, struct span *ret)
{
	const uint8_t *head = reader_see(r, at, HEAD);
	if (head == NULL)
		return false;
	uint32_t n = (uint32_t)be_get(head, 4);
	if (n > JOURNAL_RECORD_MAX)
		return false;
	head = reader_see(r, at, HEAD + n);
	if (head == NULL || crc32_of(head + CRC_FROM, HEAD - CRC_FROM + n) != be_get(head + 4, 4))
		return false;
	*ret_sequence = be_get(head + CRC_FROM, 8);
	*ret_durable = be_get(head + CRC_FROM + 8, 8);
	*ret = (struct span){head + HEAD, n};
	return true;
}

/* Behind a record that cannot be read: does any intact one say that it was durable? Cheap tests come first, so that only
 * plausible places cost a checksum. */
static bool damage_is_real(struct reader *r, off_t from, uint64_t lost)
{
	for (off_t at = from; at + HEAD <= r->size; at++) {
		uint64_t       sequence;
		uint64_t       durable;
		struct span    payload;
		const uint8_t *head = reader_see(r, at, HEAD);
		if (head == NULL)
			return true;
		if (be_get(head, 4) > JOURNAL_RECORD_MAX || be_get(head + CRC_FROM, 8) <= lost ||
		    be_get(head + CRC_FROM + 8, 8) < lost || be_get(head + CRC_FROM, 8) - lost > (uint64_t)r->size)
			continue;
		if (record_see(r, at, &sequence, &durable, &payload))
			return true;
	}
	return false;
}

static int journal_walk(struct journal *j, struct reader *r, journal_each_fn *each, void *ctx, struct refusal *why)
{
	const uint8_t *head = reader_see(r, 0, FILE_HEAD);
	if (head == NULL || memcmp(head, magic, sizeof(magic)) != 0)
		return refuse(why, E_SYS_JOURNAL, j->name, "the file does not begin as a journal of this program");

	j->sequence = be_get(head + sizeof(magic), 8) - 1;
	j->end = FILE_HEAD;
	while (j->end < r->size) {
		uint64_t    sequence;
		uint64_t    durable;
		struct span payload;
		bool        intact = record_see(r, j->end, &sequence, &durable, &payload);
		if (r->fd < 0)
			return refuse(why, E_SYS_IO, j->name, "cannot read the journal");
		if (!intact || sequence != j->sequence + 1) {
			if (intact || damage_is_real(r, j->end + 1, j->sequence + 1))
				return refuse(why, E_SYS_JOURNAL, j->name, "the record at offset %lld is damaged", (long long)j->end);
			return 0; /* a torn tail: nobody was told that it was kept */
		}
		int code = each(ctx, payload);
		if (code != 0)
			return refuse(why, code, j->name, "the record at offset %lld was refused: %s", (long long)j->end, err_what(code));
		j->sequence = sequence;
		j->end += HEAD + (off_t)payload.n;
	}
	return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static int write_at(int fd, const uint8_t *p, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t put = pwrite(fd, p, n, at);
		if (put < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		p += put;
		n -= (size_t)put;
		at += put;
	}
	return 0;
}

static int head_write(int fd, uint64_t first)
{
	uint8_t head[FILE_HEAD];
	memcpy(head, magic, sizeof(magic));
	be_put(head + sizeof(magic), first, 8);
	return write_at(fd, head, FILE_HEAD, 0);
}

static int journal_begin(struct journal *j, struct refusal *why)
{
	if (ftruncate(j->fd, 0) != 0 || head_write(j->fd, 1) != 0 || fsync(j->fd) != 0 || dir_sync(j->dir_fd) != 0)
		return sys_refuse(why, j->name, "begin the journal");
	j->end = FILE_HEAD;
	return 0;
}

static int journal_load(struct journal *j, journal_each_fn *each, void *ctx, struct refusal *why)
{
	struct stat st;
	if (fstat(j->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return refuse(why, E_SYS_IO, j->name, "is not a plain file");
	if (st.st_size < FILE_HEAD)
		return journal_begin(j, why); /* new, or killed at its very beginning */

	struct reader r = {.fd = j->fd, .size = st.st_size, .window = malloc(WINDOW)};
	if (r.window == NULL)
		return refuse(why, E_NOMEM, j->name, "no memory to read the journal");
	int code = journal_walk(j, &r, each, ctx, why);
	secret_wipe(r.window, WINDOW);
	free(r.window);
	if (code != 0)
		return code;
	if (j->end < st.st_size && ftruncate(j->fd, j->end) != 0)
		return sys_refuse(why, j->name, "cut off the torn tail");
	/* what was read may still be only in memory: the next record will call it durable */
	if (fsync(j->fd) != 0)
		return sys_refuse(why, j->name, "sync the journal");
	j->durable = j->sequence;
	return 0;
}

int journal_open(int dir_fd, const char *name, journal_each_fn *each, void *ctx, struct journal **ret, struct refusal *why)
{
	if (strlen(name) > NAME_MAX - 5 || strchr(name, '/') != NULL)
		return refuse(why, E_SYS_IO, name, "is not a usable file name");
	struct journal *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return refuse(why, E_NOMEM, name, "no memory for the journal");
	text_cut(j->name, sizeof(j->name), name);
	j->fd = -1;
	j->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	if (j->dir_fd >= 0)
		j->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int code = j->fd >= 0 ? journal_load(j, each, ctx, why) : sys_refuse(why, name, "open the journal");
	if (code != 0) {
		journal_close(j);
		return code;
	}
	*ret = j;
	return 0;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static size_t record_make(uint8_t *to, uint64_t sequence, uint64_t durable, struct span payload)
{
	be_put(to, payload.n, 4);
	be_put(to + CRC_FROM, sequence, 8);
	be_put(to + CRC_FROM + 8, durable, 8);
	if (payload.n > 0)
		memcpy(to + HEAD, payload.p, payload.n);
	be_put(to + 4, crc32_of(to + CRC_FROM, HEAD - CRC_FROM + payload.n), 4);
	return HEAD + payload.n;
}

/* Half a record behind the last good one would hide all later ones. */
static int write_failed(struct journal *j)
{
	int code = errno == ENOSPC || errno == EDQUOT ? E_SYS_SPACE : E_SYS_IO;
	if (ftruncate(j->fd, j->end) != 0)
		j->broken = true;
	return code;
}

int journal_append(struct journal *j, struct span record, bool sync)
{
	if (j->broken)
		return E_SYS_IO;
	if (record.n > JOURNAL_RECORD_MAX)
		return E_FULL;

	uint8_t  small[512];
	uint8_t *bytes = HEAD + record.n <= sizeof(small) ? small : malloc(HEAD + record.n);
	if (bytes == NULL)
		return E_NOMEM;
	size_t n = record_make(bytes, j->sequence + 1, j->durable, record);
	int    r = 0;
	if (fault_point("journal_append") != 0 || write_at(j->fd, bytes, n, j->end) != 0)
		r = write_failed(j);
	secret_wipe(bytes, n);
	if (bytes != small)
		free(bytes);
	if (r != 0)
		return r;
	j->end += (off_t)n;
	j->sequence++;
	return sync ? journal_sync(j) : 0;
}

int journal_sync(struct journal *j)
{
	if (j->broken)
		return E_SYS_IO;
	if (fault_point("journal_sync") != 0 || fdatasync(j->fd) != 0) {
		j->broken = true;
		return errno == ENOSPC || errno == EDQUOT ? E_SYS_SPACE : E_SYS_IO;
	}
	j->durable = j->sequence;
	return 0;
}

static int rewrite_fill(int fd, uint64_t first, const struct span *records, size_t n, off_t *ret_end)
{
	off_t    end = FILE_HEAD;
	uint8_t *bytes = malloc(HEAD + JOURNAL_RECORD_MAX);
	if (bytes == NULL)
		return E_NOMEM;
	int r = head_write(fd, first);
	for (size_t i = 0; r == 0 && i < n; i++) {
		/* all durable: the file gets its name only after the sync */
		size_t len = record_make(bytes, first + i, first + n - 1, records[i]);
		r = write_at(fd, bytes, len, end);
		end += (off_t)len;
	}
	int saved = errno;
	secret_wipe(bytes, HEAD + JOURNAL_RECORD_MAX);
	free(bytes);
	errno = saved;
	if (r != 0 || fault_point("journal_rewrite_sync") != 0 || fsync(fd) != 0)
		return errno == ENOSPC || errno == EDQUOT ? E_SYS_SPACE : E_SYS_IO;
	*ret_end = end;
	return 0;
}

int journal_rewrite(struct journal *j, const struct span *records, size_t n)
{
	char  temporary[NAME_MAX + 8];
	off_t end;
	for (size_t i = 0; i < n; i++)
		if (records[i].n > JOURNAL_RECORD_MAX)
			return E_FULL;
	snprintf(temporary, sizeof(temporary), ".%s.new", j->name);
	if (unlinkat(j->dir_fd, temporary, 0) != 0 && errno != ENOENT)
		return E_SYS_IO;
	_cleanup_fd_ int fd = openat(j->dir_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? E_SYS_SPACE : E_SYS_IO;
	int r = rewrite_fill(fd, j->sequence + 1, records, n, &end);
	if (r == 0 && (fault_point("journal_rename") != 0 || renameat(j->dir_fd, temporary, j->dir_fd, j->name) != 0))
		r = E_SYS_IO;
	if (r != 0) {
		unlinkat(j->dir_fd, temporary, 0);
		return r;
	}

	/* from here on the new file is the journal, whatever happens to the sync of the folder */
	fd_close(j->fd);
	j->fd = fd;
	fd = -1;
	j->end = end;
	j->sequence += n;
	j->durable = j->sequence;
	j->broken = dir_sync(j->dir_fd) != 0;
	return j->broken ? E_SYS_IO : 0;
}

size_t journal_size(const struct journal *j)
{
	return (size_t)j->end;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	fd_close(j->fd);
	fd_close(j->dir_fd);
	free(j);
}
