/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/emulator/decode.c: the table's rows are well made, the look-up finds
 * what a walk over all rows finds, and each word decodes to an operation whose
 * operands its handler may index with.
 *
 * MEMVISOR_LONG=1 walks all 2^32 words, else one in 1021.
 */
#include "a64.h"
#include "interpreter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
    uint32_t mask, value;
    const struct mv_a64_form *form;
};

static struct row rows[1024];
static unsigned row_count;

static int read_rows(void **state)
{
    for (const struct mv_a64_group *const *group = mv_a64_groups; *group != NULL; group++) {
        for (size_t i = 0; i < (*group)->count; i++) {
            struct row *row = &rows[row_count];
            row->form = &(*group)->forms[i];
            if (row_count == sizeof rows / sizeof rows[0] - 1 ||
                !mv_a64_pattern_parse(row->form->pattern, &row->mask, &row->value)) {
                print_error("the row '%s' of %s is malformed, or one too many\n",
                            row->form->pattern, (*group)->name);
                return -1;
            }
            row_count++;
        }
    }
    return 0;
}

static const struct mv_a64_form *find_by_walk(uint32_t word)
{
    for (unsigned i = 0; i < row_count; i++) {
        if ((word & rows[i].mask) == rows[i].value)
            return rows[i].form;
    }
    return NULL;
}

static uint32_t random_word(void)
{
    static uint64_t state = 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void check_word(uint32_t word)
{
    const struct mv_a64_form *expected = find_by_walk(word);
    const struct mv_a64_form *found = mv_a64_find(word);
    if (found != expected)
        fail_msg("%08x is found as '%s', by a walk as '%s'", word, found ? found->name : "nothing",
                 expected ? expected->name : "nothing");
}

/* The look-up's buckets have lost no row, whatever the word. */
static void test_look_up(void **state)
{
    for (unsigned i = 0; i < row_count; i++) {
        for (unsigned n = 0; n < 400; n++) {
            uint32_t word = rows[i].value | (random_word() & ~rows[i].mask);
            check_word(word);
            check_word(word ^ 1u << (n % 32));
        }
    }
    for (unsigned n = 0; n < 1000000; n++)
        check_word(random_word());
}

/* No row stands behind others that take all its words. */
static void test_each_row_is_reached(void **state)
{
    for (unsigned i = 0; i < row_count; i++) {
        bool reached = false;
        for (unsigned n = 0; n < 10000 && !reached; n++)
            reached = find_by_walk(rows[i].value | (random_word() & ~rows[i].mask)) == rows[i].form;
        if (!reached)
            fail_msg("no word reaches '%s' (%s)", rows[i].form->pattern, rows[i].form->name);
    }
}

/* Patterns that are no rows. */
static void test_malformed_patterns(void **state)
{
    uint32_t mask = 1, value = 2;
    assert_false(mv_a64_pattern_parse("", &mask, &value));
    assert_false(mv_a64_pattern_parse("0101", &mask, &value));
    assert_false(mv_a64_pattern_parse("0000 0000 0000 0000 0000 0000 0000 0000 0", &mask, &value));
    assert_int_equal(mask, 1);
    assert_int_equal(value, 2);
    assert_true(mv_a64_pattern_parse("1x01 yyyy 0000 0000 0000 0000 0000 0001", &mask, &value));
    assert_int_equal(mask, 0xb0ffffff);
    assert_int_equal(value, 0x90000001);
}

/*
 * A handler indexes with the fields that name its registers, and writes none that
 * reads as zero; only a compare-and-swap's, which is read as well, may be that one.
 */
static bool has_its_registers(const struct mv_op *op)
{
    const struct mv_op_traits *traits = &mv_op_traits[op->code];
    const struct {
        unsigned x, v;
        uint8_t field;
    } operands[] = {
        {MV_OPERAND_XD, MV_OPERAND_VD, op->rd},
        {MV_OPERAND_XN, MV_OPERAND_VN, op->rn},
        {MV_OPERAND_XM, MV_OPERAND_VM, op->rm},
        {MV_OPERAND_XA, MV_OPERAND_VA, op->ra},
    };
    unsigned used = traits->reads | traits->writes, written = traits->writes & ~traits->reads;
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++) {
        if ((operands[i].x & used) && operands[i].field >= MV_REG_COUNT)
            return false;
        if ((operands[i].x & written) && operands[i].field == MV_REG_ZR)
            return false;
        if ((operands[i].v & used) && operands[i].field >= 32)
            return false;
    }
    bool pairs = traits->flags & MV_OP_PAIRS, lists = traits->flags & (MV_OP_LIST_D | MV_OP_LIST_N);
    return (!pairs || (op->rd < 31 && op->rm < 31)) && (!lists || (op->ra >= 1 && op->ra <= 4));
}

/* Every word is an operation with a handler; register operands are in range. */
static void test_every_word_decodes(void **state)
{
    uint64_t step = getenv("MEMVISOR_LONG") != NULL ? 1 : 1021;
    uint64_t defined = 0, words = 0;
    for (uint64_t word = 0; word <= UINT32_MAX; word += step, words++) {
        struct mv_op op;
        memset(&op, 0xff, sizeof op);
        mv_a64_decode((uint32_t)word, &op);
        if (op.code < MV_OPCODE_undef || op.code >= MV_OPCODE_COUNT ||
            mv_op_handlers[op.code] == NULL || op.code == MV_OPCODE_decode ||
            op.code == MV_OPCODE_page_end)
            fail_msg("%08x decodes to the operation %u", (uint32_t)word, op.code);
        if (!has_its_registers(&op))
            fail_msg("%08x (%s) has a register out of range", (uint32_t)word,
                     mv_op_names[op.code]);
        defined += op.code != MV_OPCODE_undef;
    }
    print_message("%llu words: %llu instructions, %llu undefined\n", (unsigned long long)words,
                  (unsigned long long)defined, (unsigned long long)(words - defined));
    assert_true(defined > words / 4 && defined < words);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look_up),
        cmocka_unit_test(test_each_row_is_reached),
        cmocka_unit_test(test_malformed_patterns),
        cmocka_unit_test(test_every_word_decodes),
    };
    return cmocka_run_group_tests(tests, read_rows, NULL);
}
