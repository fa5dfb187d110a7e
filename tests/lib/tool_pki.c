/* tool_pki.c - writes a complete sample PKI into a folder, for other implementations to judge: CAs, a leaf of each profile,
 * CRLs. usage: tool_pki FOLDER CA_KEY_TYPE [IP_RANGES]. Never: keys that anybody trusts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/times.h"
#include "tests/lib/hierarchy.h"

static const char *folder;

static void save(const char *name, const char *suffix, struct span bytes)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
	FILE *f = fopen(path, "wb");
	if (f == NULL || fwrite(bytes.p, 1, bytes.n, f) != bytes.n || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void must(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "tool_pki: %s: %d\n", what, r);
	exit(1);
}

static void save_cert(const char *name, struct span der)
{
	struct buf pem = BUF_MAX(65536);
	must(cert_pem_add(der, &pem), "pem");
	save(name, ".pem", buf_span(&pem));
	save(name, ".cer", der);
	buf_free(&pem);
}

static void save_crl(const struct hierarchy *h, enum issuer_role role, const struct crl_entry *entries, size_t n)
{
	char       idp[256];
	char       name[64];
	struct buf crl = BUF_MAX(65536);
	struct buf pem = BUF_MAX(65536);
	snprintf(idp, sizeof(idp), "%s/crl/%s/3.crl", HIERARCHY_URL, h->issuer[role].issuer_id);
	must(issue_crl(h->ca[role], 7, h->now_at, h->now_at + MS_DAY, role == ISSUER_ROOT ? NULL : idp, entries, n, &crl),
	     "crl");
	must(crl_pem_add(buf_span(&crl), &pem), "crl pem");
	snprintf(name, sizeof(name), "crl-%s", issuer_role_name(role));
	save(name, ".pem", buf_span(&pem));
	save(name, ".der", buf_span(&crl));
	buf_free(&crl);
	buf_free(&pem);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: tool_pki FOLDER CA_KEY_TYPE [IP_RANGES]\n");
		return 2;
	}
	folder = argv[1];
	enum key_type ca_type = KEY_EC_P256;
	for (int t = 0; t < KEY_TYPE_COUNT; t++)
		if (strcmp(argv[2], key_type_name((enum key_type)t)) == 0)
			ca_type = (enum key_type)t;

	struct hierarchy h;
	hierarchy_make(&h, (int64_t)time(NULL) * MS_SECOND, ca_type, argc > 3 ? argv[3] : "");
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++)
		save_cert(issuer_role_name((enum issuer_role)role), hierarchy_der(&h, (enum issuer_role)role));

	static const enum key_type types[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_ED25519};
	struct crl_entry           revoked[ISSUER_ROLE_COUNT] = {0};
	uint64_t                   counter = 100;
	for (int profile = 0; profile < LEAF_PROFILE_COUNT; profile++) {
		for (size_t t = 0; t < N_ELEMENTS(types); t++) {
			struct key       *k;
			struct cert_facts f;
			struct refusal    why;
			char              name[96];
			struct buf        der = BUF_MAX(CERT_DER_MAX);
			must(key_make(types[t], &k), "key");
			hierarchy_facts(&h, (enum leaf_profile)profile, k, 30 * MS_DAY, counter++, &f);
			f.hash_alg = (enum hash_alg)(t % HASH_ALG_COUNT);
			if (profile == LEAF_SERVICE && argc > 3)
				must(names_parse("web.vcc.internal,IP:10.1.2.3", false, &f.names, NULL), "names");
			must(hierarchy_issue(&h, &f, &der, &why), "issue");
			snprintf(name, sizeof(name), "leaf-%s-%s-%s",
				 issuer_role_name(hierarchy_role((enum leaf_profile)profile)),
				 leaf_profile_name((enum leaf_profile)profile), key_type_name(types[t]));
			save_cert(name, buf_span(&der));
			buf_free(&der);
			key_free(k);
		}
	}
	/* one revoked leaf per issuing CA, to show that the lists work */
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++) {
		static const enum leaf_profile profiles[] = {LEAF_SERVICE, LEAF_SERVICE, LEAF_AGENT, LEAF_CODE_SIGNING};
		struct key                    *k;
		struct cert_facts              f;
		struct refusal                 why;
		char                           name[64];
		struct buf                     der = BUF_MAX(CERT_DER_MAX);
		if (role == ISSUER_ROOT) {
			save_crl(&h, ISSUER_ROOT, NULL, 0);
			continue;
		}
		must(key_make(KEY_EC_P256, &k), "key");
		hierarchy_facts(&h, profiles[role], k, 30 * MS_DAY, counter++, &f);
		must(hierarchy_issue(&h, &f, &der, &why), "issue");
		snprintf(name, sizeof(name), "revoked-%s", issuer_role_name((enum issuer_role)role));
		save_cert(name, buf_span(&der));
		revoked[role] = (struct crl_entry){f.serial, h.now_at, REASON_SUPERSEDED, 0};
		save_crl(&h, (enum issuer_role)role, &revoked[role], 1);
		buf_free(&der);
		key_free(k);
	}
	hierarchy_free(&h);
	return 0;
}
