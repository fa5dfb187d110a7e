/* conf_kit.h - tests: configuration files in a folder of their own, and what a parser made of them.
 * Never: a file outside of that folder. */
#ifndef VCC_CONF_KIT_H
#define VCC_CONF_KIT_H

#include "agent/survey/site.h"
#include "agent/survey/source.h"

struct conf_kit {
	char           dir[64];
	struct sources src;
	struct sites   sites;
	struct refusal why;
};

/* Fresh folder below /run (root's alone, as parents must be); cmocka setup and teardown with *state = kit. */
int conf_kit_setup(void **state);
int conf_kit_teardown(void **state);
/* Writes DIR/NAME, making a folder for "a/b". */
void        conf_kit_file(struct conf_kit *k, const char *name, const char *text);
void        conf_kit_bytes(struct conf_kit *k, const char *name, const void *bytes, size_t n);
const char *conf_kit_path(struct conf_kit *k, const char *name); /* of the last call */
/* Forgets what was read. */
void conf_kit_clear(struct conf_kit *k);
/* The bytes of a value in its file are exactly `text`. */
void conf_kit_bytes_are(const struct conf_kit *k, const struct site_value *v, const char *text);

#endif
