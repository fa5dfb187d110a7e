/* targets.c - room agent/keeper: the target files of this host and what the controller is told of them.
 * Never: retiring a certificate because its file has a mistake; only a missing file ends it. */
#include "agent/keeper/targets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/generation.h"
#include "agent/keeper/place.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"

/* What the controller is told, as one hash: a change of it is news. */
static struct hash target_digest(const struct target_conf *c, const char *cert_id)
{
	struct buf  b = BUF_MAX(65536);
	struct hash hash = {{0}};
	buf_add_fmt(&b, "%s\n%s\n%s\n%s\n%d\n%d\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%lld\n%d\n", cert_id, c->service, c->template_id, c->names.text,
	            c->reload, c->verify, c->connect, c->sni, c->dir, c->owner, c->group, c->command, c->test, (long long)c->mode,
	            c->on_failure);
	if (buf_error(&b) == 0)
		digest_sha256(buf_span(&b), &hash);
	buf_free(&b);
	return hash;
}

void target_report(struct place *p)
{
	const struct keeper *k = p->managed->keeper;
	struct msg_target   *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return;
	text_cut(t->cert_id, sizeof(t->cert_id), p->managed->cert_id);
	text_cut(t->stem, sizeof(t->stem), p->stem);
	t->retired = p->retired;
	text_cut(t->service, sizeof(t->service), p->conf.service[0] != '\0' ? p->conf.service : k->state.identity.service);
	text_cut(t->template_id, sizeof(t->template_id), p->conf.template_id);
	text_cut(t->names, sizeof(t->names), p->conf.names.text);
	text_cut(t->reload_kind, sizeof(t->reload_kind), reload_kind_name((enum reload_kind)p->conf.reload));
	text_cut(t->verify_kind, sizeof(t->verify_kind), verify_kind_name((enum verify_kind)p->conf.verify));
	text_cut(t->listeners, sizeof(t->listeners), p->conf.connect);
	t->digest = p->digest;
	t->served = p->on_disk.serial;
	uint64_t id = uplink_send(k->uplink, MSG_TARGET, t);
	if (p->retired)
		p->retired_id = id;
	free(t);
}

void targets_report(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			if (k->managed[i]->places[j]->present || k->managed[i]->places[j]->retired)
				target_report(k->managed[i]->places[j]);
}

static void place_end(struct place *p)
{
	struct managed *m = p->managed;
	int             r = place_remember(p, true, true);
	if (r != 0) {
		keeper_die(m->keeper, r, "write its journal");
		return;
	}
	place_forget(p);
	if (m->n_places == 0)
		keeper_forget(m->keeper, m);
}

void targets_acked(struct keeper *k, uint64_t id)
{
	for (size_t i = 0; id != 0 && i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++) {
			struct place *p = k->managed[i]->places[j];
			if (p->retired && p->retired_id == id) {
				place_end(p);
				return;
			}
		}
}

/* ---- scanning ---------------------------------------------------------------------------------------------------- */

/* One target file of this scan. */
struct candidate {
	struct target_conf conf;
	char               cert_id[CERT_ID_SIZE];
	char               dir[TARGET_PATH_SIZE];
	bool               good;
};

struct scan {
	struct keeper   *keeper;
	struct candidate files[TARGETS_MAX];
	size_t           n;
};

static void candidate_refuse(struct candidate *c, const struct refusal *why)
{
	log_refusal(LOG_LEVEL_ERROR, NULL, why);
	c->good = false;
}

static int cert_id_of(const struct keeper *k, const struct target_conf *c, char ret[CERT_ID_SIZE])
{
	if (c->cert_id[0] != '\0')
		return text_copy(ret, CERT_ID_SIZE, c->cert_id);
	return name_cert_id_default(k->state.identity.agent, c->stem, ret);
}

