/* SPDX-License-Identifier: Apache-2.0 */
/* machine/: run states, reset, ends, refusals, on the fake engine. */
#include "fake-machine.h"
#include "size.h"
#include "space.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <libfdt.h>

#define CPU_OFF      0x84000002
#define CPU_ON       0xc4000003
#define SYSTEM_OFF   0x84000008
#define SYSTEM_RESET 0x84000009
#define RAM          UINT64_C(0x80000000)

static void stop_loop(void *opaque, uint32_t events)
{
    mv_loop_stop(loop);
}

/* Serve the loop for a while. */
static void run_loop(unsigned ms)
{
    struct mv_loop_source *source;
    struct itimerspec when = {.it_value = {ms / 1000, ms % 1000 * 1000000L}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    assert_int_equal(mv_loop_add(loop, fd, EPOLLIN, stop_loop, NULL, &source, &err), 0);
    timerfd_settime(fd, 0, &when, NULL);
    mv_loop_run(loop);
    mv_loop_remove(source);
    close(fd);
}

static void read_guest(uint64_t gpa, void *buf, size_t len)
{
    assert_int_equal(mv_space_read(fake.params.space, gpa, buf, len), 0);
}

/* The device tree as it lies in guest memory; freed by the caller. */
static void *guest_fdt(void)
{
    uint8_t head[64];
    read_guest(fake.cpus[0]->entry.x[0], head, sizeof head);
    uint32_t size = fdt_totalsize(head);
    void *fdt = malloc(size);
    read_guest(fake.cpus[0]->entry.x[0], fdt, size);
    assert_int_equal(fdt_check_full(fdt, size), 0);
    return fdt;
}

/* --- making */

static void test_entry(void **state)
{
    MAKE("-m", "64M", "-i", kernel_path, "-a", "console=ttyS0");
    uint32_t size;
    const void *dtb = mv_machine_dtb(machine, &size);
    assert_int_equal(fdt_check_full(dtb, size), 0);
    assert_non_null(mv_machine_uart(machine));
    fake_machine_start();
    fake_await_entry(0, 1);
    const struct mv_arm64_state *entry = &fake.cpus[0]->entry;
    assert_int_equal(entry->pc, RAM);
    assert_int_equal(entry->pstate, FAKE_PSTATE);
    for (unsigned i = 1; i < 31; i++)
        assert_int_equal(entry->x[i], 0);

    uint8_t loaded[FAKE_KERNEL_SIZE];
    read_guest(RAM, loaded, sizeof loaded);
    assert_memory_equal(loaded, kernel, sizeof kernel);
    CLEANUP_FREE void *fdt = guest_fdt();
    assert_memory_equal(fdt, dtb, size);
    int chosen = fdt_path_offset(fdt, "/chosen"), len;
    const void *start = fdt_getprop(fdt, chosen, "linux,initrd-start", &len);
    read_guest(fdt64_ld(start), loaded, sizeof loaded);
    assert_memory_equal(loaded, kernel, sizeof kernel);
    assert_int_equal(fake.params.cpus, 1);
    assert_int_equal(fake.params.virtual_timer_intid, 27);
    assert_int_equal(fake.params.physical_timer_intid, 30);
}

/* A flat binary, entered as an Image is. */
static void test_firmware(void **state)
{
    char path[64];
    fake_file(path, "bare metal", 10);
    const char *const words[] = {"--firmware", path, "-m", "16M@0x10000000", NULL};
    assert_int_equal(fake_machine_try(words), 0);
    unlink(path);
    fake_machine_start();
    fake_await_entry(0, 1);
    assert_int_equal(fake.cpus[0]->entry.pc, 0x10080000);
    char loaded[10];
    read_guest(0x10080000, loaded, sizeof loaded);
    assert_memory_equal(loaded, "bare metal", 10);
    free(guest_fdt());
}

/* The kernel lies across banks that touch. */
static void test_adjacent_banks(void **state)
{
    MAKE("-m", "4K", "-m", "4K", "-m", "4M");
    uint8_t loaded[FAKE_KERNEL_SIZE];
    read_guest(RAM, loaded, sizeof loaded);
    assert_memory_equal(loaded, kernel, sizeof kernel);
}

static void test_pipe(void **state)
{
    char path[64];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], kernel, sizeof kernel), sizeof kernel);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    const char *const words[] = {"-k", path, "-m", "16M", NULL};
    assert_int_equal(fake_machine_try(words), 0);
    close(ends[0]);
    /* What can be read only once is there for a reset too. */
    fake_machine_start();
    fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    fake_queue(0, SYSTEM_OFF, 0, 0, 0);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_POWERED_OFF);
    assert_int_equal(fake_entries(0), 2);
}

