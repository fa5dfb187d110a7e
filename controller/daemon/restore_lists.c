/* restore_lists.c - room controller/daemon: what is on the lists stays on them.
 * Never: believing a list that its issuer did not sign; taking a file that cannot be read for an empty one. */
#include "controller/daemon/restore_lists.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/issue.h"
#include "shared/sys/file.h"

enum { SHARDS_MAX = 65536, ROWS = 500, LIST_MAX = 32 * 1024 * 1024, ENTRIES_MAX = 1000000 };

/* ---- one entry ------------------------------------------------------------------------------------------------- */

/* Issued and revoked after the backup. It stays on its list to the end of the issuer: nobody here knows its own. */
static struct issuance unknown(const struct restore_edit *e, const struct issuer *issuer, uint32_t shard, struct serial serial)
{
	struct issuance i = {
		.serial = serial,
		.owner = OWNER_CONTROLLER,
		.state = ISSUANCE_ISSUED,
		.not_before_at = e->now,
		.not_after_at = issuer->not_after_at,
		.crl_shard = shard,
		.created_at = e->now,
		.supersede_at = TIME_NEVER,
	};
	text_cut(i.issuer_id, sizeof(i.issuer_id), issuer->issuer_id);
	text_cut(i.owner_id, sizeof(i.owner_id), "restored");
	text_cut(i.subject, sizeof(i.subject), "issued after the backup, known from a revocation list");
	return i;
}

/* Whether the certificate itself was ended, too: not when it was only replaced; then it shows what became of the issuance that it knows. */
static int follow_certificate(struct restore_edit *e, const struct issuance *i, const struct revoked_row *entry)
{
	struct certificate c;
	if (i->owner != OWNER_CERTIFICATE)
		return 0;
	int r = view_certificate(e->view, i->owner_id, &c);
	if (r < 0 || !serial_equal(c.serial, i->serial))
		return r == E_NOT_FOUND ? 0 : r;
	if (entry->reason == REASON_HOLD)
		c.suspended_at = entry->revoked_at;
	else
		c.serial_revoked_at = entry->revoked_at;
	if (entry->reason != REASON_HOLD && entry->reason != REASON_SUPERSEDED)
		c.revoked_at = entry->revoked_at;
	if (entry->reason != REASON_SUPERSEDED)
		c.renew_at = TIME_NEVER;
	store_put_certificate(restore_change(e), &c, c.version);
	return 0;
}

static int take(struct restore_edit *e, const struct issuer *issuer, uint32_t shard, const struct revoked_row *entry)
{
	struct issuance i;
	int             r = view_issuance(e->view, entry->serial, &i);
	bool            is_new = r == E_NOT_FOUND, hold = entry->reason == REASON_HOLD;
	if (r < 0 && !is_new)
		return r;
	if (is_new)
		i = unknown(e, issuer, shard, entry->serial);
	if (i.state == ISSUANCE_REVOKED || (hold && i.held_at != 0))
		return 0;
	if (i.state == ISSUANCE_INTENT || i.state == ISSUANCE_VOID) {
		i.state = ISSUANCE_ISSUED; /* it was signed later; what is kept of it is the request */
		i.der_len = 0;
	}
	i.held_at = hold ? entry->revoked_at : 0;
	if (!hold) {
		i.state = ISSUANCE_REVOKED;
		i.revoked_at = entry->revoked_at;
		i.revoke_reason = entry->reason;
		i.invalidity_at = entry->invalidity_at;
		i.supersede_at = TIME_NEVER;
	}
	if (is_new)
		store_add_issuance(restore_change(e), &i);
	else
		store_put_issuance(restore_change(e), &i);
	e->counts.revocations++;
	r = follow_certificate(e, &i, entry);
	return r < 0 ? r : restore_pace(e);
}

/* ---- from the old store ---------------------------------------------------------------------------------------- */

