/* capath.c - room shared/pki: a folder of authorities and revocation lists as OpenSSL looks them up.
 * Never: files; judging what the certificates say. */
#include "shared/pki/capath.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "shared/base/text.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/der.h"

/* One kind of block: how it begins and ends, and after whom its file is named. */
struct kind {
	const char *label, *begin, *end;
	int (*name)(struct span der, struct span *ret_name);
	int    code; /* of a block that is none of this kind */
	size_t max;
};

static int subject_of(struct span der, struct span *ret_name)
{
	struct cert_parts parts;
	int               r = cert_parts_read(der, &parts);
	if (r == 0)
		*ret_name = parts.t.subject;
	return r;
}

static int issuer_of(struct span der, struct span *ret_name)
{
	struct der outer = der_of(der);
	struct der list = der_in(&outer, DER_SEQUENCE);
	struct der d = der_in(&list, DER_SEQUENCE);
	(void)der_skip(&d, DER_INTEGER); /* version */
	(void)der_whole(&d, DER_SEQUENCE);
	struct span issuer = der_whole(&d, DER_SEQUENCE);
	if (d.bad || list.bad || !der_done(&outer))
		return E_PKI_CRL;
	*ret_name = issuer;
	return 0;
}

#define BLOCK(text) .label = text, .begin = "-----BEGIN " text "-----\n", .end = "-----END " text "-----\n"
static const struct kind authority = {BLOCK("CERTIFICATE"), .name = subject_of, .code = E_PKI_CERT,
				      .max = CAPATH_AUTHORITIES_MAX};
static const struct kind list = {BLOCK("X509 CRL"), .name = issuer_of, .code = E_PKI_CRL, .max = CAPATH_LISTS_MAX};

/* ---- one block --------------------------------------------------------------------------------------------------- */

/* The next block, whole; false when there is none at the front. */
static bool block_take(struct span *rest, const struct kind *k, struct span *ret)
{
	size_t n = strlen(k->begin);
	if (rest->n < n || memcmp(rest->p, k->begin, n) != 0)
		return false;
	const uint8_t *end = memmem(rest->p, rest->n, k->end, strlen(k->end));
	if (end == NULL)
		return false;
	*ret = (struct span){rest->p, (size_t)(end - rest->p) + strlen(k->end)};
	*rest = (struct span){rest->p + ret->n, rest->n - ret->n};
	return true;
}

/* OpenSSL's hash of a Name: of its canonical form, so that spelling does not matter. */
static int name_hash(struct span name, unsigned long *ret)
{
	const uint8_t *p = name.p;
	X509_NAME     *x = d2i_X509_NAME(NULL, &p, (long)name.n);
	int            ok = 0;
	if (x != NULL)
		*ret = X509_NAME_hash_ex(x, NULL, NULL, &ok);
	X509_NAME_free(x);
	ERR_clear_error();
	return x != NULL && ok == 1 ? 0 : E_PKI_CRYPTO;
}

static int block_hash(struct span pem, const struct kind *k, unsigned long *ret)
{
	char          *name = NULL;
	char          *header = NULL;
	unsigned char *bytes = NULL;
	long           n = 0;
	struct span    found;
	BIO           *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		return E_NOMEM;
	int r = PEM_read_bio(bio, &name, &header, &bytes, &n) == 1 && strcmp(name, k->label) == 0 && header[0] == '\0'
			? 0
			: k->code;
	ERR_clear_error();
	if (r == 0)
		r = k->name((struct span){bytes, (size_t)n}, &found);
	if (r == 0)
		r = name_hash(found, ret);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(bytes);
	BIO_free(bio);
	return r;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* The lists of one issuer, and authorities of the same name, differ by a number. */
static void file_add(struct capath *c, const struct kind *k, unsigned long hash, struct span pem)
{
	struct capath_file file = {.hash = hash, .is_list = k == &list, .pem = pem};
	unsigned           number = 0;
	for (size_t i = 0; i < c->n; i++) {
		const struct capath_file *other = &c->files[i];
		if (other->hash != hash || other->is_list != file.is_list)
			continue;
		if (!file.is_list && span_equal(other->pem, pem))
			return;
		number++;
	}
	snprintf(file.name, sizeof(file.name), file.is_list ? "%08lx.r%u" : "%08lx.%u", hash, number);
	c->files[c->n++] = file;
}

static int blocks_add(struct capath *c, const struct kind *k, struct span pem)
{
	struct span block;
	size_t      n = 0;
	int         r = 0;
	while (r == 0 && block_take(&pem, k, &block)) {
		unsigned long       hash = 0;
		struct capath_file *more = n++ < k->max ? reallocarray(c->files, c->n + 1, sizeof(*more)) : NULL;
		if (more == NULL)
			return n > k->max ? E_FULL : E_NOMEM;
		c->files = more;
		r = block_hash(block, k, &hash);
		if (r == 0)
			file_add(c, k, hash, block);
	}
	return r == 0 && pem.n > 0 ? k->code : r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct capath_file *)a)->name, ((const struct capath_file *)b)->name);
}

int capath_make(struct span authorities, struct span lists, struct capath *ret)
{
	struct capath c = {.n = 0};
	int           r = blocks_add(&c, &authority, authorities);
	if (r == 0)
		r = blocks_add(&c, &list, lists);
	if (r != 0) {
		capath_free(&c);
		return r;
	}
	if (c.n > 0)
		qsort(c.files, c.n, sizeof(*c.files), by_name);
	*ret = c;
	return 0;
}

void capath_free(struct capath *c)
{
	free(c->files);
	*c = (struct capath){.n = 0};
}
