/* offline_root.c - room controller/signer: asks an offline root for the next authority, answers as that root, takes the answer; for its revocation
 * list offline_list.c does.
 * Order of the files: key, request; after the answer the certificate, then the request goes. A request that is there is shown again.
 * Never: a certificate that is not, byte for byte, what was asked for. */
#include "controller/signer/offline_root.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/signer/ca_plan.h"
#include "controller/signer/offline_list.h"
#include "controller/signer/root_request.h"
#include "controller/signer/root_work.h"
#include "controller/signer/successor.h"
#include "shared/base/text.h"
#include "shared/conf/command_options.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

enum { NAME_SIZE = ISSUER_ID_SIZE + 12, PEM_MAX = 2 * CERT_DER_MAX, GROUPS_SIZE = HASH_TEXT_SIZE + HASH_TEXT_SIZE / 4 };

struct words {
	const char *config, *hash, *subject; /* subject: a role or a file */
	struct buf  file;                    /* its content: read before root becomes the signer's user, who may not reach it */
};

static struct span ca_der(const struct ca *ca)
{
	return (struct span){ca->issuer.der, ca->issuer.der_len};
}

static void name_of(char *ret, const char *id, const char *end)
{
	(void)snprintf(ret, NAME_SIZE, "%s%s", id, end);
}

int offline_put_out(struct span bytes, struct refusal *why)
{
	if (fwrite(bytes.p, 1, bytes.n, stdout) != bytes.n || fflush(stdout) != 0)
		return sys_refuse(why, "standard output", "write");
	return 0;
}

/* In groups of four, as people read it to each other; the first `n` digits. */
static const char *print_groups(const char *print, size_t n, char ret[GROUPS_SIZE])
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && i % 4 == 0)
			ret[at++] = ' ';
		ret[at++] = print[i];
	}
	ret[at] = '\0';
	return ret;
}

void offline_tell(const char *what, const char *root_id, struct span request)
{
	struct hash hash;
	char        print[HASH_TEXT_SIZE], groups[GROUPS_SIZE];
	digest_sha256(request, &hash);
	fprintf(stderr, "%s asks %s for its signature\n  SHA-256 %s\n", what, root_id, print_groups(hash_text(hash, print), HASH_TEXT_SIZE - 1, groups));
	fprintf(stderr, "next: carry it to the root's machine, and there\n  vcc-signer root-sign FILE --hash '%s' > ANSWER\n",
		print_groups(print, ROOT_REQUEST_HASH_MIN, groups));
}

/* ---- root-request, where the authority will work ---- */

/* The newest authority of the role: its root is to sign the next one. */
static int newest_of(const struct root_work *w, const char *role, struct ca **ret, struct refusal *why)
{
	unsigned most = 0;
	*ret = NULL;
	for (size_t i = 0; i < w->cas.n; i++) {
		const struct ca *ca = &w->cas.ca[i];
		enum issuer_role its;
		unsigned         number;
		if (ca_id_read(ca->issuer.issuer_id, &its, &number) == 0 && its != ISSUER_ROOT && text_equal(issuer_role_name(its), role) &&
		    number > most) {
			most = number;
			*ret = (struct ca *)(uintptr_t)ca;
		}
	}
	return *ret != NULL ? 0 : refuse(why, E_SIGNER_ISSUER, role, "there is no authority of this role; it is service, agent or code-signing");
}

/* A root that can only be recognised: its public half is enough to build what it has to sign. */
static int root_seen(const struct ca *root, struct ca *ret, struct refusal *why)
{
	if (root->key != NULL)
		return refuse(why, E_ROOT_REQUEST, root->issuer.issuer_id,
			      "its key is here: `vccctl ca rollover` has the signer make the next authority");
	ret->issuer = root->issuer;
	return key_from_spki((struct span){root->spki, root->spki_len}, &ret->key);
}

static int request_fill(const struct ca *root, const struct successor *s, const struct authority *a, struct root_request *ret)
{
	struct buf csr = BUF_MAX(sizeof(ret->csr));
	*ret = (struct root_request){.serial = a->serial, .made_at = a->now};
	text_cut(ret->authority_id, sizeof(ret->authority_id), a->issuer_id);
	text_cut(ret->root_id, sizeof(ret->root_id), root->issuer.issuer_id);
	digest_sha256(ca_der(root), &ret->root_hash);
	int r = csr_make(s->ca.key, &csr);
	if (r == 0) {
		memcpy(ret->csr, csr.p, csr.n);
		ret->csr_n = csr.n;
	}
	buf_free(&csr);
	return r;
}

