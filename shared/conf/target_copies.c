/* target_copies.c - room shared/conf: [files] copies: fixed paths for programs that cannot follow the link current/.
 * Never: files; only what the setting says. */
#include "shared/conf/target_copies.h"

#include <limits.h>
#include <string.h>

#include "shared/base/text.h"

static bool always(const struct target_conf *t)
{
	(void)t;
	return true;
}

static bool has_combined(const struct target_conf *t)
{
	return t->combined;
}

static bool has_pkcs12(const struct target_conf *t)
{
	return t->pkcs12;
}

static const struct target_file files[] = {
	{"key.pem", true, always},          {"cert.pem", false, always},
	{"chain.pem", false, always},       {"fullchain.pem", false, always},
	{"ca.pem", false, always},          {"combined.pem", true, has_combined},
	{"keystore.p12", true, has_pkcs12}, {"truststore.p12", false, target_has_truststore},
};

const struct target_file *target_file_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(files); i++)
		if (text_equal(name, files[i].name))
			return &files[i];
	return NULL;
}

bool target_path_ok(const char *path)
{
	size_t n = strlen(path);
	for (const char *p = path; p != NULL; p = strchr(p + 1, '/')) {
		size_t part = strcspn(p + 1, "/");
		if (part == 0 || part > NAME_MAX || (part <= 2 && strspn(p + 1, ".") >= part))
			return false;
	}
	return n > 1 && path[0] == '/';
}

bool target_path_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* "fullchain.pem:/etc/app/tls.crt" into its parts; false when it has not that form. */
static bool copy_read(const char *item, struct target_copy *ret)
{
	char        source[64];
	const char *colon = strchr(item, ':');
	if (colon == NULL || text_copy_n(source, sizeof(source), item, (size_t)(colon - item)) != 0 ||
	    !target_path_ok(colon + 1) || text_copy(ret->path, sizeof(ret->path), colon + 1) != 0)
		return false;
	const char *slash = strrchr(ret->path, '/');
	size_t      n = (size_t)(slash - ret->path);
	if (n == 0) /* the keeper may write where its copies lie: that is never the root folder */
		return false;
	memcpy(ret->folder, ret->path, n);
	ret->folder[n] = '\0';
	ret->name = slash + 1;
	ret->source = target_file_find(source);
	return true;
}

bool target_copy_next(const char **cursor, struct target_copy *ret)
{
	char item[TARGET_PATH_SIZE + 64];
	return text_item(cursor, item, sizeof(item)) && copy_read(item, ret);
}

static int copy_check(const struct target_conf *t, const char *item, const struct target_copy *copy, struct refusal *why)
{
	if (copy->source == NULL)
		return refuse(why, E_CONF_VALUE, "files.copies", "`%s`: there is no such file in a generation", item);
	if (!copy->source->has(t))
		return refuse(why, E_CONF_VALUE, "files.copies", "`%s`: this target has no %s (combined, pkcs12, formats)", item,
			      copy->source->name);
	if (copy->name[0] == '.')
		return refuse(why, E_CONF_VALUE, "files.copies", "`%s`: names that begin with a dot are for temporary files",
			      item);
	if (t->dir[0] != '\0' && target_path_below(copy->path, t->dir))
		return refuse(why, E_CONF_VALUE, "files.copies", "`%s` lies in the target's own folder", item);
	return 0;
}

/* How often does `path` stand in the list? */
static size_t path_count(const char *list, const char *path)
{
	struct target_copy copy;
	size_t             n = 0;
	for (const char *cursor = list; target_copy_next(&cursor, &copy);)
		n += text_equal(copy.path, path);
	return n;
}

int target_copies_check(const struct target_conf *t, struct refusal *why)
{
	char               item[TARGET_PATH_SIZE + 64];
	struct target_copy copy;
	size_t             n = 0;
	const char        *cursor = t->copies;
	while (text_item(&cursor, item, sizeof(item))) {
		if (++n > TARGET_COPIES_MAX)
			return refuse(why, E_CONF_VALUE, "files.copies", "more than %d copies", TARGET_COPIES_MAX);
		if (!copy_read(item, &copy))
			return refuse(why, E_CONF_VALUE, "files.copies", "`%s` is not FILE:/ABSOLUTE/PATH", item);
		int r = copy_check(t, item, &copy, why);
		if (r != 0)
			return r;
		if (path_count(t->copies, copy.path) > 1)
			return refuse(why, E_CONF_VALUE, "files.copies", "%s stands there twice", copy.path);
	}
	return cursor != NULL ? 0 : refuse(why, E_CONF_VALUE, "files.copies", "an item is too long");
}
