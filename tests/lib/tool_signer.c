/* tool_signer.c - speaks to a running vcc-signer as a controller would, for system tests and the bench.
 *   tool_signer SOCKET URL hello                       one JSON object: window_top, issuers
 *   tool_signer SOCKET URL issue COUNTER [HOW [AT]]    HOW: same | other (content) | hash (a wrong one) | name (outside); one object
 *   tool_signer SOCKET URL list NUMBER [SERIAL]...      the list of root-1 that names these; one object
 *   tool_signer SOCKET URL bench COUNT WINDOW          that many certificates, WINDOW unanswered at a time; one object with times
 * Never: in a program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>
#include <unistd.h>

#include "shared/base/be.h"
#include "shared/base/times.h"
#include "shared/pki/issue.h"
#include "shared/sys/clock.h"
#include "shared/sys/ipc.h"
#include "shared/wire/wire.h"

enum { ISSUERS_MAX = 16, WAIT_MS = 60000 };

static struct {
	int               fd;
	struct buf        in, out;
	struct sg_hello   hello;
	struct issuer     issuers[ISSUERS_MAX];
	size_t            n;
	struct issue_ca  *service;
	struct key       *key;
	struct wire_frame frame;
} t;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "tool_signer: %s: %s\n", what, err_what(r));
	exit(3);
}

static void receive(void)
{
	must(ipc_read(t.fd, wire_signer.frame_max, WAIT_MS, &t.in), "read");
	must(wire_decode(&wire_signer, buf_span(&t.in), 0, &t.frame), "decode");
}

static void greet(const char *socket, const char *url)
{
	struct refusal why;
	must(ipc_connect(socket, &t.fd, &why), "connect");
	receive();
	t.hello = t.frame.u.sg_hello;
	for (uint32_t i = 0; i < t.hello.issuers && i < ISSUERS_MAX; i++) {
		struct issuer   *row = &t.issuers[t.n++];
		struct cert_info info;
		receive();
		struct span der = t.frame.u.sg_issuer.certificate;
		must(cert_read(der, &info), "issuer");
		memcpy(row->issuer_id, t.frame.u.sg_issuer.issuer_id, sizeof(row->issuer_id));
		memcpy(row->der, der.p, der.n);
		row->der_len = (uint16_t)der.n;
		row->not_before_at = info.not_before_at;
		row->not_after_at = info.not_after_at;
		row->role = ISSUER_SERVICE;
		row->key_type = KEY_EC_P256;
		if (strcmp(row->issuer_id, "service-1") == 0)
			must(issue_ca_make(row, NULL, url, &t.service), "service-1");
	}
	must(t.service != NULL ? 0 : E_NOT_FOUND, "service-1");
}

static struct sg_issue request(uint64_t counter, const char *how, int64_t at)
{
	struct sg_issue q = {0};
	struct buf      tbs = BUF_MAX(CERT_DER_MAX), spki = BUF_MAX(SPKI_MAX);
	uint8_t         tail[SERIAL_RANDOM] = {1};

	q.facts = (struct cert_facts){.issuer_id = "service-1", .profile = LEAF_SERVICE, .organisation = "Test",
	                              .common_name = "a.clara.vcc.internal", .names = {"DNS:a.clara.vcc.internal"}};
	q.facts.serial = serial_make(counter, tail);
	q.facts.not_before_at = at;
	q.facts.not_after_at = at + (strcmp(how, "other") == 0 ? 31 : 30) * MS_DAY;
	q.facts.key_usage = KU_DIGITAL_SIGNATURE;
	q.facts.ext_key_usage = EKU_SERVER_AUTH;
	q.facts.crl_shard = serial_shard(q.facts.serial);
	q.facts.key_type = key_type(t.key);
	must(key_spki(t.key, &spki), "spki");
	memcpy(q.facts.spki, spki.p, spki.n);
	q.facts.spki_len = (uint16_t)spki.n;
	if (strcmp(how, "name") == 0)
		strcpy(q.facts.names.text, "DNS:a.clara.vcc.internal,DNS:www.example.com");
	must(issue_tbs(t.service, &q.facts, &tbs), "tbs");
	digest_sha256(buf_span(&tbs), &q.tbs_hash);
	if (strcmp(how, "hash") == 0)
		q.tbs_hash.b[5] ^= 1;
	buf_free(&tbs);
	buf_free(&spki);
	return q;
}

/* Content that is the same in every run: a key from a fixed seed. */
static int issue(uint64_t counter, const char *how, int64_t at)
{
	uint8_t          seed[32] = "a seed for tests only, no secret", public_key[32];
	char             code[ERR_CODE_SIZE], fingerprint[HASH_TEXT_SIZE] = "", tbs[HASH_TEXT_SIZE];
	struct cert_info info;

	must(key_from_seed(seed, &t.key, public_key), "key");
	struct sg_issue q = request(counter, how, at);
	must(wire_encode(&wire_signer, SG_ISSUE, 1, &q, &t.out), "encode");
	must(ipc_write(t.fd, buf_span(&t.out), WAIT_MS), "write");
	receive();
	struct sg_issued *a = &t.frame.u.sg_issued;
	if (a->code == 0) {
		must(cert_read(a->certificate, &info), "certificate");
		hash_text(info.fingerprint, fingerprint);
	}
	printf("{\"code\": \"%s\", \"text\": \"%s\", \"tbs\": \"%s\", \"fingerprint\": \"%s\"}\n", a->code == 0 ? "" : err_code(a->code, code),
	       a->text, hash_text(q.tbs_hash, tbs), fingerprint);
	return 0;
}

