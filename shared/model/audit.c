/* audit.c - room shared/model: the bytes of audit records and heads, pseudonyms, and the table of event types.
 * Never: files, signatures, deciding what is recorded. */
#include "shared/model/audit.h"

#include <string.h>

#include "shared/base/be.h"
#include "shared/base/text.h"

/* ---- leaf ---- */

static void add_line(struct buf *to, const char *text)
{
	buf_add_text(to, text);
	buf_add_u8(to, '\n');
}

static void add_id(struct buf *to, struct id id)
{
	char text[ID_TEXT_SIZE] = "";
	add_line(to, id_is_none(id) ? "" : id_text(id, text));
}

void audit_leaf_text(const struct audit_leaf *leaf, struct buf *to)
{
	buf_add_fmt(to, "%d\n%llu\n%lld\n%lld\n", AUDIT_LEAF_VERSION, (unsigned long long)leaf->seq, (long long)leaf->at,
		    (long long)leaf->behind_ms);
	add_line(to, leaf->event);
	add_line(to, leaf->actor);
	add_line(to, leaf->object);
	add_id(to, leaf->renewal_id);
	add_id(to, leaf->request_id);
	add_line(to, leaf->reason);
	add_line(to, leaf->detail);
}

void audit_canonical(const struct audit *a, struct buf *to)
{
	struct audit_leaf leaf = {
		.seq = a->seq,
		.at = a->at,
		.behind_ms = a->behind_ms,
		.event = audit_event_name(a->event),
		.actor = a->actor,
		.object = a->object,
		.renewal_id = a->renewal_id,
		.request_id = a->request_id,
		.reason = a->reason,
		.detail = a->detail,
	};
	audit_leaf_text(&leaf, to);
}

/* ---- persons ---- */

#define ALIAS_PREFIX "person:"
enum { ALIAS_BYTES = 30 }; /* 40 characters of base64url: with the prefix it just fits an actor */
static const char person_label[] = "vcc audit person v1"; /* hashed with its NUL */

bool audit_is_person(const char *actor)
{
	static const char *const own[] = {"", "controller", "scheduler", "init"};
	for (size_t i = 0; i < N_ELEMENTS(own); i++)
		if (text_equal(actor, own[i]))
			return false;
	return strchr(actor, ':') == NULL;
}

bool audit_is_alias(const char *actor)
{
	return text_starts(actor, ALIAS_PREFIX);
}

void audit_alias(merkle_hash_fn *fn, const char *name, struct hash salt, char ret[ACTOR_SIZE])
{
	uint8_t     head[sizeof(person_label) + sizeof(salt.b)];
	struct hash hash;
	memcpy(head, person_label, sizeof(person_label));
	memcpy(head + sizeof(person_label), salt.b, sizeof(salt.b));
	fn(head, sizeof(head), name, strlen(name), &hash);
	memcpy(ret, ALIAS_PREFIX, sizeof(ALIAS_PREFIX));
	if (b64url_text(hash.b, ALIAS_BYTES, ret + sizeof(ALIAS_PREFIX) - 1, ACTOR_SIZE - (sizeof(ALIAS_PREFIX) - 1)) < 0)
		ret[0] = '\0'; /* it fits: both lengths are fixed */
}

/* ---- heads ---- */

void audit_head_body(uint64_t size, struct hash root, int64_t at, uint8_t ret[AUDIT_HEAD_BODY])
{
	be_put(ret, size, 8);
	memcpy(ret + 8, root.b, sizeof(root.b));
	be_put(ret + 40, (uint64_t)at, 8);
}

/* ---- event types ---- */

const char *audit_object_name(enum audit_object o)
{
	static const char *const names[OBJECT_COUNT] = {
		[OBJECT_NONE] = "-",
		[OBJECT_INSTALLATION] = "domain",
		[OBJECT_PRINCIPAL] = "principal",
		[OBJECT_SERVICE] = "service",
		[OBJECT_TEMPLATE] = "template",
		[OBJECT_AGENT] = "agent",
		[OBJECT_CERTIFICATE] = "certificate",
		[OBJECT_TARGET] = "target",
		[OBJECT_ISSUER] = "issuer",
		[OBJECT_OWNER] = "owner of the certificate",
		[OBJECT_PART] = "part of the controller",
	};
	return (size_t)o < N_ELEMENTS(names) ? names[o] : "unknown";
}