static void candidate_read(const struct keeper *k, const char *stem, struct candidate *c)
{
	struct refusal why = {.code = 0};
	text_cut(c->conf.stem, sizeof(c->conf.stem), stem);
	int r = target_conf_load(k->conf->targets_dir, stem, &c->conf, &why);
	if (r == 0 && cert_id_of(k, &c->conf, c->cert_id) != 0)
		r = refuse(&why, E_SWAP_TARGET, stem, "no certificate name can be made of agent and file name: set target.cert_id");
	if (r == 0 && agent_target_dir(k->conf, &c->conf, c->dir) != 0)
		r = refuse(&why, E_SWAP_TARGET, stem, "the path of its folder is too long");
	c->good = r == 0;
	if (r != 0)
		candidate_refuse(c, &why);
}

/* The folder of a file that cannot be read now stays what it was. */
static const char *dir_of(const struct scan *s, const struct candidate *c)
{
	if (c->good)
		return c->dir;
	for (size_t i = 0; i < s->keeper->n_managed; i++) {
		const struct place *p = place_find(s->keeper->managed[i], c->conf.stem);
		if (p != NULL && p->present)
			return p->dir;
	}
	return "";
}

/* Two targets in one folder would take `current` from each other. The first in the order of names keeps it. */
static void dirs_judge(struct scan *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t j = 0; j < s->n; j++) {
			struct candidate       *c = &s->files[i];
			const struct candidate *other = &s->files[j];
			struct refusal          why = {.code = 0};
			if (i == j || !c->good || (other->good && j > i) || !text_equal(c->dir, dir_of(s, other)))
				continue;
			refuse(&why, E_SWAP_TARGET, c->conf.stem, "the folder %s belongs to target %s already", c->dir, other->conf.stem);
			candidate_refuse(c, &why);
		}
}

static size_t listeners_of(const struct target_conf *c)
{
	const char *cursor = c->connect;
	char        item[ADDRESS_SIZE];
	size_t      n = 0;
	while (text_item(&cursor, item, sizeof(item)))
		n++;
	return n;
}

/* What all targets of one certificate must agree on; NULL when they do. */
static const char *difference(const struct keeper *k, const struct target_conf *a, const struct target_conf *b)
{
	const char *service = k->state.identity.service;
	if (!text_equal(a->template_id, b->template_id))
		return "target.template";
	if (!text_equal(a->names.text, b->names.text))
		return "target.names";
	if (!text_equal(a->service[0] != '\0' ? a->service : service, b->service[0] != '\0' ? b->service : service))
		return "target.service";
	return a->on_failure != b->on_failure ? "target.on_failure" : NULL;
}

/* Several target files with one cert_id are a group. When they do not agree none of them is taken: nobody knows which one is right. */
static void group_judge(struct scan *s, size_t first)
{
	struct refusal why = {.code = 0};
	size_t         places = 0;
	size_t         listeners = 0;
	for (size_t i = first; i < s->n; i++) {
		const struct candidate *c = &s->files[i];
		const char             *what;
		if (!c->good || !text_equal(c->cert_id, s->files[first].cert_id))
			continue;
		places++;
		listeners += listeners_of(&c->conf);
		what = difference(s->keeper, &s->files[first].conf, &c->conf);
		if (what != NULL)
			refuse(&why, E_SWAP_TARGET, c->conf.stem, "%s differs from target %s, which serves the same certificate %s", what,
			       s->files[first].conf.stem, c->cert_id);
	}
	if (why.code == 0 && (places > PLACES_MAX || listeners > MSG_LISTENERS_MAX))
		refuse(&why, E_SWAP_TARGET, s->files[first].cert_id, "a certificate may have at most %d targets with %d listeners in all",
		       PLACES_MAX, MSG_LISTENERS_MAX);
	if (why.code == 0)
		return;
	log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	for (size_t i = s->n; i-- > first;)
		if (text_equal(s->files[i].cert_id, s->files[first].cert_id))
			s->files[i].good = false;
}

