/* cli_peer.c - room controller/cli: vccctl cert proof ...
 * Never: judging what a relying party saw. */
#include <stdio.h>
#include <time.h>

#include "controller/cli/ask.h"
#include "controller/cli/cli_peer.h"
#include "shared/base/text.h"
#include "shared/model/names.h"

enum { LOOKS = 60, LOOK_MS = 500 };

static const struct output_column columns[] = {
	{"RELYING PARTY", "agent", COLUMN_TEXT}, {"REACHES IT AT", "address", COLUMN_TEXT}, {"AS", "name", COLUMN_TEXT},
	{"COUNTS", "counts", COLUMN_TEXT},       {"PROVED", "proved", COLUMN_TEXT},         {"CODE", "code", COLUMN_TEXT},
	{"ERROR", "error", COLUMN_TEXT},         {"LOOKED AT", "judged_at", COLUMN_TIME},
};

void peer_print(enum output_form form, const json_t *rows)
{
	output_list(form, columns, N_ELEMENTS(columns), rows);
}

static const char *text_of(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));
	return text != NULL ? text : "";
}

/* Has everybody who was asked looked since? */
static bool all_new(const json_t *before, const json_t *now, json_int_t asked)
{
	json_int_t news = 0;
	for (size_t i = 0; i < json_array_size(now); i++) {
		const json_t *row = json_array_get(now, i);
		for (size_t j = 0; j < json_array_size(before); j++)
			if (text_equal(text_of(json_array_get(before, j), "agent"), text_of(row, "agent")))
				news += !text_equal(text_of(json_array_get(before, j), "judged_at"), text_of(row, "judged_at"));
	}
	return news >= asked;
}

static bool all_proved(const json_t *rows)
{
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (json_is_true(json_object_get(json_array_get(rows, i), "counts")) &&
		    !json_is_true(json_object_get(json_array_get(rows, i), "proved")))
			return false;
	return true;
}

static int follow(const struct invocation *in, const char *path, const json_t *asked, json_t **ret, struct refusal *why)
{
	const json_t *before = json_object_get(asked, "relying_parties");
	json_t       *cert = NULL;
	int           r = EXIT_DONE;
	for (int i = 0; r == EXIT_DONE && i < LOOKS; i++) {
		struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
		(void)nanosleep(&pause, NULL);
		json_decref(cert);
		cert = NULL;
		r = client_call(&in->client, "GET", path, NULL, NULL, &cert, why);
		if (r == EXIT_DONE && all_new(before, json_object_get(cert, "relying_parties"),
					      json_integer_value(json_object_get(asked, "asked"))))
			break;
	}
	*ret = cert;
	return r;
}

/* Exit code 6: somebody is away, or has not seen what he should. */
static int proof(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE], ask[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *asked = NULL, *cert = NULL;
	if (!name_cert_id_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no cert_id");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	snprintf(path, sizeof(path), "/api/v1/certificates/%s", in->words[0]);
	snprintf(ask, sizeof(ask), "/api/v1/certificates/%s/peer-proof", in->words[0]);
	int r = client_call(&in->client, "POST", ask, NULL, NULL, &asked, &why);
	if (r == EXIT_DONE)
		r = follow(in, path, asked, &cert, &why);
	if (r == EXIT_DONE) {
		const json_t *rows = json_object_get(cert, "relying_parties");
		bool          good = json_integer_value(json_object_get(asked, "away")) == 0 && all_proved(rows);
		peer_print(in->form, rows);
		output_none(in->form, rows, "relying parties");
		r = good ? EXIT_DONE : EXIT_PARTLY;
	} else {
		r = verb_fail(r, &why);
	}
	json_decref(asked);
	json_decref(cert);
	return r;
}

const struct verb cli_peer_verbs[] = {
	{"cert",
	 "proof",
	 "CERT_ID",
	 1,
	 1,
	 "asks the relying parties to look from their own hosts (exit code 6: not all have seen it)",
	 {{0}},
	 proof},
};
const size_t cli_peer_verbs_n = N_ELEMENTS(cli_peer_verbs);
