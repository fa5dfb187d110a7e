/* main.c - all C tests are one program, and each is a link to it: to link two hundred programs takes longer than to compile them. */
#include <stdio.h>
#include <string.h>

#include "shared/base/attr.h"

typedef int entry(int argc, char **argv);

#define TEST(name) entry name;
#include "gen/tests.inc"
#undef TEST

#define TEST(name) {#name, name},
static const struct {
	const char *name;
	entry      *run;
} tests[] = {
#include "gen/tests.inc"
};

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0];
	for (size_t i = 0; i < N_ELEMENTS(tests); i++)
		if (strcmp(tests[i].name, name) == 0)
			return tests[i].run(argc, argv);
	fprintf(stderr, "There is no C test %s: this program is called by the name of one, which is a link to it (build/tests/test_*).\n", name);
	return 2;
}
