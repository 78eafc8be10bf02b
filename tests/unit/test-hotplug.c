/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine/hotplug.c and board-pci.c: devices that come and go, what they are
 * refused for, and their blocks.  The fake engine's guest does not answer, so
 * that a slot that is empty at the start never gets power.
 */
#include "fake-machine.h"

#include "block.h"
#include "device.h"
#include "space.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK "pci/02.0/00.0/bar2"

static char heard[1024];

static void note_device(void *opaque, const char *path, const char *id, bool is_there)
{
    size_t len = strlen(heard);
    bool block = mv_block_find(mv_machine_blocks(machine), BLOCK) != NULL;
    snprintf(heard + len, sizeof heard - len, "%c%s(%s)%s ", is_there ? '+' : '-', path,
             id == NULL ? "" : id, block ? "*" : "");
}

static struct mv_machine_observer observer = {.device = note_device};

static int add(const char *text)
{
    struct mv_config_device device;
    int r = mv_config_parse_device_add(text, &device, &err);
    if (r == 0) {
        r = mv_machine_device_add(machine, &device, NULL, &err);
        mv_config_device_clear(&device);
    }
    return r;
}

static int delete (const char *name)
{
    return mv_machine_device_remove(machine, name, &err);
}

#define assert_refused(call, errnum, part)                                                         \
    do {                                                                                           \
        assert_int_equal(call, -(errnum));                                                         \
        assert_non_null(strstr(err.text, part));                                                   \
    } while (0)

static void start(void)
{
    heard[0] = '\0';
    MAKE("-m", "16M", "--device", "edu,bus=rp1,id=cold", "--device",
         "pcie-root-port,id=rp0,addr=02.0", "--device", "pcie-root-port,id=rp1,addr=03.0,slot=5",
         "--device", "edu,id=fixed,addr=1.0");
    mv_machine_observe(machine, &observer);
    fake_machine_start();
}

static void test_generations(void **state)
{
    char text[128], path[] = "/tmp/memvisor-hotplug-XXXXXX";
    uint64_t generation = 0;
    int fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    snprintf(text, sizeof text, "ivshmem-plain,mem=%s,size=1M,bus=rp0,id=m", path);
    start();
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(add(text), 0);
        const struct mv_block *block = mv_block_find(mv_machine_blocks(machine), BLOCK);
        assert_non_null(block);
        assert_true(block->generation > generation);
        generation = block->generation;
        assert_int_equal(delete (i % 2 ? "m" : "pci/02.0/00.0"), 0);
        assert_null(mv_block_find(mv_machine_blocks(machine), BLOCK));
    }
    assert_memory_equal(heard, "+pci/02.0/00.0(m)* -pci/02.0/00.0(m) +", 38);
    unlink(path);
}

static void test_refused(void **state)
{
    start();
    assert_refused(add("nonsense,bus=rp0"), ENOENT, "'nonsense'");
    assert_refused(add("edu"), ENOTSUP, "bus 'pcie.0' has no hotplug");
    assert_refused(add("edu,bus=pcie.0,addr=9"), ENOTSUP, "pcie-root-port");
    assert_refused(add("edu,bus=rp7"), ENOENT, "no bus 'rp7'");
    assert_refused(add("edu,bus=fixed"), ENOENT, "no bus 'fixed'");
    assert_refused(add("edu,bus=rp1"), EBUSY, "'rp1' holds a edu already");
    assert_refused(add("edu,bus=rp0,addr=01.0"), EINVAL, "addr=00.0");
    assert_refused(add("edu,bus=rp0,id=cold"), EEXIST, "edu at pci/03.0/00.0");
    assert_refused(add("edu,bus=rp0,id=7up"), EINVAL, "id=7up");
    assert_refused(add("edu,bus=rp0,colour=red"), EINVAL, "'colour'");
    assert_refused(add("pcie-root-port,bus=rp0"), EINVAL, "bus=rp0 away");
    assert_refused(add("ivshmem-plain,bus=rp0,mem=x,size=3M"), EINVAL, "power of two");
    assert_refused(delete ("nobody"), ENODEV, "Device 'nobody' not found");
    assert_refused(delete ("fixed"), ENOTSUP, "pcie-root-port can");
    assert_refused(delete ("rp0"), ENOTSUP, "pcie-root-port can");
    assert_refused(delete ("uart"), ENOTSUP, "pcie-root-port can");
    assert_string_equal(heard, "");
}

