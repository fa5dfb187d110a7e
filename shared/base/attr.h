/* attr.h - room shared/base: compiler attributes and tiny macros that every room uses.
 * Never: anything with a symbol of its own. */
#ifndef VCC_ATTR_H
#define VCC_ATTR_H

#include <stddef.h>

#define _must_check_    __attribute__((warn_unused_result))
#define _cleanup_(f)    __attribute__((cleanup(f)))
#define _printf_(f, a)  __attribute__((format(printf, f, a)))
#define _pure_          __attribute__((pure))

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

#endif
