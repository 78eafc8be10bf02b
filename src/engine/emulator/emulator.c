/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator.h"

#include "cleanup.h"
#include "code-cache.h"
#include "cpu.h"
#include "jit.h"
#include "perf.h"
#include "size.h"

#include <stdlib.h>
#include <string.h>

/* Decoded code, over all vCPUs: 16 KiB a page, at least MIN_PAGES for each. */
#define CODE_PAGES     640
#define CODE_PAGES_MIN 128
/* Translated code, over all vCPUs, and what each has at least. */
#define JIT_CACHE     (UINT64_C(8) << 20)
#define JIT_CACHE_MIN (UINT64_C(64) << 10)
#define JIT_AFTER     32

#define EMULATOR_OF(pointer, member)                                                               \
    ((struct mv_emulator *)((char *)(pointer)-offsetof(struct mv_emulator, member)))

/* The GIC tells a vCPU's lines; any thread. */
static void set_lines(struct mv_irq_sink *sink, unsigned index, bool irq, bool fiq)
{
    struct mv_emulator *emulator = EMULATOR_OF(sink, sink);
    if (index >= emulator->cpu_count)
        return;
    struct mv_cpu *cpu = emulator->cpus[index];
    atomic_store(&cpu->irq_line, irq);
    atomic_store(&cpu->fiq_line, fiq);
    if (irq || fiq)
        mv_cpu_attend(cpu, MV_ATTENTION_IRQ);
}

void mv_emulator_send_event(struct mv_emulator *emulator)
{
    for (unsigned i = 0; i < emulator->cpu_count; i++) {
        atomic_store(&emulator->cpus[i]->event, true);
        mv_cpu_attend(emulator->cpus[i], 0);
    }
}

/* The guest-physical map changed: what vCPUs remember of it is void. */
static void space_changed(struct mv_space_listener *listener, uint64_t gpa, uint64_t size)
{
    mv_shootdown_post_all(&EMULATOR_OF(listener, listener)->mailboxes);
}

static void settle(struct mv_space_listener *listener)
{
    mv_shootdown_finish_writes(&EMULATOR_OF(listener, listener)->mailboxes);
}

static int check_params(const struct mv_engine_params *params, struct mv_error *err)
{
    if (params->jit_check && !params->jit)
        return mv_error_set(err, EINVAL,
                            "jit-check=on: nothing is translated that could be checked: "
                            "say jit=on as well");
    if (params->perf != NULL && !params->jit)
        return mv_error_set(err, EINVAL,
                            "--perf %s: nothing is translated that perf could be told of: "
                            "say --engine emulator,jit=on", params->perf);
    if (params->jit_check && params->cpus > 1)
        return mv_error_set(err, EINVAL,
                            "jit-check=on: another processor could write what is compared: "
                            "say -c 1");
    return 0;
}

static int create(const struct mv_engine_params *params, struct mv_engine **ret,
                  struct mv_error *err)
{
    int r = check_params(params, err);
    if (r < 0)
        return r;
    struct mv_emulator *emulator = calloc(1, sizeof *emulator);
    if (emulator == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the emulator");
    if (params->perf != NULL) {
        r = mv_jit_perf_create(params->perf, &emulator->perf, err);
        if (r < 0) {
            free(emulator);
            return r;
        }
    }
    emulator->engine.ops = &mv_emulator_ops;
    emulator->params = *params;
    emulator->sink.set_lines = set_lines;
    emulator->listener.changed = space_changed;
    emulator->listener.settle = settle;
    mv_space_listen(params->space, &emulator->listener);
    *ret = &emulator->engine;
    return 0;
}

static void destroy(struct mv_engine *engine)
{
    struct mv_emulator *emulator = (struct mv_emulator *)engine;
    if (emulator->irqchip != NULL)
        emulator->irqchip->ops->set_sink(emulator->irqchip, NULL);
    mv_space_unlisten(emulator->params.space, &emulator->listener);
    mv_jit_perf_destroy(emulator->perf);
    free(emulator);
}

static void set_irqchip(struct mv_engine *engine, struct mv_irqchip *chip)
{
    struct mv_emulator *emulator = (struct mv_emulator *)engine;
    emulator->irqchip = chip;
    chip->ops->set_sink(chip, &emulator->sink);
}

static void vcpu_destroy(struct mv_vcpu *vcpu)
{
    struct mv_cpu *cpu = mv_cpu_of(vcpu);
    struct mv_emulator *emulator = cpu->emulator;
    if (vcpu->index + 1 == emulator->cpu_count)
        emulator->mailboxes.count = --emulator->cpu_count;
    mv_timers_destroy(cpu);
    mv_code_cache_destroy(cpu->code);
    mv_jit_destroy(cpu->jit);
    pthread_mutex_destroy(&cpu->mailbox.lock);
    pthread_mutex_destroy(&cpu->wait_lock);
    pthread_cond_destroy(&cpu->wait_cond);
    free(cpu);
}

static void init_locks(struct mv_cpu *cpu)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&cpu->wait_cond, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&cpu->wait_lock, NULL);
    pthread_mutex_init(&cpu->mailbox.lock, NULL);
}

