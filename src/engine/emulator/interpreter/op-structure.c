/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD loads and stores of structures (Arm ARM C7.2, LD1 to
 * ST4).  The ra registers run from rd on, round the end of the file; aux is Q,
 * or an element's index.  Writeback adds x[rm] and imm, of which at most one is
 * not zero; without it both are.
 *
 * Elements pass through a buffer.  A load fills all of it before a register
 * changes; both pages are probed before a store changes memory.
 */
#include "memory.h"
#include "vector.h"

#include <string.h>

#define BASE      cpu->x[op->rn]
#define MAX_BYTES 64

/* Transfers are in units of 8 bytes and what remains; none splits an element. */
#define DEFINE_COPY(name, UNIT)                                                                    \
    static inline void name(uint8_t *to, const uint8_t *from, unsigned len)                        \
    {                                                                                              \
        unsigned i = 0;                                                                            \
        for (; i + 8 <= len; i += 8)                                                               \
            UNIT(mv_u64_any);                                                                      \
        if (len & 4) {                                                                             \
            UNIT(mv_u32_any);                                                                      \
            i += 4;                                                                                \
        }                                                                                          \
        if (len & 2) {                                                                             \
            UNIT(mv_u16_any);                                                                      \
            i += 2;                                                                                \
        }                                                                                          \
        if (len & 1)                                                                               \
            UNIT(uint8_t);                                                                         \
    }
#define LOADED(type) *(type *)(to + i) = __atomic_load_n((const type *)(from + i), __ATOMIC_RELAXED)
#define STORED(type) __atomic_store_n((type *)(to + i), *(const type *)(from + i), __ATOMIC_RELAXED)
DEFINE_COPY(copy_from_guest, LOADED)
DEFINE_COPY(copy_to_guest, STORED)

/* Off the hit path go one element at a time: alignment is judged by element. */
static void read_elements(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint8_t *buf,
                          unsigned len, unsigned size)
{
    const struct mv_dtlb_entry *entry = mv_dtlb_entry(cpu, va);
    if (mv_tag_takes(entry->read_tag, va, len, size)) {
        mv_access_begin(cpu, op);
        copy_from_guest(buf, (const uint8_t *)(va + entry->addend), len);
        return;
    }
    mv_memory_probe(cpu, op, va, len, size, 0);
    for (unsigned i = 0; i < len; i += size) {
        uint64_t value = mv_memory_read(cpu, op, va + i, size, 0);
        memcpy(&buf[i], &value, size);
    }
}

static void write_elements(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                           const uint8_t *buf, unsigned len, unsigned size)
{
    const struct mv_dtlb_entry *entry = mv_dtlb_entry(cpu, va);
    if (mv_tag_takes(entry->write_tag, va, len, size)) {
        mv_access_begin(cpu, op);
        copy_to_guest((uint8_t *)(va + entry->addend), buf, len);
        return;
    }
    mv_memory_probe(cpu, op, va, len, size, MV_ACCESS_WRITE);
    for (unsigned i = 0; i < len; i += size) {
        uint64_t value = 0;
        memcpy(&value, &buf[i], size);
        mv_memory_write(cpu, op, va + i, value, size, 0);
    }
}

/* The address is taken before, and written back after, the body's access. */
#define STRUCTURE(name)                                                                            \
    static void do_##name(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va);                \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        MV_CHECK_SP;                                                                               \
        uint64_t va = BASE, step = cpu->x[op->rm] + op->imm;                                       \
        do_##name(cpu, op, va);                                                                    \
        BASE = va + step;                                                                          \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    __attribute__((noinline)) static void do_##name(struct mv_cpu *cpu, const struct mv_op *op,    \
                                                    uint64_t va)
#define REGISTER(i) (&cpu->v[(op->rd + (i)) % 32])

