/* peer_judge.c - room agent/keeper: the table of a relying party's questions: is it the one, for this name, and does its chain hold?
 * Never: accepting by the issuer's name, or by what another host trusts. */
#include "agent/keeper/peer_judge.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/pki/cert.h"

int peer_anchors_add(struct peer_anchors *a, const char *who, struct span roots)
{
	for (size_t i = 0; i < a->n; i++)
		if (span_equal(buf_span(&a->set[i].roots), roots))
			return 0;
	if (a->n == PEER_ANCHORS_MAX)
		return E_FULL;
	struct buf copy = BUF_MAX(roots.n);
	buf_add(&copy, roots.p, roots.n);
	int r = buf_error(&copy);
	if (r != 0) {
		buf_free(&copy);
		return r;
	}
	text_cut(a->set[a->n].who, sizeof(a->set[a->n].who), who);
	a->set[a->n++].roots = copy;
	return 0;
}

void peer_anchors_free(struct peer_anchors *a)
{
	for (size_t i = 0; i < a->n; i++)
		buf_free(&a->set[i].roots);
	a->n = 0;
}

/* RFC 6125, 6.4: a wildcard stands for the first label alone; addresses compare as text of one spelling. */
static bool is_for_name(const struct cert_info *info, const char *name)
{
	size_t     cursor = 0;
	struct san san;
	while (names_next(&info->names, &cursor, &san))
		if (san.kind == SAN_DNS ? name_matches(san.text, name) : text_equal(san.text, name))
			return true;
	return false;
}

static int not_the_one(const struct peer_wanted *wanted, const struct cert_info *info, struct refusal *why)
{
	if (!serial_is_none(wanted->old_serial) && serial_equal(info->serial, wanted->old_serial))
		return refuse(why, E_PEER_STALE, wanted->name, "the certificate before it is served");
	return refuse(why, E_PEER_OTHER, wanted->name, "a certificate of `%.100s` is served%s", info->subject[0] != '\0' ? info->subject : info->names.text,
		      is_for_name(info, wanted->name) ? "" : ", which is not for this name");
}

static int chain_holds(const struct peer_wanted *wanted, const struct peer_anchors *anchors, struct span leaf, struct span chain, struct refusal *why)
{
	for (size_t i = 0; i < anchors->n; i++) {
		struct refusal inner = {.code = 0};
		const char    *who = anchors->set[i].who;
		if (cert_verify(leaf, chain, buf_span(&anchors->set[i].roots), EKU_SERVER_AUTH, wanted->at, &inner) != 0)
			return refuse(why, E_PEER_CHAIN, wanted->name, "by the roots of %.40s: %.100s", who[0] != '\0' ? who : "this host", inner.cause);
	}
	return 0;
}

int peer_judge(const struct peer_wanted *wanted, const struct peer_anchors *anchors, struct span served, struct hash *ret_seen, struct refusal *why)
{
	struct span      rest = served, leaf;
	struct cert_info info;
	if (!der_next(&rest, &leaf))
		return refuse(why, E_PEER_OTHER, wanted->name, "what is served is no certificate");
	digest_sha256(leaf, ret_seen);
	if (cert_read(leaf, &info) != 0)
		return hash_equal(*ret_seen, wanted->fingerprint) ? refuse(why, E_PEER_CHAIN, wanted->name, "the certificate cannot be read")
								    : refuse(why, E_PEER_OTHER, wanted->name, "the certificate that is served cannot be read");
	if (!hash_equal(*ret_seen, wanted->fingerprint))
		return not_the_one(wanted, &info, why);
	if (!is_for_name(&info, wanted->name))
		return refuse(why, E_PEER_NAME, wanted->name, "the certificate is for `%.120s`", info.names.text);
	return chain_holds(wanted, anchors, leaf, rest, why);
}
