/* notice_page.c - room controller/daemon: the page behind a link in a notification: shows the matter, and takes it over or keeps it quiet when
 * its form is sent. No script, no login: the link is signed, and says who was sent it. Never: anything that the link does not name. */
#include "controller/daemon/notice_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/deliveries.h"
#include "controller/daemon/delivery_text.h"
#include "controller/daemon/notice_link.h"
#include "controller/daemon/notice_words.h"
#include "controller/daemon/state.h"
#include "controller/daemon/web_origin.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum { PAGE_MAX = 16384 };

/* How long nobody is reminded; the form offers these and no others. */
static const struct {
	const char      *value;
	enum notice_word words;
	int64_t          ms;
} pauses[] = {{"4h", WORD_4_HOURS, 4 * MS_HOUR}, {"1d", WORD_1_DAY, MS_DAY}, {"7d", WORD_7_DAYS, 7 * MS_DAY}};

/* A page while it is written. */
struct page {
	struct buf text;
	bool       german;
};

/* One request from its form to its answer. */
struct page_act {
	struct controller *ctl;
	struct http_call  *call;
	struct id          notice_id;
};

bool notice_page_owns(const struct http_request *q)
{
	return q->listener == HTTP_ADMIN && text_starts(q->path, NOTICE_LINK_PATH);
}

/* ---- what is shown ----------------------------------------------------------------------------------------------- */

static void add_text(struct buf *to, const char *text)
{
	static const struct {
		char        c;
		const char *as;
	} escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
	for (; *text != '\0'; text++) {
		const char *as = NULL;
		for (size_t i = 0; i < N_ELEMENTS(escapes); i++)
			as = escapes[i].c == *text ? escapes[i].as : as;
		if (as != NULL)
			buf_add_text(to, as);
		else
			buf_add_u8(to, (uint8_t)*text);
	}
}

static void add_word(struct page *p, enum notice_word w)
{
	add_text(&p->text, notice_word(w, p->german));
}

/* What has no German stands in English, and says so to whoever reads it aloud. */
static void add_english(struct page *p, const char *text)
{
	buf_add_text(&p->text, p->german ? "<span lang=\"en\">" : "<span>");
	add_text(&p->text, text);
	buf_add_text(&p->text, "</span>");
}

static void add_name(struct page *p, enum notice_word name)
{
	buf_add_text(&p->text, "<dt>");
	add_word(p, name);
	buf_add_text(&p->text, "</dt><dd>");
}

static void add_line(struct page *p, enum notice_word name, const char *value)
{
	if (value[0] == '\0')
		return;
	add_name(p, name);
	add_text(&p->text, value);
	buf_add_text(&p->text, "</dd>\n");
}

static void add_said(struct page *p, enum notice_word name, const char *text)
{
	add_name(p, name);
	add_english(p, text);
	buf_add_text(&p->text, "</dd>\n");
}

static void add_time(struct page *p, enum notice_word name, int64_t at)
{
	char text[TIME_TEXT_SIZE];
	if (at != 0)
		add_line(p, name, time_text(at, text));
}

/* Up to its heading. */
static struct page begin_page(const struct http_call *call)
{
	struct page p = {BUF_MAX(PAGE_MAX), notice_words_german(http_call_request(call)->accept_language)};
	buf_add_fmt(&p.text,
		    "<!doctype html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
		    "<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\"><title>VCC PKI</title></head>\n<body><h1>",
		    p.german ? "de" : "en");
	return p;
}

