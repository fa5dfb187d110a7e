/* peer.h - room shared/model: relying parties: hosts whose services are clients of what a certificate is served by, and what
 * they saw. Plain values. Never: functions with state. */
#ifndef VCC_PEER_H
#define VCC_PEER_H

#include "shared/model/order.h"

enum { PEERS_MAX = 16 /* that one host tells */ };

/* What the owner of a host says about one certificate that services of this host rely on. */
struct peer_told {
	char cert_id[CERT_ID_SIZE];
	char address[ADDRESS_SIZE]; /* host:port, as they reach it */
	char name[DNS_NAME_SIZE];   /* which they ask for and expect in the certificate */
};

/* One relying party of one certificate, and its last verdict. */
struct peer {
	char        cert_id[CERT_ID_SIZE];
	char        agent[AGENT_NAME_SIZE];
	char        address[ADDRESS_SIZE];
	char        name[DNS_NAME_SIZE];
	struct hash host_hash; /* of the host that said so: another one under the same name did not */
	int64_t     declared_at;
	/* the verdict */
	int64_t     judged_at;  /* 0 = none yet */
	struct id   renewal_id; /* of the order that it was asked for; none = by a person */
	uint32_t    attempt;
	struct hash fingerprint; /* that it was to find */
	struct hash seen;        /* that it found, or the first other one; none = no answer */
	int         code; /* 0 = every handshake showed the right certificate, with a chain to the roots that the host holds */
	char        cause[CAUSE_SIZE];
	uint32_t    handshakes, others; /* how many, and how many of them did not show that */
	uint64_t    trust_epoch;        /* of the bundle that the host judged by */
};

#endif
