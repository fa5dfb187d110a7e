/* doctor_behind.c - room agent/survey: which server program stands behind each target's listeners, with its configuration.
 * Only those: what else runs on the host is not the doctor's business, and is not asked. Never: a handshake, changing anything.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/survey/doctor_part.h"
#include "agent/survey/proc_net.h"
#include "shared/base/text.h"

/* 2: bound to just this address; 1: to all of them; 0: another. */
static int fits(const struct listen_socket *s, const char *address)
{
	const char *port = strrchr(address, ':');
	const char *own = strrchr(s->address, ':');
	bool        all = text_starts(s->address, "0.0.0.0:") || text_starts(s->address, "[::]:");
	if (text_equal(s->address, address))
		return 2;
	return all && port != NULL && own != NULL && text_equal(own, port) ? 1 : 0;
}

/* 0: nobody listens. */
static uint64_t inode_of(const struct target_conf *t, const struct listen_socket *sockets, size_t n)
{
	const char *cursor = t->connect;
	char        address[ADDRESS_SIZE];
	uint64_t    found = 0;
	int         best = 0;
	while (target_probed(t) && best < 2 && text_item(&cursor, address, sizeof(address)))
		for (size_t i = 0; i < n; i++)
			if (fits(&sockets[i], address) > best) {
				best = fits(&sockets[i], address);
				found = sockets[i].inode;
			}
	return found;
}

static const struct server *server_of(struct patient *p, struct process_facts *process)
{
	enum server_kind kind = server_kind_of(process);
	if (process->pid == 0 || kind == SERVER_KIND_COUNT)
		return NULL;
	if (kind == SERVER_HAPROXY) /* its workers hold the sockets */
		process_master(process);
	for (size_t i = 0; i < p->n_servers; i++) {
		const struct process_facts *q = &p->server[i]->process;
		if (q->pid == process->pid || (q->unit[0] != '\0' && text_equal(q->unit, process->unit)))
			return p->server[i];
	}
	struct server *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->kind = kind;
	s->process = *process;
	server_read(s);
	p->server[p->n_servers++] = s; /* one for each target at most */
	return s;
}

int doctor_behind(struct patient *p, struct refusal *why)
{
	uint64_t              inodes[DOCTOR_TARGETS_MAX];
	size_t                n = 0;
	size_t                more = 0;
	struct listen_socket *sockets = calloc(LISTEN_SOCKETS_MAX, sizeof(*sockets));
	struct process_facts *facts = calloc(DOCTOR_TARGETS_MAX, sizeof(*facts));
	int                   r = sockets != NULL && facts != NULL ? 0 : refuse(why, E_NOMEM, "doctor", "no memory");
	if (r == 0)
		r = proc_net_list(sockets, LISTEN_SOCKETS_MAX, &n, &more, why);
	for (size_t i = 0; r == 0 && i < p->n_targets; i++)
		inodes[i] = inode_of(&p->target[i], sockets, n);
	if (r == 0)
		r = process_facts_find(inodes, p->n_targets, facts, why);
	for (size_t i = 0; r == 0 && i < p->n_targets; i++)
		p->behind[i] = inodes[i] != 0 ? server_of(p, &facts[i]) : NULL;
	free(sockets);
	free(facts);
	return r;
}

void doctor_behind_free(struct patient *p)
{
	for (size_t i = 0; i < p->n_servers; i++) {
		server_free(p->server[i]);
		free(p->server[i]);
	}
	p->n_servers = 0;
}
