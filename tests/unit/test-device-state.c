/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state tables of all devices: each field at its limits and beyond, what each
 * table's check refuses, and a state that a guest has made which is saved and
 * loaded into another device of the kind, where registers, lines and BARs are as
 * they were.
 */
#include "fake-ivshmem-server.h"
#include "pci-fixture.h"
#include "state-limits.h"

#include "arm64.h"
#include "gicv3-state.h"
#include "guest-timer.h"
#include "ivshmem-link.h"
#include "loop.h"
#include "pci-devices.h"
#include "platform-devices.h"

#define SLOT  3
#define WIRE  40
#define BAR0  UINT64_C(0x58000000)
#define BAR1  UINT64_C(0x58100000)
#define BAR2  UINT64_C(0x8100000000)
#define PARTS 4
#define VECTORS 3

/* One device in a world of its own, and where a guest reaches it. */
static struct mv_loop *loop;
static struct mv_device *device;
static struct mv_pci_function *occupant; /* of a root port */
static struct {
    const struct mv_mmio_region *region;
    uint64_t size;
} parts[PARTS];

/* Guest time that stands still. */
static struct mv_guest_timers timers;

static uint64_t guest_ns(void *opaque)
{
    return 0;
}

static void make_on_board(const struct mv_platform_type *type, const void *wiring)
{
    const struct mv_platform platform = {.cpus = 2, .loop = loop, .irqchip = &fixture_chip};
    const struct mv_platform_row row = {.intid = WIRE, .wiring = wiring};
    assert_int_equal(type->create(&platform, &row, &device, &err), 0);
    parts[0].region = &device->region;
    parts[0].size = type->size;
}

static void guest_write(unsigned part, uint64_t offset, uint64_t value, unsigned size)
{
    parts[part].region->ops->write(parts[part].region->opaque, offset, value, size);
}

static void config_write(unsigned offset, uint32_t value, unsigned size)
{
    mv_pci_bus_write(bus, SLOT, offset, value, size);
}

/* --- the devices: how one is made, and what a guest does to it */

static void make_gic(void)
{
    const struct mv_gicv3_wiring wiring = {
        .params = {.spi_count = 64, .msi_base_intid = 64, .msi_count = 32}};
    make_on_board(&mv_gicv3_type, &wiring);
    parts[1].region = &((struct mv_gicv3 *)device)->redist_region;
    parts[1].size = 2 * MV_GICV3_REDIST_SIZE;
}

static void use_gic(void)
{
    struct mv_irqchip *chip = &((struct mv_gicv3 *)device)->chip;
    uint64_t intid;
    guest_write(0, 0x0000, 3, 4);          /* both groups on */
    guest_write(0, 0x0084, 0xffffffff, 4); /* SPIs are of group 1 */
    guest_write(0, 0x0104, 0xffffffff, 4);
    guest_write(0, 0x0c08, 2 << 2, 4); /* INTID 33 is edge-triggered */
    guest_write(0, 0x0421, 0x50, 1);
    guest_write(0, 0x6000 + 33 * 8, 1, 8); /* to CPU 1 */
    guest_write(1, 0x0014, 0, 4);
    guest_write(1, MV_GICV3_REDIST_SIZE + 0x10100, 0xffffffff, 4);
    chip->ops->cpu_write(chip, 1, MV_ICC_PMR, 0xf0);
    chip->ops->cpu_write(chip, 1, MV_ICC_IGRPEN1, 1);
    chip->ops->cpu_write(chip, 1, MV_ICC_BPR1, 5);
    chip->ops->set_spi(chip, 33, true);
    chip->ops->set_spi(chip, 34, true);
    assert_true(chip->ops->cpu_read(chip, 1, MV_ICC_IAR1, &intid));
    assert_int_equal(intid, 33);
    chip->ops->set_ppi(chip, 1, 27, true);
}

static void make_uart(void)
{
    make_on_board(&mv_ns16550a_type, NULL);
}

static void use_uart(void)
{
    guest_write(0, 2, 0x81, 1);
    guest_write(0, 3, 0x1b, 1);
    guest_write(0, 1, 0x05, 1);
    guest_write(0, 4, 0x0b, 1);
    guest_write(0, 7, 0xa5, 1);
    mv_ns16550a_rx(device, (const uint8_t *)"abc", 3);
    assert_true(lines[WIRE]);
}

