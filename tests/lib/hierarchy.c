/* hierarchy.c - a complete small PKI in memory for tests.
 * Never: in a program. */
#include "tests/lib/hierarchy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/times.h"

static void must(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "hierarchy: %s: %d\n", what, r);
	abort();
}

static struct serial serial_of(uint64_t counter)
{
	uint8_t random[SERIAL_RANDOM];
	random_bytes(random, sizeof(random));
	return serial_make(counter, random);
}

static void ca_make(struct hierarchy *h, enum issuer_role role, const char *ip_ranges)
{
	static const char *const names[] = {"Test Root", "Test Service CA", "Test Agent CA", "Test Code Signing CA"};
	static const int         years[] = {10, 3, 3, 6};
	struct ca_facts          f = {.role = role, .serial = serial_of((uint64_t)role + 1)};
	struct buf               der = BUF_MAX(CERT_DER_MAX);
	bool                     root = role == ISSUER_ROOT;

	strcpy(f.organisation, "Vcc Test");
	strcpy(f.common_name, names[role]);
	f.not_before_at = h->now_at - MS_HOUR;
	f.not_after_at = f.not_before_at + years[role] * 365 * MS_DAY;
	strcpy(f.domains, HIERARCHY_DOMAIN ", example.org");
	snprintf(f.ip_ranges, sizeof(f.ip_ranges), "%s", ip_ranges);
	strcpy(f.public_url, HIERARCHY_URL);
	strcpy(f.parent_id, root ? "" : "root-1");
	must(issue_ca_certificate(&f, h->key[role], root ? NULL : h->key[ISSUER_ROOT],
				  root ? (struct span){NULL, 0} : hierarchy_der(h, ISSUER_ROOT), &der),
	     "issue_ca_certificate");

	struct issuer *i = &h->issuer[role];
	snprintf(i->issuer_id, sizeof(i->issuer_id), "%s-1", issuer_role_name(role));
	strcpy(i->parent_id, f.parent_id);
	i->role = role;
	i->key_type = key_type(h->key[role]);
	i->not_before_at = f.not_before_at;
	i->not_after_at = f.not_after_at;
	if (der.n > sizeof(i->der))
		abort();
	memcpy(i->der, der.p, der.n);
	i->der_len = (uint16_t)der.n;
	buf_free(&der);
	must(issue_ca_make(i, h->key[role], HIERARCHY_URL, &h->ca[role]), "issue_ca_make");
}

void hierarchy_make(struct hierarchy *h, int64_t now_at, enum key_type service_key, const char *ip_ranges)
{
	*h = (struct hierarchy){.now_at = now_at - now_at % MS_SECOND};
	must(key_make(KEY_EC_P384, &h->key[ISSUER_ROOT]), "root key");
	must(key_make(service_key, &h->key[ISSUER_SERVICE]), "service key");
	must(key_make(KEY_EC_P256, &h->key[ISSUER_AGENT]), "agent key");
	must(key_make(KEY_EC_P256, &h->key[ISSUER_CODE_SIGNING]), "code-signing key");
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++)
		ca_make(h, (enum issuer_role)role, ip_ranges);
}

void hierarchy_free(struct hierarchy *h)
{
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++) {
		issue_ca_free(h->ca[role]);
		key_free(h->key[role]);
	}
}

struct span hierarchy_der(const struct hierarchy *h, enum issuer_role role)
{
	return (struct span){h->issuer[role].der, h->issuer[role].der_len};
}

enum issuer_role hierarchy_role(enum leaf_profile profile)
{
	switch (profile) {
	case LEAF_AGENT:
	case LEAF_GATEWAY:
		return ISSUER_AGENT;
	case LEAF_CODE_SIGNING:
		return ISSUER_CODE_SIGNING;
	default:
		return ISSUER_SERVICE;
	}
}

static const struct leaf_row {
	const char *common_name, *names, *uri;
	uint16_t    key_usage, ext_key_usage;
	bool        host_hash;
} leaves[LEAF_PROFILE_COUNT] = {
	[LEAF_SERVICE] = {"web.vcc.internal", "web.vcc.internal,*.clara.vcc.internal,example.org", "",
			  KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT, EKU_SERVER_AUTH | EKU_CLIENT_AUTH, false},
	[LEAF_CODE_SIGNING] = {"model-signing", "", "", KU_DIGITAL_SIGNATURE, EKU_CODE_SIGNING, false},
	[LEAF_AGENT] = {"", "", "spiffe://vcc.internal/agent/web01", KU_DIGITAL_SIGNATURE, EKU_CLIENT_AUTH, true},
	[LEAF_GATEWAY] = {"", "", "spiffe://vcc.internal/gateway/gw1", KU_DIGITAL_SIGNATURE, EKU_SERVER_AUTH, false},
	[LEAF_ADMIN_TLS] = {"admin.vcc.internal", "admin.vcc.internal", "", KU_DIGITAL_SIGNATURE, EKU_SERVER_AUTH, false},
	[LEAF_OPERATOR] = {"a-person", "", "", KU_DIGITAL_SIGNATURE, EKU_CLIENT_AUTH, false},
	[LEAF_OCSP] = {"OCSP responder", "", "", KU_DIGITAL_SIGNATURE, EKU_OCSP_SIGNING, false},
};

void hierarchy_facts(const struct hierarchy *h, enum leaf_profile profile, const struct key *k, int64_t validity_ms,
		     uint64_t counter, struct cert_facts *ret)
{
	const struct leaf_row *row = &leaves[profile];
	struct buf             spki = BUF_MAX(SPKI_MAX);
	struct hash            hash;
	*ret = (struct cert_facts){.profile = profile, .serial = serial_of(counter), .hash_alg = HASH_SHA256, .crl_shard = 3};
	strcpy(ret->issuer_id, h->issuer[hierarchy_role(profile)].issuer_id);
	ret->not_before_at = h->now_at;
	ret->not_after_at = h->now_at + validity_ms;
	/* an agent's subject is its host key alone */
	strcpy(ret->organisation, row->uri[0] != '\0' ? "" : "Vcc Test");
	strcpy(ret->common_name, row->common_name);
	strcpy(ret->uri, row->uri);
	must(names_parse(row->names, true, &ret->names, NULL), "names");
	must(key_spki(k, &spki), "spki");
	memcpy(ret->spki, spki.p, spki.n);
	ret->spki_len = (uint16_t)spki.n;
	ret->key_type = key_type(k);
	ret->key_usage = row->key_usage;
	ret->ext_key_usage = row->ext_key_usage;
	if (row->host_hash) {
		digest_sha256(buf_span(&spki), &hash);
		hash_text(hash, ret->host_hash);
	}
	buf_free(&spki);
}

int hierarchy_issue(const struct hierarchy *h, const struct cert_facts *facts, struct buf *to, struct refusal *why)
{
	const struct issue_ca         *ca = h->ca[hierarchy_role(facts->profile)];
	_cleanup_(buf_free) struct buf tbs = BUF_MAX(CERT_DER_MAX);
	int                            r = issue_tbs(ca, facts, &tbs);
	if (r == 0)
		r = issue_lint(ca, facts, buf_span(&tbs), why);
	return r < 0 ? r : issue_sign(ca, 0, buf_span(&tbs), facts->hash_alg, to);
}

void hierarchy_seal(const struct key *k, struct span passphrase, struct buf *to)
{
	struct keyfile_lock lock;
	if (keyfile_lock_make(passphrase, (struct keyfile_cost){1, 8}, &lock) != 0 || keyfile_seal_under(k, &lock, to) != 0)
		abort();
}
