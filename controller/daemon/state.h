/* state.h - room controller/daemon: the controller's parts, for the files of this room, on the loop's thread only.
 * Each part is opaque and owned by its file. Never: use by the HTTP side (controller.h). */
#ifndef VCC_STATE_H
#define VCC_STATE_H

#include "controller/daemon/controller.h"
#include "controller/daemon/rows.h"
#include "controller/daemon/workers.h"
#include "shared/conf/controller_conf.h"
#include "shared/wire/wire.h"

struct controller {
	const struct controller_conf *conf;
	uv_loop_t                    *loop;
	uv_async_t                    store_wake;
	struct store                 *store;
	struct store_view            *view; /* keyed reads on the loop */
	struct rows                  *rows;
	struct workers               *workers;
	struct commits               *commits;
	struct catalog               *catalog;
	struct serials               *serials;
	struct signer_client         *signer;
	struct identities            *identities;
	struct orders                *orders;
	struct gateways              *gateways;
	struct gateway_certs         *gateway_certs;
	struct fleet                 *fleet;
	struct crls                  *crls;
	struct crl_news              *crl_news;
	struct buf                    authorities; /* PEM of every issuer below a root */
	struct scheduler             *scheduler;
	struct id                     epoch; /* of this run: welcome */
	int64_t                       started_at;
	char                          domain[DNS_NAME_SIZE]; /* the main one: identities */
	struct buf                    bundle;                /* encoded bundle frame, as init made it */
	uint64_t                      bundle_epoch;
	struct hash                   pin;        /* SHA-256 of the root's certificate */
	uint8_t                       challenge_secret[32]; /* of this run: what returning hosts sign */
	uint64_t                      message_id; /* last one given to a message for an agent */
	tls_changed_fn               *admin_tls_changed;
	void                         *admin_tls_ctx;
	struct wire_frame             agent_frame; /* the one being dealt with: large, and they come one by one */
	bool                          stopping;
};

/* A random id of now. */
struct id controller_id(int64_t now);

#endif
