/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GICv2m frame: a write of an INTID to one register is an edge of that
 * SPI, which makes it the target of PCI devices' messages (Arm Server Base
 * System Architecture, GICv2m).  MMIO callbacks from any thread; the message
 * takes the chip's lock.
 */
#include "gicv3-state.h"

#define TYPER     0x008
#define SETSPI_NS 0x040
#define IIDR      0xfcc

static uint64_t v2m_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct mv_gicv3_params *params = &((struct mv_gicv3 *)opaque)->params;
    if (size != 4)
        return 0;
    if (offset == TYPER)
        return (uint64_t)params->msi_base_intid << 16 | params->msi_count;
    return offset == IIDR ? MV_GICV3_IIDR : 0;
}

static void v2m_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_gicv3 *gic = opaque;
    if (offset != SETSPI_NS || (size != 2 && size != 4))
        return;
    unsigned intid = value & 0x3ff;
    if (intid >= gic->params.msi_base_intid &&
        intid - gic->params.msi_base_intid < gic->params.msi_count)
        mv_gicv3_message(&gic->chip, intid);
}

const struct mv_mmio_ops mv_gicv3_v2m_ops = {
    .read = v2m_read,
    .peek = v2m_read,
    .write = v2m_write,
    .min_access = 1,
    .max_access = 8,
};
