/* test_crypto_library.c - is it told when libcrypto could not be started, whichever of its allocations failed?
 * Never: looking behind crypto_library.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/crypto.h>

#include "shared/pki/crypto_library.h"

enum { STARTED, NO_MEMORY, WRONG };

static int left; /* allocations that succeed */

static void *some(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return left-- > 0 ? malloc(n) : NULL;
}

static void *some_more(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return left-- > 0 ? realloc(p, n) : NULL;
}

static void give_back(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* In a process of its own, where nobody has used the library yet. */
static int start_with(int allocations)
{
	pid_t pid = fork();
	int   status = 0;
	if (pid == 0) {
		left = allocations;
		if (CRYPTO_set_mem_functions(some, some_more, give_back) != 1)
			_exit(WRONG);
		int r = crypto_library_start();
		_exit(r == 0 ? STARTED : r == E_NOMEM ? NO_MEMORY : WRONG);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void want_of_memory_is_told(void **state)
{
	(void)state;
	int n = 0;
	while (start_with(n) == NO_MEMORY)
		n++;
	assert_in_range(n, 2, 1000);
	assert_int_equal(start_with(n), STARTED);
}

static void it_starts_and_stays(void **state)
{
	(void)state;
	assert_int_equal(crypto_library_start(), 0);
	assert_int_equal(crypto_library_start(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(want_of_memory_is_told),
		cmocka_unit_test(it_starts_and_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
