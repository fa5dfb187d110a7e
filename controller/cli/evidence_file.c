/* evidence_file.c - room controller/cli: evidence packs as files.
 * Never: judging; that is evidence_verify.c. */
#include "controller/cli/evidence_file.h"
#include "controller/cli/named_file.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

enum { BEGIN = 64 };

bool evidence_file_is(const char *path)
{
	char  begin[BEGIN + 1] = "";
	FILE *from = text_equal(path, "-") ? NULL : fopen(path, "re");
	if (from == NULL)
		return false;
	size_t n = fread(begin, 1, BEGIN, from);
	begin[n] = '\0';
	(void)fclose(from);
	return strstr(begin, "\"vcc_evidence\"") != NULL;
}

static int load(const char *path, json_t **ret, struct refusal *why)
{
	struct buf   text = BUF_MAX(EVIDENCE_FILE_MAX);
	json_error_t error;
	int          r = named_file_read(path, false, &text, why);
	if (r == 0) {
		*ret = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
		if (*ret == NULL)
			r = refuse(why, E_EVIDENCE_BAD, path, "line %d: %s", error.line, error.text);
	}
	buf_free(&text);
	return r;
}

static json_t *told(const struct evidence_report *e)
{
	char at[TIME_TEXT_SIZE];
	json_t *o = json_pack("{s:b,s:s,s:s,s:I,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "verified", 1, "kind", e->kind, "id", e->id, "head_size",
			 (json_int_t)e->head_size, "head_at", time_text(e->head_at, at), "records", (json_int_t)e->records, "receipts",
			 (json_int_t)e->receipts, "certificates", (json_int_t)e->certificates, "approvals", (json_int_t)e->approvals, "templates",
			 (json_int_t)e->templates, "missing", (json_int_t)e->missing, "unbound",
			 (json_int_t)e->unbound);
	if (e->part > 0) {
		json_object_set_new(o, "part", json_integer((json_int_t)e->part));
		json_object_set_new(o, "more", json_boolean(e->more));
	}
	return o;
}

int evidence_file_verify(const struct invocation *in, const char *path, struct span roots, const struct known_head *known, size_t n_known)
{
	static const struct output_column columns[] = {
		{"about", "kind", COLUMN_TEXT},           {"named", "id", COLUMN_TEXT},
		{"trail", "head_size", COLUMN_TEXT},      {"signed at", "head_at", COLUMN_TEXT},
		{"records", "records", COLUMN_TEXT},      {"receipts", "receipts", COLUMN_TEXT},
		{"certificates", "certificates", COLUMN_TEXT}, {"approvals", "approvals", COLUMN_TEXT},
		{"templates", "templates", COLUMN_TEXT},  {"missing", "missing", COLUMN_TEXT},
		{"not bound", "unbound", COLUMN_TEXT},
	};
	struct evidence_report report;
	struct refusal         why = {0};
	json_t                *pack = NULL;
	int                    r = load(path, &pack, &why);
	if (r == 0)
		r = evidence_verify(pack, roots, known, n_known, &report, &why);
	json_decref(pack);
	if (r != 0)
		return verb_fail(named_file_exit(r), &why);
	json_t *o = told(&report);
	if (in->form == OUTPUT_TABLE) {
		output_object(in->form, columns, N_ELEMENTS(columns), o);
		printf("verified%s%s\n", report.missing > 0 ? ", but for what is missing" : "",
		       report.unbound > 0 ? ", but for certificates that are bound by their serial number alone" : "");
		if (report.part > 0)
			printf("part %lld; %s\n", (long long)report.part, report.more ? "more follow" : "it is the last one");
		puts("It proves what is in it, not that nothing was left out: `vccctl audit export` does that.");
	} else {
		output_json(o);
	}
	json_decref(o);
	return report.missing > 0 || report.unbound > 0 ? EXIT_PARTLY : EXIT_DONE;
}
