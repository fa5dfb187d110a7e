/* audit_detail.c - room controller/daemon: the detail of an audit record, written as JSON text straight away: there are some for each step
 * of each order. Never: what is in it. */
#include "controller/daemon/audit_detail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/text.h"

static void put(struct detail *d, const char *bytes, size_t n)
{
	if (d->failed || n >= d->size - d->n) { /* one byte is left for the end */
		d->failed = true;
		return;
	}
	memcpy(d->to + d->n, bytes, n);
	d->n += n;
}

static void put_sign(struct detail *d, unsigned char c)
{
	static const char short_ones[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
	char              text[8];
	int               n = c < sizeof(short_ones) && short_ones[c] != 0 ? snprintf(text, sizeof(text), "\\%c", short_ones[c])
	                                                                   : snprintf(text, sizeof(text), "\\u%04x", c);
	put(d, text, (size_t)n);
}

static void put_text(struct detail *d, const char *text)
{
	d->failed = d->failed || text == NULL;
	put(d, "\"", 1);
	while (!d->failed && *text != '\0') {
		size_t plain = 0;
		for (unsigned char c; (c = (unsigned char)text[plain]) >= ' ' && c != '"' && c != '\\' && c != 0x7f;)
			plain++;
		put(d, text, plain);
		text += plain;
		if (*text != '\0')
			put_sign(d, (unsigned char)*text++);
	}
	put(d, "\"", 1);
}

static void put_name(struct detail *d, const char *name)
{
	if (d->n > 1)
		put(d, ",", 1);
	put_text(d, name);
	put(d, ":", 1);
}

static void put_number(struct detail *d, int64_t value)
{
	char text[24];
	put(d, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)value));
}

static void put_json(struct detail *d, json_t *value)
{
	size_t room = d->failed ? 0 : d->size - d->n - 1;
	size_t n = value != NULL ? json_dumpb(value, d->to + d->n, room, JSON_COMPACT | JSON_ENCODE_ANY) : 0;
	d->failed = d->failed || n == 0 || n > room;
	if (!d->failed)
		d->n += n;
	json_decref(value);
}

void detail_begin(struct detail *d, char *to, size_t size)
{
	*d = (struct detail){.to = to, .size = size};
	put(d, "{", 1);
}

void detail_text(struct detail *d, const char *name, const char *text)
{
	put_name(d, name);
	put_text(d, text);
}

void detail_number(struct detail *d, const char *name, int64_t value)
{
	put_name(d, name);
	put_number(d, value);
}

void detail_pack(struct detail *d, const char *format, va_list ap)
{
	for (const char *f = format; *f != '}'; f += 4) { /* "{s:V" and ",s:V" */
		if ((*f != '{' && *f != ',') || f[1] != 's' || f[2] != ':')
			abort(); /* a format of ours is wrong */
		put_name(d, va_arg(ap, const char *));
		switch (f[3]) {
		case 's':
			put_text(d, va_arg(ap, const char *));
			break;
		case 'i':
			put_number(d, va_arg(ap, int));
			break;
		case 'I':
			put_number(d, va_arg(ap, json_int_t));
			break;
		case 'b':
			put_json(d, json_boolean(va_arg(ap, int)));
			break;
		case 'f':
			put_json(d, json_real(va_arg(ap, double)));
			break;
		case 'o':
			put_json(d, va_arg(ap, json_t *));
			break;
		case 'O':
			put_json(d, json_incref(va_arg(ap, json_t *)));
			break;
		default:
			abort();
		}
	}
}

void detail_end(struct detail *d)
{
	put(d, "}", 1);
	if (d->failed || !text_utf8_ok(d->to, d->n))
		d->n = 0;
	d->to[d->n] = '\0';
}
