/* SPDX-License-Identifier: Apache-2.0 */
/* gicv3*.c as boards see it: distributor, redistributors, CPU interfaces and a GICv2m frame. */
#ifndef MV_DEVICE_GICV3_H
#define MV_DEVICE_GICV3_H

#include "device.h"
#include "error.h"
#include "irqchip.h"
#include "platform.h"
#include "space.h"

struct mv_gicv3_params {
    unsigned cpus;           /* 1..64 */
    unsigned spi_count;      /* multiple of 32, at most 960; SPIs are 32..32+n-1 */
    unsigned msi_base_intid; /* first SPI of the GICv2m frame */
    unsigned msi_count;
};

/* Its row's address is the distributor's. */
extern const struct mv_platform_type mv_gicv3_type;
struct mv_gicv3_wiring {
    uint64_t redist_gpa;
    uint64_t v2m_gpa;
    struct mv_gicv3_params params; /* but for the number of CPUs */
};

#define MV_GICV3_DIST_SIZE   0x10000
#define MV_GICV3_REDIST_SIZE 0x20000 /* a vCPU */
#define MV_GICV2M_SIZE       0x1000

int mv_gicv3_create(const struct mv_gicv3_params *params, struct mv_device **ret,
                    struct mv_error *err);
struct mv_irqchip *mv_gicv3_irqchip(struct mv_device *device);
const struct mv_mmio_region *mv_gicv3_dist_region(struct mv_device *device);
/* One region for all vCPUs' redistributors, cpus * MV_GICV3_REDIST_SIZE long. */
const struct mv_mmio_region *mv_gicv3_redist_region(struct mv_device *device);
const struct mv_mmio_region *mv_gicv3_v2m_region(struct mv_device *device);

#endif
