/* cli_audit.c - room controller/cli: vccctl audit ...
 * `verify` needs no controller: only the file, the root certificate and what hosts keep. Never: judging rows itself
 * (audit_verify.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/cli/ask.h"
#include "controller/cli/audit_verify.h"
#include "controller/cli/evidence_file.h"
#include "controller/cli/evidence_zip.h"
#include "controller/cli/known_heads.h"
#include "controller/cli/named_file.h"
#include "controller/cli/siem_lines.h"
#include "controller/cli/since.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

enum { SINK_MAX = 4 << 20, ROOT_FILE_MAX = 65536, LIST_DEFAULT = 50, LIST_MAX = 100000 };
#define AUDIT "/api/v1/audit"

static const struct output_column columns[] = {
	{"SEQ", "seq", COLUMN_TEXT},     {"AT", "at", COLUMN_TIME},         {"EVENT", "event", COLUMN_TEXT},
	{"ACTOR", "actor", COLUMN_TEXT}, {"OBJECT", "object", COLUMN_TEXT}, {"REASON", "reason", COLUMN_TEXT},
};
static const struct output_column show_columns[] = {
	{"seq", "seq", COLUMN_TEXT},
	{"at", "at", COLUMN_TEXT},
	{"event", "event", COLUMN_TEXT},
	{"meaning", "about", COLUMN_TEXT},
	{"actor", "actor", COLUMN_TEXT},
	{"pseudonym", "actor_id", COLUMN_TEXT},
	{"object", "object", COLUMN_TEXT},
	{"reason", "reason", COLUMN_TEXT},
	{"request", "request_id", COLUMN_TEXT},
	{"order", "renewal_id", COLUMN_TEXT},
	{"leaf", "leaf", COLUMN_TEXT},
	{"signed in", "head.size", COLUMN_TEXT},
	{"signed at", "head.at", COLUMN_TEXT},
	{"kept by", "head.witness", COLUMN_TEXT},
};
static const struct output_column head_columns[] = {
	{"SIZE", "size", COLUMN_TEXT},       {"AT", "at", COLUMN_TIME},      {"SIGNED BY", "issuer_id", COLUMN_TEXT},
	{"KEPT BY", "witness", COLUMN_TEXT}, {"ROOT", "root", COLUMN_SHORT},
};

/* ---- list, show, heads, forget --------------------------------------------------------------------------------- */

/* "&name=value", the value percent-encoded. */
static void add_argument(struct buf *path, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_add_fmt(path, "&%s=", name);
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;
		bool          plain =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.:", c) != NULL;
		buf_add_fmt(path, plain ? "%c" : "%%%02X", c);
	}
}

static int since_text(const char *given, char ret[TIME_TEXT_SIZE], struct refusal *why)
{
	int64_t at;
	int     r = since_read("--since", given, clock_now(), &at, why);
	if (r == EXIT_DONE)
		(void)time_text(at, ret);
	return r;
}

/* The filters, each with its "&". */
static int list_filters(const struct invocation *in, struct buf *path, struct refusal *why)
{
	char since[TIME_TEXT_SIZE];
	add_argument(path, "object", verb_value(in, "object"));
	add_argument(path, "actor", verb_value(in, "actor"));
	add_argument(path, "event", verb_value(in, "event"));
	add_argument(path, "renewal_id", verb_value(in, "order"));
	if (verb_given(in, "since")) {
		int r = since_text(verb_value(in, "since"), since, why);
		if (r != EXIT_DONE)
			return r;
		add_argument(path, "since", since);
	}
	return EXIT_DONE;
}

