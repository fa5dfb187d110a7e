/* crl_collect.c - room controller/daemon: crl_collect() on a worker, the rest on the loop; page by page, in the order of serial numbers, in the signer's form.
 * Never: the loop's memory, apart from the job. */
#include "controller/daemon/crl_collect.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/catalog.h"
#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"

enum {
	ENTRY_SIZE = 24, /* of sg_crl.entries: serial 16, seconds 7, reason 1 */
	DATE_SIZE = 8,   /* of sg_crl.dates: seconds */
	PAGE = 500,
};

struct crl_job *crl_job_new(struct controller *ctl, const struct shard_key *key, int64_t now)
{
	struct crl_job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		abort();
	j->ctl = ctl;
	j->key = *key;
	j->now = now;
	j->code = E_STORE_IO; /* until the job says otherwise */
	j->entries = (struct buf)BUF_MAX(ENTRY_SIZE * (ISSUANCES_PER_SHARD + CATALOG_ISSUERS_MAX));
	j->dates = (struct buf)BUF_MAX(DATE_SIZE * (ISSUANCES_PER_SHARD + CATALOG_ISSUERS_MAX));
	return j;
}

void crl_job_free(struct crl_job *j)
{
	buf_free(&j->entries);
	buf_free(&j->dates);
	free(j);
}

static void pack(struct serial serial, int64_t revoked_at, int reason, uint8_t to[ENTRY_SIZE])
{
	memcpy(to, serial.b, sizeof(serial.b));
	be_put(to + 16, (uint64_t)(revoked_at / MS_SECOND), 7);
	to[23] = (uint8_t)reason;
}

static void add_entry(struct crl_job *j, struct serial serial, int64_t revoked_at, int reason, int64_t invalidity_at)
{
	uint8_t entry[ENTRY_SIZE], date[DATE_SIZE];
	pack(serial, revoked_at, reason, entry);
	be_put(date, (uint64_t)(invalidity_at / MS_SECOND), DATE_SIZE);
	buf_add(&j->entries, entry, sizeof(entry));
	buf_add(&j->dates, date, sizeof(date));
	j->dated |= invalidity_at != 0;
}

struct span crl_job_dates(const struct crl_job *j)
{
	return j->dated ? buf_span(&j->dates) : (struct span){NULL, 0};
}

/* One list beyond the end of its last certificate was made, and has ended, too. There is always the first shard. */
static bool is_over(const struct crl_job *j, struct store_view *view)
{
	uint32_t *shards = calloc(CRL_SHARDS_MAX, sizeof(*shards));
	size_t    n = 0;
	bool      over = j->key.shard != 0 && shards != NULL && view_shards(view, j->key.issuer_id, j->gone, shards, CRL_SHARDS_MAX, &n) == 0 && n < CRL_SHARDS_MAX;
	for (size_t i = 0; over && i < n; i++)
		over = shards[i] != j->key.shard;
	free(shards);
	return over;
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t kept = a[i];
		a[i] = b[i];
		b[i] = kept;
	}
}

/* The last entry goes to its place: a list is in the order of serial numbers. */
static void sink_last(struct crl_job *j)
{
	if (buf_error(&j->entries) != 0 || buf_error(&j->dates) != 0)
		return;
	for (size_t at = j->entries.n / ENTRY_SIZE - 1; at > 0; at--) {
		uint8_t *entry = j->entries.p + at * ENTRY_SIZE, *date = j->dates.p + at * DATE_SIZE;
		if (memcmp(entry - ENTRY_SIZE, entry, sizeof(struct serial)) <= 0)
			return;
		swap(entry - ENTRY_SIZE, entry, ENTRY_SIZE);
		swap(date - DATE_SIZE, date, DATE_SIZE);
	}
}

/* CAs have no issuance: the root's list takes them from their own rows, which are in the order of names. */
static int add_issuers(struct crl_job *j, struct store_view *view)
{
	struct issuer *rows = calloc(STORE_LIST_MAX, sizeof(*rows));
	size_t         n = 0;
	int            r = rows != NULL ? view_issuers(view, "", rows, STORE_LIST_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct cert_info info;
		if (rows[i].revoked_at == 0 || !text_equal(rows[i].parent_id, j->key.issuer_id))
			continue;
		r = cert_read((struct span){rows[i].der, rows[i].der_len}, &info);
		if (r == 0) {
			add_entry(j, info.serial, rows[i].revoked_at, rows[i].revoke_reason, 0);
			sink_last(j);
		}
	}
	free(rows);
	return r;
}

void crl_collect(void *job, struct store_view *view)
{
	struct crl_job     *j = job;
	struct revoked_row *page = calloc(PAGE, sizeof(*page));
	struct serial       after = {0};
	size_t              n = PAGE;
	j->code = page != NULL ? 0 : E_NOMEM;
	while (j->code == 0 && n == PAGE) {
		j->code = view_revoked(view, j->key.issuer_id, j->key.shard, j->since, after, page, PAGE, &n);
		for (size_t i = 0; j->code == 0 && i < n; i++) {
			add_entry(j, page[i].serial, page[i].revoked_at, (int)page[i].reason, page[i].invalidity_at);
			after = page[i].serial;
		}
	}
	if (j->code == 0 && j->key.shard == 0)
		j->code = add_issuers(j, view);
	if (j->code == 0)
		j->code = buf_error(&j->entries) != 0 ? buf_error(&j->entries) : buf_error(&j->dates);
	j->ended = j->code == 0 && is_over(j, view);
	free(page);
}

bool crl_job_matches(const struct crl_job *j, struct span der)
{
	struct span       entries = buf_span(&j->entries), dates = crl_job_dates(j);
	size_t            n = 0;
	size_t            max = entries.n / ENTRY_SIZE;
	bool              same = false;
	struct crl_entry *list = calloc(max + 1, sizeof(*list));
	if (list != NULL && crl_entries(der, list, max, &n) == 0 && n == max) {
		same = true;
		for (size_t i = 0; same && i < n; i++) {
			uint8_t entry[ENTRY_SIZE];
			pack(list[i].serial, list[i].revoked_at, list[i].reason, entry);
			uint64_t date = dates.n > 0 ? be_get(dates.p + i * DATE_SIZE, DATE_SIZE) : 0;
			same = memcmp(entry, entries.p + i * ENTRY_SIZE, ENTRY_SIZE) == 0 && date == (uint64_t)(list[i].invalidity_at / MS_SECOND);
		}
	}
	free(list);
	return same;
}
