/* test_root_list.c - is the wish for a root's list read in its one spelling alone, and does what waits change only when it has to say something else?
 * Never: signing (tests/system/test_offline_root.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <fcntl.h>

#include "controller/signer/root_list.h"
#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/file.h"

static const int64_t now = INT64_C(1800000000000);

static void entry_fill(struct root_list *l, size_t i, uint8_t tail, int64_t date)
{
	uint8_t *p = l->entries + i * LIST_ENTRY;
	memset(p, 0x11, 15);
	p[15] = tail;
	be_put(p + 16, 1700000000, 7);
	p[23] = 5;
	be_put(l->dates + i * LIST_DATE, (uint64_t)date, LIST_DATE);
}

static void sample(struct root_list *l, size_t n, bool dated)
{
	memset(l, 0, sizeof(*l));
	l->crl = (struct sg_crl){.issuer_id = "root-1", .number = 7, .this_update_at = now, .next_update_at = now + 397 * MS_DAY, .root = true};
	memset(l->root_hash.b, 0xa5, sizeof(l->root_hash.b));
	for (size_t i = 0; i < n; i++)
		entry_fill(l, i, (uint8_t)(i + 1), dated && i == 0 ? 1690000000 : 0);
	l->crl.entries = (struct span){l->entries, n * LIST_ENTRY};
	l->crl.dates = dated ? (struct span){l->dates, n * LIST_DATE} : (struct span){NULL, 0};
}

/* A copy on the heap of exactly this size: reading beyond it is seen by the sanitizer. */
static int read_bytes(struct span bytes, struct root_list *ret)
{
	struct refusal why = {0};
	uint8_t       *copy = malloc(bytes.n > 0 ? bytes.n : 1);
	assert_non_null(copy);
	if (bytes.n > 0)
		memcpy(copy, bytes.p, bytes.n);
	int r = root_list_read((struct span){copy, bytes.n}, ret, &why);
	free(copy);
	assert_int_equal(why.code, r);
	return r;
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	static struct root_list l, got;
	for (size_t n = 0; n <= ROOT_LIST_ENTRIES; n += n == 3 ? ROOT_LIST_ENTRIES - 3 : 1)
		for (int dated = 0; dated < 2; dated++) {
			struct buf text = BUF_MAX(ROOT_LIST_TEXT_MAX - 1);
			sample(&l, n, dated != 0 && n > 0);
			assert_int_equal(root_list_write(&l, &text), 0);
			assert_true(root_list_is(buf_span(&text)));
			assert_int_equal(read_bytes(buf_span(&text), &got), 0);
			assert_int_equal(got.crl.number, 7);
			assert_string_equal(got.crl.issuer_id, "root-1");
			assert_true(got.crl.root && got.crl.this_update_at == now && got.crl.next_update_at == l.crl.next_update_at);
			assert_true(span_equal(got.crl.entries, l.crl.entries) && span_equal(got.crl.dates, l.crl.dates));
			assert_true(hash_equal(got.root_hash, l.root_hash));
			buf_free(&text);
		}
}

static void each_cut_and_each_other_octet(void **state)
{
	(void)state;
	static struct root_list l, got, again;
	struct buf              text = BUF_MAX(ROOT_LIST_TEXT_MAX), other = BUF_MAX(ROOT_LIST_TEXT_MAX);
	sample(&l, 2, true);
	assert_int_equal(root_list_write(&l, &text), 0);
	for (size_t n = 0; n < text.n; n++) { /* cut behind an entry it is another whole list */
		bool whole = n > 0 && text.p[n - 1] == '\n' && memcmp(text.p + n, "revoked ", 8) == 0;
		assert_int_equal(read_bytes((struct span){text.p, n}, &got), whole ? 0 : E_ROOT_REQUEST);
	}
	for (size_t i = 0; i < text.n; i++)
		for (unsigned c = 0; c < 256; c += 5) { /* what is taken all the same says something else, in its one spelling */
			uint8_t was = text.p[i];
			text.p[i] = (uint8_t)c;
			if (c != was && read_bytes(buf_span(&text), &got) == 0) {
				buf_reset(&other);
				assert_int_equal(root_list_write(&got, &other), 0);
				assert_true(span_equal(buf_span(&other), buf_span(&text)));
				assert_int_equal(read_bytes(buf_span(&other), &again), 0);
			}
			text.p[i] = was;
		}
	buf_free(&text);
	buf_free(&other);
}

static void too_many_entries(void **state)
{
	(void)state;
	static struct root_list l, got;
	struct buf              text = BUF_MAX(2 * ROOT_LIST_TEXT_MAX);
	sample(&l, ROOT_LIST_ENTRIES, false);
	assert_int_equal(root_list_write(&l, &text), 0);
	buf_add_text(&text, "revoked FF111111111111111111111111111111 at 1700000000 reason 5 invalid 0\n");
	assert_int_equal(read_bytes(buf_span(&text), &got), E_ROOT_REQUEST);
	buf_free(&text);
}

/* ---- what waits ---- */

static struct signer_conf conf;
static struct ca          root;
static struct sign_log   *log_here;

