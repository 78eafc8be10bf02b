/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer that is the emulator: a processor at EL0 whose TLB has the buffer, and
 * nothing else to translate to.  Each case is interpreted, or with PEER_JIT defined
 * translated.
 */
#include "a64.h"
#include "emulator.h"
#include "exception.h"
#include "interpreter.h"
#include "jit.h"
#include "peer.h"
#ifdef PEER_JIT
#include "translator.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mv_cpu *cpu;
static struct mv_emulator emulator;
static const struct test_case *all_cases;
static uint8_t memory[BUFFER_SIZE];
/* The page that the case is on. */
static struct mv_jit_ops page;
static struct mv_op *const ops = page.ops;

static void map_buffer(void)
{
    for (uint64_t at = 0; at < BUFFER_SIZE; at += MV_PAGE_SIZE) {
        uint64_t va = BUFFER_BASE + at;
        struct mv_dtlb_entry *entry = &cpu->mmu.set[0]->d[mv_dtlb_index(va)];
        entry->read_tag = entry->write_tag = va;
        entry->addend = (uintptr_t)memory + at - va;
        entry->pa = va;
    }
}

#ifdef PEER_JIT
static bool start_jit(struct mv_error *err)
{
    mv_jit_numbers_set(&cpu->jit_numbers);
    const struct mv_jit_params params = {.size = 1 << 20, .after = 1};
    return mv_jit_create(&params, &cpu->jit, err) == 0;
}

/* Nothing is left of the case before. */
static void translate(unsigned slot)
{
    mv_jit_drop_page(cpu->jit, &page.page);
    mv_jit_flush(cpu->jit);
    mv_jit_mark(cpu->jit, &page.page, ops, slot);
    if (!mv_jit_translate(cpu->jit, cpu, page.page, slot))
        fprintf(stderr, "slot %u is not translated\n", slot);
}
#else
static bool start_jit(struct mv_error *err)
{
    return true;
}

static void translate(unsigned slot)
{
}
#endif

bool peer_start(const struct test_case *cases, unsigned count, uint8_t **ret_memory)
{
    struct mv_error err;
    (void)count;
    cpu = aligned_alloc(64, (sizeof *cpu + 63) / 64 * 64);
    if (cpu == NULL || mv_space_create(&emulator.params.space, &err) < 0) {
        fprintf(stderr, "no memory\n");
        return false;
    }
    memset(cpu, 0, sizeof *cpu);
    cpu->emulator = &emulator;
    cpu->sys.cpacr = 3u << 20;
    mv_softmmu_init(&cpu->mmu, emulator.params.space, true);
    if (!start_jit(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    all_cases = cases;
    *ret_memory = memory;
    return true;
}

/* From EL0's state; what leaves it is an exception to EL1. */
static void set_state(const struct state *state)
{
    mv_cpu_set_pstate(cpu, (uint32_t)state->nzcv);
    map_buffer();
    memcpy(cpu->x, state->x, sizeof state->x);
    cpu->x[MV_REG_SP] = state->sp;
    memcpy(cpu->v, state->v, sizeof state->v);
    cpu->fpcr = (uint32_t)state->fpcr;
    cpu->fpsr = (uint32_t)state->fpsr;
    cpu->monitor.armed = false;
}

static void get_state(struct state *state)
{
    memcpy(state->x, cpu->x, sizeof state->x);
    state->sp = cpu->sp_el[0];
    memcpy(state->v, cpu->v, sizeof state->v);
    state->nzcv = cpu->sys.spsr & 0xf0000000;
    state->fpcr = cpu->fpcr;
    state->fpsr = cpu->fpsr;
}

/* Where exceptions go: beyond all code. */
#define VECTORS UINT64_C(0x7ffff000)

static void run_from(uint64_t start)
{
    cpu->page_va = start & MV_PAGE_MASK;
    cpu->page_ops = ops;
    const struct mv_op *op = &ops[(cpu->pc - cpu->page_va) / 4];
    while (op != NULL)
        op = mv_op_handlers[op->code](cpu, op);
}

enum outcome peer_execute(unsigned index, struct state *state)
{
    uint64_t pc = case_pc(index), end = pc + 4 * CASE_WORDS;
    unsigned slot = (unsigned)(pc % MV_PAGE_SIZE) / 4;
    for (unsigned k = 0; k < CASE_WORDS; k++)
        mv_a64_decode(all_cases[index].words[k], &ops[slot + k]);
    memset(&ops[slot + CASE_WORDS], 0, sizeof ops[0]);
    ops[slot + CASE_WORDS].code = MV_OPCODE_undef;
    translate(slot);
    set_state(state);
    cpu->pc = pc;
    cpu->sys.vbar = VECTORS;
    if (sigsetjmp(cpu->unwind.jump, 0) == 0) {
        /* A branch leaves the handlers, for its page is in no TLB. */
        while (cpu->pc < VECTORS)
            run_from(pc);
    }
    mv_cpu_take_back(cpu);
    /* The undefined instruction after them is where good ones end. */
    if (cpu->sys.elr == end) {
        get_state(state);
        if (cpu->x[MV_REG_ZR] != 0)
            fprintf(stderr, "case %u changed the zero register\n", index);
        return OUTCOME_DONE;
    }
    return cpu->sys.esr >> 26 == MV_EC_UNKNOWN ? OUTCOME_UNDEF : OUTCOME_FAULT;
}
