/* store_noun.h - room controller/store: the nouns as tables of columns: which struct field is which column.
 * Both backends work from these tables alone, so they cannot differ in what they keep. Never: SQL, storage. */
#ifndef VCC_STORE_NOUN_H
#define VCC_STORE_NOUN_H

#include "controller/store/store.h"

enum column_kind {
	COLUMN_TEXT,  /* char[] */
	COLUMN_BOOL,
	COLUMN_UINT,  /* unsigned of 2, 4 or 8 bytes, < 2^63 */
	COLUMN_INT,   /* int, int64_t */
	COLUMN_WHEN,  /* int64_t time; 0 = not, kept as NULL */
	COLUMN_DUE,   /* int64_t time; TIME_NEVER is kept as NULL; only compared by <= */
	COLUMN_NAME,  /* enum, kept as its name: readable, and free of the enum's order */
	COLUMN_FIXED, /* uint8_t[n]; all zero = none, kept as NULL (id, hash, serial) */
	COLUMN_BYTES, /* uint8_t[n] with a uint16_t length beside it */
	COLUMN_SPAN,  /* struct span: bytes outside the row */
	COLUMN_AUTO,  /* uint64_t given by the backend when the row is added, growing */
};

struct column {
	const char      *name;
	enum column_kind kind;
	size_t           at;
	size_t           size;
	size_t           length_at;             /* COLUMN_BYTES */
	const char *(*value_name)(unsigned v);  /* COLUMN_NAME */
	unsigned         n_values;
	size_t           max;                   /* COLUMN_SPAN: bytes */
};

enum { NOUN_KEYS_MAX = 2, NOUN_COLUMNS_MAX = 40 };

struct noun {
	const char          *table;
	size_t               size; /* of the row struct */
	const struct column *column;
	size_t               n_columns;
	size_t               n_keys; /* the first columns are the primary key, in order */
	const char          *unique; /* one more column without doubles, or NULL */
};

/* Rows that callers do not see in this form. */
enum { SETTING_NAME_SIZE = 64, SETTING_MAX = 65536, CRL_DER_MAX = 4 * 1024 * 1024 };
struct setting_row {
	char        name[SETTING_NAME_SIZE];
	struct span value;
};
struct counter_row {
	char     name[16]; /* "serial": next free; "message": highest used */
	uint64_t value;
};
struct node_row { /* a complete node of the audit tree */
	uint64_t    position; /* merkle_position */
	struct hash hash;
};
struct message_row { /* outbox */
	char        agent[AGENT_NAME_SIZE];
	struct id   renewal_id;
	uint64_t    message_id;
	uint16_t    type;
	struct span frame;
};
struct history_row { /* order_steps */
	uint64_t              seq;
	struct order_step_row step;
};

extern const struct noun noun_order, noun_step, noun_certificate, noun_issuance, noun_target, noun_agent, noun_invite, noun_template,
	noun_issuer, noun_principal, noun_token, noun_service, noun_message, noun_audit, noun_node, noun_crl, noun_setting,
	noun_counter, noun_receipt, noun_inventory, noun_listener;

enum { NOUN_COUNT = 21 };
extern const struct noun *const nouns[NOUN_COUNT];
extern const size_t             noun_row_max; /* the largest row struct */

/* The column whose field starts at `at`; ends the process when there is none (a bug of this room). */
const struct column *noun_column(const struct noun *noun, size_t at);

/* Field access without regard to alignment or width; kinds UINT, INT, WHEN, DUE, BOOL, NAME, AUTO. */
int64_t column_number(const struct column *c, const void *row);
/* E_STORE_DAMAGED when the value does not fit the field. */
_must_check_ int column_set_number(const struct column *c, void *row, int64_t value);
/* NAME: the index of `text`; E_STORE_DAMAGED when no value has that name. */
_must_check_ int column_set_name(const struct column *c, void *row, const char *text, size_t n);
/* Bytes of TEXT, FIXED, BYTES, SPAN (and NAME: its text). */
struct span column_bytes(const struct column *c, const void *row);
/* What a row must keep for a backend to keep it: names of enums known, texts ended, numbers in range. */
bool noun_row_ok(const struct noun *noun, const void *row);
/* The field says "none": WHEN 0, DUE never, FIXED all zero. */
bool column_is_none(const struct column *c, const void *row);

#endif
