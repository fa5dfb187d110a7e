/* signer_client.c - room controller/daemon: requests to the signer and their answers.
 * Never: blocking the loop; deciding what an answer means. */
#include "controller/daemon/signer_client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uthash.h>
#include <utlist.h>

#include "controller/core/policy.h"
#include "controller/daemon/audit_heads.h"
#include "controller/daemon/bundles.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/metrics.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/rollovers.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/signer_told.h"
#include "controller/daemon/state.h"
#include "shared/sys/clock.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"

#define CRL_IDS (UINT64_C(1) << 60)

enum {
	SIGNER_OUT_MAX = 4 << 20,
	AT_ONCE = 256,     /* what the signer makes durable together */
	LOST_IN_CROWD = 3, /* so often in hand with others when the signer ended: from then on it goes alone */
	LOST_ALONE = 3,    /* so often it alone: it is not asked again */
};

struct request {
	uint64_t        id;
	struct ticket   ticket;
	bool            sent;
	int64_t         asked_us; /* monotonic */
	uint32_t        lost, lost_alone; /* how often the signer ended while it was in hand */
	struct span     frame;       /* owned */
	struct request *prev, *next; /* in the list of unsent ones */
	UT_hash_handle  hh;
};

struct signer_client {
	struct controller *ctl;
	struct ipc        *ipc;
	struct request    *requests; /* in the order of asking */
	struct request    *unsent[ORDER_RANKS];
	size_t             asked; /* sent, not answered */
	struct request    *alone; /* the one of these that goes alone; NULL = none does */
	uint64_t           crl_ids;
	uint32_t           issuers_expected, issuers_seen;
	unsigned           highest[ISSUER_ROLE_COUNT]; /* number of an authority that the signer has told of */
	bool               helloed;
	struct signer_told  told;
	bool               log_behind;
	struct wire_frame  in; /* large: one for the connection */
};

typedef void            signed_fn(struct controller *ctl, const struct ticket *t, const struct signed_answer *a);
static signed_fn *const on_signed[TICKET_COUNT] = {
	[TICKET_ORDER] = orders_signed,
	[TICKET_IDENTITY] = identities_signed,
	[TICKET_CRL] = crls_signed,
	[TICKET_HEAD] = audit_heads_signed,
	[TICKET_SUCCESSOR] = rollovers_made,
	[TICKET_CLOSE] = rollovers_closed,
};

int signer_open(struct controller *ctl, struct signer_client **ret)
{
	struct signer_client *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return E_NOMEM;
	s->ctl = ctl;
	s->crl_ids = CRL_IDS;
	*ret = s;
	return 0;
}

static void request_free(struct signer_client *s, struct request *q)
{
	if (s->alone == q)
		s->alone = NULL;
	if (q->sent)
		s->asked--;
	else
		DL_DELETE(s->unsent[q->ticket.rank], q);
	HASH_DEL(s->requests, q);
	free((void *)(uintptr_t)q->frame.p);
	free(q);
}

void signer_hang_up(struct signer_client *s)
{
	if (s->ipc != NULL)
		ipc_free(s->ipc);
	s->ipc = NULL;
	s->helloed = false;
}

void signer_free(struct signer_client *s)
{
	if (s == NULL)
		return;
	struct request *q, *tmp;
	HASH_ITER (hh, s->requests, q, tmp)
		request_free(s, q);
	signer_told_clear(&s->told);
	free(s);
}

bool signer_ready(const struct controller *ctl)
{
	const struct signer_client *s = ctl->signer;
	return s->helloed && s->issuers_seen >= s->issuers_expected;
}

uint64_t signer_waiting(const struct controller *ctl)
{
	return HASH_COUNT(ctl->signer->requests);
}

bool signer_log_behind(const struct controller *ctl)
{
	return ctl->signer->log_behind;
}

static struct request *first_waiting(const struct signer_client *s)
{
	for (size_t i = 0; i < N_ELEMENTS(s->unsent); i++)
		if (s->unsent[i] != NULL)
			return s->unsent[i];
	return NULL;
}

static bool goes_alone(const struct request *q)
{
	return q->lost >= LOST_IN_CROWD;
}

