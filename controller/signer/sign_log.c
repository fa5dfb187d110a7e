/* sign_log.c - room controller/signer: window and log of serials.
 * Never: signing, keys. */
#include "controller/signer/sign_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/be.h"
#include "shared/base/buf.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/journal.h"

/* A record: version, time in ms, then entries. NEW and REPEAT: type, profile, serial, hash of the to-be-signed bytes. LIST: type, length
 * and text of the issuer's id, shard, number, hash of the content. AUDIT: type, body of the audit head. Numbers big-endian. */
enum { RECORD_VERSION = 1, RECORD_HEAD = 9, ENTRY_NEW = 1, ENTRY_REPEAT = 2, ENTRY_LIST = 3, ENTRY_SERIAL = 50, ENTRY_LIST_FIXED = 46,
	ENTRY_AUDIT = 4, ENTRY_AUDIT_SIZE = 1 + AUDIT_HEAD_BODY };
enum { SNAPSHOT_RECORD = 32768, SNAPSHOT_MAX = 16 << 20 };
#define COUNTER_END (UINT64_C(1) << 55)

struct seen {
	struct serial serial; /* none = empty */
	struct hash   hash;
	uint8_t       profile;
};

struct list {
	char        issuer_id[ISSUER_ID_SIZE];
	uint32_t    shard;
	uint64_t    number;
	struct hash content;
};

struct undo {
	size_t      at; /* in window, or in lists when `is_list` */
	bool        is_list, is_head;
	struct audit_head head;
	struct seen seen;
	struct list list;
};

struct sign_log {
	struct journal *journal;
	int             dir_fd;
	int             lock_fd;
	char            name[NAME_MAX - 24];
	size_t          rotate_at;
	int64_t         rotate_after; /* the last try failed: not before this time */
	struct seen    *window; /* by counter modulo SIGN_WINDOW */
	uint64_t        top;
	struct list    *lists;
	size_t          n_lists;
	struct audit_head head; /* of the audit tree, the last one */
	struct buf      record; /* the batch as it will be written */
	struct undo     undo[SIGN_BATCH_MAX];
	size_t          n_undo, undo_lists;
	uint64_t        undo_top;
};

static void add_u64(struct buf *b, uint64_t v, unsigned bytes)
{
	uint8_t p[8];
	be_put(p, v, bytes);
	buf_add(b, p, bytes);
}

static void record_begin(struct buf *b, int64_t now)
{
	buf_add_u8(b, RECORD_VERSION);
	add_u64(b, (uint64_t)now, 8);
}

static void add_serial(struct buf *b, uint8_t type, const struct seen *s)
{
	buf_add_u8(b, type);
	buf_add_u8(b, s->profile);
	buf_add(b, s->serial.b, sizeof(s->serial.b));
	buf_add(b, s->hash.b, sizeof(s->hash.b));
}

static void add_list(struct buf *b, const struct list *l)
{
	size_t n = strlen(l->issuer_id);
	buf_add_u8(b, ENTRY_LIST);
	buf_add_u8(b, (uint8_t)n);
	buf_add(b, l->issuer_id, n);
	add_u64(b, l->shard, 4);
	add_u64(b, l->number, 8);
	buf_add(b, l->content.b, sizeof(l->content.b));
}

static void add_head(struct buf *b, const struct audit_head *h)
{
	uint8_t body[AUDIT_HEAD_BODY];
	audit_head_body(h->size, h->root, h->at, body);
	buf_add_u8(b, ENTRY_AUDIT);
	buf_add(b, body, sizeof(body));
}

static bool below_window(const struct sign_log *l, uint64_t counter)
{
	return l->top >= SIGN_WINDOW && counter <= l->top - SIGN_WINDOW;
}

static struct list *list_find(const struct sign_log *l, const char *issuer_id, uint32_t shard)
{
	for (size_t i = 0; i < l->n_lists; i++)
		if (l->lists[i].shard == shard && strcmp(l->lists[i].issuer_id, issuer_id) == 0)
			return &l->lists[i];
	return NULL;
}

/* ---- reading at start ---- */

