/* rows.c - room controller/daemon: the write-through table of rows in flight, and of those that were needed last.
 * Never: keeping a value that did not become true. */
#include "controller/daemon/rows.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "shared/base/text.h"

enum row_kind { ROW_CERTIFICATE, ROW_ISSUANCE, ROW_AGENT, ROW_TARGET, ROW_STAGE, ROW_KIND_COUNT };

struct row_key {
	enum row_kind kind;
	char          text[TARGET_ID_SIZE]; /* or the 16 bytes of a serial */
};

struct row {
	struct row_key key;
	uint32_t       pending; /* commits in flight */
	uint32_t       holders;
	bool           idle;  /* neither: kept for the next who asks */
	bool           gone;  /* its removal is in flight */
	bool           stale; /* a commit failed: what is here never became true */
	struct row    *prev, *next; /* in rows.idle */
	bool           by_key; /* in rows.keys */
	UT_hash_handle hh, hh_key;
	union { /* last: a row takes the room of its kind */
		struct certificate certificate;
		struct issuance    issuance;
		struct agent       agent;
		struct target      target;
		struct staged_key  stage;
	} value;
};

struct rows {
	struct store_view *view;
	struct row        *all;
	struct row        *keys; /* issuances in flight, by their key: one for each */
	struct row        *idle; /* the one that was asked for longest ago comes first */
	size_t             n_idle;
};

static const size_t value_size[ROW_KIND_COUNT] = {
	[ROW_CERTIFICATE] = sizeof(struct certificate),
	[ROW_ISSUANCE] = sizeof(struct issuance),
	[ROW_AGENT] = sizeof(struct agent),
	[ROW_TARGET] = sizeof(struct target),
	[ROW_STAGE] = sizeof(struct staged_key),
};

int rows_open(struct store_view *view, struct rows **ret)
{
	struct rows *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return E_NOMEM;
	r->view = view;
	*ret = r;
	return 0;
}

void rows_free(struct rows *r)
{
	if (r == NULL)
		return;
	struct row *row, *tmp;
	HASH_CLEAR(hh_key, r->keys);
	HASH_ITER (hh, r->all, row, tmp) {
		HASH_DEL(r->all, row);
		free(row);
	}
	free(r);
}

static struct row_key key_of(enum row_kind kind, const void *text, size_t n)
{
	struct row_key key = {.kind = kind};
	memcpy(key.text, text, n < sizeof(key.text) ? n : sizeof(key.text) - 1);
	return key;
}

/* Only what there is of a key is hashed. */
static unsigned key_size(const struct row_key *key)
{
	size_t n = key->kind == ROW_ISSUANCE ? sizeof(struct serial) : strlen(key->text);
	return (unsigned)(offsetof(struct row_key, text) + n);
}

static struct row *find(struct rows *r, const struct row_key *key)
{
	struct row *row = NULL;
	HASH_FIND(hh, r->all, key, key_size(key), row);
	return row;
}

static int load(struct rows *r, struct row *row)
{
	struct serial serial;
	switch (row->key.kind) {
	case ROW_CERTIFICATE:
		return view_certificate(r->view, row->key.text, &row->value.certificate);
	case ROW_AGENT:
		return view_agent(r->view, row->key.text, &row->value.agent);
	case ROW_ISSUANCE:
		memcpy(serial.b, row->key.text, sizeof(serial.b));
		return view_issuance(r->view, serial, &row->value.issuance);
	case ROW_TARGET:
		return view_target(r->view, row->key.text, &row->value.target);
	case ROW_STAGE:
		return view_stage(r->view, row->key.text, &row->value.stage);
	case ROW_KIND_COUNT:
		break;
	}
	return E_INTERNAL;
}

static struct row *add(struct rows *r, const struct row_key *key)
{
	struct row *row = calloc(1, offsetof(struct row, value) + value_size[key->kind]);
	if (row == NULL)
		abort();
	row->key = *key;
	HASH_ADD(hh, r->all, key, key_size(&row->key), row);
	return row;
}

