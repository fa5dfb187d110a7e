/* link_status.c - room agent/link: `vcc-agent status`.
 * Never: changing anything. */
#include "agent/link/link_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/link/link_state.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/wire/wire.h"

enum { ANSWER_MS = 10000, EXIT_STALE = 7 };

/* Who asks at the wrong time or as the wrong user is told so; the socket's own words help nobody. */
static int no_keeper(const struct agent_conf *conf, struct refusal *why)
{
	if (access(conf->keeper_socket, F_OK) == 0 && access(conf->keeper_socket, W_OK) != 0)
		return refuse(why, E_SYS_PEER_UID, conf->keeper_socket, "only root and the agent's own user may ask");
	if (geteuid() == 0 && !link_state_is_joined(conf->link_dir))
		return refuse(why, E_LINK_NOT_JOINED, conf->link_dir, "this host has not joined yet");
	return refuse(why, E_SYS_CLOSED, conf->keeper_socket, "vcc-keeper does not run: see `systemctl status vcc-keeper`");
}

static int ask(const struct agent_conf *conf, struct buf *answer, struct refusal *why)
{
	const char              *socket = conf->keeper_socket;
	static struct wire_frame frame;
	_cleanup_fd_ int         fd = -1;
	struct lk_status_request request = {.detail = 0};
	struct buf               out = BUF_MAX(1024);
	int                      r = ipc_connect(socket, &fd, why);
	if (r < 0)
		return no_keeper(conf, why);
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
		printf("  %s %.200s\n", text_of(t, "last_code"), text_of(t, "last_error"));
	const json_t *draining = json_object_get(t, "draining");
	if (json_is_object(draining))
		printf("  draining: %lld old workers, oldest %lld s\n", (long long)json_integer_value(json_object_get(draining, "old_workers")),
		       (long long)json_integer_value(json_object_get(draining, "oldest_ms")) / 1000);
}

static void print_problem(const json_t *p, int *status)
{
	const char *code = json_string_value(json_object_get(p, "code"));
	if (code != NULL)
		*status = EXIT_STALE;
	printf("file %s.conf: %s%s%s\n", text_of(p, "file"), code != NULL ? code : "", code != NULL ? " " : "", text_of(p, "text"));
}

/* A right clock is not worth a line. */
static void print_clock(const char *state)
{
	static const struct {
		const char *state;
		const char *words;
	} lines[] = {
		{"controller", "the clock is off: validity is judged by the controller's time"},
		{"allowed", "the clock is off by more than a day; allow-wrong-clock lets swaps go on"},
		{"wrong", "VCC-2014 the clock is off by more than a day: swaps are refused until\n  it is right, or the keeper's folder holds a file allow-wrong-clock"},
	};
	for (size_t i = 0; i < N_ELEMENTS(lines); i++)
		if (text_equal(state, lines[i].state))
			printf("  %s\n", lines[i].words);
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
	if (json_is_string(json_object_get(root, "journal_code")))
		printf("  %s %s: nothing can be done until then\n", text_of(root, "journal_code"), text_of(root, "journal_error"));
	print_clock(text_of(root, "clock"));
	const json_t *lists = json_object_get(root, "lists");
	if (json_is_string(json_object_get(lists, "code")))
		printf("  %s revocation lists: %.100s\n", text_of(lists, "code"), text_of(lists, "error"));
	printf("%-16s %-9s %-9s %-8s %-6s %-16s\n", "TARGET", "WANTED", "PHASE", "ON DISK", "SERVED", "VALID TO");
	json_array_foreach(json_object_get(root, "targets"), i, t)
		print_target(t, &status);
	json_array_foreach(json_object_get(root, "problems"), i, t)
		print_problem(t, &status);
	return status;
}

bool link_status_connected(const struct agent_conf *conf)
{
	struct buf     answer = BUF_MAX(wire_link.frame_max);
	struct refusal why;
	json_t        *root = ask(conf, &answer, &why) == 0 ? json_loadb((const char *)answer.p, answer.n, 0, NULL) : NULL;
	bool           connected = json_is_true(json_object_get(root, "connected"));
	json_decref(root);
	buf_free(&answer);
	return connected;
}

int link_status(const struct agent_conf *conf, bool json)
{
	struct buf     answer = BUF_MAX(wire_link.frame_max);
	struct refusal why = {0};
	char           text[640];
	int            status = 1;
	if (ask(conf, &answer, &why) < 0) {
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