static int merge_shard(struct restore_edit *e, const struct issuer *issuer, uint32_t shard, struct revoked_row *rows)
{
	struct serial after = {{0}};
	size_t        n = ROWS;
	int           r = 0;
	while (r == 0 && n == ROWS && (r = view_revoked(e->old, issuer->issuer_id, shard, e->now, after, rows, ROWS, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].serial;
			r = take(e, issuer, shard, &rows[i]);
		}
	return r;
}

static int merge_store(struct restore_edit *e, const struct issuer *issuer)
{
	uint32_t           *shards = calloc(SHARDS_MAX, sizeof(*shards));
	struct revoked_row *rows = calloc(ROWS, sizeof(*rows));
	size_t              n = 0;
	int                 r = shards != NULL && rows != NULL ? 0 : E_NOMEM;
	if (r == 0)
		r = view_shards(e->old, issuer->issuer_id, e->now, shards, SHARDS_MAX, &n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = merge_shard(e, issuer, shards[i], rows);
	free(shards);
	free(rows);
	return r < 0 ? r : restore_flush(e);
}

/* ---- from the files -------------------------------------------------------------------------------------------- */

static int take_entries(struct restore_edit *e, const struct issuer *issuer, uint32_t shard, struct span der, size_t n)
{
	struct crl_entry *entries = calloc(n + 1, sizeof(*entries));
	int               r = entries != NULL ? crl_entries(der, entries, n + 1, &n) : E_NOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct revoked_row row = {entries[i].serial, entries[i].revoked_at, entries[i].reason, entries[i].invalidity_at};
		r = take(e, issuer, shard, &row);
	}
	free(entries);
	return r;
}

static int merge_file(struct restore_edit *e, const struct issuer *issuer, int dir, const char *name, uint64_t *seen,
		      struct refusal *why)
{
	_cleanup_(buf_free) struct buf der = BUF_MAX(LIST_MAX);
	struct crl_info                info;
	char                          *end;
	unsigned long                  shard = strtoul(name, &end, 10);
	if (end == name || strcmp(end, ".crl") != 0 || shard > UINT32_MAX)
		return 0; /* none of ours */
	int r = file_read(dir, name, false, &der, why);
	if (r < 0)
		return r;
	r = crl_read(buf_span(&der), (struct span){issuer->der, issuer->der_len}, &info);
	if (r == 0 && info.entries > ENTRIES_MAX)
		r = E_FULL;
	if (r < 0)
		return refuse(why, r, name, "the published list of %s cannot be used: move it away, then repeat", issuer->issuer_id);
	if (info.number > *seen)
		*seen = info.number;
	return take_entries(e, issuer, (uint32_t)shard, buf_span(&der), info.entries);
}

static int merge_files(struct restore_edit *e, const struct issuer *issuer, uint64_t *seen, struct refusal *why)
{
	char folder[4096];
	if (snprintf(folder, sizeof(folder), "%s/%s", e->crl_folder, issuer->issuer_id) >= (int)sizeof(folder))
		return refuse(why, E_FULL, e->crl_folder, "the path is too long");
	DIR *files = opendir(folder);
	if (files == NULL)
		return errno == ENOENT ? 0 : sys_refuse(why, folder, "open");
	int            r = 0;
	struct dirent *f;
	while (r == 0 && (f = readdir(files)) != NULL)
		r = merge_file(e, issuer, dirfd(files), f->d_name, seen, why);
	closedir(files);
	return r < 0 ? r : restore_flush(e);
}

int restore_lists_merge(struct restore_edit *e, const struct issuer *issuer, uint64_t *seen, struct refusal *why)
{
	int r = e->old != NULL ? merge_store(e, issuer) : 0;
	return r < 0 ? r : merge_files(e, issuer, seen, why);
}

int restore_lists_drop(struct restore_edit *e, const char *issuer_id)
{
	uint32_t *shards = calloc(SHARDS_MAX, sizeof(*shards));
	size_t    n = 0;
	int       r = shards != NULL ? view_shards(e->view, issuer_id, 0, shards, SHARDS_MAX, &n) : E_NOMEM;
	store_remove_crl(restore_change(e), issuer_id, 0); /* there always was this one */
	for (size_t i = 0; i < n && r == 0; i++) {
		store_remove_crl(restore_change(e), issuer_id, shards[i]);
		r = restore_pace(e);
	}
	free(shards);
	return r;
}
