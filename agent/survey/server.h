/* server.h - room agent/survey: one running server program with the configuration that it was started with.
 * One table of the kinds that we know: nginx, Apache, HAProxy, PostgreSQL, Python servers in units. Never: changing anything.
 */
#ifndef VCC_SERVER_H
#define VCC_SERVER_H

#include "agent/survey/process_facts.h"
#include "agent/survey/site.h"
#include "agent/survey/source.h"
#include "agent/survey/unit_conf.h"
#include "agent/survey/unit_facts.h"

enum server_kind { SERVER_NGINX, SERVER_APACHE, SERVER_HAPROXY, SERVER_POSTGRESQL, SERVER_PYTHON, SERVER_KIND_COUNT };
const char *server_kind_name(enum server_kind k); /* "nginx" */

enum { SERVER_ARGS_MAX = 64, SERVER_ARGS_SIZE = 8192, SERVER_FILES_MAX = 16, SERVER_COMMAND_SIZE = 1024 };

/* A command line as the kernel keeps it. */
struct server_args {
	char        text[SERVER_ARGS_SIZE];
	const char *word[SERVER_ARGS_MAX + 1]; /* NULL-terminated */
	size_t      n;
};

struct server {
	enum server_kind     kind;
	struct process_facts process;
	char                 group[INVENTORY_USER_SIZE]; /* who reads the key beside root: the workers' group */
	struct server_args   args;
	char                 file[SERVER_FILES_MAX][SOURCE_PATH_SIZE]; /* main configuration files */
	size_t               n_files;
	char                 base[SOURCE_PATH_SIZE];      /* where relative paths begin; PostgreSQL: the data folder */
	char                 root[SOURCE_PATH_SIZE];      /* nginx -p, Apache -d: where its modules are looked for; "" = none */
	char                 test[SERVER_COMMAND_SIZE];   /* its own configuration test; "" = it has none */
	char                 reload[SERVER_COMMAND_SIZE]; /* a reload without systemd; "" = by signal, or not at all */
	int                  signal;                      /* that makes the master read its configuration again; 0 = none */
	struct unit_facts    unit;
	bool                 has_unit;
	bool                 takes_hup; /* its main process catches SIGHUP: it does not end by it */
	struct sources       src;
	struct sites         sites;
	struct refusal       why;     /* code != 0: why its configuration cannot be followed */
	const char          *problem; /* why nothing of it can be managed; NULL = nothing known */
};

/* The kind of a program; SERVER_KIND_COUNT: none that we know. */
enum server_kind server_kind_of(const struct process_facts *p);

/* Its configuration may belong to its own user. */
bool server_owns_files(const struct server *s);

/* Reads command line, unit and configuration of `s->process`; what fails is told in `s->why`. */
void server_read(struct server *s);
void server_free(struct server *s);

/* For tests: a command line and what it means. `text` of n bytes, words ended by NUL. */
void server_args_parse(enum server_kind kind, const char *text, size_t n, struct server_args *ret);
/* Sets file, base, test, reload and signal from `s->args`. E_SURVEY_CANNOT. */
_must_check_ int server_locate(struct server *s, struct refusal *why);

/* Letters that a path may have to stand in a target file, a command and every configuration language without quotes. */
bool server_path_plain(const char *path);

#endif
