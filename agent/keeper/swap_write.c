/* swap_write.c - room agent/keeper: the actions of a swap before the flip: key, request, new generation.
 * Never: touching what is in use. */
#include <stdio.h>

#include "agent/keeper/access_check.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/store_password.h"
#include "agent/keeper/swap_check.h"
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

static int generation_make(struct managed *m, int fd, uint64_t number, struct refusal *why)
{
	struct generation_content content = {.combined = m->conf.combined, .mode = (mode_t)m->conf.mode};
	struct key               *key = NULL;
	struct wire_frame        *frame = NULL;
	char                      password[PKCS12_PASSWORD_SIZE] = "";
	int                       r = access_owner(m->conf.owner, m->conf.group, &content.uid, &content.gid, why);
	if (r == 0)
		r = keys_load(m->keeper->state.keys_fd, m->deploy.renewal_id, m->deploy.attempt, &key, why);
	if (r == 0)
		r = swap_certificate(m, &frame, why);
	if (r == 0)
		r = store_password_read(&m->conf, password, why);
	if (r == 0) {
		content.pkcs12_password = m->conf.pkcs12 ? password : NULL;
		content.key = key;
		content.certificate = frame->u.certificate.certificate;
		content.chain = frame->u.certificate.chain;
		content.roots = buf_span(&m->keeper->state.trust.roots);
		r = generation_write(fd, number, &content, why);
	}
	if (r == 0) {
		char path[TARGET_PATH_SIZE + 2 * GENERATION_NAME_SIZE];
		char name[GENERATION_NAME_SIZE];
		snprintf(path, sizeof(path), "%s/%s/key.pem", m->dir, generation_name(number, name));
		r = access_check(path, content.uid, content.gid, why);
		if (r != 0)
			(void)!generation_remove(fd, number, NULL);
	}
	key_free(key);
	swap_certificate_free(frame);
	secret_wipe(password, sizeof(password));
	return r;
}

/* The number is in the journal before the folder exists: it is never used twice. */
static int number_take(struct managed *m, int fd, uint64_t *ret, struct refusal *why)
{
	struct record_target record = {.generation = 0};
	uint64_t             highest = 0;
	int                  r = generation_highest(fd, &highest, why);
	if (r != 0)
		return r;
	record.generation = (highest > m->generation ? highest : m->generation) + 1;
	text_cut(record.cert_id, sizeof(record.cert_id), m->cert_id);
	text_cut(record.stem, sizeof(record.stem), m->stem);
	r = keeper_journal_add(m->keeper, RECORD_TARGET, &record);
	if (r == 0)
		r = keeper_journal_commit(m->keeper, false);
	if (r != 0)
		return refuse(why, r, "journal", "%s", err_what(r));
	m->generation = *ret = record.generation;
	return 0;
}

void swap_write(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct refusal      why = {.code = 0};
	struct deploy_event e = keeper_event_of(m, DEV_WRITTEN, 0);
	_cleanup_fd_ int    fd = -1;
	swap_step_begin(m);
	int r = fault_point("keeper.write") != 0 ? sys_refuse(&why, "generation", "write") : swap_target_open(m, &fd, &why);
	if (r == 0)
		r = number_take(m, fd, &e.generation, &why);
	if (r == 0)
		r = generation_make(m, fd, e.generation, &why);
	(void)fault_point("keeper.write.done");
	e.code = r;
	swap_step_end(m, STEP_WRITE, r, r != 0 ? why.cause : "");
	swap_answer(m, &e, &why);
}
