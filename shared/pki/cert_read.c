/* cert_read.c - room shared/pki: what we use of a certificate, read once from its DER.
 * Never: trusting it; that is cert_verify. */
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/key_evp.h"

static inline void x509_name_freep(X509_NAME **p)
{
	X509_NAME_free(*p);
}

/* RFC 4514 text, cut to size: for people. */
static int name_text(X509_NAME *name, char *ret, size_t size)
{
	_cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
	if (bio == NULL)
		return E_NOMEM;
	char *text;
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
		return E_PKI_CERT;
	long n = BIO_get_mem_data(bio, &text);
	snprintf(ret, size, "%.*s", (int)n, text);
	return 0;
}

/* The last value of an attribute as UTF-8; "" when absent. A value with NUL inside or too long is refused. */
static int name_value(X509_NAME *name, int nid, char *ret, size_t size)
{
	int at = -1;
	for (int next; (next = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;)
		at = next;
	ret[0] = '\0';
	if (at < 0)
		return 0;
	uint8_t *utf8 = NULL;
	int      n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n < 0)
		return E_PKI_CERT;
	int r = text_copy_n(ret, size, (const char *)utf8, (size_t)n);
	OPENSSL_free(utf8);
	return r < 0 ? E_PKI_CERT : 0;
}

static int names_of(struct span der, X509_NAME **ret)
{
	const uint8_t *p = der.p;
	*ret = d2i_X509_NAME(NULL, &p, (long)der.n);
	if (*ret == NULL || p != der.p + der.n) {
		ERR_clear_error();
		return E_PKI_CERT;
	}
	return 0;
}

static int subject_read(const struct tbs_parts *t, struct cert_info *info)
{
	_cleanup_(x509_name_freep) X509_NAME *subject = NULL;
	_cleanup_(x509_name_freep) X509_NAME *issuer = NULL;
	int                                   r = names_of(t->subject, &subject);
	if (r == 0)
		r = names_of(t->issuer, &issuer);
	if (r == 0)
		r = name_text(subject, info->subject, sizeof(info->subject));
	if (r == 0)
		r = name_text(issuer, info->issuer, sizeof(info->issuer));
	if (r == 0)
		r = name_value(subject, NID_commonName, info->common_name, sizeof(info->common_name));
	if (r < 0)
		return r;
	/* only our own form counts: 64 hex digits; other people's serialNumber is theirs */
	char        text[HASH_TEXT_SIZE];
	struct hash hash;
	if (name_value(subject, NID_serialNumber, text, sizeof(text)) == 0 && hash_parse(text, &hash) == 0)
		memcpy(info->host_hash, text, sizeof(text));
	char organisation[SUBJECT_SIZE];
	if (name_value(subject, NID_organizationName, organisation, sizeof(organisation)) == 0)
		memcpy(info->organisation, organisation, sizeof(organisation));
	return 0;
}

/* Plain host characters only: a comma or NUL inside a name would become a second name in the list. */
static bool dns_text_ok(struct span v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= 0x20 || v.p[i] >= 0x7f || v.p[i] == ',')
			return false;
	return v.n > 0 && v.n < DNS_NAME_SIZE;
}

static void alt_name_add(struct der *d, struct cert_info *info, struct buf *list)
{
	uint8_t     tag = der_tag(d);
	struct span v = der_get(d, tag);
	char        ip[INET6_ADDRSTRLEN];
	if (tag == GN_DNS && dns_text_ok(v)) {
		buf_add_fmt(list, "DNS:%.*s,", (int)v.n, (const char *)v.p);
	} else if (tag == GN_IP && (v.n == 4 || v.n == 16) &&
		   inet_ntop(v.n == 4 ? AF_INET : AF_INET6, v.p, ip, sizeof(ip)) != NULL) {
		buf_add_fmt(list, "IP:%s,", ip);
	} else if (tag == GN_URI && info->uri[0] == '\0' && v.n > 0 && text_utf8_ok(v.p, v.n)) {
		if (text_copy_n(info->uri, sizeof(info->uri), (const char *)v.p, v.n) < 0)
			d->bad = true;
	} else {
		d->bad = true; /* a name that we would not show must not be overlooked either */
	}
}

static int alt_names_read(struct span value, struct cert_info *info)
{
	_cleanup_(buf_free) struct buf list = BUF_MAX(NAMES_TEXT_SIZE);
	struct der                     outer = der_of(value);
	struct der                     d = der_in(&outer, DER_SEQUENCE);
	while (der_more(&d))
		alt_name_add(&d, info, &list);
	if (!der_done(&d) || !der_done(&outer))
		return E_PKI_CERT;
	if (list.n == 0)
		return 0;
	buf_add_u8(&list, '\0');
	if (buf_error(&list) != 0 || names_parse((const char *)list.p, true, &info->names, NULL) < 0)
		return E_PKI_CERT;
	return 0;
}

static int ext_read(const struct ext *ext, struct cert_info *info)
{
	struct der d = der_of(ext->value);
	bool       bad = false;
	switch (ext->id) {
	case EXT_ALT_NAME:
		return alt_names_read(ext->value, info);
	case EXT_KEY_USAGE:
		info->key_usage = (uint16_t)der_named_bits(&d);
		bad = !der_done(&d);
		break;
	case EXT_EXTENDED_USAGE:
		info->ext_key_usage = (uint16_t)ext_get_extended_usage(ext->value, &bad);
		break;
	case EXT_BASIC_CONSTRAINTS: {
		struct der in = der_in(&d, DER_SEQUENCE);
		info->is_ca = der_tag(&in) == DER_BOOLEAN && der_flag(&in);
		bad = in.bad || !der_done(&d);
		break;
	}
	default:
		break;
	}
	return bad ? E_PKI_CERT : 0;
}

int cert_read(struct span der, struct cert_info *ret)
{
	struct cert_parts parts;
	struct cert_info  info = {.not_before_at = 0};
	int               r = cert_parts_read(der, &parts);
	if (r == 0)
		r = subject_read(&parts.t, &info);
	struct der exts = der_of(r == 0 ? parts.t.exts : (struct span){NULL, 0});
	struct ext ext;
	while (r == 0 && ext_next(&exts, &ext))
		r = ext_read(&ext, &info);
	if (r < 0) {
		ERR_clear_error();
		return r;
	}
	info.not_before_at = parts.t.not_before_at;
	info.not_after_at = parts.t.not_after_at;
	if (!cert_parts_serial(parts.t.serial, &info.serial))
		info.serial = (struct serial){{0}};
	digest_sha256(der, &info.fingerprint);
	digest_sha256(parts.t.spki, &info.spki_hash);
	*ret = info;
	return 0;
}

int cert_fits_key(struct span der, const struct key *k)
{
	struct cert_parts parts;
	int               r = cert_parts_read(der, &parts);
	if (r < 0)
		return r;
	return span_equal(parts.t.spki, (struct span){k->spki, k->spki_len}) ? 0 : E_PKI_MISMATCH;
}
