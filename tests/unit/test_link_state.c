/* test_link_state.c - is the link's identity replaced whole, its key kept until its certificate came, and nothing else accepted? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/link/link_state.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/sys/file.h"
#include "tests/lib/hierarchy.h"

enum { NOW_S = 1800000000 };

static struct hierarchy  h;
static char              folder[64];
static struct link_state s;
static struct refusal    why;

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/vcc-test-link-XXXXXX");
	assert_non_null(mkdtemp(folder));
	why = (struct refusal){.code = 0};
	assert_int_equal(link_state_open(folder, &s, &why), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	link_state_close(&s);
	return tree_remove(AT_FDCWD, folder, NULL);
}

static int setup_all(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW_S * MS_SECOND, KEY_EC_P256, "");
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	hierarchy_free(&h);
	return 0;
}

static void issue(const struct key *k, uint64_t counter, struct buf *to)
{
	struct cert_facts facts;
	hierarchy_facts(&h, LEAF_AGENT, k, 2 * MS_DAY, counter, &facts);
	buf_reset(to);
	assert_int_equal(hierarchy_issue(&h, &facts, to, &why), 0);
}

static mode_t mode_of(const char *name)
{
	struct stat st;
	return fstatat(s.dir_fd, name, &st, 0) == 0 ? st.st_mode & 07777 : 0;
}

/* A host that has joined. */
static void join(void)
{
	struct key *k = NULL;
	struct buf  leaf = BUF_MAX(CERT_DER_MAX);
	assert_int_equal(link_state_next_key(&s, &k, &why), 0);
	issue(k, 1, &leaf);
	assert_int_equal(link_state_save_identity(&s, buf_span(&leaf), hierarchy_der(&h, ISSUER_AGENT), &why), 0);
	static const struct link_joined joined = {"clara01", "vcc.internal", "pki.vcc.internal:8443", "pki.vcc.internal:8442"};
	assert_int_equal(link_state_save_joined(&s, &joined, hierarchy_der(&h, ISSUER_ROOT), &why), 0);
	key_free(k);
	buf_free(&leaf);
}

static void reopen(void)
{
	link_state_close(&s);
	assert_int_equal(link_state_open(folder, &s, &why), 0);
}

static void what_joining_wrote_is_read_again(void **state)
{
	(void)state;
	join();
	reopen();
	assert_int_equal(link_state_load(&s, &why), 0);
	assert_string_equal(s.agent, "clara01");
	assert_string_equal(s.domain, "vcc.internal");
	assert_string_equal(s.address, "pki.vcc.internal:8443");
	assert_string_equal(s.join, "pki.vcc.internal:8442");
	assert_int_equal(link_state_save_address(&s, "10.0.0.1:443", &why), 0);
	reopen();
	assert_int_equal(link_state_load(&s, &why), 0);
	assert_string_equal(s.address, "10.0.0.1:443");
	assert_string_equal(s.join, "pki.vcc.internal:8442");
	assert_string_equal(s.agent, "clara01");
	assert_true(span_equal(buf_span(&s.root), hierarchy_der(&h, ISSUER_ROOT)));
	assert_true(s.not_after_at - s.not_before_at == 2 * MS_DAY);
	assert_string_equal(s.public_url, HIERARCHY_URL); /* as the CA has signed it */
	assert_int_equal(mode_of("identity.pem"), 0600);
	assert_int_equal(mode_of("next.key"), 0); /* used up */
	assert_int_equal(memcmp(s.identity.p, "-----BEGIN PRIVATE KEY-----", 27), 0);
}

static void not_joined(void **state)
{
	(void)state;
	assert_int_equal(link_state_load(&s, &why), E_LINK_NOT_JOINED);
	assert_int_equal(why.code, E_LINK_NOT_JOINED);
}

/* A join that was killed after the identity and before its end: not joined, and the repetition goes on from there. */
static void joining_ends_with_its_last_file(void **state)
{
	struct key *k = NULL;
	struct buf  leaf = BUF_MAX(CERT_DER_MAX);
	(void)state;
	assert_int_equal(link_state_next_key(&s, &k, &why), 0);
	issue(k, 1, &leaf);
	assert_int_equal(link_state_save_identity(&s, buf_span(&leaf), hierarchy_der(&h, ISSUER_AGENT), &why), 0);
	reopen();
	assert_int_equal(link_state_load(&s, &why), E_LINK_NOT_JOINED);
	join();
	reopen();
	assert_int_equal(link_state_load(&s, &why), 0);
	key_free(k);
	buf_free(&leaf);
}

