/* controller.c - room controller/daemon: puts the parts together, loads what is open, takes them apart again.
 * Never: deciding anything. */
#include "controller/daemon/controller.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/catalog.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/crl_news.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/gateway_certs.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/scheduler.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/signer_client.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { WORKER_VIEWS = 3, BUNDLE_MAX = 32768, AUTHORITIES_MAX = CATALOG_ISSUERS_MAX * CERT_DER_MAX };

struct id controller_id(int64_t now)
{
	uint8_t random[ID_RANDOM];
	random_bytes(random, sizeof(random));
	return id_make(now, random);
}

/* ---- before the jail ------------------------------------------------------------------------------------------- */

/* The gateways' user; it may be missing where everything runs as one user. */
static uid_t gateway_uid(const struct controller_conf *conf)
{
	const struct passwd *user = conf->gateway_user[0] != '\0' ? getpwnam(conf->gateway_user) : NULL;
	return user != NULL ? user->pw_uid : (uid_t)-1;
}

static void on_store_wake(uv_async_t *async)
{
	struct controller *ctl = async->data;
	if (ctl->store != NULL)
		commits_poll(ctl->commits);
}

static int open_parts(struct controller *ctl)
{
	int r = commits_open(ctl, &ctl->commits);
	if (r == 0)
		r = serials_open(ctl, &ctl->serials);
	if (r == 0)
		r = signer_open(ctl, &ctl->signer);
	if (r == 0)
		r = orders_open(ctl, &ctl->orders);
	if (r == 0)
		r = gateway_certs_open(&ctl->gateway_certs);
	if (r == 0)
		r = crls_open(ctl, &ctl->crls);
	if (r == 0)
		r = crl_news_open(ctl, &ctl->crl_news);
	if (r == 0)
		r = fleet_open(ctl, &ctl->fleet);
	if (r == 0)
		r = scheduler_open(ctl, &ctl->scheduler);
	return r;
}

int controller_make(const struct controller_conf *conf, uv_loop_t *loop, struct controller **ret, struct refusal *why)
{
	struct controller *ctl = calloc(1, sizeof(*ctl));
	if (ctl == NULL)
		return refuse(why, E_NOMEM, "controller", "no memory");
	ctl->conf = conf;
	ctl->loop = loop;
	ctl->started_at = clock_now();
	ctl->epoch = controller_id(ctl->started_at);
	random_bytes(ctl->challenge_secret, sizeof(ctl->challenge_secret));
	ctl->bundle = (struct buf)BUF_MAX(BUNDLE_MAX);
	const char *cursor = conf->domain;
	(void)text_item(&cursor, ctl->domain, sizeof(ctl->domain));
	if (uv_async_init(loop, &ctl->store_wake, on_store_wake) < 0) {
		free(ctl);
		return refuse(why, E_SYS_IO, "controller", "the loop cannot be woken");
	}
	ctl->store_wake.data = ctl;
	int r = open_parts(ctl);
	if (r < 0)
		r = refuse(why, r, "controller", "a part of it cannot be set up");
	if (r == 0)
		r = gateways_open(ctl, gateway_uid(conf), &ctl->gateways, why);
	*ret = ctl; /* the caller frees it, also half built: controller_stop, loop, controller_free */
	return r;
}

/* ---- inside the jail ------------------------------------------------------------------------------------------- */

static void wake_loop(void *ctx)
{
	struct controller *ctl = ctx;
	(void)uv_async_send(&ctl->store_wake);
}

static int open_store(struct controller *ctl, struct refusal *why)
{
	char path[CONF_PATH_SIZE + 16];
	(void)snprintf(path, sizeof(path), "%s/vcc.db", ctl->conf->state_dir);
	struct store_options options = {.path = path, .hash = digest_sha256_two, .wake = wake_loop, .wake_ctx = ctl};
	int                  r = store_sqlite_open(&options, &ctl->store, why);
	if (r < 0)
		return r;
	r = store_view_open(ctl->store, &ctl->view);
	if (r == 0)
		r = rows_open(ctl->view, &ctl->rows);
	if (r == 0)
		r = workers_open(ctl->loop, ctl->store, WORKER_VIEWS, &ctl->workers);
	return r < 0 ? refuse(why, r, path, "the store cannot be read") : 0;
}

