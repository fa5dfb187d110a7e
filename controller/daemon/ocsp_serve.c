/* ocsp_serve.c - room controller/daemon: one OCSP request: read, known answer or worker, answered.
 * Never: signing on the loop; keeping an answer whose list has changed since its status was read. */
#include "controller/daemon/ocsp_serve.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/crls.h"
#include "controller/daemon/http_cache.h"
#include "controller/daemon/ocsp_cache.h"
#include "controller/daemon/ocsp_keys.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum {
	JOBS_MAX = 32,           /* under way at once; views of the store are few and others need them, too */
	BACKDATE_MS = 60 * 1000, /* thisUpdate lies this far back: clocks of relying parties differ */
	PATH_PREFIX = sizeof("/ocsp/") - 1,
};

/* `rate` signatures a second, at most one second's worth at once. */
struct bucket {
	int64_t rate, milli, at;
};

struct ocsp {
	struct controller  *ctl;
	struct ocsp_cache  *cache;
	struct bucket       signing, nonces;
	size_t              jobs;
	struct ocsp_figures figures;
};

int ocsp_serve_open(struct controller *ctl, struct ocsp **ret)
{
	int64_t      rate = ctl->conf->ocsp_signatures, now = clock_monotonic();
	int64_t      half = rate > 1 ? rate / 2 : 1;
	struct ocsp *o = calloc(1, sizeof(*o));
	int          r = o != NULL ? ocsp_cache_open(&o->cache) : E_NOMEM;
	if (r < 0) {
		free(o);
		return r;
	}
	o->ctl = ctl;
	o->signing = (struct bucket){rate, rate * 1000, now};
	o->nonces = (struct bucket){half, half * 1000, now};
	*ret = o;
	return 0;
}

void ocsp_serve_free(struct ocsp *o)
{
	if (o == NULL)
		return;
	ocsp_cache_free(o->cache);
	free(o);
}

void ocsp_serve_figures(const struct controller *ctl, struct ocsp_figures *ret)
{
	*ret = ctl->ocsp->figures;
	ret->cached = ocsp_cache_size(ctl->ocsp->cache);
}

