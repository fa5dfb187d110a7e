/* sim_signer.c - room tests/lib: the signer: logs first, then signs; the same serial only for the same bytes.
 * Never: certificates; a fingerprint stands for one. */
#include <string.h>

#include "shared/base/err.h"
#include "shared/pki/key.h"
#include "tests/lib/sim.h"

void signer_start(struct sim *s)
{
	s->signer.alive = true;
	s->signer.run++;
	control_signer_up(s);
}

void signer_die(struct sim *s)
{
	s->signer.alive = false;
	s->signer.run++;
	control_signer_gone(s);
}

static struct sim_signature *logged(struct sim_signer *g, struct serial serial)
{
	for (size_t i = 0; i < g->n; i++) {
		if (serial_equal(g->log[i].serial, serial))
			return &g->log[i];
	}
	return NULL;
}

static void on_answer(struct sim *s, const struct sim_event *e)
{
	if (e->run == s->signer.run && e->link == s->controller.run)
		control_signed(s, e->msg.serial, e->msg.code, e->msg.fingerprint);
}

static void on_request(struct sim *s, const struct sim_event *e)
{
	struct sim_signer *g = &s->signer;
	if (e->run != g->run || sim_may_die(s, SIM_SIGNER, 0))
		return;

	int                   code = 0;
	struct sim_signature *entry = logged(g, e->msg.serial);
	if (entry == NULL && g->n < SIM_SIGNATURES) {
		entry = &g->log[g->n++];
		*entry = (struct sim_signature){.serial = e->msg.serial, .tbs = e->msg.stage};
		if (serial_counter(e->msg.serial) > g->top)
			g->top = serial_counter(e->msg.serial);
	} else if (entry == NULL || !hash_equal(entry->tbs, e->msg.stage)) {
		code = E_SIGNER_SERIAL;
	}
	if (sim_may_die(s, SIM_SIGNER, 0)) /* logged, and the answer is lost */
		return;

	struct sim_event *answer = sim_after(s, sim_between(s, 1, 20), on_answer);
	answer->run = g->run;
	answer->link = e->link;
	answer->msg.serial = e->msg.serial;
	answer->msg.code = code;
	if (code == 0) {
		entry->times++;
		g->made++;
		digest_sha256_two(&g->made, sizeof(g->made), entry->tbs.b, sizeof(entry->tbs.b), &answer->msg.fingerprint);
	}
	sim_trace(s, "signer serial %llu code %d", (unsigned long long)serial_counter(e->msg.serial), code);
}

void signer_request(struct sim *s, struct serial serial, struct hash tbs)
{
	/* Nothing is asked for that is not durable as an intent. */
	struct issuance i;
	if (view_issuance(s->view, serial, &i) != 0 || !hash_equal(i.tbs_hash, tbs))
		sim_broken(s, SIM_INTENT, "the signer is asked for a serial without its intent");
	if (!s->signer.alive) {
		control_signed(s, serial, E_SIGNER_RATE, (struct hash){0});
		return;
	}
	struct sim_event *e = sim_after(s, sim_between(s, 1, 10), on_request);
	e->run = s->signer.run;
	e->link = s->controller.run;
	e->msg.serial = serial;
	e->msg.stage = tbs;
}
