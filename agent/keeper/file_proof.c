/* file_proof.c - room agent/keeper: verify.kind = file: what is on disk is the new certificate, read back.
 * Never: taken for a proof that it is served. */
#include "agent/keeper/file_proof.h"

#include <unistd.h>

#include "agent/keeper/copies.h"
#include "agent/keeper/generation.h"
#include "shared/sys/file.h"

int file_proof(const struct place *p, struct hash fingerprint, struct refusal *why)
{
	struct generation_facts facts = {.chain = {.p = NULL}};
	struct refusal          inner = {.code = 0};
	uint64_t                number = 0;
	_cleanup_fd_ int        fd = -1;
	int                     r = dir_open_safe(p->dir, geteuid(), &fd, &inner);
	if (r == 0)
		r = generation_current(fd, &number, &inner);
	if (r == 0 && number == 0)
		return refuse(why, E_SWAP_FILES, p->stem, "current/ names no generation of ours");
	if (r == 0)
		r = generation_read(fd, number, &facts, &inner);
	if (r != 0)
		return refuse(why, E_SWAP_FILES, p->stem, "%s", inner.code != 0 ? inner.cause : err_what(r));
	bool same = hash_equal(facts.info.fingerprint, fingerprint);
	buf_free(&facts.chain);
	if (!same)
		return refuse(why, E_SWAP_FILES, p->stem, "current/ holds another certificate");
	struct drift drift;
	copies_compare(&p->conf, fd, number, &drift);
	return drift.kind == DRIFT_NONE ? 0 : refuse(why, E_SWAP_FILES, p->stem, "the copy %s differs from its file in current/", drift.file);
}
