/* wire_table.h - room shared/wire: the macros that the tables are written with. The kind of a field follows from the C
 * type of its member, so a table cannot disagree with its struct. Never: used outside the table files. */
#ifndef VCC_WIRE_TABLE_H
#define VCC_WIRE_TABLE_H

#include "shared/wire/wire.h"

_Static_assert(sizeof(size_t) >= sizeof(uint64_t), "limits of 64-bit fields are kept in size_t");

#define WIRE_MEMBER(s, m) (((s *)0)->m)

#define WIRE_KIND_OF(s, m)                                                                                            \
	_Generic(WIRE_MEMBER(s, m),                                                                                   \
	        uint64_t: WIRE_U64,                                                                                   \
	        uint32_t: WIRE_U32,                                                                                   \
	        uint16_t: WIRE_U16,                                                                                   \
	        int64_t: WIRE_I64,                                                                                    \
	        int: WIRE_INT,                                                                                        \
	        bool: WIRE_BOOL,                                                                                      \
	        char *: WIRE_TEXT,                                                                                    \
	        struct id: WIRE_FIXED,                                                                                \
	        struct hash: WIRE_FIXED,                                                                              \
	        struct serial: WIRE_FIXED)

#define WIRE_MAX_OF(s, m)                                                                                             \
	_Generic(WIRE_MEMBER(s, m), uint64_t: UINT64_MAX, uint32_t: UINT32_MAX, uint16_t: UINT16_MAX, default: 0)

/* Every kind but spans, blobs and rows. */
#define WIRE_FIELD(no, s, m)                                                                                          \
	{                                                                                                             \
		.number = (no), .kind = WIRE_KIND_OF(s, m), .name = #m, .offset = offsetof(s, m),                     \
		.size = sizeof(WIRE_MEMBER(s, m)), .max = WIRE_MAX_OF(s, m)                                           \
	}
/* The same for a member of an embedded struct, which has a name of its own on the wire. */
#define WIRE_INNER(no, s, m, label)                                                                                   \
	{                                                                                                             \
		.number = (no), .kind = WIRE_KIND_OF(s, m), .name = (label), .offset = offsetof(s, m),                \
		.size = sizeof(WIRE_MEMBER(s, m)), .max = WIRE_MAX_OF(s, m)                                           \
	}
/* uint32_t or enum with a largest value. */
#define WIRE_ENUM(no, s, m, label, count)                                                                             \
	{                                                                                                             \
		.number = (no), .kind = _Generic(WIRE_MEMBER(s, m), uint32_t: WIRE_U32), .name = (label),             \
		.offset = offsetof(s, m), .size = sizeof(WIRE_MEMBER(s, m)), .max = (count) - 1                       \
	}
#define WIRE_SPAN(no, s, m, limit)                                                                                    \
	{                                                                                                             \
		.number = (no), .kind = _Generic(WIRE_MEMBER(s, m), struct span: WIRE_BYTES), .name = #m,             \
		.offset = offsetof(s, m), .size = sizeof(struct span), .max = (limit)                                 \
	}
#define WIRE_BLOB_OF(no, s, m, length, label)                                                                         \
	{                                                                                                             \
		.number = (no), .kind = _Generic(WIRE_MEMBER(s, m), uint8_t *: WIRE_BLOB), .name = (label),           \
		.offset = offsetof(s, m), .size = sizeof(WIRE_MEMBER(s, m)),                                          \
		.max = sizeof(WIRE_MEMBER(s, m)),                                                                     \
		.count_offset = _Generic(WIRE_MEMBER(s, length), uint16_t: offsetof(s, length))                       \
	}
#define WIRE_ROWS_OF(no, s, m, count, row)                                                                            \
	{                                                                                                             \
		.number = (no), .kind = WIRE_ROWS, .name = #m, .offset = offsetof(s, m),                              \
		.size = sizeof(WIRE_MEMBER(s, m)), .max = N_ELEMENTS(WIRE_MEMBER(s, m)),                              \
		.count_offset = _Generic(WIRE_MEMBER(s, count), uint32_t: offsetof(s, count)), .rows = (row)          \
	}

#define WIRE_MESSAGE(type_, name_, from_, s, fields_, about_)                                                         \
	{                                                                                                             \
		.type = (type_), .name = (name_), .from = (from_), .about = (about_), .struct_size = sizeof(s),       \
		.fields = (fields_), .n_fields = N_ELEMENTS(fields_)                                                  \
	}

#endif
