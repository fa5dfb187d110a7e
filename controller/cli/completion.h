/* completion.h - room controller/cli: scripts for bash, zsh and fish that complete nouns, verbs and options, made from the verb table.
 * Never: asking the controller; a key press must not wait for it. */
#ifndef VCC_COMPLETION_H
#define VCC_COMPLETION_H

#include "controller/cli/verb.h"

/* `vccctl completion bash|zsh|fish`: prints the script. Exit code. */
int completion_main(const struct verb_table *tables, size_t n_tables, int argc, char **argv);

#endif
