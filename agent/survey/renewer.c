/* renewer.c - room agent/survey: which other tool renews a certificate file today: certbot, certmonger, acme.sh.
 * Never: running them. */
#include "agent/survey/renewer.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/survey/conf_line.h"
#include "shared/base/text.h"

enum { KEYS_MAX = 3 };

/* All three keep one file of "key = value" lines for each certificate. */
static const struct tool {
	const char *word;
	const char *folder;
	const char *files;               /* below the folder */
	bool        deeper;              /* one folder for each certificate */
	const char *keys[KEYS_MAX];      /* values that name a certificate file */
	const char *name;                /* value that names the certificate for people; NULL = the file's name */
	const char *off_key, *off_value; /* renewal is switched off already */
} tools[RENEWER_KIND_COUNT] = {
	[RENEWER_NONE] = {.word = "none"},
	[RENEWER_CERTBOT] = {.word = "certbot",
			     .folder = "/etc/letsencrypt/renewal",
			     .files = "*.conf",
			     .keys = {"cert", "fullchain"},
			     .off_key = "autorenew",
			     .off_value = "False"},
	[RENEWER_CERTMONGER] = {.word = "certmonger",
				.folder = "/var/lib/certmonger/requests",
				.files = "*",
				.keys = {"cert_storage_location"},
				.name = "id",
				.off_key = "autorenew",
				.off_value = "0"},
	[RENEWER_ACME_SH] = {.word = "acme.sh",
			     .folder = "/root/.acme.sh",
			     .files = "*.conf",
			     .deeper = true,
			     .keys = {"Le_RealCertPath", "Le_RealFullChainPath"},
			     .name = "Le_Domain"},
};

const char *renewer_kind_name(enum renewer_kind k)
{
	return (size_t)k < RENEWER_KIND_COUNT ? tools[k].word : "unknown";
}

enum renewer_kind renewer_kind_parse(const char *word)
{
	for (size_t i = RENEWER_NONE + 1; i < RENEWER_KIND_COUNT; i++)
		if (text_equal(word, tools[i].word))
			return (enum renewer_kind)i;
	return RENEWER_KIND_COUNT;
}

struct search {
	struct sources     src;
	const struct tool *tool;
	const char        *path; /* wanted */
	char               real[PATH_MAX];
	struct conf_line   line;
	struct renewer    *found;
};

static bool same_file(const struct search *s, const char *path)
{
	char real[PATH_MAX];
	return text_equal(path, s->path) || (s->real[0] != '\0' && realpath(path, real) != NULL && text_equal(real, s->real));
}

/* certbot names a lineage by its file, certmonger and acme.sh by a value in it. */
static void name_default(const char *path, char ret[RENEWER_NAME_SIZE])
{
	text_cut(ret, RENEWER_NAME_SIZE, strrchr(path, '/') + 1);
	if (text_ends(ret, ".conf"))
		ret[strlen(ret) - strlen(".conf")] = '\0';
}

struct record {
	char name[RENEWER_NAME_SIZE];
	bool ours, off;
};

static void line_judge(const struct search *s, struct record *r)
{
	const size_t at = s->line.n > 1 && text_equal(s->line.word[1].text, "=") ? 2 : 1;
	const char  *key = s->line.word[0].text;
	const char  *value = at < s->line.n ? s->line.word[at].text : "";
	for (size_t i = 0; i < KEYS_MAX; i++)
		if (text_equal(key, s->tool->keys[i]) && value[0] == '/')
			r->ours |= same_file(s, value);
	if (text_equal(key, s->tool->name) && value[0] != '\0')
		text_cut(r->name, sizeof(r->name), value);
	if (text_equal(key, s->tool->off_key))
		r->off = strcasecmp(value, s->tool->off_value) == 0;
}

static int record_look(void *ctx, const char *path)
{
	struct search *s = ctx;
	struct record  r = {.name = ""};
	size_t         index = 0;
	size_t         at = 0;
	int            got;
	/* a record that cannot be read safely tells nothing */
	if (s->found->kind != RENEWER_NONE || source_load(&s->src, path, &index, NULL) != 0)
		return 0;
	name_default(path, r.name);
	while ((got = conf_line_next(buf_span(&s->src.file[index]->bytes), &at, CONF_POSTGRESQL, &s->line)) != 0)
		if (got > 0) /* what is no line of ours is skipped, with the rest of it */
			line_judge(s, &r);
	if (r.ours && !r.off) {
		s->found->kind = (enum renewer_kind)(s->tool - tools);
		text_cut(s->found->name, sizeof(s->found->name), r.name);
		text_cut(s->found->conf, sizeof(s->found->conf), s->src.file[index]->path);
	}
	/* a tool has as many records as it likes; the limits are for what is kept */
	sources_free(&s->src);
	s->src.includes = 0;
	return 0;
}

static int folder_look(void *ctx, const char *folder)
{
	struct search *s = ctx;
	char           pattern[SOURCE_PATH_SIZE];
	if (source_path(folder, s->tool->files, pattern, NULL) == 0)
		(void)!source_glob(&s->src, pattern, record_look, s, NULL);
	return 0;
}

void renewer_find_below(const char *const folders[RENEWER_KIND_COUNT], const char *cert_path, struct renewer *ret)
{
	struct search *s = calloc(1, sizeof(*s));
	*ret = (struct renewer){.kind = RENEWER_NONE};
	if (s == NULL)
		return;
	s->path = cert_path;
	s->found = ret;
	if (realpath(cert_path, s->real) == NULL)
		s->real[0] = '\0';
	for (size_t i = RENEWER_NONE + 1; i < RENEWER_KIND_COUNT && ret->kind == RENEWER_NONE; i++) {
		char pattern[SOURCE_PATH_SIZE];
		s->tool = &tools[i];
		if (!s->tool->deeper)
			(void)!folder_look(s, folders[i]);
		else if (source_path(folders[i], "*", pattern, NULL) == 0)
			(void)!source_glob(&s->src, pattern, folder_look, s, NULL);
	}
	sources_free(&s->src);
	free(s);
}

void renewer_find(const char *cert_path, struct renewer *ret)
{
	const char *folders[RENEWER_KIND_COUNT];
	for (size_t i = 0; i < RENEWER_KIND_COUNT; i++)
		folders[i] = tools[i].folder;
	renewer_find_below(folders, cert_path, ret);
}
