/* names.c - room shared/model: canonical names, their comparison, and lists of subject alternative names.
 * Never: DNS, heap, fnmatch. */
#include "shared/model/names.h"

#include <arpa/inet.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"

enum { LABEL_MAX = 63, SAN_PREFIX_MAX = 4 /* "DNS:" */ };

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* [a-z0-9][a-z0-9-]* or with '_', shorter than `size`. */
static bool word_ok(const char *text, size_t size, bool underscore)
{
	if (text == NULL || !is_lower_alnum(text[0]))
		return false;
	size_t n = 1;
	for (; n < size && text[n] != '\0'; n++)
		if (!is_lower_alnum(text[n]) && text[n] != '-' && !(underscore && text[n] == '_'))
			return false;
	return n < size;
}

bool name_agent_ok(const char *text)
{
	return word_ok(text, AGENT_NAME_SIZE, false);
}

bool name_cert_id_ok(const char *text)
{
	return word_ok(text, CERT_ID_SIZE, true);
}

bool name_service_ok(const char *text)
{
	return word_ok(text, SERVICE_SIZE, false);
}

bool name_template_ok(const char *text)
{
	return word_ok(text, TEMPLATE_ID_SIZE, true);
}

int name_cert_id_default(const char *agent, const char *stem, char ret[CERT_ID_SIZE])
{
	if (!name_agent_ok(agent))
		return E_NAME;
	char   text[CERT_ID_SIZE];
	size_t n = strlen(agent);
	bool   meaning = false;
	memcpy(text, agent, n);
	text[n++] = '-';
	for (; *stem != '\0'; stem++) {
		if (n == CERT_ID_SIZE - 1)
			return E_NAME; /* cutting could make two targets one */
		char c = to_lower(*stem);
		meaning |= is_lower_alnum(c);
		text[n++] = is_lower_alnum(c) ? c : '-';
	}
	text[n] = '\0';
	if (!meaning)
		return E_NAME;
	memcpy(ret, text, n + 1);
	return 0;
}

/* One label of letters, digits, '-', '_' in lower case; '-' neither first nor last. Returns its length, 0 = refused. */
static size_t label_copy(const char *from, char ret[LABEL_MAX], bool *ret_numeric)
{
	size_t n = 0;
	bool   numeric = true;
	for (; from[n] != '\0' && from[n] != '.'; n++) {
		char c = to_lower(from[n]);
		if (n == LABEL_MAX || (!is_lower_alnum(c) && c != '-' && c != '_'))
			return 0;
		numeric = numeric && c >= '0' && c <= '9';
		ret[n] = c;
	}
	if (n == 0 || ret[0] == '-' || ret[n - 1] == '-')
		return 0;
	*ret_numeric = numeric;
	return n;
}

int name_dns(const char *text, bool wildcard, char ret[DNS_NAME_SIZE])
{
	char        name[DNS_NAME_SIZE];
	size_t      n = 0;
	bool        numeric = false;
	const char *p = text;

	if (wildcard && p[0] == '*' && p[1] == '.' && p[2] != '\0') {
		name[n++] = '*';
		name[n++] = '.';
		p += 2;
	}
	for (;;) {
		char   label[LABEL_MAX];
		size_t len = label_copy(p, label, &numeric);
		if (len == 0 || n + len > DNS_NAME_SIZE - 1)
			return E_NAME;
		memcpy(name + n, label, len);
		n += len;
		p += len;
		if (p[0] == '\0' || (p[0] == '.' && p[1] == '\0'))
			break;
		name[n++] = '.';
		p++;
	}
	if (numeric)
		return E_NAME; /* an all-digit last label is an address in other people's eyes */
	name[n] = '\0';
	memcpy(ret, name, n + 1);
	return 0;
}

static size_t label_length(const char *text)
{
	return strcspn(text, ".");
}

bool name_matches(const char *pattern, const char *name)
{
	for (;;) {
		size_t p = label_length(pattern);
		size_t n = label_length(name);
		bool   star = p == 1 && pattern[0] == '*';
		if (n == 0 || (!star && (p != n || memcmp(pattern, name, n) != 0)))
			return false;
		pattern += p;
		name += n;
		if (*pattern == '\0' || *name == '\0')
			return *pattern == *name;
		pattern++;
		name++;
	}
}

bool name_below(const char *domain, const char *name)
{
	size_t d = strlen(domain);
	size_t n = strlen(name);
	return d > 0 && n > d + 1 && name[n - d - 1] == '.' && memcmp(name + n - d, domain, d) == 0;
}

static int ip_canonical(const char *text, char ret[DNS_NAME_SIZE])
{
	unsigned char address[16];
	for (size_t i = 0; i < 2; i++) {
		int family = i == 0 ? AF_INET : AF_INET6;
		if (inet_pton(family, text, address) == 1)
			return inet_ntop(family, address, ret, DNS_NAME_SIZE) != NULL ? 0 : E_NAME;
	}
	return E_NAME;
}