static void expect_refusal(int error, const char *word, const char *const *words)
{
    int r = fake_machine_try(words);
    if (r != error)
        fail_msg("%d: %s", r, err.text);
    if (strstr(err.text, word) == NULL || strchr(err.text, '\n') != NULL)
        fail_msg("lacks '%s': %s", word, err.text);
    assert_null(machine);
    assert_int_equal(fake.alive, 0);
    mv_config_free(&config);
    config = (struct mv_config){0};
}
#define REFUSED(error, word, ...)                                                                  \
    expect_refusal(error, word, (const char *const[]){__VA_ARGS__, NULL})

static unsigned open_files(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_refusals(void **state)
{
    unsigned before = open_files();
    char nothing[64], words[64];
    fake_file(nothing, "", 0);
    fake_file(words, "some words", 10);
    REFUSED(-ENOENT, "/no/such/file", "-k", "/no/such/file");
    REFUSED(-EISDIR, "directory", "-k", "/tmp");
    REFUSED(-ENODATA, "is empty", "-k", nothing);
    REFUSED(-ENOEXEC, "truncated", "-k", words);
    REFUSED(-ENODATA, "initrd", "-k", kernel_path, "-i", nothing);
    REFUSED(-ENOENT, "initrd '/no/such'", "-k", kernel_path, "-i", "/no/such");
    REFUSED(-ENODATA, "firmware", "--firmware", nothing);
    REFUSED(-EFBIG, "16 MiB", "-k", kernel_path, "-m", "16M", "-i", "/dev/zero");
    REFUSED(-ENOSPC, "4 KiB", "-k", kernel_path, "-m", "4K");
    REFUSED(-EEXIST, "PCI memory", "-k", kernel_path, "-m", "64M@0x60000000");
    REFUSED(-EEXIST, "UART", "-k", kernel_path, "-m", "4K@0x1000000");
    REFUSED(-EEXIST, "I/O ports", "-k", kernel_path, "-m", "4K@0x0");
    REFUSED(-EEXIST, "GIC redistributors", "-k", kernel_path, "-m", "4K@0x3f7f0000");
    REFUSED(-EEXIST, "GIC distributor", "-k", kernel_path, "-m", "64K@0x3fff0000");
    REFUSED(-EEXIST, "MSI", "-k", kernel_path, "-m", "64K@0x3f7e0000");
    REFUSED(-EEXIST, "PCI ECAM", "-k", kernel_path, "-m", "1G@0x40000000");
    /* More than a host maps, in a guest that may have it. */
    REFUSED(-ENOMEM, "ram1", "-k", kernel_path, "-m", "64M", "-m", "200T@4G");
    fake.probe_result = -ENODEV;
    REFUSED(-ENODEV, "told to refuse", "-k", kernel_path);
    fake.probe_result = 0;
    unlink(nothing);
    unlink(words);
    assert_int_equal(open_files(), before);
}

static void test_engines(void **state)
{
    char *argv[] = {"-k", kernel_path};
    assert_int_equal(mv_config_parse_run(2, argv, &config, &err), 0);
    free(config.engine);
    config.engine = strdup("kvm");
    assert_int_equal(mv_machine_create(&config, loop, NULL, &machine, &err), -ENOENT);
    assert_non_null(strstr(err.text, "kvm"));
    /* auto takes the first that can run. */
    free(config.engine);
    config.engine = strdup("auto");
    fake.probe_result = -EPERM;
    assert_int_equal(mv_machine_create(&config, loop, NULL, &machine, &err), -ENODEV);
    assert_non_null(strstr(err.text, "told to refuse"));
    fake.probe_result = 0;
    assert_int_equal(mv_machine_create(&config, loop, NULL, &machine, &err), 0);
}

static void test_low_bank(void **state)
{
    MAKE("-m", "64M@0x10000000");
    fake_machine_start();
    fake_await_entry(0, 1);
    assert_int_equal(fake.cpus[0]->entry.pc, 0x10000000);
}

/* --- running */

static void test_power_off(void **state)
{
    MAKE("-m", "16M");
    fake_machine_start();
    fake_queue(0, SYSTEM_OFF, 0, 0, 0);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_POWERED_OFF);
    assert_false(fake_inside(0));
    assert_int_equal(fake.cpus[0]->returned, 0);
}

