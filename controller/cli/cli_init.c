/* cli_init.c - room controller/cli: `vccctl init`: folders and configurations, then the signer's and the controller's own init.
 * Order: what can be checked is checked before the first file; the file `installation` comes last. Never: overwriting anything. */
#include "controller/cli/cli_init.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "controller/cli/client.h"
#include "controller/cli/init_layout.h"
#include "shared/base/text.h"
#include "shared/conf/program_table.h"
#include "shared/conf/signer_conf.h"
#include "shared/model/cidr.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { READY_MS = 60 * 1000 };

struct init {
	struct init_choice choice;
	struct init_layout layout;
	char               folder[PATH_MAX]; /* --state-dir as given; "" = the system's folders */
	char               bin[PATH_MAX];
};

/* ---- options ---- */

static int add_item(char *list, size_t size, const char *item)
{
	size_t n = strlen(list);
	int    put = snprintf(list + n, size - n, "%s%s", n > 0 ? "," : "", item);
	return put > 0 && (size_t)put < size - n ? 0 : E_FULL;
}

static int take_domain(struct init_choice *c, const char *text)
{
	char name[DNS_NAME_SIZE];
	int  r = name_dns(text, false, name);
	return r < 0 ? r : add_item(c->domains, sizeof(c->domains), name);
}

static int take_range(struct init_choice *c, const char *text)
{
	struct cidr range;
	char        whole[80];
	int         r = cidr_parse(text, &range);
	if (r < 0)
		return r;
	snprintf(whole, sizeof(whole), strchr(text, '/') != NULL ? "%s" : "%s/%u", text, range.bits);
	return add_item(c->ip_ranges, sizeof(c->ip_ranges), whole);
}

static int take_public_name(struct init_choice *c, const char *text)
{
	return name_dns(text, false, c->public_name);
}

static int take_crypto(struct init_choice *c, const char *text)
{
	return text_equal(text, "modern") || text_equal(text, "brief") ? text_copy(c->crypto, sizeof(c->crypto), text) : E_SYNTAX;
}

/* One row per option that is a plain text or has a check of its own. */
static const struct row {
	const char *name;
	int (*take)(struct init_choice *c, const char *text); /* NULL = copy */
	size_t      offset, size;
	const char *wanted;
} rows[] = {
#define COPY(field) NULL, offsetof(struct init_choice, field), sizeof(((struct init_choice *)0)->field)
	{"org", COPY(organisation), "at most 64 characters"},
	{"domain", take_domain, 0, 0, "a DNS name"},
	{"permit-ip", take_range, 0, 0, "a range like 10.0.0.0/8"},
	{"public-name", take_public_name, 0, 0, "a DNS name"},
	{"crypto", take_crypto, 0, 0, "`modern` or `brief`"},
	{"admin-contact", COPY(contact_admin), "at most 159 characters"},
	{"security-contact", COPY(contact_security), "at most 159 characters"},
	{"public-url", COPY(public_url), "http://NAME[:PORT]"},
	{"public-listen", COPY(public_listen), "HOST:PORT"},
	{"admin-listen", COPY(admin_listen), "HOST:PORT"},
	{"agent-listen", COPY(agent_listen), "HOST:PORT"},
	{"join-listen", COPY(join_listen), "HOST:PORT"},
#undef COPY
};

enum { OPTION_STATE_DIR = 1000, OPTION_BIN_DIR, OPTION_HELP, OPTION_VERSION };

static int take_row(struct init *in, const struct row *row, const char *text, struct refusal *why)
{
	int r = 0;
	if (!text_line_ok(text, strlen(text)))
		r = E_SYNTAX;
	else if (row->take != NULL)
		r = row->take(&in->choice, text);
	else
		r = text_copy((char *)&in->choice + row->offset, row->size, text);
	return r < 0 ? refuse(why, E_CLI_USAGE, row->name, "`%.60s` is not %s", text, row->wanted) : 0;
}

static int take_folder(struct init *in, const char *text, struct refusal *why)
{
	char here[PATH_MAX];
	int  n = 0;

	if (text[0] == '/')
		n = snprintf(in->folder, sizeof(in->folder), "%s", text);
	else if (getcwd(here, sizeof(here)) != NULL)
		n = snprintf(in->folder, sizeof(in->folder), "%s/%s", here, text);
	if (n <= 0 || (size_t)n >= sizeof(in->folder))
		return refuse(why, E_CLI_USAGE, "state-dir", "the path is not usable");
	while (n > 1 && in->folder[n - 1] == '/')
		in->folder[--n] = '\0';
	return 0;
}

