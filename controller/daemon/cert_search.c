/* cert_search.c - room controller/daemon: the words of a search, one by one.
 * Never: reading anything. */
#include "controller/daemon/cert_search.h"

#include <string.h>

#include "shared/base/text.h"

/* strcasestr() of ASCII, whatever the locale; `colons` = those of the word do not count. */
static bool has(const char *text, const char *word, size_t n, bool colons)
{
	for (; *text != '\0'; text++) {
		size_t i = 0;
		for (const char *at = text; i < n; i++) {
			if (colons && word[i] == ':')
				continue;
			char a = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
			char b = word[i] >= 'A' && word[i] <= 'Z' ? (char)(word[i] + 32) : word[i];
			if (a != b || a == '\0')
				break;
			at++;
		}
		if (i == n)
			return true;
	}
	return false;
}

static bool word_fits(const struct certificate *c, const char *word, size_t n)
{
	char        serial[SERIAL_TEXT_SIZE], fingerprint[HASH_TEXT_SIZE];
	const char *texts[] = {c->cert_id, c->service, c->agent, c->template_id, c->names.text};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		if (has(texts[i], word, n, false))
			return true;
	if (serial_is_none(c->serial))
		return false;
	return has(serial_text(c->serial, serial), word, n, true) || has(hash_text(c->fingerprint, fingerprint), word, n, true);
}

bool cert_search_fits(const struct certificate *c, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, " ");
		if (n > 0 && !word_fits(c, text, n))
			return false;
		text += n + strspn(text + n, " ");
	}
	return true;
}
