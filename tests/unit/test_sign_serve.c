/* test_sign_serve.c - does the signer answer facts with certificates, and refuse what a captured controller would like to have? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "controller/signer/sign_serve.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/key.h"
#include "shared/sys/ipc.h"
#include "shared/wire/wire.h"
#include "tests/lib/hierarchy.h"

static const int64_t now = INT64_C(1800000000000);

struct world {
	struct hierarchy   h;
	struct key        *subject;
	struct signer_conf conf;
	struct signer      signer;
	struct serve      *serve;
	struct buf         in, out;
	char               folder[64], path[96];
	uint64_t           counter;
	struct wire_frame  answer;
};

static struct world w;

static void log_begin(void)
{
	struct refusal why = {0};
	sign_log_close(w.signer.log);
	if (sign_log_open(w.path, SIGN_LOG_ROTATE, &w.signer.log, &why) < 0)
		fail_msg("%s: %s", why.object, why.cause);
}

static int group_setup(void **state)
{
	(void)state;
	hierarchy_make(&w.h, now, KEY_EC_P256, "10.0.0.0/8");
	if (key_make(KEY_EC_P256, &w.subject) < 0)
		return -1;
	strcpy(w.conf.domains, "vcc.internal,example.org");
	strcpy(w.conf.ip_ranges, "10.0.0.0/8");
	strcpy(w.conf.public_url, HIERARCHY_URL);
	static const int days[LEAF_PROFILE_COUNT] = {825, 1830, 90, 400, 400, 90, 30};
	for (size_t i = 0; i < LEAF_PROFILE_COUNT; i++)
		w.conf.validity_ms[i] = days[i] * MS_DAY;
	for (size_t i = 0; i < ISSUER_ROLE_COUNT; i++) {
		struct buf spki = BUF_MAX(SPKI_MAX);
		w.signer.cas.ca[i] = (struct ca){.issuer = w.h.issuer[i], .prepared = w.h.ca[i], .key = w.h.key[i]};
		assert_int_equal(key_spki(w.h.key[i], &spki), 0);
		memcpy(w.signer.cas.ca[i].spki, spki.p, spki.n);
		w.signer.cas.ca[i].spki_len = spki.n;
		buf_free(&spki);
	}
	w.signer.cas.n = ISSUER_ROLE_COUNT;
	w.signer.conf = &w.conf;
	w.in.max = SERVE_IN_MAX;
	w.out.max = SERVE_OUT_MAX;
	strcpy(w.folder, "/tmp/test_sign_serve_XXXXXX");
	if (mkdtemp(w.folder) == NULL)
		return -1;
	snprintf(w.path, sizeof(w.path), "%s/log", w.folder);
	log_begin();
	return serve_new(&w.signer, &w.serve);
}

static int group_teardown(void **state)
{
	char lock[128];
	(void)state;
	serve_free(w.serve);
	sign_log_close(w.signer.log);
	snprintf(lock, sizeof(lock), "%s/.log.lock", w.folder);
	unlink(lock);
	unlink(w.path);
	rmdir(w.folder);
	buf_free(&w.in);
	buf_free(&w.out);
	key_free(w.subject);
	hierarchy_free(&w.h);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	buf_reset(&w.in);
	buf_reset(&w.out);
	signer_limits_rate_init(&w.signer.rate, 20000, 0);
	return 0;
}

/* ---- speaking ---- */

static void send_frame(uint16_t type, uint64_t id, const void *payload)
{
	struct buf frame = BUF_MAX(IPC_FRAME_MAX);
	assert_int_equal(wire_encode(&wire_signer, type, id, payload, &frame), 0);
	for (int i = 24; i >= 0; i -= 8)
		buf_add_u8(&w.in, (uint8_t)(frame.n >> i));
	buf_add(&w.in, frame.p, frame.n);
	buf_free(&frame);
}

static size_t serve_at(int64_t at)
{
	size_t done = 0;
	assert_int_equal(serve_batch(w.serve, &w.in, at, 0, &w.out, &done), 0);
	return done;
}

static size_t serve(void)
{
	return serve_at(now);
}

