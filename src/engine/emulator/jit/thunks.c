/* SPDX-License-Identifier: Apache-2.0 */
/* The code that all units of a vCPU share, at the start of its memory (jit.h). */
#include "memory.h"
#include "op-memory.h"

/* The frame of a unit: what C wants back, and rsp a multiple of 16. */
static const enum mv_host_reg kept[] = {MV_RBX, MV_RBP, MV_R12, MV_R13, MV_R14, MV_R15};
#define KEPT (sizeof kept / sizeof kept[0])

static void begin(struct mv_jit *jit, struct mv_emit *e, enum mv_jit_thunk thunk)
{
    jit->thunks[thunk] = (uint32_t)e->used;
}

static void go_to(const struct mv_jit *jit, struct mv_emit *e, enum mv_jit_thunk thunk)
{
    mv_set_target(e, mv_jmp(e), jit->thunks[thunk]);
}

/* Registers that stand in the host's; those that C leaves as they were need not be loaded. */
static void load_registers(struct mv_emit *e, bool all)
{
    for (unsigned x = 0; x < MV_REG_COUNT; x++) {
        if (mv_host_usual(x) != MV_NO_REG && (all || !mv_host_is_kept(mv_host_usual(x))))
            mv_mov_rm(e, true, mv_host_usual(x), mv_x_at(x));
    }
}

/* Of the half that the code is in. */
static void load_set(struct mv_emit *e)
{
    mv_mov_rm(e, true, MV_RCX, MV_STATE(page_va));
    mv_shift_ri(e, true, MV_SHR, MV_RCX, 55);
    mv_alu_ri(e, false, MV_AND, MV_RCX, 1);
    mv_mov_rm(e, true, MV_SET, mv_at_index(MV_BASE, MV_RCX, 3, MV_STATE(mmu.set).disp));
}

/*
 * At the start of the memory, where mv_jit_ops.entry leads to that is 0: eax is where in its
 * page the op is.
 */
static void emit_no_unit(struct mv_emit *e, size_t *ret_place)
{
    mv_shift_ri(e, false, MV_SHL, MV_RAX, 2);
    *ret_place = mv_jmp(e);
}

static void emit_enter(struct mv_jit *jit, struct mv_emit *e)
{
    begin(jit, e, MV_THUNK_ENTER);
    for (size_t i = 0; i < KEPT; i++)
        mv_push(e, kept[i]);
    mv_alu_ri(e, true, MV_SUB, MV_RSP, 8);
    mv_lea(e, true, MV_BASE, mv_at(MV_RDI, offsetof(struct mv_cpu, x[16])));
    mv_mov_rr(e, true, MV_RAX, MV_RSI);
    load_set(e);
    load_registers(e, true);
    mv_jmp_reg(e, MV_RAX);
}

/* rax is what C gets. */
static size_t emit_exit(struct mv_emit *e)
{
    size_t here = e->used;
    mv_alu_ri(e, true, MV_ADD, MV_RSP, 8);
    for (size_t i = KEPT; i-- > 0;)
        mv_pop(e, kept[i]);
    mv_emit8(e, MV_RET);
    return here;
}

static void emit_exits(struct mv_jit *jit, struct mv_emit *e)
{
    size_t exit = emit_exit(e);
    begin(jit, e, MV_THUNK_INTERPRET);
    mv_alu_ri(e, false, MV_OR, MV_RAX, 1);
    begin(jit, e, MV_THUNK_EXIT_OP);
    mv_alu_rm(e, true, MV_ADD, MV_RAX, MV_STATE(page_ops));
    mv_set_target(e, mv_jmp(e), exit);
    begin(jit, e, MV_THUNK_LEAVE);
    mv_alu_rm(e, true, MV_ADD, MV_RAX, MV_STATE(page_va));
    size_t leave = mv_jmp(e);
    begin(jit, e, MV_THUNK_LEAVE_FOR);
    mv_alu_rr(e, true, MV_ADD, MV_RAX, MV_RDX);
    mv_set_target(e, leave, e->used);
    mv_mov_mr(e, true, MV_STATE(pc), MV_RAX);
    mv_mov_ri(e, MV_RAX, 0);
    mv_set_target(e, mv_jmp(e), exit);
}

