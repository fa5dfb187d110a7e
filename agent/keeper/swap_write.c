/* swap_write.c - room agent/keeper: the actions of a swap before the flip: key, request, new generation.
 * Never: touching what is in use. */
#include "agent/keeper/content.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/swap_parts.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

/* ---- key, csr ---------------------------------------------------------------------------------------------------- */

static void on_key_made(void *ctx, const struct keys_made *made)
{
	struct keeper *k = ctx;
	for (size_t i = 0; i < k->n_managed; i++) {
		struct managed *m = k->managed[i];
		if (!id_equal(m->deploy.renewal_id, made->renewal_id) || m->deploy.attempt != made->attempt)
			continue;
		struct deploy_event e = keeper_event_of(m, DEV_KEY, made->code);
		e.spki_hash = made->spki_hash;
		if (made->code != 0)
			text_cut(e.cause, sizeof(e.cause), made->cause);
		swap_step_end(m, STEP_KEY, made->code, made->code != 0 ? made->cause : key_type_name(m->deploy.key_type));
		swap_answer(m, &e, NULL);
	}
}

void swap_make_key(struct managed *m, const struct deploy_action *a)
{
	swap_step_begin(m);
	int r = keys_make(&m->keeper->loop, m->keeper->state.keys_fd, a->renewal_id, a->attempt, m->deploy.key_type, on_key_made,
	                  m->keeper);
	if (r != 0) {
		struct deploy_event e = keeper_event_of(m, DEV_KEY, r);
		swap_answer(m, &e, NULL);
	}
}

static int csr_send(struct managed *m, const struct deploy_action *a, struct refusal *why)
{
	struct key     *key = NULL;
	struct buf      csr = BUF_MAX(MSG_CSR_MAX);
	struct body_csr body = {.renewal_id = a->renewal_id, .attempt = a->attempt, .made_at = clock_now()};
	int             r = keys_load(m->keeper->state.keys_fd, a->renewal_id, a->attempt, &key, why);
	if (r == 0)
		r = csr_make(key, &csr);
	if (r == 0) {
		text_cut(body.cert_id, sizeof(body.cert_id), m->cert_id);
		body.csr = buf_span(&csr);
		r = uplink_send_signed(m->keeper->uplink, MSG_CSR, LABEL_CSR, &wire_body_csr, &body);
	}
	key_free(key);
	buf_free(&csr);
	return r;
}

/* Not connected: it goes out after the next welcome. */
void swap_send_csr(struct managed *m, const struct deploy_action *a)
{
	struct refusal why = {.code = 0};
	if (!m->keeper->welcomed)
		return;
	int r = fault_point("keeper.csr") != 0 ? E_SYS_IO : csr_send(m, a, &why);
	(void)fault_point("keeper.csr.done");
	if (r != 0)
		log_line(LOG_LEVEL_ERROR, NULL, "%s: the request cannot be sent: %s", m->cert_id, why.code != 0 ? why.cause : err_what(r));
}

/* ---- generation -------------------------------------------------------------------------------------------------- */

/* A number that is new in all places. It is in the journal before the folders exist: it is never used twice. */
int swap_number(struct managed *m, struct refusal *why)
{
	uint64_t highest = m->generation;
	int      r = 0;
	FOR_PLACES(p, m) {
		uint64_t         here = 0;
		_cleanup_fd_ int fd = -1;
		if (r == 0)
			r = place_open(p, &fd, why);
		if (r == 0)
			r = generation_highest(fd, &here, why);
		highest = here > highest ? here : highest;
	}
	if (r != 0)
		return r;
	m->generation = highest + 1;
	FOR_PLACES(p, m) {
		struct place_record record;
		place_record(p, &record);
		if (r == 0)
			r = keeper_journal_add(m->keeper, RECORD_TARGET, &record.record);
	}
	if (r == 0)
		r = keeper_journal_commit(m->keeper, false);
	keeper_journal_drop(m->keeper);
	return r != 0 ? refuse(why, r, "journal", "%s", err_what(r)) : 0;
}

static int generations_make(struct managed *m, struct refusal *why)
{
	struct content content;
	int            r = content_pair(m->keeper, m->deploy.renewal_id, m->deploy.attempt, &m->certificate, &content, why);
	if (r != 0)
		return r;
	FOR_PLACES(p, m)
		if (r == 0)
			r = content_write(p, m->generation, &content.what, m->deploy.fingerprint, why);
	content_free(&content);
	if (r == 0)
		r = keeper_journal_commit(m->keeper, false); /* synced with the decision to go on */
	keeper_journal_drop(m->keeper);
	return r != 0 && why->code == 0 ? refuse(why, r, "journal", "%s", err_what(r)) : r;
}

void swap_write(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct refusal      why = {.code = 0};
	struct deploy_event e = keeper_event_of(m, DEV_WRITTEN, 0);
	swap_step_begin(m);
	int r = fault_point("keeper.write") != 0 ? sys_refuse(&why, "generation", "write") : 0;
	if (r == 0 && !places_present(m))
		r = refuse(&why, E_SWAP_TARGET, m->cert_id, "a target file is missing or wrong");
	if (r == 0)
		r = swap_number(m, &why);
	if (r == 0)
		r = generations_make(m, &why);
	(void)fault_point("keeper.write.done");
	e.generation = m->generation;
	e.code = r;
	swap_step_end(m, STEP_WRITE, r, r != 0 ? why.cause : "");
	swap_answer(m, &e, &why);
}
