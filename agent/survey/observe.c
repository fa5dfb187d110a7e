/* observe.c - room agent/survey: which listeners this host has, who runs them, and what they serve by TLS.
 * Never: a key, a write, a connection to another host. */
#include "agent/survey/observe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { LOOK_MS = 4000, POSTGRESQL_PORT = 5432 };

/* Programs whose protocols begin otherwise. A handshake would tell nothing and fill their logs with complaints. */
static const char *const no_tls[] = {"sshd",    "rpcbind", "rpc.statd", "systemd-resolve", "named",
				     "dnsmasq", "exim4",   "cupsd",     "chronyd"};
/* But not at these: DNS, mail and web ports where TLS comes first. */
static const uint16_t tls_first[] = {443, 465, 853, 990, 993, 995, 8443};
/* Programs that want to be asked for TLS in PostgreSQL's way. */
static const char *const postgresql[] = {"postgres", "pgbouncer", "pgpool"};

static bool one_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (text_equal(names[i], name))
			return true;
	return false;
}

static bool worth_asking(const struct observed *row)
{
	for (size_t i = 0; i < N_ELEMENTS(tls_first); i++)
		if (row->socket.port == tls_first[i])
			return true;
	return !one_of(no_tls, N_ELEMENTS(no_tls), row->process.program);
}

static int sockets_read(struct observation *o, struct refusal *why)
{
	struct listen_socket *sockets = calloc(LISTEN_SOCKETS_MAX, sizeof(*sockets));
	if (sockets == NULL)
		return refuse(why, E_NOMEM, "observe", "no memory");
	int r = proc_net_list(sockets, LISTEN_SOCKETS_MAX, &o->n, &o->more, why);
	if (r == 0)
		o->rows = calloc(o->n + 1, sizeof(*o->rows));
	if (r == 0 && o->rows == NULL)
		r = refuse(why, E_NOMEM, "observe", "no memory");
	for (size_t i = 0; r == 0 && i < o->n; i++)
		o->rows[i].socket = sockets[i];
	free(sockets);
	return r;
}

static int owners_read(struct observation *o, struct refusal *why)
{
	uint64_t             *inodes = calloc(o->n + 1, sizeof(*inodes));
	struct process_facts *found = calloc(o->n + 1, sizeof(*found));
	int                   r = inodes != NULL && found != NULL ? 0 : refuse(why, E_NOMEM, "observe", "no memory");
	for (size_t i = 0; r == 0 && i < o->n; i++)
		inodes[i] = o->rows[i].socket.inode;
	if (r == 0)
		r = process_facts_find(inodes, o->n, found, why);
	for (size_t i = 0; r == 0 && i < o->n; i++)
		o->rows[i].process = found[i];
	free(inodes);
	free(found);
	return r;
}

static int listeners_ask(struct observation *o, struct refusal *why)
{
	struct look *looks = calloc(o->n + 1, sizeof(*looks));
	size_t       n = 0;
	if (looks == NULL)
		return refuse(why, E_NOMEM, "observe", "no memory");
	for (size_t i = 0; i < o->n; i++) {
		struct observed *row = &o->rows[i];
		row->asked = worth_asking(row);
		if (!row->asked)
			continue;
		looks[n].starttls =
			one_of(postgresql, N_ELEMENTS(postgresql), row->process.program) || row->socket.port == POSTGRESQL_PORT;
		text_cut(looks[n++].address, ADDRESS_SIZE, row->socket.reach);
	}
	int r = look_all(looks, n, LOOK_MS);
	if (r != 0)
		refuse(why, r, "observe", "%s", err_what(r));
	n = 0;
	for (size_t i = 0; r == 0 && i < o->n; i++)
		if (o->rows[i].asked)
			o->rows[i].look = looks[n++];
	free(looks);
	return r;
}

int observe(struct observation *ret, struct refusal *why)
{
	*ret = (struct observation){.at = clock_now()};
	int r = sockets_read(ret, why);
	if (r == 0)
		r = owners_read(ret, why);
	return r == 0 ? listeners_ask(ret, why) : r;
}

void observation_free(struct observation *o)
{
	free(o->rows);
	o->rows = NULL;
	o->n = 0;
}

bool observed_is_tls(const struct observed *o)
{
	return o->asked && (o->look.result == LOOK_SERVED || o->look.result == LOOK_NONE);
}

void observed_service(const struct observed *o, char ret[INVENTORY_UNIT_SIZE])
{
	const char *program = o->process.program[0] != '\0' ? o->process.program : "?";
	text_cut(ret, INVENTORY_UNIT_SIZE, o->process.unit[0] != '\0' ? o->process.unit : program);
	if (text_ends(ret, ".service"))
		ret[strlen(ret) - strlen(".service")] = '\0';
}

void observed_row(const struct observed *o, struct inventory_listener *ret)
{
	const struct look *l = &o->look;
	*ret = (struct inventory_listener){
		.starttls = l->starttls,
		.fingerprint = l->fingerprint,
		.n_names = l->n_names,
		.not_before_at = l->not_before_at,
		.not_after_at = l->not_after_at,
		.self_signed = l->self_signed,
		.chain = l->chain,
	};
	text_cut(ret->address, sizeof(ret->address), o->socket.address);
	text_cut(ret->program, sizeof(ret->program), o->process.program);
	text_cut(ret->user, sizeof(ret->user), o->process.user);
	text_cut(ret->unit, sizeof(ret->unit), o->process.unit);
	text_cut(ret->subject, sizeof(ret->subject), l->subject);
	text_cut(ret->issuer, sizeof(ret->issuer), l->issuer);
	text_cut(ret->names, sizeof(ret->names), l->names);
}

void observed_name(const struct look *l, char *ret, size_t size)
{
	char        first[DNS_NAME_SIZE + 8];
	const char *cursor = l->names;
	if (text_item(&cursor, first, sizeof(first)))
		text_cut(ret, size, strchr(first, ':') + 1);
	else
		text_cut(ret, size, l->subject[0] != '\0' ? l->subject : "(no name)");
}
