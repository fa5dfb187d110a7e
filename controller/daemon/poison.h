/* poison.h - room controller/daemon: whose order was in hand when the process died, and how often. After POISON_TRIES deaths that order rests
 * until a person wants it tried again; everything else goes on.
 * The note is one mapped page of a file: written without a system call, and kept by the kernel however the process ends. A power cut may lose
 * it; then nothing is counted. Never: deciding what an order does. */
#ifndef VCC_POISON_H
#define VCC_POISON_H

#include "controller/daemon/controller.h"

enum { POISON_TRIES = 3 };
struct poison;

/* Reads the note of the run before and counts what it says; without a note nothing is counted, and that is said in the log. */
_must_check_ int poison_open(struct controller *ctl, struct poison **ret);
void             poison_free(struct poison *p); /* an orderly end: nothing is in hand */

/* From enter to leave this certificate's order is in hand. Within another one: that one is in hand again afterwards. */
struct poison_hold {
	char before[CERT_ID_SIZE];
};
void poison_enter(struct poison *p, const char *cert_id, struct poison_hold *ret);
void poison_leave(struct poison *p, const struct poison_hold *hold);

bool poison_rests(const struct poison *p, const char *cert_id);
/* It has killed more often than it takes to rest: also resting would be the end of us. */
bool poison_untouchable(const struct poison *p, const char *cert_id);
void poison_lay(struct poison *p, const char *cert_id);       /* it has brought somebody else to his end often enough: it rests */
void poison_once_more(struct poison *p, const char *cert_id); /* a person's word: one more death and it rests again */
void poison_forget(struct poison *p, const char *cert_id);    /* its order came to a good end */

#endif
