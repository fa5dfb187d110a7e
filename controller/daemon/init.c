/* init.c - room controller/daemon: `vcc-controller init`: token files first, then everything in one transaction.
 * Settings made: domain, organisation, public_url, bundle (encoded bundle frame), installed (time). Never: changing an
 * installation that is complete. */
#include "controller/daemon/init.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/core/policy.h"
#include "controller/daemon/template_json.h"
#include "controller/store/store.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/command_options.h"
#include "shared/conf/controller_conf.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/issue.h"
#include "shared/pki/key.h"
#include "shared/pki/token.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/owner.h"
#include "shared/wire/wire.h"

struct embedded_file {
	const char          *name;
	const unsigned char *bytes;
	size_t               n;
};
extern const struct embedded_file templates_files[]; /* packaging/templates, made by scripts/embed; sorted: v1 before v2 */
extern const size_t               templates_files_n;

static const char actor[] = "init";
static const char *const services[] = {"clara", "covina", "argus", "veritas", "vpb", "external"};
static const struct {
	const char       *id, *parent;
	enum issuer_role  role;
} authorities[] = {
	{"root-1", "", ISSUER_ROOT},
	{"service-1", "root-1", ISSUER_SERVICE},
	{"agent-1", "root-1", ISSUER_AGENT},
	{"code-signing-1", "root-1", ISSUER_CODE_SIGNING},
};
static const struct {
	const char *name;
	unsigned    roles;
} people[] = {
	{"admin", 1U << ROLE_ADMIN},
	{"approver", 1U << ROLE_APPROVER}, /* a second person: an admin decides no approval */
};

struct init {
	struct controller_conf conf;
	const char            *ca_dir, *tokens_dir;
	bool                   modern;
	int64_t                now;
	struct id              request_id; /* of all its audit records */
	int                    ca_fd;
	struct hash            token_hash[N_ELEMENTS(people)];
	struct store_change   *change;
	int                    woken; /* eventfd: the store has completions */
	int                    result;
	bool                   done;
	char                   last_template[TEMPLATE_ID_SIZE]; /* that was added, and which version of it */
	unsigned               version;
};

/* ---- token files ---- */

/* Made when missing. The file is there before the store knows the token, so that no run ends with a token that nobody holds. */
static int token_file(struct init *in, int dir_fd, size_t i, struct refusal *why)
{
	char        name[ACTOR_SIZE + 8], text[TOKEN_PAT_SIZE + 2];
	uint8_t     random[TOKEN_SECRET];
	struct buf  file = BUF_MAX(TOKEN_PAT_SIZE + 2);

	snprintf(name, sizeof(name), "%s.token", people[i].name);
	int r = file_read(dir_fd, name, true, &file, why);
	if (r == 0) {
		while (file.n > 0 && file.p[file.n - 1] == '\n')
			file.n--;
		r = text_copy_n(text, sizeof(text), (const char *)file.p, file.n);
		if (r == 0)
			r = token_pat_check(text, &in->token_hash[i]);
		if (r < 0)
			refuse(why, r, name, "the file exists and holds no token: remove it and repeat");
	} else if (r == E_NOT_FOUND) {
		random_bytes(random, sizeof(random));
		r = token_pat_make(random, text, &in->token_hash[i]);
		if (r == 0)
			strcat(text, "\n");
		if (r == 0 && fault_point("init.token") != 0)
			r = sys_refuse(why, name, "write");
		if (r == 0)
			r = file_replace(dir_fd, name, span_text(text), (uid_t)-1, (gid_t)-1, 0600, why);
		secret_wipe(random, sizeof(random));
	}
	secret_wipe(text, sizeof(text));
	buf_wipe(&file);
	return r;
}

static int token_files(struct init *in, struct refusal *why)
{
	_cleanup_fd_ int fd = open(in->tokens_dir, O_DIRECTORY | O_CLOEXEC);
	int              r = fd >= 0 ? 0 : sys_refuse(why, in->tokens_dir, "open the folder");

	for (size_t i = 0; i < N_ELEMENTS(people) && r == 0; i++)
		r = token_file(in, fd, i, why);
	return r;
}

/* ---- building the change ---- */

