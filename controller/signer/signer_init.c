/* signer_init.c - room controller/signer: makes root, service, agent and code-signing authority, root CRL and first trust bundle.
 * Every file appears whole by rename; keys before their certificates; nothing that exists is made again.
 * Never: replacing a key or certificate that exists. */
#include "controller/signer/signer_init.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/signer/bundle_file.h"
#include "controller/signer/ca_plan.h"
#include "controller/signer/ca_store.h"
#include "controller/signer/passphrase.h"
#include "controller/signer/share_wait.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/command_options.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { ROOT_CRL_DAYS = 395 };

/* What init makes, parents before children; as what: ca_plan.c. */
static const struct plan {
	const char      *id;
	enum issuer_role role;
} plans[] = {
	{"root-1", ISSUER_ROOT},
	{"service-1", ISSUER_SERVICE},
	{"agent-1", ISSUER_AGENT},
	{"code-signing-1", ISSUER_CODE_SIGNING},
};

struct init {
	struct signer_conf  conf;
	const char        *organisation;
	const char        *public_dir;
	struct stat        owner; /* of STATE_DIR: new files belong to its owner */
	struct buf         passphrase;
	struct keyfile_lock lock; /* one for all keys: the signer's start then costs what one costs */
	struct hsm        *hsm;
	int                ca_fd, public_fd;
	bool               closed; /* the passphrase is in shares, and no key has to be opened */
	bool               drawn;  /* the passphrase: 256 random bits of this very run */
	int64_t            now;
	struct key        *root_key;
	struct buf         root_der;
};

/* ---- in the token ---- */

/* What a token in software keeps in files has to belong to who runs the signer. */
static int owner_enter(const struct init *in, struct refusal *why)
{
	if (getuid() != 0 || in->owner.st_uid == 0)
		return 0;
	if (setegid(in->owner.st_gid) != 0 || seteuid(in->owner.st_uid) != 0)
		return sys_refuse(why, in->conf.state_dir, "become the folder's owner");
	return 0;
}

static int owner_leave(struct refusal *why)
{
	if (getuid() != 0)
		return 0;
	return seteuid(0) == 0 && setegid(0) == 0 ? 0 : sys_refuse(why, "token", "be root again");
}

static int token_open(struct init *in, struct refusal *why)
{
	struct refusal back = {.code = 0};
	int            r = owner_enter(in, why);
	if (r == 0)
		r = hsm_open(&in->conf, &in->hsm, why);
	return owner_leave(&back) == 0 ? r : refuse(why, back.code, back.object, "%s", back.cause);
}

/* ---- authorities ---- */

/* The name is written first: whatever is cut short, there is one key of that id or none, and none that nobody knows. */
static int token_key_load_or_make(struct init *in, const struct plan *p, struct key **ret, struct refusal *why)
{
	struct buf file = BUF_MAX(HSM_NAME_MAX);
	char       name[ISSUER_ID_SIZE + 8];

	snprintf(name, sizeof(name), "%s" CA_TOKEN, p->id);
	int r = ca_file_read(in->ca_fd, name, false, &file, why);
	if (r == E_NOT_FOUND) {
		r = hsm_key_name(in->hsm, p->id, &file);
		if (r == 0)
			r = file_replace(in->ca_fd, name, buf_span(&file), in->owner.st_uid, in->owner.st_gid, 0600, why);
	}
	if (r == 0 && (r = hsm_key_find(in->hsm, buf_span(&file), ret, why)) == E_NOT_FOUND)
		r = hsm_key_make(in->hsm, buf_span(&file), ca_plan_of(p->role)->key, ret, why);
	if (r < 0 && (why == NULL || why->code == 0))
		refuse(why, r, name, "%s", err_what(r));
	buf_free(&file);
	return r;
}

static int token_key(struct init *in, const struct plan *p, struct key **ret, struct refusal *why)
{
	struct refusal back = {.code = 0};
	int            r = owner_enter(in, why);
	if (r == 0)
		r = token_key_load_or_make(in, p, ret, why);
	return owner_leave(&back) == 0 ? r : refuse(why, back.code, back.object, "%s", back.cause);
}

