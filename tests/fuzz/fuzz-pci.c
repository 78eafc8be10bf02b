/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer against PCI on the whole board: the input is what a guest does to
 * configuration space, bridges' windows and BARs, in steps of eight bytes,
 * while devices come and go and interrupt.  After each input everything is as
 * at power-on again.
 */
#include "block.h"
#include "board-arm64.h"
#include "config.h"
#include "device.h"
#include "fuzz.h"
#include "guest-timer.h"
#include "hotplug.h"
#include "ivshmem-server.h"
#include "loop.h"
#include "pci-devices.h"
#include "pci-msi.h"
#include "platform-devices.h"
#include "unix-socket.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_SIZE 0x10000
#define SECONDARY_BUS 0x19 /* of a bridge's configuration space */
#define LAST_SLOT   6 /* of the host bridge's bus */

static struct mv_error err;
static struct mv_loop *loop;
static struct mv_space *space;
static struct mv_device_tree devices;
static struct mv_board board;
static struct mv_hotplug pci;
static struct mv_guest_timers timers;
static uint64_t now_ns;
static char socket_path[64], memory_path[64];
static size_t blocks_at_start, ranges_at_start;

/* What sits in the host bridge's slots from 3 on, and what comes into a port's. */
static const char *const sitters[] = {
    "edu,addr=3",
    "ivshmem-plain,addr=4,size=64K,mem=",
    "ivshmem-doorbell,addr=5,vectors=4,ext=on,socket=",
    "ivshmem-doorbell,addr=6,vectors=4,model=2009,socket=",
};
static const char *const comers[] = {
    "edu",
    "ivshmem-plain,size=64K,mem=",
    "ivshmem-plain,mem-id=ram0",
    "ivshmem-doorbell,vectors=2048,socket=",
};
static const char *const ports[] = {"p1", "p2"};

/* --- the board */

static unsigned take_text(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len)
{
    (void)backend;
    (void)buf;
    return len;
}

static void has_room(struct mv_serial_backend *backend)
{
    (void)backend;
}

static void *serve(void *opaque)
{
    mv_loop_run(opaque);
    return NULL;
}

/* A server for the doorbell devices, in a thread of its own. */
static void start_server(void)
{
    static struct mv_ivshmem_server *server;
    static struct mv_loop *server_loop;
    struct mv_ivshmem_server_config config = {
        .control_fd = -1, .size = MEMORY_SIZE, .memory = "fuzz", .vectors = 4, .max_peers = 16};
    pthread_t thread;
    CHECK(mv_unix_listen("fuzz", socket_path, &config.listen_fd, &err) == 0);
    config.memory_fd = memfd_create("fuzz", 0);
    CHECK(ftruncate(config.memory_fd, MEMORY_SIZE) == 0);
    CHECK(mv_loop_create(&server_loop, &err) == 0);
    CHECK(mv_ivshmem_server_create(server_loop, &config, &server, &err) == 0);
    CHECK(pthread_create(&thread, NULL, serve, server_loop) == 0);
}

static void make_files(void)
{
    snprintf(socket_path, sizeof socket_path, "/tmp/fuzz-pci-%d.sock", (int)getpid());
    snprintf(memory_path, sizeof memory_path, "/tmp/fuzz-pci-%d.mem", (int)getpid());
    FILE *file = fopen(memory_path, "w");
    CHECK(file != NULL && ftruncate(fileno(file), MEMORY_SIZE) == 0);
    fclose(file);
}

static void remove_files(void)
{
    unlink(socket_path);
    unlink(memory_path);
}

/* On the host bridge's bus where the port is NULL. */
static int plug(const char *name, const char *port)
{
    struct mv_config_device wish;
    struct mv_device *device;
    char text[160];
    const char *end = strrchr(name, '=');
    const char *path = end == NULL || end[1] != '\0' ? ""
                       : end[-1] == 'm'              ? memory_path
                                                     : socket_path;
    snprintf(text, sizeof text, "%s%s%s%s", name, path,
             port == NULL ? "" : ",bus=", port == NULL ? "" : port);
    CHECK(mv_config_parse_device_add(text, &wish, &err) == 0);
    int r = mv_board_plug(&pci, &wish, NULL, port != NULL, &device, &err);
    mv_config_device_clear(&wish);
    if (r == 0 && port != NULL)
        mv_hotplug_added(&pci, device);
    return r;
}

static void plug_comer(unsigned which, unsigned port)
{
    plug(comers[which % 4], ports[port % 2]);
}

