/* err_catalog.c - room shared/base: MESSAGE_IDs and the journal's catalog, made from err.def.
 * Never: an id that changes; it is in journals that are kept for years. */
#include "shared/base/err_catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "5ad1f7c0e2b94c8e9b3f6a4d7e21" /* random, once for all */

const char *err_message_id(int code, char ret[ERR_MESSAGE_ID_SIZE])
{
	(void)snprintf(ret, ERR_MESSAGE_ID_SIZE, PREFIX "%04u", (unsigned)abs(code) % 10000);
	return ret;
}

int err_in_text(const char *text)
{
	for (const char *p = text; (p = strstr(p, "VCC-")) != NULL; p += strlen("VCC-")) {
		char *end;
		long  number = strtol(p + strlen("VCC-"), &end, 10);
		if (end - p == (ptrdiff_t)strlen("VCC-nnnn") && err_find((int)number) != NULL)
			return -(int)number;
	}
	return 0;
}

void err_catalog(struct buf *to)
{
	size_t                n;
	const struct err_row *rows = err_rows(&n);
	char                  id[ERR_MESSAGE_ID_SIZE], code[ERR_CODE_SIZE];
	buf_add_text(
		to, "# Made from shared/base/err.def by `make docs`: what `journalctl -x` says beside the lines of vcc-pki.\n");
	for (size_t i = 0; i < n; i++) {
		if (rows[i].number == 0)
			continue;
		buf_add_fmt(to, "\n-- %s\nSubject: %s: %s\nDefined-By: vcc-pki\n\n", err_message_id(rows[i].number, id),
			    err_code(rows[i].number, code), rows[i].what);
		buf_add_fmt(to, "What to do: %s\n`vccctl explain %s` says the same.\n", rows[i].next, code);
	}
}
