/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing: what the JIT makes of an instruction of each opcode that it emits itself, for
 * tests/interop/test_jit_listing.py, which has the bytes disassembled.  Lines of words:
 *
 *   thunk OFFSET NUMBER        where what all units share begins
 *   member NAME PLACE SIZE EACH a part of struct mv_cpu, in decimal: PLACE from where units
 *                              count, SIZE bytes, EACH of an element
 *   op NAME WORD OFFSET BYTES  a unit of that instruction and an undefined one
 *   missing NAME               it was not found among the words that were tried
 *
 * Offsets are in the code memory, everything in hexadecimal.
 */
#include "a64.h"
#include "interpreter.h"
#include "translator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mv_cpu cpu;
static struct mv_jit *jit;
static struct mv_jit_ops page;

/* In the middle, so that branches of either direction stay in the page. */
#define SLOT 512

/*
 * A word of the form: some of the registers are those that stand in the host's, and some are
 * not; the other fields have whatever `seed` makes them.  In the first two words they are 0, but
 * for the one that says how wide it is, and the first source is the zero register: a move.
 */
static uint32_t word_of(const struct mv_a64_form *form, unsigned n, uint32_t *seed)
{
    const uint8_t registers[128] = {
        ['n'] = n < 2 ? 31 : 1, ['m'] = 20, ['a'] = 2, ['t'] = 5, ['d'] = 5};
    uint32_t mask, word, bit = 1u << 31;
    unsigned width[128] = {0}, left[128];
    mv_a64_pattern_parse(form->pattern, &mask, &word);
    for (const char *c = form->pattern; *c != '\0'; c++)
        width[(unsigned char)*c]++;
    memcpy(left, width, sizeof left);
    for (const char *c = form->pattern; *c != '\0'; c++) {
        unsigned char name = (unsigned char)*c;
        if (name == ' ')
            continue;
        unsigned place = --left[name];
        *seed = *seed * 1664525 + 1013904223;
        bool set = n < 2 ? name == 'z' && n == 1 : *seed >> 31;
        if (width[name] == 5 && registers[name] != 0)
            set = registers[name] >> place & 1;
        if (name != '0' && name != '1' && set)
            word |= bit;
        bit >>= 1;
    }
    return word;
}

static void show(uint32_t word, const struct mv_op *op)
{
    mv_jit_drop_page(jit, &page.page);
    mv_jit_flush(jit);
    memset(page.ops, 0, sizeof page.ops);
    page.ops[SLOT] = *op;
    for (unsigned i = 0; i < MV_JIT_SLOTS; i++) {
        if (i != SLOT)
            page.ops[i].code = MV_OPCODE_undef;
    }
    mv_jit_mark(jit, &page.page, page.ops, SLOT);
    if (!mv_jit_translate(jit, &cpu, page.page, SLOT)) {
        fprintf(stderr, "%s is not translated\n", mv_op_names[op->code]);
        exit(1);
    }
    const struct mv_jit_unit *unit = page.page->units;
    printf("op %s %08" PRIx32 " %" PRIx32 " ", mv_op_names[op->code], word, unit->start);
    for (uint32_t at = unit->start; at < unit->end; at++)
        printf("%02x", jit->memory.run[at]);
    printf("\n");
}

static bool shown[MV_OPCODE_COUNT];

/* That are tried of each form. */
#define WORDS 4000

static void show_form(const struct mv_a64_form *form)
{
    uint32_t seed = 1;
    for (unsigned n = 0; n < WORDS; n++) {
        struct mv_op op = {0};
        uint32_t word = word_of(form, n, &seed);
        if (mv_a64_find(word) != form)
            continue;
        mv_a64_decode(word, &op);
        for (unsigned local = 0; local < 2; local++) {
            if (mv_emitters[op.code] != NULL && !shown[op.code]) {
                shown[op.code] = true;
                show(word, &op);
            }
            if (!(mv_op_traits[op.code].flags & MV_OP_LOCAL))
                break;
            op.code++;
            op.imm = 2 * sizeof(struct mv_op);
        }
    }
}

#define MEMBER(name, member, each)                                                                 \
    printf("member %s %ld %zu %zu\n", name,                                                        \
           (long)offsetof(struct mv_cpu, member) - (long)offsetof(struct mv_cpu, x[16]),           \
           sizeof cpu.member, (size_t)(each))

static void print_members(void)
{
    MEMBER("x", x, 8);
    MEMBER("nzcv", nzcv, 4);
    MEMBER("flags", jit_flags, 2);
    MEMBER("fp", jit_fp, 1);
    MEMBER("attention", attention, 4);
    MEMBER("page_va", page_va, 8);
    MEMBER("page_ops", page_ops, 8);
    MEMBER("low_el0", mmu.low_el0, 8);
    MEMBER("el", el, 1);
    MEMBER("fp_enabled", fp_enabled, 1);
    MEMBER("daif", daif, 4);
    MEMBER("v", v, 16);
    MEMBER("monitor.pa", monitor.pa, 8);
    MEMBER("monitor.value", monitor.value, 16);
    MEMBER("monitor.armed", monitor.armed, 1);
    MEMBER("sctlr", sys.sctlr, 8);
    MEMBER("sys+", sys, 8);
    MEMBER("id+", id, 8);
    MEMBER("magnitude64_", jit_numbers.magnitude64, 8);
    MEMBER("sign64_", jit_numbers.sign64, 8);
    MEMBER("normal64_", jit_numbers.normal64, 8);
    MEMBER("magnitude32_", jit_numbers.magnitude32, 4);
    MEMBER("sign32_", jit_numbers.sign32, 4);
    MEMBER("normal32_", jit_numbers.normal32, 4);
    MEMBER("crc32_", jit_numbers.crc32, 8);
}

int main(void)
{
    struct mv_error err;
    mv_jit_numbers_set(&cpu.jit_numbers);
    const struct mv_jit_params params = {.size = 1 << 20, .after = 1};
    if (mv_jit_create(&params, &jit, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    jit->has_aes = jit->has_pclmul = true;
    print_members();
    for (unsigned i = 0; i < MV_THUNK_COUNT; i++)
        printf("thunk %" PRIx32 " %x\n", jit->thunks[i], i);
    for (const struct mv_a64_group *const *group = mv_a64_groups; *group != NULL; group++) {
        for (size_t i = 0; i < (*group)->count; i++)
            show_form(&(*group)->forms[i]);
    }
    for (unsigned code = 0; code < MV_OPCODE_COUNT; code++) {
        if (mv_emitters[code] != NULL && !shown[code])
            printf("missing %s\n", mv_op_names[code]);
    }
    return 0;
}
