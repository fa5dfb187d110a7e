/* self_stat.c - room shared/sys: reads /proc/self through descriptors from before the lock-in.
 * Never: opening anything later. */
#include "shared/sys/self_stat.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct self_stat {
	int  statm;
	DIR *fds;
};

int self_stat_open(struct self_stat **ret)
{
	struct self_stat *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return E_NOMEM;
	s->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	s->fds = opendir("/proc/self/fd");
	if (s->statm < 0 || s->fds == NULL) {
		self_stat_close(s);
		return E_SYS_IO;
	}
	*ret = s;
	return 0;
}

void self_stat_close(struct self_stat *s)
{
	if (s == NULL)
		return;
	if (s->statm >= 0)
		close(s->statm);
	if (s->fds != NULL)
		closedir(s->fds);
	free(s);
}

/* proc(5): pages of the whole, then of the resident set. */
static int64_t resident(int statm)
{
	char    text[128];
	ssize_t n = pread(statm, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *second = NULL;
	(void)strtoll(text, &second, 10);
	return strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE);
}

static int64_t count_fds(DIR *fds)
{
	int64_t        n = 0;
	struct dirent *e;
	rewinddir(fds);
	while ((e = readdir(fds)) != NULL)
		n += e->d_name[0] != '.';
	return n;
}

void self_stat_read(struct self_stat *s, struct self_figures *ret)
{
	struct rusage usage;
	struct rlimit limit;
	*ret = (struct self_figures){0};
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		ret->cpu_ms = (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
			      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		ret->max_fds = limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
	if (s == NULL)
		return;
	ret->resident_bytes = resident(s->statm);
	ret->fds = count_fds(s->fds);
}
