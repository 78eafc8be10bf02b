/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pl061: eight general-purpose lines (PL061, Arm DDI 0190).
 *
 * Owns the registers under the device's lock.  Callers: vCPU threads by the MMIO region,
 * any thread by mv_pl061_set_input.  A line that is an output drives nothing.
 */
#include "platform-devices.h"

#include "cleanup.h"
#include "fdt-writer.h"

enum reg {
    REG_DATA_END = 0x400, /* below it: the data register, masked by address */
    REG_DIR = 0x400,      /* then IS, IBE, IEV, IE */
    REG_RIS = 0x414,
    REG_MIS = 0x418,
    REG_IC = 0x41c, /* then AFSEL */
    REG_ID = 0xfe0,
};

struct mv_pl061 {
    struct mv_device device;
    struct mv_irq irq;
    /* One bit a line. */
    uint8_t input;  /* what the board drives */
    uint8_t output; /* what the guest wrote */
    uint8_t dir;    /* 1: output */
    uint8_t is;     /* 1: level-sensitive */
    uint8_t ibe;    /* 1: both edges */
    uint8_t iev;    /* 1: high level or rising edge */
    uint8_t ie;
    uint8_t edges; /* latched edges */
    uint8_t afsel;
};

#define LINES(name, member) MV_STATE_ANY(name, struct mv_pl061, member, MV_STATE_U8)
static const struct mv_state_field state_fields[] = {
    LINES("input", input), LINES("output", output), LINES("dir", dir),
    LINES("is", is),       LINES("ibe", ibe),       LINES("iev", iev),
    LINES("ie", ie),       LINES("edges", edges),   LINES("afsel", afsel),
};

static uint8_t pins(const struct mv_pl061 *gpio)
{
    return (gpio->output & gpio->dir) | (gpio->input & (uint8_t)~gpio->dir);
}

/* Latched edges, and levels for as long as they last (DDI 0190, 2.2.3). */
static uint8_t raw_status(const struct mv_pl061 *gpio)
{
    uint8_t active_levels = (uint8_t) ~(pins(gpio) ^ gpio->iev);
    return (gpio->edges & (uint8_t)~gpio->is) | (active_levels & gpio->is);
}

static void update_irq(struct mv_pl061 *gpio)
{
    mv_irq_set(&gpio->irq, (raw_status(gpio) & gpio->ie) != 0);
}

/* Latch the edges that lead from pin levels `before` to those of now. */
static void latch_edges(struct mv_pl061 *gpio, uint8_t before)
{
    uint8_t now = pins(gpio);
    uint8_t wanted = gpio->ibe | (uint8_t) ~(now ^ gpio->iev);
    gpio->edges |= (before ^ now) & wanted & (uint8_t)~gpio->is;
}

/* A register that is no more than a value, or NULL. */
static uint8_t *plain_register(struct mv_pl061 *gpio, uint64_t offset)
{
    uint8_t *const registers[] = {&gpio->dir, &gpio->is, &gpio->ibe, &gpio->iev,  &gpio->ie,
                                  NULL,       NULL,      NULL,       &gpio->afsel};
    uint64_t index = (offset - REG_DIR) / 4;
    return offset % 4 == 0 && index < sizeof registers / sizeof registers[0] ? registers[index]
                                                                             : NULL;
}

