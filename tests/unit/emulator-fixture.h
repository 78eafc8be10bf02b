/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulator with a few vCPUs, a bank of RAM and what an engine needs around
 * it, for tests of its inside.
 */
#ifndef MV_TESTS_EMULATOR_FIXTURE_H
#define MV_TESTS_EMULATOR_FIXTURE_H

#include "block.h"
#include "cpu.h"
#include "emulator.h"
#include "irqchip.h"
#include "loop.h"
#include "space.h"

#define FIXTURE_CPUS 3
#define FIXTURE_VIRTUAL_INTID 27
#define FIXTURE_PHYSICAL_INTID 30

/* The level of each private interrupt, as the timers set it. */
struct fixture_irqchip {
    struct mv_irqchip chip;
    atomic_bool ppi[FIXTURE_CPUS][32];
};

struct fixture {
    struct fixture_irqchip irqchip;
    struct mv_block_registry *registry;
    struct mv_space *space;
    struct mv_loop *loop;
    struct mv_engine *engine;
    struct mv_emulator *emulator;
    struct mv_cpu *cpu[FIXTURE_CPUS];
};

static struct mv_error fixture_error;

static void fixture_set_ppi(struct mv_irqchip *chip, unsigned cpu, unsigned intid, bool level)
{
    atomic_store(&((struct fixture_irqchip *)chip)->ppi[cpu][intid], level);
}

static bool fixture_icc_read(struct mv_irqchip *chip, unsigned cpu, unsigned reg,
                             uint64_t *ret)
{
    *ret = 0;
    return true;
}

static bool fixture_icc_write(struct mv_irqchip *chip, unsigned cpu, unsigned reg,
                              uint64_t value)
{
    return true;
}

static void fixture_set_sink(struct mv_irqchip *chip, struct mv_irq_sink *sink)
{
}

static const struct mv_irqchip_ops fixture_irqchip_ops = {
    .set_ppi = fixture_set_ppi,
    .cpu_read = fixture_icc_read,
    .cpu_write = fixture_icc_write,
    .set_sink = fixture_set_sink,
};

/* A bank of RAM; what the host has of it. */
static inline uint8_t *fixture_add_ram(struct fixture *f, const char *name, uint64_t gpa,
                                       uint64_t size)
{
    struct mv_block *block = NULL;
    if (mv_block_create(f->registry, "", name, size, &block, &fixture_error) != 0 ||
        mv_space_add_ram(f->space, gpa, block, 0, size, &fixture_error) != 0)
        fail_msg("%s", fixture_error.text);
    return block->host;
}

static inline int fixture_setup(struct fixture *f)
{
    *f = (struct fixture){.irqchip.chip.ops = &fixture_irqchip_ops};
    if (mv_block_registry_create(&f->registry, &fixture_error) != 0 ||
        mv_space_create(&f->space, &fixture_error) != 0 ||
        mv_loop_create(&f->loop, &fixture_error) != 0)
        return -1;
    const struct mv_engine_params params = {
        .space = f->space,
        .loop = f->loop,
        .cpus = FIXTURE_CPUS,
        .virtual_timer_intid = FIXTURE_VIRTUAL_INTID,
        .physical_timer_intid = FIXTURE_PHYSICAL_INTID,
    };
    if (mv_emulator_ops.create(&params, &f->engine, &fixture_error) != 0)
        return -1;
    mv_emulator_ops.set_irqchip(f->engine, &f->irqchip.chip);
    f->emulator = (struct mv_emulator *)f->engine;
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        struct mv_vcpu *vcpu;
        if (mv_emulator_ops.vcpu_create(f->engine, i, &vcpu, &fixture_error) != 0)
            return -1;
        f->cpu[i] = mv_cpu_of(vcpu);
    }
    return 0;
}

static inline int fixture_teardown(struct fixture *f)
{
    for (unsigned i = FIXTURE_CPUS; i-- > 0;)
        mv_emulator_ops.vcpu_destroy(&f->cpu[i]->vcpu);
    mv_emulator_ops.destroy(f->engine);
    mv_loop_destroy(f->loop);
    mv_space_destroy(f->space);
    mv_block_registry_destroy(f->registry);
    return 0;
}

#endif
