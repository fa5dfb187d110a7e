/* fuzz_tbs.c - do the hand-built and the library's to-be-signed bytes agree for every facts value, octet by octet?
 * What both accept must, once signed, parse in the library and be read back as the facts; the lints must survive it. */
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "shared/base/times.h"
#include "shared/pki/issue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1790000000000)

static struct {
	bool             ready;
	struct issue_ca *ca[2]; /* P-256 and RSA-2048 */
	struct key      *subject[4];
} world;

static void must(int r)
{
	if (r < 0)
		abort();
}

static void ca_make(size_t i, enum key_type type)
{
	struct key     *root;
	struct buf      der = BUF_MAX(CERT_DER_MAX);
	struct ca_facts f = {.role = ISSUER_ROOT, .serial = {{1}}, .not_before_at = 0, .not_after_at = NOW};
	struct issuer   issuer = {.role = ISSUER_ROOT};
	strcpy(f.organisation, "Fuzz");
	strcpy(f.common_name, "Root");
	strcpy(issuer.issuer_id, "root-1");
	must(key_make(type, &root));
	must(issue_ca_certificate(&f, root, NULL, (struct span){NULL, 0}, &der));
	memcpy(issuer.der, der.p, der.n);
	issuer.der_len = (uint16_t)der.n;
	must(issue_ca_make(&issuer, root, "http://pki.vcc.internal", &world.ca[i]));
	key_free(root);
	buf_free(&der);
}

static void world_make(void)
{
	static const enum key_type types[] = {KEY_EC_P256, KEY_EC_P384, KEY_ED25519, KEY_RSA_2048};
	ca_make(0, KEY_EC_P256);
	ca_make(1, KEY_RSA_2048);
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		must(key_make(types[i], &world.subject[i]));
	world.ready = true;
}

struct input {
	const uint8_t *p;
	size_t         n;
};

static uint64_t number(struct input *in, size_t octets)
{
	uint64_t v = 0;
	for (; octets > 0 && in->n > 0; octets--, in->p++, in->n--)
		v = v << 8 | *in->p;
	return v;
}

/* Up to `size` - 1 octets and a NUL, as decoding leaves them. */
static void text(struct input *in, char *ret, size_t size)
{
	size_t n = (size_t)number(in, size > 256 ? 2 : 1) % size;
	if (n > in->n)
		n = in->n;
	memcpy(ret, in->p, n);
	ret[n] = '\0';
	in->p += n;
	in->n -= n;
}

static int64_t time_of(struct input *in)
{
	int64_t at = (int64_t)number(in, 6);
	uint8_t form = (uint8_t)number(in, 1);
	if (form < 200)
		at -= at % MS_SECOND;
	return form % 16 == 1 ? -at : at;
}

static void subject_change(struct input *in, struct cert_facts *f)
{
	text(in, f->organisation, sizeof(f->organisation));
	text(in, f->common_name, sizeof(f->common_name));
	text(in, f->host_hash, sizeof(f->host_hash));
}

