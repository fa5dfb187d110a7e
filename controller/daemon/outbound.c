/* outbound.c - room controller/daemon: one message by SMTP or HTTP. The receiver's name is resolved once, every address is
 * judged, and the connection goes to one of these. Never: redirects, proxies, bytes of an answer in a cause. */
#include "controller/daemon/outbound.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "controller/daemon/address_guard.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/crypto_library.h"
#include "shared/sys/clock.h"

enum { CONNECT_MS = 10000, ANSWER_MAX = 65536, HOST_SIZE = 256, ADDRESSES_MAX = 16, PIN_SIZE = HOST_SIZE + ADDRESSES_MAX * 50 };

struct sending {
	const struct outbound *o;
	CURL                  *curl;
	struct curl_slist     *headers, *to, *pin;
	size_t                 sent;     /* of the body of a mail */
	size_t                 answered; /* bytes */
	bool                   refused;  /* the guard refused an address */
	char                   address[ADDRESS_GUARD_TEXT];
};

int outbound_prepare(void)
{
	return crypto_library_start() == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : E_NOMEM;
}

void outbound_free(struct outbound *o)
{
	buf_wipe(&o->headers);
	buf_free(&o->body);
}

static void fail(struct outbound_result *ret, int code, const char *object, const char *cause)
{
	struct refusal why;
	refuse(&why, code, object, "%s", cause);
	ret->code = code;
	text_cut(ret->cause, sizeof(ret->cause), why.cause);
}

/* ---- what the library asks back ---------------------------------------------------------------------------------- */

/* The last word on where a connection goes, whatever was resolved. */
static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct sending *s = ctx;
	if (purpose != CURLSOCKTYPE_IPCXN || !address_guard_allows(&address->addr, s->o->allow, s->o->plain, s->address)) {
		s->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* What is answered is counted and dropped. */
static size_t on_answer(char *bytes, size_t one, size_t n, void *ctx)
{
	struct sending *s = ctx;
	(void)bytes;
	s->answered += one * n;
	return s->answered <= ANSWER_MAX ? one * n : 0;
}

static size_t on_mail(char *to, size_t one, size_t n, void *ctx)
{
	struct sending *s = ctx;
	size_t          room = one * n, left = s->o->body.n - s->sent;
	size_t          now = room < left ? room : left;
	memcpy(to, s->o->body.p + s->sent, now);
	s->sent += now;
	return now;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct sending *s = ctx;
	(void)a, (void)b, (void)c, (void)d;
	return s->o->stop != NULL && atomic_load(s->o->stop) ? 1 : 0;
}

/* ---- where it goes ----------------------------------------------------------------------------------------------- */

static int host_and_port(const char *url, char ret_host[HOST_SIZE], char ret_port[8])
{
	CURLU *u = curl_url();
	char  *host = NULL, *port = NULL;
	int    r = E_SYNTAX;
	if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    text_copy(ret_host, HOST_SIZE, host) == 0 && text_copy(ret_port, 8, port) == 0)
		r = 0;
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return r;
}

/* An IPv6 address stands in brackets in a URL, and without them for everybody else. */
static void without_brackets(const char *host, char ret[HOST_SIZE])
{
	size_t n = strlen(host);
	bool   in = n > 2 && host[0] == '[' && host[n - 1] == ']';
	text_cut(ret, HOST_SIZE, in ? host + 1 : host);
	if (in)
		ret[n - 2] = '\0';
}

/* Every address must be allowed: one that is not makes all of them suspect. */
static int judge(const struct sending *s, const struct addrinfo *list, struct buf *pin, struct outbound_result *ret)
{
	char   text[ADDRESS_GUARD_TEXT], cause[200];
	size_t n = 0;
	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		if (!address_guard_allows(a->ai_addr, s->o->allow, s->o->plain, text)) {
			struct refusal why;
			refuse(&why, E_NOTIFY_ADDRESS, text,
			       s->o->plain ? "%s is not this machine's own, or not in channel.allow"
					   : "%s is not public, and not in channel.allow",
			       text);
			text_cut(cause, sizeof(cause), why.cause);
			fail(ret, E_NOTIFY_ADDRESS, text, cause);
			return E_NOTIFY_ADDRESS;
		}
		if (n < ADDRESSES_MAX)
			buf_add_fmt(pin, strchr(text, ':') != NULL ? "%s[%s]" : "%s%s", n == 0 ? "" : ",", text);
		n++;
	}
	return 0;
}

