/* targets.c - room agent/keeper: the target files of this host and what the controller is told of them.
 * Never: retiring a certificate because its file has a mistake; only a missing file ends it. */
#include "agent/keeper/targets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/copies.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/swap.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

/* What the controller is told, as one hash: a change of it is news. */
static struct hash target_digest(const struct target_conf *c, const char *cert_id)
{
	struct buf  b = BUF_MAX(65536);
	struct hash hash = {{0}};
	buf_add_fmt(&b, "%s\n%s\n%s\n%s\n%d\n%d\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%lld\n", cert_id, c->service, c->template_id, c->names.text,
	            c->reload, c->verify, c->connect, c->sni, c->dir, c->owner, c->group, c->command, c->test, (long long)c->mode);
	if (buf_error(&b) == 0)
		digest_sha256(buf_span(&b), &hash);
	buf_free(&b);
	return hash;
}

void target_report(struct managed *m)
{
	struct msg_target *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return;
	text_cut(t->cert_id, sizeof(t->cert_id), m->cert_id);
	text_cut(t->stem, sizeof(t->stem), m->stem);
	t->retired = m->retired;
	text_cut(t->service, sizeof(t->service),
	         m->conf.service[0] != '\0' ? m->conf.service : m->keeper->state.identity.service);
	text_cut(t->template_id, sizeof(t->template_id), m->conf.template_id);
	text_cut(t->names, sizeof(t->names), m->conf.names.text);
	text_cut(t->reload_kind, sizeof(t->reload_kind), reload_kind_name((enum reload_kind)m->conf.reload));
	text_cut(t->verify_kind, sizeof(t->verify_kind), verify_kind_name((enum verify_kind)m->conf.verify));
	text_cut(t->listeners, sizeof(t->listeners), m->conf.connect);
	t->digest = m->digest;
	t->served = m->on_disk.serial;
	m->told_id = uplink_send(m->keeper->uplink, MSG_TARGET, t);
	m->told_code = 0;
	m->told_text[0] = '\0';
	free(t);
}

void targets_report(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++)
		if (k->managed[i]->present || k->managed[i]->retired)
			target_report(k->managed[i]);
}

static int target_remember(struct managed *m, bool gone)
{
	struct record_target record = {.generation = m->generation, .gone = gone};
	text_cut(record.cert_id, sizeof(record.cert_id), m->cert_id);
	text_cut(record.stem, sizeof(record.stem), m->stem);
	int r = keeper_journal_add(m->keeper, RECORD_TARGET, &record);
	return r == 0 ? keeper_journal_commit(m->keeper, true) : r;
}

static void told(struct managed *m, int code, const char *text)
{
	m->told_code = code;
	text_cut(m->told_text, sizeof(m->told_text), text);
	keeper_words(m->told_text);
	if (m->told_text[0] != '\0')
		log_line(code != 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, NULL, "%s: the controller says: %s", m->cert_id, m->told_text);
}

bool targets_answered(struct keeper *k, uint64_t id, int code, const char *text)
{
	for (size_t i = 0; id != 0 && i < k->n_managed; i++) {
		struct managed *m = k->managed[i];
		if (m->told_id != id)
			continue;
		told(m, code, text);
		int r = m->retired ? target_remember(m, true) : 0;
		if (r != 0)
			keeper_die(k, r, "write its journal");
		else if (m->retired)
			keeper_forget(k, m);
		return true;
	}
	return false;
}

/* ---- scanning ---------------------------------------------------------------------------------------------------- */

static int cert_id_of(struct keeper *k, const struct target_conf *c, char ret[CERT_ID_SIZE])
{
	if (c->cert_id[0] != '\0')
		return text_copy(ret, CERT_ID_SIZE, c->cert_id);
	return name_cert_id_default(k->state.identity.agent, c->stem, ret);
}

/* Its file is gone, or names another certificate now. */
static void retire(struct managed *m)
{
	log_line(LOG_LEVEL_NOTICE, NULL, "%s: its target file is gone; the certificate is no longer renewed", m->cert_id);
	m->present = false;
	m->retired = true;
	m->told_id = 0; /* an answer to what was told before ends nothing */
	if (m->keeper->welcomed)
		target_report(m);
}

