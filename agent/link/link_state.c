/* link_state.c - room agent/link: the link's own folder.
 * Never: the host key, anything of a service. */
#include "agent/link/link_state.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/conf.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_url.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { PEM_MAX = 65536, OWN = -1 };

static const char joined_file[] = "joined";
static const char identity_file[] = "identity.pem";
static const char next_key_file[] = "next.key";
static const char root_file[] = "root.der";
static const char begin[] = "-----BEGIN CERTIFICATE-----";

#define AT(member) offsetof(struct link_joined, member), sizeof(((struct link_joined *)0)->member)
static const struct conf_key keys[] = {
	{"joined", "agent", CONF_TEXT, AT(agent), 0, 0, NULL, NULL, "Name of this host."},
	{"joined", "domain", CONF_TEXT, AT(domain), 0, 0, NULL, NULL, "Domain of the installation."},
	{"joined", "address", CONF_TEXT, AT(address), 0, 0, NULL, NULL, "The agents' port."},
	{"joined", "join", CONF_TEXT, AT(join), 0, 0, "", NULL, "The join port."},
};
static const struct conf_schema schema = {
	.program = "vcc-agent", .file = "joined", .struct_size = sizeof(struct link_joined), .keys = keys, .n_keys = N_ELEMENTS(keys)};

int link_state_open(const char *dir, struct link_state *ret, struct refusal *why)
{
	*ret = (struct link_state){.dir_fd = -1, .lock_fd = -1, .root = BUF_MAX(CERT_DER_MAX), .identity = BUF_MAX(PEM_MAX)};
	int r = dir_open_safe(dir, geteuid(), &ret->dir_fd, why);
	if (r == 0)
		r = dir_lock(ret->dir_fd, "lock", &ret->lock_fd, why);
	if (r < 0)
		link_state_close(ret);
	return r;
}

