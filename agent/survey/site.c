/* site.c - room agent/survey: what a service's configuration says about one certificate.
 * Never: files; judging whether it may be managed. */
#include "agent/survey/site.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"

int site_add(struct sites *s, struct site **ret, struct refusal *why)
{
	if (s->row == NULL)
		s->row = calloc(SITES_MAX, sizeof(*s->row));
	if (s->row == NULL)
		return refuse(why, E_NOMEM, "configuration", "no memory");
	if (s->n == SITES_MAX)
		return refuse(why, E_SURVEY_LIMIT, "configuration", "it has more than %d servers", SITES_MAX);
	*ret = &s->row[s->n++];
	return 0;
}

void sites_free(struct sites *s)
{
	free(s->row);
	s->row = NULL;
	s->n = 0;
}

void site_name(struct site *s, const char *name)
{
	char   canonical[DNS_NAME_SIZE];
	size_t used = strlen(s->names);
	if (name[0] == '.') /* nginx: the name and everything below it */
		name++;
	if (strchr(name, '.') == NULL || name_dns(name, true, canonical) != 0)
		return;
	size_t n = strlen(canonical);
	if (used + n + 2 > sizeof(s->names)) {
		s->problem = "it has more server names than fit into one certificate";
		return;
	}
	if (used > 0)
		s->names[used++] = ',';
	memcpy(s->names + used, canonical, n + 1);
}

/* The last colon outside of brackets, or NULL. */
static const char *port_colon(const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *bracket = strrchr(text, ']');
	return colon != NULL && bracket != NULL && bracket > colon ? NULL : colon;
}

static bool host_read(const char *text, size_t n, char ret[SITE_HOST_SIZE])
{
	uint8_t    address[16];
	const bool bracket = n >= 2 && text[0] == '[' && text[n - 1] == ']';
	if (text_copy_n(ret, SITE_HOST_SIZE, text + bracket, n - 2 * (size_t)bracket) != 0)
		return false;
	if (text_equal(ret, "*") || text_equal(ret, "_default_")) {
		ret[0] = '\0';
		return true;
	}
	return ret[0] == '\0' || inet_pton(bracket ? AF_INET6 : AF_INET, ret, address) == 1;
}

bool site_listen(struct site *s, const char *text, uint16_t port)
{
	struct site_listen l = {.port = port};
	const char        *colon = port_colon(text);
	int64_t            number = port;
	const bool         bare = colon == NULL && strspn(text, "0123456789") == strlen(text);
	const char        *digits = bare ? text : colon != NULL ? colon + 1 : NULL;
	if (digits != NULL && text_i64(digits, 1, UINT16_MAX, &number) != 0)
		return false;
	const size_t host = bare ? 0 : colon != NULL ? (size_t)(colon - text) : strlen(text);
	l.port = (uint16_t)number;
	if (l.port == 0 || !host_read(text, host, l.host))
		return false;
	for (size_t i = 0; i < s->n_listens; i++)
		if (s->listen[i].port == l.port && text_equal(s->listen[i].host, l.host))
			return true;
	if (s->n_listens == SITE_LISTENS_MAX) {
		s->problem = "it has more than 16 listeners";
		return true;
	}
	s->listen[s->n_listens++] = l;
	return true;
}
