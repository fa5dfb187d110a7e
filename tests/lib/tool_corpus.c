/* tool_corpus.c - tests: writes the seeds of fuzz_cursor, one legal frame of each message and body, into a folder.
 * `tool_corpus tests/fuzz/corpus/fuzz_cursor` after a table has changed. Never: random without a seed. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/wire_sample.h"

/* Which table or body the fuzz target chooses by the first byte. */
static uint8_t choice(const struct sample_subject *s)
{
	static const struct wire_message *const bodies[] = {&wire_body_csr, &wire_body_identity, &wire_body_receipt,
	                                                    &wire_body_bundle, &wire_body_join, &wire_body_inventory, &wire_body_return};
	size_t                                  n;
	const struct wire_table *const         *tables = wire_tables(&n);
	for (size_t i = 0; i < n; i++)
		if (tables[i] == s->table)
			return (uint8_t)i;
	for (size_t i = 0; i < N_ELEMENTS(bodies); i++)
		if (bodies[i] == s->message)
			return (uint8_t)(n + i);
	return UINT8_MAX;
}

static int seed_write(const char *folder, const struct sample_subject *s, const struct buf *frame)
{
	char path[512];
	int  n = snprintf(path, sizeof(path), "%s/%s-%s", folder, s->table != NULL ? s->table->name : "body", s->message->name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	FILE *f = fopen(path, "wbe");
	if (f == NULL)
		return -1;
	bool ok = fputc(choice(s), f) != EOF && fwrite(frame->p, 1, frame->n, f) == frame->n;
	return fclose(f) == 0 && ok ? 0 : -1;
}

int main(int argc, char **argv)
{
	static uint8_t                 payload[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));
	const struct sample_subject   *s;
	size_t                         n = sample_subjects(&s);
	_cleanup_(buf_free) struct buf frame = BUF_MAX(1 << 20);
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	for (size_t i = 0; i < n; i++) {
		struct rng r = {7 + i};
		memset(payload, 0, sizeof(payload));
		buf_reset(&frame);
		sample_payload(s[i].message, &r, 24, payload);
		if (subject_encode(&s[i], 1, payload, &frame) < 0 || seed_write(argv[1], &s[i], &frame) < 0) {
			perror(s[i].message->name);
			return 1;
		}
	}
	return 0;
}
