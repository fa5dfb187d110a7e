/* main.c - vccctl: the operator's command line. `init` sets up this machine; every other verb speaks the admin API only.
 * Never: touching the store or the signer. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/cli/cli_init.h"
#include "controller/cli/completion.h"
#include "controller/cli/verb.h"
#include "shared/sys/memory.h"

int main(int argc, char **argv)
{
#define VERB_FILE_ROW(stem) {cli_##stem##_verbs, cli_##stem##_verbs_n},
	const struct verb_table tables[] = {VERB_FILES(VERB_FILE_ROW)};

	json_set_alloc_funcs(memory_or_end, free); /* its parser goes on with what it could not allocate */
	int at = verb_noun(argv);
	if (argv[at] != NULL && strcmp(argv[at], "completion") == 0)
		return completion_main(tables, N_ELEMENTS(tables), argc - at, argv + at);
	if (argv[at] != NULL && strcmp(argv[at], "init") == 0)
		return at == 1 ? cli_init(argc - 1, argv + 1) : cli_init(argc, argv); /* which takes none of the options before it, and says so */
	return verb_main(tables, N_ELEMENTS(tables), argc, argv);
}
