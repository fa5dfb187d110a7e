/* proc_net.c - room agent/survey: the listening TCP sockets of this network namespace, from /proc/net/tcp and tcp6.
 * Never: connecting, processes. */
#include "agent/survey/proc_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { STATE_LISTEN = 10, LINE_SIZE = 512 };

/* ---- one line ---------------------------------------------------------------------------------------------------- */

/* The kernel writes addresses as 32-bit words in its own byte order. */
static bool words_read(const char *hex, size_t n_words, uint8_t *ret)
{
	for (size_t i = 0; i < n_words; i++) {
		char     word[9] = {0};
		char    *end;
		uint32_t value;
		memcpy(word, hex + 8 * i, 8);
		value = (uint32_t)strtoul(word, &end, 16);
		if (end != word + 8)
			return false;
		memcpy(ret + 4 * i, &value, sizeof(value));
	}
	return true;
}

static void v4_texts(const uint8_t a[4], uint16_t port, struct listen_socket *ret)
{
	static const uint8_t any[4] = {0};
	char                 host[INET_ADDRSTRLEN] = "";
	inet_ntop(AF_INET, a, host, sizeof(host));
	snprintf(ret->address, sizeof(ret->address), "%s:%u", host, port);
	snprintf(ret->reach, sizeof(ret->reach), "%s:%u", memcmp(a, any, sizeof(any)) == 0 ? "127.0.0.1" : host, port);
}

/* A socket of IPv6 that is bound to an IPv4 address is one of IPv4 to everybody who connects. */
static void v6_texts(const uint8_t a[16], uint16_t port, struct listen_socket *ret)
{
	struct in6_addr v6;
	char            host[INET6_ADDRSTRLEN] = "";
	memcpy(&v6, a, sizeof(v6));
	if (IN6_IS_ADDR_V4MAPPED(&v6)) {
		v4_texts(a + 12, port, ret);
		return;
	}
	inet_ntop(AF_INET6, &v6, host, sizeof(host));
	snprintf(ret->address, sizeof(ret->address), "[%s]:%u", host, port);
	snprintf(ret->reach, sizeof(ret->reach), "[%s]:%u", IN6_IS_ADDR_UNSPECIFIED(&v6) ? "::1" : host, port);
}

bool proc_net_line(const char *line, bool v6, struct listen_socket *ret)
{
	char                 local[33] = "";
	unsigned             port;
	unsigned             state;
	unsigned             uid;
	unsigned long long   inode;
	uint8_t              a[16];
	struct listen_socket s = {.port = 0};
	const size_t         words = v6 ? 4 : 1;
	int                  n = sscanf(line,
					" %*u: %32[0-9A-F]:%4X %*32[0-9A-F]:%*4X %2X %*[0-9A-F]:%*[0-9A-F] %*[0-9A-F]:%*[0-9A-F] %*[0-9A-F] %u "
							 "%*u %llu",
					local, &port, &state, &uid, &inode);
	if (n != 5 || state != STATE_LISTEN || strlen(local) != 8 * words || port == 0 || !words_read(local, words, a))
		return false;
	s.port = (uint16_t)port;
	s.uid = uid;
	s.inode = inode;
	if (v6)
		v6_texts(a, s.port, &s);
	else
		v4_texts(a, s.port, &s);
	*ret = s;
	return true;
}

/* ---- the files --------------------------------------------------------------------------------------------------- */

static int by_port(const void *a, const void *b)
{
	const struct listen_socket *x = a;
	const struct listen_socket *y = b;
	return x->port != y->port ? (x->port < y->port ? -1 : 1) : strcmp(x->address, y->address);
}

/* Several sockets on one address (SO_REUSEPORT) are one listener to everybody outside. */
static bool known(const struct listen_socket *rows, size_t n, const char *address)
{
	for (size_t i = 0; i < n; i++)
		if (text_equal(rows[i].address, address))
			return true;
	return false;
}

/* Somebody who opens sockets without end takes half of the room at most: he hides nobody else's. */
static bool room_for(const struct listen_socket *rows, size_t n, size_t max, uid_t uid)
{
	size_t of_him = 0;
	for (size_t i = 0; uid != 0 && i < n; i++)
		of_him += rows[i].uid == uid;
	return n < max && of_him < max / 2;
}

static int read_file(const char *path, bool v6, struct listen_socket *ret, size_t max, size_t *n, size_t *more,
		     struct refusal *why)
{
	char  line[LINE_SIZE];
	FILE *f = fopen(path, "re");
	if (f == NULL) /* a kernel without IPv6 has no tcp6 */
		return v6 && errno == ENOENT ? 0 : sys_refuse(why, path, "read the sockets");
	while (fgets(line, sizeof(line), f) != NULL) {
		struct listen_socket s;
		if (!proc_net_line(line, v6, &s) || known(ret, *n, s.address))
			continue;
		if (room_for(ret, *n, max, s.uid))
			ret[(*n)++] = s;
		else
			++*more;
	}
	int r = ferror(f) != 0 ? sys_refuse(why, path, "read the sockets") : 0;
	(void)fclose(f);
	return r;
}

int proc_net_list(struct listen_socket *ret, size_t max, size_t *ret_n, size_t *ret_more, struct refusal *why)
{
	size_t n = 0;
	size_t more = 0;
	int    r = read_file("/proc/net/tcp", false, ret, max, &n, &more, why);
	if (r == 0)
		r = read_file("/proc/net/tcp6", true, ret, max, &n, &more, why);
	if (r != 0)
		return r;
	qsort(ret, n, sizeof(*ret), by_port);
	*ret_n = n;
	*ret_more = more;
	return 0;
}
