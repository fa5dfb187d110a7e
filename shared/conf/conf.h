/* conf.h - room shared/conf: INI files with drop-ins, read by a schema table (inih only here).
 * NAME.conf, then NAME.conf.d/ *.conf in byte order; later wins; unknown sections and keys are errors with file and line.
 * Never: defaults hidden outside the table. */
#ifndef VCC_CONF_H
#define VCC_CONF_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum conf_kind {
	CONF_TEXT,     /* char[size] */
	CONF_PATH,     /* char[size], absolute */
	CONF_INT,      /* int64_t, min..max */
	CONF_DURATION, /* int64_t ms, min..max */
	CONF_BOOL,     /* bool: yes, no, true, false, 1, 0 */
	CONF_ENUM,     /* int: index into `words` */
	CONF_LIST,     /* char[size], comma list; repeated keys are joined */
	CONF_MODE,     /* int64_t, octal file mode */
	CONF_SHARE,    /* int64_t per mille: "25%" or "0.25" */
};

struct conf_key {
	const char        *section;
	const char        *key;
	enum conf_kind     kind;
	size_t             offset;
	size_t             size;
	int64_t            min, max;
	const char        *fallback; /* text as in a file; NULL = required */
	const char *const *words;    /* CONF_ENUM, NULL-terminated */
	const char        *about;    /* for man pages and docs */
};

struct conf_schema {
	const char            *program; /* "vcc-controller" */
	const char            *file;    /* "controller.conf" */
	size_t                 struct_size;
	const struct conf_key *keys;
	size_t                 n_keys;
	/* After all keys: cross checks; `why` names the key. May be NULL. */
	int (*check)(const void *conf, struct refusal *why);
};

enum { CONF_FILE_MAX = 262144, CONF_ORIGIN_SIZE = 192 };

/* Fills `ret` (struct_size bytes) from file and drop-ins. The file must not be writable by group or others:
 * E_CONF_UNSAFE. Every refusal names "FILE:LINE". `origins` (n_keys entries) may be NULL: where each value came from. */
_must_check_ int conf_load(const struct conf_schema *schema, const char *path, void *ret,
                           char (*origins)[CONF_ORIGIN_SIZE], struct refusal *why);
/* The same from bytes, for tests and fuzzing. */
_must_check_ int conf_parse(const struct conf_schema *schema, const char *name, struct span text, void *ret, struct refusal *why);
/* A value as a file would spell it. */
void conf_value_text(const struct conf_key *k, const void *conf, struct buf *to);
/* All keys by section, as a manual page has them (scdoc). */
void conf_manual(const struct conf_schema *schema, struct buf *to);
/* A text inside such a page: `code` becomes bold, signs that mean something there are escaped. */
void manual_text(const char *text, struct buf *to);

/* Standard options of every program: --config FILE, --check, --version, --help. */
struct conf_options {
	const char *config; /* path */
	bool        check;
	int         rest; /* index of the first argument that is not ours */
};
/* Handles --version and --help itself (prints, exits 0); usage errors exit 2. The schema's program is a row of program_table.h. */
void conf_options(int argc, char **argv, const struct conf_schema *schema, struct conf_options *ret);
/* For --check: loads, prints "FILE: ok" or the refusal; returns the exit status. */
int conf_check(const struct conf_schema *schema, const char *path);

#endif
