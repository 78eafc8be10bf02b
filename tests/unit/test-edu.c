/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device/edu.c: its DMA where a guest does what QEMU's would end the process for,
 * stops, is reset or takes the device's rights away in the middle.  What it does
 * in all other respects a guest compares with QEMU's (tests/vm/test_pci.py).
 */
#include "pci-fixture.h"

#include "pci-devices.h"
#include "guest-timer.h"
#include "loop.h"

#include <unistd.h>

#define RAM     UINT64_C(0x60000000)
#define BAR     UINT64_C(0x50000000)
#define BUFFER  UINT64_C(0x40000)
#define RUN     1
#define OUT     2 /* to guest memory */
#define NOTIFY  4
#define DMA_NS  100000000

static struct mv_loop *loop;
static struct mv_guest_timers timers;
static struct mv_pci_function *edu;
static struct mv_block *ram;
static uint64_t now;

static uint64_t guest_ns(void *opaque)
{
    return now;
}

static int setup(void **state)
{
    fixture_create();
    ram = mv_block_find(registry, "ram0");
    now = 0;
    assert_int_equal(mv_loop_create(&loop, &err), 0);
    mv_guest_timers_init(&timers, loop, guest_ns, NULL);
    mv_guest_timers_run(&timers, true);
    const struct mv_pci_device_params params = {
        .path = "pci/01.0", .timers = &timers, .dma_mask = UINT64_MAX};
    assert_int_equal(mv_edu_create(&params, &edu, &err), 0);
    assert_int_equal(mv_pci_bus_plug(bus, 1, edu, &err), 0);
    mv_pci_bus_write(bus, 1, 0x10, (uint32_t)BAR, 4);
    mv_pci_bus_write(bus, 1, MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY | MV_PCI_COMMAND_MASTER, 2);
    for (unsigned i = 0; i < 0x2000; i++)
        ram->host[i] = (uint8_t)(1 + i % 251);
    return 0;
}

static int teardown(void **state)
{
    mv_device_destroy(&edu->device);
    mv_guest_timers_clear(&timers);
    mv_loop_destroy(loop);
    fixture_destroy();
    return 0;
}

static uint64_t get(uint64_t offset, unsigned size)
{
    return edu->bars[0].region->ops->read(edu->bars[0].region->opaque, offset, size);
}

static void set(uint64_t offset, uint64_t value, unsigned size)
{
    edu->bars[0].region->ops->write(edu->bars[0].region->opaque, offset, value, size);
}

static void begin(uint64_t source, uint64_t destination, uint64_t count, uint64_t command)
{
    set(0x80, source, 8);
    set(0x88, destination, 8);
    set(0x90, count, 8);
    set(0x98, command | RUN, 8);
}

static void stop(void *opaque)
{
    mv_loop_stop(opaque);
}

static void serve(void)
{
    mv_loop_defer(loop, stop, loop);
    mv_loop_run(loop);
}

/* Guest time jumps ahead; the host's descriptor follows with what was left. */
static void pass(uint64_t ns)
{
    now += ns;
    mv_guest_timers_run(&timers, true);
    usleep(1000);
    serve();
}

static void run(uint64_t source, uint64_t destination, uint64_t count, uint64_t command)
{
    begin(source, destination, count, command);
    pass(DMA_NS);
    assert_int_equal(get(0x98, 8), command);
}

static void test_copies(void **state)
{
    run(RAM, BUFFER, 0x1000, 0);
    assert_int_equal(get(0x24, 4), 0);
    run(BUFFER + 0x10, RAM + 0x10000 - 3, 0xff0, OUT | NOTIFY);
    assert_int_equal(get(0x24, 4), 0x100);
    assert_true(lines[37]);
    assert_memory_equal(ram->host + 0x10000 - 3, ram->host + 0x10, 0xff0);
    assert_int_equal(ram->host[0x10000 - 3 + 0xff0], 0);
    set(0x64, 0x100, 4);
    assert_false(lines[37]);
}

