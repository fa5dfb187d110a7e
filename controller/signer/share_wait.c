/* share_wait.c - room controller/signer: takes shares of the passphrase, one a connection, until there are enough.
 * It comes before the lock-in, because the keys are not open yet; whoever can connect could read the signer's memory as well.
 * Never: keeping a share longer than it takes to have enough of them; naming one in a log by more than its number. */
#include "controller/signer/share_wait.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/signer/ca_store.h"
#include "controller/signer/passphrase.h"
#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"
#include "shared/sys/notify.h"

enum { PULSE_MS = 5000 }; /* well within the unit's WatchdogSec= */
_Static_assert((int)PASSPHRASE_MAX == (int)SHARE_PASSPHRASE_MAX, "what can be a passphrase can be split");

struct wait {
	struct share_set set;
	struct share     have[SHARES_MAX];
	size_t           n;
	bool             open; /* there is the passphrase */
};

void unlock_path(const char *folder, char *ret, size_t size)
{
	char *whole = folder[0] != '/' ? realpath(folder, NULL) : NULL; /* a socket's path is absolute */
	(void)snprintf(ret, size, "%s/unlock.sock", whole != NULL ? whole : folder);
	free(whole);
}

int shares_read(const char *folder, struct share_set *ret, struct refusal *why)
{
	char       path[CONF_PATH_SIZE + 16];
	struct buf text = BUF_MAX(SHARE_SET_MAX);

	(void)snprintf(path, sizeof(path), "%s/ca", folder);
	_cleanup_fd_ int fd = open(path, O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return sys_refuse(why, path, "open the folder");
	int r = ca_file_read(fd, SHARES_FILE, true, &text, why);
	if (r == 0)
		r = share_set_read(buf_span(&text), ret, why);
	buf_free(&text);
	return r;
}

static void tell(const struct wait *w)
{
	char text[160];
	(void)snprintf(text, sizeof(text), "READY=1\nSTATUS=waiting for shares of the passphrase: %zu of %u; `vcc-signer unlock`", w->n, w->set.needed);
	notify_send(text);
}

/* The last one that is needed opens the seal. What does not open then is no share's fault, and all of them are given again. */
static int take(struct wait *w, struct span text, struct buf *passphrase, struct refusal *why)
{
	struct share s;
	int          r = share_read(text, &s, why);
	if (r == 0)
		r = share_set_judge(&w->set, w->have, w->n, &s, why);
	if (r == 0)
		w->have[w->n++] = s;
	secret_wipe(&s, sizeof(s));
	if (r == 0 && w->n == w->set.needed) {
		r = share_set_open(&w->set, w->have, w->n, passphrase, why);
		secret_wipe(w->have, sizeof(w->have));
		w->open = r == 0;
		w->n = r == 0 ? w->n : 0;
	}
	return r;
}

static void answer(int fd, const struct wait *w, int code, const struct refusal *why)
{
	uint8_t    head[UNLOCK_HEAD];
	char       text[600] = "";
	struct buf frame = BUF_MAX(UNLOCK_FRAME_MAX);

	be_put(head, (uint64_t)(-(int64_t)code), 4);
	head[4] = (uint8_t)w->n;
	head[5] = (uint8_t)w->set.needed;
	buf_add(&frame, head, sizeof(head));
	if (code < 0)
		buf_add_text(&frame, refusal_text(why, text, sizeof(text)));
	if (ipc_write(fd, buf_span(&frame), UNLOCK_TIMEOUT_MS) < 0)
		log_line(LOG_LEVEL_WARNING, NULL, "who gave a share did not wait for the answer");
	buf_free(&frame);
}

static void serve_one(struct wait *w, int listener, struct buf *passphrase)
{
	struct refusal   why = {0};
	struct buf       text = BUF_MAX(UNLOCK_FRAME_MAX);
	uid_t            uid = (uid_t)-1;
	_cleanup_fd_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	int r = ipc_peer_check(fd, (uid_t)-1, &uid);
	if (r == 0)
		r = ipc_read(fd, UNLOCK_FRAME_MAX, UNLOCK_TIMEOUT_MS, &text);
	if (r == 0 && text.n > 0) { /* nothing is asked by nothing: how many are there? */
		r = take(w, buf_span(&text), passphrase, &why);
		if (r == 0)
			log_line(LOG_LEVEL_NOTICE, NULL, "a share of the passphrase was given by uid %u: %zu of %u", (unsigned)uid, w->n, w->set.needed);
		else
			log_refusal(LOG_LEVEL_WARNING, NULL, &why);
		tell(w);
	} else if (r < 0) {
		log_line(LOG_LEVEL_WARNING, NULL, "no share was given: %s", err_what(r));
	}
	if (r == 0 || why.code != 0)
		answer(fd, w, r, &why);
	buf_wipe(&text);
}

static int gather(const char *folder, struct wait *w, struct buf *passphrase, struct refusal *why)
{
	char             path[PATH_MAX];
	char             name[SHARE_SET_TEXT];
	_cleanup_fd_ int fd = -1;

	unlock_path(folder, path, sizeof(path));
	int r = ipc_listen(path, 0600, &fd, why);
	if (r < 0)
		return r;
	share_set_name(w->set.set, name);
	log_line(LOG_LEVEL_NOTICE, NULL, "waits for %u shares of the passphrase, set %s: custodians run `vcc-signer unlock`", w->set.needed, name);
	tell(w);
	while (!w->open) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, PULSE_MS) > 0)
			serve_one(w, fd, passphrase);
		notify_send("WATCHDOG=1");
	}
	(void)unlink(path); /* who comes later is told at once that nobody waits */
	return 0;
}

int shares_passphrase(const struct signer_conf *conf, const char *folder, struct buf *to, struct refusal *why)
{
	static struct wait w;

	if (!passphrase_is_needed(conf) || passphrase_is_here(conf))
		return passphrase_read(conf, to, why);
	w = (struct wait){.n = 0};
	int r = shares_read(folder, &w.set, why);
	if (r == E_NOT_FOUND)
		return passphrase_read(conf, to, why); /* says where there is none */
	if (r == 0)
		r = gather(folder, &w, to, why);
	secret_wipe(&w, sizeof(w));
	return r;
}
