/* unit_facts.c - room agent/survey: what systemd knows of a service unit, and asking it for a reload.
 * Never: enabling, disabling, masking; a unit whose name is not one. */
#include "agent/survey/unit_facts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/survey/command.h"
#include "shared/base/text.h"

#define SYSTEMCTL "/usr/bin/systemctl"
enum { SHOW_MS = 20000, JOB_MS = 180000 };

static bool unit_name_ok(const char *unit)
{
	return unit[0] != '\0' && unit[0] != '-' &&
	       strspn(unit, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\@-") == strlen(unit);
}

bool unit_systemd_runs(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

/* "A=1\nB=/a b /c": the value of one name, or NULL. */
static bool property(struct span text, const char *name, char *ret, size_t size)
{
	const size_t n = strlen(name);
	for (size_t at = 0, length; at < text.n; at += length + 1) {
		const uint8_t *line = text.p + at, *stop = memchr(line, '\n', text.n - at);
		length = stop != NULL ? (size_t)(stop - line) : text.n - at;
		if (length > n && memcmp(line, name, n) == 0 && line[n] == '=')
			return text_copy_n(ret, size, (const char *)line + n + 1, length - n - 1) == 0;
	}
	return false;
}

static void dropins_parse(char *list, struct unit_facts *ret)
{
	char *save = NULL;
	for (char *path = strtok_r(list, " ", &save); path != NULL && ret->n_dropins < UNIT_DROPINS_MAX;
	     path = strtok_r(NULL, " ", &save))
		if (path[0] == '/' && text_copy(ret->dropin[ret->n_dropins], SOURCE_PATH_SIZE, path) == 0)
			ret->n_dropins++;
}

bool unit_facts_parse(struct span text, struct unit_facts *ret)
{
	char value[8192];
	*ret = (struct unit_facts){.main_pid = 0};
	if (!property(text, "LoadState", value, sizeof(value)) || !text_equal(value, "loaded"))
		return false;
	ret->can_reload = property(text, "CanReload", value, sizeof(value)) && text_equal(value, "yes");
	if (property(text, "MainPID", value, sizeof(value)))
		ret->main_pid = (pid_t)atoi(value);
	if (!property(text, "FragmentPath", ret->fragment, sizeof(ret->fragment)))
		ret->fragment[0] = '\0';
	if (property(text, "DropInPaths", value, sizeof(value)))
		dropins_parse(value, ret);
	return true;
}

int unit_facts_read(const char *unit, struct unit_facts *ret, struct refusal *why)
{
	const char *const argv[] = {
		SYSTEMCTL, "show", "--no-pager", "-p", "LoadState,CanReload,MainPID,FragmentPath,DropInPaths",
		"--",      unit,   NULL};
	struct buf out = BUF_MAX(COMMAND_OUTPUT_MAX);
	int        status = 0;
	if (!unit_name_ok(unit))
		return refuse(why, E_NOT_FOUND, unit, "this is no unit's name");
	int r = command_run(argv, SHOW_MS, &out, &status, why);
	if (r == 0 && (status != 0 || !unit_facts_parse(buf_span(&out), ret)))
		r = refuse(why, E_NOT_FOUND, unit, "systemd has no such unit loaded");
	buf_free(&out);
	return r;
}

int unit_ask(const char *verb, const char *unit, struct refusal *why)
{
	const char *argv[] = {SYSTEMCTL, verb, unit != NULL ? "--" : NULL, unit, NULL};
	struct buf  out = BUF_MAX(COMMAND_OUTPUT_MAX);
	char        line[200];
	int         status = 0;
	if (unit != NULL && !unit_name_ok(unit))
		return refuse(why, E_NOT_FOUND, unit, "this is no unit's name");
	int r = command_run(argv, JOB_MS, &out, &status, why);
	if (r == 0 && status != 0) {
		command_why(&out, line, sizeof(line));
		r = refuse(why, E_SURVEY_RELOAD, unit != NULL ? unit : verb, "systemctl %s ended with %d: %s", verb, status,
			   line);
	}
	buf_free(&out);
	return r;
}

bool unit_is_active(const char *unit)
{
	const char *const argv[] = {SYSTEMCTL, "is-active", "--quiet", "--", unit, NULL};
	int               status = 1;
	return unit_name_ok(unit) && command_run(argv, SHOW_MS, NULL, &status, NULL) == 0 && status == 0;
}