/* A guest that does not answer keeps the device, until it is reset. */
static void test_unanswered(void **state)
{
    start();
    assert_int_equal(delete ("cold"), 0);
    assert_refused(delete ("cold"), EINPROGRESS, "DEVICE_DELETED");
    assert_refused(delete ("pci/03.0/00.0"), EINPROGRESS, "already");
    assert_string_equal(heard, "");
    mv_machine_reset(machine, MV_CAUSE_HOST_QMP, NULL);
    assert_string_equal(heard, "-pci/03.0/00.0(cold) ");
    assert_refused(delete ("cold"), ENODEV, "not found");
    assert_int_equal(add("edu,bus=rp1,id=cold"), 0);
    mv_machine_reset(machine, MV_CAUSE_HOST_QMP, NULL);
    assert_string_equal(heard, "-pci/03.0/00.0(cold) +pci/03.0/00.0(cold) ");
}

/* The configuration space of the root port at 03.0, as the guest sees it. */
static uint64_t port_read(uint64_t offset, unsigned size)
{
    struct mv_range range;
    assert_true(mv_space_find(fake.params.space, 0x40000000, &range));
    return range.region->ops->read(range.region->opaque, (3 << 15) + offset, size);
}

static void port_write(uint64_t offset, uint64_t value)
{
    struct mv_range range;
    assert_true(mv_space_find(fake.params.space, 0x40000000, &range));
    range.region->ops->write(range.region->opaque, (3 << 15) + offset, value, 2);
}

/* A removal that is refused leaves nothing behind: it can be asked for again at once. */
static void test_busy_slot_keeps_no_wish(void **state)
{
    start();
    uint64_t capability = port_read(0x34, 1);
    while (port_read(capability, 1) != 0x10)
        capability = port_read(capability + 1, 1);
    const uint64_t slot_control = capability + 0x18;
    fake.clock_ns = UINT64_C(1000000000);
    assert_int_equal(delete ("cold"), 0);
    /* The five seconds are the guest's. */
    fake.clock_ns += UINT64_C(4999999999);
    assert_refused(delete ("cold"), EINPROGRESS, "already");
    fake.clock_ns += 2;
    uint64_t control = port_read(slot_control, 2);
    port_write(slot_control, (control & ~UINT64_C(0x300)) | 0x200); /* the power light blinks */
    assert_refused(delete ("cold"), EBUSY, "try again later");
    port_write(slot_control, (control & ~UINT64_C(0x300)) | 0x100);
    assert_int_equal(delete ("cold"), 0);
    assert_refused(delete ("cold"), EINPROGRESS, "already");
}

/* I/O goes on into the memory of a device that the guest has let go of. */
static void *unpin(void *opaque)
{
    mv_block_unpin(opaque);
    return NULL;
}

static void stop_loop(void *opaque)
{
    mv_loop_stop(opaque);
}

