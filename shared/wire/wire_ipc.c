/* wire_ipc.c - room shared/wire: the tables of the local sockets on the host and of controller <-> signer.
 * Never: a private key in any message. */
#include "shared/wire/wire_table.h"

enum { REPLY_MAX = 16384, CRL_ENTRY = 24, SIGNER_FRAME_MAX = 512 * 1024, CRL_DER_MAX = SIGNER_FRAME_MAX - 1024 };

/* ---- link <-> keeper ----------------------------------------------------------------------------------------- */

static const struct wire_field state_fields[] = {
	WIRE_FIELD(1, struct lk_state, connected),
	WIRE_FIELD(2, struct lk_state, code),
	WIRE_FIELD(3, struct lk_state, text),
};
static const struct wire_message state = WIRE_MESSAGE(LK_STATE, "state", "link", struct lk_state, state_fields,
	"The websocket stands or does not, and why.");

static const struct wire_field frame_fields[] = {
	WIRE_SPAN(1, struct lk_frame, frame, FRAME_MAX),
	WIRE_FIELD(2, struct lk_frame, urgent),
};
static const struct wire_message frame = WIRE_MESSAGE(LK_FRAME, "frame", "link, keeper", struct lk_frame, frame_fields,
	"A frame of the agent protocol, opaque to the link.");

static const struct wire_field csr_fields[] = {
	WIRE_SPAN(1, struct lk_csr, csr, MSG_CSR_MAX),
};
static const struct wire_message csr = WIRE_MESSAGE(LK_CSR, "csr", "link", struct lk_csr, csr_fields,
	"The link key wants a new certificate: sign this request with the host key.");

static const struct wire_field identity_fields[] = {
	WIRE_SPAN(1, struct lk_identity, certificate, CERT_DER_MAX),
	WIRE_SPAN(2, struct lk_identity, chain, CHAIN_DER_MAX),
};
static const struct wire_message identity = WIRE_MESSAGE(LK_IDENTITY, "identity", "keeper", struct lk_identity,
	identity_fields, "The new certificate of the link key.");

static const struct wire_field status_request_fields[] = {
	WIRE_FIELD(1, struct lk_status_request, detail),
};
static const struct wire_message status_request = WIRE_MESSAGE(LK_STATUS_REQUEST, "status_request", "vcc-agent status",
	struct lk_status_request, status_request_fields, "What does the keeper know?");

static const struct wire_field status_fields[] = {
	WIRE_SPAN(1, struct lk_status, json, STATUS_MAX),
};
static const struct wire_message status = WIRE_MESSAGE(LK_STATUS, "status", "keeper", struct lk_status, status_fields,
	"One JSON document.");

static const struct wire_field join_start_fields[] = {
	WIRE_FIELD(1, struct lk_join_start, token),
	WIRE_FIELD(2, struct lk_join_start, pin),
	WIRE_SPAN(3, struct lk_join_start, root, CERT_DER_MAX),
	WIRE_SPAN(4, struct lk_join_start, link_spki, SPKI_MAX),
	WIRE_FIELD(5, struct lk_join_start, link_version),
};
static const struct wire_message join_start = WIRE_MESSAGE(LK_JOIN_START, "join_start", "link", struct lk_join_start,
	join_start_fields, "vcc-agent join begins: token, pin and the root that the server sent.");

static const struct wire_field join_sign_fields[] = {
	WIRE_SPAN(1, struct lk_join_sign, body, 2048),
	WIRE_SPAN(2, struct lk_join_sign, token_key, 32),
	WIRE_SPAN(3, struct lk_join_sign, token_signature, MSG_SIGNATURE_MAX),
	WIRE_SPAN(4, struct lk_join_sign, host_signature, MSG_SIGNATURE_MAX),
};
static const struct wire_message join_sign = WIRE_MESSAGE(LK_JOIN_SIGN, "join_sign", "keeper", struct lk_join_sign,
	join_sign_fields, "Sign this body with the link key and post it.");

static const struct wire_field join_answer_fields[] = {
	WIRE_SPAN(1, struct lk_join_answer, reply, REPLY_MAX),
};
static const struct wire_message join_answer = WIRE_MESSAGE(LK_JOIN_ANSWER, "join_answer", "link", struct lk_join_answer,
	join_answer_fields, "The server's reply, unchanged.");

