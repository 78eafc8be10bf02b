/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/emulator/opcodes.h against what the handlers do.  Each form's words, made
 * at random, are run from random states:
 *
 *   - what the table says an op does not write is as it was;
 *   - with all changed that the table says it does not read, it does the same;
 *   - each thing that it is said to read is seen to matter, and each that it is
 *     said to write is seen to change;
 *   - it faults, or goes elsewhere, if and only if the table says that it may,
 *     and where it faults, nothing has changed.
 *
 * The third is what makes a table that says too much fail, so a row is right only
 * as it stands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "a64.h"
#include "emulator-fixture.h"
#include "interpreter.h"

/* RAM that ops reach; its table, which they do not, stands elsewhere. */
#define BANK UINT64_C(0x40000000)
#define BANK_SIZE 8192
#define TABLE UINT64_C(0x80000000)
#define VECTORS UINT64_C(0x5a5a5a5a5000)

#define WORDS_MIN 500
#define WORDS_MAX 40000

enum outcome { WENT_ON, WENT_ELSEWHERE, FAULTED };

struct state {
    uint64_t x[MV_REG_COUNT];
    union mv_vreg v[32];
    uint32_t nzcv, fpcr, fpsr;
    struct mv_arm64_monitor monitor;
    uint8_t memory[BANK_SIZE];
    /* After a run. */
    enum outcome outcome;
    uint64_t pc, esr, far;
};

/* What stays the same in all the runs of a word. */
struct setting {
    unsigned el;
    bool fp_enabled, irq;
    uint64_t pc;
};

static struct fixture f;
static struct mv_cpu *cpu;
static uint8_t *bank;
static uint8_t pool[4 * BANK_SIZE]; /* random bytes, for memory */

/* What was seen of each opcode. */
static struct {
    uint16_t read, written;
    uint8_t flags;
    bool went_on;
} seen[MV_OPCODE_COUNT];

/* --- at random */

