/* metric_table.c - room controller/daemon: the table of metrics, and docs/metrics.md made from it.
 * Never: values; a name that is given up is never used for something else. */
#include "controller/daemon/metric_table.h"

#include "shared/base/attr.h"
#include "shared/base/text.h"

static const int bounds_renewal[] = {100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000, 300000, 600000, 1800000, 0};
static const int bounds_step[] = {10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 0};
static const int bounds_short[] = {1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 0};

#define COUNTER(name, labels, help, from)           {name, METRIC_COUNTER, labels, help, from, NULL}
#define GAUGE(name, labels, help, from)             {name, METRIC_GAUGE, labels, help, from, NULL}
#define HISTOGRAM(name, labels, help, from, bounds) {name, METRIC_HISTOGRAM, labels, help, from, bounds}
#define OWN(name)                                   "vcc_pki_" name

/* What `from` says. */
#define RUN    "counted since the start"
#define STORE  "the database"
#define MEMORY "the running controller"

static const struct metric_row rows[METRIC_COUNT] = {
	[METRIC_RENEWALS] = COUNTER("certificate_renewals_total", "service_name,renewal_trigger,status", "Renewals that ended, by how they ended; first issues and drills are none.", RUN),
	[METRIC_RENEWAL_DURATION] = HISTOGRAM("certificate_renewal_duration_seconds", "", "From the order to the end of a completed renewal.", RUN, bounds_renewal),
	[METRIC_EXPIRING_BRIEF] = GAUGE("certificates_expiring_count", "days_threshold,service_name", "Certificates in use that end within so many days, expired ones among them; cumulative: 7 is part of 30. The name is the contract's; vcc_pki_certificates_expiring says the same.", STORE),
	[METRIC_EMERGENCIES] = COUNTER("emergency_recertifications_total", "incident_type", "Emergencies that were begun.", RUN),
	[METRIC_SUCCESS_RATE] = GAUGE("certificate_deployment_success_rate", "", "Share of the orders that ended in the last 24 hours with their certificate in use; 1 if none ended. Paused ones count as failed from the start of the controller on.", STORE),
	[METRIC_CLARA_MODELS] = GAUGE("clara_model_certificates_active", "", "Code-signing certificates of clara that are active or expiring.", STORE),
	[METRIC_SERVICE_HEALTH] = GAUGE("vcc_service_certificate_health", "service_name", "Share of the service's targets that serve what is issued; 1 where it has none.", STORE),

	[METRIC_CERTIFICATES] = GAUGE(OWN("certificates"), "service_name,purpose,state", "Certificates that are not removed, by state.", STORE),
	[METRIC_EXPIRING] = GAUGE(OWN("certificates_expiring"), "within,service_name", "Certificates in use that end within this time, expired ones among them; cumulative.", STORE),
	[METRIC_URGENT] = GAUGE(OWN("certificates_urgent"), "service_name", "Certificates in use that were made for more than 4 days and have less than 48 hours left.", STORE),
	[METRIC_OVERDUE] = GAUGE(OWN("certificates_overdue"), "service_name", "Certificates that should be renewed by now: a quarter of the time between their due time and their end has passed.", STORE),
	[METRIC_TARGETS] = GAUGE(OWN("targets"), "service_name,state", "Places where a certificate is used: live = what is issued is served, stale = something else is, unanswered = nobody answers there, unproved = none of these is known.", STORE),
	[METRIC_UNREHEARSED] = GAUGE(OWN("targets_unrehearsed"), "service_name", "Targets whose last good rehearsal is more than two days ago.", STORE),
	[METRIC_DRIFTS] = COUNTER(OWN("drift_events_total"), "kind", "Changes of managed files by somebody else, as hosts told them.", RUN),
	[METRIC_DEPLOYMENTS] = COUNTER(OWN("deployments_total"), "result", "Attempts to bring a certificate into use: verified and unverified ones that were completed, and failed ones on the host.", RUN),
	[METRIC_ROLLBACKS] = COUNTER(OWN("rollbacks_total"), "reason", "Times that the certificate before was put in use again: failed = its host did so after a failure, asked = a person or a campaign wanted it.", RUN),

	[METRIC_NOT_BEFORE] = GAUGE(OWN("certificate_not_before_timestamp_seconds"), "service_name,agent,cert_id", "Since when the certificate is valid.", STORE),
	[METRIC_NOT_AFTER] = GAUGE(OWN("certificate_not_after_timestamp_seconds"), "service_name,agent,cert_id", "When the certificate ends.", STORE),
	[METRIC_RENEW_AFTER] = GAUGE(OWN("certificate_renew_after_timestamp_seconds"), "service_name,agent,cert_id", "When its renewal is due; missing where nobody renews it by itself.", STORE),
	[METRIC_CERTIFICATE_INFO] = GAUGE(OWN("certificate_info"), "service_name,agent,cert_id,template,issuer,key,state", "1 for the state that the certificate is in, with the template that it is made by, the CA that signed it and its kind of key.", STORE),
	[METRIC_LIVE] = GAUGE(OWN("deployment_live"), "service_name,agent,cert_id,target_id", "1 = what is issued is served there, 0 = something else is; missing where nobody can tell.", STORE),
	[METRIC_NOT_LIVE] = GAUGE(OWN("deployment_not_live_seconds"), "service_name,agent,cert_id,target_id", "For how long something else has been served there; 0 = it is not.", STORE),
	[METRIC_SERVED_NOT_AFTER] = GAUGE(OWN("served_not_after_timestamp_seconds"), "service_name,agent,cert_id,target_id", "When the certificate ends that handshakes proved served there last; missing before the first.", STORE),
	[METRIC_REHEARSAL_LAST] = GAUGE(OWN("rehearsal_last_timestamp_seconds"), "service_name,agent,cert_id,target_id", "Last rehearsal of a renewal that went well on this target; missing before the first.", STORE),
	[METRIC_REHEARSAL] = GAUGE(OWN("rehearsal_success"), "service_name,agent,cert_id,target_id", "0 = the last good rehearsal is more than two days ago.", STORE),
	[METRIC_AGENT_SEEN] = GAUGE(OWN("agent_last_seen_timestamp_seconds"), "agent", "When the host was connected last; now, while it is.", MEMORY),
	[METRIC_AGENT_IDENTITY] = GAUGE(OWN("agent_identity_not_after_timestamp_seconds"), "agent", "When the certificate that the host connects with ends.", STORE),
	[METRIC_AGENT_SKEW] = GAUGE(OWN("agent_clock_skew_seconds"), "agent", "The host's clock minus ours, as it said last.", STORE),
	[METRIC_AGENT_INFO] = GAUGE(OWN("agent_info"), "agent,service_name,version", "1 for the version that the host runs.", STORE),
	[METRIC_DETAIL] = GAUGE(OWN("detail_series"), "", "1 = the metrics of single certificates, targets and hosts are here; 0 = there are more of them than metrics.targets.", STORE),

	[METRIC_AGENTS] = GAUGE(OWN("agents"), "state", "Hosts: connected; away for less than metrics.silent_after; silent for longer; evicted; banned.", MEMORY),
	[METRIC_GATEWAYS] = GAUGE(OWN("gateways"), "", "Gateways that are connected.", MEMORY),
	[METRIC_ORDERS_OPEN] = GAUGE(OWN("orders_open"), "", "Orders that are not over, paused ones among them.", MEMORY),
	[METRIC_ORDERS_PAUSED] = GAUGE(OWN("orders_paused"), "", "Orders that gave up for now and are tried once a day.", STORE),
	[METRIC_ORDERS_PAUSED_TOTAL] = COUNTER(OWN("renewals_paused_total"), "service_name", "Renewals whose attempts were used up.", RUN),
	[METRIC_TO_VERIFIED] = HISTOGRAM(OWN("order_to_verified_seconds"), "", "From the order to the handshakes that proved the new certificate served.", RUN, bounds_renewal),
	[METRIC_STEPS] = HISTOGRAM(OWN("step_duration_seconds"), "step", "Steps of orders on their hosts.", RUN, bounds_step),
	[METRIC_CAMPAIGNS] = GAUGE(OWN("campaigns"), "state", "Campaigns by state.", STORE),
	[METRIC_CAMPAIGN_TARGETS] = GAUGE(OWN("campaign_targets"), "state", "Certificates of campaigns that are not closed, by what became of them.", STORE),
	[METRIC_CA_NOT_AFTER] = GAUGE(OWN("ca_not_after_timestamp_seconds"), "issuer,role", "When a CA that signs, or is trusted as a root, ends.", MEMORY),
	[METRIC_SIGNATURES] = COUNTER(OWN("signatures_total"), "result", "Answers of the signer to requests for certificates, lists and heads.", RUN),
	[METRIC_SIGN_DURATION] = HISTOGRAM(OWN("sign_duration_seconds"), "", "From a request to the signer to its answer, waiting included.", RUN, bounds_short),
	[METRIC_SIGNER_QUEUE] = GAUGE(OWN("signer_queue_length"), "", "Requests that the signer has not answered yet.", MEMORY),
	[METRIC_CRL_THIS] = GAUGE(OWN("crl_this_update_timestamp_seconds"), "issuer", "When the list of this CA that ends first was made.", MEMORY),
	[METRIC_CRL_NEXT] = GAUGE(OWN("crl_next_update_timestamp_seconds"), "issuer", "When that list ends.", MEMORY),
	[METRIC_CRL_ENTRIES] = GAUGE(OWN("crl_entries"), "issuer", "Certificates on the lists of this CA.", MEMORY),
	[METRIC_OCSP] = COUNTER(OWN("ocsp_requests_total"), "status", "OCSP requests by how they were answered.", RUN),
	[METRIC_STORE_WRITE] = HISTOGRAM(OWN("store_write_duration_seconds"), "", "From a change to the moment it is durable.", RUN, bounds_short),
	[METRIC_STORE_SIZE] = GAUGE(OWN("store_size_bytes"), "", "The database file and its log.", STORE),
	[METRIC_AUDIT_RECORDS] = COUNTER(OWN("audit_records_total"), "", "Records of the audit trail.", STORE),
	[METRIC_HEAD_WITNESSED] = GAUGE(OWN("audit_head_witnessed_timestamp_seconds"), "", "When a host said last that it keeps a head of the audit trail; 0 = never.", STORE),
	[METRIC_HEAD_UNWITNESSED] = GAUGE(OWN("audit_head_unwitnessed_seconds"), "", "For how long no host has kept a head of the audit trail, though there was one; 0 = the newest is kept, or there is no host.", STORE),
	[METRIC_BACKUP] = GAUGE(OWN("backup_last_success_timestamp_seconds"), "", "Time of the backup in the state folder; 0 = there is none.", STORE),
	[METRIC_HTTP] = COUNTER(OWN("http_requests_total"), "route,code", "Requests to the admin API by route and class of the answer; route none = there is no such path.", RUN),
	[METRIC_HTTP_DURATION] = HISTOGRAM(OWN("http_request_duration_seconds"), "", "From a whole request to its answer.", RUN, bounds_short),
	[METRIC_NOTIFICATIONS] = COUNTER(OWN("notifications_total"), "channel,result", "Messages to people: delivered, attempts that failed, and those that were given up after the last of them.", RUN),
	[METRIC_CONF_WELL] = GAUGE(OWN("config_last_reload_success"), "", "1 = what stands in controller.conf and the channels was taken when it was read last; 0 = it is not valid, and what was read before holds.", MEMORY),
	[METRIC_CONF_AT] = GAUGE(OWN("config_last_reload_success_timestamp_seconds"), "", "When the configuration that holds was read.", MEMORY),
	[METRIC_READY] = GAUGE(OWN("ready"), "check", "1 = the check of /readyz holds.", MEMORY),
	[METRIC_LOOP_TURNS] = COUNTER(OWN("loop_turns_total"), "over", "Turns of the main loop that took more processor time than this.", RUN),
	[METRIC_LOOP_LONGEST] = GAUGE(OWN("loop_longest_turn_seconds"), "", "The longest one since the start.", RUN),
	[METRIC_FIGURES_AT] = GAUGE(OWN("figures_timestamp_seconds"), "", "When what comes from the database was read.", MEMORY),
	[METRIC_FIGURES_TOOK] = GAUGE(OWN("figures_duration_seconds"), "", "How long that took; it is read again when 20 times that has passed, and 2 seconds.", MEMORY),
	[METRIC_BUILD] = GAUGE(OWN("build_info"), "version", "1 for the version that runs.", MEMORY),
	[METRIC_CPU] = COUNTER("process_cpu_seconds_total", "", "Processor time of the controller, user and system.", MEMORY),
	[METRIC_MEMORY] = GAUGE("process_resident_memory_bytes", "", "Resident memory of the controller.", MEMORY),
	[METRIC_FDS] = GAUGE("process_open_fds", "", "Open descriptors of the controller.", MEMORY),
	[METRIC_MAX_FDS] = GAUGE("process_max_fds", "", "How many it may have.", MEMORY),
	[METRIC_START] = GAUGE("process_start_time_seconds", "", "When the controller was started.", MEMORY),
};