static int resolve(struct sending *s, struct outbound_result *ret)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo      *list = NULL;
	char                  host[HOST_SIZE], bare[HOST_SIZE], port[8];
	struct buf            pin = BUF_MAX(PIN_SIZE);
	if (host_and_port(s->o->url, host, port) < 0) {
		fail(ret, E_NOTIFY_CONNECT, "url", "the address of the channel cannot be read");
		return ret->code;
	}
	without_brackets(host, bare);
	int found = getaddrinfo(bare, port, &hints, &list);
	if (found != 0) {
		fail(ret, E_NOTIFY_CONNECT, bare, gai_strerror(found));
		return ret->code;
	}
	buf_add_fmt(&pin, "%s:%s:", bare, port);
	int r = judge(s, list, &pin, ret);
	freeaddrinfo(list);
	buf_add_u8(&pin, 0);
	if (r == 0 && strcmp(host, bare) == 0 && buf_error(&pin) == 0)
		s->pin = curl_slist_append(NULL, (const char *)pin.p);
	buf_free(&pin);
	return r;
}

/* ---- the transfer ------------------------------------------------------------------------------------------------ */

static void set_mail(struct sending *s)
{
	char        item[CHANNEL_LIST_SIZE];
	const char *cursor = s->o->to;
	while (text_item(&cursor, item, sizeof(item)))
		s->to = curl_slist_append(s->to, item);
	curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(s->curl, CURLOPT_USE_SSL, s->o->plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
	curl_easy_setopt(s->curl, CURLOPT_MAIL_FROM, s->o->from);
	curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT, s->to);
	curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L); /* one bad address keeps it from nobody else */
	curl_easy_setopt(s->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(s->curl, CURLOPT_READFUNCTION, on_mail);
	curl_easy_setopt(s->curl, CURLOPT_READDATA, s);
	if (s->o->user != NULL) {
		curl_easy_setopt(s->curl, CURLOPT_USERNAME, s->o->user);
		curl_easy_setopt(s->curl, CURLOPT_PASSWORD, s->o->password);
	}
}

static int add_header(struct sending *s, const char *line)
{
	struct curl_slist *longer = curl_slist_append(s->headers, line);
	if (longer == NULL)
		return E_NOMEM;
	s->headers = longer;
	return 0;
}

/* None is left out: without its token or its signature a message is another one. */
static int add_headers(struct sending *s)
{
	const char *line = (const char *)s->o->headers.p, *end = line + s->o->headers.n;
	char        one[OUTBOUND_HEADERS_MAX];
	int         r = 0;
	while (r == 0 && line != NULL && line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		size_t      n = stop != NULL ? (size_t)(stop - line) : (size_t)(end - line);
		r = text_copy_n(one, sizeof(one), line, n);
		if (r == 0)
			r = add_header(s, one);
		line += n + 1;
	}
	secret_wipe(one, sizeof(one));
	return r == 0 ? add_header(s, "Expect:") : r;
}

static int set_http(struct sending *s)
{
	int r = add_headers(s);
	curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, s->o->plain ? "http,https" : "https");
	curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE, (long)s->o->body.n);
	curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, s->o->body.p);
	if (s->o->put)
		curl_easy_setopt(s->curl, CURLOPT_CUSTOMREQUEST, "PUT");
	curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
	return r;
}

static int set_all(struct sending *s)
{
	CURL *c = s->curl;
	curl_easy_setopt(c, CURLOPT_URL, s->o->url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "vcc-controller/" VCC_VERSION);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)s->o->timeout_ms);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, s);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_answer);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, s);
	if (s->pin != NULL)
		curl_easy_setopt(c, CURLOPT_RESOLVE, s->pin);
	if (s->o->ca_pem.n > 0) {
		struct curl_blob blob = {.data = (void *)s->o->ca_pem.p, .len = s->o->ca_pem.n, .flags = CURL_BLOB_NOCOPY};
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &blob);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (!s->o->mail)
		return set_http(s);
	set_mail(s);
	return 0;
}

