/* notice_words.c - room controller/daemon: the texts of the page behind a link in a notification, in both languages.
 * Never: markup, what people wrote. */
#include "controller/daemon/notice_words.h"

#include <string.h>
#include <strings.h>

#include "shared/base/err.h"
#include "shared/base/text.h"

enum { WEIGHT_MAX = 1000 }; /* a weight of 1, in thousandths */

static const struct {
	const char *english, *german;
} words[NOTICE_WORD_COUNT] = {
	[WORD_IS_OVER] = {"The matter is over", "Die Sache ist vorbei"},
	[WORD_IS_TAKEN] = {"Somebody has taken it over", "Die Meldung hat jemand übernommen"},
	[WORD_IS_OPEN] = {"Nobody has taken it over", "Die Meldung hat noch niemand übernommen"},
	[WORD_WHAT] = {"what", "was"},
	[WORD_LEVEL] = {"level", "Stufe"},
	[WORD_OBJECT] = {"object", "Objekt"},
	[WORD_SERVICE] = {"service", "Dienst"},
	[WORD_SINCE] = {"since", "seit"},
	[WORD_OVER_SINCE] = {"over since", "vorbei seit"},
	[WORD_TAKEN_AT] = {"taken over", "übernommen"},
	[WORD_QUIET_UNTIL] = {"no reminders until", "keine Erinnerung bis"},
	[WORD_ERROR] = {"error", "Fehler"},
	[WORD_CAUSE] = {"cause", "Ursache"},
	[WORD_NEXT] = {"next", "nächster Schritt"},
	[WORD_SENT_TO] = {"sent to", "gesendet an"},
	[WORD_TAKE] = {"Take it over", "Übernehmen"},
	[WORD_TAKE_ABOUT] = {"nobody is reminded of it any more", "niemand wird mehr daran erinnert"},
	[WORD_QUIET_FOR] = {"No reminders for", "Keine Erinnerung für"},
	[WORD_4_HOURS] = {"4 hours", "4 Stunden"},
	[WORD_1_DAY] = {"1 day", "1 Tag"},
	[WORD_7_DAYS] = {"7 days", "7 Tage"},
};

/* The dashboard says the same (german_words.js). */
static const char *const events[NOTICE_EVENT_COUNT] = {
	[NOTICE_RENEWAL_FAILED] = "Erneuerung gescheitert",
	[NOTICE_RENEWAL_PAUSED] = "Erneuerung ruht",
	[NOTICE_RENEWAL_UNVERIFIED] = "Erneuerung unbewiesen",
	[NOTICE_ROLLBACK_FAILED] = "Zurücknehmen gescheitert",
	[NOTICE_TROUBLE_RESOLVED] = "Störung behoben",
	[NOTICE_THRESHOLD_REACHED] = "Notfallschwelle erreicht",
	[NOTICE_RENEWALS_NEAR] = "Bald wartet die Erneuerung auf eine Person",
	[NOTICE_RENEWALS_REACHED] = "Die Erneuerung wartet auf eine Person",
	[NOTICE_APPROVAL_WAITING] = "Freigabe wartet",
	[NOTICE_EMERGENCY_UNCONFIRMED] = "Notfall noch nicht bestätigt",
	[NOTICE_EMERGENCY_STARTED] = "Notfall begonnen",
	[NOTICE_EMERGENCY_ENDED] = "Notfall beendet",
	[NOTICE_EMERGENCY_FAILED] = "Notfall gescheitert",
	[NOTICE_CAMPAIGN_ENDED] = "Kampagne beendet",
	[NOTICE_CAMPAIGN_FAILED] = "Kampagne gescheitert",
	[NOTICE_CAMPAIGN_HALTED] = "Kampagne angehalten",
	[NOTICE_EMERGENCY_HALTED] = "Notfall angehalten",
	[NOTICE_EMERGENCY_WAITING] = "Notfall wartet auf Freigabe",
	[NOTICE_CAMPAIGN_CANCELLED] = "Kampagne abgebrochen",
	[NOTICE_EMERGENCY_CANCELLED] = "Notfall abgebrochen",
	[NOTICE_RENEWAL_COMPLETED] = "Erneuerung gelungen",
	[NOTICE_FLEET_SILENT] = "Viele Hosts zugleich verstummt",
	[NOTICE_FLEET_BACK] = "Hosts sind zurück",
	[NOTICE_DIGEST] = "Tägliche Übersicht",
};

