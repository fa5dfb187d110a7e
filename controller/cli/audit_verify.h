/* audit_verify.h - room controller/cli: judges an exported audit trail line by line, with nothing but a root certificate and
 * what hosts keep. Memory does not grow with the trail. Never: files, the controller. */
#ifndef VCC_AUDIT_VERIFY_H
#define VCC_AUDIT_VERIFY_H

#include "shared/model/audit_export.h"

enum { VERIFY_KNOWN_MAX = 256, VERIFY_PERSONS_MAX = 100000, VERIFY_ISSUERS_MAX = 16 };

/* A head that somebody outside the controller keeps. */
struct known_head {
	struct audit_head head; /* issuer_id is not used */
	char              from[160];
};

/* What the trail is, as far as it was read. */
struct verify_report {
	uint64_t from;
	struct audit_line_counts n;
	uint64_t receipts_missing; /* records name them, the export has them not */
	uint64_t size;        /* of the tree after the last row */
	uint64_t redacted;    /* rows whose person is forgotten */
	uint64_t signed_size; /* covered by a signed head */
	uint64_t known_size;  /* covered by a head that was given */
	int64_t  first_at, last_at;
	int64_t  unsigned_at, unknown_at; /* of the first row that is not covered; 0 = all are */
	uint64_t clock_steps;             /* rows whose clock had stepped back */
};

struct verifier;
/* `roots`: DER one after the other. `known` must live as long as the verifier. */
_must_check_ int verifier_new(struct span roots, const struct known_head *known, size_t n, struct verifier **ret);
void             verifier_free(struct verifier *v); /* NULL allowed */

/* One line with its '\n'. Any code but 0 ends the matter; `why` names the first row (or line) that is bad. */
_must_check_ int verifier_line(struct verifier *v, struct span line, struct refusal *why);
/* After the last line. */
_must_check_ int verifier_end(struct verifier *v, struct verify_report *ret, struct refusal *why);

/* Signature of a head by an authority below `roots`: `certificate` is its DER. */
_must_check_ int verify_head_signature(const struct audit_head *h, struct span certificate, struct span roots,
				       struct refusal *why);

#endif
