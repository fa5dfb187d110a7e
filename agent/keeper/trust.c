/* trust.c - room agent/keeper: the trust bundle: which roots this host accepts, and how it may change.
 * Never: accepting a bundle that the current roots did not sign, except the very first one, which the pin covers. */
#include "agent/keeper/trust.h"

#include <stdlib.h>

#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/wire/wire.h"

static const char object[] = "trust bundle";

struct bundle {
	struct msg_bundle  message; /* spans point into the frame */
	struct body_bundle body;
};

static int message_open(struct span bytes, struct bundle *ret, struct refusal *why)
{
	struct wire_frame *frame = malloc(sizeof(*frame));
	if (frame == NULL)
		return refuse(why, E_NOMEM, object, "no memory to decode it");
	int r = wire_decode(&wire_agent, bytes, 0, frame);
	if (r == 0 && frame->type != MSG_BUNDLE)
		r = E_WIRE_MESSAGE;
	if (r == 0)
		ret->message = frame->u.bundle;
	free(frame);
	return r == 0 ? 0 : refuse(why, r, object, "%s", err_what(r));
}

static int body_open(struct bundle *ret, struct refusal *why)
{
	int r = wire_body_decode(&wire_body_bundle, ret->message.body, &ret->body);
	if (r != 0)
		return refuse(why, r, object, "%s", err_what(r));
	if (ret->body.n_roots == 0 || ret->body.threshold == 0 || ret->body.threshold > ret->body.n_roots)
		return refuse(why, E_SWAP_BUNDLE, object, "%u roots with threshold %u make no sense", (unsigned)ret->body.n_roots,
		              (unsigned)ret->body.threshold);
	return 0;
}

static int bundle_open(struct span bytes, struct bundle *ret, struct refusal *why)
{
	int r = message_open(bytes, ret, why);
	return r == 0 ? body_open(ret, why) : r;
}

static int root_check(struct span der, struct refusal *why)
{
	struct cert_info info;
	if (cert_read(der, &info) != 0 || !info.is_ca)
		return refuse(why, E_SWAP_BUNDLE, object, "a root is not a CA certificate");
	return 0;
}

/* The public key of the root with this SPKI hash; NULL when `roots` has none. */
static struct key *root_key(struct span roots, struct hash spki_hash)
{
	struct span one;
	while (der_next(&roots, &one)) {
		struct cert_parts parts;
		struct hash       hash;
		struct key       *key = NULL;
		if (cert_parts_read(one, &parts) != 0)
			continue;
		digest_sha256(parts.t.spki, &hash);
		if (hash_equal(hash, spki_hash))
			return key_from_spki(parts.t.spki, &key) == 0 ? key : NULL;
	}
	return NULL;
}

/* How many different roots of `roots` signed it; bit of ret_by[i] tells whether signature i counted. */
static uint32_t signers_count(const struct bundle *b, struct span roots, bool ret_by[MSG_ROOTS_MAX])
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < b->message.n_signatures; i++) {
		const struct bundle_signature *s = &b->message.signatures[i];
		bool                           again = false;
		for (uint32_t k = 0; k < i; k++)
			again |= ret_by[k] && hash_equal(b->message.signatures[k].key, s->key);
		struct key *key = again ? NULL : root_key(roots, s->key);
		ret_by[i] = key != NULL && key_verify(key, LABEL_BUNDLE, b->message.body, s->signature) == 0;
		key_free(key);
		n += ret_by[i];
	}
	return n;
}

static int trust_make(const struct bundle *b, struct span frame, struct trust *ret, struct refusal *why)
{
	struct trust t = {
		.epoch = b->body.epoch,
		.threshold = b->body.threshold,
		.roots = BUF_MAX(MSG_ROOTS_MAX * CERT_DER_MAX),
		.frame = BUF_MAX(FRAME_MAX),
	};
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < b->body.n_roots; i++) {
		r = root_check(b->body.roots[i].certificate, why);
		buf_add(&t.roots, b->body.roots[i].certificate.p, b->body.roots[i].certificate.n);
	}
	buf_add(&t.frame, frame.p, frame.n);
	digest_sha256(b->message.body, &t.hash);
	if (r == 0 && (buf_error(&t.roots) != 0 || buf_error(&t.frame) != 0))
		r = refuse(why, E_NOMEM, object, "no memory to keep it");
	if (r != 0) {
		trust_free(&t);
		return r;
	}
	*ret = t;
	return 0;
}

int trust_read(struct span frame, struct trust *ret, struct refusal *why)
{
	struct bundle b;
	int           r = bundle_open(frame, &b, why);
	return r != 0 ? r : trust_make(&b, frame, ret, why);
}

/* The pinned root must be one of the bundle's and have signed it. */
static int pin_check(const struct bundle *b, const bool by[MSG_ROOTS_MAX], struct hash pin, struct refusal *why)
{
	for (uint32_t i = 0; i < b->body.n_roots; i++) {
		struct cert_info info;
		struct hash      hash;
		digest_sha256(b->body.roots[i].certificate, &hash);
		if (!hash_equal(hash, pin) || cert_read(b->body.roots[i].certificate, &info) != 0)
			continue;
		for (uint32_t k = 0; k < b->message.n_signatures; k++)
			if (by[k] && hash_equal(b->message.signatures[k].key, info.spki_hash))
				return 0;
	}
	return refuse(why, E_LINK_PIN, object, "the pinned root did not sign it");
}

/* Here alone the body is read before the signatures are judged: it holds the roots that must have made them. */
int trust_first(struct span frame, struct hash pin, struct trust *ret, struct refusal *why)
{
	struct bundle b;
	struct trust  t;
	bool          by[MSG_ROOTS_MAX] = {false};
	int           r = bundle_open(frame, &b, why);
	if (r == 0)
		r = trust_make(&b, frame, &t, why);
	if (r != 0)
		return r;
	uint32_t signers = signers_count(&b, buf_span(&t.roots), by);
	if (signers < t.threshold)
		r = refuse(why, E_SWAP_BUNDLE, object, "%u of %u needed root signatures", (unsigned)signers, (unsigned)t.threshold);
	if (r == 0)
		r = pin_check(&b, by, pin, why);
	if (r != 0)
		trust_free(&t);
	else
		*ret = t;
	return r;
}

int trust_next(const struct trust *now, struct span frame, struct trust *ret, struct refusal *why)
{
	struct bundle b;
	bool          by[MSG_ROOTS_MAX] = {false};
	int           r = message_open(frame, &b, why);
	if (r != 0)
		return r;
	uint32_t signers = signers_count(&b, buf_span(&now->roots), by);
	if (signers < now->threshold)
		return refuse(why, E_SWAP_BUNDLE, object, "%u of %u needed signatures by current roots", (unsigned)signers,
		              (unsigned)now->threshold);
	r = body_open(&b, why);
	if (r != 0)
		return r;
	if (b.body.epoch <= now->epoch)
		return refuse(why, E_SWAP_BUNDLE, object, "epoch %llu is not above the current %llu", (unsigned long long)b.body.epoch,
		              (unsigned long long)now->epoch);
	if (!hash_equal(b.body.previous, now->hash))
		return refuse(why, E_SWAP_BUNDLE, object, "it does not follow the current bundle");
	return trust_make(&b, frame, ret, why);
}

void trust_free(struct trust *t)
{
	buf_free(&t->roots);
	buf_free(&t->frame);
}

void trust_take(struct trust *to, struct trust *from)
{
	trust_free(to);
	*to = *from;
	*from = (struct trust){.epoch = 0};
}
