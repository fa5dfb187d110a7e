/* notify.h - room shared/sys: the sd_notify datagram, sent by ourselves (no libsystemd in link and keeper).
 * Never: waiting. */
#ifndef VCC_NOTIFY_H
#define VCC_NOTIFY_H

#include <stdint.h>

/* "READY=1\nSTATUS=..." to $NOTIFY_SOCKET; nothing without it. Opens its socket at the first call: call once before
 * jail_enter(). */
void notify_send(const char *state);
/* systemd keeps a copy of this listening socket while the service starts again (FileDescriptorStoreMax= in the unit), and the next process finds it by
 * listen_fds.h: who connects meanwhile waits and is not refused. A stop closes it. Nothing without systemd. */
void    notify_keep_socket(int fd);
int64_t notify_watchdog_ms(void); /* half of WATCHDOG_USEC, 0 = none */

#endif