#define LOADS_AND_STORES(bits, type)                                                               \
    /* LD1, ST1 of whole registers, one after the other. */                                        \
    STRUCTURE(vld1_##bits)                                                                         \
    {                                                                                              \
        uint64_t buf[MAX_BYTES / 8];                                                               \
        unsigned doublewords = 1u << op->aux;                                                      \
        read_elements(cpu, op, va, (uint8_t *)buf, 8 * doublewords * op->ra, bits / 8);            \
        for (unsigned r = 0; r < op->ra; r++) {                                                    \
            REGISTER(r)->d[0] = buf[r * doublewords];                                              \
            REGISTER(r)->d[1] = op->aux ? buf[r * doublewords + 1] : 0;                            \
        }                                                                                          \
    }                                                                                              \
    STRUCTURE(vst1_##bits)                                                                         \
    {                                                                                              \
        uint64_t buf[MAX_BYTES / 8];                                                               \
        unsigned doublewords = 1u << op->aux;                                                      \
        for (unsigned r = 0; r < op->ra; r++)                                                      \
            for (unsigned i = 0; i < doublewords; i++)                                             \
                buf[r * doublewords + i] = REGISTER(r)->d[i];                                      \
        write_elements(cpu, op, va, (const uint8_t *)buf, 8 * doublewords * op->ra, bits / 8);     \
    }                                                                                              \
    /* LD2 to LD4, ST2 to ST4: element i of each register in turn. */                              \
    STRUCTURE(vld_##bits)                                                                          \
    {                                                                                              \
        uint64_t buf[MAX_BYTES / 8];                                                               \
        unsigned lanes = (8u << op->aux) / sizeof(type);                                           \
        read_elements(cpu, op, va, (uint8_t *)buf, op->ra *(8u << op->aux), bits / 8);             \
        for (unsigned r = 0; r < op->ra; r++) {                                                    \
            for (unsigned i = 0; i < lanes; i++)                                                   \
                MV_LANE(type, REGISTER(r), i) = MV_LANE(type, buf, i * op->ra + r);                \
            if (op->aux == 0)                                                                      \
                REGISTER(r)->d[1] = 0;                                                             \
        }                                                                                          \
    }                                                                                              \
    STRUCTURE(vst_##bits)                                                                          \
    {                                                                                              \
        uint64_t buf[MAX_BYTES / 8];                                                               \
        unsigned lanes = (8u << op->aux) / sizeof(type);                                           \
        for (unsigned r = 0; r < op->ra; r++)                                                      \
            for (unsigned i = 0; i < lanes; i++)                                                   \
                MV_LANE(type, buf, i * op->ra + r) = MV_LANE(type, REGISTER(r), i);                \
        write_elements(cpu, op, va, (const uint8_t *)buf, op->ra *(8u << op->aux), bits / 8);      \
    }                                                                                              \
    /* One element of each register; the others stay. */                                           \
    STRUCTURE(vld_lane_##bits)                                                                     \
    {                                                                                              \
        type buf[4];                                                                               \
        read_elements(cpu, op, va, (uint8_t *)buf, op->ra * sizeof(type), bits / 8);               \
        for (unsigned r = 0; r < op->ra; r++)                                                      \
            MV_LANE(type, REGISTER(r), op->aux) = buf[r];                                          \
    }                                                                                              \
    STRUCTURE(vst_lane_##bits)                                                                     \
    {                                                                                              \
        type buf[4] = {0};                                                                         \
        for (unsigned r = 0; r < op->ra; r++)                                                      \
            buf[r] = MV_LANE(type, REGISTER(r), op->aux);                                          \
        write_elements(cpu, op, va, (const uint8_t *)buf, op->ra * sizeof(type), bits / 8);        \
    }                                                                                              \
    /* LD1R to LD4R: one structure to all elements. */                                             \
    STRUCTURE(vld_dup_##bits)                                                                      \
    {                                                                                              \
        type buf[4];                                                                               \
        read_elements(cpu, op, va, (uint8_t *)buf, op->ra * sizeof(type), bits / 8);               \
        for (unsigned r = 0; r < op->ra; r++) {                                                    \
            REGISTER(r)->d[1] = 0;                                                                 \
            for (unsigned i = 0; i < (8u << op->aux) / sizeof(type); i++)                          \
                MV_LANE(type, REGISTER(r), i) = buf[r];                                            \
        }                                                                                          \
    }
LOADS_AND_STORES(8, uint8_t)
LOADS_AND_STORES(16, uint16_t)
LOADS_AND_STORES(32, uint32_t)
LOADS_AND_STORES(64, uint64_t)
