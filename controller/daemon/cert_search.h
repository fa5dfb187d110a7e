/* cert_search.h - room controller/daemon: does a certificate fit what somebody typed into a search box?
 * Values in, values out. Never: reading anything. */
#ifndef VCC_CERT_SEARCH_H
#define VCC_CERT_SEARCH_H

#include "shared/model/certificate.h"

enum { SEARCH_SIZE = 128 };

/* Every word is part of cert_id, a name, service, host, template, serial number or fingerprint; case does not matter, nor do the colons that
 * other tools write into numbers. An empty text fits all. */
bool cert_search_fits(const struct certificate *c, const char *text);

#endif
