/* controller_conf.c - room shared/conf: the keys of controller.conf and what they must fulfil together.
 * Never: opening what the keys name. */
#include "shared/conf/controller_conf.h"

#include <stddef.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

#define AT(field) offsetof(struct controller_conf, field), sizeof(((struct controller_conf *)0)->field)

static const char *const emergency_words[] = {"after", "before", NULL};

static const char *const success_words[] = {"digest", "each", "none", NULL};

static const struct conf_key keys[] = {
	{"controller", "state_dir", CONF_PATH, AT(state_dir), 0, 0, "/var/lib/vcc-controller", NULL, "Folder of the database."},
	{"controller", "domain", CONF_LIST, AT(domain), 0, 0, NULL, NULL, "Domains of the installation; the first names identities (spiffe://DOMAIN/...)."},
	{"controller", "public_name", CONF_TEXT, AT(public_name), 0, 0, NULL, NULL, "Name under which hosts and relying parties reach this machine."},
	{"controller", "organisation", CONF_TEXT, AT(organisation), 0, 0, NULL, NULL, "O of every subject, at most 64 characters."},
	{"admin", "listen", CONF_TEXT, AT(admin_listen), 0, 0, "[::]:8444", NULL, "Address of the admin API (HTTPS)."},
	{"admin", "socket", CONF_PATH, AT(admin_socket), 0, 0, "/run/vcc-controller/admin.sock", NULL, "Local socket of the admin API; root and the service user are admin there."},
	{"public", "listen", CONF_TEXT, AT(public_listen), 0, 0, "[::]:80", NULL, "Address of the public listener (plain HTTP: /crl, /ocsp, /ca)."},
	{"public", "url", CONF_TEXT, AT(public_url), 0, 0, NULL, NULL, "URL of the public listener as written into certificates, without final slash."},
	{"gateway", "socket", CONF_PATH, AT(gateway_socket), 0, 0, "/run/vcc-controller/gateway.sock", NULL, "Local socket where gateways connect."},
	{"gateway", "user", CONF_TEXT, AT(gateway_user), 0, 0, "vcc-gateway", NULL, "User whose processes may connect there, beside root and the controller's own; empty = no other."},
	{"gateway", "agent_address", CONF_TEXT, AT(agent_address), 0, 0, NULL, NULL, "HOST:PORT of the agents' port as hosts reach it."},
	{"gateway", "join_address", CONF_TEXT, AT(join_address), 0, 0, NULL, NULL, "HOST:PORT of the join port as hosts reach it."},
	{"signer", "socket", CONF_PATH, AT(signer_socket), 0, 0, "/run/vcc-signer/signer.sock", NULL, "Local socket of vcc-signer."},
	{"contacts", "admin", CONF_TEXT, AT(contact_admin), 0, 0, "", NULL, "Who runs this installation."},
	{"contacts", "security", CONF_TEXT, AT(contact_security), 0, 0, "", NULL, "Who is told about incidents."},
	{"contacts", "approver", CONF_LIST, AT(contact_approver), 0, 0, "", NULL, "Mail addresses of those who are told when a request waits for a second person, beside principals that have an address of their own; where there is neither, contacts.admin is told."},
	{"limits", "allow_short_validity", CONF_BOOL, AT(allow_short_validity), 0, 0, "no", NULL, "Templates may be valid for 5 s and more instead of 60 s: for tests."},
	{"limits", "max_renewals_default", CONF_INT, AT(max_renewals_default), 0, 1000, "5", NULL, "max_renewals of templates that do not say; 0 = unlimited."},
	{"limits", "audit_head_interval", CONF_DURATION, AT(audit_head_ms), 100, MS_MINUTE, "55s", NULL, "A head of the audit trail is signed this long after the last one where there are new rows; after 1,000 rows at once."},
	{"limits", "approval_share", CONF_SHARE, AT(approval_share), 0, 1000, "25%", NULL, "What touches more than this share of all certificates (and more than 20) waits for a second person, and so does every change of policy; 100% = nothing of it does."},
	{"limits", "approval_life", CONF_DURATION, AT(approval_life_ms), MS_SECOND, 30 * MS_DAY, "7d", NULL, "A request that nobody decides for so long is cancelled."},
	{"limits", "requests_per_second", CONF_INT, AT(requests_per_second), 1, 100000, "1000", NULL, "So many requests to the admin API a principal may make, twice as many at once; more are answered 429. The local socket has no limit."},
	{"bulk", "batch", CONF_INT, AT(bulk_batch), 1, 500, "10", NULL, "So many certificates of a bulk campaign are renewed at a time."},
	{"bulk", "pause", CONF_DURATION, AT(bulk_pause_ms), 0, MS_DAY, "2s", NULL, "Between two batches."},
	{"bulk", "halt_share", CONF_SHARE, AT(bulk_halt_share), 0, 1000, "20%", NULL, "A bulk campaign halts when more than this share of a batch fails."},
	{"bulk", "wave_halt_share", CONF_SHARE, AT(wave_halt_share), 0, 1000, "2%", NULL, "A campaign in waves halts when more than this share of a wave fails; of a canary nothing may."},
	{"bulk", "peer_wait", CONF_DURATION, AT(peer_wait_ms), MS_SECOND, MS_DAY, "5m", NULL, "How long relying parties are waited for, where a campaign demands that they look; then it goes on without, and says so."},
	{"bulk", "priority", CONF_LIST, AT(bulk_priority), 0, 0, "covina, argus, clara, veritas, vpb, external", NULL, "Services in this order, then the others; dependencies go before it."},
	{"emergency", "approval", CONF_ENUM, AT(emergency_approval), 0, 0, "after", emergency_words, "Whether an emergency above the limit runs before it is confirmed, or waits."},
	{"metrics", "open", CONF_BOOL, AT(metrics_open), 0, 0, "no", NULL, "/metrics of the admin listener answers without a token, too."},
	{"metrics", "targets", CONF_INT, AT(metrics_targets), 0, 5000, "1000", NULL, "Where there are more certificates, targets or hosts than that, none of them has series of its own in /metrics; sums are always there."},
	{"metrics", "silent_after", CONF_DURATION, AT(metrics_silent_ms), MS_SECOND, 30 * MS_DAY, "15m", NULL, "A host that is away for longer counts as silent in /metrics."},
	{"limits", "keep_issuances", CONF_DURATION, AT(keep_issuances_ms), MS_SECOND, 7300 * MS_DAY, "400d", NULL, "A certificate that ended so long ago goes from the database to the archive, at the earliest after crl.validity. The last one of each certificate stays."},
	{"limits", "keep_orders", CONF_DURATION, AT(keep_orders_ms), MS_SECOND, 7300 * MS_DAY, "400d", NULL, "An order that ended so long ago goes to the archive with its steps and receipts; invites, tokens and approvals that were over by then are removed. Reports look back a year."},
	{"limits", "keep_notices", CONF_DURATION, AT(keep_notices_ms), MS_SECOND, 7300 * MS_DAY, "90d", NULL, "A notification whose matter is over is removed so long after it was raised last."},
	{"limits", "keep_drills", CONF_DURATION, AT(keep_drills_ms), MS_SECOND, 7300 * MS_DAY, "400d", NULL, "A drill goes with its report to the archive so long after that was made. The last one that came to its end stays for the services that it was of."},
	{"limits", "notices", CONF_INT, AT(notices_max), 100, 1000000, "10000", NULL, "So many notifications are kept; of more the oldest go first, also of what is not over."},
	{"reports", "rules_dir", CONF_TEXT, AT(rules_dir), 0, 0, "", NULL, "Folder with compliance rules of one's own: gdpr.json, ai_act.json or bsi_tr.json there stands in the place of the shipped one. Read at the start."},
	{"schedule", "prune", CONF_DURATION, AT(prune_ms), MS_SECOND, 30 * MS_DAY, "6h", NULL, "How often the database is looked through for what goes to the archive."},
	{"schedule", "jitter", CONF_SHARE, AT(jitter), 0, 500, "10%", NULL, "Due times are spread over this share of the renewal threshold."},
	{"schedule", "tick", CONF_DURATION, AT(tick_ms), 50, MS_HOUR, "1s", NULL, "How often due work is looked for."},
	{"notify", "dir", CONF_PATH, AT(notify_dir), 0, 0, "/etc/vcc-controller/notify.d", NULL, "Folder of the channels by which people are told, NAME.conf each."},
	{"notify", "group_wait", CONF_DURATION, AT(notify_wait_ms), 0, MS_HOUR, "30s", NULL, "The first notification about a service or campaign waits so long for others that go with it; what is critical does not wait."},
	{"notify", "group_interval", CONF_DURATION, AT(notify_interval_ms), 0, MS_DAY, "5m", NULL, "At least so long between two messages about the same service or campaign."},
	{"notify", "repeat", CONF_DURATION, AT(notify_repeat_ms), 0, 30 * MS_DAY, "4h", NULL, "What stays open and nobody has acknowledged is told again so often; 0 = never."},
	{"notify", "escalate", CONF_DURATION, AT(notify_escalate_ms), 0, 30 * MS_DAY, "1h", NULL, "What nobody has acknowledged by then goes to escalation_recipients and to channels with rule.escalation; 0 = never."},
	{"notify", "retry", CONF_DURATION, AT(notify_retry_ms), 10, MS_HOUR, "30s", NULL, "Pause after a first failure of a channel; it doubles up to an hour."},
	{"notify", "timeout", CONF_DURATION, AT(notify_timeout_ms), MS_SECOND, 5 * MS_MINUTE, "30s", NULL, "A receiver has so long to take a message."},
	{"notify", "tries", CONF_INT, AT(notify_tries), 1, 1000, "30", NULL, "A message that failed so often is given up: about a day with the pauses above."},
	{"notify", "success", CONF_ENUM, AT(notify_success), 0, 0, "digest", success_words, "What is told of renewals that go as they should: a digest, each of them, or nothing."},
	{"notify", "digest", CONF_DURATION, AT(notify_digest_ms), MS_SECOND, 31 * MS_DAY, "24h", NULL, "How often the digest is told."},
	{"notify", "link_url", CONF_TEXT, AT(notify_link_url), 0, 0, "", NULL, "https://NAME[:PORT] by which people reach the dashboard: what is told carries links there by which whoever was told takes a matter over; empty = no links."},
	{"notify", "link_life", CONF_DURATION, AT(notify_link_ms), MS_SECOND, 30 * MS_DAY, "3d", NULL, "Such a link is good for so long."},
	{"notify", "fleet_share", CONF_SHARE, AT(fleet_share), 0, 1000, "20%", NULL, "When more than this share of the hosts that were connected since the start are silent at once, and at least three, that is told as one critical matter; 100% = never."},
	{"notify", "fleet_silent", CONF_DURATION, AT(fleet_silent_ms), MS_SECOND, MS_DAY, "2m", NULL, "A host that was connected and is not for so long counts as silent for that."},
	{"supersede", "grace", CONF_DURATION, AT(grace_ms), 0, 30 * MS_DAY, "1h", NULL, "The old issuance is revoked this long after the new one settled; 0 = at once."},
	{"supersede", "grace_unproved", CONF_DURATION, AT(grace_unproved_ms), 0, 30 * MS_DAY, "24h", NULL, "The same where no handshake can prove the new one."},
	{"crl", "validity", CONF_DURATION, AT(crl_validity_ms), MS_MINUTE, 10 * MS_DAY, "24h", NULL, "nextUpdate of the issuing CAs' CRLs."},
	{"crl", "refresh", CONF_DURATION, AT(crl_refresh_ms), MS_SECOND, 10 * MS_DAY, "6h", NULL, "CRLs are made anew this often, and whenever something is revoked."},
	{"ocsp", "validity", CONF_DURATION, AT(ocsp_validity_ms), MS_MINUTE, 7 * MS_DAY, "1h", NULL, "nextUpdate of OCSP answers; each is made anew at half."},
	{"ocsp", "responder", CONF_DURATION, AT(ocsp_responder_ms), MS_MINUTE, LEAF_DAYS_OCSP * MS_DAY, "7d", NULL, "Life of the OCSP responders' certificates, which nobody can revoke; renewed at half, with a new key."},
	{"ocsp", "signatures", CONF_INT, AT(ocsp_signatures), 1, 100000, "500", NULL, "OCSP answers signed on demand each second; half of them for nonces. What was signed before is given out without limit."},
	{"identity", "agent", CONF_DURATION, AT(identity_agent_ms), 10 * MS_SECOND, LEAF_DAYS_AGENT * MS_DAY, "14d", NULL, "Life of an agent's link certificate; renewed at half."},
	{"identity", "server", CONF_DURATION, AT(identity_server_ms), MS_MINUTE, LEAF_DAYS_GATEWAY * MS_DAY, "90d", NULL, "Life of the TLS certificates of gateway and admin API; renewed at half."},
};

