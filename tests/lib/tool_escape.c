/* tool_escape.c - has a running program try a system call: what a captured one could do, under its own filter, folders and rights.
 *   tool_escape PID CALL [ARGUMENT...]     prints the result: a number, or the name of the error
 * An argument is a number, or text after `=`: `=/etc/shadow`, or bytes in hexadecimal after `%`. The program stands still for that one
 * call and goes on where it was. Needs root, because the programs cannot be traced by their own user. x86-64 only.
 * Never: in a program; a call that would not come back. */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#if defined(__x86_64__)
enum { ARGUMENTS = 6, TEXTS = 4096, RED_ZONE = 256, WORD = sizeof(long) };

static const uint8_t call_code[] = {0x0f, 0x05};

static struct {
	pid_t                   pid;
	struct user_regs_struct before, now;
	uint8_t                 texts[TEXTS], under[TEXTS];
	size_t                  n_texts;
} t;

static void must(long r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "tool_escape: %s: %s\n", what, strerror(errno));
	exit(3);
}

static void memory_copy(uint64_t at, uint8_t *bytes, size_t n, bool put)
{
	for (size_t i = 0; i < n; i += WORD) {
		long word;
		errno = 0;
		if (put) {
			memcpy(&word, bytes + i, WORD);
			must(ptrace(PTRACE_POKEDATA, t.pid, at + i, word), "write memory");
		} else {
			word = ptrace(PTRACE_PEEKDATA, t.pid, at + i, NULL);
			must(errno != 0 ? -1 : 0, "read memory");
			memcpy(bytes + i, &word, WORD);
		}
	}
}

static void stopped(void)
{
	int status;
	must(waitpid(t.pid, &status, __WALL), "wait");
	if (!WIFSTOPPED(status)) {
		printf("killed by signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		exit(0);
	}
}

/* It waits in a system call: the instruction before where it stands makes one. */
static void hold(pid_t pid)
{
	uint8_t code[WORD];
	t.pid = pid;
	must(ptrace(PTRACE_SEIZE, pid, NULL, NULL), "attach");
	must(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), "stop");
	stopped();
	must(ptrace(PTRACE_GETREGS, pid, NULL, &t.before), "read registers");
	t.now = t.before;
	memory_copy(t.before.rip - sizeof(call_code), code, sizeof(code), false);
	errno = EAGAIN;
	must(memcmp(code, call_code, sizeof(call_code)) == 0 ? 0 : -1, "it does not wait in a system call");
}

static uint64_t text_place(const uint8_t *bytes, size_t n)
{
	size_t at = t.n_texts;
	errno = E2BIG;
	must(at + n + 1 + WORD > sizeof(t.texts) ? -1 : 0, "arguments");
	memcpy(t.texts + at, bytes, n);
	t.n_texts = (at + n + WORD) / WORD * WORD;
	return t.before.rsp - RED_ZONE - TEXTS + at;
}

static uint64_t bytes_place(const char *hex)
{
	uint8_t bytes[256] = {0};
	size_t  n = 0;
	for (unsigned one; n < sizeof(bytes) && sscanf(hex + 2 * n, "%2x", &one) == 1; n++)
		bytes[n] = (uint8_t)one;
	return text_place(bytes, n);
}

static uint64_t argument(const char *word)
{
	if (word[0] == '=')
		return text_place((const uint8_t *)word + 1, strlen(word + 1));
	return word[0] == '%' ? bytes_place(word + 1) : (uint64_t)strtoll(word, NULL, 0);
}

static void arguments(int n, char **words)
{
	unsigned long long *const to[ARGUMENTS] = {&t.now.rdi, &t.now.rsi, &t.now.rdx, &t.now.r10, &t.now.r8, &t.now.r9};
	for (int i = 0; i < ARGUMENTS; i++)
		*to[i] = i < n ? argument(words[i]) : 0;
}

/* One step is the whole call; then everything is as before, and a call that was cut short begins again. */
static long long call(int number)
{
	uint64_t place = t.before.rsp - RED_ZONE - TEXTS;
	t.now.rip = t.before.rip - sizeof(call_code);
	t.now.rax = (unsigned long long)number;
	t.now.orig_rax = (unsigned long long)-1;
	memory_copy(place, t.under, TEXTS, false);
	memory_copy(place, t.texts, TEXTS, true);
	must(ptrace(PTRACE_SETREGS, t.pid, NULL, &t.now), "write registers");
	must(ptrace(PTRACE_SINGLESTEP, t.pid, NULL, NULL), "step");
	stopped();
	must(ptrace(PTRACE_GETREGS, t.pid, NULL, &t.now), "read registers");
	memory_copy(place, t.under, TEXTS, true);
	must(ptrace(PTRACE_SETREGS, t.pid, NULL, &t.before), "write registers");
	return (long long)t.now.rax;
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 3 + ARGUMENTS)
		return 2;
	int number = seccomp_syscall_resolve_name(argv[2]);
	if (number < 0)
		return 2;
	hold((pid_t)strtol(argv[1], NULL, 10));
	arguments(argc - 3, argv + 3);
	long long result = call(number);
	must(ptrace(PTRACE_DETACH, t.pid, NULL, NULL), "let go");
	if (result < 0 && result > -4096)
		printf("%s\n", strerrorname_np((int)-result));
	else
		printf("%lld\n", result);
	return 0;
}
#else
int main(void)
{
	return 2;
}
#endif