static bool has_file(const struct init *in, const char *id, const char *end)
{
	char name[ISSUER_ID_SIZE + 8];
	snprintf(name, sizeof(name), "%s%s", id, end);
	return faccessat(in->ca_fd, name, F_OK, 0) == 0;
}

static bool published(const struct init *in, const char *name)
{
	return faccessat(in->public_fd, name, F_OK, 0) == 0;
}

static int key_load_or_make(struct init *in, const struct plan *p, struct key **ret, struct refusal *why)
{
	struct buf  file = BUF_MAX(CA_KEYFILE_MAX);
	struct key *key = NULL;
	char        name[ISSUER_ID_SIZE + 8];

	/* once made in one place it stays there, whatever signer.conf says later */
	if (in->hsm != NULL && !has_file(in, p->id, CA_KEY))
		return token_key(in, p, ret, why);
	if (has_file(in, p->id, CA_TOKEN))
		return refuse(why, E_SIGNER_MODULE, p->id, "its key is in a token, and signer.conf names no pkcs11.module");
	snprintf(name, sizeof(name), "%s" CA_KEY, p->id);
	int r = ca_file_read(in->ca_fd, name, true, &file, why);
	if (r == 0) {
		r = keyfile_open_keep(buf_span(&file), buf_span(&in->passphrase), &in->lock, &key);
	} else if (r == E_NOT_FOUND) {
		r = key_make(ca_plan_of(p->role)->key, &key);
		if (r == 0 && in->lock.cost.operations == 0)
			r = keyfile_lock_make(buf_span(&in->passphrase), in->drawn ? keyfile_cost_random : keyfile_cost_usual, &in->lock);
		if (r == 0)
			r = keyfile_seal_under(key, &in->lock, &file);
		if (r == 0 && fault_point("init.key") != 0)
			r = E_SYS_IO;
		if (r == 0)
			r = file_replace(in->ca_fd, name, buf_span(&file), in->owner.st_uid, in->owner.st_gid, 0600, why);
	}
	if (r < 0)
		refuse(why, r, name, "%s", err_what(r));
	buf_free(&file);
	if (r < 0)
		key_free(key);
	else
		*ret = key;
	return r;
}

static int certificate_make(struct init *in, const struct plan *p, const struct key *key, struct buf *to, struct refusal *why)
{
	uint8_t         random[SERIAL_RANDOM];
	struct ca_facts f;
	bool            root = p->role == ISSUER_ROOT;

	int r = ca_plan_facts(&in->conf, p->role, 1, in->organisation, root ? "" : plans[0].id, 0, in->now, &f);
	if (r == 0) {
		random_bytes(random, sizeof(random));
		f.serial = serial_make((uint64_t)(p - plans) + 1, random);
		r = issue_ca_certificate(&f, key, root ? NULL : in->root_key, root ? (struct span){0} : buf_span(&in->root_der), to);
	}
	return r == 0 ? 0 : refuse(why, r, p->id, "the certificate cannot be made: %s", err_what(r));
}

/* Is there anything left that a key has to sign or that is sealed like the keys? */
static bool is_whole(const struct init *in)
{
	bool whole = published(in, "root-1.crl") && (published(in, "bundle") || has_file(in, "bundle-1", ""));
	for (size_t i = 0; whole && i < N_ELEMENTS(plans); i++)
		whole = has_file(in, plans[i].id, ".cer") && (has_file(in, plans[i].id, CA_KEY) || has_file(in, plans[i].id, CA_TOKEN));
	return whole;
}

/* A passphrase that was split is not made again: a new one would open none of the keys. The custodians need not come where all is made. */
static int passphrase_load_or_make(struct init *in, struct refusal *why)
{
	bool shared = passphrase_is_needed(&in->conf) && !passphrase_is_here(&in->conf) && faccessat(in->ca_fd, SHARES_FILE, F_OK, 0) == 0;
	in->closed = shared && is_whole(in);
	if (in->closed)
		return 0;
	if (shared)
		return shares_passphrase(&in->conf, in->conf.state_dir, &in->passphrase, why);
	int r = passphrase_make(&in->conf, in->owner.st_uid, in->owner.st_gid, &in->drawn, why);
	return r == 0 ? passphrase_read(&in->conf, &in->passphrase, why) : r;
}