/*
 * A C function (cpu, op, rdx …) of a unit that goes on behind it: rax and rdx are what it
 * returned.  It may unwind, so all has to stand where C looks for it.
 */
static void emit_call(struct mv_jit *jit, struct mv_emit *e, enum mv_jit_thunk thunk,
                      const void *function)
{
    begin(jit, e, thunk);
    mv_alu_ri(e, true, MV_SUB, MV_RSP, 8);
    mv_alu_rm(e, true, MV_ADD, MV_RSI, MV_STATE(page_ops));
    mv_lea(e, true, MV_RDI, mv_at(MV_BASE, -(int32_t)offsetof(struct mv_cpu, x[16])));
    mv_mov_ri(e, MV_RAX, (uintptr_t)function);
    mv_call_reg(e, MV_RAX);
    load_registers(e, false);
    mv_alu_ri(e, true, MV_ADD, MV_RSP, 8);
    mv_emit8(e, MV_RET);
}

static uint64_t read8(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    return mv_memory_read(cpu, op, va, 1, 0);
}
static uint64_t read16(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    return mv_memory_read(cpu, op, va, 2, 0);
}
static uint64_t read32(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    return mv_memory_read(cpu, op, va, 4, 0);
}
static uint64_t read64(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    return mv_memory_read(cpu, op, va, 8, 0);
}
static void write8(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t value)
{
    mv_memory_write(cpu, op, va, (uint8_t)value, 1, 0);
}
static void write16(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t value)
{
    mv_memory_write(cpu, op, va, (uint16_t)value, 2, 0);
}
static void write32(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t value)
{
    mv_memory_write(cpu, op, va, (uint32_t)value, 4, 0);
}
static void write64(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t value)
{
    mv_memory_write(cpu, op, va, value, 8, 0);
}
static struct mv_memory_pair read_pair32(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    return mv_memory_read_pair(cpu, op, va, 4);
}
static struct mv_memory_pair read_pair64(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    return mv_memory_read_pair(cpu, op, va, 8);
}
static struct mv_memory_pair read_pair128(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    return mv_memory_read_pair(cpu, op, va, 16);
}
static void write_pair32(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t first,
                         uint64_t second)
{
    mv_memory_write_pair(cpu, op, va, (struct mv_memory_pair){(uint32_t)first, (uint32_t)second},
                         4);
}
static void write_pair64(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t first,
                         uint64_t second)
{
    mv_memory_write_pair(cpu, op, va, (struct mv_memory_pair){first, second}, 8);
}
static void write_pair128(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t first,
                          uint64_t second)
{
    mv_memory_write_pair(cpu, op, va, (struct mv_memory_pair){first, second}, 16);
}

/* What the host's flags say is FPSR's before anybody looks at that.  rsi and r8 stay. */
static void emit_end_fp(struct mv_emit *e)
{
    mv_cmp_mi8(e, MV_STATE(jit_fp), 0);
    size_t none = mv_jcc(e, MV_CC_E);
    mv_push(e, MV_RSI);
    mv_push(e, MV_R8);
    mv_lea(e, true, MV_RDI, mv_at(MV_BASE, -(int32_t)offsetof(struct mv_cpu, x[16])));
    mv_mov_ri(e, MV_RAX, (uintptr_t)mv_jit_fp_end);
    mv_call_reg(e, MV_RAX);
    mv_pop(e, MV_R8);
    mv_pop(e, MV_RSI);
    mv_set_target(e, none, e->used);
}

/*
 * A handler: it goes on at the next op, or all that is left is to return what it did.  The
 * op is kept on the stack meanwhile, which keeps that aligned.
 */
