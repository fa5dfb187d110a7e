/* test_successor.c - does a running signer make the next authority of a role, of the same rights and once, and does a closed
 * one sign nothing but lists and OCSP responders, also after a restart? Never: the usual cost of a passphrase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "controller/signer/sign_serve.h"
#include "controller/signer/successor.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/key.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/wire/wire.h"
#include "tests/lib/hierarchy.h"

#define PASSPHRASE span_text("an open secret")
static const int64_t             now = INT64_C(1800000000000);

static struct hierarchy   h;
static struct signer_conf conf;
static struct signer      s;
static struct serve      *v;
static struct wire_frame  answer;
static struct buf         in = BUF_MAX(SERVE_IN_MAX), out = BUF_MAX(SERVE_OUT_MAX);
static struct key        *subject;
static char               folder[64];
static uint64_t           counter;

/* ---- a signer's folder ---- */

static void put(const char *id, const char *end, const struct buf *bytes)
{
	struct refusal   why = {0};
	char             path[128], name[64];
	_cleanup_fd_ int fd = -1;
	snprintf(path, sizeof(path), "%s/ca", folder);
	snprintf(name, sizeof(name), "%s%s", id, end);
	fd = open(path, O_DIRECTORY | O_CLOEXEC);
	if (file_replace(fd, name, buf_span(bytes), (uid_t)-1, (gid_t)-1, 0600, &why) < 0)
		fail_msg("%s: %s", why.object, why.cause);
}

static void put_ca(enum issuer_role role, bool offline)
{
	struct buf der = BUF_MAX(CERT_DER_MAX), file = BUF_MAX(CA_KEYFILE_MAX);
	buf_add(&der, h.issuer[role].der, h.issuer[role].der_len);
	put(h.issuer[role].issuer_id, ".cer", &der);
	hierarchy_seal(h.key[role], PASSPHRASE, &file);
	if (!offline)
		put(h.issuer[role].issuer_id, ".key", &file);
	buf_free(&der);
	buf_free(&file);
}

static void begin(void)
{
	struct refusal why = {0};
	char           path[96];
	snprintf(path, sizeof(path), "%s/log", folder);
	if (ca_store_load(folder, PASSPHRASE, HIERARCHY_URL, &s.cas, &why) < 0 ||
	    sign_log_open(path, SIGN_LOG_ROTATE, &s.log, &why) < 0)
		fail_msg("%s: %s", why.object, why.cause);
	assert_int_equal(serve_new(&s, &v), 0);
}

static void end(void)
{
	serve_free(v);
	v = NULL;
	sign_log_close(s.log);
	ca_store_free(&s.cas);
}

static void again(void)
{
	end();
	begin();
}

static int setup(void **state)
{
	char path[128];
	(void)state;
	hierarchy_make(&h, now - 30 * MS_DAY, KEY_EC_P256, "10.0.0.0/8");
	conf = (struct signer_conf){
		.domains = "vcc.internal,example.org", .ip_ranges = "10.0.0.0/8", .public_url = HIERARCHY_URL};
	for (size_t i = 0; i < LEAF_PROFILE_COUNT; i++)
		conf.validity_ms[i] = 30 * MS_DAY;
	strcpy(folder, "/tmp/test_successor_XXXXXX");
	if (mkdtemp(folder) == NULL || key_make(KEY_EC_P256, &subject) < 0)
		return -1;
	strcpy(conf.state_dir, folder);
	snprintf(path, sizeof(path), "%s/ca", folder);
	s = (struct signer){.conf = &conf};
	signer_limits_rate_init(&s.rate, 20000, 0);
	struct refusal why;
	if (dir_make(path, 0700, &why) < 0)
		return -1;
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++)
		put_ca((enum issuer_role)role, false);
	begin();
	return 0;
}

static int teardown(void **state)
{
	struct refusal   why;
	_cleanup_fd_ int fd = open("/tmp", O_DIRECTORY | O_CLOEXEC);
	(void)state;
	end();
	key_free(subject);
	hierarchy_free(&h);
	buf_free(&in);
	buf_free(&out);
	in.max = SERVE_IN_MAX;
	out.max = SERVE_OUT_MAX;
	return tree_remove(fd, folder + 5, &why);
}

/* ---- speaking ---- */

static void send_frame(uint16_t type, const void *payload)
{
	struct buf frame = BUF_MAX(IPC_FRAME_MAX);
	assert_int_equal(wire_encode(&wire_signer, type, 5, payload, &frame), 0);
	for (int i = 24; i >= 0; i -= 8)
		buf_add_u8(&in, (uint8_t)(frame.n >> i));
	buf_add(&in, frame.p, frame.n);
	buf_free(&frame);
}