static int list(uint64_t number, char **serials, size_t n)
{
	enum { ENTRY = 24 };
	char          code[ERR_CODE_SIZE];
	int64_t       at = clock_now() / MS_SECOND * MS_SECOND;
	struct sg_crl q = {.issuer_id = "root-1", .number = number, .this_update_at = at, .next_update_at = at + 300 * MS_DAY, .root = true};
	struct buf    entries = BUF_MAX(ENTRY * 1000);

	for (size_t i = 0; i < n; i++) {
		struct serial serial;
		uint8_t       entry[ENTRY] = {0};
		must(serial_parse(serials[i], &serial), "serial");
		memcpy(entry, serial.b, sizeof(serial.b));
		be_put(entry + 16, (uint64_t)(1700000000 + i), 7);
		entry[23] = 5; /* cessationOfOperation */
		buf_add(&entries, entry, sizeof(entry));
	}
	q.entries = buf_span(&entries);
	must(wire_encode(&wire_signer, SG_CRL, 1, &q, &t.out), "encode");
	must(ipc_write(t.fd, buf_span(&t.out), WAIT_MS), "write");
	receive();
	struct sg_crl_done *a = &t.frame.u.sg_crl_done;
	printf("{\"code\": \"%s\", \"text\": \"%s\", \"size\": %zu}\n", a->code == 0 ? "" : err_code(a->code, code), a->text, a->crl.n);
	buf_free(&entries);
	return 0;
}

/* CPU of one bare P-256 signature in this process, best of some rounds. */
static double sign_us(void)
{
	double best = 1e9;
	for (int round = 0; round < 10; round++) {
		struct timespec a, b;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
		for (int i = 0; i < 200; i++) {
			buf_reset(&t.out);
			must(key_sign(t.key, "x", SPAN_OF("abc"), &t.out), "sign");
		}
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
		double us = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 200 / 1000;
		best = us < best ? us : best;
	}
	return best;
}

static int bench(uint64_t count, uint64_t window)
{
	uint64_t    sent = 0, got = 0;
	struct buf  all = BUF_MAX(256 << 20);
	uint64_t    first = t.hello.window_top + 1;
	int64_t     at = clock_now() / MS_SECOND * MS_SECOND;

	must(key_make(KEY_EC_P256, &t.key), "key");
	double floor_us = sign_us();
	size_t *ends = calloc(count + 1, sizeof(*ends));
	for (uint64_t i = 0; i < count; i++) { /* made before the clock starts */
		struct sg_issue q = request(first + i, "same", at);
		buf_reset(&t.out);
		must(wire_encode(&wire_signer, SG_ISSUE, i, &q, &t.out), "encode");
		for (int k = 24; k >= 0; k -= 8)
			buf_add_u8(&all, (uint8_t)(t.out.n >> k));
		buf_add(&all, t.out.p, t.out.n);
		ends[i + 1] = all.n;
	}
	must(buf_error(&all), "memory");
	int64_t begin = clock_monotonic_us();
	while (got < count) {
		uint64_t to = got + window < count ? got + window : count;
		while (ends[sent] < ends[to]) {
			ssize_t put = write(t.fd, all.p + ends[sent], ends[to] - ends[sent]);
			must(put == (ssize_t)(ends[to] - ends[sent]) ? 0 : E_SYS_IO, "write");
			sent = to;
		}
		for (; got < sent; got++) {
			receive();
			must(t.frame.u.sg_issued.code, t.frame.u.sg_issued.text);
		}
	}
	int64_t took = clock_monotonic_us() - begin;
	printf("{\"count\": %llu, \"wall_us\": %lld, \"raw_sign_us\": %.2f}\n", (unsigned long long)count, (long long)took, floor_us);
	free(ends);
	buf_free(&all);
	return 0;
}

int main(int argc, char **argv)
{
	t.in.max = t.out.max = IPC_FRAME_MAX;
	if (argc < 4)
		return 2;
	greet(argv[1], argv[2]);
	if (strcmp(argv[3], "hello") == 0) {
		printf("{\"window_top\": %llu, \"issuers\": [", (unsigned long long)t.hello.window_top);
		for (size_t i = 0; i < t.n; i++)
			printf("%s\"%s\"", i > 0 ? ", " : "", t.issuers[i].issuer_id);
		printf("]}\n");
		return 0;
	}
	if (strcmp(argv[3], "issue") == 0 && argc >= 5)
		return issue(strtoull(argv[4], NULL, 10), argc > 5 ? argv[5] : "same",
		             argc > 6 ? strtoll(argv[6], NULL, 10) * MS_SECOND : clock_now() / MS_HOUR * MS_HOUR);
	if (strcmp(argv[3], "list") == 0 && argc >= 5)
		return list(strtoull(argv[4], NULL, 10), argv + 5, (size_t)argc - 5);
	if (strcmp(argv[3], "bench") == 0 && argc == 6)
		return bench(strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
	return 2;
}
