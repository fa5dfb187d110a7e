/* bench_sign.c - what does issuing cost beside the bare signature and verification? Prints one JSON object a line.
 * usage: bench_sign [PART]...: the named parts only; the floors are always measured. Never: failing because of a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "shared/base/times.h"
#include "tests/lib/hierarchy.h"

enum { ROUNDS = 5, CALLS = 2000 };

struct bench {
	struct hierarchy  h;
	struct key       *subject;
	struct cert_facts facts;
	struct buf        csr;
	struct buf        tbs;
	EVP_PKEY         *raw;
	EVP_PKEY_CTX     *raw_signer, *raw_verifier;
	uint8_t           digest[32];
	uint8_t           signature[80];
	size_t            n_signature;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void raw_sign(struct bench *b)
{
	b->n_signature = sizeof(b->signature);
	must(EVP_PKEY_sign(b->raw_signer, b->signature, &b->n_signature, b->digest, sizeof(b->digest)) > 0);
}

static void raw_verify(struct bench *b)
{
	must(EVP_PKEY_verify(b->raw_verifier, b->signature, b->n_signature, b->digest, sizeof(b->digest)) == 1);
}

static void tbs(struct bench *b)
{
	buf_reset(&b->tbs);
	must(issue_tbs(b->h.ca[ISSUER_SERVICE], &b->facts, &b->tbs) == 0);
}

static void lint(struct bench *b)
{
	must(issue_lint(b->h.ca[ISSUER_SERVICE], &b->facts, buf_span(&b->tbs), NULL) == 0);
}

static void issue(struct bench *b)
{
	_cleanup_(buf_free) struct buf out = BUF_MAX(CERT_DER_MAX);
	must(hierarchy_issue(&b->h, &b->facts, &out, NULL) == 0);
}

static void csr(struct bench *b)
{
	struct span   spki;
	enum key_type type;
	must(csr_check(buf_span(&b->csr), &spki, &type) == 0);
}

static void csr_and_issue(struct bench *b)
{
	csr(b);
	issue(b);
}

static void plain(struct bench *b)
{
	_cleanup_(buf_free) struct buf out = BUF_MAX(CERT_DER_MAX);
	must(issue_tbs_plain(b->h.ca[ISSUER_SERVICE], &b->facts, &out) == 0);
}

static void label_sign(struct bench *b)
{
	_cleanup_(buf_free) struct buf out = BUF_MAX(128);
	must(key_sign(b->subject, "vcc receipt v1", buf_span(&b->tbs), &out) == 0);
}

static double cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static const struct part {
	const char *id;
	void (*fn)(struct bench *b);
	bool verify, sign; /* what its floor is made of */
} parts[] = {
	{"raw-sign", raw_sign, false, true},
	{"raw-verify", raw_verify, true, false},
	{"tbs", tbs, false, true},
	{"lint", lint, false, true},
	{"issue", issue, false, true},
	{"csr-check", csr, true, false},
	{"csr-check-and-issue", csr_and_issue, true, true},
	{"tbs-plain", plain, false, true},
	{"key-sign", label_sign, false, true},
};

static void prepare(struct bench *b)
{
	b->csr.max = 2048;
	b->tbs.max = CERT_DER_MAX;
	hierarchy_make(&b->h, (int64_t)time(NULL) * MS_SECOND, KEY_EC_P256, "");
	must(key_make(KEY_EC_P256, &b->subject) == 0 && csr_make(b->subject, &b->csr) == 0);
	hierarchy_facts(&b->h, LEAF_SERVICE, b->subject, 30 * MS_DAY, 1, &b->facts);
	b->raw = EVP_EC_gen("P-256");
	b->raw_signer = EVP_PKEY_CTX_new_from_pkey(NULL, b->raw, NULL);
	b->raw_verifier = EVP_PKEY_CTX_new_from_pkey(NULL, b->raw, NULL);
	must(EVP_PKEY_sign_init(b->raw_signer) > 0 && EVP_PKEY_verify_init(b->raw_verifier) > 0);
}

static bool chosen(const char *id, int argc, char **argv)
{
	bool all = argc < 2;
	for (int i = 1; i < argc; i++)
		all |= strcmp(argv[i], id) == 0;
	return all || strcmp(id, "raw-sign") == 0 || strcmp(id, "raw-verify") == 0;
}

int main(int argc, char **argv)
{
	static struct bench b;
	double              best[N_ELEMENTS(parts)] = {0};
	prepare(&b);
	/* interleaved, so that a disturbance of the machine hits all parts alike */
	for (int round = 0; round < ROUNDS; round++)
		for (size_t p = 0; p < N_ELEMENTS(parts); p++) {
			if (!chosen(parts[p].id, argc, argv))
				continue;
			double start = cpu_us();
			for (int i = 0; i < CALLS; i++)
				parts[p].fn(&b);
			double each = (cpu_us() - start) / CALLS;
			if (round == 0 || each < best[p])
				best[p] = each;
		}
	for (size_t p = 0; p < N_ELEMENTS(parts); p++) {
		if (!chosen(parts[p].id, argc, argv))
			continue;
		double floor = (parts[p].sign ? best[0] : 0) + (parts[p].verify ? best[1] : 0);
		printf("{\"id\": \"%s\", \"value\": %.2f, \"unit\": \"us\", \"floor\": %.2f, \"ratio\": %.3f}\n", parts[p].id,
		       best[p], floor, best[p] / floor);
	}
	buf_free(&b.csr);
	buf_free(&b.tbs);
	EVP_PKEY_CTX_free(b.raw_signer);
	EVP_PKEY_CTX_free(b.raw_verifier);
	EVP_PKEY_free(b.raw);
	key_free(b.subject);
	hierarchy_free(&b.h);
	return 0;
}
