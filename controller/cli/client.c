/* client.c - room controller/cli: speaks the admin API over HTTPS or the local socket.
 * Never: printing answers; a token stands in no argument list and no log. */
#include "controller/cli/client.h"
#include "controller/cli/named_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "shared/base/text.h"
#include "shared/conf/conf.h"
#include "shared/pki/crypto_library.h"
#include "shared/sys/clock.h"

enum { ANSWER_MAX = 256 << 20, CALL_SECONDS = 150, CONNECT_SECONDS = 10, SILENCE_SECONDS = 60, LIST_MAX = 100000 };

#define DEFAULT_SOCKET "/run/vcc-controller/admin.sock"

static const struct conf_key keys[] = {
	{"vccctl", "url", CONF_TEXT, offsetof(struct client, url), CLIENT_URL_SIZE, 0, 0, "", NULL, "Admin API, https://NAME:8444. Empty = the local socket."},
	{"vccctl", "ca", CONF_TEXT, offsetof(struct client, ca), CLIENT_PATH_SIZE, 0, 0, "", NULL, "Root certificate of the installation, PEM."},
	{"vccctl", "token_file", CONF_TEXT, offsetof(struct client, token_file), CLIENT_PATH_SIZE, 0, 0, "", NULL, "File with the bearer token."},
	{"vccctl", "cert", CONF_TEXT, offsetof(struct client, cert), CLIENT_PATH_SIZE, 0, 0, "", NULL, "Client certificate with its chain, PEM, instead of a token."},
	{"vccctl", "key", CONF_TEXT, offsetof(struct client, key), CLIENT_PATH_SIZE, 0, 0, "", NULL, "Its key, PEM."},
	{"vccctl", "socket", CONF_TEXT, offsetof(struct client, socket), CLIENT_PATH_SIZE, 0, 0, "", NULL, "Local socket of the controller."},
};

const struct conf_schema client_schema = {
	.program = "vccctl", .file = "vccctl.conf", .struct_size = sizeof(struct client), .keys = keys, .n_keys = N_ELEMENTS(keys)};

enum { KEY_URL, KEY_CA, KEY_TOKEN_FILE, KEY_CERT, KEY_KEY, KEY_SOCKET }; /* positions in keys[] */

static char *value_of(struct client *c, int key)
{
	return (char *)c + keys[key].offset;
}

static void take(struct client *c, struct client *from, int key)
{
	text_cut(value_of(c, key), keys[key].size, value_of(from, key));
	text_cut(c->origin[key], CONF_ORIGIN_SIZE, from->origin[key]);
}

static int read_configuration(struct client *c, struct refusal *why)
{
	char          path[CLIENT_PATH_SIZE], origins[CLIENT_KEYS][CONF_ORIGIN_SIZE];
	struct client from;
	const char   *named = getenv("VCCCTL_CONFIG");
	const char   *home = getenv("HOME");
	if (named != NULL && named[0] != '\0') {
		if (text_copy(path, sizeof(path), named) < 0)
			return refuse(why, E_CONF_FILE, "VCCCTL_CONFIG", "the path is too long");
	} else {
		int n = snprintf(path, sizeof(path), "%s/.config/vccctl.conf", home != NULL ? home : "");
		if (home == NULL || n < 0 || (size_t)n >= sizeof(path) || access(path, F_OK) != 0)
			return 0;
	}
	int r = conf_load(&client_schema, path, &from, origins, why);
	if (r < 0)
		return r;
	memcpy(from.origin, origins, sizeof(origins));
	if (c->ca[0] == '\0')
		take(c, &from, KEY_CA);
	if (c->token_file[0] == '\0' && c->cert[0] == '\0') { /* one way of showing who one is */
		take(c, &from, KEY_TOKEN_FILE);
		take(c, &from, KEY_CERT);
		take(c, &from, KEY_KEY);
	}
	if (c->url[0] == '\0' && c->socket[0] == '\0') {
		take(c, &from, KEY_URL);
		take(c, &from, KEY_SOCKET);
	}
	return 0;
}

int client_configure(struct client *c, struct refusal *why)
{
	for (int i = 0; i < CLIENT_KEYS; i++)
		text_cut(c->origin[i], CONF_ORIGIN_SIZE, value_of(c, i)[0] != '\0' ? "command line" : "default");
	if (c->url[0] == '\0' && c->socket[0] == '\0') {
		int r = read_configuration(c, why);
		if (r < 0)
			return EXIT_USAGE;
	}
	if (c->url[0] == '\0' && c->socket[0] == '\0') {
		text_cut(c->socket, sizeof(c->socket), DEFAULT_SOCKET);
		text_cut(c->origin[KEY_SOCKET], CONF_ORIGIN_SIZE, "default");
	}
	size_t n = strlen(c->url);
	if (n > 0 && c->url[n - 1] == '/')
		c->url[n - 1] = '\0';
	return EXIT_DONE;
}

