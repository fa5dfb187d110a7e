/* metric_detail.h - room controller/daemon: the series of single certificates, targets and hosts, and what all writers share.
 * Never: included by anybody but the files that write metrics. */
#ifndef VCC_METRIC_DETAIL_H
#define VCC_METRIC_DETAIL_H

#include "controller/daemon/metric_write.h"

struct metric_writing {
	struct metric_text         *t; /* t->m tells which metric */
	const struct figures       *f;
	const struct metric_counts *c;
	const struct metric_live   *l;
};

void metric_certificates(struct metric_writing *w);
void metric_places(struct metric_writing *w);
void metric_agents(struct metric_writing *w);

#endif