static void test_takes_its_time(void **state)
{
    begin(RAM, BUFFER, 8, 0);
    pass(DMA_NS - 1);
    assert_int_equal(get(0x98, 8), RUN);
    /* Nothing is changed meanwhile. */
    set(0x80, 0, 8);
    set(0x88, 1, 8);
    set(0x90, 2, 4);
    set(0x98, RUN | OUT | NOTIFY, 8);
    assert_true(get(0x80, 8) == RAM && get(0x88, 8) == BUFFER && get(0x90, 8) == 8);
    assert_int_equal(get(0x98, 8), RUN);
    /* While the guest stands still the time does not come. */
    mv_guest_timers_run(&timers, false);
    now++;
    serve();
    assert_int_equal(get(0x98, 8), RUN);
    pass(0);
    assert_int_equal(get(0x98, 8), 0);
    run(BUFFER, RAM + 0x4000, 8, OUT);
    assert_memory_equal(ram->host + 0x4000, ram->host, 8);
    /* A command that is not to run is none. */
    set(0x98, OUT | NOTIFY, 8);
    assert_int_equal(get(0x98, 8), OUT);
}

/* QEMU's ends with "DMA range out of bounds". */
static void test_outside_of_the_buffer(void **state)
{
    static const uint64_t cases[][2] = {
        {BUFFER - 1, 1},           {BUFFER + 0x1000, 1},     {BUFFER, 0x1001},
        {BUFFER + 0xfff, 2},       {0, 8},                   {UINT64_MAX, 2},
        {BUFFER, UINT64_MAX},      {BUFFER + 8, UINT64_MAX}, {UINT64_MAX - 7, 16},
        {BUFFER, 0 - BUFFER},
    };
    uint8_t *before = malloc(MV_MIB);
    run(RAM, BUFFER, 0x1000, 0);
    memcpy(before, ram->host, MV_MIB);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(cases[i][0], RAM + 0x8000, cases[i][1], OUT | NOTIFY);
        assert_int_equal(get(0x24, 4), 0x100);
        set(0x64, 0x100, 4);
        run(RAM + 0x100, cases[i][0], cases[i][1], 0);
    }
    assert_memory_equal(before, ram->host, MV_MIB);
    run(BUFFER, RAM + 0x8000, 0x1000, OUT);
    assert_memory_equal(ram->host + 0x8000, ram->host, 0x1000);
    free(before);
}

static void test_guest_memory_that_is_none(void **state)
{
    static const uint64_t holes[] = {0, RAM + MV_MIB - 8, UINT64_MAX - 15, BAR};
    uint8_t zeros[16] = {0};
    for (size_t i = 0; i < sizeof holes / sizeof holes[0]; i++) {
        run(RAM, BUFFER, 0x1000, 0);
        run(BUFFER, holes[i], 16, OUT);
        run(holes[i], BUFFER + 8, 16, 0);
        run(BUFFER, RAM + 0x8000, 0x20, OUT);
        assert_memory_equal(ram->host + 0x8000, ram->host, 8);
        assert_memory_equal(ram->host + 0x8008, zeros, 16);
        assert_memory_equal(ram->host + 0x8018, ram->host + 0x18, 8);
    }
    assert_int_equal(edu->dma.misses, 8);
    assert_memory_equal(ram->host + MV_MIB - 8, zeros, 8);
}

/* Between the command and its end. */
static void test_in_the_middle(void **state)
{
    uint8_t zeros[16] = {0};
    run(RAM, BUFFER, 0x1000, 0);
    begin(BUFFER, RAM + 0x8000, 16, OUT | NOTIFY);
    mv_pci_bus_write(bus, 1, MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY, 2);
    pass(DMA_NS);
    assert_int_equal(get(0x98, 8), OUT | NOTIFY);
    assert_int_equal(get(0x24, 4), 0x100);
    assert_memory_equal(ram->host + 0x8000, zeros, 16);
    mv_pci_bus_write(bus, 1, MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY | MV_PCI_COMMAND_MASTER, 2);
    begin(BUFFER, RAM + 0x8000, 16, OUT | NOTIFY);
    edu->device.ops->reset(&edu->device);
    pass(DMA_NS);
    assert_int_equal(get(0x98, 8), 0);
    assert_int_equal(get(0x24, 4), 0);
    begin(BUFFER, RAM + 0x8000, 16, OUT | NOTIFY);
    mv_pci_bus_unplug(edu);
    pass(DMA_NS);
    assert_memory_equal(ram->host + 0x8000, zeros, 16);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_copies),
        TEST(test_takes_its_time),
        TEST(test_outside_of_the_buffer),
        TEST(test_guest_memory_that_is_none),
        TEST(test_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