static size_t on_answer(char *bytes, size_t size, size_t n, void *ctx)
{
	struct buf *answer = ctx;
	buf_add(answer, bytes, size * n);
	return buf_error(answer) == 0 ? size * n : 0;
}

/* "Authorization: Bearer ..." from the token file; wiped by the caller. */
static int token_header(const struct client *c, struct buf *header, struct refusal *why)
{
	struct buf token = BUF_MAX(1024);
	int        r = named_file_read(c->token_file, true, &token, why);
	if (r == 0) {
		while (token.n > 0 && (token.p[token.n - 1] == '\n' || token.p[token.n - 1] == ' '))
			token.n--;
		buf_add_text(header, "Authorization: Bearer ");
		buf_add(header, token.p, token.n);
		buf_add_u8(header, 0);
		r = buf_error(header) == 0 ? 0 : refuse(why, buf_error(header), c->token_file, "the token cannot be kept");
	}
	buf_wipe(&token);
	return r;
}

static int exit_of_status(long status)
{
	switch (status) {
	case 401:
	case 403:
		return EXIT_DENIED;
	case 404:
		return EXIT_NOT_FOUND;
	case 503:
	case 429:
		return EXIT_UNREACHABLE;
	default:
		return EXIT_FAILED;
	}
}

/* OpenSSL's reasons (X509_V_ERR_*) that another root would not give: the chain ends at none that is trusted. */
static bool is_of_another_root(CURL *curl)
{
	enum { DEPTH_ZERO_SELF_SIGNED = 18, SELF_SIGNED_IN_CHAIN, NO_LOCAL_ISSUER, NO_LEAF_SIGNATURE };
	long reason = 0;
	curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &reason);
	return reason >= DEPTH_ZERO_SELF_SIGNED && reason <= NO_LEAF_SIGNATURE;
}

/* No answer came. What is wrong on this side is told as such. */
static int word_failure(const struct client *c, CURL *curl, CURLcode done, struct refusal *why)
{
	if (done == CURLE_SSL_CERTPROBLEM || done == CURLE_SSL_CACERT_BADFILE) {
		refuse(why, E_CONF_FILE, done == CURLE_SSL_CERTPROBLEM ? c->cert : c->ca, "%s", curl_easy_strerror(done));
		return EXIT_USAGE;
	}
	if (done == CURLE_PEER_FAILED_VERIFICATION && is_of_another_root(curl)) {
		refuse(why, E_CLI_CA, c->ca[0] != '\0' ? c->ca : "--ca", "the certificate of %s is not signed by %s", c->url,
		       c->ca[0] != '\0' ? "this root" : "a root of this machine, and no other was given");
		return EXIT_UNREACHABLE;
	}
	refuse(why, E_CLI_UNREACHABLE, c->url[0] != '\0' ? c->url : c->socket, "%s", curl_easy_strerror(done));
	return EXIT_UNREACHABLE;
}

/* A problem document becomes a refusal in the words of the controller. */
static int word_problem(long status, const json_t *problem, struct refusal *why)
{
	const char *code = json_string_value(json_object_get(problem, "code"));
	const char *object = json_string_value(json_object_get(problem, "object"));
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	int64_t     number;
	if (code == NULL || !text_starts(code, "VCC-") || text_i64(code + 4, 1, 9999, &number) < 0)
		refuse(why, E_CLI_ANSWER, "controller", "HTTP status %ld", status);
	else
		refuse(why, -(int)number, object, "%s", detail != NULL ? detail : "");
	if (why->code == E_CAMPAIGN_PLAN_STALE || why->code == E_CAMPAIGN_APPLIED)
		return EXIT_STALE;
	return exit_of_status(status);
}

/* None where libcrypto's default context is not there. */
static CURL *handle_new(void)
{
	return crypto_library_start() == 0 ? curl_easy_init() : NULL;
}

struct exchange {
	CURL              *curl;
	struct curl_slist *headers;
	struct buf         answer;
	struct buf         token;
	char              *body;
	bool               incomplete; /* a header or a setting found no memory: without it another thing would be asked for */
	char               url[CLIENT_URL_SIZE + CLIENT_PATH_SIZE];
};

