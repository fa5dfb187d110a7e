/* delivery_pack.c - room controller/daemon: a message in the form that its channel takes: a mail, a signed JSON text, a chat
 * service's body, a list of alerts. Never: words; sending. */
#include <stdio.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/body_template.h"
#include "controller/daemon/delivery_text.h"
#include "controller/daemon/notice_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

/* An alert that is not refreshed ends after so long; one that nothing keeps open is shown for so long. */
#define ALERT_MS      (4 * MS_MINUTE)
#define ALERT_ONCE_MS (4 * MS_HOUR)

static const char *event_of(const struct message *m)
{
	return m->first.event == NOTICE_EVENT_COUNT ? "test" : notice_event_name(m->first.event);
}

/* ---- mail -------------------------------------------------------------------------------------------------------- */

static void add_date(struct buf *to, int64_t at)
{
	static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; /* 1970 began on a Thursday */
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct civil             c = time_civil(at);
	buf_add_fmt(to, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[at / MS_DAY % 7], c.day, months[c.month - 1],
		    c.year, c.hour, c.minute, c.second);
}

/* Base64 in lines of 76: any text, no line too long, none that begins with a dot. */
static void add_base64(struct buf *to, struct span text)
{
	enum { LINE = 57 };
	char line[LINE / 3 * 4 + 1];
	for (size_t i = 0; i < text.n; i += LINE) {
		size_t n = text.n - i < LINE ? text.n - i : LINE;
		if (b64_text(text.p + i, n, line, sizeof(line)) == 0)
			buf_add_fmt(to, "%s\r\n", line);
	}
}

static void add_recipients(struct buf *to, const char *list)
{
	char   item[CHANNEL_LIST_SIZE];
	size_t n = 0;
	buf_add_text(to, "To: ");
	for (; text_item(&list, item, sizeof(item)); n++)
		buf_add_fmt(to, "%s%s", n > 0 ? ",\r\n " : "", item);
	buf_add_text(to, "\r\n");
}

