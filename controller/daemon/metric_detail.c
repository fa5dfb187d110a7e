/* metric_detail.c - room controller/daemon: one series for each certificate, target or host, while they are few enough.
 * Never: a serial number as a label; what is gone. */
#include "controller/daemon/metric_detail.h"

#include "shared/base/times.h"

#define V(...) ((const char *const[]){__VA_ARGS__})

static void certificate(struct metric_writing *w, const struct figure_certificate *c, const struct figure_issued *i)
{
	const char  *service = w->f->service[c->service].name;
	const char **values = (const char *[]){service, c->agent, c->cert_id};
	if (w->t->m == METRIC_CERTIFICATE_INFO)
		metric_sample(w->t, V(service, c->agent, c->cert_id, c->template_id, i->issuer_id,
			       i->issuer_id[0] != '\0' ? key_type_name(i->key) : "", cert_status_name(c->status)), 1);
	else if (w->t->m == METRIC_RENEW_AFTER && c->renew_at != TIME_NEVER)
		metric_sample_ms(w->t, values, c->renew_at);
	else if (w->t->m != METRIC_RENEW_AFTER && c->not_after_at != 0)
		metric_sample_ms(w->t, values, w->t->m == METRIC_NOT_BEFORE ? c->not_before_at : c->not_after_at);
}

void metric_certificates(struct metric_writing *w)
{
	const struct figure_certificate *rows = w->f->certificates.row;
	for (size_t i = 0; w->f->detail && i < w->f->certificates.n; i++)
		certificate(w, &rows[i], &w->f->issued[i]);
}

static void place(struct metric_writing *w, const struct figure_place *p)
{
	const char *const *values = V(w->f->service[p->service].name, p->agent, p->cert_id, p->target_id);
	switch ((int)w->t->m) {
	case METRIC_LIVE:
		if (p->state == FIGURE_LIVE || p->state == FIGURE_STALE)
			metric_sample(w->t, values, p->state == FIGURE_LIVE);
		break;
	case METRIC_NOT_LIVE:
		metric_sample_ms(w->t, values,
				 p->stale_since_at != 0 && w->f->at > p->stale_since_at ? w->f->at - p->stale_since_at : 0);
		break;
	case METRIC_SERVED_NOT_AFTER:
		if (p->served_not_after_at != 0)
			metric_sample_ms(w->t, values, p->served_not_after_at);
		break;
	case METRIC_REHEARSAL:
		metric_sample(w->t, values, !p->unrehearsed);
		break;
	default:
		if (p->rehearsed_at != 0)
			metric_sample_ms(w->t, values, p->rehearsed_at);
		break;
	}
}

void metric_places(struct metric_writing *w)
{
	const struct figure_place *rows = w->f->places.row;
	for (size_t i = 0; w->f->detail && i < w->f->places.n; i++)
		place(w, &rows[i]);
}

static void agent(struct metric_writing *w, const struct figure_agent *a)
{
	if (w->t->m == METRIC_AGENT_INFO)
		metric_sample(w->t, V(a->name, a->service, a->version), 1);
	else
		metric_sample_ms(w->t, V(a->name),
				 w->t->m == METRIC_AGENT_SEEN       ? a->seen_at
				 : w->t->m == METRIC_AGENT_IDENTITY ? a->identity_not_after_at
								    : a->skew_ms);
}

void metric_agents(struct metric_writing *w)
{
	const struct figure_agent *rows = w->f->agents.row;
	for (size_t i = 0; w->f->detail && i < w->f->agents.n; i++)
		agent(w, &rows[i]);
}
