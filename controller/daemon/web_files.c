/* web_files.c - room controller/daemon: answers with the dashboard's files. The page at "/" is asked for each time; all others lie below a
 * hash of the whole, so that a browser never asks twice for one, and never mixes those of two versions. They are kept compressed only.
 * Never: files of the host, or anything that depends on who asks. */
#include "controller/daemon/web_files.h"

#include <stdio.h>
#include <string.h>

#include "controller/daemon/web_origin.h"
#include "shared/base/text.h"

#define BELOW   "/w/"
#define PACKED  ".gz"
#define PAGE    "index.html"
#define BUILD   "build.hash"
#define OWN     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
#define CONTENT OWN "form-action 'self'; frame-ancestors 'none'"

/* scripts/embed */
struct embedded_file {
	const char          *name;
	const unsigned char *bytes;
	size_t               n;
};
extern const struct embedded_file web_files[];
extern const size_t               web_files_n;

static const struct {
	const char *ending, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"}, {".css", "text/css; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"}, {".svg", "image/svg+xml"},
};

static const struct {
	const char *name, *value;
} headers[] = {
	{"content-security-policy", CONTENT}, {"referrer-policy", "no-referrer"}, {"x-frame-options", "DENY"},
	{"cross-origin-opener-policy", "same-origin"}, {"permissions-policy", "camera=(), geolocation=(), microphone=()"}, {"content-encoding", "gzip"},
};

static const struct embedded_file *file_find(const char *name, const char *ending)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < web_files_n; i++)
		if (strncmp(web_files[i].name, name, n) == 0 && text_equal(web_files[i].name + n, ending))
			return &web_files[i];
	return NULL;
}

static struct span build(void)
{
	const struct embedded_file *f = file_find(BUILD, "");
	return f != NULL ? (struct span){f->bytes, f->n} : (struct span){NULL, 0};
}

static const char *type_of(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (text_ends(name, types[i].ending))
			return types[i].type;
	return "application/octet-stream";
}

/* "/w/BUILD/NAME" of this build; NULL = another one's, or none. */
static const char *name_of(const char *path)
{
	struct span b = build();
	if (text_equal(path, "/"))
		return PAGE;
	path += sizeof(BELOW) - 1;
	if (strncmp(path, (const char *)b.p, b.n) != 0 || path[b.n] != '/')
		return NULL;
	return path + b.n + 1;
}

bool web_files_own(const char *path)
{
	return text_equal(path, "/") || text_starts(path, BELOW);
}

static void refuse_plain(struct http_call *call, const struct refusal *why, int status)
{
	char text[512], code[ERR_CODE_SIZE];
	(void)snprintf(text, sizeof(text), "%s %s: %s. %s\n", err_code(why->code, code), err_what(why->code), why->cause, err_next(why->code));
	http_call_answer(call, status, "text/plain; charset=utf-8", span_text(text));
}

/* The page may have been seen; what it names is below the hash, and stays. */
static void send_file(struct http_call *call, const char *name, const struct embedded_file *f)
{
	const struct http_request *q = http_call_request(call);
	struct span                b = build();
	bool                       page = text_equal(name, PAGE);
	char                       etag[40] = "";
	if (page)
		(void)snprintf(etag, sizeof(etag), "\"%.*s\"", (int)b.n, (const char *)b.p);
	for (size_t i = 0; i < N_ELEMENTS(headers); i++)
		http_call_header(call, headers[i].name, headers[i].value);
	http_call_header(call, "cache-control", page ? "no-cache" : "public, max-age=31536000, immutable");
	if (page)
		http_call_header(call, "etag", etag);
	if (page && q->if_none_match[0] != '\0' && strstr(q->if_none_match, etag) != NULL)
		http_call_answer(call, 304, type_of(name), (struct span){NULL, 0});
	else
		http_call_answer(call, 200, type_of(name), (struct span){f->bytes, f->n});
}

void web_files_handle(const struct controller_conf *conf, struct http_call *call)
{
	const struct http_request  *q = http_call_request(call);
	const char                 *name = name_of(q->path);
	const struct embedded_file *f = name != NULL && name[0] != '\0' ? file_find(name, PACKED) : NULL;
	struct refusal              why;
	if (web_host_check(q, conf, &why) < 0) {
		refuse_plain(call, &why, 403);
	} else if (!text_equal(q->method, "GET") && !text_equal(q->method, "HEAD")) {
		http_call_header(call, "allow", "GET, HEAD");
		(void)refuse(&why, E_API_METHOD, q->path, "only GET and HEAD are");
		refuse_plain(call, &why, 405);
	} else if (f == NULL) {
		(void)refuse(&why, E_API_ROUTE, q->path, "this version of the dashboard has no such file; reload the page");
		refuse_plain(call, &why, 404);
	} else {
		send_file(call, name, f);
	}
}