static void make_rtc(void)
{
    make_on_board(&mv_pl031_type, NULL);
}

static void use_rtc(void)
{
    guest_write(0, 0x08, 1000, 4); /* the time */
    guest_write(0, 0x04, 1000, 4); /* which the alarm is set to */
    guest_write(0, 0x10, 1, 4);
    assert_true(lines[WIRE]);
    guest_write(0, 0x04, 0x40000000, 4);
}

static void make_vmgenid(void)
{
    make_on_board(&mv_vmgenid_type, NULL);
}

static void use_vmgenid(void)
{
    assert_int_equal(mv_vmgenid_renew(device, &err), 0);
}

static void make_gpio(void)
{
    make_on_board(&mv_pl061_type, NULL);
}

static void use_gpio(void)
{
    guest_write(0, 0x40c, 0x0f, 4);
    guest_write(0, 0x410, 0x08, 4);
    guest_write(0, 0x400, 0xf0, 4);
    guest_write(0, 0x3fc, 0xa0, 4);
    mv_pl061_set_input(device, 3, true);
    assert_true(lines[WIRE]);
}

static void plug(struct mv_pci_function *function)
{
    assert_int_equal(mv_pci_bus_plug(bus, SLOT, function, &err), 0);
    device = &function->device;
}

static void make_edu(void)
{
    const struct mv_pci_device_params params = {.timers = &timers, .dma_mask = UINT64_MAX};
    struct mv_pci_function *function;
    assert_int_equal(mv_edu_create(&params, &function, &err), 0);
    plug(function);
    parts[0].region = function->bars[0].region;
    parts[0].size = 0x100;
}

static void use_edu(void)
{
    config_write(0x10, (uint32_t)BAR0, 4);
    config_write(0x04, 6, 2);
    guest_write(0, 0x04, 0x1234, 4);
    guest_write(0, 0x20, 0x80, 4);
    guest_write(0, 0x08, 5, 4);
    guest_write(0, 0x80, UINT64_C(0x60000000), 8);
    guest_write(0, 0x88, 0x40000, 8);
    guest_write(0, 0x90, 0x123, 8);
    guest_write(0, 0x98, 5, 8);
    assert_true(lines[36 + SLOT]);
    assert_true(is_at(BAR0, parts[0].region));
}

static void ignore_eject(void *opaque)
{
}

static void make_empty_port(void)
{
    const struct mv_pci_device_params params = {.place = {.slot_number = 5},
                                                .eject = ignore_eject};
    struct mv_pci_function *function;
    assert_int_equal(mv_pci_root_port_create(&params, &function, &err), 0);
    plug(function);
}

static void make_port(void)
{
    make_empty_port();
    struct mv_pcie_port *port = mv_pci_root_port_of(device);
    const struct mv_pci_device_params params = {.timers = &timers};
    assert_int_equal(mv_edu_create(&params, &occupant, &err), 0);
    assert_int_equal(mv_pci_bus_plug(port->function.behind, 0, occupant, &err), 0);
    device->ops->reset(device); /* as a board does, before it starts */
}

static void use_port(void)
{
    struct mv_pcie_port *port = mv_pci_root_port_of(device);
    unsigned control = mv_pci_bus_read(bus, SLOT, MV_PCI_CAPABILITIES, 1);
    config_write(0x18, 0x00010100, 4); /* bus 1 is behind it */
    config_write(0x20, 0x58105810, 4); /* a window for BARs there */
    config_write(0x04, 6, 2);
    while (mv_pci_bus_read(bus, SLOT, control, 1) != 0x10)
        control = mv_pci_bus_read(bus, SLOT, control + 1, 1);
    config_write(control + 0x18, 0x01e1, 2); /* interrupts on, the button's among them */
    mv_pci_bus_write(bus, 1 * MV_PCI_SLOTS, 0x10, (uint32_t)BAR1, 4);
    mv_pci_bus_write(bus, 1 * MV_PCI_SLOTS, 0x04, 6, 2);
    assert_true(is_at(BAR1, occupant->bars[0].region));
    assert_int_equal(mv_pcie_port_remove(port), MV_PCIE_ASKED);
    port->asked = true;
    port->asked_ns = 12345;
    assert_true(lines[36 + SLOT]);
}

