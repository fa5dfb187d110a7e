/* notice_page.h - room controller/daemon: the page behind a link in a notification: shows the matter, and takes it over or keeps it quiet when
 * its form is sent. Reading it changes nothing: mail scanners follow links. Never: anything that the link does not name. */
#ifndef VCC_NOTICE_PAGE_H
#define VCC_NOTICE_PAGE_H

#include "controller/daemon/api.h"

enum { NOTICE_PAGE_BODY_MAX = 256 };

/* On the admin listener alone. */
bool notice_page_owns(const struct http_request *q);
void notice_page_handle(struct controller *ctl, struct api *api, struct http_call *call);

#endif
