/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration/ram-reflink.c: which blocks are taken over, and that the file has the same bytes and
 * sums whether they are, are not, or only the first of them could be.  ioctl below plays the file
 * system that can, by copying within one device; tests/vm/test_reflink.py has a real one.
 */
#include "ram-fixture.h"

#include "paging.h"
#include "ram-reflink.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define SIZE (5 * MV_MIB + 3 * PAGE)

static unsigned taken, fails_at; /* steps; 0: none fails */
static char path[64];

static int copy(const struct file_clone_range *range, int to)
{
    static uint8_t bytes[64 * 1024];
    struct stat from_st, to_st;
    uint64_t n;
    assert_int_equal(fstat((int)range->src_fd, &from_st) | fstat(to, &to_st), 0);
    assert_int_equal((range->src_offset | range->src_length | range->dest_offset) % PAGE, 0);
    assert_true(range->src_length > 0); /* which would mean up to the end */
    assert_true(range->src_offset + range->src_length <= (uint64_t)from_st.st_size);
    if (from_st.st_dev != to_st.st_dev || ++taken == fails_at) {
        errno = from_st.st_dev != to_st.st_dev ? EXDEV : ENOSPC;
        return -1;
    }
    for (uint64_t at = 0; at < range->src_length; at += n) {
        n = range->src_length - at < sizeof bytes ? range->src_length - at : sizeof bytes;
        assert_int_equal(pread((int)range->src_fd, bytes, n, (off_t)(range->src_offset + at)), n);
        assert_int_equal(pwrite(to, bytes, n, (off_t)(range->dest_offset + at)), n);
    }
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    va_start(ap, request);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    return request == FICLONERANGE ? copy(argument, fd)
                                   : (int)syscall(SYS_ioctl, fd, request, argument);
}

static int begin(void **state)
{
    taken = fails_at = 0;
    snprintf(path, sizeof path, "/tmp/memvisor-test-reflink-%d", (int)getpid());
    unlink(path);
    return setup(state);
}

static int end(void **state)
{
    unlink(path);
    return teardown(state);
}

/* A part of a file of its own, from `offset` on. */
static struct mv_block *make_file(const char *name, uint64_t offset, uint64_t size, bool share)
{
    const struct mv_config_backing wish = {.file = path,
                                           .share = share ? MV_SWITCH_ON : MV_SWITCH_OFF,
                                           .has_offset = true,
                                           .offset = offset,
                                           .same_file = true};
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    if ((uint64_t)st.st_size < offset + size)
        assert_int_equal(ftruncate(fd, (off_t)(offset + size)), 0);
    close(fd);
    return make_block(name, size, &wish);
}

/* Into the file, of which the kernel then knows exactly what is data. */
static void fill(uint64_t start, uint64_t len, int byte)
{
    static uint8_t bytes[64 * 1024];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    memset(bytes, byte, sizeof bytes);
    for (uint64_t at = 0, n; at < len; at += n) {
        n = len - at < sizeof bytes ? len - at : sizeof bytes;
        assert_int_equal(pwrite(fd, bytes, n, (off_t)(start + at)), n);
    }
    close(fd);
}

static uint64_t shared(void)
{
    return mv_ram_writer_progress(writer)->shared;
}

static void save(void)
{
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    expect_ok(mv_ram_writer_sum(writer, &err));
}

/* Only what others who map the file see, and no file of another file system. */
static void test_which(void **state)
{
    static const struct mv_config_backing wishes[] = {{.memfd = true}, {0}};
    struct mv_block *blocks[] = {
        make_file("a", 0, SIZE, true),
        make_file("b", SIZE, SIZE, false),
        make_block("c", SIZE, &wishes[0]),
        make_block("d", SIZE, &wishes[1]),
    };
    enum { COUNT = sizeof blocks / sizeof blocks[0] };
    struct mv_ram_part parts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        parts[i] = (struct mv_ram_part){.block = blocks[i], .offset = (1 + 4 * i) * MV_RAM_CHUNK};
        if (i > 0)
            memset(blocks[i]->host + MV_MIB, (int)i + 1, 3 * MV_MIB);
    }
    fill(MV_MIB, 3 * MV_MIB, 1);
    make_writer(parts, COUNT, false);
    save();
    assert_int_equal(taken, 1);
    assert_int_equal(shared(), 3 * MV_MIB);
    assert_int_equal(mv_ram_writer_progress(writer)->written, 3 * 3 * MV_MIB);
    for (size_t i = 0; i < COUNT; i++)
        check_part(i, parts[i].offset, blocks[i]->host, SIZE);
}

/* Steps of 64 MiB, and holes where zeros are many, be they data of the file or none. */
static void test_extents(void **state)
{
    struct mv_block *block = make_file("a", 0, 160 * MV_MIB, true);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    fill(3 * PAGE, PAGE, 1);
    fill(10 * MV_MIB, MV_MIB, 2);
    fill(10 * MV_MIB + PAGE, PAGE, 0);
    fill(10 * MV_MIB + 256 * MV_KIB, 512 * MV_KIB, 0);
    fill(63 * MV_MIB, 2 * MV_MIB, 3);
    fill(160 * MV_MIB - PAGE, PAGE, 4);
    make_writer(&part, 1, false);
    save();
    assert_int_equal(taken, 5);
    assert_int_equal(shared(), 3 * MV_MIB + 2 * PAGE);
    assert_int_equal(mv_ram_writer_progress(writer)->written, 0);
    check_part(0, part.offset, block->host, block->size);
    assert_in_range(file_bytes(), 5 * MV_MIB / 2 + 2 * PAGE, 5 * MV_MIB / 2 + 2 * PAGE + SLACK);
}