static int pack_mail(const struct message *m, const struct channel *ch, const struct message_terms *terms, int64_t now,
		     struct outbound *o, struct refusal *why)
{
	char id[ID_TEXT_SIZE];
	int  n = snprintf(o->to, sizeof(o->to), "%s%s%s", m->to, m->to[0] != '\0' && ch->conf.to[0] != '\0' ? "," : "",
			  ch->conf.to);
	if (n <= 0)
		return refuse(why, E_NOTIFY_NOBODY, ch->conf.name, "%s", err_what(E_NOTIFY_NOBODY));
	o->mail = true;
	o->user = ch->conf.user[0] != '\0' ? ch->conf.user : NULL;
	o->password = (const char *)ch->password.p;
	text_cut(o->from, sizeof(o->from), ch->conf.from);
	add_date(&o->body, now);
	buf_add_fmt(&o->body, "From: VCC PKI <%s>\r\n", ch->conf.from);
	add_recipients(&o->body, o->to);
	buf_add_fmt(&o->body, "Subject: %s\r\nMessage-ID: <%s@%s>\r\n", m->title, id_text(m->id, id), terms->installation);
	buf_add_fmt(&o->body, "Auto-Submitted: auto-generated\r\nX-VCC-Level: %s\r\n%s", notice_level_name(m->level),
		    m->level == NOTICE_CRITICAL ? "Importance: high\r\n" : "");
	buf_add_text(
		&o->body,
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	add_base64(&o->body, buf_span(&m->text));
	return 0;
}

/* ---- webhooks ---------------------------------------------------------------------------------------------------- */

static void set_body(struct buf *to, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	if (text != NULL)
		buf_add_text(to, text);
	free(text);
	json_decref(body);
}

static void body_whole(const struct message *m, const struct message_terms *terms, struct buf *to)
{
	char    id[ID_TEXT_SIZE];
	json_t *body = json_object();
	json_object_set_new(body, "version", json_integer(1));
	json_object_set_new(body, "message_id", json_string(id_text(m->id, id)));
	json_object_set_new(body, "installation", json_string(terms->installation));
	json_object_set_new(body, "kind", json_string(delivery_kind_name(m->kind)));
	json_object_set_new(body, "level", json_string(notice_level_name(m->level)));
	json_object_set_new(body, "event", json_string(event_of(m)));
	json_object_set_new(body, "title", json_string(m->title));
	json_object_set_new(body, "text", json_stringn((const char *)m->text.p, m->text.n));
	json_object_set(body, "notifications", m->notices);
	set_body(to, body);
}

static void body_filled(const struct message *m, const struct channel *ch, struct buf *to)
{
	static const char *const colors[NOTICE_LEVEL_COUNT] = {"#2e7d32", "#1565c0", "#e65100", "#b71c1c"};
	static const char *const priorities[NOTICE_LEVEL_COUNT] = {"2", "3", "4", "5"};
	char                     id[ID_TEXT_SIZE];
	struct buf               text = BUF_MAX(MESSAGE_TEXT_MAX + 1);
	buf_add(&text, m->text.p, m->text.n);
	buf_add_u8(&text, 0);
	const char *const values[BODY_FIELD_COUNT] = {
		[BODY_TITLE] = m->title,
		[BODY_TEXT] = buf_error(&text) == 0 ? (const char *)text.p : m->title,
		[BODY_LEVEL] = notice_level_name(m->level),
		[BODY_EVENT] = event_of(m),
		[BODY_SERVICE] = m->first.service,
		[BODY_OBJECT] = m->first.object,
		[BODY_MESSAGE_ID] = id_text(m->id, id),
		[BODY_TOPIC] = ch->conf.topic,
		[BODY_COLOR] = colors[m->level],
		[BODY_PRIORITY] = priorities[m->level],
		[BODY_ACK_URL] = m->ack_url,
	};
	body_template_fill(buf_span(&ch->body), values, to);
	buf_free(&text);
}

/* ---- Alertmanager ------------------------------------------------------------------------------------------------ */

static void set_text(json_t *to, const char *name, json_t *from, const char *member)
{
	const char *text = json_string_value(json_object_get(from, member));
	if (text != NULL && text[0] != '\0')
		json_object_set_new(to, name, json_string(text));
}

/* Labels say which alert it is: those of one matter stay the same from its first message to its end. */
static json_t *alert_of(json_t *n, const struct message *m, const struct message_terms *terms, int64_t now)
{
	json_t *matter = json_object_get(n, "trouble");
	bool    over = json_is_object(matter) || json_is_string(json_object_get(n, "closed_at"));
	json_t *alert = json_object(), *labels = json_object(), *annotations = json_object();
	matter = json_is_object(matter) ? matter : n;
	json_object_set_new(labels, "alertname", json_string("VccPkiNotification"));
	json_object_set_new(labels, "installation", json_string(terms->installation));
	set_text(labels, "severity", matter, "level");
	set_text(labels, "service", matter, "service");
	set_text(labels, "matter", matter, json_is_string(json_object_get(matter, "key")) ? "key" : "notification_id");
	set_text(annotations, "event", matter, "event"); /* of a trouble that goes on it changes */
	set_text(annotations, "object", matter, "object");
	set_text(annotations, "code", matter, "code");
	set_text(annotations, "error", matter, "error");
	set_text(annotations, "ack_url", n, "ack_url"); /* another one each time: no label, or it would be another alert each time */
	json_object_set_new(annotations, "summary", json_string(m->title));
	bool open = json_is_string(json_object_get(matter, "key"));
	json_object_set_new(alert, "labels", labels);
	json_object_set_new(alert, "annotations", annotations);
	json_object_set(alert, "startsAt", json_object_get(matter, "at"));
	json_object_set_new(alert, "endsAt", json_time(over ? now : open ? now + ALERT_MS : now + ALERT_ONCE_MS));
	return alert;
}

static void body_alerts(const struct message *m, const struct message_terms *terms, int64_t now, struct buf *to)
{
	json_t *alerts = json_array(), *n;
	size_t  i;
	json_array_foreach(m->notices, i, n) json_array_append_new(alerts, alert_of(n, m, terms, now));
	if (json_array_size(alerts) == 0) { /* a test */
		json_t *labels = json_pack("{s:s,s:s,s:s}", "alertname", "VccPkiTest", "installation", terms->installation,
					   "severity", "info");
		json_array_append_new(alerts, json_pack("{s:o,s:{s:s},s:o}", "labels", labels, "annotations", "summary",
							m->title, "endsAt", json_time(now + MS_MINUTE)));
	}
	set_body(to, alerts);
}

/* ---- all of HTTP ------------------------------------------------------------------------------------------------- */

/* "{{message_id}}" in an address. */
static int pack_url(const struct message *m, const struct channel *ch, struct outbound *o)
{
	static const char field[] = "{{message_id}}";
	char              id[ID_TEXT_SIZE];
	const char       *url = ch->conf.url, *at = strstr(url, field);
	const char *end = ch->conf.kind != CHANNEL_ALERTMANAGER ? "" : text_ends(url, "/") ? "api/v2/alerts" : "/api/v2/alerts";
	int         n = at == NULL ? snprintf(o->url, sizeof(o->url), "%s%s", url, end)
				   : snprintf(o->url, sizeof(o->url), "%.*s%s%s", (int)(at - url), url, id_text(m->id, id),
					      at + sizeof(field) - 1);
	return n < 0 || (size_t)n >= sizeof(o->url) ? E_FULL : 0;
}

/* Signed is "TIMESTAMP.BODY", so that nobody can send an old one again unnoticed. */
static void sign(const struct channel *ch, int64_t now, struct outbound *o)
{
	struct hash mac;
	char        hex[HASH_TEXT_SIZE];
	struct buf  signed_text = BUF_MAX(OUTBOUND_BODY_MAX + 32);
	buf_add_fmt(&signed_text, "%lld.", (long long)(now / MS_SECOND));
	buf_add(&signed_text, o->body.p, o->body.n);
	digest_hmac_by((struct span){ch->secret.p, ch->secret.n - 1}, buf_span(&signed_text), &mac);
	buf_add_fmt(&o->headers, "X-VCC-Signature: v1=%s\n", hash_text(mac, hex));
	buf_free(&signed_text);
}

static int pack_http(const struct message *m, const struct channel *ch, const struct message_terms *terms, int64_t now,
		     struct outbound *o)
{
	char id[ID_TEXT_SIZE];
	o->put = ch->put;
	if (ch->conf.kind == CHANNEL_ALERTMANAGER)
		body_alerts(m, terms, now, &o->body);
	else if (ch->body.n > 0)
		body_filled(m, ch, &o->body);
	else
		body_whole(m, terms, &o->body);
	buf_add_fmt(&o->headers,
		    "Content-Type: application/json\nIdempotency-Key: %s\nX-VCC-Message-Id: %s\nX-VCC-Timestamp: %lld\n",
		    id_text(m->id, id), id, (long long)(now / MS_SECOND));
	if (ch->secret.n > 1)
		sign(ch, now, o);
	if (ch->token.n > 1)
		buf_add_fmt(&o->headers, "Authorization: Bearer %s\n", (const char *)ch->token.p);
	return 0;
}

int message_pack(const struct message *m, const struct channel *ch, const struct message_terms *terms, int64_t now,
		 struct outbound *ret, struct refusal *why)
{
	struct outbound o = {.plain = ch->conf.plain,
			     .allow = ch->conf.allow,
			     .ca_pem = buf_span(&ch->ca),
			     .headers = BUF_MAX(OUTBOUND_HEADERS_MAX),
			     .body = BUF_MAX(OUTBOUND_BODY_MAX)};
	int             r = pack_url(m, ch, &o);
	if (r == 0)
		r = ch->conf.kind == CHANNEL_SMTP ? pack_mail(m, ch, terms, now, &o, why) : pack_http(m, ch, terms, now, &o);
	if (r == 0 && (buf_error(&o.body) < 0 || buf_error(&o.headers) < 0))
		r = E_FULL;
	if (r < 0) {
		outbound_free(&o);
		return r == E_NOTIFY_NOBODY ? r : refuse(why, r, ch->conf.name, "the message is too long for this channel");
	}
	*ret = o;
	return 0;
}
