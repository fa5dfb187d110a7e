/* host_facts.c - room agent/survey: who this host is to the controller, and which targets it has, as the keeper tells it.
 * Never: guessing. */
#include "agent/survey/host_facts.h"

#include <stdlib.h>
#include <string.h>

#include "agent/survey/keeper_ask.h"
#include "shared/base/text.h"

static int status_ask(const struct agent_conf *conf, struct buf *bytes, struct span *ret_json, struct refusal *why)
{
	struct lk_status_request request = {.detail = 0};
	struct wire_frame       *frame = calloc(1, sizeof(*frame));
	int                      r = frame != NULL ? 0 : refuse(why, E_NOMEM, "keeper", "no memory");
	if (r == 0)
		r = keeper_ask(conf->keeper_socket, LK_STATUS_REQUEST, &request, LK_STATUS, bytes, frame, why);
	if (r == 0)
		*ret_json = frame->u.lk_status.json;
	free(frame);
	return r;
}

static void text_of(const json_t *o, const char *name, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(o, name));
	text_cut(ret, size, text != NULL ? text : "");
	text_hide_controls(ret);
}

/* They become words of a target file, which names commands of root: the keeper may not choose those. */
static int identity_check(const struct host_facts *h, struct refusal *why)
{
	char canonical[DNS_NAME_SIZE];
	if (h->agent[0] == '\0')
		return refuse(why, E_SURVEY_IDENTITY, "keeper", "this host has no name yet: it has not joined");
	if (!name_agent_ok(h->agent) || !name_service_ok(h->service) || name_dns(h->domain, false, canonical) != 0)
		return refuse(why, E_SURVEY_IDENTITY, "keeper",
			      "what it says of this host's agent, service or domain is no name");
	return 0;
}

static int patterns_parse(const json_t *root, struct names *ret, struct refusal *why)
{
	const char *list = json_string_value(json_object_get(root, "patterns"));
	char        bad[DNS_NAME_SIZE] = "";
	if (names_parse(list != NULL ? list : "", true, ret, bad) != 0)
		return refuse(why, E_SURVEY_IDENTITY, "keeper", "`%s` is no name pattern", bad);
	return 0;
}

int host_facts_parse(const struct agent_conf *conf, struct span json, struct host_facts *ret, struct refusal *why)
{
	json_t *root = json_loadb((const char *)json.p, json.n, 0, NULL);
	int     r = root != NULL ? 0 : refuse(why, E_SURVEY_IDENTITY, "keeper", "its answer cannot be read");
	*ret = (struct host_facts){.connected = false};
	text_of(root, "agent", ret->agent, sizeof(ret->agent));
	text_of(root, "service", ret->service, sizeof(ret->service));
	text_of(root, "domain", ret->domain, sizeof(ret->domain));
	ret->connected = json_is_true(json_object_get(root, "connected"));
	if (r == 0)
		r = patterns_parse(root, &ret->patterns, why);
	json_decref(root);
	if (r == 0)
		r = identity_check(ret, why);
	struct target_conf *any = r == 0 ? calloc(1, sizeof(*any)) : NULL; /* the folder of a target without `dir` */
	if (any != NULL && agent_target_dir(conf, any, ret->targets) == 0)
		*strrchr(ret->targets, '/') = '\0';
	free(any);
	return r;
}

int host_facts_read(const struct agent_conf *conf, struct host_facts *ret, struct refusal *why)
{
	struct buf     bytes = BUF_MAX(wire_link.frame_max);
	struct span    json = {NULL, 0};
	struct refusal cause = {.code = 0};
	int            r = status_ask(conf, &bytes, &json, &cause);
	if (r != 0)
		r = refuse(why, E_SURVEY_IDENTITY, conf->keeper_socket, "%s", cause.cause);
	else
		r = host_facts_parse(conf, json, ret, why);
	buf_free(&bytes);
	return r;
}

static void target_parse(const json_t *t, struct target_facts *ret)
{
	const char *issued = json_string_value(json_object_get(t, "fingerprint"));
	const char *served = json_string_value(json_object_get(t, "served"));
	text_of(t, "phase", ret->phase, sizeof(ret->phase));
	text_of(t, "wanted", ret->wanted, sizeof(ret->wanted));
	text_of(t, "last_code", ret->code, sizeof(ret->code));
	text_of(t, "last_error", ret->error, sizeof(ret->error));
	ret->issued = json_is_string(json_object_get(t, "issued"));
	ret->served = ret->issued && issued != NULL && served != NULL && text_equal(issued, served);
}

bool host_target(const struct agent_conf *conf, const char *stem, struct target_facts *ret)
{
	struct buf  bytes = BUF_MAX(wire_link.frame_max);
	struct span json = {NULL, 0};
	bool        found = false;
	*ret = (struct target_facts){.issued = false};
	if (status_ask(conf, &bytes, &json, NULL) == 0) {
		json_t *root = json_loadb((const char *)json.p, json.n, 0, NULL);
		json_t *t;
		size_t  i;
		json_array_foreach(json_object_get(root, "targets"), i, t)
		{
			const char *name = json_string_value(json_object_get(t, "stem"));
			if (!found && name != NULL && text_equal(name, stem)) {
				target_parse(t, ret);
				found = true;
			}
		}
		json_decref(root);
	}
	buf_free(&bytes);
	return found;
}
