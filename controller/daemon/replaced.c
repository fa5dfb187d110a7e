/* replaced.c - room controller/daemon: another host takes the name of one that is lost, broken or captured.
 * Certificates keep their cert_id and lose their proof: the new host's target file orders the first issue of its own key, and
 * the old issuance goes when that one is proved. Never: a key that travels. */
#include "controller/daemon/replaced.h"

#include "controller/daemon/catalog.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/host_certs.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/stages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

int replaced_prepare(struct controller *ctl, const char *name, const struct caller *who)
{
	return host_certs_end_orders(ctl, name, E_SWAP_CANCELLED, "another host takes the place of this one", who);
}

/* ---- in the change --------------------------------------------------------------------------------------------- */

struct taking {
	struct controller   *ctl;
	struct commit       *commit;
	enum revoke_reason   reason;
	const struct caller *who;
	int64_t              now;
};

static void end_identity(void *ctx, const struct issuance *i)
{
	const struct taking *t = ctx;
	if (operate_in_use(i, t->now))
		operate_revoke_issuance(t->ctl, t->commit, i, t->reason, t->now, t->who);
}

/* What was signed with a key stays good when another takes its place; only one that was captured takes it along. */
static bool stays_good(const struct taking *t, const struct certificate *cert)
{
	const struct template *profile = catalog_template(t->ctl->catalog, cert->template_id);
	return profile != NULL && profile->purpose == PURPOSE_CODE_SIGNING && t->reason == REASON_SUPERSEDED;
}

/* Unproved, so that the new host's file orders a certificate; wanted gone, so that no grace is given to what the old host
 * holds. */
static int take_certificate(void *ctx, struct certificate *cert)
{
	const struct taking *t = ctx;
	struct issuance      old;
	cert->proved = false;
	commit_certificate(t->commit, cert);
	if (serial_is_none(cert->serial) || stays_good(t, cert))
		return 0;
	int r = rows_issuance(t->ctl->rows, cert->serial, &old);
	if (r < 0 || !operate_in_use(&old, t->now) || old.revoke_asked_at != 0)
		return r == E_NOT_FOUND ? 0 : r;
	old.revoke_asked_at = t->now;
	old.revoke_reason = (int)t->reason;
	commit_issuance(t->commit, &old);
	return 0;
}

static void cut_later(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	fleet_replaced(ctl, value);
}

int replaced_take(struct controller *ctl, struct commit *c, const struct agent *old, const struct caller *who)
{
	bool          banned = old->state == AGENT_BANNED;
	struct taking t = {ctl, c, banned ? REASON_KEY_COMPROMISE : REASON_SUPERSEDED, who, clock_now()};
	char          hash[HASH_TEXT_SIZE];
	if (banned) {
		struct ban b = {.host_hash = old->host_hash, .since_at = t.now};
		text_cut(b.name, sizeof(b.name), old->name);
		store_put_ban(commit_change(c), &b);
	}
	int r = operate_each_issuance(ctl, OWNER_AGENT, old->name, end_identity, &t);
	if (r == 0)
		r = host_certs_each(ctl, old->name, take_certificate, &t);
	if (r < 0)
		return r;
	commit_audit(c, &(struct audit_of){.event = AUDIT_AGENT_REPLACED, .actor = who->actor, .object = old->name},
		     "{s:s,s:s}", "old_host", hash_text(old->host_hash, hash), "old_state", agent_state_name(old->state));
	stages_host_gone(ctl, c, old->host_hash);
	commit_then(c, cut_later, old->name, sizeof(old->name));
	return 0;
}