static void ignore_change(void *opaque, const char *path, const char *id, bool is_there)
{
    (void)opaque;
    (void)path;
    (void)id;
    (void)is_there;
}

static void count_block(struct mv_block *block, void *opaque)
{
    (void)block;
    ++*(size_t *)opaque;
}

static int count_range(const struct mv_range *range, void *opaque)
{
    (void)range;
    ++*(size_t *)opaque;
    return 0;
}

static size_t blocks(void)
{
    size_t count = 0;
    mv_block_for_each(pci.blocks, count_block, &count);
    return count;
}

static size_t ranges(void)
{
    size_t count = 0;
    mv_space_for_each(space, count_range, &count);
    return count;
}

static uint64_t timers_ns(void *opaque)
{
    (void)opaque;
    return now_ns;
}

static void make_board(void)
{
    static struct mv_serial_backend serial = {.write = take_text, .rx_ready = has_room};
    const struct mv_bank_layout layout = {0};
    struct mv_block *ram;
    CHECK(mv_loop_create(&loop, &err) == 0);
    CHECK(mv_space_create(&space, &err) == 0);
    CHECK(mv_block_registry_create(&pci.blocks, &err) == 0);
    board.ops = &mv_board_arm64;
    board.platform = (struct mv_platform){
        .cpus = 1, .loop = loop, .space = space, .devices = &devices, .serial = &serial};
    CHECK(mv_board_create(&board, &layout, &err) == 0);
    CHECK(mv_block_create(pci.blocks, "", "ram0", MEMORY_SIZE, &ram, &err) == 0);
    CHECK(mv_space_add_ram(space, MV_ARM64_RAM, ram, 0, MEMORY_SIZE, &err) == 0);
    pci.host = board.platform.pci;
    pci.devices = &devices;
    pci.loop = loop;
    pci.space = space;
    pci.changed = ignore_change;
    mv_guest_timers_init(&timers, loop, timers_ns, NULL);
    pci.timers = &timers;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    make_files();
    atexit(remove_files);
    start_server();
    make_board();
    CHECK(plug("pcie-root-port,id=p1,addr=1,slot=1", NULL) == 0);
    CHECK(plug("pcie-root-port,id=p2,addr=2,slot=2", NULL) == 0);
    for (size_t i = 0; i < sizeof sitters / sizeof sitters[0]; i++)
        CHECK(plug(sitters[i], NULL) == 0);
    mv_device_tree_reset(&devices);
    blocks_at_start = blocks();
    ranges_at_start = ranges();
    return 0;
}

/* --- the guest */

/* Naturally aligned, as an engine does it; what a device does not take is an abort. */
static void touch(uint64_t gpa, unsigned size, bool is_write, uint64_t value)
{
    struct mv_range range;
    gpa &= ~(uint64_t)(size - 1);
    if (!mv_space_find(space, gpa, &range))
        return;
    if (range.kind == MV_RANGE_RAM) {
        if (is_write)
            mv_space_write(space, gpa, &value, size);
        else
            mv_space_read(space, gpa, &value, size);
        return;
    }
    const struct mv_mmio_ops *ops = range.region->ops;
    if (size < ops->min_access || size > ops->max_access)
        return;
    if (is_write)
        ops->write(range.region->opaque, gpa - range.gpa, value, size);
    else
        ops->read(range.region->opaque, gpa - range.gpa, size);
}

/* The slots that hold something, those behind ports under some bus numbers, and any. */
static unsigned address_of(unsigned pick, unsigned any)
{
    static const unsigned addresses[] = {1, 2, 1, 2, 3, 4, 5, 6, 32, 64, 32, 64, 96};
    unsigned count = sizeof addresses / sizeof addresses[0];
    return pick % 16 < count ? addresses[pick % 16] : any & 0x1fff;
}

static void configure(unsigned address, unsigned offset, unsigned size, uint32_t value)
{
    touch(MV_ARM64_ECAM + ((uint64_t)address << 15) + offset, size, true, value);
}

static struct mv_pci_function *function_of(unsigned pick)
{
    unsigned slot = 1 + pick % (LAST_SLOT + 2);
    if (slot <= LAST_SLOT)
        return mv_pci_bus_function(mv_pci_host_bus(board.platform.pci), slot);
    struct mv_device *device = mv_device_tree_find_id(&devices, ports[slot - LAST_SLOT - 1]);
    return mv_pci_bus_function(mv_pci_root_port_of(device)->function.behind, 0);
}

