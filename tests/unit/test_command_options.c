/* test_command_options.c - is the line behind a command read as its row of the table says, wherever an option stands, and refused with the word that is wrong?
 * Never: a command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/conf/command_options.h"
#include "shared/conf/program_table.h"
#include "shared/conf/signer_conf.h"

enum { WORDS_MAX = 12 };

struct line {
	int   n;
	char *argv[WORDS_MAX + 1];
	char  text[400];
};

static void line_of(struct line *l, const char *text)
{
	char *rest = NULL;
	memset(l, 0, sizeof(*l));
	strcpy(l->text, text);
	for (char *w = strtok_r(l->text, " ", &rest); w != NULL && l->n < WORDS_MAX; w = strtok_r(NULL, " ", &rest))
		l->argv[l->n++] = w;
}

/* Exit status, or 1000 + the signal that ended it; what it said goes to `said`. */
static int ends(const char *program, const char *text, const struct command_option *own, size_t n_own, int min, int max, char *said, size_t size)
{
	int    pipe_of[2], status;
	size_t n = 0;
	assert_int_equal(pipe(pipe_of), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct command_words w;
		struct line          l;
		dup2(pipe_of[1], STDOUT_FILENO);
		dup2(pipe_of[1], STDERR_FILENO);
		close(pipe_of[0]);
		(void)signal(SIGABRT, SIG_DFL);
		line_of(&l, text);
		command_options(program, l.n, l.argv, own, n_own, min, max, &w);
		_exit(99);
	}
	close(pipe_of[1]);
	for (ssize_t r; n + 1 < size && (r = read(pipe_of[0], said + n, size - 1 - n)) > 0;)
		n += (size_t)r;
	said[n] = '\0';
	close(pipe_of[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void refused(const char *program, const char *text, const struct command_option *own, size_t n_own, int min, int max, const char *object)
{
	char said[8000];
	assert_int_equal(ends(program, text, own, n_own, min, max, said, sizeof(said)), 2);
	if (strstr(said, object) == NULL || strstr(said, "VCC-") == NULL || strstr(said, "Next: ") == NULL || strstr(said, "usage: ") == NULL)
		fail_msg("`%s`: %s", text, said);
}

static void options_stand_anywhere(void **state)
{
	(void)state;
	static const char *const texts[] = {"split --config F 2 3", "split 2 --config F 3", "split 2 3 --config F", "split 2 3 --config=F",
					    "split --config E 2 3 --config F", "split 2 --config F -- 3"};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct line          l;
		struct command_words w;
		line_of(&l, texts[i]);
		command_options("vcc-signer", l.n, l.argv, NULL, 0, 2, 2, &w);
		assert_string_equal(w.config, "F");
		assert_int_equal(w.n, 2);
		assert_string_equal(w.word[0], "2");
		assert_string_equal(w.word[1], "3");
	}
}

static void own_options_and_defaults(void **state)
{
	(void)state;
	const char                 *hash = "before";
	bool                        keep = false, drill = false;
	const struct command_option of_sign = {"hash", &hash, NULL}, of_restore[] = {{"drill", NULL, &drill}, {"keep-tokens", NULL, &keep}};
	struct line                 l;
	struct command_words        w;

	line_of(&l, "root-sign request");
	command_options("vcc-signer", l.n, l.argv, &of_sign, 1, 1, 1, &w);
	assert_string_equal(hash, "before");
	assert_string_equal(w.config, SIGNER_CONF_PATH);
	line_of(&l, "root-sign request --hash 12ab");
	command_options("vcc-signer", l.n, l.argv, &of_sign, 1, 1, 1, &w);
	assert_string_equal(hash, "12ab");
	assert_string_equal(w.word[0], "request");
	line_of(&l, "restore file --drill");
	command_options("vcc-controller", l.n, l.argv, of_restore, 2, 1, 1, &w);
	assert_true(drill);
	assert_false(keep);
	line_of(&l, "drill -- --folder"); /* a name that looks like an option */
	command_options("vcc-signer", l.n, l.argv, NULL, 0, 0, 1, &w);
	assert_string_equal(w.word[0], "--folder");
}

static void wrong_lines_are_refused(void **state)
{
	(void)state;
	bool                        keep = false, drill = false;
	const struct command_option of_restore[] = {{"keep-tokens", NULL, &keep}, {"drill", NULL, &drill}};
	refused("vcc-signer", "drill folder --confog F", NULL, 0, 0, 1, " --confog: there is no such option");
	refused("vcc-signer", "drill -x", NULL, 0, 0, 1, " -x: there is no such option");
	refused("vcc-signer", "drill -xy folder", NULL, 0, 0, 1, " -x: there is no such option");
	refused("vcc-signer", "drill folder --config", NULL, 0, 0, 1, " --config: its value is missing");
	refused("vcc-signer", "drill folder another", NULL, 0, 0, 1, " another: this word is too many");
	refused("vcc-signer", "drop-root --config F", NULL, 0, 1, 1, " ROOT: a word is missing");
	refused("vcc-signer", "drill --check", NULL, 0, 0, 1, " --check: there is no such option"); /* the program's, not the command's */
	refused("vcc-controller", "restore --drill=yes file", of_restore, 2, 1, 1, " --drill=yes: it takes no value");
}

static void help_is_the_row(void **state)
{
	(void)state;
	char said[8000];
	assert_int_equal(ends("vcc-signer", "unlock --help", NULL, 0, 0, 1, said, sizeof(said)), 0);
	assert_non_null(strstr(said, "usage: vcc-signer unlock [FOLDER]"));
	assert_non_null(strstr(said, "--config FILE"));
}

/* Row and program disagree: a fault of ours, seen with the first use. */
static void another_table_ends_it(void **state)
{
	(void)state;
	char                        said[2000];
	const char                 *hash = NULL;
	bool                        given = false;
	const struct command_option as_value = {"hash", &hash, NULL}, as_switch = {"hash", NULL, &given};
	assert_int_equal(ends("vcc-signer", "drill", &as_value, 1, 0, 1, said, sizeof(said)), 1000 + SIGABRT);
	assert_int_equal(ends("vcc-signer", "root-sign x", NULL, 0, 1, 1, said, sizeof(said)), 1000 + SIGABRT);
	assert_int_equal(ends("vcc-signer", "root-sign x", &as_switch, 1, 1, 1, said, sizeof(said)), 1000 + SIGABRT);
	assert_int_equal(ends("vcc-signer", "no-such-command", NULL, 0, 0, 0, said, sizeof(said)), 1000 + SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere), cmocka_unit_test(own_options_and_defaults), cmocka_unit_test(wrong_lines_are_refused),
		cmocka_unit_test(help_is_the_row),        cmocka_unit_test(another_table_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
