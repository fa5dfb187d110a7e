/* ipc.h - room shared/sys: bounded frames over local stream sockets: 4-byte big-endian length, then the bytes.
 * Never: knowing what is in a frame. */
#ifndef VCC_IPC_H
#define VCC_IPC_H

#include <sys/types.h>

#include <uv.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum { IPC_HEAD = 4 /* length, big-endian, before each frame */, IPC_FRAME_MAX = 1 << 20 };

/* Binds a unix socket (replacing a stale one; a live one is E_SYS_LOCKED) or takes the one that systemd passed
 * (LISTEN_FDS, matched by path). Mode as given. */
_must_check_ int ipc_listen(const char *path, mode_t mode, int *ret_fd, struct refusal *why);
/* After E_SYS_CLOSED errno tells why nobody could be reached. */
_must_check_ int ipc_connect(const char *path, int *ret_fd, struct refusal *why);
/* SO_PEERCRED; E_SYS_PEER_UID unless uid is 0, our own or `also` (-1 = none). */
_must_check_ int ipc_peer_check(int fd, uid_t also, uid_t *ret_uid);

/* ---- on a libuv loop ---- */
struct ipc;
struct ipc_events {
	void (*frame)(void *ctx, struct span frame); /* frame bytes live until return */
	void (*closed)(void *ctx, int code);         /* once; afterwards the ipc is freed by its owner with ipc_free */
	void (*drained)(void *ctx);                  /* output queue became empty; may be NULL */
};
/* Takes ownership of fd. Output above `out_max` bytes makes ipc_send return E_SYS_AGAIN. */
_must_check_ int ipc_open(uv_loop_t *loop, int fd, size_t out_max, const struct ipc_events *events, void *ctx, struct ipc **ret);
/* Queues a frame; all frames of one loop turn leave in one writev. */
_must_check_ int ipc_send(struct ipc *c, struct span frame);
size_t ipc_queued(const struct ipc *c); /* bytes waiting */
void ipc_free(struct ipc *c); /* closes; no events afterwards; safe inside an event */

/* ---- blocking, for signer, hook, join ---- */
_must_check_ int ipc_write(int fd, struct span frame, int64_t timeout_ms);
/* Reads one frame into `to` (cleared first). `limit` bytes at most. E_SYS_CLOSED at a clean end, E_SYS_TIMEOUT. */
_must_check_ int ipc_read(int fd, size_t limit, int64_t timeout_ms, struct buf *to);
/* Non-blocking batch: reads what is there into `in` (kept between calls), then ipc_take gives whole frames. */
_must_check_ int ipc_fill(int fd, struct buf *in);              /* E_SYS_CLOSED, E_SYS_AGAIN when nothing new */
_must_check_ int ipc_take(struct buf *in, size_t *at, size_t limit, struct span *ret); /* 1 = a frame, 0 = no whole frame; *at moves; drop with buf_drop_front */

#endif
