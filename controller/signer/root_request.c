/* root_request.c - room controller/signer: the text of a request to an offline root, its judgement, the bytes that come of it.
 * Never: files, private keys; a root by request. */
#include "controller/signer/root_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controller/signer/ca_plan.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"

#define SHAPE "vcc-root-request 1\nauthority %s\nroot %s\ncertificate %s\nserial %s\nmade %lld\nkey %s\n"
#define SCAN  "vcc-root-request 1\nauthority %31s\nroot %31s\ncertificate %64s\nserial %32s\nmade %19lld\nkey %1499s\n"

enum { CSR_TEXT = 1500, TBS_MAX = CERT_DER_MAX / 3 };

static int request_refuse(const struct root_request *q, const char *cause, struct refusal *why)
{
	return refuse(why, E_ROOT_REQUEST, q->authority_id[0] != '\0' ? q->authority_id : "request", "%s", cause);
}

int root_request_write(const struct root_request *q, struct buf *to)
{
	char text[ROOT_REQUEST_MAX], print[HASH_TEXT_SIZE], serial[SERIAL_TEXT_SIZE], csr[CSR_TEXT];
	int  r = b64_text(q->csr, q->csr_n, csr, sizeof(csr));
	if (r < 0)
		return r;
	int n = snprintf(text, sizeof(text), SHAPE, q->authority_id, q->root_id, hash_text(q->root_hash, print),
			 serial_text(q->serial, serial), (long long)q->made_at, csr);
	buf_add(to, text, (size_t)n);
	return buf_error(to);
}

/* What is written again from what was read must be the same: there is one spelling. */
static bool is_spelt_so(const struct root_request *q, struct span text)
{
	struct buf again = BUF_MAX(ROOT_REQUEST_MAX);
	bool       same = root_request_write(q, &again) == 0 && span_equal(buf_span(&again), text);
	buf_free(&again);
	return same;
}

int root_request_read(struct span bytes, struct root_request *ret, struct refusal *why)
{
	struct root_request q = {.csr_n = 0};
	char                text[ROOT_REQUEST_MAX], print[HASH_TEXT_SIZE], serial[SERIAL_TEXT_SIZE], csr[CSR_TEXT];
	long long           made;
	if (text_copy_n(text, sizeof(text), (const char *)bytes.p, bytes.n) < 0 ||
	    sscanf(text, SCAN, q.authority_id, q.root_id, print, serial, &made, csr) != 6 ||
	    hex_parse(print, q.root_hash.b, sizeof(q.root_hash.b)) < 0 || serial_parse(serial, &q.serial) < 0 ||
	    b64_parse(csr, q.csr, sizeof(q.csr), &q.csr_n) < 0)
		return refuse(why, E_ROOT_REQUEST, "request", "this is no request to a root");
	q.made_at = made;
	if (!is_spelt_so(&q, bytes))
		return refuse(why, E_ROOT_REQUEST, "request", "this is no request to a root");
	*ret = q;
	return 0;
}

int root_request_age(const struct root_request *q, int64_t now, struct refusal *why)
{
	char at[TIME_TEXT_SIZE];
	if (q->made_at > now - ROOT_REQUEST_DAYS * MS_DAY && q->made_at < now + MS_DAY)
		return 0;
	return refuse(why, E_ROOT_STALE, q->authority_id, "it was made %s, and is good for %d days", time_text(q->made_at, at),
		      ROOT_REQUEST_DAYS);
}

/* People write the digits in groups. What is too long stays so. */
static size_t digits_of(const char *hash, char ret[HASH_TEXT_SIZE + 1])
{
	size_t n = 0;
	for (; *hash != '\0' && n < HASH_TEXT_SIZE; hash++)
		if (*hash != ' ')
			ret[n++] = *hash;
	ret[n] = '\0';
	return n;
}

int root_request_hash(const char *object, struct span text, const char *hash, struct refusal *why)
{
	struct hash all;
	char        print[HASH_TEXT_SIZE], given[HASH_TEXT_SIZE + 1];
	size_t      n = digits_of(hash, given);
	digest_sha256(text, &all);
	if (n >= ROOT_REQUEST_HASH_MIN && n < sizeof(print) && strncasecmp(hash_text(all, print), given, n) == 0)
		return 0;
	return refuse(why, E_ROOT_REQUEST, object, "its SHA-256 is not the one that you gave; at least 32 digits of it are wanted");
}

int root_request_judge(const struct root_request *q, struct span text, const char *hash, const struct ca *root, int64_t now,
		       struct refusal *why)
{
	struct hash of_root;
	int         r = root_request_hash(q->authority_id, text, hash, why);
	digest_sha256((struct span){root->issuer.der, root->issuer.der_len}, &of_root);
	if (r == 0 && !hash_equal(of_root, q->root_hash))
		r = request_refuse(q, "it is for another certificate of this root's name", why);
	return r == 0 ? root_request_age(q, now, why) : r;
}

static int facts_of(const struct signer_conf *conf, const struct root_request *q, const struct issuer *root, struct ca_facts *ret,
		    struct refusal *why)
{
	enum issuer_role role;
	unsigned         number;
	struct cert_info info;
	if (ca_id_read(q->authority_id, &role, &number) < 0 || role == ISSUER_ROOT)
		return request_refuse(q, "it is no name of an authority below a root", why);
	int r = cert_read((struct span){root->der, root->der_len}, &info);
	if (r == 0)
		r = ca_plan_facts(conf, role, number, info.organisation, root->issuer_id, root->not_after_at, q->made_at, ret);
	if (r != 0)
		return refuse(why, r, root->issuer_id, "%s", err_what(r));
	ret->serial = q->serial;
	if (ret->not_before_at < root->not_before_at)
		ret->not_before_at = root->not_before_at;
	return 0;
}

int root_request_tbs(const struct signer_conf *conf, const struct root_request *q, const struct ca *root, struct buf *to,
		     struct refusal *why)
{
	struct ca_facts facts;
	struct key     *subject = NULL, *parent = NULL;
	struct span     spki;
	enum key_type   type;
	int             r = facts_of(conf, q, &root->issuer, &facts, why);
	if (r < 0)
		return r;
	if (csr_check((struct span){q->csr, q->csr_n}, &spki, &type) < 0)
		return request_refuse(q, "whoever asks does not show that the key is his", why);
	r = key_from_spki(spki, &subject);
	if (r == 0)
		r = key_from_spki((struct span){root->spki, root->spki_len}, &parent);
	if (r == 0)
		r = issue_ca_tbs(&facts, subject, parent, (struct span){root->issuer.der, root->issuer.der_len}, to);
	if (r < 0)
		(void)refuse(why, E_ROOT_REQUEST, q->authority_id, "the certificate cannot be built: %s", err_what(r));
	key_free(subject);
	key_free(parent);
	return r < 0 ? E_ROOT_REQUEST : 0;
}
