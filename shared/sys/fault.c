/* fault.c - room shared/sys: named fault points of test builds; nothing else is compiled without VCC_FAULTS.
 * Never: used for decisions of the program. */
#include "shared/sys/fault.h"

#ifdef VCC_FAULTS
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FAULTS_MAX = 16, FAULT_EXIT_STATUS = 99 };

struct fault {
	char       name[64];
	long       at; /* 0 = every pass */
	char       action[32];
	atomic_long passes;
};

static struct fault   faults[FAULTS_MAX];
static size_t         n_faults;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
	const char *name;
	int         value;
} errnos[] = {
	{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO},       {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM},
	{"EAGAIN", EAGAIN}, {"EPIPE", EPIPE},   {"EACCES", EACCES}, {"EROFS", EROFS},
};

/* A wrong VCC_FAILPOINT must not make a test pass: it ends the process. */
static void fault_wrong(const char *text)
{
	fprintf(stderr, "VCC_FAILPOINT: cannot read `%s`\n", text);
	_exit(FAULT_EXIT_STATUS);
}

static void fault_load(void)
{
	const char *env = getenv("VCC_FAILPOINT");
	char        text[512];
	char       *save = NULL;
	if (env == NULL)
		return;
	if (strlen(env) >= sizeof(text))
		fault_wrong(env);
	strcpy(text, env);
	for (char *item = strtok_r(text, ";", &save); item != NULL; item = strtok_r(NULL, ";", &save)) {
		struct fault *f = &faults[n_faults];
		char         *action = strchr(item, '=');
		if (n_faults == FAULTS_MAX || action == NULL || strlen(action + 1) >= sizeof(f->action))
			fault_wrong(item);
		*action++ = '\0';
		char *at = strchr(item, '@');
		if (at != NULL) {
			*at++ = '\0';
			f->at = strtol(at, NULL, 10);
		}
		if (strlen(item) >= sizeof(f->name))
			fault_wrong(item);
		strcpy(f->name, item);
		strcpy(f->action, action);
		n_faults++;
	}
}

static int fault_act(const char *action)
{
	if (strcmp(action, "kill") == 0) {
		raise(SIGKILL);
	} else if (strcmp(action, "exit") == 0) {
		_exit(FAULT_EXIT_STATUS);
	} else if (strncmp(action, "delay:", 6) == 0) {
		long            ms = strtol(action + 6, NULL, 10);
		struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
		nanosleep(&ts, NULL);
		return 0;
	} else if (strncmp(action, "err:", 4) == 0) {
		for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
			if (strcmp(errnos[i].name, action + 4) == 0) {
				errno = errnos[i].value;
				return -1;
			}
	}
	fault_wrong(action);
	return 0;
}

/* VCC_FAULT_LOG=FILE collects the names of all points passed, so that a test can walk through every one of them. */
static void fault_record(const char *name)
{
	const char *path = getenv("VCC_FAULT_LOG");
	if (path == NULL)
		return;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	char line[96];
	int  n = snprintf(line, sizeof(line), "%s\n", name);
	if (n > 0 && write(fd, line, (size_t)n) != n)
		fault_wrong(path);
	close(fd);
}

int fault_point(const char *name)
{
	int saved = errno;
	pthread_once(&once, fault_load);
	fault_record(name);
	for (size_t i = 0; i < n_faults; i++) {
		struct fault *f = &faults[i];
		if (strcmp(f->name, name) != 0)
			continue;
		long pass = atomic_fetch_add(&f->passes, 1) + 1;
		if ((f->at == 0 || f->at == pass) && fault_act(f->action) != 0)
			return -1;
	}
	errno = saved;
	return 0;
}

int64_t fault_ms(const char *name, int64_t ms)
{
	const char *text = getenv(name);
	return text != NULL ? strtoll(text, NULL, 10) : ms;
}
#else
typedef int fault_nothing; /* ISO C wants a declaration in every file */
#endif
