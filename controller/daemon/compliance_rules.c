/* compliance_rules.c - room controller/daemon: reads files of compliance rules, strictly: what is unknown or missing is refused by name.
 * Never: judging by them. */
#include "controller/daemon/compliance_rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/names.h"
#include "shared/sys/file.h"

struct embedded_file {
	const char          *name;
	const unsigned char *bytes;
	size_t               n;
};
extern const struct embedded_file compliance_files[];
extern const size_t               compliance_files_n;

/* What is being read, for refusals. */
struct place {
	const char     *file, *rule;
	struct refusal *why;
};

static int bad(const struct place *at, const char *field, const char *what)
{
	if (at->rule != NULL)
		return refuse(at->why, E_REPORT_RULES, at->file, "rule %s: `%s` %s", at->rule, field, what);
	return refuse(at->why, E_REPORT_RULES, at->file, "`%s` %s", field, what);
}

static int known_fields(const struct place *at, const char *what, const json_t *o, const char *list)
{
	json_t *walk = (json_t *)(uintptr_t)o; /* jansson's iterator wants a mutable object, but changes nothing */
	if (!json_is_object(o))
		return bad(at, what, "is missing or no object");
	for (void *i = json_object_iter(walk); i != NULL; i = json_object_iter_next(walk, i))
		if (!text_listed(list, json_object_iter_key(i)))
			return bad(at, json_object_iter_key(i), "is unknown");
	return 0;
}

static int get_text(const struct place *at, const json_t *o, const char *field, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(o, field));
	if (text == NULL || text[0] == '\0')
		return bad(at, field, "is missing or no text");
	if (text_has_controls(text) || text_copy(to, size, text) < 0)
		return bad(at, field, "is too long, or holds control characters");
	return 0;
}

static int get_number(const struct place *at, const json_t *o, const char *field, int64_t max, int64_t *ret)
{
	const json_t *n = json_object_get(o, field);
	if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) > max)
		return bad(at, field, "is missing or no number in range");
	*ret = json_integer_value(n);
	return 0;
}

/* "2026-08-02", which is its first moment (UTC), or a whole time. */
static int get_date(const struct place *at, const json_t *o, const char *field, int64_t *ret)
{
	char text[TIME_TEXT_SIZE + 16] = "";
	int  r = get_text(at, o, field, text, TIME_TEXT_SIZE);
	if (r == 0 && strlen(text) == 10)
		memcpy(text + 10, "T00:00:00Z", sizeof("T00:00:00Z"));
	return r == 0 && time_parse(text, ret) < 0 ? bad(at, field, "is no date") : r;
}

static int get_both(const struct place *at, const json_t *o, const char *field, char (*to)[RULE_TEXT_SIZE])
{
	const json_t *text = json_object_get(o, field);
	int           r = known_fields(at, field, text, "en,de");
	if (r == 0)
		r = get_text(at, text, "en", to[LANG_EN], RULE_TEXT_SIZE);
	return r == 0 ? get_text(at, text, "de", to[LANG_DE], RULE_TEXT_SIZE) : r;
}

static int get_words(const struct place *at, const json_t *params, char ret[COMPLIANCE_WORDS_SIZE])
{
	const json_t *list = json_object_get(params, "words"), *word;
	size_t        i, n = 0;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return bad(at, "words", "is missing or no list");
	json_array_foreach(list, i, word)
	{
		const char *text = json_string_value(word);
		size_t      length = text != NULL ? strlen(text) : 0;
		if (length == 0 || length >= 64 || strchr(text, ',') != NULL || n + length + 2 > COMPLIANCE_WORDS_SIZE)
			return bad(at, "words", "has one that does not fit");
		if (n > 0)
			ret[n++] = ',';
		memcpy(ret + n, text, length + 1);
		n += length;
	}
	return 0;
}

static int read_params(const struct place *at, const json_t *o, struct compliance_rule *r)
{
	const json_t *params = json_object_get(o, "params");
	unsigned      wants = r->check->params;
	int           code = 0;
	if (wants == 0)
		return params != NULL ? bad(at, "params", "are none of this check") : 0;
	code = known_fields(at, "params", params, "days,date,number,words");
	if (code == 0 && (wants & PARAM_DAYS) != 0)
		code = get_number(at, params, "days", 36600, &r->params.days);
	if (code == 0 && (wants & PARAM_NUMBER) != 0)
		code = get_number(at, params, "number", 1000000, &r->params.number);
	if (code == 0 && (wants & PARAM_DATE) != 0)
		code = get_date(at, params, "date", &r->params.date_at);
	if (code == 0 && (wants & PARAM_WORDS) != 0)
		code = get_words(at, params, r->params.words);
	return code;
}

