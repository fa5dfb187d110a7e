/* test_root_change.c - does a person's new root come whole through a cut after each file, do hosts take its bundles and no
 * others, and does who knows only the root before find a path? Never: the usual cost of a passphrase. */
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

#include "agent/keeper/trust.h"
#include "controller/signer/bundle_file.h"
#include "controller/signer/root_change.h"
#include "controller/signer/successor.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/pki/key.h"
#include "shared/sys/file.h"
#include "tests/lib/hierarchy.h"

#define PASSPHRASE span_text("an open secret")
static const int64_t             now = INT64_C(1800000000000);

static struct hierarchy   h;
static struct signer_conf conf;
static struct ca_store    cas;
static struct sign_log   *sign_log;
static struct root_change change;
static char               folder[64];
static int                ca_fd = -1;

/* What a whole run leaves, in the order of its making. */
static const char *const files[] = {"root-2.key",         "root-2.cer",         "root-2.cross", "root-2.crl",
				    "service-2.key",      "service-2.cer",      "agent-2.key",  "agent-2.cer",
				    "code-signing-2.key", "code-signing-2.cer", "bundle-2"};

static void put(const char *name, const struct buf *bytes)
{
	struct refusal why = {0};
	if (file_replace(ca_fd, name, buf_span(bytes), (uid_t)-1, (gid_t)-1, 0600, &why) < 0)
		fail_msg("%s: %s", why.object, why.cause);
}

static void put_ca(enum issuer_role role)
{
	struct buf der = BUF_MAX(CERT_DER_MAX), file = BUF_MAX(CA_KEYFILE_MAX);
	char       name[64];
	buf_add(&der, h.issuer[role].der, h.issuer[role].der_len);
	snprintf(name, sizeof(name), "%s.cer", h.issuer[role].issuer_id);
	put(name, &der);
	hierarchy_seal(h.key[role], PASSPHRASE, &file);
	snprintf(name, sizeof(name), "%s.key", h.issuer[role].issuer_id);
	put(name, &file);
	buf_free(&der);
	buf_free(&file);
}

static void put_first_bundle(void)
{
	struct body_bundle      body = {.epoch = 1, .threshold = 1, .made_at = now, .n_roots = 1};
	const struct key *const keys[] = {h.key[ISSUER_ROOT]};
	struct buf              frame = BUF_MAX(FRAME_MAX);
	body.roots[0].certificate = hierarchy_der(&h, ISSUER_ROOT);
	assert_int_equal(bundle_file_make(&body, keys, 1, &frame), 0);
	put("bundle-1", &frame);
	buf_free(&frame);
}

static void begin(void)
{
	struct refusal why = {0};
	char           path[96];
	snprintf(path, sizeof(path), "%s/log", folder);
	if (ca_store_load(folder, PASSPHRASE, HIERARCHY_URL, &cas, &why) < 0 ||
	    sign_log_open(path, SIGN_LOG_ROTATE, &sign_log, &why) < 0)
		fail_msg("%s: %s", why.object, why.cause);
	change = (struct root_change){.conf = &conf, .cas = &cas, .log = sign_log, .ca_fd = ca_fd, .now = now};
}

static void end(void)
{
	sign_log_close(sign_log);
	ca_store_free(&cas);
}

static void again(void)
{
	end();
	begin();
}

static int setup(void **state)
{
	char           path[128];
	struct refusal why;
	(void)state;
	hierarchy_make(&h, now - 30 * MS_DAY, KEY_EC_P256, "10.0.0.0/8");
	conf = (struct signer_conf){
		.domains = "vcc.internal,example.org", .ip_ranges = "10.0.0.0/8", .public_url = HIERARCHY_URL};
	strcpy(folder, "/tmp/test_root_change_XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	strcpy(conf.state_dir, folder);
	snprintf(path, sizeof(path), "%s/ca", folder);
	if (dir_make(path, 0700, &why) < 0)
		return -1;
	ca_fd = open(path, O_DIRECTORY | O_CLOEXEC);
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++)
		put_ca((enum issuer_role)role);
	put_first_bundle();
	begin();
	return 0;
}

static int teardown(void **state)
{
	struct refusal   why;
	_cleanup_fd_ int fd = open("/tmp", O_DIRECTORY | O_CLOEXEC);
	(void)state;
	end();
	hierarchy_free(&h);
	fd_close(ca_fd);
	return tree_remove(fd, folder + 5, &why);
}