static void audit(struct init *in, enum audit_event event, const char *object, const char *detail)
{
	struct audit a = {.at = in->now, .event = event};
	text_cut(a.actor, sizeof(a.actor), actor);
	text_cut(a.object, sizeof(a.object), object);
	text_cut(a.detail, sizeof(a.detail), detail);
	text_cut(a.reason, sizeof(a.reason), "vccctl init");
	a.request_id = in->request_id;
	store_add_audit(in->change, &a);
}

static void setting(struct init *in, const char *name, struct span value)
{
	store_put_setting(in->change, name, value);
}

static int add_issuer(struct init *in, size_t i, struct buf *der, struct refusal *why)
{
	struct issuer    row = {.role = authorities[i].role};
	struct cert_info  info;
	struct cert_parts parts;
	char              name[ISSUER_ID_SIZE + 8];

	snprintf(name, sizeof(name), "%s.cer", authorities[i].id);
	buf_reset(der);
	int r = file_read(in->ca_fd, name, false, der, why);
	if (r == 0 && der->n > sizeof(row.der))
		r = refuse(why, E_FULL, name, "the certificate is too large");
	if (r == 0 && (cert_read(buf_span(der), &info) < 0 || !info.is_ca))
		r = refuse(why, E_PKI_CERT, name, "this is not the certificate of an authority");
	if (r == 0)
		r = cert_parts_read(buf_span(der), &parts);
	if (r == 0)
		r = key_spki_type(parts.t.spki, &row.key_type);
	if (r == 0)
		r = text_copy(row.issuer_id, sizeof(row.issuer_id), authorities[i].id);
	if (r == 0)
		r = text_copy(row.parent_id, sizeof(row.parent_id), authorities[i].parent);
	if (r != 0)
		return r;
	row.not_before_at = info.not_before_at;
	row.not_after_at = info.not_after_at;
	memcpy(row.der, der->p, der->n);
	row.der_len = (uint16_t)der->n;
	store_put_issuer(in->change, &row);
	return 0;
}

static int add_root_crl(struct init *in, struct span root, struct refusal *why)
{
	struct buf      der = BUF_MAX(65536);
	struct crl_info info;
	struct crl_row  row = {.issuer_id = "root-1"};

	int r = file_read(in->ca_fd, "root-1.crl", false, &der, why);
	if (r == 0 && crl_read(buf_span(&der), root, &info) < 0)
		r = refuse(why, E_PKI_CERT, "root-1.crl", "this is not the root's revocation list");
	if (r == 0) {
		row.number = info.number;
		row.this_update_at = info.this_update_at;
		row.next_update_at = info.next_update_at;
		row.der = buf_span(&der);
		store_put_crl(in->change, &row);
		audit(in, AUDIT_CRL_PUBLISHED, "root-1", "");
	}
	buf_free(&der);
	return r;
}

static int add_issuers(struct init *in, struct refusal *why)
{
	struct buf root = BUF_MAX(CERT_DER_MAX), der = BUF_MAX(CERT_DER_MAX);

	int r = add_issuer(in, 0, &root, why);
	for (size_t i = 1; i < N_ELEMENTS(authorities) && r == 0; i++)
		r = add_issuer(in, i, &der, why);
	if (r == 0)
		r = add_root_crl(in, buf_span(&root), why);
	buf_free(&root);
	buf_free(&der);
	return r;
}

/* The shipped patterns speak of vcc.internal; an installation has its own domain. */
static int own_domain(const char *domain, struct template *t)
{
	static const char shipped[] = ".vcc.internal";
	struct san        san;
	size_t            cursor = 0;
	char              list[NAMES_TEXT_SIZE] = "";
	size_t            n = 0;

	while (names_next(&t->patterns, &cursor, &san)) {
		int cut = text_ends(san.text, shipped) ? (int)(strlen(san.text) - strlen(shipped)) : -1;
		int put = cut < 0 ? snprintf(list + n, sizeof(list) - n, "%s,", san.text)
		                  : snprintf(list + n, sizeof(list) - n, "%.*s.%s,", cut, san.text, domain);
		if (put < 0 || (size_t)put >= sizeof(list) - n)
			return E_FULL;
		n += (size_t)put;
	}
	return names_parse(list, true, &t->patterns, NULL);
}