/* Pages until so many are there: a page may be short, because the controller looks at a bounded part of the trail each time. */
static int list_pages(const struct invocation *in, const struct buf *filters, size_t limit, json_t *items, struct refusal *why)
{
	char cursor[128] = "";
	int  r = EXIT_DONE;
	do {
		json_t *answer = NULL;
		char    page[CLIENT_PATH_SIZE + 200];
		size_t  left = limit - json_array_size(items);
		snprintf(page, sizeof(page), AUDIT "?limit=%zu%.*s%s%s", left < 500 ? left : (size_t)500, (int)filters->n,
			 (const char *)filters->p, cursor[0] != '\0' ? "&cursor=" : "", cursor);
		r = client_call(&in->client, "GET", page, NULL, NULL, &answer, why);
		json_array_extend(items, json_object_get(answer, "items"));
		const char *next = json_string_value(json_object_get(answer, "next_cursor"));
		text_cut(cursor, sizeof(cursor), next != NULL ? next : "");
		json_decref(answer);
	} while (r == EXIT_DONE && cursor[0] != '\0' && json_array_size(items) < limit);
	return r;
}

static int list(const struct invocation *in)
{
	struct refusal why;
	struct buf     path = BUF_MAX(CLIENT_PATH_SIZE);
	int64_t        limit = LIST_DEFAULT;
	json_t        *items = json_array();
	int            r = list_filters(in, &path, &why);
	if (r == EXIT_DONE && verb_given(in, "limit") && text_i64(verb_value(in, "limit"), 1, LIST_MAX, &limit) < 0)
		r = (refuse(&why, E_CLI_USAGE, "--limit", "must be a number from 1 to %d", LIST_MAX), EXIT_USAGE);
	if (r == EXIT_DONE && buf_error(&path) != 0)
		r = (refuse(&why, E_CLI_USAGE, "audit list", "the filters are too long"), EXIT_USAGE);
	if (r == EXIT_DONE)
		r = list_pages(in, &path, (size_t)limit, items, &why);
	if (r == EXIT_DONE) {
		output_list(in->form, columns, N_ELEMENTS(columns), items);
		output_none(in->form, items, "records");
	}
	json_decref(items);
	buf_free(&path);
	return r == EXIT_DONE ? r : verb_fail(r, &why);
}

static int show(const struct invocation *in)
{
	struct refusal why;
	char           path[CLIENT_PATH_SIZE];
	int64_t        seq;
	if (text_i64(in->words[0], 0, INT64_MAX, &seq) < 0) {
		refuse(&why, E_CLI_USAGE, in->words[0], "must be the number of a record");
		return verb_fail(EXIT_USAGE, &why);
	}
	snprintf(path, sizeof(path), AUDIT "/%lld", (long long)seq);
	json_t *answer = NULL;
	int     r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, show_columns, N_ELEMENTS(show_columns), answer);
	if (in->form == OUTPUT_TABLE && json_object_size(json_object_get(answer, "detail")) > 0) {
		printf("\n");
		output_json(json_object_get(answer, "detail"));
	}
	json_decref(answer);
	return EXIT_DONE;
}

static int heads(const struct invocation *in)
{
	return ask_list(in, AUDIT "/heads", "items", head_columns, N_ELEMENTS(head_columns));
}

static int forget(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	json_t        *body = json_pack("{s:s}", "principal", in->words[0]);
	int            r = client_call(&in->client, "POST", AUDIT "/forget", body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE)
		printf("%s is forgotten: its records stay, under %s\n", in->words[0],
		       json_string_value(json_object_get(answer, "pseudonym")));
	else
		output_json(answer);
	json_decref(answer);
	return EXIT_DONE;
}

/* ---- export ---------------------------------------------------------------------------------------------------- */

/* What comes is written in the form of a SIEM. */
struct sink {
	struct siem *siem;
	FILE        *to;
	struct buf   text;
	int          code;
};

static ssize_t sink_write(void *cookie, const char *bytes, size_t n)
{
	struct sink *s = cookie;
	buf_reset(&s->text);
	if (s->code == 0)
		s->code = siem_take(s->siem, (struct span){(const uint8_t *)bytes, n}, &s->text);
	if (s->code == 0 && fwrite(s->text.p, 1, s->text.n, s->to) != s->text.n)
		s->code = E_SYS_IO;
	return s->code == 0 ? (ssize_t)n : -1;
}

