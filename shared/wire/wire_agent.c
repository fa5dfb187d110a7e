/* wire_agent.c - room shared/wire: the table of agent <-> controller messages and of the join port.
 * Never: a row without a struct in shared/model/messages.h; a type without a row is refused. */
#include "shared/wire/wire_table.h"

enum { BODY_MAX = 8192, BUNDLE_BODY_MAX = 25088 /* four roots of CERT_DER_MAX */, JOIN_BODY_MAX = 2048 };

static const struct wire_field hello_fields[] = {
	WIRE_FIELD(1, struct msg_hello, version),
	WIRE_FIELD(2, struct msg_hello, name),
	WIRE_FIELD(3, struct msg_hello, host_hash),
	WIRE_FIELD(4, struct msg_hello, boot_id),
	WIRE_FIELD(5, struct msg_hello, generation),
	WIRE_FIELD(6, struct msg_hello, now_at),
	WIRE_FIELD(7, struct msg_hello, bundle_epoch),
	WIRE_FIELD(8, struct msg_hello, targets),
};
static const struct wire_message hello = WIRE_MESSAGE(MSG_HELLO, "hello", "agent", struct msg_hello, hello_fields,
	"First frame of a connection, at most 4 KiB.");

static const struct wire_field target_fields[] = {
	WIRE_FIELD(1, struct msg_target, cert_id),
	WIRE_FIELD(2, struct msg_target, service),
	WIRE_FIELD(3, struct msg_target, template_id),
	WIRE_FIELD(4, struct msg_target, stem),
	WIRE_FIELD(5, struct msg_target, names),
	WIRE_FIELD(6, struct msg_target, reload_kind),
	WIRE_FIELD(7, struct msg_target, verify_kind),
	WIRE_FIELD(8, struct msg_target, listeners),
	WIRE_FIELD(9, struct msg_target, digest),
	WIRE_FIELD(10, struct msg_target, served),
	WIRE_FIELD(11, struct msg_target, retired),
	WIRE_FIELD(12, struct msg_target, last),
	WIRE_FIELD(13, struct msg_target, code),
	WIRE_FIELD(14, struct msg_target, stale_since_at),
	WIRE_FIELD(15, struct msg_target, rehearsed_at),
	WIRE_FIELD(16, struct msg_target, drifted_at),
	WIRE_FIELD(17, struct msg_target, drifts),
	WIRE_FIELD(18, struct msg_target, window),
};
static const struct wire_message target = WIRE_MESSAGE(MSG_TARGET, "target", "agent", struct msg_target, target_fields,
	"A target file's proposal, or its end. Repeated after every welcome.");

static const struct wire_field signed_fields[] = {
	WIRE_SPAN(1, struct msg_signed, body, BODY_MAX),
	WIRE_SPAN(2, struct msg_signed, signature, MSG_SIGNATURE_MAX),
};
static const struct wire_message csr = WIRE_MESSAGE(MSG_CSR, "csr", "agent", struct msg_signed, signed_fields,
	"Signed body \"csr\": the certificate request of an order.");
static const struct wire_message agent_identity = WIRE_MESSAGE(MSG_AGENT_IDENTITY, "agent_identity", "agent",
	struct msg_signed, signed_fields, "Signed body \"identity\": the link key wants a new certificate.");
static const struct wire_field inventory_fields[] = {
	WIRE_SPAN(1, struct msg_signed, body, INVENTORY_BODY_MAX),
	WIRE_SPAN(2, struct msg_signed, signature, MSG_SIGNATURE_MAX),
};
static const struct wire_message inventory = WIRE_MESSAGE(MSG_INVENTORY, "inventory", "agent", struct msg_signed, inventory_fields,
	"Signed body \"inventory\": what the host's listeners serve. Repeated until it is acked or a newer one comes.");
static const struct wire_message receipt = WIRE_MESSAGE(MSG_RECEIPT, "receipt", "agent", struct msg_signed, signed_fields,
	"Signed body \"receipt\". Repeated until it is acked.");