/* Key, then certificate; either may exist from a run that was cut short. */
static int authority_make(struct init *in, const struct plan *p, struct refusal *why)
{
	struct key *key = NULL;
	struct buf  der = BUF_MAX(CERT_DER_MAX / 3);
	char        name[ISSUER_ID_SIZE + 8];

	snprintf(name, sizeof(name), "%s.cer", p->id);
	int r = in->closed ? 0 : key_load_or_make(in, p, &key, why);
	if (r == 0)
		r = ca_file_read(in->ca_fd, name, false, &der, why);
	if (r == E_NOT_FOUND && key != NULL) {
		r = certificate_make(in, p, key, &der, why);
		if (r == 0 && fault_point("init.certificate") != 0)
			r = sys_refuse(why, name, "write");
		if (r == 0)
			r = file_replace(in->ca_fd, name, buf_span(&der), in->owner.st_uid, in->owner.st_gid, 0644, why);
	}
	if (r == 0 && !in->closed && cert_fits_key(buf_span(&der), key) < 0)
		r = refuse(why, E_SIGNER_KEY, name, "the certificate does not belong to the key beside it");
	if (r == 0)
		r = file_replace(in->public_fd, name, buf_span(&der), (uid_t)-1, (gid_t)-1, 0644, why);
	if (r == 0 && p->role == ISSUER_ROOT) {
		in->root_key = key;
		buf_take(&in->root_der, &der);
		key = NULL;
	}
	key_free(key);
	buf_free(&der);
	return r;
}

/* ---- what everybody may know ---- */

static int publish(struct init *in, const char *name, const struct buf *bytes, struct refusal *why)
{
	int r = buf_error(bytes);
	if (r == 0 && fault_point("init.publish") != 0)
		r = sys_refuse(why, name, "write");
	return r == 0 ? file_replace(in->public_fd, name, buf_span(bytes), (uid_t)-1, (gid_t)-1, 0644, why) : r;
}

static int publish_root_crl(struct init *in, struct refusal *why)
{
	struct issuer    root = {.role = ISSUER_ROOT, .key_type = ca_plan_of(ISSUER_ROOT)->key, .der_len = (uint16_t)in->root_der.n};
	struct issue_ca *ca = NULL;
	struct buf       crl = BUF_MAX(65536);
	int64_t          begin = in->now / MS_SECOND * MS_SECOND;

	if (published(in, "root-1.crl"))
		return 0;
	memcpy(root.der, in->root_der.p, in->root_der.n);
	int r = text_copy(root.issuer_id, sizeof(root.issuer_id), plans[0].id);
	if (r == 0)
		r = issue_ca_make(&root, in->root_key, in->conf.public_url, &ca);
	if (r == 0)
		r = issue_crl(ca, 1, begin, begin + ROOT_CRL_DAYS * MS_DAY, NULL, NULL, 0, &crl);
	if (r < 0)
		refuse(why, r, "root-1.crl", "%s", err_what(r));
	if (r == 0)
		r = publish(in, "root-1.crl", &crl, why);
	issue_ca_free(ca);
	buf_free(&crl);
	return r;
}

static int publish_root_pem(struct init *in, struct refusal *why)
{
	struct buf pem = BUF_MAX(16384);
	int        r = cert_pem_add(buf_span(&in->root_der), &pem);
	if (r == 0)
		r = publish(in, "root.pem", &pem, why);
	buf_free(&pem);
	return r;
}

/* The first trust bundle: this root alone, signed by it. Later ones need its signature (new_root.c). */
static int bundle_make(struct init *in, struct buf *to)
{
	struct body_bundle      body = {.epoch = 1, .threshold = 1, .made_at = in->now, .n_roots = 1};
	const struct key *const keys[] = {in->root_key};

	body.roots[0].certificate = buf_span(&in->root_der);
	return bundle_file_make(&body, keys, N_ELEMENTS(keys), to);
}