static void clock_run(struct mv_engine *engine, bool on)
{
    struct mv_emulator *emulator = (struct mv_emulator *)engine;
    mv_guest_clock_run(&emulator->clock, on);
    for (unsigned i = 0; i < emulator->cpu_count; i++)
        mv_timers_update(emulator->cpus[i]);
}

static uint64_t clock_ns(struct mv_engine *engine)
{
    return mv_guest_clock_ns(&((struct mv_emulator *)engine)->clock);
}

static void clock_set(struct mv_engine *engine, uint64_t ns)
{
    struct mv_emulator *emulator = (struct mv_emulator *)engine;
    emulator->clock.stopped = ns;
    for (unsigned i = 0; i < emulator->cpu_count; i++)
        mv_timers_update(emulator->cpus[i]);
}

/* Each vCPU's part of the memory for translated code, of whole pages. */
static size_t jit_size(const struct mv_emulator *emulator)
{
    uint64_t all = emulator->params.jit_cache == 0 ? JIT_CACHE : emulator->params.jit_cache;
    uint64_t part = all / emulator->params.cpus;
    return mv_align_up(part < JIT_CACHE_MIN ? JIT_CACHE_MIN : part, MV_PAGE_SIZE);
}

static unsigned jit_after(const struct mv_emulator *emulator)
{
    return emulator->params.jit_after == 0 ? JIT_AFTER : emulator->params.jit_after;
}

/* vCPUs are created in the order of their indices, before any of them runs. */
static int vcpu_create(struct mv_engine *engine, unsigned index, struct mv_vcpu **ret,
                       struct mv_error *err)
{
    struct mv_emulator *emulator = (struct mv_emulator *)engine;
    struct mv_cpu *cpu = aligned_alloc(64, mv_align_up(sizeof *cpu, 64));
    if (cpu == NULL)
        return mv_error_set(err, ENOMEM, "no memory for vCPU %u", index);
    memset(cpu, 0, sizeof *cpu);
    cpu->vcpu.ops = &mv_emulator_ops;
    cpu->vcpu.index = index;
    cpu->emulator = emulator;
    init_locks(cpu);
    unsigned pages = CODE_PAGES / emulator->params.cpus;
    const struct mv_jit_params jit = {jit_size(emulator), jit_after(emulator),
                                      emulator->params.jit_check, emulator->perf};
    int r = emulator->params.jit ? mv_jit_create(&jit, &cpu->jit, err) : 0;
    if (r == 0)
        r = mv_code_cache_create(pages < CODE_PAGES_MIN ? CODE_PAGES_MIN : pages, cpu->jit,
                                 &cpu->code, err);
    if (r == 0)
        r = mv_timers_init(cpu, err);
    if (r < 0) {
        vcpu_destroy(&cpu->vcpu);
        return r;
    }
    mv_jit_numbers_set(&cpu->jit_numbers);
    mv_softmmu_init(&cpu->mmu, emulator->params.space, emulator->params.cpus == 1);
    cpu->mailbox.all = &emulator->mailboxes;
    cpu->mailbox.attention = &cpu->attention;
    cpu->mailbox.attention_bit = MV_ATTENTION_SHOOTDOWN;
    cpu->mailbox.tlb = &cpu->mmu.tlb;
    cpu->mailbox.code = cpu->code;
    mv_cpu_reset(&cpu->vcpu);
    emulator->cpus[index] = cpu;
    emulator->mailboxes.box[index] = &cpu->mailbox;
    emulator->cpu_count = emulator->mailboxes.count = index + 1;
    *ret = &cpu->vcpu;
    return 0;
}

