/* err_catalog.h - room shared/base: the registry of codes as the journal knows it: one MESSAGE_ID for each, and the catalog
 * that explains them (journalctl -x). Never: other words than those of err.def. */
#ifndef VCC_ERR_CATALOG_H
#define VCC_ERR_CATALOG_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum { ERR_MESSAGE_ID_SIZE = 33 };
/* 32 hex digits, the last four are the code's number as people read it. Returns `ret`. */
const char *err_message_id(int code, char ret[ERR_MESSAGE_ID_SIZE]);
/* The first code that the text names, as VCC-nnnn and in the registry; 0 = none. */
int err_in_text(const char *text);
/* packaging/catalog/vcc-pki.catalog */
void err_catalog(struct buf *to);

#endif
