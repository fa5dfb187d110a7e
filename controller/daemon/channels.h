/* channels.h - room controller/daemon: the channels by which people are told, with their secrets, as read at one moment, and
 * which of them a notice goes to. Never: sending; changing what was read. */
#ifndef VCC_CHANNELS_H
#define VCC_CHANNELS_H

#include "controller/core/delivery_flow.h"
#include "shared/base/tzif.h"
#include "shared/conf/channel_conf.h"
#include "shared/conf/controller_conf.h"

enum { CHANNEL_SECRET_MAX = 4096, CHANNEL_CA_MAX = 262144 };

struct channel {
	struct channel_conf  conf;
	struct delivery_rule rule;
	const struct tz     *zones[WINDOWS_MAX];
	struct buf           ca, password, secret, token; /* texts end with NUL, which counts */
	struct buf           body;                        /* the template; none = the whole notification */
	bool                 put;
	struct refusal       problem; /* code 0 = it can be used; else what is for it waits */
};

struct channels {
	size_t              n;
	struct channel      row[CHANNELS_MAX];
	struct delivery_nag nag;
	char                contact_admin[CONF_CONTACT_SIZE], contact_security[CONF_CONTACT_SIZE], contact_approver[CONF_DOMAINS_SIZE];
	size_t              users; /* beside the first; on the loop */
};

/* A channel that cannot be read is there with its problem: certificates do not wait for it. */
_must_check_ int channels_load(const struct controller_conf *conf, struct channels **ret, struct refusal *why);
/* One more uses them; each ends with channels_free(). */
struct channels *channels_keep(struct channels *all);
void             channels_free(struct channels *all);
/* The first problem that one of them has. */
_must_check_ int channels_problem(const struct channels *all, struct refusal *why);
/* For --check: the same of what is in the files. */
_must_check_ int channels_check(const struct controller_conf *conf, struct refusal *why);

const struct channel *channels_find(const struct channels *all, const char *name);
/* Where it goes, and when somebody is reminded. */
void channels_route(const struct channels *all, struct notice *n);
/* Where what nobody has acknowledged goes. */
void channels_escalate(const struct channels *all, const struct notice *n, char ret[NOTICE_CHANNELS_SIZE]);
/* A quiet time of the channel; ret_until: its end. On the loop. */
bool channel_quiet(const struct channel *ch, int64_t now, int64_t *ret_until);

#endif
