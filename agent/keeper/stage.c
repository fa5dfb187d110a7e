/* stage.c - room agent/keeper: the next key of each certificate, made in quiet time and offered to the controller.
 * The journal says that a key is staged before anybody is told of it, and that it is not before its file goes: a kill leaves a key
 * that is offered again, or a file that the next sweep removes. Never: leaving the host; a key for signing code. */
#include "agent/keeper/stage.h"

#include <stdlib.h>

#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/place.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

#define STAGE_RENEW_MS ((int64_t)(STAGE_AGE_MAX_D - 1) * MS_DAY) /* before it is too old */
#define STAGE_END_MS   ((int64_t)STAGE_AGE_MAX_D * MS_DAY)

/* ---- what is kept ------------------------------------------------------------------------------------------------ */

struct record_stage stage_record(const struct managed *m)
{
	const struct stage_kept *s = &m->stage;
	struct record_stage      r = {.id = s->id, .key_type = (uint32_t)s->key_type, .spki_hash = s->spki_hash, .made_at = s->made_at,
				      .ready = s->state == STAGE_READY};
	text_cut(r.cert_id, sizeof(r.cert_id), m->cert_id);
	return r;
}

void stage_load(struct managed *m, const struct record_stage *r)
{
	m->stage = (struct stage_kept){.id = r->id, .key_type = (enum key_type)r->key_type, .spki_hash = r->spki_hash, .made_at = r->made_at};
	m->stage.state = id_is_none(r->id) ? STAGE_NONE : r->ready ? STAGE_READY : STAGE_OFFERED;
}

bool stage_needs(const struct managed *m, struct id id, uint32_t attempt)
{
	return attempt == STAGE_ATTEMPT && m->stage.state != STAGE_NONE && id_equal(m->stage.id, id);
}

static int remember(struct managed *m, bool sync)
{
	struct record_stage r = stage_record(m);
	int                 code = keeper_journal_add(m->keeper, RECORD_STAGE, &r);
	if (code == 0)
		code = keeper_journal_commit(m->keeper, sync);
	keeper_journal_drop(m->keeper);
	return code;
}

/* Not remembered: the key that is still in the journal is offered, or swept, by the next run. */
static void forget(struct managed *m, const char *why)
{
	struct refusal refusal = {.code = 0};
	struct id      id = m->stage.id;
	log_line(LOG_LEVEL_INFO, NULL, "%s: the staged key is destroyed: %s", m->cert_id, why);
	m->stage = (struct stage_kept){.state = STAGE_NONE};
	int r = remember(m, true);
	(void)fault_point("keeper.stage.forgotten");
	if (r == 0)
		r = keys_drop(m->keeper->state.keys_fd, id, STAGE_ATTEMPT, &refusal);
	if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: the staged key cannot be removed: %s", m->cert_id, err_what(r));
}

static bool holds_key(const struct managed *m)
{
	return m->stage.state == STAGE_OFFERED || m->stage.state == STAGE_READY;
}

/* A clock that was set back makes no key young. */
static int64_t age_of(const struct managed *m)
{
	int64_t age = time_between(clock_now(), m->stage.made_at);
	return age >= -MS_DAY ? age : STAGE_END_MS;
}

/* ---- is it time? ------------------------------------------------------------------------------------------------- */

/* What signs code is made when somebody asks, and lies nowhere in advance. */
static bool signs_code(const struct managed *m)
{
	struct wire_frame *f = malloc(sizeof(*f));
	struct cert_info   info;
	bool               yes = true; /* what cannot be read gets none */
	if (f != NULL && wire_decode(&wire_agent, buf_span(&m->live.certificate), 0, f) == 0 && cert_read(f->u.certificate.certificate, &info) == 0)
		yes = (info.ext_key_usage & EKU_CODE_SIGNING) != 0;
	free(f);
	return yes;
}

static bool is_quiet(const struct managed *m)
{
	return m->deploy.phase == DEPLOY_DONE && m->live.certificate.n > 0 && places_live(m);
}

