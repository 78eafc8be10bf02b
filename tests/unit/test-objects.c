/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine/objects.c, and machines that a state is loaded into: every part goes over to
 * a new machine, in any order; what does not fit is refused by name; a reset boots what
 * was carried.  On the fake engine, of which there is one machine at a time.
 */
#include "fake-machine.h"

#include "arm64.h"
#include "device.h"
#include "machine-state.h"
#include "size.h"
#include "space.h"
#include "state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SYSTEM_OFF   0x84000008
#define SYSTEM_RESET 0x84000009
#define RAM          UINT64_C(0x80000000)
#define PARTS_MAX    64

static struct mv_machine_saved parts[PARTS_MAX];
static size_t part_count;
static char *options[8]; /* of the devices that the user wanted */
static size_t option_count;
static int carried = -1; /* what a reset boots, behind something else */
static struct mv_machine_boot boot;
static const struct mv_machine_places nowhere;

static int save(void *opaque, const char *path, const struct mv_state_table *table, void *object,
                struct mv_error *error)
{
    uint8_t *bytes = malloc(mv_state_size(table));
    mv_state_save(table, object, bytes);
    assert_true(part_count < PARTS_MAX);
    parts[part_count++] = (struct mv_machine_saved){strdup(path), table->type, table->version,
                                                    bytes, mv_state_size(table)};
    return 0;
}

static void forget(void)
{
    while (part_count > 0) {
        free((char *)(uintptr_t)parts[--part_count].path);
        free((uint8_t *)(uintptr_t)parts[part_count].bytes);
    }
    while (option_count > 0)
        free(options[--option_count]);
}

static size_t index_of(const char *path)
{
    for (size_t i = 0; i < part_count; i++) {
        if (strcmp(parts[i].path, path) == 0)
            return i;
    }
    fail_msg("no part '%s'", path);
    return 0;
}

static void keep_options(void *opaque, struct mv_device *device)
{
    if (device->options != NULL)
        options[option_count++] = strdup(device->options);
}

static struct mv_machine_image carry(const struct mv_machine_image *image)
{
    struct mv_machine_image copy = {.fd = carried, .size = image->size};
    struct stat st;
    char byte;
    fstat(carried, &st);
    copy.offset = (uint64_t)st.st_size + 4097;
    assert_int_equal(pwrite(carried, "?", 1, (off_t)copy.offset - 1), 1);
    for (uint64_t i = 0; i < image->size; i++) {
        assert_int_equal(pread(image->fd, &byte, 1, (off_t)(image->offset + i)), 1);
        assert_int_equal(pwrite(carried, &byte, 1, (off_t)(copy.offset + i)), 1);
    }
    assert_int_equal(pwrite(carried, "?", 1, (off_t)(copy.offset + image->size)), 1);
    return copy;
}

static void take_apart(void)
{
    assert_int_equal(mv_machine_save_objects(machine, save, NULL, &err), 0);
    mv_machine_for_each_device(machine, keep_options, NULL);
    mv_machine_boot(machine, &boot);
    carried = memfd_create("carried", 0);
    boot.kernel = carry(&boot.kernel);
    if (boot.initrd.size != 0)
        boot.initrd = carry(&boot.initrd);
    mv_machine_destroy(machine);
    machine = NULL;
}

/* A configuration without files to boot, and with devices as they were kept. */
static int try_new(void)
{
    free(config.kernel);
    free(config.initrd);
    config.kernel = config.initrd = NULL;
    while (config.device_count > 0)
        mv_config_device_clear(&config.devices[--config.device_count]);
    config.devices = realloc(config.devices, (option_count + 1) * sizeof *config.devices);
    for (; config.device_count < option_count; config.device_count++)
        assert_int_equal(mv_config_parse_device_add(options[config.device_count],
                                                    &config.devices[config.device_count], &err),
                         0);
    return mv_machine_create_saved(&config, &boot, &nowhere, loop, NULL, &machine, &err);
}

static void make_new(void)
{
    if (try_new() != 0)
        fail_msg("%s", err.text);
}

