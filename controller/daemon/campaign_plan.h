/* campaign_plan.h - room controller/daemon: which certificates a campaign means, in which order, and the hash of exactly that.
 * Made on a worker, shown or applied on the loop. Never: changing anything. */
#ifndef VCC_CAMPAIGN_PLAN_H
#define VCC_CAMPAIGN_PLAN_H

#include "controller/core/rights.h"
#include "controller/core/selector.h"
#include "controller/core/waves.h"
#include "controller/daemon/controller.h"
#include "controller/daemon/plan_outlook.h"
#include "shared/model/campaign.h"

/* What somebody asks for. */
struct campaign_request {
	enum campaign_kind kind;
	enum trigger       trigger;
	struct selector    selector;
	char (*ids)[CERT_ID_SIZE]; /* SELECT_IDS, owned */
	size_t           n_ids;
	bool             as_planned; /* only what was planned so: */
	struct hash      plan_hash;
	struct principal by; /* its limit to services narrows the selection */
	/* emergency */
	char               incident_id[INCIDENT_SIZE];
	char               reason[REASON_SIZE];
	enum incident_type incident;
	bool               fresh_keys;
	enum revoke_old    revoke_old;
	int64_t            revoke_after_ms;
	int64_t            invalidity_at; /* 0 = not said */
	/* waves */
	struct wave_spec waves[WAVES_MAX - 1]; /* what none of them takes is one more */
	size_t           n_waves;
	bool             canary;     /* the first of them is one */
	int64_t          halt_share; /* per mille; -1 = as the settings say */
	uint32_t         halt_count;
	bool             rollback_on_halt;
	bool             peer_proof; /* relying parties look, too */
	char             gives_way[ISSUER_ID_SIZE]; /* CAMPAIGN_CA: the CA that signed what is selected; two persons agreed to that */
};

struct planned {
	char              cert_id[CERT_ID_SIZE];
	char              service[SERVICE_SIZE];
	char              agent[AGENT_NAME_SIZE];
	char              template_id[TEMPLATE_ID_SIZE];
	uint32_t          stage, rank;
	uint32_t          fits, wave, turn; /* campaign_waves.h */
	uint32_t          targets;
	enum member_state state; /* WAITING, FAILED or SKIPPED */
	int               code;
	bool              signs_code;
};

struct campaign_plan {
	struct campaign_request request;
	char                    domain[DNS_NAME_SIZE];
	const char             *priority; /* bulk.priority */
	int64_t                 share;    /* limits.approval_share */
	int64_t                 now;
	/* found */
	struct planned *rows;
	size_t          n, cap;
	uint32_t        by_state[MEMBER_STATE_COUNT];
	uint32_t        stages;
	bool            signs_code;
	uint64_t        certificates; /* of the whole installation */
	uint32_t        limit;        /* more than this needs a second person */
	struct hash     content_hash; /* of what it says */
	struct hash     hash;         /* of that, and of the campaign that the same became before */
	struct id       before;       /* that one; none = there was none */
	bool            before_runs;  /* and it is not over */
	char            services[CAMPAIGN_TEXT_SIZE]; /* as in struct campaign */
	char            waves[WAVES_TEXT_SIZE];       /* likewise */
	struct plan_outlook outlook;
	int             code;                         /* 0, or why there is no plan: */
	struct refusal  why;
};

/* On a worker. */
void campaign_plan_make(struct campaign_plan *p, struct store_view *view);
void campaign_plan_free(struct campaign_plan *p);

/* Without batches. */
bool campaign_plan_all_at_once(const struct campaign_request *q);

/* "service clara", "everything", "3 certificates": for people. */
void campaign_plan_selector(const struct campaign_request *q, char ret[CAMPAIGN_TEXT_SIZE]);

#endif
