/* server.c - room agent/survey: one running server program with the configuration that it was started with.
 * Never: changing anything. */
#include "agent/survey/server.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/apache_conf.h"
#include "agent/survey/haproxy_conf.h"
#include "agent/survey/nginx_conf.h"
#include "agent/survey/postgresql_conf.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"

bool server_path_plain(const char *path)
{
	return path[0] == '/' &&
	       strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+:@-") == strlen(path);
}

/* ---- command lines ------------------------------------------------------------------------------------------------ */

void server_args_parse(enum server_kind kind, const char *text, size_t n, struct server_args *ret)
{
	static const char title[] = "nginx: master process ";
	*ret = (struct server_args){.n = 0};
	if (n >= sizeof(ret->text))
		n = sizeof(ret->text) - 1;
	/* nginx writes its command line anew, as one text */
	const bool   rewritten = kind == SERVER_NGINX && n > sizeof(title) && memcmp(text, title, sizeof(title) - 1) == 0;
	const size_t skip = rewritten ? sizeof(title) - 1 : 0;
	memcpy(ret->text, text + skip, n - skip);
	n -= skip;
	for (size_t i = 0; rewritten && i < n; i++)
		if (ret->text[i] == ' ')
			ret->text[i] = '\0';
	for (size_t i = 0; i < n && ret->n < SERVER_ARGS_MAX; i += strlen(ret->text + i) + 1)
		if (ret->text[i] != '\0')
			ret->word[ret->n++] = ret->text + i;
}

/* The value of the last "-c VALUE" or "-cVALUE"; NULL when there is none. */
static const char *arg(const struct server_args *a, const char *letter)
{
	const char *found = NULL;
	for (size_t i = 1; i < a->n; i++) {
		if (text_equal(a->word[i], letter) && i + 1 < a->n)
			found = a->word[++i];
		else if (text_starts(a->word[i], letter) && a->word[i][strlen(letter)] != '\0')
			found = a->word[i] + strlen(letter);
	}
	return found;
}

static bool has_arg(const struct server_args *a, const char *word)
{
	for (size_t i = 1; i < a->n; i++)
		if (text_equal(a->word[i], word))
			return true;
	return false;
}

static int cannot(struct refusal *why, const char *object, const char *cause)
{
	return refuse(why, E_SURVEY_CANNOT, object, "%s", cause);
}

static int file_add(struct server *s, const char *path, struct refusal *why)
{
	if (!server_path_plain(path))
		return cannot(why, path, "the path of its configuration is relative or has unusual characters");
	if (s->n_files == SERVER_FILES_MAX || text_copy(s->file[s->n_files], SOURCE_PATH_SIZE, path) != 0)
		return refuse(why, E_SURVEY_LIMIT, path, "it was started with too many or too long files");
	s->n_files++;
	return 0;
}

/* A command that is cut would be another one. */
static _printf_(3, 4) int command_make(char ret[SERVER_COMMAND_SIZE], struct refusal *why, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(ret, SERVER_COMMAND_SIZE, fmt, args);
	va_end(args);
	return n >= 0 && n < SERVER_COMMAND_SIZE ? 0 : refuse(why, E_SURVEY_LIMIT, "command", "its command line is too long");
}

static void dir_of(const char *path, char ret[SOURCE_PATH_SIZE])
{
	text_cut(ret, SOURCE_PATH_SIZE, path);
	char *slash = strrchr(ret, '/');
	*(slash != NULL ? slash : ret) = '\0';
}

/* ---- where each kind keeps its configuration ------------------------------------------------------------------------ */

