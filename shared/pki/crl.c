/* crl.c - room shared/pki: revocation lists (RFC 5280, 5): builds and signs one shard, reads one back.
 * Never: deciding who is revoked. */
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/issue_ca.h"
#include "shared/pki/point.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/tbs_part.h"

enum { CRL_TBS_MAX = 1 << 20, CRL_READ_MAX = 1 << 22 };
#define CRL_LIFE_MAX      (10 * MS_DAY)
#define CRL_ROOT_LIFE_MAX (400 * MS_DAY)

static bool reason_allowed(int reason)
{
	/* 7 is unused, removeFromCRL (8) is for delta lists, aACompromise (10) for attribute certificates */
	return revoke_reason_name(reason) != NULL;
}

/* The shard's URL exactly as tbs.c writes it into certificates: PREFIX digits ".crl". */
static bool idp_ok(const struct issue_ca *ca, const char *idp)
{
	if ((ca->role == ISSUER_ROOT) != (idp == NULL))
		return false;
	if (idp == NULL)
		return true;
	if (!text_starts(idp, ca->crl_prefix))
		return false;
	const char *shard = idp + strlen(ca->crl_prefix);
	size_t      digits = strspn(shard, "0123456789");
	return digits > 0 && digits <= 10 && (shard[0] != '0' || digits == 1) && strcmp(shard + digits, ".crl") == 0;
}

static int crl_lint(const struct issue_ca *ca, uint64_t number, int64_t this_update_at, int64_t next_update_at, const char *idp,
		    const struct crl_entry *entries, size_t n)
{
	int64_t life_max = ca->role == ISSUER_ROOT ? CRL_ROOT_LIFE_MAX : CRL_LIFE_MAX;
	if (number == 0 || !idp_ok(ca, idp))
		return E_PKI_LINT;
	if (!tbs_time_ok(this_update_at) || !tbs_time_ok(next_update_at) || next_update_at <= this_update_at ||
	    next_update_at - this_update_at > life_max)
		return E_PKI_LINT;
	for (size_t i = 0; i < n; i++) {
		if (entries[i].invalidity_at != 0 && !tbs_time_ok(entries[i].invalidity_at))
			return E_PKI_LINT;
		if (!tbs_time_ok(entries[i].revoked_at) || !reason_allowed(entries[i].reason) ||
		    serial_is_none(entries[i].serial) || (entries[i].serial.b[0] & 0x80) != 0)
			return E_PKI_LINT;
		if (i > 0 && memcmp(entries[i - 1].serial.b, entries[i].serial.b, sizeof(entries[i].serial.b)) >= 0)
			return E_PKI_LINT;
	}
	return 0;
}

static void entry_extensions_put(struct buf *to, const struct crl_entry *e)
{
	size_t exts = der_open(to, DER_SEQUENCE);
	if (e->reason != REASON_UNSPECIFIED) { /* RFC 5280, 5.3.1: left out rather than 0 */
		uint8_t         reason = (uint8_t)e->reason;
		struct ext_mark ext = ext_open(to, EXT_CRL_REASON, false);
		der_put(to, DER_ENUMERATED, &reason, 1);
		ext_close(to, ext);
	}
	if (e->invalidity_at != 0) {
		struct ext_mark ext = ext_open(to, EXT_INVALIDITY_DATE, false);
		der_put_general_time(to, e->invalidity_at); /* 5.3.2: always this form */
		ext_close(to, ext);
	}
	der_close(to, exts);
}

static void entry_put(struct buf *to, const struct crl_entry *e)
{
	size_t mark = der_open(to, DER_SEQUENCE);
	tbs_put_serial(to, &e->serial);
	der_put_time(to, e->revoked_at);
	if (e->reason != REASON_UNSPECIFIED || e->invalidity_at != 0)
		entry_extensions_put(to, e);
	der_close(to, mark);
}

