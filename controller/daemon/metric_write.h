/* metric_write.h - room controller/daemon: the whole text of /metrics, from what was counted, gathered and seen.
 * Never: reading any of it. */
#ifndef VCC_METRIC_WRITE_H
#define VCC_METRIC_WRITE_H

#include "controller/daemon/figures.h"
#include "controller/daemon/metric_text.h"
#include "controller/daemon/ocsp_serve.h"
#include "shared/model/delivery.h"
#include "shared/sys/self_stat.h"

enum { METRIC_CAS_MAX = 32, METRIC_CHECKS = 4, METRIC_TURNS = 5, METRICS_TEXT_MAX = 32 << 20 };

struct metric_ca {
	char             issuer_id[ISSUER_ID_SIZE];
	enum issuer_role role;
	int64_t          not_after_at; /* 0 = it signs nothing any more and nobody trusts it as a root */
	bool             listed;       /* it has lists, the one that ends first: */
	int64_t          this_update_at, next_update_at;
	uint64_t         entries; /* of all of them */
};

/* What the loop knows at this moment. */
struct metric_live {
	int64_t             now, started_at;
	bool                ready[METRIC_CHECKS]; /* store, signer, crl, gateway */
	uint32_t            connected, gateways, open_orders;
	uint64_t            signer_queue;
	uint64_t            turns_over[METRIC_TURNS];
	int                 turn_limit_ms[METRIC_TURNS];
	int64_t             longest_turn_us;
	struct ocsp_figures ocsp;
	struct metric_ca    ca[METRIC_CAS_MAX];
	size_t              n_cas;
	struct self_figures self;
	int64_t             silent_ms;
	size_t              n_channels;
	struct metric_channel {
		char     name[CHANNEL_NAME_SIZE];
		uint64_t sent, failed, dead;
	} channel[CHANNELS_MAX];
	bool    conf_well;
	int64_t conf_at;
};

/* Adds the text; buf_error() of `to` tells whether it is whole. */
void metrics_write(struct buf *to, enum metric_format format, const struct figures *f, const struct metric_counts *c,
		   const struct metric_live *l);

#endif
