/* sim_years.c - room tests/lib: years of an installation: faults that come at stated rates and pass by themselves, and which
 * renewals were done before their emergency threshold. Whoever mends a host, a disk or a link in that time never touches an
 * order. Never: an operator; helping anything along. */
#include <stdio.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

#define CENTURY_MS (36525 * MS_DAY)
enum { SITES = 10 };
#define BIT(fault) (1u << (fault))

/* What happens by the way: to one message in a thousand, at one point in a thousand where a process may die, in one swap of
 * fifty. */
const struct sim_config sim_years_config = {
	.name = "years",
	.lose = 1,
	.twice = 1,
	.late = 5,
	.cut = 1,
	.kill = {1, 1, 2, 1},
	.power = 300,
	.target = 20,
	.agents = 100,
	.certs = 2,
	.staged = true,
	.days = 600,
	.rate = 100,
};

/* clang-format off */
const struct sim_fault_kind sim_fault_kinds[FAULT_COUNT] = {
	/*                         name                   rows            of              in 100 years  from            to */
	[FAULT_HOST_DOWN] =       {"host-off",            "F09 F48",      FAULT_OF_HOST,  600,          10 * MS_MINUTE, 3 * MS_DAY},
	[FAULT_HOST_GONE] =       {"host-off-for-weeks",  "F48",          FAULT_OF_HOST,  2,            3 * MS_DAY,     30 * MS_DAY},
	[FAULT_LINK_CUT] =        {"link-cut",            "F39-F43",      FAULT_OF_HOST,  1200,         MS_MINUTE,      12 * MS_HOUR},
	[FAULT_DISK_FULL] =       {"host-disk-full",      "F04 F05",      FAULT_OF_HOST,  100,          10 * MS_MINUTE, 5 * MS_DAY},
	[FAULT_READ_ONLY] =       {"host-read-only",      "F06 F07",      FAULT_OF_HOST,  20,           10 * MS_MINUTE, 2 * MS_DAY},
	[FAULT_HOST_CLOCK] =      {"host-clock-wrong",    "F46 F47",      FAULT_OF_HOST,  20,           10 * MS_MINUTE, 5 * MS_DAY},
	[FAULT_CONFIG_TEST] =     {"service-config-bad",  "F24",          FAULT_OF_HOST,  50,           10 * MS_MINUTE, 7 * MS_DAY},
	[FAULT_RELOAD] =          {"reload-broken",       "F16-F20 F23",  FAULT_OF_HOST,  100,          10 * MS_MINUTE, 7 * MS_DAY},
	[FAULT_SERVICE_DOWN] =    {"service-down",        "F21",          FAULT_OF_HOST,  200,          MS_MINUTE,      MS_DAY},
	[FAULT_SITE_CUT] =        {"site-cut",            "F39-F43",      FAULT_OF_SITE,  400,          MS_MINUTE,      12 * MS_HOUR},
	[FAULT_CONTROLLER_DOWN] = {"controller-down",     "F51 F63 F79",  FAULT_OF_ALL,   600,          MS_MINUTE,      MS_DAY},
	[FAULT_GATEWAY_DOWN] =    {"gateway-down",        "F45",          FAULT_OF_ALL,   600,          MS_MINUTE,      MS_DAY},
	[FAULT_SIGNER_DOWN] =     {"signer-down",         "F57-F59",      FAULT_OF_ALL,   400,          MS_MINUTE,      3 * MS_DAY},
	[FAULT_STORE_FULL] =      {"database-disk-full",  "F52 F56",      FAULT_OF_ALL,   100,          MS_MINUTE,      MS_DAY},
	[FAULT_CLOCK] =           {"controller-clock",    "F46 F49",      FAULT_OF_ALL,   200,          MS_MINUTE,      MS_DAY},
};
/* clang-format on */

const char *sim_cause_name(unsigned cause, char ret[64])
{
	if (cause < FAULT_COUNT)
		text_cut(ret, 64, sim_fault_kinds[cause].name);
	else if (cause == CAUSE_UNPROVED || cause == CAUSE_NO_ORDER)
		text_cut(ret, 64, cause == CAUSE_UNPROVED ? "successor-unproved" : "no-order");
	else
		snprintf(ret, 64, "order-%s", order_phase_name((enum order_phase)(cause - CAUSE_PHASE)));
	return ret;
}

/* ---- what goes on ------------------------------------------------------------------------------------------------ */

static uint32_t ails(const struct sim *s, int agent)
{
	return s->years.ails | s->agent[agent].ails;
}

