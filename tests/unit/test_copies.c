/* test_copies.c - do copies at fixed paths follow the generation, all or none, and never over a link or through a folder of somebody else?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>

#include "agent/keeper/copies.h"
#include "agent/keeper/generation.h"
#include "shared/base/times.h"
#include "shared/sys/file.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy   h;
static struct key        *key;
static char               base[64];
static int                dir_fd = -1;
static struct target_conf conf;
static struct agent_conf  agent;

static bool equal(uint64_t number)
{
	struct drift drift;
	copies_compare(&conf, dir_fd, number, &drift);
	return drift.kind == DRIFT_NONE;
}

static const char *at(const char *name)
{
	static char paths[8][256];
	static int  n;
	char       *path = paths[n++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
	return path;
}

static void generation_make(uint64_t number)
{
	_cleanup_(buf_free) struct buf leaf = BUF_MAX(CERT_DER_MAX);
	struct cert_facts              f;
	struct refusal                 why;
	struct made                    made;
	hierarchy_facts(&h, LEAF_SERVICE, key, MS_DAY, number, &f);
	assert_int_equal(hierarchy_issue(&h, &f, &leaf, NULL), 0);
	struct generation_content content = {
		.key = key,
		.certificate = buf_span(&leaf),
		.chain = hierarchy_der(&h, ISSUER_SERVICE),
		.roots = hierarchy_der(&h, ISSUER_ROOT),
		.combined = true,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.mode = 0640,
	};
	assert_int_equal(generation_write(dir_fd, number, &content, &made, &why), 0);
}

/* `copies` with %s for the base folder, up to four times. */
static int conf_make(const char *copies, struct target_conf *ret, struct refusal *why)
{
	char text[2048];
	char list[1024];
	snprintf(list, sizeof(list), copies, base, base, base, base);
	snprintf(text, sizeof(text),
	         "[target]\ntemplate = t\nnames = a.b\ndir = %s/tls\n[files]\nowner = %s\ngroup = %s\ncombined = yes\ncopies = %s\n[verify]\nkind = none\n",
	         base, getpwuid(geteuid())->pw_name, getgrgid(getegid())->gr_name, list);
	return conf_parse(&target_schema, "x.conf", span_text(text), ret, why);
}

static void use(const char *copies)
{
	struct refusal why = {.code = 0};
	if (conf_make(copies, &conf, &why) != 0)
		fail_msg("%s: %s", why.object, why.cause);
}

static bool same_bytes(const char *a, const char *b)
{
	_cleanup_(buf_free) struct buf one = BUF_MAX(65536), two = BUF_MAX(65536);
	struct refusal                 why;
	return file_read(AT_FDCWD, a, false, &one, &why) == 0 && file_read(AT_FDCWD, b, false, &two, &why) == 0 && one.n > 0 &&
	       span_equal(buf_span(&one), buf_span(&two));
}

static ino_t inode(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	return key_make(KEY_EC_P256, &key);
}

static int teardown(void **state)
{
	(void)state;
	key_free(key);
	hierarchy_free(&h);
	return 0;
}

static int each(void **state)
{
	(void)state;
	struct refusal why;
	snprintf(base, sizeof(base), "/tmp/vcc-copies-XXXXXX");
	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0755), 0);
	assert_int_equal(mkdir(at("app"), 0755), 0);
	snprintf(agent.keeper_dir, sizeof(agent.keeper_dir), "%s/keeper", base);
	snprintf(agent.link_dir, sizeof(agent.link_dir), "%s/link", base);
	snprintf(agent.targets_dir, sizeof(agent.targets_dir), "%s/targets.d", base);
	assert_int_equal(generation_dir(at("tls"), &dir_fd, &why), 0);
	generation_make(1);
	generation_make(2);
	return 0;
}

static int each_end(void **state)
{
	(void)state;
	fd_close(dir_fd);
	return tree_remove(AT_FDCWD, base, NULL);
}