static int download_for_siem(const struct invocation *in, const char *path, enum siem_format format, FILE *to, struct refusal *why)
{
	static const cookie_io_functions_t io = {.write = sink_write};
	struct sink s = {.to = to, .text = BUF_MAX(SINK_MAX)};
	char        host[256] = "";
	(void)gethostname(host, sizeof(host) - 1);
	FILE *through = siem_new(format, host, &s.siem) == 0 ? fopencookie(&s, "w", io) : NULL;
	int   r = EXIT_FAILED;
	if (through == NULL) {
		(void)refuse(why, E_NOMEM, "export", "%s", err_what(E_NOMEM));
	} else {
		r = client_download(&in->client, path, through, why);
		(void)fclose(through); /* s.code tells what became of the rest */
		if (s.code == 0 && r == EXIT_DONE)
			s.code = siem_end(s.siem);
		if (s.code != 0)
			r = (refuse(why, s.code, "export", "%s", err_what(s.code)), EXIT_FAILED);
	}
	siem_free(s.siem);
	buf_free(&s.text);
	return r;
}

static int download(const struct invocation *in, const char *path, FILE *to, struct refusal *why)
{
	enum siem_format format;
	const char      *name = verb_value(in, "format");
	if (name == NULL)
		return client_download(&in->client, path, to, why);
	if (siem_format_parse(name, &format) < 0)
		return (refuse(why, E_CLI_USAGE, "--format", "`%s` is none of jsonl, rfc5424", name), EXIT_USAGE);
	return download_for_siem(in, path, format, to, why);
}

/* Beside the file first: a cut download never looks like an export. It holds names of persons: for its owner only. */
static int export_to(const struct invocation *in, const char *path, const char *file, struct refusal *why)
{
	char part[CLIENT_PATH_SIZE + 8];
	snprintf(part, sizeof(part), "%s.part", file);
	int   fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (to == NULL) {
		(void)sys_refuse(why, part, "make the file");
		fd_close(fd);
		return EXIT_FAILED;
	}
	int  r = download(in, path, to, why);
	bool bad = fflush(to) != 0 || fsync(fileno(to)) != 0;
	bad |= fclose(to) != 0;
	if (r == EXIT_DONE && (bad || rename(part, file) != 0)) {
		(void)sys_refuse(why, file, "write the file");
		r = EXIT_FAILED;
	}
	if (r != EXIT_DONE)
		unlink(part);
	return r;
}

static int export(const struct invocation *in)
{
	struct refusal why;
	struct buf     path = BUF_MAX(CLIENT_PATH_SIZE);
	char           since[TIME_TEXT_SIZE], whole[CLIENT_PATH_SIZE];
	int            r = EXIT_DONE;
	if (verb_given(in, "since") && (r = since_text(verb_value(in, "since"), since, &why)) == EXIT_DONE)
		add_argument(&path, "since", since);
	if (verb_given(in, "no-names"))
		add_argument(&path, "names", "no");
	if (path.n > 0)
		path.p[0] = '?';
	buf_add_u8(&path, '\0');
	snprintf(whole, sizeof(whole), AUDIT "/export%s", (const char *)path.p);
	if (r == EXIT_DONE)
		r = in->n_words > 0 ? export_to(in, whole, in->words[0], &why) : download(in, whole, stdout, &why);
	if (r == EXIT_DONE && fflush(stdout) != 0)
		r = (sys_refuse(&why, "stdout", "write"), EXIT_FAILED);
	buf_free(&path);
	return r == EXIT_DONE ? r : verb_fail(r, &why);
}

/* ---- verify ---------------------------------------------------------------------------------------------------- */

static int read_roots(const struct invocation *in, struct buf *ret, struct refusal *why)
{
	struct buf  file = BUF_MAX(ROOT_FILE_MAX);
	const char *path = verb_value(in, "root");
	if (path == NULL)
		path = in->client.ca;
	if (path[0] == '\0')
		return refuse(why, E_CLI_USAGE, "--root", "the root certificate of the installation is needed");
	int r = named_file_read(path, false, &file, why);
	if (r == 0 && file.n > 0 && file.p[0] == 0x30) /* DER */
		buf_add(ret, file.p, file.n);
	else if (r == 0 && (cert_from_pem(buf_span(&file), ret) < 0 || ret->n == 0))
		r = refuse(why, E_PKI_CERT, path, "this is no certificate");
	buf_free(&file);
	return r;
}

