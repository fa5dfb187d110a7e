/* rollover_left.h - room controller/daemon: what still hangs on an authority that gives way: counted on a worker, judged on the
 * loop, which knows who is here. Never: changing anything. */
#ifndef VCC_ROLLOVER_LEFT_H
#define VCC_ROLLOVER_LEFT_H

#include <jansson.h>

#include "controller/core/rollover_flow.h"
#include "controller/daemon/controller.h"
#include "controller/daemon/rollover_trust.h"
#include "shared/model/campaign.h"

/* Why it is still there. */
enum left_kind {
	LEFT_REISSUABLE, /* its host gets a new one, when it is asked to */
	LEFT_SUSPENDED,  /* a person put it on hold */
	LEFT_EXTERNAL,   /* its key came by a request: only who holds it can bring the next */
	LEFT_SIGNING,    /* it signs code: what it signed is to stay good, so it lives to its end */
	LEFT_ENDING,     /* replaced, retired: nobody serves it, it is not revoked yet */
	LEFT_AGENT,      /* the identity of a host: renewed by its link at half of its life */
	LEFT_GATEWAY,
	LEFT_KIND_COUNT,
};
const char *left_kind_name(enum left_kind k);

enum { LEFT_ROWS_MAX = 200 };

struct left_row {
	enum left_kind kind;
	char           id[CERT_ID_SIZE]; /* cert_id, agent, gateway */
	char           agent[AGENT_NAME_SIZE];
	char           service[SERVICE_SIZE];
	int64_t        ends_at;
};

struct left_agent {
	char    name[AGENT_NAME_SIZE];
	int64_t seen_at; /* as stored */
};

struct rollover_left {
	char               issuer_id[ISSUER_ID_SIZE];
	int64_t            counted_at, took_ms;
	int                code; /* 0, or why it could not be counted */
	uint32_t           n_of[LEFT_KIND_COUNT];
	struct left_row    rows[LEFT_ROWS_MAX]; /* the first of those that somebody has to look at */
	size_t             n_rows;
	struct left_agent *agents; /* owned; each once: hosts that use something of it */
	size_t             n_agents, cap_agents;
	char (*ids)[CERT_ID_SIZE]; /* owned; LEFT_REISSUABLE */
	size_t n_ids, cap_ids;
	struct rollover_trust trust; /* of a root */
};

/* On a worker. issuer_id and trust.epoch are set; of a root all that stands below it is counted. */
void rollover_left_count(struct rollover_left *l, struct store_view *view, int64_t now);
void rollover_left_free(struct rollover_left *l); /* what it owns; it is empty then */

/* Of its agents, how many were here within 30 days, and how many of those are here now. */
void rollover_left_agents(struct controller *ctl, const struct rollover_left *l, int64_t now, uint32_t *ret_seen,
			  uint32_t *ret_here);

/* {counted_at, reissuable, ..., agents, agents_away, agents_unseen} and the rows. */
json_t *rollover_left_json(struct controller *ctl, const struct rollover_left *l, int64_t now);
json_t *rollover_left_rows(struct controller *ctl, const struct rollover_left *l);

#endif
