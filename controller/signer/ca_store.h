/* ca_store.h - room controller/signer: the CA certificates and keys below STATE_DIR/ca, opened once at start.
 * ID.cer (DER) and ID.key (encrypted) or ID.p11 (the name of a key in a token) for each ID = ROLE-NUMBER. A root may lack its key: it is offline then. ID.closed: it signs lists and
 * OCSP responders, and nothing else any more. ID.cross: of a root that follows another
 * (root_change.h); ID.crl, ID.list-request: of a root (offline_list.h).
 * Never: giving a key away. */
#ifndef VCC_CA_STORE_H
#define VCC_CA_STORE_H

#include "controller/signer/hsm.h"
#include "shared/pki/issue.h"
#include "shared/pki/key.h"

enum { CA_MAX = 24, CA_KEYFILE_MAX = 16384 };
#define CA_KEY    ".key"
#define CA_TOKEN  ".p11"
#define CA_CLOSED ".closed"
#define CA_REQUEST ".request" /* waits for an offline root (offline_root.h): its name is taken */
#define CA_CROSS  ".cross" /* the certificate of a root by the root before it */
#define CA_LIST   ".crl"   /* the last revocation list of a root that was made here for it or carried here: the first of a new root, or one of an offline root */

struct ca {
	struct issuer    issuer;
	struct issue_ca *prepared; /* signs when `can_sign` */
	struct key      *key;      /* NULL = offline */
	uint8_t          spki[SPKI_MAX];
	size_t           spki_len;
	bool             closed;
	struct buf       cross, list; /* of a root: by the root before it (root_change.h), and CA_LIST; else empty */
	/* what opened the key's file: a successor's is sealed under it, because the passphrase is not kept. It gives nothing away that
	 * does not lie beside it. */
	struct keyfile_lock lock;
};

struct ca_store {
	struct ca ca[CA_MAX];
	size_t    n;
	struct hsm *hsm; /* the caller's, set before loading; NULL = no token */
};

/* Opens everything. A key that does not open: E_PKI_PASSPHRASE; one that does not fit its certificate, or a CA that does not lead to
 * a root of the folder: E_SIGNER_KEY; nothing there: E_SIGNER_KEY. */
_must_check_ int ca_store_load(const char *state_dir, struct span passphrase, const char *public_url, struct ca_store *ret,
                               struct refusal *why);
/* Token, passphrase (it may wait for its shares: share_wait.h), then ca_store_load() of `folder`: as signer.conf says. `ret->hsm` is the caller's to close, also after an error. */
_must_check_ int ca_store_open(const struct signer_conf *conf, const char *folder, struct ca_store *ret, struct refusal *why);
/* Every key signs once. E_SIGNER_KEY. */
_must_check_ int ca_store_try(const struct ca_store *s, struct refusal *why);
void ca_store_free(struct ca_store *s);

/* file_read() of a file that may be missing: E_NOT_FOUND is no failure and leaves `why` as it is. */
_must_check_ int ca_file_read(int dir_fd, const char *name, bool secret, struct buf *to, struct refusal *why);

struct ca *ca_store_find(struct ca_store *s, const char *issuer_id); /* NULL = unknown */

#endif
