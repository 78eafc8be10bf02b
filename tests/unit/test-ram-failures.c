/* SPDX-License-Identifier: Apache-2.0 */
/* migration/ram-writer.c: what goes wrong is an error that names the place, never a wrong file. */
#include "ram-fixture.h"

#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

#define SIZE (6 * MV_MIB)

/* --- a host whose writes fail, are short, or are interrupted, for every so many */

static struct {
    atomic_int left; /* so many pass */
    int error;       /* then each fails with this, */
    bool brief;      /* or half of the bytes are written */
    bool once;
} host;

static bool is_due(void)
{
    int left = atomic_fetch_sub(&host.left, 1);
    return host.once ? left == 0 : left <= 0;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    if (fd == out && is_due()) {
        if (!host.brief) {
            errno = host.error;
            return -1;
        }
        len = len / 2 + 1;
    }
    return syscall(SYS_pwrite64, fd, bytes, len, offset);
}

static bool no_holes;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (no_holes) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static int setup_host(void **state)
{
    atomic_store(&host.left, INT32_MAX);
    host.error = 0;
    host.brief = host.once = no_holes = false;
    return setup(state);
}

/* --- tests */

static const struct mv_config_backing anonymous;

static struct mv_ram_part make_part(void)
{
    struct mv_block *block = make_block("bar2", SIZE, &anonymous);
    assert_int_equal(mv_space_add_ram(space, BASE, block, 0, SIZE, &err), 0);
    scatter(block);
    return (struct mv_ram_part){.block = block, .offset = 2 * MV_MIB};
}

static void save(void)
{
    expect_ok(mv_ram_writer_copy_live(writer, &err));
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    expect_ok(mv_ram_writer_sum(writer, &err));
}

static void expect_message(const char *words)
{
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' is not in: %s", words, err.text);
}

static void test_writes_that_fail(void **state)
{
    static const int errors[] = {ENOSPC, EIO};
    const struct mv_ram_part part = make_part();
    for (int n = 0; n < 300; n += 7) {
        make_writer(&part, 1, true);
        host.error = errors[n % 2];
        atomic_store(&host.left, n);
        assert_int_equal(mv_ram_writer_copy_live(writer, &err), -host.error);
        expect_message("block pci/01.0/bar2: the bytes at 0x");
        expect_message("cannot be written to 'vm.state': ");
        expect_message(strerror(host.error));
        mv_ram_writer_destroy(writer);
    }
    atomic_store(&host.left, INT32_MAX);
    make_writer(&part, 1, true);
    save();
    check_part(0, part.offset, part.block->host, SIZE);
}

static void test_short_writes(void **state)
{
    const struct mv_ram_part part = make_part();
    make_writer(&part, 1, true);
    host.brief = true;
    atomic_store(&host.left, 0);
    save();
    check_part(0, part.offset, part.block->host, SIZE);
}

static void test_interrupted_writes(void **state)
{
    const struct mv_ram_part part = make_part();
    make_writer(&part, 1, true);
    host.error = EINTR;
    host.once = true;
    for (int n = 0; n < 100; n += 9) {
        atomic_store(&host.left, n);
        expect_ok(n == 0 ? mv_ram_writer_copy_live(writer, &err)
                         : mv_ram_writer_copy_rest(writer, &err));
        scatter(part.block);
    }
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    expect_ok(mv_ram_writer_sum(writer, &err));
    check_part(0, part.offset, part.block->host, SIZE);
}

/* Zeros are written over what was there. */
static void test_no_holes(void **state)
{
    const struct mv_ram_part part = make_part();
    make_writer(&part, 1, true);
    no_holes = true;
    expect_ok(mv_ram_writer_copy_live(writer, &err));
    expect_ok(mv_block_zero(part.block, 0, 3 * MV_MIB));
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    expect_ok(mv_ram_writer_sum(writer, &err));
    check_part(0, part.offset, part.block->host, SIZE);
}

static void handle(int number, siginfo_t *info, void *context)
{
    mv_fault_catch(info, context);
    abort();
}

