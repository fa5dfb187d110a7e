/* place.c - room agent/keeper: the places of a certificate, one per target file.
 * Never: what is done there. */
#include "agent/keeper/place.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_journal.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"

struct place *place_find(struct managed *m, const char *stem)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (text_equal(m->places[i]->stem, stem))
			return m->places[i];
	return NULL;
}

int place_add(struct managed *m, const char *stem, struct place **ret)
{
	if (m->n_places == PLACES_MAX)
		return E_FULL;
	struct place *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	p->managed = m;
	text_cut(p->stem, sizeof(p->stem), stem);
	m->places[m->n_places++] = p;
	*ret = p;
	return 0;
}

void place_forget(struct place *p)
{
	struct managed *m = p->managed;
	size_t          i = 0;
	while (m->places[i] != p)
		i++;
	m->places[i] = m->places[--m->n_places];
	hook_cancel(p->hook);
	probe_free(p->probe);
	free(p);
}

bool places_live(const struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (!m->places[i]->retired)
			return true;
	return false;
}

bool places_present(const struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (!m->places[i]->retired && !m->places[i]->present)
			return false;
	return places_live(m);
}

int place_open(const struct place *p, int *ret_fd, struct refusal *why)
{
	if (!p->present)
		return refuse(why, E_SWAP_TARGET, p->stem, "the target file is missing or wrong");
	return generation_dir(p->dir, ret_fd, why);
}

void place_look(struct place *p)
{
	struct on_disk          found = {.generation = 0};
	struct generation_facts facts;
	_cleanup_fd_ int        fd = -1;
	if (p->present && dir_open_safe(p->dir, geteuid(), &fd, NULL) == 0 && generation_current(fd, &found.generation, NULL) == 0 &&
	    found.generation != 0 && generation_read(fd, found.generation, &facts, NULL) == 0) {
		struct span rest = buf_span(&facts.chain);
		struct span leaf;
		found.fingerprint = facts.info.fingerprint;
		found.not_after_at = facts.info.not_after_at;
		/* a pair of somebody else (self-signed, from another tool) has no serial of ours */
		if (der_next(&rest, &leaf) &&
		    cert_verify(leaf, rest, buf_span(&p->managed->keeper->state.trust.roots), 0, 0, NULL) == 0)
			found.serial = facts.info.serial;
		buf_free(&facts.chain);
	}
	p->on_disk = found;
}

struct record_target place_record(const struct place *p)
{
	struct record_target record = {.generation = p->managed->generation, .old_generation = p->old_generation};
	text_cut(record.cert_id, sizeof(record.cert_id), p->managed->cert_id);
	text_cut(record.stem, sizeof(record.stem), p->stem);
	return record;
}

int place_remember(const struct place *p, bool gone, bool sync)
{
	struct keeper       *k = p->managed->keeper;
	struct record_target record = place_record(p);
	record.gone = gone;
	int r = keeper_journal_add(k, RECORD_TARGET, &record);
	return r == 0 ? keeper_journal_commit(k, sync) : r;
}