/* ---- asked ---- */

static int new_root(struct root_outcome *ret)
{
	struct refusal why = {0};
	int            r = root_change_new(&change, ret, &why);
	assert_int_equal(r, why.code);
	return r;
}

static int drop_root(const char *id, struct root_outcome *ret)
{
	struct refusal why = {0};
	int            r = root_change_drop(&change, id, ret, &why);
	assert_int_equal(r, why.code);
	return r;
}

static void read_file(const char *name, struct buf *to)
{
	struct refusal why = {0};
	if (file_read(ca_fd, name, false, to, &why) < 0)
		fail_msg("%s: %s", why.object, why.cause);
}

static bool is_there(const char *name)
{
	return faccessat(ca_fd, name, F_OK, 0) == 0;
}

static struct bundle_file newest(void)
{
	struct bundle_file b;
	struct refusal     why = {0};
	if (bundle_file_newest(ca_fd, &b, &why) < 0)
		fail_msg("%s: %s", why.object, why.cause);
	return b;
}

static void bundle_frame(uint64_t epoch, struct buf *to)
{
	char name[32];
	snprintf(name, sizeof(name), "bundle-%llu", (unsigned long long)epoch);
	read_file(name, to);
}

static struct hash pin_of(const char *id)
{
	struct ca  *ca = ca_store_find(&cas, id);
	struct hash pin;
	assert_non_null(ca);
	digest_sha256((struct span){ca->issuer.der, ca->issuer.der_len}, &pin);
	return pin;
}

static int joins(uint64_t epoch, const char *pin)
{
	struct buf     frame = BUF_MAX(FRAME_MAX);
	struct trust   t = {.epoch = 0};
	struct refusal why = {0};
	bundle_frame(epoch, &frame);
	int r = trust_first(buf_span(&frame), pin_of(pin), &t, &why);
	if (r == 0)
		trust_free(&t);
	buf_free(&frame);
	return r;
}

/* A host that has bundle `have` hears of bundle `next`. */
static int takes(uint64_t have, uint64_t next)
{
	struct buf     old = BUF_MAX(FRAME_MAX), frame = BUF_MAX(FRAME_MAX);
	struct trust   t = {.epoch = 0}, to = {.epoch = 0};
	struct refusal why = {0};
	bundle_frame(have, &old);
	bundle_frame(next, &frame);
	assert_int_equal(trust_read(buf_span(&old), &t, &why), 0);
	int r = trust_next(&t, buf_span(&frame), &to, &why);
	if (r == 0)
		trust_free(&to);
	trust_free(&t);
	buf_free(&old);
	buf_free(&frame);
	return r;
}

static void whole(void)
{
	static const char *const below[] = {"service-2", "agent-2", "code-signing-2"};
	struct bundle_file       b = newest();
	again(); /* everything opens, fits and leads to a root */
	assert_int_equal(b.epoch, 2);
	assert_int_equal(bundle_file_roots(&b), 2);
	assert_int_equal(cas.n, 2 * ISSUER_ROLE_COUNT);
	for (size_t i = 0; i < N_ELEMENTS(below); i++) {
		assert_non_null(ca_store_find(&cas, below[i]));
		assert_string_equal(ca_store_find(&cas, below[i])->issuer.parent_id, "root-2");
	}
	assert_int_equal(takes(1, 2), 0);
	bundle_file_free(&b);
}

/* ---- questions ---- */

static void hosts_take_it(void **state)
{
	(void)state;
	struct root_outcome o;
	assert_int_equal(new_root(&o), 0);
	assert_true(o.made);
	assert_int_equal(o.epoch, 2);
	assert_string_equal(o.root_id, "root-2");
	for (size_t i = 0; i < N_ELEMENTS(files); i++)
		assert_true(is_there(files[i]));
	whole();
	assert_int_equal(joins(2, "root-1"), 0);
	assert_int_equal(joins(2, "root-2"), 0);
	assert_int_equal(joins(1, "root-2"), E_LINK_PIN);

	assert_int_equal(drop_root("root-1", &o), 0);
	assert_true(o.made);
	assert_int_equal(o.epoch, 3);
	assert_int_equal(takes(2, 3), 0);
	assert_int_equal(takes(1, 3), E_SWAP_BUNDLE); /* only one after the other */
	assert_int_equal(takes(2, 1), E_SWAP_BUNDLE);
	assert_int_equal(takes(3, 2), E_SWAP_BUNDLE);
	assert_int_equal(joins(3, "root-2"), 0);
	assert_int_equal(joins(3, "root-1"), E_LINK_PIN);
}

