/* target_conf.c - room shared/conf: one file targets.d/NAME.conf: where and how a certificate is served.
 * Never: accepting a file that somebody but root (or, in tests, the own user) may change. */
#include "shared/conf/target_conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/target_copies.h"

static const char *const reload_words[] = {"none", "systemd", "signal", "exec", "haproxy", "postgresql", NULL};
static const char *const drain_words[] = {"report", "terminate", NULL};
static const char *const verify_words[] = {"tls", "file", "none", "starttls-postgresql", NULL};
static const char *const failure_words[] = {"back", "forward", NULL};
static const char *const trust_words[TRUST_FORMAT_COUNT] = {"pem", "p12", "capath"};

const char *reload_kind_name(enum reload_kind k)
{
	return (size_t)k < RELOAD_KIND_COUNT ? reload_words[k] : "unknown";
}

const char *verify_kind_name(enum verify_kind k)
{
	return (size_t)k < VERIFY_KIND_COUNT ? verify_words[k] : "unknown";
}

bool target_trust_as(const struct target_conf *t, enum trust_format format)
{
	return text_listed(t->formats, trust_words[format]);
}

bool target_has_truststore(const struct target_conf *t)
{
	return t->pkcs12 || target_trust_as(t, TRUST_P12);
}

bool target_probed(const struct target_conf *t)
{
	return t->verify == VERIFY_TLS || t->verify == VERIFY_STARTTLS_POSTGRESQL;
}

bool target_drains(const struct target_conf *t)
{
	return t->connect[0] != '\0' && (t->unit[0] != '\0' || t->pidfile[0] != '\0' || t->reload == RELOAD_HAPROXY);
}

#define AT(member) offsetof(struct target_conf, member)
#define SIZE(member) sizeof(((struct target_conf *)0)->member)
#define TEXT(s, k, member, def, text) \
	{.section = s, .key = k, .kind = CONF_TEXT, .offset = AT(member), .size = SIZE(member), .fallback = def, .about = text}
#define PATH(s, k, member, def, text) \
	{.section = s, .key = k, .kind = CONF_PATH, .offset = AT(member), .size = SIZE(member), .fallback = def, .about = text}
#define LIST(s, k, member, def, text) \
	{.section = s, .key = k, .kind = CONF_LIST, .offset = AT(member), .size = SIZE(member), .fallback = def, .about = text}
#define WORD(s, k, member, list, def, text) \
	{.section = s, .key = k, .kind = CONF_ENUM, .offset = AT(member), .words = list, .fallback = def, .about = text}
#define FLAG(s, k, member, def, text) \
	{.section = s, .key = k, .kind = CONF_BOOL, .offset = AT(member), .fallback = def, .about = text}
#define TIME(s, k, member, least, most, def, text) \
	{.section = s, .key = k, .kind = CONF_DURATION, .offset = AT(member), .min = least, .max = most, .fallback = def, .about = text}

