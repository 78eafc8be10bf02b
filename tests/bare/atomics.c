/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exclusives and LSE: results of each operation and size, what clears the
 * monitor, and contended counters on four CPUs.
 */
#include "lib/bare.h"

#define ROUNDS 20000
#define CPUS 4

static uint64_t cell[4] __attribute__((aligned(64)));

#define EACH_SIZE(X, name) X(name, b, w) X(name, h, w) X(name, , w) X(name, , x)
#define LSE(name, suffix, width)                                                                   \
    do {                                                                                           \
        static const uint64_t operands[] = {0, 1, 0x80, 0xff7f, 0x8000000000000000,                \
                                            0x123456789abcdef0};                                   \
        for (unsigned i = 0; i < 6; i++) {                                                         \
            uint64_t old;                                                                          \
            cell[0] = 0x8899aabbccdd807f;                                                          \
            __asm__ volatile(#name #suffix " %" #width "1, %" #width "0, [%2]"                     \
                             : "=&r"(old)                                                          \
                             : "r"(operands[i]), "r"(cell)                                         \
                             : "memory");                                                          \
            print(#name #suffix " " #width " %lx: %lx %lx\n", operands[i], old, cell[0]);          \
        }                                                                                          \
    } while (0);
#define CAS(name, suffix, width)                                                                   \
    do {                                                                                           \
        for (unsigned i = 0; i < 2; i++) {                                                         \
            uint64_t old = i ? 0x8899aabbccdd807f : 5;                                             \
            cell[0] = 0x8899aabbccdd807f;                                                          \
            __asm__ volatile(#name #suffix " %" #width "0, %" #width "1, [%2]"                     \
                             : "+r"(old)                                                           \
                             : "r"(0x1111222233334444), "r"(cell)                                  \
                             : "memory");                                                          \
            print(#name #suffix " " #width " %u: %lx %lx\n", i, old, cell[0]);                     \
        }                                                                                          \
    } while (0);

static void operations(void)
{
    EACH_SIZE(LSE, ldadd)
    EACH_SIZE(LSE, ldclral)
    EACH_SIZE(LSE, ldeora)
    EACH_SIZE(LSE, ldsetl)
    EACH_SIZE(LSE, ldsmax)
    EACH_SIZE(LSE, ldsmin)
    EACH_SIZE(LSE, ldumax)
    EACH_SIZE(LSE, ldumin)
    EACH_SIZE(LSE, swp)
    EACH_SIZE(CAS, cas)
    EACH_SIZE(CAS, casal)
    for (unsigned i = 0; i < 2; i++) {
        register uint64_t x0 __asm__("x0") = i ? 0x1111 : 7;
        register uint64_t x1 __asm__("x1") = 0x2222;
        register uint64_t x2 __asm__("x2") = 0x3333;
        register uint64_t x3 __asm__("x3") = 0x4444;
        cell[0] = 0x1111, cell[1] = 0x2222;
        __asm__ volatile("casp x0, x1, x2, x3, [%4]"
                         : "+r"(x0), "+r"(x1)
                         : "r"(x2), "r"(x3), "r"(cell)
                         : "memory");
        print("casp %u: %lx %lx, %lx %lx\n", i, x0, x1, cell[0], cell[1]);
    }
}

static uint32_t store_exclusive(void)
{
    uint32_t failed;
    __asm__ volatile("stxr %w0, %1, [%2]" : "=&r"(failed) : "r"(99ul), "r"(cell) : "memory");
    return failed;
}

static uint64_t load_exclusive(void)
{
    uint64_t value;
    __asm__ volatile("ldxr %0, [%1]" : "=r"(value) : "r"(cell) : "memory");
    return value;
}

static uint64_t take_exception(uint64_t a, uint64_t b)
{
    (void)a, (void)b;
    __asm__ volatile(".inst 0");
    return 0;
}

static void monitor(void)
{
    cell[0] = 1;
    print("stxr alone: %u %lu\n", store_exclusive(), cell[0]);
    load_exclusive();
    print("after ldxr: %u %lu\n", store_exclusive(), cell[0]);
    print("twice: %u\n", store_exclusive());
    load_exclusive();
    __asm__ volatile("clrex");
    print("after clrex: %u\n", store_exclusive());
    load_exclusive();
    trial(take_exception, 0, 0, NULL);
    print("after an exception: %u\n", store_exclusive());
    uint64_t low, high;
    uint32_t failed;
    cell[0] = 5, cell[1] = 6;
    __asm__ volatile("ldaxp %0, %1, [%3]\n\tstlxp %w2, %1, %0, [%3]"
                     : "=&r"(low), "=&r"(high), "=&r"(failed)
                     : "r"(cell)
                     : "memory");
    print("pair: %u %lu %lu, %lu %lu\n", failed, low, high, cell[0], cell[1]);
    uint32_t low32, high32;
    cell[0] = 0x500000006;
    __asm__ volatile("ldxp %w0, %w1, [%3]\n\tstxp %w2, %w1, %w0, [%3]"
                     : "=&r"(low32), "=&r"(high32), "=&r"(failed)
                     : "r"(cell)
                     : "memory");
    print("pair of words: %u %x %x, %lx\n", failed, low32, high32, cell[0]);
}

static uint64_t counters[3] __attribute__((aligned(64)));
static uint64_t pair[2] __attribute__((aligned(16)));

static void contend(unsigned cpu)
{
    (void)cpu;
    mmu_on_this_cpu();
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t value, high;
        uint32_t failed;
        __asm__ volatile("1: ldaxr %0, [%2]\n\tadd %0, %0, #1\n\tstlxr %w1, %0, [%2]\n\t"
                         "cbnz %w1, 1b"
                         : "=&r"(value), "=&r"(failed)
                         : "r"(&counters[0])
                         : "memory");
        __asm__ volatile("ldaddal %1, %0, [%2]"
                         : "=r"(value)
                         : "r"(1ul), "r"(&counters[1])
                         : "memory");
        __asm__ volatile("1: ldr %0, [%2]\n\tadd %1, %0, #1\n\tmov x9, %0\n\t"
                         "casal %0, %1, [%2]\n\tcmp x9, %0\n\tb.ne 1b"
                         : "=&r"(value), "=&r"(high)
                         : "r"(&counters[2])
                         : "memory", "x9", "cc");
        __asm__ volatile("1: ldxp %0, %1, [%3]\n\tadd %0, %0, #1\n\tsub %1, %1, #1\n\t"
                         "stxp %w2, %0, %1, [%3]\n\tcbnz %w2, 1b"
                         : "=&r"(value), "=&r"(high), "=&r"(failed)
                         : "r"(pair)
                         : "memory");
    }
}

void bare_main(void)
{
    mmu_on();
    operations();
    monitor();
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_start(cpu, contend);
    contend(0);
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_wait(cpu);
    print("contended: %lu %lu %lu pair %ld %ld\n", counters[0], counters[1], counters[2], pair[0],
          pair[1]);
}