/* The key of the root before may be gone for good by then. */
static void dropped_without_its_key(void **state)
{
	(void)state;
	struct root_outcome o;
	assert_int_equal(new_root(&o), 0);
	assert_int_equal(unlinkat(ca_fd, "root-1.key", 0), 0);
	again();
	assert_int_equal(drop_root("root-1", &o), 0);
	assert_int_equal(takes(2, 3), 0);
	assert_int_equal(drop_root("root-1", &o), 0);
	assert_false(o.made);
	assert_int_equal(o.epoch, 3);
	assert_false(is_there("bundle-4"));
}

static void leaf_of_next(struct buf *to)
{
	struct cert_facts facts;
	struct key       *k = NULL;
	struct buf        tbs = BUF_MAX(CERT_DER_MAX);
	struct ca        *ca = ca_store_find(&cas, "service-2");
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	hierarchy_facts(&h, LEAF_SERVICE, k, MS_DAY, 77, &facts);
	facts.not_before_at = now;
	facts.not_after_at = now + MS_DAY;
	strcpy(facts.issuer_id, "service-2");
	assert_int_equal(issue_tbs(ca->prepared, &facts, &tbs), 0);
	assert_int_equal(issue_sign(ca->prepared, 0, buf_span(&tbs), HASH_SHA256, to), 0);
	buf_free(&tbs);
	key_free(k);
}

static void paths_are_found(void **state)
{
	(void)state;
	struct root_outcome o;
	struct buf          leaf = BUF_MAX(CERT_DER_MAX), chain = BUF_MAX(2 * CERT_DER_MAX), cross = BUF_MAX(CERT_DER_MAX);
	assert_int_equal(new_root(&o), 0);
	again();
	const struct ca *service = ca_store_find(&cas, "service-2"), *root = ca_store_find(&cas, "root-2");
	struct span      old = hierarchy_der(&h, ISSUER_ROOT), next = {root->issuer.der, root->issuer.der_len};
	leaf_of_next(&leaf);
	read_file("root-2.cross", &cross);
	buf_add(&chain, service->issuer.der, service->issuer.der_len);
	assert_int_equal(cert_verify(buf_span(&leaf), buf_span(&chain), next, 0, now, NULL), 0);
	assert_int_equal(cert_verify(buf_span(&leaf), buf_span(&chain), old, 0, now, NULL), E_PKI_CHAIN);
	buf_add(&chain, cross.p, cross.n);
	assert_int_equal(cert_verify(buf_span(&leaf), buf_span(&chain), old, 0, now, NULL), 0);
	assert_int_equal(cert_verify(buf_span(&leaf), buf_span(&chain), next, 0, now, NULL), 0);

	struct cert_info info;
	assert_int_equal(cert_read(buf_span(&cross), &info), 0);
	assert_int_equal(cert_fits_key(buf_span(&cross), root->key), 0);
	assert_true(info.not_after_at <= h.issuer[ISSUER_ROOT].not_after_at);
	assert_true(sign_log_top(sign_log) > 0); /* the log knows of all of them */
	buf_free(&leaf);
	buf_free(&chain);
	buf_free(&cross);
}

static void cut_anywhere(void **state)
{
	(void)state;
	struct root_outcome o;
	assert_int_equal(new_root(&o), 0);
	for (size_t cut = N_ELEMENTS(files); cut-- > 0;) {
		struct buf kept[N_ELEMENTS(files)];
		for (size_t i = 0; i < cut; i++) {
			kept[i] = (struct buf)BUF_MAX(FRAME_MAX);
			read_file(files[i], &kept[i]);
		}
		for (size_t i = cut; i < N_ELEMENTS(files); i++)
			assert_int_equal(unlinkat(ca_fd, files[i], 0), 0);
		again();
		assert_int_equal(new_root(&o), 0);
		assert_true(o.made);
		assert_string_equal(o.root_id, "root-2");
		whole();
		for (size_t i = 0; i < cut; i++) {
			struct buf  is = BUF_MAX(FRAME_MAX);
			const char *end = strrchr(files[i], '.');
			bool nobodys = end != NULL && text_equal(end, ".key") && i + 1 == cut; /* a key without certificate */
			read_file(files[i], &is);
			assert_true(nobodys || span_equal(buf_span(&is), buf_span(&kept[i])));
			buf_free(&is);
			buf_free(&kept[i]);
		}
	}
	assert_int_equal(new_root(&o), 0); /* there: nothing is done */
	assert_false(o.made);
	assert_string_equal(o.root_id, "root-2");
	assert_null(ca_store_find(&cas, "root-3"));
}

