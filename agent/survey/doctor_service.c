/* doctor_service.c - room agent/survey: the doctor's checks of the services behind the targets: can they be reloaded, do they
 * let go of old certificates, who else renews, what do keys cost. Never: reloading or changing anything; a key that is kept. */
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/doctor_part.h"
#include "agent/survey/key_cost.h"
#include "agent/survey/undo.h"
#include "shared/base/text.h"
#include "shared/conf/target_copies.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

/* The beginning of a plain file; nothing of what is none. */
static struct span text_read(const char *path, char *to, size_t size)
{
	struct stat      st;
	_cleanup_fd_ int fd = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	ssize_t          n = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, to, size) : -1;
	return (struct span){(const uint8_t *)to, n > 0 ? (size_t)n : 0};
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static void unit_judge(struct patient *p, const struct target_conf *t)
{
	struct unit_facts unit;
	struct refusal    why = {.code = 0};
	struct finding   *f = NULL;
	if (!unit_systemd_runs()) {
		f = doctor_find(p, FINDING_ERROR, E_DOCTOR_RELOAD, t->stem, "unit = %s, and systemd does not run here",
				t->unit);
		text_cut(f->next, sizeof(f->next), "Give [reload] a way without systemd: a pidfile, or kind = signal or exec.");
	} else if (unit_facts_read(t->unit, &unit, &why) != 0) {
		doctor_find(p, FINDING_ERROR, E_DOCTOR_RELOAD, t->stem, "%s: %s", t->unit, why.cause);
	} else if (!unit.can_reload) {
		f = doctor_find(p, FINDING_ERROR, E_DOCTOR_RELOAD, t->stem, "%s has no ExecReload=: systemd cannot reload it",
				t->unit);
		snprintf(f->next, sizeof(f->next), "`systemctl edit %s`: add ExecReload= to [Service].", t->unit);
	} else if (!unit_is_active(t->unit)) {
		f = doctor_find(p, FINDING_ERROR, E_DOCTOR_RELOAD, t->stem, "%s is not active", t->unit);
		snprintf(f->next, sizeof(f->next), "`systemctl start %s`; what was renewed meanwhile is served then.", t->unit);
	}
}

static void program_judge(struct patient *p, const struct target_conf *t, const char *key, const char *command)
{
	char           store[TARGET_COMMAND_SIZE];
	char          *argv[32];
	struct refusal why = {.code = 0};
	if (command[0] == '\0')
		return;
	if (target_argv(command, store, sizeof(store), argv, N_ELEMENTS(argv)) != 0 || argv[0] == NULL)
		doctor_find(p, FINDING_ERROR, E_DOCTOR_RELOAD, t->stem, "%s: `%.100s` is no command", key, command);
	else if (access(argv[0], X_OK) != 0)
		doctor_find(p, FINDING_ERROR, E_DOCTOR_RELOAD, t->stem, "%s: %s cannot be run", key, argv[0]);
	else if (source_program(argv[0], &why) != 0)
		doctor_find(p, FINDING_ERROR, why.code, t->stem, "%s: %s: %s", key, why.object, why.cause);
}

/* It lies in a folder of the service's user: anything may stand there in its place. */
static void pidfile_judge(struct patient *p, const struct target_conf *t)
{
	char    text[32];
	int64_t pid = 0;
	if (t->pidfile[0] == '\0')
		return;
	text[text_read(t->pidfile, text, sizeof(text) - 1).n] = '\0';
	text[strcspn(text, " \t\r\n")] = '\0';
	if (text_i64(text, 2, INT_MAX, &pid) != 0 || (kill((pid_t)pid, 0) != 0 && geteuid() == 0))
		doctor_find(p, FINDING_ERROR, E_DOCTOR_RELOAD, t->stem, "%s names no running process", t->pidfile);
}

static void socket_judge(struct patient *p, const struct target_conf *t)
{
	struct stat st;
	if (stat(t->socket, &st) != 0 || !S_ISSOCK(st.st_mode))
		doctor_find(p, FINDING_ERROR, E_HOOK_SOCKET, t->stem, "there is no socket %s", t->socket);
}