/* Epoch 1 has one content: what was published once is what the folder of the keys keeps, too. */
static int publish_bundle(struct init *in, struct refusal *why)
{
	struct buf         frame = BUF_MAX(FRAME_MAX);
	struct bundle_file kept = {.epoch = 0};
	bool               told = published(in, "bundle");

	int r = bundle_file_read(in->ca_fd, 1, &kept, why);
	if (r == 0) {
		buf_take(&frame, &kept.frame);
	} else if (r == E_NOT_FOUND) {
		r = told ? file_read(in->public_fd, "bundle", false, &frame, why) : bundle_make(in, &frame);
		if (r == 0)
			r = bundle_file_write(in->ca_fd, 1, buf_span(&frame), in->owner.st_uid, in->owner.st_gid, why);
	}
	if (r < 0)
		refuse(why, r, "bundle", "%s", err_what(r));
	if (r == 0 && !told)
		r = publish(in, "bundle", &frame, why);
	bundle_file_free(&kept);
	buf_free(&frame);
	return r;
}

/* ---- the whole ---- */

static int folders_open(struct init *in, struct refusal *why)
{
	char path[CONF_PATH_SIZE + 8];

	if (stat(in->conf.state_dir, &in->owner) < 0)
		return sys_refuse(why, in->conf.state_dir, "open the folder");
	snprintf(path, sizeof(path), "%s/ca", in->conf.state_dir);
	int r = dir_make(path, 0700, why);
	if (r == 0)
		r = dir_make(in->public_dir, 0755, why);
	if (r < 0)
		return r;
	in->ca_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	in->public_fd = open(in->public_dir, O_DIRECTORY | O_CLOEXEC);
	if (in->ca_fd < 0 || in->public_fd < 0)
		return sys_refuse(why, in->ca_fd < 0 ? path : in->public_dir, "open the folder");
	if (fchown(in->ca_fd, in->owner.st_uid, in->owner.st_gid) < 0)
		return sys_refuse(why, path, "change the owner");
	return 0;
}

static int init_all(struct init *in, struct refusal *why)
{
	int r = folders_open(in, why);
	if (r == 0)
		r = token_open(in, why);
	if (r == 0)
		r = passphrase_load_or_make(in, why);
	for (size_t i = 0; i < N_ELEMENTS(plans) && r == 0; i++)
		r = authority_make(in, &plans[i], why);
	if (r == 0)
		r = publish_root_crl(in, why);
	if (r == 0)
		r = publish_root_pem(in, why);
	if (r == 0)
		r = publish_bundle(in, why);
	return r;
}

int signer_init(int argc, char **argv)
{
	static struct init in = {.passphrase = BUF_MAX(PASSPHRASE_MAX + 2), .root_der = BUF_MAX(CERT_DER_MAX), .ca_fd = -1, .public_fd = -1};
	const struct command_option own[] = {{"organisation", &in.organisation, NULL}, {"public", &in.public_dir, NULL}};
	struct command_words words;
	struct refusal       why = {0};
	char                 text[600];

	command_options("vcc-signer", argc, argv, own, N_ELEMENTS(own), 0, 0, &words);
	if (in.organisation == NULL || in.public_dir == NULL)
		command_refuse("vcc-signer", "init", in.organisation == NULL ? "--organisation" : "--public", "it is needed");
	in.now = clock_now();
	int r = conf_load(&signer_schema, words.config, &in.conf, NULL, &why);
	if (r == 0)
		r = init_all(&in, &why);
	if (r < 0) {
		if (why.code == 0)
			refuse(&why, r, "vcc-signer init", "%s", err_what(r));
		fprintf(stderr, "vcc-signer: %s\n", refusal_text(&why, text, sizeof(text)));
	}
	key_free(in.root_key);
	hsm_close(in.hsm);
	buf_wipe(&in.passphrase);
	secret_wipe(&in.lock, sizeof(in.lock));
	buf_free(&in.root_der);
	fd_close(in.ca_fd);
	fd_close(in.public_fd);
	return r < 0 ? 1 : 0;
}