static const struct wire_field step_fields[] = {
	WIRE_FIELD(1, struct msg_step, renewal_id),
	WIRE_FIELD(2, struct msg_step, attempt),
	WIRE_ENUM(3, struct msg_step, step, "step", STEP_COUNT),
	WIRE_FIELD(4, struct msg_step, code),
	WIRE_FIELD(5, struct msg_step, at),
};
static const struct wire_message step = WIRE_MESSAGE(MSG_STEP, "step", "agent", struct msg_step, step_fields,
	"A live event between the durable steps; may be lost.");

static const struct wire_field health_fields[] = {
	WIRE_FIELD(1, struct msg_health, now_at),
	WIRE_FIELD(2, struct msg_health, skew_ms),
	WIRE_FIELD(3, struct msg_health, targets),
	WIRE_FIELD(4, struct msg_health, stale),
	WIRE_FIELD(5, struct msg_health, degraded),
};
static const struct wire_message health = WIRE_MESSAGE(MSG_HEALTH, "health", "agent", struct msg_health, health_fields,
	"On change and every 10 minutes; not acked.");

static const struct wire_field drift_fields[] = {
	WIRE_FIELD(1, struct msg_drift, cert_id),
	WIRE_FIELD(2, struct msg_drift, stem),
	WIRE_FIELD(3, struct msg_drift, file),
	WIRE_FIELD(4, struct msg_drift, kind),
	WIRE_FIELD(5, struct msg_drift, files),
	WIRE_FIELD(6, struct msg_drift, uid),
	WIRE_FIELD(7, struct msg_drift, mode),
	WIRE_FIELD(8, struct msg_drift, links),
	WIRE_FIELD(9, struct msg_drift, changed_at),
	WIRE_FIELD(10, struct msg_drift, seen_at),
	WIRE_FIELD(11, struct msg_drift, rival),
};
static const struct wire_message drift = WIRE_MESSAGE(MSG_DRIFT, "drift", "agent", struct msg_drift, drift_fields,
	"Somebody changed a file of a target; live, may be lost. The receipt of the repair follows.");

static const struct wire_field ack_fields[] = {
	WIRE_FIELD(1, struct msg_ack, id),
	WIRE_FIELD(2, struct msg_ack, seq),
	WIRE_FIELD(3, struct msg_ack, code),
	WIRE_FIELD(4, struct msg_ack, text),
};
static const struct wire_message agent_ack = WIRE_MESSAGE(MSG_AGENT_ACK, "agent_ack", "agent", struct msg_ack, ack_fields,
	"The order or certificate is in the keeper's journal, or is refused for good.");
static const struct wire_message ack = WIRE_MESSAGE(MSG_ACK, "ack", "controller", struct msg_ack, ack_fields,
	"The message is committed in the store, or is refused for good.");

static const struct wire_field welcome_fields[] = {
	WIRE_FIELD(1, struct msg_welcome, epoch),
	WIRE_FIELD(2, struct msg_welcome, agent),
	WIRE_FIELD(3, struct msg_welcome, now_at),
	WIRE_FIELD(4, struct msg_welcome, receipt_seq),
	WIRE_FIELD(5, struct msg_welcome, identity_not_after_at),
	WIRE_FIELD(6, struct msg_welcome, bundle_epoch),
};
static const struct wire_message welcome = WIRE_MESSAGE(MSG_WELCOME, "welcome", "controller", struct msg_welcome,
	welcome_fields, "Repeatable. \"Connected\" begins here; the agent sends again what is unacked.");

static const struct wire_field order_fields[] = {
	WIRE_FIELD(1, struct msg_order, renewal_id),
	WIRE_FIELD(2, struct msg_order, attempt),
	WIRE_FIELD(3, struct msg_order, cert_id),
	WIRE_ENUM(4, struct msg_order, trigger, "trigger", TRIGGER_COUNT),
	WIRE_ENUM(5, struct msg_order, key_type, "key_type", KEY_TYPE_COUNT),
	WIRE_FIELD(6, struct msg_order, names),
	WIRE_FIELD(7, struct msg_order, common_name),
	WIRE_FIELD(8, struct msg_order, deadline_at),
	WIRE_FIELD(9, struct msg_order, post_validation),
	WIRE_FIELD(10, struct msg_order, any_time),
};
static const struct wire_message order = WIRE_MESSAGE(MSG_ORDER, "order", "controller", struct msg_order, order_fields,
	"Make a key and send its request. Repeated after every welcome while the order is open.");

