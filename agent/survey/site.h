/* site.h - room agent/survey: what a service's configuration says about one certificate: where its path stands, for which names
 * and listeners. Every parser of a service's language fills these. Never: files; judging whether it may be managed. */
#ifndef VCC_SITE_H
#define VCC_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/model/names.h"

enum { SITES_MAX = 128, SITE_LISTENS_MAX = 16, SITE_VALUE_SIZE = 512, SITE_HOST_SIZE = 64 };

/* A directive's value and the bytes that it stands in. */
struct site_value {
	size_t file;                  /* index among the sources */
	size_t start, end;            /* quotes included; end 0 = there is none */
	char   text[SITE_VALUE_SIZE]; /* without quotes and escapes */
	bool   variable;              /* the service computes it: it cannot be changed by us */
};

struct site_listen {
	char     host[SITE_HOST_SIZE]; /* literal address without brackets; "" = all, of either family */
	uint16_t port;
};

struct site {
	struct site_value  cert, key;
	struct site_value  chain;                  /* Apache: further file with intermediates */
	unsigned           certs;                  /* how many certificates: RSA and ECDSA side by side are 2 */
	char               names[NAMES_TEXT_SIZE]; /* server names as written, comma list */
	struct site_listen listen[SITE_LISTENS_MAX];
	size_t             n_listens;
	const char        *problem; /* why it cannot be managed; NULL = nothing known */
};

struct sites {
	struct site *row; /* owned */
	size_t       n;
	char         admin_socket[SITE_VALUE_SIZE]; /* HAProxy: one with `level admin`, or "" */
	char         pidfile[SITE_VALUE_SIZE];      /* as configured, or "" */
};

/* A new, empty row. E_SURVEY_LIMIT, E_NOMEM. */
_must_check_ int site_add(struct sites *s, struct site **ret, struct refusal *why);
/* Adds one server name; what cannot be in a certificate (`_`, regular expressions, "www.*") is left out. */
void site_name(struct site *s, const char *name);
/* Adds "443", "*:443", "127.0.0.1:443", "[::]:443", "_default_:443"; false: not an address (a name, a unix socket), `port` 0 =
 * required. */
bool site_listen(struct site *s, const char *text, uint16_t port);
void sites_free(struct sites *s);

#endif