/* The trail knows a version by its text. Files come sorted: the versions of one template after each other. */
static void audit_template(struct init *in, const struct template *t)
{
	struct hash hash;
	char        hex[HASH_TEXT_SIZE], detail[HASH_TEXT_SIZE + 64] = "";
	char       *text = template_json_text(t, &hash);
	in->version = text_equal(in->last_template, t->template_id) ? in->version + 1 : 1;
	text_cut(in->last_template, sizeof(in->last_template), t->template_id);
	if (text != NULL)
		(void)snprintf(detail, sizeof(detail), "{\"version\":%u,\"sha256\":\"%s\"}", in->version, hash_text(hash, hex));
	free(text);
	audit(in, AUDIT_TEMPLATE_APPLIED, t->template_id, detail);
}

static int add_template(struct init *in, const struct embedded_file *file, const char *domain, struct refusal *why)
{
	const struct policy_limits limits = {.jitter_share = in->conf.jitter};
	struct template            t;

	if (!in->modern && !text_ends(file->name, ".v1.json"))
		return 0;
	int r = template_json_parse((struct span){file->bytes, file->n}, (uint32_t)in->conf.max_renewals_default, &t, why);
	if (r == 0 && own_domain(domain, &t) < 0)
		r = refuse(why, E_POLICY_TEMPLATE, t.template_id, "the name patterns do not fit the domain");
	if (r == 0)
		r = policy_template_check(&t, &limits, why);
	if (r < 0)
		return r;
	t.created_at = in->now;
	store_add_template(in->change, &t, UINT32_MAX);
	audit_template(in, &t);
	return 0;
}

static void add_services(struct init *in)
{
	for (size_t i = 0; i < N_ELEMENTS(services); i++) {
		struct service s = {.created_at = in->now};
		text_cut(s.name, sizeof(s.name), services[i]);
		store_put_service(in->change, &s);
		audit(in, AUDIT_SERVICE_CREATED, s.name, "");
	}
}

static void add_people(struct init *in)
{
	for (size_t i = 0; i < N_ELEMENTS(people); i++) {
		struct principal p = {.roles = people[i].roles, .created_at = in->now};
		struct token     t = {.hash = in->token_hash[i], .label = "init", .created_at = in->now, .expires_at = TIME_NEVER};
		uint8_t          random[ID_RANDOM];
		text_cut(p.name, sizeof(p.name), people[i].name);
		text_cut(p.person, sizeof(p.person), people[i].name);
		text_cut(p.maker, sizeof(p.maker), actor);
		text_cut(t.maker, sizeof(t.maker), actor);
		text_cut(t.principal, sizeof(t.principal), people[i].name);
		random_bytes(random, sizeof(random));
		t.token_id = id_make(in->now, random);
		store_put_principal(in->change, &p);
		store_add_token(in->change, &t);
		audit(in, AUDIT_PRINCIPAL_CREATED, p.name, "");
		audit(in, AUDIT_TOKEN_CREATED, p.name, "");
	}
}

static int add_bundle(struct init *in, struct refusal *why)
{
	static struct wire_frame frame;
	struct buf               bytes = BUF_MAX(FRAME_MAX);

	int r = file_read(in->ca_fd, "bundle", false, &bytes, why);
	if (r == 0 && (wire_decode(&wire_agent, buf_span(&bytes), 0, &frame) < 0 || frame.type != MSG_BUNDLE))
		r = refuse(why, E_PKI_CERT, "bundle", "this is not a trust bundle");
	if (r == 0)
		setting(in, "bundle", buf_span(&bytes));
	buf_free(&bytes);
	return r;
}

static int build(struct init *in, struct refusal *why)
{
	const char *domains = in->conf.domain;
	char        domain[DNS_NAME_SIZE], text[TIME_TEXT_SIZE];

	if (!text_item(&domains, domain, sizeof(domain)))
		return refuse(why, E_CONF_VALUE, "controller.domain", "there is no domain");
	audit(in, AUDIT_INSTALLATION_CREATED, domain, "");
	setting(in, "domain", span_text(domain));
	setting(in, "organisation", span_text(in->conf.organisation));
	setting(in, "public_url", span_text(in->conf.public_url));
	setting(in, "installed", span_text(time_text(in->now, text)));
	int r = add_issuers(in, why);
	if (r == 0)
		r = add_bundle(in, why);
	add_services(in);
	for (size_t i = 0; i < templates_files_n && r == 0; i++)
		r = add_template(in, &templates_files[i], domain, why);
	add_people(in);
	return r;
}

/* ---- storing ---- */