static const struct wire_field join_done_fields[] = {
	WIRE_FIELD(1, struct lk_join_done, code),
	WIRE_FIELD(2, struct lk_join_done, text),
	WIRE_FIELD(3, struct lk_join_done, agent),
	WIRE_FIELD(4, struct lk_join_done, domain),
	WIRE_FIELD(5, struct lk_join_done, address),
	WIRE_SPAN(6, struct lk_join_done, certificate, CERT_DER_MAX),
	WIRE_SPAN(7, struct lk_join_done, chain, CHAIN_DER_MAX),
	WIRE_SPAN(8, struct lk_join_done, root, CERT_DER_MAX),
};
static const struct wire_message join_done = WIRE_MESSAGE(LK_JOIN_DONE, "join_done", "keeper", struct lk_join_done,
	join_done_fields, "The keeper has stored its part; this is the link's.");

static const struct wire_field lk_inventory_fields[] = {
	WIRE_SPAN(1, struct lk_inventory, body, INVENTORY_BODY_MAX),
};
static const struct wire_message lk_inventory = WIRE_MESSAGE(LK_INVENTORY, "inventory", "vcc-agent observe", struct lk_inventory,
	lk_inventory_fields, "Body \"inventory\": sign it with the host key and send it on.");

static const struct wire_field lk_inventory_done_fields[] = {
	WIRE_FIELD(1, struct lk_inventory_done, code),
	WIRE_FIELD(2, struct lk_inventory_done, sent),
	WIRE_FIELD(3, struct lk_inventory_done, text),
};
static const struct wire_message lk_inventory_done = WIRE_MESSAGE(LK_INVENTORY_DONE, "inventory_done", "keeper",
	struct lk_inventory_done, lk_inventory_done_fields, "It was sent, or is kept until the controller is there, or is refused.");

static const struct wire_field return_fields[] = {
	WIRE_FIELD(1, struct lk_return, pin),
	WIRE_SPAN(2, struct lk_return, link_spki, SPKI_MAX),
	WIRE_SPAN(3, struct lk_return, challenge, CHALLENGE_MAX),
};
static const struct wire_message lk_return = WIRE_MESSAGE(LK_RETURN, "return", "link", struct lk_return, return_fields,
	"The link's identity has ended: the host key is to ask for a new one.");

static const struct wire_field return_sign_fields[] = {
	WIRE_SPAN(1, struct lk_return_sign, body, 2048),
	WIRE_SPAN(2, struct lk_return_sign, host_signature, MSG_SIGNATURE_MAX),
};
static const struct wire_message return_sign = WIRE_MESSAGE(LK_RETURN_SIGN, "return_sign", "keeper", struct lk_return_sign,
	return_sign_fields, "Sign this body with the link key and post it.");

static const struct wire_field return_answer_fields[] = {
	WIRE_SPAN(1, struct lk_return_answer, reply, REPLY_MAX),
};
static const struct wire_message return_answer = WIRE_MESSAGE(LK_RETURN_ANSWER, "return_answer", "link",
	struct lk_return_answer, return_answer_fields, "The server's reply, unchanged.");

static const struct wire_field return_done_fields[] = {
	WIRE_FIELD(1, struct lk_return_done, code),
	WIRE_FIELD(2, struct lk_return_done, text),
	WIRE_FIELD(3, struct lk_return_done, now_at),
	WIRE_FIELD(4, struct lk_return_done, address),
	WIRE_SPAN(5, struct lk_return_done, certificate, CERT_DER_MAX),
	WIRE_SPAN(6, struct lk_return_done, chain, CHAIN_DER_MAX),
};
static const struct wire_message return_done = WIRE_MESSAGE(LK_RETURN_DONE, "return_done", "keeper", struct lk_return_done,
	return_done_fields, "The keeper has judged the reply: the link's new certificate, or why there is none.");

static const struct wire_field fetch_fields[] = {
	WIRE_FIELD(1, struct lk_fetch, request),
	WIRE_ENUM(2, struct lk_fetch, kind, "kind", FETCH_KIND_COUNT),
	WIRE_FIELD(3, struct lk_fetch, hash),
	WIRE_FIELD(4, struct lk_fetch, limit),
};
static const struct wire_message fetch = WIRE_MESSAGE(LK_FETCH, "fetch", "keeper", struct lk_fetch, fetch_fields,
	"Get this from the public listener, instead of what is being got.");

