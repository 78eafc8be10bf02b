/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's PrimeCell devices: pl031.c, a clock that shows the host's time, and pl061.c, GPIO lines. */
#ifndef MV_DEVICE_PRIMECELL_H
#define MV_DEVICE_PRIMECELL_H

#include "device.h"
#include "error.h"
#include "irqchip.h"
#include "platform.h"
#include "space.h"

#include <stdbool.h>

struct mv_loop;

#define MV_PRIMECELL_SIZE 0x1000

/* What the nodes of all of them have. */
void mv_primecell_describe(struct mv_fdt *fdt, const struct mv_platform_row *row);

extern const struct mv_platform_type mv_pl031_type, mv_pl061_type;

int mv_pl031_create(const struct mv_irq *irq, struct mv_loop *loop, struct mv_device **ret,
                    struct mv_error *err);
const struct mv_mmio_region *mv_pl031_region(struct mv_device *device);

int mv_pl061_create(const struct mv_irq *irq, struct mv_device **ret, struct mv_error *err);
const struct mv_mmio_region *mv_pl061_region(struct mv_device *device);
/* Drive an input line, 0..7.  Any thread. */
void mv_pl061_set_input(struct mv_device *device, unsigned line, bool level);

#endif
