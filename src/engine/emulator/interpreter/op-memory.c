/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of loads and stores of general and vector registers (Arm ARM C6.2,
 * C7.2).  Nothing of the CPU changes before the access has succeeded, so an
 * instruction that aborts starts again.
 */
#include "alu.h"
#include "exception.h"
#include "memory.h"
#include "vector.h"

#define BASE cpu->x[op->rn]

#define CHECK_NOTHING (void)0

/* Addressing modes: the address, and the writeback once the access is done. */
#define ADDRESS_imm (BASE + op->imm)
#define ADDRESS_post BASE
#define ADDRESS_pre (BASE + op->imm)
#define ADDRESS_reg (BASE + (cpu->x[op->rm] << op->imm))
#define ADDRESS_ext (BASE + mv_extend(cpu->x[op->rm], op->aux, (unsigned)op->imm))
#define WRITEBACK_imm (void)0
#define WRITEBACK_post BASE = va + op->imm
#define WRITEBACK_pre BASE = va
#define WRITEBACK_reg (void)0
#define WRITEBACK_ext (void)0

#define ACCESS_MODE(name, mode, check, access)                                                     \
    MV_OP(name##_##mode)                                                                           \
    {                                                                                              \
        check;                                                                                     \
        MV_CHECK_SP;                                                                               \
        uint64_t va = ADDRESS_##mode;                                                              \
        access;                                                                                    \
        WRITEBACK_##mode;                                                                          \
        MV_NEXT;                                                                                   \
    }
#define PAIR(name, check, access)                                                                  \
    ACCESS_MODE(name, imm, check, access)                                                          \
    ACCESS_MODE(name, post, check, access)                                                         \
    ACCESS_MODE(name, pre, check, access)
#define SINGLE(name, check, access)                                                                \
    PAIR(name, check, access)                                                                      \
    ACCESS_MODE(name, reg, check, access)                                                          \
    ACCESS_MODE(name, ext, check, access)

#define RT cpu->x[op->rd]
#define RT2 cpu->x[op->ra]
#define LOAD(name, value) SINGLE(name, CHECK_NOTHING, RT = (value))
#define STORE(name, store) SINGLE(name, CHECK_NOTHING, store)

LOAD(ldr8, mv_load8(cpu, op, va))
LOAD(ldr16, mv_load16(cpu, op, va))
LOAD(ldr32, mv_load32(cpu, op, va))
LOAD(ldr64, mv_load64(cpu, op, va))
LOAD(ldrs8_x, (uint64_t)(int8_t)mv_load8(cpu, op, va))
LOAD(ldrs16_x, (uint64_t)(int16_t)mv_load16(cpu, op, va))
LOAD(ldrs32_x, (uint64_t)(int32_t)mv_load32(cpu, op, va))
LOAD(ldrs8_w, (uint32_t)(int8_t)mv_load8(cpu, op, va))
LOAD(ldrs16_w, (uint32_t)(int16_t)mv_load16(cpu, op, va))
STORE(str8, mv_store8(cpu, op, va, (uint8_t)RT))
STORE(str16, mv_store16(cpu, op, va, (uint16_t)RT))
STORE(str32, mv_store32(cpu, op, va, (uint32_t)RT))
STORE(str64, mv_store64(cpu, op, va, RT))

/* Scalar vector-register accesses: the rest of the register becomes zero. */
#define VT cpu->v[op->rd]
#define VT2 cpu->v[op->ra]

static inline void set_v(union mv_vreg *v, uint64_t low, uint64_t high)
{
    v->d[0] = low;
    v->d[1] = high;
}

static inline void load_v128(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                             union mv_vreg *v)
{
    uint64_t d[2];
    mv_load128(cpu, op, va, d);
    set_v(v, d[0], d[1]);
}

#define LOAD_V(bits) SINGLE(ldr_v##bits, MV_CHECK_FP, set_v(&VT, mv_load##bits(cpu, op, va), 0))
LOAD_V(8)
LOAD_V(16)
LOAD_V(32)
LOAD_V(64)
SINGLE(ldr_v128, MV_CHECK_FP, load_v128(cpu, op, va, &VT))
SINGLE(str_v8, MV_CHECK_FP, mv_store8(cpu, op, va, VT.b[0]))
SINGLE(str_v16, MV_CHECK_FP, mv_store16(cpu, op, va, VT.h[0]))
SINGLE(str_v32, MV_CHECK_FP, mv_store32(cpu, op, va, VT.s[0]))
SINGLE(str_v64, MV_CHECK_FP, mv_store64(cpu, op, va, VT.d[0]))
SINGLE(str_v128, MV_CHECK_FP, mv_store128(cpu, op, va, VT.d[0], VT.d[1]))

#define LOAD_PAIR(name, bits, convert)                                                             \
    PAIR(name, CHECK_NOTHING, {                                                                    \
        uint##bits##_t value[2];                                                                   \
        mv_load##bits##x2(cpu, op, va, value);                                                     \
        RT = convert value[0];                                                                     \
        RT2 = convert value[1];                                                                    \
    })
LOAD_PAIR(ldp32, 32, )
LOAD_PAIR(ldp64, 64, )
LOAD_PAIR(ldps32, 32, (uint64_t)(int32_t))
PAIR(stp32, CHECK_NOTHING, mv_store32x2(cpu, op, va, (uint32_t)RT, (uint32_t)RT2))
PAIR(stp64, CHECK_NOTHING, mv_store64x2(cpu, op, va, RT, RT2))

#define LOAD_PAIR_V(bits)                                                                          \
    PAIR(ldp_v##bits, MV_CHECK_FP, {                                                               \
        uint##bits##_t value[2];                                                                   \
        mv_load##bits##x2(cpu, op, va, value);                                                     \
        set_v(&VT, value[0], 0);                                                                   \
        set_v(&VT2, value[1], 0);                                                                  \
    })
