/* web_session.c - room controller/daemon: the table of sessions, and the header token that belongs to a cookie.
 * Never: clocks, rights, keeping what the browser shows. */
#include "controller/daemon/web_session.h"

#include <string.h>

#include "shared/base/buf.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"

static const char header_label[] = "vcc session header v1";

static bool is_over(const struct web_session *row, int64_t now)
{
	return now - row->used_at >= WEB_IDLE_MS || now - row->opened_at >= WEB_LIFE_MS;
}

/* A free row; else the one that was used longest ago, of this principal where it has enough of its own. */
static struct web_session *room(struct web_sessions *s, const char *principal, int64_t now)
{
	struct web_session *free_row = NULL, *own = NULL, *oldest = &s->rows[0];
	size_t              n = 0;
	for (size_t i = 0; i < WEB_SESSIONS_MAX; i++) {
		struct web_session *row = &s->rows[i];
		if (!hash_is_none(row->key) && is_over(row, now))
			web_session_end(row);
		if (hash_is_none(row->key)) {
			free_row = row;
			continue;
		}
		if (row->used_at < oldest->used_at)
			oldest = row;
		if (!text_equal(row->principal, principal))
			continue;
		n++;
		if (own == NULL || row->used_at < own->used_at)
			own = row;
	}
	return n >= WEB_SESSIONS_OF_ONE ? own : free_row != NULL ? free_row : oldest;
}

struct web_session *web_session_open(struct web_sessions *s, const struct web_session *what, const uint8_t secret[WEB_SECRET], int64_t now)
{
	struct web_session *row = room(s, what->principal, now);
	*row = *what;
	digest_sha256((struct span){secret, WEB_SECRET}, &row->key);
	row->opened_at = row->used_at = now;
	row->confirmed_at = TIME_NEVER;
	return row;
}

static bool cookie_bytes(const char *cookie, uint8_t ret[WEB_SECRET])
{
	size_t n = 0;
	return b64url_parse(cookie, ret, WEB_SECRET, &n) == 0 && n == WEB_SECRET;
}

struct web_session *web_session_find(struct web_sessions *s, const char *cookie, int64_t now)
{
	uint8_t     secret[WEB_SECRET];
	struct hash key;
	if (!cookie_bytes(cookie, secret))
		return NULL;
	digest_sha256((struct span){secret, sizeof(secret)}, &key);
	secret_wipe(secret, sizeof(secret));
	for (size_t i = 0; i < WEB_SESSIONS_MAX; i++) {
		if (!hash_equal(s->rows[i].key, key))
			continue;
		if (!is_over(&s->rows[i], now))
			return &s->rows[i];
		web_session_end(&s->rows[i]);
	}
	return NULL;
}

void web_session_end(struct web_session *row)
{
	memset(row, 0, sizeof(*row));
}

bool web_session_confirmed(const struct web_session *row, int64_t now)
{
	return row->confirmed_at != TIME_NEVER && now - row->confirmed_at < WEB_CONFIRMED_MS;
}

int64_t web_session_left(const struct web_session *row, int64_t now)
{
	return row->opened_at + WEB_LIFE_MS - now;
}

const char *web_session_header(const char *cookie, char ret[WEB_TEXT_SIZE])
{
	uint8_t     secret[WEB_SECRET];
	struct hash hash;
	ret[0] = '\0';
	if (!cookie_bytes(cookie, secret))
		return ret;
	digest_hmac(secret, span_text(header_label), &hash);
	secret_wipe(secret, sizeof(secret));
	return b64url_text(hash.b, sizeof(hash.b), ret, WEB_TEXT_SIZE) == 0 ? ret : "";
}

bool web_session_header_fits(const char *cookie, const char *header)
{
	uint8_t     secret[WEB_SECRET];
	struct hash said;
	size_t      n = 0;
	if (!cookie_bytes(cookie, secret) || b64url_parse(header, said.b, sizeof(said.b), &n) < 0 || n != sizeof(said.b))
		return false;
	bool fits = digest_hmac_fits(secret, span_text(header_label), said);
	secret_wipe(secret, sizeof(secret));
	return fits;
}
