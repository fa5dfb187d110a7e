/* test_command.c - does a program run with nothing but what it was given, within its limits? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/survey/command.h"
#include "shared/sys/clock.h"

static void runs(void **state)
{
	static const char *const argv[] = {"/bin/sh", "-c", "echo out; echo err >&2; echo \"$PATH|$SECRET\"; exit 3", NULL};
	struct buf               out = BUF_MAX(COMMAND_OUTPUT_MAX);
	struct refusal           why = {.code = 0};
	char                     line[100];
	int                      status = -1;
	(void)state;
	setenv("SECRET", "leaks", 1);
	assert_int_equal(command_run(argv, 60000, &out, &status, &why), 0);
	assert_int_equal(status, 3);
	assert_non_null(memmem(out.p, out.n, "out\n", 4));
	assert_non_null(memmem(out.p, out.n, "err\n", 4));
	assert_null(memmem(out.p, out.n, "leaks", 5));
	command_why(&out, line, sizeof(line));
	assert_string_equal(line, "/usr/sbin:/usr/bin:/sbin:/bin|");
	buf_free(&out);
	static const char nginx[] = "note\n\nnginx: [emerg] unknown \033[1m directive\nnginx: test failed\n";
	out = (struct buf)BUF_MAX(COMMAND_OUTPUT_MAX);
	command_why(&out, line, sizeof(line));
	assert_string_equal(line, "");
	buf_add_text(&out, nginx);
	command_why(&out, line, sizeof(line));
	assert_string_equal(line, "nginx: [emerg] unknown ?[1m directive");
	command_why(&out, line, 10);
	assert_string_equal(line, "nginx: [e");
	buf_free(&out);
	/* no shell: these are words */
	out = (struct buf)BUF_MAX(COMMAND_OUTPUT_MAX);
	assert_int_equal(command_line_run("/bin/echo $HOME; \"a  b\" `id`", 60000, &out, &status, &why), 0);
	assert_non_null(memmem(out.p, out.n, "$HOME; a  b `id`\n", 17));
	buf_free(&out);
}

static void must_refuse(void **state)
{
	static const char *const none[] = {"/nonexistent/program", NULL};
	static const char *const killed[] = {"/bin/sh", "-c", "kill -9 $$", NULL};
	struct refusal           why = {.code = 0};
	int                      status = -1;
	(void)state;
	assert_int_equal(command_run(none, 60000, NULL, &status, &why), E_SYS_IO);
	assert_int_equal(command_run(killed, 60000, NULL, &status, &why), 0);
	assert_int_equal(status, 128 + 9);
	assert_int_equal(command_line_run("", 60000, NULL, &status, &why), E_SURVEY_LIMIT);
}

static void limits(void **state)
{
	static const char *const forever[] = {"/bin/sleep", "1000", NULL};
	static const char *const flood[] = {"/bin/sh", "-c", "yes | head -c 3000000", NULL};
	static const char *const daemon[] = {"/bin/sh", "-c", "sleep 30 & exit 0", NULL};
	struct buf               out = BUF_MAX(COMMAND_OUTPUT_MAX);
	struct refusal           why = {.code = 0};
	int                      status = -1;
	(void)state;
	assert_int_equal(command_run(forever, 300, &out, &status, &why), E_SYS_TIMEOUT);
	assert_int_equal(command_run(flood, 60000, &out, &status, &why), 0);
	assert_int_equal(out.n, COMMAND_OUTPUT_MAX);
	const int64_t begun = clock_monotonic();
	assert_int_equal(command_run(daemon, 60000, &out, &status, &why), 0); /* what it leaves behind is not waited for */
	assert_true(clock_monotonic() - begun < 25000);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(runs), cmocka_unit_test(must_refuse), cmocka_unit_test(limits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