static void start_used(void)
{
    MAKE("-m", "16M", "-c", "2", "-i", kernel_path, "-a", "one two", "--device", "edu", "--device",
         "pcie-root-port,id=rp", "--device", "edu,bus=rp,id=behind", "--device", "edu,addr=1f");
    fake.clock_ns = 5 * UINT64_C(1000000000);
    fake_machine_start();
    fake_await_entry(0, 1);
    mv_machine_pause(machine);
    fake.cpus[0]->regs.x[7] = 0x1234;
    fake.cpus[0]->regs.pc = RAM + 0x40;
    mv_machine_powerdown(machine);
}

static int load_all(void)
{
    return mv_machine_load_objects(machine, parts, part_count, &err);
}

/* --- */

static void test_all_parts(void **state)
{
    static const char *const order[] = {
        "vcpus",    "gic",      "uart",          "rtc",          "gpio",   "vmgenid", "pci/1f.0",
        "pci/01.0", "pci/02.0", "pci/02.0/00.0", "power-button", "vcpu/0", "vcpu/1"};
    start_used();
    take_apart();
    /* Guest time before what has timers, the interrupt controller before the vCPUs. */
    for (size_t i = 1; i < sizeof order / sizeof order[0]; i++) {
        if (index_of(order[i - 1]) > index_of(order[i]))
            fail_msg("%s comes before %s", order[i], order[i - 1]);
    }
    fake.clock_ns = 0;
    make_new();
    /* In any order. */
    for (size_t i = 0; i < part_count / 2; i++) {
        struct mv_machine_saved part = parts[i];
        parts[i] = parts[part_count - 1 - i];
        parts[part_count - 1 - i] = part;
    }
    if (load_all() != 0)
        fail_msg("%s", err.text);
    assert_int_equal(fake.clock_ns, 5 * UINT64_C(1000000000));
    assert_int_equal(fake.cpus[0]->regs.x[7], 0x1234);
    assert_int_equal(fake.cpus[0]->regs.pc, RAM + 0x40);
    assert_true(mv_machine_cpu_is_on(machine, 0));
    assert_false(mv_machine_cpu_is_on(machine, 1));
    assert_int_equal(fake.cpus[0]->entries, 0);
    /* What is saved of it is the same, byte for byte. */
    size_t count = part_count;
    assert_int_equal(mv_machine_save_objects(machine, save, NULL, &err), 0);
    assert_int_equal(part_count, 2 * count);
    for (size_t i = 0; i < count; i++) {
        const struct mv_machine_saved *again = NULL;
        for (size_t j = count; j < 2 * count; j++)
            again = strcmp(parts[i].path, parts[j].path) == 0 ? &parts[j] : again;
        assert_non_null(again);
        assert_string_equal(parts[i].type, again->type);
        assert_int_equal(parts[i].len, again->len);
        assert_memory_equal(parts[i].bytes, again->bytes, parts[i].len);
    }
    /* It goes on where it was. */
    fake_queue(0, SYSTEM_OFF, 0, 0, 0);
    fake_machine_start();
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_POWERED_OFF);
}

static void test_options(void **state)
{
    static const char *const texts[] = {"edu,addr=1f.0", "edu,addr=01.0",
                                        "pcie-root-port,addr=02.0,id=rp",
                                        "edu,addr=00.0,bus=rp,id=late,dma_mask=0xff"};
    struct mv_config_device device;
    MAKE("-m", "16M", "--device", "edu", "--device", "pcie-root-port,id=rp", "--device",
         "edu,addr=1f");
    assert_int_equal(mv_config_parse_device_add("edu,bus=rp,id=late,dma_mask=255", &device, &err),
                     0);
    assert_int_equal(mv_machine_device_add(machine, &device, NULL, &err), 0);
    mv_config_device_clear(&device);
    take_apart();
    assert_int_equal(option_count, 4);
    for (size_t i = 0; i < option_count; i++)
        assert_string_equal(options[i], texts[i]);
    make_new();
    assert_int_equal(load_all(), 0);
    while (option_count > 0)
        free(options[--option_count]);
    mv_machine_for_each_device(machine, keep_options, NULL);
    assert_int_equal(option_count, 4);
    for (size_t i = 0; i < option_count; i++)
        assert_string_equal(options[i], texts[i]);
}