static int request_make(struct root_work *w, const struct ca *old, const struct ca *root, const char *id, struct buf *to, struct refusal *why)
{
	struct ca           seen = {.key = NULL};
	struct cert_info    info;
	struct successor    s = {.root = NULL};
	struct root_request q;
	char                name[NAME_SIZE];
	struct authority    a = {.issuer_id = id, .role = old->issuer.role, .root = &seen, .lock = &old->lock, .hsm = w->cas.hsm, .now = w->change.now};
	enum issuer_role    role;

	int r = root_seen(root, &seen, why);
	if (r == 0)
		r = cert_read(ca_der(old), &info);
	if (r == 0)
		r = ca_id_read(id, &role, &a.number);
	if (r == 0) {
		a.organisation = info.organisation;
		a.serial = root_change_serial(&w->change);
		r = successor_make(&w->conf, &a, &s, why);
	}
	if (r == 0)
		r = root_change_log(&w->change, a.serial, s.tbs_hash, why);
	if (r == 0)
		r = request_fill(root, &s, &a, &q);
	if (r == 0)
		r = root_request_write(&q, to);
	if (r == 0)
		r = successor_key_write(w->ca_fd, &s, why);
	name_of(name, id, CA_REQUEST);
	if (r == 0) {
		s.kept = true;
		r = file_replace(w->ca_fd, name, buf_span(to), (uid_t)-1, (gid_t)-1, 0644, why);
	}
	successor_free(&s);
	key_free(seen.key);
	return r;
}

/* One that waits and is still good is the one: what was carried away yesterday is answered tomorrow. One that nobody can read is none. */
static int request_again(struct root_work *w, const char *id, struct buf *to, struct refusal *why)
{
	struct root_request q;
	char                name[NAME_SIZE];
	name_of(name, id, CA_REQUEST);
	int r = ca_file_read(w->ca_fd, name, false, to, why);
	if (r == 0 && (root_request_read(buf_span(to), &q, NULL) < 0 || root_request_age(&q, w->change.now, NULL) < 0)) {
		buf_reset(to);
		r = E_NOT_FOUND;
	}
	return r;
}

static int do_request(struct root_work *w, const struct words *words, struct refusal *why)
{
	struct buf       text = BUF_MAX(ROOT_REQUEST_MAX);
	struct ca       *old = NULL;
	char             id[ISSUER_ID_SIZE];
	enum issuer_role role;
	unsigned         number = 0;

	if (text_equal(words->subject, "list"))
		return offline_list_request(w, why);
	int r = newest_of(w, words->subject, &old, why);
	if (r < 0)
		return r;
	const struct ca *root = ca_store_find(&w->cas, old->issuer.parent_id);
	if (root == NULL)
		return refuse(why, E_SIGNER_ISSUER, old->issuer.issuer_id, "its root is not here");
	r = ca_id_read(old->issuer.issuer_id, &role, &number);
	if (r < 0)
		return refuse(why, r, old->issuer.issuer_id, "the name is not ROLE-NUMBER");
	if (w->cas.n == CA_MAX)
		return refuse(why, E_SIGNER_LIMIT, words->subject, "there are %d authorities, and there may be no more", CA_MAX);
	(void)snprintf(id, sizeof(id), "%s-%u", words->subject, number + 1);
	r = request_again(w, id, &text, why);
	if (r == E_NOT_FOUND)
		r = request_make(w, old, root, id, &text, why);
	if (r == 0)
		r = offline_put_out(buf_span(&text), why);
	if (r == 0)
		offline_tell(id, root->issuer.issuer_id, buf_span(&text));
	buf_free(&text);
	return r;
}

/* ---- root-sign, where the root's key is ---- */

