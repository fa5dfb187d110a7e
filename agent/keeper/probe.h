/* probe.h - room agent/keeper: the probe stream of one target: fresh handshakes with every listener from before the flip until
 * settled. Counts rows of the new and the old certificate, failures, the last old answer (DESIGN 6, step 7).
 * Never: more than the target's handshakes per second; judging what it saw, that is the core's. */
#ifndef VCC_PROBE_H
#define VCC_PROBE_H

#include "agent/core/deploy.h"
#include "agent/keeper/tls_probe.h"

struct probe_plan {
	const char      *listeners; /* comma list */
	const char      *sni;
	enum verify_kind kind; /* one that handshakes prove */
	int64_t          per_second;
	struct hash      fingerprint, old_fingerprint;
	int64_t          expect_ms; /* how long after a reload the service still gave old answers last time; 0 = not known */
	struct span      chain;     /* full chain of the new certificate, DER; copied */
	struct hash      ca_names;  /* trust_names_add() over the authorities that a listener should name to its clients */
};

struct probe;
/* `round` is called (on the loop, not from inside these functions) after every finished handshake. */
typedef void probe_round_fn(void *ctx);
_must_check_ int probe_open(uv_loop_t *loop, struct tls_probes *tls, const struct probe_plan *plan, probe_round_fn *round, void *ctx,
                            struct probe **ret);
void probe_free(struct probe *p); /* NULL allowed */

/* Forgets rows and what was answered; totals stay. Handshakes in flight no longer count. The hunt begins anew. */
void probe_reset(struct probe *p);
/* The reload has been done, well or not: from now on the new certificate is looked for in earnest. */
void probe_reloaded(struct probe *p);
/* Before the flip: has every listener answered or failed at least once since the reset? */
bool probe_complete(const struct probe *p);
void probe_summary(const struct probe *p, struct probe_summary *ret);
int64_t probe_first_new_at(const struct probe *p); /* 0 = not yet */
int64_t probe_old_ms(const struct probe *p);       /* for the next plan's expect_ms */
/* What each listener served last. */
uint32_t probe_listeners(const struct probe *p, uint32_t verify_row, struct receipt_listener ret[MSG_LISTENERS_MAX]);
/* Which authorities all listeners name when they ask for a client's certificate; none when they do not, or not the same. */
struct hash probe_ca_names(const struct probe *p);
/* The last failure or wrong answer in words, or "". */
const char *probe_trouble(const struct probe *p);

#endif