static void replay_serial(struct sign_log *l, const uint8_t *p)
{
	struct seen s = {.profile = p[1]};
	memcpy(s.serial.b, p + 2, sizeof(s.serial.b));
	memcpy(s.hash.b, p + 18, sizeof(s.hash.b));
	uint64_t counter = serial_counter(s.serial);
	if (below_window(l, counter))
		return;
	if (counter > l->top)
		l->top = counter;
	l->window[counter % SIGN_WINDOW] = s;
}

static int replay_list(struct sign_log *l, const uint8_t *p)
{
	struct list row = {.shard = (uint32_t)be_get(p + 2 + p[1], 4), .number = be_get(p + 6 + p[1], 8)};
	memcpy(row.content.b, p + 14 + p[1], sizeof(row.content.b));
	int r = text_copy_n(row.issuer_id, sizeof(row.issuer_id), (const char *)p + 2, p[1]);
	if (r < 0)
		return E_SYS_JOURNAL;
	struct list *known = list_find(l, row.issuer_id, row.shard);
	if (known == NULL && l->n_lists == SIGN_LISTS_MAX)
		return E_FULL;
	if (known == NULL)
		known = &l->lists[l->n_lists++];
	if (row.number >= known->number)
		*known = row;
	return 0;
}

static void replay_head(struct sign_log *l, const uint8_t *p)
{
	l->head.size = be_get(p + 1, 8);
	memcpy(l->head.root.b, p + 9, sizeof(l->head.root.b));
	l->head.at = (int64_t)be_get(p + 41, 8);
}

static int replay_record(void *ctx, struct span record)
{
	struct sign_log *l = ctx;
	size_t           at = RECORD_HEAD;

	if (record.n < RECORD_HEAD || record.p[0] != RECORD_VERSION)
		return E_SYS_JOURNAL;
	while (at < record.n) {
		const uint8_t *p = record.p + at;
		size_t         left = record.n - at;
		if ((p[0] == ENTRY_NEW || p[0] == ENTRY_REPEAT) && left >= ENTRY_SERIAL) {
			replay_serial(l, p);
			at += ENTRY_SERIAL;
		} else if (p[0] == ENTRY_AUDIT && left >= ENTRY_AUDIT_SIZE) {
			replay_head(l, p);
			at += ENTRY_AUDIT_SIZE;
		} else if (p[0] == ENTRY_LIST && left >= ENTRY_LIST_FIXED && left >= (size_t)ENTRY_LIST_FIXED + p[1]) {
			int r = replay_list(l, p);
			if (r < 0)
				return r;
			at += (size_t)ENTRY_LIST_FIXED + p[1];
		} else {
			return E_SYS_JOURNAL;
		}
	}
	return 0;
}

static int folder_open(struct sign_log *l, const char *path, struct refusal *why)
{
	char        folder[PATH_MAX];
	char        lock[sizeof(l->name) + 8];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || (size_t)(slash - path) >= sizeof(folder) || text_copy(l->name, sizeof(l->name), slash + 1) < 0 ||
	    l->name[0] == '\0')
		return refuse(why, E_CONF_VALUE, path, "is not an absolute path of a file");
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	l->dir_fd = open(folder[0] != '\0' ? folder : "/", O_DIRECTORY | O_CLOEXEC);
	if (l->dir_fd < 0)
		return sys_refuse(why, folder, "open the folder");
	snprintf(lock, sizeof(lock), ".%s.lock", l->name);
	return dir_lock(l->dir_fd, lock, &l->lock_fd, why);
}

int sign_log_open(const char *path, size_t rotate_at, struct sign_log **ret, struct refusal *why)
{
	struct sign_log *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return refuse(why, E_NOMEM, path, "no memory for the log");
	l->dir_fd = l->lock_fd = -1;
	l->rotate_at = rotate_at;
	l->record.max = JOURNAL_RECORD_MAX;
	l->window = calloc(SIGN_WINDOW, sizeof(*l->window));
	l->lists = calloc(SIGN_LISTS_MAX, sizeof(*l->lists)); /* untouched pages cost nothing */
	int r = l->window != NULL && l->lists != NULL ? folder_open(l, path, why)
	                                               : refuse(why, E_NOMEM, path, "no memory for the window");
	if (r == 0)
		r = journal_open(l->dir_fd, l->name, replay_record, l, &l->journal, why);
	if (r < 0) {
		sign_log_close(l);
		return r;
	}
	l->undo_top = l->top;
	l->undo_lists = l->n_lists;
	*ret = l;
	return 0;
}

