/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC's redistributors (IHI 0069, 12.10 and 12.11): for each CPU a frame
 * for the redistributor itself and a frame for its SGIs and PPIs, 64 KiB each.
 * No LPIs.  MMIO callbacks from any vCPU's thread; each takes the chip's lock.
 * An offset or a size that means nothing is RAZ/WI.
 */
#include "gicv3-state.h"

#define FRAME_SIZE 0x10000

#define IIDR  0x0004
#define TYPER 0x0008
#define WAKER 0x0014

#define TYPER_LAST      (UINT64_C(1) << 4)
#define TYPER_NUMBER(n) ((uint64_t)(n) << 8)

#define WAKER_PROCESSOR_SLEEP (1u << 1)
#define WAKER_CHILDREN_ASLEEP (1u << 2)

#define PART_REDISTRIBUTOR 0x93

static uint64_t read_typer(const struct mv_gicv3 *gic, unsigned cpu)
{
    /* Aff3 to Aff0 in the upper half. */
    return mv_arm64_affinity(cpu) << 32 | TYPER_NUMBER(cpu) |
           (cpu == gic->params.cpus - 1 ? TYPER_LAST : 0);
}

/* The frame of the redistributor itself, in words of 32 bits. */
static uint32_t read_word(const struct mv_gicv3 *gic, unsigned cpu, uint32_t offset)
{
    switch (offset) {
    case IIDR:
        return MV_GICV3_IIDR;
    case TYPER:
        return (uint32_t)read_typer(gic, cpu);
    case TYPER + 4:
        return (uint32_t)(read_typer(gic, cpu) >> 32);
    case WAKER:
        return gic->asleep[cpu] ? WAKER_PROCESSOR_SLEEP | WAKER_CHILDREN_ASLEEP : 0;
    default:
        return mv_gicv3_id_read(offset, PART_REDISTRIBUTOR);
    }
}

/* False where no redistributor stands. */
static bool find_frame(const struct mv_gicv3 *gic, uint64_t offset, unsigned size,
                       unsigned *ret_cpu, bool *ret_sgi_frame)
{
    if (offset / MV_GICV3_REDIST_SIZE >= gic->params.cpus || (offset & (size - 1)) != 0)
        return false;
    *ret_cpu = (unsigned)(offset / MV_GICV3_REDIST_SIZE);
    *ret_sgi_frame = offset % MV_GICV3_REDIST_SIZE >= FRAME_SIZE;
    return true;
}

static uint64_t redist_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_gicv3 *gic = opaque;
    unsigned cpu;
    bool sgi_frame;
    if (!find_frame(gic, offset, size, &cpu, &sgi_frame))
        return 0;
    uint32_t in_frame = offset % FRAME_SIZE;
    MV_LOCK_SCOPE(&gic->lock);
    if (sgi_frame)
        return mv_gicv3_bank_read(gic, (int)cpu, in_frame, size);
    if (size == 4)
        return read_word(gic, cpu, in_frame);
    return size == 8 && in_frame == TYPER ? read_typer(gic, cpu) : 0;
}

/*
 * The handshake alone: ChildrenAsleep follows ProcessorSleep at once, and a
 * sleeping CPU still has its interrupts signalled, since nothing but a wake-up
 * could come of them and programs started at EL1 may rely on a firmware for
 * the waking.  CTLR has no writable bits without LPIs.
 */
static void redist_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_gicv3 *gic = opaque;
    unsigned cpu;
    bool sgi_frame;
    if (!find_frame(gic, offset, size, &cpu, &sgi_frame))
        return;
    uint32_t in_frame = offset % FRAME_SIZE;
    MV_LOCK_SCOPE(&gic->lock);
    if (sgi_frame)
        mv_gicv3_bank_write(gic, (int)cpu, in_frame, size, (uint32_t)value);
    else if (in_frame == WAKER && size == 4)
        gic->asleep[cpu] = (value & WAKER_PROCESSOR_SLEEP) != 0;
    mv_gicv3_signal(gic);
}

const struct mv_mmio_ops mv_gicv3_redist_ops = {
    .read = redist_read,
    .peek = redist_read,
    .write = redist_write,
    .min_access = 1,
    .max_access = 8,
};