static void extensions_put(struct buf *to, const struct issue_ca *ca, uint64_t number, const char *idp)
{
	size_t tag = der_open(to, DER_CONTEXT_CONS | 0);
	size_t list = der_open(to, DER_SEQUENCE);
	tbs_put_authority_key_id(to, ca->key_id);
	struct ext_mark ext = ext_open(to, EXT_CRL_NUMBER, false);
	der_put_u64(to, number);
	ext_close(to, ext);
	if (idp != NULL) {
		ext = ext_open(to, EXT_ISSUING_POINT, true);
		size_t seq = der_open(to, DER_SEQUENCE);
		tbs_put_point_name(to, idp, strlen(idp));
		der_close(to, seq);
		ext_close(to, ext);
	}
	der_close(to, list);
	der_close(to, tag);
}

int issue_crl(const struct issue_ca *ca, uint64_t number, int64_t this_update_at, int64_t next_update_at, const char *idp,
	      const struct crl_entry *entries, size_t n, struct buf *to)
{
	int r = crl_lint(ca, number, this_update_at, next_update_at, idp, entries, n);
	if (r < 0)
		return r;
	_cleanup_(buf_free) struct buf tbs = BUF_MAX(CRL_TBS_MAX);
	enum hash_alg                  alg = sig_alg_usual(ca->key_type);
	size_t                         mark = der_open(&tbs, DER_SEQUENCE);
	der_put_u64(&tbs, 1); /* v2 */
	der_put_span(&tbs, sig_alg_der(ca->key_type, alg));
	der_put_span(&tbs, ca->cert.t.subject);
	der_put_time(&tbs, this_update_at);
	der_put_time(&tbs, next_update_at);
	if (n > 0) { /* an empty list must be absent */
		size_t revoked = der_open(&tbs, DER_SEQUENCE);
		for (size_t i = 0; i < n; i++)
			entry_put(&tbs, &entries[i]);
		der_close(&tbs, revoked);
	}
	extensions_put(&tbs, ca, number, idp);
	der_close(&tbs, mark);
	r = buf_error(&tbs);
	return r < 0 ? r : issue_ca_seal(ca, 0, buf_span(&tbs), alg, to);
}

static int reason_read(struct span value)
{
	struct der  d = der_of(value);
	struct span v = der_get(&d, DER_ENUMERATED);
	return der_done(&d) && v.n == 1 ? v.p[0] : -1;
}

/* Of another authority it may be what we would not write: then it is not known, and the list counts all the same. */
static int64_t invalidity_read(struct span value)
{
	struct der d = der_of(value);
	int64_t    at = der_tag(&d) == DER_GENERAL_TIME ? der_time(&d) : 0;
	return der_done(&d) ? at : 0;
}

static void entry_extensions_read(struct der *exts, struct crl_entry *ret)
{
	struct ext ext;
	while (ext_next(exts, &ext)) {
		if (ext.id == EXT_CRL_REASON)
			ret->reason = reason_read(ext.value);
		else if (ext.id == EXT_INVALIDITY_DATE)
			ret->invalidity_at = invalidity_read(ext.value);
		else if (ext.critical)
			exts->bad = true;
	}
}

static void entry_read(struct der *list, struct crl_entry *ret)
{
	struct der  e = der_in(list, DER_SEQUENCE);
	struct span serial = der_unsigned(&e);
	*ret = (struct crl_entry){.reason = REASON_UNSPECIFIED};
	if (serial.n > 0 && serial.n <= sizeof(ret->serial.b)) /* another authority's may be longer; it is never one of ours */
		memcpy(ret->serial.b + sizeof(ret->serial.b) - serial.n, serial.p, serial.n);
	ret->revoked_at = der_time(&e);
	if (der_tag(&e) == DER_SEQUENCE) {
		struct der exts = der_in(&e, DER_SEQUENCE);
		entry_extensions_read(&exts, ret);
		if (!der_done(&exts))
			e.bad = true;
	}
	if (!der_done(&e))
		list->bad = true;
}

static size_t entries_read(struct der *d)
{
	size_t           n = 0;
	struct crl_entry entry;
	struct der       list = der_in(d, DER_SEQUENCE);
	for (; der_more(&list); n++)
		entry_read(&list, &entry);
	if (!der_done(&list))
		d->bad = true;
	return n;
}

