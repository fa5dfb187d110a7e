/* test_doctor_host.c - limits of file watches below a folder of its own: are they found, raised only with --fix, kept for the
 * next boot, and is it said when that cannot be? And the modes of our own folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/doctor_part.h"
#include "shared/base/text.h"
#include "tests/lib/conf_kit.h"

#define WATCHES   "proc/sys/fs/inotify/max_user_watches"
#define INSTANCES "proc/sys/fs/inotify/max_user_instances"
#define EVENTS    "proc/sys/fs/inotify/max_queued_events"
#define KEPT      "etc/sysctl.d/60-vcc-agent.conf"

static struct patient    p;
static struct agent_conf conf;

static void host(struct conf_kit *k, const char *watch, bool fix)
{
	p = (struct patient){
		.conf = &conf, .root = k->dir, .fix = fix, .check = "it", .status = json_pack("{s:s}", "watch", watch)};
}

static void text_is(struct conf_kit *k, const char *name, const char *wanted)
{
	char  text[1024] = "";
	FILE *f = fopen(conf_kit_path(k, name), "re");
	if (wanted == NULL) {
		assert_null(f);
		return;
	}
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	assert_int_equal(fclose(f), 0);
	assert_non_null(strstr(text, wanted));
}

static void low_limits(struct conf_kit *k)
{
	conf_kit_file(k, WATCHES, "8192\n");
	conf_kit_file(k, INSTANCES, "1024\n");
	conf_kit_file(k, EVENTS, "16384\n");
	conf_kit_file(k, "etc/sysctl.d/other.conf", "");
	assert_true(unlink(conf_kit_path(k, KEPT)) == 0 || access(conf_kit_path(k, KEPT), F_OK) != 0);
}

static void nothing_is_changed_without_fix(void **state)
{
	struct conf_kit *k = *state;
	low_limits(k);
	host(k, "complete", true);
	doctor_watch(&p); /* all is well: --fix has nothing to do */
	assert_int_equal(p.findings.n, 0);
	assert_non_null(strstr(p.note, "8192"));
	json_decref(p.status);
	host(k, "watches", false);
	doctor_watch(&p);
	assert_int_equal(p.findings.n, 1);
	assert_int_equal(p.findings.row[0].why.code, E_DOCTOR_WATCHES);
	assert_string_equal(p.findings.row[0].why.object, "fs.inotify.max_user_watches");
	assert_int_equal(p.findings.row[0].level, FINDING_ERROR);
	assert_non_null(strstr(p.findings.row[0].why.cause, "8192"));
	json_decref(p.status);
	text_is(k, WATCHES, "8192");
	text_is(k, KEPT, NULL);
}

static void fix_raises_what_is_low_and_nothing_else(void **state)
{
	struct conf_kit *k = *state;
	low_limits(k);
	host(k, "watches", true);
	doctor_watch(&p);
	assert_int_equal(p.findings.row[0].level, FINDING_MENDED);
	assert_non_null(strstr(p.findings.row[0].done, "60-vcc-agent.conf"));
	json_decref(p.status);
	text_is(k, WATCHES, "65536");
	text_is(k, EVENTS, "65536");
	text_is(k, INSTANCES, "1024");
	text_is(k, KEPT, "fs.inotify.max_user_watches = 65536\nfs.inotify.max_queued_events = 65536\n");
	/* used up all the same: that is no limit that we could raise, and it is said */
	host(k, "watches", true);
	doctor_watch(&p);
	assert_int_equal(p.findings.row[0].level, FINDING_ERROR);
	assert_non_null(strstr(p.findings.row[0].done, "other programs"));
	json_decref(p.status);
}

static void a_kernel_that_refuses(void **state)
{
	struct conf_kit *k = *state;
	low_limits(k);
	assert_int_equal(unlink(conf_kit_path(k, WATCHES)), 0);
	assert_int_equal(symlink("/proc/self/cmdline", conf_kit_path(k, WATCHES)),
			 0); /* readable, no number: unknown, so left alone */
	host(k, "instances", true);
	conf_kit_file(k, EVENTS, "999999\n");
	doctor_watch(&p);
	assert_int_equal(p.findings.row[0].level, FINDING_ERROR);
	assert_string_equal(p.findings.row[0].why.object, "fs.inotify.max_user_instances");
	json_decref(p.status);
	text_is(k, KEPT, NULL);
	assert_int_equal(unlink(conf_kit_path(k, WATCHES)), 0);
}

static void lost_changes_are_a_warning(void **state)
{
	struct conf_kit *k = *state;
	low_limits(k);
	host(k, "overflow", false);
	json_object_set_new(p.status, "watch_overflows", json_integer(3));
	doctor_watch(&p);
	assert_int_equal(p.findings.n, 1);
	assert_int_equal(p.findings.row[0].why.code, E_DOCTOR_OVERFLOW);
	assert_int_equal(p.findings.row[0].level, FINDING_WARNING);
	assert_non_null(strstr(p.findings.row[0].why.cause, "3 times"));
	assert_non_null(strstr(p.findings.row[0].why.cause, "16384"));
	json_decref(p.status);
}

static void folders_of_our_own(void **state)
{
	struct conf_kit         *k = *state;
	struct stat              st;
	static const char *const names[] = {"keeper", "link", "targets.d"};
	char                    *folder[] = {conf.keeper_dir, conf.link_dir, conf.targets_dir};
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		text_cut(folder[i], AGENT_PATH_SIZE, conf_kit_path(k, names[i]));
		assert_int_equal(mkdir(folder[i], 0700), 0);
	}
	host(k, "complete", true);
	doctor_modes(&p);
	assert_int_equal(p.findings.n, 0);
	assert_int_equal(chmod(conf.link_dir, 0710), 0);
	assert_int_equal(chmod(conf.targets_dir, 0775), 0);
	doctor_modes(&p);
	assert_int_equal(p.findings.n, 2);
	assert_int_equal(p.findings.row[0].level, FINDING_MENDED);
	assert_int_equal(p.findings.row[1].level, FINDING_ERROR); /* whoever could write there may have written */
	assert_int_equal(stat(conf.link_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(conf.targets_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0775);
	json_decref(p.status);
}

/* The link's own user writes that file: one without an end must not be read beyond it. */
static void identity_that_is_none(void **state)
{
	struct conf_kit *k = *state;
	static char      full[65537];
	memset(full, 'x', 65536);
	conf_kit_file(k, "identity.pem", full);
	assert_int_equal(chmod(conf_kit_path(k, "identity.pem"), 0600), 0);
	assert_int_equal(chmod(k->dir, 0700), 0);
	text_cut(conf.link_dir, sizeof(conf.link_dir), k->dir);
	host(k, "complete", false);
	doctor_identity(&p);
	assert_int_equal(p.findings.n, 1);
	assert_int_equal(p.findings.row[0].why.code, E_PKI_CERT);
	json_decref(p.status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_changed_without_fix),
		cmocka_unit_test(fix_raises_what_is_low_and_nothing_else),
		cmocka_unit_test(a_kernel_that_refuses),
		cmocka_unit_test(lost_changes_are_a_warning),
		cmocka_unit_test(folders_of_our_own),
		cmocka_unit_test(identity_that_is_none),
	};
	return cmocka_run_group_tests(tests, conf_kit_setup, conf_kit_teardown);
}