/* Next answer into w.answer; spans point into w.out. */
static void next_answer(size_t *at)
{
	struct span frame;
	assert_int_equal(ipc_take(&w.out, at, wire_signer.frame_max, &frame), 1);
	assert_int_equal(wire_decode(&wire_signer, frame, 0, &w.answer), 0);
}

static struct cert_facts facts_of(enum leaf_profile profile)
{
	struct cert_facts f;
	hierarchy_facts(&w.h, profile, w.subject, 30 * MS_DAY, ++w.counter, &f);
	f.crl_shard = serial_shard(f.serial);
	return f;
}

static struct hash tbs_hash(const struct cert_facts *f)
{
	struct hash hash = {0};
	struct buf  tbs = BUF_MAX(CERT_DER_MAX);
	if (issue_tbs(w.h.ca[hierarchy_role(f->profile)], f, &tbs) == 0)
		digest_sha256(buf_span(&tbs), &hash);
	buf_free(&tbs);
	return hash;
}

/* One request, one answer: its code; the certificate is in w.answer. */
static int ask_at(const struct cert_facts *f, int64_t at_ms)
{
	struct sg_issue q = {.facts = *f, .tbs_hash = tbs_hash(f)};
	size_t          at = 0;
	setup(NULL);
	send_frame(SG_ISSUE, 77, &q);
	assert_int_equal(serve_at(at_ms), 1);
	next_answer(&at);
	assert_int_equal(w.answer.type, SG_ISSUED);
	assert_int_equal(w.answer.id, 77);
	assert_true(serial_equal(w.answer.u.sg_issued.serial, f->serial));
	assert_int_equal(w.answer.u.sg_issued.certificate.n == 0, w.answer.u.sg_issued.code != 0);
	return w.answer.u.sg_issued.code;
}

static int ask(const struct cert_facts *f)
{
	return ask_at(f, now);
}

static int ask_list(struct sg_crl q)
{
	size_t at = 0;
	setup(NULL);
	send_frame(SG_CRL, 78, &q);
	assert_int_equal(serve(), 1);
	next_answer(&at);
	assert_int_equal(w.answer.type, SG_CRL_DONE);
	assert_int_equal(w.answer.u.sg_crl_done.number, q.number);
	return w.answer.u.sg_crl_done.code;
}

/* ---- tests ---- */

static void hello_names_every_authority(void **state)
{
	size_t at = 0;
	(void)state;
	assert_int_equal(serve_hello(w.serve, &w.out), 0);
	next_answer(&at);
	assert_int_equal(w.answer.type, SG_HELLO);
	assert_int_equal(w.answer.u.sg_hello.issuers, ISSUER_ROLE_COUNT);
	assert_int_equal(w.answer.u.sg_hello.window_top, sign_log_top(w.signer.log));
	for (size_t i = 0; i < ISSUER_ROLE_COUNT; i++) {
		next_answer(&at);
		assert_int_equal(w.answer.type, SG_ISSUER);
		assert_string_equal(w.answer.u.sg_issuer.issuer_id, w.h.issuer[i].issuer_id);
		assert_true(span_equal(w.answer.u.sg_issuer.certificate, hierarchy_der(&w.h, (enum issuer_role)i)));
	}
	assert_int_equal(at, w.out.n);
}

static void every_profile_is_signed(void **state)
{
	(void)state;
	for (int i = 0; i < LEAF_PROFILE_COUNT; i++) {
		struct cert_facts f = facts_of((enum leaf_profile)i);
		struct refusal    why = {0};
		if (ask(&f) != 0)
			fail_msg("%s: %s", leaf_profile_name(f.profile), w.answer.u.sg_issued.text);
		struct span ca = hierarchy_der(&w.h, hierarchy_role(f.profile));
		if (cert_verify(w.answer.u.sg_issued.certificate, ca, hierarchy_der(&w.h, ISSUER_ROOT), 0, now, &why) < 0)
			fail_msg("%s: %s", leaf_profile_name(f.profile), why.cause);
	}
}

static void same_content_again_other_never(void **state)
{
	(void)state;
	struct cert_facts f = facts_of(LEAF_SERVICE), other;
	uint64_t          again = w.signer.signed_again;
	for (int run = 0; run < 2; run++) {
		assert_int_equal(ask(&f), 0);
		other = f;
		other.not_after_at -= MS_DAY;
		assert_int_equal(ask(&other), E_SIGNER_SERIAL);
		log_begin();
	}
	assert_int_equal(ask(&f), 0);
	assert_int_equal(w.signer.signed_again, again + 2);
}

