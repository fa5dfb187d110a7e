/* target_scan.c - room agent/keeper: all target files of a host, read and judged together.
 * Never: changing what is in use. */
#include "agent/keeper/target_scan.h"

#include <stdlib.h>

#include "agent/keeper/copies.h"
#include "shared/base/text.h"
#include "shared/sys/zone_file.h"

/* ---- one file ---------------------------------------------------------------------------------------------------- */

static int cert_id_of(const struct target_scan *s, const struct target_conf *c, char ret[CERT_ID_SIZE])
{
	if (c->cert_id[0] != '\0')
		return text_copy(ret, CERT_ID_SIZE, c->cert_id);
	return name_cert_id_default(s->agent, c->stem, ret);
}

static void candidate_read(const struct agent_conf *conf, const struct target_scan *s, const char *stem, struct target_candidate *c)
{
	int r = target_conf_load(conf->targets_dir, stem, &c->conf, &c->why);
	text_cut(c->conf.stem, sizeof(c->conf.stem), stem);
	if (r == 0 && cert_id_of(s, &c->conf, c->cert_id) != 0)
		refuse(&c->why, E_SWAP_TARGET, stem, "no certificate name can be made of agent and file name: set target.cert_id");
	else if (r == 0 && agent_target_dir(conf, &c->conf, c->dir) != 0)
		refuse(&c->why, E_SWAP_TARGET, stem, "the path of its folder is too long");
	else if (r == 0)
		(void)!copies_outside(&c->conf, conf, &c->why);
	for (size_t i = 0; c->why.code == 0 && i < c->conf.windows.n; i++) {
		const struct tz *zone;
		if (zone_get(c->conf.windows.list[i].zone, &zone, &c->why) != 0)
			c->why.code = E_SWAP_TARGET;
	}
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

static const char *dir_of(const struct target_scan *s, const struct target_candidate *c)
{
	if (c->why.code == 0)
		return c->dir;
	return s->held != NULL ? s->held(s->held_ctx, c->conf.stem) : "";
}

static bool in_use(const struct target_scan *s, const struct target_candidate *c)
{
	return s->held != NULL && s->held(s->held_ctx, c->conf.stem)[0] != '\0';
}

/* Of two good files that want the same the new one is refused, such as a copy under another name: what is refused is in use as before, so
 * that both would write there. Of two new ones the first in the order of names is taken. */
static bool gives_way(const struct target_scan *s, size_t i, size_t to)
{
	bool used = in_use(s, &s->files[to]);
	return in_use(s, &s->files[i]) != used ? used : to < i;
}

/* Two targets in one folder would take `current` from each other. */
static void dirs_judge(struct target_scan *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t j = 0; j < s->n; j++) {
			struct target_candidate       *c = &s->files[i];
			const struct target_candidate *other = &s->files[j];
			if (i == j || c->why.code != 0 || !text_equal(c->dir, dir_of(s, other)) || (other->why.code == 0 && !gives_way(s, i, j)))
				continue;
			refuse(&c->why, E_SWAP_TARGET, c->conf.stem, "the folder %s belongs to target %s already", c->dir, other->conf.stem);
		}
}

/* Nor may a copy of one lie in the folder of another, or in the place of another's. */
static void copies_judge(struct target_scan *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t j = 0; j < s->n; j++) {
			struct target_candidate       *c = &s->files[i];
			const struct target_candidate *other = &s->files[j];
			if (i != j && c->why.code == 0 && other->why.code == 0 && gives_way(s, i, j))
				(void)copies_clash(&c->conf, c->dir, &other->conf, other->dir, &c->why);
		}
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

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
static const char *difference(const struct target_scan *s, const struct target_conf *a, const struct target_conf *b)
{
	if (!text_equal(a->template_id, b->template_id))
		return "target.template";
	if (!text_equal(a->names.text, b->names.text))
		return "target.names";
	if (!text_equal(a->service[0] != '\0' ? a->service : s->service, b->service[0] != '\0' ? b->service : s->service))
		return "target.service";
	return a->on_failure != b->on_failure ? "target.on_failure" : NULL;
}

static bool same_group(const struct target_scan *s, size_t i, size_t first)
{
	return s->files[i].why.code == 0 && text_equal(s->files[i].cert_id, s->files[first].cert_id);
}

/* Several target files with one cert_id are a group. When they do not agree none of them is taken: nobody knows which one is right. */
static void group_judge(struct target_scan *s, size_t first)
{
	const struct target_conf *conf = &s->files[first].conf;
	struct refusal            why = {.code = 0};
	size_t                    places = 0;
	size_t                    listeners = 0;
	for (size_t i = first; i < s->n; i++) {
		if (!same_group(s, i, first))
			continue;
		const char *what = difference(s, conf, &s->files[i].conf);
		places++;
		listeners += listeners_of(&s->files[i].conf);
		if (what != NULL && why.code == 0)
			refuse(&why, E_SWAP_TARGET, s->files[i].conf.stem, "%s differs from target %s, which serves the same certificate %s",
			       what, conf->stem, s->files[first].cert_id);
	}
	if (why.code == 0 && (places > PLACES_MAX || listeners > PLACES_LISTENERS_MAX))
		refuse(&why, E_SWAP_TARGET, s->files[first].cert_id, "a certificate may have at most %d targets with %d listeners in all",
		       PLACES_MAX, PLACES_LISTENERS_MAX);
	for (size_t i = s->n; why.code != 0 && i-- > first;)
		if (same_group(s, i, first))
			s->files[i].why = why;
}

static void groups_judge(struct target_scan *s)
{
	for (size_t i = 0; i < s->n; i++) {
		bool first = s->files[i].why.code == 0;
		for (size_t j = 0; first && j < i; j++)
			first = !same_group(s, j, i);
		if (first)
			group_judge(s, i);
	}
}

int target_scan(const struct agent_conf *conf, struct target_scan *s, struct refusal *why)
{
	char(*stems)[CERT_ID_SIZE] = calloc(TARGETS_MAX, CERT_ID_SIZE);
	if (stems == NULL)
		return refuse(why, E_NOMEM, conf->targets_dir, "no memory to list it");
	int r = target_conf_list(conf->targets_dir, stems, TARGETS_MAX, &s->n, why);
	for (size_t i = 0; r == 0 && i < s->n; i++)
		candidate_read(conf, s, stems[i], &s->files[i]);
	free(stems);
	if (r != 0)
		return r;
	dirs_judge(s);
	copies_judge(s);
	groups_judge(s);
	return 0;
}
