/* evidence_zip_verify.c - room controller/cli: verifies an archive of evidence: what its list names is there, is what the list says, and each pack is
 * proved by itself. One part at a time is in memory. Never: unpacking to the disk; believing a size that the archive gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zip.h>

#include "controller/cli/evidence_file.h"
#include "controller/cli/evidence_zip.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

/* Of all parts together. */
struct sum {
	uint64_t files, packs, records, receipts, certificates, approvals, templates, missing, unbound, left_out;
	bool     report; /* there is one, which nobody signed */
};

struct check {
	zip_t                   *zip;
	struct span              roots;
	const struct known_head *known;
	size_t                   n_known;
	struct sum               sum;
	json_t                  *seen; /* names that the list had */
	struct refusal          *why;
};

bool evidence_zip_is(const char *path)
{
	char  begin[4] = "";
	FILE *from = text_equal(path, "-") ? NULL : fopen(path, "re");
	if (from == NULL)
		return false;
	size_t n = fread(begin, 1, sizeof(begin), from);
	(void)fclose(from);
	return n == sizeof(begin) && memcmp(begin, "PK\3\4", sizeof(begin)) == 0;
}

/* What it unpacks to, whatever the archive says that this is. */
static int read_entry(struct check *c, const char *name, size_t max, struct buf *to)
{
	enum { PIECE = 65536 };
	zip_file_t *f = zip_fopen(c->zip, name, 0);
	zip_int64_t n = -1;
	char       *piece = malloc(PIECE);
	if (piece == NULL)
		abort();
	*to = (struct buf){.max = max};
	while (f != NULL && (n = zip_fread(f, piece, PIECE)) > 0 && buf_error(to) == 0)
		buf_add(to, piece, (size_t)n);
	free(piece);
	bool whole = f != NULL && n == 0;
	if (f != NULL && zip_fclose(f) != 0) /* its checksum is looked at in the end */
		whole = false;
	if (whole && buf_error(to) == 0)
		return 0;
	return refuse(c->why, E_EVIDENCE_BAD, name, "%s",
		      f == NULL ? "it is not in the archive" : buf_error(to) != 0 ? "it is too large" : "the archive is damaged there");
}

static int check_pack(struct check *c, const char *name, const json_t *row, struct span text)
{
	struct evidence_report report;
	json_error_t           error;
	int64_t                part = json_integer_value(json_object_get(row, "part"));
	json_t                *pack = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
	if (pack == NULL)
		return refuse(c->why, E_EVIDENCE_BAD, name, "line %d: %s", error.line, error.text);
	struct refusal why = {0};
	int            r = evidence_verify(pack, c->roots, c->known, c->n_known, &report, &why);
	json_decref(pack);
	if (r < 0)
		return refuse(c->why, r, name, "%s: %s", why.object, why.cause);
	if (!text_equal(report.kind, json_string_value(json_object_get(row, "kind"))) || !text_equal(report.id, json_string_value(json_object_get(row, "id"))) ||
	    report.part != part)
		return refuse(c->why, E_EVIDENCE_BAD, name, "it is evidence of something else than the list says");
	c->sum.packs++;
	c->sum.records += report.records;
	c->sum.receipts += report.receipts;
	c->sum.certificates += report.certificates;
	c->sum.approvals += report.approvals;
	c->sum.templates += report.templates;
	c->sum.missing += report.missing;
	c->sum.unbound += report.unbound;
	return 0;
}

/* What lies there without a signature is the report, under its own name: else a list that nobody signed would say what has to be proved. */
static int check_kind(struct check *c, const char *name, const char *kind)
{
	bool report = text_equal(kind, EVIDENCE_ZIP_KIND_REPORT);
	if (report != text_equal(name, EVIDENCE_ZIP_REPORT) || (!report && !text_equal(kind, "certificate") && !text_equal(kind, "campaign")))
		return refuse(c->why, E_EVIDENCE_BAD, name, "the list calls it something else than it can be");
	c->sum.report |= report;
	return 0;
}

static int check_row(struct check *c, const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "path")), *said = json_string_value(json_object_get(row, "sha256")),
		   *kind = json_string_value(json_object_get(row, "kind"));
	struct hash hash, named;
	struct buf  text;
	if (name == NULL || said == NULL || hash_parse(said, &named) < 0 || json_object_get(c->seen, name) != NULL)
		return refuse(c->why, E_EVIDENCE_BAD, EVIDENCE_ZIP_INDEX, "a line of it names no file, or one that stands there already");
	json_object_set_new(c->seen, name, json_true());
	int r = check_kind(c, name, kind);
	if (r < 0)
		return r;
	r = read_entry(c, name, EVIDENCE_FILE_MAX, &text);
	if (r == 0)
		digest_sha256(buf_span(&text), &hash);
	if (r == 0 && (!hash_equal(hash, named) || (int64_t)text.n != json_integer_value(json_object_get(row, "bytes"))))
		r = refuse(c->why, E_EVIDENCE_BAD, name, "it is not the file that the list names");
	if (r == 0 && !text_equal(kind, EVIDENCE_ZIP_KIND_REPORT))
		r = check_pack(c, name, row, buf_span(&text));
	c->sum.files++;
	buf_free(&text);
	return r;
}