static void hash_of_other_content_is_refused(void **state)
{
	(void)state;
	struct sg_issue q = {.facts = facts_of(LEAF_SERVICE)};
	size_t          at = 0;
	q.tbs_hash = tbs_hash(&q.facts);
	q.tbs_hash.b[0] ^= 1;
	send_frame(SG_ISSUE, 1, &q);
	assert_int_equal(serve(), 1);
	next_answer(&at);
	assert_int_equal(w.answer.u.sg_issued.code, E_SIGNER_HASH);
	assert_int_equal(ask(&q.facts), 0); /* the serial was not used up by it */
}

/* Each row changes one fact of an acceptable request. */
static void no_such(struct cert_facts *f) { strcpy(f->issuer_id, "service-9"); }
static void wrong_ca(struct cert_facts *f) { strcpy(f->issuer_id, w.h.issuer[ISSUER_AGENT].issuer_id); }
static void root_signs_leaf(struct cert_facts *f) { strcpy(f->issuer_id, w.h.issuer[ISSUER_ROOT].issuer_id); }
static void cert_sign(struct cert_facts *f) { f->key_usage |= KU_KEY_CERT_SIGN; }
static void crl_sign(struct cert_facts *f) { f->key_usage |= KU_CRL_SIGN; }
static void no_usage(struct cert_facts *f) { f->key_usage = 0; }
static void ocsp_signing(struct cert_facts *f) { f->ext_key_usage |= EKU_OCSP_SIGNING; }
static void code_signing(struct cert_facts *f) { f->ext_key_usage = EKU_CODE_SIGNING; }
static void no_extended(struct cert_facts *f) { f->ext_key_usage = 0; }
static void too_long(struct cert_facts *f) { f->not_after_at = f->not_before_at + 826 * MS_DAY; }
static void future(struct cert_facts *f) { f->not_before_at += 2 * MS_DAY; }
static void past(struct cert_facts *f) { f->not_before_at -= MS_HOUR + MS_SECOND; }
static void hour_ago(struct cert_facts *f) { f->not_before_at -= MS_HOUR; }
static void backwards(struct cert_facts *f) { f->not_after_at = f->not_before_at; }
static void overlives(struct cert_facts *f) { f->not_after_at = w.h.issuer[hierarchy_role(f->profile)].not_after_at + MS_SECOND; }
static void foreign_name(struct cert_facts *f) { strcpy(f->names.text, "DNS:www.example.com"); strcpy(f->common_name, "x"); }
static void similar_name(struct cert_facts *f) { strcpy(f->names.text, "DNS:evilvcc.internal"); strcpy(f->common_name, "x"); }
static void foreign_address(struct cert_facts *f) { strcpy(f->names.text, "IP:11.0.0.1"); strcpy(f->common_name, "x"); }
static void six_address(struct cert_facts *f) { strcpy(f->names.text, "IP:::1"); strcpy(f->common_name, "x"); }
static void upper_name(struct cert_facts *f) { strcpy(f->names.text, "DNS:A.vcc.internal"); strcpy(f->common_name, "x"); }
static void dotted_cn(struct cert_facts *f) { strcpy(f->common_name, "other.vcc.internal"); }
static void uri(struct cert_facts *f) { strcpy(f->uri, "spiffe://vcc.internal/agent/x"); }
static void other_uri(struct cert_facts *f) { strcpy(f->uri, "spiffe://vcc.internal/gateway/x"); }
static void foreign_uri(struct cert_facts *f) { strcpy(f->uri, "spiffe://example.com/agent/x"); }
static void two_names_uri(struct cert_facts *f) { strcpy(f->uri, "spiffe://vcc.internal/agent/x/y"); }
static void any_name(struct cert_facts *f) { strcpy(f->names.text, "DNS:a.vcc.internal"); }
static void no_name(struct cert_facts *f) { f->names.text[0] = '\0'; f->common_name[0] = '\0'; }
static void shard(struct cert_facts *f) { f->crl_shard++; }
static void key_lie(struct cert_facts *f) { f->key_type = KEY_EC_P384; }
static void no_host_hash(struct cert_facts *f) { f->host_hash[0] = '\0'; }
static void server_auth(struct cert_facts *f) { f->ext_key_usage |= EKU_SERVER_AUTH; }
static void ca_key(struct cert_facts *f)
{
	const struct ca *ca = &w.signer.cas.ca[ISSUER_AGENT];
	memcpy(f->spki, ca->spki, ca->spki_len);
	f->spki_len = (uint16_t)ca->spki_len;
}