static void serve(void)
{
	size_t      done = 0, at = 0;
	struct span frame;
	buf_reset(&out);
	assert_int_equal(serve_batch(v, &in, now, 0, &out, &done), 0);
	assert_int_equal(done, 1);
	assert_int_equal(ipc_take(&out, &at, wire_signer.frame_max, &frame), 1);
	assert_int_equal(wire_decode(&wire_signer, frame, 0, &answer), 0);
}

static struct sg_successor request(const char *id, const char *successor_id)
{
	struct sg_successor q = {.issuer_id = ""};
	uint8_t             random[SERIAL_RANDOM] = {7};
	text_cut(q.issuer_id, sizeof(q.issuer_id), id);
	text_cut(q.successor_id, sizeof(q.successor_id), successor_id);
	q.serial = serial_make(++counter, random);
	return q;
}

static int ask(const char *id, const char *successor_id)
{
	struct sg_successor q = request(id, successor_id);
	send_frame(SG_SUCCESSOR, &q);
	serve();
	assert_int_equal(answer.type, SG_SUCCESSOR_DONE);
	assert_string_equal(answer.u.sg_successor_done.issuer_id, successor_id);
	assert_int_equal(answer.u.sg_successor_done.certificate.n == 0, answer.u.sg_successor_done.code != 0);
	return answer.u.sg_successor_done.code;
}

static int close_ca(const char *id)
{
	struct sg_close q = {.issuer_id = ""};
	text_cut(q.issuer_id, sizeof(q.issuer_id), id);
	send_frame(SG_CLOSE, &q);
	serve();
	assert_int_equal(answer.type, SG_CLOSE_DONE);
	return answer.u.sg_close_done.code;
}

/* A leaf of this profile from this authority: the code. */
static int leaf(const char *issuer_id, enum leaf_profile profile)
{
	struct sg_issue q;
	struct ca      *ca = ca_store_find(&s.cas, issuer_id);
	struct buf      tbs = BUF_MAX(CERT_DER_MAX);
	hierarchy_facts(&h, profile, subject, 20 * MS_DAY, ++counter, &q.facts);
	q.facts.not_before_at = now;
	q.facts.not_after_at = now + 10 * MS_DAY;
	q.facts.crl_shard = serial_shard(q.facts.serial);
	text_cut(q.facts.issuer_id, sizeof(q.facts.issuer_id), issuer_id);
	assert_int_equal(issue_tbs(ca->prepared, &q.facts, &tbs), 0);
	digest_sha256(buf_span(&tbs), &q.tbs_hash);
	buf_free(&tbs);
	send_frame(SG_ISSUE, &q);
	serve();
	if (answer.u.sg_issued.code == 0)
		assert_int_equal(cert_verify(answer.u.sg_issued.certificate, (struct span){ca->issuer.der, ca->issuer.der_len},
					     hierarchy_der(&h, ISSUER_ROOT), 0, now, NULL),
				 0);
	return answer.u.sg_issued.code;
}

/* ---- tests ---- */

static struct span extension(struct span der, enum ext_id kind)
{
	struct cert_parts parts;
	struct span       value = {NULL, 0};
	assert_int_equal(cert_parts_read(der, &parts), 0);
	assert_true(tbs_parts_ext(&parts.t, kind, &value));
	return value;
}

/* Every right is the old one's; key, number and times are new. */
static void has_the_rights_of_the_old_one(void **state)
{
	(void)state;
	static const struct {
		enum issuer_role  role;
		const char       *id, *name;
		enum leaf_profile profile;
	} rows[] = {{ISSUER_SERVICE, "service-2", "VCC Service CA 2", LEAF_SERVICE},
		    {ISSUER_AGENT, "agent-2", "VCC Agent CA 2", LEAF_AGENT},
		    {ISSUER_CODE_SIGNING, "code-signing-2", "VCC Code Signing CA 2", LEAF_CODE_SIGNING}};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct cert_info info, was;
		struct span      old = hierarchy_der(&h, rows[i].role);
		if (ask(h.issuer[rows[i].role].issuer_id, rows[i].id) != 0)
			fail_msg("%s", answer.u.sg_successor_done.text);
		struct span der = answer.u.sg_successor_done.certificate;
		assert_int_equal(cert_read(der, &info), 0);
		assert_int_equal(cert_read(old, &was), 0);
		assert_string_equal(info.common_name, rows[i].name);
		assert_string_equal(info.organisation, was.organisation);
		assert_int_equal(info.key_usage, was.key_usage);
		assert_int_equal(info.ext_key_usage, was.ext_key_usage);
		assert_false(hash_equal(info.spki_hash, was.spki_hash));
		assert_true(span_equal(extension(der, EXT_NAME_CONSTRAINTS), extension(old, EXT_NAME_CONSTRAINTS)));
		assert_true(span_equal(extension(der, EXT_BASIC_CONSTRAINTS), extension(old, EXT_BASIC_CONSTRAINTS)));
		assert_true(info.not_before_at <= now - MS_HOUR && info.not_after_at > was.not_after_at);
		assert_int_equal(cert_verify(der, (struct span){NULL, 0}, hierarchy_der(&h, ISSUER_ROOT), 0, now, NULL), 0);
		assert_int_equal(leaf(rows[i].id, rows[i].profile), 0);
	}
}

