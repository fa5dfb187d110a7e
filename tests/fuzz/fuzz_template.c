/* fuzz_template.c - a template that is taken is written, read again and is the same; one that is refused says why. */
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/template_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *text_of(const struct template *t)
{
	struct hash hash;
	char       *text = template_json_text(t, &hash);
	if (text == NULL)
		abort();
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct template one, two;
	struct refusal         why = {.code = 0};
	int                    r = template_json_parse((struct span){data, size}, 5, &one, &why);
	if (r < 0 && why.code != r)
		abort();
	if (r < 0)
		return 0;
	char *first = text_of(&one);
	if (template_json_parse((struct span){(const uint8_t *)first, strlen(first)}, 5, &two, &why) < 0)
		abort();
	char *second = text_of(&two);
	if (strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	return 0;
}
