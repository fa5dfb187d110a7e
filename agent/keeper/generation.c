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
static const char staging_prefix[] = ".new-";

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
		int r = sys_refuse(why, "target folder", "list the folder");
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

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct generation_files {
	struct buf key, certificate, chain, fullchain, ca, combined, keystore, truststore;
};

static void files_free(struct generation_files *f)
{
	buf_wipe(&f->key);
	buf_wipe(&f->combined);
	buf_wipe(&f->keystore);
	buf_free(&f->truststore);
	buf_free(&f->certificate);
	buf_free(&f->chain);
	buf_free(&f->fullchain);
	buf_free(&f->ca);
}

static int stores_make(const struct generation_content *c, struct generation_files *f)
{
	struct buf chain = BUF_MAX(CERT_DER_MAX + CHAIN_DER_MAX);
	buf_add(&chain, c->certificate.p, c->certificate.n);
	buf_add(&chain, c->chain.p, c->chain.n);
	int r = buf_error(&chain);
	if (r == 0)
		r = pkcs12_keystore(c->key, buf_span(&chain), c->pkcs12_password, &f->keystore);
	if (r == 0)
		r = pkcs12_truststore(c->roots, c->pkcs12_password, &f->truststore);
	buf_free(&chain);
	return r;
}

static int files_make(const struct generation_content *c, struct generation_files *f)
{
	int r = key_to_pem(c->key, &f->key);
	if (r == 0)
		r = cert_pem_add(c->certificate, &f->certificate);
	if (r == 0)
		r = cert_pem_add(c->chain, &f->chain);
	if (r == 0)
		r = cert_pem_add(c->roots, &f->ca);
	if (r != 0)
		return r;
	buf_add(&f->fullchain, f->certificate.p, f->certificate.n);
	buf_add(&f->fullchain, f->chain.p, f->chain.n);
	buf_add(&f->combined, f->key.p, f->key.n);
	buf_add(&f->combined, f->fullchain.p, f->fullchain.n);
	r = buf_error(&f->fullchain);
	if (r == 0)
		r = buf_error(&f->combined);
	return r == 0 && c->pkcs12_password != NULL ? stores_make(c, f) : r;
}

static int files_write(int fd, const struct generation_content *c, const struct generation_files *f, struct refusal *why)
{
	/* who may read the key may read the rest; certificates are no secret, but the folder's mode is the service's business */
	mode_t public_mode = c->mode | 0444;
	const struct {
		const char       *name;
		const struct buf *bytes;
		mode_t            mode;
		bool              wanted;
	} table[] = {
		{"key.pem", &f->key, c->mode, true},
		{"cert.pem", &f->certificate, public_mode, true},
		{"chain.pem", &f->chain, public_mode, true},
		{"fullchain.pem", &f->fullchain, public_mode, true},
		{"ca.pem", &f->ca, public_mode, true},
		{"combined.pem", &f->combined, c->mode, c->combined},
		{"keystore.p12", &f->keystore, c->mode, c->pkcs12_password != NULL},
		{"truststore.p12", &f->truststore, public_mode, c->pkcs12_password != NULL},
	};
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		if (!table[i].wanted)
			continue;
		int r = file_create(fd, table[i].name, buf_span(table[i].bytes), c->uid, c->gid, table[i].mode, why);
		if (r != 0)
			return r;
	}
	return dir_sync(fd) != 0 ? sys_refuse(why, "generation", "sync the folder") : 0;
}

static int staging_fill(int dir_fd, const char *staging, const struct generation_content *c, const struct generation_files *f,
                        struct refusal *why)
{
	if (mkdirat(dir_fd, staging, 0700) != 0)
		return sys_refuse(why, staging, "make the folder");
	_cleanup_fd_ int fd = openat(dir_fd, staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return sys_refuse(why, staging, "open the folder");
	int r = files_write(fd, c, f, why);
	/* readable for the service only now that everything in it is as it must be */
	if (r == 0 && fchmod(fd, 0755) != 0)
		r = sys_refuse(why, staging, "set the folder's mode");
	return r;
}

int generation_write(int dir_fd, uint64_t number, const struct generation_content *content, struct refusal *why)
{
	struct generation_files f = {
		BUF_MAX(FILE_PEM_MAX), BUF_MAX(FILE_PEM_MAX),     BUF_MAX(FILE_PEM_MAX),
		BUF_MAX(FILE_PEM_MAX), BUF_MAX(2 * FILE_PEM_MAX), BUF_MAX(2 * FILE_PEM_MAX),
		BUF_MAX(PKCS12_MAX),   BUF_MAX(PKCS12_MAX),
	};
	char name[GENERATION_NAME_SIZE];
	char staging[GENERATION_NAME_SIZE + sizeof(staging_prefix)];
	generation_name(number, name);
	snprintf(staging, sizeof(staging), "%s%s", staging_prefix, name);

	int r = files_make(content, &f);
	if (r != 0)
		refuse(why, r, name, "the files cannot be made: %s", err_what(r));
	if (r == 0)
		r = generation_clean(dir_fd, why);
	if (r == 0)
		r = staging_fill(dir_fd, staging, content, &f, why);
	files_free(&f);
	if (r == 0 && (fault_point("keeper.write.rename") != 0 ||
	               renameat2(dir_fd, staging, dir_fd, name, RENAME_NOREPLACE) != 0))
		r = sys_refuse(why, name, "name the new generation");
	if (r == 0 && dir_sync(dir_fd) != 0)
		r = sys_refuse(why, name, "sync the target folder");
	if (r != 0)
		(void)!tree_remove(dir_fd, staging, NULL);
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
		return sys_refuse(why, name, "open the generation");

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

/* First a name that no reader knows: a kill in the middle leaves no half generation under its own name. */
static int generation_drop(int dir_fd, uint64_t number, struct refusal *why)
{
	char name[GENERATION_NAME_SIZE];
	char staging[GENERATION_NAME_SIZE + sizeof(staging_prefix)];
	generation_name(number, name);
	snprintf(staging, sizeof(staging), "%s%s", staging_prefix, name);
	int r = tree_remove(dir_fd, staging, why);
	if (r != 0)
		return r;
	if (renameat(dir_fd, name, dir_fd, staging) != 0)
		return errno == ENOENT ? 0 : sys_refuse(why, name, "remove the generation");
	return tree_remove(dir_fd, staging, why);
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
		if (needed || kept < retain)
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
		int r = sys_refuse(why, "target folder", "list the folder");
		fd_close(fd);
		return r;
	}
	int            r = 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(dir)) != NULL)
		if (text_starts(e->d_name, staging_prefix))
			r = tree_remove(dir_fd, e->d_name, why);
	closedir(dir);
	return r;
}