void sign_log_close(struct sign_log *l)
{
	if (l == NULL)
		return;
	journal_close(l->journal);
	fd_close(l->lock_fd);
	fd_close(l->dir_fd);
	free(l->window);
	free(l->lists);
	buf_free(&l->record);
	free(l);
}

uint64_t sign_log_top(const struct sign_log *l)
{
	return l->top;
}

bool sign_log_has(const struct sign_log *l, struct serial serial, struct hash tbs_hash)
{
	const struct seen *known = &l->window[serial_counter(serial) % SIGN_WINDOW];
	return !serial_is_none(serial) && serial_equal(known->serial, serial) && hash_equal(known->hash, tbs_hash);
}

/* ---- reserving ---- */

static int serial_refuse(struct refusal *why, struct serial serial, const char *what)
{
	char text[SERIAL_TEXT_SIZE];
	return refuse(why, E_SIGNER_SERIAL, serial_text(serial, text), "%s", what);
}

static int judge_counter(const struct sign_log *l, struct serial serial, struct refusal *why)
{
	uint64_t counter = serial_counter(serial);
	if (l->n_undo == SIGN_BATCH_MAX)
		return E_FULL;
	if (counter == 0 || counter >= COUNTER_END)
		return serial_refuse(why, serial, "the number is not positive or too large");
	if (below_window(l, counter))
		return serial_refuse(why, serial, "the number lies below the window of the log");
	if (counter > l->top && counter - l->top > SIGN_JUMP_MAX)
		return serial_refuse(why, serial, "the number is too far above the highest one so far");
	return 0;
}

static bool is_used(const struct sign_log *l, uint64_t counter)
{
	const struct seen *known = &l->window[counter % SIGN_WINDOW];
	return !serial_is_none(known->serial) && serial_counter(known->serial) == counter;
}

int sign_log_may(const struct sign_log *l, struct serial serial, struct refusal *why)
{
	int r = judge_counter(l, serial, why);
	return r == 0 && is_used(l, serial_counter(serial)) ? serial_refuse(why, serial, "the number was used for other content") : r;
}

int sign_log_add(struct sign_log *l, struct serial serial, struct hash tbs_hash, enum leaf_profile profile, bool *ret_repeat,
                 struct refusal *why)
{
	uint64_t     counter = serial_counter(serial);
	size_t       at = (size_t)(counter % SIGN_WINDOW);
	struct seen *known = &l->window[at];
	struct seen  now = {.serial = serial, .hash = tbs_hash, .profile = (uint8_t)profile};

	int r = judge_counter(l, serial, why);
	if (r < 0)
		return r;
	bool repeat = is_used(l, counter);
	if (repeat && (!serial_equal(known->serial, serial) || !hash_equal(known->hash, tbs_hash)))
		return serial_refuse(why, serial, "the number was used for other content");

	l->undo[l->n_undo++] = (struct undo){.at = at, .seen = *known};
	*known = now;
	if (counter > l->top)
		l->top = counter;
	add_serial(&l->record, repeat ? ENTRY_REPEAT : ENTRY_NEW, &now);
	*ret_repeat = repeat;
	return 0;
}

uint64_t sign_log_list_top(const struct sign_log *l, const char *issuer_id, uint32_t shard)
{
	const struct list *known = list_find(l, issuer_id, shard);
	return known != NULL ? known->number : 0;
}

bool sign_log_may_list(const struct sign_log *l, const char *issuer_id, uint32_t shard, uint64_t number, struct hash content)
{
	const struct list *known = list_find(l, issuer_id, shard);
	return known == NULL || number > known->number || (number == known->number && hash_equal(known->content, content));
}

