/* fuzz_ocsp.c - does the reader of OCSP requests ever read outside its bytes, take one that the crypto library would not, or
 * read another number or nonce than it? What is read is answered, and the library must read the answer. Input: a request. */
#include <stdlib.h>
#include <string.h>

#include "shared/base/times.h"
#include "shared/pki/issue.h"
#include "shared/pki/key.h"
#include "shared/pki/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h> /* last: its KU_ macros would break the enum of our model */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1790000000000)

static struct ocsp_responder *responder;
static struct ocsp_issuer     issuer;

static void must(int r)
{
	if (r < 0)
		abort();
}

static void hold(bool true_)
{
	if (!true_)
		abort();
}

/* Any certificate with its key does: here the shape of an answer is looked at, not who may give it. */
static void responder_make(void)
{
	struct ca_facts f = {
		.role = ISSUER_ROOT, .serial = {{1, 2}}, .not_before_at = NOW - MS_DAY, .not_after_at = NOW + 3650 * MS_DAY};
	struct buf  der = BUF_MAX(CERT_DER_MAX);
	struct key *k;
	if (responder != NULL)
		return;
	strcpy(f.organisation, "Fuzz");
	strcpy(f.common_name, "Root");
	strcpy(f.domains, "vcc.internal");
	strcpy(f.public_url, "http://pki.vcc.internal");
	must(key_make(KEY_EC_P256, &k));
	must(issue_ca_certificate(&f, k, NULL, (struct span){NULL, 0}, &der));
	must(ocsp_issuer_read(buf_span(&der), &issuer));
	must(ocsp_responder_make(k, buf_span(&der), &responder));
	buf_free(&der);
}

static void inside(struct span part, struct span whole)
{
	hold(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void compare_one(const struct ocsp_one *ours, OCSP_REQUEST *theirs, int i)
{
	ASN1_INTEGER *serial = NULL;
	hold(OCSP_id_get0_info(NULL, NULL, NULL, &serial, OCSP_onereq_get0_id(OCSP_request_onereq_get0(theirs, i))) == 1);
	BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
	uint8_t bytes[64] = {0};
	hold(number != NULL && !BN_is_negative(number) && BN_num_bytes(number) <= 20);
	if (BN_num_bytes(number) <= (int)sizeof(ours->serial.b)) {
		hold(BN_bn2binpad(number, bytes, sizeof(ours->serial.b)) == (int)sizeof(ours->serial.b));
		hold(memcmp(bytes, ours->serial.b, sizeof(ours->serial.b)) == 0);
	} else {
		hold(serial_is_none(ours->serial));
	}
	BN_free(number);
}

static void answer(const struct ocsp_request *q)
{
	struct ocsp_status list[OCSP_LIST_MAX];
	struct buf         der = BUF_MAX(OCSP_RESPONSE_MAX);
	for (size_t i = 0; i < q->n; i++)
		list[i] = (struct ocsp_status){q->one[i].whole, (enum ocsp_state)(q->one[i].serial.b[15] % 3), NOW - MS_HOUR,
					       REASON_HOLD};
	must(ocsp_answer(responder, list, q->n, NOW, NOW + MS_HOUR, q->nonce, &der));
	const uint8_t  *p = der.p;
	OCSP_RESPONSE  *r = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
	OCSP_BASICRESP *basic = r != NULL ? OCSP_response_get1_basic(r) : NULL;
	hold(basic != NULL && p == der.p + der.n && OCSP_resp_count(basic) == (int)q->n);
	for (size_t i = 0; i < q->n; i++)
		hold(OCSP_single_get0_status(OCSP_resp_get0(basic, (int)i), NULL, NULL, NULL, NULL) == (int)list[i].state);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(r);
	buf_free(&der);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span         bytes = {data, size};
	struct ocsp_request q = {.n = 77};
	responder_make();
	int r = ocsp_request_read(bytes, &q);
	if (r < 0) {
		hold(q.n == 77 && (r == E_OCSP_REQUEST || r == E_NOT_FOUND));
		return 0;
	}
	const uint8_t *p = data;
	OCSP_REQUEST  *theirs = d2i_OCSP_REQUEST(NULL, &p, (long)size);
	if (theirs == NULL && q.extras) { /* the library looks into what we pass over */
		ERR_clear_error();
		return 0;
	}
	hold(theirs != NULL && p == data + size && OCSP_request_onereq_count(theirs) == (int)q.n);
	hold((q.nonce.n > 0) == (OCSP_REQUEST_get_ext_by_NID(theirs, NID_id_pkix_OCSP_Nonce, -1) >= 0));
	inside(q.nonce, bytes);
	for (size_t i = 0; i < q.n; i++) {
		inside(q.one[i].whole, bytes);
		inside(q.one[i].name_hash, bytes);
		inside(q.one[i].key_hash, bytes);
		(void)ocsp_is_of(&q.one[i], &issuer);
		compare_one(&q.one[i], theirs, (int)i);
	}
	answer(&q);
	OCSP_REQUEST_free(theirs);
	ERR_clear_error();
	return 0;
}