static void host_change(struct input *in, struct cert_facts *f)
{
	(void)in;
	strcpy(f->host_hash, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
}

static void uri_change(struct input *in, struct cert_facts *f)
{
	text(in, f->uri, sizeof(f->uri));
}

static void names_change(struct input *in, struct cert_facts *f)
{
	text(in, f->names.text, sizeof(f->names.text));
}

/* Lists as names_parse() leaves them, of fuzzed labels and addresses. */
static void names_build(struct input *in, struct cert_facts *f)
{
	struct buf list = BUF_MAX(NAMES_TEXT_SIZE);
	char       label[8];
	for (uint64_t n = number(in, 1) % (NAMES_MAX + 2); n > 0; n--) {
		uint64_t v = number(in, 4);
		text(in, label, sizeof(label));
		buf_add_text(&list, list.n > 0 ? "," : "");
		if (v % 4 == 0)
			buf_add_fmt(&list, "IP:%u.%u.%u.%u", (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
				    (uint8_t)v);
		else if (v % 4 == 1)
			buf_add_fmt(&list, "IP:2001:db8::%x:%x", (uint16_t)v, (uint16_t)(v >> 16));
		else
			buf_add_fmt(&list, "DNS:%s%x.vcc.internal", label, (unsigned)v);
	}
	buf_add_u8(&list, '\0');
	if (buf_error(&list) == 0)
		memcpy(f->names.text, list.p, list.n);
	buf_free(&list);
}

static void names_drop(struct input *in, struct cert_facts *f)
{
	(void)in;
	f->names.text[0] = '\0';
}

static void subject_drop(struct input *in, struct cert_facts *f)
{
	(void)in;
	f->organisation[0] = f->common_name[0] = f->host_hash[0] = '\0';
}

static void serial_change(struct input *in, struct cert_facts *f)
{
	for (size_t i = 0; i < sizeof(f->serial.b); i++)
		f->serial.b[i] = (uint8_t)number(in, 1);
}

static void times_change(struct input *in, struct cert_facts *f)
{
	f->not_before_at = time_of(in);
	f->not_after_at = f->not_before_at + time_of(in);
}

static void key_change(struct input *in, struct cert_facts *f)
{
	f->spki[number(in, 2) % f->spki_len] ^= (uint8_t)number(in, 1);
}

static void length_change(struct input *in, struct cert_facts *f)
{
	f->spki_len = (uint16_t)number(in, 2);
}

static void usage_change(struct input *in, struct cert_facts *f)
{
	f->key_usage = (uint16_t)(number(in, 2) & 0x7f);
	f->ext_key_usage = (uint16_t)(number(in, 2) & 0x0f);
}

static void usage_any(struct input *in, struct cert_facts *f)
{
	f->key_usage = (uint16_t)number(in, 2);
	f->ext_key_usage = (uint16_t)number(in, 2);
}

static void rest_change(struct input *in, struct cert_facts *f)
{
	f->hash_alg = (enum hash_alg)(number(in, 1) % (HASH_ALG_COUNT + 1));
	f->crl_shard = (uint32_t)number(in, 4);
}

/* A good leaf, then the changes that the bits of the input name: most inputs stay buildable. */
static void (*const changes[])(struct input *in, struct cert_facts *f) = {
	subject_change, host_change,  uri_change, names_change, names_build, names_drop,  subject_drop,
	serial_change,  times_change, key_change, usage_change, usage_any,   rest_change, length_change,
};

static void facts_make(struct input *in, struct cert_facts *f)
{
	struct buf        spki = BUF_MAX(SPKI_MAX);
	const struct key *k = world.subject[number(in, 1) % 4];
	uint64_t          which = number(in, 2);
	*f = (struct cert_facts){
		.profile = LEAF_SERVICE, .serial = {{0, 0, 1, 9, 8, 7}}, .not_before_at = NOW - MS_DAY, .not_after_at = NOW};
	strcpy(f->issuer_id, "root-1");
	strcpy(f->organisation, "Fuzz");
	strcpy(f->common_name, "web.vcc.internal");
	strcpy(f->names.text, "DNS:web.vcc.internal");
	f->key_usage = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT;
	f->ext_key_usage = EKU_SERVER_AUTH;
	must(key_spki(k, &spki));
	memcpy(f->spki, spki.p, spki.n);
	f->spki_len = (uint16_t)spki.n;
	f->key_type = key_type(k);
	buf_free(&spki);
	for (size_t i = 0; i < N_ELEMENTS(changes); i++)
		if ((which & (UINT64_C(1) << i)) != 0)
			changes[i](in, f);
}

/* A point that is not on the curve has good DER; only the library's decoder notices, and the CSR check before. */
static bool key_is_real(const struct cert_facts *f)
{
	struct key *k = NULL;
	bool        real = key_from_spki((struct span){f->spki, f->spki_len}, &k) == 0;
	key_free(k);
	return real;
}

static void signed_parses(const struct issue_ca *ca, const struct cert_facts *f, struct span tbs)
{
	struct buf       cert = BUF_MAX(2 * CERT_DER_MAX);
	struct cert_info info;
	must(issue_sign(ca, 0, tbs, f->hash_alg, &cert));
	const uint8_t *p = cert.p;
	X509          *x = d2i_X509(NULL, &p, (long)cert.n);
	if (x == NULL || p != cert.p + cert.n)
		abort();
	X509_free(x);
	if (issue_lint(ca, f, tbs, NULL) == 0) {
		/* what the lints pass is read back as the facts */
		if (cert_read(buf_span(&cert), &info) < 0 || !serial_equal(info.serial, f->serial) ||
		    info.not_before_at != f->not_before_at || info.not_after_at != f->not_after_at ||
		    strcmp(info.common_name, f->common_name) != 0 || strcmp(info.uri, f->uri) != 0 ||
		    strcmp(info.host_hash, f->host_hash) != 0 || info.is_ca ||
		    names_count(&info.names) != names_count(&f->names))
			abort();
	}
	buf_free(&cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!world.ready)
		world_make();
	struct input           in = {data, size};
	struct cert_facts      f;
	const struct issue_ca *ca = world.ca[number(&in, 1) % 16 == 0];
	struct buf             fast = BUF_MAX(CERT_DER_MAX), plain = BUF_MAX(CERT_DER_MAX);
	facts_make(&in, &f);
	int a = issue_tbs(ca, &f, &fast);
	int b = issue_tbs_plain(ca, &f, &plain);
	if (a == b && !span_equal(buf_span(&fast), buf_span(&plain)))
		abort();
	if (a != b && !(a == 0 && b == E_PKI_LINT && !key_is_real(&f)))
		abort();
	if (a == 0 && b == 0)
		signed_parses(ca, &f, buf_span(&fast));
	buf_free(&fast);
	buf_free(&plain);
	return 0;
}
