/* delivery_scan.h - room controller/daemon: on a worker: what is due on each channel, picked and made into a message; which
 * notices are to be looked at again. Never: sending, storing. */
#ifndef VCC_DELIVERY_SCAN_H
#define VCC_DELIVERY_SCAN_H

#include "controller/daemon/delivery_text.h"

enum { SCAN_DUE_MAX = 200, SCAN_REMIND_MAX = 20, SCAN_SWEEP_MAX = 100, SCAN_ALERTS_MAX = 100 };

/* What is asked of one channel. */
struct scan_ask {
	const struct channel *ch; /* NULL = nothing: it is busy, or cannot be used */
	struct delivery_pace  pace;
	struct id             id;                             /* of a new message */
	bool                  refresh;                        /* nothing is due: tell Alertmanager what is open, */
	char                  refresh_after[NOTICE_KEY_SIZE]; /* after this key; "" = from the beginning */
};

struct scan_found {
	enum delivery_choice choice;
	bool                 refresh;                       /* there is a message of what is open */
	bool                 refreshed;                     /* what is open was looked for */
	char                 refresh_next[NOTICE_KEY_SIZE]; /* then: where to go on; "" = that was all */
	size_t               n;
	struct delivery      rows[DELIVERY_BATCH];
	struct outbound      out; /* SEND, when `why` has no code */
	bool                 cut; /* not every address found room in it */
	struct refusal       why; /* why there is no message */
};

struct delivery_scan {
	struct controller     *ctl;
	int64_t                now, restored_at;
	struct channels       *channels; /* kept */
	struct message_terms   terms;
	struct scan_ask        ask[CHANNELS_MAX];
	bool                   sweep; /* what lies there for channels that are no more, or from before a restore */
	uint64_t               sweep_before;
	int                    code; /* below 0: not everything could be read; what could is there */
	struct scan_found      found[CHANNELS_MAX];
	size_t                 n_remind, n_sweep;
	struct notice          remind[SCAN_REMIND_MAX];
	struct delivery        swept[SCAN_SWEEP_MAX];
};

/* The worker_run_fn of a struct delivery_scan. After a restore nothing is found to be sent before all that is to be swept was;
 * the next scan begins when what this one swept is stored. */
void delivery_scan_run(void *job, struct store_view *view);

#endif
