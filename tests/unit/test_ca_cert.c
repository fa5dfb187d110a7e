/* test_ca_cert.c - do CA certificates carry exactly the rights of their role, and are wrong facts refused?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/issue.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy h;
static struct key      *k;

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	return key_make(KEY_EC_P256, &k);
}

static int teardown(void **state)
{
	(void)state;
	key_free(k);
	hierarchy_free(&h);
	return 0;
}

static void roles_have_their_extensions(void **state)
{
	(void)state;
	static const struct {
		unsigned ext_key_usage;
		bool     constraints, links;
	} rows[ISSUER_ROLE_COUNT] = {
		[ISSUER_ROOT] = {0, false, false},
		[ISSUER_SERVICE] = {0, true, true},
		[ISSUER_AGENT] = {0, true, true},
		[ISSUER_CODE_SIGNING] = {EKU_CODE_SIGNING | EKU_OCSP_SIGNING, true, true},
	};
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++) {
		struct span       der = hierarchy_der(&h, (enum issuer_role)role);
		struct cert_info  info;
		struct cert_parts parts;
		struct span       value;
		assert_int_equal(cert_read(der, &info), 0);
		assert_int_equal(cert_parts_read(der, &parts), 0);
		assert_true(info.is_ca);
		assert_int_equal(info.key_usage, KU_KEY_CERT_SIGN | KU_CRL_SIGN);
		assert_int_equal(info.ext_key_usage, rows[role].ext_key_usage);
		assert_true(tbs_parts_ext(&parts.t, EXT_NAME_CONSTRAINTS, &value) == rows[role].constraints);
		assert_true(tbs_parts_ext(&parts.t, EXT_CRL_POINTS, &value) == rows[role].links);
		assert_true(tbs_parts_ext(&parts.t, EXT_AUTHORITY_INFO, &value) == rows[role].links);
		assert_true(tbs_parts_ext(&parts.t, EXT_AUTHORITY_KEY_ID, &value) == rows[role].links);
		assert_true(tbs_parts_ext(&parts.t, EXT_BASIC_CONSTRAINTS, &value));
		assert_int_equal(value.n, role == ISSUER_ROOT ? 5 : 8); /* with pathLen 0 */
		assert_int_equal(cert_fits_key(der, h.key[role]), 0);
		assert_int_equal(cert_fits_key(der, k), E_PKI_MISMATCH);
	}
}

static void facts_of(enum issuer_role role, struct ca_facts *f)
{
	*f = (struct ca_facts){.role = role, .serial = {{1, 2, 3}}, .not_before_at = NOW, .not_after_at = NOW + 100 * MS_DAY};
	strcpy(f->organisation, "Vcc Test");
	strcpy(f->common_name, "Test");
	strcpy(f->domains, "vcc.internal");
	strcpy(f->public_url, HIERARCHY_URL);
	strcpy(f->parent_id, "root-1");
}

static int make(const struct ca_facts *f)
{
	_cleanup_(buf_free) struct buf der = BUF_MAX(CERT_DER_MAX);
	bool                           root = f->role == ISSUER_ROOT;
	struct span                    parent = root ? (struct span){NULL, 0} : hierarchy_der(&h, ISSUER_ROOT);
	int                            r = issue_ca_certificate(f, k, root ? NULL : h.key[ISSUER_ROOT], parent, &der);
	assert_true((r == 0) == (der.n > 0));
	return r;
}

