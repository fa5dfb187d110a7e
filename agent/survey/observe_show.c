/* observe_show.c - room agent/survey: an observation for people (80 columns) and for programs (JSON).
 * Never: deciding anything. */
#include "agent/survey/observe_show.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

enum { WIDTH_ADDRESS = 21, WIDTH_SERVICE = 14, WIDTH_NAME = 26 };

const char *show_day(int64_t at, char ret[16])
{
	struct civil c = time_civil(at);
	if (at == 0 || c.year < 1950 || c.year > 9999)
		text_cut(ret, 16, "-");
	else
		snprintf(ret, 16, "%04u-%02u-%02u", (unsigned)c.year % 10000, (unsigned)c.month % 100, (unsigned)c.day % 100);
	return ret;
}

const char *show_days(int64_t at, int64_t now, char ret[16])
{
	int64_t days = (at - now) / MS_DAY - (at < now && (at - now) % MS_DAY != 0);
	if (at == 0)
		text_cut(ret, 16, "-");
	else
		snprintf(ret, 16, "%lld", (long long)(days > 99999 ? 99999 : days < -9999 ? -9999 : days));
	return ret;
}

static const char *certificate_words(const struct observed *row, char ret[DNS_NAME_SIZE])
{
	const struct look *l = &row->look;
	char               name[DNS_NAME_SIZE - 16];
	if (!row->asked)
		return "not asked: no TLS program";
	if (l->result != LOOK_SERVED)
		return l->result == LOOK_NONE    ? "TLS, asks for a name"
		       : l->result == LOOK_PLAIN ? "no TLS"
						 : look_result_name(l->result);
	observed_name(l, name, sizeof(name));
	snprintf(ret, DNS_NAME_SIZE, "%s%s", l->self_signed ? "self: " : "", name);
	return ret;
}

static void table_row(const struct observed *row, int64_t now)
{
	char service[INVENTORY_UNIT_SIZE];
	char words[DNS_NAME_SIZE];
	char day[16];
	char days[16];
	observed_service(row, service);
	printf("%-*s", WIDTH_ADDRESS, row->socket.address);
	if (strlen(row->socket.address) > WIDTH_ADDRESS) /* a long IPv6 address has a line of its own */
		printf("\n%-*s", WIDTH_ADDRESS, "");
	printf(" %-*.*s %-10s %5s %.*s\n", WIDTH_SERVICE, WIDTH_SERVICE, service, show_day(row->look.not_after_at, day),
	       show_days(row->look.not_after_at, now, days), WIDTH_NAME, certificate_words(row, words));
}

void observe_show_table(const struct observation *o, bool all)
{
	size_t others = 0;
	size_t unknown = 0;
	printf("%-*s %-*s %-10s %5s %s\n", WIDTH_ADDRESS, "LISTENER", WIDTH_SERVICE, "SERVICE", "ENDS", "DAYS", "CERTIFICATE");
	for (size_t i = 0; i < o->n; i++) {
		bool tls = observed_is_tls(&o->rows[i]);
		others += !tls;
		unknown += tls && o->rows[i].process.pid == 0;
		if (tls || all)
			table_row(&o->rows[i], o->at);
	}
	if (others > 0 && !all)
		printf("%zu other listening sockets speak no TLS (--all shows them)\n", others);
	if (o->more > 0)
		printf("%zu more listening sockets were NOT looked at: there are too many\n", o->more);
	if (unknown > 0)
		printf("the programs of %zu listeners are not visible: run this as root\n", unknown);
}

static json_t *time_json(int64_t at)
{
	char text[TIME_TEXT_SIZE];
	return at == 0 ? json_null() : json_string(time_text(at, text));
}

static json_t *names_json(const char *names)
{
	json_t     *list = json_array();
	const char *cursor = names;
	char        one[DNS_NAME_SIZE + 8];
	while (text_item(&cursor, one, sizeof(one)))
		json_array_append_new(list, json_string(one));
	return list;
}

static json_t *row_json(const struct observed *row)
{
	char               fingerprint[HASH_TEXT_SIZE];
	const struct look *l = &row->look;
	const bool         served = l->result == LOOK_SERVED;
	json_t            *o = json_pack("{s:s, s:b, s:s, s:i, s:s, s:s, s:s, s:s, s:b}", "address", row->socket.address, "tls",
					 (int)observed_is_tls(row), "result", row->asked ? look_result_name(l->result) : "not_asked",
					 "pid", (int)row->process.pid, "program", row->process.program, "exe", row->process.exe, "user",
					 row->process.user, "unit", row->process.unit, "starttls", (int)l->starttls);
	if (!served || o == NULL)
		return o;
	json_object_set_new(o, "fingerprint", json_string(hash_text(l->fingerprint, fingerprint)));
	json_object_set_new(o, "subject", json_string(l->subject));
	json_object_set_new(o, "issuer", json_string(l->issuer));
	json_object_set_new(o, "names", names_json(l->names));
	json_object_set_new(o, "names_count", json_integer(l->n_names));
	json_object_set_new(o, "not_before", time_json(l->not_before_at));
	json_object_set_new(o, "not_after", time_json(l->not_after_at));
	json_object_set_new(o, "self_signed", json_boolean(l->self_signed));
	json_object_set_new(o, "chain_length", json_integer(l->chain));
	return o;
}

json_t *observe_show_json(const struct observation *o)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < o->n; i++)
		json_array_append_new(rows, row_json(&o->rows[i]));
	return json_pack("{s:o, s:i, s:o}", "observed_at", time_json(o->at), "sockets_left_out", (int)o->more, "listeners",
			 rows);
}
