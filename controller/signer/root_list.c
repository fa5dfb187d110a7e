/* root_list.c - room controller/signer: the request for the revocation list of an offline root, and whether a list is its answer.
 * Never: a private key. */
#include "controller/signer/root_list.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/file.h"

#define FIRST "vcc-root-list 1\n"
#define SHAPE FIRST "root %s\ncertificate %s\nnumber %" PRIu64 "\nfrom %" PRId64 "\nto %" PRId64 "\n"
#define SCAN  FIRST "root %31[^\n]\ncertificate %64[^\n]\nnumber %" SCNu64 "\nfrom %" SCNd64 "\nto %" SCNd64 "\n%n"
#define ENTRY "revoked %s at %" PRIu64 " reason %u invalid %" PRIu64 "\n"
#define READ  "revoked %32[^\n ] at %" SCNu64 " reason %u invalid %" SCNu64 "\n%n"

bool root_list_is(struct span text)
{
	return text.n > sizeof(FIRST) - 1 && memcmp(text.p, FIRST, sizeof(FIRST) - 1) == 0;
}

int root_list_write(const struct root_list *l, struct buf *to)
{
	char print[HASH_TEXT_SIZE], serial[SERIAL_TEXT_SIZE];
	buf_add_fmt(to, SHAPE, l->crl.issuer_id, hash_text(l->root_hash, print), l->crl.number, l->crl.this_update_at, l->crl.next_update_at);
	for (size_t i = 0; i < l->crl.entries.n / LIST_ENTRY; i++) {
		const uint8_t *p = l->crl.entries.p + i * LIST_ENTRY;
		struct serial  s;
		memcpy(s.b, p, sizeof(s.b));
		buf_add_fmt(to, ENTRY, serial_text(s, serial), be_get(p + 16, 7), (unsigned)p[23],
			    l->crl.dates.n > 0 ? be_get(l->crl.dates.p + i * LIST_DATE, LIST_DATE) : 0);
	}
	return buf_error(to);
}

static bool entry_read(const char **at, struct root_list *l, size_t i)
{
	char          text[SERIAL_TEXT_SIZE];
	struct serial serial;
	uint64_t      seconds, date;
	unsigned      reason;
	int           n = 0;
	if (sscanf(*at, READ, text, &seconds, &reason, &date, &n) != 4 || n == 0 || serial_parse(text, &serial) < 0 || seconds >> 56 != 0 || reason > 255)
		return false;
	uint8_t *p = l->entries + i * LIST_ENTRY;
	memcpy(p, serial.b, sizeof(serial.b));
	be_put(p + 16, seconds, 7);
	p[23] = (uint8_t)reason;
	be_put(l->dates + i * LIST_DATE, date, LIST_DATE);
	if (date != 0) /* where none has one the list has none: as the controller asks for it */
		l->crl.dates.n = 1;
	*at += n;
	return true;
}

static bool all_read(const char *at, struct root_list *l)
{
	char   print[HASH_TEXT_SIZE];
	size_t n = 0;
	int    head = 0;
	if (sscanf(at, SCAN, l->crl.issuer_id, print, &l->crl.number, &l->crl.this_update_at, &l->crl.next_update_at, &head) != 5 || head == 0 ||
	    hex_parse(print, l->root_hash.b, sizeof(l->root_hash.b)) < 0)
		return false;
	for (at += head; *at != '\0' && n < ROOT_LIST_ENTRIES && entry_read(&at, l, n); n++)
		;
	l->crl.root = true;
	l->crl.entries = (struct span){l->entries, n * LIST_ENTRY};
	l->crl.dates = l->crl.dates.n > 0 ? (struct span){l->dates, n * LIST_DATE} : (struct span){NULL, 0};
	return *at == '\0';
}

/* What is written again from what was read must be the same: there is one spelling. */
int root_list_read(struct span bytes, struct root_list *ret, struct refusal *why)
{
	char       text[ROOT_LIST_TEXT_MAX];
	struct buf again = BUF_MAX(ROOT_LIST_TEXT_MAX);
	memset(ret, 0, sizeof(*ret));
	bool good = text_copy_n(text, sizeof(text), (const char *)bytes.p, bytes.n) == 0 && all_read(text, ret) && root_list_write(ret, &again) == 0 &&
		    span_equal(buf_span(&again), bytes);
	buf_free(&again);
	return good ? 0 : refuse(why, E_ROOT_REQUEST, "request", "this is no request for the list of a root");
}

int root_list_age(const struct root_list *l, int64_t now, struct refusal *why)
{
	char at[TIME_TEXT_SIZE];
	if (l->crl.this_update_at > now - ROOT_REQUEST_DAYS * MS_DAY && l->crl.this_update_at < now + MS_DAY)
		return 0;
	return refuse(why, E_ROOT_STALE, l->crl.issuer_id, "the list begins %s, and a request is good for %d days", time_text(l->crl.this_update_at, at),
		      ROOT_REQUEST_DAYS);
}

/* The same authorities, revoked at the same times for the same reasons. */
static bool entries_same(const struct sg_crl *crl, struct span der)
{
	struct crl_entry wanted[ROOT_LIST_ENTRIES], has[ROOT_LIST_ENTRIES];
	size_t           n = list_entries(crl, wanted), n_has = 0;
	bool             same = crl_entries(der, has, ROOT_LIST_ENTRIES, &n_has) == 0 && n_has == n;
	for (size_t i = 0; same && i < n; i++)
		same = memcmp(has[i].serial.b, wanted[i].serial.b, sizeof(wanted[i].serial.b)) == 0 && has[i].revoked_at == wanted[i].revoked_at &&
		       has[i].reason == wanted[i].reason && has[i].invalidity_at == wanted[i].invalidity_at;
	return same;
}