static int answer_make(struct root_work *w, const struct root_request *q, const struct ca *root, struct buf *to, struct refusal *why)
{
	struct buf  tbs = BUF_MAX(CERT_DER_MAX / 3), der = BUF_MAX(CERT_DER_MAX);
	struct hash hash;
	int         r = root_request_tbs(&w->conf, q, root, &tbs, why);
	if (r == 0) {
		digest_sha256(buf_span(&tbs), &hash);
		r = root_change_log(&w->change, q->serial, hash, why);
	}
	if (r == 0 && (r = issue_ca_tbs_sign(root->key, buf_span(&tbs), &der)) < 0)
		(void)refuse(why, r, root->issuer.issuer_id, "%s", err_what(r));
	if (r == 0)
		r = cert_pem_add(buf_span(&der), to);
	buf_free(&tbs);
	buf_free(&der);
	return r;
}

static int do_sign(struct root_work *w, const struct words *words, struct refusal *why)
{
	struct buf          pem = BUF_MAX(PEM_MAX);
	struct root_request q;
	const struct ca    *root = NULL;

	if (offline_list_asks(buf_span(&words->file)))
		return offline_list_sign(w, buf_span(&words->file), words->hash, why);
	int r = root_request_read(buf_span(&words->file), &q, why);
	if (r == 0)
		root = ca_store_find(&w->cas, q.root_id);
	if (r == 0 && (root == NULL || root->issuer.role != ISSUER_ROOT || root->key == NULL))
		r = refuse(why, E_SIGNER_ISSUER, q.root_id, "the key of this root is not here");
	if (r == 0)
		r = root_request_judge(&q, buf_span(&words->file), words->hash, root, w->change.now, why);
	if (r == 0)
		r = answer_make(w, &q, root, &pem, why);
	if (r == 0)
		r = offline_put_out(buf_span(&pem), why);
	if (r == 0)
		fprintf(stderr, "%s is signed by %s\nnext: carry it back, and there\n  vcc-signer root-import FILE\n", q.authority_id, q.root_id);
	buf_free(&pem);
	return r;
}

/* ---- root-import, where it was asked ---- */

static bool has_file(const struct root_work *w, const char *id, const char *end)
{
	char name[NAME_SIZE];
	name_of(name, id, end);
	return faccessat(w->ca_fd, name, F_OK, 0) == 0;
}

/* Is there a place for it? The very certificate that is here was taken before a kill: only its request is left to be removed. */
static int place_judge(struct root_work *w, const char *id, struct span der, bool *ret_taken, struct refusal *why)
{
	const struct ca *there = ca_store_find(&w->cas, id);
	*ret_taken = there != NULL && span_equal(ca_der(there), der);
	if (*ret_taken)
		return 0;
	if (there != NULL)
		return refuse(why, E_ROOT_ANSWER, id, "an authority of this name is here, with another certificate");
	if (w->cas.n == CA_MAX)
		return refuse(why, E_SIGNER_LIMIT, id, "there are %d authorities, and there may be no more", CA_MAX);
	if (!has_file(w, id, CA_KEY) && !has_file(w, id, CA_TOKEN))
		return refuse(why, E_ROOT_ANSWER, id, "its key, made with the request, is not here any more");
	return 0;
}

static int answer_judge(struct root_work *w, const struct root_request *q, struct span der, struct refusal *why)
{
	struct buf        tbs = BUF_MAX(CERT_DER_MAX / 3);
	struct cert_parts parts;
	const struct ca  *root = ca_store_find(&w->cas, q->root_id);
	bool              taken;
	int               r = place_judge(w, q->authority_id, der, &taken, why);
	if (r < 0 || taken)
		return r;
	r = root != NULL ? root_request_age(q, w->change.now, why) : refuse(why, E_SIGNER_ISSUER, q->root_id, "it is not here any more");
	if (r == 0)
		r = root_request_tbs(&w->conf, q, root, &tbs, why);
	if (r == 0 && (cert_parts_read(der, &parts) < 0 || !span_equal(parts.tbs, buf_span(&tbs))))
		r = refuse(why, E_ROOT_ANSWER, q->authority_id, "it is not, byte for byte, what was asked for");
	if (r == 0 && cert_verify(der, (struct span){0}, ca_der(root), 0, 0, NULL) < 0)
		r = refuse(why, E_ROOT_ANSWER, q->authority_id, "%s did not sign it", q->root_id);
	buf_free(&tbs);
	return r;
}

