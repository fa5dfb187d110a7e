/* conf_kit.c - tests: configuration files in a folder of their own, and what a parser made of them.
 * Never: a file outside of that folder. */
#include "tests/lib/conf_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/sys/file.h"

int conf_kit_setup(void **state)
{
	struct conf_kit *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return -1;
	snprintf(k->dir, sizeof(k->dir), "%s/vcc-conf-XXXXXX", geteuid() == 0 ? "/run" : "/tmp");
	if (mkdtemp(k->dir) == NULL)
		return -1;
	k->src.owner = geteuid();
	*state = k;
	return 0;
}

int conf_kit_teardown(void **state)
{
	struct conf_kit *k = *state;
	char            *slash = strrchr(k->dir, '/');
	conf_kit_clear(k);
	*slash = '\0';
	_cleanup_fd_ int dir = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int              r = tree_remove(dir, slash + 1, NULL);
	free(k);
	return r;
}

void conf_kit_clear(struct conf_kit *k)
{
	uid_t owner = k->src.owner;
	sources_free(&k->src);
	sites_free(&k->sites);
	memset(&k->src, 0, sizeof(k->src));
	memset(&k->sites, 0, sizeof(k->sites));
	k->src.owner = owner;
	k->why = (struct refusal){.code = 0};
}

const char *conf_kit_path(struct conf_kit *k, const char *name)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	return path;
}

void conf_kit_bytes(struct conf_kit *k, const char *name, const void *bytes, size_t n)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	for (char *slash = strchr(path + strlen(k->dir) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0644), 0);
}

void conf_kit_file(struct conf_kit *k, const char *name, const char *text)
{
	conf_kit_bytes(k, name, text, strlen(text));
}

void conf_kit_bytes_are(const struct conf_kit *k, const struct site_value *v, const char *text)
{
	const struct source *f = k->src.file[v->file];
	assert_true(v->end <= f->bytes.n && v->start <= v->end);
	assert_int_equal(v->end - v->start, strlen(text));
	assert_memory_equal(f->bytes.p + v->start, text, strlen(text));
}
