/* evidence_pack.h - room controller/daemon: what proves the history of a certificate or a campaign to whoever has nothing but the root
 * certificate: audit records with their way to a signed head, receipts, certificates, what was approved, what was demanded. Everything in it
 * hangs on the head or on a signature; persons stand in it by their pseudonyms. Never: a statement of the controller alone. */
#ifndef VCC_EVIDENCE_PACK_H
#define VCC_EVIDENCE_PACK_H

#include <jansson.h>

#include "controller/store/store.h"

enum { EVIDENCE_VERSION = 1, EVIDENCE_RECORDS_MAX = 20000, EVIDENCE_MEMBERS_MAX = 2000, EVIDENCE_PART_MEMBERS = 500, EVIDENCE_PARTS_MAX = 1000000 };

/* On a worker. E_EVIDENCE_NONE, E_EVIDENCE_UNSIGNED, E_EVIDENCE_LARGE with `why`; E_STORE_*. */
_must_check_ int evidence_of_certificate(struct store_view *view, const char *cert_id, json_t **ret, struct refusal *why);
/* part 0: all of it, up to EVIDENCE_MEMBERS_MAX certificates. Part n, from 1: a pack of its own with the campaign's records and the n-th
 * EVIDENCE_PART_MEMBERS of its certificates, in the order in which they joined it; behind the last one E_EVIDENCE_NONE. */
_must_check_ int evidence_of_campaign(struct store_view *view, struct id campaign_id, uint32_t part, json_t **ret, struct refusal *why);

#endif
