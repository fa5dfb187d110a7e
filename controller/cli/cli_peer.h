/* cli_peer.h - room controller/cli: relying parties as a table, for the verbs that show them.
 * Never: asking the controller. */
#ifndef VCC_CLI_PEER_H
#define VCC_CLI_PEER_H

#include "controller/cli/output.h"

void peer_print(enum output_form form, const json_t *rows);

#endif