static void send_waiting(struct signer_client *s)
{
	struct request *q;
	if (s->ipc == NULL || !s->helloed)
		return;
	while (s->alone == NULL && s->asked < AT_ONCE && (q = first_waiting(s)) != NULL) {
		if (goes_alone(q) && s->asked > 0)
			return; /* when those are answered */
		if (ipc_send(s->ipc, q->frame) != 0)
			return; /* full: `drained` comes here */
		DL_DELETE(s->unsent[q->ticket.rank], q);
		q->sent = true;
		s->asked++;
		s->alone = goes_alone(q) ? q : NULL;
	}
}

/* A log that was cut at a record's end looks like one that was never longer. Numbering goes on above both sides, so nothing stops;
 * but the numbers between are no longer known to the signer, and that is somebody's doing. */
static void check_log(struct signer_client *s, uint64_t top)
{
	struct refusal why = {0};
	uint64_t       issued = 0;
	if (s->log_behind || view_signed_above(s->ctl->view, top, &issued) < 0 || issued == 0)
		return;
	s->log_behind = true;
	(void)refuse(&why, E_SIGNER_LOG, "signer", "its log ends at counter %llu, certificates were issued up to %llu", (unsigned long long)top,
		     (unsigned long long)issued);
	log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	struct commit *c = commit_new(s->ctl);
	commit_audit(c, &(struct audit_of){.event = AUDIT_SIGNER_LOG_BEHIND, .actor = "controller", .object = "signer"}, "{s:I,s:I}",
		     "log_top", (json_int_t)top, "issued_top", (json_int_t)issued);
	commit_now(c, NULL, NULL);
}

static void on_hello(struct signer_client *s, const struct sg_hello *hello)
{
	s->issuers_expected = hello->issuers;
	s->issuers_seen = 0;
	signer_told_clear(&s->told);
	s->helloed = true;
	log_line(LOG_LEVEL_NOTICE, NULL, "signer %s is connected, %u issuers", hello->version, hello->issuers);
	check_log(s, hello->window_top);
	serials_floor(s->ctl, hello->window_top);
	audit_heads_signer(s->ctl, hello->head_size, hello->head_root);
	send_waiting(s);
}

/* Also of those that are not ours yet: they wait below another root. */
static void note_number(struct signer_client *s, const char *issuer_id)
{
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++) {
		const char *name = issuer_role_name((enum issuer_role)role);
		size_t      n = strlen(name);
		unsigned    number = strncmp(issuer_id, name, n) == 0 && issuer_id[n] == '-' ? (unsigned)strtoul(issuer_id + n + 1, NULL, 10) : 0;
		if (number > s->highest[role])
			s->highest[role] = number;
	}
}

unsigned signer_highest(const struct controller *ctl, enum issuer_role role)
{
	return ctl->signer->highest[role];
}

const struct signer_told *signer_authorities(const struct controller *ctl)
{
	return &ctl->signer->told;
}

static void on_issuer(struct signer_client *s, const struct sg_issuer *issuer)
{
	struct catalog_issuer *i = catalog_issuer(s->ctl->catalog, issuer->issuer_id);
	s->issuers_seen++;
	note_number(s, issuer->issuer_id);
	signer_told_take(&s->told, issuer);
	if (i != NULL)
		i->offline = issuer->offline;
	crls_told(s->ctl, issuer->issuer_id, issuer->list);
}

static void answer(struct signer_client *s, uint64_t id, const struct signed_answer *a)
{
	struct request *q = NULL;
	HASH_FIND(hh, s->requests, &id, sizeof(id), q);
	if (q == NULL)
		return; /* answered before the connection was lost */
	struct ticket ticket = q->ticket;
	metrics_signed(s->ctl, a->code == 0, clock_monotonic_us() - q->asked_us);
	request_free(s, q);
	on_signed[ticket.kind](s->ctl, &ticket, a);
	send_waiting(s);
}

/* A request that ends the signer whenever it comes would be the end of all others, too. Whoever asked hears that it will not be answered. */
static void give_up(struct signer_client *s, struct request *q)
{
	struct ticket ticket = q->ticket;
	char          text[ERR_CODE_SIZE];
	log_line(LOG_LEVEL_ERROR, NULL, "%s the signer has ended %u times while it had nothing but request %llu in hand: that one is not sent again",
		 err_code(E_ORDER_POISON, text), (unsigned)q->lost_alone, (unsigned long long)q->id);
	request_free(s, q);
	on_signed[ticket.kind](s->ctl, &ticket, &(struct signed_answer){E_ORDER_POISON, "the signer has ended several times while it had this request in hand", {NULL, 0}});
}

