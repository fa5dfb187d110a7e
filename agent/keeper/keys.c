/* keys.c - room agent/keeper: service keys before they are part of a generation.
 * Never: leaving the host; the loop waiting for a key to be made. */
#include "agent/keeper/keys.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { KEY_NAME_SIZE = ID_TEXT_SIZE + 16, KEY_PEM_MAX = 8192 };

struct keys_job {
	uv_work_t        work;
	int              keys_fd;
	enum key_type    type;
	struct keys_made made;
	keys_made_fn    *done;
	void            *ctx;
};

static const char *key_name(struct id renewal_id, uint32_t attempt, char ret[KEY_NAME_SIZE])
{
	char text[ID_TEXT_SIZE];
	snprintf(ret, KEY_NAME_SIZE, "%s-%u.pem", id_text(renewal_id, text), (unsigned)attempt);
	return ret;
}

int keys_load(int keys_fd, struct id renewal_id, uint32_t attempt, struct key **ret, struct refusal *why)
{
	char       name[KEY_NAME_SIZE];
	struct buf pem = BUF_MAX(KEY_PEM_MAX);
	int        r = file_read(keys_fd, key_name(renewal_id, attempt, name), true, &pem, why);
	if (r == 0) {
		r = key_from_pem(buf_span(&pem), ret);
		if (r != 0)
			refuse(why, r, name, "the staged key cannot be read");
	}
	buf_wipe(&pem);
	return r;
}

bool keys_present(int keys_fd, struct id renewal_id, uint32_t attempt)
{
	char        name[KEY_NAME_SIZE];
	struct stat st;
	return fstatat(keys_fd, key_name(renewal_id, attempt, name), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

int keys_drop(int keys_fd, struct id renewal_id, uint32_t attempt, struct refusal *why)
{
	char name[KEY_NAME_SIZE];
	return tree_remove(keys_fd, key_name(renewal_id, attempt, name), why);
}

/* "0192....-3.pem"; false = not one of our names. */
static bool name_read(const char *name, struct id *ret_id, uint32_t *ret_attempt)
{
	char        again[KEY_NAME_SIZE];
	char        text[ID_TEXT_SIZE];
	char        digits[16];
	const char *end = strrchr(name, '.');
	const char *dash = strrchr(name, '-');
	int64_t     attempt;
	if (dash == NULL || end == NULL || end < dash || text_copy_n(text, sizeof(text), name, (size_t)(dash - name)) != 0 ||
	    text_copy_n(digits, sizeof(digits), dash + 1, (size_t)(end - dash - 1)) != 0 || id_parse(text, ret_id) != 0 ||
	    text_i64(digits, 0, UINT32_MAX, &attempt) != 0)
		return false;
	*ret_attempt = (uint32_t)attempt;
	return text_equal(key_name(*ret_id, *ret_attempt, again), name);
}

int keys_sweep(int keys_fd, keys_needed_fn *needed, void *ctx, struct refusal *why)
{
	int  fd = openat(keys_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		int r = sys_refuse(why, "keys", "list the folder");
		fd_close(fd);
		return r;
	}
	int            r = 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(dir)) != NULL) {
		struct id renewal_id;
		uint32_t  attempt;
		if (name_read(e->d_name, &renewal_id, &attempt) && !needed(ctx, renewal_id, attempt))
			r = tree_remove(keys_fd, e->d_name, why);
	}
	closedir(dir);
	return r;
}

static int key_store(struct keys_job *j, const struct key *key, struct refusal *why)
{
	char       name[KEY_NAME_SIZE];
	struct buf pem = BUF_MAX(KEY_PEM_MAX);
	int        r = key_to_pem(key, &pem);
	if (r == 0)
		r = file_replace(j->keys_fd, key_name(j->made.renewal_id, j->made.attempt, name), buf_span(&pem), (uid_t)-1, (gid_t)-1,
		                 0600, why);
	buf_wipe(&pem);
	return r;
}

/* On a worker thread: touches only the job. */
static void work_make(uv_work_t *work)
{
	struct keys_job *j = (struct keys_job *)work->data;
	struct key      *key = NULL;
	struct buf       spki = BUF_MAX(SPKI_MAX);
	struct refusal   why = {.code = 0};
	int              r = 0;
	if (fault_point("keeper.key") != 0)
		r = sys_refuse(&why, "key", "make the key");
	/* a kill after the file was written and before it was told: the same key again */
	if (r == 0 && keys_load(j->keys_fd, j->made.renewal_id, j->made.attempt, &key, NULL) != 0) {
		r = key_make(j->type, &key);
		if (r == 0)
			r = key_store(j, key, &why);
	}
	if (r == 0)
		r = key_spki(key, &spki);
	if (r == 0)
		digest_sha256(buf_span(&spki), &j->made.spki_hash);
	if (fault_point("keeper.key.done") != 0 && r == 0)
		r = sys_refuse(&why, "key", "finish the key");
	j->made.code = r;
	if (why.code != 0)
		refusal_words(&why, j->made.cause, sizeof(j->made.cause));
	else
		text_cut(j->made.cause, sizeof(j->made.cause), err_what(r));
	buf_free(&spki);
	key_free(key);
}

static void work_after(uv_work_t *work, int status)
{
	struct keys_job *j = (struct keys_job *)work->data;
	if (status == 0)
		j->done(j->ctx, &j->made);
	free(j);
}

int keys_make(uv_loop_t *loop, int keys_fd, struct id renewal_id, uint32_t attempt, enum key_type type, keys_made_fn *done,
              void *ctx)
{
	struct keys_job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return E_NOMEM;
	j->keys_fd = keys_fd;
	j->type = type;
	j->made.renewal_id = renewal_id;
	j->made.attempt = attempt;
	j->done = done;
	j->ctx = ctx;
	j->work.data = j;
	if (uv_queue_work(loop, &j->work, work_make, work_after) != 0) {
		free(j);
		return E_NOMEM;
	}
	return 0;
}