/* Nothing lies beside what the list names. */
static int check_names(struct check *c)
{
	zip_int64_t n = zip_get_num_entries(c->zip, 0);
	for (zip_int64_t i = 0; i < n; i++) {
		const char *name = zip_get_name(c->zip, (zip_uint64_t)i, 0);
		if (name == NULL || (json_object_get(c->seen, name) == NULL && !text_equal(name, EVIDENCE_ZIP_INDEX) && !text_equal(name, EVIDENCE_ZIP_README)))
			return refuse(c->why, E_EVIDENCE_BAD, name != NULL ? name : "archive", "the list does not name it");
	}
	if ((uint64_t)n == json_object_size(c->seen) + 2)
		return 0;
	return refuse(c->why, E_EVIDENCE_BAD, "archive", "a name stands twice in it, or its list or README is missing");
}

/* It tells people how to verify: nobody puts another way there. */
static int check_readme(struct check *c)
{
	struct buf  text;
	struct span wanted = {(const uint8_t *)evidence_zip_readme, strlen(evidence_zip_readme)};
	int         r = read_entry(c, EVIDENCE_ZIP_README, EVIDENCE_ZIP_INDEX_MAX, &text);
	if (r == 0 && (text.n != wanted.n || memcmp(text.p, wanted.p, wanted.n) != 0))
		r = refuse(c->why, E_EVIDENCE_BAD, EVIDENCE_ZIP_README, "it says something else than in every archive");
	buf_free(&text);
	return r;
}

static int check_archive(struct check *c)
{
	struct buf   text;
	json_t      *index = NULL, *row;
	json_error_t error;
	size_t       i;
	int          r = read_entry(c, EVIDENCE_ZIP_INDEX, EVIDENCE_ZIP_INDEX_MAX, &text);
	if (r == 0)
		index = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
	buf_free(&text);
	const json_t *files = json_object_get(index, "files"), *left = json_object_get(index, "left_out");
	if (r == 0 && (json_integer_value(json_object_get(index, "vcc_evidence_archive")) != 1 || !json_is_array(files) || !json_is_array(left) ||
		       json_array_size(files) > EVIDENCE_ZIP_FILES_MAX + 1))
		r = refuse(c->why, E_EVIDENCE_BAD, EVIDENCE_ZIP_INDEX, "this is no list of an archive of evidence");
	c->sum.left_out = json_array_size(left);
	json_array_foreach(files, i, row)
	{
		if (r == 0)
			r = check_row(c, row);
	}
	if (r == 0)
		r = check_names(c);
	if (r == 0)
		r = check_readme(c);
	json_decref(index);
	return r;
}

static void print_sum(const struct invocation *in, const struct sum *s)
{
	static const struct output_column columns[] = {
		{"files", "files", COLUMN_TEXT},               {"packs", "packs", COLUMN_TEXT},         {"records", "records", COLUMN_TEXT},
		{"receipts", "receipts", COLUMN_TEXT},         {"certificates", "certificates", COLUMN_TEXT}, {"approvals", "approvals", COLUMN_TEXT},
		{"templates", "templates", COLUMN_TEXT},       {"missing", "missing", COLUMN_TEXT},     {"not bound", "unbound", COLUMN_TEXT},
		{"left out", "left_out", COLUMN_TEXT},
	};
	json_t *o = json_pack("{s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "verified", 1, "kind", "archive", "files", (json_int_t)s->files, "packs",
			      (json_int_t)s->packs, "records", (json_int_t)s->records, "receipts", (json_int_t)s->receipts, "certificates",
			      (json_int_t)s->certificates, "approvals", (json_int_t)s->approvals, "templates", (json_int_t)s->templates, "missing",
			      (json_int_t)s->missing, "unbound", (json_int_t)s->unbound, "left_out", (json_int_t)s->left_out);
	json_object_set_new(o, "signed_by_nobody", s->report ? json_pack("[s]", EVIDENCE_ZIP_REPORT) : json_array());
	if (in->form == OUTPUT_TABLE) {
		output_object(in->form, columns, N_ELEMENTS(columns), o);
		printf("verified%s%s%s\n", s->missing > 0 ? ", but for what is missing" : "",
		       s->unbound > 0 ? ", but for certificates that are bound by their serial number alone" : "",
		       s->left_out > 0 ? ", but for what was left out" : "");
		if (s->report)
			puts(EVIDENCE_ZIP_REPORT ": signed by nobody, it is what whoever made the archive says");
		puts("It proves what is in it, not that nothing was left out: `vccctl audit export` does that.");
	} else {
		output_json(o);
	}
	json_decref(o);
}

int evidence_zip_verify(const struct invocation *in, const char *path, struct span roots, const struct known_head *known, size_t n_known)
{
	struct refusal why = {0};
	struct check   c = {.roots = roots, .known = known, .n_known = n_known, .seen = json_object(), .why = &why};
	int            error = 0, r;
	c.zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &error);
	r = c.zip != NULL ? check_archive(&c) : refuse(&why, E_EVIDENCE_BAD, path, "this is no whole archive (libzip error %d)", error);
	if (c.zip != NULL)
		zip_discard(c.zip);
	json_decref(c.seen);
	if (r < 0)
		return verb_fail(EXIT_FAILED, &why);
	print_sum(in, &c.sum);
	return c.sum.missing > 0 || c.sum.unbound > 0 || c.sum.left_out > 0 ? EXIT_PARTLY : EXIT_DONE;
}
