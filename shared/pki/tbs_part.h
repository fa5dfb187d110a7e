/* tbs_part.h - room shared/pki: the pieces that leaf certificates, CA certificates and CRLs share, written as DER.
 * Never: deciding which of them a certificate gets. */
#ifndef VCC_TBS_PART_H
#define VCC_TBS_PART_H

#include "shared/base/id.h"
#include "shared/pki/ext.h"

/* O and CN as UTF8String, serialNumber as PrintableString, one per RDN in this order; empty ones left out. */
void tbs_put_name(struct buf *to, const char *organisation, const char *common_name, const char *serial_number);
/* Text that a Name may hold: strict UTF-8 without control characters. */
bool tbs_text_ok(const char *text);
/* Visible ASCII only, not empty: URIs and URLs. */
bool tbs_uri_ok(const char *text);
/* Years 1950-9999 and whole seconds. */
bool tbs_time_ok(int64_t at);

void tbs_put_version3(struct buf *to);
void tbs_put_serial(struct buf *to, const struct serial *serial);
void tbs_put_validity(struct buf *to, int64_t not_before_at, int64_t not_after_at);

/* Key identifier: leftmost 160 bits of SHA-256 over the subjectPublicKey (RFC 7093, 2, method 1). */
void tbs_key_id(struct span spki_bits, uint8_t ret[20]);
void tbs_put_subject_key_id(struct buf *to, struct span key_id);
void tbs_put_authority_key_id(struct buf *to, struct span key_id);
void tbs_put_key_usage(struct buf *to, unsigned bits);
void tbs_put_authority_info(struct buf *to, const char *ocsp_url, const char *ca_url); /* ocsp_url NULL: only the CA's certificate */
/* URL = prefix + shard + ".crl". */
void tbs_put_crl_point(struct buf *to, const char *prefix, uint32_t shard);
/* DistributionPointName with this full name: in distribution points and issuing distribution points. */
void tbs_put_point_name(struct buf *to, const char *url, size_t n);

#endif
