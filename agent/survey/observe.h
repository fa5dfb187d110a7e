/* observe.h - room agent/survey: which listeners this host has, who runs them, and what they serve by TLS.
 * Never: a key, a write, a connection to another host. */
#ifndef VCC_OBSERVE_H
#define VCC_OBSERVE_H

#include "agent/survey/proc_net.h"
#include "agent/survey/process_facts.h"
#include "agent/survey/tls_look.h"

/* One listening socket with all that was found out about it. */
struct observed {
	struct listen_socket socket;
	struct process_facts process; /* pid 0: unknown */
	struct look          look;
	bool                 asked; /* false: its program is known to speak another protocol, so it is left in peace */
};

struct observation {
	int64_t          at;
	struct observed *rows; /* by port and address */
	size_t           n;
	size_t           more; /* sockets beyond LISTEN_SOCKETS_MAX */
};

/* Asks every listener once. `ret` is to be freed in any case. E_SYS_IO, E_NOMEM. */
_must_check_ int observe(struct observation *ret, struct refusal *why);
void             observation_free(struct observation *o);

/* It speaks TLS, whether or not a certificate was served. */
bool observed_is_tls(const struct observed *o);
/* "nginx", "postgresql@15-main" or the program's name: what a person calls it. */
void observed_service(const struct observed *o, char ret[INVENTORY_UNIT_SIZE]);
/* A row of the report. */
void observed_row(const struct observed *o, struct inventory_listener *ret);
/* The first name of the certificate: an alternative name, else the subject. */
void observed_name(const struct look *l, char *ret, size_t size);

#endif