static void touch_bar(unsigned pick, unsigned index, unsigned size, bool is_write, uint32_t offset,
                      uint64_t value)
{
    const struct mv_pci_function *f = function_of(pick);
    const struct mv_pci_bar *bar = f == NULL ? NULL : &f->bars[index % 3];
    if (bar != NULL && bar->mapped)
        touch(bar->gpa + offset % bar->size, size, is_write, value);
}

static void interrupt(unsigned pick, unsigned kind, unsigned vector)
{
    struct mv_pci_function *f = function_of(pick);
    if (f == NULL)
        return;
    if (kind % 4 < 2)
        mv_pci_intx_set(f, kind % 2);
    else if (kind % 4 == 2)
        mv_pci_msi_send(f);
    else
        mv_pci_msix_send(f, f->msix == NULL ? 0 : vector % (f->msix->vectors + 1));
}

/* Events of the loop: rings, what the guest has let go of. */
static void turn_loop(void)
{
    now_ns += 50000000; /* half of what edu's DMA takes */
    mv_guest_timers_run(&timers, true);
    mv_loop_defer(loop, (mv_loop_deferred_fn *)mv_loop_stop, loop);
    mv_loop_run(loop);
}

static void remove_from(unsigned port)
{
    char path[32];
    snprintf(path, sizeof path, "pci/%02x.0/00.0", 1 + port % 2);
    mv_hotplug_remove(&pci, path, &err);
}

/* --- what a driver does, so that there is something to disturb */

static unsigned address_of_function(const struct mv_pci_function *f)
{
    const struct mv_pci_bus *root = mv_pci_host_bus(board.platform.pci);
    for (unsigned i = 0; i < 2; i++) {
        struct mv_device *device = mv_device_tree_find_id(&devices, ports[i]);
        const struct mv_pci_function *port = &mv_pci_root_port_of(device)->function;
        if (f->bus != root && f->bus == port->behind)
            return (unsigned)mv_pci_config_get(port, SECONDARY_BUS, 1) * MV_PCI_SLOTS;
    }
    return f->slot;
}

static void enable_msi(struct mv_pci_function *f, unsigned short_word, uint32_t value)
{
    unsigned address = address_of_function(f);
    if (f->msi == 0)
        return;
    configure(address, f->msi + 4, 4, MV_ARM64_V2M + 0x40);
    configure(address, f->msi + 12, 2, short_word);
    configure(address, f->msi + 16, 4, value & 1);
    configure(address, f->msi + 2, 2, 1);
}

static void enable_msix(struct mv_pci_function *f, unsigned short_word, uint32_t value)
{
    if (f->msix == NULL)
        return;
    const struct mv_pci_bar *bar = &f->bars[1];
    uint64_t entry = bar->gpa + 16 * (short_word % f->msix->vectors);
    configure(address_of_function(f), f->msix->capability + 2, 2, 0x8000 | (value & 0x4000));
    if (!bar->mapped)
        return;
    touch(entry, 8, true, MV_ARM64_V2M + 0x40);
    touch(entry + 8, 8, true, short_word | (uint64_t)(value & 1) << 32);
}

/* A slot's power and lights, and its interrupts. */
static void control_slot(struct mv_pci_function *f, unsigned short_word, uint32_t value)
{
    static const uint16_t controls[] = {0x07c0, 0x01c0, 0x02c0, 0x17f9, 0x11f9, 0x0700};
    struct mv_pcie_port *port = mv_pci_root_port_of(&f->device);
    if (port == NULL)
        return;
    configure(f->slot, port->express + 0x18, 2, controls[short_word % 6]);
    if (value & 1)
        configure(f->slot, port->express + 0x1a, 2, value >> 16);
}

/* ivshmem's registers, the doorbell mostly with peers and vectors that there are. */
static void ring(struct mv_pci_function *f, unsigned short_word, uint32_t value)
{
    static const uint8_t offsets[] = {12, 12, 12, 0, 4, 8, 32, 32, 64};
    if (f->bars[0].mapped)
        touch(f->bars[0].gpa + offsets[short_word % 9], short_word & 0x40 ? 2 : 4,
              (short_word & 0x80) == 0, value & 0x80000000 ? value : value & 0x10003);
}

static void drive(unsigned pick, unsigned kind, unsigned short_word, uint32_t value)
{
    static void (*const kinds[])(struct mv_pci_function *, unsigned,
                                 uint32_t) = {enable_msi, enable_msix, control_slot, ring};
    struct mv_pci_function *f = function_of(pick);
    if (f != NULL)
        kinds[kind % 4](f, short_word, value);
}

