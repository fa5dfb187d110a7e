/* fuzz_selector.c - what people type to say which certificates, names and times they mean: taken once, it is taken again as the same;
 * and whatever it is, asking whether a certificate is meant reads nothing outside. The first byte chooses which of them. */
#include <stdlib.h>
#include <string.h>

#include "controller/core/selector.h"
#include "controller/daemon/cert_search.h"
#include "shared/model/names.h"
#include "shared/model/window.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_selector(unsigned kind, const char *text)
{
	struct selector    s = {.kind = (enum selector_kind)(kind % SELECT_KIND_COUNT)}, again;
	struct certificate c = {.cert_id = "clara01-web", .agent = "clara01", .service = "clara"};
	struct refusal     why = {.code = 0};
	memcpy(s.value, text, strnlen(text, sizeof(s.value) - 1));
	int r = selector_check(&s, &why);
	if (r < 0 && why.code != r)
		abort();
	if (r < 0)
		return;
	(void)selector_matches(&s, &c, kind % 2 == 0, "vcc.internal");
	again = s;
	if (selector_check(&again, &why) < 0 || memcmp(again.value, s.value, sizeof(s.value)) != 0)
		abort();
}

static void try_name(bool wildcard, const char *text)
{
	char one[DNS_NAME_SIZE], two[DNS_NAME_SIZE];
	if (name_dns(text, wildcard, one) == 0 && (name_dns(one, wildcard, two) < 0 || strcmp(one, two) != 0))
		abort();
}

static void try_windows(const char *text)
{
	static struct windows w;
	char                  bad[WINDOW_TEXT_SIZE];
	if (windows_parse(text, &w, bad) < 0 && memchr(bad, 0, sizeof(bad)) == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1024] = "";
	if (size < 2 || size > sizeof(text))
		return 0;
	memcpy(text, data + 2, size - 2);
	switch (data[0] % 4) {
	case 0:
		try_selector(data[1], text);
		break;
	case 1:
		try_name(data[1] % 2 == 0, text);
		break;
	case 2:
		try_windows(text);
		break;
	default:
		(void)cert_search_fits(&(struct certificate){.cert_id = "clara01-web", .agent = "clara01", .service = "clara"}, text);
		break;
	}
	return 0;
}
