/* completion_page.h - tests: what makes a shell complete the command line of vcc-agent, from the program's table.
 * Never: vccctl's, which it prints itself. */
#ifndef VCC_COMPLETION_PAGE_H
#define VCC_COMPLETION_PAGE_H

#include "shared/base/buf.h"

void completion_bash(struct buf *to);
void completion_zsh(struct buf *to);
void completion_fish(struct buf *to);

#endif
