/* wire_bodies.c - room shared/wire: tables of the bodies that are signed as bytes. A signature covers
 * label || 0x00 || body, and nothing is parsed from a body before its signature has been checked.
 * Never: envelopes; a body travels as a byte field of some message. */
#include "shared/wire/wire_table.h"

static const struct wire_field csr_fields[] = {
	WIRE_FIELD(1, struct body_csr, renewal_id),
	WIRE_FIELD(2, struct body_csr, attempt),
	WIRE_FIELD(3, struct body_csr, cert_id),
	WIRE_FIELD(4, struct body_csr, made_at),
	WIRE_SPAN(5, struct body_csr, csr, MSG_CSR_MAX),
};
const struct wire_message wire_body_csr = WIRE_MESSAGE(0, "csr", LABEL_CSR, struct body_csr, csr_fields,
	"Host key signs: the request for one attempt of one order. Only key and proof of possession of the PKCS#10 are used.");

static const struct wire_field identity_fields[] = {
	WIRE_FIELD(1, struct body_identity, name),
	WIRE_FIELD(2, struct body_identity, made_at),
	WIRE_SPAN(3, struct body_identity, csr, MSG_CSR_MAX),
};
const struct wire_message wire_body_identity = WIRE_MESSAGE(0, "identity", LABEL_IDENTITY, struct body_identity,
	identity_fields, "Host key signs: the request for a new certificate of the link key.");

static const struct wire_field receipt_step_fields[] = {
	WIRE_ENUM(1, struct receipt_step, step, "step", STEP_COUNT),
	WIRE_FIELD(2, struct receipt_step, code),
	WIRE_FIELD(3, struct receipt_step, at),
	WIRE_FIELD(4, struct receipt_step, took_ms),
	WIRE_FIELD(5, struct receipt_step, detail),
};
static const struct wire_message receipt_step = WIRE_MESSAGE(0, "receipt step", "", struct receipt_step,
	receipt_step_fields, "One step of the workflow on the host.");

static const struct wire_field receipt_listener_fields[] = {
	WIRE_FIELD(1, struct receipt_listener, address),
	WIRE_FIELD(2, struct receipt_listener, fingerprint),
	WIRE_FIELD(3, struct receipt_listener, proved),
};
static const struct wire_message receipt_listener = WIRE_MESSAGE(0, "receipt listener", "", struct receipt_listener,
	receipt_listener_fields, "What one listener served at the end.");

static const struct wire_field receipt_fields[] = {
	WIRE_FIELD(1, struct body_receipt, seq),
	WIRE_FIELD(2, struct body_receipt, renewal_id),
	WIRE_FIELD(3, struct body_receipt, attempt),
	WIRE_FIELD(4, struct body_receipt, cert_id),
	WIRE_ENUM(5, struct body_receipt, outcome, "outcome", RECEIPT_OUTCOME_COUNT),
	WIRE_FIELD(6, struct body_receipt, fingerprint),
	WIRE_FIELD(7, struct body_receipt, old_fingerprint),
	WIRE_FIELD(8, struct body_receipt, serial),
	WIRE_FIELD(9, struct body_receipt, generation),
	WIRE_FIELD(10, struct body_receipt, code),
	WIRE_FIELD(11, struct body_receipt, cause),
	WIRE_FIELD(12, struct body_receipt, flags),
	WIRE_FIELD(13, struct body_receipt, probes),
	WIRE_FIELD(14, struct body_receipt, probes_failed),
	WIRE_FIELD(15, struct body_receipt, flipped_at),
	WIRE_FIELD(16, struct body_receipt, first_new_at),
	WIRE_FIELD(17, struct body_receipt, last_old_at),
	WIRE_FIELD(18, struct body_receipt, made_at),
	WIRE_FIELD(19, struct body_receipt, hook_status),
	WIRE_ROWS_OF(20, struct body_receipt, steps, n_steps, &receipt_step),
	WIRE_ROWS_OF(21, struct body_receipt, listeners, n_listeners, &receipt_listener),
	WIRE_FIELD(22, struct body_receipt, stem),
	WIRE_ENUM(23, struct body_receipt, reason, "reason", REFRESH_REASON_COUNT),
	WIRE_FIELD(24, struct body_receipt, trust_epoch),
	WIRE_ENUM(25, struct body_receipt, trust_proof, "trust_proof", TRUST_PROOF_COUNT),
	WIRE_FIELD(26, struct body_receipt, crl_hash),
	WIRE_FIELD(27, struct body_receipt, old_workers),
	WIRE_FIELD(28, struct body_receipt, oldest_ms),
};
const struct wire_message wire_body_receipt = WIRE_MESSAGE(0, "receipt", LABEL_RECEIPT, struct body_receipt, receipt_fields,
	"Host key signs: the account of one deployment.");

