/* tool_docs.c - tests: prints documentation that is made from tables. `tool_docs wire` prints docs/wire.md.
 * Never: text of its own. */
#include <stdio.h>

#include "shared/base/text.h"
#include "shared/wire/wire.h"

int main(int argc, char **argv)
{
	if (argc != 2 || !text_equal(argv[1], "wire")) {
		fprintf(stderr, "usage: %s wire\n", argv[0]);
		return 2;
	}
	_cleanup_(buf_free) struct buf text = BUF_MAX(1 << 20);
	wire_document(&text);
	if (buf_error(&text) < 0 || fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0)
		return 1;
	return 0;
}
