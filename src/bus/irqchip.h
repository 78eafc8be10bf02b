/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_irqchip: what devices and CPU engines know of the interrupt
 * controller.  device/gicv3 implements it in the emulator's case; a KVM engine
 * implements it on the kernel's.  Any thread may call; the chip has its own
 * lock and calls the sink with that lock held.
 */
#ifndef MV_BUS_IRQCHIP_H
#define MV_BUS_IRQCHIP_H

#include <stdbool.h>
#include <stdint.h>

/* INTIDs (Arm GIC architecture specification, IHI 0069, 2.2.1). */
#define MV_INTID_PPI_BASE 16
#define MV_INTID_SPI_BASE 32

/* Where the chip tells a vCPU's engine the level of its IRQ and FIQ inputs. */
struct mv_irq_sink {
    void (*set_lines)(struct mv_irq_sink *sink, unsigned cpu, bool irq, bool fiq);
};

struct mv_irqchip;

struct mv_irqchip_ops {
    /* Level of a shared interrupt; intid counts from 32. */
    void (*set_spi)(struct mv_irqchip *chip, unsigned intid, bool level);
    /* Level of a private interrupt (16-31) of one vCPU. */
    void (*set_ppi)(struct mv_irqchip *chip, unsigned cpu, unsigned intid, bool level);
    /* A message-signalled interrupt: one edge of a shared interrupt. */
    void (*message)(struct mv_irqchip *chip, unsigned intid);
    /*
     * Access by vCPU `cpu` to a register that the chip has inside of the CPU, as
     * the architecture numbers them; false where it is not readable or writable,
     * which the engine makes an undefined instruction.
     */
    bool (*cpu_read)(struct mv_irqchip *chip, unsigned cpu, unsigned reg, uint64_t *ret);
    bool (*cpu_write)(struct mv_irqchip *chip, unsigned cpu, unsigned reg, uint64_t value);
    void (*set_sink)(struct mv_irqchip *chip, struct mv_irq_sink *sink);
};

struct mv_irqchip {
    const struct mv_irqchip_ops *ops;
};

/* A wire from a device, whose lock guards it, to the chip, or to nowhere. */
struct mv_irq {
    struct mv_irqchip *chip;
    unsigned intid; /* SPI */
    bool level;     /* what the chip was told */
};

static inline void mv_irq_set(struct mv_irq *irq, bool level)
{
    if (irq->chip && level != irq->level)
        irq->chip->ops->set_spi(irq->chip, irq->intid, level);
    irq->level = level;
}

/* The chip may have another level by a load: tell it again. */
static inline void mv_irq_renew(struct mv_irq *irq)
{
    irq->level = !irq->level;
    mv_irq_set(irq, !irq->level);
}

#endif
