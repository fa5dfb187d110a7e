/* public_http.c - room controller/daemon: the public listener: CRLs and CA certificates for relying parties.
 * Never: anything that needs a token. */
#include "controller/daemon/public_http.h"

#include <string.h>

#include "shared/base/text.h"

/* "PREFIX" ID "SUFFIX": takes the id between, which must be a plain issuer id. */
static bool take_id(const char *path, const char *prefix, const char *end, char ret[ISSUER_ID_SIZE])
{
	const char *from = path + strlen(prefix);
	return text_copy_n(ret, ISSUER_ID_SIZE, from, (size_t)(end - from)) == 0 && name_template_ok(ret);
}

static bool find_crl(struct controller *ctl, const char *path, struct span *ret)
{
	char        id[ISSUER_ID_SIZE];
	char        number[16];
	int64_t     shard;
	const char *slash = strrchr(path, '/');
	size_t      n = strlen(slash);
	if (slash < path + strlen("/crl/") || !text_ends(slash, ".crl") || !take_id(path, "/crl/", slash, id))
		return false;
	if (text_copy_n(number, sizeof(number), slash + 1, n - 1 - strlen(".crl")) < 0 || text_i64(number, 0, UINT32_MAX, &shard) < 0)
		return false;
	return controller_crl(ctl, id, (uint32_t)shard, ret);
}

static bool find_ca(struct controller *ctl, const char *path, struct span *ret)
{
	char        id[ISSUER_ID_SIZE];
	const char *end = path + strlen(path) - strlen(".cer");
	return text_ends(path, ".cer") && end > path + strlen("/ca/") && take_id(path, "/ca/", end, id) && controller_ca(ctl, id, ret);
}

/* With ?sha256=HEX: exactly these, or nothing. */
static bool find_lists(struct controller *ctl, const struct http_call *call, struct span *ret)
{
	const char *wanted = http_call_arg(call, "sha256");
	struct hash hash;
	if (wanted != NULL)
		return hash_parse(wanted, &hash) == 0 && controller_crl_edition(ctl, hash, ret);
	*ret = controller_crl_all(ctl);
	return ret->n > 0;
}

static bool find_authorities(struct controller *ctl, struct span *ret)
{
	*ret = controller_ca_all(ctl);
	return ret->n > 0;
}

void public_http_handle(struct controller *ctl, struct http_call *call)
{
	const struct http_request *q = http_call_request(call);
	struct span                body;
	const char                *type = NULL;
	if (!text_equal(q->method, "GET") && !text_equal(q->method, "HEAD")) {
		http_call_header(call, "allow", "GET, HEAD");
		http_call_answer(call, 405, "text/plain", span_text("only GET and HEAD\n"));
		return;
	}
	if (text_equal(q->path, "/crl/all.pem")) {
		type = find_lists(ctl, call, &body) ? "application/x-pem-file" : NULL;
	} else if (text_equal(q->path, "/ca/all.pem")) {
		type = find_authorities(ctl, &body) ? "application/x-pem-file" : NULL;
	} else if (text_starts(q->path, "/crl/") && find_crl(ctl, q->path, &body)) {
		type = "application/pkix-crl";
	} else if (text_starts(q->path, "/ca/") && find_ca(ctl, q->path, &body)) {
		type = "application/pkix-cert";
	}
	if (type == NULL) {
		http_call_answer(call, 404, "text/plain", span_text("not found\n"));
		return;
	}
	http_call_header(call, "cache-control", "max-age=60");
	http_call_answer(call, 200, type, body);
}