int sign_log_add_list(struct sign_log *l, const char *issuer_id, uint32_t shard, uint64_t number, struct hash content,
                      bool *ret_repeat, struct refusal *why)
{
	struct list *known = list_find(l, issuer_id, shard);
	struct list  now = {.shard = shard, .number = number, .content = content};

	if (l->n_undo == SIGN_BATCH_MAX)
		return E_FULL;
	if (known != NULL && number < known->number)
		return refuse(why, E_SIGNER_SERIAL, issuer_id, "list %u: number %llu is below the last one", shard,
		              (unsigned long long)number);
	if (known != NULL && number == known->number && !hash_equal(known->content, content))
		return refuse(why, E_SIGNER_SERIAL, issuer_id, "list %u: number %llu was used for other content", shard,
		              (unsigned long long)number);
	if (known == NULL && l->n_lists == SIGN_LISTS_MAX)
		return refuse(why, E_SIGNER_LIMIT, issuer_id, "more than %d revocation lists", SIGN_LISTS_MAX);
	int r = text_copy(now.issuer_id, sizeof(now.issuer_id), issuer_id);
	if (r < 0)
		return r;

	*ret_repeat = known != NULL && number == known->number;
	if (known == NULL)
		known = &l->lists[l->n_lists++];
	l->undo[l->n_undo++] = (struct undo){.at = (size_t)(known - l->lists), .is_list = true, .list = *known};
	*known = now;
	add_list(&l->record, &now);
	return 0;
}

/* ---- audit heads ---- */

void sign_log_head(const struct sign_log *l, struct audit_head *ret)
{
	*ret = l->head;
}

static int head_take(struct sign_log *l, const struct audit_head *next)
{
	if (l->n_undo == SIGN_BATCH_MAX)
		return E_FULL;
	l->undo[l->n_undo++] = (struct undo){.is_head = true, .head = l->head};
	l->head = *next;
	add_head(&l->record, next);
	return 0;
}

static bool head_grew(const struct audit_head *last, uint64_t size, struct hash root, struct span proof)
{
	struct hash path[2 * MERKLE_LEVELS];
	size_t      n = proof.n / sizeof(path[0].b);
	if (last->size == 0)
		return size > 0;
	if (proof.n % sizeof(path[0].b) != 0 || n > N_ELEMENTS(path))
		return false;
	for (size_t i = 0; i < n; i++)
		memcpy(path[i].b, proof.p + i * sizeof(path[0].b), sizeof(path[0].b));
	return merkle_consistency_check(digest_sha256_two, last->size, size, &last->root, &root, path, n) == 0;
}

int sign_log_add_head(struct sign_log *l, uint64_t size, struct hash root, int64_t at, struct span proof, bool *ret_repeat, struct refusal *why)
{
	struct audit_head next = {.size = size, .root = root, .at = at};
	if (size < l->head.size)
		return refuse(why, E_AUDIT_HEAD, "audit head", "%llu records, and %llu were signed before", (unsigned long long)size,
		              (unsigned long long)l->head.size);
	if (at < l->head.at)
		return refuse(why, E_AUDIT_HEAD, "audit head", "its time lies before that of the last one");
	*ret_repeat = size == l->head.size && hash_equal(root, l->head.root); /* asked again after its answer was lost: by an older proof */
	if (!*ret_repeat && !head_grew(&l->head, size, root, proof))
		return refuse(why, E_AUDIT_HEAD, "audit head", "the tree of %llu records did not grow out of the signed one of %llu",
		              (unsigned long long)size, (unsigned long long)l->head.size);
	return head_take(l, &next);
}

int sign_log_restart_head(struct sign_log *l, struct refusal *why)
{
	const struct audit_head none = {.size = 0};
	int                     r = head_take(l, &none);
	return r == 0 ? 0 : refuse(why, r, "audit head", "%s", err_what(r));
}

/* ---- making durable ---- */

static void undo_all(struct sign_log *l)
{
	while (l->n_undo > 0) { /* newest first: the same place may be there twice */
		const struct undo *u = &l->undo[--l->n_undo];
		if (u->is_head)
			l->head = u->head;
		else if (u->is_list)
			l->lists[u->at] = u->list;
		else
			l->window[u->at] = u->seen;
	}
	for (size_t i = l->undo_lists; i < l->n_lists; i++)
		l->lists[i] = (struct list){0};
	l->n_lists = l->undo_lists;
	l->top = l->undo_top;
}

