/* keeper_return.c - room agent/keeper: the host key speaks for a link whose identity has ended.
 * Never: another name or trust than this host joined with. */
#include "agent/keeper/keeper_return.h"

#include <stdlib.h>

#include "agent/keeper/identity_check.h"
#include "agent/keeper/keeper_clock.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

static const char object[] = "return";

/* ---- the request ------------------------------------------------------------------------------------------------- */

static bool is_trusted(const struct keeper *k, struct hash pin)
{
	struct span rest = buf_span(&k->state.trust.roots);
	struct span one;
	struct hash hash;
	while (der_next(&rest, &one)) {
		digest_sha256(one, &hash);
		if (hash_equal(hash, pin))
			return true;
	}
	return false;
}

int keeper_return_sign(struct keeper *k, const struct lk_return *ask, struct buf *body, struct buf *signature, struct refusal *why)
{
	struct body_return b = {
		.pin = ask->pin,
		.host_hash = k->state.host_hash,
		.link_spki = ask->link_spki,
		.challenge = ask->challenge,
		.made_at = clock_now(),
		.version = VCC_VERSION,
	};
	if (!is_trusted(k, ask->pin))
		return refuse(why, E_LINK_PIN, object, "the link trusts a root that is not in this host's bundle");
	text_cut(b.name, sizeof(b.name), k->state.identity.agent);
	int r = fault_point("keeper.return.sign") != 0 ? E_SYS_IO : wire_body_encode(&wire_body_return, &b, body);
	if (r == 0)
		r = key_sign(k->state.host_key, LABEL_RETURN, buf_span(body), signature);
	if (r != 0)
		return refuse(why, r, object, "the request cannot be signed: %s", err_what(r));
	k->return_spki.max = SPKI_MAX;
	buf_reset(&k->return_spki);
	buf_add(&k->return_spki, ask->link_spki.p, ask->link_spki.n);
	return buf_error(&k->return_spki);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

/* The bundle that came along: a newer one must be signed by the roots of ours, an older one is nothing to us. */
static int trust_judge(struct keeper *k, struct span bundle, struct trust *ret, bool *ret_newer, struct refusal *why)
{
	struct trust said = {.epoch = 0};
	int          r = trust_read(bundle, &said, why);
	bool         newer = r == 0 && said.epoch > k->state.trust.epoch;
	trust_free(&said);
	if (newer)
		r = trust_next(&k->state.trust, bundle, ret, why);
	*ret_newer = newer;
	return r;
}

static int identity_judge(struct keeper *k, const struct msg_join_reply *reply, struct span roots, struct refusal *why)
{
	if (!text_equal(reply->agent, k->state.identity.agent) || !text_equal(reply->domain, k->state.identity.domain))
		return refuse(why, E_JOIN_NAME, object, "the controller calls this host `%s` of `%s`", reply->agent, reply->domain);
	struct identity_wanted wanted = {
		.agent = k->state.identity.agent,
		.domain = k->state.identity.domain,
		.host_hash = k->state.host_hash,
		.link_spki = buf_span(&k->return_spki),
		.roots = roots,
	};
	return identity_check(&wanted, reply->certificate, reply->chain, reply->now_at, why);
}

/* Trust first; where to connect is only for people here. */
static int keep(struct keeper *k, const struct msg_join_reply *reply, struct trust *newer, struct refusal *why)
{
	struct identity identity = k->state.identity;
	int             r = newer != NULL ? keeper_state_save_trust(&k->state, newer, why) : 0;
	if (r == 0 && fault_point("keeper.return.trust") != 0)
		r = refuse(why, E_SYS_IO, object, "stopped after the trust was written");
	if (r != 0 || text_equal(identity.address, reply->address))
		return r;
	text_cut(identity.address, sizeof(identity.address), reply->address);
	return keeper_state_save_identity(&k->state, &identity, why);
}

/* Everything is judged before anything is written. */
static int reply_take(struct keeper *k, const struct msg_join_reply *reply, struct refusal *why)
{
	struct trust next = {.epoch = 0};
	bool         newer = false;
	if (reply->code != 0)
		return refuse(why, reply->code, object, "%s", reply->text);
	if (k->return_spki.n == 0)
		return refuse(why, E_WIRE_MESSAGE, object, "an answer to nothing that was asked");
	int r = trust_judge(k, reply->bundle, &next, &newer, why);
	if (r == 0)
		r = identity_judge(k, reply, newer ? buf_span(&next.roots) : buf_span(&k->state.trust.roots), why);
	if (r == 0)
		r = keep(k, reply, newer ? &next : NULL, why);
	trust_free(&next);
	return r;
}

int keeper_return_take(struct keeper *k, struct span reply, struct lk_return_done *ret, struct refusal *why)
{
	struct wire_frame *frame = malloc(sizeof(*frame));
	if (frame == NULL)
		return refuse(why, E_NOMEM, object, "no memory");
	int r = wire_decode(&wire_join, reply, 0, frame);
	if (r == 0 && frame->type != JOIN_REPLY)
		r = E_WIRE_MESSAGE;
	const struct msg_join_reply *m = &frame->u.join_reply;
	if (r != 0)
		refuse(why, r, object, "the controller's answer cannot be read: %s", err_what(r));
	else
		r = reply_take(k, m, why);
	if (r == 0) {
		*ret = (struct lk_return_done){.now_at = m->now_at, .certificate = m->certificate, .chain = m->chain};
		text_cut(ret->address, sizeof(ret->address), m->address);
		keeper_clock_told(k, m->now_at);
		buf_reset(&k->link_csr); /* what waited there is answered by this */
		log_line(LOG_LEVEL_NOTICE, NULL, "the host key brought a new identity for the link");
	}
	buf_reset(&k->return_spki);
	free(frame);
	return r;
}
