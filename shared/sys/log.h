/* log.h - room shared/sys: one line per event for people and journals; shells log, libraries return errors.
 * To stderr with "<N>" priorities and KEY=value fields, or to the systemd journal when stderr is connected to it (native
 * protocol by datagram, so no libsystemd). Never: secrets, raw peer bytes; control characters are escaped. */
#ifndef VCC_LOG_H
#define VCC_LOG_H

#include "shared/base/err.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

void log_open(const char *program, enum log_level max);
/* `fields`: "VCC_AGENT=clara01 VCC_CERT_ID=x" or NULL; values without spaces. */
void log_line(enum log_level level, const char *fields, const char *fmt, ...) _printf_(3, 4);
/* Words a refusal with code, cause and next step. */
void log_refusal(enum log_level level, const char *fields, const struct refusal *r);

#endif
