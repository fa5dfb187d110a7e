/* audit_detail.h - room controller/daemon: the detail of an audit record, written as JSON text straight away: there are some for each step
 * of each order. Never: what is in it. */
#ifndef VCC_AUDIT_DETAIL_H
#define VCC_AUDIT_DETAIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct detail {
	char  *to;
	size_t n, size;
	bool   failed; /* too large, or not UTF-8: then it is left out whole */
};

/* One object in `to`. */
void detail_begin(struct detail *d, char *to, size_t size);
void detail_text(struct detail *d, const char *name, const char *text);
void detail_number(struct detail *d, const char *name, int64_t value);
/* Members as json_pack() takes them: "{s:s,s:i}"; of its values s, i, I, b, f, o, O. */
void detail_pack(struct detail *d, const char *format, va_list ap);
/* `to` holds the whole object, or "". */
void detail_end(struct detail *d);

#endif