/* ---- what became of it ------------------------------------------------------------------------------------------- */

static int code_of(CURLcode code)
{
	static const struct {
		CURLcode curl;
		int      code;
	} codes[] = {
		{CURLE_OPERATION_TIMEDOUT, E_NOTIFY_TIMEOUT}, {CURLE_PEER_FAILED_VERIFICATION, E_NOTIFY_TLS},
		{CURLE_SSL_CONNECT_ERROR, E_NOTIFY_TLS},      {CURLE_USE_SSL_FAILED, E_NOTIFY_TLS},
		{CURLE_SSL_CACERT_BADFILE, E_NOTIFY_TLS},     {CURLE_LOGIN_DENIED, E_NOTIFY_LOGIN},
		{CURLE_ABORTED_BY_CALLBACK, E_SYS_AGAIN},
	};
	for (size_t i = 0; i < N_ELEMENTS(codes); i++)
		if (codes[i].curl == code)
			return codes[i].code;
	return E_NOTIFY_CONNECT;
}

/* A status that a second try cannot change: the message itself is at fault. */
static bool is_final(long status, bool mail)
{
	if (mail)
		return status >= 500 && status < 600 && (status < 530 || status > 539);
	return status == 400 || status == 405 || status == 410 || status == 413 || status == 415 || status == 422;
}

static void judge_status(const struct outbound *o, long status, struct outbound_result *ret)
{
	struct refusal why;
	int            code = !o->mail && status >= 300 && status < 400         ? E_NOTIFY_REDIRECT
			      : status == 401 || status == 403 || status == 535 ? E_NOTIFY_LOGIN
										: E_NOTIFY_REFUSED;
	refuse(&why, code, "receiver", "it answered %ld", status);
	fail(ret, code, "receiver", why.cause);
	ret->final = code == E_NOTIFY_REFUSED && is_final(status, o->mail);
}

static void judge_end(struct sending *s, CURLcode code, struct outbound_result *ret)
{
	long       status = 0;
	curl_off_t wait = 0;
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(s->curl, CURLINFO_RETRY_AFTER, &wait);
	ret->wait_ms = wait > 0 && wait < MS_DAY ? (int64_t)wait * MS_SECOND : 0;
	bool answered = status >= 200 && status < 300;
	if (s->refused)
		fail(ret, E_NOTIFY_ADDRESS, s->address, s->address);
	else if (code == CURLE_OK && (s->o->mail || answered))
		ret->code = 0;
	else if (!s->o->mail && answered && code == CURLE_WRITE_ERROR) /* it has the message, and talks too much */
		ret->code = 0;
	else if (status >= 300 && code != CURLE_OPERATION_TIMEDOUT && code != CURLE_ABORTED_BY_CALLBACK &&
		 !(s->o->mail && status < 400))
		judge_status(s->o, status, ret);
	else
		fail(ret, code_of(code), "receiver", curl_easy_strerror(code));
}

void outbound_send(const struct outbound *o, struct outbound_result *ret)
{
	struct sending s = {.o = o};
	int64_t        began = clock_monotonic();
	*ret = (struct outbound_result){.code = 0};
	if (resolve(&s, ret) == 0) {
		s.curl = curl_easy_init();
		if (s.curl == NULL) {
			fail(ret, E_NOMEM, "receiver", "no memory");
		} else {
			int r = set_all(&s);
			if (r < 0)
				fail(ret, r, "headers", err_what(r));
			else
				judge_end(&s, curl_easy_perform(s.curl), ret);
		}
	}
	curl_easy_cleanup(s.curl);
	curl_slist_free_all(s.headers);
	curl_slist_free_all(s.to);
	curl_slist_free_all(s.pin);
	ret->took_ms = clock_monotonic() - began;
}
