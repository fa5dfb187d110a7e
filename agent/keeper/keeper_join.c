/* keeper_join.c - room agent/keeper: the keeper's half of `vcc-agent join`, spoken over stdin and stdout.
 * Never: the network; a second identity over a finished one. */
#include "agent/keeper/keeper_join.h"

#include <stdlib.h>
#include <string.h>

#include "agent/keeper/identity_check.h"
#include "agent/keeper/keeper_state.h"
#include "shared/base/text.h"
#include "shared/pki/token.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/ipc.h"
#include "shared/wire/wire.h"

enum { LINK_MS = 120 * 1000 }; /* the person at the link may take time, the network too */
static const char object[] = "join";

struct join {
	int                 in_fd, out_fd;
	struct keeper_state state;
	struct buf          in;      /* the frame being read; spans of `start` and `answer` point into copies */
	struct wire_frame   frame;
	struct buf          root;
	struct hash         pin;
	struct buf          link_spki;
	struct key         *token_key;
	uint8_t             token_public[32];
	char                name[AGENT_NAME_SIZE];
};

static int frame_read(struct join *j, uint16_t type, struct refusal *why)
{
	buf_reset(&j->in);
	int r = ipc_read(j->in_fd, FRAME_MAX, LINK_MS, &j->in);
	if (r == 0)
		r = wire_decode(&wire_link, buf_span(&j->in), 0, &j->frame);
	if (r == 0 && j->frame.type != type)
		r = E_WIRE_MESSAGE;
	return r == 0 ? 0 : refuse(why, r, object, "the link's message: %s", err_what(r));
}

static int frame_write(struct join *j, uint16_t type, const void *payload, struct refusal *why)
{
	struct buf out = BUF_MAX(FRAME_MAX);
	int        r = wire_encode(&wire_link, type, 0, payload, &out);
	if (r == 0)
		r = ipc_write(j->out_fd, buf_span(&out), LINK_MS);
	buf_free(&out);
	return r == 0 ? 0 : refuse(why, r, object, "answer to the link: %s", err_what(r));
}

/* ---- the request ------------------------------------------------------------------------------------------------- */

static int start_read(struct join *j, struct refusal *why)
{
	struct hash hash;
	uint8_t     seed[TOKEN_SECRET];
	int         r = frame_read(j, LK_JOIN_START, why);
	if (r != 0)
		return r;
	const struct lk_join_start *s = &j->frame.u.lk_join_start;
	digest_sha256(s->root, &hash);
	if (!hash_equal(hash, s->pin))
		return refuse(why, E_LINK_PIN, object, "the server's root certificate has another fingerprint");
	j->pin = s->pin;
	buf_add(&j->root, s->root.p, s->root.n);
	buf_add(&j->link_spki, s->link_spki.p, s->link_spki.n);
	r = token_join_parse(s->token, seed, j->name);
	if (r == 0)
		r = key_from_seed(seed, &j->token_key, j->token_public);
	secret_wipe(seed, sizeof(seed));
	secret_wipe(&j->frame, sizeof(j->frame));
	buf_wipe(&j->in);
	return r == 0 ? 0 : refuse(why, E_JOIN_TOKEN, object, "the token cannot be read: copy the whole line");
}