int root_list_fits(const struct root_list *l, struct span der, const struct ca *root, struct refusal *why)
{
	struct crl_info info;

	if (crl_read(der, (struct span){root->issuer.der, root->issuer.der_len}, &info) < 0)
		return refuse(why, E_ROOT_ANSWER, root->issuer.issuer_id, "it is no list that this root signed");
	bool same = info.number == l->crl.number && info.this_update_at == l->crl.this_update_at && info.next_update_at == l->crl.next_update_at &&
		    info.point.n == 0 && entries_same(&l->crl, der);
	return same ? 0 : refuse(why, E_ROOT_ANSWER, root->issuer.issuer_id, "it is not the list that waits here (number %" PRIu64 ")", l->crl.number);
}

/* ---- what waits ---- */

static void name_of(const char *root_id, char ret[ISSUER_ID_SIZE + sizeof(CA_LIST_REQUEST)])
{
	(void)snprintf(ret, ISSUER_ID_SIZE + sizeof(CA_LIST_REQUEST), "%s%s", root_id, CA_LIST_REQUEST);
}

static int folder_open(const struct signer_conf *conf, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/ca", conf->state_dir);
	return open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int offline(const struct ca *root, struct refusal *why)
{
	return refuse(why, E_SIGNER_ISSUER, root->issuer.issuer_id, "its key is kept offline; the list waits for it: `vcc-signer root-request list`");
}

/* What waits may be under way, as long as it says what is wanted and its answer would be taken. */
static bool stays(const struct root_list *waits, const struct sg_crl *crl, const struct sign_log *log, int64_t now)
{
	struct hash content;
	list_hash(&waits->crl, &content);
	return span_equal(waits->crl.entries, crl->entries) && span_equal(waits->crl.dates, crl->dates) && root_list_age(waits, now, NULL) == 0 &&
	       sign_log_may_list(log, crl->issuer_id, 0, waits->crl.number, content);
}

/* `here`: of the list that is here; number 0 = none. One that was carried here is told to the controller, which need not ask for it again. */
static bool is_answered(const struct ca *root, const struct crl_info *here, const struct sg_crl *crl, const struct sign_log *log, int64_t now)
{
	return here->number > 0 && here->number >= sign_log_list_top(log, root->issuer.issuer_id, 0) &&
	       here->next_update_at - now >= SG_ROOT_LIST_RENEW_DAYS * MS_DAY && entries_same(crl, buf_span(&root->list));
}

static uint64_t higher(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int keep(int dir_fd, const char *name, const struct ca *root, const struct sg_crl *crl, uint64_t number, struct refusal *why)
{
	struct root_list l = {.crl = *crl};
	struct buf       text = BUF_MAX(ROOT_LIST_TEXT_MAX);
	l.crl.number = number;
	digest_sha256((struct span){root->issuer.der, root->issuer.der_len}, &l.root_hash);
	int r = root_list_write(&l, &text);
	if (r < 0)
		(void)refuse(why, r, name, "%s", err_what(r));
	else
		r = file_replace(dir_fd, name, buf_span(&text), (uid_t)-1, (gid_t)-1, 0644, why);
	buf_free(&text);
	return r;
}

int root_list_ask(const struct signer_conf *conf, const struct ca *root, const struct sg_crl *crl, const struct sign_log *log, int64_t now, struct refusal *why)
{
	const char      *id = root->issuer.issuer_id;
	char             path[CONF_PATH_SIZE + 16], name[ISSUER_ID_SIZE + sizeof(CA_LIST_REQUEST)];
	struct root_list waits;
	struct crl_info  here = {.number = 0};
	struct buf       text = BUF_MAX(ROOT_LIST_TEXT_MAX);

	if (crl->shard != 0)
		return refuse(why, E_SIGNER_LIMIT, id, "a root has one list");
	if (crl->entries.n / LIST_ENTRY > ROOT_LIST_ENTRIES)
		return refuse(why, E_SIGNER_LIMIT, id, "its list would name more than %d authorities", ROOT_LIST_ENTRIES);
	if (root->list.n > 0 && crl_peek(buf_span(&root->list), &here) < 0)
		here.number = 0;
	if (is_answered(root, &here, crl, log, now))
		return refuse(why, E_SIGNER_ISSUER, id, "its key is kept offline, and list %" PRIu64 ", which is here, says the same", here.number);
	_cleanup_fd_ int fd = folder_open(conf, path, sizeof(path));
	if (fd < 0)
		return sys_refuse(why, path, "open the folder");
	name_of(id, name);
	bool waiting = file_read(fd, name, false, &text, NULL) == 0 && root_list_read(buf_span(&text), &waits, NULL) == 0;
	buf_free(&text);
	if (waiting && stays(&waits, crl, log, now))
		return offline(root, why);
	uint64_t used = higher(sign_log_list_top(log, id, 0), higher(here.number, waiting ? waits.crl.number : 0));
	if (used >= INT64_MAX || crl->number > INT64_MAX)
		return refuse(why, E_SIGNER_LIMIT, id, "no number is left for its list: the last one is %" PRIu64, higher(used, crl->number));
	int r = keep(fd, name, root, crl, higher(crl->number, used + 1), why);
	return r < 0 ? r : offline(root, why);
}

void root_list_forget(const struct signer_conf *conf, const char *root_id)
{
	char             path[CONF_PATH_SIZE + 16], name[ISSUER_ID_SIZE + sizeof(CA_LIST_REQUEST)];
	_cleanup_fd_ int fd = folder_open(conf, path, sizeof(path));
	name_of(root_id, name);
	if (fd >= 0 && unlinkat(fd, name, 0) == 0)
		(void)!dir_sync(fd);
}