/* What a program wrote that knew nothing of coming back. */
static void an_older_folder_is_read(void **state)
{
	(void)state;
	join();
	assert_int_equal(file_replace(s.dir_fd, "joined", span_text("[joined]\nagent = clara01\ndomain = vcc.internal\naddress = pki:8443\n"), (uid_t)-1,
	                              (gid_t)-1, 0644, &why), 0);
	reopen();
	assert_int_equal(link_state_load(&s, &why), 0);
	assert_string_equal(s.address, "pki:8443");
	assert_string_equal(s.join, "");
}

static void damaged_files_are_named(void **state)
{
	static const struct {
		const char *name;
		const char *text;
	} wrong[] = {{"joined", "[joined\n"}, {"joined", "[joined]\nagent = a\nunknown = b\n"}, {"identity.pem", "nothing"}, {"identity.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		join();
		assert_int_equal(file_replace(s.dir_fd, wrong[i].name, span_text(wrong[i].text), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
		reopen();
		why = (struct refusal){.code = 0};
		int r = link_state_load(&s, &why);
		assert_true(r < 0);
		assert_int_equal(why.code, r);
		assert_non_null(strstr(why.object, wrong[i].name));
	}
}

static void the_next_key_is_kept_until_it_is_used(void **state)
{
	struct key *first = NULL, *again = NULL, *after = NULL;
	struct buf  leaf = BUF_MAX(CERT_DER_MAX);
	(void)state;
	join();
	assert_int_equal(link_state_next_key(&s, &first, &why), 0);
	assert_int_equal(mode_of("next.key"), 0600);
	reopen();
	assert_int_equal(link_state_next_key(&s, &again, &why), 0);
	assert_true(key_same(first, again));
	issue(first, 2, &leaf);
	assert_int_equal(link_state_save_identity(&s, buf_span(&leaf), hierarchy_der(&h, ISSUER_AGENT), &why), 0);
	assert_int_equal(link_state_next_key(&s, &after, &why), 0);
	assert_false(key_same(first, after));
	key_free(first);
	key_free(again);
	key_free(after);
	buf_free(&leaf);
}

static void an_unreadable_next_key_is_made_again(void **state)
{
	struct key *k = NULL;
	(void)state;
	assert_int_equal(file_replace(s.dir_fd, "next.key", span_text("half a k"), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
	assert_int_equal(link_state_next_key(&s, &k, &why), 0);
	assert_non_null(k);
	key_free(k);
}

static void a_certificate_for_another_key_changes_nothing(void **state)
{
	struct key *k = NULL, *other = NULL;
	struct buf  leaf = BUF_MAX(CERT_DER_MAX), before = BUF_MAX(65536), after = BUF_MAX(65536);
	(void)state;
	join();
	assert_int_equal(file_read(s.dir_fd, "identity.pem", true, &before, &why), 0);
	assert_int_equal(link_state_next_key(&s, &k, &why), 0);
	assert_int_equal(key_make(KEY_EC_P256, &other), 0);
	issue(other, 3, &leaf);
	why = (struct refusal){.code = 0};
	assert_int_equal(link_state_save_identity(&s, buf_span(&leaf), hierarchy_der(&h, ISSUER_AGENT), &why), E_PKI_MISMATCH);
	assert_int_equal(why.code, E_PKI_MISMATCH);
	assert_int_equal(file_read(s.dir_fd, "identity.pem", true, &after, &why), 0);
	assert_true(span_equal(buf_span(&before), buf_span(&after)));
	assert_int_equal(mode_of("next.key"), 0600);
	key_free(k);
	key_free(other);
	buf_free(&leaf);
	buf_wipe(&before);
	buf_wipe(&after);
}

/* `vcc-agent join` beside a running vcc-agent. */
static void one_process_at_a_time(void **state)
{
	struct link_state second;
	(void)state;
	assert_int_equal(link_state_open(folder, &second, &why), E_SYS_LOCKED);
}

static void a_folder_of_others_is_refused(void **state)
{
	struct link_state second;
	(void)state;
	link_state_close(&s);
	assert_int_equal(chmod(folder, 0777), 0);
	assert_int_equal(link_state_open(folder, &second, &why), E_SYS_UNSAFE_PATH);
	assert_int_equal(chmod(folder, 0700), 0);
	assert_int_equal(link_state_open(folder, &s, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_joining_wrote_is_read_again, setup, teardown),
		cmocka_unit_test_setup_teardown(not_joined, setup, teardown),
		cmocka_unit_test_setup_teardown(joining_ends_with_its_last_file, setup, teardown),
		cmocka_unit_test_setup_teardown(an_older_folder_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_files_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_key_is_kept_until_it_is_used, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unreadable_next_key_is_made_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_certificate_for_another_key_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(one_process_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_folder_of_others_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
