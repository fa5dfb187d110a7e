/* signer_client.h - room controller/daemon: the connection to vcc-signer.
 * A request stays here until it is answered; it is sent again after each reconnect (the signer's log makes that safe). The signer gets
 * at most a batch at once, lowest rank first, so that an emergency waits for one batch and not for all routine work. Never: waiting. */
#ifndef VCC_SIGNER_CLIENT_H
#define VCC_SIGNER_CLIENT_H

#include "controller/daemon/controller.h"

enum ticket_kind { TICKET_ORDER, TICKET_IDENTITY, TICKET_CRL, TICKET_HEAD, TICKET_SUCCESSOR, TICKET_CLOSE, TICKET_COUNT };

/* Whose answer it is. */
struct ticket {
	enum ticket_kind kind;
	struct id        renewal_id; /* TICKET_ORDER */
	uint32_t         attempt;
	struct serial    serial;                    /* TICKET_ORDER, TICKET_IDENTITY */
	char             issuer_id[ISSUER_ID_SIZE]; /* TICKET_CRL, TICKET_SUCCESSOR (whose), TICKET_CLOSE */
	uint32_t         shard;
	uint64_t         number;
	struct audit_head head; /* TICKET_HEAD: size, root, at */
	unsigned         rank;  /* as order_rank(); what is no order: RANK_UPKEEP */
};
enum { RANK_UPKEEP = 1 }; /* identities, lists and heads: beside what a person waits for */

struct signed_answer {
	int         code;
	const char *text;
	struct span der; /* certificate, CRL or signature of a head (then `text` is the issuer); lives until return */
};

struct signer_client;
_must_check_ int signer_open(struct controller *ctl, struct signer_client **ret);
void             signer_hang_up(struct signer_client *s); /* no more answers */
void             signer_free(struct signer_client *s);

void signer_tick(struct controller *ctl); /* connects where there is no connection */
uint64_t signer_waiting(const struct controller *ctl); /* requests that are not answered yet */
bool signer_ready(const struct controller *ctl);
/* The highest number of an authority of this role that the signer has told of, ours or not; 0 = it was not here yet. */
unsigned signer_highest(const struct controller *ctl, enum issuer_role role);
/* As it told of them when it connected last. */
struct signer_told;
const struct signer_told *signer_authorities(const struct controller *ctl);
/* In this run the signer came with a log that ends before what is stored as issued: it was cut, or is an old copy. */
bool signer_log_behind(const struct controller *ctl);

/* `frame` is an encoded SG_ISSUE, SG_CRL, SG_HEAD, SG_SUCCESSOR or SG_CLOSE whose envelope id is `id`; a request of that id that is still waiting is kept as it
 * is. */
void     signer_ask(struct controller *ctl, uint64_t id, struct span frame, const struct ticket *ticket);
uint64_t signer_crl_id(struct controller *ctl); /* ids of all but SG_ISSUE; those are serial_counter(serial) */

#endif