#define SET(x, option, value) ((x)->incomplete |= curl_easy_setopt((x)->curl, option, value) != CURLE_OK)

static void header_add(struct exchange *x, const char *line)
{
	struct curl_slist *longer = curl_slist_append(x->headers, line);
	x->incomplete |= longer == NULL;
	x->headers = longer != NULL ? longer : x->headers;
}

static int exchange_complete(const struct exchange *x, struct refusal *why)
{
	return x->incomplete ? (refuse(why, E_NOMEM, "vccctl", "no memory for the request"), EXIT_FAILED) : EXIT_DONE;
}

static void exchange_free(struct exchange *x)
{
	curl_slist_free_all(x->headers);
	curl_easy_cleanup(x->curl);
	buf_free(&x->answer);
	buf_wipe(&x->token);
	free(x->body);
}

static void exchange_body(const struct client *c, struct exchange *x, const json_t *body)
{
	json_t *whole = body != NULL ? json_copy((json_t *)(uintptr_t)body) : json_object();
	if (c->reason[0] != '\0' && json_object_get(whole, "reason") == NULL)
		json_object_set_new(whole, "reason", json_string(c->reason));
	x->body = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	header_add(x, "Content-Type: application/json");
	SET(x, CURLOPT_POSTFIELDS, x->body);
}

static void exchange_conditions(const struct client *c, struct exchange *x)
{
	char line[64], prefer[sizeof(c->prefer) + 10];
	snprintf(line, sizeof(line), "If-Match: %s", c->if_match);
	snprintf(prefer, sizeof(prefer), "Prefer: %s", c->prefer);
	header_add(x, "Accept: application/json");
	header_add(x, "Expect:");
	if (c->if_match[0] != '\0')
		header_add(x, line);
	if (c->prefer[0] != '\0')
		header_add(x, prefer);
}

static int exchange_prepare(const struct client *c, struct exchange *x, const char *method, const char *path, const json_t *body, struct refusal *why)
{
	bool local = c->url[0] == '\0';
	snprintf(x->url, sizeof(x->url), "%s%s", local ? "http://localhost" : c->url, path);
	if (!local && !text_starts(c->url, "https://"))
		return refuse(why, E_CLI_USAGE, c->url, "the URL must begin with https://"), EXIT_USAGE;
	x->curl = handle_new();
	if (x->curl == NULL)
		return refuse(why, E_NOMEM, "vccctl", "no HTTP client"), EXIT_FAILED;
	exchange_conditions(c, x);
	if (c->token_file[0] != '\0' && !local) {
		if (token_header(c, &x->token, why) < 0)
			return EXIT_USAGE; /* nobody was asked yet */
		header_add(x, (const char *)x->token.p);
	}
	if (body != NULL || (c->reason[0] != '\0' && text_equal(method, "POST")))
		exchange_body(c, x, body);
	if (c->cert[0] != '\0' && !local) {
		SET(x, CURLOPT_SSLCERT, c->cert);
		SET(x, CURLOPT_SSLKEY, c->key[0] != '\0' ? c->key : c->cert);
	}
	if (local)
		SET(x, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	else if (c->ca[0] != '\0')
		SET(x, CURLOPT_CAINFO, c->ca);
	SET(x, CURLOPT_PROTOCOLS_STR, local ? "http" : "https");
	SET(x, CURLOPT_URL, x->url);
	SET(x, CURLOPT_CUSTOMREQUEST, method);
	SET(x, CURLOPT_HTTPHEADER, x->headers);
	SET(x, CURLOPT_NOPROXY, "*");
	SET(x, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	SET(x, CURLOPT_TIMEOUT, (long)CALL_SECONDS);
	SET(x, CURLOPT_WRITEFUNCTION, on_answer);
	SET(x, CURLOPT_WRITEDATA, &x->answer);
	return exchange_complete(x, why);
}

static int exchange_run(const struct client *c, struct exchange *x, int *ret_status, json_t **ret_answer, struct refusal *why)
{
	long     status = 0;
	CURLcode done = curl_easy_perform(x->curl);
	if (done != CURLE_OK)
		return word_failure(c, x->curl, done, why);
	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	json_t *answer = x->answer.n > 0 ? json_loadb((const char *)x->answer.p, x->answer.n, 0, NULL) : NULL;
	if (status < 200 || status > 299) {
		int r = word_problem(status, answer, why);
		json_decref(answer);
		return r;
	}
	if (x->answer.n > 0 && answer == NULL) {
		refuse(why, E_CLI_ANSWER, x->url, "the answer is not JSON");
		return EXIT_FAILED;
	}
	if (ret_status != NULL)
		*ret_status = (int)status;
	*ret_answer = answer;
	return EXIT_DONE;
}

int client_call(const struct client *c, const char *method, const char *path, const json_t *body, int *ret_status, json_t **ret_answer,
                struct refusal *why)
{
	struct exchange x = {.answer = BUF_MAX(ANSWER_MAX), .token = BUF_MAX(2048)};
	int             r = exchange_prepare(c, &x, method, path, body, why);
	if (r == EXIT_DONE)
		r = exchange_run(c, &x, ret_status, ret_answer, why);
	exchange_free(&x);
	return r;
}

struct download {
	CURL      *curl;
	FILE      *to;
	struct buf problem; /* what comes instead where the status is no success */
};

static size_t on_piece(char *bytes, size_t size, size_t n, void *ctx)
{
	struct download *d = ctx;
	long             status = 0;
	curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && status <= 299)
		return fwrite(bytes, size, n, d->to) * size;
	buf_add(&d->problem, bytes, size * n);
	return buf_error(&d->problem) == 0 ? size * n : 0;
}

static int download_run(const struct client *c, struct exchange *x, struct download *d, struct refusal *why)
{
	long     status = 0;
	CURLcode done = curl_easy_perform(x->curl);
	if (done == CURLE_WRITE_ERROR && d->problem.n == 0) {
		refuse(why, E_SYS_IO, "output", "the file cannot be written");
		return EXIT_FAILED;
	}
	if (done != CURLE_OK)
		return word_failure(c, x->curl, done, why);
	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && status <= 299)
		return EXIT_DONE;
	json_t *problem = d->problem.n > 0 ? json_loadb((const char *)d->problem.p, d->problem.n, 0, NULL) : NULL;
	int     r = word_problem(status, problem, why);
	json_decref(problem);
	return r;
}