static void test_memory_that_the_host_cannot_read(void **state)
{
    char path[] = "/tmp/memvisor-ram-XXXXXX";
    /* cmocka has the signal for itself while a test runs. */
    const struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    struct sigaction before;
    sigaction(SIGBUS, &action, &before);
    int fd = mkstemp(path);
    struct mv_config_backing wish = {.file = path};
    for (int share = MV_SWITCH_ON; share <= MV_SWITCH_OFF; share++) {
        assert_int_equal(ftruncate(fd, SIZE), 0);
        wish.share = share;
        struct mv_block *block = make_block("bar2", SIZE, &wish);
        scatter(block);
        const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
        make_writer(&part, 1, false);
        assert_int_equal(ftruncate(fd, 3 * MV_MIB + 5 * PAGE), 0);
        assert_int_equal(mv_ram_writer_copy_rest(writer, &err), -EIO);
        expect_message("block pci/01.0/bar2 has no byte 0x");
        expect_message(path);
        expect_message("truncate -s 6M");
        mv_ram_writer_destroy(writer);
        writer = NULL;
        mv_block_destroy(block);
    }
    sigaction(SIGBUS, &before, NULL);
    close(fd);
    unlink(path);
}

static void test_device_unplugged_before_the_rest(void **state)
{
    for (int live = 0; live < 2; live++) {
        struct mv_block *block = make_block("bar2", SIZE, &anonymous);
        const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
        scatter(block);
        make_writer(&part, 1, live);
        if (live)
            expect_ok(mv_ram_writer_copy_live(writer, &err));
        /* Plugged again, it is another. */
        mv_block_destroy(block);
        block = make_block("bar2", SIZE, &anonymous);
        assert_int_equal(mv_ram_writer_copy_rest(writer, &err), -ESTALE);
        expect_message("block pci/01.0/bar2 is gone");
        mv_ram_writer_destroy(writer);
        writer = NULL;
        mv_block_destroy(block);
    }
}

static void *copy(void *opaque)
{
    int r = mv_ram_writer_copy_live(writer, &err);
    return (void *)(intptr_t)(r < 0 ? r : mv_ram_writer_copy_rest(writer, &err));
}

static void test_device_unplugged_at_any_moment(void **state)
{
    unsigned gone = 0;
    for (unsigned round = 0; round < 40; round++) {
        struct mv_block *block = make_block("bar2", 4 * SIZE, &anonymous);
        const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
        pthread_t thread;
        void *result;
        scatter(block);
        make_writer(&part, 1, true);
        assert_int_equal(pthread_create(&thread, NULL, copy, NULL), 0);
        while (mv_ram_writer_progress(writer)->written < round * 64 * MV_KIB)
            sched_yield();
        mv_block_destroy(block);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_true((intptr_t)result == 0 || (intptr_t)result == -ESTALE);
        gone += (intptr_t)result != 0;
        mv_ram_writer_destroy(writer);
        writer = NULL;
        assert_int_equal(ftruncate(out, 0), 0);
    }
    assert_true(gone > 0);
}

static void test_cancelled(void **state)
{
    const struct mv_ram_part part = make_part();
    make_writer(&part, 1, true);
    expect_ok(mv_ram_writer_copy_live(writer, &err));
    atomic_store(&cancelled, true);
    assert_int_equal(mv_ram_writer_copy_rest(writer, &err), -ECANCELED);
    expect_message("'vm.state'");
}

/* A file that was cut off under the writer. */
static void test_cannot_be_read_back(void **state)
{
    const struct mv_ram_part part = make_part();
    make_writer(&part, 1, true);
    expect_ok(mv_ram_writer_copy_live(writer, &err));
    expect_ok(mv_block_write(part.block, 5 * MV_MIB, "x", 1));
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    assert_int_equal(ftruncate(out, 3 * MV_MIB), 0);
    assert_int_equal(mv_ram_writer_sum(writer, &err), -EIO);
    expect_message(
        "block pci/01.0/bar2: the bytes at 0x400000 cannot be read back from 'vm.state'");
}

static void test_places_that_will_not_do(void **state)
{
    static const struct {
        uint64_t offset;
        int result;
    } cases[] = {{4095, -EINVAL}, {512, -EINVAL}, {INT64_MAX & ~4095, -EFBIG}, {~4095, -EFBIG}};
    struct mv_ram_part part = make_part();
    struct mv_ram_writer_params params = {
        .fd = out, .file = "vm.state", .parts = &part, .count = 1};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        part.offset = cases[i].offset;
        assert_int_equal(mv_ram_writer_create(&params, &writer, &err), cases[i].result);
        expect_message("pci/01.0/bar2");
        assert_null(writer);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_host, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_writes_that_fail),
        TEST(test_short_writes),
        TEST(test_interrupted_writes),
        TEST(test_no_holes),
        TEST(test_memory_that_the_host_cannot_read),
        TEST(test_device_unplugged_before_the_rest),
        TEST(test_device_unplugged_at_any_moment),
        TEST(test_cancelled),
        TEST(test_cannot_be_read_back),
        TEST(test_places_that_will_not_do),
    };
    return cmocka_run_group_tests_name("ram-failures", tests, NULL, NULL);
}
