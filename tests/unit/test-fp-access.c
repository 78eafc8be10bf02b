/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every form of the groups that use vector registers is trapped where
 * CPACR_EL1.FPEN says so (Arm ARM D1.3.6, D17.2.37), before it changes
 * anything; and what is reserved in them is UNDEF all the same.
 */
#include "a64.h"
#include "exception.h"
#include "interpreter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HVC   0xd4000002
#define PC    UINT64_C(0x40000)
#define WORDS 2000

static const struct mv_a64_group *const groups[] = {&mv_a64_fp, &mv_a64_vector,
                                                  &mv_a64_vector_immediate, &mv_a64_vector_fp, &mv_a64_structure,
                                                  &mv_a64_crypto};

/* The same words in every run. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state ^ *state >> 15;
}

static void run(struct mv_cpu *cpu, uint32_t word, struct mv_op *ops)
{
    mv_a64_decode(word, &ops[0]);
    mv_a64_decode(HVC, &ops[1]);
    cpu->page_ops = ops;
    cpu->page_va = PC;
    cpu->sys.esr = 0;
    cpu->el = 0;
    for (const struct mv_op *op = ops; op != NULL;)
        op = mv_op_handlers[op->code](cpu, op);
}

static void check_form(struct mv_cpu *cpu, const struct mv_a64_form *form)
{
    static const union mv_vreg zeros[32];
    uint32_t mask, value, random = 1;
    assert_true(mv_a64_pattern_parse(form->pattern, &mask, &value));
    for (unsigned i = 0; i < WORDS; i++) {
        struct mv_op ops[2];
        uint32_t word = value | (next_random(&random) & ~mask);
        if (mv_a64_find(word) != form)
            continue;
        run(cpu, word, ops);
        unsigned expected = ops[0].code == MV_OPCODE_undef ? MV_EC_UNKNOWN : MV_EC_FP_ACCESS;
        uint32_t iss = expected == MV_EC_FP_ACCESS ? 0x1e00000 : 0;
        if (cpu->sys.esr != (expected << 26 | 1u << 25 | iss) || cpu->sys.elr != PC)
            fail_msg("%s: %08x ends with ESR %lx", form->name, word, (unsigned long)cpu->sys.esr);
        assert_memory_equal(cpu->v, zeros, sizeof zeros);
        assert_int_equal(cpu->fpsr, 0);
    }
}

static void test_trapped(void **state)
{
    struct mv_cpu *cpu = *state;
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (size_t i = 0; i < groups[g]->count; i++)
            check_form(cpu, &groups[g]->forms[i]);
    }
}

/* FMOV S0, #1.0 once it is allowed: the same harness can tell. */
static void test_allowed(void **state)
{
    struct mv_cpu *cpu = *state;
    struct mv_op ops[2];
    cpu->fp_enabled = true;
    run(cpu, 0x1e2e1000, ops);
    assert_int_equal(cpu->v[0].d[0], 0x3f800000);
    /* It went on to the HVC, which EL0 may not use. */
    assert_int_equal(cpu->sys.elr, PC + 4);
}

static int setup(void **state)
{
    struct mv_cpu *cpu = aligned_alloc(64, (sizeof *cpu + 63) / 64 * 64);
    if (cpu == NULL)
        return -1;
    memset(cpu, 0, sizeof *cpu);
    *state = cpu;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trapped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_allowed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