static void limits_hold(void **state)
{
	(void)state;
	static const struct {
		enum leaf_profile profile;
		void (*change)(struct cert_facts *f);
		int code;
	} rows[] = {
		{LEAF_SERVICE, no_such, E_SIGNER_ISSUER},      {LEAF_SERVICE, wrong_ca, E_SIGNER_LIMIT},
		{LEAF_SERVICE, root_signs_leaf, E_SIGNER_LIMIT}, {LEAF_SERVICE, cert_sign, E_SIGNER_LIMIT},
		{LEAF_SERVICE, crl_sign, E_SIGNER_LIMIT},      {LEAF_SERVICE, no_usage, E_SIGNER_LIMIT},
		{LEAF_SERVICE, ocsp_signing, E_SIGNER_LIMIT},  {LEAF_SERVICE, code_signing, E_SIGNER_LIMIT},
		{LEAF_SERVICE, no_extended, E_SIGNER_LIMIT},   {LEAF_SERVICE, too_long, E_SIGNER_LIMIT},
		{LEAF_SERVICE, future, E_SIGNER_LIMIT},        {LEAF_SERVICE, backwards, E_SIGNER_LIMIT},
		{LEAF_SERVICE, past, E_SIGNER_STALE},          {LEAF_AGENT, past, E_SIGNER_STALE},
		{LEAF_CODE_SIGNING, past, E_SIGNER_STALE},     {LEAF_ADMIN_TLS, past, E_SIGNER_STALE},
		{LEAF_CODE_SIGNING, overlives, E_SIGNER_LIMIT}, {LEAF_SERVICE, overlives, E_SIGNER_LIMIT},
		{LEAF_SERVICE, foreign_name, E_SIGNER_LIMIT},  {LEAF_SERVICE, similar_name, E_SIGNER_LIMIT},
		{LEAF_SERVICE, foreign_address, E_SIGNER_LIMIT}, {LEAF_SERVICE, six_address, E_SIGNER_LIMIT},
		{LEAF_SERVICE, upper_name, E_SIGNER_LIMIT},    {LEAF_SERVICE, dotted_cn, E_SIGNER_LIMIT},
		{LEAF_SERVICE, uri, E_SIGNER_LIMIT},           {LEAF_SERVICE, shard, E_SIGNER_LIMIT},
		{LEAF_SERVICE, key_lie, E_SIGNER_LIMIT},       {LEAF_SERVICE, ca_key, E_SIGNER_LIMIT},
		{LEAF_AGENT, other_uri, E_SIGNER_LIMIT},       {LEAF_AGENT, foreign_uri, E_SIGNER_LIMIT},
		{LEAF_AGENT, two_names_uri, E_SIGNER_LIMIT},   {LEAF_AGENT, any_name, E_SIGNER_LIMIT},
		{LEAF_AGENT, no_host_hash, E_SIGNER_LIMIT},    {LEAF_AGENT, server_auth, E_SIGNER_LIMIT},
		{LEAF_GATEWAY, uri, E_SIGNER_LIMIT},           {LEAF_ADMIN_TLS, no_name, E_SIGNER_LIMIT},
		{LEAF_OPERATOR, any_name, E_SIGNER_LIMIT},     {LEAF_OPERATOR, server_auth, E_SIGNER_LIMIT},
	};
	uint64_t top = sign_log_top(w.signer.log);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct cert_facts f = facts_of(rows[i].profile);
		rows[i].change(&f);
		int code = ask(&f);
		if (code != rows[i].code)
			fail_msg("row %zu: %d: %s", i, code, w.answer.u.sg_issued.text);
		assert_true(w.answer.u.sg_issued.text[0] != '\0');
	}
	assert_int_equal(sign_log_top(w.signer.log), top); /* nothing of it was logged */
	w.signer.cas.ca[ISSUER_SERVICE].key = NULL;
	struct cert_facts f = facts_of(LEAF_SERVICE);
	int               code = ask(&f);
	w.signer.cas.ca[ISSUER_SERVICE].key = w.h.key[ISSUER_SERVICE];
	assert_int_equal(code, E_SIGNER_ISSUER);
	f = facts_of(LEAF_SERVICE);
	strcpy(f.names.text, "DNS:*.a.vcc.internal,DNS:example.org,IP:10.1.2.3");
	strcpy(f.common_name, "example.org");
	assert_int_equal(ask(&f), 0);
	f = facts_of(LEAF_SERVICE);
	hour_ago(&f);
	assert_int_equal(ask(&f), 0);
}

