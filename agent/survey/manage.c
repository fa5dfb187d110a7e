/* manage.c - room agent/survey: `vcc-agent manage` and `unmanage`.
 * Never: half of it; after a kill either verb converges. */
#include "agent/survey/manage.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/survey/file_change.h"
#include "agent/survey/plan.h"
#include "agent/survey/putback.h"
#include "agent/survey/service_control.h"
#include "agent/survey/takeover.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_NOT_FOUND = 3, STATUS_REFUSED = 4, STATUS_PARTLY = 6 };
enum { SERVES_MS = 20000, PROOF_MS = 60000, PAUSE_MS = 300 };

struct manage {
	const struct manage_request *q;
	struct undo_dir              dir;
	struct host_facts            host;
	struct found                 found;
	struct plan                  plan;
};

static int tell(const struct refusal *why)
{
	char text[640];
	fprintf(stderr, "vcc-agent: %s\n", refusal_text(why, text, sizeof(text)));
	if (why->code == E_SURVEY_UNKNOWN || why->code == E_SURVEY_NOT_MANAGED)
		return STATUS_NOT_FOUND;
	if (why->code == E_SURVEY_UNDO)
		return STATUS_PARTLY;
	return err_kind(why->code) == ERR_KIND_DENIED ? STATUS_REFUSED : STATUS_FAILED;
}

/* ---- before anything ---------------------------------------------------------------------------------------------- */

static int name_check(const char *name, struct refusal *why)
{
	size_t n = strlen(name);
	if (n == 0 || n >= CERT_ID_SIZE || name[0] == '.' || name[0] == '-' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != n)
		return refuse(why, E_SURVEY_UNKNOWN, name, "this cannot be the name of a service");
	return geteuid() == 0 ? 0
			      : refuse(why, E_SURVEY_CANNOT, name,
				       "only root can change a service's configuration: repeat it with sudo");
}

/* What an interrupted run left is put back first. */
static int leftover_clear(struct manage *m, struct refusal *why)
{
	struct undo old;
	int         r = undo_load(&m->dir, m->q->name, &old, why);
	if (r == E_NOT_FOUND)
		return 0;
	if (r != 0)
		return r;
	if (old.phase == UNDO_MANAGED)
		r = refuse(why, E_SURVEY_EXISTS, m->q->name, "`vcc-agent manage` has done it already");
	else if (m->q->dry_run)
		r = refuse(why, E_SURVEY_EXISTS, m->q->name,
			   "an earlier run was interrupted: manage or unmanage puts that in order first");
	else {
		printf("an earlier run was interrupted; it is put back first\n");
		r = putback(m->q->conf, &m->dir, &old, why);
	}
	undo_free(&old);
	return r;
}

static int look_around(struct manage *m, struct refusal *why)
{
	int r = host_facts_read(m->q->conf, &m->host, why);
	if (r == 0)
		r = service_find(m->host.targets, &m->found, why);
	if (r != 0)
		return r;
	const struct found_service *v = found_name(&m->found, m->q->name);
	if (v == NULL)
		return refuse(why, E_SURVEY_UNKNOWN, m->q->name, "`vcc-agent discover` finds no such service");
	return plan_make(m->q->conf, &m->host, v, m->q->template_id, m->q->from, &m->plan, why);
}

/* ---- doing it ----------------------------------------------------------------------------------------------------- */

static int files_change(const struct plan *p, struct refusal *why)
{
	for (size_t i = 0; i < p->undo.n_files; i++) {
		const struct undo_file *f = &p->undo.file[i];
		if (f->removed) /* the other tool's record: later */
			continue;
		int r = file_change_apply(f, buf_span(&p->after[i]), why);
		if (r != 0)
			return r;
		printf("%s %s\n", f->made ? "wrote  " : "changed", f->path);
	}
	return 0;
}

static int folder_make(const struct plan *p, struct refusal *why)
{
	char path[TARGET_PATH_SIZE + 40];
	int  r = target_folder_make(p->undo.target_dir, p->keeper, p->keeper_gid, &p->before, why);
	if (r != 0)
		return r;
	printf("made    %s\n", p->undo.target_dir);
	snprintf(path, sizeof(path), "%s/current/%s", p->undo.target_dir, p->proposal.combined ? "combined.pem" : "key.pem");
	if (p->reader != 0 && !target_readable(path, p->reader, p->reader_gid))
		return refuse(why, E_SURVEY_UNSAFE, path, "uid %u in group %u could not read it there", (unsigned)p->reader,
			      (unsigned)p->reader_gid);
	return 0;
}

static int service_turn(const struct plan *p, struct refusal *why)
{
	char                 words[SERVER_COMMAND_SIZE];
	const struct undo   *u = &p->undo;
	const struct server *s = p->service->server;
	int                  r = service_test(s, why);
	if (r == 0)
		r = service_reload(s, u->unit_changed, why);
	if (r != 0)
		return r;
	service_reload_words(s, u->unit_changed, words, sizeof(words));
	printf("reload  %s\n", words);
	r = service_serves((const char(*)[ADDRESS_SIZE])u->listener, u->n_listeners, u->sni, u->kind == SERVER_POSTGRESQL,
			   p->service->disk.fingerprint, SERVES_MS, why);
	if (r == 0)
		printf("serves  the same certificate as before on %zu listeners\n", u->n_listeners);
	return r;
}