static int append(struct sign_log *l, int64_t now)
{
	struct buf bytes = BUF_MAX(JOURNAL_RECORD_MAX);
	record_begin(&bytes, now);
	buf_add(&bytes, l->record.p, l->record.n);
	int r = buf_error(&l->record);
	if (r == 0)
		r = buf_error(&bytes);
	if (r == 0)
		r = journal_append(l->journal, buf_span(&bytes), false);
	buf_free(&bytes);
	return r;
}

int sign_log_commit(struct sign_log *l, int64_t now)
{
	if (l->n_undo == 0)
		return 0;
	int r = append(l, now);
	if (r < 0) { /* nothing of it is in the file */
		undo_all(l);
		buf_reset(&l->record);
		return r == E_SYS_IO ? r : E_SYS_SPACE;
	}
	if (journal_sync(l->journal) < 0)
		return E_SYS_IO;
	l->n_undo = 0;
	l->undo_lists = l->n_lists;
	l->undo_top = l->top;
	buf_reset(&l->record);
	return 0;
}

/* ---- rotating ---- */

/* The window and all lists as records of moderate size; `ret_ends` are their ends in `to`. */
static size_t snapshot(const struct sign_log *l, int64_t now, struct buf *to, size_t *ret_ends, size_t max)
{
	size_t n = 0, begun = 0;

	record_begin(to, now);
	if (l->head.size > 0)
		add_head(to, &l->head);
	for (uint64_t i = 0; i < SIGN_WINDOW + l->n_lists && n < max; i++) {
		/* from the oldest counter on, so that reading it back keeps all */
		const struct seen *s = &l->window[(l->top + 1 + i) % SIGN_WINDOW];
		if (i >= SIGN_WINDOW)
			add_list(to, &l->lists[i - SIGN_WINDOW]);
		else if (!serial_is_none(s->serial) && !below_window(l, serial_counter(s->serial)))
			add_serial(to, ENTRY_REPEAT, s);
		if (to->n - begun > SNAPSHOT_RECORD) {
			ret_ends[n++] = to->n;
			begun = to->n;
			record_begin(to, now);
		}
	}
	if (n < max)
		ret_ends[n++] = to->n;
	return n;
}

static int rewrite(struct sign_log *l, int64_t now)
{
	enum { RECORDS_MAX = SNAPSHOT_MAX / SNAPSHOT_RECORD };
	size_t       ends[RECORDS_MAX];
	struct span *records = calloc(RECORDS_MAX, sizeof(*records));
	struct buf   bytes = BUF_MAX(SNAPSHOT_MAX);
	int          r = E_NOMEM;

	if (records != NULL) {
		size_t n = snapshot(l, now, &bytes, ends, RECORDS_MAX);
		for (size_t i = 0; i < n; i++) {
			size_t from = i == 0 ? 0 : ends[i - 1];
			records[i] = (struct span){bytes.p + from, ends[i] - from};
		}
		r = buf_error(&bytes);
		if (r == 0)
			r = journal_rewrite(l->journal, records, n);
	}
	buf_free(&bytes);
	free(records);
	return r;
}

static bool same_file(int dir_fd, const char *a, const char *b)
{
	struct stat st, other;
	return fstatat(dir_fd, a, &st, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(dir_fd, b, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == other.st_dev && st.st_ino == other.st_ino;
}

static int rotate(struct sign_log *l, int64_t now)
{
	char kept[NAME_MAX + 1];

	snprintf(kept, sizeof(kept), "%s.%lld", l->name, (long long)now);
	if (linkat(l->dir_fd, l->name, l->dir_fd, kept, 0) < 0 && errno != EEXIST)
		return E_SYS_IO;
	int r = fault_point("signer.rotate") != 0 || dir_sync(l->dir_fd) < 0 ? E_SYS_IO : rewrite(l, now);
	if (r < 0 && same_file(l->dir_fd, l->name, kept)) /* still in use: a second name would only confuse people */
		unlinkat(l->dir_fd, kept, 0);
	return r;
}

int sign_log_tidy(struct sign_log *l, int64_t now)
{
	if (journal_size(l->journal) < l->rotate_at || l->n_undo > 0 || now < l->rotate_after)
		return 0;
	int r = rotate(l, now);
	l->rotate_after = r < 0 ? now + MS_MINUTE : 0;
	return r;
}
