/* SPDX-License-Identifier: Apache-2.0 */
/* Read-modify-writes of every size and way on one place: none is lost. */
#include "litmus.h"

#include <stdio.h>

#define BATCH 256

static union {
    volatile uint64_t d[2];
    volatile uint32_t s[4];
    volatile uint16_t h[8];
    volatile uint8_t b[16];
} word __attribute__((aligned(64)));
static uint64_t added[THREADS];

#define LSE ".arch_extension lse\n\t"
#define DEFINE_ADD(bits, member, suffix, reg)                                                      \
    static void add_lse_##bits(void)                                                               \
    {                                                                                              \
        uint64_t old;                                                                              \
        __asm__ volatile(LSE "ldadd" suffix " %" reg "2, %" reg "0, %1"                            \
                         : "=&r"(old), "+Q"(word.member[0])                                        \
                         : "r"(1ul)                                                                \
                         : "memory");                                                              \
    }                                                                                              \
    static void add_exclusive_##bits(void)                                                         \
    {                                                                                              \
        uint64_t value;                                                                            \
        uint32_t failed;                                                                           \
        do {                                                                                       \
            __asm__ volatile("ldxr" suffix " %" reg "0, %2\n\t"                                    \
                             "add %0, %0, #1\n\t"                                                  \
                             "stxr" suffix " %w1, %" reg "0, %2"                                   \
                             : "=&r"(value), "=&r"(failed), "+Q"(word.member[0])::"memory");       \
        } while (failed);                                                                          \
    }                                                                                              \
    static void add_cas_##bits(void)                                                               \
    {                                                                                              \
        uint##bits##_t old = word.member[0];                                                       \
        while (!__atomic_compare_exchange_n(&word.member[0], &old, (uint##bits##_t)(old + 1),      \
                                            true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))             \
            ;                                                                                      \
    }
DEFINE_ADD(8, b, "b", "w")
DEFINE_ADD(16, h, "h", "w")
DEFINE_ADD(32, s, "", "w")
DEFINE_ADD(64, d, "", "x")

/* The pair as one number of 128 bits. */
static void add_exclusive_pair(void)
{
    uint64_t low, high;
    uint32_t failed;
    do {
        __asm__ volatile("ldxp %0, %1, %3\n\t"
                         "adds %0, %0, #1\n\t"
                         "adc %1, %1, xzr\n\t"
                         "stxp %w2, %0, %1, %3"
                         : "=&r"(low), "=&r"(high), "=&r"(failed), "+Q"(word.d)::"memory", "cc");
    } while (failed);
}

static void add_casp(void)
{
    uint64_t low = word.d[0], high = word.d[1], was_low, was_high;
    do {
        register uint64_t x0 __asm__("x0") = was_low = low;
        register uint64_t x1 __asm__("x1") = was_high = high;
        register uint64_t x2 __asm__("x2") = low + 1;
        register uint64_t x3 __asm__("x3") = high + (low == UINT64_MAX);
        __asm__ volatile(LSE "caspal x0, x1, x2, x3, %2"
                         : "+r"(x0), "+r"(x1), "+Q"(word.d)
                         : "r"(x2), "r"(x3)
                         : "memory");
        low = x0;
        high = x1;
    } while (low != was_low || high != was_high);
}

static void (*ways[THREADS])(void);

static void add_up(unsigned number)
{
    while (!litmus_over()) {
        for (unsigned i = 0; i < BATCH; i++)
            ways[number]();
        added[number] += BATCH;
    }
}

static uint64_t run_ways(void (*a)(void), void (*b)(void), void (*c)(void), void (*d)(void),
                         struct litmus_result *result)
{
    void (*all[THREADS])(void) = {a, b, c, d};
    uint64_t sum = 0;
    word.d[0] = word.d[1] = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        ways[i] = all[i];
        added[i] = 0;
    }
    litmus_threads(add_up);
    for (unsigned i = 0; i < THREADS; i++)
        sum += added[i];
    result->rounds = sum;
    return sum;
}