static void vcpu_kick(struct mv_vcpu *vcpu)
{
    mv_cpu_attend(mv_cpu_of(vcpu), MV_ATTENTION_KICK);
}

static const uint8_t *vcpu_fault(struct mv_vcpu *vcpu)
{
    return mv_cpu_of(vcpu)->unwind.address;
}

/* --- for a debugger: no vCPU runs */

/* In the debugger's thread, which has no fault point of its own. */
static bool vcpu_translate(struct mv_vcpu *vcpu, uint64_t va, uint64_t *ret_gpa)
{
    struct mv_fault_point point;
    struct mv_translation t;
    volatile bool found = false;
    mv_fault_enter(&point);
    if (sigsetjmp(point.jump, 0) == 0)
        found = mv_softmmu_translate(&mv_cpu_of(vcpu)->mmu, va, 1, MV_ACCESS_DEBUG, &t);
    mv_fault_leave(&point);
    if (found)
        *ret_gpa = t.pa;
    return found;
}

static void debug_points(struct mv_engine *engine, const struct mv_debug_points *points)
{
    struct mv_emulator *emulator = (struct mv_emulator *)engine;
    emulator->debug_points = *points;
    for (unsigned i = 0; i < emulator->cpu_count; i++)
        mv_debug_update(emulator->cpus[i]);
}

static void vcpu_debug(struct mv_vcpu *vcpu, bool step, bool pass)
{
    struct mv_cpu *cpu = mv_cpu_of(vcpu);
    cpu->debug.host_step = step;
    cpu->debug.pass = pass;
    mv_debug_update(cpu);
}

static void vcpu_debug_stop(struct mv_vcpu *vcpu, struct mv_debug_stop *ret)
{
    *ret = mv_cpu_of(vcpu)->debug.stop;
}

static void memory_changed(struct mv_engine *engine)
{
    mv_shootdown_post_all(&((struct mv_emulator *)engine)->mailboxes);
}

static bool jit_info(struct mv_engine *engine, struct mv_engine_jit *ret)
{
    struct mv_emulator *emulator = (struct mv_emulator *)engine;
    *ret = (struct mv_engine_jit){0};
    for (unsigned i = 0; i < emulator->cpu_count; i++) {
        struct mv_jit *jit = emulator->cpus[i]->jit;
        if (jit == NULL)
            return false;
        ret->size += jit->memory.size;
        ret->used += atomic_load(&jit->counts.used);
        ret->units += atomic_load(&jit->counts.units);
        ret->refused += atomic_load(&jit->counts.refused);
        ret->evictions += atomic_load(&jit->counts.evictions);
        ret->strays += atomic_load(&jit->counts.strays);
        ret->entries += atomic_load(&jit->counts.entries);
        ret->interpreted += atomic_load(&jit->counts.interpreted);
        ret->elsewhere += atomic_load(&jit->counts.elsewhere);
        ret->left += atomic_load(&jit->counts.left);
        ret->checked += atomic_load(&jit->counts.checked);
        ret->unchecked += atomic_load(&jit->counts.unchecked);
    }
    return true;
}

const struct mv_engine_ops mv_emulator_ops = {
    .name = "emulator",
    .description = "interprets arm64 on any Linux host, or translates it on x86-64 (jit=on)",
    .arch = &mv_arm64,
    .caches = mv_emulator_caches,
    .create = create,
    .destroy = destroy,
    .set_irqchip = set_irqchip,
    .clock_run = clock_run,
    .clock_ns = clock_ns,
    .clock_set = clock_set,
    .vcpu_create = vcpu_create,
    .vcpu_destroy = vcpu_destroy,
    .vcpu_reset = mv_cpu_reset,
    .vcpu_run = mv_cpu_run,
    .vcpu_kick = vcpu_kick,
    .vcpu_fault = vcpu_fault,
    .vcpu_get_state = mv_cpu_get_state,
    .vcpu_set_state = mv_cpu_set_state,
    .vcpu_translate = vcpu_translate,
    .debug_points = debug_points,
    .vcpu_debug = vcpu_debug,
    .vcpu_debug_stop = vcpu_debug_stop,
    .memory_changed = memory_changed,
    .jit_info = jit_info,
};
