/* pem_read.c - room shared/pki: strict PEM, line by line: each line is written again and compared.
 * Never: accepting a second spelling of the same bytes. */
#include "shared/pki/pem_read.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "shared/base/id.h"

enum { LINE = 64, LINE_BYTES = LINE / 4 * 3, EDGE_SIZE = 48 };

/* "-----BEGIN X509 CRL-----\n" at the front. */
static bool edge_take(struct span *rest, const char *word, const char *label)
{
	char   edge[EDGE_SIZE];
	int    written = snprintf(edge, sizeof(edge), "-----%s %s-----\n", word, label);
	size_t n = written > 0 && (size_t)written < sizeof(edge) ? (size_t)written : 0;
	if (n == 0 || rest->n < n || memcmp(rest->p, edge, n) != 0)
		return false;
	*rest = (struct span){rest->p + n, rest->n - n};
	return true;
}

/* One line of base64: its length without the line end, 0 when it is none. */
static size_t line_length(struct span rest)
{
	size_t         most = rest.n < LINE + 1 ? rest.n : LINE + 1;
	const uint8_t *end = most > 0 ? memchr(rest.p, '\n', most) : NULL;
	size_t         n = end != NULL ? (size_t)(end - rest.p) : 0;
	return n % 4 == 0 ? n : 0;
}

static int line_take(struct span *rest, size_t n, struct buf *to)
{
	uint8_t bytes[LINE_BYTES];
	char    again[LINE + 1];
	int     decoded = EVP_DecodeBlock(bytes, rest->p, (int)n);
	if (decoded < 0 || (size_t)decoded != n / 4 * 3)
		return E_SYNTAX;
	size_t used = (size_t)decoded - (rest->p[n - 1] == '=') - (rest->p[n - 2] == '=');
	int    r = b64_text(bytes, used, again, sizeof(again));
	if (r != 0 || memcmp(again, rest->p, n) != 0)
		return E_SYNTAX;
	buf_add(to, bytes, used);
	*rest = (struct span){rest->p + n + 1, rest->n - n - 1};
	return used == LINE_BYTES ? 1 : 0;
}

int pem_read(struct span *rest, const char *label, struct buf *ret_bytes)
{
	struct span at = *rest;
	size_t      start = ret_bytes->n;
	int         whole = 1; /* only the last line is short */
	if (at.n == 0)
		return 0;
	if (!edge_take(&at, "BEGIN", label))
		return E_SYNTAX;
	for (size_t n = line_length(at); n > 0 && whole == 1; n = line_length(at)) {
		if (at.p[0] == '-')
			break;
		whole = line_take(&at, n, ret_bytes);
	}
	int r = whole < 0 ? whole : buf_error(ret_bytes);
	if (r == 0 && (ret_bytes->n == start || !edge_take(&at, "END", label)))
		r = E_SYNTAX;
	if (r != 0) {
		if (ret_bytes->n > start)
			ret_bytes->n = start;
		return r;
	}
	*rest = at;
	return 1;
}
