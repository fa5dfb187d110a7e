/* fuzz_conf.c - no text may crash the settings parser, and what it accepts ends all its strings. */
#include <stdlib.h>
#include <string.h>

#include "shared/conf/target_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct target_conf t;
	struct refusal            why = {0};
	int                       r = conf_parse(&target_schema, "fuzz.conf", (struct span){data, n}, &t, &why);
	if (r == 0 && (memchr(t.names.text, 0, sizeof(t.names.text)) == NULL || memchr(t.command, 0, sizeof(t.command)) == NULL))
		abort();
	if (r != 0 && why.code != r)
		abort();
	return 0;
}
