/* fleet_keep.c - one small file for each member below the state folder, so that a second run is the same hosts.
 * A crash may lose the newest of them: they are made for tests, and nothing is synced. Never: a file that others may read. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "tests/fleet/fleet_part.h"

enum { FILE_MAX = 16384, DER_TEXT = 4096 };
static const char suffix[] = ".member";
static const char root_name[] = "root.der";

int keep_open(const char *state_dir, int *ret_dir_fd, struct refusal *why)
{
	int r = dir_make(state_dir, 0700, why);
	if (r < 0)
		return r;
	*ret_dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_dir_fd >= 0 ? 0 : sys_refuse(why, state_dir, "open the folder");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

int keep_names(int dir_fd, uint32_t max, char (**ret)[AGENT_NAME_SIZE], size_t *ret_n, struct refusal *why)
{
	int  fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	char(*names)[AGENT_NAME_SIZE] = calloc(FLEET_AGENTS_MAX, sizeof(*names));
	size_t         n = 0;
	struct dirent *e;
	if (dir == NULL || names == NULL) {
		fd_close(fd);
		free(names);
		return sys_refuse(why, "state folder", "list it");
	}
	while (n < FLEET_AGENTS_MAX && (e = readdir(dir)) != NULL)
		if (text_ends(e->d_name, suffix) && text_copy_n(names[n], sizeof(names[n]), e->d_name, strlen(e->d_name) - strlen(suffix)) == 0)
			n++;
	closedir(dir);
	qsort(names, n, sizeof(*names), by_name);
	*ret = names;
	*ret_n = n < max ? n : max;
	return 0;
}

static int file_put(int dir_fd, const char *name, struct span bytes, struct refusal *why)
{
	char temporary[AGENT_NAME_SIZE + 32];
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	_cleanup_fd_ int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n || renameat(dir_fd, temporary, dir_fd, name) != 0)
		return sys_refuse(why, name, "write it");
	return 0;
}

int keep_root_load(int dir_fd, struct buf *to, struct refusal *why)
{
	return file_read(dir_fd, root_name, false, to, why);
}

int keep_root_save(int dir_fd, struct span root, struct refusal *why)
{
	return file_put(dir_fd, root_name, root, why);
}

static void add_bytes(struct buf *to, const char *what, struct span bytes)
{
	char text[DER_TEXT];
	if (b64_text(bytes.p, bytes.n, text, sizeof(text)) < 0)
		to->error = E_FULL;
	buf_add_fmt(to, "%s %s\n", what, text);
}

static int add_key(struct buf *to, const char *what, const struct key *key)
{
	struct buf der = BUF_MAX(2048);
	int        r = key_to_der(key, &der);
	if (r == 0)
		add_bytes(to, what, buf_span(&der));
	buf_wipe(&der);
	return r;
}

int keep_save(int dir_fd, const struct member *m, struct refusal *why)
{
	char       name[AGENT_NAME_SIZE + 16];
	char       hash[HASH_TEXT_SIZE], serial[SERIAL_TEXT_SIZE];
	struct buf text = BUF_MAX(FILE_MAX);
	buf_add_fmt(&text, "service %s\ndomain %s\naddress %s\nruns %llu\n", m->service, m->domain, m->address, (unsigned long long)m->runs);
	int r = add_key(&text, "host", m->host_key);
	if (r == 0)
		r = add_key(&text, "link", m->link_key);
	if (r == 0 && m->stage_key != NULL)
		r = add_key(&text, m->stage_ready ? "staged" : "offered", m->stage_key);
	add_bytes(&text, "identity", (struct span){m->leaf, m->n_leaf});
	if (m->generation != 0)
		buf_add_fmt(&text, "generation %llu\nserial %s\nserves %s\n", (unsigned long long)m->generation, serial_text(m->serial, serial),
		            hash_text(m->serves, hash));
	snprintf(name, sizeof(name), "%s%s", m->name, suffix);
	if (r == 0)
		r = buf_error(&text);
	r = r == 0 ? file_put(dir_fd, name, buf_span(&text), why) : refuse(why, r, m->name, "its file cannot be made");
	buf_wipe(&text);
	return r;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------- */

