/* conf_reload.c - room controller/daemon: controller.conf and the channels, read again in a running controller.
 * A reading is a value that never changes; workers may hold an earlier one, so these stay until the end: a few KiB for each time
 * that a person reloads. Never: half a reading. */
#include "controller/daemon/conf_reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/deliveries.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

struct reading {
	struct controller_conf conf;
	struct channels       *channels; /* until they are in force */
	size_t                 settings; /* that are new */
	struct reading        *before;
};

struct conf_reload {
	struct conf_reading last;
	struct reading     *readings; /* of this run, without the first */
	struct reading     *waits;    /* until it is recorded; NULL = none */
	bool                again;    /* asked for meanwhile */
	char                path[CONF_PATH_SIZE];
	conf_reloaded_fn   *done;
	void               *ctx;
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

static void reading_drop(struct reading *r)
{
	if (r != NULL)
		channels_free(r->channels);
	free(r);
}

void conf_reload_free(struct conf_reload *all)
{
	if (all != NULL)
		reading_drop(all->waits);
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

/* What needs a restart stays in `fresh` as it was, and is said. */
static void settle(const struct controller_conf *was, struct controller_conf *fresh)
{
	for (size_t i = 0; i < controller_schema.n_keys; i++) {
		const struct conf_key *k = &controller_schema.keys[i];
		const uint8_t         *old = (const uint8_t *)was + k->offset;
		uint8_t               *new = (uint8_t *)fresh + k->offset;
		if (is_same(k, old, new) || controller_conf_live(k))
			continue;
		log_line(LOG_LEVEL_WARNING, NULL, "%s.%s is another in the file: it holds after a restart", k->section, k->key);
		memcpy(new, old, k->size);
	}
}

/* ---- the records ------------------------------------------------------------------------------------------------- */

/* Addresses of persons are no matter of a trail that forgets nothing. */
static bool is_personal(const struct conf_key *k)
{
	return text_equal(k->section, "contacts");
}

static void record_key(struct commit *c, const struct conf_key *k, const struct controller_conf *conf)
{
	char            object[CERT_ID_SIZE];
	struct buf      to = BUF_MAX(2 * CONF_DOMAINS_SIZE);
	struct audit_of of = {.event = AUDIT_CONFIG_RELOADED, .actor = "controller", .object = object};
	(void)snprintf(object, sizeof(object), "%s.%s", k->section, k->key);
	conf_value_text(k, conf, &to);
	buf_add_u8(&to, '\0');
	if (is_personal(k) || buf_error(&to) < 0)
		commit_audit(c, &of, "{s:b}", "another", 1);
	else
		commit_audit(c, &of, "{s:s}", "to", (const char *)buf_span(&to).p);
	buf_free(&to);
}

/* One of each key that is another. Returns how many. */
static size_t record_keys(struct commit *c, const struct controller_conf *was, const struct controller_conf *conf)
{
	size_t n = 0;
	for (size_t i = 0; i < controller_schema.n_keys; i++) {
		const struct conf_key *k = &controller_schema.keys[i];
		if (is_same(k, (const uint8_t *)was + k->offset, (const uint8_t *)conf + k->offset))
			continue;
		record_key(c, k, conf);
		n++;
	}
	return n;
}

/* ---- one reading ------------------------------------------------------------------------------------------------- */

static int read_channels(struct controller *ctl, struct reading *fresh, struct refusal *why)
{
	int r = channels_load(&fresh->conf, &fresh->channels, why);
	if (r == 0)
		r = channels_problem(fresh->channels, why);
	return r == 0 ? deliveries_room(ctl, fresh->channels, why) : r;
}

static void begin(struct controller *ctl);

static void ended(struct controller *ctl)
{
	struct conf_reload *all = ctl->conf_reload;
	bool                again = all->again && !ctl->stopping;
	all->again = false;
	if (again)
		begin(ctl);
	else if (all->done != NULL)
		all->done(all->ctx);
}

static void refused(struct controller *ctl, struct reading *fresh, const struct refusal *why)
{
	struct conf_reading *last = &ctl->conf_reload->last;
	last->well = false;
	last->why = *why;
	log_refusal(LOG_LEVEL_ERROR, NULL, why);
	log_line(LOG_LEVEL_ERROR, NULL, "the configuration was not taken: what was read before holds on");
	reading_drop(fresh);
	ended(ctl);
}

/* From here on it holds: the trail knows of it. */
static void on_recorded(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct conf_reload *all = ctl->conf_reload;
	struct reading     *fresh = ctx;
	struct refusal      why = {.code = 0};
	(void)result;
	all->waits = NULL;
	if (code < 0 || ctl->stopping) {
		(void)refuse(&why, code < 0 ? code : E_SYS_AGAIN, "audit trail", "the new settings could not be recorded: %s",
			     code < 0 ? err_what(code) : "the controller ends");
		refused(ctl, fresh, &why);
		return;
	}
	log_line(LOG_LEVEL_NOTICE, NULL, "the configuration was read again: %zu settings are new, %zu channels", fresh->settings,
		 fresh->channels->n);
	deliveries_reload(ctl, fresh->channels, &fresh->conf);
	fresh->channels = NULL;
	fresh->before = all->readings;
	all->readings = fresh;
	ctl->conf = &fresh->conf;
	all->last = (struct conf_reading){.well = true, .well_at = clock_now()};
	ended(ctl);
}

static void record(struct controller *ctl, struct reading *fresh)
{
	struct commit *c = commit_new(ctl);
	fresh->settings = record_keys(c, ctl->conf, &fresh->conf);
	commit_audit(c, &(struct audit_of){.event = AUDIT_CONFIG_RELOADED, .actor = "controller"}, "{s:I,s:I}", "changed",
		     (json_int_t)fresh->settings, "channels", (json_int_t)fresh->channels->n);
	ctl->conf_reload->waits = fresh;
	commit_now(c, on_recorded, fresh);
}

static void begin(struct controller *ctl)
{
	const char     *path = ctl->conf_reload->path;
	struct reading *fresh = calloc(1, sizeof(*fresh));
	struct refusal  why = {.code = 0};
	int             r = fresh == NULL ? refuse(&why, E_NOMEM, path, "no memory") : 0;
	if (r == 0)
		r = conf_load(&controller_schema, path, &fresh->conf, NULL, &why);
	if (r == 0) {
		settle(ctl->conf, &fresh->conf);
		r = read_channels(ctl, fresh, &why);
	}
	if (r == 0)
		record(ctl, fresh);
	else
		refused(ctl, fresh, &why);
}

void conf_reload(struct controller *ctl, const char *path, conf_reloaded_fn *done, void *ctx)
{
	struct conf_reload *all = ctl->conf_reload;
	text_cut(all->path, sizeof(all->path), path);
	all->done = done;
	all->ctx = ctx;
	if (all->waits != NULL)
		all->again = true;
	else
		begin(ctl);
}
