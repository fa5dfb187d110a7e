/* tls_prelude.c - room agent/keeper: what some protocols say in plain text before their TLS handshake.
 * Never: reading a byte of the handshake itself; more than a fixed number of bytes. */
#include "agent/keeper/tls_prelude.h"

#include <errno.h>
#include <sys/socket.h>

/* PostgreSQL's SSLRequest: length 8, request code 1234 and 5679 ("Frontend/Backend Protocol", SSL Session Encryption). */
static const uint8_t ssl_request[] = {0, 0, 0, 8, 4, 210, 22, 47};

static const struct {
	struct span says;
	uint8_t     wants; /* one byte */
} preludes[VERIFY_KIND_COUNT] = {
	[VERIFY_STARTTLS_POSTGRESQL] = {{ssl_request, sizeof(ssl_request)}, 'S'},
};

static const char *answer_words(ssize_t n, uint8_t answer)
{
	if (n == 0)
		return "closed before TLS began";
	if (answer == 'N')
		return "the server has TLS switched off";
	return answer == 'E' ? "the server refused before TLS began" : "not the protocol that verify.kind says";
}

int tls_prelude_turn(struct tls_prelude *p, int fd, bool *ret_read, const char **ret_cause)
{
	struct span says = preludes[p->kind].says;
	while (p->sent < says.n) {
		ssize_t n = send(fd, says.p + p->sent, says.n - p->sent, MSG_NOSIGNAL);
		if (n >= 0) {
			p->sent += (size_t)n;
		} else if (errno == EAGAIN) {
			*ret_read = false;
			return E_SYS_AGAIN;
		} else if (errno != EINTR) {
			*ret_cause = "closed before TLS began";
			return E_SWAP_PROBE;
		}
	}
	/* exactly one byte: whatever came in the clear behind it must not get into the TLS connection unseen */
	while (!p->done && says.n > 0) {
		uint8_t answer = 0;
		ssize_t n = recv(fd, &answer, 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			*ret_read = true;
			return E_SYS_AGAIN;
		}
		p->done = n == 1 && answer == preludes[p->kind].wants;
		if (!p->done) {
			*ret_cause = answer_words(n < 0 ? 0 : n, answer);
			return E_SWAP_PROBE;
		}
	}
	return 0;
}
