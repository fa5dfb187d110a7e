/* reload_systemd.c - room agent/hook: asks systemd over D-Bus to reload a unit and waits for the job's end.
 * Never: start, stop or restart. */
#include "agent/hook/reload.h"

#include <string.h>
#include <systemd/sd-bus.h>

#include "shared/base/text.h"
#include "shared/sys/clock.h"

#define SYSTEMD "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

struct job {
	char path[256]; /* "" until ReloadUnit has answered */
	char removed[256];
	char result[32];
	bool done;
};

/* JobRemoved may come before the answer to ReloadUnit: keep the last one either way. */
static int job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct job *job = userdata;
	uint32_t    id;
	const char *path;
	const char *unit;
	const char *result;
	(void)error;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	if (job->path[0] != '\0' && !text_equal(path, job->path))
		return 0;
	text_cut(job->removed, sizeof(job->removed), path);
	text_cut(job->result, sizeof(job->result), result);
	job->done = job->path[0] != '\0';
	return 0;
}

static int bus_refuse(struct hk_reply *ret, const char *text)
{
	text_cut(ret->output, sizeof(ret->output), text);
	return E_HOOK_UNIT;
}

static int job_start(sd_bus *bus, const char *unit, struct job *job, struct hk_reply *ret)
{
	sd_bus_error    error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char     *path = NULL;
	int             r = sd_bus_call_method(bus, SYSTEMD, "Subscribe", &error, NULL, "");
	if (r >= 0)
		r = sd_bus_call_method(bus, SYSTEMD, "ReloadUnit", &error, &reply, "ss", unit, "replace");
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	int code = 0;
	if (r < 0) {
		code = bus_refuse(ret, error.message != NULL ? error.message : strerror(-r));
	} else {
		text_cut(job->path, sizeof(job->path), path);
		job->done = text_equal(job->removed, job->path);
	}
	sd_bus_message_unref(reply);
	sd_bus_error_free(&error);
	return code;
}

static int job_wait(sd_bus *bus, struct job *job, int64_t until, struct hk_reply *ret)
{
	while (!job->done) {
		int64_t left = until - clock_monotonic();
		if (left <= 0)
			return E_HOOK_TIMEOUT;
		int r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, (uint64_t)left * 1000);
		if (r < 0)
			return bus_refuse(ret, strerror(-r));
	}
	if (text_equal(job->result, "done"))
		return 0;
	/* systemd's word for a unit that does not run */
	return bus_refuse(ret, text_equal(job->result, "invalid") ? "the unit is not active" : job->result);
}

int reload_systemd(const struct reload_job *reload, struct hk_reply *ret)
{
	sd_bus    *bus = NULL;
	struct job job = {.path = "", .removed = "", .result = "", .done = false};
	int64_t    until = clock_monotonic() + reload->target->timeout_ms;
	int        r = sd_bus_open_system(&bus);
	if (r < 0)
		return bus_refuse(ret, "cannot open the system bus");
	sd_bus_set_method_call_timeout(bus, (uint64_t)reload->target->timeout_ms * 1000);
	r = sd_bus_match_signal(bus, NULL, SYSTEMD, "JobRemoved", job_removed, &job);
	r = r < 0 ? bus_refuse(ret, strerror(-r)) : job_start(bus, reload->target->unit, &job, ret);
	if (r == 0)
		r = job_wait(bus, &job, until, ret);
	sd_bus_flush_close_unref(bus);
	return r;
}
