/* SPDX-License-Identifier: Apache-2.0 */
/* An interrupt controller that remembers the level of one wire. */
#ifndef MV_TESTS_FAKE_IRQ_H
#define MV_TESTS_FAKE_IRQ_H

#include "irqchip.h"

#define FAKE_INTID 40

struct fake_irq {
    struct mv_irqchip chip;
    bool level;
    int changes;
    int repeats; /* calls that changed nothing */
};

static void fake_irq_set_spi(struct mv_irqchip *chip, unsigned intid, bool level)
{
    struct fake_irq *fake = (struct fake_irq *)chip;
    assert_int_equal(intid, FAKE_INTID);
    if (fake->level == level)
        fake->repeats++;
    else
        fake->changes++;
    fake->level = level;
}

static const struct mv_irqchip_ops fake_irq_ops = {.set_spi = fake_irq_set_spi};

static inline struct mv_irq fake_irq_wire(struct fake_irq *fake)
{
    *fake = (struct fake_irq){.chip.ops = &fake_irq_ops};
    return (struct mv_irq){.chip = &fake->chip, .intid = FAKE_INTID};
}

#endif
