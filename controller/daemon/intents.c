/* intents.c - room controller/daemon: builds the bytes that the signer will have to agree with.
 * Never: keys of a CA. */
#include "controller/daemon/intents.h"

#include <stdio.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

/* A certificate that nobody will use does not live on: the key that it is for is destroyed when the test is over. */
#define DRILL_VALIDITY_MS MS_HOUR

static void subject_text(const struct cert_facts *f, char *ret, size_t size)
{
	char text[3 * SUBJECT_SIZE];
	(void)snprintf(text, sizeof(text), "%s%s%sO=%s", f->common_name[0] != '\0' ? "CN=" : "", f->common_name,
		       f->common_name[0] != '\0' ? "," : "", f->organisation);
	text_cut(ret, size, text);
}

static int request_of(const struct cert_facts *facts, struct hash tbs_hash, struct issuance *to)
{
	struct sg_issue issue = {.facts = *facts, .tbs_hash = tbs_hash};
	struct buf      frame = BUF_MAX(sizeof(to->der));
	int             r = wire_encode(&wire_signer, SG_ISSUE, serial_counter(facts->serial), &issue, &frame);
	if (r == 0) {
		memcpy(to->der, frame.p, frame.n);
		to->der_len = (uint16_t)frame.n;
	}
	buf_free(&frame);
	return r;
}

int intent_make(struct controller *ctl, struct catalog_issuer *issuer, struct cert_facts *facts, int64_t now,
		struct issuance *ret)
{
	int r = serials_take(ctl, &facts->serial);
	if (r < 0)
		return r;
	text_cut(facts->issuer_id, sizeof(facts->issuer_id), issuer->row.issuer_id);
	facts->crl_shard = serial_shard(facts->serial);

	struct buf tbs = BUF_MAX(CERT_DER_MAX);
	r = issue_tbs(issuer->ca, facts, &tbs);
	struct issuance row = {
		.serial = facts->serial,
		.state = ISSUANCE_INTENT,
		.not_before_at = facts->not_before_at,
		.not_after_at = facts->not_after_at,
		.crl_shard = facts->crl_shard,
		.created_at = now,
		.supersede_at = TIME_NEVER,
	};
	text_cut(row.issuer_id, sizeof(row.issuer_id), facts->issuer_id);
	subject_text(facts, row.subject, sizeof(row.subject));
	if (r == 0) {
		digest_sha256(buf_span(&tbs), &row.tbs_hash);
		digest_sha256((struct span){facts->spki, facts->spki_len}, &row.spki_hash);
		r = request_of(facts, row.tbs_hash, &row);
	}
	buf_free(&tbs);
	if (r == 0)
		*ret = row;
	return r;
}

static enum issuer_role role_of(const struct template *t)
{
	return t->purpose == PURPOSE_CODE_SIGNING ? ISSUER_CODE_SIGNING : ISSUER_SERVICE;
}

static int make_for(struct controller *ctl, const struct certificate *cert, const struct template *t, struct span spki,
		    struct id renewal_id, bool drill, struct issuance *ret)
{
	struct cert_facts      facts = {0};
	struct catalog_issuer *issuer = catalog_issuer_for(ctl->catalog, t);
	int64_t                now = clock_now(), not_before = 0, not_after = 0;
	bool                   cut = false;
	int r = catalog_signs(ctl->catalog, issuer, role_of(t));
	if (r == 0)
		r = policy_validity(t, issuer->row.not_after_at, now, &not_before, &not_after, &cut);
	if (drill && not_after > not_before + DRILL_VALIDITY_MS)
		not_after = not_before + DRILL_VALIDITY_MS;
	if (r == 0)
		r = policy_facts(cert, t, ctl->conf->organisation, not_before, not_after, &facts);
	if (r < 0)
		return r;
	if (cut && !drill)
		log_line(LOG_LEVEL_WARNING, NULL, "certificate %s is cut to the end of issuer %s", cert->cert_id,
			 issuer->row.issuer_id);
	if (spki.n > sizeof(facts.spki))
		return E_PKI_KEY;
	memcpy(facts.spki, spki.p, spki.n);
	facts.spki_len = (uint16_t)spki.n;
	r = intent_make(ctl, issuer, &facts, now, ret);
	if (r < 0)
		return r;
	ret->owner = OWNER_CERTIFICATE;
	text_cut(ret->owner_id, sizeof(ret->owner_id), cert->cert_id);
	ret->renewal_id = renewal_id;
	ret->drill = drill;
	return 0;
}

int intent_for(struct controller *ctl, const struct certificate *cert, const struct template *t, struct span spki,
	       struct id renewal_id, struct issuance *ret)
{
	return make_for(ctl, cert, t, spki, renewal_id, false, ret);
}

int intent_for_drill(struct controller *ctl, const struct certificate *cert, const struct template *t, struct span spki,
		     struct id renewal_id, struct issuance *ret)
{
	return make_for(ctl, cert, t, spki, renewal_id, true, ret);
}

int intent_key_fits(struct controller *ctl, const char *cert_id, struct hash spki_hash, struct id renewal_id, bool fresh)
{
	struct key_use use;
	int            r = rows_key_use(ctl->rows, spki_hash, cert_id, renewal_id, &use);
	if (r < 0)
		return r;
	if (use.compromised)
		return E_KEY_COMPROMISED;
	if (use.elsewhere || catalog_has_key(ctl->catalog, spki_hash))
		return E_KEY_TAKEN;
	return fresh && use.before ? E_KEY_OLD : 0;
}

int intent_possible(struct controller *ctl, const struct template *t)
{
	const struct catalog_issuer *issuer = catalog_issuer_for(ctl->catalog, t);
	int64_t                      from, to;
	bool                         cut;
	int                          r = catalog_signs(ctl->catalog, issuer, role_of(t));
	if (r < 0)
		return r;
	return policy_validity(t, issuer->row.not_after_at, clock_now(), &from, &to, &cut);
}

void intent_ask(struct controller *ctl, const struct issuance *intent, const struct ticket *ticket)
{
	signer_ask(ctl, serial_counter(intent->serial), (struct span){intent->der, intent->der_len}, ticket);
}

/* First element inside the certificate's outer SEQUENCE. */
static bool tbs_of(struct span certificate, struct span *ret)
{
	if (certificate.n < 4 || certificate.p[0] != 0x30)
		return false;
	size_t head = certificate.p[1] < 0x80 ? 2 : 2 + (size_t)(certificate.p[1] & 0x7f);
	if (head > 4 || head >= certificate.n)
		return false;
	struct span rest = {certificate.p + head, certificate.n - head};
	return der_next(&rest, ret);
}

int intent_signed(const struct issuance *intent, struct span certificate, struct issuance *ret)
{
	struct span tbs;
	struct hash hash;
	if (certificate.n > sizeof(ret->der) || !tbs_of(certificate, &tbs))
		return E_PKI_CERT;
	digest_sha256(tbs, &hash);
	if (!hash_equal(hash, intent->tbs_hash))
		return E_SIGNER_HASH;

	struct issuance row = *intent;
	row.state = ISSUANCE_ISSUED;
	digest_sha256(certificate, &row.fingerprint);
	memcpy(row.der, certificate.p, certificate.n);
	row.der_len = (uint16_t)certificate.n;
	*ret = row;
	return 0;
}
