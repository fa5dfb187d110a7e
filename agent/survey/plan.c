/* plan.c - room agent/survey: everything that `manage` would do with one service, worked out before anything is done.
 * Never: changing anything. */
#include "agent/survey/plan.h"

#include <fcntl.h>
#include <pwd.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/as_user.h"
#include "agent/survey/service_control.h"
#include "agent/survey/takeover.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/file.h"
#include "shared/sys/users.h"

enum { PEM_MAX = SOURCE_BYTES_MAX, DROPIN_MAX = 1024 };

/* ---- the pair that is used now -------------------------------------------------------------------------------------- */

/* A process with rights of its own only, or one that root gave more? A unit's main process runs with the configuration that
 * root wrote. Any other one may have been started by its user, with a path to somebody else's key in its configuration, and
 * pass handshakes on to whoever has that key. */
static bool reads_for_itself(const struct server *s)
{
	return s->process.uid != 0 && (server_owns_files(s) || !s->has_unit || s->unit.main_pid != s->process.pid);
}

/* With the rights of the server's user, where root's would show him what he may not read. */
static int pem_read(const struct plan *p, const char *path, struct buf *to, struct refusal *why)
{
	struct as_user me;
	struct refusal cause = {.code = 0};
	if (!reads_for_itself(p->service->server))
		return source_pem(path, to, why);
	int r = as_user_begin(p->reader, &me, why);
	if (r != 0)
		return r;
	r = source_pem(path, to, &cause);
	as_user_end(&me);
	return r == 0 ? 0
		      : refuse(why, E_SURVEY_PAIR, path, "uid %u, who runs the server, cannot read it: %s", (unsigned)p->reader,
			       cause.cause);
}

static int pair_judge(const struct plan *p, struct span key, struct refusal *why)
{
	const struct found_service *v = p->service;
	struct look                 now = {.result = LOOK_UNKNOWN};
	int                         r = look_pair(buf_span(&p->cert), key);
	if (r == E_PKI_MISMATCH)
		return refuse(why, E_SURVEY_PAIR, v->key, "the key does not belong to %.150s", v->cert);
	if (r != 0)
		return refuse(why, E_SURVEY_PAIR, v->key[0] != '\0' ? v->key : v->cert,
			      "there is no key in it that can be read without a passphrase");
	if (look_pem(buf_span(&p->cert), &now) != 0 || !hash_equal(now.fingerprint, v->disk.fingerprint))
		return refuse(why, E_SURVEY_CHANGED, v->cert, "the certificate was exchanged just now");
	/* a server that only names a key has no right to get a copy of it: it must have shown that it holds it */
	for (size_t i = 0; i < v->n_listeners; i++)
		if (!v->listener[i].look.proved)
			return refuse(why, E_SURVEY_PAIR, v->listener[i].address,
				      "the server did not prove that it has the certificate's key");
	return 0;
}

static bool holds_key(const struct buf *pem)
{
	static const char mark[] = "PRIVATE KEY-----";
	return pem->n > 0 && memmem(pem->p, pem->n, mark, sizeof(mark) - 1) != NULL;
}

/* HAProxy also finds the key beside the certificate, as FILE.key. */
static int combined_read(struct plan *p, struct refusal *why)
{
	char path[SOURCE_PATH_SIZE + 8];
	p->combined.max = 2 * PEM_MAX + 2;
	buf_add(&p->combined, p->cert.p, p->cert.n);
	if (!holds_key(&p->cert)) {
		snprintf(path, sizeof(path), "%s.key", p->service->cert);
		int r = pem_read(p, path, &p->key, why);
		if (r != 0)
			return r;
		buf_add_text(&p->combined, "\n");
		buf_add(&p->combined, p->key.p, p->key.n);
	}
	return buf_error(&p->combined);
}