/* All or nothing: what came before the failure is no data any more. */
static void test_failures(void **state)
{
    struct mv_block *block = make_file("a", 0, 16 * MV_MIB, true);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    for (uint64_t at = 0; at < block->size; at += 4 * MV_MIB)
        fill(at, MV_MIB, 1);
    /* Data of the file, and zeros: a copy leaves them out. */
    fill(100 * PAGE, 50 * PAGE, 0);
    for (fails_at = 1; fails_at <= 4; fails_at++, taken = 0) {
        assert_int_equal(ftruncate(out, 0), 0);
        make_writer(&part, 1, false);
        save();
        assert_int_equal(taken, fails_at);
        assert_int_equal(shared(), 0);
        assert_int_equal(mv_ram_writer_progress(writer)->written, 4 * MV_MIB - 50 * PAGE);
        check_part(0, part.offset, block->host, block->size);
        assert_in_range(file_bytes(), 4 * MV_MIB - 50 * PAGE, 4 * MV_MIB - 50 * PAGE + SLACK);
        mv_ram_writer_destroy(writer);
        writer = NULL;
    }
}

static void test_many_extents(void **state)
{
    struct mv_block *block = make_file("a", 0, (2 * MV_RAM_EXTENTS + 2) * PAGE, true);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    for (uint64_t at = 0; at < block->size; at += 2 * PAGE)
        fill(at, PAGE, 1);
    make_writer(&part, 1, false);
    save();
    assert_int_equal(taken, MV_RAM_EXTENTS);
    assert_int_equal(shared(), 0);
    check_part(0, part.offset, block->host, block->size);
    assert_true(file_bytes() < (MV_RAM_EXTENTS + 1) * PAGE + MV_MIB);
}

/* What the guest writes after it was taken over comes again. */
static void test_a_guest_that_runs(void **state)
{
    struct mv_block *block = make_file("a", 0, SIZE, true);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    uint8_t ones[3 * PAGE];
    memset(ones, 1, sizeof ones);
    expect_ok(mv_space_add_ram(space, BASE, block, 0, SIZE, &err));
    fill(MV_MIB, 2 * MV_MIB, 5);
    make_writer(&part, 1, true);
    expect_ok(mv_ram_writer_copy_live(writer, &err));
    assert_int_equal(shared(), 2 * MV_MIB);
    mv_space_write(space, BASE + MV_MIB + 5, ones, 2 * PAGE);
    mv_space_write(space, BASE + 4 * MV_MIB, ones, PAGE);
    mv_block_zero(block, 2 * MV_MIB, 100 * PAGE);
    save();
    assert_int_equal(mv_ram_writer_progress(writer)->last, 104 * PAGE);
    assert_int_equal(mv_ram_writer_progress(writer)->written, 4 * PAGE);
    check_part(0, part.offset, block->host, block->size);
}

/* Changed pages alone, of which there are none. */
static void test_a_part_that_builds_on_another(void **state)
{
    struct mv_block *block = make_file("a", 0, SIZE, true);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB, .partial = true};
    fill(0, SIZE, 5);
    make_writer(&part, 1, false);
    save();
    assert_int_equal(taken, 0);
    assert_true(file_bytes() < SLACK);
}

static void bring(void *opaque, uint64_t offset, uint64_t len, bool waits)
{
    static const uint8_t page[PAGE] = {7};
    for (uint64_t at = offset; at < offset + len; at += PAGE)
        assert_int_equal(mv_paging_fill(opaque, at, page, PAGE), 0);
}

/* A file of zeros, as long as the pages are elsewhere. */
static void test_what_is_absent(void **state)
{
    struct mv_block *block = make_file("a", 0, SIZE, true);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    const struct mv_paging_source source = {.what = "elsewhere", .want = bring, .opaque = block};
    fill(0, SIZE, 0);
    expect_ok(mv_paging_begin(block, &source, NULL, &err));
    make_writer(&part, 1, false);
    save();
    assert_int_equal(taken, 0);
    assert_int_equal(block->host[SIZE - PAGE], 7);
    check_part(0, part.offset, block->host, block->size);
}

static void test_cancelling(void **state)
{
    struct mv_block *block = make_file("a", 0, SIZE, true);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    fill(0, SIZE, 5);
    make_writer(&part, 1, false);
    atomic_store(&cancelled, true);
    assert_int_equal(mv_ram_writer_copy_rest(writer, &err), -ECANCELED);
    assert_int_equal(taken, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_which),
        TEST(test_extents),
        TEST(test_failures),
        TEST(test_many_extents),
        TEST(test_a_guest_that_runs),
        TEST(test_a_part_that_builds_on_another),
        TEST(test_what_is_absent),
        TEST(test_cancelling),
    };
    return cmocka_run_group_tests_name("ram-reflink", tests, NULL, NULL);
}
