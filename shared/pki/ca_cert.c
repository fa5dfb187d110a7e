/* ca_cert.c - room shared/pki: certificates of the CAs themselves, for `init`.
 * Never: leaves; a CA whose rights are wider than its role's row says. */
#include <string.h>

#include "shared/base/text.h"
#include "shared/model/cidr.h"
#include "shared/pki/issue_ca.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/spki.h"
#include "shared/pki/tbs_part.h"

enum { SUBTREES_MAX = 32, CA_TBS_MAX = CERT_DER_MAX / 3, CA_SIGNATURE_MAX = 512 };

static void subtree_put(struct buf *to, uint8_t tag, const void *base, size_t n)
{
	size_t mark = der_open(to, DER_SEQUENCE);
	der_put(to, tag, base, n);
	der_close(to, mark);
}

/* Address and mask (RFC 5280, 4.2.1.10). */
static void range_put(struct buf *to, const struct cidr *range)
{
	uint8_t base[32] = {0};
	memcpy(base, range->address, range->bytes);
	for (unsigned bit = 0; bit < range->bits; bit++)
		base[range->bytes + bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	subtree_put(to, GN_IP, base, 2 * (size_t)range->bytes);
}

struct families {
	bool v4, v6;
};

static int permitted_domains_put(struct buf *to, const char *domains)
{
	const char *cursor = domains;
	char        item[DNS_NAME_SIZE];
	char        name[DNS_NAME_SIZE];
	size_t      n = 0;
	while (text_item(&cursor, item, sizeof(item))) {
		if (++n > SUBTREES_MAX || name_dns(item, false, name) < 0)
			return E_NAME;
		subtree_put(to, GN_DNS, name, strlen(name));
	}
	return cursor != NULL && n > 0 ? 0 : E_NAME;
}

static int permitted_ranges_put(struct buf *to, const char *ranges, struct families *ret)
{
	const char *cursor = ranges;
	char        item[64];
	size_t      n = 0;
	while (text_item(&cursor, item, sizeof(item))) {
		struct cidr range;
		int         r = ++n <= SUBTREES_MAX ? cidr_parse(item, &range) : E_FULL;
		if (r < 0)
			return r;
		range_put(to, &range);
		if (range.bytes == 4)
			ret->v4 = true;
		else
			ret->v6 = true;
	}
	return cursor != NULL ? 0 : E_SYNTAX;
}

/* A family without a permitted range is excluded whole: verifiers differ on whether a permitted IPv4 range says anything about
 * IPv6. */
static void excluded_ranges_put(struct buf *to, struct families permitted)
{
	static const uint8_t all[32];
	if (!permitted.v4)
		subtree_put(to, GN_IP, all, 8);
	if (!permitted.v6)
		subtree_put(to, GN_IP, all, 32);
}

/* RFC 5280 has no form for "no URI at all"; the only host left is one that cannot exist (RFC 6761, 6.4). Without this any CA
 * below the root could name an agent: spiffe://... */
static void no_uri_put(struct buf *to)
{
	static const char nowhere[] = "invalid";
	subtree_put(to, GN_URI, nowhere, sizeof(nowhere) - 1);
}

static int service_constraints(struct buf *to, const struct ca_facts *f)
{
	struct families families = {false, false};
	size_t          permitted = der_open(to, DER_CONTEXT_CONS | 0);
	int             r = permitted_domains_put(to, f->domains);
	if (r == 0)
		r = permitted_ranges_put(to, f->ip_ranges, &families);
	no_uri_put(to);
	der_close(to, permitted);
	if (r < 0 || (families.v4 && families.v6))
		return r;
	size_t excluded = der_open(to, DER_CONTEXT_CONS | 1);
	excluded_ranges_put(to, families);
	der_close(to, excluded);
	return 0;
}

/* An empty dNSName subtree is the root of the tree: every name is below it. */
static void no_hosts_put(struct buf *to)
{
	size_t excluded = der_open(to, DER_CONTEXT_CONS | 1);
	subtree_put(to, GN_DNS, NULL, 0);
	excluded_ranges_put(to, (struct families){false, false});
	der_close(to, excluded);
}

/* The URI's host must be the domain itself: spiffe://DOMAIN/... */
static int agent_constraints(struct buf *to, const struct ca_facts *f)
{
	const char *cursor = f->domains;
	char        item[DNS_NAME_SIZE];
	char        name[DNS_NAME_SIZE];
	if (!text_item(&cursor, item, sizeof(item)) || name_dns(item, false, name) < 0)
		return E_NAME;
	size_t permitted = der_open(to, DER_CONTEXT_CONS | 0);
	subtree_put(to, GN_URI, name, strlen(name));
	der_close(to, permitted);
	no_hosts_put(to);
	return 0;
}

static int code_constraints(struct buf *to, const struct ca_facts *f)
{
	(void)f;
	size_t permitted = der_open(to, DER_CONTEXT_CONS | 0);
	no_uri_put(to);
	der_close(to, permitted);
	no_hosts_put(to);
	return 0;
}

/* The table is what each CA may do. */
static const struct role_row {
	bool     root;
	unsigned ext_key_usage;
	int (*constraints)(struct buf *to, const struct ca_facts *f);
} roles[ISSUER_ROLE_COUNT] = {
	[ISSUER_ROOT] = {true, 0, NULL},
	[ISSUER_SERVICE] = {false, 0, service_constraints},
	[ISSUER_AGENT] = {false, 0, agent_constraints},
	[ISSUER_CODE_SIGNING] = {false, EKU_CODE_SIGNING | EKU_OCSP_SIGNING, code_constraints}, /* its OCSP responder has its place below it */
};

static void basic_constraints_put(struct buf *to, bool path_len_zero)
{
	static const uint8_t is_ca[] = {DER_BOOLEAN, 1, 0xff};
	struct ext_mark      mark = ext_open(to, EXT_BASIC_CONSTRAINTS, true);
	size_t               seq = der_open(to, DER_SEQUENCE);
	buf_add(to, is_ca, sizeof(is_ca));
	if (path_len_zero)
		der_put_u64(to, 0);
	der_close(to, seq);
	ext_close(to, mark);
}

static int parent_links_put(struct buf *to, const struct ca_facts *f, const struct cert_parts *parent)
{
	char        url[CA_URL_SIZE];
	struct buf  text = BUF_MAX(sizeof(url));
	struct span key_id = tbs_parts_subject_key_id(&parent->t);
	if (key_id.n == 0 || key_id.n > KEY_ID_SIZE)
		return E_PKI_CERT;
	tbs_put_authority_key_id(to, key_id);

	buf_add_fmt(&text, "%s/ca/%s.cer", f->public_url, f->parent_id);
	buf_add_u8(&text, '\0');
	if (buf_error(&text) == 0)
		tbs_put_authority_info(to, NULL, (const char *)text.p);
	buf_reset(&text);
	buf_add_fmt(&text, "%s/crl/%s/", f->public_url, f->parent_id);
	buf_add_u8(&text, '\0');
	int r = buf_error(&text);
	if (r == 0)
		tbs_put_crl_point(to, (const char *)text.p, 0); /* CAs are few: one shard */
	buf_free(&text);
	return r;
}

static int extensions_put(struct buf *to, const struct ca_facts *f, const struct key *subject, const struct cert_parts *parent)
{
	const struct role_row *role = &roles[f->role];
	struct spki_parts      spki;
	uint8_t                key_id[KEY_ID_SIZE];
	int                    r = spki_read((struct span){subject->spki, subject->spki_len}, &spki);
	if (r < 0)
		return r;
	tbs_key_id(spki.bits, key_id);

	basic_constraints_put(to, !role->root);
	tbs_put_key_usage(to, KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	ext_put_extended_usage(to, role->ext_key_usage);
	tbs_put_subject_key_id(to, SPAN_OF(key_id));
	if (parent == NULL)
		return 0;
	r = parent_links_put(to, f, parent);
	if (r < 0 || role->constraints == NULL)
		return r;
	struct ext_mark mark = ext_open(to, EXT_NAME_CONSTRAINTS, true);
	size_t          seq = der_open(to, DER_SEQUENCE);
	r = role->constraints(to, f);
	der_close(to, seq);
	ext_close(to, mark);
	return r;
}

static int facts_check(const struct ca_facts *f, const struct key *subject, bool has_parent)
{
	if (f->role >= ISSUER_ROLE_COUNT || (f->cross && !roles[f->role].root))
		return E_PKI_LINT;
	if ((roles[f->role].root && !f->cross) == has_parent || subject->type == KEY_ED25519)
		return E_PKI_LINT;
	if ((f->serial.b[0] & 0x80) != 0 || serial_is_none(f->serial))
		return E_PKI_LINT;
	if (!tbs_time_ok(f->not_before_at) || !tbs_time_ok(f->not_after_at) || f->not_before_at > f->not_after_at)
		return E_PKI_LINT;
	if (f->organisation[0] == '\0' || f->common_name[0] == '\0' || !tbs_text_ok(f->organisation) ||
	    !tbs_text_ok(f->common_name))
		return E_PKI_LINT;
	if (has_parent && (!text_starts(f->public_url, "http") || !tbs_uri_ok(f->public_url) || text_ends(f->public_url, "/") ||
			   !name_cert_id_ok(f->parent_id)))
		return E_PKI_LINT;
	return 0;
}

/* The parent must be a CA without path length (a root), with this key, outlive the child, and have another key. */
static int parent_check(const struct ca_facts *f, const struct key *subject, const struct key *parent_key,
			struct span parent_der, struct cert_parts *ret)
{
	struct cert_info info;
	int              r = cert_parts_read(parent_der, ret);
	if (r == 0)
		r = cert_read(parent_der, &info);
	if (r == 0)
		r = cert_fits_key(parent_der, parent_key);
	if (r != 0)
		return r;
	static const uint8_t any_path[] = {DER_SEQUENCE, 3, DER_BOOLEAN, 1, 0xff};
	struct span          constraints;
	if (!tbs_parts_ext(&ret->t, EXT_BASIC_CONSTRAINTS, &constraints) || !span_equal(constraints, SPAN_OF(any_path)))
		return E_PKI_LINT;
	if (!info.is_ca || key_same(subject, parent_key) || f->not_before_at < info.not_before_at ||
	    f->not_after_at > info.not_after_at)
		return E_PKI_LINT;
	return 0;
}

int issue_ca_tbs(const struct ca_facts *facts, const struct key *subject, const struct key *parent_key, struct span parent_der,
		 struct buf *to)
{
	struct cert_parts parent;
	const struct key *signer = parent_key != NULL ? parent_key : subject;
	size_t            start = to->n;

	int r = facts_check(facts, subject, parent_key != NULL);
	if (r == 0 && parent_key != NULL)
		r = parent_check(facts, subject, parent_key, parent_der, &parent);
	if (r < 0)
		return r;

	size_t mark = der_open(to, DER_SEQUENCE);
	tbs_put_version3(to);
	tbs_put_serial(to, &facts->serial);
	der_put_span(to, sig_alg_der(signer->type, sig_alg_usual(signer->type)));
	if (parent_key != NULL)
		der_put_span(to, parent.t.subject);
	else
		tbs_put_name(to, facts->organisation, facts->common_name, "");
	tbs_put_validity(to, facts->not_before_at, facts->not_after_at);
	tbs_put_name(to, facts->organisation, facts->common_name, "");
	der_put_span(to, (struct span){subject->spki, subject->spki_len});
	size_t tag = der_open(to, DER_CONTEXT_CONS | 3);
	size_t list = der_open(to, DER_SEQUENCE);
	r = extensions_put(to, facts, subject, parent_key != NULL ? &parent : NULL);
	der_close(to, list);
	der_close(to, tag);
	der_close(to, mark);
	if (r == 0)
		r = buf_error(to);
	if (r < 0)
		to->n = start;
	return r;
}

int issue_ca_tbs_sign(const struct key *signer, struct span tbs, struct buf *to)
{
	_cleanup_(buf_free) struct buf signature = BUF_MAX(CA_SIGNATURE_MAX);
	enum hash_alg                  alg = sig_alg_usual(signer->type);
	int                            r = key_evp_sign(signer, alg, tbs, &signature);
	if (r < 0)
		return r;
	size_t mark = der_open(to, DER_SEQUENCE);
	der_put_span(to, tbs);
	der_put_span(to, sig_alg_der(signer->type, alg));
	der_put_bits(to, signature.p, signature.n);
	der_close(to, mark);
	return buf_error(to);
}

int issue_ca_certificate(const struct ca_facts *facts, const struct key *subject, const struct key *parent_key,
			 struct span parent_der, struct buf *to)
{
	_cleanup_(buf_free) struct buf tbs = BUF_MAX(CA_TBS_MAX);
	int                            r = issue_ca_tbs(facts, subject, parent_key, parent_der, &tbs);
	return r == 0 ? issue_ca_tbs_sign(parent_key != NULL ? parent_key : subject, buf_span(&tbs), to) : r;
}
