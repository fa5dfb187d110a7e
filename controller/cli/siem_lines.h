/* siem_lines.h - room controller/cli: the audit trail's records as a SIEM takes them: lines of JSON, or syslog (RFC 5424).
 * Made from an export as it comes. Never: the evidence beside the records; that is what the export itself is for. */
#ifndef VCC_SIEM_LINES_H
#define VCC_SIEM_LINES_H

#include <stdio.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum siem_format { SIEM_JSONL, SIEM_RFC5424, SIEM_FORMAT_COUNT };
/* E_SYNTAX: there is none of that name. */
_must_check_ int siem_format_parse(const char *name, enum siem_format *ret);

struct siem;
/* `host`: HOSTNAME of the syslog header, "-" = not known. E_NOMEM. */
_must_check_ int siem_new(enum siem_format format, const char *host, struct siem **ret);
void             siem_free(struct siem *s); /* NULL allowed */

/* The next piece of an export, cut anywhere. E_AUDIT_LINE: it holds a line that none has; E_NOMEM. Lines that are whole are
 * added. */
_must_check_ int siem_take(struct siem *s, struct span piece, struct buf *to);
/* After the last piece: E_AUDIT_LINE when the export has no end: it was cut. */
_must_check_ int siem_end(const struct siem *s);

#endif
