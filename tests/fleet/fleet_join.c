/* fleet_join.c - one simulated host joins: makes its keys, signs with token, host key and link key, posts, keeps the answer.
 * Never: a second use of a token after a refusal for good. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/pki/token.h"
#include "shared/sys/clock.h"
#include "tests/fleet/fleet_part.h"

enum { DEADLINE_MS = 60 * 1000, AGAIN_MS = 2000, ANSWER_MAX = 20480 };

static int spki_of(const struct key *key, struct buf *to)
{
	*to = (struct buf)BUF_MAX(SPKI_MAX);
	return key_spki(key, to);
}

static int sign_all(struct member *m, struct key *token, struct span body, struct buf signatures[3])
{
	struct key *const keys[3] = {token, m->host_key, m->link_key};
	int               r = 0;
	for (int i = 0; i < 3 && r == 0; i++) {
		signatures[i] = (struct buf)BUF_MAX(MSG_SIGNATURE_MAX);
		r = key_sign(keys[i], LABEL_JOIN, body, &signatures[i]);
	}
	return r;
}

/* The same keys each time: a lost answer is given once more to the same host. */
static int keys_make(struct member *m)
{
	struct buf spki;
	int        r = m->host_key != NULL ? 0 : key_make(KEY_EC_P256, &m->host_key);
	if (r == 0 && m->link_key == NULL)
		r = key_make(KEY_EC_P256, &m->link_key);
	if (r == 0)
		r = spki_of(m->host_key, &spki);
	if (r == 0)
		digest_sha256(buf_span(&spki), &m->host_hash);
	if (r == 0)
		buf_free(&spki);
	return r;
}

static int request_make(const struct fleet *f, struct member *m, struct buf *to)
{
	struct body_join body = {.pin = f->options->pin, .made_at = clock_now() + m->skew_ms, .version = VCC_VERSION};
	uint8_t          seed[TOKEN_SECRET];
	uint8_t          token_public[32];
	struct key      *token = NULL;
	struct buf       host = BUF_MAX(1), link = BUF_MAX(1), bytes = BUF_MAX(2048), signatures[3] = {BUF_MAX(1), BUF_MAX(1), BUF_MAX(1)};
	int              r = token_join_parse(m->token, seed, body.name);
	if (r == 0)
		r = key_from_seed(seed, &token, token_public);
	if (r == 0)
		r = keys_make(m);
	if (r == 0)
		r = spki_of(m->host_key, &host);
	if (r == 0)
		r = spki_of(m->link_key, &link);
	body.host_spki = buf_span(&host);
	body.link_spki = buf_span(&link);
	if (r == 0)
		r = wire_body_encode(&wire_body_join, &body, &bytes);
	if (r == 0)
		r = sign_all(m, token, buf_span(&bytes), signatures);
	struct msg_join request = {
		.body = buf_span(&bytes), .token_key = {token_public, sizeof(token_public)}, .token_signature = buf_span(&signatures[0]),
		.host_signature = buf_span(&signatures[1]), .link_signature = buf_span(&signatures[2]),
	};
	if (r == 0)
		r = wire_encode(&wire_join, JOIN_REQUEST, 0, &request, to);
	secret_wipe(seed, sizeof(seed));
	key_free(token);
	buf_free(&host);
	buf_free(&link);
	buf_free(&bytes);
	for (int i = 0; i < 3; i++)
		buf_free(&signatures[i]);
	return r;
}

static void join_end(struct fleet *f, struct member *m, int code)
{
	fleet_peer_close(&m->peer);
	buf_free(&m->in);
	f->joining--;
	if (code == 0)
		return;
	bool again = code == E_LINK_DOWN || err_kind(code) == ERR_KIND_RETRY;
	f->count->tally[again ? TALLY_JOIN_AGAIN : TALLY_JOIN_REFUSED]++;
	f->count->last_code = code;
	m->state = again ? MEMBER_NEW : MEMBER_REFUSED;
	fleet_timer(f, m, TIMER_CONNECT, again ? f->now + AGAIN_MS + (int64_t)(fleet_random(f) % AGAIN_MS) : TIME_NEVER);
}

