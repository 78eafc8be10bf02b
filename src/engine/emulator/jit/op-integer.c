/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of integer instructions, as interpreter/op-integer.c has their handlers: sums,
 * logic, comparisons and what depends on NZCV.  The others are in op-bits.c.
 */
#include "op-integer.h"

/* --- the second operand: a guest's register as it is, or one of the host's, or a number */

struct operand {
    enum { GUEST, HOST, NUMBER } kind;
    unsigned reg;
    int32_t number;
};

static struct operand guest(const struct mv_translator *t)
{
    return (struct operand){GUEST, RM, 0};
}

/* In rcx: what op->imm is, where it is too long for an instruction. */
static struct operand number(struct mv_translator *t, bool w)
{
    if (!w || (int64_t)t->op.imm == (int32_t)t->op.imm)
        return (struct operand){NUMBER, 0, (int32_t)t->op.imm};
    mv_mov_ri(&t->e, MV_RCX, t->op.imm);
    return (struct operand){HOST, MV_RCX, 0};
}

static struct operand shifted(struct mv_translator *t, bool w, unsigned kind)
{
    static const uint8_t shifts[] = {MV_SHL, MV_SHR, MV_SAR, MV_ROR};
    mv_use_in(t, w, RM, MV_RCX);
    mv_shift_ri(&t->e, w, shifts[kind], MV_RCX, (unsigned)t->op.imm);
    t->eflags = false;
    return (struct operand){HOST, MV_RCX, 0};
}

static struct operand extended(struct mv_translator *t)
{
    unsigned option = t->op.aux;
    enum mv_host_reg from = mv_use(t, RM, MV_RCX);
    mv_extend_rr(&t->e, 1u << (option & 3), option & 4, true, MV_RCX, from);
    if (t->op.imm != 0) {
        mv_shift_ri(&t->e, true, MV_SHL, MV_RCX, (unsigned)t->op.imm);
        t->eflags = false;
    }
    return (struct operand){HOST, MV_RCX, 0};
}

static void apply(struct mv_translator *t, bool w, enum mv_host_alu alu, enum mv_host_reg to,
                  struct operand m)
{
    if (m.kind == GUEST)
        mv_alu_x(t, w, alu, to, m.reg);
    else if (m.kind == HOST)
        mv_alu_rr(&t->e, w, alu, to, m.reg);
    else
        mv_alu_ri(&t->e, w, alu, to, m.number);
    t->eflags = false;
}

/* Where to compute rd from rn, which is there already: not where the operand stands. */
static enum mv_host_reg prepare(struct mv_translator *t, bool w, struct operand m)
{
    enum mv_host_reg to = mv_def(t, RD, MV_RAX);
    bool taken = m.kind == GUEST && RD == m.reg && RD != RN;
    if (taken && to != MV_RAX)
        to = MV_RAX;
    if (to == MV_RAX || to != mv_host_of(t, RN))
        mv_use_in(t, w, RN, to);
    return to;
}

/* --- addition, subtraction, logic */

enum flags { NONE, COMPARED, ADDED, LOGIC };

static void keep_flags(struct mv_translator *t, enum flags flags)
{
    if (flags == COMPARED)
        mv_flags_set(t);
    else if (flags == ADDED)
        mv_flags_set_added(t);
    else if (flags == LOGIC)
        mv_flags_set_logic(t);
}

static bool alu(struct mv_translator *t, bool w, enum mv_host_alu how, struct operand m,
                enum flags flags)
{
    if (flags == COMPARED && how == MV_SUB && RD == MV_REG_SINK) {
        apply(t, w, MV_CMP, mv_use(t, RN, MV_RAX), m);
    } else if (how == MV_AND && RD == MV_REG_SINK && m.kind != GUEST) {
        enum mv_host_reg n = mv_use(t, RN, MV_RAX);
        if (m.kind == HOST)
            mv_test_rr(&t->e, w, n, m.reg);
        else
            mv_test_ri(&t->e, w, n, m.number);
        t->eflags = false;
    } else {
        enum mv_host_reg to = prepare(t, w, m);
        apply(t, w, how, to, m);
        mv_set(t, RD, to);
    }
    keep_flags(t, flags);
    return true;
}

