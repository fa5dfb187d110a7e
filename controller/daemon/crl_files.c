/* crl_files.c - room controller/daemon: one list at a time from memory to its file.
 * Never: more than one job under way; a file that is half written. */
#include "controller/daemon/crl_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/daemon/crls.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum { RETRY_MS = 10 * 1000, NAME_SIZE = 32, FOLDER_SIZE = CONF_PATH_SIZE + ISSUER_ID_SIZE + 16 };

struct crl_files {
	bool    busy;
	bool    all_stale; /* all.pem is to be written, after the lists */
	int64_t retry_at;  /* monotonic; 0 = nothing has failed */
};

int crl_files_open(struct controller *ctl, struct crl_files **ret)
{
	(void)ctl;
	struct crl_files *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return E_NOMEM;
	*ret = f;
	return 0;
}

void crl_files_free(struct crl_files *f)
{
	free(f);
}

struct write_job {
	struct controller *ctl;
	char               folder[FOLDER_SIZE], name[NAME_SIZE];
	char               issuer_id[ISSUER_ID_SIZE]; /* "" = all.pem */
	uint32_t           shard;
	struct refusal     why;
	int                code;
	size_t             n;
	uint8_t            bytes[];
};

static void write_file(void *job, struct store_view *view)
{
	(void)view;
	struct write_job *j = job;
	_cleanup_fd_ int  dir = -1;
	j->code = dir_make(j->folder, 0755, &j->why);
	if (j->code == 0)
		j->code = dir_open_safe(j->folder, geteuid(), &dir, &j->why);
	if (j->code == 0)
		j->code = file_replace(dir, j->name, (struct span){j->bytes, j->n}, (uid_t)-1, (gid_t)-1, 0644, &j->why);
}

static void start_next(struct controller *ctl);

static void on_written(void *job)
{
	struct write_job  *j = job;
	struct controller *ctl = j->ctl;
	struct crl_files  *f = ctl->crl_files;
	f->busy = false;
	if (j->code < 0) {
		if (f->retry_at == 0)
			log_refusal(LOG_LEVEL_ERROR, NULL, &j->why);
		f->retry_at = clock_monotonic() + RETRY_MS;
		f->all_stale = true;
		if (j->issuer_id[0] != '\0')
			crls_not_written(ctl, j->issuer_id, j->shard);
	} else {
		f->retry_at = 0;
		start_next(ctl);
	}
	free(j);
}

static void start(struct controller *ctl, struct span bytes, const char *issuer_id, uint32_t shard)
{
	struct write_job *j = calloc(1, sizeof(*j) + bytes.n);
	if (j == NULL)
		abort();
	memcpy(j->bytes, bytes.p, bytes.n);
	j->n = bytes.n;
	j->ctl = ctl;
	j->shard = shard;
	text_cut(j->issuer_id, sizeof(j->issuer_id), issuer_id);
	bool all = issuer_id[0] == '\0';
	(void)snprintf(j->folder, sizeof(j->folder), "%s/public/crl%s%s", ctl->conf->state_dir, all ? "" : "/", issuer_id);
	if (all)
		text_cut(j->name, sizeof(j->name), "all.pem");
	else
		(void)snprintf(j->name, sizeof(j->name), "%u.crl", shard);
	ctl->crl_files->busy = true;
	workers_run(ctl->workers, write_file, on_written, j);
}

static void start_next(struct controller *ctl)
{
	struct crl_files *f = ctl->crl_files;
	struct crl_state  s;
	struct span       bytes;
	if (f->busy || ctl->stopping || ctl->workers == NULL || f->retry_at > clock_monotonic())
		return;
	if (crls_unwritten(ctl, &s, &bytes)) {
		start(ctl, bytes, s.issuer_id, s.shard);
	} else if (f->all_stale) {
		f->all_stale = false;
		bytes = crls_all(ctl);
		if (bytes.n > 0)
			start(ctl, bytes, "", 0);
	}
}

void crl_files_changed(struct controller *ctl)
{
	ctl->crl_files->all_stale = true;
	start_next(ctl);
}

void crl_files_tick(struct controller *ctl, int64_t now)
{
	(void)now;
	start_next(ctl);
}
