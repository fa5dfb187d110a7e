/* answer_check.c - room agent/keeper: step 1 of a swap: does the controller's answer fit what this host wants?
 * Never: trusting the controller's word for names, chain or time. */
#include "agent/keeper/answer_check.h"

#include <string.h>

#include "shared/base/text.h"

static const char object[] = "certificate";

static int64_t distance(int64_t a)
{
	return a < 0 ? -a : a;
}

/* The controller's time rules when the clocks differ by more than the tolerance (a hint, so not beyond a day without a person). A certificate is too
 * young only beyond the tolerance, and ended only when it has by both clocks. */
static int time_check(const struct answer *a, const struct cert_info *info, int64_t *ret_at, struct refusal *why)
{
	int64_t theirs = a->now - a->skew_ms;
	if (distance(a->skew_ms) > ANSWER_SKEW_MAX_MS && !a->clock_allowed)
		return refuse(why, E_SWAP_CLOCK, "clock", "it differs by %lld s from the controller's", (long long)(a->skew_ms / 1000));
	int64_t at = distance(a->skew_ms) > ANSWER_TOLERANCE_MS ? theirs : a->now;
	if (at < info->not_before_at - ANSWER_TOLERANCE_MS)
		return refuse(why, E_PKI_VALIDITY, object, "it is not valid yet");
	int64_t early = at == theirs || theirs > a->now ? at : theirs;
	if (early >= info->not_after_at)
		return refuse(why, E_PKI_VALIDITY, object, "it has expired already");
	*ret_at = early < info->not_before_at ? info->not_before_at : early;
	return 0;
}

static int names_check(const struct answer *a, const struct cert_info *info, struct refusal *why)
{
	if (!names_equal(&info->names, a->wanted))
		return refuse(why, E_PKI_NAMES, object, "names `%.120s`; the target file wants `%.120s`", info->names.text, a->wanted->text);
	if (!text_equal(info->names.text, a->ordered))
		return refuse(why, E_PKI_NAMES, object, "names differ from the order's");
	if (!text_equal(info->common_name, a->common_name))
		return refuse(why, E_PKI_NAMES, object, "common name `%.64s` instead of `%.64s`", info->common_name, a->common_name);
	if (info->uri[0] != '\0' || info->host_hash[0] != '\0')
		return refuse(why, E_PKI_NAMES, object, "it names an agent, not a service");
	return 0;
}

static int purpose_check(const struct answer *a, const struct cert_info *info, struct refusal *why)
{
	if (info->is_ca)
		return refuse(why, E_PKI_CHAIN, object, "it is a CA certificate");
	if (a->serving && info->ext_key_usage != 0 && (info->ext_key_usage & EKU_SERVER_AUTH) == 0)
		return refuse(why, E_PKI_CHAIN, object, "it may not be used by a server");
	return 0;
}

int answer_check(const struct answer *a, struct cert_info *ret, struct refusal *why)
{
	struct cert_info info;
	int64_t          at = 0;
	int              r = cert_read(a->certificate, &info);
	if (r != 0)
		return refuse(why, r, object, "%s", err_what(r));
	r = cert_fits_key(a->certificate, a->key);
	if (r != 0)
		return refuse(why, r, object, "it is not for the key that was staged");
	r = purpose_check(a, &info, why);
	if (r == 0)
		r = names_check(a, &info, why);
	if (r == 0)
		r = time_check(a, &info, &at, why);
	if (r == 0)
		r = cert_verify(a->certificate, a->chain, a->roots, 0, at, why);
	if (r == 0)
		*ret = info;
	return r;
}
