/* test_undo.c - does the record bring back all that was saved, and is a damaged one never followed? */
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

#include "agent/survey/undo.h"
#include "shared/sys/file.h"

static struct agent_conf conf;
static char              base[64];

static int setup(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "%s/vcc-undo-XXXXXX", geteuid() == 0 ? "/run" : "/tmp");
	if (mkdtemp(base) == NULL)
		return -1;
	snprintf(conf.keeper_dir, sizeof(conf.keeper_dir), "%s/keeper", base);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	_cleanup_fd_ int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return tree_remove(dir, base + 1, NULL);
}

static void fill(struct undo *u)
{
	struct refusal    why;
	struct undo_file *f;
	assert_int_equal(undo_new(u, &why), 0);
	strcpy(u->name, "nginx");
	u->kind = SERVER_HAPROXY;
	strcpy(u->main_file, "/etc/haproxy/haproxy.cfg");
	strcpy(u->unit, "haproxy.service");
	u->unit_changed = true;
	u->n_listeners = 2;
	strcpy(u->listener[0], "127.0.0.1:443");
	strcpy(u->listener[1], "[::1]:443");
	strcpy(u->sni, "a.example");
	strcpy(u->cert, "/etc/ssl/a \"b\".pem");
	strcpy(u->target_dir, "/var/lib/vcc-agent/targets/nginx");
	strcpy(u->target_file, "/etc/vcc-agent/targets.d/nginx.conf");
	u->renewer.kind = RENEWER_ACME_SH;
	u->paused = true;
	strcpy(u->renewer.name, "a.example");
	strcpy(u->renewer.conf, "/root/.acme.sh/a/a.conf");

	assert_int_equal(undo_file_add(u, &f, &why), 0);
	strcpy(f->path, "/etc/x.conf");
	f->owner = 111;
	f->before = (struct file_state){.uid = 33,
					.gid = 44,
					.mode = 04640,
					.accessed = {.tv_sec = 5, .tv_nsec = 6},
					.modified = {.tv_sec = 1700000000, .tv_nsec = 999999999}};
	f->before.bytes.max = FILE_STATE_BYTES_MAX;
	buf_add(&f->before.bytes, "bytes\0\xff\n", 8);
	f->before.xattr = calloc(FILE_XATTRS_MAX, sizeof(*f->before.xattr));
	f->before.n_xattrs = 2;
	strcpy(f->before.xattr[0].name, "user.a");
	f->before.xattr[0].value.max = 100;
	buf_add(&f->before.xattr[0].value, "\x00\x01", 2);
	strcpy(f->before.xattr[1].name, "user.empty");
	f->after.b[3] = 7;
	f->n_swaps = 1;
	strcpy(f->swap[0].from, "'/old'");
	strcpy(f->swap[0].into, "'/new'");

	assert_int_equal(undo_file_add(u, &f, &why), 0);
	strcpy(f->path, "/etc/systemd/system/x.service.d/50.conf");
	f->made = f->made_dir = true;
	f->before.mode = 0644;

	assert_int_equal(undo_file_add(u, &f, &why), 0);
	strcpy(f->path, "/root/.acme.sh/a/a.conf");
	strcpy(f->moved, "/root/.acme.sh/a/a.conf.removed");
	f->removed = true;
}

