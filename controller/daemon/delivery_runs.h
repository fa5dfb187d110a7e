/* delivery_runs.h - room controller/daemon: what each channel does in this run: its courier, its pace, its counts; and how they
 * pass over to channels that were read anew. Never: deciding what is sent. */
#ifndef VCC_DELIVERY_RUNS_H
#define VCC_DELIVERY_RUNS_H

#include "controller/daemon/courier.h"
#include "controller/daemon/deliveries.h"

struct run {
	struct controller    *ctl;
	struct courier       *courier;
	struct delivery_pace  pace;
	bool                  busy;                           /* something is stored, sent, or both */
	bool                  gone;                           /* no channel has it: what is being sent is its last */
	int64_t               refresh_at;                     /* Alertmanager is told again of all that is open */
	char                  refresh_after[NOTICE_KEY_SIZE]; /* it has been told up to here; "" = of all of it */
	struct channel_state  state;
	deliveries_tested_fn *tested; /* a test waits, or runs */
	void                 *tested_ctx;
};

/* Those of channels that are no more are used again by new ones, as soon as they rest. */
enum { RUNS_MAX = 2 * CHANNELS_MAX };

struct deliveries {
	struct channels *channels;
	bool             scanning, burying, sweep;
	bool             again; /* asked for while a scan is under way, which may have passed it already */
	int              code; /* of the last scan */
	uint64_t         sweep_before;
	struct run       run[RUNS_MAX];    /* without a courier: never used */
	struct run      *of[CHANNELS_MAX]; /* of each channel */
};

/* Looks for what waits for channels that are no more, from the beginning. */
void deliveries_sweep(struct deliveries *all);

#endif
