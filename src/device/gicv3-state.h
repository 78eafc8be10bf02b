/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_gicv3: the whole state of one emulated GICv3, shared by the files
 * gicv3*.c and by nobody else.
 *
 * Interrupts stand in banks of 32, one bit each in every bitmap: a private
 * bank for each CPU (INTIDs 0-31), then the banks of the SPIs.  The device's
 * lock guards `sink` and all below it.  A function that changes interrupts marks
 * the CPUs concerned as dirty; whoever took the lock calls mv_gicv3_signal
 * before letting it go, so that an access is seen by the CPUs as one step.
 */
#ifndef MV_DEVICE_GICV3_STATE_H
#define MV_DEVICE_GICV3_STATE_H

#include "arm64.h"
#include "cleanup.h"
#include "platform-devices.h"

#define MV_GICV3_CPUS_MAX  64
#define MV_GICV3_SPI_MAX   960
#define MV_GICV3_SPI_BANKS (MV_GICV3_SPI_MAX / 32)
/* Bank of the first 32 SPIs; those before it are the CPUs' private banks. */
#define MV_GICV3_SPI_BANK0 MV_GICV3_CPUS_MAX
#define MV_GICV3_BANKS     (MV_GICV3_SPI_BANK0 + MV_GICV3_SPI_BANKS)

#define MV_GICV3_SGI_MASK      UINT32_C(0x0000ffff) /* of a private bank */
#define MV_GICV3_PRIORITY_MASK 0xf8                 /* five bits implemented */
#define MV_GICV3_SPURIOUS      1023
#define MV_GICV3_NO_TARGET     0xff

/* GICD_CTLR with one Security state (IHI 0069, 12.9). */
#define MV_GICD_CTLR_GROUP0 (1u << 0)
#define MV_GICD_CTLR_GROUP1 (1u << 1)
#define MV_GICD_CTLR_ARE    (1u << 4)
#define MV_GICD_CTLR_DS     (1u << 6)

/* GICD_IROUTER: one of N, and the fields that exist. */
#define MV_GICD_IROUTER_IRM      (UINT64_C(1) << 31)
#define MV_GICD_IROUTER_AFFINITY UINT64_C(0xff00ffffff)
#define MV_GICD_IROUTER_MASK     (MV_GICD_IROUTER_IRM | MV_GICD_IROUTER_AFFINITY)

/* ICC_CTLR_EL1's writable bits. */
#define MV_ICC_CTLR_CBPR    (1u << 0)
#define MV_ICC_CTLR_EOIMODE (1u << 1)

/* ICC_BPR0_EL1 and BPR1 with five bits of preemption level; a reset sets the least. */
#define MV_GICV3_BPR0_MIN 2
#define MV_GICV3_BPR1_MIN 3
#define MV_GICV3_BPR_MAX  7

/* JEP106 code of the architecture's owner, as PIDR2 has it too. */
#define MV_GICV3_IIDR 0x43b

/* The highest-priority interrupt that a CPU could take. */
struct mv_gicv3_best {
    uint16_t intid; /* MV_GICV3_SPURIOUS: none */
    uint8_t priority;
    uint8_t group;
};

struct mv_gicv3 {
    struct mv_device device; /* its region is the distributor's */
    struct mv_irqchip chip;
    struct mv_gicv3_params params;
    struct mv_mmio_region redist_region; /* of all CPUs, one after the other */
    struct mv_mmio_region v2m_region;

    struct mv_irq_sink *sink;