static const struct wire_field bundle_root_fields[] = {
	WIRE_SPAN(1, struct bundle_root, certificate, CERT_DER_MAX),
};
static const struct wire_message bundle_root = WIRE_MESSAGE(0, "bundle root", "", struct bundle_root, bundle_root_fields,
	"One trusted root, DER.");

static const struct wire_field bundle_fields[] = {
	WIRE_FIELD(1, struct body_bundle, epoch),
	WIRE_FIELD(2, struct body_bundle, previous),
	WIRE_FIELD(3, struct body_bundle, threshold),
	WIRE_FIELD(4, struct body_bundle, made_at),
	WIRE_ROWS_OF(5, struct body_bundle, roots, n_roots, &bundle_root),
};
const struct wire_message wire_body_bundle = WIRE_MESSAGE(0, "bundle", LABEL_BUNDLE, struct body_bundle, bundle_fields,
	"Root keys of the bundle before it sign: the roots that hosts trust.");

static const struct wire_field join_fields[] = {
	WIRE_FIELD(1, struct body_join, pin),
	WIRE_FIELD(2, struct body_join, name),
	WIRE_SPAN(3, struct body_join, host_spki, SPKI_MAX),
	WIRE_SPAN(4, struct body_join, link_spki, SPKI_MAX),
	WIRE_FIELD(5, struct body_join, made_at),
	WIRE_FIELD(6, struct body_join, version),
};
const struct wire_message wire_body_join = WIRE_MESSAGE(0, "join", LABEL_JOIN, struct body_join, join_fields,
	"Token key, host key and link key sign: who wants to join with which keys.");

static const struct wire_field inventory_row_fields[] = {
	WIRE_FIELD(1, struct inventory_listener, address),
	WIRE_FIELD(2, struct inventory_listener, program),
	WIRE_FIELD(3, struct inventory_listener, user),
	WIRE_FIELD(4, struct inventory_listener, unit),
	WIRE_FIELD(5, struct inventory_listener, starttls),
	WIRE_FIELD(6, struct inventory_listener, fingerprint),
	WIRE_FIELD(7, struct inventory_listener, subject),
	WIRE_FIELD(8, struct inventory_listener, issuer),
	WIRE_FIELD(9, struct inventory_listener, names),
	WIRE_FIELD(10, struct inventory_listener, n_names),
	WIRE_FIELD(11, struct inventory_listener, not_before_at),
	WIRE_FIELD(12, struct inventory_listener, not_after_at),
	WIRE_FIELD(13, struct inventory_listener, self_signed),
	WIRE_FIELD(14, struct inventory_listener, chain),
};
static const struct wire_message inventory_row = WIRE_MESSAGE(0, "inventory listener", "", struct inventory_listener,
	inventory_row_fields, "One listener and what it serves to a client that asks for no name.");

static const struct wire_field inventory_fields[] = {
	WIRE_FIELD(1, struct body_inventory, observed_at),
	WIRE_FIELD(2, struct body_inventory, found),
	WIRE_ROWS_OF(3, struct body_inventory, rows, n_rows, &inventory_row),
};
const struct wire_message wire_body_inventory = WIRE_MESSAGE(0, "inventory", LABEL_INVENTORY, struct body_inventory,
	inventory_fields, "Host key signs: every TLS listener of the host, as one handshake each showed it.");

/* A field takes at most three bytes more than its value, the row's map one: a full report is one frame. */
_Static_assert(INVENTORY_MAX * (sizeof(struct inventory_listener) - AGENT_NAME_SIZE + 4 * N_ELEMENTS(inventory_row_fields) + 1) + 64 <=
                       INVENTORY_BODY_MAX,
               "a full inventory must fit into one frame");

static const struct wire_field return_fields[] = {
	WIRE_FIELD(1, struct body_return, pin),
	WIRE_FIELD(2, struct body_return, name),
	WIRE_FIELD(3, struct body_return, host_hash),
	WIRE_SPAN(4, struct body_return, link_spki, SPKI_MAX),
	WIRE_SPAN(5, struct body_return, challenge, CHALLENGE_MAX),
	WIRE_FIELD(6, struct body_return, made_at),
	WIRE_FIELD(7, struct body_return, version),
};
const struct wire_message wire_body_return = WIRE_MESSAGE(0, "return", LABEL_RETURN, struct body_return, return_fields,
	"Host key and link key sign: an agent whose identity has ended wants one for this link key.");
