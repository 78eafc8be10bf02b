/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter goes first, op by op, as far as a unit could come, and its writes are undone;
 * then the unit runs.  Where that has left earlier, the interpreter does as much once more.
 * What the interpreter writes is seen as a watchpoint sees it (softmmu.h): it looks its pages
 * up in a set of the TLB that is empty, so that no access goes by there.
 */
#include "lockstep.h"

#include "code-cache.h"
#include "interpreter.h"
#include "log.h"
#include "memory.h"
#include "size.h"
#include "sysreg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Registers that C may see: a unit has no others.  XZR's places are nobody's. */
static const struct member {
    const char *name;
    size_t at, size;
    unsigned width; /* of one of them, in bytes */
} members[] = {
#define MEMBER(name) {#name, offsetof(struct mv_cpu, name), sizeof ((struct mv_cpu *)0)->name,     \
                      sizeof ((struct mv_cpu *)0)->name}
#define ARRAY(name) {#name, offsetof(struct mv_cpu, name), sizeof ((struct mv_cpu *)0)->name,      \
                     sizeof ((struct mv_cpu *)0)->name[0]}
    {"x", offsetof(struct mv_cpu, x), MV_REG_SINK * sizeof(uint64_t), sizeof(uint64_t)},
    ARRAY(v),
    MEMBER(nzcv),
    MEMBER(pc),
    MEMBER(el),
    MEMBER(spsel),
    MEMBER(fp_enabled),
    MEMBER(pstate_il),
    MEMBER(pstate_ss),
    MEMBER(daif),
    ARRAY(sp_el),
    MEMBER(fpcr),
    MEMBER(fpsr),
    MEMBER(monitor.armed),
    MEMBER(monitor.size),
    MEMBER(monitor.pa),
    ARRAY(monitor.value),
    {"sys", offsetof(struct mv_cpu, sys), sizeof(struct mv_arm64_system), sizeof(uint64_t)},
#undef MEMBER
#undef ARRAY
};
#define MEMBERS (sizeof members / sizeof members[0])

struct state {
    uint8_t bytes[2048];
};

#define WRITTEN_MAX 4096
struct written {
    uint8_t *host;
    uint64_t va;
    unsigned len;
    uint8_t before[64], interpreted[64], unit[64];
};

struct mv_lockstep {
    struct mv_cpu *cpu;
    struct mv_softmmu_watch watch;
    struct mv_tlb_set empty;
    uint64_t page_va, start; /* of the unit that is looked at */
    const struct mv_op *page_ops;
    sigjmp_buf outer; /* cpu->unwind's */
    uint32_t random;

    uint16_t path[MV_JIT_SLOTS]; /* slots of the ops that the interpreter did */
    unsigned path_count;
    struct written written[WRITTEN_MAX]; /* by it, in its order */
    unsigned written_count;
    struct state before, interpreted, unit;
};
_Static_assert(sizeof(struct mv_arm64_system) + MV_REG_COUNT * 8 + 32 * 16 + 256 <=
                   sizeof(struct state),
               "all members have room");

/* What sigsetjmp returns where both cannot be compared: registers of a device, or too much. */
#define NOT_TWICE 100

/* --- state */

static void keep(const struct mv_cpu *cpu, struct state *state)
{
    uint8_t *to = state->bytes;
    for (size_t i = 0; i < MEMBERS; to += members[i++].size)
        memcpy(to, (const char *)cpu + members[i].at, members[i].size);
}

/* As it was before the unit, memory too. */
static void go_back(struct mv_lockstep *l)
{
    const uint8_t *from = l->before.bytes;
    for (size_t i = 0; i < MEMBERS; from += members[i++].size)
        memcpy((char *)l->cpu + members[i].at, from, members[i].size);
    mv_softmmu_set_el(&l->cpu->mmu, l->cpu->el);
    l->cpu->page_va = l->page_va;
    l->cpu->page_ops = l->page_ops;
    for (unsigned i = l->written_count; i-- > 0;)
        memcpy(l->written[i].host, l->written[i].before, l->written[i].len);
}

