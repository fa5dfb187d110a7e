/* key_drill.c - room controller/signer: opens every CA key with the passphrase as it is kept, lets each sign once, and says which they are.
 * Never: changing anything; the log of what was signed is not opened. */
#include "controller/signer/key_drill.h"

#include <stdio.h>
#include <string.h>

#include "controller/signer/ca_store.h"
#include "controller/signer/hsm.h"
#include "shared/conf/command_options.h"
#include "shared/sys/jail.h"
#include "shared/sys/owner.h"

/* One line each: CA, SHA-256 of its certificate, and whether its key is here. */
static void print(const struct ca_store *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct ca *ca = &s->ca[i];
		struct hash      hash;
		char             hex[HASH_TEXT_SIZE];
		digest_sha256((struct span){ca->issuer.der, ca->issuer.der_len}, &hash);
		printf("%s %s %s\n", ca->issuer.issuer_id, hash_text(hash, hex), ca->key != NULL ? "signed" : "offline");
	}
}

int key_drill(int argc, char **argv)
{
	static struct signer_conf conf;
	static struct ca_store    cas;
	struct command_words      words;
	struct refusal            why = {0};
	char                      text[600];

	command_options("vcc-signer", argc, argv, NULL, 0, 0, 1, &words);
	int         r = conf_load(&signer_schema, words.config, &conf, NULL, &why);
	const char *folder = words.n > 0 ? words.word[0] : conf.state_dir;
	if (r == 0 && words.n == 0) /* a copy belongs to whoever made it */
		r = owner_become(conf.state_dir, &why);
	if (r == 0) /* a share may come, and the passphrase does */
		r = jail_no_dump(&why);
	if (r == 0)
		r = ca_store_open(&conf, folder, &cas, &why);
	if (r == 0)
		r = ca_store_try(&cas, &why);
	if (r < 0)
		fprintf(stderr, "vcc-signer: %s\n", refusal_text(&why, text, sizeof(text)));
	else
		print(&cas);
	ca_store_free(&cas);
	hsm_close(cas.hsm);
	return r < 0 ? 1 : 0;
}
