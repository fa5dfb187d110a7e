/* putback.c - room agent/survey: takes back what a record says: target file, renewer, configuration, reload, folder.
 * Never: giving up the record before everything is back. */
#include "agent/survey/putback.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/file_change.h"
#include "agent/survey/service_control.h"
#include "agent/survey/service_find.h"
#include "agent/survey/takeover.h"
#include "agent/survey/target_folder.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { SWAP_MS = 15000, KEEPER_MS = 30000, SERVES_MS = 20000, PAUSE_MS = 200 };

/* ---- the keeper lets go ------------------------------------------------------------------------------------------- */

static int target_file_remove(const struct undo *u, struct refusal *why)
{
	const char      *name = NULL;
	_cleanup_fd_ int dir = -1;
	int              r = file_place(u->target_file, geteuid(), &dir, &name, why);
	if (r == E_NOT_FOUND)
		return 0;
	if (r == 0)
		r = file_leftover_remove(dir, name, why); /* of a manage that was killed while it wrote the file */
	if (r != 0)
		return r;
	if (unlinkat(dir, name, 0) != 0)
		return errno == ENOENT ? 0 : sys_refuse(why, u->target_file, "remove the target file");
	printf("removed %s\n", u->target_file);
	return dir_sync(dir) != 0 ? sys_refuse(why, u->target_file, "sync the folder") : 0;
}

/* Nobody there, or a swap that does not end: it is not waited for longer. */
static void keeper_wait(const struct agent_conf *conf, const struct undo *u, bool retired, int64_t wait_ms)
{
	const int64_t       until = clock_monotonic() + wait_ms;
	struct target_facts t;
	while (host_target(conf, u->name, &t) && clock_monotonic() < until) {
		/* healing goes on for as long as the service does not serve */
		const bool rests = text_equal(t.phase, "none") || text_equal(t.phase, "done") || text_equal(t.phase, "heal");
		if (rests && (!retired || text_equal(t.wanted, "retired")))
			return;
		poll(NULL, 0, PAUSE_MS);
	}
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static void file_told(const struct undo_file *f, bool edited)
{
	if (f->removed && edited)
		printf("left     %s: it was made anew meanwhile\n", f->path);
	else
		printf("%s %s%s\n", f->made ? "removed" : "restored", f->path,
		       edited ? " (it was edited meanwhile: only our values were put back)" : "");
}

static int files_back(const struct undo *u, struct refusal *why)
{
	int first = 0;
	for (size_t i = u->n_files; i-- > 0;) {
		struct refusal one = {.code = 0};
		bool           edited = false;
		int            r = file_change_undo(&u->file[i], u->target_dir, &edited, &one);
		if (r == 0) {
			file_told(&u->file[i], edited);
		} else if (first == 0) {
			first = r;
			*why = one;
		}
	}
	return first;
}

static int renewer_back(const struct undo_dir *d, struct undo *u, struct refusal *why)
{
	struct refusal after = {.code = 0};
	int            r = 0;
	if (takeover_pauses(u)) {
		u->paused = true;
		r = undo_phase_set(d, u, UNDO_UNDOING, why);
	}
	if (r != 0)
		return r;
	r = takeover_pause(u, why);
	if (r == 0)
		r = files_back(u, why);
	int again = takeover_resume(u, &after);
	if (r == 0 && again != 0) {
		*why = after;
		r = again;
	}
	return r;
}

/* ---- the service -------------------------------------------------------------------------------------------------- */

static bool is_server(const struct server *s, const struct undo *u)
{
	return s->kind == u->kind && s->n_files > 0 && text_equal(s->file[0], u->main_file);
}

/* Several may have been started with the same file: that of the record's unit comes first. */
static struct server *server_of(const struct found *f, const struct undo *u)
{
	struct server *any = NULL;
	for (size_t i = f->n_servers; i-- > 0;) {
		struct server *s = f->server[i];
		if (is_server(s, u) && text_equal(s->process.unit, u->unit))
			return s;
		any = is_server(s, u) ? s : any;
	}
	return any;
}

/* The certificate that its configuration names again. */
static bool disk_fingerprint(const struct undo *u, struct hash *ret)
{
	struct buf  pem = BUF_MAX(SOURCE_BYTES_MAX);
	struct look look = {.result = LOOK_UNKNOWN};
	bool        known = source_pem(u->cert, &pem, NULL) == 0 && look_pem(buf_span(&pem), &look) == 0;
	buf_wipe(&pem);
	*ret = look.fingerprint;
	return known;
}

static int service_back(const struct undo *u, struct refusal *why)
{
	struct found   found;
	struct hash    fingerprint;
	struct server *s = NULL;
	int            r = service_find("", &found, why);
	if (r == 0)
		s = server_of(&found, u);
	if (r == 0 && s == NULL) {
		printf("%s does not run: nothing to reload\n", server_kind_name(u->kind));
		if (u->unit_changed && unit_systemd_runs())
			r = unit_ask("daemon-reload", NULL, why);
	}
	if (s != NULL)
		r = service_test(s, why);
	if (s != NULL && r == 0) {
		char words[SERVER_COMMAND_SIZE];
		service_reload_words(s, u->unit_changed, words, sizeof(words));
		r = service_reload(s, u->unit_changed, why);
		if (r == 0)
			printf("reloaded: %s\n", words);
	}
	if (s != NULL && r == 0 && u->n_listeners > 0 && disk_fingerprint(u, &fingerprint))
		r = service_serves((const char(*)[ADDRESS_SIZE])u->listener, u->n_listeners, u->sni,
				   u->kind == SERVER_POSTGRESQL, fingerprint, SERVES_MS, why);
	found_free(&found);
	return r;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

static uid_t keeper_of(const struct agent_conf *conf)
{
	struct stat st;
	return stat(conf->keeper_dir, &st) == 0 ? st.st_uid : geteuid();
}

static int steps(const struct agent_conf *conf, const struct undo_dir *d, struct undo *u, struct refusal *why)
{
	int r = undo_phase_set(d, u, UNDO_UNDOING, why);
	if (r == 0)
		keeper_wait(conf, u, false, SWAP_MS); /* a swap under way comes to its end, and its order with it */
	if (r == 0)
		r = target_file_remove(u, why);
	if (r == 0)
		keeper_wait(conf, u, true, KEEPER_MS);
	if (r == 0 && fault_point("survey.undo") != 0)
		r = refuse(why, E_SYS_IO, u->name, "stopped before the files were put back");
	if (r == 0)
		r = renewer_back(d, u, why);
	if (r == 0)
		r = service_back(u, why);
	if (r == 0)
		r = target_folder_remove(u->target_dir, keeper_of(conf), why); /* nobody reads it any more */
	if (r == 0)
		r = undo_remove(d, u->name, why);
	return r;
}

int putback(const struct agent_conf *conf, const struct undo_dir *d, struct undo *u, struct refusal *why)
{
	struct refusal cause = {.code = 0};
	char           text[ERR_CODE_SIZE];
	int            r = steps(conf, d, u, &cause);
	if (r == 0)
		return 0;
	return refuse(why, E_SURVEY_UNDO, cause.object, "%s: %s", err_code(cause.code != 0 ? cause.code : r, text),
		      cause.cause);
}
