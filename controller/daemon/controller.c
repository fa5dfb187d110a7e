/* controller.c - room controller/daemon: puts the parts together, loads what is open, takes them apart again.
 * Never: deciding anything. */
#include "controller/daemon/controller.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/approvals.h"
#include "controller/daemon/conf_reload.h"
#include "controller/daemon/kept_answers.h"
#include "controller/daemon/metrics.h"
#include "controller/daemon/audit_heads.h"
#include "controller/daemon/backup.h"
#include "controller/daemon/campaign_recent.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/daily_digest.h"
#include "controller/daemon/deliveries.h"
#include "controller/daemon/drills.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/compliance_rules.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/crl_files.h"
#include "controller/daemon/bundles.h"
#include "controller/daemon/crl_news.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/fleet_silence.h"
#include "controller/daemon/gateway_certs.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/notice_key.h"
#include "controller/daemon/ocsp_serve.h"
#include "controller/daemon/ocsp_keys.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/people.h"
#include "controller/daemon/peers.h"
#include "controller/daemon/poison.h"
#include "controller/daemon/policy_walk.h"
#include "controller/daemon/pruner.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/rollovers.h"
#include "controller/daemon/scheduler.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/signer_client.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { WORKER_VIEWS = 3, AUTHORITIES_MAX = CATALOG_ISSUERS_MAX * CERT_DER_MAX };

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

static void on_turn_end(uv_prepare_t *prepare)
{
	struct controller *ctl = prepare->data;
	if (ctl->view != NULL)
		view_go_on(ctl->view);
}

static int open_parts(struct controller *ctl)
{
	int r = conf_reload_open(ctl, &ctl->conf_reload);
	if (r == 0)
		r = metrics_open(ctl, &ctl->metrics);
	if (r == 0)
		r = commits_open(ctl, &ctl->commits);
	if (r == 0)
		r = serials_open(ctl, &ctl->serials);
	if (r == 0)
		r = signer_open(ctl, &ctl->signer);
	if (r == 0)
		r = poison_open(ctl, &ctl->poison);
	if (r == 0)
		r = peers_open(&ctl->peers);
	if (r == 0)
		r = orders_open(ctl, &ctl->orders);
	if (r == 0)
		r = gateway_certs_open(&ctl->gateway_certs);
	if (r == 0)
		r = crls_open(ctl, &ctl->crls);
	if (r == 0)
		r = crl_files_open(ctl, &ctl->crl_files);
	if (r == 0)
		r = crl_news_open(ctl, &ctl->crl_news);
	if (r == 0)
		r = bundles_open(ctl, &ctl->bundles);
	if (r == 0)
		r = ocsp_serve_open(ctl, &ctl->ocsp);
	if (r == 0)
		r = fleet_open(ctl, &ctl->fleet);
	if (r == 0)
		r = scheduler_open(ctl, &ctl->scheduler);
	if (r == 0)
		r = audit_heads_open(ctl, &ctl->audit_heads);
	if (r == 0)
		r = people_open(&ctl->people);
	if (r == 0)
		r = approvals_open(&ctl->approvals);
	if (r == 0)
		r = kept_answers_open(&ctl->kept_answers);
	if (r == 0)
		r = campaigns_open(&ctl->campaigns);
	if (r == 0)
		r = campaigns_recent_open(&ctl->campaigns_recent);
	if (r == 0)
		r = drills_open(&ctl->drills);
	if (r == 0)
		r = digests_open(&ctl->digests);
	if (r == 0)
		r = fleet_silence_open(&ctl->fleet_silence);
	if (r == 0)
		r = backups_open(ctl, &ctl->backups);
	if (r == 0)
		r = restored_open(&ctl->restored);
	if (r == 0)
		r = pruner_open(&ctl->pruner);
	if (r == 0)
		r = policy_walks_open(&ctl->policy_walks);
	if (r == 0)
		r = rollovers_open(&ctl->rollovers);
	return r;
}