static bool extensions_read(struct der *d, struct crl_info *info)
{
	struct der tag = der_in(d, DER_CONTEXT_CONS | 0);
	struct der list = der_in(&tag, DER_SEQUENCE);
	struct ext ext;
	bool       numbered = false;
	while (ext_next(&list, &ext)) {
		if (ext.id == EXT_CRL_NUMBER && !numbered) {
			struct der value = der_of(ext.value);
			info->number = der_u64(&value);
			numbered = der_done(&value);
		} else if (ext.id == EXT_ISSUING_POINT && info->point.n == 0) {
			if (!point_of_list(ext.value, &info->point))
				return false;
		} else if (ext.critical) {
			return false; /* RFC 5280, 5.2: a list that we do not understand must not be used */
		}
	}
	return numbered && der_done(&list) && der_done(&tag);
}

static int body_read(struct span tbs, struct span *ret_alg, struct crl_info *ret)
{
	struct crl_info info = {.number = 0};
	struct der      outer = der_of(tbs);
	struct der      d = der_in(&outer, DER_SEQUENCE);
	uint64_t        version = der_u64(&d);
	struct span     alg = der_whole(&d, DER_SEQUENCE);
	info.issuer = der_whole(&d, DER_SEQUENCE);
	info.this_update_at = der_time(&d);
	info.next_update_at = der_time(&d);
	if (der_tag(&d) == DER_SEQUENCE)
		info.entries = entries_read(&d);
	if (version != 1 || !extensions_read(&d, &info) || !der_done(&d) || !der_done(&outer))
		return E_PKI_CRL;
	*ret_alg = alg;
	*ret = info;
	return 0;
}

struct crl_parts {
	struct span tbs, alg, signature;
};

static int parts_read(struct span crl, struct crl_parts *ret)
{
	if (crl.n > CRL_READ_MAX)
		return E_PKI_CRL;
	struct der outer = der_of(crl);
	struct der d = der_in(&outer, DER_SEQUENCE);
	ret->tbs = der_whole(&d, DER_SEQUENCE);
	ret->alg = der_whole(&d, DER_SEQUENCE);
	ret->signature = der_bits(&d);
	return der_done(&d) && der_done(&outer) ? 0 : E_PKI_CRL;
}

int crl_peek(struct span crl, struct crl_info *ret)
{
	struct crl_parts parts;
	struct span      alg;
	int              r = parts_read(crl, &parts);
	return r == 0 ? body_read(parts.tbs, &alg, ret) : r;
}

int crl_entries(struct span crl, struct crl_entry *ret, size_t max, size_t *ret_n)
{
	struct crl_parts parts;
	size_t           n = 0;
	int              r = parts_read(crl, &parts);
	if (r != 0)
		return r;
	struct der outer = der_of(parts.tbs);
	struct der d = der_in(&outer, DER_SEQUENCE);
	(void)der_u64(&d);
	(void)der_whole(&d, DER_SEQUENCE);
	(void)der_whole(&d, DER_SEQUENCE);
	(void)der_time(&d);
	(void)der_time(&d);
	struct der list = der_tag(&d) == DER_SEQUENCE ? der_in(&d, DER_SEQUENCE) : der_of((struct span){NULL, 0});
	while (der_more(&list) && n < max)
		entry_read(&list, &ret[n++]);
	if (d.bad || list.bad)
		return E_PKI_CRL;
	if (list.n > 0)
		return E_FULL;
	*ret_n = n;
	return 0;
}

int crl_read(struct span crl, struct span issuer_der, struct crl_info *ret)
{
	struct crl_parts  parts;
	struct span       inner_alg;
	struct crl_info   info;
	struct cert_parts ca;
	enum hash_alg     hash;

	_cleanup_(key_freep) struct key *k = NULL;
	int                              r = parts_read(crl, &parts);
	if (r == 0)
		r = cert_parts_read(issuer_der, &ca);
	if (r == 0)
		r = key_from_spki(ca.t.spki, &k);
	if (r == 0)
		r = sig_alg_read(parts.alg, key_type(k), &hash);
	if (r == 0)
		r = key_evp_verify(k, hash, parts.tbs, parts.signature); /* before anything else of the list is looked at */
	if (r == 0)
		r = body_read(parts.tbs, &inner_alg, &info);
	if (r != 0)
		return r;
	if (!span_equal(parts.alg, inner_alg) || !span_equal(info.issuer, ca.t.subject))
		return E_PKI_CRL;
	*ret = info;
	return 0;
}