static int take_key(const char *value, struct key **ret)
{
	uint8_t der[2048];
	size_t  n;
	int     r = b64_parse(value, der, sizeof(der), &n);
	if (r == 0)
		r = key_from_der((struct span){der, n}, ret);
	secret_wipe(der, sizeof(der));
	return r;
}

static int take_leaf(struct member *m, const char *value)
{
	uint8_t der[CERT_DER_MAX];
	int     r = b64_parse(value, der, sizeof(der), &m->n_leaf);
	m->leaf = r == 0 ? malloc(m->n_leaf) : NULL;
	if (m->leaf != NULL)
		memcpy(m->leaf, der, m->n_leaf);
	return r == 0 && m->leaf == NULL ? E_NOMEM : r;
}

static int take_number(const char *value, uint64_t *ret)
{
	int64_t n;
	int     r = text_i64(value, 0, INT64_MAX, &n);
	if (r == 0)
		*ret = (uint64_t)n;
	return r;
}

static int take_line(struct member *m, const char *word, const char *value)
{
	if (text_equal(word, "service"))
		return text_copy(m->service, sizeof(m->service), value);
	if (text_equal(word, "domain"))
		return text_copy(m->domain, sizeof(m->domain), value);
	if (text_equal(word, "address"))
		return text_copy(m->address, sizeof(m->address), value);
	if (text_equal(word, "runs"))
		return take_number(value, &m->runs);
	if (text_equal(word, "host"))
		return take_key(value, &m->host_key);
	if (text_equal(word, "link"))
		return take_key(value, &m->link_key);
	if (text_equal(word, "staged") || text_equal(word, "offered")) {
		m->stage_ready = text_equal(word, "staged");
		return take_key(value, &m->stage_key);
	}
	if (text_equal(word, "identity"))
		return take_leaf(m, value);
	if (text_equal(word, "generation"))
		return take_number(value, &m->generation);
	if (text_equal(word, "serial"))
		return serial_parse(value, &m->serial);
	if (text_equal(word, "serves"))
		return hash_parse(value, &m->serves);
	return E_SYNTAX;
}

int keep_key_hash(const struct key *key, struct hash *ret)
{
	struct buf spki = BUF_MAX(SPKI_MAX);
	int        r = key_spki(key, &spki);
	if (r == 0)
		digest_sha256(buf_span(&spki), ret);
	buf_free(&spki);
	return r;
}

static int finish(struct member *m)
{
	if (m->host_key == NULL || m->link_key == NULL || m->leaf == NULL)
		return E_SYNTAX;
	int r = keep_key_hash(m->host_key, &m->host_hash);
	if (r == 0 && m->stage_key != NULL)
		r = keep_key_hash(m->stage_key, &m->stage_hash);
	if (r == 0)
		r = fleet_identity_new((struct span){m->leaf, m->n_leaf}, m->link_key, &m->identity);
	if (r == 0)
		r = fleet_place_parse(m->address, &m->place);
	m->current = m->serves;
	m->runs++;
	return r;
}

int keep_load(int dir_fd, struct member *m, struct refusal *why)
{
	char       name[AGENT_NAME_SIZE + 16];
	char      *rest = NULL;
	struct buf text = BUF_MAX(FILE_MAX);
	snprintf(name, sizeof(name), "%s%s", m->name, suffix);
	int r = file_read(dir_fd, name, true, &text, why);
	if (r < 0)
		return r;
	buf_add_u8(&text, 0);
	r = buf_error(&text);
	for (char *line = r == 0 ? strtok_r((char *)text.p, "\n", &rest) : NULL; line != NULL && r == 0; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, ' ');
		r = value != NULL ? 0 : E_SYNTAX;
		if (r == 0) {
			*value = '\0';
			r = take_line(m, line, value + 1);
		}
	}
	if (r == 0)
		r = finish(m);
	buf_wipe(&text);
	return r == 0 ? 0 : refuse(why, r, name, "this is no member of a fleet; remove it, or take another folder");
}