/* 1 = help or version was asked for, and printed. */
static int options_read(int argc, char **argv, struct init *in, struct refusal *why)
{
	struct option options[N_ELEMENTS(rows) + 5] = {0};
	size_t        n = 0;

	for (; n < N_ELEMENTS(rows); n++)
		options[n] = (struct option){rows[n].name, required_argument, NULL, (int)n + 1};
	options[n++] = (struct option){"state-dir", required_argument, NULL, OPTION_STATE_DIR};
	options[n++] = (struct option){"bin-dir", required_argument, NULL, OPTION_BIN_DIR};
	options[n++] = (struct option){"help", no_argument, NULL, OPTION_HELP};
	options[n] = (struct option){"version", no_argument, NULL, OPTION_VERSION};
	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		int r = 0;
		if (c == OPTION_HELP || c == 'h')
			return program_help("vccctl", "init", stdout), 1;
		if (c == OPTION_VERSION)
			return puts("vccctl " VCC_VERSION), 1;
		if (c == OPTION_STATE_DIR)
			r = take_folder(in, optarg, why);
		else if (c == OPTION_BIN_DIR)
			r = text_copy(in->bin, sizeof(in->bin), optarg);
		else if (c >= 1 && c <= (int)N_ELEMENTS(rows))
			r = take_row(in, &rows[c - 1], optarg, why);
		else
			return refuse(why, E_CLI_USAGE, "vccctl init", "see --help");
		if (r < 0)
			return r;
	}
	return optind == argc ? 0 : refuse(why, E_CLI_USAGE, argv[optind], "this word is not expected");
}

static int fill(char *to, size_t size, const char *fmt, const char *value)
{
	int n = to[0] == '\0' ? snprintf(to, size, fmt, value) : 1;
	return n > 0 && (size_t)n < size ? 0 : E_FULL;
}

/* What was not given follows from what was. */
static int choice_finish(struct init_choice *c, struct refusal *why)
{
	const char *domains = c->domains;
	char        first[DNS_NAME_SIZE] = "", reached[ADDRESS_SIZE] = "";

	if (c->organisation[0] == '\0' || !text_item(&domains, first, sizeof(first)))
		return refuse(why, E_CLI_USAGE, "vccctl init", "--org and --domain are required; see --help");
	if (c->contact_admin[0] == '\0' || c->contact_security[0] == '\0')
		return refuse(why, E_CLI_USAGE, "vccctl init", "--admin-contact and --security-contact are required");
	int r = fill(c->public_name, sizeof(c->public_name), "pki.%s", first);
	if (r == 0)
		r = fill(c->crypto, sizeof(c->crypto), "%s", "modern");
	if (r == 0)
		r = fill(c->public_listen, sizeof(c->public_listen), "%s", "[::]:80");
	if (r == 0)
		r = fill(c->admin_listen, sizeof(c->admin_listen), "%s", "[::]:8444");
	if (r == 0)
		r = fill(c->agent_listen, sizeof(c->agent_listen), "%s", "[::]:8443");
	if (r == 0)
		r = fill(c->join_listen, sizeof(c->join_listen), "%s", "[::]:8442");
	if (r == 0)
		r = init_reached_at(c->public_listen, c->public_name, reached);
	if (r == 0 && text_ends(reached, ":80"))
		reached[strlen(reached) - 3] = '\0';
	if (r == 0)
		r = fill(c->public_url, sizeof(c->public_url), "http://%s", reached);
	return r < 0 ? refuse(why, E_CLI_USAGE, "vccctl init", "a name or address is too long or not HOST:PORT") : 0;
}

static int find_programs(struct init *in, struct refusal *why)
{
	if (in->bin[0] == '\0') {
		ssize_t n = readlink("/proc/self/exe", in->bin, sizeof(in->bin) - 1);
		if (n <= 0)
			return sys_refuse(why, "/proc/self/exe", "find the programs");
		in->bin[n] = '\0';
		*strrchr(in->bin, '/') = '\0';
	}
	return 0;
}

/* ---- folders and files ---- */

