/* init_layout.h - room controller/cli: where `init` puts everything, and the text of the configuration files.
 * Two layouts: the system's folders, or everything below one folder. Never: touching the disk. */
#ifndef VCC_INIT_LAYOUT_H
#define VCC_INIT_LAYOUT_H

#include <limits.h>
#include <stdbool.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/conf/controller_conf.h"

/* What the operator chose, checked and canonical. */
struct init_choice {
	char organisation[SUBJECT_SIZE];
	char domains[CONF_DOMAINS_SIZE]; /* comma lists */
	char ip_ranges[256];
	char public_name[DNS_NAME_SIZE];
	char crypto[16]; /* "modern", "brief" */
	char contact_admin[CONF_CONTACT_SIZE];
	char contact_security[CONF_CONTACT_SIZE];
	char public_url[URL_SIZE];
	char public_listen[ADDRESS_SIZE];
	char admin_listen[ADDRESS_SIZE];
	char agent_listen[ADDRESS_SIZE];
	char join_listen[ADDRESS_SIZE];
};

enum { INIT_PATH = 224 }; /* a socket path must stay below 108 bytes: checked when the texts are read back */

struct init_layout {
	bool below; /* below one folder, everything as the caller's user */
	char controller_conf[INIT_PATH], signer_conf[INIT_PATH], gateway_conf[INIT_PATH];
	char controller_state[INIT_PATH], signer_state[INIT_PATH], gateway_state[INIT_PATH];
	char run[INIT_PATH];    /* "" = made by the units */
	char ca_dir[INIT_PATH]; /* what everybody may know: certificates, root CRL, bundle */
	char ca_pem[INIT_PATH]; /* the root, for people and programs */
	char tokens[INIT_PATH];
	char notify_dir[INIT_PATH]; /* one below a folder tells nobody of the machine's own */
	char passphrase[INIT_PATH];
	char admin_socket[INIT_PATH], gateway_socket[INIT_PATH], signer_socket[INIT_PATH];
	char installed[INIT_PATH]; /* written last: the installation is complete */
};

/* `folder`: absolute, NULL = the system's folders. E_FULL: the path is too long. */
_must_check_ int init_layout_make(const char *folder, struct init_layout *ret);

/* The configuration files. E_SYNTAX, E_FULL: a listener's address. */
_must_check_ int init_controller_text(const struct init_layout *l, const struct init_choice *c, struct buf *to);
void init_signer_text(const struct init_layout *l, const struct init_choice *c, struct buf *to);
void init_gateway_text(const struct init_layout *l, const struct init_choice *c, struct buf *to);

/* The address hosts use: the listener's own when it names one, else PUBLIC_NAME and the listener's port. */
_must_check_ int init_reached_at(const char *listen, const char *public_name, char ret[ADDRESS_SIZE]);

#endif