    /* State that a save carries: gicv3.c has its table. */
    uint8_t group_enable; /* GICD_CTLR's bits 0 and 1 */
    uint32_t group[MV_GICV3_BANKS];
    uint32_t enabled[MV_GICV3_BANKS];
    uint32_t pending[MV_GICV3_BANKS]; /* latched, apart from the two levels below */
    uint32_t active[MV_GICV3_BANKS];
    uint32_t edge[MV_GICV3_BANKS];          /* ICFGR: edge-triggered */
    uint32_t level[MV_GICV3_BANKS];         /* the input wires */
    uint32_t message_level[MV_GICV3_BANKS]; /* set by SETSPI, cleared by CLRSPI */
    uint8_t priority[MV_GICV3_BANKS * 32];
    uint64_t router[MV_GICV3_SPI_MAX];
    bool asleep[MV_GICV3_CPUS_MAX]; /* GICR_WAKER.ProcessorSleep */
    uint8_t pmr[MV_GICV3_CPUS_MAX];
    uint8_t cpu_ctlr[MV_GICV3_CPUS_MAX]; /* ICC_CTLR_EL1's writable bits */
    /* By group, then CPU. */
    uint8_t bpr[2][MV_GICV3_CPUS_MAX];
    uint8_t cpu_group_enable[2][MV_GICV3_CPUS_MAX];
    uint32_t apr[2][MV_GICV3_CPUS_MAX];

    /* Derived from the above. */
    uint32_t ready[MV_GICV3_BANKS];   /* pending, enabled, not active, group on */
    uint32_t ready_spi_banks;         /* bit n: SPI bank n has ready ones */
    uint8_t target[MV_GICV3_SPI_MAX]; /* CPU, or MV_GICV3_NO_TARGET */
    struct mv_gicv3_best best[MV_GICV3_CPUS_MAX];
    uint8_t lines[MV_GICV3_CPUS_MAX]; /* what the sink knows: IRQ bit 0, FIQ bit 1 */
    uint64_t dirty;                   /* CPUs to look at in mv_gicv3_signal */
};

/* --- gicv3-state.c: readiness, routing, priorities.  Lock held. */

/* The bank of INTID `intid` as `cpu` sees it; -1 where there is no such. */
int mv_gicv3_bank_of(const struct mv_gicv3 *gic, unsigned cpu, unsigned intid);
/* What ISPENDR shows. */
uint32_t mv_gicv3_bank_pending(const struct mv_gicv3 *gic, unsigned bank);
/* Something that matters changed in these interrupts of a bank. */
void mv_gicv3_bank_update(struct mv_gicv3 *gic, unsigned bank, uint32_t touched);
void mv_gicv3_all_update(struct mv_gicv3 *gic);
/* The level of an input, 0 or 1 in each bit of `mask`. */
void mv_gicv3_input_set(struct mv_gicv3 *gic, unsigned bank, uint32_t mask, bool level);
/* SPI number `spi` (INTID - 32) goes where its IROUTER says now. */
void mv_gicv3_spi_route(struct mv_gicv3 *gic, unsigned spi);
/* Choose again for every SPI that goes to one of N CPUs. */
void mv_gicv3_shared_spis_route(struct mv_gicv3 *gic);
/* The bits of a priority that decide on preemption. */
uint8_t mv_gicv3_group_priority(const struct mv_gicv3 *gic, unsigned cpu, unsigned group,
                                uint8_t priority);
/* ICC_RPR_EL1. */
uint8_t mv_gicv3_running_priority(const struct mv_gicv3 *gic, unsigned cpu);
/* Whether the best interrupt of a CPU may be signalled to it. */
bool mv_gicv3_can_signal(const struct mv_gicv3 *gic, unsigned cpu);
/* Find the best interrupt of each dirty CPU again and tell the sink. */
void mv_gicv3_signal(struct mv_gicv3 *gic);

/* --- gicv3-frames.c, and gicv3-cpuif.c: each takes the lock itself. */
extern const struct mv_mmio_ops mv_gicv3_dist_ops;
extern const struct mv_mmio_ops mv_gicv3_redist_ops;
extern const struct mv_mmio_ops mv_gicv3_v2m_ops;
bool mv_gicv3_cpu_read(struct mv_irqchip *chip, unsigned cpu, unsigned reg, uint64_t *ret);
bool mv_gicv3_cpu_write(struct mv_irqchip *chip, unsigned cpu, unsigned reg, uint64_t value);
/* One edge of an SPI; an INTID that is no SPI is ignored. */
void mv_gicv3_message(struct mv_irqchip *chip, unsigned intid);

static inline struct mv_gicv3 *mv_gicv3_of_chip(struct mv_irqchip *chip)
{
    return (struct mv_gicv3 *)((char *)chip - offsetof(struct mv_gicv3, chip));
}

#endif
