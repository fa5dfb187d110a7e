/* test_rights.c - room tests/unit: who may do what, and on which services?
 * Never: routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "controller/core/rights.h"

/* One column a permission, in the order of the table: the whole matrix, so that a new permission must be thought about here. */
static const struct {
	enum role   role;
	const char *may;
} matrix[] = {
	{ROLE_VIEWER, "none certificate:read"},
	{ROLE_OPERATOR, "none certificate:read certificate:renew certificate:revoke certificate:service:renew certificate:bulk "
			"certificate:emergency "
			"agent:read agent:invite agent:evict agent:ban"},
	{ROLE_APPROVER, "none certificate:read approval:read approval:decide"},
	{ROLE_AUDITOR, "none certificate:read audit:read report:read"},
	{ROLE_ADMIN, "none certificate:read certificate:renew certificate:revoke certificate:create certificate:service:renew "
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_two_roles),
		cmocka_unit_test(test_services),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
