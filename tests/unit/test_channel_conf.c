/* test_channel_conf.c - is a channel's address refused without being shown? Never: files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/text.h"
#include "shared/conf/channel_conf.h"

#define SECRET "T0SECRET"

static int parse(const char *kind, const char *url, struct refusal *why)
{
	struct channel_conf conf;
	char                text[1200];
	snprintf(text, sizeof(text), "[channel]\nkind = %s\nurl = %s\n[smtp]\nfrom = pki@vcc.internal\n", kind, url);
	*why = (struct refusal){.code = 0};
	return conf_parse(&channel_schema, "team.conf", span_text(text), &conf, why);
}

/* It is all that one needs to write into somebody's chat, and a refusal is logged and shown. */
static void test_an_address_is_refused_unseen(void **state)
{
	static const char *const bad[][2] = {
		{"webhook", "htps://hooks.example/" SECRET},
		{"webhook", "http://hooks.example/" SECRET},
		{"webhook", "smtp://hooks.example/" SECRET},
		{"alertmanager", "hooks.example/" SECRET},
		{"smtp", "https://hooks.example/" SECRET},
		{"webhook", "https://hooks.example/a b/" SECRET},
		{"webhook", "https://user:" SECRET "@hooks.example/"},
	};
	struct refusal why;
	char           url[1024] = "https://hooks.example/" SECRET;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_int_equal(parse(bad[i][0], bad[i][1], &why), E_CONF_VALUE);
		if (strstr(why.cause, SECRET) != NULL || strstr(why.object, SECRET) != NULL)
			fail_msg("`%s` is shown: %s", bad[i][1], why.cause);
	}
	memset(url + strlen(url), 'x', CHANNEL_URL_SIZE);
	assert_int_equal(parse("webhook", url, &why), E_CONF_VALUE);
	assert_null(strstr(why.cause, SECRET));
	assert_non_null(strstr(why.cause, "channel.url"));
	assert_int_equal(parse("webhook", "https://hooks.example/" SECRET, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_an_address_is_refused_unseen)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
