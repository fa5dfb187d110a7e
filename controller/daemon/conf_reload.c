/* conf_reload.c - room controller/daemon: controller.conf and the channels, read again in a running controller.
 * A reading is a value that never changes; workers may hold an earlier one, so these stay until the end: a few KiB for each time
 * that a person reloads. Never: half a reading. */
#include "controller/daemon/conf_reload.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/daemon/deliveries.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

struct reading {
	struct controller_conf conf;
	struct reading        *before;
};

struct conf_reload {
	struct conf_reading last;
	struct reading     *readings; /* of this run, without the first */
};

int conf_reload_open(struct controller *ctl, struct conf_reload **ret)
{
	struct conf_reload *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return E_NOMEM;
	all->last = (struct conf_reading){.well = true, .well_at = ctl->started_at};
	*ret = all;
	return 0;
}

const struct conf_reading *conf_reading(const struct controller *ctl)
{
	return &ctl->conf_reload->last;
}

void conf_reload_free(struct conf_reload *all)
{
	while (all != NULL && all->readings != NULL) {
		struct reading *r = all->readings;
		all->readings = r->before;
		free(r);
	}
	free(all);
}

/* ---- what is different ------------------------------------------------------------------------------------------- */

static bool is_text(const struct conf_key *k)
{
	return k->kind == CONF_TEXT || k->kind == CONF_PATH || k->kind == CONF_LIST;
}

static bool is_same(const struct conf_key *k, const void *a, const void *b)
{
	return is_text(k) ? strcmp(a, b) == 0 : memcmp(a, b, k->size) == 0;
}

static void add_name(json_t *to, const struct conf_key *k)
{
	json_array_append_new(to, json_sprintf("%s.%s", k->section, k->key));
}

/* What needs a restart stays in `fresh` as it was, and is said. `ret_changed`: names of the others. */
static void settle(const struct controller_conf *was, struct controller_conf *fresh, json_t *ret_changed)
{
	for (size_t i = 0; i < controller_schema.n_keys; i++) {
		const struct conf_key *k = &controller_schema.keys[i];
		const uint8_t         *old = (const uint8_t *)was + k->offset;
		uint8_t               *new = (uint8_t *)fresh + k->offset;
		if (is_same(k, old, new))
			continue;
		if (controller_conf_live(k)) {
			add_name(ret_changed, k);
			continue;
		}
		log_line(LOG_LEVEL_WARNING, NULL, "%s.%s is another in the file: it holds after a restart", k->section, k->key);
		memcpy(new, old, k->size);
	}
}

/* ---- one reading ------------------------------------------------------------------------------------------------- */

static int read_channels(struct controller *ctl, const struct controller_conf *conf, struct refusal *why)
{
	struct channels *fresh = NULL;
	int              r = channels_load(conf, &fresh, why);
	if (r == 0)
		r = channels_problem(fresh, why);
	if (r < 0) {
		channels_free(fresh);
		return r;
	}
	return deliveries_reload(ctl, fresh, conf, why);
}

static void hold(struct controller *ctl, struct reading *fresh, json_t *changed)
{
	struct conf_reload *all = ctl->conf_reload;
	struct commit      *c = commit_new(ctl);
	size_t              channels = deliveries_channels(ctl->deliveries)->n;
	fresh->before = all->readings;
	all->readings = fresh;
	ctl->conf = &fresh->conf;
	all->last = (struct conf_reading){.well = true, .well_at = clock_now()};
	log_line(LOG_LEVEL_NOTICE, NULL, "the configuration was read again: %zu settings are new, %zu channels",
		 json_array_size(changed), channels);
	commit_audit(c, &(struct audit_of){.event = AUDIT_CONFIG_RELOADED, .actor = "controller"}, "{s:O,s:I}", "changed", changed,
		     "channels", (json_int_t)channels);
	commit_now(c, NULL, NULL);
}

void conf_reload(struct controller *ctl, const char *path)
{
	struct conf_reading *last = &ctl->conf_reload->last;
	struct reading      *fresh = calloc(1, sizeof(*fresh));
	json_t              *changed = json_array();
	struct refusal       why = {.code = 0};
	int                  r = fresh == NULL ? refuse(&why, E_NOMEM, path, "no memory") : 0;
	if (r == 0)
		r = conf_load(&controller_schema, path, &fresh->conf, NULL, &why);
	if (r == 0) {
		settle(ctl->conf, &fresh->conf, changed);
		r = read_channels(ctl, &fresh->conf, &why);
	}
	if (r == 0) {
		hold(ctl, fresh, changed);
	} else {
		last->well = false;
		last->why = why;
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		log_line(LOG_LEVEL_ERROR, NULL, "the configuration was not taken: what was read before holds on");
		free(fresh);
	}
	json_decref(changed);
}