static void test_quit(void **state)
{
    MAKE("-m", "16M", "-c", "4");
    fake_machine_start();
    fake_await_idle(0);
    mv_machine_request_quit(machine, MV_CAUSE_HOST_SIGNAL);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_QUIT);
    for (unsigned i = 0; i < 4; i++)
        assert_false(fake_inside(i));
    /* What comes later changes nothing. */
    mv_machine_request_reset(machine, MV_CAUSE_HOST_UI);
    mv_machine_resume(machine);
    run_loop(20);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_QUIT);
    assert_int_equal(fake_entries(0), 1);
}

static void test_destroyed_in_any_state(void **state)
{
    static const char *const states[] = {"made",   "started", "running", "paused",
                                         "asked",  "off",     "stopped before start"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        MAKE("-m", "16M", "-c", "3");
        if (i == 6)
            mv_machine_pause(machine);
        if (i > 0)
            assert_int_equal(mv_machine_start(machine, i == 3, &err), 0);
        if (i == 2)
            fake_await_idle(0);
        if (i == 4) {
            mv_machine_request_reset(machine, MV_CAUSE_HOST_UI);
            mv_machine_request_quit(machine, MV_CAUSE_HOST_SIGNAL);
        }
        if (i == 5)
            fake_queue(0, CPU_OFF, 0, 0, 0);
        mv_machine_destroy(machine);
        machine = NULL;
        mv_config_free(&config);
        config = (struct mv_config){0};
        assert_int_equal(fake.alive, 0);
        /* Nothing that was asked of it is left in the loop. */
        run_loop(5);
    }
}

static void test_pause(void **state)
{
    MAKE("-m", "16M", "-c", "2");
    assert_int_equal(mv_machine_start(machine, true, &err), 0);
    run_loop(50);
    assert_int_equal(fake_entries(0), 0);
    mv_machine_resume(machine);
    fake_await_entry(0, 1);
    fake_queue(0, CPU_ON, 1, RAM, 0);
    fake_await_entry(1, 1);
    for (unsigned i = 0; i < 200; i++) {
        mv_machine_pause(machine);
        assert_false(fake_inside(0));
        assert_false(fake_inside(1));
        mv_machine_resume(machine);
        if (i % 3 == 0) {
            fake_await_idle(0);
            fake_await_idle(1);
        }
    }
    /* A call that waits for the guest to go on is made once. */
    mv_machine_pause(machine);
    fake_queue(0, CPU_ON, 1, RAM, 0);
    mv_machine_resume(machine);
    fake_await_idle(0);
    assert_int_equal(fake.cpus[0]->regs.x[0], UINT64_MAX - 3);
    assert_int_equal(fake_entries(0), 1);
}

/* --- reset */

static void test_guest_reset(void **state)
{
    MAKE("-m", "16M", "-c", "2");
    fake_machine_start();
    fake_await_entry(0, 1);
    CLEANUP_FREE void *fdt = guest_fdt();
    int len;
    uint8_t seed[64];
    memcpy(seed, fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "rng-seed", &len), 64);
    fake_queue(0, CPU_ON, 1, RAM, 0);
    fake_await_entry(1, 1);

    /* The guest overwrites its kernel, and writes elsewhere. */
    mv_machine_pause(machine);
    uint8_t junk[FAKE_KERNEL_SIZE];
    memset(junk, 0x77, sizeof junk);
    assert_int_equal(mv_space_write(fake.params.space, RAM, junk, sizeof junk), 0);
    assert_int_equal(mv_space_write(fake.params.space, RAM + (8 << 20), junk, 100), 0);
    /* The files are gone: a reset needs their bytes, not their names. */
    unlink(kernel_path);
    mv_machine_resume(machine);

    fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    run_loop(1);
    while (fake_entries(0) < 2)
        run_loop(1);
    assert_int_equal(fake.cpus[0]->entry.pc, RAM);
    assert_false(fake_inside(1));
    assert_int_equal(fake_call(0, 0xc4000004, 1, 0, 0), 1);
    uint8_t loaded[FAKE_KERNEL_SIZE];
    read_guest(RAM, loaded, sizeof loaded);
    assert_memory_equal(loaded, kernel, sizeof kernel);
    read_guest(RAM + (8 << 20), loaded, 100);
    assert_memory_equal(loaded, junk, 100);
    CLEANUP_FREE void *again = guest_fdt();
    assert_memory_not_equal(
        seed, fdt_getprop(again, fdt_path_offset(again, "/chosen"), "rng-seed", &len), 64);
    /* The boot went on from the reset's entry, not behind the call. */
    assert_int_equal(fake.cpus[0]->returned, 2);
}

