/* resolver.c - room agent/link: the gateway's address, by name service or the last one that worked.
 * Never: trusting a name. */
#include "agent/link/resolver.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/base/text.h"
#include "shared/sys/tcp.h"

/* One of the addresses, chosen by `random`, so that a dead one of several does not stop every try. */
static int numeric(const char *host, uint16_t port, uint32_t random, char ret[ADDRESS_SIZE])
{
	char             service[8];
	struct addrinfo  hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	size_t           n = 0;
	snprintf(service, sizeof(service), "%u", port);
	int error = getaddrinfo(host, service, &hints, &found);
	if (error != 0 || found == NULL)
		return error != 0 ? error : EAI_NONAME;
	for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
		n++;
	const struct addrinfo *chosen = found;
	for (size_t i = random % n; i > 0; i--)
		chosen = chosen->ai_next;
	error = getnameinfo(chosen->ai_addr, chosen->ai_addrlen, ret, ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(found);
	return error;
}

int resolver_find(const struct resolver *r, const char *address, uint32_t random, char ret_host[ADDRESS_SIZE], uint16_t *ret_port, struct refusal *why)
{
	char     host[TCP_HOST_SIZE];
	char     found[ADDRESS_SIZE];
	uint16_t port;
	if (tcp_split(address, host, &port) < 0 || host[0] == '\0' || port == 0)
		return refuse(why, E_SYS_ADDRESS, address, "the address must be HOST:PORT");
	int error = r->try_last && r->last[0] != '\0' ? EAI_AGAIN : numeric(host, port, random, found);
	if (error != 0) {
		if (r->last[0] == '\0')
			return refuse(why, E_LINK_DOWN, address, "the name cannot be resolved: %s", gai_strerror(error));
		text_cut(found, sizeof(found), r->last);
	}
	memcpy(ret_host, found, ADDRESS_SIZE);
	*ret_port = port;
	return 0;
}

void resolver_spare(struct resolver *r)
{
	r->try_last = r->last[0] != '\0';
}

void resolver_worked(struct resolver *r, const char *host)
{
	text_cut(r->last, sizeof(r->last), host);
	r->try_last = false;
}

void resolver_failed(struct resolver *r)
{
	r->try_last = !r->try_last;
}