/* Kinds of server that read their files at start and reload only. */
static void none_judge(struct patient *p, const struct target_conf *t, const struct server *s)
{
	if (s != NULL && (s->kind == SERVER_NGINX || s->kind == SERVER_APACHE) && target_probed(t))
		doctor_find(p, FINDING_ERROR, E_DOCTOR_RELOAD, t->stem, "kind = none, and %s reads its files at a reload only",
			    server_kind_name(s->kind));
}

void doctor_reload(struct patient *p)
{
	size_t before = p->findings.n;
	for (size_t i = 0; i < p->n_targets; i++) {
		const struct target_conf *t = &p->target[i];
		if (t->unit[0] != '\0' && (t->reload == RELOAD_SYSTEMD || t->reload == RELOAD_POSTGRESQL))
			unit_judge(p, t); /* with other kinds it is only where old workers are looked for */
		if (t->reload == RELOAD_EXEC)
			program_judge(p, t, "command", t->command);
		if (t->reload == RELOAD_SIGNAL || t->reload == RELOAD_POSTGRESQL)
			pidfile_judge(p, t);
		if (t->reload == RELOAD_HAPROXY)
			socket_judge(p, t);
		if (t->reload == RELOAD_NONE)
			none_judge(p, t, p->behind[i]);
		program_judge(p, t, "test", t->test);
	}
	if (p->findings.n == before && p->n_targets > 0)
		doctor_note(p, "each service can be reloaded as its target file says");
}

/* ---- servers with habits of their own ---------------------------------------------------------------------------- */

/* A plain uvicorn ends at SIGHUP, and a plain worker of it below gunicorn keeps what it read. */
void doctor_python(struct patient *p)
{
	size_t before = p->findings.n;
	size_t seen = 0;
	for (size_t i = 0; i < p->n_targets; i++) {
		const struct target_conf *t = &p->target[i];
		const struct server      *s = p->behind[i];
		bool                      hup = t->reload == RELOAD_SYSTEMD ||
			   (t->reload == RELOAD_SIGNAL &&
			    (t->signal[0] == '\0' || text_equal(t->signal, "HUP") || text_equal(t->signal, "SIGHUP")));
		if (s == NULL || s->kind != SERVER_PYTHON)
			continue;
		seen++;
		if (hup && !s->takes_hup)
			doctor_find(p, FINDING_ERROR, E_DOCTOR_PYTHON, t->stem,
				    "%s (pid %d) has no handler for SIGHUP: the next reload ends it", s->process.program,
				    (int)s->process.pid);
	}
	if (seen > 0 && p->findings.n == before)
		doctor_note(p, "Python servers that take a reload: %zu", seen);
}

static bool has_directive(const struct server *s, const char *word)
{
	const size_t n = strlen(word);
	for (size_t i = 0; i < s->src.n; i++) {
		const struct buf *b = &s->src.file[i]->bytes;
		for (size_t at = 0; at + n <= b->n; at++) {
			const uint8_t *found = memmem(b->p + at, b->n - at, word, n);
			if (found == NULL)
				break;
			at = (size_t)(found - b->p);
			size_t line = at;
			while (line > 0 && b->p[line - 1] != '\n' && b->p[line - 1] != '#')
				line--;
			if (line == 0 || b->p[line - 1] == '\n')
				return true; /* no comment before it */
		}
	}
	return false;
}

void doctor_drain(struct patient *p)
{
	size_t before = p->findings.n;
	size_t seen = 0;
	for (size_t i = 0; i < p->n_targets; i++) {
		const struct target_conf *t = &p->target[i];
		const struct server      *s = p->behind[i];
		const json_t             *draining = json_object_get(doctor_target(p, t->stem), "draining");
		char                      age[TIME_TEXT_SIZE];
		if (json_is_object(draining))
			doctor_find(p, FINDING_WARNING, E_SWAP_DRAIN, t->stem, "%lld old workers, the oldest %s",
				    (long long)json_integer_value(json_object_get(draining, "old_workers")),
				    duration_brief(json_integer_value(json_object_get(draining, "oldest_ms")), age));
		if (s == NULL || s->kind != SERVER_NGINX || s->why.code != 0)
			continue;
		seen++;
		if (!has_directive(s, "worker_shutdown_timeout") && (t->max_drain_ms == 0 || t->on_drain != DRAIN_TERMINATE))
			doctor_find(p, FINDING_WARNING, E_DOCTOR_DRAIN, t->stem, "%s sets no worker_shutdown_timeout",
				    s->file[0]);
	}
	if (seen > 0 && p->findings.n == before)
		doctor_note(p, "old workers of nginx have a limit");
}

