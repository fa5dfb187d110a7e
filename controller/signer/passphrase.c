/* passphrase.c - room controller/signer: reads the passphrase from credential or file; makes the file at init.
 * Never: printing it. */
#include "controller/signer/passphrase.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

/* A secret that is a systemd credential, or a file that a key of signer.conf names. */
struct source {
	const char *credential, *key;
	int         code; /* when there is none */
};
static const struct source passphrase = {"ca-passphrase", "signer.passphrase_file", E_PKI_PASSPHRASE};
static const struct source pin = {"ca-pin", "pkcs11.pin_file", E_SIGNER_PIN};

enum { MADE_BYTES = 32 };

/* Splits "/a/b" into the opened folder "/a" and the name "b" (points into `path`). */
static int folder_open(const char *path, int *ret_fd, const char **ret_name, struct refusal *why)
{
	char        folder[CONF_PATH_SIZE];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash[1] == '\0' || (size_t)(slash - path) >= sizeof(folder))
		return refuse(why, E_CONF_VALUE, path, "is not an absolute path of a file");
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	int fd = open(folder[0] != '\0' ? folder : "/", O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return sys_refuse(why, folder, "open the folder");
	*ret_fd = fd;
	*ret_name = slash + 1;
	return 0;
}

static int read_file(const char *path, bool secret, struct buf *to, struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	const char      *name = NULL;

	int r = folder_open(path, &fd, &name, why);
	return r < 0 ? r : file_read(fd, name, secret, to, why);
}

/* The credential's folder is made by systemd for this unit alone. */
static bool credential_path(const struct source *of, char *ret, size_t size)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	if (folder == NULL || folder[0] != '/')
		return false;
	int n = snprintf(ret, size, "%s/%s", folder, of->credential);
	return n > 0 && (size_t)n < size && access(ret, F_OK) == 0;
}

static int none_given(const struct source *of, struct refusal *why)
{
	return refuse(why, of->code, of->credential, "there is neither a systemd credential `%s` nor %s", of->credential, of->key);
}

static int source_read(const struct source *of, const char *file, struct buf *to, struct refusal *why)
{
	char path[512];

	/* a credential may be ours by an access list, which shows as mode 0440; its folder is closed to others */
	bool given = credential_path(of, path, sizeof(path));
	if (!given && text_copy(path, sizeof(path), file) < 0)
		return E_FULL;
	if (path[0] == '\0')
		return none_given(of, why);
	int r = read_file(path, !given, to, why);
	if (r < 0)
		return r;
	while (to->n > 0 && (to->p[to->n - 1] == '\n' || to->p[to->n - 1] == '\r'))
		to->n--;
	if (to->n == 0 || to->n > PASSPHRASE_MAX)
		return refuse(why, of->code, path, "the file is empty or longer than %d bytes", PASSPHRASE_MAX);
	return 0;
}

int passphrase_read(const struct signer_conf *conf, struct buf *to, struct refusal *why)
{
	return passphrase_is_needed(conf) ? source_read(&passphrase, conf->passphrase_file, to, why) : 0;
}

int pin_read(const struct signer_conf *conf, struct buf *to, struct refusal *why)
{
	return source_read(&pin, conf->pin_file, to, why);
}

bool passphrase_is_needed(const struct signer_conf *conf)
{
	char path[512];
	return conf->module[0] == '\0' || conf->passphrase_file[0] != '\0' || credential_path(&passphrase, path, sizeof(path));
}

bool passphrase_is_here(const struct signer_conf *conf)
{
	char path[512];
	return credential_path(&passphrase, path, sizeof(path)) || (conf->passphrase_file[0] != '\0' && access(conf->passphrase_file, F_OK) == 0);
}

int passphrase_make(const struct signer_conf *conf, uid_t uid, gid_t gid, bool *ret_made, struct refusal *why)
{
	char             path[512];
	_cleanup_fd_ int fd = -1;
	const char      *name = NULL;
	uint8_t          bytes[MADE_BYTES];
	char             text[2 * MADE_BYTES];

	if (!passphrase_is_needed(conf) || credential_path(&passphrase, path, sizeof(path)))
		return 0;
	if (conf->passphrase_file[0] == '\0')
		return none_given(&passphrase, why);
	if (access(conf->passphrase_file, F_OK) == 0)
		return 0;
	int r = folder_open(conf->passphrase_file, &fd, &name, why);
	if (r < 0)
		return r;
	random_bytes(bytes, sizeof(bytes));
	r = b64url_text(bytes, sizeof(bytes), text, sizeof(text) - 1);
	if (r == 0)
		strcat(text, "\n");
	if (r == 0 && fault_point("init_passphrase") != 0)
		r = sys_refuse(why, conf->passphrase_file, "write");
	if (r == 0) /* by rename: a kill leaves all of it or nothing */
		r = file_replace(fd, name, span_text(text), uid, gid, 0600, why);
	secret_wipe(bytes, sizeof(bytes));
	secret_wipe(text, sizeof(text));
	if (r == 0)
		*ret_made = true;
	return r;
}
