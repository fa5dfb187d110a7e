/* jail_paths.c - room agent/keeper: the folders that the keeper may touch after it has locked itself in, from today's target
 * files. Never: a path that a later target file names; that needs a restart. */
#include "agent/keeper/jail_paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/access_check.h"
#include "agent/keeper/keeper.h"
#include "shared/base/text.h"
#include "shared/conf/target_copies.h"
#include "shared/sys/file.h"

enum { PATHS_MAX = 512 }; /* many targets copy into one folder: each counts once */

static int path_add(struct jail_paths *p, const char *path, bool write, struct refusal *why)
{
	for (size_t i = 0; i < p->n; i++)
		if (text_equal(p->paths[i].path, path)) {
			p->paths[i].write |= write;
			return 0;
		}
	if (p->n == PATHS_MAX)
		return refuse(why, E_FULL, path, "the target files name more than %d folders", PATHS_MAX);
	char *text = strdup(path);
	if (text == NULL)
		return refuse(why, E_NOMEM, "jail", "no memory");
	p->texts[p->n_texts++] = text;
	p->paths[p->n++] = (struct jail_path){.path = text, .write = write};
	return 0;
}

static int password_folder_add(struct jail_paths *p, const struct target_conf *t, struct refusal *why)
{
	char        folder[TARGET_PATH_SIZE];
	const char *slash = strrchr(t->pkcs12_password_file, '/');
	if (!target_has_truststore(t) || slash == NULL || slash == t->pkcs12_password_file ||
	    text_copy_n(folder, sizeof(folder), t->pkcs12_password_file, (size_t)(slash - t->pkcs12_password_file)) != 0)
		return 0;
	return path_add(p, folder, false, why);
}

static int target_add(struct jail_paths *p, const struct target_conf *t, struct refusal *why)
{
	struct target_copy copy;
	uid_t              uid;
	gid_t              gid;
	int                r = 0;
	(void)!access_owner(t->owner, t->group, &uid, &gid, NULL);
	if (t->dir[0] != '\0') {
		r = dir_make(t->dir, 0755, why);
		if (r == 0)
			r = path_add(p, t->dir, true, why);
	}
	for (const char *cursor = t->copies; r == 0 && target_copy_next(&cursor, &copy);)
		r = path_add(p, copy.folder, true, why);
	return r == 0 ? password_folder_add(p, t, why) : r;
}

/* A file that cannot be read names no folder; scanning says what is wrong with it. */
static int targets_add(struct jail_paths *p, const struct agent_conf *conf, struct refusal *why)
{
	struct target_conf *t = calloc(1, sizeof(*t));
	char(*stems)[CERT_ID_SIZE] = calloc(TARGETS_MAX, CERT_ID_SIZE);
	size_t n = 0;
	int    r = t != NULL && stems != NULL ? 0 : refuse(why, E_NOMEM, "jail", "no memory");
	if (r == 0 && target_conf_list(conf->targets_dir, stems, TARGETS_MAX, &n, NULL) != 0)
		n = 0;
	for (size_t i = 0; i < n && r == 0; i++)
		if (target_conf_load(conf->targets_dir, stems[i], t, NULL) == 0)
			r = target_add(p, t, why);
	free(t);
	free(stems);
	return r;
}

int jail_paths_collect(const struct agent_conf *conf, struct jail_paths *ret, struct refusal *why)
{
	char              targets[AGENT_PATH_SIZE + 16];
	const char       *slash = strrchr(conf->keeper_dir, '/');
	struct jail_paths p = {.paths = calloc(PATHS_MAX, sizeof(*p.paths)), .texts = calloc(PATHS_MAX, sizeof(*p.texts))};
	int               r = p.paths != NULL && p.texts != NULL ? 0 : refuse(why, E_NOMEM, "jail", "no memory");
	snprintf(targets, sizeof(targets), "%.*s/targets", slash != NULL ? (int)(slash - conf->keeper_dir) : 0,
		 conf->keeper_dir);
	if (r == 0)
		r = dir_make(targets, 0755, why);
	if (r == 0)
		r = path_add(&p, conf->keeper_dir, true, why);
	if (r == 0)
		r = path_add(&p, targets, true, why);
	if (r == 0)
		r = path_add(&p, conf->targets_dir, false, why);
	if (r == 0)
		r = targets_add(&p, conf, why);
	if (r != 0)
		jail_paths_free(&p);
	else
		*ret = p;
	return r;
}

void jail_paths_free(struct jail_paths *p)
{
	for (size_t i = 0; i < p->n_texts; i++)
		free(p->texts[i]);
	free(p->texts);
	free(p->paths);
	*p = (struct jail_paths){.n = 0};
}