static const struct wire_field piece_fields[] = {
	WIRE_FIELD(1, struct lk_piece, request),
	WIRE_FIELD(2, struct lk_piece, offset),
	WIRE_FIELD(3, struct lk_piece, total),
	WIRE_FIELD(4, struct lk_piece, last),
	WIRE_FIELD(5, struct lk_piece, code),
	WIRE_FIELD(6, struct lk_piece, text),
	WIRE_SPAN(7, struct lk_piece, bytes, PIECE_MAX),
};
static const struct wire_message piece = WIRE_MESSAGE(LK_PIECE, "piece", "link", struct lk_piece, piece_fields,
	"The next bytes of what is being got, or why there are no more.");

static const struct wire_message *const link_messages[] = {
	&state, &frame, &csr, &identity, &status_request, &status, &join_start, &join_sign, &join_answer, &join_done,
	&lk_inventory, &lk_inventory_done, &lk_return, &return_sign, &return_answer, &return_done, &fetch, &piece,
};
const struct wire_table wire_link = {
	.name = "ipc-link",
	.about = "Link and keeper over a local socket; `vcc-agent status`, `join` and `observe` speak it, too.",
	.messages = link_messages,
	.n_messages = N_ELEMENTS(link_messages),
	.frame_max = STATUS_MAX + 1024,
};

/* ---- keeper <-> hook ----------------------------------------------------------------------------------------- */

static const struct wire_field hook_request_fields[] = {
	WIRE_FIELD(1, struct hk_request, stem),
	WIRE_ENUM(2, struct hk_request, verb, "verb", HOOK_VERB_COUNT),
	WIRE_FIELD(3, struct hk_request, generation),
	WIRE_FIELD(4, struct hk_request, reloaded_ms),
};
static const struct wire_message hook_request = WIRE_MESSAGE(HK_REQUEST, "request", "keeper", struct hk_request,
	hook_request_fields, "Do this verb for this target; what that means stands in the root-owned target file.");

static const struct wire_field hook_reply_fields[] = {
	WIRE_FIELD(1, struct hk_reply, code),
	WIRE_FIELD(2, struct hk_reply, status),
	WIRE_FIELD(3, struct hk_reply, took_ms),
	WIRE_FIELD(4, struct hk_reply, tested),
	WIRE_FIELD(5, struct hk_reply, output),
	WIRE_FIELD(6, struct hk_reply, old_workers),
	WIRE_FIELD(7, struct hk_reply, oldest_ms),
};
static const struct wire_message hook_reply = WIRE_MESSAGE(HK_REPLY, "reply", "hook", struct hk_reply, hook_reply_fields,
	"What happened: a hint, never a proof.");

static const struct wire_message *const hook_messages[] = {&hook_request, &hook_reply};
const struct wire_table wire_hook = {
	.name = "ipc-hook",
	.about = "Keeper and hook: one request and one reply per connection.",
	.messages = hook_messages,
	.n_messages = N_ELEMENTS(hook_messages),
	.frame_max = 4096,
};

/* ---- controller <-> signer ----------------------------------------------------------------------------------- */

static const struct wire_field signer_hello_fields[] = {
	WIRE_FIELD(1, struct sg_hello, version),
	WIRE_FIELD(2, struct sg_hello, window_top),
	WIRE_FIELD(3, struct sg_hello, issuers),
};
static const struct wire_message signer_hello = WIRE_MESSAGE(SG_HELLO, "hello", "signer", struct sg_hello,
	signer_hello_fields, "First frame: new serials are to be reserved above the window's top.");

static const struct wire_field issuer_fields[] = {
	WIRE_FIELD(1, struct sg_issuer, issuer_id),
	WIRE_SPAN(2, struct sg_issuer, certificate, CERT_DER_MAX),
};
static const struct wire_message issuer = WIRE_MESSAGE(SG_ISSUER, "issuer", "signer", struct sg_issuer, issuer_fields,
	"One per certification authority, after hello.");

