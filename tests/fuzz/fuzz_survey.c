/* fuzz_survey.c - whatever a configuration file holds, the parsers of nginx, Apache, HAProxy, PostgreSQL and units survive it;
 * the places that they name lie in the file; and when the values there are exchanged, the parser reads the new ones in the same
 * places. The first byte chooses the language. No file of the machine is read. */
#include <stdlib.h>
#include <string.h>

#include "agent/survey/apache_conf.h"
#include "agent/survey/edit.h"
#include "agent/survey/haproxy_conf.h"
#include "agent/survey/nginx_conf.h"
#include "agent/survey/postgresql_conf.h"
#include "agent/survey/source.h"
#include "agent/survey/unit_conf.h"

#define PATH "/fuzz/main.conf"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int unit_read(struct sources *src, struct sites *ret, struct refusal *why)
{
	static const char *const files[] = {PATH};
	return unit_conf_read(src, files, 1, ret, why);
}

static int read_as(unsigned which, struct sources *src, struct sites *ret)
{
	struct refusal why = {.code = 0};
	int            r = which == 0   ? nginx_conf_read(src, PATH, "/fuzz", ret, &why)
			   : which == 1 ? apache_conf_read(src, PATH, "/fuzz", ret, &why)
			   : which == 2 ? haproxy_conf_read(src, PATH, ret, &why)
			   : which == 3 ? postgresql_conf_read(src, PATH, "/fuzz", ret, &why)
					: unit_read(src, ret, &why);
	if (r > 0 || (r < 0 && why.code != r))
		abort(); /* a refusal says what it refuses */
	return r;
}

/* False: not even a text. */
static bool open_sources(struct sources *src, struct span bytes)
{
	memset(src, 0, sizeof(*src));
	src->closed = true;
	return source_give(src, PATH, bytes) == 0;
}

static void place_check(const struct sources *src, const struct site_value *v)
{
	if (v->end == 0)
		return;
	if (v->file >= src->n || v->start >= v->end || v->end > src->file[v->file]->bytes.n ||
	    memchr(v->text, 0, sizeof(v->text)) == NULL)
		abort();
}

static void edit_add(const struct sources *src, const struct site_value *v, bool quotes, const char *path, struct edit *edits,
		     size_t *n)
{
	if (v->end == 0)
		return;
	edits[*n] = (struct edit){.file = v->file, .start = v->start, .end = v->end};
	if (edit_value(&edits[(*n)++], src->file[v->file]->bytes.p[v->start], quotes, path) != 0)
		abort();
}

static void same_places(const struct sites *old, const struct sites *new)
{
	if (old->n != new->n)
		abort();
	for (size_t i = 0; i < old->n; i++) {
		const struct site *was = &old->row[i];
		const struct site *is = &new->row[i];
		if (was->problem != NULL)
			continue;
		if (strcmp(is->cert.text, "/new/c.pem") != 0 ||
		    (was->key.end != 0 && strcmp(is->key.text, "/new/k.pem") != 0) ||
		    (was->chain.end != 0 && strcmp(is->chain.text, "/new/h.pem") != 0) || is->problem != NULL)
			abort();
	}
}

/* What `manage` does with it. */
static void exchange(unsigned which, const struct sources *src, const struct sites *sites)
{
	static struct edit    edits[3 * SITES_MAX];
	static struct sources again;
	struct sites          found = {.n = 0};
	struct buf            bytes = BUF_MAX(4 << 20);
	size_t                n = 0;
	for (size_t i = 0; i < sites->n; i++) {
		if (sites->row[i].problem != NULL)
			continue;
		edit_add(src, &sites->row[i].cert, which == 3, "/new/c.pem", edits, &n);
		edit_add(src, &sites->row[i].key, which == 3, "/new/k.pem", edits, &n);
		edit_add(src, &sites->row[i].chain, which == 3, "/new/h.pem", edits, &n);
	}
	/* a value that two servers inherit, one of which cannot be managed, is not exchanged by manage either */
	if (n > 0 && edits_sort(edits, &n, NULL) == 0) {
		if (edits_apply(buf_span(&src->file[0]->bytes), edits, n, 0, &bytes) != 0)
			abort();
		if (!open_sources(&again, buf_span(&bytes)) || read_as(which, &again, &found) != 0)
			abort();
		same_places(sites, &found);
		sources_free(&again);
	}
	sites_free(&found);
	buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sources src;
	struct sites          sites = {.n = 0};
	if (size == 0 || size > 65536)
		return 0;
	const unsigned which = data[0] % 5;
	if (!open_sources(&src, (struct span){data + 1, size - 1}))
		return 0;
	if (read_as(which, &src, &sites) == 0) {
		for (size_t i = 0; i < sites.n; i++) {
			place_check(&src, &sites.row[i].cert);
			place_check(&src, &sites.row[i].key);
			place_check(&src, &sites.row[i].chain);
		}
		exchange(which, &src, &sites);
	}
	sites_free(&sites);
	sources_free(&src);
	return 0;
}