static const char *san_prefix(enum san_kind kind)
{
	return kind == SAN_DNS ? "DNS:" : "IP:";
}

static int san_parse(const char *text, bool wildcard, struct san *ret)
{
	bool dns = text_starts(text, "DNS:");
	bool ip = text_starts(text, "IP:");
	if (!dns && ip_canonical(ip ? text + 3 : text, ret->text) == 0) {
		ret->kind = SAN_IP;
		return 0;
	}
	if (ip)
		return E_NAME;
	ret->kind = SAN_DNS;
	return name_dns(dns ? text + 4 : text, wildcard, ret->text);
}

static int san_order(const struct san *a, const struct san *b)
{
	return a->kind != b->kind ? (int)a->kind - (int)b->kind : strcmp(a->text, b->text);
}

/* Keeps `list` sorted and without doubles. */
static int san_insert(struct san list[NAMES_MAX], size_t *n, const struct san *san)
{
	size_t at = 0;
	while (at < *n && san_order(&list[at], san) < 0)
		at++;
	if (at < *n && san_order(&list[at], san) == 0)
		return 0;
	if (*n == NAMES_MAX)
		return E_FULL;
	memmove(&list[at + 1], &list[at], (*n - at) * sizeof(*list));
	list[at] = *san;
	(*n)++;
	return 0;
}

static int names_write(const struct san *list, size_t n, struct names *ret)
{
	struct names names = {.text = ""};
	size_t       used = 0;
	for (size_t i = 0; i < n; i++) {
		const char *parts[] = {i > 0 ? "," : "", san_prefix(list[i].kind), list[i].text};
		for (size_t k = 0; k < N_ELEMENTS(parts); k++) {
			int r = text_copy(names.text + used, sizeof(names.text) - used, parts[k]);
			if (r < 0)
				return r;
			used += strlen(parts[k]);
		}
	}
	*ret = names;
	return 0;
}

int names_parse(const char *list, bool wildcard, struct names *ret, char *ret_bad)
{
	struct san  sans[NAMES_MAX];
	size_t      n = 0;
	char        item[SAN_PREFIX_MAX + DNS_NAME_SIZE + 1]; /* one for a trailing dot */
	const char *cursor = list;
	const char *before = cursor;
	while (text_item(&cursor, item, sizeof(item))) {
		struct san san;
		int        r = san_parse(item, wildcard, &san);
		if (r == 0)
			r = san_insert(sans, &n, &san);
		if (r < 0) {
			if (ret_bad != NULL)
				text_cut(ret_bad, DNS_NAME_SIZE, item);
			return r;
		}
		before = cursor;
	}
	if (cursor == NULL) {
		if (ret_bad != NULL)
			text_cut(ret_bad, DNS_NAME_SIZE, before);
		return E_NAME;
	}
	return names_write(sans, n, ret);
}

bool names_next(const struct names *names, size_t *cursor, struct san *ret)
{
	const char *p = names->text + *cursor;
	if (*cursor >= sizeof(names->text) || *p == '\0')
		return false;
	enum san_kind kind = text_starts(p, "IP:") ? SAN_IP : SAN_DNS;
	size_t        skip = strlen(san_prefix(kind));
	size_t        len = strcspn(p, ",");
	if (!text_starts(p, san_prefix(kind)) || text_copy_n(ret->text, sizeof(ret->text), p + skip, len - skip) < 0)
		return false;
	ret->kind = kind;
	*cursor += len + (p[len] == ',' ? 1 : 0);
	return true;
}

size_t names_count(const struct names *names)
{
	struct san san;
	size_t     cursor = 0;
	size_t     n = 0;
	while (names_next(names, &cursor, &san))
		n++;
	return n;
}

bool names_equal(const struct names *a, const struct names *b)
{
	return strcmp(a->text, b->text) == 0;
}

static bool san_allowed(const struct san *san, const struct names *patterns)
{
	struct san pattern;
	size_t     cursor = 0;
	while (names_next(patterns, &cursor, &pattern)) {
		if (pattern.kind != san->kind)
			continue;
		if (san->kind == SAN_DNS ? name_matches(pattern.text, san->text) : text_equal(pattern.text, san->text))
			return true;
	}
	return false;
}

bool names_within(const struct names *names, const struct names *patterns, struct san *ret_bad)
{
	struct san san;
	size_t     cursor = 0;
	while (names_next(names, &cursor, &san)) {
		if (!san_allowed(&san, patterns)) {
			*ret_bad = san;
			return false;
		}
	}
	if (names->text[cursor] == '\0')
		return true;
	/* not from names_parse(): what cannot be read is not allowed */
	ret_bad->kind = SAN_DNS;
	text_cut(ret_bad->text, sizeof(ret_bad->text), names->text + cursor);
	return false;
}