/* A folder that is away is no reason to renew nothing: the shipped rules judge meanwhile. A file that is there and wrong is one to look first. */
static int open_rules(struct controller *ctl, struct refusal *why)
{
	struct refusal folder = {0};
	if (rule_book_folder_check(ctl->conf->rules_dir, &folder) < 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &folder);
	return rule_book_load(ctl->conf->rules_dir, &ctl->rule_book, why);
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
	const char *cursor = conf->domain;
	(void)text_item(&cursor, ctl->domain, sizeof(ctl->domain));
	if (uv_async_init(loop, &ctl->store_wake, on_store_wake) < 0) {
		free(ctl);
		return refuse(why, E_SYS_IO, "controller", "the loop cannot be woken");
	}
	ctl->store_wake.data = ctl;
	(void)uv_prepare_init(loop, &ctl->turn); /* neither can fail */
	(void)uv_prepare_start(&ctl->turn, on_turn_end);
	uv_unref((uv_handle_t *)&ctl->turn);
	ctl->turn.data = ctl;
	int r = open_parts(ctl);
	if (r == 0)
		r = loop_watch_start(&ctl->loop_watch, loop);
	if (r < 0)
		r = refuse(why, r, "controller", "a part of it cannot be set up");
	if (r == 0)
		r = deliveries_open(ctl, &ctl->deliveries, why);
	if (r == 0)
		r = gateways_open(ctl, gateway_uid(conf), &ctl->gateways, why);
	if (r == 0)
		r = open_rules(ctl, why);
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
		view_hold(ctl->view);
	if (r == 0)
		r = rows_open(ctl->view, &ctl->rows);
	if (r == 0)
		r = workers_open(ctl->loop, ctl->store, ctl->view, WORKER_VIEWS, &ctl->workers);
	return r < 0 ? refuse(why, r, path, "the store cannot be read") : 0;
}

static int load(struct controller *ctl, struct refusal *why)
{
	int r = catalog_open(ctl->view, ctl->conf->public_url, &ctl->catalog, why);
	if (r == 0)
		r = bundles_load(ctl, why);
	if (r < 0)
		return r;
	r = view_outbox_top(ctl->view, &ctl->message_id);
	if (r == 0)
		r = identities_open(ctl, &ctl->identities, why);
	if (r == 0)
		r = notice_key_open(ctl->conf->state_dir, ctl->notice_key, why);
	if (r == 0)
		r = ocsp_keys_open(ctl, &ctl->ocsp_keys, why);
	if (r == 0)
		r = crls_load(ctl);
	if (r == 0)
		r = audit_heads_load(ctl);
	if (r == 0)
		r = restored_load(ctl);
	if (r == 0)
		r = pruner_load(ctl);
	if (r == 0)
		r = orders_load(ctl);
	if (r == 0)
		r = campaigns_load(ctl);
	if (r == 0)
		orders_rest(ctl);
	if (r == 0)
		r = campaigns_recent_load(ctl);
	if (r == 0)
		r = policy_walks_load(ctl);
	if (r == 0)
		r = rollovers_load(ctl);
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
	bundles_close(ctl->bundles);
	scheduler_close(ctl->scheduler);
	deliveries_close(ctl->deliveries);
	serials_stop(ctl);
	backups_stop(ctl);
	metrics_stop(ctl);
	uv_unref((uv_handle_t *)&ctl->store_wake);
}