static void test_many_resets(void **state)
{
    MAKE("-m", "16M", "-c", "2");
    fake_machine_start();
    for (unsigned i = 0; i < 15; i++)
        fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    fake_queue(0, SYSTEM_OFF, 0, 0, 0);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_POWERED_OFF);
    assert_int_equal(fake_entries(0), 16);
}

static void test_no_reboot(void **state)
{
    MAKE("-m", "16M", "--no-reboot");
    fake_machine_start();
    fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_RESET);
    assert_int_equal(fake_entries(0), 1);
}

/* The user's reset is none of the guest's own. */
static void test_reset_from_outside(void **state)
{
    MAKE("-m", "16M", "--no-reboot");
    fake_machine_start();
    fake_await_entry(0, 1);
    mv_machine_request_reset(machine, MV_CAUSE_HOST_UI);
    while (fake_entries(0) < 2)
        run_loop(1);
    /* One that is paused stays so. */
    mv_machine_pause(machine);
    mv_machine_request_reset(machine, MV_CAUSE_HOST_UI);
    run_loop(50);
    assert_int_equal(fake_entries(0), 2);
    mv_machine_resume(machine);
    fake_await_entry(0, 3);
}

static void await_entry(unsigned count)
{
    while (fake_entries(0) < count)
        run_loop(1);
}

/* It boots the bytes of the start. */
static void test_reset_of_a_changed_kernel(void **state)
{
    MAKE("-m", "16M");
    fake_machine_start();
    fake_await_idle(0);
    assert_int_equal(truncate(kernel_path, 100), 0);
    fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    await_entry(2);
    uint8_t loaded[FAKE_KERNEL_SIZE];
    read_guest(RAM, loaded, sizeof loaded);
    assert_memory_equal(loaded, kernel, sizeof kernel);
}

