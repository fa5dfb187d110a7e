/* targets.c - room agent/keeper: the target files of this host and what the controller is told of them.
 * Never: retiring a certificate because its file has a mistake; only a missing file ends it. */
#include "agent/keeper/targets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/care.h"
#include "agent/keeper/copies.h"
#include "agent/keeper/crl_fetch.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/place.h"
#include "agent/keeper/swap.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"

/* Every setting of the file, as one hash: a change of any is news, and a reason to try again what waits. */
static struct hash target_digest(const struct target_conf *c, const char *cert_id)
{
	struct buf  b = BUF_MAX(65536);
	struct hash hash = {{0}};
	buf_add_fmt(&b, "%s\n%s\n%s\n%s\n%d\n%d\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%lld\n%d\n%s\n", cert_id, c->service, c->template_id, c->names.text,
	            c->reload, c->verify, c->connect, c->sni, c->dir, c->owner, c->group, c->command, c->test, (long long)c->mode,
	            c->on_failure, c->window);
	buf_add_fmt(&b, "%d\n%d\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%lld\n%lld\n%d\n", c->combined, c->pkcs12, c->pkcs12_password_file, c->copies, c->formats, c->unit,
	            c->pidfile, c->signal, c->socket, (long long)c->timeout_ms, (long long)c->max_drain_ms, c->on_drain);
	if (c->crl)
		buf_add_text(&b, "crl\n");
	if (buf_error(&b) == 0)
		digest_sha256(buf_span(&b), &hash);
	buf_free(&b);
	return hash;
}

