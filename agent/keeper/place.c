/* place.c - room agent/keeper: the places of a certificate, one per target file.
 * Never: what is done there. */
#include "agent/keeper/place.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/drain_watch.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/rehearse.h"
#include "agent/keeper/watch.h"
#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum { MADE_HEAD = 20 };

struct place *place_find(struct managed *m, const char *stem)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (text_equal(m->places[i]->stem, stem))
			return m->places[i];
	return NULL;
}

int place_add(struct managed *m, const char *stem, struct place **ret)
{
	if (m->n_places == PLACES_MAX)
		return E_FULL;
	struct place *p = calloc(1, sizeof(*p));
	uv_timer_t   *timer = malloc(sizeof(*timer));
	if (p == NULL || timer == NULL) {
		free(p);
		free(timer);
		return E_NOMEM;
	}
	uv_timer_init(&m->keeper->loop, timer);
	timer->data = p;
	p->timer = timer;
	p->care.next_at = TIME_NEVER;
	p->managed = m;
	text_cut(p->stem, sizeof(p->stem), stem);
	m->places[m->n_places++] = p;
	*ret = p;
	return 0;
}

static void on_timer_closed(uv_handle_t *timer)
{
	free(timer);
}

void place_forget(struct place *p)
{
	struct managed *m = p->managed;
	size_t          i = 0;
	while (m->places[i] != p)
		i++;
	m->places[i] = m->places[--m->n_places];
	keeper_forget_place(m->keeper, p);
	rehearse_end(p);
	watch_forget(m->keeper->watch, p);
	drain_stop(p);
	hook_cancel(p->hook);
	hook_cancel(p->care_hook);
	probe_free(p->probe);
	probe_free(p->care_probe);
	uv_close((uv_handle_t *)p->timer, on_timer_closed);
	free(p->seen);
	free(p);
}

bool places_live(const struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (!m->places[i]->retired)
			return true;
	return false;
}

bool places_present(const struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (!m->places[i]->retired && !m->places[i]->present)
			return false;
	return places_live(m);
}

int place_open(const struct place *p, int *ret_fd, struct refusal *why)
{
	if (!p->present)
		return refuse(why, E_SWAP_TARGET, p->stem, "the target file is missing or wrong");
	return generation_dir(p->dir, ret_fd, why);
}

int place_prune(const struct place *p, struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	int64_t          retain = p->managed->keeper->conf->retain;
	int              r = dir_open_safe(p->dir, geteuid(), &fd, why);
	return r == 0 ? generation_prune(fd, p->old_generation, retain < 2 ? 2 : (size_t)retain, why) : r;
}

void place_look(struct place *p)
{
	struct on_disk          found = {.generation = 0};
	struct generation_facts facts;
	_cleanup_fd_ int        fd = -1;
	if (p->present && dir_open_safe(p->dir, geteuid(), &fd, NULL) == 0 && generation_current(fd, &found.generation, NULL) == 0 &&
	    found.generation != 0 && generation_read(fd, found.generation, &facts, NULL) == 0) {
		struct span rest = buf_span(&facts.chain);
		struct span leaf;
		found.fingerprint = facts.info.fingerprint;
		found.not_after_at = facts.info.not_after_at;
		/* a pair of somebody else (self-signed, from another tool) has no serial of ours */
		if (der_next(&rest, &leaf) &&
		    cert_verify(leaf, rest, buf_span(&p->managed->keeper->state.trust.roots), 0, 0, NULL) == 0)
			found.serial = facts.info.serial;
		buf_free(&facts.chain);
	}
	p->on_disk = found;
}