static void emit_handler(struct mv_jit *jit, struct mv_emit *e, enum mv_jit_thunk thunk)
{
    bool system = thunk == MV_THUNK_CALL_SYSTEM;
    begin(jit, e, thunk);
    mv_alu_rm(e, true, MV_ADD, MV_RSI, MV_STATE(page_ops));
    mv_push(e, MV_RSI);
    if (thunk != MV_THUNK_CALL)
        mv_flags_emit_save(e);
    if (system)
        emit_end_fp(e);
    mv_lea(e, true, MV_RDI, mv_at(MV_BASE, -(int32_t)offsetof(struct mv_cpu, x[16])));
    mv_call_reg(e, MV_R8);
    mv_pop(e, MV_RCX);
    mv_lea(e, true, MV_RCX, mv_at(MV_RCX, sizeof(struct mv_op)));
    mv_alu_rr(e, true, MV_CMP, MV_RAX, MV_RCX);
    size_t elsewhere = mv_jcc(e, MV_CC_NE);
    if (thunk != MV_THUNK_CALL)
        mv_flags_emit_load(e);
    if (system)
        load_set(e);
    load_registers(e, system);
    mv_emit8(e, MV_RET);
    mv_set_target(e, elsewhere, e->used);
    mv_alu_ri(e, true, MV_ADD, MV_RSP, 16);
    for (size_t i = KEPT; i-- > 0;)
        mv_pop(e, kept[i]);
    mv_emit8(e, MV_RET);
}

static void emit_begin_fp(struct mv_jit *jit, struct mv_emit *e)
{
    begin(jit, e, MV_THUNK_BEGIN_FP);
    mv_push(e, MV_RSI);
    mv_lea(e, true, MV_RDI, mv_at(MV_BASE, -(int32_t)offsetof(struct mv_cpu, x[16])));
    mv_mov_ri(e, MV_RAX, (uintptr_t)mv_jit_fp_begin);
    mv_call_reg(e, MV_RAX);
    mv_pop(e, MV_RCX);
    load_registers(e, false);
    mv_emit8(e, 0x84); /* test al, al */
    mv_emit8(e, 0xc0);
    size_t not = mv_jcc(e, MV_CC_E);
    mv_emit8(e, MV_RET);
    mv_set_target(e, not, e->used);
    mv_mov_rr(e, false, MV_RAX, MV_RCX);
    mv_alu_ri(e, true, MV_ADD, MV_RSP, 8);
    go_to(jit, e, MV_THUNK_INTERPRET);
}

static struct mv_host_mem entry(enum mv_host_reg base, enum mv_host_reg index, size_t member)
{
    return mv_at_index(base, index, 0, (int32_t)(offsetof(struct mv_tlb_set, d) + member));
}

#define MISSED(member)                                                                             \
    ((int32_t)offsetof(struct mv_jit, member) - (int32_t)offsetof(struct mv_jit, misses_left))

/* Somebody is to look at this one: rdx is &jit->misses_left, and on the stack is which it was. */
static void emit_note_miss(struct mv_emit *e)
{
    mv_push(e, MV_RCX);
    mv_mov_rm(e, false, MV_RCX, mv_at(MV_RSP, 8));
    mv_mov_mr(e, false, mv_at(MV_RDX, MISSED(miss)), MV_RCX);
    mv_mov_rm(e, true, MV_RCX, MV_STATE(page_ops));
    mv_mov_mr(e, true, mv_at(MV_RDX, MISSED(missed_ops)), MV_RCX);
    mv_pop(e, MV_RCX);
}