/* What waited for longer than an hour is not signed any more; what was signed then is repeated as it was, after a restart, too. */
static void old_requests(void **state)
{
	(void)state;
	struct cert_facts f = facts_of(LEAF_SERVICE), late = facts_of(LEAF_SERVICE), other;
	assert_int_equal(ask(&f), 0);
	other = f;
	other.not_after_at -= MS_DAY;
	for (int run = 0; run < 2; run++) {
		assert_int_equal(ask_at(&late, now + MS_HOUR + MS_SECOND), E_SIGNER_STALE);
		assert_non_null(strstr(w.answer.u.sg_issued.text, "begins 3601 s ago, 3600 are allowed"));
		assert_int_equal(ask_at(&f, now + 30 * MS_DAY), 0);
		assert_int_equal(ask_at(&other, now + 30 * MS_DAY), E_SIGNER_STALE);
		log_begin();
	}
	assert_int_equal(ask_at(&late, now + MS_HOUR), 0); /* its number was not used up by it */
}

static void rate_is_capped(void **state)
{
	(void)state;
	size_t at = 0, done = 0, refused = 0;
	signer_limits_rate_init(&w.signer.rate, 10, 0);
	for (size_t i = 0; i < 15; i++) {
		struct sg_issue q = {.facts = facts_of(LEAF_SERVICE)};
		q.tbs_hash = tbs_hash(&q.facts);
		send_frame(SG_ISSUE, i, &q);
	}
	assert_int_equal(serve_batch(w.serve, &w.in, now, 0, &w.out, &done), 0);
	for (size_t i = 0; i < 15; i++) {
		next_answer(&at);
		assert_int_equal(w.answer.id, i);
		refused += w.answer.u.sg_issued.code == E_SIGNER_RATE;
	}
	assert_int_equal(refused, 5);
	struct rate_cap r;
	signer_limits_rate_init(&r, 10, 1000);
	for (int i = 0; i < 10; i++)
		assert_true(signer_limits_rate_take(&r, 1000));
	assert_false(signer_limits_rate_take(&r, 1099));
	assert_true(signer_limits_rate_take(&r, 1100));
	assert_false(signer_limits_rate_take(&r, 1100));
	for (int i = 0; i < 10; i++)
		assert_true(signer_limits_rate_take(&r, 1000000)); /* a long pause saves up one second's worth only */
	assert_false(signer_limits_rate_take(&r, 1000000));
}

/* More than one batch, good and bad mixed: answers come in order, each to its request. */
static void batches_keep_order(void **state)
{
	(void)state;
	enum { N = SIGN_BATCH_MAX + 20 };
	size_t at = 0, answered = 0;
	for (size_t i = 0; i < N; i++) {
		struct sg_issue q = {.facts = facts_of(LEAF_SERVICE)};
		if (i % 3 == 0)
			cert_sign(&q.facts);
		q.tbs_hash = tbs_hash(&q.facts);
		send_frame(SG_ISSUE, i, &q);
	}
	buf_add(&w.in, "\0\0", 2); /* the beginning of one more */
	assert_int_equal(serve(), SIGN_BATCH_MAX);
	assert_int_equal(serve(), 20);
	assert_int_equal(serve(), 0);
	assert_int_equal(w.in.n, 2);
	for (; answered < N; answered++) {
		next_answer(&at);
		assert_int_equal(w.answer.id, answered);
		assert_int_equal(w.answer.u.sg_issued.code, answered % 3 == 0 ? E_SIGNER_LIMIT : 0);
	}
}