/* A whole section, or single keys of one. What is bound, opened or signed at the start is not among them. */
static const struct {
	const char *section, *key; /* "" = each */
} live[] = {
	{"contacts", ""},
	{"notify", ""},
	{"metrics", ""},
	{"supersede", ""},
	{"bulk", ""},
	{"emergency", ""},
	{"limits", "approval_share"},
	{"limits", "approval_life"},
	{"limits", "keep_issuances"},
	{"limits", "keep_orders"},
	{"limits", "keep_notices"},
	{"limits", "keep_drills"},
	{"limits", "notices"},
	{"schedule", "prune"},
};

bool controller_conf_live(const struct conf_key *k)
{
	if (text_equal(k->section, "notify") && text_equal(k->key, "dir")) /* what the process may read was settled at the start */
		return false;
	for (size_t i = 0; i < N_ELEMENTS(live); i++)
		if (text_equal(k->section, live[i].section) && (live[i].key[0] == '\0' || text_equal(k->key, live[i].key)))
			return true;
	return false;
}

static int check_domains(const struct controller_conf *c, struct refusal *why)
{
	const char *cursor = c->domain;
	char        item[DNS_NAME_SIZE], canonical[DNS_NAME_SIZE];
	size_t      n = 0;

	for (; text_item(&cursor, item, sizeof(item)); n++)
		if (name_dns(item, false, canonical) < 0)
			return refuse(why, E_CONF_VALUE, "controller.domain", "`%s` is not a DNS name", item);
	if (n == 0 || cursor == NULL)
		return refuse(why, E_CONF_VALUE, "controller.domain", "no domain, or one that is too long");
	return 0;
}