/* The bundle frame as `vccctl init` made it; it is handed on unchanged. */
static int load_bundle(struct controller *ctl, struct refusal *why)
{
	struct body_bundle body;
	int                r = view_setting(ctl->view, "bundle", &ctl->bundle);
	if (r == 0)
		r = wire_decode(&wire_agent, buf_span(&ctl->bundle), 0, &ctl->agent_frame);
	if (r == 0 && ctl->agent_frame.type != MSG_BUNDLE)
		r = E_WIRE_MESSAGE;
	if (r == 0)
		r = wire_body_decode(&wire_body_bundle, ctl->agent_frame.u.bundle.body, &body);
	if (r < 0)
		return refuse(why, r, "bundle", "the store holds no trust bundle; run `vccctl init` first");
	ctl->bundle_epoch = body.epoch;
	return 0;
}

static int load(struct controller *ctl, struct refusal *why)
{
	int r = catalog_open(ctl->view, ctl->conf->public_url, &ctl->catalog, why);
	if (r == 0)
		r = load_bundle(ctl, why);
	if (r < 0)
		return r;
	const struct catalog_issuer *root = catalog_issuer_of_role(ctl->catalog, ISSUER_ROOT);
	digest_sha256((struct span){root->row.der, root->row.der_len}, &ctl->pin);
	r = view_outbox_top(ctl->view, &ctl->message_id);
	if (r == 0)
		r = identities_open(ctl, &ctl->identities, why);
	if (r == 0)
		r = crls_load(ctl);
	if (r == 0)
		r = orders_load(ctl);
	return r < 0 ? refuse(why, r, "store", "what is open cannot be loaded") : 0;
}