static uint8_t read_id(uint64_t offset)
{
    /* PeriphID 0-3 (part 0x061, designer 0x41), then PCellID 0-3 (3.3.11, 3.3.12). */
    static const uint8_t ids[] = {0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    return offset % 4 == 0 ? ids[(offset - REG_ID) / 4] : 0;
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_pl061 *gpio = opaque;
    MV_LOCK_SCOPE(&gpio->device.lock);
    if (offset < REG_DATA_END)
        return pins(gpio) & (offset >> 2);
    if (offset == REG_RIS)
        return raw_status(gpio);
    if (offset == REG_MIS)
        return raw_status(gpio) & gpio->ie;
    if (offset >= REG_ID)
        return read_id(offset);
    const uint8_t *reg = plain_register(gpio, offset);
    return reg != NULL ? *reg : 0;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_pl061 *gpio = opaque;
    MV_LOCK_SCOPE(&gpio->device.lock);
    uint8_t before = pins(gpio);
    uint8_t *reg = plain_register(gpio, offset);
    if (offset < REG_DATA_END) {
        uint8_t mask = (uint8_t)(offset >> 2) & gpio->dir;
        gpio->output = (gpio->output & (uint8_t)~mask) | ((uint8_t)value & mask);
    } else if (offset == REG_IC) {
        gpio->edges &= ~(uint8_t)value;
    } else if (reg != NULL) {
        *reg = (uint8_t)value;
    }
    latch_edges(gpio, before);
    update_irq(gpio);
}

static const struct mv_mmio_ops mmio_ops = {
    .read = mmio_read, .peek = mmio_read, .write = mmio_write, .min_access = 1, .max_access = 4};

/* The inputs belong to the board and stay. */
static void reset(struct mv_device *device)
{
    struct mv_pl061 *gpio = (struct mv_pl061 *)device;
    MV_LOCK_SCOPE(&gpio->device.lock);
    gpio->output = gpio->dir = gpio->is = gpio->ibe = gpio->iev = gpio->ie = 0;
    gpio->edges = gpio->afsel = 0;
    update_irq(gpio);
}

static void state_loaded(void *object)
{
    struct mv_pl061 *gpio = object;
    MV_LOCK_SCOPE(&gpio->device.lock);
    update_irq(gpio);
    mv_irq_renew(&gpio->irq);
}

static const struct mv_state_table state_table =
    MV_STATE_TABLE(struct mv_pl061, "pl061", 1, state_fields,
                   .mutex = offsetof(struct mv_pl061, device.lock), .loaded = state_loaded);

static const struct mv_device_ops device_ops = {"pl061", &state_table, reset};

void mv_pl061_set_input(struct mv_device *device, unsigned line, bool level)
{
    struct mv_pl061 *gpio = (struct mv_pl061 *)device;
    MV_LOCK_SCOPE(&gpio->device.lock);
    uint8_t before = pins(gpio);
    uint8_t bit = (uint8_t)(1u << (line & 7));
    gpio->input = (gpio->input & (uint8_t)~bit) | (level ? bit : 0);
    latch_edges(gpio, before);
    update_irq(gpio);
}

/* --- on a board */

static int create(const struct mv_platform *platform, const struct mv_platform_row *row,
                  struct mv_device **ret, struct mv_error *err)
{
    struct mv_pl061 *gpio = mv_device_alloc(sizeof *gpio, &device_ops, "pl061", &mmio_ops, err);
    if (gpio == NULL)
        return -ENOMEM;
    gpio->irq = mv_platform_irq(platform, row);
    *ret = &gpio->device;
    return 0;
}

void mv_primecell_describe(struct mv_fdt *fdt, const struct mv_platform_row *row)
{
    mv_fdt_reg(fdt, row->gpa, MV_PRIMECELL_SIZE);
    mv_fdt_interrupt(fdt, row->intid);
    MV_FDT_CELLS(fdt, "clocks", MV_FDT_CLOCK);
    mv_fdt_text(fdt, "clock-names", "apb_pclk");
}

static void describe(struct mv_fdt *fdt, const struct mv_platform *platform,
                     const struct mv_platform_row *row)
{
    mv_primecell_describe(fdt, row);
    MV_FDT_STRINGS(fdt, "compatible", "arm,pl061\0arm,primecell");
    mv_fdt_empty(fdt, "gpio-controller");
    MV_FDT_CELLS(fdt, "#gpio-cells", 2);
    mv_fdt_empty(fdt, "interrupt-controller");
    MV_FDT_CELLS(fdt, "#interrupt-cells", 2);
    MV_FDT_CELLS(fdt, "#address-cells", 0);
    MV_FDT_CELLS(fdt, "phandle", MV_FDT_GPIO);
}

const struct mv_platform_type mv_pl061_type = {"gpio", offsetof(struct mv_platform, gpio), create,
                                               MV_PRIMECELL_SIZE, .describe = describe};
