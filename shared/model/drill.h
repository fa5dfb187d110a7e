/* drill.h - room shared/model: a drill, the rehearsal of an emergency: a campaign whose certificates are tested on their hosts
 * and never used, and the report that stays of it. Plain values. Never: functions with state. */
#ifndef VCC_DRILL_H
#define VCC_DRILL_H

#include "shared/model/campaign.h"

enum {
	DRILL_REPORT_MAX = 96 << 20,
	DRILL_DETAIL_MAX = 20000, /* of so many certificates a report tells every step */
};

struct drill {
	struct id           campaign_id;
	char                selector[CAMPAIGN_TEXT_SIZE]; /* these as in struct campaign */
	char                services[CAMPAIGN_TEXT_SIZE];
	char                actor[ACTOR_SIZE];
	char                reason[REASON_SIZE];
	enum campaign_state state;
	char                cause[CAUSE_SIZE];
	uint32_t            total, tested, failed, skipped;
	uint32_t            not_reached; /* of the failed: certificates whose host was away, or did not come to the end */
	int64_t             created_at;
	int64_t             ended_at;    /* 0 = not yet */
	int64_t             reported_at; /* 0 = not yet */
	struct hash         report_hash; /* SHA-256 of the report's bytes */
	uint64_t            report_size;
};

#endif
