/* test_cert_search.c - is a certificate found by what people know of it, and by nothing else?
 * Never: the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/cert_search.h"
#include "shared/base/text.h"

static struct certificate cert(void)
{
	struct certificate c = {.serial = {{0}}};
	text_cut(c.cert_id, sizeof(c.cert_id), "clara01-web");
	text_cut(c.service, sizeof(c.service), "clara");
	text_cut(c.agent, sizeof(c.agent), "clara01");
	text_cut(c.template_id, sizeof(c.template_id), "clara_service_auth");
	text_cut(c.names.text, sizeof(c.names.text), "DNS:www.clara.vcc.internal,IP:192.0.2.9");
	memcpy(c.serial.b + sizeof(c.serial.b) - 3, "\xab\x12\xcd", 3);
	memset(c.fingerprint.b, 0x5f, sizeof(c.fingerprint.b));
	return c;
}

static void what_people_know(void **state)
{
	(void)state;
	const struct certificate c = cert();
	static const char *const fit[] = {"",     " ",         "web",        "WEB",       "clara01",      "www.clara", "192.0.2.9", "service_auth",
					  "ab12", "AB:12:cd", "5f:5f:5f:5f", "5F5F", "clara web", "  web   clara01 ", "-"};
	static const char *const not_fit[] = {"webb", "veritas", "clara veritas", "192.0.2.99", "ab13", "6f", "clara01-web-", "*", "%", "web\x01"};
	for (size_t i = 0; i < N_ELEMENTS(fit); i++)
		if (!cert_search_fits(&c, fit[i]))
			fail_msg("'%s' fits", fit[i]);
	for (size_t i = 0; i < N_ELEMENTS(not_fit); i++)
		if (cert_search_fits(&c, not_fit[i]))
			fail_msg("'%s' does not fit", not_fit[i]);
}

static void without_an_issuance_there_is_no_number(void **state)
{
	(void)state;
	struct certificate c = cert();
	memset(&c.serial, 0, sizeof(c.serial));
	assert_false(cert_search_fits(&c, "0000"));
	assert_false(cert_search_fits(&c, "5f5f"));
	assert_true(cert_search_fits(&c, "web"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_people_know), cmocka_unit_test(without_an_issuance_there_is_no_number)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