/* Whoever makes it again may stand elsewhere. */
static void test_paths_are_absolute(void **state)
{
    char text[128];
    CLEANUP_FREE char *folder = getcwd(NULL, 0), *end;
    snprintf(text, sizeof text, "mem=memvisor,,test-%d,size=1M,create=on", (int)getpid());
    MAKE("-m", "16M", "--ivshmem", text);
    mv_machine_for_each_device(machine, keep_options, NULL);
    assert_true(asprintf(&end,
                         "ivshmem-plain,addr=01.0,size=1M,file=%s/memvisor,,test-%d,create=on",
                         folder, (int)getpid()) > 0);
    assert_string_equal(options[0], end);
    snprintf(text, sizeof text, "memvisor,test-%d", (int)getpid());
    assert_int_equal(unlink(text), 0);
}

static void test_reset_boots_what_was_carried(void **state)
{
    uint8_t bytes[FAKE_KERNEL_SIZE], zeros[FAKE_KERNEL_SIZE] = {0};
    start_used();
    take_apart();
    unlink(kernel_path);
    make_new();
    /* Nothing was put into RAM. */
    assert_int_equal(mv_space_read(fake.params.space, RAM, bytes, sizeof bytes), 0);
    assert_memory_equal(bytes, zeros, sizeof bytes);
    assert_int_equal(load_all(), 0);
    fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    fake_queue(0, SYSTEM_OFF, 0, 0, 0);
    fake_machine_start();
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_POWERED_OFF);
    assert_int_equal(fake_entries(0), 2);
    assert_int_equal(fake.cpus[0]->entry.pc, RAM);
    assert_int_equal(mv_space_read(fake.params.space, RAM, bytes, sizeof bytes), 0);
    assert_memory_equal(bytes, kernel, sizeof bytes);
    /* What is carried on from here is the same. */
    struct mv_machine_boot again;
    mv_machine_boot(machine, &again);
    assert_int_equal(again.kernel.size, sizeof kernel);
    assert_int_equal(again.kernel.offset, boot.kernel.offset);
    assert_int_equal(again.initrd.size, sizeof kernel);
    assert_int_equal(again.initrd.offset, boot.initrd.offset);
    assert_string_equal(mv_machine_config(machine)->cmdline, "one two");
}

static void expect_not_made(const char *part)
{
    assert_int_equal(try_new(), -EINVAL);
    if (strstr(err.text, part) == NULL)
        fail_msg("lacks '%s': %s", part, err.text);
    assert_null(machine);
}

static void test_carried_badly(void **state)
{
    struct mv_machine_boot good;
    start_used();
    take_apart();
    good = boot;
    boot.kernel.size = 0;
    expect_not_made("no kernel");
    boot.kernel.size = UINT64_MAX;
    expect_not_made("boot/kernel");
    boot.kernel = good.kernel;
    boot.initrd.size += 2;
    expect_not_made("'boot/initrd' is to end at byte");
    boot = good;
    boot.kernel.offset--;
    assert_int_equal(try_new(), -ENOEXEC);
    boot = good;
    /* Files that are read anew have to be named. */
    config.reload = true;
    expect_not_made("is not named");
    config.reload = false;
    make_new();
}

/* The file is not looked at before it is due. */
static void test_reload(void **state)
{
    char path[64];
    start_used();
    take_apart();
    strcpy(path, kernel_path);
    boot = (struct mv_machine_boot){.kernel = {.fd = -1}, .initrd = {.fd = -1}};
    while (config.device_count > 0)
        mv_config_device_clear(&config.devices[--config.device_count]);
    free(config.initrd);
    config.initrd = NULL;
    config.reload = true;
    free(config.kernel);
    config.kernel = strdup("/tmp/memvisor-test-objects-none");
    assert_int_equal(mv_machine_create_saved(&config, &boot, &nowhere, loop, NULL, &machine, &err),
                     0);
    assert_true(mv_machine_reset(machine, MV_CAUSE_HOST_QMP, &err) < 0);
    assert_int_equal(rename(kernel_path, config.kernel), 0);
    assert_int_equal(mv_machine_reset(machine, MV_CAUSE_HOST_QMP, &err), 0);
    unlink(config.kernel);
    assert_true(mv_machine_cpu_is_on(machine, 0));
}

/* --- refusals */

