/* cli_config.c - room controller/cli: vccctl config show: every key of a program's configuration, its value, and where that comes from.
 * Never: a secret; what a key names is not opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/ask.h"
#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/controller_conf.h"
#include "shared/conf/gateway_conf.h"
#include "shared/conf/signer_conf.h"

enum { VALUE_MAX = 8192 };

static const struct conf_schema *const schemas[] = {&controller_schema, &gateway_schema, &signer_schema, &agent_schema, &client_schema};

static const struct output_column columns[] = {
	{"KEY", "key", COLUMN_TEXT}, {"VALUE", "value", COLUMN_TEXT}, {"ORIGIN", "origin", COLUMN_TEXT},
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

/* By the name of the file, as packages and `vccctl init` call it. */
static const struct conf_schema *schema_of(const char *path, struct refusal *why)
{
	for (size_t i = 0; i < N_ELEMENTS(schemas); i++)
		if (text_equal(schemas[i]->file, base_name(path)))
			return schemas[i];
	refuse(why, E_CLI_USAGE, path, "the file must be called controller.conf, gateway.conf, signer.conf, agent.conf or vccctl.conf");
	return NULL;
}

static void add_rows(const struct conf_schema *s, const void *conf, char (*origins)[CONF_ORIGIN_SIZE], json_t *rows)
{
	for (size_t i = 0; i < s->n_keys; i++) {
		struct buf value = BUF_MAX(VALUE_MAX);
		conf_value_text(&s->keys[i], conf, &value);
		json_array_append_new(rows, json_pack("{s:o,s:o,s:s}", "key", json_sprintf("%s.%s", s->keys[i].section, s->keys[i].key), "value",
		                                      json_stringn(value.n > 0 ? (const char *)value.p : "", value.n), "origin", origins[i]));
		buf_free(&value);
	}
}

static int of_file(const char *path, json_t *rows, struct refusal *why)
{
	const struct conf_schema *s = schema_of(path, why);
	if (s == NULL)
		return EXIT_USAGE;
	void *conf = calloc(1, s->struct_size);
	char(*origins)[CONF_ORIGIN_SIZE] = calloc(s->n_keys, sizeof(*origins));
	if (conf == NULL || origins == NULL)
		abort();
	int r = conf_load(s, path, conf, origins, why);
	if (r == 0)
		add_rows(s, conf, origins, rows);
	free(conf);
	free(origins);
	return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int show(const struct invocation *in)
{
	struct refusal why;
	struct client  own = in->client;
	const char    *path = verb_value(in, "config");
	json_t        *rows = json_array();
	int            r = EXIT_DONE;
	if (path != NULL)
		r = of_file(path, rows, &why);
	else
		add_rows(&client_schema, &own, own.origin, rows);
	if (r == EXIT_DONE)
		output_list(in->form, columns, N_ELEMENTS(columns) - (verb_given(in, "origin") || in->form == OUTPUT_JSON ? 0 : 1), rows);
	json_decref(rows);
	return r == EXIT_DONE ? r : verb_fail(r, &why);
}

const struct verb cli_config_verbs[] = {
	{"config", "show", "", 0, 0, "every key of vccctl's configuration, or of a daemon's, with its value",
	 {{"origin", NULL, "also where each comes from: FILE:LINE, command line, or default"},
	  {"config", "FILE", "instead: controller.conf, gateway.conf, signer.conf or agent.conf with its drop-ins"}}, show},
};
const size_t cli_config_verbs_n = N_ELEMENTS(cli_config_verbs);