/* The loop runs until the server has handed out the device's vectors. */
static void await_vectors(void *opaque)
{
    const struct mv_block *block;
    struct mv_ivshmem_link *link;
    struct mv_ivshmem_link_info info;
    assert_true(mv_ivshmem_parts(device, &block, &link));
    mv_ivshmem_link_describe(link, &info);
    if (info.vectors == VECTORS)
        mv_loop_stop(loop);
    else
        mv_loop_defer(loop, await_vectors, NULL);
}

static void make_ivshmem(int (*create)(const struct mv_pci_device_params *params,
                                       struct mv_pci_function **ret, struct mv_error *err),
                         bool ext)
{
    struct mv_pci_function *function;
    struct mv_block *block;
    struct mv_pci_device_params params = {
        .path = "pci/03.0", .blocks = registry, .loop = loop, .vectors = VECTORS, .ext = ext};
    if (create == mv_ivshmem_plain_create) {
        assert_int_equal(mv_block_create(registry, "x", "shown", MV_MIB, &block, &err), 0);
        params.block = block;
    } else {
        params.socket = fake_server_start(7, VECTORS);
    }
    if (create(&params, &function, &err) < 0)
        fail_msg("%s", err.text);
    plug(function);
    if (params.socket != NULL) {
        await_vectors(NULL);
        mv_loop_run(loop);
    }
    parts[0].region = function->bars[0].region;
    parts[0].size = 0x100;
    if (function->msix != NULL) {
        parts[1].region = function->bars[1].region;
        parts[1].size = 0x1000;
    }
}

static void make_plain(void)
{
    make_ivshmem(mv_ivshmem_plain_create, false);
}

static void make_doorbell(void)
{
    make_ivshmem(mv_ivshmem_doorbell_create, false);
}

static void make_doorbell_ext(void)
{
    make_ivshmem(mv_ivshmem_doorbell_create, true);
}

static void make_2009(void)
{
    make_ivshmem(mv_ivshmem_2009_create, false);
}

static void use_plain(void)
{
    config_write(0x10, (uint32_t)BAR0, 4);
    config_write(0x18, (uint32_t)BAR2, 4);
    config_write(0x1c, (uint32_t)(BAR2 >> 32), 4);
    config_write(0x04, 6, 2);
    guest_write(0, 0, 0x55aa, 4);
    assert_true(is_at(BAR0, parts[0].region));
}

static void use_doorbell(void)
{
    use_plain();
    config_write(0x14, (uint32_t)BAR1, 4);
    config_write(0x42, 0x8000, 2); /* MSI-X on, and its vectors masked but the first */
    guest_write(1, 0x00, FRAME + 0x40, 8);
    guest_write(1, 0x08, 66, 8);
    guest_write(1, 0x20, FRAME + 0x40, 8);
    guest_write(0, 0x2c, 3, 4);
    fake_server_ring(2); /* it waits in the eventfd, since the loop does not run */
}

static void use_2009(void)
{
    use_plain();
    guest_write(0, 0, 0xffff, 4);
    fake_server_ring(0);
}

static const struct device_case {
    const char *name;
    void (*make)(void);
    void (*use)(void);
} cases[] = {
    {"gicv3", make_gic, use_gic},
    {"ns16550a", make_uart, use_uart},
    {"pl031", make_rtc, use_rtc},
    {"pl061", make_gpio, use_gpio},
    {"vmgenid", make_vmgenid, use_vmgenid},
    {"edu", make_edu, use_edu},
    {"pcie-root-port", make_port, use_port},
    {"pcie-root-port", make_empty_port, NULL},
    {"ivshmem-plain", make_plain, use_plain},
    {"ivshmem-doorbell", make_doorbell, use_doorbell},
    {"ivshmem-doorbell", make_doorbell_ext, use_doorbell},
    {"ivshmem-2009", make_2009, use_2009},
};

static void make_world_of(void (*make)(void))
{
    memset(parts, 0, sizeof parts);
    occupant = NULL;
    fixture_create();
    assert_int_equal(mv_loop_create(&loop, &err), 0);
    mv_guest_timers_init(&timers, loop, guest_ns, NULL);
    make();
}

static void make_world(const struct device_case *c)
{
    make_world_of(c->make);
    assert_string_equal(device->ops->type, c->name);
    assert_string_equal(device->ops->state->type, c->name);
}

