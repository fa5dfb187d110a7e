/* renewer.h - room agent/survey: which other tool renews a certificate file today: certbot, certmonger, acme.sh.
 * From their own records on disk. Never: running them. */
#ifndef VCC_RENEWER_H
#define VCC_RENEWER_H

#include "agent/survey/source.h"

enum renewer_kind { RENEWER_NONE, RENEWER_CERTBOT, RENEWER_CERTMONGER, RENEWER_ACME_SH, RENEWER_KIND_COUNT };
const char *renewer_kind_name(enum renewer_kind k); /* "certbot" */
/* RENEWER_KIND_COUNT: no such word. */
enum renewer_kind renewer_kind_parse(const char *word);

enum { RENEWER_NAME_SIZE = 256 };

struct renewer {
	enum renewer_kind kind;
	char              name[RENEWER_NAME_SIZE]; /* certbot: lineage; certmonger: request; acme.sh: domain */
	char              conf[SOURCE_PATH_SIZE];  /* its record */
};

/* Who renews the certificate in this file; RENEWER_NONE when nobody does (or has been told not to). */
void renewer_find(const char *cert_path, struct renewer *ret);
/* The same below other folders, for tests: certbot's, certmonger's, acme.sh's. */
void renewer_find_below(const char *const folders[RENEWER_KIND_COUNT], const char *cert_path, struct renewer *ret);

#endif