/* What the interpreter came to; `count`: of what it wrote, or would have. */
static void keep_interpreted(struct mv_lockstep *l, unsigned count)
{
    keep(l->cpu, &l->interpreted);
    l->written_count = count;
    for (unsigned i = 0; i < count; i++)
        memcpy(l->written[i].interpreted, l->written[i].host, l->written[i].len);
}

/* --- what the interpreter writes */

static void note(struct mv_lockstep *l, uint8_t *host, uint64_t va, unsigned len)
{
    if (l->written_count == WRITTEN_MAX || len > sizeof l->written[0].before)
        siglongjmp(l->cpu->unwind.jump, NOT_TWICE);
    struct written *written = &l->written[l->written_count];
    written->host = host;
    written->va = va;
    written->len = len;
    memcpy(written->before, host, len);
    l->written_count++;
}

static bool see_page(const struct mv_softmmu_watch *watch, uint64_t va)
{
    return false;
}

static bool see_access(const struct mv_softmmu_watch *watch, uint64_t va, unsigned len,
                       unsigned access, struct mv_mmu_fault *ret)
{
    struct mv_lockstep *l =
        (struct mv_lockstep *)((char *)(uintptr_t)watch - offsetof(struct mv_lockstep, watch));
    struct mv_softmmu *mmu = &l->cpu->mmu;
    unsigned el = access & MV_ACCESS_EL0 ? 0 : mmu->el;
    while (len > 0) {
        unsigned rest = (unsigned)(MV_PAGE_SIZE - (va & ~MV_PAGE_MASK)),
                 part = len < rest ? len : rest;
        const struct mv_dtlb_entry *entry =
            mv_tlb_recall(mv_tlb_set_of(&mmu->tlb, va, el), va);
        if (entry->pa & MV_TLB_ATTR_MMIO)
            siglongjmp(l->cpu->unwind.jump, NOT_TWICE);
        if (access & MV_ACCESS_WRITE)
            note(l, (uint8_t *)(va + entry->addend), va, part);
        va += part;
        len -= part;
    }
    return false;
}

/* --- the interpreter */

/* Done twice from the same state, it comes to the same both times. */
static bool is_repeatable(const struct mv_op *op, uint16_t code)
{
    if (!(mv_op_traits[code].writes & MV_OPERAND_OTHER))
        return true;
    if (code != MV_OPCODE_mrs && code != MV_OPCODE_msr)
        return code == MV_OPCODE_msr_daifset;
    const struct mv_sysreg *reg = mv_sysreg_of(op);
    if (code == MV_OPCODE_mrs)
        return reg->read == NULL || reg->encoding == MV_SYSREG_SP_EL0;
    return reg->encoding == MV_SYSREG_DC_ZVA ||
           (reg->write == NULL && reg->changed == NULL &&
            !(reg->flags & (MV_SYSREG_EXIT | MV_SYSREG_CODE)));
}

/* What it does, the next op apart, may not be an exception. */
static bool is_branch(uint16_t code)
{
    return (mv_op_traits[code].flags & (MV_OP_ENDS | MV_OP_FAULTS)) == MV_OP_ENDS;
}

static uint16_t code_of(struct mv_cpu *cpu, const struct mv_op *op)
{
    const struct mv_jit_page *page = *mv_jit_page_place(cpu->page_ops);
    if (mv_jit_code(page, op) == MV_OPCODE_decode) {
        mv_access_begin(cpu, op);
        mv_code_cache_decode(cpu->code, cpu->page_ops, op);
    }
    return mv_jit_code(page, op);
}

/*
 * On from the unit's first op to `end`, else to what no unit comes to in one go: where control
 * goes back or leaves the page, and what is not done twice.  cpu->pc says where it came to.
 */
