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
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

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

int swap_certificate(struct managed *m, struct wire_frame **ret, struct refusal *why)
{
	return stored(&m->certificate, MSG_CERTIFICATE, "certificate", ret, why);
}

void swap_certificate_free(struct wire_frame *frame)
{
	free(frame);
}

/* ---- probes ------------------------------------------------------------------------------------------------------ */

static int probes_start(struct managed *m, struct span chain, struct hash fingerprint, struct hash old_fingerprint,
                        struct refusal *why)
{
	char   sni[DNS_NAME_SIZE] = "";
	size_t cursor = 0;
	for (struct san san; sni[0] == '\0' && names_next(&m->conf.names, &cursor, &san);)
		if (san.kind == SAN_DNS && san.text[0] != '*')
			text_cut(sni, sizeof(sni), san.text);
	struct probe_plan plan = {
		.listeners = m->conf.connect,
		.sni = m->conf.sni[0] != '\0' ? m->conf.sni : sni,
		.per_second = m->keeper->conf->probes_per_second,
		.fingerprint = fingerprint,
		.old_fingerprint = old_fingerprint,
		.expect_ms = m->old_answers_ms,
		.chain = chain,
	};
	probe_free(m->swap.probe);
	m->swap.probe = NULL;
	int r = probe_open(&m->keeper->loop, m->keeper->tls, &plan, swap_round, m, &m->swap.probe);
	return r != 0 ? refuse(why, r, m->cert_id, "the probes cannot start: %s", err_what(r)) : 0;
}

int swap_probe_again(struct managed *m, struct refusal *why)
{
	struct generation_facts facts;
	if (!m->present)
		return refuse(why, E_SWAP_TARGET, m->cert_id, "its target file is missing or wrong");
	if (m->conf.verify != VERIFY_TLS)
		return 0;
	_cleanup_fd_ int fd = -1;
	int              r = generation_dir(m->dir, &fd, why);
	if (r == 0)
		r = generation_read(fd, m->deploy.generation, &facts, why);
	if (r != 0)
		return r;
	r = probes_start(m, buf_span(&facts.chain), m->deploy.fingerprint, m->deploy.old_fingerprint, why);
	buf_free(&facts.chain);
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
		struct answer a = {
			.certificate = c->certificate,
			.chain = c->chain,
			.roots = buf_span(&m->keeper->state.trust.roots),
			.key = key,
			.wanted = &m->conf.names,
			.ordered = order->u.order.names,
			.common_name = order->u.order.common_name,
			.serving = m->conf.verify == VERIFY_TLS,
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

/* What is in `current` now: a whole pair that could be gone back to, or nothing of use. */
static int old_measure(struct managed *m, struct deploy_event *ret, struct refusal *why)
{
	struct generation_facts facts;
	uint64_t                number = 0;
	_cleanup_fd_ int        fd = -1;
	int                     r = generation_dir(m->dir, &fd, why);
	if (r == 0)
		r = generation_current(fd, &number, why);
	if (r == 0 && number == 0)
		before_measure(fd, ret);
	if (r != 0 || number == 0 || generation_read(fd, number, &facts, NULL) != 0)
		return r;
	int64_t now = keeper_clock_judge(m->keeper);
	ret->had_old = true;
	ret->old_generation = number;
	ret->old_fingerprint = facts.info.fingerprint;
	ret->old_valid = facts.info.not_before_at <= now && now < facts.info.not_after_at;
	buf_free(&facts.chain);
	return 0;
}

int swap_check(struct managed *m, struct deploy_event *ret, struct refusal *why)
{
	struct wire_frame *frame = NULL;
	if (!m->present)
		return refuse(why, E_SWAP_TARGET, m->cert_id, "its target file is missing or wrong");
	int r = swap_certificate(m, &frame, why);
	if (r == 0)
		r = answer_judge(m, &frame->u.certificate, why);
	if (r == 0)
		r = old_measure(m, ret, why);
	if (r == 0 && m->conf.verify == VERIFY_TLS) {
		struct buf chain = BUF_MAX(CERT_DER_MAX + CHAIN_DER_MAX);
		buf_add(&chain, frame->u.certificate.certificate.p, frame->u.certificate.certificate.n);
		buf_add(&chain, frame->u.certificate.chain.p, frame->u.certificate.chain.n);
		r = buf_error(&chain);
		if (r == 0)
			r = probes_start(m, buf_span(&chain), m->deploy.fingerprint, ret->old_fingerprint, why);
		buf_free(&chain);
	}
	free(frame);
	return r;
}
