/* test_conf.c - are settings read exactly, and every mistake refused with file and line? */
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

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/conf.h"
#include "shared/conf/signer_conf.h"
#include "shared/sys/file.h"

struct sample {
	char    text[16];
	char    path[32];
	int64_t number;
	int64_t wait_ms;
	bool    flag;
	int     word;
	char    list[40];
	int64_t mode;
	int64_t share;
};

static const char *const words[] = {"red", "green", NULL};
#define AT(m) offsetof(struct sample, m), .size = sizeof(((struct sample *)0)->m)
static const struct conf_key keys[] = {
	{.section = "a", .key = "text", .kind = CONF_TEXT, .offset = AT(text), .about = "a text"},
	{.section = "a", .key = "path", .kind = CONF_PATH, .offset = AT(path), .fallback = "/x", .about = "a path"},
	{.section = "a", .key = "number", .kind = CONF_INT, .offset = AT(number), .min = 1, .max = 9, .fallback = "5", .about = "n"},
	{.section = "a", .key = "wait", .kind = CONF_DURATION, .offset = AT(wait_ms), .min = 0, .max = MS_HOUR, .fallback = "2s", .about = "w"},
	{.section = "b", .key = "flag", .kind = CONF_BOOL, .offset = AT(flag), .fallback = "no", .about = "f"},
	{.section = "b", .key = "word", .kind = CONF_ENUM, .offset = AT(word), .words = words, .fallback = "green", .about = "colour"},
	{.section = "b", .key = "list", .kind = CONF_LIST, .offset = AT(list), .fallback = "p, q", .about = "l"},
	{.section = "b", .key = "mode", .kind = CONF_MODE, .offset = AT(mode), .max = 0777, .fallback = "0640", .about = "m"},
	{.section = "b", .key = "share", .kind = CONF_SHARE, .offset = AT(share), .min = 0, .max = 1000, .fallback = "25%", .about = "s"},
};

static int check(const void *conf, struct refusal *why)
{
	const struct sample *s = conf;
	return s->number == 7 ? refuse(why, E_CONF_VALUE, "a.number", "seven is not wanted") : 0;
}

static const struct conf_schema schema = {
	.program = "sample", .file = "sample.conf", .struct_size = sizeof(struct sample), .keys = keys, .n_keys = N_ELEMENTS(keys), .check = check,
};

static int parse(const char *text, struct sample *ret, struct refusal *why)
{
	return conf_parse(&schema, "sample.conf", span_text(text), ret, why);
}

static const struct {
	const char *text;
	int         code;
	const char *says; /* a part of object or cause */
} bad[] = {
	{"", E_CONF_MISSING, "text"},
	{"[a]\nnumber = 2\n", E_CONF_MISSING, "text"},
	{"text = x\n", E_CONF_SYNTAX, "sample.conf:1"},
	{"[a]\ntext = x\nnonsense = 1\n", E_CONF_KEY, "sample.conf:3"},
	{"[a]\ntext = x\n[c]\nflag = yes\n", E_CONF_KEY, "[c]"},
	{"[a]\ntext = x\nflag = yes\n", E_CONF_KEY, "sample.conf:3"},
	{"[a]\ntext = x\n\n# note\nnumber = 0\n", E_CONF_VALUE, "sample.conf:5"},
	{"[a]\ntext = x\nnumber = 10\n", E_CONF_VALUE, "1 to 9"},
	{"[a]\ntext = x\nnumber = 5x\n", E_CONF_VALUE, "whole number"},
	{"[a]\ntext = x\nnumber = 7\n", E_CONF_VALUE, "seven"},
	{"[a]\ntext = x\npath = relative\n", E_CONF_VALUE, "absolute"},
	{"[a]\ntext = x\npath =\n", E_CONF_VALUE, "absolute"},
	{"[a]\ntext = x\nwait = soon\n", E_CONF_VALUE, "duration"},
	{"[a]\ntext = x\nwait = 2h\n", E_CONF_VALUE, "duration"},
	{"[a]\ntext = x\n[b]\nflag = maybe\n", E_CONF_VALUE, "yes or no"},
	{"[a]\ntext = x\n[b]\nword = blue\n", E_CONF_VALUE, "red, green"},
	{"[a]\ntext = x\n[b]\nmode = 0888\n", E_CONF_VALUE, "octal"},
	{"[a]\ntext = x\n[b]\nmode = 1777\n", E_CONF_VALUE, "octal"},
	{"[a]\ntext = x\n[b]\nshare = 101%\n", E_CONF_VALUE, "share"},
	{"[a]\ntext = x\n[b]\nshare = 1.1\n", E_CONF_VALUE, "share"},
	{"[a]\ntext = x\n[b]\nshare = half\n", E_CONF_VALUE, "share"},
	{"[a]\ntext = 0123456789abcdef\n", E_CONF_VALUE, "at most 15"},
	{"[a]\ntext = x\n[b]\nlist = 0123456789012345678901234567890123456789\n", E_CONF_VALUE, "at most 39"},
	{"[a]\ntext = x\ntext = y\n", E_CONF_VALUE, "twice"},
	{"[a]\ntext = x\n  more\n", E_CONF_VALUE, "twice"},
	{"[a]\ntext = x\n  more\n", E_CONF_VALUE, "indented"},
	{"  [a]\n  text = x\n  nonsense = 1\n", E_CONF_KEY, "sample.conf:3"},
	{"[a]\ntext x\n", E_CONF_SYNTAX, "sample.conf:2"},
	{"[a\ntext = x\n", E_CONF_SYNTAX, "sample.conf:1"},
	{"[a]\ntext = \x01\n", E_CONF_SYNTAX, "UTF-8"},
	{"[a]\ntext = \xff\n", E_CONF_SYNTAX, "UTF-8"},
};