static void on_closed(void *ctx, int code)
{
	struct signer_client *s = ctx;
	char                  text[ERR_CODE_SIZE];
	log_line(LOG_LEVEL_WARNING, NULL, "the signer's connection ended: %s", err_code(code, text));
	ipc_free(s->ipc);
	s->ipc = NULL;
	s->helloed = false;
	struct request *q, *tmp, *culprit = s->alone;
	memset(s->unsent, 0, sizeof(s->unsent));
	s->asked = 0;
	s->alone = NULL;
	HASH_ITER (hh, s->requests, q, tmp) {
		q->lost += q->sent;
		q->sent = false;
		DL_APPEND(s->unsent[q->ticket.rank], q);
	}
	if (culprit != NULL && ++culprit->lost_alone >= LOST_ALONE)
		give_up(s, culprit);
}

static void on_frame(void *ctx, struct span bytes)
{
	struct signer_client *s = ctx;
	struct wire_frame    *in = &s->in;
	int                   r = wire_decode(&wire_signer, bytes, 0, in);
	if (r < 0) {
		on_closed(s, r); /* what was asked is asked again on a new connection */
		return;
	}
	switch (in->type) {
	case SG_HELLO:
		on_hello(s, &in->u.sg_hello);
		break;
	case SG_ISSUER:
		on_issuer(s, &in->u.sg_issuer);
		break;
	case SG_ISSUED:
		answer(s, in->id,
		       &(struct signed_answer){in->u.sg_issued.code, in->u.sg_issued.text, in->u.sg_issued.certificate});
		break;
	case SG_CRL_DONE:
		answer(s, in->id,
		       &(struct signed_answer){in->u.sg_crl_done.code, in->u.sg_crl_done.text, in->u.sg_crl_done.crl});
		break;
	case SG_HEAD_DONE: {
		const struct sg_head_done *d = &in->u.sg_head_done;
		answer(s, in->id, &(struct signed_answer){d->code, d->code != 0 ? d->text : d->issuer_id, d->signature});
		break;
	}
	case SG_SUCCESSOR_DONE: {
		const struct sg_successor_done *d = &in->u.sg_successor_done;
		answer(s, in->id, &(struct signed_answer){d->code, d->text, d->certificate});
		break;
	}
	case SG_CLOSE_DONE:
		answer(s, in->id, &(struct signed_answer){in->u.sg_close_done.code, in->u.sg_close_done.text, {NULL, 0}});
		break;
	case SG_BUNDLE:
		bundles_told(s->ctl, in->u.sg_bundle.frame);
		break;
	default:
		break;
	}
}

static void on_drained(void *ctx)
{
	send_waiting(ctx);
}

void signer_tick(struct controller *ctl)
{
	struct signer_client *s = ctl->signer;
	if (s->ipc != NULL)
		return;
	static const struct ipc_events events = {on_frame, on_closed, on_drained};
	int                            fd = -1;
	if (ipc_connect(ctl->conf->signer_socket, &fd, NULL) < 0)
		return;
	if (ipc_open(ctl->loop, fd, SIGNER_OUT_MAX, &events, s, &s->ipc) < 0)
		s->ipc = NULL;
}

uint64_t signer_crl_id(struct controller *ctl)
{
	return ctl->signer->crl_ids++;
}

void signer_ask(struct controller *ctl, uint64_t id, struct span frame, const struct ticket *ticket)
{
	struct signer_client *s = ctl->signer;
	struct request       *q = NULL;
	HASH_FIND(hh, s->requests, &id, sizeof(id), q);
	if (q != NULL)
		return;
	q = calloc(1, sizeof(*q));
	uint8_t *copy = malloc(frame.n);
	if (q == NULL || copy == NULL)
		abort();
	memcpy(copy, frame.p, frame.n);
	q->id = id;
	q->asked_us = clock_monotonic_us();
	q->ticket = *ticket;
	q->frame = (struct span){copy, frame.n};
	HASH_ADD(hh, s->requests, id, sizeof(q->id), q);
	DL_APPEND(s->unsent[q->ticket.rank], q);
	send_waiting(s);
}
