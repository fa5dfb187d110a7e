/* link_identity.c - room agent/link: the link's certificate is renewed at half of its life, with a signature of the host key.
 * Never: signing with anything but the link's own keys; trusting the local clock once the controller told the time. */
#include "agent/link/link_identity.h"

#include "agent/link/link_part.h"
#include "agent/link/tls_link.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { RETRY_FIRST_MS = 15 * 1000, RETRY_MOST_MS = 10 * MS_MINUTE };

int64_t link_identity_wait(int64_t not_before_at, int64_t not_after_at, int64_t now)
{
	int64_t half = not_before_at + (not_after_at - not_before_at) / 2;
	if (now >= half)
		return 0;
	/* a clock may jump: looked at again within the hour */
	return half - now < MS_HOUR ? half - now : MS_HOUR;
}

int64_t link_identity_retry(int64_t life_ms, uint32_t asked)
{
	int64_t part = life_ms / 20 + 200;
	int64_t wait = part < RETRY_FIRST_MS ? part : RETRY_FIRST_MS;
	int64_t most = part < RETRY_MOST_MS ? part : RETRY_MOST_MS;
	for (uint32_t i = 1; i < asked && wait < most; i++)
		wait *= 2;
	return wait < most ? wait : most;
}

/* By the controller's clock where it is known: the certificate's times are the controller's. */
static int64_t now_of(const struct link *l)
{
	return l->welcome_at == 0 ? clock_now() : l->welcome_at + clock_boot() - l->welcome_since;
}

bool link_identity_ended(const struct link *l)
{
	return l->welcome_at != 0 && now_of(l) >= l->state.not_after_at;
}

bool link_identity_seems_ended(const struct link *l)
{
	return clock_now() >= l->state.not_after_at;
}

/* The key is kept until its certificate is there, so a lost answer is asked for again with the same one. */
static int ask(struct link *l, struct refusal *why)
{
	struct key *k = NULL;
	struct buf  csr = BUF_MAX(MSG_CSR_MAX);
	int         r = link_state_next_key(&l->state, &k, why);
	if (r == 0) {
		r = csr_make(k, &csr);
		struct lk_csr request = {.csr = buf_span(&csr)};
		if (r == 0)
			r = link_keeper_send(l, LK_CSR, &request);
		if (r < 0)
			refuse(why, r, "link identity", "the request cannot be made: %s", err_what(r));
	}
	key_free(k);
	buf_free(&csr);
	return r;
}

static void on_timer(lws_sorted_usec_list_t *timer)
{
	link_identity_look(lws_container_of(timer, struct link, identity_timer));
}

void link_identity_look(struct link *l)
{
	int64_t wait = link_identity_wait(l->state.not_before_at, l->state.not_after_at, now_of(l));
	if (wait == 0) {
		struct refusal why = {.code = 0};
		if (!l->welcomed)
			return; /* nobody to ask: the welcome looks again */
		if (ask(l, &why) < 0)
			log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		wait = link_identity_retry(l->state.not_after_at - l->state.not_before_at, ++l->asked);
	}
	lws_sul_schedule(l->context, 0, &l->identity_timer, on_timer, wait * LWS_US_PER_MS);
}

static void told(struct link *l, int64_t now_at)
{
	l->asked = 0;
	if (now_at <= 0 || now_at > TIME_LAST)
		return; /* no time of anybody's clock; and what is reckoned with it must not overflow */
	l->welcome_at = now_at;
	l->welcome_since = clock_boot();
}

void link_identity_welcomed(struct link *l, int64_t now_at)
{
	told(l, now_at);
	link_identity_look(l);
}

int link_identity_returned(struct link *l, int64_t now_at, struct refusal *why)
{
	told(l, now_at);
	return tls_link_setup(l->tls, buf_span(&l->state.root), buf_span(&l->state.identity), why);
}

/* The connection moves to the new identity at once; what is in flight is sent again after the next welcome. */
void link_identity_take(struct link *l, const struct lk_identity *identity)
{
	struct refusal why = {.code = 0};
	int            r = link_state_save_identity(&l->state, identity->certificate, identity->chain, &why);
	if (r == 0)
		r = tls_link_setup(l->tls, buf_span(&l->state.root), buf_span(&l->state.identity), &why);
	if (r < 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return;
	}
	log_line(LOG_LEVEL_INFO, NULL, "new link identity");
	l->fetch.resolver = (struct resolver){.last = ""}; /* it may name another public address */
	l->asked = 0;
	l->moving = true;
	link_gateway_drop(l, E_GW_EXPIRED, "moving to the new identity");
	link_identity_look(l);
}