static int read_check(const struct place *at, const json_t *o, struct compliance_rule *r)
{
	const char *name = json_string_value(json_object_get(o, "check"));
	r->check = name != NULL ? compliance_check_find(name) : NULL;
	if (r->check == NULL)
		return bad(at, "check", "is none of this program");
	bool answers = r->check->of_cert != NULL || r->check->of_system != NULL;
	if (answers && json_object_get(o, "reason") != NULL)
		return bad(at, "reason", "belongs to rules without a check alone");
	return answers ? read_params(at, o, r) : get_both(at, o, "reason", r->reason);
}

static int read_rule(struct place *at, const json_t *o, struct rule_book *book)
{
	struct compliance_rule *r = &book->rule[book->n_rules];
	char                    severity[16];
	int64_t                 version = 0;
	if (book->n_rules == RULES_MAX)
		return bad(at, "rules", "are too many");
	*r = (struct compliance_rule){.profile = book->n_profiles, .error_from_at = TIME_NEVER};
	int code = get_text(at, o, "id", r->id, sizeof(r->id));
	if (code < 0)
		return code;
	at->rule = r->id;
	if (rule_book_find(book, r->id) != NULL)
		return bad(at, "id", "is there already");
	code = known_fields(at, "rules", o, "id,severity,source,text,version,valid_from,error_from,check,params,reason");
	if (code == 0)
		code = get_text(at, o, "severity", severity, sizeof(severity));
	if (code == 0 && compliance_severity_parse(severity, &r->severity) < 0)
		code = bad(at, "severity", "must be error, warn or info");
	if (code == 0)
		code = get_text(at, o, "source", r->source, sizeof(r->source));
	if (code == 0)
		code = get_both(at, o, "text", r->text);
	if (code == 0)
		code = get_number(at, o, "version", UINT32_MAX, &version);
	if (code == 0)
		code = get_date(at, o, "valid_from", &r->valid_from_at);
	if (code == 0 && json_object_get(o, "error_from") != NULL)
		code = get_date(at, o, "error_from", &r->error_from_at);
	if (code == 0)
		code = read_check(at, o, r);
	r->version = (uint32_t)version;
	book->n_rules += code == 0;
	return code;
}

static int read_exception(struct place *at, const json_t *o, struct rule_book *book)
{
	struct compliance_exception *e = &book->exception[book->n_exceptions];
	if (book->n_exceptions == EXCEPTIONS_MAX)
		return bad(at, "exceptions", "are too many");
	*e = (struct compliance_exception){.until_at = 0};
	int code = known_fields(at, "exceptions", o, "rule,template_id,owner,reason,until");
	if (code == 0)
		code = get_text(at, o, "rule", e->rule, sizeof(e->rule));
	if (code < 0)
		return code;
	at->rule = e->rule;
	const struct compliance_rule *r = rule_book_find(book, e->rule);
	if (r == NULL || r->profile != book->n_profiles || r->check->of_cert == NULL)
		return bad(at, "rule", "is none about certificates of this profile");
	code = get_text(at, o, "template_id", e->template_id, sizeof(e->template_id));
	if (code == 0 && !name_template_ok(e->template_id))
		code = bad(at, "template_id", "is no name of a template");
	if (code == 0)
		code = get_text(at, o, "owner", e->owner, sizeof(e->owner));
	if (code == 0)
		code = get_text(at, o, "reason", e->reason, sizeof(e->reason));
	if (code == 0)
		code = get_date(at, o, "until", &e->until_at);
	book->n_exceptions += code == 0;
	return code;
}

static int read_list(struct place *at, const json_t *o, const char *member, int (*read)(struct place *, const json_t *, struct rule_book *),
		     struct rule_book *book)
{
	const json_t *list = json_object_get(o, member), *row;
	size_t        i;
	int           code = json_is_array(list) ? 0 : bad(at, member, "is missing or no list");
	if (code < 0)
		return code;
	json_array_foreach(list, i, row)
	{
		at->rule = NULL;
		code = read(at, row, book);
		if (code < 0)
			return code;
	}
	at->rule = NULL;
	return 0;
}

