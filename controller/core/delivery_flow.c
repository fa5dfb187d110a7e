/* delivery_flow.c - room controller/core: which channel gets a notice, what is sent together and when, when a failure is tried
 * again, when somebody is reminded. Never: clocks, heap, receivers. */
#include "controller/core/delivery_flow.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

/* ---- where it goes ----------------------------------------------------------------------------------------------- */

static bool named(const char *list, const char *wanted)
{
	return list[0] == '\0' || text_listed(list, wanted);
}

bool delivery_wanted(const struct delivery_rule *rule, const struct notice *n)
{
	return (int)n->level >= rule->at_least && named(rule->services, n->service) &&
	       named(rule->events, notice_event_name(n->event));
}

/* ---- what is sent now -------------------------------------------------------------------------------------------- */

const char *delivery_choice_name(enum delivery_choice c)
{
	static const char *const names[] = {[DELIVERY_NOTHING] = "nothing", [DELIVERY_SEND] = "send", [DELIVERY_HOLD] = "hold"};
	return (size_t)c < N_ELEMENTS(names) ? names[c] : "unknown";
}

static bool is_new(const struct delivery *d)
{
	return id_is_none(d->message_id);
}

static bool is_critical(const struct delivery *d)
{
	return d->level == NOTICE_CRITICAL;
}

static void take(struct delivery_pick *p, size_t i)
{
	if (p->n < DELIVERY_BATCH)
		p->index[p->n++] = i;
}

/* A message on its way goes on before a new one begins, with all that is in it. */
static bool pick_again(const struct delivery *rows, size_t n, struct delivery_pick *p)
{
	struct id message = {{0}};
	for (size_t i = 0; i < n; i++) {
		if (is_new(&rows[i]))
			continue;
		if (p->n == 0)
			message = rows[i].message_id;
		if (id_equal(rows[i].message_id, message))
			take(p, i);
	}
	p->again = p->n > 0;
	return p->n > 0;
}

static bool pick_held(const struct delivery *rows, size_t n, struct delivery_pick *p)
{
	for (size_t i = 0; i < n; i++)
		if (is_new(&rows[i]) && rows[i].held)
			take(p, i);
	return p->n > 0;
}

static bool sent_lately(const struct delivery_pace *pace, const char *group, int64_t now)
{
	for (size_t i = 0; i < DELIVERY_RECENT; i++)
		if (pace->recent[i].at != 0 && text_equal(pace->recent[i].group, group))
			return now - pace->recent[i].at < pace->interval_ms;
	return false;
}

static bool may_lead(const struct delivery *d, const struct delivery_pace *pace, int64_t now)
{
	if (!is_new(d))
		return false;
	if (is_critical(d))
		return true;
	return !pace->quiet && !pace->failing && now - d->at >= pace->wait_ms && !sent_lately(pace, d->group, now);
}

/* The group of the first row that is ready; what is critical waits for nobody and takes along what is there of its group. */
static bool pick_group(const struct delivery *rows, size_t n, const struct delivery_pace *pace, int64_t now,
		       struct delivery_pick *p)
{
	size_t lead = n;
	for (size_t i = 0; i < n; i++)
		if (may_lead(&rows[i], pace, now) && (lead == n || (is_critical(&rows[i]) && !is_critical(&rows[lead]))))
			lead = i;
	if (lead == n)
		return false;
	take(p, lead);
	for (size_t i = 0; i < n; i++)
		if (i != lead && is_new(&rows[i]) && text_equal(rows[i].group, rows[lead].group) &&
		    (!pace->quiet || is_critical(&rows[i])))
			take(p, i);
	return true;
}

static bool pick_to_hold(const struct delivery *rows, size_t n, struct delivery_pick *p)
{
	for (size_t i = 0; i < n; i++)
		if (is_new(&rows[i]) && !is_critical(&rows[i]))
			take(p, i);
	return p->n > 0;
}