static int folder_make(void **state)
{
	char dir[] = "/tmp/vcc-test-root-list-XXXXXX";
	char path[CONF_PATH_SIZE + 8];
	(void)state;
	if (mkdtemp(dir) == NULL)
		return 1;
	text_cut(conf.state_dir, sizeof(conf.state_dir), dir);
	snprintf(path, sizeof(path), "%s/ca", dir);
	text_cut(root.issuer.issuer_id, sizeof(root.issuer.issuer_id), "root-1");
	root.issuer.role = ISSUER_ROOT;
	memset(root.issuer.der, 0x30, 100);
	root.issuer.der_len = 100;
	if (mkdir(path, 0700) != 0)
		return 1;
	snprintf(path, sizeof(path), "%s/log", dir);
	return sign_log_open(path, SIGN_LOG_ROTATE, &log_here, NULL);
}

static int folder_remove(void **state)
{
	(void)state;
	sign_log_close(log_here);
	log_here = NULL;
	return tree_remove(AT_FDCWD, conf.state_dir, NULL);
}

static uint64_t asked(const struct root_list *l, uint64_t number, int64_t at, const char *cause, int code)
{
	static struct root_list waits;
	struct refusal          why = {0};
	struct sg_crl           crl = l->crl;
	char                    path[CONF_PATH_SIZE + 64];
	struct buf              text = BUF_MAX(ROOT_LIST_TEXT_MAX);
	crl.number = number;
	crl.this_update_at = at;
	crl.next_update_at = at + 397 * MS_DAY;
	assert_int_equal(root_list_ask(&conf, &root, &crl, log_here, at, &why), code);
	assert_non_null(strstr(why.cause, cause));
	snprintf(path, sizeof(path), "%s/ca/root-1.list-request", conf.state_dir);
	if (file_read(AT_FDCWD, path, false, &text, NULL) < 0)
		return 0;
	assert_int_equal(root_list_read(buf_span(&text), &waits, &why), 0);
	buf_free(&text);
	return waits.crl.number;
}

static void what_waits_changes_with_its_content(void **state)
{
	(void)state;
	static struct root_list one, two;
	sample(&one, 1, false);
	sample(&two, 2, false);
	assert_int_equal(asked(&one, 7, now, "root-request list", E_SIGNER_ISSUER), 7);
	assert_int_equal(asked(&one, 9, now + MS_HOUR, "root-request list", E_SIGNER_ISSUER), 7); /* it may be under way */
	assert_int_equal(asked(&two, 3, now + MS_HOUR, "root-request list", E_SIGNER_ISSUER), 8); /* no number twice for another content */
	assert_int_equal(asked(&two, 20, now + 29 * MS_DAY, "root-request list", E_SIGNER_ISSUER), 8);
	assert_int_equal(asked(&two, 20, now + 31 * MS_DAY, "root-request list", E_SIGNER_ISSUER), 20); /* too old to be signed */
	two.crl.shard = 1;
	assert_int_equal(asked(&two, 30, now, "one list", E_SIGNER_LIMIT), 20);
}

static void logged(uint64_t number, uint8_t content)
{
	struct hash hash = {{content}};
	bool        again;
	assert_int_equal(sign_log_add_list(log_here, "root-1", 0, number, hash, &again, NULL), 0);
	assert_int_equal(sign_log_commit(log_here, now), 0);
}

/* What this machine has logged would not be taken back, however it came to be logged. */
static void the_number_rises_over_the_log(void **state)
{
	(void)state;
	static struct root_list one, two;
	sample(&one, 1, false);
	sample(&two, 2, false);
	logged(40, 1);
	assert_int_equal(asked(&one, 7, now, "root-request list", E_SIGNER_ISSUER), 41);
	assert_int_equal(asked(&one, 8, now, "root-request list", E_SIGNER_ISSUER), 41);
	logged(41, 2); /* for another content: the answer to what waits would be refused */
	assert_int_equal(asked(&one, 8, now, "root-request list", E_SIGNER_ISSUER), 42);
	assert_int_equal(asked(&two, (uint64_t)INT64_MAX + 1, now, "no number is left", E_SIGNER_LIMIT), 42);
	assert_int_equal(asked(&two, INT64_MAX, now, "root-request list", E_SIGNER_ISSUER), INT64_MAX);
	assert_int_equal(asked(&one, 9, now, "no number is left", E_SIGNER_LIMIT), INT64_MAX);
}

static void what_waits_is_forgotten(void **state)
{
	(void)state;
	static struct root_list one;
	sample(&one, 1, false);
	assert_int_equal(asked(&one, 7, now, "root-request list", E_SIGNER_ISSUER), 7);
	root_list_forget(&conf, "root-2");
	assert_int_equal(asked(&one, 9, now, "root-request list", E_SIGNER_ISSUER), 7);
	root_list_forget(&conf, "root-1");
	root_list_forget(&conf, "root-1");
	assert_int_equal(asked(&one, 9, now, "root-request list", E_SIGNER_ISSUER), 9);
}

static void age_is_limited(void **state)
{
	(void)state;
	static struct root_list l;
	struct refusal          why = {0};
	sample(&l, 0, false);
	assert_int_equal(root_list_age(&l, now + 29 * MS_DAY, &why), 0);
	assert_int_equal(root_list_age(&l, now + 30 * MS_DAY, &why), E_ROOT_STALE);
	assert_int_equal(root_list_age(&l, now - 2 * MS_DAY, &why), E_ROOT_STALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(each_cut_and_each_other_octet),
		cmocka_unit_test(too_many_entries),
		cmocka_unit_test_setup_teardown(what_waits_changes_with_its_content, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(the_number_rises_over_the_log, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(what_waits_is_forgotten, folder_make, folder_remove),
		cmocka_unit_test(age_is_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