/* "https://" NAME [":" PORT], nothing behind it: it is written into mails and compared with what browsers say. */
static bool is_origin(const char *url)
{
	static const char scheme[] = "https://";
	const char       *host = text_starts(url, scheme) ? url + sizeof(scheme) - 1 : "";
	return host[0] != '\0' && host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]")] == '\0';
}

static int controller_check(const void *conf, struct refusal *why)
{
	const struct controller_conf *c = conf;

	int r = check_domains(c, why);
	if (r < 0)
		return r;
	if (c->organisation[0] == '\0')
		return refuse(why, E_CONF_VALUE, "controller.organisation", "the organisation is empty");
	if (!text_starts(c->public_url, "http://") || text_ends(c->public_url, "/"))
		return refuse(why, E_CONF_VALUE, "public.url", "`%s` is not http://NAME[:PORT] without final slash", c->public_url);
	if (c->notify_link_url[0] != '\0' && !is_origin(c->notify_link_url))
		return refuse(why, E_CONF_VALUE, "notify.link_url", "`%s` is not https://NAME[:PORT] without final slash", c->notify_link_url);
	if (c->rules_dir[0] != '\0' && c->rules_dir[0] != '/')
		return refuse(why, E_CONF_VALUE, "reports.rules_dir", "`%s` is no absolute path", c->rules_dir);
	if (c->crl_refresh_ms >= c->crl_validity_ms)
		return refuse(why, E_CONF_VALUE, "crl.refresh", "it must be shorter than crl.validity");
	if (c->ocsp_validity_ms > c->ocsp_responder_ms / 2)
		return refuse(why, E_CONF_VALUE, "ocsp.validity", "it must be at most half of ocsp.responder");
	return 0;
}

const struct conf_schema controller_schema = {
	.program = "vcc-controller",
	.file = "controller.conf",
	.struct_size = sizeof(struct controller_conf),
	.keys = keys,
	.n_keys = N_ELEMENTS(keys),
	.check = controller_check,
};
