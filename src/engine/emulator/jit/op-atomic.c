/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of ordered, exclusive and atomic accesses, as interpreter/op-atomic.c has their
 * handlers, which do what the TLB does not let through.  The host's locked instructions have
 * the order of all of them, and XCHG is one.
 */
#include "op-memory.h"

/* Opcodes of the byte's form; the others' are one more. */
enum {
    LOCK_OR = 0x08,
    LOCK_AND = 0x20,
    LOCK_XOR = 0x30,
    XCHG = 0x86,
    CMPXCHG = MV_MAP_0F | 0xb0,
    XADD = MV_MAP_0F | 0xc0,
};

static void emit_locked(struct mv_translator *t, unsigned size, unsigned opcode,
                        struct mv_host_mem at, enum mv_host_reg reg)
{
    struct mv_emit *e = &t->e;
    mv_emit8(e, 0xf0);
    if (size == 2)
        mv_emit8(e, 0x66);
    mv_emit_opcode(e, size == 8, reg, at.index == MV_NO_REG ? 0 : at.index, at.base, size == 1,
                   opcode + (size != 1));
    mv_emit_modrm_mem(e, reg, at);
    mv_access_here(t);
}

/* What the TLB does not let through its handler does, which goes on behind the op. */
static struct mv_cold *emit_tag(struct mv_translator *t, bool write, unsigned size)
{
    mv_emit_base(t);
    size_t place = mv_emit_tag(t, MV_SET_OWN, write, size, true);
    return mv_cold_at(t, MV_COLD_HANDLER, place);
}

/* The host's address in rcx, or with rax added. */
static void emit_host(struct mv_translator *t)
{
    mv_mov_rm(&t->e, true, MV_RCX, MV_ENTRY(MV_SET_OWN, addend));
    mv_alu_rr(&t->e, true, MV_ADD, MV_RCX, MV_RAX);
}
static void emit_addend(struct mv_translator *t)
{
    mv_mov_rm(&t->e, true, MV_RCX, MV_ENTRY(MV_SET_OWN, addend));
}
#define HOST     mv_at(MV_RCX, 0)
#define HOST_RAX mv_at_index(MV_RCX, MV_RAX, 0, 0)

static void set_extended(struct mv_translator *t, unsigned size, unsigned x, enum mv_host_reg from)
{
    if (size < 4)
        mv_extend_rr(&t->e, size, false, true, from, from);
    mv_set(t, x, from);
}

/* --- ordered */

static bool load_acquire(struct mv_translator *t, unsigned size)
{
    enum mv_host_reg to = mv_def(t, t->op.rd, MV_RAX);
    struct mv_cold *cold = emit_tag(t, false, size);
    emit_addend(t);
    mv_load(&t->e, size, false, true, to, HOST_RAX);
    mv_access_here(t);
    mv_set(t, t->op.rd, to);
    mv_cold_back(t, cold);
    return true;
}

static bool store_release(struct mv_translator *t, unsigned size)
{
    struct mv_cold *cold = emit_tag(t, true, size);
    emit_addend(t);
    mv_use_in(t, true, t->op.rd, MV_RDX);
    emit_locked(t, size, XCHG, HOST_RAX, MV_RDX);
    mv_cold_back(t, cold);
    return true;
}

/* --- exclusive: the monitor is a physical address, and what was there */

/* The physical address of rax in `to`: rcx is found by, and stays unless it is that. */
static void emit_pa(struct mv_translator *t, enum mv_host_reg to)
{
    mv_mov_rm(&t->e, true, to, MV_ENTRY(MV_SET_OWN, pa));
    mv_alu_rr(&t->e, true, MV_XOR, to, MV_RAX);
    mv_alu_ri(&t->e, true, MV_AND, to, -4096);
    mv_alu_rr(&t->e, true, MV_XOR, to, MV_RAX);
}

static bool load_exclusive(struct mv_translator *t, unsigned size)
{
    struct mv_cold *cold = emit_tag(t, false, size);
    mv_mov_rm(&t->e, true, MV_RDX, MV_ENTRY(MV_SET_OWN, addend));
    mv_load(&t->e, size, false, true, MV_RDX, mv_at_index(MV_RDX, MV_RAX, 0, 0));
    mv_access_here(t);
    emit_pa(t, MV_RCX);
    mv_mov_mr(&t->e, true, MV_STATE(monitor.pa), MV_RCX);
    mv_mov_mr(&t->e, true, MV_STATE(monitor.value), MV_RDX);
    mv_mov_mi16(&t->e, MV_STATE(monitor.armed), size << 8 | 1);
    mv_set(t, t->op.rd, MV_RDX);
    mv_cold_back(t, cold);
    return true;
}