static void end_world(void)
{
    if (occupant != NULL)
        mv_device_destroy(&occupant->device);
    mv_device_destroy(device);
    fake_server_stop();
    mv_guest_timers_clear(&timers);
    mv_loop_destroy(loop);
    fixture_destroy();
}

static void save_prepare(void)
{
    if (device->ops->state->saving != NULL)
        device->ops->state->saving(device);
}

/* --- what every table has to hold */

static void test_limits(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_world(&cases[i]);
        save_prepare();
        limits_walk(device->ops->state, device);
        if (cases[i].use != NULL)
            cases[i].use();
        save_prepare();
        assert_int_equal(mv_state_check(device->ops->state, device, "p", &err), 0);
        limits_walk(device->ops->state, device);
        end_world();
    }
}

/* --- what a table's check knows of its machine */

static const struct mv_state_field *find_field(const char *name)
{
    const struct mv_state_table *table = device->ops->state;
    for (size_t i = 0; i < table->field_count; i++) {
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i];
    }
    fail_msg("no field '%s'", name);
    return NULL;
}

/* Load what the device is, with one element changed. */
static int load_with(const char *name, size_t index, uint64_t value)
{
    const struct mv_state_table *table = device->ops->state;
    const struct mv_state_field *field = find_field(name);
    uint8_t *bytes = limits_save(table, device);
    uint8_t *at = limits_values(table, bytes, field) + index * mv_state_type_size(field->type);
    assert_true(mv_state_is_legal(field, value)); /* it is the check's matter */
    for (size_t i = 0; i < mv_state_type_size(field->type); i++)
        at[i] = (uint8_t)(value >> 8 * i);
    int r = mv_state_load(table, device, "dev", bytes, mv_state_size(table), &err);
    free(bytes);
    return r;
}

struct check_case {
    const char *field;
    size_t index;
    uint64_t value;
    const char *refused; /* a part of what it says; NULL: it is taken */
};

static void try_checks(void (*make)(void), const struct check_case *checks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct check_case *c = &checks[i];
        char name[64];
        make_world_of(make);
        int r = load_with(c->field, c->index, c->value);
        snprintf(name, sizeof name, "dev/%s: ", c->field);
        if (c->refused == NULL && r < 0)
            fail_msg("%s", err.text);
        if (c->refused != NULL &&
            (r != -EINVAL || strncmp(err.text, name, strlen(name)) != 0 ||
             strstr(err.text, c->refused) == NULL))
            fail_msg("%s[%zu]: %d, '%s'", c->field, c->index, r, err.text);
        end_world();
    }
}
#define TRY(make, ...)                                                                             \
    try_checks(make, (const struct check_case[]){__VA_ARGS__},                                     \
               sizeof((const struct check_case[]){__VA_ARGS__}) / sizeof(struct check_case))

