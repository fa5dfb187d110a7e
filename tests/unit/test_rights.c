/* test_rights.c - room tests/unit: who may do what, and on which services?
 * Never: routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "controller/core/rights.h"
#include "shared/base/err.h"

/* One column a permission, in the order of the table: the whole matrix, so that a new permission must be thought about here. */
static const struct {
	enum role   role;
	const char *may;
} matrix[] = {
	{ROLE_VIEWER, "none token:own certificate:read"},
	{ROLE_OPERATOR, "none token:own certificate:read certificate:renew certificate:revoke certificate:service:renew certificate:bulk "
			"certificate:emergency "
			"agent:read agent:invite agent:evict agent:ban"},
	{ROLE_APPROVER, "none token:own certificate:read approval:read approval:decide"},
	{ROLE_AUDITOR, "none token:own certificate:read audit:read report:read"},
	{ROLE_ADMIN, "none token:own certificate:read certificate:renew certificate:revoke certificate:create certificate:service:renew "
		     "certificate:bulk "
		     "certificate:emergency certificate:template:update agent:read agent:invite agent:evict agent:ban "
		     "approval:read audit:read "
		     "report:read principal:manage ca:read ca:manage"},
};

static bool listed(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = strstr(list, name); p != NULL; p = strstr(p + 1, name)) {
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	}
	return false;
}

static void test_matrix(void **state)
{
	(void)state;
	assert_int_equal(N_ELEMENTS(matrix), ROLE_COUNT);
	for (size_t i = 0; i < N_ELEMENTS(matrix); i++) {
		struct principal p = {.name = "x", .roles = UINT32_C(1) << matrix[i].role};
		for (int perm = 0; perm < PERM_COUNT; perm++) {
			bool want = listed(matrix[i].may, permission_name((enum permission)perm));
			if (rights_allow(&p, (enum permission)perm) != want)
				fail_msg("%s: %s should be %s", role_name(matrix[i].role),
					 permission_name((enum permission)perm), want ? "allowed" : "refused");
		}
	}
}

static void test_nobody(void **state)
{
	(void)state;
	struct principal none = {.name = "x"};
	struct principal disabled = {.name = "x", .roles = UINT32_C(1) << ROLE_ADMIN, .disabled = true};
	for (int perm = 0; perm < PERM_COUNT; perm++) {
		assert_false(rights_allow(NULL, (enum permission)perm));
		assert_false(rights_allow(&none, (enum permission)perm));
		assert_false(rights_allow(&disabled, (enum permission)perm));
	}
	struct principal admin = {.name = "x", .roles = UINT32_C(1) << ROLE_ADMIN};
	assert_false(rights_allow(&admin, PERM_COUNT));
	struct principal unknown_role = {.name = "x", .roles = UINT32_C(1) << 31};
	assert_false(rights_allow(&unknown_role, PERM_CERT_READ));
}

static void test_two_roles(void **state)
{
	(void)state;
	struct principal p = {.name = "x", .roles = 1u << ROLE_AUDITOR | 1u << ROLE_OPERATOR};
	assert_true(rights_allow(&p, PERM_AUDIT_READ));
	assert_true(rights_allow(&p, PERM_CERT_RENEW));
	assert_false(rights_allow(&p, PERM_APPROVAL_DECIDE));
}

static void test_services(void **state)
{
	(void)state;
	struct principal p = {.name = "x", .services = "clara, argus"};
	assert_false(rights_service(NULL, "clara"));
	assert_false(rights_service(&p, "covina"));
	assert_false(rights_service(&p, ""));
	assert_false(rights_service(&p, "clar"));
	assert_true(rights_service(&p, "clara"));
	assert_true(rights_service(&p, "argus"));
	p.services[0] = '\0';
	assert_true(rights_service(&p, "covina"));
	p.disabled = true;
	assert_false(rights_service(&p, "covina"));
}

/* What a token's scope leaves: never more than there is, and nothing common is nothing, not everything. */
static void test_narrow(void **state)
{
	(void)state;
	const uint32_t viewer = 1u << ROLE_VIEWER, operator= 1u << ROLE_OPERATOR, admin = 1u << ROLE_ADMIN;
	static const struct {
		const char *has, *scope, *left; /* NULL = refused */
	} rows[] = {
		{"clara", "argus", NULL},          {"clara,argus", "covina,veritas", NULL}, {"", "", ""},
		{"clara", "", "clara"},            {"", "clara", "clara"},                  {"clara,argus", "argus, covina", "argus"},
		{"clara,argus", "argus,clara", "clara,argus"}, {"clara", "clar", NULL},
	};
	struct principal left;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct principal p = {.name = "x", .roles = viewer};
		strcpy(p.services, rows[i].has);
		assert_int_equal(rights_narrow(&p, 0, rows[i].scope, &left), rows[i].left != NULL);
		if (rows[i].left != NULL)
			assert_string_equal(left.services, rows[i].left);
	}
	struct principal p = {.name = "x", .roles = viewer | operator};
	assert_false(rights_narrow(&p, admin, "", &left));
	assert_true(rights_narrow(&p, admin | viewer, "", &left));
	assert_int_equal(left.roles, viewer);
	assert_true(rights_narrow(&p, 0, "", &left));
	assert_int_equal(left.roles, viewer | operator);
	p.disabled = true;
	assert_false(rights_narrow(&p, 0, "", &left));
}

static void test_within(void **state)
{
	(void)state;
	struct principal p = {.name = "x", .roles = 1u << ROLE_OPERATOR, .services = "clara,argus"};
	assert_true(rights_within(&p, 0, ""));
	assert_true(rights_within(&p, 1u << ROLE_OPERATOR, "argus"));
	assert_false(rights_within(&p, 1u << ROLE_OPERATOR | 1u << ROLE_ADMIN, ""));
	assert_false(rights_within(&p, 0, "argus,covina"));
	assert_false(rights_within(&p, 0, "a-name-that-is-much-longer-than-any-service-may-ever-have"));
}

