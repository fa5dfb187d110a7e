/* rights_document.h - room controller/daemon: docs/rights.md, made from the tables of roles, permissions and routes.
 * Never: text that could differ from them. */
#ifndef VCC_RIGHTS_DOCUMENT_H
#define VCC_RIGHTS_DOCUMENT_H

#include "shared/base/buf.h"

void rights_document(struct buf *to);
/* The routes of docs/api.md: what each does. */
void routes_table(struct buf *to);

#endif
