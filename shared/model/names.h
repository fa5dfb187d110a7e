/* names.h - room shared/model: which names exist, how they compare, what may be assigned.
 * Names compare by label as lower-case A-labels (RFC 5890), never by fnmatch. Never: DNS, heap. */
#ifndef VCC_NAMES_H
#define VCC_NAMES_H

#include <stdbool.h>

#include "shared/base/attr.h"

enum {
	AGENT_NAME_SIZE = 33,  /* [a-z0-9][a-z0-9-]{0,31} and NUL */
	CERT_ID_SIZE = 64,     /* [a-z0-9][a-z0-9_-]{0,62} */
	SERVICE_SIZE = 33,     /* as an agent name */
	TEMPLATE_ID_SIZE = 64, /* as a cert_id */
	DNS_NAME_SIZE = 254,
	ADDRESS_SIZE = 72, /* "[ipv6]:port" or "host:port" */
	NAMES_MAX = 32,
	NAMES_TEXT_SIZE = 2048,
};

bool name_agent_ok(const char *text);
bool name_cert_id_ok(const char *text);
bool name_service_ok(const char *text);
bool name_template_ok(const char *text);

/* "clara01" + "My_Web.site" -> "clara01-my-web-site"; E_NAME when nothing valid comes out. */
_must_check_ int name_cert_id_default(const char *agent, const char *stem, char ret[CERT_ID_SIZE]);

/* Lower case, no trailing dot, labels of letters, digits, '-', '_' only (an A-label is fine), 1-63 each, at most 253.
 * A first label "*" is allowed when `wildcard`. Raw U-labels, NUL, spaces: E_NAME. */
_must_check_ int name_dns(const char *text, bool wildcard, char ret[DNS_NAME_SIZE]);

/* '*' in `pattern` stands for exactly one label. Both canonical. A wildcard *name* matches only a pattern that spells
 * the same '*'. */
bool name_matches(const char *pattern, const char *name);
/* `name` is any depth below `domain`, not `domain` itself. */
bool name_below(const char *domain, const char *name);

enum san_kind { SAN_DNS, SAN_IP };

struct san {
	enum san_kind kind;
	char          text[DNS_NAME_SIZE]; /* canonical; IPs as inet_ntop writes them */
};

/* Subject alternative names: canonical comma list "DNS:a.b,IP:192.0.2.1", sorted, without doubles. Empty text = none. */
struct names {
	char text[NAMES_TEXT_SIZE];
};

/* From a comma list; a bare value is DNS unless it is an IP literal. E_NAME (which one is in `ret_bad` if given,
 * DNS_NAME_SIZE bytes), E_FULL. `wildcard`: whether "*.x" may stand here. */
_must_check_ int names_parse(const char *list, bool wildcard, struct names *ret, char *ret_bad);
/* Walks in order; start with *cursor = 0. */
bool   names_next(const struct names *names, size_t *cursor, struct san *ret);
size_t names_count(const struct names *names);
bool   names_equal(const struct names *a, const struct names *b);
/* First name that no pattern of `patterns` (a struct names whose entries may hold '*') allows goes to `ret_bad`. */
bool names_within(const struct names *names, const struct names *patterns, struct san *ret_bad);

#endif
