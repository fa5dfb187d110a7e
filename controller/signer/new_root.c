/* new_root.c - room controller/signer: the commands of a change of the root: open keys and log, do it, say what comes next.
 * Never: while a signer runs: the log's lock tells. */
#include "controller/signer/new_root.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>

#include "controller/signer/log_place.h"
#include "controller/signer/passphrase.h"
#include "controller/signer/root_change.h"
#include "shared/base/text.h"
#include "shared/conf/program_table.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/owner.h"

struct work {
	struct signer_conf conf;
	struct ca_store    cas;
	struct root_change change;
	int                ca_fd;
};

static int open_keys(struct work *w, struct refusal *why)
{
	struct buf passphrase = BUF_MAX(PASSPHRASE_MAX + 2);
	int        r = hsm_open(&w->conf, &w->cas.hsm, why);
	if (r == 0)
		r = passphrase_read(&w->conf, &passphrase, why);
	if (r == 0)
		r = ca_store_load(w->conf.state_dir, buf_span(&passphrase), w->conf.public_url, &w->cas, why);
	buf_wipe(&passphrase);
	return r;
}

static int open_all(struct work *w, const char *config, struct refusal *why)
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
		r = open_keys(w, why);
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

static void close_all(struct work *w)
{
	ca_store_free(&w->cas);
	hsm_close(w->cas.hsm);
	sign_log_close(w->change.log);
	fd_close(w->ca_fd);
}

static void tell_authorities(const struct work *w, const char *root_id)
{
	for (size_t i = 0; i < w->cas.n; i++) {
		const struct issuer *issuer = &w->cas.ca[i].issuer;
		char                 end[TIME_TEXT_SIZE], print[HASH_TEXT_SIZE];
		struct hash          hash;
		if (!text_equal(issuer->issuer_id, root_id) && !text_equal(issuer->parent_id, root_id))
			continue;
		digest_sha256((struct span){issuer->der, issuer->der_len}, &hash);
		printf("%-16s until %s\n  SHA-256 %s\n", issuer->issuer_id, time_text(issuer->not_after_at, end),
		       hash_text(hash, print)); /* each within 80 columns */
	}
}

static int tell(const struct work *w, int r, struct refusal *why, const struct root_outcome *o, bool dropped)
{
	char text[600];
	if (r < 0) {
		if (why->code == 0)
			(void)refuse(why, r, dropped ? "drop-root" : "new-root", "%s", err_what(r));
		fprintf(stderr, "vcc-signer: %s\n", refusal_text(why, text, sizeof(text)));
		return 1;
	}
	if (!dropped)
		tell_authorities(w, o->root_id);
	printf("trust bundle %llu %s %s%s\n", (unsigned long long)o->epoch, dropped ? "is without" : "holds", o->root_id,
	       o->made ? "" : " already; nothing was done");
	if (o->made)
		printf("next: `systemctl start vcc-signer`; the signer tells the controller\n");
	return 0;
}

static int options_read(int argc, char **argv, const char **ret_config, int *ret_rest)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c != 'c')
			return E_CLI_USAGE;
		*ret_config = optarg;
	}
	*ret_rest = optind;
	return 0;
}

int new_root(int argc, char **argv)
{
	static struct work  w = {.ca_fd = -1};
	struct root_outcome outcome = {.epoch = 0};
	struct refusal      why = {0};
	const char         *config = SIGNER_CONF_PATH;
	int                 rest = 0;

	if (options_read(argc, argv, &config, &rest) < 0 || rest != argc) {
		program_help("vcc-signer", "new-root", stderr);
		return 2;
	}
	int r = open_all(&w, config, &why);
	if (r == 0)
		r = root_change_new(&w.change, &outcome, &why);
	r = tell(&w, r, &why, &outcome, false);
	close_all(&w);
	return r;
}

int drop_root(int argc, char **argv)
{
	static struct work  w = {.ca_fd = -1};
	struct root_outcome outcome = {.epoch = 0};
	struct refusal      why = {0};
	const char         *config = SIGNER_CONF_PATH;
	int                 rest = 0;

	if (options_read(argc, argv, &config, &rest) < 0 || rest != argc - 1) {
		program_help("vcc-signer", "drop-root", stderr);
		return 2;
	}
	int r = open_all(&w, config, &why);
	if (r == 0)
		r = root_change_drop(&w.change, argv[rest], &outcome, &why);
	r = tell(&w, r, &why, &outcome, true);
	close_all(&w);
	return r;
}