static void on_wake(void *ctx)
{
	const uint64_t one = 1;
	struct init   *in = ctx;
	if (write(in->woken, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

static void on_done(void *ctx, int code, const struct store_result *result)
{
	struct init *in = ctx;
	(void)result;
	in->done = true;
	in->result = code;
}

static int submit(struct init *in, struct store *store, struct refusal *why)
{
	int r = fault_point("init.commit") != 0 ? E_STORE_IO : 0;
	if (r == 0)
		r = store_submit(store, in->change, on_done, in);
	else
		store_change_free(in->change);
	in->change = NULL;
	while (r == 0 && !in->done) {
		struct pollfd p = {.fd = in->woken, .events = POLLIN};
		(void)!poll(&p, 1, 1000);
		store_poll(store);
	}
	if (r == 0)
		r = in->result;
	if (r == 0 && fault_point("init.committed") != 0)
		r = E_STORE_IO;
	return r < 0 ? refuse(why, r, in->conf.state_dir, "%s", err_what(r)) : 0;
}

/* Was the one transaction of an earlier run committed? */
static int was_installed(struct store *store, bool *ret)
{
	struct store_view *view = NULL;
	struct buf         value = BUF_MAX(64);

	int r = store_view_open(store, &view);
	if (r < 0)
		return r;
	r = view_setting(view, "installed", &value);
	*ret = r == 0;
	store_view_close(view);
	buf_free(&value);
	return r == E_NOT_FOUND ? 0 : r;
}

static int store_fill(struct init *in, struct refusal *why)
{
	char                 path[CONF_PATH_SIZE + 16];
	struct store        *store = NULL;
	bool                 installed = false;
	struct store_options options = {.path = path, .hash = digest_sha256_two, .wake = on_wake, .wake_ctx = in, .create = true};

	snprintf(path, sizeof(path), "%s/vcc.db", in->conf.state_dir);
	in->woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->woken < 0)
		return sys_refuse(why, "eventfd", "make");
	int r = store_sqlite_open(&options, &store, why);
	if (r == 0)
		r = was_installed(store, &installed);
	if (r == 0 && !installed) {
		struct hash salt;
		random_bytes(&salt, sizeof(salt));
		in->change = store_change_new();
		store_change_salt(in->change, salt);
		r = build(in, why);
		if (r == 0)
			r = submit(in, store, why);
		else
			store_change_free(in->change);
	}
	if (store != NULL)
		store_close(store);
	fd_close(in->woken);
	return r;
}

/* ---- the whole ---- */

static int init_all(struct init *in, const char *config, struct refusal *why)
{
	int r = conf_load(&controller_schema, config, &in->conf, NULL, why);
	if (r == 0) /* what is made must belong to the user that runs vcc-controller */
		r = owner_become(in->conf.state_dir, why);
	if (r < 0)
		return r;
	in->ca_fd = open(in->ca_dir, O_DIRECTORY | O_CLOEXEC);
	if (in->ca_fd < 0)
		return sys_refuse(why, in->ca_dir, "open the folder");
	r = token_files(in, why);
	if (r == 0)
		r = store_fill(in, why);
	fd_close(in->ca_fd);
	return r;
}

int daemon_init(int argc, char **argv)
{
	static struct init in;
	const char          *crypto = "modern";
	struct command_words words;
	struct refusal       why = {0};
	char                 text[600];
	uint8_t              random[ID_RANDOM];
	const struct command_option own[] = {{"ca", &in.ca_dir, NULL}, {"tokens", &in.tokens_dir, NULL}, {"crypto", &crypto, NULL}};

	command_options("vcc-controller", argc, argv, own, N_ELEMENTS(own), 0, 0, &words);
	in.modern = text_equal(crypto, "modern");
	if (in.ca_dir == NULL || in.tokens_dir == NULL)
		command_refuse("vcc-controller", "init", in.ca_dir == NULL ? "--ca" : "--tokens", "it is needed");
	if (!in.modern && !text_equal(crypto, "brief"))
		command_refuse("vcc-controller", "init", crypto, "it is `modern` or `brief`");
	umask(077);
	in.now = clock_now();
	random_bytes(random, sizeof(random));
	in.request_id = id_make(in.now, random);
	int r = init_all(&in, words.config, &why);
	if (r < 0) {
		if (why.code == 0)
			refuse(&why, r, "vcc-controller init", "%s", err_what(r));
		fprintf(stderr, "vcc-controller: %s\n", refusal_text(&why, text, sizeof(text)));
	}
	return r < 0 ? 1 : 0;
}