static bool is_critical_waiting(const struct delivery *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_new(&rows[i]) && is_critical(&rows[i]))
			return true;
	return false;
}

void delivery_pick(const struct delivery *rows, size_t n, const struct delivery_pace *pace, int64_t now,
		   struct delivery_pick *ret)
{
	struct delivery_pick p = {.choice = DELIVERY_SEND};
	bool                 urgent = is_critical_waiting(rows, n);
	bool                 found = urgent && pick_group(rows, n, pace, now, &p);
	if (!found)
		found = pick_again(rows, n, &p);
	if (!found && !pace->quiet && !pace->failing)
		found = pick_held(rows, n, &p);
	if (!found)
		found = pick_group(rows, n, pace, now, &p);
	if (!found && pace->quiet && pick_to_hold(rows, n, &p))
		p.choice = DELIVERY_HOLD;
	else if (!found)
		p.choice = DELIVERY_NOTHING;
	*ret = p;
}

void delivery_note_sent(struct delivery_pace *pace, const char *group, int64_t now)
{
	size_t at = 0;
	for (size_t i = 0; i < DELIVERY_RECENT; i++) {
		if (pace->recent[i].at != 0 && text_equal(pace->recent[i].group, group)) {
			at = i;
			break;
		}
		if (pace->recent[i].at < pace->recent[at].at)
			at = i;
	}
	text_cut(pace->recent[at].group, sizeof(pace->recent[at].group), group);
	pace->recent[at].at = now;
}

/* ---- what failed ------------------------------------------------------------------------------------------------- */

int64_t delivery_retry_at(uint32_t attempts, uint32_t tries, int64_t first_ms, int64_t asked_ms, uint32_t random, int64_t now)
{
	if (attempts >= tries)
		return TIME_NEVER;
	int64_t pause = first_ms;
	for (uint32_t i = 1; i < attempts && pause < MS_HOUR; i++)
		pause *= 2;
	if (pause > MS_HOUR)
		pause = MS_HOUR;
	pause += pause * (int64_t)(random % 256) / 1024; /* up to a quarter more */
	if (asked_ms > MS_HOUR)
		asked_ms = MS_HOUR;
	return now + (asked_ms > pause ? asked_ms : pause);
}

/* ---- what nobody does anything about ----------------------------------------------------------------------------- */

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The next of the times at, at + pause, at + 2 pause ... after `now`. */
static int64_t next_beat(int64_t at, int64_t pause, int64_t now)
{
	return pause == 0 ? TIME_NEVER : now < at ? at + pause : at + ((now - at) / pause + 1) * pause;
}

static int64_t next_look(const struct notice *n, const struct delivery_nag *nag, int64_t now, bool escalated)
{
	int64_t escalate = escalated || nag->escalate_ms == 0 ? TIME_NEVER : n->at + nag->escalate_ms;
	return sooner(next_beat(n->at, nag->repeat_ms, now), escalate);
}

int64_t delivery_first_look(const struct notice *n, const struct delivery_nag *nag)
{
	if (n->key[0] == '\0' || n->level < NOTICE_ERROR)
		return TIME_NEVER;
	return next_look(n, nag, n->at, false);
}

int64_t delivery_look(const struct notice *n, const struct delivery_nag *nag, int64_t now, enum delivery_kind *ret_kind)
{
	bool escalates = nag->escalate_ms != 0 && n->escalations == 0 && now - n->at >= nag->escalate_ms;
	*ret_kind = DELIVERY_FIRST;
	if (n->closed_at != 0 || n->acked_at != 0)
		return TIME_NEVER;
	if (n->snoozed_until_at > now)
		return n->snoozed_until_at;
	if (escalates)
		*ret_kind = DELIVERY_ESCALATION;
	else if (nag->repeat_ms != 0 && now - n->at >= nag->repeat_ms)
		*ret_kind = DELIVERY_REMINDER;
	return next_look(n, nag, now, escalates || n->escalations > 0);
}
