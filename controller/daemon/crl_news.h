/* crl_news.h - room controller/daemon: hosts hear that other revocation lists are published, and get exactly those that they
 * heard of. A burst of changes is one piece of news; what was told last and the time before can still be had when the lists
 * have changed again. Never: stored, acked: whoever misses it hears it after the next welcome. */
#ifndef VCC_CRL_NEWS_H
#define VCC_CRL_NEWS_H

#include "controller/daemon/controller.h"

struct crl_news;
_must_check_ int crl_news_open(struct controller *ctl, struct crl_news **ret);
void             crl_news_close(struct crl_news *n);
void             crl_news_free(struct crl_news *n);

void crl_news_changed(struct controller *ctl);                 /* a list was published */
void crl_news_tell(struct controller *ctl, const char *agent); /* it was welcomed just now */

/* The lists of this content; they live until the next turn of the loop. False: never told, or too long ago. */
bool crl_news_find(const struct controller *ctl, struct hash hash, struct span *ret_pem);
/* Is this what was told last? False also before anything was. */
bool crl_news_is_current(const struct controller *ctl, struct hash hash);

#endif