void controller_free(struct controller *ctl)
{
	if (ctl == NULL)
		return;
	workers_free(ctl->workers);
	store_view_close(ctl->view);
	ctl->view = NULL;
	store_close(ctl->store); /* delivers what is left */
	ctl->store = NULL;
	uv_close((uv_handle_t *)&ctl->store_wake, NULL);
	uv_close((uv_handle_t *)&ctl->turn, NULL);
	loop_watch_close(&ctl->loop_watch);
	(void)uv_run(ctl->loop, UV_RUN_DEFAULT);
	identities_free(ctl->identities);
	ocsp_keys_free(ctl->ocsp_keys);
	ocsp_serve_free(ctl->ocsp);
	gateway_certs_free(ctl->gateway_certs);
	fleet_free(ctl->fleet);
	gateways_free(ctl->gateways);
	orders_free(ctl->orders);
	poison_free(ctl->poison);
	peers_free(ctl->peers);
	crls_free(ctl->crls);
	crl_files_free(ctl->crl_files);
	crl_news_free(ctl->crl_news);
	signer_free(ctl->signer);
	serials_free(ctl->serials);
	scheduler_free(ctl->scheduler);
	audit_heads_free(ctl->audit_heads);
	people_free(ctl->people);
	approvals_free(ctl->approvals);
	campaigns_free(ctl->campaigns);
	campaigns_recent_free(ctl->campaigns_recent);
	drills_free(ctl->drills);
	deliveries_free(ctl->deliveries);
	digests_free(ctl->digests);
	fleet_silence_free(ctl->fleet_silence);
	free(ctl->rule_book);
	backups_free(ctl->backups);
	restored_free(ctl->restored);
	pruner_free(ctl->pruner);
	policy_walks_free(ctl->policy_walks);
	rollovers_free(ctl->rollovers);
	catalog_free(ctl->catalog);
	commits_free(ctl->commits);
	kept_answers_free(ctl->kept_answers);
	rows_free(ctl->rows);
	bundles_free(ctl->bundles);
	metrics_free(ctl->metrics);
	conf_reload_free(ctl->conf_reload);
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

const struct rule_book *controller_rule_book(const struct controller *ctl)
{
	return ctl->rule_book;
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

uint64_t controller_trust_epoch(const struct controller *ctl, const char *agent)
{
	return fleet_trust_epoch(ctl, agent);
}

const struct msg_health *controller_health(const struct controller *ctl, const char *agent)
{
	return fleet_health(ctl, agent);
}

int64_t controller_seen_at(const struct controller *ctl, const char *agent)
{
	return fleet_seen_at(ctl, agent);
}

void controller_break_glass(struct controller *ctl, const char *method, const char *path, const struct caller *who)
{
	struct commit  *c = commit_new(ctl);
	struct audit_of of = {.event = AUDIT_BREAK_GLASS, .actor = who->actor, .object = "local socket", .request_id = who->request_id, .reason = who->reason};
	char            shown[256];
	text_cut(shown, sizeof(shown), path);
	commit_audit(c, &of, "{s:s,s:s}", "method", method, "path", shown);
	commit_fault_points(c, "controller.break_glass", "controller.break_glass_stored");
	commit_now(c, NULL, NULL);
}

void controller_state(struct controller *ctl, struct controller_state *ret)
{
	int64_t          now = clock_now();
	struct crl_state late;
	*ret = (struct controller_state){
		.signer = signer_ready(ctl),
		.signer_log_behind = signer_log_behind(ctl),
		.audit_contradicted = audit_heads_contradicted(ctl),
		.restore_waits = restored_holds(ctl),
		.store = commit_healthy(ctl),
		.crl_fresh = crls_fresh(ctl, now),
		.crl_late = crls_worst(ctl, now, &late) >= 500,
		.ocsp = ocsp_keys_ready(ctl->ocsp_keys, now),
		.admin_tls = identities_admin_ready(ctl, now),
		.contact_admin = ctl->conf->contact_admin[0] != '\0',
		.contact_security = ctl->conf->contact_security[0] != '\0',
		.gateways = gateways_count(ctl),
		.connected = fleet_count(ctl),
		.open_orders = orders_count(ctl),
		.started_at = ctl->started_at,
		.now_at = now,
		.loop = &ctl->loop_watch,
	};
}

bool controller_crl(struct controller *ctl, const char *issuer_id, uint32_t shard, struct crl_file *ret_der)
{
	return crls_find(ctl, issuer_id, shard, ret_der);
}

struct crl_file controller_crl_all(struct controller *ctl)
{
	return crls_all_file(ctl);
}

bool controller_crl_edition(struct controller *ctl, struct hash hash, struct span *ret_pem)
{
	return crl_news_find(ctl, hash, ret_pem);
}

bool controller_crl_is_current(const struct controller *ctl, struct hash hash)
{
	return crl_news_is_current(ctl, hash);
}

/* Made at the first need, and again after controller_issuers_changed(). */
static int authorities_make(struct controller *ctl)
{
	ctl->authorities = (struct buf)BUF_MAX(AUTHORITIES_MAX);
	for (size_t i = 0; catalog_issuer_at(ctl->catalog, i) != NULL; i++) {
		const struct catalog_issuer *one = catalog_issuer_at(ctl->catalog, i);
		struct span                  der = {one->row.der, one->row.der_len};
		if (one->row.role == ISSUER_ROOT) /* by it who knows only the root before finds the way to what is below this one */
			der = buf_span(&one->cross);
		int r = der.n > 0 ? cert_pem_add(der, &ctl->authorities) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

void controller_issuers_changed(struct controller *ctl)
{
	buf_reset(&ctl->authorities);
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