static const struct wire_field certificate_fields[] = {
	WIRE_FIELD(1, struct msg_certificate, renewal_id),
	WIRE_FIELD(2, struct msg_certificate, attempt),
	WIRE_FIELD(3, struct msg_certificate, cert_id),
	WIRE_ENUM(4, struct msg_certificate, trigger, "trigger", TRIGGER_COUNT),
	WIRE_FIELD(5, struct msg_certificate, deadline_at),
	WIRE_FIELD(6, struct msg_certificate, post_validation),
	WIRE_FIELD(7, struct msg_certificate, stage),
	WIRE_SPAN(8, struct msg_certificate, certificate, CERT_DER_MAX),
	WIRE_SPAN(9, struct msg_certificate, chain, CHAIN_DER_MAX),
	WIRE_FIELD(10, struct msg_certificate, any_time),
};
static const struct wire_message certificate = WIRE_MESSAGE(MSG_CERTIFICATE, "certificate", "controller",
	struct msg_certificate, certificate_fields, "The issued certificate; deploy and prove it before the deadline.");

static const struct wire_field bundle_signature_fields[] = {
	WIRE_FIELD(1, struct bundle_signature, key),
	WIRE_SPAN(2, struct bundle_signature, signature, MSG_SIGNATURE_MAX),
};
static const struct wire_message bundle_signature = WIRE_MESSAGE(0, "bundle signature", "", struct bundle_signature,
	bundle_signature_fields, "One root's signature.");
static const struct wire_field bundle_fields[] = {
	WIRE_SPAN(1, struct msg_bundle, body, BUNDLE_BODY_MAX),
	WIRE_ROWS_OF(2, struct msg_bundle, signatures, n_signatures, &bundle_signature),
};
static const struct wire_message bundle = WIRE_MESSAGE(MSG_BUNDLE, "bundle", "controller", struct msg_bundle, bundle_fields,
	"Signed body \"bundle\": the trust bundle, signed by roots of the one before.");

static const struct wire_field identity_fields[] = {
	WIRE_SPAN(1, struct msg_identity, certificate, CERT_DER_MAX),
	WIRE_SPAN(2, struct msg_identity, chain, CHAIN_DER_MAX),
};
static const struct wire_message identity = WIRE_MESSAGE(MSG_IDENTITY, "identity", "controller", struct msg_identity,
	identity_fields, "The answer to agent_identity: a new certificate for the link key.");

static const struct wire_field crl_fields[] = {
	WIRE_FIELD(1, struct msg_crl, hash),
	WIRE_FIELD(2, struct msg_crl, size),
	WIRE_FIELD(3, struct msg_crl, made_at),
	WIRE_FIELD(4, struct msg_crl, spread_ms),
};
static const struct wire_message crl = WIRE_MESSAGE(MSG_CRL, "crl", "controller", struct msg_crl, crl_fields,
	"Other revocation lists are published; hosts that need them fetch /crl/all.pem. After each welcome and on change; not acked.");

static const struct wire_field cancel_fields[] = {
	WIRE_FIELD(1, struct msg_cancel, renewal_id),
	WIRE_FIELD(2, struct msg_cancel, attempt),
	WIRE_FIELD(3, struct msg_cancel, code),
};
static const struct wire_message cancel = WIRE_MESSAGE(MSG_CANCEL, "cancel", "controller", struct msg_cancel, cancel_fields,
	"Drop the order if it has not flipped yet.");

static const struct wire_field bye_fields[] = {
	WIRE_FIELD(1, struct msg_bye, code),
	WIRE_FIELD(2, struct msg_bye, text),
};
static const struct wire_message bye = WIRE_MESSAGE(MSG_BYE, "bye", "controller", struct msg_bye, bye_fields,
	"The connection ends now, and why.");