static void they_follow(void **state)
{
	(void)state;
	struct refusal why;
	struct stat    st;
	use("key.pem:%s/app/a.key, fullchain.pem:%s/app/a.crt");
	assert_false(equal( 1));
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), 0);
	assert_true(same_bytes(at("app/a.key"), at("tls/g000001/key.pem")));
	assert_true(same_bytes(at("app/a.crt"), at("tls/g000001/fullchain.pem")));
	assert_int_equal(stat(at("app/a.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(stat(at("app/a.crt"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_true(equal( 1));
	assert_false(equal( 2));

	/* the key is the same in both: only what differs is written */
	ino_t kept = inode(at("app/a.key"));
	assert_int_equal(copies_follow(&conf, dir_fd, 2, &why), 0);
	assert_true(same_bytes(at("app/a.crt"), at("tls/g000002/fullchain.pem")));
	assert_int_equal(inode(at("app/a.key")), kept);
	/* and back */
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), 0);
	assert_true(equal( 1));
}

static void what_was_changed_is_put_right(void **state)
{
	(void)state;
	struct refusal why;
	struct stat    st;
	use("cert.pem:%s/app/a.crt");
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), 0);
	assert_int_equal(chmod(at("app/a.crt"), 0666), 0);
	assert_false(equal( 1));
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), 0);
	assert_int_equal(stat(at("app/a.crt"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(truncate(at("app/a.crt"), 10), 0);
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), 0);
	assert_true(equal( 1));
	/* what a kill left under the temporary name */
	assert_int_equal(file_create(AT_FDCWD, at("app/.a.crt.new"), span_text("half"), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
	assert_int_equal(copies_follow(&conf, dir_fd, 2, &why), 0);
	assert_int_equal(inode(at("app/.a.crt.new")), 0);
}

static void current_is_followed(void **state)
{
	(void)state;
	struct refusal why;
	use("cert.pem:%s/app/a.crt");
	assert_int_equal(copies_current(&conf, at("tls"), &why), 0); /* no current yet */
	assert_int_equal(inode(at("app/a.crt")), 0);
	assert_int_equal(generation_flip(dir_fd, 2, &why), 0);
	assert_int_equal(copies_current(&conf, at("tls"), &why), 0);
	assert_true(same_bytes(at("app/a.crt"), at("tls/g000002/cert.pem")));
	assert_int_equal(copies_current(&conf, at("nowhere"), &why), 0);
	use("");
	assert_int_equal(copies_current(&conf, at("nowhere"), &why), 0);
}

static void all_or_none(void **state)
{
	(void)state;
	struct refusal why = {.code = 0};
	use("key.pem:%s/app/a.key, cert.pem:%s/app/a.crt, ca.pem:%s/missing/ca.crt");
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), E_SWAP_COPY);
	assert_non_null(strstr(why.object, "/missing/ca.crt"));
	static const char *const none[] = {"app/a.key", "app/a.crt", "app/.a.key.new", "app/.a.crt.new"};
	for (size_t i = 0; i < N_ELEMENTS(none); i++)
		assert_int_equal(inode(at(none[i])), 0);
}

static void never_over_anything_but_a_file(void **state)
{
	(void)state;
	struct refusal why = {.code = 0};
	use("cert.pem:%s/app/a.crt");
	assert_int_equal(file_create(AT_FDCWD, at("victim"), span_text("precious"), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
	assert_int_equal(symlink(at("victim"), at("app/a.crt")), 0);
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), E_SWAP_COPY);
	assert_int_equal(copies_check(&conf, &agent, geteuid(), &why), E_SWAP_COPY);
	assert_int_equal(unlink(at("app/a.crt")), 0);
	assert_int_equal(mkfifo(at("app/a.crt"), 0600), 0);
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), E_SWAP_COPY);
	assert_int_equal(unlink(at("app/a.crt")), 0);
	assert_int_equal(mkdir(at("app/a.crt"), 0755), 0);
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), E_SWAP_COPY);
	assert_int_equal(rmdir(at("app/a.crt")), 0);
	/* a hard link: the name gets a file of its own, the other one keeps its content */
	assert_int_equal(link(at("victim"), at("app/a.crt")), 0);
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), 0);
	_cleanup_(buf_free) struct buf kept = BUF_MAX(64);
	assert_int_equal(file_read(AT_FDCWD, at("victim"), false, &kept, &why), 0);
	assert_true(span_equal(buf_span(&kept), span_text("precious")));
}

