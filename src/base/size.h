/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and addresses as text, and arithmetic that notices overflow. */
#ifndef MV_BASE_SIZE_H
#define MV_BASE_SIZE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MV_KIB (UINT64_C(1) << 10)
#define MV_MIB (UINT64_C(1) << 20)
#define MV_GIB (UINT64_C(1) << 30)
#define MV_TIB (UINT64_C(1) << 40)

/* Room for the longest text mv_size_format makes. */
#define MV_SIZE_TEXT 32

/*
 * Parse a size: digits with an optional suffix K M G T P (either case, powers
 * of 1024); a bare number counts MiB.  Hex is not a size.  On failure *ret is
 * untouched; -EINVAL for text that is no size, -ERANGE ("too large") where the
 * value does not fit 64 bits.  The message quotes the text.
 */
int mv_size_parse(const char *text, uint64_t *ret_bytes, struct mv_error *err);

/*
 * Parse a guest address: 0x… in bytes, or a number with a suffix K M G T P.
 * A bare decimal number is refused as ambiguous.
 */
int mv_address_parse(const char *text, uint64_t *ret_gpa, struct mv_error *err);

/*
 * Write `bytes` in the largest unit that divides it ("256 MiB", "4 KiB",
 * "17 bytes") into buf and return buf.
 */
const char *mv_size_format(uint64_t bytes, char buf[MV_SIZE_TEXT]);
/* The same in memory of the block that it stands in. */
#define mv_size_text(bytes) mv_size_format(bytes, (char[MV_SIZE_TEXT]){""})

static inline bool mv_add_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
    return __builtin_add_overflow(a, b, ret);
}

static inline bool mv_mul_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
    return __builtin_mul_overflow(a, b, ret);
}

/* Round up to a power of two `align`; the caller knows that it fits. */
static inline uint64_t mv_align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

#endif