static void test_pinned(void **state)
{
    char text[128], path[] = "/tmp/memvisor-hotplug-XXXXXX";
    pthread_t thread;
    int fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    snprintf(text, sizeof text, "ivshmem-plain,mem=%s,size=1M,bus=rp0,id=m", path);
    start();
    assert_int_equal(add(text), 0);
    struct mv_block *block = mv_block_find(mv_machine_blocks(machine), BLOCK);
    mv_block_pin(block);
    mv_block_pin(block);
    heard[0] = '\0';
    /* It stays, with its id and its slot, and can be asked for again. */
    assert_int_equal(delete ("m"), 0);
    mv_machine_reset(machine, MV_CAUSE_HOST_QMP, NULL);
    assert_int_equal(delete ("m"), 0);
    assert_ptr_equal(mv_block_find(mv_machine_blocks(machine), BLOCK), block);
    assert_refused(add(text), EBUSY, "'rp0' holds a ivshmem-plain already");
    mv_block_unpin(block);
    assert_string_equal(heard, "");
    /* It goes by itself with the last pin, which any thread may let go. */
    assert_int_equal(pthread_create(&thread, NULL, unpin, block), 0);
    pthread_join(thread, NULL);
    mv_loop_defer(loop, stop_loop, loop);
    mv_loop_run(loop);
    assert_string_equal(heard, "-pci/02.0/00.0(m) ");
    assert_null(mv_block_find(mv_machine_blocks(machine), BLOCK));
    /* One that is pinned to the machine's end is waited for by that. */
    assert_int_equal(add(text), 0);
    block = mv_block_find(mv_machine_blocks(machine), BLOCK);
    mv_block_pin(block);
    assert_int_equal(delete ("m"), 0);
    assert_int_equal(pthread_create(&thread, NULL, unpin, block), 0);
    mv_machine_destroy(machine);
    machine = NULL;
    pthread_join(thread, NULL);
    /* The call that this left in the loop has gone with the machine. */
    mv_loop_defer(loop, stop_loop, loop);
    mv_loop_run(loop);
    unlink(path);
}

static struct mv_device *port;

static void find_port(void *opaque, struct mv_device *device)
{
    if (strcmp(device->path, "pci/03.0") == 0)
        port = device;
}

/* A guest that was asked before it was saved is still being asked where it is loaded. */
static void test_removal_is_saved(void **state)
{
    start();
    mv_machine_for_each_device(machine, find_port, NULL);
    const struct mv_state_table *table = port->ops->state;
    uint8_t *bytes = malloc(mv_state_size(table));
    assert_non_null(bytes);
    fake.clock_ns = UINT64_C(1000000000);
    assert_int_equal(delete ("cold"), 0);
    mv_state_save(table, port, bytes);
    mv_machine_reset(machine, MV_CAUSE_HOST_QMP, NULL);
    /* The machine that it is loaded into is one that has the device, too. */
    assert_true(mv_state_load(table, port, port->path, bytes, mv_state_size(table), &err) < 0);
    assert_non_null(strstr(err.text, "pci/03.0/config: slot status"));
    assert_int_equal(add("edu,bus=rp1,id=cold"), 0);
    mv_machine_reset(machine, MV_CAUSE_HOST_QMP, NULL);
    assert_int_equal(mv_state_load(table, port, port->path, bytes, mv_state_size(table), &err), 0);
    assert_refused(delete ("cold"), EINPROGRESS, "already");
    fake.clock_ns += UINT64_C(5000000001);
    assert_int_equal(delete ("cold"), 0);
    free(bytes);
}

static void test_start_refused(void **state)
{
    static const struct {
        const char *words[10];
        const char *part;
    } wrong[] = {
        {{"--device", "edu,bus=x"}, "--device edu,bus=x: there is no bus 'x'"},
        {{"--device", "edu,id=a", "--device", "edu,id=a"}, "id 'a' is that of the edu at pci/01.0"},
        {{"--device", "pcie-root-port,addr=5", "--device", "pcie-root-port,slot=5"},
         "slot=5 of chassis 0 is that of pci/05.0"},
        {{"--device", "pcie-root-port,id=r", "--device", "edu,bus=r", "--device", "edu,bus=r"},
         "the slot of 'r' holds a edu already"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *words[16] = {"-k", kernel_path, "-m", "16M"};
        for (unsigned w = 0; wrong[i].words[w] != NULL; w++)
            words[4 + w] = wrong[i].words[w];
        assert_true(fake_machine_try(words) < 0);
        assert_non_null(strstr(err.text, wrong[i].part));
        mv_config_free(&config);
        config = (struct mv_config){0};
    }
    MAKE("-m", "16M", "--device", "pcie-root-port,addr=5", "--device",
         "pcie-root-port,slot=5,chassis=1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_machine_setup, fake_machine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_generations),   TEST(test_refused),
        TEST(test_unanswered),    TEST(test_busy_slot_keeps_no_wish),
        TEST(test_pinned),        TEST(test_removal_is_saved),
        TEST(test_start_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
