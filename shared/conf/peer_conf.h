/* peer_conf.h - room shared/conf: what a host's services rely on, as its owner wrote it: the only places outside the host that its agent
 * ever makes a handshake with. Never: an address that comes from anywhere else than this file. */
#ifndef VCC_PEER_CONF_H
#define VCC_PEER_CONF_H

#include "shared/base/err.h"
#include "shared/model/peer.h"

enum { PEER_TEXT_SIZE = 4096 };

struct peers_conf {
	size_t           n;
	struct peer_told row[PEERS_MAX];
	bool             postgresql[PEERS_MAX]; /* TLS begins after PostgreSQL's SSLRequest */
};

/* From the comma list of agent.conf's peer.relies: "CERT_ID HOST:PORT NAME [postgresql]" each; NAME is what the service's clients ask for: a DNS name
 * or an IP address. One entry for each certificate. E_CONF_VALUE. */
_must_check_ int peers_conf_read(const char *list, struct peers_conf *ret, struct refusal *why);

/* NULL: nothing on this host relies on it. */
const struct peer_told *peers_conf_find(const struct peers_conf *conf, const char *cert_id);

#endif