static const struct wire_field issue_fields[] = {
	WIRE_INNER(1, struct sg_issue, facts.issuer_id, "issuer_id"),
	WIRE_ENUM(2, struct sg_issue, facts.profile, "profile", LEAF_PROFILE_COUNT),
	WIRE_INNER(3, struct sg_issue, facts.serial, "serial"),
	WIRE_INNER(4, struct sg_issue, facts.not_before_at, "not_before_at"),
	WIRE_INNER(5, struct sg_issue, facts.not_after_at, "not_after_at"),
	WIRE_INNER(6, struct sg_issue, facts.organisation, "organisation"),
	WIRE_INNER(7, struct sg_issue, facts.common_name, "common_name"),
	WIRE_INNER(8, struct sg_issue, facts.host_hash, "host_hash"),
	WIRE_INNER(9, struct sg_issue, facts.uri, "uri"),
	WIRE_INNER(10, struct sg_issue, facts.names.text, "names"),
	WIRE_BLOB_OF(11, struct sg_issue, facts.spki, facts.spki_len, "spki"),
	WIRE_ENUM(12, struct sg_issue, facts.key_type, "key_type", KEY_TYPE_COUNT),
	WIRE_INNER(13, struct sg_issue, facts.key_usage, "key_usage"),
	WIRE_INNER(14, struct sg_issue, facts.ext_key_usage, "ext_key_usage"),
	WIRE_ENUM(15, struct sg_issue, facts.hash_alg, "hash_alg", HASH_ALG_COUNT),
	WIRE_INNER(16, struct sg_issue, facts.crl_shard, "crl_shard"),
	WIRE_FIELD(17, struct sg_issue, tbs_hash),
};
static const struct wire_message issue = WIRE_MESSAGE(SG_ISSUE, "issue", "controller", struct sg_issue, issue_fields,
	"The facts of a certificate; the signer builds the bytes itself and compares their hash.");

static const struct wire_field issued_fields[] = {
	WIRE_FIELD(1, struct sg_issued, code),
	WIRE_FIELD(2, struct sg_issued, text),
	WIRE_FIELD(3, struct sg_issued, serial),
	WIRE_SPAN(4, struct sg_issued, certificate, CERT_DER_MAX),
};
static const struct wire_message issued = WIRE_MESSAGE(SG_ISSUED, "issued", "signer", struct sg_issued, issued_fields,
	"The certificate, or why not.");

static const struct wire_field crl_fields[] = {
	WIRE_FIELD(1, struct sg_crl, issuer_id),
	WIRE_FIELD(2, struct sg_crl, shard),
	WIRE_FIELD(3, struct sg_crl, number),
	WIRE_FIELD(4, struct sg_crl, this_update_at),
	WIRE_FIELD(5, struct sg_crl, next_update_at),
	WIRE_FIELD(6, struct sg_crl, root),
	WIRE_SPAN(7, struct sg_crl, entries, CRL_ENTRY * ISSUANCES_PER_SHARD),
};
static const struct wire_message crl = WIRE_MESSAGE(SG_CRL, "crl", "controller", struct sg_crl, crl_fields,
	"The content of one revocation list.");

static const struct wire_field crl_done_fields[] = {
	WIRE_FIELD(1, struct sg_crl_done, code),
	WIRE_FIELD(2, struct sg_crl_done, text),
	WIRE_FIELD(3, struct sg_crl_done, issuer_id),
	WIRE_FIELD(4, struct sg_crl_done, shard),
	WIRE_FIELD(5, struct sg_crl_done, number),
	WIRE_SPAN(6, struct sg_crl_done, crl, CRL_DER_MAX),
};
static const struct wire_message crl_done = WIRE_MESSAGE(SG_CRL_DONE, "crl_done", "signer", struct sg_crl_done,
	crl_done_fields, "The signed revocation list, or why not.");

static const struct wire_field head_fields[] = {
	WIRE_FIELD(1, struct sg_head, size),
	WIRE_FIELD(2, struct sg_head, root),
	WIRE_FIELD(3, struct sg_head, at),
};
static const struct wire_message tree_head = WIRE_MESSAGE(SG_HEAD, "head", "controller", struct sg_head, head_fields,
	"The audit tree's head; the signer signs label, size, root and time.");

static const struct wire_field head_done_fields[] = {
	WIRE_FIELD(1, struct sg_head_done, code),
	WIRE_SPAN(2, struct sg_head_done, signature, MSG_SIGNATURE_MAX),
};
static const struct wire_message head_done = WIRE_MESSAGE(SG_HEAD_DONE, "head_done", "signer", struct sg_head_done,
	head_done_fields, "The signature, or why not.");

static const struct wire_message *const signer_messages[] = {
	&signer_hello, &issuer, &issue, &issued, &crl, &crl_done, &tree_head, &head_done,
};
const struct wire_table wire_signer = {
	.name = "ipc-signer",
	.about = "Controller and signer over a local socket. Facts go in, signed bytes come out.",
	.messages = signer_messages,
	.n_messages = N_ELEMENTS(signer_messages),
	.frame_max = SIGNER_FRAME_MAX,
};