void target_report(struct place *p)
{
	const struct keeper *k = p->managed->keeper;
	if (!k->welcomed)
		return; /* the controller is told of every target when it is back; what it said last still holds */
	struct msg_target *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return;
	text_cut(t->cert_id, sizeof(t->cert_id), p->managed->cert_id);
	text_cut(t->stem, sizeof(t->stem), p->stem);
	t->retired = p->retired;
	t->last = p->retired && !places_live(p->managed);
	text_cut(t->service, sizeof(t->service), p->conf.service[0] != '\0' ? p->conf.service : k->state.identity.service);
	text_cut(t->template_id, sizeof(t->template_id), p->conf.template_id);
	text_cut(t->names, sizeof(t->names), p->conf.names.text);
	text_cut(t->reload_kind, sizeof(t->reload_kind), reload_kind_name((enum reload_kind)p->conf.reload));
	text_cut(t->verify_kind, sizeof(t->verify_kind), verify_kind_name((enum verify_kind)p->conf.verify));
	text_cut(t->listeners, sizeof(t->listeners), p->conf.connect);
	t->digest = p->digest;
	t->served = p->on_disk.serial;
	t->code = p->look_code != 0 ? p->look_code : p->files_code != 0 ? p->files_code : p->care.code;
	if (t->code == 0 && p->conf.crl)
		t->code = crl_fetch_trouble(k, &(const char *){NULL});
	t->stale_since_at = p->stale_since_at;
	t->rehearsed_at = p->rehearsed_at;
	t->drifted_at = p->drifted_at;
	t->drifts = p->drifts;
	text_cut(t->window, sizeof(t->window), p->conf.window);
	p->told_id = uplink_send(k->uplink, MSG_TARGET, t);
	p->told_code = 0;
	p->told_text[0] = '\0';
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

static void told(struct place *p, int code, const char *text)
{
	p->told_code = code;
	text_cut(p->told_text, sizeof(p->told_text), text);
	text_plain(p->told_text);
	if (p->told_text[0] != '\0')
		log_line(code != 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, NULL, "%s: the controller says: %s", p->stem, p->told_text);
}

bool targets_answered(struct keeper *k, uint64_t id, int code, const char *text)
{
	for (size_t i = 0; id != 0 && i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++) {
			struct place *p = k->managed[i]->places[j];
			if (p->told_id != id)
				continue;
			told(p, code, text);
			if (p->retired)
				place_end(p);
			return true;
		}
	return false;
}

/* ---- taking over what was read ----------------------------------------------------------------------------------- */

/* Its file is gone, or names another certificate now. */
static void retire(struct place *p)
{
	log_line(LOG_LEVEL_NOTICE, NULL, "%s: target %s is gone; nothing is renewed there", p->managed->cert_id, p->stem);
	care_end(p);
	p->present = false;
	p->retired = true;
	p->told_id = 0; /* an answer to what was told before ends nothing */
	if (p->managed->keeper->welcomed)
		target_report(p);
}

static int place_of(struct keeper *k, const struct target_candidate *c, struct place **ret, struct refusal *why)
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

/* What a kill left unfinished, or finished without coming into use. */
static void leftovers_remove(const struct place *p, bool started)
{
	const struct managed *m = p->managed;
	_cleanup_fd_ int      fd = -1;
	if (started && (m->deploy.phase == DEPLOY_NONE || m->deploy.phase == DEPLOY_DONE))
		(void)!place_prune(p, NULL);
	else if (dir_open_safe(p->dir, geteuid(), &fd, NULL) == 0)
		(void)!generation_clean(fd, NULL);
}

static void place_adopt(struct place *p, const struct target_candidate *c)
{
	struct managed *m = p->managed;
	bool            known = p->present;
	struct hash     digest = target_digest(&c->conf, m->cert_id);
	bool            same = known && hash_equal(digest, p->digest);
	if (known && !same)
		care_end(p); /* it begins again by today's settings */
	p->conf = c->conf;
	text_cut(p->dir, sizeof(p->dir), c->dir);
	p->digest = digest;
	p->retired = false;
	p->present = true;
	if (!known) /* a kill between the flip and the copies is nobody's change */
		copies_converge(&p->conf, p->dir);
	if (same) {
		care_look(p); /* the controller is not told of every setting: copies, formats */
		return;
	}
	int r = known ? 0 : place_remember(p, false, true);
	if (r != 0) {
		keeper_die(m->keeper, r, "write its journal");
		return;
	}
	leftovers_remove(p, !known);
	place_look(p);
	swap_target_changed(p->managed);
	if (m->keeper->welcomed)
		target_report(p);
	care_look(p);
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

static void candidate_take(struct keeper *k, const struct target_candidate *c)
{
	struct refusal why = {.code = 0};
	struct place  *p = NULL;
	if (place_of(k, c, &p, &why) == 0)
		place_adopt(p, c);
	else
		unread_add(k, c->conf.stem, &why);
}

static bool listed(const struct target_scan *s, const char *stem)
{
	for (size_t i = 0; i < s->n; i++)
		if (text_equal(s->files[i].conf.stem, stem))
			return true;
	return false;
}

static void scan_take(struct keeper *k, const struct target_scan *s)
{
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++) {
			struct place *p = k->managed[i]->places[j];
			if (!p->retired && !listed(s, p->stem))
				retire(p);
		}
	k->n_unread = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (s->files[i].why.code == 0)
			candidate_take(k, &s->files[i]);
		else
			unread_add(k, s->files[i].conf.stem, &s->files[i].why);
	}
}

static const char *held(void *ctx, const char *stem)
{
	const struct keeper *k = ctx;
	for (size_t i = 0; i < k->n_managed; i++) {
		const struct place *p = place_find(k->managed[i], stem);
		if (p != NULL && p->present)
			return p->dir;
	}
	return "";
}

void targets_scan(struct keeper *k)
{
	struct refusal      why = {.code = 0};
	struct target_scan *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return;
	s->agent = k->state.identity.agent;
	s->service = k->state.identity.service;
	s->held = held;
	s->held_ctx = k;
	if (target_scan(k->conf, s, &why) == 0)
		scan_take(k, s);
	else /* nothing is known: nothing ends */
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	free(s);
	crl_fetch_look(k);
	memory_give_back();
}