static void walk(struct mv_lockstep *l, struct mv_cpu *cpu, uint64_t end)
{
    const struct mv_op *op = &l->page_ops[(l->start & ~MV_PAGE_MASK) / 4];
    for (;;) {
        uint16_t code = code_of(cpu, op);
        cpu->pc = mv_op_pc(cpu, op);
        if (cpu->pc == end || !is_repeatable(op, code))
            return;
        l->path[l->path_count++] = (uint16_t)(op - l->page_ops);
        const struct mv_op *next = mv_op_returning[code](cpu, op);
        if (next == NULL) {
            if (!is_branch(code) || (cpu->pc & ~UINT64_C(0xffc)) != l->page_va)
                return;
            next = &l->page_ops[(cpu->pc & ~MV_PAGE_MASK) / 4];
        }
        cpu->pc = mv_op_pc(cpu, next);
        if (next <= op || next == &l->page_ops[MV_JIT_SLOTS])
            return;
        op = next;
    }
}

/* From the state before; false: not to be compared. */
static bool interpret(struct mv_lockstep *l, uint64_t end)
{
    struct mv_cpu *cpu = l->cpu;
    l->path_count = l->written_count = 0;
    cpu->mmu.set[0] = cpu->mmu.set[1] = &l->empty;
    cpu->mmu.watch = &l->watch;
    int why = sigsetjmp(cpu->unwind.jump, 0);
    if (why == 0)
        walk(l, cpu, end);
    cpu->mmu.watch = NULL;
    mv_softmmu_set_el(&cpu->mmu, cpu->el);
    memcpy(&cpu->unwind.jump, &l->outer, sizeof l->outer);
    return why == 0 || why == 1;
}

/* --- the unit */

/* cpu->pc is where it came to, whatever it was that ended it.  False: memory is not there. */
static bool run_unit(struct mv_lockstep *l, const struct mv_op *op, const struct mv_op *volatile *ret)
{
    struct mv_cpu *cpu = l->cpu;
    *ret = NULL;
    int why = sigsetjmp(cpu->unwind.jump, 0);
    if (why == 0)
        *ret = mv_jit_enter(cpu, op);
    mv_cpu_take_back(cpu);
    memcpy(&cpu->unwind.jump, &l->outer, sizeof l->outer);
    if (*ret != NULL)
        cpu->pc = mv_op_pc(cpu, (const struct mv_op *)((uintptr_t)*ret & ~(uintptr_t)1));
    return why == 0 || why == 1;
}

/* Now and then there is nothing in the TLB, or nothing that may be written. */
static void disturb(struct mv_lockstep *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 17;
    l->random ^= l->random << 5;
    if (l->random % 64 == 0)
        mv_tlb_flush_all(&l->cpu->mmu.tlb);
    else if (l->random % 16 == 1)
        mv_tlb_flush_writes(&l->cpu->mmu.tlb);
}

/* --- both */

static void tell_path(const struct mv_lockstep *l)
{
    mv_warn("jit-check: translated code differs from the interpreter; the unit at %#" PRIx64 ":",
            l->start);
    for (unsigned i = 0; i < l->path_count; i++) {
        unsigned slot = l->path[i];
        mv_warn("  %#" PRIx64 ": %08" PRIx32 " %s", l->page_va + slot * UINT64_C(4),
                mv_code_cache_word(l->page_ops, slot),
                mv_op_names[mv_jit_code(*mv_jit_page_place(l->page_ops), &l->page_ops[slot])]);
    }
}

static uint64_t number_at(const uint8_t *bytes, unsigned width)
{
    uint64_t number = 0;
    memcpy(&number, bytes, width);
    return number;
}

static void tell_member(const struct member *member, const uint8_t *unit, const uint8_t *want)
{
    unsigned width = member->width > 8 ? 8 : member->width;
    for (size_t at = 0; at < member->size; at += width) {
        if (memcmp(unit + at, want + at, width) != 0)
            mv_warn("  %s[%zu]: %#" PRIx64 ", interpreted %#" PRIx64, member->name, at / width,
                    number_at(unit + at, width), number_at(want + at, width));
    }
}

