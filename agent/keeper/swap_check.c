/* swap_check.c - room agent/keeper: step 1 of a swap with everything around it.
 * Never: writing. */
#include "agent/keeper/swap_check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/keeper/answer_check.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/swap_parts.h"
#include "agent/keeper/trust_proof.h"
#include "shared/base/text.h"
#include "shared/pki/crl_set.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

/* A stored message; its spans point into `from`. */
static int stored(const struct buf *from, uint16_t type, const char *what, struct wire_frame **ret, struct refusal *why)
{
	struct wire_frame *frame = malloc(sizeof(*frame));
	if (frame == NULL)
		return refuse(why, E_NOMEM, what, "no memory to decode it");
	int r = from->n > 0 ? wire_decode(&wire_agent, buf_span(from), 0, frame) : E_NOT_FOUND;
	if (r == 0 && frame->type != type)
		r = E_WIRE_MESSAGE;
	if (r != 0) {
		free(frame);
		return refuse(why, E_SWAP_ANSWER, what, "%s", err_what(r));
	}
	*ret = frame;
	return 0;
}

/* ---- probes ------------------------------------------------------------------------------------------------------ */

static const char *sni_of(const struct place *p, char store[DNS_NAME_SIZE])
{
	size_t cursor = 0;
	store[0] = '\0';
	if (p->conf.sni[0] != '\0')
		return p->conf.sni;
	for (struct san san; store[0] == '\0' && names_next(&p->conf.names, &cursor, &san);)
		if (san.kind == SAN_DNS && san.text[0] != '*')
			text_cut(store, DNS_NAME_SIZE, san.text);
	return store;
}

static int stream_open(struct place *p, struct span chain, struct hash fingerprint, struct hash old_fingerprint, probe_round_fn *round,
                       struct probe **ret, struct refusal *why)
{
	struct keeper    *k = p->managed->keeper;
	char              sni[DNS_NAME_SIZE];
	struct probe_plan plan = {
		.listeners = p->conf.connect,
		.kind = (enum verify_kind)p->conf.verify,
		.sni = sni_of(p, sni),
		.per_second = k->conf->probes_per_second,
		.fingerprint = fingerprint,
		.old_fingerprint = old_fingerprint,
		.expect_ms = p->old_answers_ms,
		.chain = chain,
		.ca_names = trust_names(buf_span(&k->state.trust.roots)),
	};
	int r = probe_open(&k->loop, k->tls, &plan, round, p, ret);
	return r != 0 ? refuse(why, r, p->stem, "the probes cannot start: %s", err_what(r)) : 0;
}

/* Nothing where the place is not verified by TLS. */
static int probe_start(struct place *p, struct span chain, struct hash fingerprint, struct hash old_fingerprint, struct refusal *why)
{
	probe_free(p->probe);
	p->probe = NULL;
	if (!target_probed(&p->conf))
		return 0;
	return stream_open(p, chain, fingerprint, old_fingerprint, swap_round, &p->probe, why);
}

static void chain_of(const struct msg_certificate *c, struct buf *to)
{
	buf_add(to, c->certificate.p, c->certificate.n);
	buf_add(to, c->chain.p, c->chain.n);
}

int swap_probe_live(struct place *p, probe_round_fn *round, struct probe **ret, struct refusal *why)
{
	const struct live *l = &p->managed->live;
	struct wire_frame *frame = NULL;
	struct buf         chain = BUF_MAX(CERT_DER_MAX + CHAIN_DER_MAX);
	int                r = stored(&l->certificate, MSG_CERTIFICATE, "certificate", &frame, why);
	if (r == 0) {
		chain_of(&frame->u.certificate, &chain);
		r = buf_error(&chain);
	}
	if (r == 0)
		r = stream_open(p, buf_span(&chain), l->fingerprint, (struct hash){{0}}, round, ret, why);
	buf_free(&chain);
	free(frame);
	return r;
}

static int probes_start(struct managed *m, const struct msg_certificate *c, struct hash old_fingerprint, struct refusal *why)
{
	struct buf chain = BUF_MAX(CERT_DER_MAX + CHAIN_DER_MAX);
	chain_of(c, &chain);
	int r = buf_error(&chain);
	FOR_PLACES(p, m)
		if (r == 0)
			r = probe_start(p, buf_span(&chain), m->deploy.fingerprint, old_fingerprint, why);
	buf_free(&chain);
	return r;
}

/* From the stored answer: the generation that the swap wrote may be pruned, where repairs or new trust files came after it. */
int swap_probe_again(struct managed *m, struct refusal *why)
{
	struct wire_frame *frame = NULL;
	if (!places_present(m))
		return refuse(why, E_SWAP_TARGET, m->cert_id, "a target file is missing or wrong");
	int r = stored(&m->certificate, MSG_CERTIFICATE, "certificate", &frame, why);
	if (r == 0)
		r = probes_start(m, &frame->u.certificate, m->deploy.old_fingerprint, why);
	free(frame);
	return r;
}

