/* test_crl_collect.c - does a root's list name the revoked CAs below it in the order of their serial numbers, whatever they are called, so that it can be signed,
 * compared with what is published, and followed by the next one?
 * Never: the loop, or a signer's process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/crl_collect.h"
#include "controller/signer/list_content.h"
#include "shared/base/times.h"
#include "tests/lib/hierarchy.h"
#include "tests/lib/store_kit.h"

enum { ENTRIES_MAX = 8 };

static const int64_t now = 1790000000 * MS_SECOND;

static void issuers_put(struct kit *k, const struct hierarchy *h)
{
	struct store_change *c = store_change_new();
	struct issuer        other = h->issuer[ISSUER_AGENT];
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++)
		store_put_issuer(c, &h->issuer[role]);
	strcpy(other.issuer_id, "agent-2");
	strcpy(other.parent_id, "root-2");
	store_put_issuer(c, &other);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void ca_revoke(struct kit *k, const char *issuer_id, int64_t at, int reason)
{
	struct store_change *c = store_change_new();
	store_revoke_issuer(c, issuer_id, at, reason);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static struct crl_job *collected(struct kit *k, const char *issuer_id)
{
	struct shard_key key;
	memset(&key, 0, sizeof(key));
	strcpy(key.issuer_id, issuer_id);
	struct crl_job *j = crl_job_new(NULL, &key, now);
	crl_collect(j, k->view);
	assert_int_equal(j->code, 0);
	assert_false(j->ended);
	return j;
}

/* As the signer does it: from the controller's octets. */
static size_t list_make(const struct hierarchy *h, const struct crl_job *j, uint64_t number, struct crl_entry ret[ENTRIES_MAX], struct buf *der)
{
	struct sg_crl    q = {.issuer_id = "root-1", .number = number, .root = true, .entries = buf_span(&j->entries), .dates = crl_job_dates(j)};
	struct refusal   why = {.code = 0};
	struct crl_entry asked[ENTRIES_MAX];
	struct crl_info  info;
	size_t           n = 0;

	assert_int_equal(list_shape(&q, &why), 0);
	assert_true(q.entries.n <= (size_t)ENTRIES_MAX * LIST_ENTRY);
	size_t n_asked = list_entries(&q, asked);
	buf_reset(der);
	assert_int_equal(issue_crl(h->ca[ISSUER_ROOT], number, now, now + 300 * MS_DAY, NULL, asked, n_asked, der), 0);
	assert_int_equal(crl_read(buf_span(der), hierarchy_der(h, ISSUER_ROOT), &info), 0);
	assert_int_equal(info.number, number);
	assert_int_equal(crl_entries(buf_span(der), ret, ENTRIES_MAX, &n), 0);
	assert_int_equal(n, n_asked);
	return n;
}

static void assert_names(const struct crl_entry *e, const struct hierarchy *h, enum issuer_role role, int64_t at, int reason)
{
	struct cert_info info;
	assert_int_equal(cert_read(hierarchy_der(h, role), &info), 0);
	assert_memory_equal(e->serial.b, info.serial.b, sizeof(e->serial.b));
	assert_int_equal(e->revoked_at, at);
	assert_int_equal(e->reason, reason);
	assert_int_equal(e->invalidity_at, 0);
}

/* By name it is agent, code-signing, service; by serial number service, agent, code-signing. */
static void revoked_cas_stand_in_the_order_of_serials(void **state)
{
	struct kit            *k = *state;
	struct hierarchy       h;
	struct crl_entry       e[ENTRIES_MAX];
	_cleanup_(buf_free) struct buf first = BUF_MAX(65536), next = BUF_MAX(65536);
	hierarchy_make(&h, now, KEY_EC_P256, "");
	issuers_put(k, &h);

	struct crl_job *j = collected(k, "root-1");
	assert_int_equal(list_make(&h, j, 1, e, &first), 0);
	crl_job_free(j);

	ca_revoke(k, "agent-1", now - 9 * MS_SECOND, 1);
	ca_revoke(k, "service-1", now - 5 * MS_SECOND, 4);
	ca_revoke(k, "agent-2", now - 3 * MS_SECOND, 1); /* the other root's */
	j = collected(k, "root-1");
	assert_false(crl_job_matches(j, buf_span(&first)));
	assert_int_equal(list_make(&h, j, 2, e, &first), 2);
	assert_names(&e[0], &h, ISSUER_SERVICE, now - 5 * MS_SECOND, 4);
	assert_names(&e[1], &h, ISSUER_AGENT, now - 9 * MS_SECOND, 1);
	assert_int_equal(crl_job_dates(j).n, 0);
	assert_true(crl_job_matches(j, buf_span(&first))); /* nothing to be made anew */
	crl_job_free(j);

	ca_revoke(k, "code-signing-1", now - 2 * MS_SECOND, 5);
	j = collected(k, "root-1");
	assert_false(crl_job_matches(j, buf_span(&first)));
	assert_int_equal(list_make(&h, j, 3, e, &next), 3);
	assert_names(&e[0], &h, ISSUER_SERVICE, now - 5 * MS_SECOND, 4);
	assert_names(&e[1], &h, ISSUER_AGENT, now - 9 * MS_SECOND, 1);
	assert_names(&e[2], &h, ISSUER_CODE_SIGNING, now - 2 * MS_SECOND, 5);
	assert_true(crl_job_matches(j, buf_span(&next)));
	crl_job_free(j);

	j = collected(k, "service-1"); /* only a CA's parent names it */
	assert_int_equal(j->entries.n, 0);
	crl_job_free(j);
	hierarchy_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {KIT_ON_BOTH(revoked_cas_stand_in_the_order_of_serials)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