static void tell_written(const struct written *written)
{
    for (unsigned i = 0; i < written->len; i++) {
        if (written->unit[i] != written->interpreted[i])
            mv_warn("  byte at %#" PRIx64 ": %#x, interpreted %#x", written->va + i,
                    written->unit[i], written->interpreted[i]);
    }
}

static bool is_same(const struct mv_lockstep *l)
{
    size_t size = 0;
    for (size_t i = 0; i < MEMBERS; i++)
        size += members[i].size;
    bool same = memcmp(&l->unit, &l->interpreted, size) == 0;
    for (unsigned i = 0; i < l->written_count && same; i++)
        same = memcmp(l->written[i].unit, l->written[i].interpreted, l->written[i].len) == 0;
    return same;
}

static _Noreturn void end_process(const struct mv_lockstep *l)
{
    size_t at = 0;
    tell_path(l);
    for (size_t i = 0; i < MEMBERS; at += members[i++].size)
        tell_member(&members[i], l->unit.bytes + at, l->interpreted.bytes + at);
    for (unsigned i = 0; i < l->written_count; i++)
        tell_written(&l->written[i]);
    abort();
}

/* The unit is where an op of the path begins, from `first` on. */
static bool is_on_path(const struct mv_lockstep *l, unsigned first)
{
    for (unsigned i = first; i < l->path_count; i++) {
        if (l->page_va + l->path[i] * UINT64_C(4) == l->cpu->pc)
            return true;
    }
    return false;
}

/* The same once more, but no further than the unit came; false: not to be compared. */
static bool interpret_as_far(struct mv_lockstep *l)
{
    uint64_t pc = l->cpu->pc;
    unsigned written_count = l->written_count;
    go_back(l);
    bool comparable = interpret(l, pc);
    keep_interpreted(l, written_count);
    return comparable;
}

const struct mv_op *mv_lockstep_run(struct mv_lockstep *l, struct mv_cpu *cpu,
                                    const struct mv_op *op)
{
    l->cpu = cpu;
    l->page_va = cpu->page_va;
    l->page_ops = cpu->page_ops;
    l->start = cpu->pc = mv_op_pc(cpu, op);
    memcpy(&l->outer, &cpu->unwind.jump, sizeof l->outer);
    keep(cpu, &l->before);
    bool comparable = interpret(l, UINT64_MAX);
    keep_interpreted(l, l->written_count);
    uint64_t end = cpu->pc;
    go_back(l);
    if (!comparable) {
        mv_jit_count(&cpu->jit->counts.unchecked);
        return mv_jit_enter(cpu, op);
    }

    const struct mv_op *volatile next;
    disturb(l);
    comparable = run_unit(l, op, &next);
    keep(cpu, &l->unit);
    for (unsigned i = 0; i < l->written_count; i++)
        memcpy(l->written[i].unit, l->written[i].host, l->written[i].len);
    /*
     * A path may end where it has come by before, at a loop's head: there the unit left.  Where
     * it began it is only if its first op is to be interpreted.
     */
    bool to_interpret = (uintptr_t)next & 1;
    bool whole = cpu->pc == end && !to_interpret && is_same(l);
    if (comparable && !whole && is_on_path(l, to_interpret ? 0 : 1))
        comparable = interpret_as_far(l);
    if (!comparable) {
        go_back(l);
        return mv_cpu_leave(cpu, l->start);
    }
    if (!is_same(l))
        end_process(l);
    for (unsigned i = 0; i < l->path_count; i++)
        mv_jit_count(&cpu->jit->counts.checked);
    return next;
}

struct mv_lockstep *mv_lockstep_create(void)
{
    struct mv_lockstep *l = aligned_alloc(64, mv_align_up(sizeof *l, 64));
    if (l == NULL)
        return NULL;
    memset(l, 0, sizeof *l);
    memset(&l->empty, 0xff, sizeof l->empty); /* MV_TLB_NONE */
    l->watch = (struct mv_softmmu_watch){see_page, see_access};
    l->random = 1;
    return l;
}

void mv_lockstep_destroy(struct mv_lockstep *lockstep)
{
    free(lockstep);
}