static void test_checks(void **state)
{
    /* 2 CPUs and 64 SPIs: banks 0, 1, and 64, 65 are there. */
    TRY(make_gic, {"edge", 0, 0xfffe, "SGIs"}, {"edge", 1, 0xffffffff, NULL},
        {"edge", 2, 1, "none of its interrupts"}, {"level", 1, 1, "no wire"},
        {"level", 1, 0x10000, NULL}, {"level", 65, 0x80000000, NULL}, {"level", 66, 1, "bank 66"},
        {"message-level", 1, 0x10000, "SPIs'"}, {"enabled", 63, 1, "bank 63"},
        {"group", 93, 1, "bank 93"}, {"pending", 2, 1, "bank 2"}, {"active", 66, 1, "bank 66"},
        {"priority", 66 * 32 - 1, 0xf8, NULL}, {"priority", 66 * 32, 8, "is not there"},
        {"router", 63, 1, NULL}, {"router", 64, 1, "SPI 64"}, {"router", 959, 1, "SPI 959"});
    TRY(make_uart, {"fcr", 0, 0x40, "enable bit"}, {"fcr", 0, 0xc1, NULL},
        {"msr", 0, 0xf0, "inputs"}, {"msr", 0, 0xbf, NULL}, {"rx-arrived", 0, 1, "1 bytes of 0"},
        {"rx-loop-count", 0, 1, NULL}, {"rx-loop-count", 0, 2, "2 bytes where 1"},
        {"rx-line-count", 0, 16, NULL}, {"tx-count", 0, 4096, NULL});
    TRY(make_rtc, {"alarm", 0, UINT64_MAX, NULL}, {"alarm", 0, 0, NULL},
        {"alarm", 0, 5, "not at mr"}, {"alarm", 0, UINT64_C(1) << 40, "not at mr"},
        {"alarm", 0, UINT64_C(0xff) << 32, NULL});
    TRY(make_edu, {"config", 0x00, 0x35, "byte 0x0"}, {"config", 0x3c, 0x55, NULL},
        {"config", 0x05, 0x04, NULL}, {"config", 0x05, 0x08, "byte 0x5"},
        {"config", 0x54, 1, NULL}, {"config", 0x54, 2, "byte 0x54"});
    TRY(make_port, {"removal-asked", 0, true, NULL}, {"config", 0x72, 0, "slot is taken"},
        {"config", 0x6b, 0, "link is up"}, {"config", 0x71, 0x05, "link is down"});
    TRY(make_empty_port, {"removal-asked", 0, true, "slot is empty"},
        {"config", 0x72, 0x40, "slot is empty"});
    TRY(make_plain, {"mask", 0, UINT32_MAX, NULL}, {"config", 0x10, 1, "byte 0x10"});
    TRY(make_doorbell, {"msix-data", 2, 1, NULL}, {"msix-data", 3, 1, "vector 3"},
        {"msix-data", 2047, 1, "vector 2047"}, {"msix-pending", 0, 4, NULL},
        {"msix-pending", 0, 8, "vector 3"}, {"msix-pending", 31, UINT64_C(1) << 63, "2047"});
    TRY(make_doorbell_ext, {"ext-notify", 0, 2, NULL}, {"ext-notify", 0, 3, "vector 3 of 3"},
        {"ext-notify", 0, UINT32_MAX, NULL}, {"link-id", 0, 65535, NULL});
    TRY(make_2009, {"mask", 0, 0xffff, NULL}, {"mask", 0, 0x10000, "0xffff"},
        {"status", 0, 0xffff, NULL}, {"status", 0, 0x10000, "0xffff"});
}

/* --- a state that a guest has made */

/* All that a guest can read, without its being read. */
static uint64_t read_all(void)
{
    uint64_t hash = 14695981039346656037u;
    for (unsigned part = 0; part < PARTS && parts[part].region != NULL; part++) {
        const struct mv_mmio_region *region = parts[part].region;
        unsigned step = region->ops->max_access < 8 && parts[part].size <= 8 ? 1 : 4;
        for (uint64_t at = 0; at < parts[part].size; at += step) {
            uint64_t value = region->ops->peek(region->opaque, at, step) & UINT32_MAX;
            bool is_time = at == 0 && strcmp(region->name, "pl031") == 0;
            hash = (hash ^ (is_time ? 0 : value)) * 1099511628211u;
        }
    }
    for (unsigned offset = 0; offset < 256; offset += 4)
        hash = (hash ^ mv_pci_bus_read(bus, SLOT, offset, 4)) * 1099511628211u;
    return hash;
}

static void test_round_trips(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct device_case *c = &cases[i];
        bool levels[sizeof lines / sizeof lines[0]];
        if (c->use == NULL)
            continue;
        make_world(c);
        save_prepare();
        uint8_t *fresh = limits_save(device->ops->state, device);
        c->use();
        save_prepare();
        uint8_t *first = limits_save(device->ops->state, device);
        size_t size = mv_state_size(device->ops->state);
        uint64_t registers_then = read_all();
        memcpy(levels, lines, sizeof levels);
        bool low = is_at(BAR0, parts[0].region), wide = is_at(BAR2, NULL);
        assert_memory_not_equal(fresh, first, size);
        end_world();

        make_world(c);
        uint64_t registers_fresh = read_all();
        limits_load(device->ops->state, device, first);
        save_prepare();
        uint8_t *second = limits_save(device->ops->state, device);
        if (c->make != make_doorbell_ext) { /* which tells its guest of the change */
            assert_memory_equal(first, second, size);
            assert_true(registers_then == read_all());
        }
        assert_true(registers_fresh != registers_then);
        assert_memory_equal(levels, lines, sizeof levels);
        assert_int_equal(low, is_at(BAR0, parts[0].region));
        assert_int_equal(wide, is_at(BAR2, NULL));
        /* And back to power-on, as if nothing had been. */
        limits_load(device->ops->state, device, fresh);
        if (c->make != make_doorbell_ext && c->make != make_vmgenid) /* of which no two are equal */
            assert_true(registers_fresh == read_all());
        assert_true(is_at(BAR0, NULL) && is_at(BAR2, NULL));
        end_world();
        free(fresh);
        free(first);
        free(second);
    }
}

