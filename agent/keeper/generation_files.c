/* generation_files.c - room agent/keeper: the files of one generation: written as a whole, compared with what they were made as.
 * Never: changing a file of an existing generation. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/keeper/capath_folder.h"
#include "agent/keeper/generation_part.h"
#include "shared/base/text.h"
#include "shared/pki/pkcs12.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { FILE_PEM_MAX = 65536, CRL_PEM_MAX = 16 << 20 };

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct generation_file {
	const char *name;
	bool        secret;
	bool        folder; /* its own writer fills it */
	struct buf  bytes;
	struct hash hash; /* of what was written */
};

struct generation_files {
	struct generation_file file[GENERATION_FILES_MAX];
	size_t                 n;
};

static struct buf *file_add(struct generation_files *f, const char *name, bool secret)
{
	struct generation_file *one = &f->file[f->n++];
	*one = (struct generation_file){.name = name, .secret = secret, .bytes = BUF_MAX(2 * FILE_PEM_MAX)};
	return &one->bytes;
}

static void files_free(struct generation_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->file[i].secret)
			buf_wipe(&f->file[i].bytes);
		else
			buf_free(&f->file[i].bytes);
	}
}

static int keystore_make(const struct generation_content *c, struct generation_files *f)
{
	struct buf  chain = BUF_MAX(CERT_DER_MAX + CHAIN_DER_MAX);
	struct buf *keystore = file_add(f, "keystore.p12", true);
	keystore->max = PKCS12_MAX;
	buf_add(&chain, c->certificate.p, c->certificate.n);
	buf_add(&chain, c->chain.p, c->chain.n);
	int r = buf_error(&chain);
	if (r == 0)
		r = pkcs12_keystore(c->key, buf_span(&chain), c->pkcs12_password, keystore);
	buf_free(&chain);
	return r;
}

static int truststore_make(const struct generation_content *c, struct generation_files *f)
{
	struct buf *truststore = file_add(f, "truststore.p12", false);
	truststore->max = PKCS12_MAX;
	return pkcs12_truststore(c->roots, c->pkcs12_password, truststore);
}

static int files_make(const struct generation_content *c, struct generation_files *f)
{
	struct buf *key = file_add(f, "key.pem", true);
	struct buf *certificate = file_add(f, "cert.pem", false);
	struct buf *chain = file_add(f, "chain.pem", false);
	struct buf *fullchain = file_add(f, "fullchain.pem", false);
	int         r = key_to_pem(c->key, key);
	if (r == 0)
		r = cert_pem_add(c->certificate, certificate);
	if (r == 0)
		r = cert_pem_add(c->chain, chain);
	if (r == 0)
		r = cert_pem_add(c->roots, file_add(f, "ca.pem", false));
	buf_add(fullchain, certificate->p, certificate->n);
	buf_add(fullchain, chain->p, chain->n);
	if (c->combined) {
		struct buf *combined = file_add(f, "combined.pem", true);
		buf_add(combined, key->p, key->n);
		buf_add(combined, fullchain->p, fullchain->n);
	}
	if (r == 0 && c->keystore)
		r = keystore_make(c, f);
	if (r == 0 && c->truststore)
		r = truststore_make(c, f);
	if (c->crl.n > 0) {
		struct buf *crl = file_add(f, "crl.pem", false);
		crl->max = c->crl.n;
		buf_add(crl, c->crl.p, c->crl.n);
	}
	if (c->capath) {
		(void)file_add(f, CAPATH_FOLDER, false);
		f->file[f->n - 1].folder = true;
	}
	for (size_t i = 0; r == 0 && i < f->n; i++)
		r = buf_error(&f->file[i].bytes);
	return r;
}

static struct span bytes_of(const struct generation_files *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (text_equal(f->file[i].name, name))
			return buf_span(&f->file[i].bytes);
	return (struct span){NULL, 0};
}

static int file_write(int fd, const struct generation_content *c, const struct generation_files *f, struct generation_file *one,
                      struct refusal *why)
{
	mode_t mode = file_mode(c->mode, one->secret);
	if (one->folder)
		return capath_folder_write(fd, bytes_of(f, "ca.pem"), bytes_of(f, "crl.pem"), c->uid, c->gid, mode, &one->hash, why);
	digest_sha256(buf_span(&one->bytes), &one->hash);
	return file_create(fd, one->name, buf_span(&one->bytes), c->uid, c->gid, mode, why);
}

static int files_write(int fd, const struct generation_content *c, struct generation_files *f, struct refusal *why)
{
	for (size_t i = 0; i < f->n; i++) {
		int r = file_write(fd, c, f, &f->file[i], why);
		if (r != 0)
			return r;
	}
	return dir_sync(fd) != 0 ? sys_refuse_at(why, fd, ".", "sync the folder") : 0;
}

static void files_remember(const struct generation_content *c, const struct generation_files *f, uint64_t number, struct made *ret)
{
	ret->generation = number;
	ret->uid = c->uid;
	ret->gid = c->gid;
	ret->mode = c->mode;
	ret->n = (uint32_t)f->n;
	for (size_t i = 0; i < f->n; i++) {
		struct made_file *m = &ret->files[i];
		text_cut(m->name, sizeof(m->name), f->file[i].name);
		m->secret = f->file[i].secret;
		m->folder = f->file[i].folder;
		m->hash = f->file[i].hash;
	}
}

