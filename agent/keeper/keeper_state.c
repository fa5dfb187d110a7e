/* keeper_state.c - room agent/keeper: the keeper's own folder: host key, name, trust, run counter.
 * Never: repairing damage by starting afresh. */
#include "agent/keeper/keeper_state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/pki/crl_set.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"
#include "shared/wire/wire_table.h"

enum { STATE_FILE_MAX = FRAME_MAX + 64, HOST_KEY_MAX = 4096 };

static const struct wire_field identity_fields[] = {
	WIRE_FIELD(1, struct identity, agent),   WIRE_FIELD(2, struct identity, service),  WIRE_FIELD(3, struct identity, domain),
	WIRE_FIELD(4, struct identity, address), WIRE_FIELD(5, struct identity, patterns), WIRE_FIELD(6, struct identity, finished),
};
static const struct wire_message identity_record =
	WIRE_MESSAGE(0, "identity", "", struct identity, identity_fields, "who this host is");

struct run {
	uint64_t counter;
};
static const struct wire_field   run_fields[] = {WIRE_FIELD(1, struct run, counter)};
static const struct wire_message run_record = WIRE_MESSAGE(0, "run", "", struct run, run_fields, "how often the keeper started");

/* ---- files: SHA-256 of the content, then the content ------------------------------------------------------------- */

static int state_write(struct keeper_state *s, const char *name, struct span content, struct refusal *why)
{
	struct buf  b = BUF_MAX(sizeof(struct hash) + content.n);
	struct hash hash;
	digest_sha256(content, &hash);
	buf_add(&b, hash.b, sizeof(hash.b));
	buf_add(&b, content.p, content.n);
	int r = buf_error(&b);
	if (r == 0)
		r = file_replace(s->dir_fd, name, buf_span(&b), (uid_t)-1, (gid_t)-1, 0600, why);
	buf_free(&b);
	return r;
}

/* `ret_content` points into `to`. E_NOT_FOUND without a file. */
static int state_read(const struct keeper_state *s, const char *name, struct buf *to, struct span *ret_content, struct refusal *why)
{
	struct hash hash;
	int         r = file_read(s->dir_fd, name, true, to, why);
	if (r != 0)
		return r;
	if (to->n < sizeof(hash.b))
		return refuse(why, E_SYS_JOURNAL, name, "the file is cut off");
	struct span content = {to->p + sizeof(hash.b), to->n - sizeof(hash.b)};
	digest_sha256(content, &hash);
	if (memcmp(hash.b, to->p, sizeof(hash.b)) != 0)
		return refuse(why, E_SYS_JOURNAL, name, "the file's content does not fit its checksum");
	*ret_content = content;
	return 0;
}

static int record_save(struct keeper_state *s, const char *name, const struct wire_message *table, const void *record,
                       struct refusal *why)
{
	struct buf b = BUF_MAX(STATE_FILE_MAX);
	int        r = wire_body_encode(table, record, &b);
	if (r != 0)
		r = refuse(why, r, name, "cannot be encoded: %s", err_what(r));
	else
		r = state_write(s, name, buf_span(&b), why);
	buf_free(&b);
	return r;
}

/* Missing is no error: `ret` stays as it is. */
static int record_load(struct keeper_state *s, const char *name, const struct wire_message *table, void *ret, struct refusal *why)
{
	struct buf  b = BUF_MAX(STATE_FILE_MAX);
	struct span content;
	int         r = state_read(s, name, &b, &content, why);
	if (r == 0) {
		r = wire_body_decode(table, content, ret);
		if (r != 0)
			r = refuse(why, E_SYS_JOURNAL, name, "the content cannot be read: %s", err_what(r));
	} else if (r == E_NOT_FOUND) {
		r = 0;
	}
	buf_free(&b);
	return r;
}

/* ---- host key ---------------------------------------------------------------------------------------------------- */

static int host_hash_set(struct keeper_state *s)
{
	struct buf spki = BUF_MAX(SPKI_MAX);
	int        r = key_spki(s->host_key, &spki);
	if (r == 0)
		digest_sha256(buf_span(&spki), &s->host_hash);
	buf_free(&spki);
	return r;
}

static int host_key_load(struct keeper_state *s, struct refusal *why)
{
	struct buf pem = BUF_MAX(HOST_KEY_MAX);
	int        r = file_read(s->dir_fd, "host.key", true, &pem, why);
	if (r == 0) {
		r = key_from_pem(buf_span(&pem), &s->host_key);
		if (r == 0)
			r = host_hash_set(s);
		if (r != 0)
			refuse(why, r, "host.key", "the host key cannot be read; it is not made anew by itself");
	}
	buf_wipe(&pem);
	return r;
}