/* --- rings that nobody has told the guest of when its machine is saved */

/* In another world, as in the one that was saved. */
static void load_elsewhere(const struct device_case *c, unsigned rings)
{
    struct mv_ivshmem_link_info info;
    struct mv_ivshmem_link *link;
    const struct mv_block *block;
    make_world(c);
    c->use();
    for (unsigned i = 0; i < rings; i++)
        fake_server_ring(c->make == make_2009 ? 0 : 2);
    assert_int_equal(messages, 0); /* they wait in the eventfd, since the loop does not run */
    save_prepare();
    uint8_t *saved = limits_save(device->ops->state, device);
    end_world();
    make_world(c);
    limits_load(device->ops->state, device, saved);
    free(saved);
    assert_true(mv_ivshmem_parts(device, &block, &link));
    mv_ivshmem_link_describe(link, &info);
    assert_int_equal(info.received, 1 + rings);
}

static void test_rings_that_wait_are_saved(void **state)
{
    load_elsewhere(&(struct device_case){"ivshmem-doorbell", make_doorbell, use_doorbell}, 1);
    assert_int_equal(messages, 0); /* its vector is masked, with a message pending */
    guest_write(1, 0x20, FRAME + 0x40, 8);
    guest_write(1, 0x28, 67, 8); /* and 0 into the mask */
    assert_int_equal(messages, 1);
    assert_int_equal(last_message[1], 67);
    end_world();

    load_elsewhere(&(struct device_case){"ivshmem-2009", make_2009, use_2009}, 2);
    const struct mv_mmio_region *region = parts[0].region;
    assert_true(lines[36 + SLOT]);
    assert_int_equal(region->ops->read(region->opaque, 16, 4), 3); /* they are counted */
    end_world();
}

/* --- states that no guest has made, and guests that do anything */

static uint64_t random_number(void)
{
    return (uint64_t)rand() << 62 ^ (uint64_t)rand() << 31 ^ (uint64_t)rand();
}

/* Some elements of each field get other legal values, of which the check takes what it can. */
static void randomise(unsigned *taken)
{
    const struct mv_state_table *table = device->ops->state;
    for (size_t i = 0; i < table->field_count; i++) {
        const struct mv_state_field *field = &table->fields[i];
        for (unsigned n = 0; n < 3 && !field->is_same; n++) {
            uint64_t most = limits_type_max(field), value = random_number() & field->mask & most;
            if (field->max < most)
                value = field->min + value % (field->max - field->min + 1);
            *taken += load_with(field->name, random_number() % field->count, value) == 0;
        }
    }
}

static void access_anything(void)
{
    for (unsigned n = 0; n < 100 && parts[0].region != NULL; n++) {
        unsigned part = random_number() % PARTS;
        if (parts[part].region == NULL)
            continue;
        const struct mv_mmio_ops *ops = parts[part].region->ops;
        unsigned size = ops->min_access == 1 ? 1u << random_number() % 3 : 4;
        uint64_t at = random_number() % parts[part].size & ~(uint64_t)(size - 1);
        if (random_number() % 2 != 0)
            guest_write(part, at, random_number() & (UINT64_MAX >> (64 - 8 * size)), size);
        else
            ops->read(parts[part].region->opaque, at, size);
    }
    for (unsigned n = 0; n < 20; n++)
        config_write(random_number() % 64 * 4, (uint32_t)random_number(), 4);
}

/* Nothing breaks, and what becomes of a state is one that can be loaded again. */
static void test_any_state(void **state)
{
    srand(13);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned taken = 0;
        make_world(&cases[i]);
        for (unsigned round = 0; round < 20; round++) {
            randomise(&taken);
            access_anything();
            save_prepare();
            if (mv_state_check(device->ops->state, device, "p", &err) < 0)
                fail_msg("%s", err.text);
            if (round % 5 == 4 && device->ops->reset != NULL)
                device->ops->reset(device);
        }
        assert_true(taken > 20);
        end_world();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_rings_that_wait_are_saved),
        cmocka_unit_test(test_any_state),
    };
    return cmocka_run_group_tests_name("device-state", tests, NULL, NULL);
}
