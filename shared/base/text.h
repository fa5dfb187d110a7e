/* text.h - room shared/base: bounded C strings.
 * Never: locale, allocation. */
#ifndef VCC_TEXT_H
#define VCC_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/attr.h"

/* Copies all of `from` or nothing: E_FULL leaves `to` untouched. */
_must_check_ int text_copy(char *to, size_t size, const char *from);
/* The same from bytes that have no NUL; refuses (E_SYNTAX) bytes that hold one. */
_must_check_ int text_copy_n(char *to, size_t size, const char *from, size_t n);
/* Copies what fits, always ends with NUL: for messages to people only. */
void text_cut(char *to, size_t size, const char *from);

bool text_equal(const char *a, const char *b); /* NULL equals only NULL */
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);
bool text_has_controls(const char *text);
void text_hide_controls(char *text); /* what text_line_ok() refuses in UTF-8 becomes '?': for lines that people read */
/* What is not printable ASCII (a cut UTF-8 sequence, a program's output) becomes '?': for messages, receipts and terminals. */
void text_plain(char *text);
bool text_utf8_ok(const void *bytes, size_t n); /* strict UTF-8 (RFC 3629), no control characters below 0x20 except \n and \t, no DEL */
/* One line of strict UTF-8 that a terminal shows as it stands: without control characters (C0, DEL, C1), line separators, and what turns the direction
 * of writing (Unicode Bidi_Control but its three marks). */
bool text_line_ok(const void *bytes, size_t n);

/* Whole text is one decimal number in [min, max], no sign prefix '+', no spaces: E_SYNTAX or E_RANGE. */
_must_check_ int text_i64(const char *text, int64_t min, int64_t max, int64_t *ret);

/* Next item of a comma list, blanks trimmed, empty items skipped. Starts with *cursor = text; returns false at the
 * end. An item of `size` or more bytes ends the walk with false and *cursor = NULL. */
bool text_item(const char **cursor, char *ret, size_t size);
bool text_listed(const char *list, const char *item); /* one of the items of a comma list */

/* "host:port" or "[ipv6]:port"; "*" is the empty host: every address. E_SYNTAX, E_FULL; nothing is written then. */
_must_check_ int text_host_port(const char *address, char *ret_host, size_t size, uint16_t *ret_port);

/* So many signs have to be left out, added, exchanged for another or for their neighbour to make one of the other: for "did you mean". Of
 * texts longer than TEXT_DISTANCE_MAX SIZE_MAX. */
enum { TEXT_DISTANCE_MAX = 255 };
size_t text_distance(const char *a, const char *b);

#endif