static int verify_lines(struct verifier *v, FILE *from, const char *name, struct refusal *why)
{
	static char line[AUDIT_LINE_MAX + 2]; /* one more than a line may have: then it is too long, and not read as two */
	int         r = 0;
	while (r == 0 && fgets(line, sizeof(line), from) != NULL) {
		size_t n = strlen(line); /* NUL inside ends it early: it will not be as it must be */
		r = verifier_line(v, (struct span){(const uint8_t *)line, n}, why);
	}
	if (r == 0 && ferror(from))
		r = named_file_refuse(name, "read the file", why);
	return r;
}

static json_t *report_json(const struct verify_report *r, size_t n_known)
{
	char    first[TIME_TEXT_SIZE], last[TIME_TEXT_SIZE], since[TIME_TEXT_SIZE];
	int64_t now = clock_now();
	json_t *o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:i}", "verified", 1, "from", (json_int_t)r->from, "rows",
			      (json_int_t)r->n.rows, "size", (json_int_t)r->size, "heads", (json_int_t)r->n.heads, "redacted",
			      (json_int_t)r->redacted, "clock_steps", (json_int_t)r->clock_steps, "known_heads", (int)n_known);
	json_object_set_new(o, "receipts", json_integer((json_int_t)r->n.receipts));
	json_object_set_new(o, "receipts_missing", json_integer((json_int_t)r->receipts_missing));
	json_object_set_new(o, "first_at", r->n.rows > 0 ? json_string(time_text(r->first_at, first)) : json_null());
	json_object_set_new(o, "last_at", r->n.rows > 0 ? json_string(time_text(r->last_at, last)) : json_null());
	uint64_t proved = r->signed_size > r->from ? r->signed_size : r->from,
		 kept = r->known_size > r->from ? r->known_size : r->from;
	json_object_set_new(
		o, "unsigned",
		json_pack("{s:I, s:o}", "rows", (json_int_t)(r->size - proved), "age_seconds",
			  r->unsigned_at != 0 ? json_integer((now - r->unsigned_at) / MS_SECOND) : json_integer(0)));
	json_object_set_new(o, "unwitnessed",
			    json_pack("{s:I, s:o, s:o}", "rows", (json_int_t)(r->size - kept), "age_seconds",
				      r->unknown_at != 0 ? json_integer((now - r->unknown_at) / MS_SECOND) : json_integer(0),
				      "since",
				      r->unknown_at != 0 ? json_string(time_text(r->unknown_at, since)) : json_null()));
	return o;
}

static void print_tail(const char *what, const json_t *tail)
{
	json_int_t rows = json_integer_value(json_object_get(tail, "rows"));
	if (rows == 0)
		printf("%-13s none\n", what);
	else
		printf("%-13s the last %lld rows, the oldest of them %lld s old\n", what, (long long)rows,
		       (long long)json_integer_value(json_object_get(tail, "age_seconds")));
}

static void print_report(const json_t *o)
{
	const char *last = json_string_value(json_object_get(o, "last_at"));
	printf("%-13s %lld, from row %lld on, up to %s\n", "rows", (long long)json_integer_value(json_object_get(o, "rows")),
	       (long long)json_integer_value(json_object_get(o, "from")), last != NULL ? last : "-");
	printf("%-13s %lld signed by the installation, %lld given\n", "heads",
	       (long long)json_integer_value(json_object_get(o, "heads")),
	       (long long)json_integer_value(json_object_get(o, "known_heads")));
	printf("%-13s %lld signed by their hosts, %lld missing\n", "receipts", (long long)json_integer_value(json_object_get(o, "receipts")),
	       (long long)json_integer_value(json_object_get(o, "receipts_missing")));
	printf("%-13s %lld rows name a person that was forgotten\n", "redacted",
	       (long long)json_integer_value(json_object_get(o, "redacted")));
	if (json_integer_value(json_object_get(o, "clock_steps")) > 0)
		printf("%-13s in %lld rows the clock had stepped back\n", "clock",
		       (long long)json_integer_value(json_object_get(o, "clock_steps")));
	print_tail("unsigned", json_object_get(o, "unsigned"));
	print_tail("unwitnessed", json_object_get(o, "unwitnessed"));
	printf("verified\n");
}

