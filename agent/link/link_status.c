/* link_status.c - room agent/link: `vcc-agent status`.
 * Never: changing anything. */
#include "agent/link/link_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/link/link_state.h"
#include "agent/link/status_view.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/wire/wire.h"

enum { ANSWER_MS = 10000, EXIT_STALE = 7, VIEW_MAX = 1 << 20 };

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

static int print_people(struct span json)
{
	json_t    *root = json_loadb((const char *)json.p, json.n, 0, NULL);
	struct buf text = BUF_MAX(VIEW_MAX);
	bool       good = root != NULL && status_view(root, clock_now(), &text);
	bool       whole = root != NULL && buf_error(&text) == 0;
	if (whole)
		printf("%.*s", (int)text.n, (const char *)text.p);
	else
		fprintf(stderr, "vcc-agent: the keeper's status cannot be read: compare the versions of vcc-agent and vcc-keeper\n");
	buf_free(&text);
	json_decref(root);
	return whole ? good ? 0 : EXIT_STALE : 1;
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
		status = print_people(buf_span(&answer));
	}
	buf_free(&answer);
	return status;
}