int client_download(const struct client *c, const char *path, FILE *to, struct refusal *why)
{
	struct exchange x = {.answer = BUF_MAX(ANSWER_MAX), .token = BUF_MAX(2048)};
	struct download d = {.to = to, .problem = BUF_MAX(65536)};
	int             r = exchange_prepare(c, &x, "GET", path, NULL, why);
	if (r == EXIT_DONE) {
		d.curl = x.curl;
		curl_easy_setopt(x.curl, CURLOPT_TIMEOUT, 0L); /* however long the trail is, while it moves */
		curl_easy_setopt(x.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(x.curl, CURLOPT_LOW_SPEED_TIME, (long)CALL_SECONDS);
		curl_easy_setopt(x.curl, CURLOPT_WRITEFUNCTION, on_piece);
		curl_easy_setopt(x.curl, CURLOPT_WRITEDATA, &d);
		r = download_run(c, &x, &d, why);
	}
	buf_free(&d.problem);
	exchange_free(&x);
	return r;
}

struct events {
	CURL            *curl;
	client_event_fn *fn;
	void            *ctx;
	struct buf       line;
	struct buf       problem;
	char             id[CLIENT_EVENT_ID_SIZE];
	int64_t          heard; /* monotonic: the last byte */
	bool             ended; /* by fn */
};

/* Where nothing happens something comes each 10 s: too few for a limit by speed, enough to know that somebody is there. */
static int on_silence(void *ctx, curl_off_t all, curl_off_t now, curl_off_t up_all, curl_off_t up_now)
{
	const struct events *e = ctx;
	(void)all, (void)now, (void)up_all, (void)up_now;
	return clock_monotonic() - e->heard > SILENCE_SECONDS * 1000;
}

/* One line without its end; the stream of ours has one data line per event. */
static void take_line(struct events *e, const char *line)
{
	if (text_starts(line, "id: "))
		text_cut(e->id, sizeof(e->id), line + 4);
	else if (text_starts(line, "data: "))
		e->ended = e->fn(e->ctx, e->id, line + 6) != 0;
}

static size_t on_events(char *bytes, size_t size, size_t n, void *ctx)
{
	struct events *e = ctx;
	long           status = 0;
	e->heard = clock_monotonic();
	curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299) {
		buf_add(&e->problem, bytes, size * n);
		return buf_error(&e->problem) == 0 ? size * n : 0;
	}
	for (size_t i = 0; i < size * n && !e->ended; i++) {
		buf_add_u8(&e->line, bytes[i] == '\n' ? 0 : (uint8_t)bytes[i]);
		if (buf_error(&e->line) != 0)
			return 0;
		if (bytes[i] != '\n')
			continue;
		take_line(e, (const char *)e->line.p);
		buf_reset(&e->line);
	}
	return e->ended ? 0 : size * n;
}