/* Through its opposite, bit by bit: BIC, ORN, EON and BICS. */
static bool alu_not(struct mv_translator *t, bool w, enum mv_host_alu how, struct operand m,
                    enum flags flags)
{
    if (m.kind == GUEST)
        mv_use_in(t, w, m.reg, MV_RCX);
    mv_unary(&t->e, w, MV_NOT, MV_RCX);
    return alu(t, w, how, (struct operand){HOST, MV_RCX, 0}, flags);
}

/* Without EFLAGS. */
static bool add(struct mv_translator *t, bool w, struct mv_host_mem sum)
{
    enum mv_host_reg to = mv_def(t, RD, MV_RAX);
    mv_lea(&t->e, w, to, sum);
    mv_set(t, RD, to);
    return true;
}

EACH(add_imm, {
    if ((int64_t)t->op.imm != (int32_t)t->op.imm)
        return false;
    return add(t, w, mv_at(mv_use(t, RN, MV_RAX), (int32_t)t->op.imm));
})
EACH(add_reg, {
    enum mv_host_reg n = mv_use(t, RN, MV_RAX);
    return add(t, w, mv_at_index(n, mv_use(t, RM, MV_RCX), 0, 0));
})
EACH(add_lsl, {
    if (t->op.imm > 3)
        return alu(t, w, MV_ADD, shifted(t, w, MV_SHIFT_LSL), NONE);
    enum mv_host_reg n = mv_use(t, RN, MV_RAX);
    return add(t, w, mv_at_index(n, mv_use(t, RM, MV_RCX), (unsigned)t->op.imm, 0));
})
EACH(add_ext, {
    enum mv_host_reg n = mv_use(t, RN, MV_RAX);
    return add(t, w, mv_at_index(n, extended(t).reg, 0, 0));
})
DO(adds_imm, alu(t, w, MV_ADD, number(t, w), ADDED))
DO(subs_imm, alu(t, w, MV_SUB, number(t, w), COMPARED))
DO(sub_ext, alu(t, w, MV_SUB, extended(t), NONE))
DO(adds_ext, alu(t, w, MV_ADD, extended(t), ADDED))
DO(subs_ext, alu(t, w, MV_SUB, extended(t), COMPARED))
DO(add_sh, alu(t, w, MV_ADD, shifted(t, w, t->op.aux), NONE))