bool link_state_is_joined(const char *dir)
{
	char path[AGENT_PATH_SIZE + sizeof(joined_file) + 1];
	int  n = snprintf(path, sizeof(path), "%s/%s", dir, joined_file);
	return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

void link_state_close(struct link_state *s)
{
	fd_close(s->lock_fd);
	fd_close(s->dir_fd);
	s->dir_fd = s->lock_fd = -1;
	buf_free(&s->root);
	buf_wipe(&s->identity);
}

/* The leaf's times, from the identity's PEM. */
static int read_identity(struct link_state *s, struct refusal *why)
{
	struct buf       ders = BUF_MAX(CHAIN_DER_MAX + CERT_DER_MAX);
	struct span      rest;
	struct span      leaf;
	struct cert_info info;
	buf_reset(&s->identity);
	int r = file_read(s->dir_fd, identity_file, true, &s->identity, why);
	/* the key stands first, then leaf and chain */
	const uint8_t *from = r == 0 ? memmem(s->identity.p, s->identity.n, begin, strlen(begin)) : NULL;
	if (r == 0)
		r = from != NULL ? cert_from_pem((struct span){from, s->identity.n - (size_t)(from - s->identity.p)}, &ders) : E_PKI_CERT;
	rest = buf_span(&ders);
	if (r == 0 && !der_next(&rest, &leaf))
		r = E_PKI_CERT;
	if (r == 0)
		r = cert_read(leaf, &info);
	if (r == 0) {
		s->not_before_at = info.not_before_at;
		s->not_after_at = info.not_after_at;
		if (cert_public_url(leaf, s->public_url) != 0)
			s->public_url[0] = '\0'; /* it can do everything but fetch lists */
	}
	buf_free(&ders);
	return r;
}

int link_state_load(struct link_state *s, struct refusal *why)
{
	struct buf         text = BUF_MAX(4096);
	struct link_joined joined;
	int                r = file_read(s->dir_fd, joined_file, false, &text, why);
	if (r == E_NOT_FOUND)
		r = refuse(why, E_LINK_NOT_JOINED, "vcc-agent", "there is no identity in the state folder");
	if (r == 0)
		r = conf_parse(&schema, joined_file, buf_span(&text), &joined, why);
	buf_free(&text);
	if (r < 0)
		return r;
	memcpy(s->agent, joined.agent, sizeof(s->agent));
	memcpy(s->domain, joined.domain, sizeof(s->domain));
	memcpy(s->address, joined.address, sizeof(s->address));
	memcpy(s->join, joined.join, sizeof(s->join));
	buf_reset(&s->root);
	r = file_read(s->dir_fd, root_file, false, &s->root, why);
	if (r == 0)
		r = read_identity(s, why);
	if (r < 0 && (why == NULL || why->code != r))
		r = refuse(why, r, identity_file, "%s", err_what(r));
	return r;
}

static int make_next_key(struct link_state *s, struct key **ret, struct refusal *why)
{
	struct buf  pem = BUF_MAX(4096);
	struct key *k = NULL;
	int         r = key_make(KEY_EC_P256, &k);
	if (r == 0)
		r = key_to_pem(k, &pem);
	if (r < 0)
		refuse(why, r, next_key_file, "the link's key cannot be made: %s", err_what(r));
	else
		r = file_replace(s->dir_fd, next_key_file, buf_span(&pem), (uid_t)OWN, (gid_t)OWN, 0600, why);
	buf_wipe(&pem);
	if (r < 0)
		key_free(k);
	else
		*ret = k;
	return r;
}

int link_state_next_key(struct link_state *s, struct key **ret, struct refusal *why)
{
	struct buf pem = BUF_MAX(4096);
	int        r = file_read(s->dir_fd, next_key_file, true, &pem, NULL);
	if (r == 0)
		r = key_from_pem(buf_span(&pem), ret);
	buf_wipe(&pem);
	return r == 0 ? 0 : make_next_key(s, ret, why); /* an unreadable one was of no use to anybody */
}

/* Key, leaf and chain in one file: one rename replaces all of them. */
static int identity_pem(const struct key *k, struct span leaf, struct span chain, struct buf *to)
{
	int r = key_to_pem(k, to);
	if (r == 0)
		r = cert_pem_add(leaf, to);
	if (r == 0 && chain.n > 0)
		r = cert_pem_add(chain, to);
	return r == 0 ? buf_error(to) : r;
}

int link_state_save_identity(struct link_state *s, struct span leaf, struct span chain, struct refusal *why)
{
	struct buf  pem = BUF_MAX(PEM_MAX);
	struct key *k = NULL;
	int         r = link_state_next_key(s, &k, why);
	if (r == 0)
		r = cert_fits_key(leaf, k);
	if (r == 0)
		r = identity_pem(k, leaf, chain, &pem);
	if (r == 0 && fault_point("link.identity") != 0)
		r = E_SYS_IO;
	if (r == 0)
		r = file_replace(s->dir_fd, identity_file, buf_span(&pem), (uid_t)OWN, (gid_t)OWN, 0600, why);
	if (r == 0 && fault_point("link.identity.done") != 0)
		r = E_SYS_IO;
	if (r == 0 && unlinkat(s->dir_fd, next_key_file, 0) == 0)
		r = dir_sync(s->dir_fd);
	if (r == 0)
		r = read_identity(s, why);
	if (r < 0 && (why == NULL || why->code != r))
		r = refuse(why, r, identity_file, "the new identity cannot be used: %s", err_what(r));
	key_free(k);
	buf_wipe(&pem);
	return r;
}

static int write_joined(struct link_state *s, const struct link_joined *j, struct refusal *why)
{
	struct buf text = BUF_MAX(4096);
	buf_add_fmt(&text, "[joined]\nagent = %s\ndomain = %s\naddress = %s\njoin = %s\n", j->agent, j->domain, j->address, j->join);
	int r = buf_error(&text);
	if (r == 0)
		r = file_replace(s->dir_fd, joined_file, buf_span(&text), (uid_t)OWN, (gid_t)OWN, 0644, why);
	buf_free(&text);
	return r;
}

int link_state_save_joined(struct link_state *s, const struct link_joined *joined, struct span root, struct refusal *why)
{
	int r = file_replace(s->dir_fd, root_file, root, (uid_t)OWN, (gid_t)OWN, 0644, why);
	if (r == 0 && fault_point("link.joined") != 0)
		r = refuse(why, E_SYS_IO, joined_file, "stopped before it was written");
	return r == 0 ? write_joined(s, joined, why) : r;
}

int link_state_save_address(struct link_state *s, const char *address, struct refusal *why)
{
	struct link_joined joined;
	memcpy(joined.agent, s->agent, sizeof(joined.agent));
	memcpy(joined.domain, s->domain, sizeof(joined.domain));
	memcpy(joined.join, s->join, sizeof(joined.join));
	text_cut(joined.address, sizeof(joined.address), address);
	int r = write_joined(s, &joined, why);
	if (r == 0)
		memcpy(s->address, joined.address, sizeof(s->address));
	return r;
}
