/* rights_document.c - room controller/daemon: docs/rights.md, made from the tables of roles, permissions and routes.
 * Never: text that could differ from them. */
#include "controller/daemon/rights_document.h"

#include "controller/daemon/api.h"

static const char head[] =
	"# Who may do what\n"
	"\n"
	"Made from `controller/core/rights.c` and `controller/daemon/api_routes.c` by `make docs`. The router asks the same tables, and\n"
	"`tests/system/test_rights.py` asks every route of this page as every role.\n"
	"\n"
	"A principal is a person or a machine. It has one or more roles, and may be limited to services. It acts by a token (`vccctl token\n"
	"create`), which may leave it fewer roles and services, never more, or by a client certificate. Root and the service user act by the local\n"
	"socket with the rights of `admin`; each such change is a record of its own in the audit trail and a warning in the log.\n"
	"\n";

static const char scopes_text[] =
	"\n"
	"## What a limit to services does\n"
	"\n"
	"| scope | for a principal that is limited to services |\n"
	"|---|---|\n"
	"| whole | refused (403, VCC-3700): it concerns the whole installation |\n"
	"| open | no difference: nothing in it belongs to a service |\n"
	"| filtered | rows of other services are left out |\n"
	"| object | the object of another service does not exist (404) |\n"
	"| named | another service than his own may not be named (403) |\n"
	"| own | only his own; those of others need `principal:manage` and no limit |\n"
	"\n"
	"## Two persons\n"
	"\n"
	"Nobody changes his own rights. These wait for an approval (`vccctl approval list`): a principal that may approve is made, or may approve\n"
	"more than before; a token for somebody else who may approve (it is shown to whoever agrees, not to whoever asked); names outside the\n"
	"patterns of a host's invite; a renewal after `max_renewals` unattended ones, and every renewal of a code-signing certificate. Who asked,\n"
	"who gave him his role or his token, and every principal of these persons are one side; the decision is the other side's. It names the hash\n"
	"of what was shown, and is refused (VCC-3711) when that is no longer what would be done. After `limits.approval_life` (7 days) a request\n"
	"ends as cancelled.\n"
	"\n"
	"## Routes\n"
	"\n";

/* "| A | B |" and the line of dashes below. */
static void roles_head(struct buf *to, const char *first)
{
	buf_add_fmt(to, "| %s |", first);
	for (unsigned r = 0; r < ROLE_COUNT; r++)
		buf_add_fmt(to, " %s |", role_name((enum role)r));
	buf_add_text(to, "\n|");
	for (const char *p = first; *p != '\0'; p++)
		if (*p == '|')
			buf_add_text(to, "---|");
	for (unsigned r = 0; r <= ROLE_COUNT; r++)
		buf_add_text(to, "---|");
	buf_add_text(to, "\n");
}

static void roles_row(struct buf *to, enum permission p)
{
	for (unsigned r = 0; r < ROLE_COUNT; r++)
		buf_add_fmt(to, " %s |", p == PERM_NONE || rights_granted((enum role)r, p) ? "yes" : "-");
	buf_add_text(to, "\n");
}

void rights_document(struct buf *to)
{
	size_t                  n;
	const struct api_route *routes = api_routes(&n);
	buf_add_text(to, head);
	buf_add_text(to, "## Permissions\n\n");
	roles_head(to, "permission");
	for (unsigned p = PERM_NONE + 1; p < PERM_COUNT; p++) {
		buf_add_fmt(to, "| %s |", permission_name((enum permission)p));
		roles_row(to, (enum permission)p);
	}
	buf_add_text(to, scopes_text);
	roles_head(to, "route | permission | scope");
	for (size_t i = 0; i < n; i++) {
		buf_add_fmt(to, "| %s %s | %s | %s |", routes[i].method, routes[i].path, permission_name(routes[i].permission),
		            rights_scope_name(routes[i].scope));
		roles_row(to, routes[i].permission);
	}
}

void routes_table(struct buf *to)
{
	size_t                  n;
	const struct api_route *routes = api_routes(&n);
	buf_add_text(to, "| route | what it does |\n|---|---|\n");
	for (size_t i = 0; i < n; i++)
		buf_add_fmt(to, "| `%s %s` | %s |\n", routes[i].method, routes[i].path, routes[i].about);
}