static uint64_t random_bits(void)
{
    static uint64_t s = 88172645463325252;
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return s * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned random_below(unsigned n)
{
    return (unsigned)(random_bits() >> 33) % n;
}

/* Often an address in the bank, often one that is aligned; or a small number. */
static uint64_t random_x(void)
{
    switch (random_below(8)) {
    case 0:
        return random_bits();
    case 1:
        return (uint64_t)(int64_t)(random_below(128) - 64u);
    case 2:
        return random_below(64);
    case 3:
        return BANK + random_below(BANK_SIZE);
    default:
        return BANK + random_below(BANK_SIZE / 16) * 16;
    }
}

/* Numbers of both precisions that are treated apart come often. */
static uint64_t random_v(void)
{
    static const uint64_t special[] = {
        0, UINT64_C(1) << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x000fffffffffffff,
        0x8000000000000001, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
        0x7ff4000000000001, 0x7fefffffffffffff, 0x0010000000000000, 0x3ff8000000000001,
        0x3f8000003f800000, 0x0000000180000001, 0x7f800000ff800000, 0x7fc000007f800001,
        0x3fc000007f7fffff, 0x007fffff807fffff, UINT64_MAX, 0x8080808080808080,
        0x8000800080008000, 0x8000000080000000, 0x7c017c017c017c01, 0x4f0000015f000001,
    };
    if (random_below(3) == 0)
        return special[random_below(sizeof special / sizeof special[0])];
    return random_bits();
}

static void random_memory(uint8_t *memory)
{
    memcpy(memory, pool + random_below(3 * BANK_SIZE), BANK_SIZE);
}

static struct mv_arm64_monitor random_monitor(const uint8_t *memory)
{
    static const uint8_t sizes[] = {1, 2, 4, 8, 16};
    uint8_t size = sizes[random_below(5)];
    uint64_t offset = random_below(BANK_SIZE / 16) * 16;
    struct mv_arm64_monitor monitor = {
        .armed = random_below(4) != 0, .size = size, .pa = BANK + offset};
    memcpy(monitor.value, memory + offset, sizeof monitor.value);
    return monitor;
}

static void random_state(struct state *s)
{
    for (unsigned i = 0; i < MV_REG_COUNT; i++)
        s->x[i] = random_x();
    s->x[MV_REG_ZR] = 0;
    for (unsigned i = 0; i < 32; i++)
        for (unsigned half = 0; half < 2; half++)
            s->v[i].d[half] = random_v();
    s->nzcv = (uint32_t)random_bits() & 0xf0000000;
    s->fpcr = (uint32_t)random_bits() & MV_FPCR_MASK;
    s->fpsr = 0;
    random_memory(s->memory);
    s->monitor = random_monitor(s->memory);
}

/* Have other values in what these operands and registers stand for. */
static void change(struct state *s, unsigned operands, struct mv_op_registers registers)
{
    for (unsigned i = 0; i < MV_REG_COUNT; i++)
        if (registers.x >> i & 1)
            s->x[i] = random_x();
    for (unsigned i = 0; i < 32; i++)
        if (registers.v >> i & 1)
            s->v[i] = (union mv_vreg){.d = {random_v(), random_v()}};
    if (operands & MV_OPERAND_FLAGS)
        s->nzcv = (uint32_t)random_bits() & 0xf0000000;
    if (operands & MV_OPERAND_FPCR)
        s->fpcr = (uint32_t)random_bits() & MV_FPCR_MASK;
    if (operands & MV_OPERAND_FPSR)
        s->fpsr = (uint32_t)random_bits() & MV_FPSR_MASK;
    if (operands & MV_OPERAND_MEMORY)
        random_memory(s->memory);
    if (operands & MV_OPERAND_MONITOR)
        s->monitor = random_monitor(s->memory);
}

/* --- a run */

/* Registers of the system, as the guest that the ops are of would have set them. */
static void set_system(void)
{
    mv_cpu_reset(&cpu->vcpu);
    cpu->sys.mair = 0xff;
    cpu->sys.ttbr0 = TABLE;
    cpu->sys.tcr = 25 | UINT64_C(5) << 32; /* 39 bits to 48 */
    cpu->sys.sctlr |= MV_SCTLR_M;
    cpu->sys.vbar = VECTORS;
    mv_cpu_update_translation(cpu);
}

static void load(const struct state *s, const struct setting *setting)
{
    memcpy(cpu->x, s->x, sizeof cpu->x);
    memcpy(cpu->v, s->v, sizeof cpu->v);
    cpu->nzcv = s->nzcv;
    cpu->fpcr = s->fpcr;
    cpu->fpsr = s->fpsr;
    cpu->monitor = s->monitor;
    memcpy(bank, s->memory, BANK_SIZE);
    cpu->sys.esr = cpu->sys.far = cpu->sys.elr = cpu->sys.spsr = 0;
    cpu->sp_el[0] = cpu->sp_el[1] = 0;
    cpu->sys.cpacr = setting->fp_enabled ? 3u << 20 : 0;
    cpu->el = (uint8_t)setting->el;
    cpu->spsel = 1;
    cpu->daif = 0;
    mv_cpu_update_context(cpu);
    atomic_store(&cpu->irq_line, setting->irq);
    atomic_store(&cpu->event, false);
    cpu->wfe_spins = 1000; /* long enough to wait for once */
    atomic_store(&cpu->attention, MV_ATTENTION_STEP); /* nothing waits, branches come back */
}

static void save(struct state *s)
{
    memcpy(s->x, cpu->x, sizeof cpu->x);
    memcpy(s->v, cpu->v, sizeof cpu->v);
    s->nzcv = cpu->nzcv;
    s->fpcr = cpu->fpcr;
    s->fpsr = cpu->fpsr;
    s->monitor = cpu->monitor;
    memcpy(s->memory, bank, BANK_SIZE);
    s->pc = cpu->pc;
    s->esr = cpu->sys.esr;
    s->far = cpu->sys.far;
}

/* The op, one that does nothing, and one that comes back. */
static void run(const struct mv_op *op, const struct state *in, const struct setting *setting,
                struct state *out)
{
    struct mv_op ops[3] = {*op, {.code = MV_OPCODE_nop}, {.code = MV_OPCODE_single_end}};
    load(in, setting);
    cpu->page_va = setting->pc;
    cpu->page_ops = ops;
    if (sigsetjmp(cpu->unwind.jump, 0) == 0) {
        for (const struct mv_op *next = ops; next != NULL;)
            next = mv_op_handlers[next->code](cpu, next);
    }
    save(out);
    out->outcome = cpu->pc - VECTORS < 0x800 ? FAULTED
                   : cpu->pc == setting->pc + 8 ? WENT_ON
                                                : WENT_ELSEWHERE;
    if (mv_op_traits[op->code].writes & MV_OPERAND_OTHER)
        set_system();
}

/* --- what came of it */

static _Noreturn void complain(uint32_t word, const struct mv_op *op, const char *what)
{
    fail_msg("%08x, %s: %s", word, mv_op_names[op->code], what);
    abort();
}

/* By OTHER an op may reach some of the rest. */
static unsigned reached(unsigned operands)
{
    return operands & MV_OPERAND_OTHER
               ? operands | MV_OPERAND_FLAGS | MV_OPERAND_FPCR | MV_OPERAND_FPSR |
                     MV_OPERAND_MONITOR | MV_OPERAND_MEMORY
               : operands;
}

static bool same_registers(const struct state *a, const struct state *b,
                           struct mv_op_registers which)
{
    for (unsigned i = 0; i < MV_REG_COUNT; i++)
        if ((which.x >> i & 1) && a->x[i] != b->x[i])
            return false;
    for (unsigned i = 0; i < 32; i++)
        if ((which.v >> i & 1) && a->v[i].q != b->v[i].q)
            return false;
    return true;
}

static bool same_monitor(const struct mv_arm64_monitor *a, const struct mv_arm64_monitor *b)
{
    return a->armed == b->armed &&
           (!a->armed || (a->size == b->size && a->pa == b->pa &&
                          memcmp(a->value, b->value, a->size > 8 ? 16 : 8) == 0));
}

/* The operands of `which`, registers aside, that differ. */
static unsigned different(const struct state *a, const struct state *b)
{
    return (a->nzcv != b->nzcv ? MV_OPERAND_FLAGS : 0) |
           (a->fpcr != b->fpcr ? MV_OPERAND_FPCR : 0) |
           (a->fpsr != b->fpsr ? MV_OPERAND_FPSR : 0) |
           (memcmp(a->memory, b->memory, BANK_SIZE) != 0 ? MV_OPERAND_MEMORY : 0) |
           (same_monitor(&a->monitor, &b->monitor) ? 0 : MV_OPERAND_MONITOR);
}

#define ALL_X (((UINT64_C(1) << 31) - 1) | UINT64_C(1) << MV_REG_SP)

static struct mv_op_registers without(struct mv_op_registers some)
{
    return (struct mv_op_registers){.x = ALL_X & ~some.x, .v = ~some.v};
}

static void check_unwritten(uint32_t word, const struct mv_op *op, const struct state *in,
                            const struct state *out)
{
    const struct mv_op_traits *traits = &mv_op_traits[op->code];
    struct mv_op_registers kept = without(mv_op_registers(op, traits->writes));
    unsigned written = reached(traits->writes);
    if (out->outcome == FAULTED) {
        /* The stack pointer is the other level's, and the monitor is lost. */
        kept = (struct mv_op_registers){.x = ALL_X & ~(UINT64_C(1) << MV_REG_SP), .v = UINT32_MAX};
        written = MV_OPERAND_MONITOR;
    }
    if (!same_registers(in, out, kept))
        complain(word, op, "a register changes that it should not");
    if (different(in, out) & ~written)
        complain(word, op, "something changes that should not");
    unsigned needed = out->outcome == FAULTED ? MV_OP_FAULTS
                      : out->outcome == WENT_ELSEWHERE ? MV_OP_ENDS
                                                       : 0;
    if (needed & ~traits->flags)
        complain(word, op, out->outcome == FAULTED ? "it faults" : "it goes elsewhere");
}

/* Memory that was stored to, in two runs that found other bytes in it. */
static bool same_stores(const struct state *in, const struct state *out, const struct state *in2,
                        const struct state *out2)
{
    for (unsigned i = 0; i < BANK_SIZE; i++)
        if (out->memory[i] != out2->memory[i] &&
            (out->memory[i] != in->memory[i] || out2->memory[i] != in2->memory[i]))
            return false;
    return true;
}

/* Do two runs, of what differs in other things, come to the same? */
static bool same_result(const struct mv_op *op, const struct state *in, const struct state *out,
                        const struct state *in2, const struct state *out2)
{
    unsigned writes = mv_op_traits[op->code].writes;
    if (out->outcome != out2->outcome || out->pc != out2->pc || out->esr != out2->esr ||
        out->far != out2->far)
        return false;
    if (out->outcome == FAULTED)
        return true;
    unsigned compared = reached(writes) & ~(unsigned)MV_OPERAND_MEMORY;
    return same_registers(out, out2, mv_op_registers(op, writes)) &&
           (different(out, out2) & compared) == 0 && same_stores(in, out, in2, out2);
}

/* Registers by each operand alone; false where two of them name the same. */
static bool distinct(const struct mv_op *op, unsigned operands)
{
    struct mv_op_registers all = {0};
    for (; operands != 0; operands &= operands - 1) {
        struct mv_op_registers one = mv_op_registers(op, operands & -operands);
        if ((all.x & one.x) || (all.v & one.v))
            return false;
        all.x |= one.x;
        all.v |= one.v;
    }
    return true;
}

static void note(const struct mv_op *op, const struct state *in, const struct state *out)
{
    unsigned writes = mv_op_traits[op->code].writes;
    switch (out->outcome) {
    case FAULTED:
        seen[op->code].flags |= MV_OP_FAULTS;
        return;
    case WENT_ELSEWHERE:
        seen[op->code].flags |= MV_OP_ENDS;
        break;
    case WENT_ON:
        seen[op->code].went_on = true;
        break;
    }
    seen[op->code].written |= different(in, out) & writes;
    for (unsigned left = writes; left != 0; left &= left - 1) {
        struct mv_op_registers one = mv_op_registers(op, left & -left);
        if (!same_registers(in, out, one))
            seen[op->code].written |= left & -left;
    }
}

/* A literal lies in the bank often enough. */
static uint64_t random_pc(const struct mv_op *op)
{
    uint64_t pc = random_bits() >> 16;
    bool literal =
        (mv_op_traits[op->code].reads & (MV_OPERAND_MEMORY | MV_OPERAND_XN)) == MV_OPERAND_MEMORY;
    if (literal && random_below(4) != 0)
        pc = BANK + random_below(BANK_SIZE) - op->imm;
    return pc & ~UINT64_C(3);
}

/* Have a store-exclusive or compare-and-swap find what it wants to, which else is rare. */
static void let_pass(const struct mv_op *op, struct state *s)
{
    uint64_t words[2];
    memcpy(words, s->memory + (s->monitor.pa - BANK), sizeof words);
    s->x[op->rn] = s->monitor.pa;
    if (mv_op_traits[op->code].reads & MV_OPERAND_MONITOR) {
        s->monitor.armed = true;
    } else if (op->code == MV_OPCODE_casp32) {
        s->x[op->rm] = (uint32_t)words[0];
        s->x[op->rm + 1] = words[0] >> 32;
    } else {
        s->x[op->rm] = words[0];
        s->x[op->rm + 1] = words[1];
    }
    s->x[MV_REG_ZR] = 0;
}

static void check_op(uint32_t word, const struct mv_op *op)
{
    static struct state in, out, in2, out2;
    const struct mv_op_traits *traits = &mv_op_traits[op->code];
    struct setting setting = {.el = random_below(2), .fp_enabled = random_below(8) != 0,
                              .irq = random_below(2), .pc = random_pc(op)};
    random_state(&in);
    if ((traits->reads & traits->writes & MV_OPERAND_MEMORY) && random_below(2))
        let_pass(op, &in);
    run(op, &in, &setting, &out);
    check_unwritten(word, op, &in, &out);

    unsigned reads = reached(traits->reads);
    in2 = in;
    change(&in2, ~(reads | (traits->writes & MV_OPERAND_FPSR)),
           without(mv_op_registers(op, traits->reads)));
    run(op, &in2, &setting, &out2);
    check_unwritten(word, op, &in2, &out2);
    if (!same_result(op, &in, &out, &in2, &out2))
        complain(word, op, "what it is not said to read matters");

    if (!distinct(op, traits->reads) || !distinct(op, traits->writes))
        return;
    note(op, &in, &out);
    note(op, &in2, &out2);
    for (unsigned left = traits->reads & ~seen[op->code].read; left != 0; left &= left - 1) {
        unsigned one = left & -left;
        in2 = in;
        change(&in2, one, mv_op_registers(op, one));
        run(op, &in2, &setting, &out2);
        if (!same_result(op, &in, &out, &in2, &out2))
            seen[op->code].read |= one;
    }
}

/* What of an opcode's row has not been seen yet, in words; NULL where all was. */
static const char *unseen(unsigned code)
{
    const struct mv_op_traits *traits = &mv_op_traits[code];
    unsigned flags = traits->flags & (MV_OP_FAULTS | MV_OP_ENDS);
    /* What never goes on ends there too. */
    if (!seen[code].went_on && seen[code].flags & MV_OP_FAULTS)
        flags &= ~(unsigned)MV_OP_ENDS;
    /* Only others' mail makes it leave: tests/bare/shootdown.c. */
    if (code == MV_OPCODE_dsb)
        flags = 0;
    if (traits->reads & ~seen[code].read & ~(unsigned)MV_OPERAND_OTHER)
        return "something that it is said to read never mattered";
    if (traits->writes & ~seen[code].written & ~(unsigned)MV_OPERAND_OTHER)
        return "something that it is said to write never changed";
    if (flags & ~seen[code].flags)
        return "it never faulted, or never went elsewhere";
    return NULL;
}

static bool all_seen(const bool *codes)
{
    for (unsigned code = 0; code < MV_OPCODE_COUNT; code++)
        if (codes[code] && unseen(code) != NULL)
            return false;
    return true;
}

static uint16_t sysregs[1024];
static unsigned sysreg_count;

static void find_sysregs(void)
{
    for (uint32_t encoding = 0; encoding <= UINT16_MAX; encoding++)
        if (mv_sysreg_find((uint16_t)encoding) != NULL && sysreg_count < 1024)
            sysregs[sysreg_count++] = (uint16_t)encoding;
}

/* A word of a form, of whose fields some are all zeros and some all ones. */
static uint32_t random_word(const struct mv_a64_form *form)
{
    uint32_t word = 0, bits = (uint32_t)random_bits();
    uint64_t zeros = random_bits() & random_bits(), ones = random_bits() & random_bits();
    for (const char *p = form->pattern; *p != '\0'; p++) {
        if (*p == ' ')
            continue;
        unsigned letter = *p & 63;
        bool bit = *p == '1';
        if (*p != '0' && *p != '1')
            bit = !(zeros >> letter & 1) && ((ones >> letter & 1) || (bits & 1));
        word = word << 1 | bit;
        bits >>= 1;
    }
    /* Most system registers are none. */
    if (strstr(form->name, "mrs, ") || strstr(form->name, "sys, "))
        word = (word & ~(UINT32_C(0xffff) << 5)) |
               (uint32_t)sysregs[random_below(sysreg_count)] << 5;
    return word;
}

static void check_form(const struct mv_a64_form *form)
{
    bool codes[MV_OPCODE_COUNT] = {false};
    unsigned defined = 0;
    for (unsigned n = 0; n < WORDS_MAX && (defined < WORDS_MIN || !all_seen(codes)); n++) {
        struct mv_op op;
        uint32_t word = random_word(form);
        if (mv_a64_find(word) != form)
            continue;
        mv_a64_decode(word, &op);
        codes[op.code] = true;
        defined += op.code != MV_OPCODE_undef;
        check_op(word, &op);
        if (mv_op_traits[op.code].flags & MV_OP_LOCAL) {
            op.code++;
            op.imm *= MV_OP_SCALE;
            codes[op.code] = true;
            check_op(word, &op);
        }
    }
}

static void test_traits(void **state)
{
    for (const struct mv_a64_group *const *group = mv_a64_groups; *group != NULL; group++)
        for (size_t i = 0; i < (*group)->count; i++)
            check_form(&(*group)->forms[i]);
    unsigned wrong = 0;
    /* The others are made by no word. */
    for (unsigned code = MV_OPCODE_adr; code < MV_OPCODE_COUNT; code++) {
        const char *why = unseen(code);
        if (why == NULL)
            continue;
        wrong++;
        print_error("%s: %s (read %x of %x, written %x of %x, flags %x of %x)\n",
                    mv_op_names[code], why, seen[code].read, mv_op_traits[code].reads,
                    seen[code].written, mv_op_traits[code].writes, seen[code].flags,
                    mv_op_traits[code].flags);
    }
    assert_int_equal(wrong, 0);
}

/* Registers are named by the fields, as many as the flags say. */
static void test_registers(void **state)
{
    struct mv_op casp = {.code = MV_OPCODE_casp64, .rd = 30, .rn = MV_REG_SP, .rm = 4};
    assert_int_equal(mv_op_registers(&casp, mv_op_traits[casp.code].reads).x,
                     1u << 30 | UINT64_C(1) << MV_REG_SP | 3u << 4);
    assert_int_equal(mv_op_registers(&casp, mv_op_traits[casp.code].writes).x, 3u << 4);
    struct mv_op tbl = {.code = MV_OPCODE_vtbl, .rd = 2, .rn = 30, .rm = 9, .ra = 4};
    assert_int_equal(mv_op_registers(&tbl, mv_op_traits[tbl.code].reads).v, 0xc0000003 | 1u << 9);
    struct mv_op none = {.code = MV_OPCODE_add_reg_x, .rd = MV_REG_SINK, .rn = 31, .rm = 31};
    assert_int_equal(mv_op_registers(&none, UINT16_MAX & ~(unsigned)MV_OPERAND_OTHER &
                                                ~(unsigned)MV_OPERAND_LINK).x, 1);
}

static int setup(void **state)
{
    if (fixture_setup(&f) != 0)
        return -1;
    cpu = f.cpu[0];
    bank = fixture_add_ram(&f, "bank", BANK, BANK_SIZE);
    uint64_t *table = (uint64_t *)fixture_add_ram(&f, "table", TABLE, 4096);
    /* A block of 1 GiB at BANK: Normal memory, for EL0 too, that has been accessed. */
    table[BANK >> 30] = BANK | 1u << 10 | 1u << 6 | 1;
    for (unsigned i = 0; i < sizeof pool; i++)
        pool[i] = (uint8_t)random_bits();
    find_sysregs();
    set_system();
    return 0;
}

static int teardown(void **state)
{
    return fixture_teardown(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traits),
        cmocka_unit_test(test_registers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
