/* restore_news.c - room controller/daemon: a bounded list, and what to do about each kind of row.
 * Never: deciding what follows. */
#include "controller/daemon/restore_news.h"

#include <stdarg.h>
#include <stdio.h>

#include "shared/base/text.h"

/* Each kind has places of its own: there may be a head of every host, and what has to be looked at first must not wait behind those. */
static const struct {
	const char *name;
	size_t      places;
	const char *next;
} kinds[NEWS_KIND_COUNT] = {
	[NEWS_CERTIFICATE] = {"certificate", NEWS_KIND_LISTED, "nothing: a new one is ordered for it, and sent once the restore is accepted; this one ends by itself"},
	[NEWS_HOST] = {"host", NEWS_KIND_LISTED, "if it is yours: `vccctl agent invite`, and join it again"},
	[NEWS_RECEIPT] = {"receipt", NEWS_KIND_LISTED, "nothing: it is kept, and proves what the host did"},
	[NEWS_HEAD] = {"head", NEWS_HEADS_LISTED, "keep the host's heads: `vccctl audit verify FILE --head` shows how far the lost trail went"},
};

const char *restore_news_kind_name(enum restore_news_kind k)
{
	return (unsigned)k < NEWS_KIND_COUNT ? kinds[k].name : "unknown";
}

static struct restore_new *place_of(struct restore_news *n, enum restore_news_kind kind, const char *object, const char *host)
{
	size_t taken = 0;
	for (size_t i = 0; i < n->n; i++) {
		if (n->row[i].kind == kind && text_equal(n->row[i].object, object) && text_equal(n->row[i].host, host))
			return &n->row[i];
		taken += n->row[i].kind == kind;
	}
	return taken < kinds[kind].places ? &n->row[n->n++] : NULL;
}

void restore_news_add(struct restore_news *n, enum restore_news_kind kind, const char *object, const char *host, const char *fmt, ...)
{
	struct restore_new *row = place_of(n, kind, object, host);
	va_list             args;
	if (row == NULL) {
		n->n_more++;
		return;
	}
	row->kind = kind;
	text_cut(row->object, sizeof(row->object), object);
	text_cut(row->host, sizeof(row->host), host);
	va_start(args, fmt);
	(void)vsnprintf(row->what, sizeof(row->what), fmt, args);
	va_end(args);
}

json_t *restore_news_json(const struct restore_news *n)
{
	json_t *list = json_array();
	for (unsigned kind = 0; kind < NEWS_KIND_COUNT; kind++)
		for (size_t i = 0; i < n->n; i++)
			if (n->row[i].kind == kind)
				json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s}", "kind", kinds[kind].name, "object", n->row[i].object,
								      "host", n->row[i].host, "what", n->row[i].what, "next", kinds[kind].next));
	return list;
}