static void is_made_once_and_is_there_after_a_restart(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf first = BUF_MAX(CERT_DER_MAX);
	assert_int_equal(ask("service-1", "service-2"), 0);
	buf_add(&first, answer.u.sg_successor_done.certificate.p, answer.u.sg_successor_done.certificate.n);
	for (int run = 0; run < 2; run++) {
		assert_int_equal(ask("service-1", "service-2"), 0);
		assert_true(span_equal(answer.u.sg_successor_done.certificate, buf_span(&first)));
		assert_int_equal(s.cas.n, ISSUER_ROLE_COUNT + 1);
		again();
	}
	assert_string_equal(ca_store_find(&s.cas, "service-2")->issuer.parent_id, "root-1");
	assert_true(keyfile_lock_fits(&ca_store_find(&s.cas, "service-1")->lock, (struct span){NULL, 0}) == false);
	assert_memory_equal(&ca_store_find(&s.cas, "service-1")->lock, &ca_store_find(&s.cas, "service-2")->lock,
			    sizeof(struct keyfile_lock));
	assert_int_equal(leaf("service-2", LEAF_SERVICE), 0);
	assert_int_equal(leaf("service-1", LEAF_SERVICE), 0); /* the old one is as it was */
}

/* Cut short while signer.conf named a token, begun again without one: what names the key in the token goes. */
static void a_stale_name_of_a_token_goes(void **state)
{
	(void)state;
	static const char text[] = "pkcs11:token=t;id=%01;object=service-2\n";
	char              path[128];
	struct buf        name = BUF_MAX(100);
	buf_add(&name, text, strlen(text));
	put("service-2", ".p11", &name);
	buf_free(&name);
	again();
	assert_int_equal(ask("service-1", "service-2"), 0);
	snprintf(path, sizeof(path), "%s/ca/service-2.p11", folder);
	assert_int_equal(access(path, F_OK), -1);
	again();
	assert_int_equal(leaf("service-2", LEAF_SERVICE), 0);
}

/* A kill after the key's file: it belongs to nobody, and the next try has a new one. */
static void a_key_without_certificate_is_nobody(void **state)
{
	(void)state;
	struct buf other = BUF_MAX(CA_KEYFILE_MAX);
	hierarchy_seal(subject, PASSPHRASE, &other);
	put("service-2", ".key", &other);
	buf_free(&other);
	again();
	assert_int_equal(s.cas.n, ISSUER_ROLE_COUNT);
	assert_int_equal(ask("service-1", "service-2"), 0);
	again();
	assert_int_equal(leaf("service-2", LEAF_SERVICE), 0);
}

static void what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *id, *successor_id;
		int         code;
	} rows[] = {
		{"service-7", "service-8", E_SIGNER_ISSUER}, {"root-1", "root-2", E_SIGNER_LIMIT},
		{"service-1", "agent-2", E_SIGNER_LIMIT},    {"service-1", "root-2", E_SIGNER_LIMIT},
		{"service-1", "service-1", E_SIGNER_LIMIT},  {"service-1", "service-02", E_SIGNER_LIMIT},
		{"service-1", "service-0", E_SIGNER_LIMIT},  {"service-1", "../service-2", E_SIGNER_LIMIT},
		{"service-1", "service-2x", E_SIGNER_LIMIT}, {"service-1", "", E_SIGNER_LIMIT},
		{"service-1", "agent-1", E_SIGNER_LIMIT},
	};
	uint64_t top = sign_log_top(s.log);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		int code = ask(rows[i].id, rows[i].successor_id);
		if (code != rows[i].code)
			fail_msg("row %zu: %d: %s", i, code, answer.u.sg_successor_done.text);
	}
	assert_int_equal(sign_log_top(s.log), top);
	assert_int_equal(s.cas.n, ISSUER_ROLE_COUNT);
	struct sg_successor twice = request("service-1", "service-2");
	counter--;
	assert_int_equal(leaf("service-1", LEAF_SERVICE), 0); /* uses its number */
	send_frame(SG_SUCCESSOR, &twice);
	serve();
	assert_int_equal(answer.u.sg_successor_done.code, E_SIGNER_SERIAL);
	assert_int_equal(s.cas.n, ISSUER_ROLE_COUNT);
}