static int64_t later(int64_t least_ms, int64_t spread_ms)
{
	uint32_t random;
	entropy(&random, sizeof(random));
	return clock_steady() + least_ms + (spread_ms > 0 ? (int64_t)random % (spread_ms + 1) : 0);
}

static bool one_is_made(const struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++)
		if (k->managed[i]->stage.state == STAGE_MAKING)
			return true;
	return false;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static int offer(struct managed *m, struct refusal *why)
{
	struct key       *key = NULL;
	struct buf        csr = BUF_MAX(MSG_CSR_MAX);
	struct body_stage body = {.made_at = m->stage.made_at};
	int               r = fault_point("keeper.stage.offer") != 0 ? E_SYS_IO : keys_load(m->keeper->state.keys_fd, m->stage.id, STAGE_ATTEMPT, &key, why);
	if (r == 0)
		r = csr_make(key, &csr);
	if (r == 0) {
		text_cut(body.cert_id, sizeof(body.cert_id), m->cert_id);
		body.csr = buf_span(&csr);
		r = uplink_send_signed(m->keeper->uplink, MSG_STAGE, LABEL_STAGE, &wire_body_stage, &body);
		m->stage.message_id = m->keeper->next_id;
	}
	key_free(key);
	buf_free(&csr);
	return r;
}

static void offer_or_forget(struct managed *m)
{
	struct refusal why = {.code = 0};
	int            r = m->keeper->welcomed && m->stage.state == STAGE_OFFERED ? offer(m, &why) : 0;
	if (r != 0 && !keys_present(m->keeper->state.keys_fd, m->stage.id, STAGE_ATTEMPT))
		forget(m, "its file is gone");
	else if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: the staged key cannot be offered: %s", m->cert_id, err_what(r));
}

static void on_made(void *ctx, const struct keys_made *made)
{
	struct keeper *k = ctx;
	for (size_t i = 0; i < k->n_managed; i++) {
		struct managed *m = k->managed[i];
		if (m->stage.state != STAGE_MAKING || !id_equal(m->stage.id, made->renewal_id))
			continue;
		m->stage.spki_hash = made->spki_hash;
		m->stage.made_at = clock_now();
		m->stage.state = STAGE_OFFERED;
		int r = made->code != 0 ? made->code : remember(m, true);
		if (r != 0) {
			log_line(LOG_LEVEL_WARNING, NULL, "%s: no next key is staged: %s", m->cert_id, made->code != 0 ? made->cause : err_what(r));
			forget(m, "it was not made whole");
			return;
		}
		(void)fault_point("keeper.stage.made");
		offer_or_forget(m);
		return;
	}
	(void)!keys_drop(k->state.keys_fd, made->renewal_id, STAGE_ATTEMPT, NULL); /* its certificate ended meanwhile */
}

static void make(struct managed *m)
{
	struct stage_kept *s = &m->stage;
	uint8_t            random[ID_RANDOM];
	if (signs_code(m)) {
		s->unwanted = true;
		return;
	}
	m->stage_again = clock_steady() + m->keeper->conf->stage_after_ms;
	entropy(random, sizeof(random));
	s->id = id_make(clock_now(), random);
	s->key_type = s->asked ? s->asked_type : m->deploy.key_type;
	if (keys_make(&m->keeper->loop, m->keeper->state.keys_fd, s->id, STAGE_ATTEMPT, s->key_type, on_made, m->keeper) == 0)
		s->state = STAGE_MAKING;
	s->due = 0;
}

/* ---- the beat ---------------------------------------------------------------------------------------------------- */

/* Destroyed where it has no use; its place is empty then. */
static void look_at_kept(struct managed *m)
{
	bool busy = m->deploy.phase != DEPLOY_DONE && m->deploy.phase != DEPLOY_NONE;
	if (!holds_key(m))
		return;
	if (!places_live(m))
		forget(m, "its target is gone");
	else if (!busy && !keys_present(m->keeper->state.keys_fd, m->stage.id, STAGE_ATTEMPT))
		forget(m, "its file is gone");
	else if (!busy && hash_equal(m->stage.spki_hash, m->deploy.spki_hash))
		forget(m, "a certificate was made for it");
	else if (!busy && age_of(m) >= STAGE_RENEW_MS)
		forget(m, "it is old enough");
}

