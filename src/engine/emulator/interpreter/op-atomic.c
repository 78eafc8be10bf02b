/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of ordered, exclusive and atomic accesses (Arm ARM C6.2, B2.9).
 * All are host atomics, so they also hold against other processes that map the
 * same memory.  A store-exclusive compares memory with what the load-exclusive
 * saw.  The host's sequentially consistent operations give STLR followed by
 * LDAR the order that the architecture wants.
 */
#include "exception.h"
#include "memory.h"

#define BASE cpu->x[op->rn]

/* Host address of an atomic access; MMIO cannot have one. */
static inline void *atomic_host(struct mv_cpu *cpu, const struct mv_op *op, unsigned size,
                                unsigned access)
{
    void *host = mv_memory_atomic(cpu, op, BASE, size, access);
    if (MV_UNLIKELY(host == NULL))
        mv_memory_abort(cpu, op, BASE, MV_FSC_UNSUPPORTED_ATOMIC, access & MV_ACCESS_WRITE);
    return host;
}

/* Whether it was as expected; that is what it was. */
#define COMPARE_EXCHANGE(host, expected, desired)                                                  \
    __atomic_compare_exchange_n(host, &(expected), desired, false, __ATOMIC_SEQ_CST,               \
                                __ATOMIC_SEQ_CST)