/* Two certificates in one folder would take `current` from each other. */
static int dir_is_free(struct keeper *k, const struct target_conf *c, const char *cert_id, struct refusal *why)
{
	char dir[TARGET_PATH_SIZE];
	int  r = agent_target_dir(k->conf, c, dir);
	if (r != 0)
		return refuse(why, r, c->stem, "the path of its folder is too long");
	for (size_t i = 0; i < k->n_managed; i++) {
		const struct managed *m = k->managed[i];
		if (m->present && !text_equal(m->stem, c->stem) && !text_equal(m->cert_id, cert_id) && text_equal(m->dir, dir))
			return refuse(why, E_SWAP_TARGET, c->stem, "the folder %s belongs to target %s already", dir, m->stem);
		if (m->present && !text_equal(m->stem, c->stem) && copies_clash(c, dir, &m->conf, m->dir, why))
			return E_SWAP_COPY;
	}
	return copies_outside(c, k->conf, why);
}

/* The managed certificate of this file. A file that now names another certificate ends the first one. */
static int managed_of(struct keeper *k, const char *cert_id, const char *stem, struct managed **ret, struct refusal *why)
{
	struct managed *m = keeper_find(k, cert_id);
	if (m != NULL && m->present && !text_equal(m->stem, stem))
		return refuse(why, E_SWAP_TARGET, stem, "certificate %s is served by target %s already", cert_id, m->stem);
	for (size_t i = 0; i < k->n_managed; i++)
		if (k->managed[i] != m && !k->managed[i]->retired && text_equal(k->managed[i]->stem, stem))
			retire(k->managed[i]);
	if (m == NULL) {
		int r = keeper_manage(k, cert_id, stem, &m);
		if (r != 0)
			return refuse(why, r, stem, "too many targets");
	}
	text_cut(m->stem, sizeof(m->stem), stem);
	*ret = m;
	return 0;
}

static void target_adopt(struct managed *m, const struct target_conf *c)
{
	bool        known = m->present;
	struct hash digest = target_digest(c, m->cert_id);
	bool        same = known && hash_equal(digest, m->digest);
	m->conf = *c;
	m->digest = digest;
	m->retired = false;
	m->present = agent_target_dir(m->keeper->conf, c, m->dir) == 0;
	if (m->present)
		copies_converge(c, m->dir);
	if (same)
		return;
	int r = known ? 0 : target_remember(m, false);
	if (r != 0) {
		keeper_die(m->keeper, r, "write its journal");
		return;
	}
	_cleanup_fd_ int fd = -1;
	if (dir_open_safe(m->dir, geteuid(), &fd, NULL) == 0)
		(void)!generation_clean(fd, NULL); /* what a kill left unfinished */
	swap_look(m);
	swap_target_changed(m);
	if (m->keeper->welcomed)
		target_report(m);
}

static void unread_add(struct keeper *k, const char *stem, const struct refusal *why)
{
	struct target_unread *more = realloc(k->unread, (k->n_unread + 1) * sizeof(*more));
	log_refusal(LOG_LEVEL_ERROR, NULL, why);
	if (more == NULL)
		return;
	k->unread = more;
	text_cut(more[k->n_unread].stem, sizeof(more->stem), stem);
	more[k->n_unread++].why = *why;
}

static void target_load(struct keeper *k, const char *stem)
{
	struct refusal      why = {.code = 0};
	struct managed     *m = NULL;
	char                cert_id[CERT_ID_SIZE];
	struct target_conf *c = calloc(1, sizeof(*c));
	int                 r = c != NULL ? target_conf_load(k->conf->targets_dir, stem, c, &why) : E_NOMEM;
	if (r == 0) {
		r = cert_id_of(k, c, cert_id);
		if (r != 0)
			refuse(&why, r, stem, "no certificate name can be made of agent and file name: set target.cert_id");
	}
	if (r == 0)
		r = dir_is_free(k, c, cert_id, &why);
	if (r == 0)
		r = managed_of(k, cert_id, stem, &m, &why);
	if (r == 0)
		target_adopt(m, c);
	else
		unread_add(k, stem, &why);
	free(c);
}

static bool listed(char (*stems)[CERT_ID_SIZE], size_t n, const char *stem)
{
	for (size_t i = 0; i < n; i++)
		if (text_equal(stems[i], stem))
			return true;
	return false;
}

void targets_scan(struct keeper *k)
{
	struct refusal why = {.code = 0};
	char(*stems)[CERT_ID_SIZE] = calloc(TARGETS_MAX, CERT_ID_SIZE);
	size_t n = 0;
	if (stems == NULL || target_conf_list(k->conf->targets_dir, stems, TARGETS_MAX, &n, &why) != 0) {
		if (why.code != 0) /* nothing is known: nothing ends */
			log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		free(stems);
		return;
	}
	for (size_t i = 0; i < k->n_managed; i++) {
		struct managed *m = k->managed[i];
		if (!m->retired && !listed(stems, n, m->stem))
			retire(m);
	}
	k->n_unread = 0;
	for (size_t i = 0; i < n; i++)
		target_load(k, stems[i]);
	free(stems);
}
