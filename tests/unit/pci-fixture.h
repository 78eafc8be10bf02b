/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI bus on a space with RAM at 0x60000000, whose interrupts and messages are noted. */
#ifndef MV_TESTS_PCI_FIXTURE_H
#define MV_TESTS_PCI_FIXTURE_H

#include "pci.h"

#include "block.h"
#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOW_WINDOW  UINT64_C(0x50000000)
#define HIGH_WINDOW UINT64_C(0x8000000000)
#define FRAME       UINT64_C(0x3f7e0000)

static struct mv_error err;
static struct mv_block_registry *registry;
static struct mv_space *space;
static struct mv_pci_bus *bus;
static bool lines[64];
static uint64_t last_message[2]; /* offset, data */
static unsigned messages;

static void fixture_set_spi(struct mv_irqchip *chip, unsigned intid, bool level)
{
    lines[intid] = level;
}

static const struct mv_irqchip_ops fixture_chip_ops = {.set_spi = fixture_set_spi};
static struct mv_irqchip fixture_chip = {&fixture_chip_ops};

static uint64_t fixture_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void fixture_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    assert_true(offset < 0x1000);
    assert_int_equal(size, 4);
    last_message[0] = offset;
    last_message[1] = value;
    messages++;
}

static const struct mv_mmio_ops fixture_ops = {
    .read = fixture_read, .write = fixture_write, .min_access = 4, .max_access = 4};
static const struct mv_mmio_region fixture_frame = {.name = "frame", .ops = &fixture_ops};
static const struct mv_mmio_region registers = {.name = "registers", .ops = &fixture_ops};

static inline void fixture_create(void)
{
    struct mv_pci_bus_params params = {
        .windows = {{LOW_WINDOW, 0x30000000}, {HIGH_WINDOW, HIGH_WINDOW}},
        .msi_gpa = FRAME,
        .msi_size = 0x1000,
        .msi_region = &fixture_frame,
    };
    struct mv_block *ram;
    memset(lines, 0, sizeof lines);
    messages = 0;
    for (unsigned i = 0; i < MV_PCI_LINES; i++)
        params.lines[i] = (struct mv_irq){&fixture_chip, 36 + i};
    assert_int_equal(mv_block_registry_create(&registry, &err), 0);
    assert_int_equal(mv_space_create(&space, &err), 0);
    params.space = space;
    assert_int_equal(mv_pci_bus_create(&params, &bus, &err), 0);
    assert_int_equal(mv_block_create(registry, "", "ram0", MV_MIB, &ram, &err), 0);
    assert_int_equal(mv_space_add_ram(space, 0x60000000, ram, 0, MV_MIB, &err), 0);
}

static inline void fixture_destroy(void)
{
    mv_pci_bus_destroy(bus);
    mv_space_destroy(space);
    mv_block_registry_destroy(registry);
}

static inline bool is_at(uint64_t gpa, const void *owner)
{
    struct mv_range range;
    if (!mv_space_find(space, gpa, &range))
        return owner == NULL;
    return range.kind == MV_RANGE_RAM ? range.block == owner : range.region == owner;
}

#endif