static const struct wire_message *const agent_messages[] = {
	&hello, &target, &csr, &agent_identity, &step, &receipt, &health, &drift, &agent_ack,
	&welcome, &order, &certificate, &bundle, &identity, &cancel, &ack, &bye, &inventory, &crl,
};
const struct wire_table wire_agent = {
	.name = "agent",
	.about = "Agent and controller, as binary frames of the websocket subprotocol vcc-agent.v1, opaque to link and gateway.",
	.messages = agent_messages,
	.n_messages = N_ELEMENTS(agent_messages),
	.frame_max = FRAME_MAX,
};

static const struct wire_field join_fields[] = {
	WIRE_SPAN(1, struct msg_join, body, JOIN_BODY_MAX),
	WIRE_SPAN(2, struct msg_join, token_key, 32),
	WIRE_SPAN(3, struct msg_join, token_signature, MSG_SIGNATURE_MAX),
	WIRE_SPAN(4, struct msg_join, host_signature, MSG_SIGNATURE_MAX),
	WIRE_SPAN(5, struct msg_join, link_signature, MSG_SIGNATURE_MAX),
};
static const struct wire_message join_request = WIRE_MESSAGE(JOIN_REQUEST, "join", "host", struct msg_join, join_fields,
	"Signed body \"join\" with three signatures. At most 4 KiB.");

static const struct wire_field join_reply_fields[] = {
	WIRE_FIELD(1, struct msg_join_reply, code),
	WIRE_FIELD(2, struct msg_join_reply, text),
	WIRE_FIELD(3, struct msg_join_reply, agent),
	WIRE_FIELD(4, struct msg_join_reply, service),
	WIRE_FIELD(5, struct msg_join_reply, domain),
	WIRE_FIELD(6, struct msg_join_reply, address),
	WIRE_FIELD(7, struct msg_join_reply, names),
	WIRE_FIELD(8, struct msg_join_reply, now_at),
	WIRE_SPAN(9, struct msg_join_reply, certificate, CERT_DER_MAX),
	WIRE_SPAN(10, struct msg_join_reply, chain, CHAIN_DER_MAX),
	WIRE_SPAN(11, struct msg_join_reply, bundle, CHAIN_DER_MAX),
};
static const struct wire_message join_reply = WIRE_MESSAGE(JOIN_REPLY, "join_reply", "controller", struct msg_join_reply,
	join_reply_fields, "Identity, address and bundle of the new agent, or why not.");

static const struct wire_field return_ask_fields[] = {
	WIRE_FIELD(1, struct msg_return_ask, agent),
};
static const struct wire_message return_ask = WIRE_MESSAGE(JOIN_RETURN_ASK, "return_ask", "host", struct msg_return_ask,
	return_ask_fields, "This agent's identity has ended: what is it to sign?");

static const struct wire_field challenge_fields[] = {
	WIRE_FIELD(1, struct msg_challenge, now_at),
	WIRE_SPAN(2, struct msg_challenge, challenge, CHALLENGE_MAX),
};
static const struct wire_message challenge = WIRE_MESSAGE(JOIN_CHALLENGE, "challenge", "controller", struct msg_challenge,
	challenge_fields, "To be named in the signed body within a minute.");

static const struct wire_field return_fields[] = {
	WIRE_FIELD(1, struct msg_return, agent),
	WIRE_SPAN(2, struct msg_return, body, JOIN_BODY_MAX),
	WIRE_SPAN(3, struct msg_return, host_signature, MSG_SIGNATURE_MAX),
	WIRE_SPAN(4, struct msg_return, link_signature, MSG_SIGNATURE_MAX),
};
static const struct wire_message join_return = WIRE_MESSAGE(JOIN_RETURN, "return", "host", struct msg_return, return_fields,
	"Signed body \"return\" with two signatures; answered by a join_reply.");

static const struct wire_message *const join_messages[] = {
	&join_request, &join_reply, &return_ask, &challenge, &join_return,
};
const struct wire_table wire_join = {
	.name = "ipc-join",
	.about = "Join port: the body of one POST /join and of its answer.",
	.messages = join_messages,
	.n_messages = N_ELEMENTS(join_messages),
	.frame_max = 16384,
};