static void refuses_bad_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct sample  s;
		struct refusal why = {0};
		struct sample  before;
		memset(&s, 0x5a, sizeof(s));
		memcpy(&before, &s, sizeof(s));
		int r = parse(bad[i].text, &s, &why);
		if (r != bad[i].code || (strstr(why.cause, bad[i].says) == NULL && strstr(why.object, bad[i].says) == NULL))
			fail_msg("case %zu: code %d, object `%s`, cause `%s`", i, r, why.object, why.cause);
		assert_memory_equal(&s, &before, sizeof(s)); /* untouched */
	}
	struct sample  s;
	struct refusal why = {0};
	assert_int_equal(conf_parse(&schema, "n", (struct span){(const uint8_t *)"[a]\ntext = a\0b\n", 15}, &s, &why), E_CONF_SYNTAX);
	static char line[3000] = "[a]\ntext = ";
	memset(line + 11, 'x', sizeof(line) - 12);
	assert_int_equal(parse(line, &s, &why), E_CONF_SYNTAX);
	assert_non_null(strstr(why.object, ":2"));
}

static void reads_every_kind(void **state)
{
	(void)state;
	struct sample  s;
	struct refusal why = {0};
	assert_int_equal(parse("\xef\xbb\xbf[a]\ntext = x # note\n", &s, &why), 0);
	assert_string_equal(s.text, "x");
	assert_string_equal(s.path, "/x");
	assert_int_equal(s.number, 5);
	assert_int_equal(s.wait_ms, 2000);
	assert_false(s.flag);
	assert_int_equal(s.word, 1);
	assert_string_equal(s.list, "p, q");
	assert_int_equal(s.mode, 0640);
	assert_int_equal(s.share, 250);
	assert_int_equal(parse("[b]\nlist = a\nlist = b, c\n   d\nflag=1\nword = red\nmode=600\nshare = 0.5\n[a]\ntext = a#b ; c\nwait = 0\n"
	                       "path = /y\n[b]\n",
	                       &s, &why),
	                 0);
	assert_string_equal(s.text, "a#b");
	assert_string_equal(s.list, "a, b, c, d");
	assert_true(s.flag);
	assert_int_equal(s.word, 0);
	assert_int_equal(s.mode, 0600);
	assert_int_equal(s.share, 500);
	assert_int_equal(s.wait_ms, 0);
	/* pasted from an indented page; what is no key and no section still continues a list */
	assert_int_equal(parse("    # sample\n    [a]\n    text = x\n    number=3\n\t[b]\n\tlist = a:1\n\t  [::1]:443\n    [b]\n    flag = yes\n", &s, &why), 0);
	assert_string_equal(s.text, "x");
	assert_int_equal(s.number, 3);
	assert_string_equal(s.list, "a:1, [::1]:443");
	assert_true(s.flag);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	(void)unlink(path);
	assert_int_equal(file_create(AT_FDCWD, path, span_text(text), (uid_t)-1, (gid_t)-1, mode, NULL), 0);
}

