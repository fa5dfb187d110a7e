/* test_file_change.c - is a file changed and put back exactly, whatever happened to it in between? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/survey/file_change.h"
#include "shared/pki/key.h"
#include "shared/sys/file.h"
#include "tests/lib/conf_kit.h"

#define OLD    "# kept\nssl_certificate /old/cert.pem; # mine\nssl_certificate_key '/old/key.pem';\n"
#define NEW    "# kept\nssl_certificate /t/x/current/fullchain.pem; # mine\nssl_certificate_key '/t/x/current/key.pem';\n"
#define TARGET "/t/x"

static struct undo_file file;
static struct refusal   why;

static struct span span(const char *t)
{
	return (struct span){(const uint8_t *)t, strlen(t)};
}

static void fresh(struct conf_kit *k)
{
	const char *name;
	int         dir = -1;
	memset(&file, 0, sizeof(file));
	why = (struct refusal){.code = 0};
	conf_kit_file(k, "x.conf", OLD);
	snprintf(file.path, sizeof(file.path), "%s/x.conf", k->dir);
	assert_int_equal(chmod(file.path, 0640), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(file.path, 0, 4711), 0);
	file.owner = geteuid();
	assert_int_equal(file_place(file.path, file.owner, &dir, &name, &why), 0);
	assert_int_equal(file_state_read(dir, name, &file.before, &why), 0);
	fd_close(dir);
	digest_sha256(span(NEW), &file.after);
	file.n_swaps = 2;
	strcpy(file.swap[0].from, "/old/cert.pem");
	strcpy(file.swap[0].into, "/t/x/current/fullchain.pem");
	strcpy(file.swap[1].from, "'/old/key.pem'");
	strcpy(file.swap[1].into, "'/t/x/current/key.pem'");
}

static void content_is(const char *path, const char *wanted)
{
	char   text[1000] = "";
	FILE  *f = fopen(path, "re");
	size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;
	assert_non_null(f);
	fclose(f);
	text[n] = '\0';
	assert_string_equal(text, wanted);
}

static void back(bool edited_wanted)
{
	bool edited;
	int  r = file_change_undo(&file, TARGET, &edited, &why);
	if (r != 0)
		fail_msg("%s: %s", why.object, why.cause);
	assert_int_equal(edited, edited_wanted);
}

static void there_and_back(void **state)
{
	struct stat a;
	struct stat b;
	fresh(*state);
	assert_int_equal(stat(file.path, &a), 0);
	assert_int_equal(file_change_apply(&file, span(NEW), &why), 0);
	content_is(file.path, NEW);
	assert_int_equal(stat(file.path, &b), 0);
	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_gid, b.st_gid);
	for (int i = 0; i < 2; i++) { /* a kill may have come between the change and its mark */
		back(false);
		content_is(file.path, OLD);
		assert_int_equal(stat(file.path, &b), 0);
		assert_int_equal(a.st_mode, b.st_mode);
		assert_int_equal(a.st_gid, b.st_gid);
		assert_memory_equal(&a.st_mtim, &b.st_mtim, sizeof(a.st_mtim));
	}
	/* not changed at all yet: nothing to do, nothing done wrong */
	file_state_free(&file.before);
}

static void attributes(void **state)
{
	struct conf_kit *k = *state;
	char             value[16];
	fresh(k);
	file_state_free(&file.before);
	if (setxattr(file.path, "user.note", "mine", 4, 0) != 0)
		skip(); /* this file system keeps none */
	const char *name;
	int         dir = -1;
	assert_int_equal(file_place(file.path, file.owner, &dir, &name, &why), 0);
	assert_int_equal(file_state_read(dir, name, &file.before, &why), 0);
	fd_close(dir);
	assert_int_equal(file.before.n_xattrs, 1);
	assert_int_equal(file_change_apply(&file, span(NEW), &why), 0);
	assert_int_equal(getxattr(file.path, "user.note", value, sizeof(value)), 4);
	assert_int_equal(removexattr(file.path, "user.note"), 0);
	back(false);
	assert_int_equal(getxattr(file.path, "user.note", value, sizeof(value)), 4);
	file_state_free(&file.before);
}

static void must_refuse(void **state)
{
	struct conf_kit *k = *state;
	char             other[200];
	fresh(k);
	snprintf(other, sizeof(other), "%s/other", k->dir);
	/* changed by somebody since it was read */
	conf_kit_file(k, "x.conf", OLD "more\n");
	assert_int_equal(file_change_apply(&file, span(NEW), &why), E_SURVEY_CHANGED);
	content_is(file.path, OLD "more\n");
	/* another mode is another file */
	conf_kit_file(k, "x.conf", OLD);
	assert_int_equal(chmod(file.path, 0600), 0);
	assert_int_equal(file_change_apply(&file, span(NEW), &why), E_SURVEY_CHANGED);
	/* a link in its place, a second name, a folder, nothing */
	assert_int_equal(rename(file.path, other), 0);
	assert_int_equal(symlink(other, file.path), 0);
	assert_int_equal(file_change_apply(&file, span(NEW), &why), E_SURVEY_UNSAFE);
	bool edited;
	assert_int_equal(file_change_undo(&file, TARGET, &edited, &why), E_SURVEY_UNSAFE);
	assert_int_equal(unlink(file.path), 0);
	assert_int_equal(link(other, file.path), 0);
	assert_int_equal(file_change_apply(&file, span(NEW), &why), E_SURVEY_UNSAFE);
	assert_int_equal(unlink(file.path), 0);
	assert_int_equal(file_change_apply(&file, span(NEW), &why), E_NOT_FOUND);
	assert_int_equal(mkdir(file.path, 0755), 0);
	assert_int_equal(file_change_apply(&file, span(NEW), &why), E_SURVEY_UNSAFE);
	assert_int_equal(rmdir(file.path), 0);
	content_is(other, OLD);
	/* a folder that others may write */
	assert_int_equal(rename(other, file.path), 0);
	assert_int_equal(chmod(k->dir, 0777), 0);
	assert_int_equal(file_change_apply(&file, span(NEW), &why), E_SYS_UNSAFE_PATH);
	assert_int_equal(chmod(k->dir, 0700), 0);
	strcpy(file.path, "relative/x.conf");
	assert_int_equal(file_change_apply(&file, span(NEW), &why), E_SURVEY_UNSAFE);
	file_state_free(&file.before);
}

