/* cert_url.c - room shared/pki: the public address of an installation, from a certificate's distribution point (RFC
 * 5280, 4.2.1.13). Never: following it. */
#include "shared/pki/cert_url.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/point.h"

/* The length of what stands before "/crl/ISSUER/SHARD.crl"; 0 when it ends in another way. */
static size_t base_length(const char *url)
{
	const char *shard = strrchr(url, '/');
	const char *at = shard;
	if (shard == NULL)
		return 0;
	size_t digits = strspn(shard + 1, "0123456789");
	if (digits == 0 || strcmp(shard + 1 + digits, ".crl") != 0)
		return 0;
	while (at > url && at[-1] != '/') /* back over ISSUER */
		at--;
	static const char folder[] = "/crl/";
	size_t            n = strlen(folder);
	if (at == shard || (size_t)(at - url) < n || strncmp(at - n, folder, n) != 0)
		return 0;
	return (size_t)(at - n - url);
}

/* What goes into a request line has no blanks and nothing that begins a query, a fragment or a user name. */
static bool is_plain(const char *url)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:[]";
	return url[strspn(url, allowed)] == '\0';
}

int cert_public_url(struct span der, char ret[URL_SIZE])
{
	static const char scheme[] = "http://";
	struct cert_parts parts;
	struct span       value;
	struct span       uri;
	char              url[URL_SIZE + ISSUER_ID_SIZE + 32];
	int               r = cert_parts_read(der, &parts);
	if (r != 0)
		return r;
	if (!tbs_parts_ext(&parts.t, EXT_CRL_POINTS, &value) || !point_of_certificate(value, &uri) ||
	    text_copy_n(url, sizeof(url), (const char *)uri.p, uri.n) != 0)
		return E_NOT_FOUND;
	size_t n = base_length(url);
	url[n] = '\0';
	if (!text_starts(url, scheme) || url[strlen(scheme)] == '\0' || url[strlen(scheme)] == '/' || !is_plain(url) ||
	    n >= URL_SIZE)
		return E_NOT_FOUND;
	memcpy(ret, url, n + 1);
	return 0;
}
