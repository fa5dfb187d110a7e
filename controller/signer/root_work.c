/* root_work.c - room controller/signer: opens configuration, log, keys and folder for a person's command.
 * Never: while a signer runs: the log's lock tells. */
#include "controller/signer/root_work.h"

#include <fcntl.h>
#include <stdio.h>

#include "controller/signer/log_place.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/owner.h"

int root_work_open(struct root_work *w, const char *config, struct refusal *why)
{
	char path[CONF_PATH_SIZE + 16];
	int  r = conf_load(&signer_schema, config, &w->conf, NULL, why);
	if (r == 0)
		r = owner_become(w->conf.state_dir, why);
	log_place(&w->conf, path, sizeof(path));
	if (r == 0)
		r = log_place_open(&w->conf, path, &w->change.log, why);
	if (r == E_SYS_LOCKED)
		(void)refuse(
			why, r, path,
			"the signer runs: stop it for this (`systemctl stop vcc-signer`); what it is asked meanwhile waits");
	if (r == 0)
		r = ca_store_open(&w->conf, w->conf.state_dir, &w->cas, why);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/ca", w->conf.state_dir);
	w->ca_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (w->ca_fd < 0)
		return sys_refuse(why, path, "open the folder");
	w->change.conf = &w->conf;
	w->change.cas = &w->cas;
	w->change.ca_fd = w->ca_fd;
	w->change.now = clock_now();
	return 0;
}

void root_work_close(struct root_work *w)
{
	ca_store_free(&w->cas);
	hsm_close(w->cas.hsm);
	sign_log_close(w->change.log);
	fd_close(w->ca_fd);
}
