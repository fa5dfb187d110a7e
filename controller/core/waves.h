/* waves.h - room controller/core: how a campaign is cut into waves: what people write, which member is in which, and how that
 * is remembered. Never: releasing a wave; that is campaign_flow.c. */
#ifndef VCC_WAVES_H
#define VCC_WAVES_H

#include "controller/core/selector.h"
#include "shared/model/campaign.h"

enum wave_amount { WAVE_NUMBER, WAVE_SHARE, WAVE_REST };

/* "5", "10%", "rest", "service:external", "pattern:*.test.example=3": how many, of all that are to be renewed or of those alone
 * that are named. */
struct wave_spec {
	enum wave_amount amount;
	uint32_t         n;       /* members, or per cent of all */
	bool             selects; /* only what `selector` means */
	struct selector  selector;
};
/* E_CAMPAIGN_WAVES, E_CAMPAIGN_SELECTOR. */
_must_check_ int wave_parse(const char *text, struct wave_spec *ret, struct refusal *why);
/* Whatever stands behind it would have no members. */
bool wave_takes_all(const struct wave_spec *w);

/* One member on its way into a wave; in the order in which they would be sent. */
struct wave_member {
	uint32_t fits; /* bit i: the selector of wave i means it */
	uint32_t wave; /* result, from 1 */
};
/* Puts every member in a wave; what no wave takes is one more at the end. A wave takes its members evenly from all that fit, so
 * that a small one meets many services and hosts. Waves that nobody is in are left out. Returns how many there are. */
size_t waves_divide(const struct wave_spec *specs, size_t n_specs, struct wave_member *members, size_t n);

/* The comma list in struct campaign. `sizes` of at most WAVES_MAX. */
void     waves_write(const uint32_t *sizes, size_t n, char ret[WAVES_TEXT_SIZE]);
size_t   waves_count(const char *waves);
uint32_t waves_size(const char *waves, uint32_t wave);                                      /* 0 = there is no such wave */
uint32_t waves_at(const char *waves, uint64_t position);                                    /* 0 = in none */
bool waves_span(const char *waves, uint32_t wave, uint64_t *ret_first, uint64_t *ret_last); /* false: there is no such wave */

#endif
