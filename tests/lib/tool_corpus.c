/* tool_corpus.c - tests: writes the seeds of fuzz_cursor, one legal frame of each message and body, into a folder; or those of fuzz_records,
 * batches of a keeper's journal and a journal of them. `tool_corpus tests/fuzz/corpus/fuzz_cursor` after a table has changed, `tool_corpus
 * records tests/fuzz/corpus/fuzz_records` after a record has. Never: random without a seed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/records.h"
#include "shared/sys/journal.h"
#include "tests/lib/wire_sample.h"

/* Which table or body the fuzz target chooses by the first byte. */
static uint8_t choice(const struct sample_subject *s)
{
	static const struct wire_message *const bodies[] = {&wire_body_csr, &wire_body_identity, &wire_body_receipt,
	                                                    &wire_body_bundle, &wire_body_join, &wire_body_inventory, &wire_body_return, &wire_body_stage,
	                                                    &wire_body_relies, &wire_body_peer_saw};
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

/* ---- records ---- */

static bool put_file(const char *folder, const char *name, uint8_t first, struct span bytes)
{
	char path[512];
	int  n = snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "wbe") : NULL;
	bool  ok = f != NULL && fputc(first, f) != EOF && fwrite(bytes.p, 1, bytes.n, f) == bytes.n;
	return f != NULL && fclose(f) == 0 && ok;
}

static int no_record(void *ctx, struct span record)
{
	(void)ctx;
	(void)record;
	return 0;
}

/* The same batch twice in a journal as journal_append() writes it. */
static bool put_journal(const char *folder, struct span batch)
{
	struct refusal                 why;
	struct journal                *j = NULL;
	uint8_t                        bytes[8192];
	int                            dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = dir_fd >= 0 && journal_open(dir_fd, "made", no_record, NULL, &j, &why) == 0 && journal_append(j, batch, true) == 0 &&
		  journal_append(j, batch, true) == 0;
	journal_close(j);
	int     fd = ok ? openat(dir_fd, "made", O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
	ok = n > 0 && unlinkat(dir_fd, "made", 0) == 0 && put_file(folder, "journal", 0, (struct span){bytes, (size_t)n});
	close(fd);
	close(dir_fd);
	return ok;
}

static int records(const char *folder)
{
	const struct deploy         deploy = {.phase = DEPLOY_NONE, .cert_id = "clara01-web"};
	const struct record_frame   frame = {.cert_id = "clara01-web", .type = 33, .frame = SPAN_OF("frame")};
	const struct record_receipt receipt = {
		.seq = 7, .cert_id = "clara01-web", .attempt = 1, .body = SPAN_OF("body"), .signature = SPAN_OF("signature")};
	const struct record_acked  acked = {.seq = 6, .last_seq = 7};
	const struct record_target target = {.cert_id = "clara01-web", .stem = "web", .generation = 12, .made = SPAN_OF("made")};
	const struct record_live   live = {.cert_id = "clara01-web", .attempt = 1, .certificate = SPAN_OF("certificate")};
	const struct record_stage  stage = {.cert_id = "clara01-web", .ready = true};
	const struct {
		const char      *name;
		enum record_kind kind;
		const void      *payload;
	} rows[] = {{"deploy", RECORD_DEPLOY, &deploy}, {"frame", RECORD_FRAME, &frame},    {"receipt", RECORD_RECEIPT, &receipt},
		    {"acked", RECORD_ACKED, &acked},    {"target", RECORD_TARGET, &target}, {"live", RECORD_LIVE, &live},
		    {"stage", RECORD_STAGE, &stage}};
	_cleanup_(buf_free) struct buf all = BUF_MAX(1 << 16), one = BUF_MAX(1 << 16);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		buf_reset(&one);
		if (record_encode(rows[i].kind, rows[i].payload, &one) < 0 || !put_file(folder, rows[i].name, 1, buf_span(&one))) {
			perror(rows[i].name);
			return 1;
		}
		buf_add(&all, one.p, one.n);
	}
	return put_file(folder, "batch", 1, buf_span(&all)) && put_journal(folder, buf_span(&all)) ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "records") == 0)
		return records(argv[2]);
	static uint8_t                 payload[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));
	const struct sample_subject   *s;
	size_t                         n = sample_subjects(&s);
	_cleanup_(buf_free) struct buf frame = BUF_MAX(1 << 20);
	if (argc != 2) {
		fprintf(stderr, "usage: %s [records] FOLDER\n", argv[0]);
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
