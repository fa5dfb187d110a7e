/* campaign_screen.h - room controller/cli: a campaign on one screen of 80 columns and 24 lines: how far, how fast, which wave,
 * what failed. Never: asking the controller. */
#ifndef VCC_CAMPAIGN_SCREEN_H
#define VCC_CAMPAIGN_SCREEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum { SCREEN_COLUMNS = 80, SCREEN_LINES = 24, SCREEN_FAILURES = 4, WAITING_LINE_SIZE = 512 };

/* `campaign` as the API shows it; `failures`: some of its members that failed, or NULL. `redraw`: over the last one, on a
 * terminal. */
void campaign_screen(FILE *to, const json_t *campaign, const json_t *failures, bool redraw);

/* "clara01: clara01-web, 12.50 s, the host's proof that it is served": of one row of `slowest`. */
void campaign_waiting_line(const json_t *row, char ret[WAITING_LINE_SIZE]);

#endif
