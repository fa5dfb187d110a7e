/* evidence_zip.h - room controller/cli: evidence of a whole period as one archive: a pack for each certificate and campaign that
 * evidence_subjects.c finds, the compliance report, and a list of them with their hashes (libzip only in evidence_zip*.c). Never: judging; replacing a file. */
#ifndef VCC_EVIDENCE_ZIP_H
#define VCC_EVIDENCE_ZIP_H

#include "controller/cli/evidence_verify.h"
#include "controller/cli/verb.h"

enum {
	EVIDENCE_ZIP_FILES_MAX = 20000, /* packs */
	EVIDENCE_ZIP_INDEX_MAX = 16 << 20,
	EVIDENCE_ZIP_NAME_SIZE = CERT_ID_SIZE + 64,
};
#define EVIDENCE_ZIP_INDEX  "index.json"
#define EVIDENCE_ZIP_REPORT "report.json"
#define EVIDENCE_ZIP_README "README.txt"

/* The one kind of a file that nobody signed, which is taken under the name EVIDENCE_ZIP_REPORT alone. */
#define EVIDENCE_ZIP_KIND_REPORT "report"

/* Part of the form of an archive, as nothing else says what is written there: with other words the number in the list is another, and
 * docs/verify_evidence.py has them, too. */
extern const char evidence_zip_readme[];

struct evidence_period {
	int64_t     since, until;
	const char *certificate, *campaign; /* of this one alone; NULL: of all that the period touches */
};

/* Writes `file`, whole or not at all. Exit code: EXIT_PARTLY where the archive names what could not be put into it. */
_must_check_ int evidence_zip_make(const struct invocation *in, const struct evidence_period *period, const char *file, struct refusal *why);

/* Does the file begin like an archive? */
bool evidence_zip_is(const char *path);
/* Verifies every part and prints. Exit code as evidence_file_verify(). (evidence_zip_verify.c) */
int evidence_zip_verify(const struct invocation *in, const char *path, struct span roots, const struct known_head *known, size_t n_known);

#endif
