/* signer_conf.h - room shared/conf: signer.conf, written by `vccctl init`, read by vcc-signer.
 * Limits here can only narrow what the signer's own table allows. Never: secrets. */
#ifndef VCC_SIGNER_CONF_H
#define VCC_SIGNER_CONF_H

#include "shared/conf/controller_conf.h"

#define SIGNER_CONF_PATH "/etc/vcc-signer/signer.conf"

enum { SIGNER_FOLDERS_MAX = 16 }; /* in pkcs11.folders */

struct signer_conf {
	/* [signer] */
	char state_dir[CONF_PATH_SIZE];       /* CA keys and certificates */
	char socket[CONF_SOCKET_SIZE];
	char passphrase_file[CONF_PATH_SIZE]; /* "" = the systemd credential "ca-passphrase" */
	char log[CONF_PATH_SIZE];             /* "" = STATE_DIR/signing.log */
	char controller_user[CONF_USER_SIZE]; /* who may connect beside root and ourselves; "" = nobody else */
	char public_url[URL_SIZE];            /* as in controller.conf: part of every certificate */
	/* [pkcs11] */
	char module[CONF_PATH_SIZE];          /* "" = CA keys are files */
	char token[128];                      /* its label */
	char pin_file[CONF_PATH_SIZE];        /* "" = the systemd credential "ca-pin" */
	char folders[1024];                   /* what the module needs after the lock-in, comma list */
	bool local_sockets;                   /* it speaks to a daemon of this host */
	/* [limits] */
	char    domains[CONF_DOMAINS_SIZE]; /* of DNS names in service certificates */
	char    ip_ranges[256];             /* CIDR list; "" = no IP address at all */
	int64_t rate;                       /* signatures a second */
	int64_t validity_ms[LEAF_PROFILE_COUNT];
};

extern const struct conf_schema signer_schema;

#endif
