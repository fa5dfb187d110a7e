/* audit_export.h - room shared/model: the lines of an exported audit trail, as bytes: one JSON object a line, always written
 * the same way, so that whoever reads one can compare it with what must stand there. Never: files, JSON of others.
 *
 *   {"vcc_audit_export":1,"from":0,"frontier":[]}              the export begins with row `from`; right edge of the tree before
 * it
 *   {"issuer":"agent-1","certificate":"BASE64URL"}             who signed heads, ascending
 *   {"person":"person:...","name":"alice","salt":"HEX"}        who stands behind pseudonyms, ascending by name; forgotten ones
 * are missing
 *   {"seq":0,"at":1700000000000,"behind_ms":0,"event":"...","actor":"...","object":"...","renewal_id":"","request_id":"UUID","reason":"...","detail":"..."}
 *   {"receipt_of":"BASE64URL","receipt_seq":1,"body":"BASE64URL","signature":"BASE64URL"}     right after the first row that names it
 *   {"size":1,"root":"HEX","at":1700000000000,"issuer":"agent-1","signature":"BASE64URL"}     right after the last row that it
 * covers
 *   {"end":true,"rows":1,"heads":1,"persons":1,"receipts":1} */
#ifndef VCC_AUDIT_EXPORT_H
#define VCC_AUDIT_EXPORT_H

#include "shared/model/audit.h"

enum { AUDIT_EXPORT_VERSION = 1, AUDIT_LINE_MAX = 16384 };

void audit_line_begin(const struct merkle_frontier *before, struct buf *to);
void audit_line_issuer(const char *issuer_id, struct span der, struct buf *to);
void audit_line_person(const struct audit_person *p, struct buf *to);
void audit_line_row(const struct audit_leaf *row, struct buf *to);
void audit_line_head(const struct audit_head *h, struct buf *to);
void audit_line_receipt(const struct audit_receipt *r, struct buf *to);

struct audit_line_counts {
	uint64_t rows, heads, persons, receipts;
};
void audit_line_end(const struct audit_line_counts *n, struct buf *to);

#endif
