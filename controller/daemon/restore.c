/* restore.c - room controller/daemon: copy -> check -> compare with the store in force -> prepare -> put in its place.
 * Never: changing the store in force before the last step. */
#include "controller/daemon/restore.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/daemon/restore_check.h"
#include "controller/daemon/restore_drill.h"
#include "controller/daemon/restore_edit.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/command_options.h"
#include "shared/conf/controller_conf.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/owner.h"

struct restore {
	struct controller_conf conf;
	const char            *file;
	bool                   keep_tokens;
	bool                   drill; /* in a folder of its own; the store in force is not looked at */
	bool                   begun; /* that folder is there */
	int                    fd;
	char                   path[CONF_PATH_SIZE + 16], candidate[CONF_PATH_SIZE + 32], crl_folder[CONF_PATH_SIZE + 16],
		before[CONF_PATH_SIZE + 32];
	struct store          *old;
	struct restore_edit    edit;
	struct restore_found   found;
};

static void on_wake(void *ctx)
{
	const uint64_t  one = 1;
	struct restore *in = ctx;
	if (write(in->edit.woken, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

/* ---- the two stores -------------------------------------------------------------------------------------------- */

/* The store in force, for what it knows of later revocations. Where it is damaged or gone the restore goes on without. */
static int open_old(struct restore *in, struct refusal *why)
{
	struct store_options options = {.path = in->path, .hash = digest_sha256_two};
	struct refusal       not_read = {0};
	char                 text[600];
	int                  r = store_sqlite_open(&options, &in->old, &not_read);
	if (r == E_SYS_LOCKED)
		return refuse(why, r, in->path, "the controller is running: `systemctl stop vcc-controller` first");
	if (r == 0 && store_view_open(in->old, &in->edit.old) < 0)
		in->edit.old = NULL;
	if (in->edit.old == NULL)
		fprintf(stderr, "vcc-controller: the database in force cannot be read: %s\n",
			r < 0 ? refusal_text(&not_read, text, sizeof(text)) : in->path);
	return 0;
}

static void close_old(struct restore *in)
{
	store_view_close(in->edit.old);
	in->edit.old = NULL;
	if (in->old != NULL)
		store_close(in->old);
	in->old = NULL;
}

static int prepare(struct restore *in, struct refusal *why)
{
	struct store_options options = {.path = in->candidate, .hash = digest_sha256_two, .wake = on_wake, .wake_ctx = in};
	int                  r = store_sqlite_open(&options, &in->edit.store, why);
	if (r < 0)
		return r;
	r = store_view_open(in->edit.store, &in->edit.view);
	if (r < 0)
		r = refuse(why, r, in->file, "%s", err_what(r));
	if (r == 0)
		r = restore_check(in->edit.view, in->edit.old, in->file, &in->found, why);
	if (r == 0 && in->drill)
		r = restore_check_heads(in->edit.view, in->file, &in->found, why);
	in->edit.mark.made_at = in->found.made_at;
	in->edit.mark.audit_size = in->found.audit_size;
	if (r == 0)
		r = restore_edit(&in->edit, why);
	store_view_close(in->edit.view);
	store_close(in->edit.store);
	return r;
}

static int names_make(struct restore *in, struct refusal *why)
{
	int r = 0;
	snprintf(in->path, sizeof(in->path), "%s/vcc.db", in->conf.state_dir);
	if (in->drill)
		r = restore_drill_begin(in->conf.state_dir, in->fd, in->path, sizeof(in->path), why);
	snprintf(in->candidate, sizeof(in->candidate), "%s.restore", in->path);
	snprintf(in->crl_folder, sizeof(in->crl_folder), "%s/public/crl", in->conf.state_dir);
	return r;
}

static int restore_all(struct restore *in, const char *config, struct refusal *why)
{
	int r = conf_load(&controller_schema, config, &in->conf, NULL, why);
	if (r < 0)
		return r;
	in->fd = open(in->file, O_RDONLY | O_CLOEXEC); /* as who started it: afterwards only the controller's own is in reach */
	if (in->fd < 0)
		return sys_refuse(why, in->file, "open");
	if ((r = owner_become(in->conf.state_dir, why)) < 0)
		return r;
	if ((r = names_make(in, why)) < 0)
		return r;
	in->begun = in->drill;
	in->edit.crl_folder = in->crl_folder;
	in->edit.jitter_share = in->conf.jitter;
	in->edit.keep_tokens = in->keep_tokens;
	in->edit.woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->edit.woken < 0)
		return sys_refuse(why, "eventfd", "make");
	if ((r = store_restore_take(in->path, in->fd, in->file, why)) < 0)
		return r;
	r = in->drill ? 0 : open_old(in, why);
	in->keep_tokens |= in->edit.old != NULL; /* for the summary: they were compared */
	if (r == 0)
		r = prepare(in, why);
	close_old(in);
	if (r < 0)
		store_restore_drop(in->path);
	if (r == 0)
		r = store_restore_place(in->path, in->before, sizeof(in->before), why);
	return r == 0 && in->drill ? restore_drill_look(in->path, &in->found, why) : r;
}

/* ---- what people see ------------------------------------------------------------------------------------------- */

static void print_summary(const struct restore *in)
{
	const struct restore_counts *n = &in->edit.counts;
	char                         made[TIME_TEXT_SIZE];
	printf("restored: the backup of %s, %" PRIu64 " audit records\n", time_text(in->edit.mark.made_at, made),
	       in->edit.mark.audit_size);
	printf("ended: %" PRIu64 " open orders, %" PRIu64 " campaigns, %" PRIu64 " messages, %" PRIu64 " invites, %" PRIu64
	       " approvals, %" PRIu64 " tokens\n",
	       n->orders, n->campaigns, n->messages, n->invites, n->approvals, n->tokens);
	printf("kept from after the backup: %" PRIu64 " revocations, %" PRIu64 " hosts sent away, %" PRIu64
	       " principals\n",
	       n->revocations, n->agents, n->principals);
	if (!in->keep_tokens)
		printf("every token is over: make new ones as root with `vccctl token create`\n");
	printf("the database before it is %s\n", in->before);
	printf("next: systemctl start vcc-controller; vccctl restore; vccctl restore --accept\n");
}

int daemon_restore(int argc, char **argv)
{
	static struct restore in;
	struct refusal              why = {0};
	char                        text[600];
	struct command_words        words;
	const struct command_option own[] = {{"keep-tokens", NULL, &in.keep_tokens}, {"drill", NULL, &in.drill}};

	command_options("vcc-controller", argc, argv, own, N_ELEMENTS(own), 1, 1, &words);
	in.file = words.word[0];
	umask(077);
	in.edit.now = clock_now();
	snprintf(in.edit.actor, sizeof(in.edit.actor), "local:uid-%u", (unsigned)getuid());
	int r = restore_all(&in, words.config, &why);
	if (in.begun)
		restore_drill_end(in.path);
	if (r < 0) {
		if (why.code == 0)
			refuse(&why, r, "vcc-controller restore", "%s", err_what(r));
		fprintf(stderr, "vcc-controller: %s\n", refusal_text(&why, text, sizeof(text)));
		return 1;
	}
	if (!in.drill)
		print_summary(&in);
	return 0;
}
