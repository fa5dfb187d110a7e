/* be.h - room shared/base: unsigned numbers as big-endian bytes, as files and frames hold them.
 * Never: signs, alignment. */
#ifndef VCC_BE_H
#define VCC_BE_H

#include <stddef.h>
#include <stdint.h>

/* The low `n` bytes of `v`, n <= 8. */
void     be_put(uint8_t *to, uint64_t v, size_t n);
uint64_t be_get(const uint8_t *from, size_t n);

#endif
