/* notice_link.c - room controller/daemon: the signed text of a link by which whoever was told of a matter takes it over without a login.
 * Never: files, clocks, changing anything. */
#include "controller/daemon/notice_link.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

/* version, end, notification, recipient, signature */
enum { VERSION = 1, END = 1, NOTICE = END + 8, RECIPIENT = NOTICE + 16, MAC = 32, BYTES_MAX = RECIPIENT + ACTOR_SIZE - 1 + MAC };

static const char label[] = "vcc notice link v1"; /* with its NUL */
enum { SIGNED_MAX = sizeof(label) + BYTES_MAX };

_Static_assert((BYTES_MAX * 4 + 2) / 3 < NOTICE_LINK_TEXT_SIZE, "a link fits its text");

/* What else is ever signed by this key begins otherwise. */
static void signed_bytes(const uint8_t *bytes, size_t n, uint8_t ret[SIGNED_MAX])
{
	memcpy(ret, label, sizeof(label));
	memcpy(ret + sizeof(label), bytes, n);
}

int notice_link_make(const uint8_t key[HMAC_KEY_SIZE], const struct notice_link *link, char ret[NOTICE_LINK_TEXT_SIZE])
{
	uint8_t     bytes[BYTES_MAX] = {VERSION}, to_sign[SIGNED_MAX];
	size_t      n_who = strlen(link->recipient), n = RECIPIENT + n_who;
	struct hash mac;
	if (n_who == 0 || n_who >= ACTOR_SIZE || link->ends_at <= 0)
		return E_RANGE;
	for (size_t i = 0; i < 8; i++)
		bytes[END + i] = (uint8_t)((uint64_t)link->ends_at >> (56 - 8 * i));
	memcpy(bytes + NOTICE, link->notice_id.b, sizeof(link->notice_id.b));
	memcpy(bytes + RECIPIENT, link->recipient, n_who);
	signed_bytes(bytes, n, to_sign);
	digest_hmac(key, (struct span){to_sign, sizeof(label) + n}, &mac);
	memcpy(bytes + n, mac.b, MAC);
	return b64url_text(bytes, n + MAC, ret, NOTICE_LINK_TEXT_SIZE);
}

static bool fits(const uint8_t key[HMAC_KEY_SIZE], const uint8_t *bytes, size_t n)
{
	uint8_t     to_sign[SIGNED_MAX];
	struct hash said;
	memcpy(said.b, bytes + n, MAC);
	signed_bytes(bytes, n, to_sign);
	return digest_hmac_fits(key, (struct span){to_sign, sizeof(label) + n}, said);
}

int notice_link_read(const uint8_t key[HMAC_KEY_SIZE], const char *text, int64_t now, struct notice_link *ret, struct refusal *why)
{
	uint8_t            bytes[BYTES_MAX];
	size_t             n = 0;
	char               at[TIME_TEXT_SIZE], again[NOTICE_LINK_TEXT_SIZE];
	struct notice_link link = {.ends_at = 0};
	if (b64url_parse(text, bytes, sizeof(bytes), &n) < 0 || n <= RECIPIENT + MAC || bytes[0] != VERSION || !fits(key, bytes, n - MAC))
		return refuse(why, E_LINK_BAD, "link", "its signature is not ours");
	/* what we signed we wrote; but one and the same link has one text only, so that nothing can be varied in it */
	if (b64url_text(bytes, n, again, sizeof(again)) < 0 || !text_equal(again, text))
		return refuse(why, E_LINK_BAD, "link", "it was written in another way");
	for (size_t i = 0; i < 8; i++)
		link.ends_at = (int64_t)((uint64_t)link.ends_at << 8 | bytes[END + i]);
	memcpy(link.notice_id.b, bytes + NOTICE, sizeof(link.notice_id.b));
	memcpy(link.recipient, bytes + RECIPIENT, n - RECIPIENT - MAC);
	if (now >= link.ends_at)
		return refuse(why, E_LINK_OVER, "link", "it was good until %s", time_text(link.ends_at, at));
	*ret = link;
	return 0;
}
