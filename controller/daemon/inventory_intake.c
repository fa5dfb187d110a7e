/* inventory_intake.c - room controller/daemon: an agent's report of what its host serves, kept as the newest one.
 * Never: deciding anything from it; it is what somebody saw, not what we issued. */
#include "controller/daemon/inventory_intake.h"

#include <stdio.h>
#include <stdlib.h>

#include "controller/daemon/agent_messages.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/wire/wire.h"

int inventory_digest(const struct body_inventory *body, struct hash *ret)
{
	struct buf             bytes = BUF_MAX(INVENTORY_BODY_MAX);
	struct body_inventory *timeless = malloc(sizeof(*timeless));
	int                    r = timeless != NULL ? 0 : E_NOMEM;
	if (r == 0) {
		*timeless = *body;
		timeless->observed_at = 0;
		r = wire_body_encode(&wire_body_inventory, timeless, &bytes);
	}
	if (r == 0)
		digest_sha256(buf_span(&bytes), ret);
	buf_free(&bytes);
	free(timeless);
	return r;
}

struct stored_wait {
	char agent[AGENT_NAME_SIZE];
};

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct stored_wait *w = ctx;
	(void)code;
	(void)result;
	if (!ctl->stopping)
		fleet_ready(ctl, w->agent);
	free(w);
}

bool inventory_intake(struct controller *ctl, const char *agent, uint64_t id, const struct body_inventory *body,
		      struct hash digest)
{
	struct agent     row;
	struct inventory old = {.found = 0};
	if (rows_agent(ctl->rows, agent, &row) < 0)
		return false;
	int              r = view_inventory(ctl->view, agent, &old);
	const bool       same = r == 0 && hash_equal(old.digest, digest) && hash_equal(old.host_hash, row.host_hash);
	struct inventory next = {
		.host_hash = row.host_hash,
		.digest = digest,
		.observed_at = body->observed_at,
		.reported_at = clock_now(),
		.found = body->found,
	};
	struct ack_later    ack = {.id = id};
	struct commit      *c = commit_new(ctl);
	struct stored_wait *w = calloc(1, sizeof(*w));
	char                actor[ACTOR_SIZE];
	if (w == NULL)
		abort();
	(void)snprintf(actor, sizeof(actor), "agent:%s", row.name);
	text_cut(next.agent, sizeof(next.agent), row.name);
	text_cut(ack.agent, sizeof(ack.agent), row.name);
	text_cut(w->agent, sizeof(w->agent), row.name);
	store_put_inventory(commit_change(c), &next, same ? NULL : body->rows, body->n_rows);
	if (!same)
		commit_audit(c, &(struct audit_of){.event = AUDIT_INVENTORY_CHANGED, .actor = actor, .object = row.name},
			     "{s:i,s:i}", "listeners", (int)body->n_rows, "before", r == 0 ? (int)old.found : 0);
	commit_then(c, agent_ack_then, &ack, sizeof(ack));
	commit_else(c, agent_rewelcome_else, row.name, sizeof(row.name)); /* welcomed again, it sends again */
	commit_now(c, on_stored, w);
	return true;
}
