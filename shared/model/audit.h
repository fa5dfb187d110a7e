/* audit.h - room shared/model: what of an audit record is hashed, signed heads of the tree, persons behind pseudonyms, and the
 * table of event types for people. Everybody who writes, signs, keeps or verifies the trail uses these bytes. Never: files,
 * signatures. */
#ifndef VCC_AUDIT_H
#define VCC_AUDIT_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/merkle.h"
#include "shared/model/agent.h"
#include "shared/model/certificate.h"

/* ---- leaf ---- */

/* First line of every leaf. Another form of record gets another number; old records keep theirs. */
enum { AUDIT_LEAF_VERSION = 1, AUDIT_LEAF_MAX = 2048 };

/* What a leaf is made of; the event as text, so that an older program can verify the records of a newer one. */
struct audit_leaf {
	uint64_t    seq;
	int64_t     at;
	int64_t     behind_ms;
	const char *event, *actor, *object;
	struct id   renewal_id, request_id;
	const char *reason, *detail;
};

/* Canonical bytes: eleven lines, each ended by '\n': version, seq, at (ms), behind_ms, event, actor, object, renewal_id,
 * request_id (UUID text or ""), reason, detail. No field holds a control character: store_add_audit() sees to it. */
void audit_leaf_text(const struct audit_leaf *leaf, struct buf *to);
void audit_canonical(const struct audit *a, struct buf *to);

/* ---- persons ---- */

/* A record names a person by a pseudonym, a commitment to salt and name; both are kept beside the trail. Whoever deletes them
 * there has deleted the person from every record, and the tree stays as it is (GDPR, Art. 17). */
struct audit_person {
	char        name[ACTOR_SIZE];
	char        alias[ACTOR_SIZE]; /* "person:" and 240 bits of the commitment */
	struct hash salt;
	int64_t     since_at;
};

bool audit_is_person(const char *actor); /* else one of our own: "controller", "scheduler", "agent:NAME", "local:uid-0" */
bool audit_is_alias(const char *actor);
void audit_alias(merkle_hash_fn *fn, const char *name, struct hash salt, char ret[ACTOR_SIZE]);

/* ---- heads ---- */

#define LABEL_HEAD "vcc audit head v1"
enum { AUDIT_HEAD_BODY = 48, AUDIT_SIGNATURE_MAX = 144, AUDIT_PROOF_MAX = 2 * MERKLE_LEVELS * 32 };

/* The tree as it was once, signed by an authority of the installation over LABEL_HEAD || 0x00 || body. */
struct audit_head {
	uint64_t    size;
	struct hash root;
	int64_t     at;
	char        issuer_id[ISSUER_ID_SIZE];
	uint8_t     signature[AUDIT_SIGNATURE_MAX];
	uint16_t    signature_len;
	char        witness[AGENT_NAME_SIZE]; /* the first agent that said that it keeps this head; "" = none yet */
	int64_t     witnessed_at;             /* 0 = none yet */
};

/* The signed body: size, root, at; numbers big-endian. */
void audit_head_body(uint64_t size, struct hash root, int64_t at, uint8_t ret[AUDIT_HEAD_BODY]);

/* ---- evidence ---- */

/* Members of a record's detail that name the receipt it rests on: SHA-256 of the host's key and of the receipt's body, in hex. */
#define AUDIT_DETAIL_HOST        "host"
#define AUDIT_DETAIL_RECEIPT_SEQ "receipt_seq"
#define AUDIT_DETAIL_RECEIPT     "receipt"

enum { AUDIT_RECEIPT_MAX = 8192 }; /* its body */

/* A receipt beside the trail: whoever has the trail can prove what a host said, and no host can deny it. */
struct audit_receipt {
	struct span host_spki; /* SubjectPublicKeyInfo, DER */
	uint64_t    seq;
	struct span body, signature; /* as the host sent them; label LABEL_RECEIPT */
};

/* ---- event types ---- */

enum audit_object {
	OBJECT_NONE,
	OBJECT_INSTALLATION,
	OBJECT_PRINCIPAL,
	OBJECT_SERVICE,
	OBJECT_TEMPLATE,
	OBJECT_AGENT,
	OBJECT_CERTIFICATE,
	OBJECT_TARGET,
	OBJECT_ISSUER,
	OBJECT_OWNER,
	OBJECT_PART,
	OBJECT_COUNT
};
const char *audit_object_name(enum audit_object o);

struct audit_event_info {
	enum audit_object object; /* what the record's object is */
	const char       *about;  /* what happened */
	const char       *why;    /* the reason of the record where nobody gave one */
};
/* Never NULL; the row of an event that nobody has described is empty. */
const struct audit_event_info *audit_event_info(enum audit_event e);
/* The table as a page. */
void audit_document(struct buf *to);

#endif