/* Back: a bundle without the new root; the next attempt is another root. */
static void taken_back(void **state)
{
	(void)state;
	struct root_outcome o;
	assert_int_equal(new_root(&o), 0);
	assert_int_equal(drop_root("root-2", &o), 0);
	assert_int_equal(takes(2, 3), 0);
	assert_int_equal(joins(3, "root-1"), 0);
	assert_int_equal(joins(3, "root-2"), E_LINK_PIN);
	assert_int_equal(drop_root("root-1", &o), E_SIGNER_LIMIT); /* the last one */
	assert_int_equal(new_root(&o), 0);
	assert_string_equal(o.root_id, "root-3");
	assert_int_equal(o.epoch, 4);
	assert_int_equal(takes(3, 4), 0);
	struct bundle_file b = newest();
	assert_false(bundle_file_has(
		&b, (struct span){ca_store_find(&cas, "root-2")->issuer.der, ca_store_find(&cas, "root-2")->issuer.der_len}));
	bundle_file_free(&b);
	assert_int_equal(new_root(&o), 0);
	assert_false(o.made);
	assert_string_equal(o.root_id, "root-3");
}

static void refused(void **state)
{
	(void)state;
	struct root_outcome o;
	assert_int_equal(drop_root("root-1", &o), E_SIGNER_LIMIT);
	assert_int_equal(drop_root("root-9", &o), E_SIGNER_ISSUER);
	assert_int_equal(drop_root("service-1", &o), E_SIGNER_ISSUER);
	assert_int_equal(unlinkat(ca_fd, "root-1.key", 0), 0);
	again();
	assert_int_equal(new_root(&o), E_SIGNER_ISSUER);
	assert_false(is_there("root-2.key"));
	assert_false(is_there("bundle-2"));
	put_ca(ISSUER_ROOT);
	assert_int_equal(unlinkat(ca_fd, "bundle-1", 0), 0);
	again();
	assert_int_equal(new_root(&o), E_NOT_FOUND);
	assert_false(is_there("root-2.key"));
}

/* The name of an authority that is asked of an offline root is taken: its key lies there already. */
static void names_that_wait_are_taken(void **state)
{
	(void)state;
	struct root_outcome o;
	struct buf          text = BUF_MAX(16), now_there = BUF_MAX(16);
	buf_add(&text, "waits", 5);
	put("service-2.request", &text);
	put("service-2.key", &text);
	put("service-3.request", &text);
	assert_int_equal(new_root(&o), 0);
	assert_true(is_there("service-4.cer") && is_there("agent-2.cer"));
	assert_false(is_there("service-2.cer") || is_there("service-3.cer"));
	read_file("service-2.key", &now_there);
	assert_true(span_equal(buf_span(&now_there), buf_span(&text)));
	buf_free(&now_there);
	buf_free(&text);
}

/* What waits below the next root is no successor below today's: hosts may not know that root yet. */
static void no_successor_below_another(void **state)
{
	(void)state;
	static const uint8_t random[SERIAL_RANDOM] = {1};
	struct root_outcome  o;
	struct successor     s = {.root = NULL};
	struct ca           *there = NULL;
	struct refusal       why = {0};
	assert_int_equal(new_root(&o), 0);
	struct serial serial = serial_make(sign_log_top(sign_log) + 1, random);
	assert_int_equal(successor_begin(&cas, &conf, "service-1", "service-2", serial, now, &s, &there, &why), E_SIGNER_LIMIT);
	assert_int_equal(successor_begin(&cas, &conf, "service-1", "service-3", serial, now, &s, &there, &why), 0);
	assert_null(there);
	assert_string_equal(s.ca.issuer.parent_id, "root-1");
	successor_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hosts_take_it, setup, teardown),
		cmocka_unit_test_setup_teardown(dropped_without_its_key, setup, teardown),
		cmocka_unit_test_setup_teardown(paths_are_found, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(names_that_wait_are_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(no_successor_below_another, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
