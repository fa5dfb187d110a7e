/* delivery_links.c - room controller/daemon: links in a message by which whoever gets it takes its matters over. They name who gets it: the one
 * address of a mail, else the channel; and whether whoever they name is still somebody here. Never: sending; a link for what nobody can take over. */
#include <stdio.h>
#include <string.h>

#include "controller/daemon/delivery_text.h"
#include "controller/daemon/notice_link.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

#define BY_CHANNEL "link:"

/* What an Alertmanager was told anybody may read who reaches it. */
static bool channel_has_links(const struct channel *ch)
{
	return ch->conf.kind != CHANNEL_ALERTMANAGER || ch->conf.link;
}

/* As the trail names who acts. A mail to several is read by whoever comes first: then nobody knows more than the channel. */
static void recipient_of(const struct message *m, const struct channel *ch, char ret[ACTOR_SIZE])
{
	const char *const lists[] = {m->to, ch->conf.to};
	char              item[CHANNEL_LIST_SIZE], one[CHANNEL_LIST_SIZE] = "";
	size_t            others = 0;
	for (size_t i = 0; ch->conf.kind == CHANNEL_SMTP && i < N_ELEMENTS(lists); i++)
		for (const char *cursor = lists[i]; text_item(&cursor, item, sizeof(item));) {
			others += one[0] != '\0' && !text_equal(one, item);
			text_cut(one, sizeof(one), item);
		}
	if (one[0] == '\0' || others > 0 || text_copy(ret, ACTOR_SIZE, one) < 0)
		(void)snprintf(ret, ACTOR_SIZE, BY_CHANNEL "%s", ch->conf.name);
}

/* As its `ack` in vccctl: what stays open until somebody does something about it. */
static bool can_be_taken(const json_t *notice)
{
	const char *level = json_string_value(json_object_get(notice, "level"));
	return json_is_string(json_object_get(notice, "key")) && json_is_null(json_object_get(notice, "closed_at")) &&
	       (text_equal(level, notice_level_name(NOTICE_ERROR)) || text_equal(level, notice_level_name(NOTICE_CRITICAL)));
}

static bool make_url(const json_t *notice, struct notice_link *link, const struct message_terms *terms, char ret[MESSAGE_LINK_SIZE])
{
	const char *id = json_string_value(json_object_get(notice, "notification_id"));
	char        text[NOTICE_LINK_TEXT_SIZE];
	if (!can_be_taken(notice) || id == NULL || id_parse(id, &link->notice_id) < 0 || notice_link_make(terms->link_key, link, text) < 0)
		return false;
	int n = snprintf(ret, MESSAGE_LINK_SIZE, "%s" NOTICE_LINK_PATH "%s", terms->link_url, text);
	return n > 0 && n < MESSAGE_LINK_SIZE;
}

void message_add_links(struct message *m, const struct channel *ch, const struct message_terms *terms, int64_t now)
{
	struct notice_link link = {.ends_at = now + terms->link_ms};
	char               url[MESSAGE_LINK_SIZE], line[MESSAGE_LINK_SIZE + CERT_ID_SIZE + 16], until[TIME_TEXT_SIZE];
	size_t             i, n = 0;
	json_t            *notice;
	m->ack_url[0] = '\0';
	if (terms->link_url == NULL || terms->link_url[0] == '\0' || !channel_has_links(ch))
		return;
	recipient_of(m, ch, link.recipient);
	json_array_foreach(m->notices, i, notice)
	{
		if (!make_url(notice, &link, terms, url))
			continue;
		int len = snprintf(line, sizeof(line), "  %s: %s\n", json_string_value(json_object_get(notice, "object")), url);
		if (len < 0 || (size_t)len >= sizeof(line) || m->text.n + sizeof(line) > MESSAGE_TEXT_MAX)
			break; /* a message without all its links is better than none */
		if (n == 0)
			buf_add_fmt(&m->text, "Take it over by a link, until %s:\n", time_text(link.ends_at, until));
		buf_add_text(&m->text, line);
		json_object_set_new(notice, "ack_url", json_string(url));
		text_cut(m->ack_url, sizeof(m->ack_url), n == 0 ? url : "");
		n++;
	}
}

/* ---- whoever has one ---------------------------------------------------------------------------------------------- */

static bool channels_name(const struct channels *all, const char *address)
{
	bool named = text_equal(all->contact_admin, address) || text_equal(all->contact_security, address) || text_listed(all->contact_approver, address);
	for (size_t i = 0; !named && i < all->n; i++)
		named = all->row[i].conf.kind == CHANNEL_SMTP && text_listed(all->row[i].conf.to, address);
	return named;
}

static bool templates_name(const struct catalog *catalog, const char *address)
{
	const struct template *t = catalog_template_after(catalog, NULL);
	while (t != NULL && !text_listed(t->notify, address) && !text_listed(t->escalation, address))
		t = catalog_template_after(catalog, t);
	return t != NULL;
}

static bool channel_known(const struct channels *channels, const char *name)
{
	const struct channel *ch = channels_find(channels, name);
	return ch != NULL && channel_has_links(ch);
}

int message_recipient_known(struct store_view *view, const struct catalog *catalog, const struct channels *channels, const char *recipient, bool *ret)
{
	bool known = text_starts(recipient, BY_CHANNEL) ? channel_known(channels, recipient + sizeof(BY_CHANNEL) - 1)
							: channels_name(channels, recipient) || templates_name(catalog, recipient);
	int  r = known ? 0 : view_mail_used(view, recipient, &known);
	if (r == 0)
		*ret = known;
	return r;
}