static void lists(void **state)
{
	(void)state;
	uint8_t entries[3 * 24] = {0};
	for (size_t i = 0; i < 3; i++) {
		entries[24 * i + 6] = (uint8_t)(i + 1);                  /* counter */
		entries[24 * i + 15] = 9;
		entries[24 * i + 19] = 0x6b, entries[24 * i + 20] = 0x49; /* a time in 2027 */
		entries[24 * i + 23] = REASON_SUPERSEDED;
	}
	struct sg_crl   q = {.shard = 2, .number = 5, .this_update_at = now, .next_update_at = now + MS_DAY, .entries = SPAN_OF(entries)};
	struct sg_crl   bad;
	struct crl_info info;
	strcpy(q.issuer_id, w.h.issuer[ISSUER_SERVICE].issuer_id);
	if (ask_list(q) != 0)
		fail_msg("%s", w.answer.u.sg_crl_done.text);
	assert_int_equal(crl_read(w.answer.u.sg_crl_done.crl, hierarchy_der(&w.h, ISSUER_SERVICE), &info), 0);
	assert_int_equal(info.number, 5);
	assert_int_equal(info.entries, 3);
	assert_int_equal(ask_list(q), 0); /* the same again */
	bad = q, bad.number = 4;
	assert_int_equal(ask_list(bad), E_SIGNER_SERIAL);
	bad = q, bad.entries.n -= 24;
	assert_int_equal(ask_list(bad), E_SIGNER_SERIAL);
	bad = q, bad.number = 6, bad.entries.n -= 1;
	assert_int_equal(ask_list(bad), E_SIGNER_LIMIT);
	bad = q, bad.number = 6, bad.next_update_at = now + 11 * MS_DAY;
	assert_int_equal(ask_list(bad), E_SIGNER_LIMIT);
	bad = q, bad.number = 6, bad.root = true;
	assert_int_equal(ask_list(bad), E_SIGNER_LIMIT);
	bad = q, bad.number = 6, bad.this_update_at += 2 * MS_DAY, bad.next_update_at += 2 * MS_DAY;
	assert_int_equal(ask_list(bad), E_SIGNER_LIMIT);

	bad = q, bad.number = 6, bad.this_update_at -= MS_HOUR + MS_SECOND;
	assert_int_equal(ask_list(bad), E_SIGNER_STALE);
	bad.this_update_at += MS_SECOND;
	assert_int_equal(ask_list(bad), 0);

	uint8_t          dates[3 * 8] = {0}; /* the second one's key is not to be trusted since a day in 2027 */
	struct crl_entry told[3];
	size_t           n;
	dates[8 + 4] = 0x6b, dates[8 + 5] = 0x40;
	q.dates = SPAN_OF(dates);
	bad = q;
	assert_int_equal(ask_list(bad), E_SIGNER_SERIAL); /* other content under the number of an older list */
	q.number = 7;
	assert_int_equal(ask_list(q), 0);
	assert_int_equal(crl_entries(w.answer.u.sg_crl_done.crl, told, 3, &n), 0);
	assert_true(told[0].invalidity_at == 0 && told[1].invalidity_at == INT64_C(0x6b400000) * MS_SECOND && told[2].invalidity_at == 0);
	assert_int_equal(ask_list(q), 0);
	dates[8 + 7] = 1;
	assert_int_equal(ask_list(q), E_SIGNER_SERIAL);
	bad = q, bad.number = 8, bad.dates.n -= 8;
	assert_int_equal(ask_list(bad), E_SIGNER_LIMIT);
	bad = q, bad.number = 8;
	dates[0] = 0x7f;
	assert_int_equal(ask_list(bad), E_PKI_LINT);

	struct sg_crl root = {.number = 1, .this_update_at = now, .next_update_at = now + 395 * MS_DAY, .root = true};
	strcpy(root.issuer_id, w.h.issuer[ISSUER_ROOT].issuer_id);
	if (ask_list(root) != 0)
		fail_msg("%s", w.answer.u.sg_crl_done.text);
	root.number = 2, root.next_update_at += 10 * MS_DAY;
	assert_int_equal(ask_list(root), E_SIGNER_LIMIT);
}