static int staging_fill(int dir_fd, const char *staging, const struct generation_content *c, struct generation_files *f,
                        struct refusal *why)
{
	if (mkdirat(dir_fd, staging, 0700) != 0)
		return sys_refuse_at(why, dir_fd, staging, "make the folder");
	_cleanup_fd_ int fd = openat(dir_fd, staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return sys_refuse_at(why, dir_fd, staging, "open the folder");
	int r = acl_drop(fd) != 0 ? sys_refuse_at(why, dir_fd, staging, "remove the ACL that the folder inherited") : files_write(fd, c, f, why);
	/* readable for the service only now that everything in it is as it must be */
	if (r == 0 && fchmod(fd, 0755) != 0)
		r = sys_refuse_at(why, dir_fd, staging, "set the folder's mode");
	return r;
}

int generation_write(int dir_fd, uint64_t number, const struct generation_content *content, struct made *ret, struct refusal *why)
{
	struct generation_files f = {.n = 0};
	char                    name[GENERATION_NAME_SIZE];
	char                    staging[GENERATION_NAME_SIZE + sizeof(GENERATION_STAGING)];
	generation_name(number, name);
	snprintf(staging, sizeof(staging), "%s%s", GENERATION_STAGING, name);

	int r = files_make(content, &f);
	if (r != 0)
		refuse(why, r, name, "the files cannot be made: %s", err_what(r));
	if (r == 0)
		r = generation_clean(dir_fd, why);
	if (r == 0)
		r = staging_fill(dir_fd, staging, content, &f, why);
	if (r == 0 && (fault_point("keeper.write.rename") != 0 ||
	               renameat2(dir_fd, staging, dir_fd, name, RENAME_NOREPLACE) != 0))
		r = sys_refuse_at(why, dir_fd, name, "name the new generation");
	bool named = r == 0;
	if (r == 0 && dir_sync(dir_fd) != 0)
		r = sys_refuse_at(why, dir_fd, name, "sync the target folder");
	if (r == 0)
		files_remember(content, &f, number, ret);
	else if (named)
		(void)!generation_remove(dir_fd, number, NULL);
	else
		(void)!tree_remove(dir_fd, staging, NULL);
	files_free(&f);
	return r;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

bool generation_file_hash(int fd, const char *name, struct hash *ret)
{
	struct buf bytes = BUF_MAX(CRL_PEM_MAX);
	bool       read = file_read(fd, name, false, &bytes, NULL) == 0;
	if (read)
		digest_sha256(buf_span(&bytes), ret);
	buf_wipe(&bytes);
	return read;
}

enum drift_kind file_meta_differs(int fd, const char *name, const struct made *made, bool secret, const struct stat *st)
{
	if (st->st_nlink != 1)
		return DRIFT_LINKS;
	if (st->st_uid != made->uid || st->st_gid != made->gid)
		return DRIFT_OWNER;
	return (st->st_mode & 07777) != file_mode(made->mode, secret) || file_has_acl(fd, name) ? DRIFT_MODE : DRIFT_NONE;
}

static enum drift_kind file_differs(int fd, const struct made *made, const struct made_file *m, struct stat *st)
{
	struct hash hash;
	if (fstatat(fd, m->name, st, AT_SYMLINK_NOFOLLOW) != 0)
		return DRIFT_MISSING;
	if (!S_ISREG(st->st_mode))
		return DRIFT_TYPE;
	if (!generation_file_hash(fd, m->name, &hash) || !hash_equal(hash, m->hash))
		return DRIFT_BYTES;
	return file_meta_differs(fd, m->name, made, m->secret, st);
}

void drift_note(struct drift *d, enum drift_kind kind, const char *file, const struct stat *st)
{
	d->bytes |= kind == DRIFT_MISSING || kind == DRIFT_BYTES || kind == DRIFT_TYPE || kind == DRIFT_LINK || kind == DRIFT_ADDED;
	if (d->files++ > 0)
		return;
	d->kind = kind;
	text_cut(d->file, sizeof(d->file), file);
	if (kind == DRIFT_MISSING)
		return;
	d->uid = st->st_uid;
	d->mode = st->st_mode & 07777;
	d->links = (uint32_t)st->st_nlink;
	d->changed_at = (int64_t)st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;
}

int generation_compare(int dir_fd, const struct made *made, struct drift *ret, struct refusal *why)
{
	char         name[GENERATION_NAME_SIZE];
	struct stat  st = {.st_mode = 0};
	struct drift d = {.kind = DRIFT_NONE};
	_cleanup_fd_ int fd = openat(dir_fd, generation_name(made->generation, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return sys_refuse_at(why, dir_fd, name, "open the generation");
	if (fd < 0 || fstat(fd, &st) != 0)
		drift_note(&d, DRIFT_MISSING, name, &st);
	else if ((st.st_mode & 07777) != 0755 || st.st_uid != geteuid() || file_has_acl(fd, "."))
		drift_note(&d, st.st_uid != geteuid() ? DRIFT_OWNER : DRIFT_MODE, name, &st);
	for (uint32_t i = 0; fd >= 0 && i < made->n; i++) {
		if (made->files[i].folder) {
			capath_folder_compare(fd, made, &made->files[i], &d);
			continue;
		}
		enum drift_kind kind = file_differs(fd, made, &made->files[i], &st);
		if (kind != DRIFT_NONE)
			drift_note(&d, kind, made->files[i].name, &st);
	}
	*ret = d;
	return 0;
}