/* Made if missing; given to its user again in any case, because a run may have been cut short between the two. */
static int folder_make(const struct init *in, const char *path, mode_t mode, const char *user, struct refusal *why)
{
	const struct passwd *p = user != NULL && !in->layout.below ? getpwnam(user) : NULL;
	struct stat          st;
	int                  r = 0;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		r = dir_make(path, mode, why);
	if (r == 0 && p != NULL && chown(path, p->pw_uid, p->pw_gid) < 0)
		r = sys_refuse(why, path, "change the owner");
	return r;
}

static int folder_of(const struct init *in, const char *file, struct refusal *why)
{
	char path[INIT_PATH];
	text_cut(path, sizeof(path), file);
	*strrchr(path, '/') = '\0';
	return folder_make(in, path, 0755, NULL, why);
}

static int folders_make(const struct init *in, struct refusal *why)
{
	const struct init_layout *l = &in->layout;
	int                       r = 0;

	if (in->folder[0] != '\0')
		r = folder_make(in, in->folder, 0755, NULL, why);
	if (r == 0)
		r = folder_of(in, l->controller_conf, why);
	if (r == 0)
		r = folder_of(in, l->signer_conf, why);
	if (r == 0)
		r = folder_of(in, l->gateway_conf, why);
	if (r == 0)
		r = folder_make(in, l->controller_state, 0750, "vcc-controller", why);
	if (r == 0)
		r = folder_make(in, l->signer_state, 0700, "vcc-signer", why);
	if (r == 0)
		r = folder_make(in, l->gateway_state, 0700, "vcc-gateway", why);
	if (r == 0 && l->run[0] != '\0')
		r = folder_make(in, l->run, 0755, NULL, why);
	return r;
}

/* The folder of an absolute path, opened; *ret_name points into it. */
static int open_folder_of(const char *path, int *ret_fd, const char **ret_name, struct refusal *why)
{
	char folder[INIT_PATH];
	text_cut(folder, sizeof(folder), path);
	char *slash = strrchr(folder, '/');
	*slash = '\0';
	*ret_fd = open(folder, O_DIRECTORY | O_CLOEXEC);
	*ret_name = path + (slash - folder) + 1;
	return *ret_fd >= 0 ? 0 : sys_refuse(why, folder, "open the folder");
}

/* Writes the file if it is missing. One with other content was begun with other options. */
static int write_once(const char *path, const struct buf *text, struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	const char      *name = NULL;
	struct buf       there = BUF_MAX(CONF_FILE_MAX);

	int r = buf_error(text);
	if (r == 0)
		r = open_folder_of(path, &fd, &name, why);
	if (r == 0)
		r = file_read(fd, name, false, &there, why);
	if (r == 0 && !span_equal(buf_span(&there), buf_span(text)))
		r = refuse(why, E_INIT_EXISTS, path, "the file exists with other content: an init with other options was begun here");
	if (r == E_NOT_FOUND && fault_point("init.configuration") != 0)
		r = sys_refuse(why, path, "write");
	if (r == E_NOT_FOUND)
		r = file_replace(fd, name, buf_span(text), (uid_t)-1, (gid_t)-1, 0644, why);
	buf_free(&there);
	return r;
}

/* A value with ` ;` or quotes would come back changed: read the texts as the programs will. */
static int texts_check(const struct init *in, const struct buf *controller, const struct buf *signer, struct refusal *why)
{
	static struct controller_conf c;
	static struct signer_conf     s;

	int r = conf_parse(&controller_schema, "controller.conf", buf_span(controller), &c, why);
	if (r == 0)
		r = conf_parse(&signer_schema, "signer.conf", buf_span(signer), &s, why);
	if (r < 0)
		return r;
	if (!text_equal(c.organisation, in->choice.organisation) || !text_equal(c.contact_admin, in->choice.contact_admin) ||
	    !text_equal(c.contact_security, in->choice.contact_security) || !text_equal(c.public_url, in->choice.public_url))
		return refuse(why, E_CLI_USAGE, "vccctl init", "a text with ` ;` or ` #`, or with blanks at its ends, cannot be written");
	return 0;
}