static const struct audit_event_info infos[AUDIT_EVENT_COUNT] = {
	[AUDIT_INSTALLATION_CREATED] = {OBJECT_INSTALLATION, "the installation was set up", "vccctl init"},
	[AUDIT_CONTROLLER_STARTED] = {OBJECT_NONE, "the controller started", "start of the process"},
	[AUDIT_CONFIG_RELOADED] = {OBJECT_NONE, "controller.conf and the channels were read again, and hold from now on; one more for each setting that is new, `section.key`, with its value",
				    "see detail"},
	[AUDIT_PRINCIPAL_CREATED] = {OBJECT_PRINCIPAL, "a person or machine may act from now on", "not given"},
	[AUDIT_TOKEN_CREATED] = {OBJECT_PRINCIPAL, "a token was made for the principal", "not given"},
	[AUDIT_TOKEN_REVOKED] = {OBJECT_PRINCIPAL, "a token of the principal was revoked", "not given"},
	[AUDIT_BREAK_GLASS] = {OBJECT_NONE, "somebody changed something through the local socket, without a token",
			       "not given"},
	[AUDIT_SERVICE_CREATED] = {OBJECT_SERVICE, "a service became known", "named for the first time"},
	[AUDIT_TEMPLATE_APPLIED] = {OBJECT_TEMPLATE, "a new version of a template is in force", "not given"},
	[AUDIT_INVITE_CREATED] = {OBJECT_AGENT, "a host may join under this name", "not given"},
	[AUDIT_AGENT_JOINED] = {OBJECT_AGENT, "a host joined", "its invite was redeemed"},
	[AUDIT_AGENT_EVICTED] = {OBJECT_AGENT, "the host's identity was ended", "not given"},
	[AUDIT_AGENT_BANNED] = {OBJECT_AGENT, "the host's key was banned for good", "not given"},
	[AUDIT_AGENT_CLONE] = {OBJECT_AGENT, "two hosts seem to have one identity", "two runs of the agent overlap"},
	[AUDIT_IDENTITY_ISSUED] = {OBJECT_OWNER, "an identity certificate was issued", "the old one ends"},
	[AUDIT_TARGET_ACCEPTED] = {OBJECT_CERTIFICATE, "the names of a certificate were accepted",
				   "inside the invite and the template"},
	[AUDIT_TARGET_REQUESTED] = {OBJECT_CERTIFICATE, "a certificate waits for approval",
				    "outside the invite or the template"},
	[AUDIT_TARGET_REFUSED] = {OBJECT_CERTIFICATE, "a target file was refused", "see detail"},
	[AUDIT_TARGET_RETIRED] = {OBJECT_CERTIFICATE, "the certificate's last target file is gone", "told by the host"},
	[AUDIT_TARGET_CHANGED] = {OBJECT_TARGET, "somebody changed files of a target", "seen by the host"},
	[AUDIT_TARGET_REPAIRED] = {OBJECT_TARGET, "the host put changed files right", "files differed from what was issued"},
	[AUDIT_TARGET_STALE] = {OBJECT_TARGET, "a listener serves another certificate than the issued one", "seen by the host"},
	[AUDIT_TARGET_HEALED] = {OBJECT_TARGET, "the listener serves what is issued again", "seen by the host"},
	[AUDIT_TARGET_REFRESHED] = {OBJECT_TARGET, "trust files or settings of a target were renewed", "their content changed"},
	[AUDIT_TARGET_CARE_FAILED] = {OBJECT_TARGET, "the care for a target failed", "see detail"},
	[AUDIT_TARGET_REHEARSED] = {OBJECT_TARGET, "a renewal was rehearsed", "daily rehearsal"},
	[AUDIT_RENEWAL_SCHEDULED] = {OBJECT_CERTIFICATE, "an order was opened", "see renewal_reason"},
	[AUDIT_RENEWAL_STEP] = {OBJECT_CERTIFICATE, "an order went one step on", "part of the order"},
	[AUDIT_RENEWAL_COMPLETED] = {OBJECT_CERTIFICATE, "an order was completed", "settled on all listeners"},
	[AUDIT_RENEWAL_FAILED] = {OBJECT_CERTIFICATE, "an order failed", "see cause"},
	[AUDIT_RENEWAL_PAUSED] = {OBJECT_CERTIFICATE, "an order has used its attempts and is tried seldom now", "see cause"},
	[AUDIT_RENEWAL_CANCELLED] = {OBJECT_CERTIFICATE, "an order was cancelled", "see cause"},
	[AUDIT_CERTIFICATE_INTENT] = {OBJECT_OWNER, "a serial was given out; the certificate will be signed",
				      "part of the order"},
	[AUDIT_CERTIFICATE_ISSUED] = {OBJECT_CERTIFICATE, "a certificate was signed", "part of the order"},
	[AUDIT_CERTIFICATE_PROVED] = {OBJECT_CERTIFICATE, "handshakes proved that the certificate is served",
				      "part of the order"},
	[AUDIT_CERTIFICATE_REVOKED] = {OBJECT_OWNER, "a certificate was revoked", "see reason in detail"},
	[AUDIT_INTENT_VOIDED] = {OBJECT_OWNER, "a certificate that was intended will not be used",
				 "its order ended or was lost"},
	[AUDIT_CRL_PUBLISHED] = {OBJECT_ISSUER, "a revocation list was published", "a revocation, or the old list ends"},
	[AUDIT_SIGNER_LOG_BEHIND] = {OBJECT_PART, "the signer's log ends before certificates that were issued",
				     "compared at its start"},
	[AUDIT_MESSAGE_REFUSED] = {OBJECT_AGENT, "a message of the host was refused", "see code"},
	[AUDIT_INVENTORY_CHANGED] = {OBJECT_AGENT, "what the host serves by TLS changed", "told by the host"},
	[AUDIT_AGENT_RETURNED] = {OBJECT_AGENT, "a host came back after its identity had ended", "proved by its host key"},
	[AUDIT_AGENT_RELEASED] = {OBJECT_AGENT, "a person decided which of two hosts is the real one", "not given"},
	[AUDIT_HEAD_CONTRADICTED] = {OBJECT_AGENT,
				     "an agent keeps a head that contradicts this trail: the trail was rewritten or restored, "
				     "or the signer was captured",
				     "compared with the agent's head"},
	[AUDIT_SIGNER_HEAD_AHEAD] =
		{OBJECT_PART,
		 "the signer has signed a head that this trail does not lead to: the trail was rewritten or restored",
		 "compared with the signer's head"},
	[AUDIT_PERSON_FORGOTTEN] = {OBJECT_NONE, "the name behind a pseudonym was deleted", "not given"},
	[AUDIT_EMERGENCY_STARTED] = {OBJECT_NONE, "an emergency campaign began", "not given"},
	[AUDIT_EMERGENCY_COMPLETED] = {OBJECT_NONE, "an emergency campaign is closed", "nothing is in flight or pending"},
	[AUDIT_EMERGENCY_FAILED] = {OBJECT_NONE, "an emergency campaign ended with failures", "see failed_count"},
	[AUDIT_CERTIFICATE_SUSPENDED] = {OBJECT_CERTIFICATE, "the certificate is on hold", "not given"},
	[AUDIT_CERTIFICATE_RESUMED] = {OBJECT_CERTIFICATE, "the hold on the certificate ended", "not given"},
	[AUDIT_REVOCATION_ASKED] = {OBJECT_CERTIFICATE, "the certificate is to be replaced, then revoked", "not given"},
	[AUDIT_PRINCIPAL_CHANGED] = {OBJECT_PRINCIPAL, "what the principal may do was changed", "not given"},
	[AUDIT_PRINCIPAL_DISABLED] = {OBJECT_PRINCIPAL, "the principal may do nothing any more", "not given"},
	[AUDIT_APPROVAL_REQUESTED] = {OBJECT_NONE, "something waits for a second person", "two persons must agree to this"},
	[AUDIT_APPROVAL_GRANTED] = {OBJECT_NONE, "a second person agreed", "not given"},
	[AUDIT_APPROVAL_REJECTED] = {OBJECT_NONE, "a second person refused", "not given"},
	[AUDIT_APPROVAL_CANCELLED] = {OBJECT_NONE, "a request ended without a decision", "it waits no more, or was not decided in time"},
	[AUDIT_SERVICE_CHANGED] = {OBJECT_SERVICE, "policy, windows or dependencies of the service were changed", "not given"},
	[AUDIT_RENEWALS_NEAR] = {OBJECT_CERTIFICATE, "one more unattended renewal, and the next one waits for a person", "max_renewals"},
	[AUDIT_POLICY_UPDATED] = {OBJECT_TEMPLATE, "a change of policy has reached every certificate that it concerns", "not given"},
	[AUDIT_CA_REVOKED] = {OBJECT_ISSUER, "the CA was revoked: everything it signed ended", "not given"},
	[AUDIT_CERTIFICATE_REQUESTED] = {OBJECT_CERTIFICATE, "a person brought a key for a certificate without a host", "not given"},
	[AUDIT_CERTIFICATE_CREATED] = {OBJECT_CERTIFICATE, "a person made a certificate for a host, whose target file is waited for", "not given"},
	[AUDIT_AGENT_REPLACED] = {OBJECT_AGENT, "another host took the name: the identity of the one before ended", "by an invite that says so"},
	[AUDIT_AGENT_RENAMED] = {OBJECT_AGENT, "the host has another name from now on; its certificates keep theirs", "not given"},
	[AUDIT_AGENT_REMOVED] = {OBJECT_AGENT, "the evicted host was taken off the lists", "not given"},
	[AUDIT_SESSION_OPENED] = {OBJECT_PRINCIPAL, "a browser logged in; by says by what", "logged in"},
	[AUDIT_SESSION_CONFIRMED] = {OBJECT_PRINCIPAL, "whoever uses a session proved again who it is", "before something that needs it"},
	[AUDIT_SESSION_ENDED] = {OBJECT_PRINCIPAL, "a browser logged out", "logged out"},
	[AUDIT_DRILL_STARTED] = {OBJECT_NONE, "a drill began: an emergency is rehearsed, nothing is put in use", "not given"},
	[AUDIT_DRILL_ENDED] = {OBJECT_NONE, "a drill is over; report_sha256 is the hash of its report", "every host has told, or its time is over"},
	[AUDIT_DRILL_TESTED] = {OBJECT_CERTIFICATE, "a certificate made for a drill passed every check and test on its host, and was destroyed", "drill"},
	[AUDIT_DRILL_FAILED] = {OBJECT_CERTIFICATE, "a drill found that this certificate could not be replaced now, or was ended", "drill"},
	[AUDIT_CAMPAIGN_STARTED] = {OBJECT_NONE, "a campaign of renewals began", "not given"},
	[AUDIT_CAMPAIGN_COMPLETED] = {OBJECT_NONE, "a campaign of renewals is closed", "nothing is in flight or pending"},
	[AUDIT_CAMPAIGN_HALTED] = {OBJECT_NONE, "a campaign sends nothing more until it is resumed", "too much of a batch failed"},
	[AUDIT_CAMPAIGN_RESUMED] = {OBJECT_NONE, "a halted campaign goes on", "not given"},
	[AUDIT_CAMPAIGN_CANCELLED] = {OBJECT_NONE, "what a campaign had not sent was dropped for good", "not given"},
	[AUDIT_CAMPAIGN_UNCONFIRMED] = {OBJECT_NONE, "an emergency above the limit still waits to be confirmed by a second person",
					"nobody confirmed it within a day"},
	[AUDIT_BACKUP_MADE] = {OBJECT_PART, "the database was copied", "not given"},
	[AUDIT_BACKUP_FAILED] = {OBJECT_PART, "a copy of the database could not be made", "see detail"},
	[AUDIT_STORE_RESTORED] = {OBJECT_PART, "a backup became the database; what came after it is lost", "vccctl restore"},
	[AUDIT_STORE_PRUNED] = {OBJECT_PART, "what ended long ago left the database", "older than limits.keep_issuances, limits.keep_orders or limits.keep_drills"},
	[AUDIT_CAMPAIGN_WAVE] = {OBJECT_NONE, "the next wave of a campaign was released", "the one before ended within its limits"},
	[AUDIT_CAMPAIGN_ROLLBACK] = {OBJECT_NONE, "what a campaign renewed goes back to what was there before", "see reason"},
	[AUDIT_ROLLBACK_ASKED] = {OBJECT_CERTIFICATE, "the host is to put the issuance before this order's in use again", "see reason"},
	[AUDIT_RENEWAL_ROLLED_BACK] = {OBJECT_CERTIFICATE, "the issuance before this order's is in use again, its own is revoked",
				       "a rollback"},
	[AUDIT_ROLLBACK_FAILED] = {OBJECT_CERTIFICATE, "the host could not go back: it serves what the order brought", "see cause"},
	[AUDIT_THRESHOLD_REACHED] = {OBJECT_CERTIFICATE, "the certificate is inside its emergency threshold, or has ended", "emergency_threshold"},
	[AUDIT_CA_ROLLOVER_STARTED] = {OBJECT_ISSUER, "two persons agreed that the CA gives way to a new one", "not given"},
	[AUDIT_CA_SUCCESSOR_MADE] = {OBJECT_ISSUER, "the signer made the CA that takes its place", "the rollover was agreed to"},
	[AUDIT_CA_SWITCHED] = {OBJECT_ISSUER, "certificates come from its successor from now on", "not given"},
	[AUDIT_CA_DRAINS] = {OBJECT_ISSUER, "what could be issued again was; the rest waits for hosts, persons or its end",
			     "nothing of it is under way any more"},
	[AUDIT_CA_ROLLED_BACK] = {OBJECT_ISSUER, "the CA signs as before, its successor stands by", "not given"},
	[AUDIT_CA_RETIRED] = {OBJECT_ISSUER, "the signer closed the CA: it signs revocation lists and OCSP responders only", "two persons agreed"},
	[AUDIT_PEERS_PROVED] = {OBJECT_CERTIFICATE, "every relying party saw the new certificate from its own host and trusts it", "demanded by the campaign"},
	[AUDIT_PEERS_REFUSED] = {OBJECT_CERTIFICATE, "a relying party saw something else than the new certificate, or cannot trust it", "the cause it gave"},
	[AUDIT_PEERS_DECLARED] = {OBJECT_AGENT, "a host told anew what its services rely on", "its owner's agent.conf"},
	[AUDIT_CA_EMERGENCY] = {OBJECT_ISSUER, "the CA that gives way signs nothing more and is closed: its key is not to be trusted", "two persons agreed"},
	[AUDIT_TRUST_BUNDLE] = {OBJECT_PART, "a trust bundle with other roots came from the signer; hosts get it, unless it is kept back",
				"a person made it on the signer's host"},
	[AUDIT_TRUST_RELEASED] = {OBJECT_PART, "a trust bundle that was kept back goes to hosts: they forget the root that it does not name any more",
				  "nothing hangs on that root any more, and two persons agreed"},
	[AUDIT_NOTIFICATION_DEAD] = {OBJECT_PART, "a message to people was given up on this channel", "see detail"},
	[AUDIT_NOTIFICATION_ACKED] = {OBJECT_PART, "somebody takes over what a notification is about: nobody is reminded any more", "not given"},
	[AUDIT_NOTIFICATION_SNOOZED] = {OBJECT_PART, "somebody wants no reminders of a notification for a while", "not given"},
	[AUDIT_NOTIFICATION_RETRIED] = {OBJECT_PART, "somebody has messages sent that were given up", "not given"},
	[AUDIT_NOTIFICATION_TESTED] = {OBJECT_PART, "somebody sent a test by this channel", "not given"},
	[AUDIT_EXCEPTION_MADE] = {OBJECT_TEMPLATE, "somebody answers for it until a date that certificates of the template fail a compliance rule", "not given"},
	[AUDIT_EXCEPTION_ENDED] = {OBJECT_TEMPLATE, "an exception to a compliance rule was ended", "not given"},
	[AUDIT_RESTORE_DRILLED] = {OBJECT_PART, "a backup was restored for practice, beside what runs, and the keys of the CAs signed", "not given"},
	[AUDIT_RESTORE_ACCEPTED] = {OBJECT_PART, "orders go out again after a restore", "not given"},
};

const struct audit_event_info *audit_event_info(enum audit_event e)
{
	static const struct audit_event_info none = {OBJECT_NONE, "", ""};
	return (size_t)e < N_ELEMENTS(infos) && infos[e].about != NULL ? &infos[e] : &none;
}

void audit_document(struct buf *to)
{
	buf_add_text(to, "# Audit event types\n\nMade by `make docs` from the table in `shared/model/audit.c`. The list is "
			 "closed: nothing else is ever recorded.\n\n"
			 "Every record has `seq`, `at`, `behind_ms` (how far the clock had stepped back; `at` never does), "
			 "`event`, `actor` (who),\n"
			 "`object` (what), `reason` (why), `request_id` (the same in all records of one change), `renewal_id` "
			 "of the order, `detail`.\n\n"
			 "| event | object | what happened | reason where nobody gave one |\n|---|---|---|---|\n");
	for (unsigned e = 0; e < AUDIT_EVENT_COUNT; e++) {
		const struct audit_event_info *i = audit_event_info((enum audit_event)e);
		buf_add_fmt(to, "| `%s` | %s | %s | %s |\n", audit_event_name((enum audit_event)e),
			    audit_object_name(i->object), i->about, i->why);
	}
}
