/* state.h - room controller/daemon: the controller's parts, for the files of this room, on the loop's thread only.
 * Each part is opaque and owned by its file. Never: use by the HTTP side (controller.h). */
#ifndef VCC_STATE_H
#define VCC_STATE_H

#include "controller/daemon/controller.h"
#include "controller/daemon/loop_watch.h"
#include "controller/daemon/rows.h"
#include "controller/daemon/workers.h"
#include "shared/conf/controller_conf.h"
#include "shared/wire/wire.h"

struct controller {
	const struct controller_conf *_Atomic conf; /* never changed: another one stands here when the file was read again */
	struct conf_reload           *conf_reload;
	uv_loop_t                    *loop;
	uv_async_t                    store_wake;
	struct loop_watch             loop_watch;
	struct store                 *store;
	struct store_view            *view; /* keyed reads on the loop; what one turn reads is of one moment, or of a later one */
	uv_prepare_t                  turn; /* its end */
	struct rows                  *rows;
	struct workers               *workers;
	struct commits               *commits;
	struct catalog               *catalog;
	struct serials               *serials;
	struct signer_client         *signer;
	struct identities            *identities;
	struct orders                *orders;
	struct poison                *poison;
	struct peers                 *peers;
	struct gateways              *gateways;
	struct gateway_certs         *gateway_certs;
	struct fleet                 *fleet;
	struct crls                  *crls;
	struct crl_files             *crl_files;
	struct crl_news              *crl_news;
	struct ocsp                  *ocsp;
	struct ocsp_keys             *ocsp_keys;
	struct buf                    authorities; /* PEM of every issuer below a root */
	struct scheduler             *scheduler;
	struct audit_heads           *audit_heads;
	struct people                *people;
	struct approvals             *approvals;
	struct kept_answers          *kept_answers;
	struct campaigns             *campaigns;
	struct campaigns_recent      *campaigns_recent;
	struct drills                *drills;
	struct deliveries            *deliveries;
	struct digests               *digests;
	struct fleet_silence         *fleet_silence;
	struct rule_book             *rule_book; /* what reports judge by; never changes */
	bool                          exceptions_busy; /* a change of the list of exceptions is being stored */
	struct backups               *backups;
	struct restored              *restored;
	struct pruner                *pruner;
	struct policy_walks          *policy_walks;
	struct rollovers             *rollovers;
	struct bundles               *bundles;
	struct metrics               *metrics;
	bool                          issuers_moved;    /* another authority signs than before: who has to know is told at the next tick */
	int64_t                       rollover_look_at; /* when the authorities' rest is looked at next */
	struct id                     epoch; /* of this run: welcome */
	int64_t                       started_at;
	char                          domain[DNS_NAME_SIZE]; /* the main one: identities */
	uint8_t                       challenge_secret[32]; /* of this run: what returning hosts sign */
	uint8_t                       notice_key[32]; /* of this machine: what links in notifications are signed by */
	uint64_t                      message_id; /* last one given to a message for an agent */
	tls_changed_fn               *admin_tls_changed;
	void                         *admin_tls_ctx;
	struct wire_frame             agent_frame; /* the one being dealt with: large, and they come one by one */
	bool                          stopping;
};

/* There is one more: what is shown of them is made anew. */
void controller_issuers_changed(struct controller *ctl);

/* A random id of now. */
struct id controller_id(int64_t now);

#endif
