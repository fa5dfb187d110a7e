/* fleet_stage.c - the next key of a simulated host, made in quiet time and offered, as its keeper would.
 * Never: a key for a second certificate. */
#include <stdio.h>

#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "tests/fleet/fleet_part.h"

static bool rests(const struct member *m)
{
	return m->generation != 0 && (m->deploy.phase == DEPLOY_NONE || m->deploy.phase == DEPLOY_DONE);
}

static void set_ready(struct fleet *f, struct member *m, bool ready)
{
	if (m->stage_ready != ready)
		f->count->gauge[GAUGE_STAGED] += ready ? 1 : -1;
	m->stage_ready = ready;
}

static void forget(struct fleet *f, struct member *m)
{
	set_ready(f, m, false);
	key_free(m->stage_key);
	m->stage_key = NULL;
	m->stage_hash = (struct hash){{0}};
}

static int make(struct member *m)
{
	int r = key_make(m->stage_type, &m->stage_key);
	return r == 0 ? keep_key_hash(m->stage_key, &m->stage_hash) : r;
}

void stage_offer(struct fleet *f, struct member *m)
{
	struct body_stage body = {.made_at = clock_now() + m->skew_ms};
	struct buf        csr = BUF_MAX(MSG_CSR_MAX);
	if (!m->welcomed || m->stage_key == NULL || m->stage_ready)
		return;
	(void)snprintf(body.cert_id, sizeof(body.cert_id), "%s-web", m->name);
	if (csr_make(m->stage_key, &csr) == 0) {
		body.csr = buf_span(&csr);
		m->stage_id = member_send_signed(f, m, MSG_STAGE, LABEL_STAGE, &wire_body_stage, &body);
	}
	buf_free(&csr);
}

static void plan_within(struct fleet *f, struct member *m, int64_t within)
{
	if (f->options->stage_ms >= 0 && m->stage_key == NULL && rests(m))
		fleet_timer(f, m, TIMER_STAGE, f->now + (within > 0 ? (int64_t)(fleet_random(f) % (uint64_t)(within + 1)) : 0));
}

void stage_plan(struct fleet *f, struct member *m)
{
	if (m->stage_unwanted || m->deploy.phase != DEPLOY_DONE || m->due[TIMER_STAGE] != TIME_NEVER)
		return;
	if (!m->stage_asked)
		m->stage_type = m->deploy.key_type;
	plan_within(f, m, f->options->stage_ms);
}

void stage_timer(struct fleet *f, struct member *m)
{
	if (m->stage_key != NULL || !rests(m))
		return;
	if (make(m) != 0)
		forget(f, m);
	else
		stage_offer(f, m);
}

void stage_asked(struct fleet *f, struct member *m, const struct msg_restage *r)
{
	if (r->key_type >= KEY_TYPE_COUNT)
		return;
	if (m->stage_ready || m->stage_type != (enum key_type)r->key_type || !r->wanted)
		forget(f, m);
	m->stage_unwanted = !r->wanted;
	m->stage_asked = r->wanted;
	m->stage_type = (enum key_type)r->key_type;
	if (r->wanted)
		plan_within(f, m, r->spread_ms < f->options->stage_ms ? r->spread_ms : f->options->stage_ms);
}

bool stage_acked(struct fleet *f, struct member *m, uint64_t id, int code)
{
	if (id == 0 || id != m->stage_id || m->stage_key == NULL)
		return false;
	m->stage_id = 0;
	if (code == 0) {
		set_ready(f, m, true);
		f->count->tally[TALLY_STAGED]++;
		return true;
	}
	f->count->last_code = code;
	m->stage_unwanted = code == E_STAGE_UNWANTED;
	forget(f, m);
	stage_plan(f, m);
	return true;
}

/* The certificate is for it: from now on it is the attempt's. */
void stage_take(struct fleet *f, struct member *m)
{
	key_free(m->service_key);
	m->service_key = m->stage_key;
	m->stage_key = NULL;
	f->count->tally[TALLY_STAGED_USED]++;
	forget(f, m);
}