static int locate_nginx(struct server *s, struct refusal *why)
{
	static const char standard[] = "/etc/nginx/nginx.conf";
	const char       *conf = arg(&s->args, "-c");
	const char       *prefix = arg(&s->args, "-p");
	char              path[SOURCE_PATH_SIZE];
	char              words[SERVER_COMMAND_SIZE] = "";
	int               r = source_path(prefix != NULL ? prefix : "/etc/nginx", conf != NULL ? conf : standard, path, why);
	if (r == 0)
		r = file_add(s, path, why);
	if (r == 0 && prefix != NULL && !server_path_plain(prefix))
		r = cannot(why, prefix, "its prefix is relative or has unusual characters");
	if (r != 0)
		return r;
	dir_of(path, s->base);
	s->signal = SIGHUP;
	if (prefix != NULL)
		r = text_copy(s->root, sizeof(s->root), prefix);
	if (r == 0 && prefix != NULL)
		r = command_make(words, why, " -p %s -c %s", prefix, path);
	else if (r == 0 && !text_equal(path, standard))
		r = command_make(words, why, " -c %s", path);
	if (r == 0)
		r = command_make(s->test, why, "%s -t%s", s->process.exe, words);
	return r == 0 ? command_make(s->reload, why, "%s%s -s reload", s->process.exe, words) : r;
}

static int locate_apache(struct server *s, struct refusal *why)
{
	static const char standard[] = "/etc/apache2";
	const char       *root = arg(&s->args, "-d");
	const char       *conf = arg(&s->args, "-f");
	char              path[SOURCE_PATH_SIZE];
	root = root != NULL ? root : standard;
	int r = source_path(root, conf != NULL ? conf : "apache2.conf", path, why);
	if (r == 0)
		r = file_add(s, path, why);
	if (r == 0 && !server_path_plain(root))
		r = cannot(why, root, "its folder is relative or has unusual characters");
	if (r != 0)
		return r;
	text_cut(s->base, sizeof(s->base), root);
	text_cut(s->root, sizeof(s->root), root);
	s->signal = SIGUSR1;
	if (text_equal(root, standard) && conf == NULL) { /* Debian's wrapper knows the environment that its files need */
		text_cut(s->test, sizeof(s->test), "/usr/sbin/apache2ctl configtest");
		text_cut(s->reload, sizeof(s->reload), "/usr/sbin/apache2ctl graceful");
		return 0;
	}
	r = command_make(s->test, why, "%s -d %s -f %s -t", s->process.exe, root, path);
	return r == 0 ? command_make(s->reload, why, "%s -d %s -f %s -k graceful", s->process.exe, root, path) : r;
}

/* "-f FILE|FOLDER" and everything behind "--". */
static int locate_haproxy(struct server *s, struct refusal *why)
{
	int    r = 0;
	bool   rest = false;
	size_t used = (size_t)snprintf(s->test, sizeof(s->test), "%s -c", s->process.exe);
	for (size_t i = 1; r == 0 && i < s->args.n; i++) {
		const char *word = s->args.word[i];
		const bool  named = rest || (text_equal(word, "-f") && i + 1 < s->args.n);
		rest |= text_equal(word, "--");
		if (named)
			r = file_add(s, rest ? word : s->args.word[++i], why);
	}
	if (r == 0 && s->n_files == 0)
		r = cannot(why, "haproxy", "it was started without -f");
	for (size_t i = 0; r == 0 && i < s->n_files; i++) {
		int n = snprintf(s->test + used, sizeof(s->test) - used, " -f %s", s->file[i]);
		if (n < 0 || (size_t)n >= sizeof(s->test) - used)
			r = refuse(why, E_SURVEY_LIMIT, "haproxy", "its command line is too long");
		else
			used += (size_t)n;
	}
	/* only a master makes new workers; a lone process would have to be replaced */
	const bool master = has_arg(&s->args, "-W") || has_arg(&s->args, "-Ws");
	s->signal = master ? SIGUSR2 : 0;
	return r;
}

/* "ssl_cert_file=/x": the value. PostgreSQL takes "SSL-Cert-File", too. */
static const char *setting_value(const char *word, const char *name)
{
	for (; *name != '\0'; name++, word++)
		if ((*word == '-' ? '_' : tolower((unsigned char)*word)) != *name)
			return NULL;
	return *word == '=' ? word + 1 : NULL;
}