static int read_profile(struct place *at, const json_t *o, struct rule_book *book)
{
	static const struct {
		const char *name;
		uint32_t    bit;
	} names[] = {{"GDPR", PROFILE_GDPR}, {"AI_ACT", PROFILE_AI_ACT}, {"BSI_TR", PROFILE_BSI_TR}};
	struct compliance_profile p = {.bit = 0};
	int64_t                   version = 0;
	int                       code = known_fields(at, "profile", o, "profile,law,version,rules,exceptions");
	if (code == 0)
		code = get_text(at, o, "profile", p.name, sizeof(p.name));
	if (code == 0)
		code = get_text(at, o, "law", p.law, sizeof(p.law));
	if (code == 0)
		code = get_number(at, o, "version", UINT32_MAX, &version);
	for (size_t i = 0; code == 0 && i < N_ELEMENTS(names); i++)
		if (text_equal(names[i].name, p.name))
			p.bit = names[i].bit;
	for (size_t i = 0; code == 0 && i < book->n_profiles; i++)
		if (book->profile[i].bit == p.bit)
			code = bad(at, "profile", "is there already");
	if (code == 0 && (p.bit == 0 || book->n_profiles == PROFILES_N))
		code = bad(at, "profile", "must be GDPR, AI_ACT or BSI_TR");
	p.version = (uint32_t)version;
	if (code == 0)
		book->profile[book->n_profiles] = p;
	return code;
}

int rule_book_add(struct rule_book *book, const char *file, struct span text, struct refusal *why)
{
	struct place at = {.file = file, .why = why};
	json_error_t error;
	if (text.n > RULES_FILE_MAX)
		return refuse(why, E_REPORT_RULES, file, "more than %d bytes", (int)RULES_FILE_MAX);
	json_t *o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
	if (o == NULL)
		return refuse(why, E_REPORT_RULES, file, "line %d: %s", error.line, error.text);
	int code = read_profile(&at, o, book);
	if (code == 0)
		code = read_list(&at, o, "rules", read_rule, book);
	if (code == 0)
		code = read_list(&at, o, "exceptions", read_exception, book);
	book->n_profiles += code == 0;
	json_decref(o);
	return code;
}

/* The owner's file in place of the shipped one. E_NOT_FOUND: there is none. */
static int read_own(struct rule_book *book, const char *folder, const char *name, struct refusal *why)
{
	char       path[512];
	struct buf text = BUF_MAX(RULES_FILE_MAX);
	if (folder[0] == '\0')
		return E_NOT_FOUND;
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	int r = file_read(AT_FDCWD, path, false, &text, why);
	if (r == 0)
		r = rule_book_add(book, path, buf_span(&text), why);
	buf_free(&text);
	return r;
}

static bool is_shipped(const char *name)
{
	for (size_t i = 0; i < compliance_files_n; i++)
		if (text_equal(compliance_files[i].name, name))
			return true;
	return false;
}

/* A folder that is not there, or a file by another name, would be passed over, and the shipped rules judge: nobody would see it. */
int rule_book_folder_check(const char *folder, struct refusal *why)
{
	if (folder[0] == '\0')
		return 0;
	DIR *dir = opendir(folder);
	if (dir == NULL)
		return refuse(why, E_REPORT_RULES, folder, "the folder that reports.rules_dir names cannot be read: %s", strerror(errno));
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;) {
		char path[512];
		if (!text_ends(e->d_name, ".json") || is_shipped(e->d_name))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%.200s", folder, e->d_name);
		r = refuse(why, E_REPORT_RULES, path, "it is read by no name but gdpr.json, ai_act.json or bsi_tr.json");
	}
	(void)closedir(dir);
	return r;
}

int rule_book_load(const char *folder, struct rule_book **ret, struct refusal *why)
{
	struct rule_book *book = calloc(1, sizeof(*book));
	int               r = book != NULL ? 0 : refuse(why, E_NOMEM, "compliance rules", "no memory");
	for (size_t i = 0; r == 0 && i < compliance_files_n; i++) {
		const struct embedded_file *f = &compliance_files[i];
		r = read_own(book, folder, f->name, why);
		if (r == E_NOT_FOUND)
			r = rule_book_add(book, f->name, (struct span){f->bytes, f->n}, why);
	}
	if (r < 0)
		free(book);
	else
		*ret = book;
	return r;
}

const struct compliance_rule *rule_book_find(const struct rule_book *book, const char *id)
{
	for (size_t i = 0; i < book->n_rules; i++)
		if (text_equal(book->rule[i].id, id))
			return &book->rule[i];
	return NULL;
}

const struct compliance_exception *rule_book_exception(const struct rule_book *book, const struct compliance_rule *r, const char *template_id,
						       int64_t now)
{
	for (size_t i = 0; i < book->n_exceptions; i++) {
		const struct compliance_exception *e = &book->exception[i];
		if (text_equal(e->rule, r->id) && text_equal(e->template_id, template_id) && now < e->until_at)
			return e;
	}
	return NULL;
}

enum compliance_severity rule_severity(const struct compliance_rule *r, int64_t now)
{
	return now >= r->error_from_at ? SEVERITY_ERROR : r->severity;
}
