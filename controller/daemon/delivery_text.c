/* delivery_text.c - room controller/daemon: notices in words: what happened, since when, why, and what to type next.
 * Never: sending; which notices go together. */
#include "controller/daemon/delivery_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/rights.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/notice_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* What is said, and what shows more of it. */
static const struct {
	const char *words;
	const char *look; /* %s: the object */
} events[NOTICE_EVENT_COUNT] = {
	[NOTICE_RENEWAL_FAILED] = {"a renewal failed", "vccctl cert show %s"},
	[NOTICE_RENEWAL_PAUSED] = {"a renewal gave up for now", "vccctl cert show %s"},
	[NOTICE_RENEWAL_UNVERIFIED] = {"a renewal ended, but nobody has seen the new certificate served",
				       "vccctl cert show %s"},
	[NOTICE_ROLLBACK_FAILED] = {"a host could not go back to the certificate before", "vccctl cert show %s"},
	[NOTICE_TROUBLE_RESOLVED] = {"a trouble is over", "vccctl cert show %s"},
	[NOTICE_THRESHOLD_REACHED] = {"a certificate is inside its emergency threshold, or has ended", "vccctl cert show %s"},
	[NOTICE_RENEWALS_NEAR] = {"after one more unattended renewal a person has to agree", "vccctl cert show %s"},
	[NOTICE_RENEWALS_REACHED] = {"a renewal waits until a person agrees", "vccctl approval list"},
	[NOTICE_APPROVAL_WAITING] = {"a request waits for a second person", "vccctl approval list"},
	[NOTICE_EMERGENCY_UNCONFIRMED] = {"an emergency runs and is still to be confirmed by a second person",
					  "vccctl approval list"},
	[NOTICE_EMERGENCY_STARTED] = {"an emergency began", "vccctl campaign show %s"},
	[NOTICE_EMERGENCY_ENDED] = {"an emergency is over, every certificate is replaced", "vccctl campaign show %s"},
	[NOTICE_EMERGENCY_FAILED] = {"an emergency ended with failures", "vccctl campaign show %s"},
	[NOTICE_CAMPAIGN_ENDED] = {"a campaign ended, everything is renewed", "vccctl campaign show %s"},
	[NOTICE_CAMPAIGN_FAILED] = {"a campaign ended with failures", "vccctl campaign show %s"},
	[NOTICE_CAMPAIGN_HALTED] = {"a campaign was halted", "vccctl campaign show %s"},
	[NOTICE_EMERGENCY_HALTED] = {"an emergency was halted", "vccctl campaign show %s"},
	[NOTICE_EMERGENCY_WAITING] = {"an emergency waits for a second person, nothing is done before", "vccctl approval list"},
	[NOTICE_CAMPAIGN_CANCELLED] = {"a campaign was cancelled by a person", "vccctl campaign show %s"},
	[NOTICE_EMERGENCY_CANCELLED] = {"an emergency was cancelled by a person", "vccctl campaign show %s"},
	[NOTICE_RENEWAL_COMPLETED] = {"a certificate was renewed", "vccctl cert show %s"},
	[NOTICE_FLEET_SILENT] = {"many hosts at once are not connected any more", "vccctl agent list"},
	[NOTICE_FLEET_BACK] = {"the hosts are connected again", "vccctl agent list"},
	[NOTICE_DIGEST] = {"what went as it should, and what is open", "vccctl status"},
};

static const char *level_word(enum notice_level l)
{
	static const char *const words[NOTICE_LEVEL_COUNT] = {
		[NOTICE_SUCCESS] = "OK", [NOTICE_INFO] = "INFO", [NOTICE_ERROR] = "ERROR", [NOTICE_CRITICAL] = "CRITICAL"};
	return (size_t)l < N_ELEMENTS(words) ? words[l] : "?";
}

/* ---- one notice -------------------------------------------------------------------------------------------------- */