/* "-c NAME=VALUE", "-cNAME=VALUE", "--NAME=VALUE"; the last one counts. */
static const char *postgresql_setting(const struct server_args *a, const char *name)
{
	const char *found = NULL;
	for (size_t i = 1; i < a->n; i++) {
		const char *word = a->word[i];
		if (text_equal(word, "-c") && i + 1 < a->n)
			word = a->word[++i];
		else if (text_starts(word, "--") || text_starts(word, "-c"))
			word += 2;
		const char *value = setting_value(word, name);
		found = value != NULL ? value : found;
	}
	return found;
}

static int locate_postgresql(struct server *s, struct refusal *why)
{
	const char *data = arg(&s->args, "-D");
	const char *conf = postgresql_setting(&s->args, "config_file");
	char        path[SOURCE_PATH_SIZE];
	if (data == NULL || !server_path_plain(data))
		return cannot(why, "postgres", "it was started without -D, or with an unusual one");
	if (postgresql_setting(&s->args, "ssl_cert_file") != NULL || postgresql_setting(&s->args, "ssl_key_file") != NULL)
		return cannot(why, "postgres", "its certificate is named on its command line");
	text_cut(s->base, sizeof(s->base), data);
	s->signal = SIGHUP;
	int r = source_path(data, conf != NULL ? conf : "postgresql.conf", path, why);
	return r == 0 ? file_add(s, path, why) : r;
}

