/* report_figure.c - room controller/core: what each figure of a report counts.
 * Never: adding up. */
#include "controller/core/report_figure.h"

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/audit.h"

#define SOON_MS (30 * MS_DAY)

static const struct figure_info figures[FIGURE_COUNT] = {
#define X(symbol, name, noun, means) [FIGURE_##symbol] = {name, FIGURE_OF_##noun, means},
	FIGURES(X)
#undef X
};

const struct figure_info *figure_info(enum figure f)
{
	return &figures[(unsigned)f < FIGURE_COUNT ? f : FIGURE_TOTAL];
}

int figure_parse(const char *name, enum figure *ret)
{
	for (unsigned f = 0; f < FIGURE_COUNT; f++)
		if (text_equal(name, figures[f].name)) {
			*ret = (enum figure)f;
			return 0;
		}
	return E_NOT_FOUND;
}

unsigned figure_of_certificate(const struct certificate *c, enum cert_status status, int64_t now)
{
	unsigned bits = FIGURE_BIT(TOTAL);
	bool     in_force = status == CERT_ACTIVE || status == CERT_EXPIRING || status == CERT_ISSUED || status == CERT_SUSPENDED;
	if (status == CERT_ACTIVE || status == CERT_EXPIRING)
		bits |= FIGURE_BIT(ACTIVE);
	if (status == CERT_EXPIRING)
		bits |= FIGURE_BIT(EXPIRING);
	if (status == CERT_EXPIRED && c->retired_at == 0)
		bits |= FIGURE_BIT(EXPIRED);
	if (in_force && !serial_is_none(c->serial) && c->not_after_at <= now + SOON_MS)
		bits |= FIGURE_BIT(SOON);
	return bits;
}

/* Whoever works on the local socket is a person, too, and so is one whose name was forgotten. */
static bool is_of_person(const struct order *o)
{
	return audit_is_person(o->actor) || audit_is_alias(o->actor) || text_starts(o->actor, "local:");
}

unsigned figure_of_order(const struct order *o, int64_t from, int64_t to)
{
	bool renewal = !serial_is_none(o->old_serial) && (o->flags & ORDER_DRILL) == 0;
	bool paused = o->phase == ORDER_PAUSED && o->created_at < to;
	bool over = o->completed_at != 0 && o->completed_at >= from && o->completed_at < to;
	if (!renewal || (!paused && !over))
		return 0;
	unsigned bits = FIGURE_BIT(ENDED);
	if (paused || o->phase == ORDER_FAILED)
		return bits | FIGURE_BIT(FAILED);
	if (o->phase != ORDER_COMPLETED && o->phase != ORDER_ROLLING_BACK)
		return bits;
	bits |= FIGURE_BIT(COMPLETED);
	if (!is_of_person(o) && (o->flags & (ORDER_APPROVED | ORDER_FORCED | ORDER_NOW | ORDER_ROLLBACK_ASKED)) == 0)
		bits |= FIGURE_BIT(AUTOMATED);
	return bits;
}

unsigned figure_of_campaign(const struct campaign *c, int64_t from, int64_t to)
{
	return c->kind == CAMPAIGN_EMERGENCY && c->started_at != 0 && c->started_at >= from && c->started_at < to ? FIGURE_BIT(EMERGENCIES) : 0;
}

unsigned figure_of_revocation(int reason, int64_t revoked_at, int64_t from, int64_t to)
{
	if (reason == REASON_HOLD || revoked_at < from || revoked_at >= to)
		return 0;
	return FIGURE_BIT(REVOKED) | (reason == REASON_SUPERSEDED ? FIGURE_BIT(SUPERSEDED) : FIGURE_BIT(REVOKED_OTHER));
}