static int request_send(struct join *j, struct refusal *why)
{
	struct buf       host_spki = BUF_MAX(SPKI_MAX);
	struct buf       bytes = BUF_MAX(FRAME_BEFORE_WELCOME);
	struct buf       by_token = BUF_MAX(MSG_SIGNATURE_MAX);
	struct buf       by_host = BUF_MAX(MSG_SIGNATURE_MAX);
	struct body_join body = {.pin = j->pin, .made_at = clock_now(), .version = VCC_VERSION, .link_spki = buf_span(&j->link_spki)};
	memcpy(body.name, j->name, sizeof(body.name));
	int r = key_spki(j->state.host_key, &host_spki);
	body.host_spki = buf_span(&host_spki);
	if (r == 0)
		r = wire_body_encode(&wire_body_join, &body, &bytes);
	if (r == 0)
		r = key_sign(j->token_key, LABEL_JOIN, buf_span(&bytes), &by_token);
	if (r == 0)
		r = key_sign(j->state.host_key, LABEL_JOIN, buf_span(&bytes), &by_host);
	if (r == 0) {
		struct lk_join_sign sign = {
			.body = buf_span(&bytes),
			.token_key = {j->token_public, sizeof(j->token_public)},
			.token_signature = buf_span(&by_token),
			.host_signature = buf_span(&by_host),
		};
		r = frame_write(j, LK_JOIN_SIGN, &sign, why);
	} else {
		refuse(why, r, object, "the request cannot be signed: %s", err_what(r));
	}
	buf_free(&host_spki);
	buf_free(&bytes);
	buf_free(&by_token);
	buf_free(&by_host);
	return r;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

/* Everything is judged before anything is written. */
static int reply_judge(struct join *j, const struct msg_join_reply *reply, struct trust *ret_trust, struct refusal *why)
{
	if (reply->code != 0)
		return refuse(why, reply->code, object, "%s", reply->text);
	if (!text_equal(reply->agent, j->name))
		return refuse(why, E_JOIN_NAME, object, "the controller calls this host `%s`, the token `%s`", reply->agent, j->name);
	int r = trust_first(reply->bundle, j->pin, ret_trust, why);
	if (r != 0)
		return r;
	struct identity_wanted wanted = {
		.agent = reply->agent,
		.domain = reply->domain,
		.host_hash = j->state.host_hash,
		.link_spki = buf_span(&j->link_spki),
		.roots = buf_span(&ret_trust->roots),
	};
	/* this host's clock may be wrong: the controller's time counts here, the link reports the difference later */
	r = identity_check(&wanted, reply->certificate, reply->chain, reply->now_at, why);
	if (r != 0)
		trust_free(ret_trust);
	return r;
}

static int reply_keep(struct join *j, const struct msg_join_reply *reply, struct trust *trust, struct refusal *why)
{
	struct identity *identity = calloc(1, sizeof(*identity));
	if (identity == NULL)
		return refuse(why, E_NOMEM, object, "no memory");
	text_cut(identity->agent, sizeof(identity->agent), reply->agent);
	text_cut(identity->service, sizeof(identity->service), reply->service);
	text_cut(identity->domain, sizeof(identity->domain), reply->domain);
	text_cut(identity->address, sizeof(identity->address), reply->address);
	text_cut(identity->patterns, sizeof(identity->patterns), reply->names);
	/* trust first: an identity without it would be damage */
	int r = keeper_state_save_trust(&j->state, trust, why);
	if (r == 0 && fault_point("keeper.join.trust") != 0)
		r = refuse(why, E_SYS_IO, object, "stopped after the trust was written");
	if (r == 0)
		r = keeper_state_save_identity(&j->state, identity, why);
	free(identity);
	return r;
}

static int reply_take(struct join *j, struct refusal *why)
{
	int r = frame_read(j, LK_JOIN_ANSWER, why);
	if (r != 0)
		return r;
	struct wire_frame *reply = calloc(1, sizeof(*reply));
	struct trust       trust = {.epoch = 0};
	if (reply == NULL)
		return refuse(why, E_NOMEM, object, "no memory");
	r = wire_decode(&wire_join, j->frame.u.lk_join_answer.reply, 0, reply);
	if (r == 0 && reply->type != JOIN_REPLY)
		r = E_WIRE_MESSAGE;
	const struct msg_join_reply *m = &reply->u.join_reply;
	if (r != 0)
		refuse(why, r, object, "the controller's answer cannot be read: %s", err_what(r));
	else
		r = reply_judge(j, m, &trust, why);
	if (r == 0)
		r = reply_keep(j, m, &trust, why);
	trust_free(&trust);
	if (r == 0) {
		struct lk_join_done done = {.certificate = m->certificate, .chain = m->chain, .root = buf_span(&j->root)};
		text_cut(done.agent, sizeof(done.agent), m->agent);
		text_cut(done.domain, sizeof(done.domain), m->domain);
		text_cut(done.address, sizeof(done.address), m->address);
		r = frame_write(j, LK_JOIN_DONE, &done, why);
	}
	free(reply);
	return r;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* A repeated join is only the end of an unfinished one, and of the same host. */
static int state_check(struct join *j, struct refusal *why)
{
	if (j->state.identity.agent[0] == '\0')
		return 0;
	if (j->state.identity.finished == 0 && text_equal(j->state.identity.agent, j->name))
		return 0;
	return refuse(why, E_JOIN_STATE, object, "this host is %s", j->state.identity.agent);
}

static int join_run(struct join *j, const struct agent_conf *conf, struct refusal *why)
{
	int r = start_read(j, why);
	if (r == 0)
		r = keeper_state_open(conf->keeper_dir, &j->state, why);
	if (r == 0)
		r = state_check(j, why);
	if (r == 0)
		r = keeper_state_host_key(&j->state, why);
	if (r == 0 && fault_point("keeper.join.key") != 0)
		r = refuse(why, E_SYS_IO, object, "stopped after the host key was written");
	if (r == 0)
		r = request_send(j, why);
	return r == 0 ? reply_take(j, why) : r;
}

int keeper_join(const struct agent_conf *conf, int in_fd, int out_fd)
{
	struct refusal why = {.code = 0};
	struct join   *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return 1;
	j->in_fd = in_fd;
	j->out_fd = out_fd;
	j->state = (struct keeper_state){.dir_fd = -1, .keys_fd = -1, .lock_fd = -1};
	j->in = (struct buf)BUF_MAX(FRAME_MAX + 1024);
	j->root = (struct buf)BUF_MAX(CERT_DER_MAX);
	j->link_spki = (struct buf)BUF_MAX(SPKI_MAX);
	int r = join_run(j, conf, &why);
	if (r != 0) {
		struct lk_join_done done = {.code = r};
		text_cut(done.text, sizeof(done.text), why.cause);
		(void)!frame_write(j, LK_JOIN_DONE, &done, NULL);
	}
	key_free(j->token_key);
	keeper_state_close(&j->state);
	buf_wipe(&j->in);
	buf_free(&j->root);
	buf_free(&j->link_spki);
	free(j);
	return r == 0 ? 0 : 1;
}
