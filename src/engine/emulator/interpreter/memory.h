/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler's way to guest memory.  The hit path is inline: one compare of the
 * TLB's tag, which also catches an access that crosses the page.  Everything
 * else is the softmmu's; where that hands back a fault, memory.c takes the
 * exception and unwinds, so a handler sees only accesses that succeeded.
 *
 * Guest accesses are relaxed host atomics of their natural size, so that
 * threads that race in the guest are no race in the host.
 */
#ifndef MV_INTERPRETER_MEMORY_H
#define MV_INTERPRETER_MEMORY_H

#include "exception.h"
#include "interpreter.h"

/*
 * Around every access to the host's bytes by a handler: should they not be there,
 * the run loop has to know the op, and find nothing changed by it (fault.h).
 */
static inline void mv_access_begin(struct mv_cpu *cpu, const struct mv_op *op)
{
    cpu->access_op = op;
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void mv_access_end(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

/*
 * The softmmu's accesses (softmmu.h) at an op.  They do not come back where there
 * is a fault: nothing of the op is done, the exception is taken.
 */
uint64_t mv_memory_read(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned size,
                        unsigned access);
void mv_memory_write(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t value,
                     unsigned size, unsigned access);
void mv_memory_probe(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned len,
                     unsigned size, unsigned access);
void *mv_memory_atomic(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned size,
                       unsigned access);
const struct mv_dtlb_entry *mv_memory_entry(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                            unsigned access);
void mv_memory_check_watch(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned len,
                           unsigned access);
/* Two adjacent values of `size`, or with 16 the halves of one: both or none. */
struct mv_memory_pair {
    uint64_t first, second;
};
struct mv_memory_pair mv_memory_read_pair(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                          unsigned size);
void mv_memory_write_pair(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                          struct mv_memory_pair pair, unsigned size);
/* The data abort of an access that the softmmu lets through. */
_Noreturn void mv_memory_abort(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                               enum mv_fault_status fsc, bool write);

/* Arm ARM D1.3.10.2: a misaligned SP as base. */
static inline bool mv_sp_misaligned(const struct mv_cpu *cpu, const struct mv_op *op)
{
    return MV_UNLIKELY(op->rn == MV_REG_SP && (cpu->x[MV_REG_SP] & 15) != 0) &&
           (cpu->sys.sctlr & (cpu->el == 0 ? MV_SCTLR_SA0 : MV_SCTLR_SA));
}
#define MV_CHECK_SP                                                                                \
    if (mv_sp_misaligned(cpu, op))                                                                 \
    return mv_exception_at(cpu, op, MV_EC_SP_ALIGNMENT, 0)

/*
 * Does an entry with that tag, for reads or for writes, let an access of `total` bytes through,
 * in elements of `size`, a power of two?  The entry was found by the first byte, and what is
 * compared is the last one's page, or where alignment is asked for that of the last element.
 */
static inline bool mv_tag_takes(uint64_t tag, uint64_t va, unsigned total, unsigned size)
{
    if (MV_LIKELY(tag == ((va + total - 1) & MV_PAGE_MASK)))
        return true;
    return (tag ^ MV_TLB_STRICT) == ((va + total - size) & (MV_PAGE_MASK | (size - 1)));
}

static inline struct mv_dtlb_entry *mv_dtlb_entry(struct mv_cpu *cpu, uint64_t va)
{
    return &cpu->mmu.set[(va >> 55) & 1]->d[mv_dtlb_index(va)];
}

/* A compiler that thinks them too large would make a call of the commonest path. */
#define MV_INLINE static inline __attribute__((always_inline))

#define MV_DEFINE_LOAD(bits, type)                                                                 \
    MV_INLINE uint##bits##_t mv_load##bits(struct mv_cpu *cpu, const struct mv_op *op,             \
                                           uint64_t va)                                            \
    {                                                                                              \
        const struct mv_dtlb_entry *entry = mv_dtlb_entry(cpu, va);                                \
        if (mv_tag_takes(entry->read_tag, va, bits / 8, bits / 8)) {                               \
            mv_access_begin(cpu, op);                                                              \
            type value = __atomic_load_n((type *)(va + entry->addend), __ATOMIC_RELAXED);          \
            mv_access_end();                                                                       \
            return value;                                                                          \
        }                                                                                          \
        return (uint##bits##_t)mv_memory_read(cpu, op, va, bits / 8, 0);                           \
    }
#define MV_DEFINE_STORE(bits, type)                                                                \
    MV_INLINE void mv_store##bits(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,         \
                                  uint##bits##_t value)                                            \
    {                                                                                              \
        const struct mv_dtlb_entry *entry = mv_dtlb_entry(cpu, va);                                \
        if (mv_tag_takes(entry->write_tag, va, bits / 8, bits / 8)) {                              \
            mv_access_begin(cpu, op);                                                              \
            __atomic_store_n((type *)(va + entry->addend), value, __ATOMIC_RELAXED);               \
            mv_access_end();                                                                       \
        } else {                                                                                   \
            mv_memory_write(cpu, op, va, value, bits / 8, 0);                                      \
        }                                                                                          \
    }
MV_DEFINE_LOAD(8, uint8_t)
MV_DEFINE_LOAD(16, mv_u16_any)
MV_DEFINE_LOAD(32, mv_u32_any)
MV_DEFINE_LOAD(64, mv_u64_any)
MV_DEFINE_STORE(8, uint8_t)
MV_DEFINE_STORE(16, mv_u16_any)
MV_DEFINE_STORE(32, mv_u32_any)
MV_DEFINE_STORE(64, mv_u64_any)

/* Both by one TLB look-up; the second one's abort leaves the first one undone. */
#define MV_DEFINE_PAIR(name, bits, size, type)                                                     \
    MV_INLINE void mv_load##name(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,          \
                                 uint##bits##_t ret[2])                                            \
    {                                                                                              \
        const struct mv_dtlb_entry *entry = mv_dtlb_entry(cpu, va);                                \
        if (mv_tag_takes(entry->read_tag, va, bits / 4, size)) {                                   \
            const type *host = (type *)(va + entry->addend);                                       \
            mv_access_begin(cpu, op);                                                              \
            ret[0] = __atomic_load_n(&host[0], __ATOMIC_RELAXED);                                  \
            ret[1] = __atomic_load_n(&host[1], __ATOMIC_RELAXED);                                  \
            mv_access_end();                                                                       \
        } else {                                                                                   \
            struct mv_memory_pair pair = mv_memory_read_pair(cpu, op, va, size);                   \
            ret[0] = (uint##bits##_t)pair.first;                                                   \
            ret[1] = (uint##bits##_t)pair.second;                                                  \
        }                                                                                          \
    }                                                                                              \
    MV_INLINE void mv_store##name(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,         \
                                  uint##bits##_t first, uint##bits##_t second)                     \
    {                                                                                              \
        const struct mv_dtlb_entry *entry = mv_dtlb_entry(cpu, va);                                \
        if (mv_tag_takes(entry->write_tag, va, bits / 4, size)) {                                  \
            type *host = (type *)(va + entry->addend);                                             \
            mv_access_begin(cpu, op);                                                              \
            __atomic_store_n(&host[0], first, __ATOMIC_RELAXED);                                   \
            __atomic_store_n(&host[1], second, __ATOMIC_RELAXED);                                  \
            mv_access_end();                                                                       \
        } else {                                                                                   \
            mv_memory_write_pair(cpu, op, va, (struct mv_memory_pair){first, second}, size);       \
        }                                                                                          \
    }
MV_DEFINE_PAIR(32x2, 32, 4, mv_u32_any)
MV_DEFINE_PAIR(64x2, 64, 8, mv_u64_any)
/* A Q register is one element of 16 bytes. */
MV_DEFINE_PAIR(128, 64, 16, mv_u64_any)

#endif
