/* controller_conf.h - room shared/conf: controller.conf, written by `vccctl init`, read by vcc-controller.
 * Never: settings that the store keeps (templates, services, principals). */
#ifndef VCC_CONTROLLER_CONF_H
#define VCC_CONTROLLER_CONF_H

#include "shared/conf/conf.h"
#include "shared/model/certificate.h"

enum { CONF_PATH_SIZE = 256, CONF_SOCKET_SIZE = 108, CONF_DOMAINS_SIZE = 512, CONF_CONTACT_SIZE = 160, CONF_USER_SIZE = 33 };

#define CONTROLLER_CONF_PATH "/etc/vcc-controller/controller.conf"

enum notify_success { NOTIFY_SUCCESS_DIGEST, NOTIFY_SUCCESS_EACH, NOTIFY_SUCCESS_NONE };
enum emergency_approval { EMERGENCY_APPROVAL_AFTER, EMERGENCY_APPROVAL_BEFORE };

struct controller_conf {
	/* [controller] */
	char state_dir[CONF_PATH_SIZE]; /* the database is STATE_DIR/vcc.db */
	char domain[CONF_DOMAINS_SIZE]; /* comma list, the first is the main one */
	char public_name[DNS_NAME_SIZE];
	char organisation[SUBJECT_SIZE];
	/* [admin] */
	char admin_listen[ADDRESS_SIZE];
	char admin_socket[CONF_SOCKET_SIZE];
	/* [public] */
	char public_listen[ADDRESS_SIZE];
	char public_url[URL_SIZE]; /* without final slash: part of every certificate */
	/* [gateway] */
	char gateway_socket[CONF_SOCKET_SIZE];
	char gateway_user[CONF_USER_SIZE]; /* who may connect beside root and ourselves; "" = nobody else */
	char agent_address[ADDRESS_SIZE];  /* where hosts reach the agents' port */
	char join_address[ADDRESS_SIZE];   /* where hosts reach the join port */
	/* [signer] */
	char signer_socket[CONF_SOCKET_SIZE];
	/* [contacts] */
	char contact_admin[CONF_CONTACT_SIZE];
	char contact_security[CONF_CONTACT_SIZE];
	char contact_approver[CONF_DOMAINS_SIZE];
	/* [limits] */
	bool    allow_short_validity; /* templates from 5 s on instead of 60 s: for tests */
	int64_t max_renewals_default; /* of templates that do not say */
	int64_t audit_head_ms;        /* new rows of the audit trail wait so long for a signed head */
	int64_t requests_per_second;  /* of one identity */
	int64_t approval_share;       /* per mille; 1000 = changes of policy and of many certificates need no second person */
	int64_t approval_life_ms;     /* requests that nobody decides end */
	/* [bulk] */
	int64_t bulk_batch;
	int64_t bulk_pause_ms;
	int64_t bulk_halt_share; /* per mille of a batch that may fail */
	int64_t peer_wait_ms;    /* how long relying parties are waited for */
	int64_t wave_halt_share; /* per mille of a wave that may fail */
	char    bulk_priority[CONF_DOMAINS_SIZE]; /* comma list of services */
	/* [metrics] */
	bool    metrics_open;      /* without a token */
	int64_t metrics_targets;   /* more of them have no series of their own */
	int64_t metrics_silent_ms; /* hosts that are away for longer are silent */
	/* [emergency] */
	int emergency_approval; /* enum emergency_approval */
	/* [reports] */
	char rules_dir[CONF_PATH_SIZE]; /* "" = as shipped */
	/* [schedule] */
	int64_t keep_issuances_ms, keep_orders_ms, keep_notices_ms, keep_drills_ms, prune_ms;
	int64_t notices_max;
	int64_t jitter; /* per mille of the renewal threshold */
	int64_t tick_ms;
	/* [notify] */
	char    notify_dir[CONF_PATH_SIZE]; /* one file for each channel */
	int64_t notify_wait_ms, notify_interval_ms, notify_repeat_ms, notify_escalate_ms, notify_retry_ms, notify_timeout_ms;
	int64_t notify_tries;
	int     notify_success; /* enum notify_success */
	int64_t notify_digest_ms;
	char    notify_link_url[URL_SIZE]; /* "" = no links */
	int64_t notify_link_ms;
	int64_t fleet_share;     /* per mille of the hosts */
	int64_t fleet_silent_ms; /* so long not connected = silent */
	/* [supersede] */
	int64_t grace_ms;
	int64_t grace_unproved_ms;
	/* [crl] */
	int64_t crl_validity_ms;
	int64_t crl_refresh_ms;
	/* [ocsp] */
	int64_t ocsp_validity_ms;
	int64_t ocsp_responder_ms; /* life of the responders' certificates */
	int64_t ocsp_signatures;   /* answers signed on demand, a second */
	/* [identity] */
	int64_t identity_agent_ms;  /* life of link identities; renewed at half */
	int64_t identity_server_ms; /* life of the gateways' and the controller's own TLS certificates */
};

extern const struct conf_schema controller_schema;

/* Whether a running controller takes a new value of this key when it reads its file again. */
bool controller_conf_live(const struct conf_key *k);

#endif
