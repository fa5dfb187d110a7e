/* comeback.h - room agent/link: what follows from a lost connection or a failed return: try again, let the host key ask for a new
 * identity, or stop asking; and how long to leave the others alone first. One table.
 * Never: clocks, randomness, sockets. */
#ifndef VCC_COMEBACK_H
#define VCC_COMEBACK_H

#include <stdbool.h>

struct loss {
	int  code;        /* why there is no connection, or no return */
	bool moving;      /* we ended it ourselves, for a new identity */
	bool of_return;   /* a return failed, not a connection */
	bool expired;     /* the server said that our certificate has ended */
	bool shaken;      /* the server was reached and ended the connection before it took us in, ... */
	bool established; /* ... or after that */
	bool ended;       /* our certificate has ended by the controller's time as we know it */
	bool seems_ended; /* by this host's clock, which may be wrong */
	bool returned;    /* our certificate comes from a return, and no welcome followed it yet */
};

enum comeback_how { COMEBACK_CONNECT, COMEBACK_RETURN, COMEBACK_NEVER };
enum comeback_pause {
	PAUSE_NONE,
	PAUSE_AWAY,    /* nobody is there, or busy */
	PAUSE_REFUSED, /* somebody is there and does not want us */
	PAUSE_MINUTES, /* the same, but is asked now and then, whatever the back-off says: it welcomed us first */
	PAUSE_HOUR,    /* a person must do something first */
};
struct comeback {
	enum comeback_how   how;
	enum comeback_pause pause;
};

struct comeback comeback_after(const struct loss *loss);

#endif