static void drop_ins_override(void **state)
{
	(void)state;
	char           dir[] = "/tmp/vcc-test-conf-XXXXXX";
	char           path[128];
	char           part[160];
	struct sample  s;
	struct refusal why = {0};
	char           origins[N_ELEMENTS(keys)][CONF_ORIGIN_SIZE];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sample.conf", dir);
	assert_int_equal(conf_load(&schema, path, &s, NULL, &why), E_CONF_FILE);
	write_file(path, "[a]\ntext = main\nnumber = 1\n[b]\nlist = m\n", 0644);
	snprintf(part, sizeof(part), "%s.d", path);
	assert_int_equal(mkdir(part, 0755), 0);
	snprintf(part, sizeof(part), "%s.d/20-b.conf", path);
	write_file(part, "[a]\nnumber = 3\n[b]\nlist = late\n", 0644);
	snprintf(part, sizeof(part), "%s.d/10-a.conf", path);
	write_file(part, "[a]\nnumber = 2\ntext = ten\n", 0644);
	snprintf(part, sizeof(part), "%s.d/ignored.txt", path);
	write_file(part, "garbage", 0644);
	assert_int_equal(conf_load(&schema, path, &s, origins, &why), 0);
	assert_string_equal(s.text, "ten");
	assert_int_equal(s.number, 3);
	assert_string_equal(s.list, "late");
	assert_true(text_ends(origins[0], "10-a.conf:3"));
	assert_string_equal(origins[1], "default");

	snprintf(part, sizeof(part), "%s.d/30-c.conf", path);
	write_file(part, "[a]\nwrong = 1\n", 0644);
	assert_int_equal(conf_load(&schema, path, &s, NULL, &why), E_CONF_KEY);
	assert_non_null(strstr(why.object, "30-c.conf:2"));
	write_file(part, "[a]\nnumber = 4\n", 0664);
	assert_int_equal(conf_load(&schema, path, &s, NULL, &why), E_CONF_UNSAFE);
	if (geteuid() == 0) {
		write_file(part, "[a]\nnumber = 4\n", 0644);
		assert_int_equal(chown(part, 12345, 0), 0);
		assert_int_equal(conf_load(&schema, path, &s, NULL, &why), E_CONF_UNSAFE);
	}
	assert_int_equal(tree_remove(AT_FDCWD, dir, NULL), 0);
}

static void documents_itself(void **state)
{
	(void)state;
	struct buf text = BUF_MAX(8192);
	conf_manual(&schema, &text);
	buf_add_u8(&text, 0);
	assert_non_null(strstr((char *)text.p, "## [a]\n"));
	assert_non_null(strstr((char *)text.p, "*text* = TEXT\n\ta text. Required.\n"));
	assert_non_null(strstr((char *)text.p, "*word* = red \\| green\n\tcolour. Default: *green*.\n"));
	buf_reset(&text);
	manual_text("a_b *c* `d e`, [f]", &text);
	buf_add_u8(&text, 0);
	assert_string_equal((char *)text.p, "a\\_b \\*c\\* *d e*, \\[f\\]");
	buf_free(&text);
}

static void joined_state_dir_reads_back(void **state)
{
	(void)state;
	struct buf        text = BUF_MAX(4096);
	struct agent_conf c;
	struct refusal    why = {0};
	assert_int_equal(agent_conf_text("relative", &text), E_CONF_VALUE);
	assert_int_equal(agent_conf_text("/srv/a b", &text), 0);
	assert_int_equal(conf_parse(&agent_schema, "agent.conf", buf_span(&text), &c, &why), 0);
	assert_string_equal(c.link_dir, "/srv/a b/link");
	assert_string_equal(c.keeper_socket, "/srv/a b/run/keeper.sock");
	assert_int_equal(c.reconnect_spread_ms, 10000);
	buf_free(&text);
}

static int folders(const char *text, struct refusal *why)
{
	struct signer_conf conf = {.public_url = "http://pki.vcc.internal"};
	*why = (struct refusal){.code = 0};
	assert_int_equal(text_copy(conf.folders, sizeof(conf.folders), text), 0);
	return signer_schema.check(&conf, why);
}

/* The signer locks itself in by them: none may be left out in silence. */
static void folders_of_a_token(void **state)
{
	(void)state;
	struct refusal why;
	char           text[1024] = "";
	assert_int_equal(folders("", &why), 0);
	assert_int_equal(folders("/var/lib/softhsm, /run/pcscd", &why), 0);
	assert_int_equal(folders("/var/lib/softhsm, run/pcscd", &why), E_CONF_VALUE);
	assert_string_equal(why.object, "pkcs11.folders");
	memset(text, 'a', CONF_PATH_SIZE);
	text[0] = '/';
	assert_int_equal(folders(text, &why), E_CONF_VALUE);
	text[CONF_PATH_SIZE - 1] = '\0';
	assert_int_equal(folders(text, &why), 0);
	text[0] = '\0';
	for (int i = 0; i < SIGNER_FOLDERS_MAX; i++)
		strcat(text, "/x,");
	assert_int_equal(folders(text, &why), 0);
	strcat(text, "/y");
	assert_int_equal(folders(text, &why), E_CONF_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_files), cmocka_unit_test(reads_every_kind),           cmocka_unit_test(drop_ins_override),
		cmocka_unit_test(documents_itself),  cmocka_unit_test(folders_of_a_token),
		cmocka_unit_test(joined_state_dir_reads_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
