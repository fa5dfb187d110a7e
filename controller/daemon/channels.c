/* channels.c - room controller/daemon: reads the channels, their secrets and templates, and says which of them a notice goes
 * to. Never: sending. */
#include "controller/daemon/channels.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/body_template.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/file.h"
#include "shared/sys/zone_file.h"

/* packaging/notify, made into arrays by scripts/embed. */
struct embedded_file {
	const char          *name;
	const unsigned char *bytes;
	size_t               n;
};
extern const struct embedded_file notify_files[];
extern const size_t               notify_files_n;

/* ---- one channel ------------------------------------------------------------------------------------------------- */

/* A secret of one line; the line's end does not belong to it. */
static int read_secret(const char *path, struct buf *to, struct refusal *why)
{
	*to = (struct buf)BUF_MAX(CHANNEL_SECRET_MAX);
	if (path[0] == '\0')
		return 0;
	int r = file_read(AT_FDCWD, path, true, to, why);
	while (r == 0 && to->n > 0 && (to->p[to->n - 1] == '\n' || to->p[to->n - 1] == '\r'))
		to->n--;
	if (r == 0 && (to->n == 0 || memchr(to->p, '\n', to->n) != NULL || memchr(to->p, '\r', to->n) != NULL ||
		       memchr(to->p, 0, to->n) != NULL))
		r = refuse(why, E_CONF_VALUE, path, "it has to hold one line");
	buf_add_u8(to, 0);
	return r == 0 && buf_error(to) < 0 ? refuse(why, E_CONF_VALUE, path, "it is longer than %d bytes", CHANNEL_SECRET_MAX)
					   : r;
}

static int read_ca(struct channel *ch, struct refusal *why)
{
	ch->ca = (struct buf)BUF_MAX(CHANNEL_CA_MAX);
	return ch->conf.ca_file[0] == '\0' ? 0 : file_read(AT_FDCWD, ch->conf.ca_file, false, &ch->ca, why);
}

static int take_template(struct channel *ch, const char *name, struct refusal *why)
{
	char file[CHANNEL_TOPIC_SIZE + 8];
	text_cut(file, sizeof(file), name);
	for (size_t i = 0; i < notify_files_n; i++) {
		const struct embedded_file *f = &notify_files[i];
		size_t                      n = strlen(name);
		if (!text_starts(f->name, name) || !text_equal(f->name + n, ".json"))
			continue;
		buf_add(&ch->body, f->bytes, f->n);
		ch->put = text_equal(name,
				     "matrix"); /* its API wants the message's id in the address, and by that takes it once */
		return 0;
	}
	return refuse(why, E_CONF_VALUE, "webhook.template", "`%s` is none of slack, mattermost, ntfy, matrix", file);
}

static int read_template(struct channel *ch, struct refusal *why)
{
	const struct channel_conf *c = &ch->conf;
	int                        r = 0;
	ch->body = (struct buf)BUF_MAX(BODY_TEMPLATE_MAX);
	if (c->template_name[0] != '\0')
		r = take_template(ch, c->template_name, why);
	else if (c->template_file[0] != '\0')
		r = file_read(AT_FDCWD, c->template_file, false, &ch->body, why);
	if (r == 0 && ch->put && strstr(c->url, "{{message_id}}") == NULL)
		r = refuse(why, E_CONF_VALUE, "channel.url", "for Matrix it has to end with /{{message_id}}");
	if (r == 0 && ch->body.n > 0)
		r = body_template_check(c->template_file[0] != '\0' ? c->template_file : c->template_name, buf_span(&ch->body),
					why);
	return r;
}

static int read_zones(struct channel *ch, struct refusal *why)
{
	int r = 0;
	for (size_t i = 0; i < ch->conf.windows.n && r == 0; i++)
		r = zone_get(ch->conf.windows.list[i].zone, &ch->zones[i], why);
	return r;
}

