/* SPDX-License-Identifier: Apache-2.0 */
#include "zero-page.h"

#include <stdatomic.h>
#include <string.h>

/* Bytes looked at between two questions whether to go on: most data tells with its first. */
enum { STEP = 256 };

static uint64_t word(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static bool is_zero_plain(const uint8_t *bytes, size_t len)
{
    for (; len >= 64; bytes += 64, len -= 64) {
        if ((word(bytes) | word(bytes + 8) | word(bytes + 16) | word(bytes + 24) |
             word(bytes + 32) | word(bytes + 40) | word(bytes + 48) | word(bytes + 56)) != 0)
            return false;
    }
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

static bool everywhere(void)
{
    return true;
}

#ifdef __x86_64__
#include <immintrin.h>

#define LOAD_512(i) _mm512_loadu_si512(bytes + 64 * (i))

__attribute__((target("avx512f"))) static bool is_zero_avx512(const uint8_t *bytes, size_t len)
{
    for (; len >= STEP; bytes += STEP, len -= STEP) {
        __m512i any = _mm512_or_si512(_mm512_or_si512(LOAD_512(0), LOAD_512(1)),
                                      _mm512_or_si512(LOAD_512(2), LOAD_512(3)));
        if (_mm512_test_epi64_mask(any, any) != 0)
            return false;
    }
    return is_zero_plain(bytes, len);
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}

#define LOAD_256(i)  _mm256_loadu_si256((const __m256i *)(bytes + 32 * (i)))
#define EITHER(a, b) _mm256_or_si256(a, b)

__attribute__((target("avx2"))) static bool is_zero_avx2(const uint8_t *bytes, size_t len)
{
    for (; len >= STEP; bytes += STEP, len -= STEP) {
        __m256i any =
            EITHER(EITHER(EITHER(LOAD_256(0), LOAD_256(1)), EITHER(LOAD_256(2), LOAD_256(3))),
                   EITHER(EITHER(LOAD_256(4), LOAD_256(5)), EITHER(LOAD_256(6), LOAD_256(7))));
        if (!_mm256_testz_si256(any, any))
            return false;
    }
    return is_zero_plain(bytes, len);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}
#endif

#ifdef __aarch64__
#include <arm_neon.h>

static bool is_zero_neon(const uint8_t *bytes, size_t len)
{
    for (; len >= STEP; bytes += STEP, len -= STEP) {
        uint8x16_t any = vld1q_u8(bytes);
        for (int i = 16; i < STEP; i += 16)
            any = vorrq_u8(any, vld1q_u8(bytes + i));
        if (vmaxvq_u8(any) != 0)
            return false;
    }
    return is_zero_plain(bytes, len);
}
#endif

const struct mv_zero_way mv_zero_ways[] = {
#ifdef __x86_64__
    {"avx512", has_avx512, is_zero_avx512}, {"avx2", has_avx2, is_zero_avx2},
#endif
#ifdef __aarch64__
    {"neon", everywhere, is_zero_neon},
#endif
    {"plain", everywhere, is_zero_plain},   {NULL},
};

bool mv_zero_bytes(const uint8_t *bytes, size_t len)
{
    static const struct mv_zero_way *_Atomic chosen;
    const struct mv_zero_way *way = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (way == NULL) {
        for (way = mv_zero_ways; !way->available();)
            way++;
        atomic_store_explicit(&chosen, way, memory_order_relaxed);
    }
    return way->is_zero(bytes, len);
}

/* The first page at or behind `at` that is zero, or is not, as `wanted` says; or the end. */
static size_t find(const uint8_t *bytes, size_t len, size_t at, bool wanted)
{
    while (at < len) {
        size_t part = len - at < MV_ZERO_PAGE ? len - at : MV_ZERO_PAGE;
        if (mv_zero_bytes(bytes + at, part) == wanted)
            return at;
        at += part;
    }
    return len;
}

bool mv_zero_next_data(const uint8_t *bytes, size_t len, size_t *io_at, size_t *ret_len)
{
    size_t start = find(bytes, len, *io_at, false);
    if (start >= len)
        return false;
    *io_at = start;
    *ret_len = find(bytes, len, start, true) - start;
    return true;
}
