/* channel_conf.h - room shared/conf: one file notify.d/NAME.conf: a channel by which people are told, and what it is told.
 * Never: reading the secrets that it names, looking a name up. */
#ifndef VCC_CHANNEL_CONF_H
#define VCC_CHANNEL_CONF_H

#include "shared/conf/conf.h"
#include "shared/model/delivery.h"
#include "shared/model/window.h"

enum channel_kind { CHANNEL_SMTP, CHANNEL_WEBHOOK, CHANNEL_ALERTMANAGER, CHANNEL_KIND_COUNT };
const char *channel_kind_name(enum channel_kind k);

enum {
	CHANNEL_PATH_SIZE = 256,
	CHANNEL_URL_SIZE = 512,
	CHANNEL_TEXT_SIZE = 160,
	CHANNEL_LIST_SIZE = 512,
	CHANNEL_TOPIC_SIZE = 64
};

struct channel_conf {
	char name[CHANNEL_NAME_SIZE]; /* file name without .conf */
	/* [channel] */
	int  kind; /* enum channel_kind */
	char url[CHANNEL_URL_SIZE];
	char allow[CHANNEL_LIST_SIZE]; /* comma list of address ranges that are not public and may be reached all the same */
	bool plain;                    /* without TLS, to this machine alone */
	char ca_file[CHANNEL_PATH_SIZE];
	/* [smtp] */
	char from[CHANNEL_TEXT_SIZE];
	char to[CHANNEL_LIST_SIZE]; /* comma list: also told, of everything */
	char user[CHANNEL_TEXT_SIZE];
	char password_file[CHANNEL_PATH_SIZE];
	/* [webhook] */
	char template_name[CHANNEL_TOPIC_SIZE];
	char template_file[CHANNEL_PATH_SIZE];
	char topic[CHANNEL_TOPIC_SIZE];
	char secret_file[CHANNEL_PATH_SIZE];
	char token_file[CHANNEL_PATH_SIZE];
	/* [alertmanager] */
	bool link; /* alerts carry the link by which a matter is taken over */
	/* [rule] */
	int  at_least; /* enum notice_level, or NOTICE_LEVEL_COUNT = never */
	char services[CHANNEL_LIST_SIZE];
	char events[CHANNEL_LIST_SIZE];
	bool escalation;
	/* [quiet] */
	char           quiet[WINDOW_TEXT_SIZE];
	struct windows windows; /* from quiet */
};

extern const struct conf_schema channel_schema;

/* Loads DIR/NAME.conf. */
_must_check_ int channel_conf_load(const char *dir, const char *name, struct channel_conf *ret, struct refusal *why);
/* Names of all channels, sorted; a folder that is not there holds none. E_FULL: more than CHANNELS_MAX. */
_must_check_ int channel_conf_list(const char *dir, char (*ret)[CHANNEL_NAME_SIZE], size_t *ret_n, struct refusal *why);

/* One address as mail takes it: nothing in it ends it or begins another. */
bool channel_mail_ok(const char *address);

#endif