/* ---- who else ---------------------------------------------------------------------------------------------------- */

static void renewer_judge(struct patient *p, const char *stem, const char *path)
{
	struct renewer *r = calloc(1, sizeof(*r));
	if (r != NULL)
		renewer_find(path, r);
	if (r != NULL && r->kind != RENEWER_NONE)
		doctor_find(p, FINDING_WARNING, E_DOCTOR_RENEWER, stem, "%s still renews %s (%s)", renewer_kind_name(r->kind),
			    path, r->conf);
	free(r);
}

/* A line, comments apart, that holds `word`. */
static bool line_names(struct span text, const char *word)
{
	const size_t n = strlen(word);
	for (const uint8_t *end = text.p + text.n, *line = text.p; line < end;) {
		const uint8_t *stop = memchr(line, '\n', (size_t)(end - line));
		size_t         length = (size_t)((stop != NULL ? stop : end) - line);
		const size_t   blanks = strspn((const char *)line, " \t") < length ? strspn((const char *)line, " \t") : length;
		if (blanks < length && line[blanks] != '#' && memmem(line, length, word, n) != NULL)
			return true;
		line += length + 1;
	}
	return false;
}

/* Jobs by the clock, and what certbot and acme.sh run after a renewal. */
static void jobs_judge(struct patient *p, const char *stem, const char *word)
{
	enum { JOB_MAX = 65536, JOBS_MAX = 512 };
	static const char *const patterns[] = {"/etc/crontab",
					       "/etc/cron.d/*",
					       "/etc/cron.hourly/*",
					       "/etc/cron.daily/*",
					       "/etc/cron.weekly/*",
					       "/etc/cron.monthly/*",
					       "/var/spool/cron/crontabs/*",
					       "/etc/letsencrypt/renewal-hooks/*/*"};
	char                    *text = malloc(JOB_MAX + 1);
	size_t                   left = JOBS_MAX;
	for (size_t i = 0; text != NULL && i < N_ELEMENTS(patterns); i++) {
		char   pattern[512];
		glob_t g = {.gl_pathc = 0};
		snprintf(pattern, sizeof(pattern), "%s%s", p->root, patterns[i]);
		if (glob(pattern, GLOB_NOSORT, NULL, &g) == 0)
			for (size_t k = 0; k < g.gl_pathc && left > 0; k++, left--) {
				struct span job = text_read(g.gl_pathv[k], text, JOB_MAX);
				text[job.n] = '\0';
				if (line_names(job, word))
					doctor_find(p, FINDING_WARNING, E_DOCTOR_RENEWER, stem, "%s names %s", g.gl_pathv[k],
						    word);
			}
		globfree(&g);
	}
	free(text);
}

static void copies_judge(struct patient *p, const struct target_conf *t)
{
	const char        *cursor = t->copies;
	struct target_copy copy;
	while (target_copy_next(&cursor, &copy)) {
		renewer_judge(p, t->stem, copy.path);
		jobs_judge(p, t->stem, copy.path);
	}
}

void doctor_renewer(struct patient *p)
{
	size_t before = p->findings.n;
	char   folder[TARGET_PATH_SIZE];
	char   path[TARGET_PATH_SIZE + 32];
	for (size_t i = 0; i < p->n_targets; i++) {
		const struct target_conf *t = &p->target[i];
		if (!doctor_folder(p, t, folder))
			continue;
		static const char *const names[] = {"cert.pem", "fullchain.pem", "combined.pem"};
		for (size_t k = 0; k < N_ELEMENTS(names); k++) {
			snprintf(path, sizeof(path), "%s/current/%s", folder, names[k]);
			renewer_judge(p, t->stem, path);
		}
		jobs_judge(p, t->stem, folder);
		copies_judge(p, t);
	}
	if (p->findings.n == before && p->n_targets > 0)
		doctor_note(p, "no certbot, certmonger, acme.sh or cron job has to do with these files");
}