static void never_through_unsafe_folders(void **state)
{
	(void)state;
	struct refusal why = {.code = 0};
	use("cert.pem:%s/app/a.crt");
	assert_int_equal(chmod(at("app"), 0777), 0);
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), E_SWAP_COPY);
	assert_int_equal(copies_check(&conf, &agent, geteuid(), &why), E_SWAP_COPY);
	assert_int_equal(chmod(at("app"), 0755), 0);
	assert_int_equal(copies_check(&conf, &agent, geteuid(), &why), 0);
	assert_int_equal(symlink("app", at("link")), 0);
	use("cert.pem:%s/link/a.crt");
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), E_SWAP_COPY);
	assert_int_equal(copies_check(&conf, &agent, geteuid(), &why), E_SWAP_COPY);
	assert_int_equal(inode(at("app/a.crt")), 0);
	if (geteuid() == 0) { /* a folder of the service's user, and a keeper that is not root */
		use("cert.pem:%s/app/a.crt");
		assert_int_equal(copies_check(&conf, &agent, 4711, &why), E_SWAP_COPY);
		assert_int_equal(chown(at("app"), 4711, 0), 0);
		assert_int_equal(copies_check(&conf, &agent, 4711, &why), 0);
		assert_int_equal(copies_check(&conf, &agent, 0, &why), E_SWAP_COPY);
		assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), E_SWAP_COPY);
	}
}

static void never_over_files_of_the_agent(void **state)
{
	(void)state;
	struct refusal           why;
	static const char *const bad[] = {"key.pem:%s/keeper/host.key", "key.pem:%s/targets.d/web.conf", "ca.pem:%s/link/root.pem"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		use(bad[i]);
		assert_int_equal(copies_outside(&conf, &agent, &why), E_SWAP_COPY);
		assert_int_equal(copies_check(&conf, &agent, geteuid(), &why), E_SWAP_COPY);
	}
	assert_int_equal(conf_make("key.pem:%s/tls/key.pem", &conf, &why), E_CONF_VALUE);
	use("key.pem:%s/keeper2/host.key");
	assert_int_equal(copies_outside(&conf, &agent, &why), 0);
}

static void targets_that_would_take_each_others_files(void **state)
{
	(void)state;
	static struct target_conf a, b;
	struct refusal            why;
	assert_int_equal(conf_make("key.pem:%s/app/a.key", &a, &why), 0);
	assert_int_equal(conf_make("cert.pem:%s/app/b.crt, ca.pem:%s/app/a.key", &b, &why), 0);
	assert_true(copies_clash(&a, at("tls"), &b, at("other"), &why));
	assert_int_equal(conf_make("cert.pem:%s/app/b.crt", &b, &why), 0);
	assert_false(copies_clash(&a, at("tls"), &b, at("other"), &why));
	assert_true(copies_clash(&a, at("tls"), &b, at("app"), &why));
	assert_true(copies_clash(&b, at("app"), &a, at("tls"), &why));
}

static void an_older_generation_may_lack_a_file(void **state)
{
	(void)state;
	struct refusal why;
	use("combined.pem:%s/app/a.pem, cert.pem:%s/app/a.crt");
	assert_int_equal(copies_follow(&conf, dir_fd, 2, &why), 0);
	assert_int_equal(unlink(at("tls/g000001/combined.pem")), 0);
	assert_int_equal(copies_follow(&conf, dir_fd, 1, &why), 0);
	assert_true(same_bytes(at("app/a.crt"), at("tls/g000001/cert.pem")));
	assert_true(same_bytes(at("app/a.pem"), at("tls/g000002/combined.pem")));
	assert_false(equal( 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(they_follow, each, each_end),
		cmocka_unit_test_setup_teardown(what_was_changed_is_put_right, each, each_end),
		cmocka_unit_test_setup_teardown(current_is_followed, each, each_end),
		cmocka_unit_test_setup_teardown(all_or_none, each, each_end),
		cmocka_unit_test_setup_teardown(never_over_anything_but_a_file, each, each_end),
		cmocka_unit_test_setup_teardown(never_through_unsafe_folders, each, each_end),
		cmocka_unit_test_setup_teardown(never_over_files_of_the_agent, each, each_end),
		cmocka_unit_test_setup_teardown(targets_that_would_take_each_others_files, each, each_end),
		cmocka_unit_test_setup_teardown(an_older_generation_may_lack_a_file, each, each_end),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
