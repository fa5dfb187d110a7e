/* content.c - room agent/keeper: what the files of a place have to be: settings, issuance in use, trust.
 * Never: writing outside a new generation. */
#include "agent/keeper/content.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/keeper/access_check.h"
#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/place.h"
#include "agent/keeper/store_password.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"

/* ---- what is wanted ---------------------------------------------------------------------------------------------- */

static bool was_made_with_lists(const struct place *p)
{
	const struct made *made = place_in_use(p);
	made = made != NULL ? made : &p->made[0];
	for (uint32_t i = 0; i < made->n; i++)
		if (text_equal(made->files[i].name, "crl.pem"))
			return true;
	return false;
}

bool content_has_lists(const struct place *p)
{
	const struct keeper_state *s = &p->managed->keeper->state;
	if (!p->conf.crl || hash_is_none(s->crl_hash))
		return false;
	/* a service that has read them goes on with ended ones; nobody begins with such */
	return s->crl_ends_at > keeper_clock_judge(p->managed->keeper) || was_made_with_lists(p);
}

bool content_lost_lists(const struct place *p)
{
	return p->conf.crl && !content_has_lists(p) && was_made_with_lists(p);
}

int content_lists(const struct place *p, struct buf *to, struct refusal *why)
{
	return content_has_lists(p) ? keeper_state_crl(&p->managed->keeper->state, to, why) : 0;
}

struct hash content_wanted(const struct place *p, struct hash fingerprint)
{
	const struct keeper_state *s = &p->managed->keeper->state;
	const struct target_conf  *c = &p->conf;
	struct buf                 b = BUF_MAX(16384);
	struct hash                hash = {{0}};
	buf_add(&b, fingerprint.b, sizeof(fingerprint.b));
	buf_add(&b, s->trust.hash.b, sizeof(s->trust.hash.b));
	if (content_has_lists(p))
		buf_add(&b, s->crl_hash.b, sizeof(s->crl_hash.b));
	buf_add_fmt(&b, "%s\n%s\n%lld\n%d\n%d\n", c->owner, c->group, (long long)c->mode, c->combined, content_has_lists(p));
	if (c->pkcs12)
		buf_add_fmt(&b, "%s\n", c->pkcs12_password_file);
	else if (target_has_truststore(c))
		buf_add_fmt(&b, "truststore %s\n", c->pkcs12_password_file);
	if (target_trust_as(c, TRUST_CAPATH))
		buf_add_text(&b, "capath\n");
	buf_add_fmt(&b, "%s\n", c->copies);
	if (buf_error(&b) == 0)
		digest_sha256(buf_span(&b), &hash);
	buf_free(&b);
	return hash;
}

int content_settings(const struct place *p, struct generation_content *ret, struct refusal *why)
{
	const struct keeper_state *s = &p->managed->keeper->state;
	*ret = (struct generation_content){
		.roots = buf_span(&s->trust.roots),
		.combined = p->conf.combined,
		.capath = target_trust_as(&p->conf, TRUST_CAPATH),
		.mode = (mode_t)p->conf.mode,
	};
	return access_owner(p->conf.owner, p->conf.group, &ret->uid, &ret->gid, why);
}

int content_stores(const struct place *p, char password[PKCS12_PASSWORD_SIZE], struct generation_content *to, struct refusal *why)
{
	int r = store_password_read(&p->conf, password, why);
	to->keystore = p->conf.pkcs12;
	to->truststore = target_has_truststore(&p->conf);
	to->pkcs12_password = password;
	return r;
}

/* ---- the pair ---------------------------------------------------------------------------------------------------- */

int content_pair(const struct keeper *k, struct id renewal_id, uint32_t attempt, const struct buf *certificate, struct content *ret,
                 struct refusal *why)
{
	*ret = (struct content){.frame = malloc(sizeof(*ret->frame))};
	int r = ret->frame != NULL ? wire_decode(&wire_agent, buf_span(certificate), 0, ret->frame) : E_NOMEM;
	if (r == 0 && ret->frame->type != MSG_CERTIFICATE)
		r = E_WIRE_MESSAGE;
	if (r != 0)
		refuse(why, E_SWAP_ANSWER, "certificate", "%s", err_what(r));
	else
		r = keys_load(k->state.keys_fd, renewal_id, attempt, &ret->key, why);
	if (r != 0) {
		content_free(ret);
		return r;
	}
	ret->what.key = ret->key;
	ret->what.certificate = ret->frame->u.certificate.certificate;
	ret->what.chain = ret->frame->u.certificate.chain;
	return 0;
}

int content_load(const struct place *p, struct content *ret, struct refusal *why)
{
	const struct managed *m = p->managed;
	*ret = (struct content){.key = NULL};
	if (m->live.certificate.n == 0)
		return refuse(why, E_NOT_FOUND, m->cert_id, "nothing was issued for this certificate yet");
	return content_pair(m->keeper, m->live.renewal_id, m->live.attempt, &m->live.certificate, ret, why);
}

void content_free(struct content *c)
{
	key_free(c->key);
	free(c->frame);
	*c = (struct content){.key = NULL};
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

int content_write(struct place *p, uint64_t number, const struct generation_content *pair, struct hash fingerprint, struct refusal *why)
{
	struct generation_content content;
	struct buf                crl = BUF_MAX(CRL_FILE_MAX);
	struct place_record       record;
	struct made               made = {.content = content_wanted(p, fingerprint)};
	char                      path[TARGET_PATH_SIZE + 2 * GENERATION_NAME_SIZE];
	char                      name[GENERATION_NAME_SIZE];
	char                      password[PKCS12_PASSWORD_SIZE] = "";
	_cleanup_fd_ int          fd = -1;
	int                       r = place_open(p, &fd, why);
	if (r == 0)
		r = content_settings(p, &content, why);
	if (r != 0)
		return r;
	r = content_lists(p, &crl, why);
	if (r == 0)
		r = content_stores(p, password, &content, why);
	content.key = pair->key;
	content.certificate = pair->certificate;
	content.chain = pair->chain;
	content.crl = buf_span(&crl);
	if (r == 0)
		r = generation_write(fd, number, &content, &made, why);
	buf_free(&crl);
	secret_wipe(password, sizeof(password));
	if (r != 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s/key.pem", p->dir, generation_name(number, name));
	r = access_check(path, content.uid, content.gid, why);
	if (r == 0) {
		place_made(p, &made);
		place_record(p, &record);
		r = keeper_journal_add(p->managed->keeper, RECORD_TARGET, &record.record);
		if (r != 0)
			refuse(why, r, "journal", "%s", err_what(r));
	}
	if (r != 0)
		(void)!generation_remove(fd, number, NULL);
	return r;
}