#define ADDITIONS(bits, member)                                                                    \
    static void additions_##bits(struct litmus_result *result)                                     \
    {                                                                                              \
        uint64_t sum = run_ways(add_lse_##bits, add_exclusive_##bits, add_cas_##bits,              \
                                add_lse_##bits, result);                                           \
        result->wrong += word.member[0] != (uint##bits##_t)sum;                                    \
        /* The neighbours are as they were. */                                                     \
        for (unsigned i = bits / 8; i < 16; i++)                                                   \
            result->wrong += word.b[i] != 0;                                                       \
    }
ADDITIONS(8, b)
ADDITIONS(16, h)
ADDITIONS(32, s)
ADDITIONS(64, d)

static void additions_128(struct litmus_result *result)
{
    uint64_t sum =
        run_ways(add_exclusive_pair, add_casp, add_exclusive_pair, add_casp, result);
    result->wrong += word.d[0] != sum || word.d[1] != 0;
}

/* Each thread has bits of its own; the others' are never seen to change. */
static uint64_t lost_bits;

static void set_and_clear(unsigned number)
{
    uint64_t mine = 0x1111111111111111ull << number, old;
    while (!litmus_over()) {
        for (unsigned i = 0; i < BATCH; i++) {
            __asm__ volatile(LSE "ldsetal %2, %0, %1" : "=&r"(old), "+Q"(word.d[0]) : "r"(mine) : "memory");
            bool wrong = old & mine;
            __asm__ volatile(LSE "ldeoral %2, %0, %1" : "=&r"(old), "+Q"(word.d[0]) : "r"(mine) : "memory");
            wrong |= (old & mine) != mine;
            __asm__ volatile(LSE "ldclral %2, %0, %1" : "=&r"(old), "+Q"(word.d[0]) : "r"(mine) : "memory");
            wrong |= old & mine;
            if (wrong)
                __atomic_add_fetch(&lost_bits, 1, __ATOMIC_RELAXED);
        }
        added[number] += BATCH;
    }
}

static void bits(struct litmus_result *result)
{
    word.d[0] = 0;
    lost_bits = 0;
    for (unsigned i = 0; i < THREADS; i++)
        added[i] = 0;
    litmus_threads(set_and_clear);
    result->rounds = added[0];
    result->wrong += lost_bits + (word.d[0] != 0);
}

/* Tokens that are swapped round: the sum of all stays. */
static uint64_t held[THREADS];

static void swap_round(unsigned number)
{
    held[number] = 1000 + number;
    while (!litmus_over()) {
        for (unsigned i = 0; i < BATCH; i++)
            held[number] = __atomic_exchange_n(&word.d[0], held[number], __ATOMIC_ACQ_REL);
        added[number] += BATCH;
    }
}

static void swaps(struct litmus_result *result)
{
    uint64_t sum = 0;
    word.d[0] = 1000 + THREADS;
    litmus_threads(swap_round);
    for (unsigned i = 0; i < THREADS; i++)
        sum += held[i] - 1000;
    result->rounds = added[0];
    result->wrong += sum + word.d[0] - 1000 != THREADS * (THREADS + 1) / 2;
}

/* The greatest of all that anybody offered, in signed and unsigned terms. */
static uint64_t greatest[THREADS], least_signed[THREADS];

static void offer(unsigned number)
{
    uint64_t old;
    greatest[number] = 0;
    least_signed[number] = 0;
    while (!litmus_over()) {
        for (unsigned i = 0; i < BATCH; i++) {
            uint64_t value = (uint64_t)litmus_random() << 32 | litmus_random();
            if (value > greatest[number])
                greatest[number] = value;
            if ((int64_t)value < (int64_t)least_signed[number])
                least_signed[number] = value;
            __asm__ volatile(LSE "ldumax %2, %0, %1" : "=&r"(old), "+Q"(word.d[0]) : "r"(value) : "memory");
            __asm__ volatile(LSE "ldsmin %2, %0, %1" : "=&r"(old), "+Q"(word.d[1]) : "r"(value) : "memory");
        }
        added[number] += BATCH;
    }
}

static void extremes(struct litmus_result *result)
{
    uint64_t most = 0;
    int64_t least = 0;
    word.d[0] = word.d[1] = 0;
    litmus_threads(offer);
    for (unsigned i = 0; i < THREADS; i++) {
        most = greatest[i] > most ? greatest[i] : most;
        least = (int64_t)least_signed[i] < least ? (int64_t)least_signed[i] : least;
    }
    result->rounds = added[0];
    result->wrong += (word.d[0] != most) + ((int64_t)word.d[1] != least);
}

const struct litmus_test litmus_atomics[] = {
    {"additions of 8 bits", additions_8},   {"additions of 16 bits", additions_16},
    {"additions of 32 bits", additions_32}, {"additions of 64 bits", additions_64},
    {"additions of 128 bits", additions_128}, {"bits set and cleared", bits},
    {"swaps", swaps},                       {"extremes", extremes},
    {0},
};
