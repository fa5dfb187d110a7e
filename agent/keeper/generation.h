/* generation.h - room agent/keeper: the folders gNNNNNN of a target and the link `current` (DESIGN 6, steps 2, 5, 9).
 * At any moment `current` names one complete matching set. Everything goes by descriptor of the target's folder.
 * Never: changing a file of an existing generation. */
#ifndef VCC_GENERATION_H
#define VCC_GENERATION_H

#include <sys/types.h>

#include "shared/base/err.h"
#include "shared/model/messages.h"
#include "shared/pki/cert.h"

enum { GENERATION_NAME_SIZE = 24, GENERATIONS_MAX = 256, GENERATION_FILES_MAX = 12, GENERATION_FILE_SIZE = 24 };

/* What a generation is made of; the files' owner and mode. */
struct generation_content {
	const struct key *key;
	struct span       certificate; /* DER */
	struct span       chain;       /* intermediates, DER one after the other */
	struct span       roots;       /* for ca.pem */
	struct span       crl;         /* for crl.pem, PEM; empty = none */
	bool              combined;
	bool              keystore, truststore; /* keystore.p12, truststore.p12 */
	const char       *pkcs12_password;      /* of both */
	bool              capath;               /* capath/: roots and lists by OpenSSL's hashes */
	uid_t             uid;
	gid_t             gid;
	mode_t            mode; /* of key.pem and combined.pem; the others lose no read right by it */
};

/* What a generation was made of, to tell later what somebody else changed. Kept in the journal, never beside the files. */
struct made_file {
	char        name[GENERATION_FILE_SIZE];
	struct hash hash;
	bool        secret; /* has the key's mode */
	bool        folder; /* capath: `hash` is of all names and contents in it */
};
struct made {
	uint64_t         generation; /* 0 = nothing is known */
	struct hash      content;    /* what it was to be made from: settings, certificate, trust */
	uid_t            uid;
	gid_t            gid;
	mode_t           mode; /* of secret files */
	uint32_t         n;
	struct made_file files[GENERATION_FILES_MAX];
};

/* What differs from what was made. */
struct drift {
	enum drift_kind kind; /* of the first file that differs */
	char            file[GENERATION_FILE_SIZE];
	uint32_t        files; /* how many differ */
	bool            bytes; /* the content of some file is not ours: whoever reads it now reads something wrong */
	uid_t           uid;   /* as found: who it belongs to, when it was changed, by how many names it can be reached */
	uint32_t        mode;
	uint32_t        links;
	int64_t         changed_at;
};

/* What was found in a generation. */
struct generation_facts {
	struct cert_info info;
	struct buf       chain; /* fullchain: DER one after the other; owned */
};

#define GENERATION_STAGING ".new-" /* prefix of a folder that is being written or removed */

const char *generation_name(uint64_t number, char ret[GENERATION_NAME_SIZE]);

/* The target's folder, made when missing; unsafe parents are refused (E_SYS_UNSAFE_PATH). */
_must_check_ int generation_dir(const char *dir, int *ret_fd, struct refusal *why);
/* 0 = there is no `current`, or it names a folder beside ours (what served before it was managed). E_SWAP_TARGET when it is no
 * link, or leads out of the target's folder. */
_must_check_ int generation_current(int dir_fd, uint64_t *ret, struct refusal *why);
/* The highest number that exists. */
_must_check_ int generation_highest(int dir_fd, uint64_t *ret, struct refusal *why);
/* Complete and synced when it returns, or nothing is left. E_EXISTS when the number is taken. Fills all but `content` of `ret`. */
_must_check_ int generation_write(int dir_fd, uint64_t number, const struct generation_content *content, struct made *ret,
                                  struct refusal *why);
/* Are the files of `made`, and nothing in their place, as they were made? */
_must_check_ int generation_compare(int dir_fd, const struct made *made, struct drift *ret, struct refusal *why);
/* Reads back and proves that key, certificate and files are one set. `ret->chain` must be freed by the caller. */
_must_check_ int generation_read(int dir_fd, uint64_t number, struct generation_facts *ret, struct refusal *why);
/* As generation_flip(); what stands in the place of the link is moved aside, to `.aside-gNNNNNN`. */
_must_check_ int generation_take(int dir_fd, uint64_t number, struct refusal *why);
/* `current` -> gNNNNNN, durable. */
_must_check_ int generation_flip(int dir_fd, uint64_t number, struct refusal *why);
/* Never removes the current one. Missing is fine. */
_must_check_ int generation_remove(int dir_fd, uint64_t number, struct refusal *why);
/* Removes all but the current one, `keep`, and the newest before them up to `retain` in all; what unfinished writes left; and what was
 * written after the current one without coming into use. */
_must_check_ int generation_prune(int dir_fd, uint64_t keep, size_t retain, struct refusal *why);
/* What unfinished writes left. */
_must_check_ int generation_clean(int dir_fd, struct refusal *why);

#endif
