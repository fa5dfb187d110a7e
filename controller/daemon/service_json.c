/* service_json.c - room controller/daemon: what is said about a service, as JSON, both ways.
 * Never: judging dependencies or policy. */
#include "controller/daemon/service_json.h"

#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/service_policy.h"
#include "shared/base/text.h"
#include "shared/model/window.h"
#include "shared/sys/zone_file.h"

static int wrong(struct refusal *why, const struct service *s, const char *field, const char *what)
{
	return refuse(why, E_SERVICE_FILE, s->name[0] != '\0' ? s->name : "service", "field `%s`: %s", field, what);
}

static int read_name(const json_t *v, struct service *s, struct refusal *why)
{
	if (!json_is_string(v) || !name_service_ok(json_string_value(v)))
		return wrong(why, s, "name", "must be a service name: lower-case letters, digits, '-', at most 32");
	return text_copy(s->name, sizeof(s->name), json_string_value(v));
}

/* A list of texts, or one text -> comma list. */
static int join(const json_t *v, char *ret, size_t size)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1, used = 0;
	ret[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;
		size_t        length = json_string_length(item);
		if (!json_is_string(item) || !text_line_ok(json_string_value(item), length))
			return E_SYNTAX;
		if (length == 0)
			continue;
		if (used > 0 && used + 1 < size)
			ret[used++] = ',';
		if (text_copy_n(ret + used, size - used, json_string_value(item), length) < 0)
			return E_FULL;
		used += length;
	}
	return 0;
}

static int read_depends(const json_t *v, struct service *s, struct refusal *why)
{
	char        item[SERVICE_SIZE];
	const char *cursor = s->depends_on;
	int         r = join(v, s->depends_on, sizeof(s->depends_on));
	if (r < 0)
		return wrong(why, s, "depends_on", r == E_FULL ? "the list is too long" : "must be a list of services");
	while (text_item(&cursor, item, sizeof(item)))
		if (!name_service_ok(item))
			return wrong(why, s, "depends_on", "holds what is no service name");
	return cursor == NULL ? wrong(why, s, "depends_on", "holds what is no service name") : 0;
}

static int read_windows(const json_t *v, struct service *s, struct refusal *why)
{
	struct windows   w;
	char             bad[WINDOW_TEXT_SIZE] = "";
	const struct tz *zone;
	int              r = join(v, s->windows, sizeof(s->windows));
	if (r < 0)
		return wrong(why, s, "windows",
			     r == E_FULL ? "longer than 191 characters" : "must be a text or a list of texts");
	if (s->windows[0] == '\0')
		return 0;
	if (windows_parse(s->windows, &w, bad) < 0)
		return refuse(why, E_SERVICE_FILE, s->name,
			      "field `windows`: `%s` is not like `Mon-Fri 22:00-04:00 Europe/Berlin`", bad);
	for (size_t i = 0; i < w.n; i++)
		if (zone_get(w.list[i].zone, &zone, NULL) < 0)
			return refuse(why, E_SERVICE_FILE, s->name,
				      "field `windows`: there is no time zone `%s` on this machine", w.list[i].zone);
	return 0;
}

static int read_policy(const json_t *v, struct service *s, struct refusal *why)
{
	if (!json_is_object(v))
		return wrong(why, s, "policy", "must be an object of template fields");
	if (json_object_size(v) == 0)
		return 0;
	size_t n = json_dumpb(v, s->policy, sizeof(s->policy) - 1, JSON_COMPACT | JSON_SORT_KEYS);
	if (n == 0 || n >= sizeof(s->policy)) {
		s->policy[0] = '\0';
		return wrong(why, s, "policy", "longer than 1023 bytes");
	}
	s->policy[n] = '\0';
	return 0;
}

static const struct {
	const char *name;
	int (*read)(const json_t *v, struct service *s, struct refusal *why); /* NULL: only shown */
} fields[] = {
	{"name", read_name}, {"depends_on", read_depends}, {"windows", read_windows},   {"policy", read_policy},
	{"version", NULL},   {"needed_by", NULL},          {"certificate_count", NULL}, {"created_at", NULL},
	{"update", NULL},    {"peer_proof", NULL},
};

static int read_field(const char *name, const json_t *v, struct service *s, struct refusal *why)
{
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		if (text_equal(fields[i].name, name))
			return fields[i].read != NULL && !json_is_null(v) ? fields[i].read(v, s, why) : 0;
	char shown[64];
	text_cut(shown, sizeof(shown), name);
	return wrong(why, s, shown, "is not known");
}

int service_json_read(const json_t *object, struct service *ret, struct refusal *why)
{
	struct service s = {.name = ""};
	if (!json_is_object(object))
		return wrong(why, &s, "body", "must be a JSON object");
	int r = read_name(json_object_get(object, "name"), &s, why); /* first, so that later refusals can name it */
	/* jansson's iterator wants a mutable object, but changes nothing */
	json_t *walk = (json_t *)(uintptr_t)object;
	for (void *at = json_object_iter(walk); r == 0 && at != NULL; at = json_object_iter_next(walk, at))
		r = read_field(json_object_iter_key(at), json_object_iter_value(at), &s, why);
	if (r == 0)
		*ret = s;
	return r;
}

json_t *service_json_write(const struct service *s)
{
	json_t *policy = service_policy_json(s);
	json_t *o = json_object();
	json_object_set_new(o, "name", json_string(s->name));
	json_object_set_new(o, "depends_on", json_comma_list(s->depends_on));
	json_object_set_new(o, "windows", json_comma_list(s->windows));
	json_object_set_new(o, "policy", policy != NULL ? policy : json_object());
	return o;
}