static int events_run(const struct client *c, struct exchange *x, struct events *e, struct refusal *why)
{
	long     status = 0;
	CURLcode done = curl_easy_perform(x->curl);
	if (e->ended)
		return EXIT_DONE;
	if (done == CURLE_ABORTED_BY_CALLBACK) {
		refuse(why, E_CLI_UNREACHABLE, c->url[0] != '\0' ? c->url : c->socket, "nothing was heard of it for a while");
		return EXIT_UNREACHABLE;
	}
	if (done != CURLE_OK)
		return word_failure(c, x->curl, done, why);
	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && status <= 299)
		return EXIT_DONE;
	json_t *problem = e->problem.n > 0 ? json_loadb((const char *)e->problem.p, e->problem.n, 0, NULL) : NULL;
	int     r = word_problem(status, problem, why);
	json_decref(problem);
	return r;
}

int client_events(const struct client *c, const char *path, const char *last_id, client_event_fn *fn, void *ctx, struct refusal *why)
{
	struct exchange x = {.answer = BUF_MAX(ANSWER_MAX), .token = BUF_MAX(2048)};
	struct events   e = {.fn = fn, .ctx = ctx, .line = BUF_MAX(65536), .problem = BUF_MAX(65536)};
	int             r = exchange_prepare(c, &x, "GET", path, NULL, why);
	if (r == EXIT_DONE) {
		char header[CLIENT_EVENT_ID_SIZE + 16];
		snprintf(header, sizeof(header), "Last-Event-ID: %s", last_id);
		if (last_id[0] != '\0')
			header_add(&x, header);
		e.curl = x.curl;
		SET(&x, CURLOPT_HTTPHEADER, x.headers);
		curl_easy_setopt(x.curl, CURLOPT_TIMEOUT, 0L); /* it has no end, but a line now and then */
		e.heard = clock_monotonic();
		curl_easy_setopt(x.curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(x.curl, CURLOPT_XFERINFOFUNCTION, on_silence);
		curl_easy_setopt(x.curl, CURLOPT_XFERINFODATA, &e);
		curl_easy_setopt(x.curl, CURLOPT_WRITEFUNCTION, on_events);
		curl_easy_setopt(x.curl, CURLOPT_WRITEDATA, &e);
		r = exchange_complete(&x, why);
		if (r == EXIT_DONE)
			r = events_run(c, &x, &e, why);
	}
	buf_free(&e.line);
	buf_free(&e.problem);
	exchange_free(&x);
	return r;
}

static size_t on_enough(char *bytes, size_t size, size_t n, void *ctx)
{
	(void)bytes;
	(void)size;
	(void)n;
	(void)ctx;
	return 0; /* the first of it tells all that is asked */
}

int client_reach(const char *url, struct refusal *why)
{
	CURL *curl = handle_new();
	long  status = 0;
	if (curl == NULL)
		return refuse(why, E_NOMEM, "vccctl", "no HTTP client"), EXIT_FAILED;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 2L * CONNECT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_enough);
	CURLcode done = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (done != CURLE_OK && done != CURLE_WRITE_ERROR)
		return refuse(why, E_CLI_UNREACHABLE, url, "%s", curl_easy_strerror(done)), EXIT_UNREACHABLE;
	if (status != 200)
		return refuse(why, E_CLI_UNREACHABLE, url, "it answers with status %ld", status), EXIT_UNREACHABLE;
	return EXIT_DONE;
}

int client_list(const struct client *c, const char *path, const char *member, json_t **ret_items, struct refusal *why)
{
	json_t *all = json_array();
	char    page[CLIENT_PATH_SIZE];
	char    cursor[256] = "";
	int     r;
	do {
		json_t *answer = NULL;
		char    sep = strchr(path, '?') != NULL ? '&' : '?';
		snprintf(page, sizeof(page), "%s%climit=500%s%s", path, sep, cursor[0] != '\0' ? "&cursor=" : "", cursor);
		r = client_call(c, "GET", page, NULL, NULL, &answer, why);
		if (r != EXIT_DONE)
			break;
		json_array_extend(all, json_object_get(answer, member));
		const char *next = json_string_value(json_object_get(answer, "next_cursor"));
		text_cut(cursor, sizeof(cursor), next != NULL ? next : "");
		json_decref(answer);
	} while (cursor[0] != '\0' && json_array_size(all) < LIST_MAX);
	if (r != EXIT_DONE) {
		json_decref(all);
		return r;
	}
	*ret_items = all;
	return EXIT_DONE;
}