/* ---- rows that nobody needs at the moment ----------------------------------------------------------------------- */

static void drop(struct rows *r, struct row *row)
{
	HASH_DEL(r->all, row);
	free(row);
}

static void wake(struct rows *r, struct row *row)
{
	if (!row->idle)
		return;
	row->idle = false;
	DL_DELETE(r->idle, row);
	r->n_idle--;
}

static void rest(struct rows *r, struct row *row)
{
	row->idle = true;
	DL_APPEND(r->idle, row);
	if (++r->n_idle <= ROWS_CACHED_MAX)
		return;
	struct row *oldest = r->idle;
	wake(r, oldest);
	drop(r, oldest);
}

static int get(struct rows *r, enum row_kind kind, const void *text, size_t n, void *ret)
{
	struct row_key key = key_of(kind, text, n);
	struct row    *row = find(r, &key);
	if (row == NULL) {
		row = add(r, &key);
		int code = load(r, row);
		if (code < 0) {
			drop(r, row);
			return code;
		}
		rest(r, row);
	} else if (row->gone) {
		return E_NOT_FOUND;
	} else if (row->idle) {
		wake(r, row);
		rest(r, row);
	}
	memcpy(ret, &row->value, value_size[kind]);
	return 0;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

int rows_certificate(struct rows *r, const char *cert_id, struct certificate *ret)
{
	return get(r, ROW_CERTIFICATE, cert_id, strlen(cert_id), ret);
}

int rows_issuance(struct rows *r, struct serial serial, struct issuance *ret)
{
	return get(r, ROW_ISSUANCE, serial.b, sizeof(serial.b), ret);
}

int rows_agent(struct rows *r, const char *name, struct agent *ret)
{
	return get(r, ROW_AGENT, name, strlen(name), ret);
}

int rows_target(struct rows *r, const char *target_id, struct target *ret)
{
	return get(r, ROW_TARGET, target_id, strlen(target_id), ret);
}

int rows_stage(struct rows *r, const char *cert_id, struct staged_key *ret)
{
	return get(r, ROW_STAGE, cert_id, strlen(cert_id), ret);
}

int rows_key_use(struct rows *r, struct hash spki_hash, const char *cert_id, struct id renewal_id, struct key_use *ret)
{
	struct key_use use;
	struct row    *row;
	int            code = view_key_use(r->view, spki_hash, cert_id, renewal_id, &use);
	if (code < 0)
		return code;
	HASH_FIND(hh_key, r->keys, &spki_hash, sizeof(spki_hash), row);
	if (row != NULL)
		key_use_add(&use, &row->value.issuance, cert_id, renewal_id);
	*ret = use;
	return 0;
}

static const struct row *find_target(struct rows *r, const char *target_id)
{
	struct row_key key = key_of(ROW_TARGET, target_id, strlen(target_id));
	return find(r, &key);
}

int rows_targets_of(struct rows *r, const char *cert_id, struct target *ret, size_t max, size_t *ret_n)
{
	size_t n = 0, kept = 0;
	int    code = view_targets_of(r->view, cert_id, ret, max, &n);
	for (size_t i = 0; code == 0 && i < n; i++) {
		const struct row *row = find_target(r, ret[i].target_id);
		if (row == NULL || !row->gone)
			ret[kept++] = row != NULL ? row->value.target : ret[i];
	}
	*ret_n = kept;
	return code;
}

int rows_hold_agent(struct rows *r, const char *name, const struct agent **ret)
{
	struct row_key key = key_of(ROW_AGENT, name, strlen(name));
	struct row    *row = find(r, &key);
	if (row == NULL) {
		row = add(r, &key);
		int code = load(r, row);
		if (code < 0) {
			drop(r, row);
			return code;
		}
	}
	wake(r, row);
	row->holders++;
	*ret = &row->value.agent;
	return 0;
}

static void key_remember(struct rows *r, struct row *row)
{
	const struct hash *key = &row->value.issuance.spki_hash;
	struct row        *known;
	if (row->by_key || hash_is_none(*key))
		return;
	HASH_FIND(hh_key, r->keys, key, sizeof(*key), known);
	row->by_key = known == NULL;
	if (row->by_key)
		HASH_ADD(hh_key, r->keys, value.issuance.spki_hash, sizeof(*key), row);
}

static void key_forget(struct rows *r, struct row *row)
{
	if (row->by_key)
		HASH_DELETE(hh_key, r->keys, row);
	row->by_key = false;
}

static void forget_if_idle(struct rows *r, struct row *row)
{
	if (row->pending > 0)
		return;
	key_forget(r, row);
	if (row->holders > 0)
		row->stale = row->stale && load(r, row) < 0;
	else if (row->stale || row->gone)
		drop(r, row);
	else
		rest(r, row);
}

void rows_release_agent(struct rows *r, const char *name)
{
	struct row_key key = key_of(ROW_AGENT, name, strlen(name));
	struct row    *row = find(r, &key);
	if (row == NULL || row->holders == 0)
		return;
	row->holders--;
	forget_if_idle(r, row);
}

static struct row *set(struct rows *r, const struct row_key *key, const void *value)
{
	struct row *row = find(r, key);
	if (row == NULL)
		row = add(r, key);
	wake(r, row);
	memcpy(&row->value, value, value_size[key->kind]);
	row->gone = false;
	row->pending++;
	return row;
}

struct row *rows_set_certificate(struct rows *r, const struct certificate *c)
{
	struct row_key key = key_of(ROW_CERTIFICATE, c->cert_id, strlen(c->cert_id));
	return set(r, &key, c);
}

struct row *rows_set_issuance(struct rows *r, const struct issuance *i)
{
	struct row_key key = key_of(ROW_ISSUANCE, i->serial.b, sizeof(i->serial.b));
	struct row    *row = set(r, &key, i); /* its key never changes */
	key_remember(r, row);
	return row;
}

struct row *rows_set_agent(struct rows *r, const struct agent *a)
{
	struct row_key key = key_of(ROW_AGENT, a->name, strlen(a->name));
	return set(r, &key, a);
}

struct row *rows_set_target(struct rows *r, const struct target *t)
{
	struct row_key key = key_of(ROW_TARGET, t->target_id, strlen(t->target_id));
	return set(r, &key, t);
}

struct row *rows_remove_target(struct rows *r, const char *target_id)
{
	struct target none = {.proved_at = 0};
	text_cut(none.target_id, sizeof(none.target_id), target_id);
	struct row *row = rows_set_target(r, &none);
	row->gone = true;
	return row;
}

struct row *rows_set_stage(struct rows *r, const struct staged_key *s)
{
	struct row_key key = key_of(ROW_STAGE, s->cert_id, strlen(s->cert_id));
	return set(r, &key, s);
}

struct row *rows_remove_stage(struct rows *r, const char *cert_id)
{
	struct staged_key none = {.made_at = 0};
	text_cut(none.cert_id, sizeof(none.cert_id), cert_id);
	struct row *row = rows_set_stage(r, &none);
	row->gone = true;
	return row;
}

void rows_forget_idle(struct rows *r)
{
	struct row *row, *tmp;
	DL_FOREACH_SAFE (r->idle, row, tmp) {
		wake(r, row);
		drop(r, row);
	}
}

void rows_forget_issuance(struct rows *r, struct serial serial)
{
	struct row_key key = key_of(ROW_ISSUANCE, serial.b, sizeof(serial.b));
	struct row    *row = find(r, &key);
	if (row == NULL || !row->idle)
		return;
	wake(r, row);
	drop(r, row);
}

void rows_settle(struct rows *r, struct row *row, bool stored)
{
	row->pending--;
	if (!stored)
		row->stale = true;
	forget_if_idle(r, row);
}