static int verify_file(const struct invocation *in, struct span roots, const struct known_heads *known,
		       struct verify_report *ret, struct refusal *why)
{
	const char      *name = in->words[0];
	bool             std = text_equal(name, "-");
	FILE            *from = std ? stdin : fopen(name, "re");
	struct verifier *v = NULL;
	if (from == NULL)
		return named_file_refuse(name, "open the file", why);
	int r = verifier_new(roots, known->head, known->n, &v);
	if (r < 0)
		refuse(why, r, name, "no memory");
	if (r == 0)
		r = verify_lines(v, from, name, why);
	if (r == 0)
		r = verifier_end(v, ret, why);
	verifier_free(v);
	if (!std)
		(void)fclose(from);
	return r;
}

static int verify(const struct invocation *in)
{
	static struct known_heads known;
	struct refusal            why = {0};
	struct buf                roots = BUF_MAX(ROOT_FILE_MAX);
	struct verify_report      report = {.from = 0};
	int                       r = read_roots(in, &roots, &why);
	known.n = 0;
	const char *path;
	for (size_t i = 0; r == 0 && (path = verb_nth_value(in, "head", i)) != NULL; i++)
		r = known_heads_read(&known, path, buf_span(&roots), &why);
	bool unseen = r != 0; /* it says nothing about the file */
	bool zip = r == 0 && evidence_zip_is(in->words[0]);
	if (r == 0 && (zip || evidence_file_is(in->words[0]))) {
		r = (zip ? evidence_zip_verify : evidence_file_verify)(in, in->words[0], buf_span(&roots), known.head, known.n);
		buf_free(&roots);
		return r;
	}
	if (r == 0)
		r = verify_file(in, buf_span(&roots), &known, &report, &why);
	buf_free(&roots);
	if (r != 0)
		return verb_fail(unseen ? EXIT_USAGE : named_file_exit(r), &why);
	json_t *o = report_json(&report, known.n);
	if (in->form == OUTPUT_TABLE)
		print_report(o);
	else
		output_json(o);
	json_decref(o);
	return EXIT_DONE;
}

const struct verb cli_audit_verbs[] = {
	{"audit",
	 "list",
	 "",
	 0,
	 0,
	 "the trail, newest first",
	 {{"object", "NAME", "only about this certificate, agent, template ..."},
	  {"actor", "NAME", "only by this principal"},
	  {"event", "TYPE", "only this type of event (docs/audit.md)"},
	  {"order", "RENEWAL_ID", "only of this order"},
	  {"since", "WHEN", "5m, 2d, or a time"},
	  {"limit", "N", "at most so many (default 50)"}},
	 list},
	{"audit", "show", "SEQ", 1, 1, "one record, and the signed head that covers it", {{0}}, show},
	{"audit", "heads", "", 0, 0, "signed heads and the agent that keeps each", {{0}}, heads},
	{"audit",
	 "export",
	 "[FILE]",
	 0,
	 1,
	 "the trail as lines of JSON, for verify; or as a SIEM takes it",
	 {{"since", "WHEN", "from there on: 90d, or a time (default: all)"},
	  {"no-names", NULL, "leave out who stands behind pseudonyms"},
	  {"format", "FORM", "jsonl or rfc5424: records alone, for a SIEM, not for verify"}},
	 export},
	{"audit",
	 "verify",
	 "FILE",
	 1,
	 1,
	 "checks an export, an evidence pack or an archive of them, without the controller",
	 {{"root", "CERT", "root certificate, PEM or DER (default: --ca)"},
	  {"head", "FILE", "what a host keeps: output of `vcc-agent status -o json`; may be repeated"}},
	 verify},
	{"audit", "forget", "PRINCIPAL", 1, 1, "deletes the name behind a pseudonym; the trail stays whole", {{0}}, forget},
};
const size_t cli_audit_verbs_n = N_ELEMENTS(cli_audit_verbs);