int keeper_state_host_key(struct keeper_state *s, struct refusal *why)
{
	if (s->host_key != NULL)
		return 0;
	struct buf  pem = BUF_MAX(HOST_KEY_MAX);
	struct key *key = NULL;
	int         r = key_make(KEY_EC_P256, &key);
	if (r == 0)
		r = key_to_pem(key, &pem);
	if (r != 0)
		refuse(why, r, "host.key", "cannot make the host key: %s", err_what(r));
	else
		r = file_replace(s->dir_fd, "host.key", buf_span(&pem), (uid_t)-1, (gid_t)-1, 0600, why);
	buf_wipe(&pem);
	if (r != 0) {
		key_free(key);
		return r;
	}
	s->host_key = key;
	return host_hash_set(s);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int trust_load(struct keeper_state *s, struct refusal *why)
{
	struct buf  b = BUF_MAX(STATE_FILE_MAX);
	struct span content;
	int         r = state_read(s, "bundle", &b, &content, why);
	if (r == 0)
		r = trust_read(content, &s->trust, why);
	buf_free(&b);
	return r;
}

/* ---- revocation lists ---------------------------------------------------------------------------------------------- */

static const char crl_name[] = "crl";

int keeper_state_crl(const struct keeper_state *s, struct buf *to, struct refusal *why)
{
	struct span content;
	to->max = CRL_FILE_MAX + sizeof(struct hash);
	int r = state_read(s, crl_name, to, &content, why);
	if (r != 0)
		return r;
	if (memcmp(to->p, s->crl_hash.b, sizeof(s->crl_hash.b)) != 0)
		return refuse(why, E_SYS_JOURNAL, crl_name, "the file was exchanged");
	buf_drop_front(to, sizeof(struct hash));
	return 0;
}

int keeper_state_save_crl(struct keeper_state *s, struct span pem, struct refusal *why)
{
	int r = state_write(s, crl_name, pem, why);
	if (r != 0)
		return r;
	digest_sha256(pem, &s->crl_hash);
	s->crl_ends_at = crl_set_ends_at(pem);
	return 0;
}

/* They are nobody's secret and can be had again: missing is fine, and damage is as good as missing. */
static int crl_load(struct keeper_state *s)
{
	struct buf     b = BUF_MAX(CRL_FILE_MAX + sizeof(struct hash));
	struct refusal why = {.code = 0};
	struct span    content;
	int            r = state_read(s, crl_name, &b, &content, &why);
	if (r == 0) {
		memcpy(s->crl_hash.b, b.p, sizeof(s->crl_hash.b));
		s->crl_ends_at = crl_set_ends_at(content);
	} else if (r != E_NOT_FOUND) {
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
	}
	buf_free(&b);
	return r == E_NOMEM ? r : 0;
}

static int state_load(struct keeper_state *s, struct refusal *why)
{
	struct run run = {.counter = 0};
	int        r = host_key_load(s, why);
	if (r == E_NOT_FOUND)
		r = 0;
	if (r == 0)
		r = record_load(s, "identity", &identity_record, &s->identity, why);
	if (r == 0)
		r = record_load(s, "run", &run_record, &run, why);
	if (r == 0)
		r = crl_load(s);
	if (r != 0)
		return r;
	s->counter = run.counter;
	if (s->identity.agent[0] == '\0')
		return 0;
	if (s->host_key == NULL)
		return refuse(why, E_SYS_JOURNAL, "host.key", "the host joined as %s, but its key is missing", s->identity.agent);
	return trust_load(s, why);
}

static int keys_dir_open(struct keeper_state *s, struct refusal *why)
{
	if (mkdirat(s->dir_fd, "keys", 0700) == 0 && dir_sync(s->dir_fd) != 0)
		return sys_refuse(why, "keys", "sync the folder");
	s->keys_fd = openat(s->dir_fd, "keys", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return s->keys_fd >= 0 ? 0 : sys_refuse(why, "keys", "open the folder");
}

int keeper_state_open(const char *dir, struct keeper_state *ret, struct refusal *why)
{
	struct keeper_state s = {.dir_fd = -1, .keys_fd = -1, .lock_fd = -1};
	int                 r = dir_make(dir, 0700, why);
	if (r == 0)
		r = dir_open_safe(dir, geteuid(), &s.dir_fd, why);
	if (r == 0)
		r = dir_lock(s.dir_fd, "lock", &s.lock_fd, why);
	if (r == 0)
		r = keys_dir_open(&s, why);
	if (r == 0)
		r = state_load(&s, why);
	if (r != 0) {
		keeper_state_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void keeper_state_close(struct keeper_state *s)
{
	key_free(s->host_key);
	trust_free(&s->trust);
	fd_close(s->keys_fd);
	fd_close(s->dir_fd);
	fd_close(s->lock_fd);
	*s = (struct keeper_state){.dir_fd = -1, .keys_fd = -1, .lock_fd = -1};
}

int keeper_state_save_identity(struct keeper_state *s, const struct identity *identity, struct refusal *why)
{
	int r = record_save(s, "identity", &identity_record, identity, why);
	if (r == 0)
		s->identity = *identity;
	return r;
}

int keeper_state_save_trust(struct keeper_state *s, struct trust *trust, struct refusal *why)
{
	int r = state_write(s, "bundle", buf_span(&trust->frame), why);
	if (r == 0)
		trust_take(&s->trust, trust);
	return r;
}

int keeper_state_start(struct keeper_state *s, int64_t now, struct refusal *why)
{
	uint8_t    random[ID_RANDOM];
	struct run run = {.counter = s->counter + 1};
	int        r = record_save(s, "run", &run_record, &run, why);
	if (r != 0 && r != E_SYS_SPACE)
		return r;
	if (r != 0) /* a full disk must not cut the host off; the number is used once more at the next start */
		log_refusal(LOG_LEVEL_WARNING, NULL, why);
	entropy(random, sizeof(random));
	s->boot_id = id_make(now, random);
	s->counter = run.counter;
	return 0;
}
