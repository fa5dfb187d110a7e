/* generation.c - room agent/keeper: the folders gNNNNNN of a target and the link `current`.
 * Never: changing a file of an existing generation. */
#include "agent/keeper/generation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/pki/pkcs12.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { FILE_PEM_MAX = 65536 };

const char *generation_name(uint64_t number, char ret[GENERATION_NAME_SIZE])
{
	snprintf(ret, GENERATION_NAME_SIZE, "g%06llu", (unsigned long long)number);
	return ret;
}

/* "g000012" -> 12; 0 = not one of our names. */
static uint64_t name_number(const char *name)
{
	char    again[GENERATION_NAME_SIZE];
	int64_t number;
	if (name[0] != 'g' || strspn(name + 1, "0123456789") != strlen(name + 1))
		return 0;
	const char *digits = name + 1 + strspn(name + 1, "0");
	if (text_i64(digits, 1, INT64_MAX / 2, &number) != 0)
		return 0;
	return text_equal(generation_name((uint64_t)number, again), name) ? (uint64_t)number : 0;
}

int generation_dir(const char *dir, int *ret_fd, struct refusal *why)
{
	int r = dir_open_safe(dir, geteuid(), ret_fd, why);
	if (r != E_NOT_FOUND)
		return r;
	r = dir_make(dir, 0755, why);
	return r != 0 ? r : dir_open_safe(dir, geteuid(), ret_fd, why);
}

int generation_current(int dir_fd, uint64_t *ret, struct refusal *why)
{
	char    name[GENERATION_NAME_SIZE];
	ssize_t n = readlinkat(dir_fd, "current", name, sizeof(name) - 1);
	if (n < 0 && errno == ENOENT) {
		*ret = 0;
		return 0;
	}
	if (n < 0)
		return refuse(why, E_SWAP_TARGET, "current", "is not a link");
	name[n] = '\0';
	if (strchr(name, '/') != NULL || name[0] == '.')
		return refuse(why, E_SWAP_TARGET, "current", "points out of the target's folder");
	*ret = name_number(name);
	return 0;
}

/* Numbers of all generations, ascending. */
static int generations_list(int dir_fd, uint64_t ret[GENERATIONS_MAX], size_t *ret_n, struct refusal *why)
{
	int  fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		int r = sys_refuse_at(why, dir_fd, ".", "list the folder");
		fd_close(fd);
		return r;
	}
	size_t         n = 0;
	struct dirent *e;
	while ((e = readdir(dir)) != NULL) {
		uint64_t number = name_number(e->d_name);
		if (number == 0 || n == GENERATIONS_MAX)
			continue;
		size_t i = n++;
		for (; i > 0 && ret[i - 1] > number; i--)
			ret[i] = ret[i - 1];
		ret[i] = number;
	}
	closedir(dir);
	*ret_n = n;
	return 0;
}

int generation_highest(int dir_fd, uint64_t *ret, struct refusal *why)
{
	uint64_t numbers[GENERATIONS_MAX];
	size_t   n = 0;
	int      r = generations_list(dir_fd, numbers, &n, why);
	if (r == 0)
		*ret = n > 0 ? numbers[n - 1] : 0;
	return r;
}

/* ---- reading back ------------------------------------------------------------------------------------------------ */

static int pem_read(int fd, const char *name, struct buf *ret_ders, struct refusal *why)
{
	struct buf pem = BUF_MAX(FILE_PEM_MAX);
	int        r = file_read(fd, name, false, &pem, why);
	if (r == 0) {
		r = cert_from_pem(buf_span(&pem), ret_ders);
		if (r != 0)
			refuse(why, r, name, "%s", err_what(r));
	}
	buf_free(&pem);
	return r;
}

static int key_read(int fd, struct span certificate, struct refusal *why)
{
	struct buf  pem = BUF_MAX(FILE_PEM_MAX);
	struct key *key = NULL;
	int         r = file_read(fd, "key.pem", false, &pem, why);
	if (r == 0)
		r = key_from_pem(buf_span(&pem), &key);
	if (r == 0)
		r = cert_fits_key(certificate, key);
	if (r != 0 && why != NULL && why->code == 0)
		refuse(why, r, "key.pem", "%s", err_what(r));
	key_free(key);
	buf_wipe(&pem);
	return r;
}