/* certmonger takes its file away itself when it is told; a file that is gone is as it should be. */
static int renewer_end(const struct plan *p, struct refusal *why)
{
	int r = takeover_tell(&p->undo, why);
	for (size_t i = 0; r == 0 && i < p->undo.n_files; i++) {
		const struct undo_file *f = &p->undo.file[i];
		if (!f->removed || access(f->path, F_OK) != 0)
			continue;
		r = file_change_apply(f, (struct span){NULL, 0}, why);
	}
	if (r == 0 && p->undo.renewer.kind != RENEWER_NONE)
		printf("ended   the renewal by %s (%s)\n", renewer_kind_name(p->undo.renewer.kind), p->undo.renewer.name);
	return r;
}

/* With this file the keeper takes over: it is the last step. */
static int target_write(const struct plan *p, struct refusal *why)
{
	const char      *name = NULL;
	_cleanup_fd_ int dir = -1;
	int              r = file_place(p->undo.target_file, geteuid(), &dir, &name, why);
	if (r == 0 && fault_point("survey.target") != 0)
		r = sys_refuse(why, p->undo.target_file, "write the target file");
	if (r == 0)
		r = file_replace(dir, name, span_text(p->proposal.text), 0, 0, 0644, why);
	if (r == 0)
		printf("wrote   %s\n", p->undo.target_file);
	return r;
}

static int change_all(struct manage *m, struct refusal *why)
{
	struct plan *p = &m->plan;
	int          r = folder_make(p, why);
	if (r == 0)
		r = files_change(p, why);
	if (r == 0)
		r = service_turn(p, why);
	if (r == 0)
		r = renewer_end(p, why);
	if (r == 0)
		r = target_write(p, why);
	return r == 0 ? undo_phase_set(&m->dir, &p->undo, UNDO_MANAGED, why) : r;
}

/* A person wants to see the first swap proved; that it takes longer is no failure. */
static void proof_wait(const struct manage *m)
{
	const int64_t       until = clock_monotonic() + PROOF_MS;
	struct target_facts t;
	while (clock_monotonic() < until) {
		if (host_target(m->q->conf, m->q->name, &t) && t.issued && t.served) {
			printf("done: the new certificate is served and proved\n");
			return;
		}
		if (t.code[0] != '\0' && !t.issued) {
			printf("under way, with an error so far: %s %.200s; see `vcc-agent status`\n", t.code, t.error);
			return;
		}
		poll(NULL, 0, PAUSE_MS);
	}
	printf("under way: %s; see `vcc-agent status`\n",
	       m->host.connected ? "the first certificate is not proved yet" : "the controller is away");
}

static int manage_run(struct manage *m, struct refusal *why)
{
	struct refusal cause = {.code = 0};
	/* a configuration that is broken already would look as if we had broken it */
	int r = service_test(m->plan.service->server, why);
	if (r == 0)
		r = undo_save(&m->dir, &m->plan.undo, why);
	if (r != 0)
		return r;
	r = fault_point("survey.saved") != 0 ? refuse(&cause, E_SYS_IO, m->q->name, "stopped after the record was written")
					     : change_all(m, &cause);
	if (r == 0)
		return 0;
	*why = cause;
	fprintf(stderr, "vcc-agent: %s: %s: putting everything back\n", cause.object, cause.cause);
	struct refusal undo_why = {.code = 0};
	if (putback(m->q->conf, &m->dir, &m->plan.undo, &undo_why) != 0) {
		*why = undo_why;
		return undo_why.code;
	}
	return r;
}

int manage(const struct manage_request *q)
{
	struct manage *m = calloc(1, sizeof(*m));
	struct refusal why = {.code = 0};
	int            r = m != NULL ? name_check(q->name, &why) : refuse(&why, E_NOMEM, q->name, "no memory");
	if (m == NULL)
		return tell(&why);
	m->q = q;
	m->dir = (struct undo_dir){-1, -1};
	if (r == 0)
		r = undo_dir_open(q->conf, &m->dir, &why);
	if (r == 0)
		r = leftover_clear(m, &why);
	if (r == 0)
		r = look_around(m, &why);
	if (r == 0 && q->dry_run)
		plan_show(&m->plan, stdout);
	else if (r == 0)
		r = manage_run(m, &why);
	if (r == 0 && !q->dry_run)
		proof_wait(m);
	plan_free(&m->plan);
	found_free(&m->found);
	undo_dir_close(&m->dir);
	free(m);
	return r == 0 ? STATUS_DONE : tell(&why);
}

int unmanage(const struct agent_conf *conf, const char *name)
{
	struct undo_dir dir = {-1, -1};
	struct undo     u = {.n_files = 0};
	struct refusal  why = {.code = 0};
	int             r = name_check(name, &why);
	if (r == 0)
		r = undo_dir_open(conf, &dir, &why);
	if (r == 0)
		r = undo_load(&dir, name, &u, &why);
	if (r == E_NOT_FOUND)
		r = refuse(&why, E_SURVEY_NOT_MANAGED, name, "there is no record that `vcc-agent manage` was run for it");
	else if (r == 0)
		r = putback(conf, &dir, &u, &why);
	if (r == 0)
		printf("done: everything is as it was; the controller retires the certificate\n");
	undo_free(&u);
	undo_dir_close(&dir);
	return r == 0 ? STATUS_DONE : tell(&why);
}