/* A captured controller cannot fill the disk or the table. */
static void not_many_in_a_day(void **state)
{
	(void)state;
	char id[32];
	int  code = 0, i;
	for (i = 2; code == 0 && i < 30; i++) {
		snprintf(id, sizeof(id), "service-%d", i);
		code = ask("service-1", id);
	}
	assert_int_equal(code, E_SIGNER_LIMIT);
	assert_true(s.cas.n <= ISSUER_ROLE_COUNT + 5);
	assert_int_equal(ask("agent-1", "agent-2"), 0); /* of another role: yes */
	/* of all roles together: so many that one more of each has room for ever */
	static const char *const roles[] = {"agent", "code-signing"};
	for (size_t k = 0; k < N_ELEMENTS(roles); k++) {
		char first[32];
		snprintf(first, sizeof(first), "%s-1", roles[k]);
		for (i = 2; i < 30; i++) {
			snprintf(id, sizeof(id), "%s-%d", roles[k], i);
			(void)ask(first, id);
		}
	}
	assert_int_equal(s.cas.n, ISSUER_ROLE_COUNT + SUCCESSORS_A_DAY_OF_ALL);
	assert_true(s.cas.n + 2 * ISSUER_ROLE_COUNT - 1 <= CA_MAX); /* and for a new root */
}

static void needs_the_root(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof(path), "%s/ca/root-1.key", folder);
	assert_int_equal(unlink(path), 0);
	again();
	assert_int_equal(ask("service-1", "service-2"), E_SIGNER_ISSUER);
	assert_non_null(strstr(answer.u.sg_successor_done.text, "offline"));
}

static void closed_is_for_good(void **state)
{
	(void)state;
	assert_int_equal(close_ca("service-9"), E_SIGNER_ISSUER);
	assert_int_equal(close_ca("root-1"), E_SIGNER_ISSUER);
	assert_int_equal(leaf("service-1", LEAF_SERVICE), 0);
	for (int run = 0; run < 2; run++) {
		assert_int_equal(close_ca("service-1"), 0);
		assert_int_equal(leaf("service-1", LEAF_SERVICE), E_SIGNER_CLOSED);
		assert_int_equal(leaf("service-1", LEAF_ADMIN_TLS), E_SIGNER_CLOSED);
		assert_int_equal(leaf("service-1", LEAF_OCSP), 0);
		again();
	}
	struct sg_crl list = {.number = 9, .this_update_at = now, .next_update_at = now + MS_DAY};
	strcpy(list.issuer_id, "service-1");
	send_frame(SG_CRL, &list);
	serve();
	assert_int_equal(answer.u.sg_crl_done.code, 0);
	assert_int_equal(ask("service-1", "service-2"), 0); /* a successor may still be made */
	assert_int_equal(leaf("service-2", LEAF_SERVICE), 0);
}

static void drop(const char *name)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/ca/%s", folder, name);
	assert_int_equal(unlink(path), 0);
}

/* What a captured controller did to the folder is undone by root, while the signer is stopped: docs/operations.md. */
static void root_puts_the_folder_right(void **state)
{
	(void)state;
	assert_int_equal(ask("service-1", "service-2"), 0);
	assert_int_equal(close_ca("service-1"), 0);
	assert_int_equal(close_ca("service-2"), 0);
	assert_int_equal(leaf("service-1", LEAF_SERVICE), E_SIGNER_CLOSED);
	end();
	drop("service-1.closed");
	drop("service-2.cer");
	drop("service-2.key");
	drop("service-2.closed");
	begin();
	assert_int_equal(s.cas.n, ISSUER_ROLE_COUNT);
	assert_int_equal(leaf("service-1", LEAF_SERVICE), 0);
	assert_int_equal(ask("service-1", "service-2"), 0); /* another key under the same name */
	assert_int_equal(leaf("service-2", LEAF_SERVICE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(has_the_rights_of_the_old_one),
		T(is_made_once_and_is_there_after_a_restart),
		T(a_key_without_certificate_is_nobody),
		T(a_stale_name_of_a_token_goes),
		T(what_is_refused),
		T(not_many_in_a_day),
		T(needs_the_root),
		T(closed_is_for_good),
		T(root_puts_the_folder_right),
#undef T
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