void doctor_writer(struct patient *p)
{
	size_t  before = p->findings.n;
	size_t  i;
	json_t *s;
	json_array_foreach(json_object_get(p->status, "targets"), i, s)
	{
		const json_t *care = json_object_get(s, "care");
		if (json_is_true(json_object_get(care, "second_writer")))
			doctor_find(p, FINDING_ERROR, E_DOCTOR_RENEWER, doctor_text(s, "stem"),
				    "a second writer undoes the repairs (%lld changes so far): one a minute is made",
				    (long long)json_integer_value(json_object_get(care, "drifts")));
	}
	if (p->findings.n == before)
		doctor_note(p, "nobody writes against the keeper");
}

/* ---- what `manage` left ------------------------------------------------------------------------------------------ */

static void record_judge(struct patient *p, const struct undo_dir *dir, const char *name)
{
	struct undo   *u = calloc(1, sizeof(*u));
	struct refusal why = {.code = 0};
	if (u != NULL && undo_load(dir, name, u, &why) != 0) {
		doctor_find(p, FINDING_ERROR, why.code, name, "%s", why.cause);
	} else if (u != NULL) {
		if (u->phase != UNDO_MANAGED) {
			struct finding *f = doctor_find(p, FINDING_ERROR, E_DOCTOR_HALF, name, "the record says: %s",
							undo_phase_name(u->phase));
			snprintf(f->next, sizeof(f->next), "`vcc-agent unmanage %s` puts back what is left.", name);
		} else {
			renewer_judge(p, name, u->cert); /* its renewal was switched on again */
		}
		undo_free(u);
	}
	free(u);
}

/* Looked at without the lock and without making the folder: the doctor waits for nobody and leaves nothing. */
void doctor_half(struct patient *p)
{
	char            path[TARGET_PATH_SIZE];
	struct undo_dir dir = {-1, -1};
	size_t          before = p->findings.n;
	if (undo_dir_path(p->conf, path) != 0 || access(path, R_OK | X_OK) != 0 ||
	    dir_open_safe(path, geteuid(), &dir.fd, NULL) != 0)
		return;
	DIR *d = opendir(path);
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.' && e->d_type == DT_DIR && strlen(e->d_name) < CERT_ID_SIZE)
			record_judge(p, &dir, e->d_name);
	if (d != NULL)
		closedir(d);
	undo_dir_close(&dir);
	if (p->findings.n == before)
		doctor_note(p, "nothing is half done");
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static bool type_used(const struct patient *p, enum key_type type)
{
	size_t  i;
	json_t *s;
	json_array_foreach(json_object_get(p->status, "targets"), i,
			   s) if (text_equal(doctor_text(s, "key_type"), key_type_name(type))) return true;
	return false;
}

/* Measured, not guessed: the same template costs ten times as much on a small virtual machine. */
void doctor_keys(struct patient *p)
{
	enum { BUDGET_MS = 500, LONG_US = 5000000 };
	static const enum key_type always[] = {KEY_EC_P256, KEY_RSA_2048, KEY_RSA_3072};
	if (fault_ms("VCC_KEYS_MS", BUDGET_MS) == 0)
		return; /* tests of the other checks would take minutes */
	for (int type = 0; type < KEY_TYPE_COUNT; type++) {
		struct key_cost cost;
		bool            used = type_used(p, (enum key_type)type);
		bool            wanted = used;
		for (size_t i = 0; i < N_ELEMENTS(always); i++)
			wanted |= (int)always[i] == type;
		if (!wanted || key_cost_measure((enum key_type)type, BUDGET_MS, &cost) != 0)
			continue;
		const char *name = key_type_name((enum key_type)type);
		size_t      n = strlen(p->note);
		snprintf(p->note + n, sizeof(p->note) - n, "%s%s%s %.1f ms (longest %.1f)",
			 n > 0 ? ", " : "a key here costs: ", name, used ? " (in use)" : "", (double)cost.median_us / 1000.0,
			 (double)cost.longest_us / 1000.0);
		if (used && cost.median_us > LONG_US)
			doctor_find(p, FINDING_WARNING, E_DOCTOR_KEYS, name, "%.1f s, at most %.1f s of %u tries",
				    (double)cost.median_us / 1e6, (double)cost.longest_us / 1e6, (unsigned)cost.made);
	}
}