static const char *const levels[NOTICE_LEVEL_COUNT] = {
	[NOTICE_SUCCESS] = "Erfolg",
	[NOTICE_INFO] = "Hinweis",
	[NOTICE_ERROR] = "Fehler",
	[NOTICE_CRITICAL] = "kritisch",
};

static const struct {
	int         code;
	const char *what, *next;
} refusals[] = {
	{E_LINK_BAD, "Dieser Link wurde nicht hier gemacht oder wurde verändert",
	 "Bitte ganz öffnen, wie er in der Nachricht steht; oder `vccctl notify ack ID` ausführen."},
	{E_LINK_OVER, "Der Link gilt nicht mehr", "Bitte eine neuere Nachricht zur Sache nehmen oder `vccctl notify ack ID` ausführen."},
	{E_LINK_NOBODY, "Wem dieser Link geschickt wurde, der wird hier von nichts mehr benachrichtigt",
	 "Wer jetzt benachrichtigt wird, hat einen eigenen Link oder führt `vccctl notify ack ID` aus."},
	{E_NOTICE_OVER, "Die Sache ist vorbei", "Nichts zu tun; `vccctl notify list --all` zeigt, wann sie endete."},
};

/* "0.8" or "1", in thousandths; what is no weight is none. */
static int weight_of(const char *range)
{
	const char *q = strstr(range, "q=");
	if (q == NULL)
		return WEIGHT_MAX;
	if (q[2] != '0')
		return q[2] == '1' ? WEIGHT_MAX : 0;
	int weight = 0;
	for (int i = 4, unit = 100; q[3] == '.' && unit > 0 && q[i] >= '0' && q[i] <= '9'; i++, unit /= 10)
		weight += (q[i] - '0') * unit;
	return weight;
}

/* "de", "de-AT", "DE;q=0.8" */
static bool is_of(const char *range, const char *language)
{
	size_t n = strlen(language);
	return strncasecmp(range, language, n) == 0 && strchr("-; \t", range[n]) != NULL; /* or its end */
}

bool notice_words_german(const char *accept_language)
{
	const char *cursor = accept_language;
	char        range[64];
	int         best = 0;
	bool        german = false;
	while (text_item(&cursor, range, sizeof(range))) {
		int  weight = weight_of(range);
		bool de = is_of(range, "de");
		if (weight > best && (de || is_of(range, "en"))) { /* of equals the first */
			best = weight;
			german = de;
		}
	}
	return german;
}

const char *notice_word(enum notice_word w, bool german)
{
	return german ? words[w].german : words[w].english;
}

const char *notice_event_word(enum notice_event e, bool german)
{
	return german && (size_t)e < N_ELEMENTS(events) ? events[e] : notice_event_name(e);
}

const char *notice_level_word(enum notice_level l, bool german)
{
	return german && (size_t)l < N_ELEMENTS(levels) ? levels[l] : notice_level_name(l);
}

const char *notice_refused_german(int code)
{
	for (size_t i = 0; i < N_ELEMENTS(refusals); i++)
		if (refusals[i].code == code)
			return refusals[i].what;
	return NULL;
}

const char *notice_next_german(int code)
{
	for (size_t i = 0; i < N_ELEMENTS(refusals); i++)
		if (refusals[i].code == code)
			return refusals[i].next;
	return NULL;
}
