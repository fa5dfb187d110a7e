/* rows.c - room controller/daemon: the write-through table of rows in flight.
 * Never: keeping a row longer than its commit or its holder. */
#include "controller/daemon/rows.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "shared/base/text.h"

enum row_kind { ROW_CERTIFICATE, ROW_ISSUANCE, ROW_AGENT, ROW_TARGET, ROW_KIND_COUNT };

struct row_key {
	enum row_kind kind;
	char          text[TARGET_ID_SIZE]; /* or the 16 bytes of a serial */
};

struct row {
	struct row_key key;
	uint32_t       pending; /* commits in flight */
	uint32_t       holders;
	bool           gone;  /* its removal is in flight */
	bool           stale; /* a commit failed: what is here never became true */
	UT_hash_handle hh;
	union {
		struct certificate certificate;
		struct issuance    issuance;
		struct agent       agent;
		struct target      target;
	} value;
};

struct rows {
	struct store_view *view;
	struct row        *all;
};

static const size_t value_size[ROW_KIND_COUNT] = {
	[ROW_CERTIFICATE] = sizeof(struct certificate),
	[ROW_ISSUANCE] = sizeof(struct issuance),
	[ROW_AGENT] = sizeof(struct agent),
	[ROW_TARGET] = sizeof(struct target),
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
	HASH_ITER (hh, r->all, row, tmp) {
		HASH_DEL(r->all, row);
		free(row);
	}
	free(r);
}

static struct row_key key_of(enum row_kind kind, const void *text, size_t n)
{
	struct row_key key;
	memset(&key, 0, sizeof(key)); /* padding, too: the whole struct is hashed */
	key.kind = kind;
	memcpy(key.text, text, n < sizeof(key.text) ? n : sizeof(key.text) - 1);
	return key;
}

static struct row *find(struct rows *r, const struct row_key *key)
{
	struct row *row = NULL;
	HASH_FIND(hh, r->all, key, sizeof(*key), row);
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
	case ROW_KIND_COUNT:
		break;
	}
	return E_INTERNAL;
}

static struct row *add(struct rows *r, const struct row_key *key)
{
	struct row *row = calloc(1, sizeof(*row));
	if (row == NULL)
		abort();
	row->key = *key;
	HASH_ADD(hh, r->all, key, sizeof(row->key), row);
	return row;
}

int rows_certificate(struct rows *r, const char *cert_id, struct certificate *ret)
{
	struct row_key    key = key_of(ROW_CERTIFICATE, cert_id, strlen(cert_id));
	const struct row *row = find(r, &key);
	if (row == NULL)
		return view_certificate(r->view, cert_id, ret);
	*ret = row->value.certificate;
	return 0;
}

int rows_issuance(struct rows *r, struct serial serial, struct issuance *ret)
{
	struct row_key    key = key_of(ROW_ISSUANCE, serial.b, sizeof(serial.b));
	const struct row *row = find(r, &key);
	if (row == NULL)
		return view_issuance(r->view, serial, ret);
	*ret = row->value.issuance;
	return 0;
}

int rows_agent(struct rows *r, const char *name, struct agent *ret)
{
	struct row_key    key = key_of(ROW_AGENT, name, strlen(name));
	const struct row *row = find(r, &key);
	if (row == NULL)
		return view_agent(r->view, name, ret);
	*ret = row->value.agent;
	return 0;
}

static const struct row *find_target(struct rows *r, const char *target_id)
{
	struct row_key key = key_of(ROW_TARGET, target_id, strlen(target_id));
	return find(r, &key);
}

int rows_target(struct rows *r, const char *target_id, struct target *ret)
{
	const struct row *row = find_target(r, target_id);
	if (row == NULL)
		return view_target(r->view, target_id, ret);
	if (row->gone)
		return E_NOT_FOUND;
	*ret = row->value.target;
	return 0;
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
			HASH_DEL(r->all, row);
			free(row);
			return code;
		}
	}
	row->holders++;
	*ret = &row->value.agent;
	return 0;
}

static void forget_if_idle(struct rows *r, struct row *row)
{
	if (row->pending > 0)
		return;
	if (row->holders == 0) {
		HASH_DEL(r->all, row);
		free(row);
	} else if (row->stale && load(r, row) == 0) {
		row->stale = false;
	}
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
	return set(r, &key, i);
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

void rows_settle(struct rows *r, struct row *row, bool stored)
{
	row->pending--;
	if (!stored)
		row->stale = true;
	forget_if_idle(r, row);
}
