/* wire.h - room shared/wire: bytes <-> messages by tables. The only room that includes msgpack-c.
 * A frame is the msgpack array [version, type, id, fields]; fields is a map from field number to value, each
 * field exactly once, in ascending order. Strict: the cursor (cursor.h) walks the whole frame against the table before
 * msgpack-c sees it, and msgpack-c is given one scalar at a time, so decoding allocates nothing at all.
 * One message has one encoding: integers and lengths are accepted in their shortest form only.
 * Never: I/O, heap beyond the output buffer. */
#ifndef VCC_WIRE_H
#define VCC_WIRE_H

#include "shared/base/buf.h"
#include "shared/model/messages.h"

enum { WIRE_VERSION = 1, WIRE_DEPTH_MAX = 8, WIRE_FIELDS_MAX = 40 };

enum wire_kind {
	WIRE_U64,    /* uint64_t */
	WIRE_U32,    /* uint32_t */
	WIRE_U16,    /* uint16_t */
	WIRE_I64,    /* int64_t */
	WIRE_INT,    /* int */
	WIRE_BOOL,   /* bool */
	WIRE_TEXT,   /* char[size], strict UTF-8, at most size-1 bytes */
	WIRE_FIXED,  /* byte array of exactly `size` bytes: struct id, hash, serial */
	WIRE_BYTES,  /* struct span, at most `max` bytes, points into the frame */
	WIRE_BLOB,   /* uint8_t[size] with a uint16_t length at `count_offset` */
	WIRE_ROWS,   /* array of structs, `rows` describes one, uint32_t count at `count_offset`, at most `max` */
	WIRE_KIND_COUNT,
};
const char *wire_kind_name(enum wire_kind kind);

struct wire_field {
	uint8_t                   number; /* 1..WIRE_FIELDS_MAX, never reused within a message */
	enum wire_kind            kind;
	const char               *name;
	size_t                    offset;
	size_t                    size;
	size_t                    max; /* unsigned integers: largest value; spans: bytes; rows: how many */
	size_t                    count_offset;
	const struct wire_message *rows;
};

struct wire_message {
	uint16_t                 type; /* 0 for row structs and signed bodies */
	const char              *name;
	const char              *from; /* "agent", "controller", ... for the documentation; signed bodies: the label */
	const char              *about;
	size_t                   struct_size;
	const struct wire_field *fields;
	size_t                   n_fields;
};

/* A protocol: who may send what. `name` is "agent", "gw", "ipc-link", "ipc-hook", "ipc-signer", "ipc-join". */
struct wire_table {
	const char                *name;
	const char                *about;
	const struct wire_message *const *messages;
	size_t                     n_messages;
	size_t                     frame_max;
};

extern const struct wire_table wire_agent, wire_gw, wire_link, wire_hook, wire_signer, wire_join;
const struct wire_table *const *wire_tables(size_t *ret_n);
/* NULL when the table has no such message. */
const struct wire_message *wire_message_of(const struct wire_table *table, uint64_t type);

/* Message types. Numbers are fixed for ever; rows come with the work that needs them. */
enum {
	/* agent -> controller */
	MSG_HELLO = 1, MSG_INVENTORY, MSG_TARGET, MSG_STAGE, MSG_CSR, MSG_AGENT_IDENTITY, MSG_STEP, MSG_RECEIPT,
	MSG_REHEARSAL, MSG_HEALTH, MSG_DRIFT, MSG_AGENT_ACK,
	/* controller -> agent */
	MSG_WELCOME = 32, MSG_ORDER, MSG_CERTIFICATE, MSG_BUNDLE, MSG_CRL, MSG_IDENTITY, MSG_RESTAGE, MSG_ROLLBACK,
	MSG_DRILL, MSG_HEAD, MSG_CANCEL, MSG_ACK, MSG_BYE,
	/* gateway <-> controller */
	GW_HELLO = 64, GW_UP, GW_DOWN, GW_ROSTER_BEGIN, GW_ROSTER_END, GW_FRAME, GW_SEND, GW_KICK, GW_CREDIT, GW_JOIN,
	GW_JOIN_REPLY, GW_IDENTITY, GW_IDENTITY_REPLY,
	/* link <-> keeper */
	LK_STATE = 96, LK_FRAME, LK_CSR, LK_IDENTITY, LK_STATUS_REQUEST, LK_STATUS, LK_JOIN_START, LK_JOIN_SIGN,
	LK_JOIN_ANSWER, LK_JOIN_DONE, LK_INVENTORY, LK_INVENTORY_DONE, LK_RETURN, LK_RETURN_SIGN, LK_RETURN_ANSWER, LK_RETURN_DONE,
	LK_FETCH, LK_PIECE,
	/* keeper <-> hook */
	HK_REQUEST = 128, HK_REPLY,
	/* controller <-> signer */
	SG_HELLO = 160, SG_ISSUER, SG_ISSUE, SG_ISSUED, SG_CRL, SG_CRL_DONE, SG_HEAD, SG_HEAD_DONE,
	/* join port */
	JOIN_REQUEST = 192, JOIN_REPLY, JOIN_RETURN_ASK, JOIN_CHALLENGE, JOIN_RETURN,
};

