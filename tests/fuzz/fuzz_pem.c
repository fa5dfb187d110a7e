/* fuzz_pem.c - certificates as people hand them in: whatever is taken from PEM is written, read again and is the same; the strict reader takes
 * what we write, and only that; no certificate or chain makes the reading of it fall. */
#include <stdlib.h>
#include <string.h>

#include "shared/pki/cert.h"
#include "shared/pki/der.h"
#include "shared/pki/pem_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf ders = BUF_MAX(1 << 20), pem = BUF_MAX(1 << 20), again = BUF_MAX(1 << 20), block = BUF_MAX(1 << 20);

/* Each certificate by itself, and all of them as a chain of the first to the last. */
static void look(struct span all)
{
	struct cert_info info;
	struct span      rest = all, der, leaf = {NULL, 0}, chain = {NULL, 0}, root = {NULL, 0};
	while (der_next(&rest, &der)) {
		(void)cert_read(der, &info);
		if (leaf.p == NULL) {
			leaf = der;
			chain = rest;
		}
		root = der;
	}
	if (leaf.p != NULL)
		(void)cert_verify(leaf, chain, root, 0, INT64_C(1790000000000), NULL);
}

static void try_strict(struct span text)
{
	struct span rest = text;
	int         r;
	buf_reset(&ders);
	do {
		buf_reset(&block);
		r = pem_read(&rest, PEM_CERTIFICATE, &block);
		struct span whole = buf_span(&block), one;
		if (r == 1 && (!der_next(&whole, &one) || whole.n > 0))
			return; /* not one DER value: cert_pem_add() takes none such */
		if (r == 1)
			buf_add(&ders, block.p, block.n);
	} while (r == 1);
	buf_reset(&pem);
	if (r < 0 || cert_pem_add(buf_span(&ders), &pem) < 0)
		return;
	if (!span_equal(text, buf_span(&pem)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = {data, size};
	buf_reset(&ders);
	buf_reset(&pem);
	buf_reset(&again);
	if (cert_from_pem(text, &ders) == 0) {
		look(buf_span(&ders));
		if (cert_pem_add(buf_span(&ders), &pem) < 0 || cert_from_pem(buf_span(&pem), &again) < 0 ||
		    !span_equal(buf_span(&ders), buf_span(&again)))
			abort();
	}
	try_strict(text);
	return 0;
}