static int locate_python(struct server *s, struct refusal *why)
{
	if (!s->has_unit)
		return cannot(why, s->process.program, "it runs without a systemd unit");
	int r = file_add(s, s->unit.fragment, why);
	for (size_t i = 0; r == 0 && i < s->unit.n_dropins; i++)
		r = file_add(s, s->unit.dropin[i], why);
	return r;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int read_nginx(struct server *s, struct refusal *why)
{
	return nginx_conf_read(&s->src, s->file[0], s->base, &s->sites, why);
}

static int read_apache(struct server *s, struct refusal *why)
{
	return apache_conf_read(&s->src, s->file[0], s->base, &s->sites, why);
}

struct haproxy_walk {
	struct server  *s;
	struct refusal *why;
};

static int haproxy_one(void *ctx, const char *path)
{
	const struct haproxy_walk *w = ctx;
	return haproxy_conf_read(&w->s->src, path, &w->s->sites, w->why);
}

static int read_haproxy(struct server *s, struct refusal *why)
{
	struct haproxy_walk walk = {s, why};
	int                 r = 0;
	for (size_t i = 0; r == 0 && i < s->n_files; i++) {
		char        pattern[SOURCE_PATH_SIZE];
		struct stat st;
		if (stat(s->file[i], &st) != 0 || !S_ISDIR(st.st_mode)) {
			r = haproxy_one(&walk, s->file[i]);
			continue;
		}
		r = source_path(s->file[i], "*.cfg", pattern, why);
		if (r == 0)
			r = source_glob(&s->src, pattern, haproxy_one, &walk, why);
	}
	return r;
}

static int read_postgresql(struct server *s, struct refusal *why)
{
	return postgresql_conf_read(&s->src, s->file[0], s->base, &s->sites, why);
}

static int read_python(struct server *s, struct refusal *why)
{
	const char *files[SERVER_FILES_MAX];
	for (size_t i = 0; i < s->n_files; i++)
		files[i] = s->file[i];
	return unit_conf_read(&s->src, files, s->n_files, &s->sites, why);
}

enum { PROGRAMS_MAX = 4 };

static const struct {
	const char *name;
	const char *programs[PROGRAMS_MAX]; /* the kernel's short names */
	bool        own_files;              /* configuration may belong to the server's user */
	int (*locate)(struct server *s, struct refusal *why);
	int (*read)(struct server *s, struct refusal *why);
} kinds[SERVER_KIND_COUNT] = {
	[SERVER_NGINX] = {"nginx", {"nginx"}, false, locate_nginx, read_nginx},
	[SERVER_APACHE] = {"apache", {"apache2", "httpd"}, false, locate_apache, read_apache},
	[SERVER_HAPROXY] = {"haproxy", {"haproxy"}, false, locate_haproxy, read_haproxy},
	[SERVER_POSTGRESQL] = {"postgresql", {"postgres"}, true, locate_postgresql, read_postgresql},
	[SERVER_PYTHON] = {"python", {"uvicorn", "gunicorn", "hypercorn"}, false, locate_python, read_python},
};

const char *server_kind_name(enum server_kind k)
{
	return (size_t)k < SERVER_KIND_COUNT ? kinds[k].name : "unknown";
}

enum server_kind server_kind_of(const struct process_facts *p)
{
	for (size_t k = 0; k < SERVER_KIND_COUNT; k++)
		for (size_t i = 0; i < PROGRAMS_MAX; i++)
			if (text_equal(p->program, kinds[k].programs[i]))
				return (enum server_kind)k;
	/* "python3 -m uvicorn": the unit tells more */
	return text_starts(p->program, "python") && p->unit[0] != '\0' ? SERVER_PYTHON : SERVER_KIND_COUNT;
}

bool server_owns_files(const struct server *s)
{
	return kinds[s->kind].own_files;
}

int server_locate(struct server *s, struct refusal *why)
{
	return kinds[s->kind].locate(s, why);
}

/* ---- a process of this host ----------------------------------------------------------------------------------------- */

static int proc_open(pid_t pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static size_t proc_text(pid_t pid, const char *name, char *ret, size_t size)
{
	_cleanup_fd_ int fd = proc_open(pid, name);
	ssize_t          n = fd >= 0 ? read(fd, ret, size - 1) : -1;
	ret[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* Its paths are ours only when it has the same root folder: not in a container, not in a chroot. */
static bool same_root(pid_t pid)
{
	char        path[64];
	struct stat theirs;
	struct stat ours;
	snprintf(path, sizeof(path), "/proc/%d/root/.", (int)pid);
	return stat(path, &theirs) == 0 && stat("/", &ours) == 0 && theirs.st_ino == ours.st_ino &&
	       theirs.st_dev == ours.st_dev;
}

static bool process_uid(pid_t pid, uid_t *ret)
{
	char        text[4096];
	const char *line;
	unsigned    real;
	unsigned    effective;
	if (proc_text(pid, "status", text, sizeof(text)) == 0 || (line = strstr(text, "\nUid:")) == NULL ||
	    sscanf(line, " Uid: %u %u", &real, &effective) != 2)
		return false;
	*ret = effective;
	return true;
}

/* What a version of a server does on SIGHUP is told by itself: old ones of uvicorn have no handler and would end. */
static bool catches_hup(pid_t pid)
{
	char               text[4096];
	const char        *line;
	unsigned long long caught;
	return proc_text(pid, "status", text, sizeof(text)) > 0 && (line = strstr(text, "\nSigCgt:")) != NULL &&
	       sscanf(line, " SigCgt: %llx", &caught) == 1 && (caught >> (SIGHUP - 1) & 1) != 0;
}

/* Every process of a unit may listen, and writes its own name and command line; which one is the main one is systemd's word. */
static void main_process_take(struct server *s)
{
	struct process_facts p;
	if (!s->has_unit || s->unit.main_pid <= 0 || s->unit.main_pid == s->process.pid)
		return;
	if (process_facts_of(s->unit.main_pid, &p) && text_equal(p.unit, s->process.unit) && server_kind_of(&p) == s->kind)
		s->process = p;
}

/* A master that is root reads the key itself; its workers' group is what people expect on the file. */
static void group_find(struct server *s)
{
	char                 name[64];
	char                 text[4096];
	uid_t                uid = s->process.uid;
	const struct passwd *user;
	const struct group  *group;
	snprintf(name, sizeof(name), "task/%d/children", (int)s->process.pid);
	if (uid == 0 && proc_text(s->process.pid, name, text, sizeof(text)) > 0) {
		char *save = NULL;
		for (char *word = strtok_r(text, " ", &save); word != NULL && uid == 0; word = strtok_r(NULL, " ", &save))
			(void)!process_uid((pid_t)atoi(word), &uid);
	}
	user = getpwuid(uid);
	group = user != NULL ? getgrgid(user->pw_gid) : NULL;
	if (group == NULL || text_copy(s->group, sizeof(s->group), group->gr_name) != 0)
		text_cut(s->group, sizeof(s->group), "root");
}

static bool is_main_process(const struct server *s)
{
	return s->has_unit && s->unit.main_pid == s->process.pid;
}

static bool program_named(const char *exe, const char *program)
{
	const char *slash = strrchr(exe, '/');
	return slash != NULL && text_equal(slash + 1, program);
}

/* Root is going to name these again, in the test and at each renewal: what was read must be what they lead to then. */
static int paths_check(const struct server *s, struct refusal *why)
{
	int r = s->root[0] != '\0' ? source_way(s->root, s->src.owner, why) : 0;
	for (size_t i = 0; r == 0 && i < s->n_files; i++)
		r = source_way(s->file[i], s->src.owner, why);
	return r;
}

static int process_read(struct server *s, struct refusal *why)
{
	char   text[SERVER_ARGS_SIZE];
	size_t n = proc_text(s->process.pid, "cmdline", text, sizeof(text));
	if (n == 0)
		return refuse(why, E_SURVEY_CANNOT, s->process.program, "its command line cannot be read: run this as root");
	if (!same_root(s->process.pid))
		return refuse(why, E_SURVEY_CANNOT, s->process.program, "it runs in a container or another root folder");
	server_args_parse(s->kind, text, n, &s->args);
	if (s->kind != SERVER_PYTHON && !server_path_plain(s->process.exe))
		return refuse(why, E_SURVEY_CANNOT, s->process.program, "the path of its program cannot be read or is unusual");
	if (s->kind == SERVER_PYTHON)
		return 0;
	if (!kinds[s->kind].own_files && s->process.uid != 0 && !is_main_process(s))
		return refuse(why, E_SURVEY_CANNOT, s->process.program,
			      "process %d of user %s is no unit's main process: its command line proves nothing", (int)s->process.pid,
			      s->process.user);
	/* root is going to run it for the configuration test: what only calls itself so is another program */
	if (!program_named(s->process.exe, s->process.program))
		return refuse(why, E_SURVEY_CANNOT, s->process.program, "it calls itself so but runs another program, %.150s", s->process.exe);
	return source_program(s->process.exe, why);
}

void server_read(struct server *s)
{
	struct refusal why = {.code = 0};
	if (s->process.unit[0] != '\0' && unit_systemd_runs())
		s->has_unit = unit_facts_read(s->process.unit, &s->unit, NULL) == 0;
	main_process_take(s);
	s->src.owner = kinds[s->kind].own_files ? s->process.uid : 0;
	s->takes_hup = catches_hup(s->has_unit && s->unit.main_pid > 0 ? s->unit.main_pid : s->process.pid);
	group_find(s);
	int r = process_read(s, &why);
	if (r == 0)
		r = server_locate(s, &why);
	if (r == 0)
		r = paths_check(s, &why);
	if (r != 0) /* no command of it is run, not even by who finds it by its files */
		s->test[0] = s->reload[0] = '\0';
	else
		r = kinds[s->kind].read(s, &why);
	if (r != 0) {
		s->sites.n = 0;
		s->why = why;
	}
}

void server_free(struct server *s)
{
	sources_free(&s->src);
	sites_free(&s->sites);
}