LOAD_PAIR_V(32)
LOAD_PAIR_V(64)
PAIR(stp_v32, MV_CHECK_FP, mv_store32x2(cpu, op, va, VT.s[0], VT2.s[0]))
PAIR(stp_v64, MV_CHECK_FP, mv_store64x2(cpu, op, va, VT.d[0], VT2.d[0]))

PAIR(ldp_v128, MV_CHECK_FP, {
    uint64_t first[2];
    uint64_t second[2];
    if (MV_UNLIKELY((va & 0xfff) > 0xfe0))
        mv_memory_probe(cpu, op, va, 32, 16, 0);
    mv_load128(cpu, op, va, first);
    mv_load128(cpu, op, va + 16, second);
    set_v(&VT, first[0], first[1]);
    set_v(&VT2, second[0], second[1]);
})
PAIR(stp_v128, MV_CHECK_FP, {
    if (MV_UNLIKELY((va & 0xfff) > 0xfe0))
        mv_memory_probe(cpu, op, va, 32, 16, MV_ACCESS_WRITE);
    mv_store128(cpu, op, va, VT.d[0], VT.d[1]);
    mv_store128(cpu, op, va + 16, VT2.d[0], VT2.d[1]);
})

/* PC-relative literals. */
#define LITERAL(name, check, access)                                                               \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        check;                                                                                     \
        uint64_t va = mv_op_pc(cpu, op) + op->imm;                                                 \
        access;                                                                                    \
        MV_NEXT;                                                                                   \
    }
LITERAL(ldr32_lit, CHECK_NOTHING, RT = mv_load32(cpu, op, va))
LITERAL(ldr64_lit, CHECK_NOTHING, RT = mv_load64(cpu, op, va))
LITERAL(ldrs32_lit, CHECK_NOTHING, RT = (uint64_t)(int32_t)mv_load32(cpu, op, va))
LITERAL(ldr_v32_lit, MV_CHECK_FP, set_v(&VT, mv_load32(cpu, op, va), 0))
LITERAL(ldr_v64_lit, MV_CHECK_FP, set_v(&VT, mv_load64(cpu, op, va), 0))
LITERAL(ldr_v128_lit, MV_CHECK_FP, load_v128(cpu, op, va, &VT))

/*
 * Unprivileged accesses: with EL0's permissions.  aux: bytes; ra: the width to
 * sign-extend to (0: none).
 */
MV_OP(ldtr)
{
    MV_CHECK_SP;
    uint64_t value = mv_memory_read(cpu, op, BASE + op->imm, op->aux, MV_ACCESS_EL0);
    if (op->ra != 0) {
        unsigned unused = 64 - 8 * op->aux;
        value = (uint64_t)((int64_t)(value << unused) >> unused);
        if (op->ra == 32)
            value = (uint32_t)value;
    }
    RT = value;
    MV_NEXT;
}

MV_OP(sttr)
{
    MV_CHECK_SP;
    mv_memory_write(cpu, op, BASE + op->imm, RT, op->aux, MV_ACCESS_EL0);
    MV_NEXT;
}