int controller_start(struct controller *ctl, struct refusal *why)
{
	int r = open_store(ctl, why);
	if (r == 0)
		r = load(ctl, why);
	if (r < 0)
		return r;
	struct commit *c = commit_new(ctl);
	commit_audit(c, &(struct audit_of){.event = AUDIT_CONTROLLER_STARTED, .actor = "controller"}, "{s:s}", "version",
		     VCC_VERSION);
	commit_now(c, NULL, NULL);
	struct span chain, key;
	if (ctl->admin_tls_changed != NULL && controller_admin_tls(ctl, &chain, &key))
		ctl->admin_tls_changed(ctl->admin_tls_ctx);
	scheduler_start(ctl);
	log_line(LOG_LEVEL_NOTICE, NULL, "started: %u open orders", orders_count(ctl));
	return 0;
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

void controller_stop(struct controller *ctl)
{
	if (ctl->stopping)
		return;
	ctl->stopping = true;
	if (ctl->gateways != NULL)
		gateways_close(ctl->gateways);
	signer_hang_up(ctl->signer);
	fleet_close(ctl->fleet);
	crl_news_close(ctl->crl_news);
	scheduler_close(ctl->scheduler);
	serials_stop(ctl);
	uv_unref((uv_handle_t *)&ctl->store_wake);
}

void controller_free(struct controller *ctl)
{
	if (ctl == NULL)
		return;
	workers_free(ctl->workers);
	store_view_close(ctl->view);
	store_close(ctl->store); /* delivers what is left */
	ctl->store = NULL;
	uv_close((uv_handle_t *)&ctl->store_wake, NULL);
	(void)uv_run(ctl->loop, UV_RUN_DEFAULT);
	identities_free(ctl->identities);
	gateway_certs_free(ctl->gateway_certs);
	fleet_free(ctl->fleet);
	gateways_free(ctl->gateways);
	orders_free(ctl->orders);
	crls_free(ctl->crls);
	crl_news_free(ctl->crl_news);
	signer_free(ctl->signer);
	serials_free(ctl->serials);
	scheduler_free(ctl->scheduler);
	catalog_free(ctl->catalog);
	commits_free(ctl->commits);
	rows_free(ctl->rows);
	buf_free(&ctl->bundle);
	buf_free(&ctl->authorities);
	free(ctl);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

struct store_view *controller_view(struct controller *ctl)
{
	return ctl->view;
}

const struct controller_conf *controller_conf_of(const struct controller *ctl)
{
	return ctl->conf;
}

uv_loop_t *controller_loop(struct controller *ctl)
{
	return ctl->loop;
}

struct workers *controller_workers(struct controller *ctl)
{
	return ctl->workers;
}

const char *controller_domain(const struct controller *ctl)
{
	return ctl->domain;
}

const char *controller_organisation(const struct controller *ctl)
{
	return ctl->conf->organisation;
}

const char *controller_public_url(const struct controller *ctl)
{
	return ctl->conf->public_url;
}

bool controller_connected(const struct controller *ctl, const char *agent)
{
	return fleet_connected(ctl, agent);
}

const struct msg_health *controller_health(const struct controller *ctl, const char *agent)
{
	return fleet_health(ctl, agent);
}

int64_t controller_seen_at(const struct controller *ctl, const char *agent)
{
	return fleet_seen_at(ctl, agent);
}

void controller_state(struct controller *ctl, struct controller_state *ret)
{
	int64_t now = clock_now();
	*ret = (struct controller_state){
		.signer = signer_ready(ctl),
		.signer_log_behind = signer_log_behind(ctl),
		.store = commit_healthy(ctl),
		.crl_fresh = crls_fresh(ctl, now),
		.admin_tls = identities_admin_ready(ctl, now),
		.gateways = gateways_count(ctl),
		.connected = fleet_count(ctl),
		.open_orders = orders_count(ctl),
		.started_at = ctl->started_at,
		.now_at = now,
	};
}

bool controller_crl(struct controller *ctl, const char *issuer_id, uint32_t shard, struct span *ret_der)
{
	return crls_find(ctl, issuer_id, shard, ret_der);
}

struct span controller_crl_all(struct controller *ctl)
{
	return crls_all(ctl);
}

bool controller_crl_edition(struct controller *ctl, struct hash hash, struct span *ret_pem)
{
	return crl_news_find(ctl, hash, ret_pem);
}

bool controller_crl_is_current(const struct controller *ctl, struct hash hash)
{
	return crl_news_is_current(ctl, hash);
}

/* Issuers are read at start and stay. */
static int authorities_make(struct controller *ctl)
{
	ctl->authorities = (struct buf)BUF_MAX(AUTHORITIES_MAX);
	for (size_t i = 0; catalog_issuer_at(ctl->catalog, i) != NULL; i++) {
		const struct issuer *row = &catalog_issuer_at(ctl->catalog, i)->row;
		int                  r = row->role != ISSUER_ROOT ? cert_pem_add((struct span){row->der, row->der_len}, &ctl->authorities) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

struct span controller_ca_all(struct controller *ctl)
{
	if (ctl->authorities.n == 0 && authorities_make(ctl) < 0)
		buf_reset(&ctl->authorities);
	return buf_span(&ctl->authorities);
}

bool controller_ca(struct controller *ctl, const char *issuer_id, struct span *ret_der)
{
	const struct catalog_issuer *i = catalog_issuer(ctl->catalog, issuer_id);
	if (i == NULL)
		return false;
	*ret_der = (struct span){i->row.der, i->row.der_len};
	return true;
}

void controller_on_admin_tls(struct controller *ctl, tls_changed_fn *changed, void *ctx)
{
	ctl->admin_tls_changed = changed;
	ctl->admin_tls_ctx = ctx;
}

bool controller_admin_tls(struct controller *ctl, struct span *ret_chain_pem, struct span *ret_key_pem)
{
	return ctl->identities != NULL && identities_admin(ctl, ret_chain_pem, ret_key_pem);
}