/* The page's entry becomes the stream's, where it takes the access. */
static void emit_stream(struct mv_jit *jit, struct mv_emit *e, enum mv_jit_thunk thunk)
{
    static const struct {
        size_t from, to;
    } copied[] = {
        {offsetof(struct mv_dtlb_entry, read_tag), offsetof(struct mv_tlb_stream, read_tag)},
        {offsetof(struct mv_dtlb_entry, write_tag), offsetof(struct mv_tlb_stream, write_tag)},
        {offsetof(struct mv_dtlb_entry, addend), offsetof(struct mv_tlb_stream, addend)},
    };
    begin(jit, e, thunk);
    mv_push(e, MV_RCX);
    mv_push(e, MV_RDX);
    mv_extend_rr(e, 1, false, false, MV_RDX, MV_RDX);
    mv_alu_rr(e, true, MV_ADD, MV_RDX, MV_RAX);
    mv_alu_ri(e, true, MV_AND, MV_RDX, -4096);
    mv_push(e, MV_RDX);
    mv_emit_index(e);
    mv_pop(e, MV_RDX);
    size_t tag = copied[thunk == MV_THUNK_STREAM_WRITE].from;
    mv_alu_rm(e, true, MV_CMP, MV_RDX, entry(MV_SET, MV_RCX, tag));
    size_t other = mv_jcc(e, MV_CC_NE);
    mv_alu_rr(e, true, MV_ADD, MV_RCX, MV_SET);
    mv_mov_rm(e, true, MV_RDX, mv_at(MV_RSP, 8));
    mv_push(e, MV_RAX);
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        mv_mov_rm(e, true, MV_RAX, entry(MV_RCX, MV_NO_REG, copied[i].from));
        mv_mov_mr(e, true, mv_at(MV_RDX, (int32_t)copied[i].to), MV_RAX);
    }
    mv_mov_rr(e, true, MV_RCX, MV_RAX);
    mv_mov_ri(e, MV_RDX, 1);
    mv_store(e, 1, mv_at(MV_SET, offsetof(struct mv_tlb_set, streaming)), MV_RDX);
    mv_pop(e, MV_RAX);
    mv_mov_ri(e, MV_RDX, (uintptr_t)&jit->misses_left);
    mv_alu_mi(e, false, MV_SUB, mv_at(MV_RDX, 0), 1);
    size_t looked_at = mv_jcc(e, MV_CC_E);
    size_t back = e->used;
    mv_alu_ri(e, true, MV_ADD, MV_RSP, 16);
    mv_alu_rr(e, false, MV_CMP, MV_RDX, MV_RDX); /* ZF */
    mv_emit8(e, MV_RET);
    mv_set_target(e, other, e->used);
    mv_pop(e, MV_RDX); /* leaves ZF, which is clear */
    mv_pop(e, MV_RCX);
    mv_emit8(e, MV_RET);
    mv_set_target(e, looked_at, e->used);
    emit_note_miss(e);
    mv_set_target(e, mv_jmp(e), back);
}

void mv_thunks_emit(struct mv_jit *jit)
{
    static const struct {
        enum mv_jit_thunk thunk;
        const void *function;
    } calls[] = {
        {MV_THUNK_READ8, read8},
        {MV_THUNK_READ16, read16},
        {MV_THUNK_READ32, read32},
        {MV_THUNK_READ64, read64},
        {MV_THUNK_WRITE8, write8},
        {MV_THUNK_WRITE16, write16},
        {MV_THUNK_WRITE32, write32},
        {MV_THUNK_WRITE64, write64},
        {MV_THUNK_READ_PAIR32, read_pair32},
        {MV_THUNK_READ_PAIR64, read_pair64},
        {MV_THUNK_READ_PAIR128, read_pair128},
        {MV_THUNK_WRITE_PAIR32, write_pair32},
        {MV_THUNK_WRITE_PAIR64, write_pair64},
        {MV_THUNK_WRITE_PAIR128, write_pair128},
    };
    struct mv_emit e = {jit->memory.write, 0, jit->memory.size, false};
    size_t no_unit;
    emit_no_unit(&e, &no_unit);
    emit_enter(jit, &e);
    emit_exits(jit, &e);
    mv_set_target(&e, no_unit, jit->thunks[MV_THUNK_EXIT_OP]);
    emit_handler(jit, &e, MV_THUNK_CALL);
    emit_handler(jit, &e, MV_THUNK_CALL_FLAGS);
    emit_handler(jit, &e, MV_THUNK_CALL_SYSTEM);
    emit_begin_fp(jit, &e);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        emit_call(jit, &e, calls[i].thunk, calls[i].function);
    emit_stream(jit, &e, MV_THUNK_STREAM_READ);
    emit_stream(jit, &e, MV_THUNK_STREAM_WRITE);
    jit->memory.used = jit->first = e.used;
}