static void add_detail(const struct notice *n, struct buf *to)
{
	json_t     *detail = n->detail[0] != '\0' ? json_loads(n->detail, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *key;
	json_t     *value;
	json_object_foreach(detail, key, value)
	{
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		bool  says = text != NULL && !json_is_null(value) && !text_equal(json_string_value(value), "");
		if (says)
			buf_add_fmt(to, "  %s: %s\n", key, json_is_string(value) ? json_string_value(value) : text);
		free(text);
	}
	json_decref(detail);
}

static void add_notice(const struct notice *n, struct buf *to)
{
	char code[ERR_CODE_SIZE], since[TIME_TEXT_SIZE], last[TIME_TEXT_SIZE], id[ID_TEXT_SIZE];
	buf_add_fmt(to, "%s %s: %s\n  %s%s%s\n", level_word(n->level), notice_event_name(n->event), events[n->event].words,
		    n->object, n->service[0] != '\0' ? ", service " : "", n->service);
	if (n->count > 1)
		buf_add_fmt(to, "  %u times since %s, last %s\n", (unsigned)n->count, time_text(n->at, since),
			    time_text(n->last_at, last));
	else
		buf_add_fmt(to, "  at %s\n", time_text(n->at, since));
	if (n->code != 0)
		buf_add_fmt(to, "  %s: %s\n  next: %s\n", err_code(n->code, code), err_what(n->code), err_next(n->code));
	add_detail(n, to);
	buf_add_text(to, "  look: ");
	const char *look = events[n->event].look, *object = strstr(look, "%s");
	buf_add_fmt(to, "%.*s%s\n", (int)(object != NULL ? (size_t)(object - look) : strlen(look)), look,
		    object != NULL ? n->object : "");
	if (n->closed_at == 0 && n->key[0] != '\0' && n->level >= NOTICE_ERROR)
		buf_add_fmt(to, "  take it over: vccctl notify ack %s\n", id_text(n->notice_id, id));
	buf_add_text(to, "\n");
}

/* ---- who is told ------------------------------------------------------------------------------------------------- */

/* Adds to a list what is not there yet. False, as all of these: it found no room. */
static bool add_address(char to[OUTBOUND_TO_SIZE], const char *address)
{
	char        item[CHANNEL_LIST_SIZE];
	const char *cursor = to;
	size_t      n = strlen(to);
	if (!channel_mail_ok(address))
		return true;
	while (text_item(&cursor, item, sizeof(item)))
		if (text_equal(item, address))
			return true;
	if (n + strlen(address) + 2 > OUTBOUND_TO_SIZE)
		return false;
	snprintf(to + n, OUTBOUND_TO_SIZE - n, "%s%s", n > 0 ? "," : "", address);
	return true;
}

static bool add_addresses(char to[OUTBOUND_TO_SIZE], const char *list)
{
	char item[CHANNEL_LIST_SIZE];
	bool all = true;
	while (text_item(&list, item, sizeof(item)))
		all &= add_address(to, item);
	return all;
}

/* `own`: those who may approve have addresses of their own, which are added to these. */
static bool add_list(char to[OUTBOUND_TO_SIZE], const char *list, const struct message_terms *terms, bool own)
{
	char item[NOTICE_RECIPIENTS_SIZE];
	bool all = true;
	while (text_item(&list, item, sizeof(item))) {
		if (text_equal(item, "role:security"))
			all &= add_address(to, terms->contact_security);
		else if (text_equal(item, "role:approver") && (own || terms->contact_approver[0] != '\0'))
			all &= add_addresses(to, terms->contact_approver);
		else if (text_starts(item, "role:"))
			all &= add_address(to, terms->contact_admin);
		else
			all &= add_address(to, item);
	}
	return all;
}

/* A notice of the message. */
struct part {
	struct notice      notice;
	enum delivery_kind kind;
	bool               asks;    /* those who may approve */
	bool               known;   /* the request is there */
	struct approval    request;
	bool               own;     /* somebody who may approve is told at an address of one's own */
};

static bool names_approvers(const char *list)
{
	char item[NOTICE_RECIPIENTS_SIZE];
	while (text_item(&list, item, sizeof(item)))
		if (text_equal(item, "role:approver"))
			return true;
	return false;
}

/* The request that the notice is about; false: it names none that is there. */
static bool request_of(struct store_view *view, const struct notice *n, struct approval *ret)
{
	struct id   id;
	json_t     *detail = n->detail[0] != '\0' ? json_loads(n->detail, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *text = json_string_value(json_object_get(detail, "approval_id"));
	bool        there = text != NULL && id_parse(text, &id) == 0 && view_approval(view, id, ret) == 0;
	json_decref(detail);
	return there;
}

/* Whoever asked is not told that somebody else is to decide. */
static bool waits_for(const struct principal *p, const struct notice *n, const struct approval *a, int64_t now)
{
	if (p->mail[0] == '\0' || p->disabled || !rights_allow(p, PERM_APPROVAL_DECIDE))
		return false;
	if (a != NULL)
		return rights_decide(a, p, now) == 0;
	return !rights_limited(p) || (n->service[0] != '\0' && rights_service(p, n->service));
}

static bool part_waits_for(const struct principal *p, const struct part *part, int64_t now)
{
	return part->asks && waits_for(p, &part->notice, part->known ? &part->request : NULL, now);
}

/* One message is read by all who get it: whoever is limited to services gets it only where all of it is his. */
static bool may_read(const struct principal *p, const struct part *parts, size_t n, int64_t now)
{
	for (size_t i = 0; i < n && rights_limited(p); i++) {
		const char *service = parts[i].notice.service;
		if ((service[0] == '\0' || !rights_service(p, service)) && !part_waits_for(p, &parts[i], now))
			return false;
	}
	return true;
}

static bool add_approver(char to[OUTBOUND_TO_SIZE], const struct principal *p, struct part *parts, size_t n, int64_t now)
{
	bool wanted = false;
	if (!may_read(p, parts, n, now))
		return true;
	for (size_t i = 0; i < n; i++)
		if (part_waits_for(p, &parts[i], now))
			wanted = parts[i].own = true;
	return !wanted || add_address(to, p->mail);
}

/* Those who may decide by addresses of their own. Of principals beyond the first APPROVERS_LOOK nobody is looked for. */
static int find_approvers(struct store_view *view, struct part *parts, size_t n, int64_t now, char to[OUTBOUND_TO_SIZE], bool *ret_all)
{
	enum { PAGE = 50, APPROVERS_LOOK = 2000 };
	char              after[ACTOR_SIZE] = "";
	struct principal *page = calloc(PAGE, sizeof(*page));
	size_t            got = PAGE;
	int               r = page != NULL ? 0 : E_NOMEM;
	bool              all = true;
	for (size_t seen = 0; r == 0 && got == PAGE && seen < APPROVERS_LOOK; seen += got) {
		r = view_principals(view, after, page, PAGE, &got);
		for (size_t i = 0; r == 0 && i < got; i++) {
			text_cut(after, sizeof(after), page[i].name);
			all &= add_approver(to, &page[i], parts, n, now);
		}
	}
	free(page);
	*ret_all = all;
	return r;
}

/* First those whom the notices name: however many may approve, they find room. */
static int add_recipients(struct message *m, struct store_view *view, struct part *parts, size_t n, const struct message_terms *terms, int64_t now)
{
	char own[OUTBOUND_TO_SIZE] = "";
	bool asks = false, all = true;
	int  r = 0;
	for (size_t i = 0; i < n; i++)
		asks |= parts[i].asks;
	if (asks)
		r = find_approvers(view, parts, n, now, own, &all);
	for (size_t i = 0; i < n; i++) {
		all &= add_list(m->to, parts[i].notice.recipients, terms, parts[i].own);
		if (parts[i].kind == DELIVERY_ESCALATION)
			all &= add_list(m->to, parts[i].notice.escalation, terms, parts[i].own);
	}
	all &= add_addresses(m->to, own);
	m->cut = !all;
	return r;
}

/* ---- the message ------------------------------------------------------------------------------------------------- */

static void make_title(struct message *m, const struct delivery *rows, const struct message_terms *terms)
{
	static const char *const kinds[DELIVERY_KIND_COUNT] = {[DELIVERY_FIRST] = "",
							       [DELIVERY_REMINDER] = "still open: ",
							       [DELIVERY_ESCALATION] = "nobody has acknowledged: "};
	const char              *kind = kinds[m->kind];
	if (m->n == 1)
		snprintf(m->title, sizeof(m->title), "[%s] %s %s%s: %s", terms->installation, level_word(m->level), kind,
			 m->first.object, events[m->first.event].words);
	else
		snprintf(m->title, sizeof(m->title), "[%s] %s %s%zu notifications %s%s", terms->installation,
			 level_word(m->level), kind, m->n, rows[0].held ? "from a quiet time" : "about ",
			 rows[0].held ? "" : rows[0].group);
	text_plain(m->title);
}

/* What a trouble was that is over, for machines. */
static int with_trouble(struct store_view *view, const struct notice *n, json_t *o)
{
	struct id     id;
	struct notice trouble;
	const char   *text = json_string_value(json_object_get(json_object_get(o, "detail"), "trouble"));
	if (n->event != NOTICE_TROUBLE_RESOLVED || text == NULL || id_parse(text, &id) < 0)
		return 0;
	int r = view_notice(view, id, &trouble);
	if (r == 0)
		json_object_set_new(o, "trouble", json_notice(&trouble));
	return r == E_NOT_FOUND ? 0 : r; /* it was pruned */
}

static int take_notice(struct message *m, struct store_view *view, const struct delivery *row, struct part *part)
{
	const struct notice *n = &part->notice;
	part->kind = row->kind;
	part->asks = names_approvers(n->recipients);
	part->known = part->asks && request_of(view, n, &part->request);
	if (m->n == 0)
		m->first = *n;
	m->n++;
	m->level = n->level > m->level ? n->level : m->level;
	m->kind = row->kind > m->kind ? row->kind : m->kind;
	add_notice(n, &m->text);
	json_t *o = json_notice(n);
	json_array_append_new(m->notices, o);
	return with_trouble(view, n, o);
}

int message_make(struct store_view *view, const struct delivery *rows, size_t n, const struct message_terms *terms, int64_t now,
		 struct message *ret)
{
	struct message m = {.id = rows[0].message_id, .text = BUF_MAX(MESSAGE_TEXT_MAX), .notices = json_array()};
	struct part   *parts = calloc(n, sizeof(*parts));
	int            r = parts != NULL ? 0 : E_NOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct part *part = &parts[m.n];
		r = view_notice(view, rows[i].notice_id, &part->notice);
		if (r == 0)
			r = take_notice(&m, view, &rows[i], part);
		r = r == E_NOT_FOUND ? 0 : r;
	}
	if (r == 0 && m.n == 0)
		r = E_NOT_FOUND;
	if (r == 0)
		r = add_recipients(&m, view, parts, m.n, terms, now);
	free(parts);
	if (r < 0) {
		message_free(&m);
		return r;
	}
	make_title(&m, rows, terms);
	*ret = m;
	return 0;
}

void message_test(const struct message_terms *terms, struct id id, int64_t now, struct message *ret)
{
	struct message m = {.id = id, .level = NOTICE_INFO, .n = 1, .text = BUF_MAX(MESSAGE_TEXT_MAX), .notices = json_array()};
	char           text[TIME_TEXT_SIZE];
	m.first = (struct notice){.notice_id = id, .level = NOTICE_INFO, .event = NOTICE_EVENT_COUNT, .at = now};
	snprintf(m.title, sizeof(m.title), "[%s] test of a channel", terms->installation);
	text_plain(m.title);
	buf_add_fmt(&m.text, "Somebody ran `vccctl notify test` at %s. Nothing has happened.\n", time_text(now, text));
	(void)add_address(m.to, terms->contact_admin); /* the first one has room */
	*ret = m;
}

void message_free(struct message *m)
{
	buf_free(&m->text);
	json_decref(m->notices);
	m->notices = NULL;
}
