/* body_template.h - room controller/daemon: the body of a message as a JSON text with {{field}} in it, and nothing else: no
 * loops, no conditions, no code. Values are escaped, so that no text can end the string that it stands in. Never: reading
 * files. */
#ifndef VCC_BODY_TEMPLATE_H
#define VCC_BODY_TEMPLATE_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum { BODY_TEMPLATE_MAX = 16384, BODY_TEXT_MAX = 3000 /* of one value: chat services cut or refuse more */ };

enum body_field {
	BODY_TITLE,
	BODY_TEXT,
	BODY_LEVEL,
	BODY_EVENT,
	BODY_SERVICE,
	BODY_OBJECT,
	BODY_MESSAGE_ID,
	BODY_TOPIC,
	BODY_COLOR,
	BODY_PRIORITY, /* 1 to 5 */
	BODY_ACK_URL,  /* "" = none */
	BODY_FIELD_COUNT,
};
const char *body_field_name(enum body_field f);

/* Every {{field}} is known, and with values it is JSON: E_NOTIFY_TEMPLATE. */
_must_check_ int body_template_check(const char *name, struct span text, struct refusal *why);
/* Of a text that was checked. */
void body_template_fill(struct span text, const char *const values[BODY_FIELD_COUNT], struct buf *to);

#endif
