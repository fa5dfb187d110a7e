/* figures.h - room controller/daemon: figures of the whole installation, read from the store on a worker: how many of what are
 * in which state, and, up to a limit, what is to be said of each. Never: the loop's memory, text. */
#ifndef VCC_FIGURES_H
#define VCC_FIGURES_H

#include <stdatomic.h>

#include "controller/daemon/metric_counts.h"
#include "controller/store/store.h"

enum { FIGURES_SERVICES_MAX = METRIC_SERVICES_MAX + 2 /* none, _other */, FIGURES_WITHIN = 5, FIGURES_LIMIT_MAX = 5000 };

/* 2, 7, 30, 60, 90 days. */
int figures_within_days(size_t i);

enum figure_target { FIGURE_LIVE, FIGURE_STALE, FIGURE_UNPROVED, FIGURE_UNANSWERED, FIGURE_TARGET_COUNT };
const char *figure_target_name(enum figure_target t);

struct figure_service {
	char     name[SERVICE_SIZE];
	uint64_t certificates[PURPOSE_COUNT][CERT_STATUS_COUNT];
	uint64_t expiring[FIGURES_WITHIN], urgent, overdue;
	uint64_t targets[FIGURE_TARGET_COUNT], unissued; /* of the last two: nothing was issued yet */
	uint64_t unrehearsed;
};

struct figure_certificate {
	char             cert_id[CERT_ID_SIZE], template_id[TEMPLATE_ID_SIZE], agent[AGENT_NAME_SIZE];
	uint16_t         service; /* which of `service` */
	enum cert_status status;
	int64_t          not_before_at, not_after_at; /* 0 = nothing was issued yet */
	int64_t          renew_at;                    /* TIME_NEVER = nobody renews it by itself */
	struct serial    serial;
};

/* What its issuance says of a certificate; read again only where another certificate stands in its place than before. */
struct figure_issued {
	struct serial serial;
	char          issuer_id[ISSUER_ID_SIZE]; /* "" = not known */
	enum key_type key;
};

struct figure_place {
	char               target_id[TARGET_ID_SIZE], cert_id[CERT_ID_SIZE], agent[AGENT_NAME_SIZE];
	uint16_t           service;
	enum figure_target state;
	int64_t            stale_since_at, rehearsed_at;
	struct serial      served;
	int64_t            served_not_after_at; /* of what was proved served last; 0 = not known */
	bool               unrehearsed;
};

struct figure_agent {
	char    name[AGENT_NAME_SIZE], service[SERVICE_SIZE], version[24];
	int64_t seen_at;
	int64_t identity_not_after_at, skew_ms;
};

/* Grows up to the limit of detail; one more, and there is none of it. */
struct figure_list {
	void  *row;
	size_t n, cap;
};

/* A host that was connected in this run, as the loop knows it. */
struct figure_seen {
	char    name[AGENT_NAME_SIZE];
	bool    here;
	int64_t left_at; /* where it is not */
};

struct figures {
	int64_t               at; /* when they were read; 0 = not yet */
	int64_t               took_ms;
	struct figure_service service[FIGURES_SERVICES_MAX];
	size_t                n_services; /* the last two are `none` and `_other` */
	bool                  used[2];    /* is anything of these two? */
	bool                  detail;
	struct figure_list    certificates, places, agents;
	struct figure_issued *issued; /* of each of `certificates` */
	size_t                issued_cap;
	uint64_t              agents_in[AGENT_STATE_COUNT];
	uint64_t              away, silent; /* of the active ones that were here in this run */
	uint64_t              clara_models;
	uint64_t              campaigns[CAMPAIGN_STATE_COUNT], members[MEMBER_STATE_COUNT];
	uint64_t              orders_paused;
	uint64_t              store_bytes, audit_records;
	int64_t               witnessed_at, unwitnessed_ms, backup_at;
	struct metric_day     day; /* orders that ended before this run */
	bool                  day_known;
};

/* What is asked. */
struct figures_ask {
	const char               *state_dir;
	int64_t                   jitter; /* per mille, as policy_limits */
	size_t                    limit;  /* of each list of details */
	int64_t                   now, started_at, silent_ms;
	const struct figure_seen *seen; /* sorted by name: all that are not here, and those that are up to the limit */
	size_t                    n_seen;
	const atomic_bool        *stop; /* ends it early with E_SYS_AGAIN */
};

/* Reads all of it again; what is there of the past stays. 0, E_STORE_*, E_NOMEM, E_METRICS_SLOW: it would take too long. */
_must_check_ int figures_gather(struct figures *f, struct store_view *view, const struct figures_ask *ask);
void             figures_free(struct figures *f);

/* Which of `service` it is. */
size_t figures_service(const struct figures *f, const char *name);

#endif