/* For which of the requests that wait it is: by the new key. */
static int request_for(struct root_work *w, struct span der, struct root_request *ret, struct refusal *why)
{
	struct cert_parts parts;
	if (cert_parts_read(der, &parts) < 0)
		return refuse(why, E_ROOT_ANSWER, "answer", "this is no certificate");
	for (size_t i = 0; i < w->cas.n; i++) {
		char                name[NAME_SIZE], id[ISSUER_ID_SIZE];
		enum issuer_role    role;
		unsigned            number;
		struct span         spki;
		enum key_type       type;
		struct root_request q;
		struct buf          text = BUF_MAX(ROOT_REQUEST_MAX);
		if (ca_id_read(w->cas.ca[i].issuer.issuer_id, &role, &number) < 0)
			continue;
		(void)snprintf(id, sizeof(id), "%s-%u", issuer_role_name(role), number + 1);
		name_of(name, id, CA_REQUEST);
		bool fits = file_read(w->ca_fd, name, false, &text, NULL) == 0 && root_request_read(buf_span(&text), &q, NULL) == 0 &&
			    csr_check((struct span){q.csr, q.csr_n}, &spki, &type) == 0 && span_equal(spki, parts.t.spki);
		buf_free(&text);
		if (fits) {
			*ret = q;
			return 0;
		}
	}
	return refuse(why, E_ROOT_ANSWER, "answer", "no request waits here for a certificate of this key");
}

static int do_import(struct root_work *w, const struct words *words, struct refusal *why)
{
	struct buf          ders = BUF_MAX(CERT_DER_MAX);
	struct root_request q;
	char                name[NAME_SIZE];
	int                 r = 0;

	if (offline_list_answers(buf_span(&words->file)))
		return offline_list_import(w, buf_span(&words->file), why);
	if (cert_from_pem(buf_span(&words->file), &ders) < 0)
		r = refuse(why, E_ROOT_ANSWER, words->subject, "this is no certificate in PEM");
	if (r == 0)
		r = request_for(w, buf_span(&ders), &q, why);
	if (r == 0)
		r = answer_judge(w, &q, buf_span(&ders), why);
	if (r == 0) {
		name_of(name, q.authority_id, ".cer");
		r = file_replace(w->ca_fd, name, buf_span(&ders), (uid_t)-1, (gid_t)-1, 0644, why);
	}
	if (r == 0) {
		name_of(name, q.authority_id, CA_REQUEST);
		if (unlinkat(w->ca_fd, name, 0) < 0 || dir_sync(w->ca_fd) < 0)
			r = sys_refuse_at(why, w->ca_fd, name, "remove");
	}
	if (r == 0)
		fprintf(stderr, "%s is here\nnext: `systemctl start vcc-signer`; `vccctl ca rollover` takes it up\n", q.authority_id);
	buf_free(&ders);
	return r;
}

/* ---- the commands ---- */

static const struct command {
	const char *name;
	int (*run)(struct root_work *w, const struct words *words, struct refusal *why);
	bool hash, file;
} commands[] = {
	{"root-request", do_request, false, false},
	{"root-sign", do_sign, true, true},
	{"root-import", do_import, false, true},
};

static void words_read(int argc, char **argv, const struct command *c, struct words *ret)
{
	struct command_words        line;
	const struct command_option hash = {"hash", &ret->hash, NULL};

	*ret = (struct words){.file = BUF_MAX(PEM_MAX)};
	command_options("vcc-signer", argc, argv, &hash, c->hash ? 1 : 0, 1, 1, &line);
	if (c->hash && ret->hash == NULL)
		command_refuse("vcc-signer", c->name, "--hash", "it is needed");
	ret->config = line.config;
	ret->subject = line.word[0];
}

int offline_root(int argc, char **argv)
{
	static struct root_work w = {.ca_fd = -1};
	const struct command   *c = NULL;
	struct words            words;
	struct refusal          why = {0};
	char                    text[600];

	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		if (strcmp(argv[0], commands[i].name) == 0)
			c = &commands[i];
	if (c == NULL)
		return -1;
	words_read(argc, argv, c, &words);
	int r = c->file ? file_read(AT_FDCWD, words.subject, false, &words.file, &why) : 0;
	if (r == 0)
		r = root_work_open(&w, words.config, &why);
	if (r == 0)
		r = c->run(&w, &words, &why);
	root_work_close(&w);
	buf_free(&words.file);
	if (r == 0)
		return 0;
	if (why.code == 0)
		(void)refuse(&why, r, c->name, "%s", err_what(r));
	fprintf(stderr, "vcc-signer: %s\n", refusal_text(&why, text, sizeof(text)));
	return 1;
}
