/* test_web_origin.c - whose page does a browser's request come from? Every row of the matrix of Host, Origin and Sec-Fetch-Site.
 * Never: sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/web_origin.h"
#include "shared/base/text.h"
#include "shared/conf/controller_conf.h"

static struct controller_conf conf;

static int configure(void **state)
{
	(void)state;
	text_cut(conf.public_name, sizeof(conf.public_name), "pki.vcc.internal");
	text_cut(conf.admin_listen, sizeof(conf.admin_listen), "192.0.2.7:8444");
	return 0;
}

static int judge(const char *method, const char *host, const char *origin, const char *site)
{
	struct http_request q = {.listener = HTTP_ADMIN};
	struct refusal      why = {0};
	text_cut(q.method, sizeof(q.method), method);
	text_cut(q.host, sizeof(q.host), host);
	text_cut(q.origin, sizeof(q.origin), origin);
	text_cut(q.fetch_site, sizeof(q.fetch_site), site);
	int r = web_origin_check(&q, &conf, &why);
	assert_int_equal(r, why.code);
	return r;
}

#define OWN "pki.vcc.internal:8444"

static void the_matrix(void **state)
{
	(void)state;
	static const struct {
		const char *method, *host, *origin, *site;
		int         code;
	} rows[] = {
		{"POST", OWN, "https://" OWN, "same-origin", 0},
		{"POST", OWN, "https://" OWN, "", 0}, /* an older browser */
		{"POST", OWN, "", "same-origin", 0},
		{"POST", OWN, "", "", E_SESSION_ORIGIN},
		{"POST", OWN, "", "none", E_SESSION_ORIGIN},
		{"POST", OWN, "https://" OWN, "same-site", E_SESSION_ORIGIN},
		{"POST", OWN, "https://" OWN, "cross-site", E_SESSION_ORIGIN},
		{"POST", OWN, "https://evil.example", "same-origin", E_SESSION_ORIGIN},
		{"POST", OWN, "null", "", E_SESSION_ORIGIN},
		{"POST", OWN, "null", "same-origin", E_SESSION_ORIGIN},
		{"POST", OWN, "http://" OWN, "same-origin", E_SESSION_ORIGIN},
		{"POST", OWN, "https://pki.vcc.internal", "same-origin", E_SESSION_ORIGIN}, /* another port is another origin */
		{"POST", OWN, "https://" OWN ".evil.example", "", E_SESSION_ORIGIN},
		{"GET", OWN, "", "", 0},
		{"GET", OWN, "", "none", 0}, /* typed by a person */
		{"GET", OWN, "", "same-origin", 0},
		{"GET", OWN, "", "same-site", E_SESSION_ORIGIN},
		{"GET", OWN, "", "cross-site", E_SESSION_ORIGIN},
		{"GET", OWN, "https://evil.example", "", E_SESSION_ORIGIN},
		{"DELETE", OWN, "", "none", E_SESSION_ORIGIN},
		{"GET", "evil.example:8444", "https://evil.example:8444", "same-origin", E_SESSION_HOST}, /* DNS rebinding */
		{"POST", "evil.example", "https://evil.example", "same-origin", E_SESSION_HOST},
		{"GET", "", "", "", E_SESSION_HOST},
		{"GET", "pki.vcc.internal.", "", "", E_SESSION_HOST},
		{"GET", "PKI.vcc.internal", "", "", 0},
		{"GET", "192.0.2.7:8444", "", "", 0},
		{"GET", "192.0.2.8:8444", "", "", E_SESSION_HOST},
		{"GET", "localhost:1", "", "", 0},
		{"GET", "[::1]:8444", "", "", 0},
		{"GET", "127.0.0.1", "", "", 0},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (judge(rows[i].method, rows[i].host, rows[i].origin, rows[i].site) != rows[i].code)
			fail_msg("row %zu: %s %s origin '%s' site '%s'", i, rows[i].method, rows[i].host, rows[i].origin, rows[i].site);
}

static void programs_say_nothing_of_themselves(void **state)
{
	(void)state;
	struct http_request q = {.listener = HTTP_ADMIN};
	assert_false(web_is_browser(&q));
	text_cut(q.origin, sizeof(q.origin), "null");
	assert_true(web_is_browser(&q));
	q.origin[0] = '\0';
	text_cut(q.fetch_site, sizeof(q.fetch_site), "none");
	assert_true(web_is_browser(&q));
}

static void listening_on_all_addresses_adds_no_name(void **state)
{
	(void)state;
	text_cut(conf.admin_listen, sizeof(conf.admin_listen), "*:8444");
	assert_int_equal(judge("GET", "192.0.2.7:8444", "", ""), E_SESSION_HOST);
	assert_int_equal(judge("GET", OWN, "", ""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_matrix, configure),
		cmocka_unit_test_setup(programs_say_nothing_of_themselves, configure),
		cmocka_unit_test_setup(listening_on_all_addresses_adds_no_name, configure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
