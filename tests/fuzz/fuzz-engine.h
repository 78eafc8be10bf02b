/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine whose vCPUs never run, for the targets of whole machines.  Its CPU has no features,
 * so that states of the emulator's come as far as to vCPUs, which are loaded last, and only such
 * that fuzzing has made of them go further; or all do, where idle_takes_any is set.
 */
#ifndef MV_TESTS_FUZZ_ENGINE_H
#define MV_TESTS_FUZZ_ENGINE_H

#include "arch.h"
#include "arm64.h"
#include "engine.h"

#include <stdlib.h>
#include <string.h>

struct idle_cpu {
    struct mv_vcpu vcpu;
    struct mv_arm64_state state;
};

static const struct mv_engine_ops idle_ops;
static struct mv_engine idle = {&idle_ops};
static uint64_t idle_ns;
static bool idle_takes_any;

static int idle_create(const struct mv_engine_params *params, struct mv_engine **ret,
                       struct mv_error *error)
{
    *ret = &idle;
    return 0;
}

static void idle_destroy(struct mv_engine *engine)
{
}

static void idle_set_irqchip(struct mv_engine *engine, struct mv_irqchip *chip)
{
}

static void idle_clock_run(struct mv_engine *engine, bool on)
{
}

static uint64_t idle_clock_ns(struct mv_engine *engine)
{
    return idle_ns;
}

static void idle_clock_set(struct mv_engine *engine, uint64_t ns)
{
    idle_ns = ns;
}

static int idle_vcpu_create(struct mv_engine *engine, unsigned index, struct mv_vcpu **ret,
                            struct mv_error *error)
{
    struct idle_cpu *cpu = calloc(1, sizeof *cpu);
    cpu->vcpu = (struct mv_vcpu){&idle_ops, index};
    *ret = &cpu->vcpu;
    return 0;
}

static void idle_vcpu_destroy(struct mv_vcpu *vcpu)
{
    free(vcpu);
}

static void idle_vcpu_reset(struct mv_vcpu *vcpu)
{
}

static void idle_vcpu_get_state(struct mv_vcpu *vcpu, void *ret)
{
    memcpy(ret, &((struct idle_cpu *)vcpu)->state, sizeof(struct mv_arm64_state));
}

static int idle_vcpu_set_state(struct mv_vcpu *vcpu, const void *state, struct mv_error *error)
{
    struct idle_cpu *cpu = (struct idle_cpu *)vcpu;
    int r = idle_takes_any ? 0 : mv_arch_check(&mv_arm64, state, &cpu->state, error);
    if (r == 0)
        memcpy(&cpu->state, state, sizeof cpu->state);
    return r;
}

static const struct mv_engine_ops idle_ops = {
    .name = "emulator",
    .arch = &mv_arm64,
    .create = idle_create,
    .destroy = idle_destroy,
    .set_irqchip = idle_set_irqchip,
    .clock_run = idle_clock_run,
    .clock_ns = idle_clock_ns,
    .clock_set = idle_clock_set,
    .vcpu_create = idle_vcpu_create,
    .vcpu_destroy = idle_vcpu_destroy,
    .vcpu_reset = idle_vcpu_reset,
    .vcpu_get_state = idle_vcpu_get_state,
    .vcpu_set_state = idle_vcpu_set_state,
};

const struct mv_engine_ops *const mv_engines[] = {&idle_ops, NULL};

#endif