/* Signed by the authority that agents know, over the body that the signer builds; refused as the limits say. */
static void audit_heads_are_signed(void **state)
{
	(void)state;
	struct sg_head    q = {.size = 7, .root = {{1, 2, 3}}, .at = now};
	struct cert_parts parts;
	struct key       *key = NULL;
	uint8_t           body[AUDIT_HEAD_BODY];
	size_t            at = 0;
	static const struct {
		uint64_t size;
		int64_t  late;
		int      code;
	} bad[] = {{6, 0, E_AUDIT_HEAD}, {9, 0, E_AUDIT_HEAD}, {9, 2 * MS_DAY, E_SIGNER_LIMIT}, {9, -2 * MS_HOUR, E_SIGNER_STALE}, {0, 0, E_AUDIT_HEAD}};

	setup(NULL);
	send_frame(SG_HEAD, 79, &q);
	assert_int_equal(serve(), 1);
	next_answer(&at);
	assert_int_equal(w.answer.type, SG_HEAD_DONE);
	assert_int_equal(w.answer.u.sg_head_done.code, 0);
	assert_string_equal(w.answer.u.sg_head_done.issuer_id, w.h.issuer[ISSUER_AGENT].issuer_id);
	assert_int_equal(cert_parts_read(hierarchy_der(&w.h, ISSUER_AGENT), &parts), 0);
	assert_int_equal(key_from_spki(parts.t.spki, &key), 0);
	audit_head_body(7, q.root, now, body);
	assert_int_equal(key_verify(key, LABEL_HEAD, SPAN_OF(body), w.answer.u.sg_head_done.signature), 0);
	body[0] ^= 1;
	assert_int_equal(key_verify(key, LABEL_HEAD, SPAN_OF(body), w.answer.u.sg_head_done.signature), E_PKI_SIGNATURE);
	key_free(key);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct sg_head other = {.size = bad[i].size, .root = {{9}}, .at = now + bad[i].late};
		at = 0;
		setup(NULL);
		send_frame(SG_HEAD, 80, &other);
		assert_int_equal(serve(), 1);
		next_answer(&at);
		assert_int_equal(w.answer.u.sg_head_done.code, bad[i].code);
		assert_int_equal(w.answer.u.sg_head_done.signature.n, 0);
	}
}

static void strangers_are_disconnected(void **state)
{
	(void)state;
	size_t          done = 0;
	struct sg_hello hello = {.version = "1"};
	struct sg_head_done head = {.code = 1};
	static const uint8_t garbage[] = {0, 0, 0, 3, 0x91, 0xc1, 0xff};
	static const uint8_t huge[] = {0x7f, 0xff, 0xff, 0xff};

	send_frame(SG_HELLO, 1, &hello); /* the signer's own message */
	assert_int_equal(serve_batch(w.serve, &w.in, now, 0, &w.out, &done), E_WIRE_MESSAGE);
	setup(NULL);
	send_frame(SG_HEAD_DONE, 1, &head); /* and another one */
	assert_int_equal(serve_batch(w.serve, &w.in, now, 0, &w.out, &done), E_WIRE_MESSAGE);
	setup(NULL);
	buf_add(&w.in, garbage, sizeof(garbage));
	assert_true(serve_batch(w.serve, &w.in, now, 0, &w.out, &done) < 0);
	setup(NULL);
	buf_add(&w.in, huge, sizeof(huge));
	assert_int_equal(serve_batch(w.serve, &w.in, now, 0, &w.out, &done), E_FULL);
	assert_int_equal(w.out.n, 0);
	struct cert_facts f = facts_of(LEAF_SERVICE);
	assert_int_equal(ask(&f), 0); /* and others are not harmed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, setup)
		T(hello_names_every_authority), T(every_profile_is_signed), T(same_content_again_other_never),
		T(hash_of_other_content_is_refused), T(limits_hold), T(old_requests), T(rate_is_capped), T(batches_keep_order), T(lists),
		T(audit_heads_are_signed), T(strangers_are_disconnected),
#undef T
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
