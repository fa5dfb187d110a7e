/* crl_files.h - room controller/daemon: the published lists as files in STATE_DIR/public, laid out like their URLs, so that any
 * web server can give them out while this program is away. Written by a worker, one after the other, each in one rename. Never:
 * on the loop. */
#ifndef VCC_CRL_FILES_H
#define VCC_CRL_FILES_H

#include "controller/daemon/controller.h"

struct crl_files;
_must_check_ int crl_files_open(struct controller *ctl, struct crl_files **ret);
void             crl_files_free(struct crl_files *f);

void crl_files_changed(struct controller *ctl);           /* something was published */
void crl_files_tick(struct controller *ctl, int64_t now); /* tries again what could not be written */

#endif