/* ---- check ------------------------------------------------------------------------------------------------------- */

static int answer_judge(struct managed *m, const struct msg_certificate *c, struct refusal *why)
{
	struct wire_frame *order = NULL;
	struct key        *key = NULL;
	struct cert_info   info;
	int                r = stored(&m->order, MSG_ORDER, "order", &order, why);
	if (r == 0)
		r = keys_load(m->keeper->state.keys_fd, m->deploy.renewal_id, m->deploy.attempt, &key, why);
	if (r == 0) {
		const struct place *first = NULL; /* names are the same in all of a group */
		bool                serving = false;
		FOR_PLACES(p, m) {
			first = first != NULL ? first : p;
			serving |= target_probed(&p->conf);
		}
		struct answer a = {
			.certificate = c->certificate,
			.chain = c->chain,
			.roots = buf_span(&m->keeper->state.trust.roots),
			.key = key,
			.wanted = &first->conf.names,
			.ordered = order->u.order.names,
			.common_name = order->u.order.common_name,
			.serving = serving,
			.now = clock_now(),
			.skew_ms = keeper_clock_skew(m->keeper),
			.clock_allowed = keeper_clock_state(m->keeper) == CLOCK_ALLOWED,
		};
		r = answer_check(&a, &info, why);
	}
	key_free(key);
	free(order);
	return r;
}

/* What a service served before it was managed: not ours to go back to, but its answers are old ones, not wrong ones. */
static void before_measure(int fd, struct deploy_event *ret)
{
	struct buf       pem = BUF_MAX(65536);
	struct buf       ders = BUF_MAX(CERT_DER_MAX + CHAIN_DER_MAX);
	struct span      rest;
	struct span      leaf;
	_cleanup_fd_ int current = openat(fd, "current", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (current >= 0 && file_read(current, "fullchain.pem", false, &pem, NULL) == 0 && cert_from_pem(buf_span(&pem), &ders) == 0) {
		rest = buf_span(&ders);
		if (der_next(&rest, &leaf))
			digest_sha256(leaf, &ret->old_fingerprint);
	}
	buf_free(&pem);
	buf_free(&ders);
}

/* On a list that this host has: clients refuse it, so it is nothing to go back to. */
static bool is_revoked(const struct keeper *k, struct serial serial)
{
	struct buf pem = BUF_MAX(CRL_FILE_MAX);
	bool       found = !hash_is_none(k->state.crl_hash) && keeper_state_crl(&k->state, &pem, NULL) == 0 && crl_set_names(buf_span(&pem), serial);
	buf_free(&pem);
	return found;
}

/* What is in `current` now: a whole pair that could be gone back to, or nothing of use. */
static int old_measure(struct place *p, struct deploy_event *ret, struct refusal *why)
{
	struct generation_facts facts;
	_cleanup_fd_ int        fd = -1;
	p->old_generation = 0;
	int r = place_open(p, &fd, why);
	if (r == 0)
		r = generation_current(fd, &p->old_generation, why);
	if (r == 0 && p->old_generation == 0)
		before_measure(fd, ret);
	if (r == 0 && (p->old_generation == 0 || generation_read(fd, p->old_generation, &facts, NULL) != 0)) {
		p->old_generation = 0;
		ret->had_old = ret->old_valid = false;
		return 0;
	}
	if (r != 0)
		return r;
	int64_t now = keeper_clock_judge(p->managed->keeper);
	ret->old_generation = p->old_generation;
	ret->old_fingerprint = facts.info.fingerprint;
	ret->old_valid &= facts.info.not_before_at <= now && now < facts.info.not_after_at &&
			  !is_revoked(p->managed->keeper, facts.info.serial);
	buf_free(&facts.chain);
	return 0;
}

/* A group can go back only when each of its places can. */
static int olds_measure(struct managed *m, struct deploy_event *ret, struct refusal *why)
{
	int r = 0;
	ret->had_old = ret->old_valid = true;
	FOR_PLACES(p, m)
		if (r == 0)
			r = old_measure(p, ret, why);
	return r;
}

int swap_check(struct managed *m, struct deploy_event *ret, struct refusal *why)
{
	struct wire_frame *frame = NULL;
	if (!places_present(m))
		return refuse(why, E_SWAP_TARGET, m->cert_id, "a target file is missing or wrong");
	int r = stored(&m->certificate, MSG_CERTIFICATE, "certificate", &frame, why);
	if (r == 0)
		r = answer_judge(m, &frame->u.certificate, why);
	if (r == 0)
		r = olds_measure(m, ret, why);
	if (r == 0)
		r = probes_start(m, &frame->u.certificate, ret->old_fingerprint, why);
	free(frame);
	return r;
}
