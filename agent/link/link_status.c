/* link_status.c - room agent/link: `vcc-agent status`.
 * Never: changing anything. */
#include "agent/link/link_status.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/wire/wire.h"

enum { ANSWER_MS = 10000, EXIT_STALE = 7 };

static int ask(const char *socket, struct buf *answer, struct refusal *why)
{
	static struct wire_frame frame;
	_cleanup_fd_ int         fd = -1;
	struct lk_status_request request = {.detail = 0};
	struct buf               out = BUF_MAX(1024);
	int                      r = ipc_connect(socket, &fd, why);
	if (r < 0)
		return r;
	r = wire_encode(&wire_link, LK_STATUS_REQUEST, 0, &request, &out);
	if (r == 0)
		r = ipc_write(fd, buf_span(&out), ANSWER_MS);
	if (r == 0)
		r = ipc_read(fd, wire_link.frame_max, ANSWER_MS, answer);
	if (r == 0)
		r = wire_decode(&wire_link, buf_span(answer), 0, &frame);
	if (r == 0 && frame.type != LK_STATUS)
		r = E_WIRE_MESSAGE;
	buf_free(&out);
	if (r < 0)
		return refuse(why, r, socket, "the keeper gives no status: %s", err_what(r));
	struct span json = frame.u.lk_status.json;
	buf_drop_front(answer, (size_t)(json.p - answer->p));
	answer->n = json.n;
	return 0;
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));
	return text != NULL ? text : "-";
}

/* The certificate that is issued is the one that is served; NULL fingerprints say nothing. */
static const char *served_word(const json_t *t)
{
	const char *issued = json_string_value(json_object_get(t, "fingerprint"));
	const char *served = json_string_value(json_object_get(t, "served"));
	if (issued == NULL || served == NULL)
		return "?";
	return text_equal(issued, served) ? "yes" : "NO";
}

static void print_target(const json_t *t, int *status)
{
	const char *served = served_word(t);
	if (text_equal(served, "NO"))
		*status = EXIT_STALE;
	printf("%-16.16s %-9.9s %-9.9s %-8.12s %-6s %-16.16s\n", text_of(t, "cert_id"), text_of(t, "wanted"), text_of(t, "phase"), text_of(t, "on_disk"), served,
	       text_of(t, "not_after"));
	if (json_is_string(json_object_get(t, "last_code")))
		printf("  %s %.64s\n", text_of(t, "last_code"), text_of(t, "last_error"));
}

static int print_people(const json_t *root)
{
	int     status = 0;
	size_t  i;
	json_t *t;
	const char *code = json_string_value(json_object_get(root, "link_code"));
	printf("agent %s (%s), %s, %lld receipts waiting, clock %+.1f s\n", text_of(root, "agent"), text_of(root, "service"),
	       json_is_true(json_object_get(root, "connected")) ? "connected" : "NOT connected",
	       (long long)json_integer_value(json_object_get(root, "receipts_waiting")),
	       (double)json_integer_value(json_object_get(root, "skew_ms")) / 1000.0);
	if (code != NULL)
		printf("  %s %.120s\n", code, text_of(root, "link_error"));
	const json_t *lists = json_object_get(root, "lists");
	if (json_is_string(json_object_get(lists, "code")))
		printf("  %s revocation lists: %.100s\n", text_of(lists, "code"), text_of(lists, "error"));
	printf("%-16s %-9s %-9s %-8s %-6s %-16s\n", "TARGET", "WANTED", "PHASE", "ON DISK", "SERVED", "VALID TO");
	json_array_foreach(json_object_get(root, "targets"), i, t)
		print_target(t, &status);
	return status;
}

int link_status(const char *socket, bool json)
{
	struct buf     answer = BUF_MAX(wire_link.frame_max);
	struct refusal why = {0};
	char           text[640];
	int            status = 1;
	if (ask(socket, &answer, &why) < 0) {
		fprintf(stderr, "vcc-agent: %s\n", refusal_text(&why, text, sizeof(text)));
	} else if (json) {
		printf("%.*s\n", (int)answer.n, (const char *)answer.p);
		status = 0;
	} else {
		json_t *root = json_loadb((const char *)answer.p, answer.n, 0, NULL);
		if (root != NULL)
			status = print_people(root);
		json_decref(root);
	}
	buf_free(&answer);
	return status;
}