static void expect_refused(int error, const char *part)
{
    int r = load_all();
    if (r != error || strstr(err.text, part) == NULL)
        fail_msg("%d, lacks '%s': %s", r, part, err.text);
    /* Nothing has changed. */
    assert_int_equal(fake.cpus[0]->regs.pc, 0xdead);
    assert_int_equal(fake.clock_ns, 0);
}

static void test_refused_by_name(void **state)
{
    start_used();
    take_apart();
    fake.clock_ns = 0;
    make_new();
    for (size_t i = 0; i < part_count; i++) {
        struct mv_machine_saved part = parts[i];
        const struct mv_machine_saved *other = &parts[(i + 1) % part_count];
        /* Missing. */
        parts[i] = parts[--part_count];
        expect_refused(-ENODEV, part.path);
        assert_non_null(strstr(err.text, "the state has none"));
        parts[part_count++] = parts[i];
        parts[i] = part;
        /* Twice, in the place of none and of another. */
        parts[part_count++] = part;
        expect_refused(-EEXIST, part.path);
        part_count--;
        parts[i] = *other;
        expect_refused(-EEXIST, other->path);
        parts[i] = part;
        /* Of another kind; newer. */
        parts[i].type = "toaster";
        expect_refused(-EINVAL, part.path);
        assert_non_null(strstr(err.text, "toaster"));
        parts[i].type = part.type;
        parts[i].version++;
        expect_refused(-ENOTSUP, part.path);
        parts[i].version = part.version;
        /* Of another place. */
        parts[i].path = "pci/1e.0";
        expect_refused(-ENODEV, "pci/1e.0");
        parts[i] = part;
    }
    /* More than there can be. */
    static struct mv_machine_saved many[100000];
    for (size_t i = 0; i < 100000; i++)
        many[i] = (struct mv_machine_saved){.path = "x", .type = "y"};
    assert_int_equal(mv_machine_load_objects(machine, many, 100000, &err), -ENODEV);
    assert_int_equal(load_all(), 0);
}

/* What the bytes say is refused by the tables, with the part's name. */
static void test_refused_bytes(void **state)
{
    start_used();
    take_apart();
    for (size_t i = 0; i < part_count; i++) {
        make_new();
        parts[i].len--;
        assert_int_equal(load_all(), -EINVAL);
        assert_int_equal(strncmp(err.text, parts[i].path, strlen(parts[i].path)), 0);
        parts[i].len++;
        mv_machine_destroy(machine);
        machine = NULL;
    }
}

static void test_when(void **state)
{
    MAKE("-m", "16M");
    fake_machine_start();
    fake_await_entry(0, 1);
    assert_int_equal(mv_machine_save_objects(machine, save, NULL, &err), -EBUSY);
    assert_int_equal(part_count, 0);
    mv_machine_pause(machine);
    assert_int_equal(mv_machine_save_objects(machine, save, NULL, &err), 0);
    assert_int_equal(load_all(), -EBUSY);
    /* A guest that wanted its reset has had it in what is saved. */
    fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    mv_machine_resume(machine);
    while (mv_machine_cpu_is_on(machine, 0))
        usleep(1000);
    mv_machine_pause(machine);
    assert_int_equal(mv_machine_quiesce(machine, &err), 0);
    assert_true(mv_machine_cpu_is_on(machine, 0));
    /* And one that went has gone. */
    fake_queue(0, SYSTEM_OFF, 0, 0, 0);
    mv_machine_resume(machine);
    while (mv_machine_cpu_is_on(machine, 0))
        usleep(1000);
    mv_machine_pause(machine);
    assert_int_equal(mv_machine_quiesce(machine, &err), -ESHUTDOWN);
}

static int setup(void **state)
{
    fake.clock_ns = 0;
    return fake_machine_setup(state);
}

static int teardown(void **state)
{
    forget();
    if (carried >= 0)
        close(carried);
    carried = -1;
    return fake_machine_teardown(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_parts),
        TEST(test_options),
        TEST(test_paths_are_absolute),
        TEST(test_reset_boots_what_was_carried),
        TEST(test_carried_badly),
        TEST(test_reload),
        TEST(test_refused_by_name),
        TEST(test_refused_bytes),
        TEST(test_when),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
