/* share_set.c - room shared/pki: the sealed passphrase and the hashes of its shares, as text; which share is wrong.
 * Never: files; keeping a share. */
#include "shared/pki/share_set.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "shared/base/text.h"
#include "shared/pki/key.h"

enum { NONCE = crypto_secretbox_NONCEBYTES, TAG = crypto_secretbox_MACBYTES, SEAL_TEXT = SHARE_SEAL_MAX / 3 * 4 + 8 };
_Static_assert((int)SHARE_SECRET == (int)crypto_secretbox_KEYBYTES && SHARE_SEAL_MAX == SHARE_PASSPHRASE_MAX + NONCE + TAG, "the secret is the box's key");

static void hash_of(const struct share *s, struct hash *ret)
{
	char text[SHARE_TEXT_SIZE];
	share_text(s, text);
	digest_sha256(span_text(text), ret);
	secret_wipe(text, sizeof(text));
}

void share_set_name(const uint8_t set[SHARE_SET], char ret[SHARE_SET_TEXT])
{
	(void)snprintf(ret, SHARE_SET_TEXT, "%02x%02x%02x%02x", set[0], set[1], set[2], set[3]);
}

int share_set_make(struct span passphrase, unsigned needed, unsigned n, struct share_set *ret, struct share shares[SHARES_MAX])
{
	struct share_set s = {.needed = needed, .n = n, .seal_n = NONCE + TAG + passphrase.n};
	uint8_t          secret[SHARE_SECRET];

	if (passphrase.n == 0 || passphrase.n > SHARE_PASSPHRASE_MAX)
		return E_RANGE;
	random_bytes(secret, sizeof(secret));
	random_bytes(s.seal, NONCE);
	int r = share_split(secret, needed, n, shares);
	if (r == 0 && (sodium_init() < 0 || crypto_secretbox_easy(s.seal + NONCE, passphrase.p, passphrase.n, s.seal, secret) != 0))
		r = E_PKI_CRYPTO;
	secret_wipe(secret, sizeof(secret));
	if (r < 0)
		return r;
	memcpy(s.set, shares[0].set, SHARE_SET);
	for (unsigned i = 0; i < n; i++)
		hash_of(&shares[i], &s.share[i]);
	*ret = s;
	return 0;
}

/* ---- as text ---- */

int share_set_write(const struct share_set *s, struct buf *to)
{
	char seal[SEAL_TEXT], name[SHARE_SET_TEXT], print[HASH_TEXT_SIZE];
	int  r = b64_text(s->seal, s->seal_n, seal, sizeof(seal));
	if (r < 0)
		return r;
	share_set_name(s->set, name);
	buf_add_fmt(to, "vcc-shares 1\nset %s\nneeded %u\nof %u\npassphrase %s\n", name, s->needed, s->n, seal);
	for (unsigned i = 0; i < s->n; i++)
		buf_add_fmt(to, "share %u %s\n", i + 1, hash_text(s->share[i], print));
	return buf_error(to);
}

/* One line "WORD VALUE" of the text; what is no such line leaves `ret` empty. */
static bool line_value(const char **at, const char *word, char *ret, size_t size)
{
	size_t n = strlen(word);
	size_t end = strcspn(*at, "\n");
	if (strncmp(*at, word, n) != 0 || end < n || (*at)[end] != '\n' || text_copy_n(ret, size, *at + n, end - n) < 0)
		return false;
	*at += end + 1;
	return true;
}

static bool number_value(const char **at, const char *word, unsigned least, unsigned *ret)
{
	char    text[8];
	int64_t value;
	if (!line_value(at, word, text, sizeof(text)) || text_i64(text, least, SHARES_MAX, &value) < 0)
		return false;
	*ret = (unsigned)value;
	return true;
}

static bool all_read(const char *at, struct share_set *s)
{
	char seal[SEAL_TEXT], word[24], print[HASH_TEXT_SIZE];
	if (!line_value(&at, "vcc-shares 1", print, sizeof(print)) || !line_value(&at, "set ", print, sizeof(print)) ||
	    hex_parse(print, s->set, sizeof(s->set)) < 0 || !number_value(&at, "needed ", 2, &s->needed) ||
	    !number_value(&at, "of ", s->needed, &s->n) || !line_value(&at, "passphrase ", seal, sizeof(seal)) ||
	    b64_parse(seal, s->seal, sizeof(s->seal), &s->seal_n) < 0 || s->seal_n <= NONCE + TAG)
		return false;
	for (unsigned i = 0; i < s->n; i++) {
		(void)snprintf(word, sizeof(word), "share %u ", i + 1);
		if (!line_value(&at, word, print, sizeof(print)) || hex_parse(print, s->share[i].b, sizeof(s->share[i].b)) < 0)
			return false;
	}
	return *at == '\0';
}

int share_set_read(struct span bytes, struct share_set *ret, struct refusal *why)
{
	struct share_set s = {.needed = 0};
	char             text[SHARE_SET_MAX];
	struct buf       again = BUF_MAX(SHARE_SET_MAX);
	/* what is written again from what was read must be the same: there is one spelling */
	bool good = text_copy_n(text, sizeof(text), (const char *)bytes.p, bytes.n) == 0 && all_read(text, &s) && share_set_write(&s, &again) == 0 &&
		    span_equal(buf_span(&again), bytes);
	buf_free(&again);
	if (!good)
		return refuse(why, E_SHARES_DAMAGED, "shares", "the file beside the keys is not what `vcc-signer split` writes");
	*ret = s;
	return 0;
}

/* ---- the shares ---- */

int share_set_judge(const struct share_set *s, const struct share *have, size_t n, const struct share *share, struct refusal *why)
{
	char        own[SHARE_SET_TEXT], its[SHARE_SET_TEXT];
	struct hash hash;

	share_set_name(s->set, own);
	share_set_name(share->set, its);
	if (memcmp(s->set, share->set, SHARE_SET) != 0)
		return refuse(why, E_SIGNER_SHARE, "share", "it is of set %s; wanted are shares of set %s", its, own);
	hash_of(share, &hash);
	if (share->number == 0 || share->number > s->n || share->needed != s->needed || !hash_equal(hash, s->share[share->number - 1]))
		return refuse(why, E_SIGNER_SHARE, "share", "it says that it is number %u of set %s, and is not the one that was handed out", share->number, own);
	for (size_t i = 0; i < n; i++)
		if (have[i].number == share->number)
			return refuse(why, E_SIGNER_SHARE, "share", "number %u of set %s is here already", share->number, own);
	return 0;
}

int share_set_open(const struct share_set *s, const struct share *shares, size_t n, struct buf *to, struct refusal *why)
{
	uint8_t secret[SHARE_SECRET];
	size_t  plain = s->seal_n - NONCE - TAG;

	if (n != s->needed || share_join(shares, n, secret) < 0)
		return refuse(why, E_SIGNER_SHARE, "shares", "%zu that fit together are here, and %u are needed", n, s->needed);
	uint8_t *room = buf_room(to, plain);
	int      r = room != NULL ? 0 : refuse(why, E_NOMEM, "shares", "no memory");
	if (r == 0 && (sodium_init() < 0 || crypto_secretbox_open_easy(room, s->seal + NONCE, plain + TAG, s->seal, secret) != 0))
		r = refuse(why, E_SHARES_DAMAGED, "shares", "the shares are right, and the passphrase beside the keys does not open: the file was altered");
	if (r == 0)
		buf_used(to, plain);
	secret_wipe(secret, sizeof(secret));
	return r;
}
