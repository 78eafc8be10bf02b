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

/* The CPU interface's system registers that a guest at EL1 reaches. */
enum mv_icc_reg {
    MV_ICC_PMR,
    MV_ICC_IAR0,
    MV_ICC_EOIR0,
    MV_ICC_HPPIR0,
    MV_ICC_BPR0,
    MV_ICC_AP0R0,
    MV_ICC_AP1R0,
    MV_ICC_DIR,
    MV_ICC_RPR,
    MV_ICC_SGI1R,
    MV_ICC_ASGI1R,
    MV_ICC_SGI0R,
    MV_ICC_IAR1,
    MV_ICC_EOIR1,
    MV_ICC_HPPIR1,
    MV_ICC_BPR1,
    MV_ICC_CTLR,
    MV_ICC_SRE,
    MV_ICC_IGRPEN0,
    MV_ICC_IGRPEN1,
};

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
     * System register access by vCPU `cpu` at EL1; false where the register
     * is not readable or writable, which the engine makes an UNDEF.
     */
    bool (*icc_read)(struct mv_irqchip *chip, unsigned cpu, enum mv_icc_reg reg, uint64_t *ret);
    bool (*icc_write)(struct mv_irqchip *chip, unsigned cpu, enum mv_icc_reg reg, uint64_t value);
    void (*set_sink)(struct mv_irqchip *chip, struct mv_irq_sink *sink);
};

struct mv_irqchip {
    const struct mv_irqchip_ops *ops;
};

/* A wire from a device to the chip. */
struct mv_irq {
    struct mv_irqchip *chip;
    unsigned intid; /* SPI */
};

static inline void mv_irq_set(const struct mv_irq *irq, bool level)
{
    if (irq->chip)
        irq->chip->ops->set_spi(irq->chip, irq->intid, level);
}

#endif
