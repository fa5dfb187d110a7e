/* fuzz_http.c - can the head or body of a request make the server read beyond it, or hand over values that are not whole? Input: bytes as
 * they come from a connection; the first chooses the listener. Never: TLS, and what only a browser sends. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controller/daemon/http_server.h"
#include "shared/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TURNS = 200, QUIET = 8 /* turns without news end it */ };

static const enum http_listener listeners[] = {HTTP_LOCAL, HTTP_PUBLIC};

static struct {
	uv_loop_t          loop;
	struct http_server *server;
	struct sockaddr_un at[N_ELEMENTS(listeners)];
	size_t             handed;
} f;

static void whole(const char *text, size_t size)
{
	if (memchr(text, '\0', size) == NULL)
		abort();
}

#define WHOLE(a) whole(a, sizeof(a))

static void handle(void *ctx, struct http_call *call)
{
	(void)ctx;
	const struct http_request *q = http_call_request(call);
	WHOLE(q->method), WHOLE(q->path), WHOLE(q->authorization), WHOLE(q->content_type), WHOLE(q->accept), WHOLE(q->idempotency_key);
	WHOLE(q->if_match), WHOLE(q->if_none_match), WHOLE(q->if_modified_since), WHOLE(q->prefer), WHOLE(q->last_event_id), WHOLE(q->host);
	if (q->method[0] == '\0' || !text_utf8_ok(q->path, strlen(q->path)) || q->n_args > HTTP_ARGS_MAX || q->body.n > HTTP_BODY_MAX)
		abort();
	for (size_t i = 0; i < q->n_args; i++)
		WHOLE(q->args[i]);
	f.handed++;
	http_call_answer(call, 200, "text/plain", q->body);
}

static void start(void)
{
	struct refusal why;
	if (uv_loop_init(&f.loop) != 0 || http_server_make(&f.loop, handle, NULL, &f.server, &why) < 0)
		abort();
	for (size_t i = 0; i < N_ELEMENTS(listeners); i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		f.at[i].sun_family = AF_UNIX; /* with a name that no file has */
		(void)snprintf(f.at[i].sun_path + 1, sizeof(f.at[i].sun_path) - 1, "fuzz-http-%d-%zu", (int)getpid(), i);
		if (fd < 0 || bind(fd, (struct sockaddr *)&f.at[i], sizeof(f.at[i])) != 0 || listen(fd, 8) != 0 ||
		    http_server_listen(f.server, listeners[i], fd, &why) < 0)
			abort();
	}
}

/* Answers in what came; an answer's body is the request's, and may look like one. */
static void drive(int fd, size_t *ret_octets, bool *ret_closed)
{
	static char text[1 << 16];
	for (int turn = 0, quiet = 0; turn < TURNS && quiet < QUIET && !*ret_closed; turn++) {
		(void)uv_run(&f.loop, UV_RUN_NOWAIT);
		ssize_t n = read(fd, text, sizeof(text));
		quiet = n > 0 ? 0 : quiet + 1;
		*ret_octets += n > 0 ? (size_t)n : 0;
		*ret_closed = n == 0 || (n < 0 && errno != EAGAIN);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (f.server == NULL)
		start();
	if (size < 2 || size > 60000)
		return 0;
	size_t octets = 0;
	bool   closed = false;
	int    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t which = data[0] % N_ELEMENTS(listeners);
	if (fd < 0 || connect(fd, (struct sockaddr *)&f.at[which], sizeof(f.at[which])) != 0 || write(fd, data + 1, size - 1) < 0)
		abort();
	f.handed = 0;
	drive(fd, &octets, &closed);
	if (f.handed > 0 && octets == 0 && !closed)
		abort(); /* handed over and answered, and nothing came */
	(void)close(fd);
	for (int turn = 0; turn < 4; turn++)
		(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	return 0;
}
