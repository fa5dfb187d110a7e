/* new_root.c - room controller/signer: the commands of a change of the root: open keys and log, do it, say what comes next.
 * Never: while a signer runs: the log's lock tells. */
#include "controller/signer/new_root.h"

#include <stdio.h>

#include "controller/signer/root_work.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/command_options.h"
#include "shared/pki/key.h"

static void tell_authorities(const struct root_work *w, const char *root_id)
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

static int tell(const struct root_work *w, int r, struct refusal *why, const struct root_outcome *o, bool dropped)
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

int new_root(int argc, char **argv)
{
	static struct root_work w = {.ca_fd = -1};
	struct root_outcome     outcome = {.epoch = 0};
	struct refusal          why = {0};
	struct command_words    words;

	command_options("vcc-signer", argc, argv, NULL, 0, 0, 0, &words);
	int r = root_work_open(&w, words.config, &why);
	if (r == 0)
		r = root_change_new(&w.change, &outcome, &why);
	r = tell(&w, r, &why, &outcome, false);
	root_work_close(&w);
	return r;
}

int drop_root(int argc, char **argv)
{
	static struct root_work w = {.ca_fd = -1};
	struct root_outcome     outcome = {.epoch = 0};
	struct refusal          why = {0};
	struct command_words    words;

	command_options("vcc-signer", argc, argv, NULL, 0, 1, 1, &words);
	int r = root_work_open(&w, words.config, &why);
	if (r == 0)
		r = root_change_drop(&w.change, words.word[0], &outcome, &why);
	r = tell(&w, r, &why, &outcome, true);
	root_work_close(&w);
	return r;
}