const char *metric_type_name(enum metric_type t)
{
	static const char *const names[METRIC_TYPE_COUNT] = {[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
	return (size_t)t < N_ELEMENTS(names) ? names[t] : "unknown";
}

const struct metric_row *metric_row(enum metric m)
{
	return &rows[m];
}

size_t metric_bounds(enum metric m)
{
	size_t n = 0;
	while (rows[m].bounds != NULL && rows[m].bounds[n] != 0)
		n++;
	return n;
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

static const char head[] =
	"# Metrics\n"
	"\n"
	"Made from `controller/daemon/metric_table.c` by `make docs`. `GET /metrics` on the admin listener, with a token of any role that is not\n"
	"limited to services, or without one where `metrics.open = yes`. Text format 0.0.4, or OpenMetrics 1.0 where `Accept` asks for it.\n"
	"\n"
	"- Every series of a closed set of labels is there at 0 from the start. What is *counted since the start* begins at 0 with each start of the\n"
	"  controller, as Prometheus expects of counters.\n"
	"- What comes from *the database* is read on a worker, at most every 2 seconds, and never for more than a twentieth of the time.\n"
	"- Labels with `cert_id`, `target_id` or `agent`: one series for each, only while there are no more than `metrics.targets` of them; series of\n"
	"  what is gone are gone. All alert rules rest on the others, which are always there.\n"
	"- At most 128 services have series of their own; the others share `service_name=\"_other\"`, what belongs to none has `none`.\n"
	"- `promtool check metrics` finds fault with one name, `certificates_expiring_count`, which the contract has.\n"
	"\n"
	"A scrape configuration:\n"
	"\n"
	"    scrape_configs:\n"
	"      - job_name: vcc-pki\n"
	"        scheme: https\n"
	"        authorization: { credentials_file: /etc/prometheus/vcc.token }   # vccctl token create prometheus\n"
	"        tls_config: { ca_file: /etc/prometheus/vcc-ca.pem }              # PUBLIC_URL/ca/all.pem, and the root\n"
	"        static_configs: [{ targets: [\"pki.vcc.internal:8444\"] }]\n"
	"    rule_files: [/usr/share/vcc-controller/vcc-pki.rules.yml]            # packaging/prometheus\n"
	"\n"
	"Dashboards for Grafana: `packaging/grafana`.\n"
	"\n"
	"| metric | type | labels | what it says | where from |\n"
	"|---|---|---|---|---|\n";

static void label_words(struct buf *to, const char *labels)
{
	const char *cursor = labels, *between = "";
	char        item[32];
	while (text_item(&cursor, item, sizeof(item))) {
		buf_add_fmt(to, "%s`%s`", between, item);
		between = " ";
	}
}

void metrics_document(struct buf *to)
{
	buf_add_text(to, head);
	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		buf_add_fmt(to, "| `%s` | %s | ", rows[m].name, metric_type_name(rows[m].type));
		label_words(to, rows[m].labels);
		buf_add_fmt(to, " | %s | %s |\n", rows[m].help, rows[m].from);
	}
	buf_add_text(to, "\n## Buckets\n\n| histogram | upper bounds, seconds |\n|---|---|\n");
	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		if (rows[m].bounds == NULL)
			continue;
		buf_add_fmt(to, "| `%s` |", rows[m].name);
		for (size_t i = 0; i < metric_bounds((enum metric)m); i++)
			buf_add_fmt(to, "%s %g", i > 0 ? "," : "", rows[m].bounds[i] / 1000.0);
		buf_add_text(to, " |\n");
	}
}