static int pair_read(struct plan *p, struct refusal *why)
{
	const struct found_service *v = p->service;
	int                         r = pem_read(p, v->cert, &p->cert, why);
	if (r == 0 && p->proposal.combined)
		r = combined_read(p, why);
	else if (r == 0)
		r = pem_read(p, v->key, &p->key, why);
	if (r == 0 && p->proposal.chain_apart)
		r = pem_read(p, v->chain, &p->chain, why);
	if (r == 0)
		r = pair_judge(p, p->proposal.combined ? buf_span(&p->combined) : buf_span(&p->key), why);
	if (r != 0)
		return r;
	/* a master that is root needs no help to read it, and nobody else could before */
	p->before = (struct target_before){
		.uid = 0, .gid = p->reader != 0 ? p->reader_gid : 0, .mode = p->reader != 0 ? 0640 : 0600};
	if (p->proposal.combined) {
		p->before.combined = buf_span(&p->combined);
	} else {
		p->before.key = buf_span(&p->key);
		p->before.cert = buf_span(&p->cert);
		p->before.fullchain = buf_span(&p->cert);
		p->before.chain = buf_span(&p->chain);
	}
	return 0;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

int plan_file(struct plan *p, const char *path, uid_t owner, size_t *ret_index, struct refusal *why)
{
	struct undo_file *f = NULL;
	const char       *name = NULL;
	_cleanup_fd_ int  dir = -1;
	int               r = undo_file_add(&p->undo, &f, why);
	if (r == 0)
		r = text_copy(f->path, sizeof(f->path), path);
	if (r == 0)
		r = file_place(path, owner, &dir, &name, why);
	if (r == 0)
		r = file_state_read(dir, name, &f->before, why);
	f->owner = owner;
	*ret_index = p->undo.n_files - 1;
	p->after[*ret_index].max = 2 * FILE_STATE_BYTES_MAX;
	return r;
}

static void swap_add(struct undo_file *f, struct span old, const char *into)
{
	char from[SITE_VALUE_SIZE];
	if (text_copy_n(from, sizeof(from), (const char *)old.p, old.n) != 0 || strlen(into) >= SITE_VALUE_SIZE)
		return;
	for (size_t i = 0; i < f->n_swaps; i++)
		if (text_equal(f->swap[i].from, from))
			return;
	if (f->n_swaps == N_ELEMENTS(f->swap))
		return;
	text_cut(f->swap[f->n_swaps].from, SITE_VALUE_SIZE, from);
	text_cut(f->swap[f->n_swaps++].into, SITE_VALUE_SIZE, into);
}

static int file_change(struct plan *p, size_t source, struct refusal *why)
{
	const struct server *s = p->service->server;
	const struct source *f = s->src.file[source];
	size_t               index = 0;
	int                  r = plan_file(p, f->path, s->src.owner, &index, why);
	if (r != 0)
		return r;
	struct undo_file *u = &p->undo.file[index];
	if (!span_equal(buf_span(&u->before.bytes), buf_span(&f->bytes)))
		return refuse(why, E_SURVEY_CHANGED, f->path, "it was changed while it was read");
	for (size_t i = 0; i < p->n_edits; i++)
		if (p->edits[i].file == source)
			swap_add(u, (struct span){f->bytes.p + p->edits[i].start, p->edits[i].end - p->edits[i].start},
				 p->edits[i].text);
	r = edits_apply(buf_span(&f->bytes), p->edits, p->n_edits, source, &p->after[index]);
	if (r != 0)
		return refuse(why, r, f->path, "the new text cannot be made");
	digest_sha256(buf_span(&p->after[index]), &u->after);
	return 0;
}

/* ---- edits -------------------------------------------------------------------------------------------------------- */

/* Quoted as it was; PostgreSQL needs quotes around every path. */
static int edit_add(struct plan *p, const struct site_value *v, const char *file, struct refusal *why)
{
	const struct server *s = p->service->server;
	if (v->end == 0)
		return 0;
	if (p->n_edits == EDITS_MAX)
		return refuse(why, E_SURVEY_LIMIT, p->undo.name, "more than %d values would change", EDITS_MAX);
	struct edit *e = &p->edits[p->n_edits++];
	char         path[TARGET_PATH_SIZE + 40];
	snprintf(path, sizeof(path), "%s/current/%s", p->proposal.dir, file);
	*e = (struct edit){.file = v->file, .start = v->start, .end = v->end};
	int r = edit_value(e, s->src.file[v->file]->bytes.p[v->start], s->kind == SERVER_POSTGRESQL, path);
	return r == 0 ? 0 : refuse(why, r, path, "the path is too long");
}

static int edits_make(struct plan *p, struct refusal *why)
{
	const struct found_service *v = p->service;
	const char *cert = p->proposal.combined ? "combined.pem" : p->proposal.chain_apart ? "cert.pem" : "fullchain.pem";
	int         r = 0;
	for (size_t i = 0; r == 0 && i < v->n_sites; i++) {
		const struct site *site = &v->server->sites.row[v->site[i]];
		r = edit_add(p, &site->cert, cert, why);
		if (r == 0)
			r = edit_add(p, &site->key, "key.pem", why);
		if (r == 0)
			r = edit_add(p, &site->chain, "chain.pem", why);
	}
	if (r == 0)
		r = edits_sort(p->edits, &p->n_edits, why);
	for (size_t i = 0; r == 0 && i < p->n_edits; i++)
		if (i == 0 || p->edits[i].file != p->edits[i - 1].file)
			r = file_change(p, p->edits[i].file, why);
	return r;
}

/* A unit without ExecReload= gets one, in a drop-in of its own. */
static int dropin_make(struct plan *p, struct refusal *why)
{
	char              dir[SOURCE_PATH_SIZE];
	struct stat       st;
	struct undo_file *f = NULL;
	int               r = p->proposal.exec_reload ? undo_file_add(&p->undo, &f, why) : 0;
	if (f == NULL)
		return r;
	struct buf *text = &p->after[p->undo.n_files - 1];
	snprintf(dir, sizeof(dir), "/etc/systemd/system/%s.d", p->service->server->process.unit);
	snprintf(f->path, sizeof(f->path), "/etc/systemd/system/%s.d/50-vcc-reload.conf", p->service->server->process.unit);
	if (lstat(f->path, &st) == 0)
		return refuse(why, E_SURVEY_EXISTS, f->path, "the file exists already");
	f->made = true;
	f->made_dir = lstat(dir, &st) != 0;
	f->before.mode = 0644;
	text->max = DROPIN_MAX;
	buf_add_text(text, "# Written by `vcc-agent manage`: a renewed certificate is taken without a "
			   "restart.\n[Service]\nExecReload=/bin/kill -HUP $MAINPID\n");
	digest_sha256(buf_span(text), &f->after);
	return buf_error(text);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

/* Our own text must be one that keeper and hook accept. */
static int target_check(const struct plan *p, struct refusal *why)
{
	struct target_conf *t = calloc(1, sizeof(*t));
	char                file[CERT_ID_SIZE + 8];
	snprintf(file, sizeof(file), "%s.conf", p->undo.name);
	int r = t != NULL ? conf_parse(&target_schema, file, span_text(p->proposal.text), t, why)
			  : refuse(why, E_NOMEM, file, "no memory");
	free(t);
	return r;
}

static int users_find(const struct agent_conf *conf, struct plan *p, struct refusal *why)
{
	const struct server *s = p->service->server;
	struct stat          st;
	if (stat(conf->keeper_dir, &st) != 0)
		return sys_refuse(why, conf->keeper_dir, "find the keeper's user");
	p->keeper = st.st_uid;
	p->keeper_gid = st.st_gid;
	p->reader = s->process.uid;
	if (group_id(s->group, &p->reader_gid) != 0)
		return refuse(why, E_SURVEY_CANNOT, s->group, "there is no such group");
	return 0;
}

static int undo_fill(const struct agent_conf *conf, struct plan *p, struct refusal *why)
{
	const struct found_service *v = p->service;
	struct undo                *u = &p->undo;
	u->kind = v->server->kind;
	u->unit_changed = u->kind == SERVER_PYTHON;
	text_cut(u->main_file, sizeof(u->main_file), v->server->file[0]);
	text_cut(u->unit, sizeof(u->unit), v->server->process.unit);
	text_cut(u->sni, sizeof(u->sni), v->sni);
	text_cut(u->cert, sizeof(u->cert), v->cert);
	text_cut(u->target_dir, sizeof(u->target_dir), p->proposal.dir);
	for (size_t i = 0; i < v->n_listeners; i++)
		text_cut(u->listener[u->n_listeners++], ADDRESS_SIZE, v->listener[i].address);
	int n = snprintf(u->target_file, sizeof(u->target_file), "%s/%s.conf", conf->targets_dir, v->name);
	return n > 0 && (size_t)n < sizeof(u->target_file)
		       ? 0
		       : refuse(why, E_SURVEY_LIMIT, conf->targets_dir, "the path is too long");
}

static int places_free(const struct plan *p, struct refusal *why)
{
	struct stat st;
	if (lstat(p->undo.target_file, &st) == 0)
		return refuse(why, E_SURVEY_EXISTS, p->undo.target_file, "the target file exists already");
	if (lstat(p->undo.target_dir, &st) == 0)
		return refuse(why, E_SURVEY_EXISTS, p->undo.target_dir, "the target's folder exists already: move it away");
	return 0;
}

int plan_make(const struct agent_conf *conf, const struct host_facts *host, const struct found_service *v,
	      const char *template_id, enum renewer_kind from, struct plan *ret, struct refusal *why)
{
	memset(ret, 0, sizeof(*ret));
	ret->service = v;
	ret->edits = calloc(EDITS_MAX, sizeof(*ret->edits));
	int r = ret->edits != NULL ? undo_new(&ret->undo, why) : refuse(why, E_NOMEM, v->name, "no memory");
	if (r == 0)
		r = text_copy(ret->undo.name, sizeof(ret->undo.name), v->name);
	if (r == 0 && v->managed)
		r = refuse(why, E_SURVEY_EXISTS, v->name, "its configuration reads current/ of a target already");
	if (r == 0 && v->problem[0] != '\0')
		r = refuse(why, E_SURVEY_CANNOT, v->name, "%s", v->problem);
	if (r == 0)
		r = proposal_make(host, v, template_id, &ret->proposal, why);
	if (r == 0)
		r = target_check(ret, why);
	if (r == 0)
		r = users_find(conf, ret, why);
	if (r == 0)
		r = undo_fill(conf, ret, why);
	if (r == 0)
		r = places_free(ret, why);
	if (r == 0)
		r = pair_read(ret, why);
	if (r == 0)
		r = edits_make(ret, why);
	if (r == 0)
		r = dropin_make(ret, why);
	return r == 0 ? takeover_plan(ret, from, why) : r;
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < UNDO_FILES_MAX; i++)
		buf_free(&p->after[i]);
	undo_free(&p->undo);
	free(p->edits);
	p->edits = NULL;
	buf_wipe(&p->cert); /* HAProxy's holds the key, too */
	buf_wipe(&p->key);
	buf_wipe(&p->combined);
	buf_free(&p->chain);
}

void plan_show(const struct plan *p, FILE *to)
{
	char words[SERVER_COMMAND_SIZE];
	for (size_t i = 0; i < p->undo.n_files; i++) {
		const struct undo_file *f = &p->undo.file[i];
		if (f->removed)
			fprintf(to, "rename %s\n    to %s\n", f->path,
				f->moved[0] != '\0' ? f->moved : "nowhere: it is taken away, and kept for the undo");
		else
			edit_diff(f->path, buf_span(&f->before.bytes), buf_span(&p->after[i]), to);
	}
	fprintf(to, "folder %s\n    current -> before, with copies of the certificate and key that are served now\n",
		p->undo.target_dir);
	edit_diff(p->undo.target_file, (struct span){NULL, 0}, span_text(p->proposal.text), to);
	if (p->service->server->test[0] != '\0')
		fprintf(to, "test   %s\n", p->service->server->test);
	service_reload_words(p->service->server, p->undo.unit_changed, words, sizeof(words));
	fprintf(to, "reload %s\n", words);
	takeover_show(p, to);
	for (size_t i = 0; i < p->proposal.n_notes; i++)
		fprintf(to, "note   %s\n", p->proposal.note[i]);
}