#define ORDERED(bits)                                                                              \
    MV_OP(ldar##bits)                                                                              \
    {                                                                                              \
        const uint##bits##_t *host = mv_memory_atomic(cpu, op, BASE, bits / 8, 0);                 \
        cpu->x[op->rd] = host ? __atomic_load_n(host, __ATOMIC_SEQ_CST)                            \
                              : mv_memory_read(cpu, op, BASE, bits / 8, MV_ACCESS_ALIGNED);        \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    MV_OP(stlr##bits)                                                                              \
    {                                                                                              \
        uint##bits##_t *host = mv_memory_atomic(cpu, op, BASE, bits / 8, MV_ACCESS_WRITE);         \
        if (host)                                                                                  \
            __atomic_store_n(host, (uint##bits##_t)cpu->x[op->rd], __ATOMIC_SEQ_CST);              \
        else                                                                                       \
            mv_memory_write(cpu, op, BASE, cpu->x[op->rd], bits / 8, MV_ACCESS_ALIGNED);           \
        MV_NEXT;                                                                                   \
    }
ORDERED(8)
ORDERED(16)
ORDERED(32)
ORDERED(64)

/* Does the monitor cover what was just looked up?  It is spent either way. */
static inline bool monitor_take(struct mv_cpu *cpu, unsigned size)
{
    const struct mv_arm64_monitor *monitor = &cpu->monitor;
    bool passes = monitor->armed && monitor->pa == cpu->mmu.access_pa && monitor->size == size;
    cpu->monitor.armed = false;
    return passes;
}

static inline void monitor_arm(struct mv_cpu *cpu, unsigned size)
{
    cpu->monitor.armed = true;
    cpu->monitor.pa = cpu->mmu.access_pa;
    cpu->monitor.size = (uint8_t)size;
}

/* STXR's status register is rm. */
#define EXCLUSIVE(bits)                                                                            \
    MV_OP(ldxr##bits)                                                                              \
    {                                                                                              \
        const uint##bits##_t *host = atomic_host(cpu, op, bits / 8, 0);                            \
        uint##bits##_t value = __atomic_load_n(host, __ATOMIC_SEQ_CST);                            \
        monitor_arm(cpu, bits / 8);                                                                \
        cpu->monitor.value[0] = value;                                                             \
        cpu->x[op->rd] = value;                                                                    \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    MV_OP(stxr##bits)                                                                              \
    {                                                                                              \
        uint##bits##_t *host = atomic_host(cpu, op, bits / 8, MV_ACCESS_WRITE);                    \
        uint##bits##_t expected = (uint##bits##_t)cpu->monitor.value[0];                           \
        bool stored = monitor_take(cpu, bits / 8) &&                                               \
                      COMPARE_EXCHANGE(host, expected, (uint##bits##_t)cpu->x[op->rd]);            \
        cpu->x[op->rm] = !stored;                                                                  \
        MV_NEXT;                                                                                   \
    }
EXCLUSIVE(8)
EXCLUSIVE(16)
EXCLUSIVE(32)
EXCLUSIVE(64)

/* Pairs of words are one doubleword; the second register is ra. */
static inline uint64_t join_words(uint64_t low, uint64_t high)
{
    return (uint32_t)low | high << 32;
}

MV_OP(ldxp32)
{
    const uint64_t *host = atomic_host(cpu, op, 8, 0);
    uint64_t value = __atomic_load_n(host, __ATOMIC_SEQ_CST);
    monitor_arm(cpu, 8);
    cpu->monitor.value[0] = value;
    cpu->x[op->rd] = (uint32_t)value;
    cpu->x[op->ra] = value >> 32;
    MV_NEXT;
}

MV_OP(stxp32)
{
    uint64_t *host = atomic_host(cpu, op, 8, MV_ACCESS_WRITE);
    uint64_t expected = cpu->monitor.value[0];
    uint64_t desired = join_words(cpu->x[op->rd], cpu->x[op->ra]);
    bool stored = monitor_take(cpu, 8) && COMPARE_EXCHANGE(host, expected, desired);
    cpu->x[op->rm] = !stored;
    MV_NEXT;
}

/*
 * A pair of doublewords is read in two halves; that both belong together is
 * what the store's 16-byte compare makes sure of.
 */
MV_OP(ldxp64)
{
    const uint64_t *host = atomic_host(cpu, op, 16, 0);
    uint64_t low = __atomic_load_n(&host[0], __ATOMIC_SEQ_CST);
    uint64_t high = __atomic_load_n(&host[1], __ATOMIC_SEQ_CST);
    monitor_arm(cpu, 16);
    cpu->monitor.value[0] = low;
    cpu->monitor.value[1] = high;
    cpu->x[op->rd] = low;
    cpu->x[op->ra] = high;
    MV_NEXT;
}

static inline unsigned __int128 join_doublewords(uint64_t low, uint64_t high)
{
    return low | (unsigned __int128)high << 64;
}

MV_OP(stxp64)
{
    unsigned __int128 *host = atomic_host(cpu, op, 16, MV_ACCESS_WRITE);
    unsigned __int128 expected = join_doublewords(cpu->monitor.value[0], cpu->monitor.value[1]);
    unsigned __int128 desired = join_doublewords(cpu->x[op->rd], cpu->x[op->ra]);
    bool stored = monitor_take(cpu, 16) && __sync_bool_compare_and_swap(host, expected, desired);
    cpu->x[op->rm] = !stored;
    MV_NEXT;
}

/* LSE: rd gets the old value, rm is the operand. */
#define LSE_ACCESS (MV_ACCESS_WRITE | MV_ACCESS_BOTH)
#define ATOMIC_OP(name, bits, expression)                                                          \
    MV_OP(name##bits)                                                                              \
    {                                                                                              \
        uint##bits##_t *host = atomic_host(cpu, op, bits / 8, LSE_ACCESS);                         \
        uint##bits##_t operand = (uint##bits##_t)cpu->x[op->rm];                                   \
        cpu->x[op->rd] = (expression);                                                             \
        MV_NEXT;                                                                                   \
    }
#define ATOMIC_FETCH(name, bits, builtin, value)                                                   \
    ATOMIC_OP(name, bits, builtin(host, (uint##bits##_t)(value), __ATOMIC_SEQ_CST))

/* The host has no atomic minimum and maximum: a compare-and-swap loop. */
#define DEFINE_MINMAX(name, bits, type, relation)                                                  \
    static inline uint##bits##_t fetch_##name##bits(uint##bits##_t *host, uint##bits##_t operand)  \
    {                                                                                              \
        uint##bits##_t old = __atomic_load_n(host, __ATOMIC_RELAXED);                              \
        uint##bits##_t new;                                                                        \
        do {                                                                                       \
            new = (type)old relation(type) operand ? old : operand;                                \
        } while (!__atomic_compare_exchange_n(host, &old, new, false, __ATOMIC_SEQ_CST,            \
                                              __ATOMIC_RELAXED));                                  \
        return old;                                                                                \
    }                                                                                              \
    ATOMIC_OP(name, bits, fetch_##name##bits(host, operand))

#define ATOMICS(bits)                                                                              \
    ATOMIC_FETCH(ldadd, bits, __atomic_fetch_add, operand)                                         \
    ATOMIC_FETCH(ldclr, bits, __atomic_fetch_and, ~operand)                                        \
    ATOMIC_FETCH(ldeor, bits, __atomic_fetch_xor, operand)                                         \
    ATOMIC_FETCH(ldset, bits, __atomic_fetch_or, operand)                                          \
    ATOMIC_FETCH(swp, bits, __atomic_exchange_n, operand)                                          \
    DEFINE_MINMAX(ldsmax, bits, int##bits##_t, >)                                                  \
    DEFINE_MINMAX(ldsmin, bits, int##bits##_t, <)                                                  \
    DEFINE_MINMAX(ldumax, bits, uint##bits##_t, >)                                                 \
    DEFINE_MINMAX(ldumin, bits, uint##bits##_t, <)                                                 \
    /* rm is compared and gets the old value; rd is stored. */                                     \
    MV_OP(cas##bits)                                                                               \
    {                                                                                              \
        uint##bits##_t *host = atomic_host(cpu, op, bits / 8, LSE_ACCESS);                         \
        uint##bits##_t expected = (uint##bits##_t)cpu->x[op->rm];                                  \
        COMPARE_EXCHANGE(host, expected, (uint##bits##_t)cpu->x[op->rd]);                          \
        cpu->x[mv_reg_written(op->rm)] = expected;                                                 \
        MV_NEXT;                                                                                   \
    }

/* A register number that was decoded for reading, for writing. */
static inline unsigned mv_reg_written(unsigned reg)
{
    return reg == MV_REG_ZR ? MV_REG_SINK : reg;
}

ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

/* CASP: rm, rm+1 compared; rd, rd+1 stored; both even. */
MV_OP(casp32)
{
    uint64_t *host = atomic_host(cpu, op, 8, LSE_ACCESS);
    uint64_t expected = join_words(cpu->x[op->rm], cpu->x[op->rm + 1]);
    uint64_t desired = join_words(cpu->x[op->rd], cpu->x[op->rd + 1]);
    COMPARE_EXCHANGE(host, expected, desired);
    cpu->x[op->rm] = (uint32_t)expected;
    cpu->x[mv_reg_written(op->rm + 1u)] = expected >> 32;
    MV_NEXT;
}

MV_OP(casp64)
{
    unsigned __int128 *host = atomic_host(cpu, op, 16, LSE_ACCESS);
    unsigned __int128 expected = join_doublewords(cpu->x[op->rm], cpu->x[op->rm + 1]);
    unsigned __int128 desired = join_doublewords(cpu->x[op->rd], cpu->x[op->rd + 1]);
    unsigned __int128 old = __sync_val_compare_and_swap(host, expected, desired);
    cpu->x[op->rm] = (uint64_t)old;
    cpu->x[mv_reg_written(op->rm + 1u)] = (uint64_t)(old >> 64);
    MV_NEXT;
}