void fleet_join_begin(struct fleet *f, struct member *m)
{
	m->state = MEMBER_JOINING;
	m->begun_us = clock_monotonic_us();
	m->in = (struct buf)BUF_MAX(ANSWER_MAX);
	f->joining++;
	int r = fleet_peer_open(&m->peer, f->tls, &f->join_place, m->index, NULL);
	fleet_timer(f, m, TIMER_CONNECT, f->now + DEADLINE_MS);
	if (r != 0)
		join_end(f, m, r);
	else
		fleet_open(f, m);
}

static int post(struct fleet *f, struct member *m)
{
	struct buf body = BUF_MAX(FRAME_BEFORE_WELCOME);
	struct buf request = BUF_MAX(FRAME_BEFORE_WELCOME + 512);
	int        r = request_make(f, m, &body);
	buf_add_fmt(&request, "POST /join HTTP/1.1\r\nHost: join\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
	            body.n);
	buf_add(&request, body.p, body.n);
	if (r == 0)
		r = buf_error(&request);
	if (r == 0)
		r = fleet_peer_write(&m->peer, buf_span(&request));
	buf_free(&body);
	buf_free(&request);
	return r;
}

static int take(struct fleet *f, struct member *m, const struct msg_join_reply *reply)
{
	struct refusal why;
	if (reply->code != 0)
		return reply->code;
	int r = text_copy(m->address, sizeof(m->address), reply->address);
	if (r == 0)
		r = fleet_place_parse(m->address, &m->place);
	if (r == 0)
		r = fleet_identity_new(reply->certificate, m->link_key, &m->identity);
	m->leaf = r == 0 ? malloc(reply->certificate.n) : NULL;
	if (r == 0 && m->leaf == NULL)
		r = E_NOMEM;
	if (r != 0)
		return r;
	m->n_leaf = reply->certificate.n;
	memcpy(m->leaf, reply->certificate.p, m->n_leaf);
	text_cut(m->service, sizeof(m->service), reply->service);
	text_cut(m->domain, sizeof(m->domain), reply->domain);
	free(m->token);
	m->token = NULL;
	m->runs = 1;
	return keep_save(f->dir_fd, m, &why);
}

/* The server ends the connection after its one answer. */
static void answered(struct fleet *f, struct member *m)
{
	const uint8_t *end = m->in.n > 0 ? memmem(m->in.p, m->in.n, "\r\n\r\n", 4) : NULL;
	int            r = E_LINK_DOWN;
	if (end != NULL) {
		struct span body = {end + 4, m->in.n - (size_t)(end + 4 - m->in.p)};
		r = wire_decode(&wire_join, body, 0, &f->frame);
		if (r == 0)
			r = f->frame.type == JOIN_REPLY ? take(f, m, &f->frame.u.join_reply) : E_WIRE_MESSAGE;
		else
			r = E_LINK_DOWN; /* cut */
	}
	if (r == 0) {
		f->count->tally[TALLY_JOINED]++;
		fleet_time_add(f->count, TIME_JOIN, clock_monotonic_us() - m->begun_us);
		m->state = MEMBER_AWAY;
		fleet_timer(f, m, TIMER_CONNECT, f->now + backoff_next(&m->backoff, BACKOFF_AWAY_MS, fleet_random(f)));
	}
	join_end(f, m, r);
}

void fleet_join_turn(struct fleet *f, struct member *m)
{
	int r = 1;
	if (m->peer.shaking) {
		r = fleet_peer_shake(&m->peer);
		if (r == 1)
			r = post(f, m) == 0 ? 1 : E_LINK_DOWN;
	}
	while (r == 1 || r > 0) {
		r = fleet_peer_read(&m->peer, f->bytes, sizeof(f->bytes));
		if (r > 0)
			buf_add(&m->in, f->bytes, (size_t)r);
	}
	if (r < 0 && m->in.n > 0)
		answered(f, m);
	else if (r < 0)
		join_end(f, m, r);
}