static int configurations_write(const struct init *in, struct refusal *why)
{
	struct buf controller = BUF_MAX(CONF_FILE_MAX), signer = BUF_MAX(CONF_FILE_MAX), gateway = BUF_MAX(CONF_FILE_MAX);

	init_signer_text(&in->layout, &in->choice, &signer);
	init_gateway_text(&in->layout, &in->choice, &gateway);
	int r = init_controller_text(&in->layout, &in->choice, &controller);
	if (r < 0)
		refuse(why, E_CLI_USAGE, "vccctl init", "the address of a listener is not HOST:PORT");
	if (r == 0)
		r = texts_check(in, &controller, &signer, why);
	if (r == 0)
		r = folders_make(in, why);
	if (r == 0)
		r = write_once(in->layout.controller_conf, &controller, why);
	if (r == 0)
		r = write_once(in->layout.signer_conf, &signer, why);
	if (r == 0)
		r = write_once(in->layout.gateway_conf, &gateway, why);
	buf_free(&controller);
	buf_free(&signer);
	buf_free(&gateway);
	return r;
}

/* ---- the other programs ---- */

/* 0, or E_INTERNAL when it did not end well; it has said why itself. */
static int run(const char *const *argv, struct refusal *why)
{
	int   status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return sys_refuse(why, argv[0], "start");
	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		fprintf(stderr, "vccctl: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return sys_refuse(why, argv[0], "wait for");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return refuse(why, E_SYS_IO, argv[0], "the program ended with %s %d", WIFEXITED(status) ? "status" : "signal",
	              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static int run_inits(const struct init *in, struct refusal *why)
{
	const struct init_layout *l = &in->layout;
	char                      signer[PATH_MAX + 16], controller[PATH_MAX + 24];

	snprintf(signer, sizeof(signer), "%s/vcc-signer", in->bin);
	snprintf(controller, sizeof(controller), "%s/vcc-controller", in->bin);
	const char *const first[] = {signer, "init", "--config", l->signer_conf, "--organisation", in->choice.organisation,
	                             "--public", l->ca_dir, NULL};
	const char *const second[] = {controller, "init", "--config", l->controller_conf, "--ca", l->ca_dir, "--tokens", l->tokens,
	                              "--crypto", in->choice.crypto, NULL};
	int r = run(first, why);
	return r == 0 ? run(second, why) : r;
}

/* The root where people look for it, and the mark that all is done. */
static int finish(const struct init *in, char ret_pin[HASH_TEXT_SIZE], struct refusal *why)
{
	char             path[INIT_PATH + 16];
	_cleanup_fd_ int ca_fd = open(in->layout.ca_dir, O_DIRECTORY | O_CLOEXEC);
	struct buf       pem = BUF_MAX(16384), der = BUF_MAX(CERT_DER_MAX), mark = BUF_MAX(1024);
	struct cert_info root;

	snprintf(path, sizeof(path), "%s/root-1.cer", in->layout.ca_dir);
	int r = ca_fd >= 0 ? file_read(ca_fd, "root-1.cer", false, &der, why) : sys_refuse(why, in->layout.ca_dir, "open the folder");
	if (r == 0)
		r = file_read(ca_fd, "root.pem", false, &pem, why);
	if (r == 0 && cert_read(buf_span(&der), &root) < 0)
		r = refuse(why, E_PKI_CERT, path, "%s", err_what(E_PKI_CERT));
	if (r == 0)
		r = write_once(in->layout.ca_pem, &pem, why);
	if (r == 0) {
		hash_text(root.fingerprint, ret_pin);
		buf_add_fmt(&mark, "version %s\npin sha256:%s\n", VCC_VERSION, ret_pin);
		r = write_once(in->layout.installed, &mark, why);
	}
	buf_free(&pem);
	buf_free(&der);
	buf_free(&mark);
	return r;
}

/* ---- what people see ---- */

static bool in_token(const struct init_layout *l)
{
	char path[PATH_MAX + 24];
	return snprintf(path, sizeof(path), "%s/ca/root-1.p11", l->signer_state) < (int)sizeof(path) && access(path, F_OK) == 0;
}

static void print_summary(const struct init *in, const char *pin)
{
	const struct init_choice *c = &in->choice;
	const struct init_layout *l = &in->layout;
	const char               *domains = c->domains;
	char                      domain[DNS_NAME_SIZE];

	printf("VCC PKI is set up for %s.\n\n", c->organisation);
	while (text_item(&domains, domain, sizeof(domain)))
		printf("  names       %s and below\n", domain);
	printf("  addresses   %s\n", c->ip_ranges[0] != '\0' ? c->ip_ranges : "none");
	printf("              no certificate can hold anything else\n");
	printf("  pin  sha256:%s\n", pin);
	printf("  root        %s\n", l->ca_pem);
	if (in_token(l))
		printf("  CA keys     in the token; %s/ca names them (make the token's own backup)\n", l->signer_state);
	else
		printf("  CA keys     %s/ca (encrypted)\n  passphrase  %s (keep a copy elsewhere)\n", l->signer_state, l->passphrase);
	printf("  tokens      %s/admin.token, approver.token\n\n", l->tokens);
}

static int start_units(const struct init *in, struct refusal *why)
{
	static const char *const enable[] = {"systemctl", "enable", "--now", "vcc-signer.service", "vcc-controller.service",
	                                     "vcc-gateway.service", NULL};
	if (in->layout.below || access("/run/systemd/system", F_OK) != 0)
		return 0;
	printf("Starting vcc-signer, vcc-controller, vcc-gateway ...\n");
	fflush(stdout);
	return run(enable, why);
}

/* The first CRLs and the gateway's certificate take a moment after the units are active; whoever goes on typing should find it
 * ready. A controller that is not in time says why itself: vccctl status. */
static void wait_ready(const struct init *in)
{
	struct client  client = {.url = ""};
	struct refusal why;
	int64_t        end = clock_monotonic() + READY_MS;
	bool           ready = in->layout.below || access("/run/systemd/system", F_OK) != 0;
	text_cut(client.socket, sizeof(client.socket), in->layout.admin_socket); /* and no other controller */
	while (!ready && clock_monotonic() < end) {
		json_t *answer = NULL;
		if (client_call(&client, "GET", "/readyz", NULL, NULL, &answer, &why) == EXIT_DONE)
			ready = true;
		else
			nanosleep(&(struct timespec){.tv_nsec = 200 * 1000000L}, NULL);
		json_decref(answer);
	}
	if (!ready)
		printf("The controller is not ready yet: see `vccctl status`.\n");
}

static void print_next(const struct init *in)
{
	const struct init_layout *l = &in->layout;
	if (l->below) {
		printf("Start each of these and keep them running:\n");
		printf("  %s/vcc-signer --config %s\n", in->bin, l->signer_conf);
		printf("  %s/vcc-controller --config %s\n", in->bin, l->controller_conf);
		printf("  %s/vcc-gateway --config %s\n", in->bin, l->gateway_conf);
	} else if (access("/run/systemd/system", F_OK) != 0) {
		printf("systemd does not run here. Start vcc-signer, vcc-controller and vcc-gateway.\n");
	}
	printf("\nNext, for each host:\n  vccctl agent invite NAME --service clara\n");
}

static int init_all(struct init *in, char pin[HASH_TEXT_SIZE], struct refusal *why)
{
	int r = choice_finish(&in->choice, why);
	if (r == 0 && init_layout_make(in->folder[0] != '\0' ? in->folder : NULL, &in->layout) < 0)
		r = refuse(why, E_CLI_USAGE, "state-dir", "the path is too long");
	if (r == 0 && access(in->layout.installed, F_OK) == 0)
		r = refuse(why, E_INIT_EXISTS, in->layout.installed, "%s", err_what(E_INIT_EXISTS));
	if (r == 0 && !in->layout.below && geteuid() != 0)
		r = refuse(why, E_SYS_IO, "vccctl init", "run it as root, or with --state-dir as any user");
	if (r == 0)
		r = find_programs(in, why);
	if (r == 0)
		r = configurations_write(in, why);
	if (r == 0)
		r = run_inits(in, why);
	if (r == 0)
		r = finish(in, pin, why);
	return r;
}

int cli_init(int argc, char **argv)
{
	static struct init in;
	struct refusal     why = {0};
	char               pin[HASH_TEXT_SIZE] = "", text[600];

	umask(022);
	int r = options_read(argc, argv, &in, &why);
	if (r == 1)
		return 0;
	if (r == 0)
		r = init_all(&in, pin, &why);
	if (r == 0) {
		print_summary(&in, pin);
		r = start_units(&in, &why);
		if (r == 0)
			wait_ready(&in);
		print_next(&in);
	}
	if (r == 0)
		return 0;
	if (why.code == 0)
		refuse(&why, r, "vccctl init", "%s", err_what(r));
	fprintf(stderr, "vccctl: %s\n", refusal_text(&why, text, sizeof(text)));
	return r == E_CLI_USAGE ? 2 : 1;
}