#define SHIFTED_BUT_SH(name, function, how, flags)                                                 \
    DO(name##_reg, function(t, w, how, guest(t), flags))                                           \
    DO(name##_lsl, function(t, w, how, shifted(t, w, MV_SHIFT_LSL), flags))
#define SHIFTED(name, function, how, flags)                                                        \
    SHIFTED_BUT_SH(name, function, how, flags)                                                     \
    DO(name##_sh, function(t, w, how, shifted(t, w, t->op.aux), flags))
SHIFTED(sub, alu, MV_SUB, NONE)
SHIFTED(adds, alu, MV_ADD, ADDED)
SHIFTED(subs, alu, MV_SUB, COMPARED)
SHIFTED(and, alu, MV_AND, NONE)
SHIFTED(orr, alu, MV_OR, NONE)
SHIFTED(eor, alu, MV_XOR, NONE)
SHIFTED(ands, alu, MV_AND, LOGIC)
SHIFTED(bic, alu_not, MV_AND, NONE)
SHIFTED(orn, alu_not, MV_OR, NONE)
SHIFTED(eon, alu_not, MV_XOR, NONE)
SHIFTED(bics, alu_not, MV_AND, LOGIC)

static bool with_carry(struct mv_translator *t, bool w, bool subtract, enum flags flags)
{
    struct operand m = guest(t);
    enum mv_host_reg to = prepare(t, w, m);
    mv_flags_load_carry(t, subtract);
    apply(t, w, subtract ? MV_SBB : MV_ADC, to, m);
    mv_set(t, RD, to);
    keep_flags(t, flags);
    return true;
}
DO(adc, with_carry(t, w, false, NONE))
DO(sbc, with_carry(t, w, true, NONE))
DO(adcs, with_carry(t, w, false, ADDED))
DO(sbcs, with_carry(t, w, true, COMPARED))

/* Of 64 bits: a mask of 32 or fewer makes the upper half zero by itself. */
bool mv_emit_and_imm(struct mv_translator *t)
{
    bool w = t->op.imm >> 32 != 0;
    return alu(t, w, MV_AND, number(t, w), NONE);
}
DO(orr_imm, alu(t, w, MV_OR, number(t, w), NONE))
DO(eor_imm, alu(t, w, MV_XOR, number(t, w), NONE))
DO(ands_imm, alu(t, w, MV_AND, number(t, w), LOGIC))

/* --- conditions */

enum other { AS_IT_IS, INCREMENTED, INVERTED, NEGATED };

static void change(struct mv_translator *t, bool w, enum other other, enum mv_host_reg r)
{
    if (other == INVERTED || other == NEGATED)
        mv_unary(&t->e, w, MV_NOT, r);
    if (other == INCREMENTED || other == NEGATED)
        mv_lea(&t->e, w, r, mv_at(r, 1));
}

static bool select(struct mv_translator *t, bool w, enum other other)
{
    enum mv_host_cond cc;
    enum mv_host_reg to = MV_RCX, own = mv_host_of(t, RD);
    bool either = mv_flags_condition(t, t->op.aux, &cc);
    if (either && other == INCREMENTED && RN == MV_REG_ZR && RM == MV_REG_ZR) { /* CSET */
        mv_mov_ri(&t->e, to, 0);
        mv_setcc(&t->e, cc ^ 1, to);
    } else if (either && other == AS_IT_IS && RD == RN && own != MV_NO_REG) {
        to = own;
        mv_cmov(&t->e, w, cc ^ 1, to, mv_use(t, RM, MV_RCX));
    } else {
        to = RD == RN ? MV_RCX : mv_def(t, RD, MV_RCX);
        mv_use_in(t, w, RM, to);
        change(t, w, other, to);
        enum mv_host_reg n = mv_use(t, RN, MV_RDX);
        if (either)
            mv_cmov(&t->e, w, cc, to, n);
        else
            mv_mov_rr(&t->e, w, to, n);
    }
    mv_set(t, RD, to);
    return true;
}
DO(csel, select(t, w, AS_IT_IS))
DO(csinc, select(t, w, INCREMENTED))
DO(csinv, select(t, w, INVERTED))
DO(csneg, select(t, w, NEGATED))

/* Both ways end with NZCV in EFLAGS. */
static bool compare_if(struct mv_translator *t, bool w, enum mv_host_alu how, struct operand m)
{
    enum mv_host_cond cc;
    enum flags flags = how == MV_CMP ? COMPARED : ADDED;
    bool die = t->flags_die;
    bool either = mv_flags_condition(t, t->op.aux, &cc);
    size_t otherwise = either ? mv_jcc(&t->e, cc ^ 1) : 0;
    if (how == MV_ADD)
        mv_use_in(t, w, RN, MV_RAX);
    apply(t, w, how, how == MV_ADD ? MV_RAX : mv_use(t, RN, MV_RAX), m);
    keep_flags(t, flags);
    if (!either)
        return true;
    size_t end = mv_jmp(&t->e);
    mv_land(t, otherwise);
    mv_mov_ri(&t->e, MV_RAX, mv_flags_of_nzcv((uint32_t)(t->op.imm >> 32)));
    if (!die)
        mv_store(&t->e, 2, MV_STATE(jit_flags), MV_RAX);
    mv_flags_from_ax(t);
    mv_land(t, end);
    return true;
}

static struct operand low_number(const struct mv_translator *t)
{
    return (struct operand){NUMBER, 0, (int32_t)(uint32_t)t->op.imm};
}
DO(ccmp_imm, compare_if(t, w, MV_CMP, low_number(t)))
DO(ccmp_reg, compare_if(t, w, MV_CMP, guest(t)))
DO(ccmn_imm, compare_if(t, w, MV_ADD, low_number(t)))
DO(ccmn_reg, compare_if(t, w, MV_ADD, guest(t)))