static const struct conf_key keys[] = {
	TEXT("target", "cert_id", cert_id, "", "name of the certificate; empty = AGENTNAME-FILESTEM"),
	TEXT("target", "service", service, "", "VCC service; empty = the agent's"),
	TEXT("target", "template", template_id, NULL, "template of the certificate"),
	LIST("target", "names", names.text, "", "DNS names and IP addresses of the certificate; none for a client's, by a template without names"),
	PATH("target", "dir", dir, "", "folder that holds current/; empty = STATE_DIR/targets/FILESTEM"),
	WORD("target", "on_failure", on_failure, failure_words, "back", "when the new pair is not proved: the old one again, or on with the new one"),
	TEXT("files", "owner", owner, "root", "owner of the files"),
	TEXT("files", "group", group, "root", "group of the files: the service's"),
	{.section = "files", .key = "mode", .kind = CONF_MODE, .offset = AT(mode), .min = 0400, .max = 0777, .fallback = "0640",
         .about = "mode of key.pem"},
	FLAG("files", "combined", combined, "no", "also combined.pem (key and full chain)"),
	FLAG("files", "pkcs12", pkcs12, "no", "also keystore.p12 (key and full chain) and truststore.p12 (ca.pem), for Java"),
	PATH("files", "pkcs12_password_file", pkcs12_password_file, "", "PKCS#12 stores: file of root, mode 0600, their password in its first line"),
	LIST("files", "copies", copies, "", "copies at fixed paths, FILE:PATH, for programs that cannot follow current/"),
	WORD("reload", "kind", reload, reload_words, "none", "how the service takes the new files"),
	TEXT("reload", "unit", unit, "", "systemd, postgresql: the unit; other kinds: its old workers are looked for"),
	PATH("reload", "pidfile", pidfile, "", "signal, postgresql: file with the process id; other kinds: its old workers are looked for"),
	TEXT("reload", "signal", signal, "HUP", "signal: which one"),
	PATH("reload", "socket", socket, "", "haproxy: its admin socket"),
	TEXT("reload", "command", command, "", "exec: program and arguments, no shell; signal, postgresql: the program that may be signalled"),
	TEXT("reload", "test", test, "", "configuration test before the swap"),
	TIME("reload", "timeout", timeout_ms, MS_SECOND, 10 * MS_MINUTE, "30s", "limit of test and reload"),
	TIME("reload", "max_drain", max_drain_ms, 0, 30 * MS_DAY, "0s", "how long old workers may hold connections after a swap; 0s = no limit"),
	WORD("reload", "on_drain_timeout", on_drain, drain_words, "report", "what happens then: report, or terminate (SIGTERM to the old workers)"),
	WORD("verify", "kind", verify, verify_words, "tls", "how serving is proved"),
	LIST("verify", "connect", connect, "", "every listener, host:port"),
	TEXT("verify", "sni", sni, "", "server name to ask for; empty = the first DNS name"),
	FLAG("trust", "crl", crl, "no", "also crl.pem: the revocation lists of all issuers"),
	LIST("trust", "formats", formats, "pem", "pem (always: ca.pem, crl.pem), p12 (truststore.p12), capath (capath/, by OpenSSL's hashes)"),
	LIST("window", "allow", window, "", "when swaps may begin, like Mon-Fri 22:00-04:00 Europe/Berlin; empty = always"),
};

/* ---- checks ------------------------------------------------------------------------------------------------------- */

static int wrong(struct refusal *why, const char *key, const char *cause)
{
	return refuse(why, E_CONF_VALUE, key, "%s", cause);
}