static void same(const struct undo *a, const struct undo *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->phase, b->phase);
	assert_int_equal(a->kind, b->kind);
	assert_string_equal(a->main_file, b->main_file);
	assert_string_equal(a->unit, b->unit);
	assert_int_equal(a->unit_changed, b->unit_changed);
	assert_int_equal(a->n_listeners, b->n_listeners);
	assert_string_equal(a->listener[1], b->listener[1]);
	assert_string_equal(a->sni, b->sni);
	assert_string_equal(a->cert, b->cert);
	assert_string_equal(a->target_dir, b->target_dir);
	assert_string_equal(a->target_file, b->target_file);
	assert_int_equal(a->renewer.kind, b->renewer.kind);
	assert_int_equal(a->paused, b->paused);
	assert_string_equal(a->renewer.name, b->renewer.name);
	assert_string_equal(a->renewer.conf, b->renewer.conf);
	assert_int_equal(a->n_files, b->n_files);
	for (size_t i = 0; i < a->n_files; i++) {
		const struct undo_file *x = &a->file[i];
		const struct undo_file *y = &b->file[i];
		assert_string_equal(x->path, y->path);
		assert_string_equal(x->moved, y->moved);
		assert_int_equal(x->owner, y->owner);
		assert_int_equal(x->made, y->made);
		assert_int_equal(x->made_dir, y->made_dir);
		assert_int_equal(x->removed, y->removed);
		assert_int_equal(x->before.uid, y->before.uid);
		assert_int_equal(x->before.gid, y->before.gid);
		assert_int_equal(x->before.mode, y->before.mode);
		assert_memory_equal(&x->before.accessed, &y->before.accessed, sizeof(struct timespec));
		assert_memory_equal(&x->before.modified, &y->before.modified, sizeof(struct timespec));
		assert_true(span_equal(buf_span(&x->before.bytes), buf_span(&y->before.bytes)));
		assert_int_equal(x->before.n_xattrs, y->before.n_xattrs);
		for (size_t k = 0; k < x->before.n_xattrs; k++) {
			assert_string_equal(x->before.xattr[k].name, y->before.xattr[k].name);
			assert_true(span_equal(buf_span(&x->before.xattr[k].value), buf_span(&y->before.xattr[k].value)));
		}
		assert_memory_equal(&x->after, &y->after, sizeof(x->after));
		assert_int_equal(x->n_swaps, y->n_swaps);
		assert_string_equal(x->swap[0].into, y->swap[0].into);
	}
}

static void round_trip(void **state)
{
	struct undo_dir d;
	struct undo     u;
	struct undo     got;
	struct refusal  why = {.code = 0};
	struct stat     st;
	char            path[128];
	(void)state;
	assert_int_equal(undo_dir_open(&conf, &d, &why), 0);
	assert_int_equal(undo_load(&d, "nginx", &got, &why), E_NOT_FOUND);
	fill(&u);
	assert_int_equal(undo_save(&d, &u, &why), 0);
	assert_int_equal(undo_load(&d, "nginx", &got, &why), 0);
	same(&u, &got);
	undo_free(&got);
	/* root's alone, because the original bytes may be secret */
	snprintf(path, sizeof(path), "%s/survey", base);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/survey/nginx/0.before", base);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	assert_int_equal(undo_save(&d, &u, &why), E_EXISTS); /* never over another one */
	assert_int_equal(undo_phase_set(&d, &u, UNDO_MANAGED, &why), 0);
	assert_int_equal(undo_load(&d, "nginx", &got, &why), 0);
	assert_int_equal(got.phase, UNDO_MANAGED);
	undo_free(&got);
	assert_int_equal(undo_remove(&d, "nginx", &why), 0);
	assert_int_equal(undo_load(&d, "nginx", &got, &why), E_NOT_FOUND);
	assert_int_equal(undo_remove(&d, "nginx", &why), 0);
	undo_free(&u);
	undo_dir_close(&d);
}

/* What would not come back is refused while nothing has changed yet. */
static void must_not_save(void **state)
{
	struct undo_dir d;
	struct undo     u;
	struct undo     got;
	struct refusal  why = {.code = 0};
	(void)state;
	assert_int_equal(undo_dir_open(&conf, &d, &why), 0);
	for (int i = 0; i < 4; i++) {
		fill(&u);
		struct file_state *before = &u.file[0].before;
		if (i == 0)
			strcpy(u.file[0].path, "/etc/\xe4.conf");
		if (i == 1)
			strcpy(u.file[0].swap[0].from, "/etc/\xe4.pem");
		if (i == 2)
			strcpy(before->xattr[0].name, "user.\xe4");
		for (size_t k = 2; i == 3 && k < FILE_XATTRS_MAX; k++) {
			struct file_xattr *x = &before->xattr[before->n_xattrs++];
			snprintf(x->name, sizeof(x->name), "user.%zu", k);
			x->value.max = 2 * FILE_XATTR_VALUE_MAX;
			memset(buf_room(&x->value, FILE_XATTR_VALUE_MAX + 5000), 'x', FILE_XATTR_VALUE_MAX + 5000);
			buf_used(&x->value, FILE_XATTR_VALUE_MAX + 5000);
		}
		assert_int_equal(undo_save(&d, &u, &why), i == 3 ? E_SURVEY_LIMIT : E_SURVEY_CANNOT);
		assert_int_equal(undo_load(&d, "nginx", &got, &why), E_NOT_FOUND);
		undo_free(&u);
	}
	undo_dir_close(&d);
}

