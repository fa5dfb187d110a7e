/* audit_heads.h - room controller/daemon: the audit tree's heads: signed by the signer, stored, shown to agents, and compared
 * with what signer and agents remember. Never: changing the trail. */
#ifndef VCC_AUDIT_HEADS_H
#define VCC_AUDIT_HEADS_H

#include "controller/daemon/signer_client.h"
#include "shared/model/messages.h"

/* Is the head signed by the authority with this certificate? Codes of cert_parts_read() and key_verify(). */
_must_check_ int audit_head_verify(struct span authority, const struct audit_head *h);

struct audit_heads;
_must_check_ int audit_heads_open(struct controller *ctl, struct audit_heads **ret);
_must_check_ int audit_heads_load(struct controller *ctl);
void             audit_heads_free(struct audit_heads *a);

/* Asks for a head where new rows wait for long, or many do. */
void audit_heads_tick(struct controller *ctl, int64_t now);
/* The signer is there; it has signed `root` at `size` last (0 = nothing). */
void audit_heads_signer(struct controller *ctl, uint64_t size, struct hash root);
void audit_heads_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a);

/* What the agent said in its hello. */
void audit_heads_hello(struct controller *ctl, const char *agent, uint64_t size, struct hash root);
/* True: the ack was about a head. */
bool audit_heads_acked(struct controller *ctl, const char *agent, const struct msg_ack *ack);

/* Somebody remembers another trail than this one. */
bool audit_heads_contradicted(const struct controller *ctl);

/* Enough of them to give no orders: the signer, or more than one host. One host alone may lie, unless there is no other. */
bool audit_heads_hold(const struct controller *ctl);
bool audit_heads_signer_contradicts(const struct controller *ctl);
int  audit_heads_accusers(const struct controller *ctl);     /* hosts; 2 = two or more */
/* Records of the longest trail that the signer or two hosts know (one host, where there is no other): one alone may claim anything. */
uint64_t audit_heads_claimed(const struct controller *ctl);
/* A person has accepted that hosts keep heads of so many records which are not ours. */
void audit_heads_forgive(struct controller *ctl, uint64_t size);

#endif
