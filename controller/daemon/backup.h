/* backup.h - room controller/daemon: copies of the database into STATE/backup while everything goes on; the newest one stays
 * there. Never: the signer's folder (its keys and log are saved apart); filling the disk that the database needs. */
#ifndef VCC_BACKUP_H
#define VCC_BACKUP_H

#include "controller/daemon/controller.h"
#include "shared/conf/controller_conf.h"

struct backups;
_must_check_ int backups_open(struct controller *ctl, struct backups **ret);
void             backups_stop(struct controller *ctl); /* one that is being made ends early, without a file */
void             backups_free(struct backups *b);

enum backup_state { BACKUP_NONE, BACKUP_RUNNING, BACKUP_DONE, BACKUP_FAILED, BACKUP_STATE_COUNT };
const char *backup_state_name(enum backup_state s);

/* Of this run of the controller. */
struct backup_report {
	enum backup_state state;
	char              path[CONF_PATH_SIZE + 64]; /* BACKUP_DONE */
	int64_t           started_at, ended_at;
	uint64_t          bytes;
	uint64_t          audit_size; /* rows of the trail that it holds at least */
	struct refusal    why;        /* BACKUP_FAILED */
};
void controller_backup_report(const struct controller *ctl, struct backup_report *ret);
/* Starts one; controller_backup_report() tells how it ended. E_BACKUP_RUNNING, E_BACKUP_SPACE, E_SYS_*. */
_must_check_ int controller_backup(struct controller *ctl, const struct caller *who, struct refusal *why);

#endif
