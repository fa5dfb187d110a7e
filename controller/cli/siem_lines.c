/* siem_lines.c - room controller/cli: one record in, one line out; names are put in place of pseudonyms where the export has
 * them. Never: a line break inside a line. */
#include "controller/cli/siem_lines.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uthash.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/audit.h"
#include "shared/model/audit_export.h"

enum { PERSONS_MAX = 100000, FACILITY_AUDIT = 13, SEVERITY_WARNING = 4, SEVERITY_NOTICE = 5 };

struct person {
	char           alias[ACTOR_SIZE], name[ACTOR_SIZE];
	UT_hash_handle hh;
};

struct siem {
	enum siem_format format;
	char             host[256];
	struct person   *persons;
	struct buf       line; /* the one that is not whole yet */
	bool             ended;
};

static const char *const names[SIEM_FORMAT_COUNT] = {[SIEM_JSONL] = "jsonl", [SIEM_RFC5424] = "rfc5424"};

int siem_format_parse(const char *name, enum siem_format *ret)
{
	for (unsigned i = 0; i < SIEM_FORMAT_COUNT; i++)
		if (text_equal(name, names[i])) {
			*ret = (enum siem_format)i;
			return 0;
		}
	return E_SYNTAX;
}

int siem_new(enum siem_format format, const char *host, struct siem **ret)
{
	struct siem *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return E_NOMEM;
	s->format = format;
	text_cut(s->host, sizeof(s->host), host[0] != '\0' && strpbrk(host, " \t\r\n") == NULL ? host : "-");
	s->line = (struct buf)BUF_MAX(AUDIT_LINE_MAX);
	*ret = s;
	return 0;
}

void siem_free(struct siem *s)
{
	struct person *p, *tmp;
	if (s == NULL)
		return;
	HASH_ITER (hh, s->persons, p, tmp) {
		HASH_DEL(s->persons, p);
		free(p);
	}
	buf_free(&s->line);
	free(s);
}

static int add_person(struct siem *s, const char *alias, const char *name)
{
	struct person *p = HASH_COUNT(s->persons) < PERSONS_MAX && alias != NULL && name != NULL ? calloc(1, sizeof(*p)) : NULL;
	if (p == NULL)
		return E_AUDIT_LINE;
	text_cut(p->alias, sizeof(p->alias), alias);
	text_cut(p->name, sizeof(p->name), name);
	HASH_ADD_STR(s->persons, alias, p);
	return 0;
}

static const char *name_of(const struct siem *s, const char *text)
{
	const struct person *p = NULL;
	if (text == NULL || !audit_is_alias(text))
		return text != NULL ? text : "";
	HASH_FIND_STR(s->persons, text, p);
	return p != NULL ? p->name : text;
}

/* What somebody should look at. */
static bool is_warning(const char *event)
{
	static const char *const endings[] = {"_failed", "_refused",     "_contradicted", "_behind", "_twice",
					      "_halted", "_unconfirmed", "_by_somebody",  "_banned"};
	static const char *const whole[] = {"break_glass_access",
					    "target_serves_another_certificate",
					    "certificate_emergency_threshold_reached",
					    "emergency_recertification_started",
					    "certificate_renewal_paused",
					    "store_restored"};
	for (size_t i = 0; i < N_ELEMENTS(endings); i++)
		if (text_ends(event, endings[i]))
			return true;
	for (size_t i = 0; i < N_ELEMENTS(whole); i++)
		if (text_equal(event, whole[i]))
			return true;
	return false;
}

static void set_text(json_t *o, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		json_object_set_new(o, name, json_string(value));
}

static int add_record(const struct siem *s, const json_t *row, struct buf *to)
{
	const char *event = json_string_value(json_object_get(row, "event")),
		   *detail = json_string_value(json_object_get(row, "detail"));
	char at[TIME_TEXT_SIZE];
	if (event == NULL || !json_is_integer(json_object_get(row, "at")))
		return E_AUDIT_LINE;
	time_text(json_integer_value(json_object_get(row, "at")), at);
	json_t *o =
		json_pack("{s:I, s:s, s:s}", "seq", json_integer_value(json_object_get(row, "seq")), "at", at, "event", event);
	set_text(o, "actor", name_of(s, json_string_value(json_object_get(row, "actor"))));
	set_text(o, "object", name_of(s, json_string_value(json_object_get(row, "object"))));
	set_text(o, "renewal_id", json_string_value(json_object_get(row, "renewal_id")));
	set_text(o, "request_id", json_string_value(json_object_get(row, "request_id")));
	set_text(o, "reason", json_string_value(json_object_get(row, "reason")));
	json_t *more = detail != NULL && detail[0] != '\0' ? json_loads(detail, 0, NULL) : NULL;
	if (more != NULL)
		json_object_set_new(o, "detail", more);
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text == NULL)
		return E_NOMEM;
	if (s->format == SIEM_RFC5424)
		buf_add_fmt(to, "<%d>1 %s %s vcc-controller - audit - @cee: ",
			    FACILITY_AUDIT * 8 + (is_warning(event) ? SEVERITY_WARNING : SEVERITY_NOTICE), at, s->host);
	buf_add_text(to, text);
	buf_add_u8(to, '\n');
	free(text);
	return buf_error(to);
}

/* Which of the kinds of line it is, by the member that only that kind has. */
static int take_line(struct siem *s, struct span line, struct buf *to)
{
	json_t *o = json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
	int     r = 0;
	if (!json_is_object(o) || s->ended)
		r = E_AUDIT_LINE;
	else if (json_object_get(o, "seq") != NULL)
		r = add_record(s, o, to);
	else if (json_object_get(o, "person") != NULL)
		r = add_person(s, json_string_value(json_object_get(o, "person")),
			       json_string_value(json_object_get(o, "name")));
	else if (json_object_get(o, "end") != NULL)
		s->ended = true;
	json_decref(o);
	return r;
}

int siem_take(struct siem *s, struct span piece, struct buf *to)
{
	while (piece.n > 0) {
		const uint8_t *end = memchr(piece.p, '\n', piece.n);
		size_t         n = end != NULL ? (size_t)(end - piece.p) : piece.n;
		buf_add(&s->line, piece.p, n);
		if (buf_error(&s->line) != 0)
			return E_AUDIT_LINE;
		if (end == NULL)
			return 0;
		int r = take_line(s, buf_span(&s->line), to);
		if (r < 0)
			return r;
		buf_reset(&s->line);
		piece.p += n + 1;
		piece.n -= n + 1;
	}
	return 0;
}

int siem_end(const struct siem *s)
{
	return s->ended && s->line.n == 0 ? 0 : E_AUDIT_LINE;
}
