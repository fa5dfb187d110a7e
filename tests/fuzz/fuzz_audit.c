/* fuzz_audit.c - does the verifier of exported trails ever read outside its lines, or accept rows that a known head does not
 * cover? Input: lines of an export, as they are. */
#include <stdlib.h>
#include <string.h>

#include "controller/cli/audit_verify.h"
#include "shared/pki/issue.h"
#include "shared/pki/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A head of three rows with a root that nobody has rows for. */
static const struct known_head known = {.head = {.size = 3, .root = {{1, 2, 3}}}, .from = "fuzz"};

static bool judge(const uint8_t *data, size_t size, const struct known_head *k, size_t n_known, struct verify_report *ret)
{
	struct verifier *v;
	struct refusal   why;
	int              r = 0;
	if (verifier_new((struct span){NULL, 0}, k, n_known, &v) < 0)
		abort();
	while (size > 0 && r == 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t         n = end != NULL ? (size_t)(end - data) + 1 : size;
		uint8_t       *line = malloc(n); /* of its own, so that a read beyond it is seen */
		if (line == NULL)
			abort();
		memcpy(line, data, n);
		r = verifier_line(v, (struct span){line, n}, &why);
		free(line);
		data += n;
		size -= n;
	}
	if (r == 0)
		r = verifier_end(v, ret, &why);
	verifier_free(v);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verify_report alone = {.from = 0}, against = {.from = 0};
	bool                 good = judge(data, size, NULL, 0, &alone);
	if (good && (alone.n.heads > 0 || alone.size != alone.from + alone.n.rows)) /* nobody's authority leads to no root */
		abort();
	if (judge(data, size, &known, 1, &against) && against.from <= known.head.size)
		abort();
	return 0;
}
