/* evidence_verify.h - room controller/cli: judges an evidence pack with nothing but a root certificate: every part of it must hang on the
 * signed head, or on a signature that a record names. Never: files, the controller. */
#ifndef VCC_EVIDENCE_VERIFY_H
#define VCC_EVIDENCE_VERIFY_H

#include <jansson.h>

#include "controller/cli/audit_verify.h"

enum { EVIDENCE_FILE_MAX = 128 << 20 };

struct evidence_report {
	char     kind[16], id[CERT_ID_SIZE];
	int64_t  part; /* of a campaign that is too large for one pack; 0 = it is whole */
	bool     more; /* other parts follow */
	uint64_t head_size;
	int64_t  head_at;
	uint64_t records, receipts, certificates, approvals, templates;
	uint64_t missing; /* named by records, and not in the pack */
	uint64_t unbound; /* certificates whose record has their serial number and not their fingerprint */
};

/* `roots`: DER one after the other. Any code but 0: `why` names the part that is bad. */
_must_check_ int evidence_verify(const json_t *pack, struct span roots, const struct known_head *known, size_t n_known,
				 struct evidence_report *ret, struct refusal *why);

#endif