static void groups_judge(struct scan *s)
{
	for (size_t i = 0; i < s->n; i++) {
		bool first = s->files[i].good;
		for (size_t j = 0; first && j < i; j++)
			first = !s->files[j].good || !text_equal(s->files[i].cert_id, s->files[j].cert_id);
		if (first)
			group_judge(s, i);
	}
}

/* ---- taking over what was read ----------------------------------------------------------------------------------- */

/* Its file is gone, or names another certificate now. */
static void retire(struct place *p)
{
	log_line(LOG_LEVEL_NOTICE, NULL, "%s: target %s is gone; nothing is renewed there", p->managed->cert_id, p->stem);
	p->present = false;
	p->retired = true;
	if (p->managed->keeper->welcomed)
		target_report(p);
}

static int place_of(struct keeper *k, const struct candidate *c, struct place **ret, struct refusal *why)
{
	struct managed *m = keeper_find(k, c->cert_id);
	int             r = 0;
	for (size_t i = 0; i < k->n_managed; i++) {
		struct place *other = k->managed[i] != m ? place_find(k->managed[i], c->conf.stem) : NULL;
		if (other != NULL && !other->retired)
			retire(other);
	}
	if (m == NULL)
		r = keeper_manage(k, c->cert_id, &m);
	struct place *p = r == 0 ? place_find(m, c->conf.stem) : NULL;
	if (r == 0 && p == NULL)
		r = place_add(m, c->conf.stem, &p);
	if (r != 0)
		return refuse(why, r, c->conf.stem, "too many targets");
	*ret = p;
	return 0;
}

static void place_adopt(struct place *p, const struct candidate *c)
{
	struct managed *m = p->managed;
	bool            known = p->present;
	struct hash     digest = target_digest(&c->conf, m->cert_id);
	bool            same = known && hash_equal(digest, p->digest);
	p->conf = c->conf;
	text_cut(p->dir, sizeof(p->dir), c->dir);
	p->digest = digest;
	p->retired = false;
	p->present = true;
	if (same)
		return;
	int r = known ? 0 : place_remember(p, false, true);
	if (r != 0) {
		keeper_die(m->keeper, r, "write its journal");
		return;
	}
	_cleanup_fd_ int fd = -1;
	if (dir_open_safe(p->dir, geteuid(), &fd, NULL) == 0)
		(void)!generation_clean(fd, NULL); /* what a kill left unfinished */
	place_look(p);
	if (m->keeper->welcomed)
		target_report(p);
}

static void candidate_take(struct keeper *k, const struct candidate *c)
{
	struct refusal why = {.code = 0};
	struct place  *p = NULL;
	if (place_of(k, c, &p, &why) == 0)
		place_adopt(p, c);
	else
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
}

static bool listed(const struct scan *s, const char *stem)
{
	for (size_t i = 0; i < s->n; i++)
		if (text_equal(s->files[i].conf.stem, stem))
			return true;
	return false;
}

static int scan_read(struct keeper *k, struct scan *s, struct refusal *why)
{
	char(*stems)[CERT_ID_SIZE] = calloc(TARGETS_MAX, CERT_ID_SIZE);
	int r = stems != NULL ? target_conf_list(k->conf->targets_dir, stems, TARGETS_MAX, &s->n, why) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < s->n; i++)
		candidate_read(k, stems[i], &s->files[i]);
	free(stems);
	return r;
}

static void scan_take(struct scan *s)
{
	struct keeper *k = s->keeper;
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++) {
			struct place *p = k->managed[i]->places[j];
			if (!p->retired && !listed(s, p->stem))
				retire(p);
		}
	for (size_t i = 0; i < s->n; i++)
		if (s->files[i].good)
			candidate_take(k, &s->files[i]);
}

void targets_scan(struct keeper *k)
{
	struct refusal why = {.code = 0};
	struct scan   *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return;
	s->keeper = k;
	if (scan_read(k, s, &why) == 0) {
		dirs_judge(s);
		groups_judge(s);
		scan_take(s);
	} else if (why.code != 0) { /* nothing is known: nothing ends */
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	}
	free(s);
	memory_give_back();
}
