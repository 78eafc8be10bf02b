/* SPDX-License-Identifier: Apache-2.0 */
/* How the interpreter comes to translated code: the handlers of `count` and `native` (jit.h). */
#include "jit.h"

#include "code-cache.h"
#include "interpreter.h"
#include "lockstep.h"
#include "memory.h"
#include "page.h"
#include "translator.h"

#include <cpuid.h>
#include <stdlib.h>
#include <x86intrin.h>

#define MISSES 1024 /* of streams, until one is looked at */

/* Never called: of these, none is in a unit. */
#define mv_returning_decode     mv_op_decode
#define mv_returning_single_end mv_op_single_end
#define mv_returning_count      mv_op_count
#define mv_returning_native     mv_op_native

mv_op_fn *const mv_op_returning[MV_OPCODE_COUNT] = {
#define OP(name, ...) [MV_OPCODE_##name] = mv_returning_##name,
#include "opcodes.h"
#undef OP
};

static bool host_can(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt") &&
           __builtin_cpu_supports("sse4.2");
}

/* What the compiler has no name for: CPUID 7, EBX, bit 29. */
static bool has_sha(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}

int mv_jit_create(const struct mv_jit_params *params, struct mv_jit **ret, struct mv_error *err)
{
    if (!host_can())
        return mv_error_set(err, ENODEV,
                            "jit=on: this host's CPU has not all of AVX2, FMA, BMI2, LZCNT "
                            "and SSE4.2: say jit=off");
    struct mv_jit *jit = calloc(1, sizeof *jit);
    if (jit == NULL)
        return mv_error_set(err, ENOMEM, "no memory for translated code");
    jit->translator = malloc(sizeof *jit->translator);
    jit->lockstep = params->check ? mv_lockstep_create() : NULL;
    int r = jit->translator == NULL || (params->check && jit->lockstep == NULL)
                ? mv_error_set(err, ENOMEM, "no memory for translated code")
                                    : mv_code_memory_init(&jit->memory, params->size, err);
    if (r < 0) {
        mv_jit_destroy(jit);
        return r;
    }
    jit->params = *params;
    jit->misses_left = MISSES;
    jit->has_aes = __builtin_cpu_supports("aes");
    jit->has_pclmul = __builtin_cpu_supports("pclmul");
    jit->has_sha = has_sha();
    mv_thunks_emit(jit);
    atomic_init(&jit->counts.used, jit->memory.used);
    *ret = jit;
    return 0;
}

/* The code cache has dropped all pages before. */
void mv_jit_destroy(struct mv_jit *jit)
{
    if (jit == NULL)
        return;
    mv_code_memory_clear(&jit->memory);
    mv_lockstep_destroy(jit->lockstep);
    free(jit->translator);
    free(jit);
}

void mv_jit_numbers_set(struct mv_jit_numbers *ret)
{
    for (unsigned i = 0; i < 2; i++) {
        ret->magnitude64[i] = INT64_MAX;
        ret->sign64[i] = ~(uint64_t)INT64_MAX;
        ret->normal64[i] = UINT64_C(1) << 52;
    }
    for (unsigned i = 0; i < 4; i++) {
        ret->magnitude32[i] = INT32_MAX;
        ret->sign32[i] = ~(uint32_t)INT32_MAX;
        ret->normal32[i] = 1u << 23;
    }
    ret->crc32[0] = UINT64_C(0x5a72d812fb808b20);
    ret->crc32[1] = UINT64_C(0x1db710640);
}

const struct mv_op *mv_jit_enter(struct mv_cpu *cpu, const struct mv_op *op)
{
    const struct mv_jit *jit = cpu->jit;
    uint32_t entry = mv_jit_entries(cpu->page_ops)[op - cpu->page_ops];
    mv_jit_enter_fn *enter =
        (mv_jit_enter_fn *)(uintptr_t)(jit->memory.run + jit->thunks[MV_THUNK_ENTER]);
    cpu->access_op = NULL;
    cpu->jit_flags = mv_flags_of_nzcv(cpu->nzcv);
    return enter(cpu, jit->memory.run + entry);
}

/*
 * A stream that misses at each access costs more than looking the page up does, and nothing of
 * the code says which do.  So each so many-th miss is looked at: where they came in less than
 * OFTEN cycles each, that one is taken for one of many, and its unit is made anew without.
 */
#define OFTEN 150

static void look_at_miss(struct mv_cpu *cpu)
{
    struct mv_jit *jit = cpu->jit;
    uint64_t now = __rdtsc();
    unsigned slot = jit->miss >> 8;
    /* The page may be gone, but is not where the unit was left there. */
    if (now - jit->missed_at < MISSES * OFTEN && jit->missed_ops == cpu->page_ops) {
        struct mv_jit_page *page = *mv_jit_page_place(cpu->page_ops);
        mv_jit_count(&jit->counts.strays);
        page->strays[slot / 64] |= UINT64_C(1) << slot % 64;
        mv_jit_drop_lines(jit, page, UINT64_C(1) << slot / 16);
    }
    jit->missed_at = now;
    jit->misses_left = MISSES;
    jit->missed_ops = NULL;
}

/* Apart, for handlers call nothing that they come back from. */
static __attribute__((noinline)) const struct mv_op *run_unit(struct mv_cpu *cpu,
                                                              const struct mv_op *op)
{
    struct mv_jit *jit = cpu->jit;
    const struct mv_op *next =
        jit->lockstep != NULL ? mv_lockstep_run(jit->lockstep, cpu, op) : mv_jit_enter(cpu, op);
    mv_cpu_take_back(cpu);
    if (MV_UNLIKELY(jit->missed_ops != NULL))
        look_at_miss(cpu);
    mv_jit_count(&jit->counts.entries);
    mv_jit_count(next == NULL          ? &jit->counts.left
                 : (uintptr_t)next & 1 ? &jit->counts.interpreted
                                       : &jit->counts.elsewhere);
    return next;
}

/* On with what a unit left: an op of its own, or one that is to be interpreted as it is. */
#define MV_GO_ON(next)                                                                             \
    do {                                                                                           \
        uintptr_t go_bits = (uintptr_t)(next);                                                     \
        if (go_bits == 0)                                                                          \
            return NULL;                                                                           \
        op = (const struct mv_op *)(go_bits & ~(uintptr_t)1);                                      \
        if (go_bits & 1)                                                                           \
            MV_DISPATCH_AS(op, mv_jit_code(*mv_jit_page_place(cpu->page_ops), op));                \
        mv_code_cache_mark(cpu->code, cpu->page_ops, op);                                          \
        MV_DISPATCH(op);                                                                           \
    } while (0)

MV_OP(native)
{
    const struct mv_op *next = run_unit(cpu, op);
    MV_GO_ON(next);
}

MV_OP(count)
{
    struct mv_jit_page *page = *mv_jit_page_place(cpu->page_ops);
    unsigned slot = (unsigned)(op - page->ops);
    if (page->code[slot] == MV_OPCODE_decode) {
        mv_access_begin(cpu, op);
        mv_code_cache_decode(cpu->code, page->ops, op);
    }
    if (++page->count[slot] >= cpu->jit->params.after) {
        mv_access_begin(cpu, op);
        if (mv_jit_translate(cpu->jit, cpu, page, slot))
            MV_DISPATCH(op);
        page->count[slot] = UINT8_MAX;
        page->ops[slot].code = page->code[slot];
        MV_DISPATCH(op);
    }
    MV_DISPATCH_AS(op, page->code[slot]);
}