/* Takes over `page`. */
static void send_page(struct http_call *call, int status, struct buf *page)
{
	static const struct {
		const char *name, *value;
	} headers[] = {
		{"content-security-policy", "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
		{"referrer-policy", "same-origin"}, /* with none at all browsers would not say where the form comes from, either */
		{"x-frame-options", "DENY"},
		{"cache-control", "no-store"},
		{"cross-origin-opener-policy", "same-origin"},
	};
	for (size_t i = 0; i < N_ELEMENTS(headers); i++)
		http_call_header(call, headers[i].name, headers[i].value);
	buf_add_text(page, "</body></html>\n");
	http_call_answer(call, buf_error(page) == 0 ? status : 503, "text/html; charset=utf-8", buf_error(page) == 0 ? buf_span(page) : (struct span){NULL, 0});
	buf_free(page);
}

/* In German where that is what it says, else in English. */
static void add_german_or(struct page *p, const char *german, const char *english)
{
	if (p->german && german != NULL)
		add_text(&p->text, german);
	else
		add_english(p, english);
}

static void send_refusal(struct http_call *call, const struct refusal *why)
{
	struct page page = begin_page(call);
	char        code[ERR_CODE_SIZE];
	add_german_or(&page, notice_refused_german(why->code), err_what(why->code));
	buf_add_text(&page.text, "</h1>\n<p>");
	add_text(&page.text, why->object);
	buf_add_text(&page.text, ": ");
	add_english(&page, why->cause);
	buf_add_text(&page.text, "</p>\n<p>");
	add_german_or(&page, notice_next_german(why->code), err_next(why->code));
	buf_add_fmt(&page.text, "</p>\n<p><code>%s</code></p>\n", err_code(why->code, code));
	send_page(call, api_status(why->code), &page.text);
}

/* The form goes to the address that it stands at. */
static void add_forms(struct page *p)
{
	buf_add_text(&p->text, "<form method=\"post\"><p><button name=\"do\" value=\"ack\">");
	add_word(p, WORD_TAKE);
	buf_add_text(&p->text, "</button> ");
	add_word(p, WORD_TAKE_ABOUT);
	buf_add_text(&p->text, "</p></form>\n<form method=\"post\"><p>");
	add_word(p, WORD_QUIET_FOR);
	for (size_t i = 0; i < N_ELEMENTS(pauses); i++) {
		buf_add_fmt(&p->text, " <button name=\"snooze\" value=\"%s\">", pauses[i].value);
		add_word(p, pauses[i].words);
		buf_add_text(&p->text, "</button>");
	}
	buf_add_text(&p->text, "</p></form>\n");
}

static void send_matter(struct http_call *call, const struct notice *n, const struct notice_link *link, int64_t now)
{
	static const enum notice_word heads[NOTICE_STANDING_COUNT] = {
		[NOTICE_IS_OPEN] = WORD_IS_OPEN, [NOTICE_IS_ACKNOWLEDGED] = WORD_IS_TAKEN, [NOTICE_IS_SNOOZED] = WORD_IS_OPEN, [NOTICE_IS_CLOSED] = WORD_IS_OVER};
	enum notice_standing standing = notice_standing(n, now);
	struct page          page = begin_page(call);
	char                 code[ERR_CODE_SIZE];
	add_word(&page, heads[standing]);
	buf_add_text(&page.text, "</h1>\n<dl>\n");
	add_line(&page, WORD_WHAT, notice_event_word(n->event, page.german));
	add_line(&page, WORD_LEVEL, notice_level_word(n->level, page.german));
	add_line(&page, WORD_OBJECT, n->object);
	add_line(&page, WORD_SERVICE, n->service);
	add_time(&page, WORD_SINCE, n->at);
	add_time(&page, WORD_OVER_SINCE, n->closed_at);
	add_time(&page, WORD_TAKEN_AT, n->acked_at);
	add_time(&page, WORD_QUIET_UNTIL, n->snoozed_until_at > now ? n->snoozed_until_at : 0);
	if (n->code != 0) {
		add_line(&page, WORD_ERROR, err_code(n->code, code));
		add_said(&page, WORD_CAUSE, err_what(n->code));
		add_said(&page, WORD_NEXT, err_next(n->code));
	}
	add_line(&page, WORD_SENT_TO, link->recipient);
	buf_add_text(&page.text, "</dl>\n");
	if (standing == NOTICE_IS_OPEN || standing == NOTICE_IS_SNOOZED)
		add_forms(&page);
	send_page(call, 200, &page.text);
}

/* ---- what is done ------------------------------------------------------------------------------------------------ */

static void changed(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct page_act *a = ctx;
	struct refusal   why;
	char             id[ID_TEXT_SIZE];
	(void)ctl;
	(void)result;
	if (code < 0) {
		(void)refuse(&why, code, id_text(a->notice_id, id), "%s", err_what(code));
		send_refusal(a->call, &why);
	} else { /* the page anew: to load that once more changes nothing */
		http_call_header(a->call, "location", http_call_request(a->call)->path);
		http_call_header(a->call, "cache-control", "no-store");
		http_call_answer(a->call, 303, "text/plain; charset=utf-8", (struct span){NULL, 0});
	}
	free(a);
}

/* Once: what was done already is no change. */
static void act(struct controller *ctl, struct http_call *call, const struct notice *n, const struct notice_link *link, int64_t pause_ms, int64_t now)
{
	struct page_act *a = calloc(1, sizeof(*a));
	struct id        request = controller_id(now);
	char             id[ID_TEXT_SIZE], until[TIME_TEXT_SIZE];
	bool             ack = pause_ms == 0;
	if (a == NULL)
		abort();
	*a = (struct page_act){ctl, call, n->notice_id};
	if (n->acked_at != 0 || (!ack && n->snoozed_until_at >= now + pause_ms - MS_MINUTE)) {
		changed(ctl, a, 0, NULL);
		return;
	}
	struct commit  *c = commit_new(ctl);
	struct audit_of of = {.event = ack ? AUDIT_NOTIFICATION_ACKED : AUDIT_NOTIFICATION_SNOOZED,
			      .actor = link->recipient,
			      .object = id_text(n->notice_id, id),
			      .request_id = request,
			      .reason = ""};
	if (ack) {
		store_ack_notice(commit_change(c), n->notice_id, now);
		commit_audit(c, &of, "{s:s,s:s,s:s}", "event", notice_event_name(n->event), "object", n->object, "by", "link");
	} else {
		store_snooze_notice(commit_change(c), n->notice_id, now + pause_ms);
		commit_audit(c, &of, "{s:s,s:s,s:s,s:s}", "event", notice_event_name(n->event), "object", n->object, "by", "link", "until",
			     time_text(now + pause_ms, until));
	}
	commit_now(c, changed, a);
}

/* "do=ack", or "snooze=" and one of the pauses: nothing else is a form of ours. */
static int read_form(const struct http_request *q, int64_t *ret_pause_ms, struct refusal *why)
{
	static const char form[] = "application/x-www-form-urlencoded";
	char              text[NOTICE_PAGE_BODY_MAX + 1], wanted[32];
	if (strncasecmp(q->content_type, form, sizeof(form) - 1) != 0 || strchr(" \t;", q->content_type[sizeof(form) - 1]) == NULL)
		return refuse(why, E_API_MEDIA, "Content-Type", "a form is expected");
	if (text_copy_n(text, sizeof(text), (const char *)q->body.p, q->body.n) < 0)
		return refuse(why, E_API_BODY, "body", "this is no form of ours");
	*ret_pause_ms = 0;
	if (text_equal(text, "do=ack"))
		return 0;
	for (size_t i = 0; i < N_ELEMENTS(pauses); i++) {
		(void)snprintf(wanted, sizeof(wanted), "snooze=%s", pauses[i].value);
		*ret_pause_ms = pauses[i].ms;
		if (text_equal(text, wanted))
			return 0;
	}
	return refuse(why, E_API_BODY, "body", "this is no form of ours");
}

/* ---- the request ------------------------------------------------------------------------------------------------- */

/* Who was forgotten, left, or is told no more takes nothing over by what he once got. Whether he was sent just this one matters no more. */
static int check_known(struct controller *ctl, const struct notice_link *link, struct refusal *why)
{
	bool known = false;
	int  r = message_recipient_known(ctl->view, ctl->catalog, deliveries_channels(ctl->deliveries), link->recipient, &known);
	if (r < 0)
		return refuse(why, r, "link", "%s", err_what(r));
	return known ? 0 : refuse(why, E_LINK_NOBODY, "link", "its address or channel stands nowhere any more");
}

static int find(struct controller *ctl, const struct http_request *q, int64_t now, struct notice_link *ret_link, struct notice *ret, struct refusal *why)
{
	char id[ID_TEXT_SIZE];
	int  r = notice_link_read(ctl->notice_key, q->path + sizeof(NOTICE_LINK_PATH) - 1, now, ret_link, why);
	if (r == 0)
		r = check_known(ctl, ret_link, why);
	if (r < 0)
		return r;
	r = view_notice(ctl->view, ret_link->notice_id, ret);
	return r < 0 ? refuse(why, r, id_text(ret_link->notice_id, id), "%s", r == E_NOT_FOUND ? "the matter is over since long, and was removed" : err_what(r)) : 0;
}

void notice_page_handle(struct controller *ctl, struct api *api, struct http_call *call)
{
	const struct http_request *q = http_call_request(call);
	struct notice_link         link;
	struct notice              n;
	struct refusal             why;
	int64_t                    now = clock_now(), pause_ms = 0;
	unsigned                   wait = 0;
	bool                       reads = text_equal(q->method, "GET") || text_equal(q->method, "HEAD");
	int                        r = api_quota(api, q->address, now, &wait, &why);
	if (wait > 0) {
		char seconds[12];
		(void)snprintf(seconds, sizeof(seconds), "%u", wait);
		http_call_header(call, "retry-after", seconds);
	}
	if (r == 0 && !reads && !text_equal(q->method, "POST")) {
		http_call_header(call, "allow", "GET, HEAD, POST");
		r = refuse(&why, E_API_METHOD, "method", "%s is not allowed here", q->method);
	}
	if (r == 0) /* a link in a mail is followed from anywhere; its form comes from the page alone */
		r = reads || !web_is_browser(q) ? web_host_check(q, ctl->conf, &why) : web_origin_check(q, ctl->conf, &why);
	if (r == 0)
		r = find(ctl, q, now, &link, &n, &why);
	if (r == 0 && !reads)
		r = read_form(q, &pause_ms, &why);
	if (r == 0 && !reads && n.closed_at != 0)
		r = refuse(&why, E_NOTICE_OVER, n.object, "%s", err_what(E_NOTICE_OVER));
	if (r != 0)
		send_refusal(call, &why);
	else if (reads)
		send_matter(call, &n, &link, now);
	else
		act(ctl, call, &n, &link, pause_ms, now);
}