static void wrong_facts_are_refused(void **state)
{
	(void)state;
	struct ca_facts f;
#define REFUSED(role, change)                                                                                                  \
	do {                                                                                                                   \
		facts_of(role, &f);                                                                                            \
		assert_int_equal(make(&f), 0);                                                                                 \
		change;                                                                                                        \
		assert_true(make(&f) < 0);                                                                                     \
	} while (0)
	REFUSED(ISSUER_ROOT, f.serial = (struct serial){{0}});
	REFUSED(ISSUER_ROOT, f.serial.b[0] = 0x80);
	REFUSED(ISSUER_ROOT, f.not_after_at = f.not_before_at - MS_SECOND);
	REFUSED(ISSUER_ROOT, f.not_after_at += 1);
	REFUSED(ISSUER_ROOT, f.organisation[0] = '\0');
	REFUSED(ISSUER_ROOT, strcpy(f.common_name, "a\nb"));
	REFUSED(ISSUER_SERVICE, f.domains[0] = '\0');
	REFUSED(ISSUER_SERVICE, strcpy(f.domains, "*.vcc.internal"));
	REFUSED(ISSUER_SERVICE, strcpy(f.domains, "vcc internal"));
	REFUSED(ISSUER_AGENT, f.domains[0] = '\0');
	REFUSED(ISSUER_SERVICE, strcpy(f.ip_ranges, "10.0.0"));
	REFUSED(ISSUER_SERVICE, strcpy(f.ip_ranges, "10.0.0.1/8")); /* bits outside the mask */
	REFUSED(ISSUER_SERVICE, strcpy(f.ip_ranges, "10.0.0.0/33"));
	REFUSED(ISSUER_SERVICE, strcpy(f.ip_ranges, "10.0.0.0/8, 2001:db8::/129"));
	REFUSED(ISSUER_SERVICE, strcpy(f.ip_ranges, "x/8"));
	REFUSED(ISSUER_SERVICE, strcpy(f.public_url, "http://x/"));
	REFUSED(ISSUER_SERVICE, f.public_url[0] = '\0');
	REFUSED(ISSUER_SERVICE, strcpy(f.parent_id, "../x"));
	REFUSED(ISSUER_SERVICE, f.not_after_at = h.issuer[ISSUER_ROOT].not_after_at + MS_SECOND);
	REFUSED(ISSUER_SERVICE, f.not_before_at = h.issuer[ISSUER_ROOT].not_before_at - MS_SECOND);
#undef REFUSED
}

static void keys_must_fit(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf   der = BUF_MAX(CERT_DER_MAX);
	_cleanup_(key_freep) struct key *ed = NULL;
	struct ca_facts                  f;
	struct span                      root = hierarchy_der(&h, ISSUER_ROOT);
	assert_int_equal(key_make(KEY_ED25519, &ed), 0);
	facts_of(ISSUER_SERVICE, &f);
	assert_int_equal(issue_ca_certificate(&f, k, h.key[ISSUER_SERVICE], root, &der), E_PKI_MISMATCH);
	assert_int_equal(issue_ca_certificate(&f, h.key[ISSUER_ROOT], h.key[ISSUER_ROOT], root, &der), E_PKI_LINT);
	assert_int_equal(issue_ca_certificate(&f, k, NULL, (struct span){NULL, 0}, &der), E_PKI_LINT);
	assert_int_equal(issue_ca_certificate(&f, ed, h.key[ISSUER_ROOT], root, &der), E_PKI_LINT);
	f.cross = true; /* only a root vouches for a root */
	assert_int_equal(issue_ca_certificate(&f, k, h.key[ISSUER_ROOT], root, &der), E_PKI_LINT);
	facts_of(ISSUER_ROOT, &f);
	assert_int_equal(issue_ca_certificate(&f, k, h.key[ISSUER_ROOT], root, &der), E_PKI_LINT);
	f.cross = true;
	assert_int_equal(issue_ca_certificate(&f, k, NULL, (struct span){NULL, 0}, &der), E_PKI_LINT);
	assert_int_equal(issue_ca_certificate(&f, k, h.key[ISSUER_SERVICE], hierarchy_der(&h, ISSUER_SERVICE), &der), E_PKI_LINT);
	assert_int_equal(der.n, 0);
	f.not_after_at = h.issuer[ISSUER_ROOT].not_after_at;
	assert_int_equal(issue_ca_certificate(&f, k, h.key[ISSUER_ROOT], root, &der), 0);
}

static void every_ca_key_type(void **state)
{
	(void)state;
	static const enum key_type types[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048};
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		_cleanup_(key_freep) struct key *root = NULL;
		_cleanup_(buf_free) struct buf   der = BUF_MAX(CERT_DER_MAX);
		struct ca_facts                  f;
		assert_int_equal(key_make(types[i], &root), 0);
		facts_of(ISSUER_ROOT, &f);
		assert_int_equal(issue_ca_certificate(&f, root, NULL, (struct span){NULL, 0}, &der), 0);
		/* a root verifies itself */
		assert_int_equal(cert_verify(buf_span(&der), (struct span){NULL, 0}, buf_span(&der), 0, NOW, NULL), 0);
	}
}

static void many_domains_and_ranges_fit(void **state)
{
	(void)state;
	struct ca_facts f;
	facts_of(ISSUER_SERVICE, &f);
	strcpy(f.domains, "a.example, b.example,c.example , d.example");
	strcpy(f.ip_ranges, "10.0.0.0/8, 192.168.0.0/16,2001:db8::/32,0.0.0.0/0");
	assert_int_equal(make(&f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_have_their_extensions),
		cmocka_unit_test(wrong_facts_are_refused),
		cmocka_unit_test(keys_must_fit),
		cmocka_unit_test(every_ca_key_type),
		cmocka_unit_test(many_domains_and_ranges_fit),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
