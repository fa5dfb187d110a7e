/* tool_docs.c - tests: prints documentation that is made from tables. `tool_docs NAME` prints docs/NAME.md, `tool_docs catalog` that of the journal,
 * `tool_docs routes` the table of docs/api.md; `tool_docs man < PAGE.scd.in` a manual page, `tool_docs complete-SHELL` what completes vcc-agent.
 * Never: text of its own. */
#include <stdio.h>

#include "controller/daemon/metric_table.h"
#include "controller/daemon/rights_document.h"
#include "shared/base/err_catalog.h"
#include "shared/base/text.h"
#include "shared/model/audit.h"
#include "shared/wire/wire.h"
#include "tests/lib/completion_page.h"
#include "tests/lib/man_page.h"

static const struct {
	const char *name;
	void (*print)(struct buf *to);
} pages[] = {{"wire", wire_document}, {"audit", audit_document}, {"rights", rights_document}, {"metrics", metrics_document}, {"catalog", err_catalog},
	     {"routes", routes_table}, {"complete-bash", completion_bash}, {"complete-zsh", completion_zsh}, {"complete-fish", completion_fish}};

int main(int argc, char **argv)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(1 << 20);
	for (size_t i = 0; argc == 2 && i < N_ELEMENTS(pages); i++)
		if (text_equal(argv[1], pages[i].name))
			pages[i].print(&text);
	if (argc == 2 && text_equal(argv[1], "man") && man_page(stdin, &text) != 0)
		return 1;
	if (text.n == 0) {
		fprintf(stderr, "usage: %s wire|audit|rights|metrics|catalog|routes|complete-SHELL, or: %s man < PAGE.scd.in\n", argv[0], argv[0]);
		return 2;
	}
	if (buf_error(&text) < 0 || fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0)
		return 1;
	return 0;
}