static void step(const uint8_t *data)
{
    unsigned pick = data[1] & 15, more = data[1] >> 4, short_word;
    uint32_t value;
    short_word = data[2] | (unsigned)data[3] << 8;
    memcpy(&value, data + 4, 4);
    switch (data[0] % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        configure(address_of(pick, value >> 16), short_word & (more & 4 ? 0xfff : 0xff),
                  1u << more % 3, value);
        break;
    case 5:
        touch(MV_ARM64_ECAM + ((uint64_t)address_of(pick, value >> 16) << 15) +
                  (short_word & 0xfff),
              1u << more % 3, false, 0);
        break;
    case 6:
    case 7:
    case 8:
        touch_bar(pick, more, 1u << short_word / 0x4000, true, short_word,
                  value | (uint64_t)value << 32);
        break;
    case 9:
        touch_bar(pick, more, 1u << short_word / 0x4000, false, short_word, 0);
        break;
    case 10:
        touch(MV_ARM64_PCI + ((uint64_t)value << 4), 1u << more % 4, short_word & 1, value);
        break;
    case 11:
        drive(pick, more, short_word, value);
        break;
    case 12:
        plug_comer(more, pick);
        break;
    case 13:
        remove_from(pick);
        break;
    case 14:
        interrupt(pick, more, short_word);
        break;
    default:
        turn_loop();
        break;
    }
}

/* What firmware leaves behind: buses 1 and 2, windows, BARs with decoding and masters on. */
static void prepare(void)
{
    for (unsigned port = 0; port < 2; port++) {
        unsigned bus = port + 1, behind = bus * MV_PCI_SLOTS;
        uint32_t window = 0x5010 + 0x20 * port;
        configure(bus, 0x18, 4, bus << 8 | bus << 16);
        configure(bus, 0x20, 4, window | (window + 0x10) << 16);
        configure(bus, 0x24, 4, 0x00f10001);
        configure(bus, 0x28, 4, 0x81 + port);
        configure(bus, 0x2c, 4, 0x81 + port);
        configure(bus, 0x04, 2, 6);
        configure(behind, 0x10, 4, window << 16);
        configure(behind, 0x14, 4, (window + 8) << 16);
        configure(behind, 0x1c, 4, 0x81 + port);
        configure(behind, 0x04, 2, 6);
    }
    for (unsigned slot = 3; slot <= LAST_SLOT; slot++) {
        configure(slot, 0x10, 4, (0x5400 + 16 * slot) << 16);
        configure(slot, 0x14, 4, (0x5500 + 16 * slot) << 16);
        configure(slot, 0x1c, 4, 0x90 + slot);
        configure(slot, 0x04, 2, 6);
    }
}

/* --- what always holds */

static int check_range(const struct mv_range *range, void *opaque)
{
    uint64_t end = range->gpa + range->size;
    (void)opaque;
    CHECK(end <= MV_ARM64_PCI || (range->gpa >= MV_ARM64_PCI && end <= MV_ARM64_RAM) ||
          (range->gpa == MV_ARM64_RAM && range->size == MEMORY_SIZE) ||
          (range->gpa >= MV_ARM64_PCI64 && end <= MV_ARM64_PCI64 + MV_ARM64_PCI64_SIZE));
    return 0;
}

static void check(void)
{
    static const uint32_t ids[] = {0x000c1b36, 0x000c1b36, 0x11e81234,
                                   0x11101af4, 0x11101af4, 0x11101af4};
    mv_space_for_each(space, check_range, NULL);
    for (unsigned slot = 1; slot <= LAST_SLOT; slot++)
        CHECK(mv_pci_bus_read(mv_pci_host_bus(board.platform.pci), slot, 0, 4) == ids[slot - 1]);
}

static void power_on(void)
{
    mv_hotplug_collect(&pci);
    mv_device_tree_reset(&devices);
    remove_from(0);
    remove_from(1);
    mv_hotplug_reset(&pci);
    mv_device_tree_reset(&devices);
    CHECK(blocks() == blocks_at_start && ranges() == ranges_at_start);
}

/* The first byte: whether firmware was there, and what is in the slots. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 2)
        plug_comer(data[0] >> 4 & 1, 0);
    if (data[0] & 4)
        plug_comer(data[0] >> 5 & 1, 1);
    mv_device_tree_reset(&devices);
    if (data[0] & 1)
        prepare();
    for (size_t at = 1; at + 8 <= size; at += 8)
        step(data + at);
    check();
    power_on();
    return 0;
}