static bool bucket_take(struct bucket *b, int64_t now)
{
	int64_t passed = now - b->at;
	b->at = now;
	b->milli += passed > 1000 ? b->rate * 1000 : passed * b->rate;
	if (b->milli > b->rate * 1000)
		b->milli = b->rate * 1000;
	if (b->milli < 1000)
		return false;
	b->milli -= 1000;
	return true;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void answer_error(struct http_call *call, enum ocsp_error e)
{
	http_call_header(call, "cache-control", "no-store");
	http_call_answer(call, 200, "application/ocsp-response", ocsp_error(e));
}

/* RFC 5019, 6: only answers to GET are worth keeping, and only those without a nonce. */
static void answer_signed(struct http_call *call, bool may_be_kept, const struct ocsp_cached *a)
{
	if (may_be_kept)
		http_cache_answer(call, "application/ocsp-response", a->der, a->this_update_at, a->next_update_at);
	else {
		http_call_header(call, "cache-control", "no-store");
		http_call_answer(call, 200, "application/ocsp-response", a->der);
	}
}

/* ---- the worker's part ------------------------------------------------------------------------------------------- */

struct ocsp_job {
	struct ocsp           *ocsp;
	struct http_call      *call;
	bool                   get;
	struct ocsp_request    request; /* points into `bytes` */
	struct held_responder *responder;
	char                   issuer_id[ISSUER_ID_SIZE];
	uint64_t               changes; /* of the first one's list */
	int64_t                this_update_at, next_update_at;
	bool                   may_be_kept;
	int                    code;
	struct buf             der;
	size_t                 n;
	uint8_t                bytes[];
};

/* Never issued, or never more than an intent: nobody holds a certificate of this number. */
static bool was_issued(const struct issuance *i)
{
	return i->state == ISSUANCE_ISSUED || i->state == ISSUANCE_ACTIVE || i->state == ISSUANCE_RENEWED;
}

static int status_of(struct store_view *view, const char *issuer_id, const struct ocsp_one *one, struct ocsp_status *ret)
{
	struct issuance i;
	*ret = (struct ocsp_status){.cert_id = one->whole, .state = OCSP_UNKNOWN};
	int r = serial_is_none(one->serial) ? E_NOT_FOUND : view_issuance(view, one->serial, &i);
	if (r == E_NOT_FOUND || (r == 0 && !text_equal(i.issuer_id, issuer_id)))
		return 0;
	if (r < 0)
		return r;
	if (i.state == ISSUANCE_REVOKED || i.held_at != 0) {
		bool held = i.state != ISSUANCE_REVOKED;
		ret->state = OCSP_REVOKED;
		ret->revoked_at = (held ? i.held_at : i.revoked_at) / MS_SECOND * MS_SECOND;
		ret->reason = held ? REASON_HOLD : i.revoke_reason;
	} else if (was_issued(&i)) {
		ret->state = OCSP_GOOD;
	}
	return 0;
}

static void look_and_sign(void *job, struct store_view *view)
{
	struct ocsp_job   *j = job;
	struct ocsp_status list[OCSP_LIST_MAX];
	j->code = view != NULL ? 0 : E_STORE_IO;
	for (size_t i = 0; j->code == 0 && i < j->request.n; i++) {
		j->code = status_of(view, j->issuer_id, &j->request.one[i], &list[i]);
		/* a stream of numbers that nobody has must not push out what is asked for again and again */
		j->may_be_kept &= j->code == 0 && list[i].state != OCSP_UNKNOWN;
		if (j->code == 0 && list[i].state == OCSP_REVOKED && list[i].revoked_at > j->this_update_at)
			j->this_update_at = list[i].revoked_at; /* not known before it happened */
	}
	if (j->code == 0)
		j->code = ocsp_answer(held_responder_get(j->responder), list, j->request.n, j->this_update_at,
				      j->next_update_at, j->request.nonce, &j->der);
}

static void on_signed(void *job)
{
	struct ocsp_job   *j = job;
	struct ocsp       *o = j->ocsp;
	struct ocsp_cached answer = {buf_span(&j->der), j->this_update_at, j->next_update_at, j->changes};
	o->jobs--;
	if (j->code < 0) {
		answer_error(j->call, OCSP_INTERNAL);
	} else {
		o->figures.signed_now++;
		if (j->may_be_kept)
			ocsp_cache_put(o->cache, j->request.one[0].whole, &answer);
		answer_signed(j->call, j->get && j->may_be_kept, &answer);
	}
	held_responder_release(j->responder);
	buf_free(&j->der);
	free(j);
}

/* ---- a request --------------------------------------------------------------------------------------------------- */

struct asked {
	struct ocsp               *ocsp;
	struct http_call          *call;
	bool                       get;
	struct span                bytes;
	const struct ocsp_request *request;
	struct ocsp_place         *place;
	uint64_t                   changes;
	int64_t                    now;
};

static uint64_t changes_of(const struct asked *a)
{
	return crls_changes(a->ocsp->ctl, ocsp_place_issuer(a->place), serial_shard(a->request->one[0].serial));
}

/* Known, from after the last change of its list, and with half of its life left. */
static bool answer_known(const struct asked *a)
{
	struct ocsp_cached known;
	struct span        key = a->request->one[0].whole;
	if (a->request->n != 1 || !ocsp_cache_find(a->ocsp->cache, key, &known))
		return false;
	if (known.changes != a->changes || known.next_update_at - a->now < a->ocsp->ctl->conf->ocsp_validity_ms / 2) {
		ocsp_cache_drop(a->ocsp->cache, key);
		return false;
	}
	a->ocsp->figures.from_cache++;
	answer_signed(a->call, a->get, &known);
	return true;
}

static void start_job(const struct asked *a, bool nonce, struct held_responder *responder)
{
	struct ocsp_job *j = calloc(1, sizeof(*j) + a->bytes.n);
	if (j == NULL)
		abort();
	memcpy(j->bytes, a->bytes.p, a->bytes.n);
	j->n = a->bytes.n;
	(void)!ocsp_request_read((struct span){j->bytes, j->n}, &j->request); /* the same bytes once more, to point at ours */
	if (!nonce)
		j->request.nonce = (struct span){NULL, 0};
	j->ocsp = a->ocsp;
	j->call = a->call;
	j->get = a->get;
	j->responder = responder;
	j->changes = a->changes;
	j->this_update_at = (a->now - BACKDATE_MS) / MS_SECOND * MS_SECOND;
	j->next_update_at = (a->now + a->ocsp->ctl->conf->ocsp_validity_ms) / MS_SECOND * MS_SECOND;
	j->may_be_kept = j->request.nonce.n == 0 && j->request.n == 1;
	j->code = E_STORE_IO; /* stands when no view could be opened */
	j->der = (struct buf)BUF_MAX(OCSP_RESPONSE_MAX);
	text_cut(j->issuer_id, sizeof(j->issuer_id), ocsp_place_issuer(a->place));
	a->ocsp->jobs++;
	workers_read(a->ocsp->ctl->workers, look_and_sign, on_signed, j);
}

/* One responder signs the whole answer, so all must be of its issuer. */
static struct ocsp_place *place_of(const struct ocsp *o, const struct ocsp_request *request)
{
	struct ocsp_place *place = ocsp_keys_find(o->ctl->ocsp_keys, &request->one[0]);
	for (size_t i = 1; place != NULL && i < request->n; i++)
		if (ocsp_keys_find(o->ctl->ocsp_keys, &request->one[i]) != place)
			place = NULL;
	return place;
}

static void answer_request(struct asked *a)
{
	struct ocsp *o = a->ocsp;
	int64_t      tick = clock_monotonic();
	/* Who sends more nonces than can be signed gets the answers that everybody gets (RFC 6960, 4.4.1 leaves it to us). */
	bool nonce = a->request->nonce.n > 0 && bucket_take(&o->nonces, tick);
	if (!nonce && answer_known(a))
		return;
	struct held_responder *responder = ocsp_place_hold(a->place, a->now, o->ctl->conf->ocsp_validity_ms);
	if (responder == NULL || o->jobs >= JOBS_MAX || !bucket_take(&o->signing, tick)) {
		held_responder_release(responder);
		o->figures.put_off++;
		answer_error(a->call, OCSP_TRY_LATER);
		return;
	}
	start_job(a, nonce, responder);
}

static void take_request(struct ocsp *o, struct http_call *call, struct span bytes, bool get)
{
	struct ocsp_request request;
	struct asked        a = {.ocsp = o, .call = call, .get = get, .bytes = bytes, .request = &request, .now = clock_now()};
	int                 r = ocsp_request_read(bytes, &request);
	o->figures.asked++;
	if (r == 0)
		a.place = place_of(o, &request);
	if (r < 0 && r != E_NOT_FOUND) {
		o->figures.malformed++;
		answer_error(call, OCSP_MALFORMED);
	} else if (a.place == NULL) {
		o->figures.unauthorized++;
		answer_error(call, OCSP_UNAUTHORIZED);
	} else {
		a.changes = changes_of(&a);
		answer_request(&a);
	}
}

/* ---- HTTP -------------------------------------------------------------------------------------------------------- */

/* Length of the base64 of the element that `text` begins with; 0 when its first octets are no header. */
static size_t wanted_length(const char *text)
{
	uint8_t head[6];
	char    start[9] = "";
	size_t  n = 0;
	if (strlen(text) < 8 || text_copy_n(start, sizeof(start), text, 8) < 0 ||
	    b64_parse(start, head, sizeof(head), &n) < 0 || n < 4)
		return 0;
	size_t whole = head[1] < 0x80    ? 2 + (size_t)head[1]
		       : head[1] == 0x81 ? 3 + (size_t)head[2]
		       : head[1] == 0x82 ? 4 + ((size_t)head[2] << 8 | head[3])
					 : 0;
	return (whole + 2) / 3 * 4;
}

static bool is_answerable(const struct ocsp *o, struct span bytes)
{
	struct ocsp_request request;
	return ocsp_request_read(bytes, &request) == 0 && ocsp_keys_find(o->ctl->ocsp_keys, &request.one[0]) != NULL;
}

/* The HTTP parser takes "//" in a path for "/", also where the client wrote %2F. The lost slashes are put back where exactly
 * one place makes a request to an issuer of ours; where two would do, nobody can tell, and the client has POST. */
static size_t mend(const struct ocsp *o, const char *text, uint8_t ret[HTTP_PATH_SIZE])
{
	size_t len = strlen(text), wanted = wanted_length(text), found = 0;
	char   trial[HTTP_PATH_SIZE];
	if (wanted <= len || wanted >= sizeof(trial))
		return 0;
	for (size_t i = 0; i < len; i++) {
		uint8_t bytes[HTTP_PATH_SIZE];
		size_t  n = 0, lost = wanted - len;
		if (text[i] != '/')
			continue;
		memcpy(trial, text, i);
		memset(trial + i, '/', lost);
		memcpy(trial + i + lost, text + i, len - i + 1);
		if (b64_parse(trial, bytes, sizeof(bytes), &n) < 0 || !is_answerable(o, (struct span){bytes, n}))
			continue;
		if (found != 0)
			return 0;
		memcpy(ret, bytes, n);
		found = n;
	}
	return found;
}

static void handle_get(struct ocsp *o, struct http_call *call, const char *text)
{
	uint8_t bytes[HTTP_PATH_SIZE];
	size_t  n = 0;
	if (b64_parse(text, bytes, sizeof(bytes), &n) < 0 || strlen(text) < wanted_length(text))
		n = mend(o, text, bytes); /* 0: no request */
	take_request(o, call, (struct span){bytes, n}, true);
}

void ocsp_serve_handle(struct controller *ctl, struct http_call *call)
{
	const struct http_request *q = http_call_request(call);
	bool                       post = text_equal(q->method, "POST");
	if (post && text_equal(q->path, "/ocsp") && text_starts(q->content_type, "application/ocsp-request")) {
		take_request(ctl->ocsp, call, q->body, false);
	} else if (post) {
		http_call_answer(call, 415, "text/plain", span_text("POST /ocsp takes application/ocsp-request\n"));
	} else if ((text_equal(q->method, "GET") || text_equal(q->method, "HEAD")) && text_starts(q->path, "/ocsp/")) {
		handle_get(ctl->ocsp, call, q->path + PATH_PREFIX);
	} else {
		http_call_header(call, "allow", "GET, HEAD, POST");
		http_call_answer(call, 405, "text/plain", span_text("POST /ocsp, or GET /ocsp/REQUEST in base64\n"));
	}
}
