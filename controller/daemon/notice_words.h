/* notice_words.h - room controller/daemon: what the page behind a link in a notification says, in English and German, and which of them a browser
 * prefers. Values in, texts out. Never: what the controller says of a matter, other than a refusal of the link. */
#ifndef VCC_NOTICE_WORDS_H
#define VCC_NOTICE_WORDS_H

#include <stdbool.h>

#include "shared/model/notice.h"

enum notice_word {
	WORD_IS_OVER,
	WORD_IS_TAKEN,
	WORD_IS_OPEN,
	WORD_WHAT,
	WORD_LEVEL,
	WORD_OBJECT,
	WORD_SERVICE,
	WORD_SINCE,
	WORD_OVER_SINCE,
	WORD_TAKEN_AT,
	WORD_QUIET_UNTIL,
	WORD_ERROR,
	WORD_CAUSE,
	WORD_NEXT,
	WORD_SENT_TO,
	WORD_TAKE,
	WORD_TAKE_ABOUT,
	WORD_QUIET_FOR,
	WORD_4_HOURS,
	WORD_1_DAY,
	WORD_7_DAYS,
	NOTICE_WORD_COUNT
};

/* By Accept-Language (RFC 9110, 12.5.4): true where German is preferred to English. "" or anything else is English. */
bool        notice_words_german(const char *accept_language);
const char *notice_word(enum notice_word w, bool german);

/* An event and a level as a person says them; in English they are their names. */
const char *notice_event_word(enum notice_event e, bool german);
const char *notice_level_word(enum notice_level l, bool german);

/* What is refused at a link, and the next step, in German; NULL: it has none, and stands in English. */
const char *notice_refused_german(int code);
const char *notice_next_german(int code);

#endif