/* old -> next: when has a second person to agree? */
static void test_needs_approval(void **state)
{
	(void)state;
	static const struct principal none = {.name = ""};
	const uint32_t                approver = 1u << ROLE_APPROVER, admin = 1u << ROLE_ADMIN;
	const struct {
		struct principal old, next;
		bool             needs;
	} rows[] = {
		/* new ones */
		{none, {.name = "bob", .roles = approver}, true},
		{none, {.name = "bob", .roles = approver | admin, .services = "clara"}, true},
		{none, {.name = "bob", .roles = admin}, false},
		{none, {.name = "bob", .roles = approver, .disabled = true}, false},
		/* the role is added, or it wakes up */
		{{.name = "bob", .roles = admin}, {.name = "bob", .roles = admin | approver}, true},
		{{.name = "bob", .roles = approver, .disabled = true}, {.name = "bob", .roles = approver}, true},
		/* an approver changes */
		{{.name = "bob", .roles = approver}, {.name = "bob", .roles = approver | admin}, false},
		{{.name = "bob", .roles = approver}, {.name = "bob", .roles = approver, .person = "alice"}, true},
		{{.name = "bob", .roles = approver}, {.name = "bob", .roles = approver, .person = "bob"}, false},
		{{.name = "bob", .roles = approver}, {.name = "bob", .roles = approver, .services = "clara"}, false},
		{{.name = "bob", .roles = approver, .services = "clara"}, {.name = "bob", .roles = approver}, true},
		{{.name = "bob", .roles = approver, .services = "clara,argus"}, {.name = "bob", .roles = approver, .services = "argus"}, false},
		{{.name = "bob", .roles = approver, .services = "clara"}, {.name = "bob", .roles = approver, .services = "clara,argus"}, true},
		/* it ends */
		{{.name = "bob", .roles = approver}, {.name = "bob", .roles = approver, .disabled = true}, false},
		{{.name = "bob", .roles = approver}, {.name = "bob", .roles = admin}, false},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		const struct principal *old = rows[i].old.name[0] != '\0' ? &rows[i].old : NULL;
		if (rights_needs_approval(old, &rows[i].next) != rows[i].needs)
			fail_msg("row %zu", i);
	}
}

static void test_decide(void **state)
{
	(void)state;
	const struct approval a = {.requester = "ops-bot",
				   .person = "alice",
				   .maker_of_principal = "carol",
				   .maker_of_token = "dave",
				   .service = "clara",
				   .expires_at = 1000};
	const struct {
		struct principal by;
		int              code;
	} rows[] = {
		{{.name = "bob", .person = "bob"}, 0},
		{{.name = "bob", .services = "clara"}, 0},
		{{.name = "bob", .services = "argus"}, E_NOT_FOUND},
		{{.name = "ops-bot"}, E_APPROVAL_OWN},
		{{.name = "alice"}, E_APPROVAL_OWN},
		{{.name = "alice-2", .person = "alice"}, E_APPROVAL_OWN}, /* two principals of one person */
		{{.name = "alice", .person = "bob"}, E_APPROVAL_OWN},     /* whose name is the person */
		{{.name = "second", .person = "carol"}, E_APPROVAL_OWN},  /* who made the principal that asked */
		{{.name = "dave"}, E_APPROVAL_OWN},                       /* who knows the token that asked */
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct principal by = rows[i].by;
		by.roles = 1u << ROLE_APPROVER;
		assert_int_equal(rights_decide(&a, &by, 999), rows[i].code);
	}
	struct principal bob = {.name = "bob", .roles = 1u << ROLE_APPROVER}, few = bob;
	struct approval  all = a, over = a;
	strcpy(few.services, "clara");
	all.service[0] = '\0';
	assert_int_equal(rights_decide(&all, &bob, 999), 0);
	assert_int_equal(rights_decide(&all, &few, 999), E_NOT_FOUND);
	assert_int_equal(rights_decide(&a, &bob, 1000), E_APPROVAL_DECIDED);
	for (unsigned s = APPROVAL_APPROVED; s < APPROVAL_STATE_COUNT; s++) {
		over.state = (enum approval_state)s;
		assert_int_equal(rights_decide(&over, &bob, 1), E_APPROVAL_DECIDED);
	}
	struct approval nobody = {.requester = "scheduler", .expires_at = 1000}; /* empty persons are nobody's */
	struct principal machine = {.name = "m", .roles = 1u << ROLE_APPROVER};
	assert_int_equal(rights_decide(&nobody, &machine, 1), 0);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const bad[] = {"",      "Root",     "root",  "root ", " root", "r\xc3\xb6ot", "\xef\xbc\xb2oot", "agent:clara01", "local:uid-0", "-x",
					  "_x",    "a.b",      "a/b",   "a\nb",  "scheduler", "init", "ADMIN", "alice@example",
					  "123456789012345678901234567890123456789012345678"};
	static const char *const good[] = {"admin", "approver", "a", "alice-2", "ops_bot", "0day",
					   "12345678901234567890123456789012345678901234567"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		if (name_principal_ok(bad[i]))
			fail_msg("`%s` passed", bad[i]);
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		assert_true(name_principal_ok(good[i]));
	enum role r;
	assert_int_equal(role_parse("operator", &r), 0);
	assert_int_equal(r, ROLE_OPERATOR);
	assert_int_equal(role_parse("Operator", &r), E_SYNTAX);
	assert_int_equal(role_parse("", &r), E_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_two_roles),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_narrow),
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_needs_approval),
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
