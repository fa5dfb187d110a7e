/* wire_gw.c - room shared/wire: the table of gateway <-> controller messages.
 * Never: knowledge of what an agent's frame holds. */
#include "shared/wire/wire_table.h"

enum { JOIN_REQUEST_MAX = 4096, JOIN_REPLY_MAX = 16384 };

static const struct wire_field hello_fields[] = {
	WIRE_FIELD(1, struct gw_hello, name),
	WIRE_FIELD(2, struct gw_hello, boot_id),
	WIRE_FIELD(3, struct gw_hello, version),
	WIRE_FIELD(4, struct gw_hello, listen),
	WIRE_FIELD(5, struct gw_hello, join_listen),
};
static const struct wire_message hello = WIRE_MESSAGE(GW_HELLO, "hello", "gateway", struct gw_hello, hello_fields,
	"First frame: which gateway, which run, where it listens.");

static const struct wire_field up_fields[] = {
	WIRE_FIELD(1, struct gw_up, session),
	WIRE_FIELD(2, struct gw_up, identity),
	WIRE_FIELD(3, struct gw_up, agent),
	WIRE_FIELD(4, struct gw_up, host_hash),
	WIRE_FIELD(5, struct gw_up, not_after_at),
	WIRE_FIELD(6, struct gw_up, address),
};
static const struct wire_message up = WIRE_MESSAGE(GW_UP, "up", "gateway", struct gw_up, up_fields,
	"A session stands; the facts are those of its verified client certificate.");

static const struct wire_field down_fields[] = {
	WIRE_FIELD(1, struct gw_down, session),
	WIRE_FIELD(2, struct gw_down, code),
};
static const struct wire_message down = WIRE_MESSAGE(GW_DOWN, "down", "gateway", struct gw_down, down_fields,
	"A session ended.");

static const struct wire_field roster_fields[] = {
	WIRE_FIELD(1, struct gw_roster, sessions),
};
static const struct wire_message roster_begin = WIRE_MESSAGE(GW_ROSTER_BEGIN, "roster_begin", "gateway", struct gw_roster,
	roster_fields, "After hello: so many up messages follow, all there are.");
static const struct wire_message roster_end = WIRE_MESSAGE(GW_ROSTER_END, "roster_end", "gateway", struct gw_roster,
	roster_fields, "The roster is complete.");

static const struct wire_field frame_fields[] = {
	WIRE_FIELD(1, struct gw_frame, session),
	WIRE_SPAN(2, struct gw_frame, frame, FRAME_MAX),
};
static const struct wire_message frame = WIRE_MESSAGE(GW_FRAME, "frame", "gateway", struct gw_frame, frame_fields,
	"An agent's frame, checked and unchanged.");

static const struct wire_field send_fields[] = {
	WIRE_FIELD(1, struct gw_send, session),
	WIRE_FIELD(2, struct gw_send, id),
	WIRE_FIELD(3, struct gw_send, urgent),
	WIRE_SPAN(4, struct gw_send, frame, FRAME_MAX),
};
static const struct wire_message send = WIRE_MESSAGE(GW_SEND, "send", "controller", struct gw_send, send_fields,
	"A frame for one session; urgent ones overtake.");

static const struct wire_field kick_fields[] = {
	WIRE_FIELD(1, struct gw_kick, session),
	WIRE_FIELD(2, struct gw_kick, code),
	WIRE_FIELD(3, struct gw_kick, text),
};
static const struct wire_message kick = WIRE_MESSAGE(GW_KICK, "kick", "controller", struct gw_kick, kick_fields,
	"Close this session now.");

static const struct wire_field credit_fields[] = {
	WIRE_FIELD(1, struct gw_credit, frames),
};
static const struct wire_message credit = WIRE_MESSAGE(GW_CREDIT, "credit", "controller", struct gw_credit, credit_fields,
	"How many more frame and join messages the gateway may send.");

static const struct wire_field join_fields[] = {
	WIRE_FIELD(1, struct gw_join, request),
	WIRE_FIELD(2, struct gw_join, address),
	WIRE_SPAN(3, struct gw_join, body, JOIN_REQUEST_MAX),
};
static const struct wire_message join = WIRE_MESSAGE(GW_JOIN, "join", "gateway", struct gw_join, join_fields,
	"The body of a POST /join and where it came from.");

static const struct wire_field join_reply_fields[] = {
	WIRE_FIELD(1, struct gw_join_reply, request),
	WIRE_SPAN(2, struct gw_join_reply, body, JOIN_REPLY_MAX),
};
static const struct wire_message join_reply = WIRE_MESSAGE(GW_JOIN_REPLY, "join_reply", "controller", struct gw_join_reply,
	join_reply_fields, "The answer to that request.");

static const struct wire_field identity_fields[] = {
	WIRE_SPAN(1, struct gw_identity, csr, MSG_CSR_MAX),
};
static const struct wire_message identity = WIRE_MESSAGE(GW_IDENTITY, "identity", "gateway", struct gw_identity,
	identity_fields, "The gateway wants a certificate for its own TLS key.");

static const struct wire_field identity_reply_fields[] = {
	WIRE_FIELD(1, struct gw_identity_reply, code),
	WIRE_SPAN(2, struct gw_identity_reply, certificate, CERT_DER_MAX),
	WIRE_SPAN(3, struct gw_identity_reply, chain, CHAIN_DER_MAX),
};
static const struct wire_message identity_reply = WIRE_MESSAGE(GW_IDENTITY_REPLY, "identity_reply", "controller",
	struct gw_identity_reply, identity_reply_fields, "That certificate with its chain and root, or why not.");

static const struct wire_field trust_fields[] = {
	WIRE_SPAN(1, struct gw_trust, agents, CHAIN_DER_MAX),
	WIRE_FIELD(2, struct gw_trust, chain),
};
static const struct wire_message trust = WIRE_MESSAGE(GW_TRUST, "trust", "controller", struct gw_trust, trust_fields,
	"Whose certificates make a client an agent, and which chain the gateway should show. After hello, and when it changes.");

static const struct wire_message *const messages[] = {
	&hello, &up, &down, &roster_begin, &roster_end, &frame, &send, &kick, &credit, &join, &join_reply, &identity,
	&identity_reply, &trust,
};
const struct wire_table wire_gw = {
	.name = "gw",
	.about = "Gateway and controller over a local socket.",
	.messages = messages,
	.n_messages = N_ELEMENTS(messages),
	.frame_max = FRAME_MAX + 1024,
};