static void edited_meanwhile(void **state)
{
	struct conf_kit *k = *state;
	struct stat      st;
	bool             edited;
	fresh(k);
	/* his line stays, our values go; owner and mode are his */
	conf_kit_file(k, "x.conf", "# new line\n" NEW "gzip on;\n");
	assert_int_equal(chmod(file.path, 0600), 0);
	back(true);
	content_is(file.path, "# new line\n" OLD "gzip on;\n");
	assert_int_equal(stat(file.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* he has taken our values out himself */
	conf_kit_file(k, "x.conf", "ssl_certificate /third/cert.pem;\n");
	back(true);
	content_is(file.path, "ssl_certificate /third/cert.pem;\n");
	/* he names the target in a way that we did not write: it would be gone soon */
	conf_kit_file(k, "x.conf", "ssl_certificate /t/x/current/cert.pem;\n");
	assert_int_equal(file_change_undo(&file, TARGET, &edited, &why), E_SURVEY_CHANGED);
	content_is(file.path, "ssl_certificate /t/x/current/cert.pem;\n");
	/* he removed the file: it comes back as it was */
	assert_int_equal(unlink(file.path), 0);
	back(false);
	content_is(file.path, OLD);
	file_state_free(&file.before);
}

static void made(void **state)
{
	struct conf_kit *k = *state;
	struct stat      st;
	bool             edited;
	memset(&file, 0, sizeof(file));
	file.made = file.made_dir = true;
	file.owner = geteuid();
	file.before.uid = geteuid();
	file.before.gid = getegid();
	file.before.mode = 0644;
	snprintf(file.path, sizeof(file.path), "%s/x.service.d/50.conf", k->dir);
	digest_sha256(span("[Service]\n"), &file.after);
	back(false); /* never made */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(file_change_apply(&file, span("[Service]\n"), &why), 0);
		content_is(file.path, "[Service]\n");
		assert_int_equal(stat(file.path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0644);
		back(false);
		assert_int_equal(stat(conf_kit_path(k, "x.service.d"), &st), -1);
		back(false);
	}
	/* not over somebody's file, and not his file away */
	conf_kit_file(k, "x.service.d/50.conf", "his\n");
	assert_int_equal(file_change_apply(&file, span("[Service]\n"), &why), E_EXISTS);
	assert_int_equal(file_change_undo(&file, TARGET, &edited, &why), E_SURVEY_CHANGED);
	content_is(file.path, "his\n");
	/* the folder stays when it holds something else */
	conf_kit_file(k, "x.service.d/50.conf", "[Service]\n");
	conf_kit_file(k, "x.service.d/60.conf", "his\n");
	back(false);
	assert_int_equal(stat(conf_kit_path(k, "x.service.d/60.conf"), &st), 0);
	assert_int_equal(stat(file.path, &st), -1);
}

static void removed(void **state)
{
	struct conf_kit *k = *state;
	struct stat      st;
	fresh(k);
	file.removed = true;
	snprintf(file.moved, sizeof(file.moved), "%.200s.removed", file.path);
	assert_int_equal(file_change_apply(&file, (struct span){NULL, 0}, &why), 0);
	content_is(file.moved, OLD);
	assert_int_equal(stat(file.path, &st), -1);
	back(false);
	content_is(file.path, OLD);
	assert_int_equal(stat(file.moved, &st), -1);
	back(false); /* again */
	content_is(file.path, OLD);
	/* without a new name it is only in the record */
	file.moved[0] = '\0';
	assert_int_equal(file_change_apply(&file, (struct span){NULL, 0}, &why), 0);
	assert_int_equal(stat(file.path, &st), -1);
	back(false);
	content_is(file.path, OLD);
	/* its tool has made it anew: it goes on from there */
	bool edited;
	snprintf(file.moved, sizeof(file.moved), "%.200s.removed", file.path);
	assert_int_equal(file_change_apply(&file, (struct span){NULL, 0}, &why), 0);
	conf_kit_file(k, "x.conf", "newer\n");
	back(true);
	content_is(file.path, "newer\n");
	assert_int_equal(stat(file.moved, &st), -1);
	conf_kit_file(k, "x.conf", "");
	back(true);
	content_is(file.path, "");
	assert_int_equal(unlink(file.path), 0);
	assert_int_equal(mkdir(file.path, 0755), 0);
	assert_int_equal(file_change_undo(&file, TARGET, &edited, &why), 0);
	assert_true(edited);
	assert_int_equal(rmdir(file.path), 0);
	back(false);
	content_is(file.path, OLD);
	/* a file of that name that is not ours stays */
	conf_kit_file(k, "x.conf.removed", "older\n");
	snprintf(file.moved, sizeof(file.moved), "%.200s.removed", file.path);
	assert_int_equal(file_change_apply(&file, (struct span){NULL, 0}, &why), E_EXISTS);
	back(false);
	content_is(file.moved, "older\n");
	file_state_free(&file.before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(there_and_back), TEST(attributes), TEST(must_refuse), TEST(edited_meanwhile), TEST(made), TEST(removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