bool years_down(const struct sim *s, enum sim_role role, int agent)
{
	static const uint32_t bits[SIM_ROLES] = {
		[SIM_CONTROLLER] = BIT(FAULT_CONTROLLER_DOWN),
		[SIM_GATEWAY] = BIT(FAULT_GATEWAY_DOWN),
		[SIM_SIGNER] = BIT(FAULT_SIGNER_DOWN),
		[SIM_AGENT] = BIT(FAULT_HOST_DOWN) | BIT(FAULT_HOST_GONE),
	};
	return (ails(s, agent) & bits[role]) != 0;
}

bool years_reachable(const struct sim *s, int agent)
{
	return (s->agent[agent].ails & (BIT(FAULT_LINK_CUT) | BIT(FAULT_SITE_CUT))) == 0;
}

bool years_store_full(const struct sim *s)
{
	return (s->years.ails & BIT(FAULT_STORE_FULL)) != 0;
}

bool years_mode(const struct sim *s, int agent, enum sim_mode *ret)
{
	const struct sim_agent *a = &s->agent[agent];
	const struct {
		enum sim_fault fault;
		enum sim_mode  mode;
	} rows[] = {
		{FAULT_HOST_CLOCK, MODE_CLOCK_WRONG},    {FAULT_DISK_FULL, MODE_WRITE_FAILS},
		{FAULT_CONFIG_TEST, MODE_TEST_FAILS},    {FAULT_READ_ONLY, MODE_FLIP_FAILS},
		{FAULT_SERVICE_DOWN, MODE_SERVICE_DOWN}, {FAULT_RELOAD, a->wrong},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if ((a->ails & BIT(rows[i].fault)) != 0) {
			*ret = rows[i].mode;
			return true;
		}
	return false;
}

/* ---- it begins and ends ---------------------------------------------------------------------------------------------- */

static void process_dies(struct sim *s, enum sim_fault fault, int agent)
{
	if (fault == FAULT_CONTROLLER_DOWN && s->controller.alive)
		control_die(s);
	else if (fault == FAULT_GATEWAY_DOWN && s->gateway.alive)
		gateway_die(s);
	else if (fault == FAULT_SIGNER_DOWN && s->signer.alive)
		signer_die(s);
	else if ((fault == FAULT_HOST_DOWN || fault == FAULT_HOST_GONE) && s->agent[agent].alive)
		agent_die(s, agent);
}

static void process_starts(struct sim *s, enum sim_fault fault, int agent)
{
	if (fault == FAULT_CONTROLLER_DOWN && !s->controller.alive)
		control_start(s);
	else if (fault == FAULT_GATEWAY_DOWN && !s->gateway.alive)
		gateway_start(s);
	else if (fault == FAULT_SIGNER_DOWN && !s->signer.alive)
		signer_start(s);
	else if ((fault == FAULT_HOST_DOWN || fault == FAULT_HOST_GONE) && !s->agent[agent].alive &&
		 !years_down(s, SIM_AGENT, agent))
		agent_start(s, agent);
}

static void service_stops(struct sim *s, int agent)
{
	for (int cert = 0; cert < s->n_certs; cert++)
		s->agent[agent].cert[cert].up = false;
}

static void clock_is_set(struct sim *s)
{
	static const int64_t ahead[] = {-2 * MS_DAY, -2 * MS_HOUR, -10 * MS_MINUTE, 10 * MS_MINUTE, 2 * MS_HOUR, 2 * MS_DAY};
	s->ahead = ahead[sim_random(s, N_ELEMENTS(ahead))];
}

static void host_begins(struct sim *s, enum sim_fault fault, int agent)
{
	static const enum sim_mode reloads[] = {MODE_RELOAD_FAILS, MODE_RELOAD_NOOP,   MODE_RELOAD_LIES,
						MODE_RELOAD_HANGS, MODE_KILLS_SERVICE, MODE_STALE_WORKER};
	struct sim_agent          *a = &s->agent[agent];
	a->ails |= BIT(fault);
	if (fault == FAULT_RELOAD)
		a->wrong = reloads[sim_random(s, N_ELEMENTS(reloads))];
	else if (fault == FAULT_SERVICE_DOWN)
		service_stops(s, agent);
	else if (fault == FAULT_LINK_CUT || fault == FAULT_SITE_CUT)
		net_cut(s, agent);
	process_dies(s, fault, agent);
}

/* Whatever else is wrong with service or disk shows at the next swap. */
static void host_ends(struct sim *s, enum sim_fault fault, int agent)
{
	struct sim_agent *a = &s->agent[agent];
	a->ails &= ~BIT(fault);
	process_starts(s, fault, agent);
	if (fault >= FAULT_DISK_FULL && fault <= FAULT_SERVICE_DOWN && (a->ails & BIT(FAULT_SERVICE_DOWN)) == 0)
		agent_repair(s, agent);
}

static void begins(struct sim *s, enum sim_fault fault, int agent)
{
	const struct sim_fault_kind *k = &sim_fault_kinds[fault];
	s->years.begun[fault]++;
	sim_trace(s, "%s begins (%d)", k->name, agent);
	if (k->scope == FAULT_OF_HOST)
		host_begins(s, fault, agent);
	for (int i = agent; k->scope == FAULT_OF_SITE && i < s->n_agents; i += SITES)
		host_begins(s, fault, i);
	if (k->scope != FAULT_OF_ALL)
		return;
	s->years.ails |= BIT(fault);
	process_dies(s, fault, agent);
	if (fault == FAULT_CLOCK)
		clock_is_set(s);
}

static void ends(struct sim *s, enum sim_fault fault, int agent)
{
	const struct sim_fault_kind *k = &sim_fault_kinds[fault];
	sim_trace(s, "%s ends (%d)", k->name, agent);
	if (k->scope == FAULT_OF_HOST)
		host_ends(s, fault, agent);
	for (int i = agent; k->scope == FAULT_OF_SITE && i < s->n_agents; i += SITES)
		host_ends(s, fault, i);
	if (k->scope != FAULT_OF_ALL)
		return;
	s->years.ails &= ~BIT(fault);
	process_starts(s, fault, agent);
	if (fault == FAULT_CLOCK)
		s->ahead = 0;
}

/* ---- when ------------------------------------------------------------------------------------------------------------ */

/* Between least and most; each doubling is as likely as any other. */
static int64_t duration(struct sim *s, const struct sim_fault_kind *k)
{
	unsigned octaves = 0;
	while (k->least_ms << (octaves + 1) < k->most_ms)
		octaves++;
	int64_t from = k->least_ms << sim_random(s, octaves + 1);
	int64_t to = 2 * from < k->most_ms ? 2 * from : k->most_ms;
	return from + MS_MINUTE * sim_between(s, 0, (to - from) / MS_MINUTE);
}

static void plan(struct sim *s, enum sim_fault fault, int agent);

static void on_end(struct sim *s, const struct sim_event *e)
{
	enum sim_fault fault = (enum sim_fault)e->act;
	if (s->now >= s->calm_at)
		return;
	ends(s, fault, e->agent);
	plan(s, fault, e->agent);
}

static void on_begin(struct sim *s, const struct sim_event *e)
{
	if (s->now >= s->calm_at)
		return;
	enum sim_fault fault = (enum sim_fault)e->act;
	int agent = sim_fault_kinds[fault].scope == FAULT_OF_SITE ? (int)sim_random(s, SITES) % s->n_agents : e->agent;
	struct sim_event *end = sim_after(s, duration(s, &sim_fault_kinds[fault]), on_end);
	end->agent = agent;
	end->act = fault;
	begins(s, fault, agent);
}

/* Exponential with this mean (J. von Neumann's way, by comparing alone): as likely to come at any time as at any other. */
static int64_t waiting(struct sim *s, int64_t mean_ms)
{
	for (int64_t whole = 0;; whole++) {
		uint32_t first = sim_random(s, 1u << 24), last = first;
		unsigned n = 1;
		for (;; n++) {
			uint32_t next = sim_random(s, 1u << 24);
			if (next > last)
				break;
			last = next;
		}
		if (n % 2 == 1)
			return whole * mean_ms + (int64_t)((double)mean_ms * first / (1u << 24));
	}
}

/* From the end of one to the next. */
static void plan(struct sim *s, enum sim_fault fault, int agent)
{
	uint64_t percent = (uint64_t)sim_fault_kinds[fault].a_century * s->config->rate;
	if (percent == 0)
		return;
	int64_t mean = (int64_t)((uint64_t)CENTURY_MS / percent * 100);
	int64_t in = waiting(s, mean);
	if (s->now + in >= s->calm_at)
		return;
	struct sim_event *e = sim_after(s, in, on_begin);
	e->agent = agent;
	e->act = fault;
}

void years_begin(struct sim *s)
{
	for (int fault = 0; fault < FAULT_COUNT; fault++) {
		int n = sim_fault_kinds[fault].scope == FAULT_OF_HOST ? s->n_agents : 1;
		for (int agent = 0; agent < n; agent++)
			plan(s, (enum sim_fault)fault, agent);
	}
}

void years_calm(struct sim *s)
{
	for (int fault = 0; fault < FAULT_COUNT; fault++) {
		enum sim_fault f = (enum sim_fault)fault;
		if (sim_fault_kinds[fault].scope == FAULT_OF_ALL && (s->years.ails & BIT(fault)) != 0)
			ends(s, f, 0);
		for (int agent = 0; agent < s->n_agents; agent++)
			if ((s->agent[agent].ails & BIT(fault)) != 0)
				host_ends(s, f, agent);
	}
}

/* ---- what was done in time ------------------------------------------------------------------------------------------ */

/* The fault that goes on now is taken for the cause, the one that lasts longest first. */
static unsigned cause_of(const struct sim *s, int agent, const struct certificate *row, const struct order *o)
{
	unsigned cause = FAULT_COUNT;
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		if ((ails(s, agent) & BIT(i)) != 0 &&
		    (cause == FAULT_COUNT || sim_fault_kinds[i].most_ms > sim_fault_kinds[cause].most_ms))
			cause = i;
	if (cause < FAULT_COUNT)
		return cause;
	if (!row->proved)
		return CAUSE_UNPROVED;
	return o != NULL ? CAUSE_PHASE + (unsigned)o->phase : CAUSE_NO_ORDER;
}

static void miss(struct sim *s, const struct sim_event *e, const struct certificate *row)
{
	struct order o;
	bool         open = !id_is_none(row->open_order) && view_order(s->view, row->open_order, &o) == 0;
	unsigned     cause = cause_of(s, e->agent, row, open ? &o : NULL);
	char         name[64];
	s->years.cause[cause]++;
	sim_trace(s, "%s is not renewed at its emergency threshold: %s", row->cert_id, sim_cause_name(cause, name));
	if (s->years.n_misses == SIM_MISSES)
		return;
	struct sim_miss *m = &s->years.miss[s->years.n_misses++];
	*m = (struct sim_miss){.at = s->now - s->begun_at,
			       .cause = cause,
			       .phase = open ? o.phase : ORDER_PHASE_COUNT,
			       .code = open ? o.code : 0};
	text_cut(m->cert_id, sizeof(m->cert_id), row->cert_id);
}

static bool is_unrenewed(const struct certificate *row, const struct sim_event *e)
{
	return serial_equal(row->serial, e->msg.serial) || !row->proved;
}

static void on_not_after(struct sim *s, const struct sim_event *e)
{
	const char        *cert_id = s->agent[e->agent].cert[e->cert].cert_id;
	struct certificate row;
	if (s->now >= s->calm_at || view_certificate(s->view, cert_id, &row) != 0 || !is_unrenewed(&row, e))
		return;
	s->years.ended++;
	for (size_t i = s->years.n_misses; i-- > 0;)
		if (strcmp(s->years.miss[i].cert_id, cert_id) == 0) { /* the newest */
			s->years.miss[i].ended = true;
			return;
		}
}

/* It was current once. What it is that is current now, and whether that is served, says if it was renewed in time. */
static void on_threshold(struct sim *s, const struct sim_event *e)
{
	struct certificate row;
	if (s->now >= s->calm_at)
		return;
	if (view_certificate(s->view, s->agent[e->agent].cert[e->cert].cert_id, &row) != 0) {
		sim_error(s, "a certificate is not there any more");
		return;
	}
	if (!serial_equal(row.serial, e->msg.serial) && row.not_after_at <= e->msg.not_after_at)
		return; /* the one before came back; that one is judged at its own time */
	s->years.judged++;
	if (!is_unrenewed(&row, e)) {
		s->years.in_time++;
		return;
	}
	miss(s, e, &row);
	struct sim_event *end = sim_after(s, s->template.emergency_threshold_ms, on_not_after);
	end->agent = e->agent;
	end->cert = e->cert;
	end->msg.serial = e->msg.serial;
}

static void proved(struct sim *s, const struct order *o)
{
	struct certificate row;
	int                agent, cert;
	if (!cert_find(o->cert_id, &agent, &cert) || view_certificate(s->view, o->cert_id, &row) != 0)
		return;
	struct sim_cert *c = &s->agent[agent].cert[cert];
	if (serial_equal(row.serial, c->judged) || !serial_equal(row.serial, o->serial))
		return;
	s->years.first += serial_is_none(c->judged);
	c->judged = row.serial;
	int64_t           at = row.not_after_at - s->template.emergency_threshold_ms;
	struct sim_event *e = sim_after(s, at > s->now ? at - s->now : 0, on_threshold);
	e->agent = agent;
	e->cert = cert;
	e->msg.serial = row.serial;
	e->msg.not_after_at = row.not_after_at;
}

static void note(struct sim *s, const struct order *o, const struct order_action *a)
{
	if (a->kind == ACT_PROVE) {
		proved(s, o);
	} else if (a->kind == ACT_COUNT_RENEWAL) {
		s->years.completed++;
		s->years.attempts += o->attempt;
		s->years.retried += o->attempt > 1;
	} else if (a->kind == ACT_AUDIT && a->audit == ORDER_AUDIT_PAUSED) {
		s->years.paused++;
	}
}

void years_stored(struct sim *s, const struct sim_change *c)
{
	if (s->config->days == 0 || c->code != 0)
		return;
	for (size_t i = 0; i < c->n_parts; i++) {
		const struct order_step *step = &c->part[i].step;
		for (size_t k = 0; k < step->n_act; k++)
			note(s, &step->next, &step->act[k]);
	}
}
