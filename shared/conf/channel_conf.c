/* channel_conf.c - room shared/conf: the keys of notify.d/NAME.conf and what they must fulfil together.
 * Never: reading the secrets that it names, looking a name up. */
#include "shared/conf/channel_conf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/model/cidr.h"

#define AT(field) offsetof(struct channel_conf, field), sizeof(((struct channel_conf *)0)->field)

static const char *const kind_words[] = {"smtp", "webhook", "alertmanager", NULL};
static const char *const level_words[] = {"success", "info", "error", "critical", "never", NULL};

const char *channel_kind_name(enum channel_kind k)
{
	return (size_t)k < CHANNEL_KIND_COUNT ? kind_words[k] : "unknown";
}

static const struct conf_key keys[] = {
	{"channel", "kind", CONF_ENUM, AT(kind), 0, 0, NULL, kind_words, "How it is told. Slack, Mattermost, ntfy and Matrix are webhooks with a template."},
	{"channel", "url", CONF_TEXT, AT(url), 0, 0, NULL, NULL, "smtp://HOST[:PORT] (STARTTLS), smtps://HOST[:PORT], or https://...; {{message_id}} in it is replaced. Of Alertmanager without /api/v2/alerts."},
	{"channel", "allow", CONF_LIST, AT(allow), 0, 0, "", NULL, "Address ranges that it may reach though they are not public, such as 10.1.0.0/16."},
	{"channel", "plain", CONF_BOOL, AT(plain), 0, 0, "no", NULL, "Without TLS (smtp://, http://), to an address of this machine alone; that has to stand in allow, too."},
	{"channel", "ca_file", CONF_PATH, AT(ca_file), 0, 0, "", NULL, "PEM of the authorities that the receiver's certificate may come from; empty = those of the system."},
	{"smtp", "from", CONF_TEXT, AT(from), 0, 0, "", NULL, "Sender of mails."},
	{"smtp", "to", CONF_LIST, AT(to), 0, 0, "", NULL, "Also told of everything that this channel gets, beside those whom a notification names."},
	{"smtp", "user", CONF_TEXT, AT(user), 0, 0, "", NULL, "Login; needs password_file."},
	{"smtp", "password_file", CONF_PATH, AT(password_file), 0, 0, "", NULL, "File with the password, owned by the service user, mode 0600."},
	{"webhook", "template", CONF_TEXT, AT(template_name), 0, 0, "", NULL, "Body: slack, mattermost, ntfy or matrix; empty = the whole notification as JSON."},
	{"webhook", "template_file", CONF_PATH, AT(template_file), 0, 0, "", NULL, "The same from a file of one's own."},
	{"webhook", "topic", CONF_TEXT, AT(topic), 0, 0, "", NULL, "{{topic}} of a template."},
	{"webhook", "secret_file", CONF_PATH, AT(secret_file), 0, 0, "", NULL, "File with the secret that requests are signed by (HMAC-SHA-256), mode 0600."},
	{"webhook", "token_file", CONF_PATH, AT(token_file), 0, 0, "", NULL, "File with a token for Authorization: Bearer, mode 0600; also of Alertmanager."},
	{"alertmanager", "link", CONF_BOOL, AT(link), 0, 0, "no", NULL, "Alerts carry notify.link_url's link as the annotation ack_url: whoever reads alerts there can take matters over."},
	{"rule", "level", CONF_ENUM, AT(at_least), 0, 0, "success", level_words, "It is told what is at least so urgent; never = only what escalates."},
	{"rule", "services", CONF_LIST, AT(services), 0, 0, "", NULL, "Only of these services; empty = of all, and of the installation."},
	{"rule", "events", CONF_LIST, AT(events), 0, 0, "", NULL, "Only these events (docs/operations.md, \"Being told\"); empty = all."},
	{"rule", "escalation", CONF_BOOL, AT(escalation), 0, 0, "no", NULL, "It is also told what nobody has acknowledged for notify.escalate."},
	{"quiet", "hours", CONF_TEXT, AT(quiet), 0, 0, "", NULL, "Then only what is critical is sent, the rest afterwards in one message: Mon-Fri 22:00-06:00 Europe/Berlin, several with commas."},
};

/* ---- cross checks ------------------------------------------------------------------------------------------------ */