/* Any payload; the member follows from the type. Large (tens of KiB): keep one per loop, not on small stacks. */
union wire_payload {
	struct msg_hello         hello;
	struct msg_target        target;
	struct msg_signed        signed_body; /* MSG_CSR, MSG_AGENT_IDENTITY, MSG_RECEIPT, MSG_INVENTORY */
	struct msg_step          step;
	struct msg_health        health;
	struct msg_drift         drift;
	struct msg_ack           ack; /* both directions */
	struct msg_welcome       welcome;
	struct msg_order         order;
	struct msg_certificate   certificate;
	struct msg_bundle        bundle;
	struct msg_identity      identity;
	struct msg_crl           crl;
	struct msg_cancel        cancel;
	struct msg_bye           bye;
	struct msg_join          join;
	struct msg_join_reply    join_reply;
	struct msg_return_ask    return_ask;
	struct msg_challenge     challenge;
	struct msg_return        comeback;
	struct gw_hello          gw_hello;
	struct gw_up             gw_up;
	struct gw_down           gw_down;
	struct gw_roster         gw_roster; /* begin and end */
	struct gw_frame          gw_frame;
	struct gw_send           gw_send;
	struct gw_kick           gw_kick;
	struct gw_credit         gw_credit;
	struct gw_join           gw_join;
	struct gw_join_reply     gw_join_reply;
	struct gw_identity       gw_identity;
	struct gw_identity_reply gw_identity_reply;
	struct lk_state          lk_state;
	struct lk_frame          lk_frame;
	struct lk_csr            lk_csr;
	struct lk_identity       lk_identity;
	struct lk_status_request lk_status_request;
	struct lk_status         lk_status;
	struct lk_join_start     lk_join_start;
	struct lk_join_sign      lk_join_sign;
	struct lk_join_answer    lk_join_answer;
	struct lk_join_done      lk_join_done;
	struct lk_inventory      lk_inventory;
	struct lk_inventory_done lk_inventory_done;
	struct lk_return         lk_return;
	struct lk_return_sign    lk_return_sign;
	struct lk_return_answer  lk_return_answer;
	struct lk_return_done    lk_return_done;
	struct lk_fetch          lk_fetch;
	struct lk_piece          lk_piece;
	struct hk_request        hk_request;
	struct hk_reply          hk_reply;
	struct sg_hello          sg_hello;
	struct sg_issuer         sg_issuer;
	struct sg_issue          sg_issue;
	struct sg_issued         sg_issued;
	struct sg_crl            sg_crl;
	struct sg_crl_done       sg_crl_done;
	struct sg_head           sg_head;
	struct sg_head_done      sg_head_done;
};

struct wire_frame {
	uint16_t           type;
	uint64_t           id;
	union wire_payload u;
};

/* Decodes one whole frame of the table's protocol. Spans in `ret` point into `bytes`. `ret` is undefined on failure.
 * `limit` further limits the length (FRAME_BEFORE_WELCOME), 0 = the table's own. Codes E_WIRE_*. */
_must_check_ int wire_decode(const struct wire_table *table, struct span bytes, size_t limit, struct wire_frame *ret);

/* Only the strict check, no decoding: what the gateway does before it forwards bytes unchanged. */
_must_check_ int wire_check(const struct wire_table *table, struct span bytes, size_t limit, uint16_t *ret_type, uint64_t *ret_id);

/* Appends one frame. `payload` is the struct of that type (a pointer to the union member, not to the union). E_WIRE_*
 * when a text or span is over its limit. */
_must_check_ int wire_encode(const struct wire_table *table, uint16_t type, uint64_t id, const void *payload, struct buf *to);

/* Signed bodies: the bare fields map, no envelope. INVENTORY_BODY_MAX holds a full body_inventory. */
enum { INVENTORY_BODY_MAX = 64000 };
extern const struct wire_message wire_body_csr, wire_body_identity, wire_body_receipt, wire_body_bundle, wire_body_join,
	wire_body_inventory, wire_body_return;
_must_check_ int wire_body_encode(const struct wire_message *body, const void *payload, struct buf *to);
_must_check_ int wire_body_decode(const struct wire_message *body, struct span bytes, void *ret);

/* Writes docs/wire.md to `to`. */
void wire_document(struct buf *to);

#endif