static int read_one(const char *dir, const char *name, struct channel *ch, struct refusal *why)
{
	int r = channel_conf_load(dir, name, &ch->conf, why);
	if (r < 0)
		return r;
	ch->rule = (struct delivery_rule){.at_least = ch->conf.at_least, .escalation = ch->conf.escalation};
	text_cut(ch->rule.services, sizeof(ch->rule.services), ch->conf.services);
	text_cut(ch->rule.events, sizeof(ch->rule.events), ch->conf.events);
	r = read_secret(ch->conf.password_file, &ch->password, why);
	if (r == 0)
		r = read_secret(ch->conf.secret_file, &ch->secret, why);
	if (r == 0)
		r = read_secret(ch->conf.token_file, &ch->token, why);
	if (r == 0)
		r = read_ca(ch, why);
	if (r == 0)
		r = read_template(ch, why);
	return r == 0 ? read_zones(ch, why) : r;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

int channels_load(const struct controller_conf *conf, struct channels **ret, struct refusal *why)
{
	char             names[CHANNELS_MAX][CHANNEL_NAME_SIZE];
	struct channels *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return refuse(why, E_NOMEM, "channels", "no memory");
	all->nag = (struct delivery_nag){.repeat_ms = conf->notify_repeat_ms, .escalate_ms = conf->notify_escalate_ms};
	text_cut(all->contact_admin, sizeof(all->contact_admin), conf->contact_admin);
	text_cut(all->contact_security, sizeof(all->contact_security), conf->contact_security);
	text_cut(all->contact_approver, sizeof(all->contact_approver), conf->contact_approver);
	int r = channel_conf_list(conf->notify_dir, names, &all->n, why);
	if (r < 0) {
		free(all);
		return r;
	}
	for (size_t i = 0; i < all->n; i++) {
		struct channel *ch = &all->row[i];
		if (read_one(conf->notify_dir, names[i], ch, &ch->problem) == 0)
			ch->problem = (struct refusal){.code = 0};
		text_cut(ch->conf.name, sizeof(ch->conf.name), names[i]);
	}
	*ret = all;
	return 0;
}

struct channels *channels_keep(struct channels *all)
{
	all->users++;
	return all;
}

void channels_free(struct channels *all)
{
	if (all == NULL || all->users-- > 0)
		return;
	for (size_t i = 0; i < all->n; i++) {
		buf_wipe(&all->row[i].password);
		buf_wipe(&all->row[i].secret);
		buf_wipe(&all->row[i].token);
		buf_free(&all->row[i].ca);
		buf_free(&all->row[i].body);
	}
	free(all);
}

int channels_problem(const struct channels *all, struct refusal *why)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->row[i].problem.code != 0) {
			*why = all->row[i].problem;
			return why->code;
		}
	return 0;
}

int channels_check(const struct controller_conf *conf, struct refusal *why)
{
	struct channels *all = NULL;
	int              r = channels_load(conf, &all, why);
	if (r == 0)
		r = channels_problem(all, why);
	channels_free(all);
	return r;
}

const struct channel *channels_find(const struct channels *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (text_equal(all->row[i].conf.name, name))
			return &all->row[i];
	return NULL;
}

static void add_name(char to[NOTICE_CHANNELS_SIZE], const char *name)
{
	size_t n = strlen(to), more = strlen(name);
	if (n + more + 2 >= NOTICE_CHANNELS_SIZE)
		return; /* cannot be: CHANNELS_MAX names fit */
	if (n > 0)
		to[n++] = ',';
	memcpy(to + n, name, more + 1);
}

void channels_route(const struct channels *all, struct notice *n)
{
	n->channels[0] = '\0';
	for (size_t i = 0; i < all->n; i++)
		if (delivery_wanted(&all->row[i].rule, n))
			add_name(n->channels, all->row[i].conf.name);
	n->remind_at = delivery_first_look(n, &all->nag);
}

void channels_escalate(const struct channels *all, const struct notice *n, char ret[NOTICE_CHANNELS_SIZE])
{
	char        name[CHANNEL_NAME_SIZE];
	const char *cursor = n->channels;
	ret[0] = '\0';
	while (text_item(&cursor, name, sizeof(name)))
		if (channels_find(all, name) == NULL || !channels_find(all, name)->rule.escalation)
			add_name(ret, name);
	for (size_t i = 0; i < all->n; i++)
		if (all->row[i].rule.escalation)
			add_name(ret, all->row[i].conf.name);
}

bool channel_quiet(const struct channel *ch, int64_t now, int64_t *ret_until)
{
	return ch->conf.windows.n > 0 && windows_open(&ch->conf.windows, ch->zones, now, ret_until);
}
