/* dialer_process.h - room agent/keeper: the process behind dialer.h.
 * Each request is a packet: the bytes of a socket address, and one descriptor, a local stream; what is answered on that is said in dialer.h.
 * Never: a connection to another host. */
#ifndef VCC_DIALER_PROCESS_H
#define VCC_DIALER_PROCESS_H

/* Locks itself in, says one byte by `control` (a SOCK_SEQPACKET) and serves it until the keeper closes its end. */
_Noreturn void dialer_main(int control);

#endif
