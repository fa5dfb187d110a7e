/* restored.h - room controller/daemon: has the store gone back in time, and may hosts be given orders on its word?
 * After a restore, and where the signer or hosts remember a longer trail, nothing is ordered until a person accepts. Never:
 * restoring. */
#ifndef VCC_RESTORED_H
#define VCC_RESTORED_H

#include "controller/daemon/controller.h"
#include "controller/daemon/restore_mark.h"
#include "controller/daemon/restore_news.h"

struct restored;
_must_check_ int restored_open(struct restored **ret);
void             restored_free(struct restored *r);
_must_check_ int restored_load(struct controller *ctl);

/* Nothing is ordered now. Lists, OCSP, receipts and identities go on. */
bool restored_holds(struct controller *ctl);
/* E_RESTORE_WAITS while it holds. */
_must_check_ int restored_allows(struct controller *ctl);
/* When the store was restored last; 0 = never. */
int64_t restored_at(const struct controller *ctl);
void    restored_mark_of(const struct controller *ctl, struct restore_mark *ret);

/* What others hold that this store does not know, as far as they have said so since this start. */
const struct restore_news *restored_news(const struct controller *ctl);
void restored_saw_certificate(struct controller *ctl, const char *cert_id, const char *agent, struct serial served);
void restored_saw_host(struct controller *ctl, const char *agent);
/* Of a renewal that it does not know, or that is over. Only one of the time that was lost counts. */
void restored_saw_receipt(struct controller *ctl, const char *agent, const char *cert_id, int64_t made_at);
void restored_saw_head(struct controller *ctl, const char *agent, uint64_t size);

/* What a drill found in a backup. */
struct drill_result {
	int64_t     made_at;
	uint64_t    audit_size;
	struct hash audit_root;
	uint64_t    keys; /* of CAs, that signed */
};
/* Recorded, if that backup's trail is the beginning of this one: E_RESTORE_DRILL. */
void restored_drilled(struct controller *ctl, const struct drill_result *d, const struct caller *who, api_done_fn *done, void *ctx);

/* Orders go on. E_RESTORE_NOTHING; E_RESTORE_SIGNER: first the signer has to begin a new trail. */
void restored_accept(struct controller *ctl, const struct caller *who, api_done_fn *done, void *ctx);

#endif