int generation_read(int dir_fd, uint64_t number, struct generation_facts *ret, struct refusal *why)
{
	char                    name[GENERATION_NAME_SIZE];
	struct generation_facts facts = {.chain = BUF_MAX(CERT_DER_MAX + CHAIN_DER_MAX)};
	struct buf              leaf = BUF_MAX(CERT_DER_MAX);
	_cleanup_fd_ int fd = openat(dir_fd, generation_name(number, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return sys_refuse_at(why, dir_fd, name, "open the generation");

	int r = pem_read(fd, "cert.pem", &leaf, why);
	if (r == 0)
		r = pem_read(fd, "fullchain.pem", &facts.chain, why);
	if (r == 0)
		r = cert_read(buf_span(&leaf), &facts.info);
	if (r == 0)
		r = key_read(fd, buf_span(&leaf), why);
	if (r == 0 && (facts.chain.n < leaf.n || memcmp(facts.chain.p, leaf.p, leaf.n) != 0))
		r = refuse(why, E_PKI_MISMATCH, name, "cert.pem and fullchain.pem differ");
	buf_free(&leaf);
	if (r != 0) {
		buf_free(&facts.chain);
		return r;
	}
	*ret = facts;
	return 0;
}

/* ---- flip, prune ------------------------------------------------------------------------------------------------- */

int generation_flip(int dir_fd, uint64_t number, struct refusal *why)
{
	char        name[GENERATION_NAME_SIZE];
	struct stat st;
	/* a link into nothing would be worse than any old certificate */
	if (fstatat(dir_fd, generation_name(number, name), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
		return refuse(why, E_SWAP_TARGET, name, "the generation does not exist");
	if (fstatat(dir_fd, "current", &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode))
		return refuse(why, E_SWAP_TARGET, "current", "is not a link");
	return link_flip(dir_fd, "current", name, why);
}

int generation_take(int dir_fd, uint64_t number, struct refusal *why)
{
	struct stat st;
	char        name[GENERATION_NAME_SIZE];
	char        aside[GENERATION_NAME_SIZE + 8];
	if (fstatat(dir_fd, "current", &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode)) {
		snprintf(aside, sizeof(aside), ".aside-%s", generation_name(number, name));
		if (renameat2(dir_fd, "current", dir_fd, aside, RENAME_NOREPLACE) != 0)
			return sys_refuse_at(why, dir_fd, "current", "move aside what stands in the place of the link");
	}
	return generation_flip(dir_fd, number, why);
}

/* First a name that no reader knows: a kill in the middle leaves no half generation under its own name. */
static int generation_drop(int dir_fd, uint64_t number, struct refusal *why)
{
	char name[GENERATION_NAME_SIZE];
	char staging[GENERATION_NAME_SIZE + sizeof(GENERATION_STAGING)];
	generation_name(number, name);
	snprintf(staging, sizeof(staging), "%s%s", GENERATION_STAGING, name);
	int r = tree_remove(dir_fd, staging, why);
	if (r != 0)
		return r;
	/* EXDEV: a folder of an overlay's lower layer (a container's image) cannot be renamed, only removed */
	const bool renamed = renameat(dir_fd, name, dir_fd, staging) == 0;
	if (!renamed && errno != EXDEV)
		return errno == ENOENT ? 0 : sys_refuse_at(why, dir_fd, name, "remove the generation");
	return tree_remove(dir_fd, renamed ? staging : name, why);
}

int generation_remove(int dir_fd, uint64_t number, struct refusal *why)
{
	uint64_t current;
	int      r = generation_current(dir_fd, &current, why);
	if (r != 0)
		return r;
	if (current == number)
		return refuse(why, E_SWAP_TARGET, "current", "the current generation is never removed");
	return generation_drop(dir_fd, number, why);
}

int generation_prune(int dir_fd, uint64_t keep, size_t retain, struct refusal *why)
{
	uint64_t numbers[GENERATIONS_MAX];
	size_t   n = 0;
	uint64_t current;
	int      r = generation_current(dir_fd, &current, why);
	if (r == 0)
		r = generation_clean(dir_fd, why);
	if (r == 0)
		r = generations_list(dir_fd, numbers, &n, why);
	size_t kept = 0;
	for (size_t i = n; r == 0 && i-- > 0;) {
		bool needed = numbers[i] == current || numbers[i] == keep;
		bool unused = current != 0 && numbers[i] > current;
		if (needed || (kept < retain && !unused))
			kept++;
		else
			r = generation_drop(dir_fd, numbers[i], why);
	}
	return r;
}

int generation_clean(int dir_fd, struct refusal *why)
{
	int  fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		int r = sys_refuse_at(why, dir_fd, ".", "list the folder");
		fd_close(fd);
		return r;
	}
	int            r = 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(dir)) != NULL)
		if (text_starts(e->d_name, GENERATION_STAGING))
			r = tree_remove(dir_fd, e->d_name, why);
	closedir(dir);
	return r;
}