void place_sync(const struct place *p)
{
	struct refusal   why;
	_cleanup_fd_ int fd = -1;
	int              r = place_open(p, &fd, &why);
	if (r == 0 && dir_sync(fd) != 0)
		r = sys_refuse_at(&why, fd, ".", "sync the folder");
	if (r < 0)
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

void place_saw(struct place *p, const struct probe *probe, uint32_t verify_row)
{
	struct receipt_listener all[MSG_LISTENERS_MAX];
	uint32_t                n = probe_listeners(probe, verify_row, all);
	free(p->seen);
	p->seen = n > 0 ? malloc(n * sizeof(all[0])) : NULL; /* one or two of sixteen, for as long as the target lives */
	p->n_seen = p->seen != NULL ? n : 0;
	if (p->seen != NULL)
		memcpy(p->seen, all, n * sizeof(all[0]));
}

/* ---- journal ----------------------------------------------------------------------------------------------------- */

/* Generations one after the other: number 8, owner 4, group 4, mode 4, content 32, count 1; per file: secret
 * and folder as two bits 1, length 1, name, hash 32. */
static void made_pack(const struct made *m, struct buf *to)
{
	uint8_t head[MADE_HEAD];
	be_put(head, m->generation, 8);
	be_put(head + 8, m->uid, 4);
	be_put(head + 12, m->gid, 4);
	be_put(head + 16, m->mode, 4);
	buf_add(to, head, sizeof(head));
	buf_add(to, m->content.b, sizeof(m->content.b));
	buf_add_u8(to, (uint8_t)m->n);
	for (uint32_t i = 0; i < m->n; i++) {
		size_t n = strlen(m->files[i].name);
		buf_add_u8(to, (uint8_t)(m->files[i].secret | m->files[i].folder << 1));
		buf_add_u8(to, (uint8_t)n);
		buf_add(to, m->files[i].name, n);
		buf_add(to, m->files[i].hash.b, sizeof(m->files[i].hash.b));
	}
}

static bool take(struct span *from, void *to, size_t n)
{
	if (from->n < n)
		return false;
	memcpy(to, from->p, n);
	*from = (struct span){from->p + n, from->n - n};
	return true;
}

static bool file_unpack(struct span *from, struct made_file *ret)
{
	uint8_t bits;
	uint8_t n;
	if (!take(from, &bits, 1) || !take(from, &n, 1) || n == 0 || n >= sizeof(ret->name) || !take(from, ret->name, n))
		return false;
	ret->name[n] = '\0';
	ret->secret = (bits & 1) != 0;
	ret->folder = (bits & 2) != 0;
	return take(from, ret->hash.b, sizeof(ret->hash.b));
}

static bool made_unpack(struct span *from, struct made *ret)
{
	uint8_t head[MADE_HEAD];
	uint8_t n;
	if (!take(from, head, sizeof(head)) || !take(from, ret->content.b, sizeof(ret->content.b)) || !take(from, &n, 1) ||
	    n > GENERATION_FILES_MAX)
		return false;
	ret->generation = be_get(head, 8);
	ret->uid = (uid_t)be_get(head + 8, 4);
	ret->gid = (gid_t)be_get(head + 12, 4);
	ret->mode = (mode_t)be_get(head + 16, 4);
	ret->n = n;
	for (uint32_t i = 0; i < n; i++)
		if (!file_unpack(from, &ret->files[i]))
			return false;
	return true;
}

int place_made_load(struct place *p, struct span packed)
{
	for (size_t i = 0; i < PLACE_MADE; i++) {
		p->made[i] = (struct made){.generation = 0};
		if (packed.n > 0 && !made_unpack(&packed, &p->made[i]))
			return E_SYS_JOURNAL;
	}
	return packed.n == 0 ? 0 : E_SYS_JOURNAL;
}

void place_record(const struct place *p, struct place_record *ret)
{
	struct buf b = BUF_MAX(sizeof(ret->made));
	for (size_t i = 0; i < PLACE_MADE; i++)
		if (p->made[i].generation != 0)
			made_pack(&p->made[i], &b);
	size_t n = buf_error(&b) == 0 ? b.n : 0; /* half of it would be damage; nothing of it means new files at the next start */
	if (n > 0)
		memcpy(ret->made, b.p, n);
	ret->record = (struct record_target){
		.generation = p->managed->generation,
		.old_generation = p->old_generation,
		.made = {ret->made, n},
		.proved = p->proved,
		.rehearsed_at = p->rehearsed_at,
	};
	buf_free(&b);
	text_cut(ret->record.cert_id, sizeof(ret->record.cert_id), p->managed->cert_id);
	text_cut(ret->record.stem, sizeof(ret->record.stem), p->stem);
}

int place_remember(const struct place *p, bool gone, bool sync)
{
	struct keeper      *k = p->managed->keeper;
	struct place_record r;
	place_record(p, &r);
	r.record.gone = gone;
	int code = keeper_journal_add(k, RECORD_TARGET, &r.record);
	return code == 0 ? keeper_journal_commit(k, sync) : code;
}

/* ---- what was made ----------------------------------------------------------------------------------------------- */

void place_made(struct place *p, const struct made *new)
{
	const struct made *in_use = place_in_use(p);
	struct made        keep = in_use != NULL ? *in_use : p->made[0];
	p->made[0] = *new;
	p->made[1] = keep;
}

const struct made *place_in_use(const struct place *p)
{
	for (size_t i = 0; i < PLACE_MADE; i++)
		if (p->made[i].generation != 0 && p->made[i].generation == p->on_disk.generation)
			return &p->made[i];
	return NULL;
}