static void look_at_empty(struct managed *m)
{
	struct stage_kept *s = &m->stage;
	if (s->state != STAGE_NONE || s->unwanted)
		return;
	if (!is_quiet(m) || !m->keeper->welcomed)
		s->due = 0;
	else if (s->due == 0)
		s->due = later(m->keeper->conf->stage_after_ms, m->keeper->conf->stage_after_ms);
	else if (clock_steady() >= s->due && clock_steady() >= m->stage_again && !one_is_made(m->keeper))
		make(m);
}

void stage_beat(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++) {
		look_at_kept(k->managed[i]);
		look_at_empty(k->managed[i]);
	}
}

void stage_offer_all(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++)
		offer_or_forget(k->managed[i]);
}

/* ---- from the controller ----------------------------------------------------------------------------------------- */

bool stage_acked(struct keeper *k, uint64_t id, int code)
{
	for (size_t i = 0; id != 0 && i < k->n_managed; i++) {
		struct managed *m = k->managed[i];
		if (m->stage.state != STAGE_OFFERED || m->stage.message_id != id)
			continue;
		if (code == 0) {
			m->stage.state = STAGE_READY;
			(void)!remember(m, false); /* lost: it is offered once more */
			return true;
		}
		forget(m, err_what(code));
		m->stage.unwanted = code == E_STAGE_UNWANTED;
		return true;
	}
	return false;
}

/* One that is on its way to the controller is what it asks for. The word is nobody's signature: a gateway may have made it up. However often it
 * comes, stage_again keeps a host from making one key after the other. */
void stage_asked(struct managed *m, const struct msg_restage *r)
{
	struct stage_kept *s = &m->stage;
	int64_t            most = m->keeper->conf->stage_after_ms;
	bool               same = r->wanted && s->key_type == (enum key_type)r->key_type;
	if (s->state == STAGE_MAKING && !same)
		s->id = (struct id){{0}}, s->state = STAGE_NONE; /* its file goes when it is made */
	if (s->state == STAGE_READY || (s->state == STAGE_OFFERED && !same))
		forget(m, r->wanted ? "the controller wants another" : "the controller wants none");
	s->asked = r->wanted;
	s->asked_type = (enum key_type)r->key_type;
	s->unwanted = !r->wanted;
	if (s->state == STAGE_NONE)
		s->due = later(0, r->spread_ms < most ? r->spread_ms : most);
}

/* ---- a deployment with it ---------------------------------------------------------------------------------------- */

bool stage_holds(const struct managed *m, struct hash spki_hash)
{
	return holds_key(m) && hash_equal(m->stage.spki_hash, spki_hash) && age_of(m) < STAGE_END_MS &&
	       keys_present(m->keeper->state.keys_fd, m->stage.id, STAGE_ATTEMPT);
}

int stage_take(struct managed *m, struct refusal *why)
{
	int         fd = m->keeper->state.keys_fd;
	struct key *key = NULL;
	struct id   id = m->stage.id;
	if (!holds_key(m) || !hash_equal(m->stage.spki_hash, m->deploy.spki_hash))
		return 0;
	int r = keys_load(fd, id, STAGE_ATTEMPT, &key, why);
	if (r == 0)
		r = keys_keep(fd, m->deploy.renewal_id, m->deploy.attempt, key, why);
	key_free(key);
	(void)fault_point("keeper.stage.taken");
	if (r != 0)
		return r;
	m->stage = (struct stage_kept){.state = STAGE_NONE};
	r = remember(m, true);
	return r != 0 ? refuse(why, r, "journal", "%s", err_what(r)) : keys_drop(fd, id, STAGE_ATTEMPT, why);
}

const char *stage_state_name(enum stage_state s)
{
	static const char *const names[STAGE_STATE_COUNT] = {
		[STAGE_NONE] = "none",
		[STAGE_MAKING] = "making",
		[STAGE_OFFERED] = "offered",
		[STAGE_READY] = "ready",
	};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}