static void one_at_a_time(void **state)
{
	struct undo_dir d;
	struct undo_dir other;
	struct refusal  why = {.code = 0};
	(void)state;
	assert_int_equal(undo_dir_open(&conf, &d, &why), 0);
	assert_int_equal(undo_dir_open(&conf, &other, &why), E_SYS_LOCKED);
	undo_dir_close(&d);
	assert_int_equal(undo_dir_open(&conf, &other, &why), 0);
	undo_dir_close(&other);
	/* a folder that others may change is not used */
	char path[128];
	snprintf(path, sizeof(path), "%s/survey", base);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(undo_dir_open(&conf, &d, &why), E_SYS_UNSAFE_PATH);
}

static size_t whole_read(const char *path, char *ret, size_t size)
{
	FILE  *f = fopen(path, "re");
	size_t n = f != NULL ? fread(ret, 1, size, f) : 0;
	if (f != NULL)
		fclose(f);
	return n;
}

static void whole_write(const char *path, const char *bytes, size_t n)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

/* Cut short anywhere, or with a field taken away, it is refused as a whole. */
static void damage(void **state)
{
	static const char *const words[] = {"\"version\"",   "\"phase\"", "\"files\"",   "\"path\"",
					    "\"listeners\"", "\"swaps\"", "\"uid\"",     "\"n_xattrs\"",
					    "\"before\"",    "\"after\"", "\"renewer\"", "begun"};
	static char              text[100000];
	static char              bad[100000];
	struct undo_dir          d;
	struct undo              u;
	struct undo              got;
	struct refusal           why = {.code = 0};
	char                     path[128];
	(void)state;
	assert_int_equal(undo_dir_open(&conf, &d, &why), 0);
	fill(&u);
	assert_int_equal(undo_save(&d, &u, &why), 0);
	undo_free(&u);
	snprintf(path, sizeof(path), "%s/survey/nginx/record.json", base);
	size_t n = whole_read(path, text, sizeof(text) - 1);
	assert_true(n > 500);
	for (size_t cut = 0; cut + 2 < n; cut += 37) {
		whole_write(path, text, cut);
		assert_int_equal(undo_load(&d, "nginx", &got, &why), E_SURVEY_UNDO);
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char *at = memcpy(bad, text, n + 1);
		at = strstr(bad, words[i]);
		assert_non_null(at);
		at[strlen(words[i]) / 2] = 'X';
		whole_write(path, bad, n);
		assert_int_equal(undo_load(&d, "nginx", &got, &why), E_SURVEY_UNDO);
	}
	/* another target's record under this name */
	whole_write(path, text, n);
	char from[128];
	char to[128];
	snprintf(from, sizeof(from), "%s/survey/nginx", base);
	snprintf(to, sizeof(to), "%s/survey/other", base);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(undo_load(&d, "other", &got, &why), E_SURVEY_UNDO);
	assert_int_equal(rename(to, from), 0);
	assert_int_equal(undo_load(&d, "nginx", &got, &why), 0);
	undo_free(&got);
	/* one byte of what would be put back */
	snprintf(path, sizeof(path), "%s/survey/nginx/0.before", base);
	whole_write(path, "bytes\0\xfe\n", 8);
	assert_int_equal(undo_load(&d, "nginx", &got, &why), E_SURVEY_UNDO);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(undo_load(&d, "nginx", &got, &why), E_SURVEY_UNDO);
	undo_dir_close(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(round_trip), TEST(must_not_save), TEST(one_at_a_time), TEST(damage)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
