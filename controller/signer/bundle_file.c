/* bundle_file.c - room controller/signer: trust bundles are read, made and written as files.
 * Never: changing one that exists. */
#include "controller/signer/bundle_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/wire/wire.h"

enum { NAME_SIZE = 32, BODY_MAX = 32768, ROOTS_MAX = MSG_ROOTS_MAX * CERT_DER_MAX };

void bundle_file_free(struct bundle_file *b)
{
	buf_free(&b->roots);
	buf_free(&b->frame);
}

static const char *name_of(uint64_t epoch, char ret[NAME_SIZE])
{
	(void)snprintf(ret, NAME_SIZE, "bundle-%llu", (unsigned long long)epoch);
	return ret;
}

/* ---- read ---- */

static int body_take(struct bundle_file *b, struct span bytes)
{
	struct body_bundle body;
	int                r = wire_body_decode(&wire_body_bundle, bytes, &body);
	if (r < 0)
		return r;
	b->epoch = body.epoch;
	b->threshold = body.threshold;
	digest_sha256(bytes, &b->hash);
	for (uint32_t i = 0; i < body.n_roots; i++)
		buf_add(&b->roots, body.roots[i].certificate.p, body.roots[i].certificate.n);
	return body.n_roots > 0 ? buf_error(&b->roots) : E_PKI_CERT;
}

static int frame_take(struct bundle_file *b)
{
	struct wire_frame *frame = malloc(sizeof(*frame)); /* large */
	int                r = frame != NULL ? wire_decode(&wire_agent, buf_span(&b->frame), 0, frame) : E_NOMEM;
	if (r == 0)
		r = frame->type == MSG_BUNDLE ? body_take(b, frame->u.bundle.body) : E_WIRE_MESSAGE;
	free(frame);
	return r;
}

int bundle_file_read(int ca_fd, uint64_t epoch, struct bundle_file *ret, struct refusal *why)
{
	struct bundle_file b = {.roots = BUF_MAX(ROOTS_MAX), .frame = BUF_MAX(FRAME_MAX)};
	char               name[NAME_SIZE];

	int r = file_read(ca_fd, name_of(epoch, name), false, &b.frame, why);
	if (r == 0 && (frame_take(&b) < 0 || b.epoch != epoch))
		r = refuse(why, E_PKI_CERT, name, "this is not the trust bundle of epoch %llu", (unsigned long long)epoch);
	if (r < 0)
		bundle_file_free(&b);
	else
		*ret = b;
	return r;
}

int bundle_file_newest(int ca_fd, struct bundle_file *ret, struct refusal *why)
{
	struct bundle_file newest = {.epoch = 0}, one;
	struct refusal     cause = {0};
	int                r = 0;

	while (r == 0 && newest.epoch < BUNDLE_EPOCHS_MAX &&
	       (r = bundle_file_read(ca_fd, newest.epoch + 1, &one, &cause)) == 0) {
		bundle_file_free(&newest);
		newest = one;
	}
	if (r == E_NOT_FOUND && newest.epoch > 0)
		r = 0;
	if (r == E_NOT_FOUND)
		(void)refuse(why, r, "bundle-1", "there is no trust bundle; run `vccctl init` again, it makes what is missing");
	else if (r < 0 && why != NULL)
		*why = cause;
	if (r < 0)
		bundle_file_free(&newest);
	else
		*ret = newest;
	return r;
}

int bundle_file_all(const char *state_dir, struct bundle_file ret[BUNDLE_EPOCHS_MAX], size_t *ret_n, struct refusal *why)
{
	char           path[512];
	struct refusal cause = {0};
	size_t         n = 0;
	int            r = 0;

	(void)snprintf(path, sizeof(path), "%s/ca", state_dir);
	_cleanup_fd_ int fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return sys_refuse(why, path, "open the folder");
	while (n < BUNDLE_EPOCHS_MAX && (r = bundle_file_read(fd, n + 1, &ret[n], &cause)) == 0)
		n++;
	if (r < 0 && r != E_NOT_FOUND) {
		for (size_t i = 0; i < n; i++)
			bundle_file_free(&ret[i]);
		return refuse(why, r, cause.object, "%s", cause.cause);
	}
	*ret_n = n;
	return 0;
}

bool bundle_file_has(const struct bundle_file *b, struct span root_der)
{
	struct span rest = buf_span(&b->roots), one;
	while (der_next(&rest, &one))
		if (span_equal(one, root_der))
			return true;
	return false;
}

uint32_t bundle_file_roots(const struct bundle_file *b)
{
	struct span rest = buf_span(&b->roots), one;
	uint32_t    n = 0;
	while (der_next(&rest, &one))
		n++;
	return n;
}

/* ---- made ---- */

static int sign_one(const struct key *key, struct span body, struct bundle_signature *ret, struct buf *to)
{
	struct buf spki = BUF_MAX(SPKI_MAX);
	int        r = key_spki(key, &spki);
	if (r == 0)
		r = key_sign(key, LABEL_BUNDLE, body, to);
	if (r == 0) {
		digest_sha256(buf_span(&spki), &ret->key);
		ret->signature = buf_span(to);
	}
	buf_free(&spki);
	return r;
}

int bundle_file_make(const struct body_bundle *body, const struct key *const *keys, size_t n_keys, struct buf *to)
{
	struct msg_bundle message = {.n_signatures = (uint32_t)n_keys};
	struct buf        bytes = BUF_MAX(BODY_MAX);
	struct buf        signatures[MSG_ROOTS_MAX];

	if (n_keys > MSG_ROOTS_MAX)
		return E_FULL;
	for (size_t i = 0; i < N_ELEMENTS(signatures); i++)
		signatures[i] = (struct buf)BUF_MAX(MSG_SIGNATURE_MAX);
	int r = wire_body_encode(&wire_body_bundle, body, &bytes);
	for (size_t i = 0; i < n_keys && r == 0; i++)
		r = sign_one(keys[i], buf_span(&bytes), &message.signatures[i], &signatures[i]);
	if (r == 0) {
		message.body = buf_span(&bytes);
		r = wire_encode(&wire_agent, MSG_BUNDLE, 0, &message, to);
	}
	for (size_t i = 0; i < N_ELEMENTS(signatures); i++)
		buf_free(&signatures[i]);
	buf_free(&bytes);
	return r == 0 ? buf_error(to) : r;
}

int bundle_file_write(int ca_fd, uint64_t epoch, struct span frame, uid_t uid, gid_t gid, struct refusal *why)
{
	char name[NAME_SIZE];
	if (fault_point("signer.bundle") != 0)
		return sys_refuse(why, name_of(epoch, name), "write");
	return file_replace(ca_fd, name_of(epoch, name), frame, uid, gid, 0644, why);
}