/* It boots what the file holds by then, or waits until that can be booted. */
static void test_reload(void **state)
{
    uint8_t loaded;
    MAKE("-m", "16M", "--reload", "on");
    fake_machine_start();
    fake_await_idle(0);
    CLEANUP_CLOSE int fd = open(kernel_path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\x12", 1, 4000), 1);
    fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    await_entry(2);
    read_guest(RAM + 4000, &loaded, 1);
    assert_int_equal(loaded, 0x12);

    assert_int_equal(pwrite(fd, "\x34", 1, 4000), 1);
    assert_int_equal(pwrite(fd, "none", 4, 56), 4);
    assert_int_equal(mv_machine_reset(machine, MV_CAUSE_HOST_QMP, &err), -ENOEXEC);
    assert_int_equal(mv_machine_state(machine), MV_MACHINE_RUNNING);
    fake_await_idle(0);
    fake_queue(0, SYSTEM_RESET, 0, 0, 0);
    while (mv_machine_state(machine) == MV_MACHINE_RUNNING)
        run_loop(1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(mv_machine_state(machine), MV_MACHINE_IO_ERROR);
        assert_int_equal(mv_machine_check_resume(machine, &err), -ENOEXEC);
        mv_machine_resume(machine);
    }
    read_guest(RAM + 4000, &loaded, 1);
    assert_int_equal(loaded, 0x12);
    unsigned before = fake_entries(0);
    assert_int_equal(pwrite(fd, "ARM\x64", 4, 56), 4);
    mv_machine_resume(machine);
    await_entry(before + 1);
    read_guest(RAM + 4000, &loaded, 1);
    assert_int_equal(loaded, 0x34);
}

/* --- the power button */

static uint64_t button_level(void)
{
    struct mv_range range;
    assert_true(mv_space_find(fake.params.space, 0x1020000, &range));
    /* GPIODATA, masked to line 3 by its address (PL061 TRM, 3.3.1). */
    return range.region->ops->read(range.region->opaque, (1 << 3) << 2, 4);
}

static void test_power_button(void **state)
{
    MAKE("-m", "16M");
    fake_machine_start();
    assert_int_equal(button_level(), 0);
    mv_machine_request_powerdown(machine);
    run_loop(20);
    assert_int_equal(button_level(), 8);
    fake.clock_ns += UINT64_C(100000000);
    run_loop(200);
    assert_int_equal(button_level(), 0);
    /* A reset finds it up. */
    mv_machine_request_powerdown(machine);
    run_loop(10);
    mv_machine_request_reset(machine, MV_CAUSE_HOST_UI);
    run_loop(10);
    assert_int_equal(button_level(), 0);
    /* A guest that stands still is given the time to see it once it goes on. */
    mv_machine_pause(machine);
    mv_machine_powerdown(machine);
    run_loop(200);
    assert_int_equal(button_level(), 8);
    mv_machine_resume(machine);
    fake.clock_ns += UINT64_C(99999999);
    run_loop(200);
    assert_int_equal(button_level(), 8);
    mv_machine_pause(machine);
    fake.clock_ns++;
    run_loop(200);
    assert_int_equal(button_level(), 8);
    mv_machine_resume(machine);
    run_loop(200);
    assert_int_equal(button_level(), 0);
}

/* --- guest time */

static void test_guest_time_stands_still(void **state)
{
    MAKE("-m", "16M", "-c", "2");
    assert_int_equal(mv_machine_start(machine, true, NULL), 0);
    assert_false(fake.clock_runs);
    mv_machine_resume(machine);
    fake_await_idle(0);
    assert_true(fake.clock_runs);
    mv_machine_pause(machine);
    assert_false(fake.clock_runs);
    mv_machine_reset(machine, MV_CAUSE_HOST_UI, NULL);
    assert_false(fake.clock_runs);
    mv_machine_resume_only(machine, 1);
    assert_true(fake.clock_runs);
    mv_machine_reset(machine, MV_CAUSE_HOST_UI, NULL);
    assert_true(fake.clock_runs);
    assert_int_equal(fake.clock_races, 0);
}

/* --- threads: requests from everywhere while vCPUs come and go */

static atomic_bool done;

static void *ask(void *opaque)
{
    unsigned seed = (unsigned)(uintptr_t)opaque;
    while (!atomic_load(&done)) {
        if (rand_r(&seed) % 2)
            mv_machine_request_reset(machine, MV_CAUSE_HOST_UI);
        else
            mv_machine_request_powerdown(machine);
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    return NULL;
}

static void test_requests_from_threads(void **state)
{
    MAKE("-m", "16M", "-c", "8");
    fake_machine_start();
    pthread_t threads[2];
    atomic_store(&done, false);
    for (uintptr_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 60; i++) {
        run_loop(3);
        mv_machine_pause(machine);
        mv_machine_resume(machine);
    }
    atomic_store(&done, true);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    mv_machine_request_quit(machine, MV_CAUSE_HOST_SIGNAL);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_QUIT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_machine_setup, fake_machine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_entry),
        TEST(test_firmware),
        TEST(test_adjacent_banks),
        TEST(test_pipe),
        TEST(test_refusals),
        TEST(test_engines),
        TEST(test_low_bank),
        TEST(test_power_off),
        TEST(test_quit),
        TEST(test_destroyed_in_any_state),
        TEST(test_pause),
        TEST(test_guest_reset),
        TEST(test_many_resets),
        TEST(test_no_reboot),
        TEST(test_reset_from_outside),
        TEST(test_reset_of_a_changed_kernel),
        TEST(test_reload),
        TEST(test_power_button),
        TEST(test_guest_time_stands_still),
        TEST(test_requests_from_threads),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