bool channel_mail_ok(const char *address)
{
	static const char local[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-";
	static const char domain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	size_t            n = strspn(address, local);
	if (n == 0 || n > 64 || address[0] == '-' || address[n] != '@')
		return false;
	address += n + 1;
	return address[0] != '\0' && strlen(address) < CHANNEL_TEXT_SIZE && strspn(address, domain) == strlen(address);
}

/* The address of a chat service's webhook is a secret: it goes into no refusal, because these are logged and shown. */
static int check_url(const struct channel_conf *c, struct refusal *why)
{
	static const char *const with_tls[CHANNEL_KIND_COUNT][2] = {
		[CHANNEL_SMTP] = {"smtp://", "smtps://"}, [CHANNEL_WEBHOOK] = {"https://", "https://"}, [CHANNEL_ALERTMANAGER] = {"https://", "https://"}};
	bool good = text_starts(c->url, with_tls[c->kind][0]) || text_starts(c->url, with_tls[c->kind][1]) ||
		    (c->plain && c->kind != CHANNEL_SMTP && text_starts(c->url, "http://"));
	if (!good)
		return refuse(why, E_CONF_VALUE, "channel.url", "it does not begin as a channel of kind %s must: %s",
			      channel_kind_name((enum channel_kind)c->kind),
			      c->kind == CHANNEL_SMTP ? "smtp:// or smtps://" : "https:// (http:// with plain = yes)");
	if (strpbrk(c->url, " \t\"<>\\^`|") != NULL || text_has_controls(c->url))
		return refuse(why, E_CONF_VALUE, "channel.url", "it holds a sign that no address may hold");
	if (strchr(strstr(c->url, "://") + 3, '@') != NULL)
		return refuse(why, E_CONF_VALUE, "channel.url", "a login does not belong into the address: use user and password_file, or token_file");
	return 0;
}

static int check_allow(const struct channel_conf *c, struct refusal *why)
{
	struct cidr range;
	char        item[64];
	const char *cursor = c->allow;
	while (text_item(&cursor, item, sizeof(item)))
		if (cidr_parse(item, &range) < 0)
			return refuse(why, E_CONF_VALUE, "channel.allow", "`%s` is no range of addresses, such as 10.1.0.0/16", item);
	return cursor == NULL ? refuse(why, E_CONF_VALUE, "channel.allow", "an entry is too long") : 0;
}

static int check_mail(const struct channel_conf *c, struct refusal *why)
{
	char        item[CHANNEL_LIST_SIZE];
	const char *cursor = c->to;
	if (c->kind != CHANNEL_SMTP)
		return 0;
	if (!channel_mail_ok(c->from))
		return refuse(why, E_CONF_VALUE, "smtp.from", "`%s` is no mail address", c->from);
	while (text_item(&cursor, item, sizeof(item)))
		if (!channel_mail_ok(item))
			return refuse(why, E_CONF_VALUE, "smtp.to", "`%s` is no mail address", item);
	if ((c->user[0] != '\0') != (c->password_file[0] != '\0'))
		return refuse(why, E_CONF_VALUE, "smtp.user", "user and password_file belong together");
	return 0;
}

static int check_events(const struct channel_conf *c, struct refusal *why)
{
	char        item[CHANNEL_LIST_SIZE];
	const char *cursor = c->events;
	while (text_item(&cursor, item, sizeof(item))) {
		bool known = false;
		for (unsigned e = 0; e < NOTICE_EVENT_COUNT; e++)
			known |= text_equal(item, notice_event_name((enum notice_event)e));
		if (!known)
			return refuse(why, E_CONF_VALUE, "rule.events", "`%s` is no event", item);
	}
	return 0;
}

static int channel_check(const void *conf, struct refusal *why)
{
	const struct channel_conf *c = conf;
	struct windows             w;
	char                       bad[WINDOW_TEXT_SIZE];
	int                        r = check_url(c, why);
	if (r == 0)
		r = check_allow(c, why);
	if (r == 0)
		r = check_mail(c, why);
	if (r == 0)
		r = check_events(c, why);
	if (r == 0 && c->template_name[0] != '\0' && c->template_file[0] != '\0')
		r = refuse(why, E_CONF_VALUE, "webhook.template", "template and template_file cannot both be");
	if (r == 0 && windows_parse(c->quiet, &w, bad) < 0)
		r = refuse(why, E_CONF_VALUE, "quiet.hours", "`%s` is not like Mon-Fri 22:00-06:00 Europe/Berlin", bad);
	return r;
}

const struct conf_schema channel_schema = {
	.program = "vcc-controller",
	.file = "notify.d/NAME.conf",
	.struct_size = sizeof(struct channel_conf),
	.keys = keys,
	.n_keys = N_ELEMENTS(keys),
	.check = channel_check,
};

/* ---- files ------------------------------------------------------------------------------------------------------- */

int channel_conf_load(const char *dir, const char *name, struct channel_conf *ret, struct refusal *why)
{
	char path[CHANNEL_PATH_SIZE + CHANNEL_NAME_SIZE + 8], bad[WINDOW_TEXT_SIZE];
	int  n = snprintf(path, sizeof(path), "%s/%s.conf", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return refuse(why, E_CONF_FILE, dir, "the path is too long");
	int r = conf_load(&channel_schema, path, ret, NULL, why);
	if (r == 0)
		r = windows_parse(ret->quiet, &ret->windows, bad); /* it passed the check */
	if (r == 0)
		text_cut(ret->name, sizeof(ret->name), name);
	return r;
}

static int is_channel(const struct dirent *e)
{
	return e->d_name[0] != '.' && text_ends(e->d_name, ".conf");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int take_name(const char *file, char ret[CHANNEL_NAME_SIZE], struct refusal *why)
{
	if (text_copy_n(ret, CHANNEL_NAME_SIZE, file, strlen(file) - strlen(".conf")) == 0 && delivery_channel_ok(ret))
		return 0;
	return refuse(why, E_CONF_FILE, file, "is not the name of a channel's file: lower-case letters, digits, `-`, `_`, at most %d before .conf",
		      CHANNEL_NAME_SIZE - 1);
}

int channel_conf_list(const char *dir, char (*ret)[CHANNEL_NAME_SIZE], size_t *ret_n, struct refusal *why)
{
	struct dirent **list = NULL;
	int             r = 0, n = scandir(dir, &list, is_channel, by_bytes);
	*ret_n = 0;
	if (n < 0)
		return errno == ENOENT ? 0 : refuse(why, E_CONF_FILE, dir, "cannot list: %s", strerror(errno));
	if (n > CHANNELS_MAX)
		r = refuse(why, E_FULL, dir, "%d channels; at most %d are allowed", n, CHANNELS_MAX);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = take_name(list[i]->d_name, ret[i], why);
		free(list[i]);
	}
	free(list);
	if (r == 0)
		*ret_n = (size_t)n;
	return r;
}