static bool unit_ok(const char *unit)
{
	return text_ends(unit, ".service") && strlen(unit) > strlen(".service") &&
	       strspn(unit, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\@-") == strlen(unit);
}

static bool signal_ok(const char *name)
{
	static const char *const allowed[] = {"HUP", "USR1", "USR2", "WINCH"};
	for (size_t i = 0; i < N_ELEMENTS(allowed); i++)
		if (text_equal(name, allowed[i]))
			return true;
	return false;
}

static int command_check(const char *key, const char *command, struct refusal *why)
{
	char  store[TARGET_COMMAND_SIZE];
	char *argv[64];
	if (target_argv(command, store, sizeof(store), argv, N_ELEMENTS(argv)) != 0)
		return wrong(why, key, "cannot be split into words, or has too many");
	return argv[0][0] == '/' ? 0 : wrong(why, key, "the program needs an absolute path");
}

static int check_systemd(const struct target_conf *t, struct refusal *why)
{
	return unit_ok(t->unit) ? 0 : wrong(why, "reload.unit", "kind = systemd needs the name of a service unit, like nginx.service");
}

static int check_signal(const struct target_conf *t, struct refusal *why)
{
	if (t->pidfile[0] == '\0')
		return wrong(why, "reload.pidfile", "kind = signal needs a pid file");
	return signal_ok(t->signal) ? 0 : wrong(why, "reload.signal", "wanted HUP, USR1, USR2 or WINCH");
}

static int check_exec(const struct target_conf *t, struct refusal *why)
{
	return command_check("reload.command", t->command, why);
}

static int check_haproxy(const struct target_conf *t, struct refusal *why)
{
	if (t->socket[0] == '\0')
		return wrong(why, "reload.socket", "kind = haproxy needs the path of its admin socket (`stats socket ... level admin`)");
	return t->combined || strstr(t->copies, "fullchain.pem:") != NULL
		       ? 0
		       : wrong(why, "files.combined", "kind = haproxy needs combined = yes, or copies of fullchain.pem and key.pem that it loads");
}

static int check_postgresql(const struct target_conf *t, struct refusal *why)
{
	if ((t->unit[0] == '\0') == (t->pidfile[0] == '\0'))
		return wrong(why, "reload.pidfile", "kind = postgresql needs either pidfile (DATA_DIRECTORY/postmaster.pid) or unit");
	if (t->unit[0] != '\0' && !unit_ok(t->unit))
		return wrong(why, "reload.unit", "wanted the name of a service unit, like postgresql@15-main.service");
	return t->command[0] == '\0' ? 0 : command_check("reload.command", t->command, why);
}

static int check_drain(const struct target_conf *t, struct refusal *why)
{
	if (t->on_drain == DRAIN_TERMINATE && t->max_drain_ms == 0)
		return wrong(why, "reload.max_drain", "on_drain_timeout = terminate needs a max_drain");
	if (t->max_drain_ms > 0 && !target_drains(t))
		return wrong(why, "reload.max_drain", "old workers are found by the service's unit or pidfile and by its listeners (verify.connect)");
	return 0;
}

static int check_reload(const struct target_conf *t, struct refusal *why)
{
	static int (*const kinds[RELOAD_KIND_COUNT])(const struct target_conf *, struct refusal *) = {
		[RELOAD_SYSTEMD] = check_systemd, [RELOAD_SIGNAL] = check_signal,         [RELOAD_EXEC] = check_exec,
		[RELOAD_HAPROXY] = check_haproxy, [RELOAD_POSTGRESQL] = check_postgresql,
	};
	int r = kinds[t->reload] != NULL ? kinds[t->reload](t, why) : 0;
	if (r == 0 && t->test[0] != '\0')
		r = command_check("reload.test", t->test, why);
	return r == 0 ? check_drain(t, why) : r;
}

/* "127.0.0.1:443", "[::1]:443": probes go to addresses, a name would trust DNS. */
static bool listener_ok(const char *item)
{
	const char *colon = strrchr(item, ':');
	int64_t     port;
	size_t      n = colon != NULL ? (size_t)(colon - item) : 0;
	if (n == 0 || text_i64(colon + 1, 1, UINT16_MAX, &port) != 0)
		return false;
	if (item[0] == '[')
		return item[n - 1] == ']' && n > 3 && strspn(item + 1, "0123456789abcdefABCDEF:.") == n - 2;
	return strspn(item, "0123456789.") == n || text_starts(item, "localhost:");
}

static int check_verify(const struct target_conf *t, struct refusal *why)
{
	char        item[ADDRESS_SIZE];
	const char *cursor = t->connect;
	char        canonical[DNS_NAME_SIZE];
	size_t      n = 0;
	while (text_item(&cursor, item, sizeof(item))) {
		if (!listener_ok(item))
			return refuse(why, E_CONF_VALUE, "verify.connect", "`%s` is not address:port", item);
		n++;
	}
	if (cursor == NULL || n > TARGET_LISTENERS_MAX)
		return wrong(why, "verify.connect", "an item is too long, or there are more than 16");
	if (target_probed(t) && n == 0)
		return refuse(why, E_CONF_VALUE, "verify.connect", "kind = %s needs at least one listener",
		              verify_kind_name((enum verify_kind)t->verify));
	if (t->sni[0] != '\0' && name_dns(t->sni, false, canonical) != 0)
		return wrong(why, "verify.sni", "not a DNS name");
	return 0;
}

static int check_target(const struct target_conf *t, struct refusal *why)
{
	char         bad[DNS_NAME_SIZE] = "";
	struct names names;
	if (t->cert_id[0] != '\0' && !name_cert_id_ok(t->cert_id))
		return wrong(why, "target.cert_id", "wanted: a-z, 0-9, '-', '_', at most 63");
	if (t->service[0] != '\0' && !name_service_ok(t->service))
		return wrong(why, "target.service", "wanted: a-z, 0-9, '-', at most 32");
	if (!name_template_ok(t->template_id))
		return wrong(why, "target.template", "wanted: a-z, 0-9, '-', '_', at most 63");
	if (names_parse(t->names.text, true, &names, bad) != 0)
		return refuse(why, E_CONF_VALUE, "target.names", "`%s` is not a DNS name or IP address", bad);
	if (names_count(&names) == 0 && target_probed(t))
		return wrong(why, "target.names", "what a listener serves needs at least one name");
	if (t->dir[0] != '\0' && !target_path_ok(t->dir))
		return wrong(why, "target.dir", "wanted a folder's path without `.`, `..`, doubled slashes or one at the end");
	if (t->owner[0] == '\0' || t->group[0] == '\0')
		return wrong(why, "files.owner", "owner and group may not be empty");
	if ((t->mode & ~INT64_C(0640)) != 0)
		return wrong(why, "files.mode", "a key may be read by owner and group and written by the owner, nothing else");
	return 0;
}

static int check_files(const struct target_conf *t, struct refusal *why)
{
	if (target_has_truststore(t) && t->pkcs12_password_file[0] == '\0')
		return wrong(why, "files.pkcs12_password_file", "pkcs12 = yes and trust.formats with p12 need a file with the stores' password");
	return target_copies_check(t, why);
}

static int check_trust(const struct target_conf *t, struct refusal *why)
{
	char        item[sizeof(t->formats)];
	const char *cursor = t->formats;
	while (text_item(&cursor, item, sizeof(item))) {
		bool known = false;
		for (size_t i = 0; i < TRUST_FORMAT_COUNT; i++)
			known |= text_equal(item, trust_words[i]);
		if (!known)
			return refuse(why, E_CONF_VALUE, "trust.formats", "`%s` is none of pem, p12, capath", item);
	}
	return 0;
}

static int check_window(const struct target_conf *t, struct refusal *why)
{
	struct windows w;
	char           bad[WINDOW_TEXT_SIZE];
	if (windows_parse(t->window, &w, bad) == 0)
		return 0;
	return refuse(why, E_CONF_VALUE, "window.allow", "`%.100s` is not like Mon-Fri 22:00-04:00 Europe/Berlin; at most 8", bad);
}

static int check_all(const void *conf, struct refusal *why)
{
	const struct target_conf *t = conf;
	int                       r = check_target(t, why);
	if (r == 0)
		r = check_files(t, why);
	if (r == 0)
		r = check_trust(t, why);
	if (r == 0)
		r = check_reload(t, why);
	if (r == 0)
		r = check_verify(t, why);
	return r != 0 ? r : check_window(t, why);
}

const struct conf_schema target_schema = {
	.program = "targets",
	.file = "targets.d/NAME.conf",
	.struct_size = sizeof(struct target_conf),
	.keys = keys,
	.n_keys = N_ELEMENTS(keys),
	.check = check_all,
};

/* ---- files -------------------------------------------------------------------------------------------------------- */

static bool stem_ok(const char *stem)
{
	size_t n = strlen(stem);
	return n > 0 && n < CERT_ID_SIZE && stem[0] != '.' && stem[0] != '-' &&
	       strspn(stem, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* Whoever may write the folder may replace every file in it. */
static int dir_check(const char *dir, struct refusal *why)
{
	struct stat st;
	if (stat(dir, &st) != 0)
		return refuse(why, E_CONF_FILE, dir, "cannot read the folder: %s", strerror(errno));
	if (!S_ISDIR(st.st_mode) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()))
		return refuse(why, E_CONF_UNSAFE, dir, "owner %u, mode %04o; wanted: a folder of root that nobody else may write",
		              (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
	return 0;
}

int target_conf_load(const char *targets_dir, const char *stem, struct target_conf *ret, struct refusal *why)
{
	char path[TARGET_PATH_SIZE + CERT_ID_SIZE + 8];
	if (!stem_ok(stem))
		return refuse(why, E_CONF_FILE, stem, "is not the name of a target file: letters, digits, `.`, `_`, `-`, at most 63");
	int n = snprintf(path, sizeof(path), "%s/%s.conf", targets_dir, stem);
	if (n < 0 || (size_t)n >= sizeof(path))
		return refuse(why, E_CONF_FILE, targets_dir, "the path is too long");
	int r = dir_check(targets_dir, why);
	if (r != 0)
		return r;

	struct target_conf *t = malloc(sizeof(*t));
	if (t == NULL)
		return refuse(why, E_NOMEM, path, "no memory for the settings");
	r = conf_load(&target_schema, path, t, NULL, why);
	if (r == 0) {
		char bad[WINDOW_TEXT_SIZE]; /* both passed the check above */
		struct names names;
		r = names_parse(t->names.text, true, &names, NULL);
		if (r == 0)
			t->names = names;
		if (r == 0)
			r = windows_parse(t->window, &t->windows, bad);
		memcpy(t->stem, stem, strlen(stem) + 1);
	}
	if (r == 0)
		*ret = *t;
	free(t);
	return r;
}

/* Hidden files are editors' and our own; any other .conf is meant as a target, and loading says when its name cannot be one. */
static int is_target(const struct dirent *e)
{
	return e->d_name[0] != '.' && text_ends(e->d_name, ".conf");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int target_conf_list(const char *targets_dir, char (*ret)[CERT_ID_SIZE], size_t max, size_t *ret_n, struct refusal *why)
{
	struct dirent **list = NULL;
	int             r = dir_check(targets_dir, why);
	if (r != 0)
		return r;
	int n = scandir(targets_dir, &list, is_target, by_bytes);
	if (n < 0)
		return refuse(why, E_CONF_FILE, targets_dir, "cannot list: %s", strerror(errno));
	if ((size_t)n > max)
		r = refuse(why, E_FULL, targets_dir, "%d target files; at most %zu are allowed", n, max);
	for (int i = 0; i < n; i++) {
		if (r == 0 && text_copy_n(ret[i], CERT_ID_SIZE, list[i]->d_name, strlen(list[i]->d_name) - strlen(".conf")) != 0)
			r = refuse(why, E_CONF_FILE, list[i]->d_name, "the name is longer than %d characters", CERT_ID_SIZE - 1);
		free(list[i]);
	}
	free(list);
	if (r == 0)
		*ret_n = (size_t)n;
	return r;
}

int target_argv(const char *command, char *store, size_t size, char **ret_argv, size_t max)
{
	size_t used = 0;
	size_t n = 0;
	for (const char *p = command;;) {
		while (*p == ' ' || *p == '\t')
			p++;
		if (*p == '\0')
			break;
		if (n + 1 >= max)
			return E_CONF_VALUE;
		ret_argv[n++] = store + used;
		for (bool quoted = false; *p != '\0' && (quoted || (*p != ' ' && *p != '\t')); p++) {
			if (*p == '"') {
				quoted = !quoted;
				if (quoted && strchr(p + 1, '"') == NULL)
					return E_CONF_VALUE;
				continue;
			}
			if (used + 1 >= size)
				return E_CONF_VALUE;
			store[used++] = *p;
		}
		if (used + 1 >= size)
			return E_CONF_VALUE;
		store[used++] = '\0';
	}
	if (n == 0)
		return E_CONF_VALUE;
	ret_argv[n] = NULL;
	return 0;
}