static bool store_exclusive(struct mv_translator *t, unsigned size)
{
    _Static_assert(offsetof(struct mv_arm64_monitor, size) ==
                       offsetof(struct mv_arm64_monitor, armed) + 1,
                   "both are set, and compared, at once");
    struct mv_cold *cold = emit_tag(t, true, size);
    emit_pa(t, MV_RDX);
    mv_alu_rm(&t->e, true, MV_CMP, MV_RDX, MV_STATE(monitor.pa));
    size_t elsewhere = mv_jcc(&t->e, MV_CC_NE);
    mv_load(&t->e, 2, false, false, MV_RDX, MV_STATE(monitor.armed));
    mv_alu_ri(&t->e, false, MV_CMP, MV_RDX, (int32_t)(size << 8 | 1));
    size_t not_armed = mv_jcc(&t->e, MV_CC_NE);
    emit_host(t);
    mv_mov_rm(&t->e, true, MV_RAX, MV_STATE(monitor.value));
    emit_locked(t, size, CMPXCHG, HOST, mv_use(t, t->op.rd, MV_RDX));
    mv_land(t, elsewhere);
    mv_land(t, not_armed);
    /* All three come here with ZF where it was stored. */
    mv_setcc(&t->e, MV_CC_NE, MV_RAX);
    mv_extend_rr(&t->e, 1, false, false, MV_RAX, MV_RAX);
    mv_emit_rm(&t->e, false, 0xc6, 0, MV_STATE(monitor.armed)); /* mov byte, 0 */
    mv_emit8(&t->e, 0);
    mv_set(t, t->op.rm, MV_RAX);
    mv_cold_back(t, cold);
    return true;
}

/* --- atomic: rd gets the old value, rm is the operand */

static bool fetch(struct mv_translator *t, unsigned opcode, unsigned size)
{
    struct mv_cold *cold = emit_tag(t, true, size);
    emit_addend(t);
    mv_use_in(t, true, t->op.rm, MV_RDX);
    emit_locked(t, size, opcode, HOST_RAX, MV_RDX);
    set_extended(t, size, t->op.rd, MV_RDX);
    mv_cold_back(t, cold);
    return true;
}

/* What is computed of the old value is stored where that is still there. */
static void emit_retries(struct mv_translator *t, enum mv_host_alu alu, bool inverted,
                         unsigned size)
{
    mv_load(&t->e, size, false, true, MV_RAX, HOST);
    mv_access_here(t);
    size_t again = t->e.used;
    mv_use_in(t, true, t->op.rm, MV_RDX);
    if (inverted)
        mv_unary(&t->e, true, MV_NOT, MV_RDX);
    mv_alu_rr(&t->e, true, alu, MV_RDX, MV_RAX);
    emit_locked(t, size, CMPXCHG, HOST, MV_RDX);
    mv_set_target(&t->e, mv_jcc(&t->e, MV_CC_NE), again);
    set_extended(t, size, t->op.rd, MV_RAX);
}

/* One instruction of the host's, where nobody wants what was there. */
static bool bits(struct mv_translator *t, enum mv_host_alu alu, bool inverted, unsigned opcode,
                 unsigned size)
{
    struct mv_cold *cold = emit_tag(t, true, size);
    emit_host(t);
    if (t->op.rd == MV_REG_SINK) {
        mv_use_in(t, true, t->op.rm, MV_RDX);
        if (inverted)
            mv_unary(&t->e, true, MV_NOT, MV_RDX);
        emit_locked(t, size, opcode, HOST, MV_RDX);
    } else {
        emit_retries(t, alu, inverted, size);
    }
    mv_cold_back(t, cold);
    return true;
}

/* rm is compared and gets the old value, rd is stored. */
static bool compare_and_swap(struct mv_translator *t, unsigned size)
{
    struct mv_cold *cold = emit_tag(t, true, size);
    emit_host(t);
    mv_use_in(t, size == 8, t->op.rm, MV_RAX);
    emit_locked(t, size, CMPXCHG, HOST, mv_use(t, t->op.rd, MV_RDX));
    set_extended(t, size, t->op.rm == MV_REG_ZR ? MV_REG_SINK : t->op.rm, MV_RAX);
    mv_cold_back(t, cold);
    return true;
}

#define EMIT(name, bits_, call)                                                                    \
    bool mv_emit_##name##bits_(struct mv_translator *t)                                            \
    {                                                                                              \
        const unsigned size = bits_ / 8;                                                           \
        return call;                                                                               \
    }
#define SIZES(name, call) EMIT(name, 8, call) EMIT(name, 16, call) EMIT(name, 32, call)            \
    EMIT(name, 64, call)
SIZES(ldar, load_acquire(t, size))
SIZES(stlr, store_release(t, size))
SIZES(ldxr, load_exclusive(t, size))
SIZES(stxr, store_exclusive(t, size))
SIZES(ldadd, fetch(t, XADD, size))
SIZES(swp, fetch(t, XCHG, size))
SIZES(ldclr, bits(t, MV_AND, true, LOCK_AND, size))
SIZES(ldeor, bits(t, MV_XOR, false, LOCK_XOR, size))
SIZES(ldset, bits(t, MV_OR, false, LOCK_OR, size))
SIZES(cas, compare_and_swap(t, size))
