/* man_page.h - tests: manual pages, from a text with places for what the tables say.
 * Never: saying what a table says. */
#ifndef VCC_MAN_PAGE_H
#define VCC_MAN_PAGE_H

#include <stdio.h>

#include "shared/base/buf.h"

/* Copies lines; one that begins with `@` stands for a part of a table:
 *   @synopsis PROGRAM   its command lines
 *   @commands PROGRAM   its commands and their options
 *   @options PROGRAM    the options without a command
 *   @verbs, @globals    of vccctl
 *   @settings NAME      controller, gateway, signer, agent, target, channel, vccctl
 * Returns 0, or -1 when a place is unknown, which is told on stderr. */
_must_check_ int man_page(FILE *from, struct buf *to);

#endif
