/* rehearse.c - room agent/keeper: the parts of a rehearsal that a renewal does not have.
 * Never: putting the throw-away key where a service reads. */
#include "agent/keeper/rehearse.h"

#include <stdlib.h>

#include "agent/keeper/care.h"
#include "agent/keeper/content.h"
#include "agent/keeper/place.h"
#include "shared/base/text.h"
#include "shared/pki/issue.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

struct rehearsal {
	uv_work_t     work;
	struct place *place; /* NULL: nobody waits any more */
	uint64_t      number;
	enum key_type type;
	struct names  names;
	int64_t       now;
	int           code;
	struct key   *key;
	struct buf    certificate;
};

static void subject_of(const struct names *names, char ret[SUBJECT_SIZE])
{
	size_t     cursor = 0;
	struct san san;
	text_cut(ret, SUBJECT_SIZE, "rehearsal");
	while (names_next(names, &cursor, &san))
		if (san.kind == SAN_DNS && text_copy(ret, SUBJECT_SIZE, san.text) == 0)
			return;
}

/* On a worker thread: an RSA key takes its time. The same steps as for a renewal: key, request, signature. */
static void make(uv_work_t *work)
{
	struct rehearsal *r = work->data;
	struct buf        csr = BUF_MAX(MSG_CSR_MAX);
	struct span       spki;
	enum key_type     type;
	struct ca_facts   facts = {.role = ISSUER_ROOT, .not_before_at = r->now - MS_HOUR, .not_after_at = r->now + MS_DAY,
	                           .organisation = "rehearsal", .public_url = "http://rehearsal.invalid", .parent_id = "rehearsal"};
	subject_of(&r->names, facts.common_name);
	random_bytes(facts.serial.b, sizeof(facts.serial.b));
	facts.serial.b[0] = 1;
	r->code = key_make(r->type, &r->key);
	if (r->code == 0)
		r->code = csr_make(r->key, &csr);
	if (r->code == 0)
		r->code = csr_check(buf_span(&csr), &spki, &type);
	if (r->code == 0)
		r->code = issue_ca_certificate(&facts, r->key, NULL, (struct span){NULL, 0}, &r->certificate);
	buf_free(&csr);
}

static int place_fill(struct place *p, const struct rehearsal *r, struct refusal *why)
{
	struct generation_content content;
	struct made               made;
	char                      password[PKCS12_PASSWORD_SIZE] = "";
	struct buf                crl = BUF_MAX(CRL_FILE_MAX);
	_cleanup_fd_ int          fd = -1;
	int                       code = place_open(p, &fd, why);
	if (code == 0)
		code = content_settings(p, &content, why);
	if (code == 0)
		code = content_lists(p, &crl, why); /* the service's test may ask for them */
	if (code == 0)
		code = content_stores(p, password, &content, why);
	if (code == 0) {
		content.key = r->key;
		content.certificate = buf_span(&r->certificate);
		content.crl = buf_span(&crl);
		code = generation_write(fd, r->number, &content, &made, why);
	}
	buf_free(&crl);
	secret_wipe(password, sizeof(password));
	return code;
}

static void on_made(uv_work_t *work, int status)
{
	struct rehearsal    *r = work->data;
	struct place        *p = r->place;
	struct refusal       why = {.code = 0};
	struct refresh_event e = care_event_of(REV_WRITTEN, status != 0 ? E_SYS_IO : r->code);
	if (p != NULL) {
		p->rehearsal = NULL;
		e.generation = r->number;
		if (e.code == 0)
			e.code = place_fill(p, r, &why);
		if (e.code != 0 && why.code != 0)
			text_cut(e.cause, sizeof(e.cause), why.cause);
		(void)fault_point("keeper.rehearse.written");
		keeper_post_care(p, &e);
	}
	key_free(r->key);
	buf_free(&r->certificate);
	free(r);
}

int rehearse_write(struct place *p, uint64_t number, struct refusal *why)
{
	struct keeper    *k = p->managed->keeper;
	struct rehearsal *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return refuse(why, E_NOMEM, p->stem, "no memory for a rehearsal");
	r->place = p;
	r->number = number;
	/* a self-signed certificate is not made with Ed25519 here; that such a key can be made needs no daily proof */
	r->type = p->managed->deploy.key_type == KEY_ED25519 ? KEY_EC_P256 : p->managed->deploy.key_type;
	r->names = p->conf.names;
	r->now = clock_now() / MS_SECOND * MS_SECOND;
	r->certificate = (struct buf)BUF_MAX(CERT_DER_MAX);
	r->work.data = r;
	if (uv_queue_work(&k->loop, &r->work, make, on_made) != 0) {
		free(r);
		return refuse(why, E_SYS_IO, p->stem, "no worker for a rehearsal");
	}
	p->rehearsal = r;
	return 0;
}

void rehearse_end(struct place *p)
{
	if (p->rehearsal != NULL)
		p->rehearsal->place = NULL;
	p->rehearsal = NULL;
}

void rehearse_ended(struct place *p)
{
	p->rehearsal_code = p->care.code;
	if (p->care.code != 0)
		return; /* it stays due: tried again with growing pauses */
	p->rehearsed_at = clock_now();
	p->rehearse_due = 0;
	int r = place_remember(p, false, false);
	if (r != 0 && r != E_SYS_SPACE)
		keeper_die(p->managed->keeper, r, "write its journal");
	log_line(LOG_LEVEL_INFO, NULL, "%s: rehearsed: a renewal would work now", p->stem);
}
