/* test_peer_conf.c - room tests/unit: is what a host's owner writes about relying on others read strictly, and found again?
 * Never: agent.conf as a whole (test_conf.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "shared/conf/peer_conf.h"

static void test_refused(void **state)
{
	static const char *const lists[] = {
		"web",
		"web 127.0.0.1:443",
		"web 127.0.0.1:443 a.b c",          /* no such way to begin */
		"web 127.0.0.1:443 a.b postgresql c",
		"web 127.0.0.1 a.b",                /* no port */
		"web 127.0.0.1:0 a.b",
		"web 127.0.0.1:65536 a.b",
		"web :443 a.b",
		"Web 127.0.0.1:443 a.b",            /* no certificate id */
		"web 127.0.0.1:443 *.b",            /* clients ask for a name, not for a pattern */
		"web 127.0.0.1:443 a..b",
		"web 127.0.0.1:443 a.b, web 127.0.0.1:444 a.b", /* twice */
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(lists); i++) {
		struct peers_conf conf;
		struct refusal    why = {.code = 0};
		if (peers_conf_read(lists[i], &conf, &why) != E_CONF_VALUE || strcmp(why.object, "peer.relies") != 0)
			fail_msg("`%s` was taken", lists[i]);
	}
}

static void test_too_much(void **state)
{
	char              list[PEER_TEXT_SIZE] = "";
	size_t            used = 0;
	struct peers_conf conf;
	struct refusal    why;
	(void)state;
	for (int i = 0; i < PEERS_MAX; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "c%d 127.0.0.1:%d a.b, ", i, i + 1);
	assert_int_equal(peers_conf_read(list, &conf, &why), 0);
	assert_int_equal(conf.n, PEERS_MAX);
	snprintf(list + used, sizeof(list) - used, "one-more 127.0.0.1:99 a.b");
	assert_int_equal(peers_conf_read(list, &conf, &why), E_CONF_VALUE);
	memset(list, 'a', 1000);
	list[1000] = '\0';
	assert_int_equal(peers_conf_read(list, &conf, &why), E_CONF_VALUE);
}

static void test_read(void **state)
{
	struct peers_conf conf;
	struct refusal    why;
	(void)state;
	assert_int_equal(peers_conf_read("", &conf, &why), 0);
	assert_int_equal(conf.n, 0);
	assert_null(peers_conf_find(&conf, "web"));
	assert_int_equal(peers_conf_read("web [2001:db8::1]:443  Clara.VCC.internal , db db.example:5432 192.0.2.1 postgresql", &conf, &why), 0);
	assert_int_equal(conf.n, 2);
	const struct peer_told *web = peers_conf_find(&conf, "web"), *db = peers_conf_find(&conf, "db");
	assert_true(!conf.postgresql[0] && conf.postgresql[1]);
	assert_string_equal(web->address, "[2001:db8::1]:443");
	assert_string_equal(web->name, "clara.vcc.internal"); /* names have one spelling */
	assert_string_equal(db->address, "db.example:5432");
	assert_string_equal(db->name, "192.0.2.1");
	assert_null(peers_conf_find(&conf, "we"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
