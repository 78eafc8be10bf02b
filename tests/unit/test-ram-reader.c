/* SPDX-License-Identifier: Apache-2.0 */
/* migration/ram-reader.c: what ram-writer.c wrote comes back, or is refused by name. */
#include "ram-fixture.h"

#include "bytes.h"
#include "ram-reader.h"

#define SIZE (9 * MV_MIB + 5 * PAGE)

static uint8_t sums[8 * 16];

/* A block with scattered bytes, and what is read of it; both in the file `out`. */
static struct mv_block *write_block(struct mv_ram_read_part *ret)
{
    static const struct mv_config_backing wish;
    struct mv_block *block = make_block("from", SIZE, &wish);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    size_t count;
    scatter(block);
    expect_ok(mv_block_zero(block, 4 * MV_MIB, 2 * MV_MIB));
    make_writer(&part, 1, false);
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    expect_ok(mv_ram_writer_sum(writer, &err));
    const uint64_t *made = mv_ram_writer_sums(writer, 0, &count);
    for (size_t i = 0; i < count; i++)
        mv_bytes_put(sums + 8 * i, made[i], 8);
    /* The rest of the last chunk is a hole. */
    assert_int_equal(ftruncate(out, 2 * MV_MIB + (off_t)mv_align_up(SIZE, 2 * MV_MIB)), 0);
    *ret = (struct mv_ram_read_part){
        .id = "ram0", .size = SIZE, .offset = part.offset, .sums = sums, .sums_length = 8 * count};
    assert_int_equal(mv_ram_sums_length(SIZE), 8 * count);
    return block;
}

static int read_part(const struct mv_ram_read_part *part)
{
    return mv_ram_read(out, "vm.state", "reading", part, 1, &err);
}

static uint64_t resident_pages(struct mv_block *block)
{
    static unsigned char pages[SIZE / PAGE];
    uint64_t count = 0;
    assert_int_equal(mincore(block->host, SIZE, pages), 0);
    for (size_t i = 0; i < sizeof pages; i++)
        count += pages[i] & 1;
    return count;
}

/* Zeros take no memory. */
static void test_into_fresh_memory(void **state)
{
    static const struct mv_config_backing wish = {.thp = MV_SWITCH_OFF};
    struct mv_ram_read_part part;
    struct mv_block *from = write_block(&part);
    part.block = make_block("to", SIZE, &wish);
    part.is_zero = true;
    expect_ok(read_part(&part));
    uint64_t resident = resident_pages(part.block);
    assert_memory_equal(part.block->host, from->host, SIZE);
    assert_int_equal(resident, pages_with_bytes(from->host, SIZE));
}

static void test_over_other_bytes(void **state)
{
    static const struct mv_config_backing wish = {.memfd = true};
    struct mv_ram_read_part part;
    struct mv_block *from = write_block(&part);
    part.block = make_block("to", SIZE, &wish);
    memset(part.block->host, 0xa5, SIZE);
    expect_ok(read_part(&part));
    assert_memory_equal(part.block->host, from->host, SIZE);
}

static void test_verify_alone(void **state)
{
    struct mv_ram_read_part part;
    write_block(&part);
    expect_ok(read_part(&part));
}

/* A bit anywhere, also in what was a hole, and in the last chunk. */
static void test_damage(void **state)
{
    static const uint64_t places[] = {0, 5 * MV_MIB, SIZE - 1};
    struct mv_ram_read_part part;
    write_block(&part);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint8_t byte, other;
        off_t at = (off_t)(part.offset + places[i]);
        assert_int_equal(pread(out, &byte, 1, at), 1);
        other = byte ^ 0x10;
        assert_int_equal(pwrite(out, &other, 1, at), 1);
        assert_int_equal(read_part(&part), -EINVAL);
        assert_non_null(strstr(err.text, "block ram0: damaged"));
        assert_int_equal(pwrite(out, &byte, 1, at), 1);
        expect_ok(read_part(&part));
    }
}

static void test_sums_of_another_size(void **state)
{
    struct mv_ram_read_part part;
    write_block(&part);
    part.sums_length -= 8;
    assert_int_equal(read_part(&part), -EINVAL);
    assert_non_null(strstr(err.text, "block ram0"));
    part.sums = NULL;
    part.sums_length = 0;
    assert_int_equal(read_part(&part), -EINVAL);
}

static void test_cut_file(void **state)
{
    struct mv_ram_read_part part;
    write_block(&part);
    assert_int_equal(ftruncate(out, (off_t)(part.offset + 3 * MV_MIB)), 0);
    assert_int_equal(read_part(&part), -EINVAL);
    assert_non_null(strstr(err.text, "block ram0"));
}

static void test_nothing(void **state)
{
    expect_ok(mv_ram_read(out, "vm.state", "reading", NULL, 0, &err));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_into_fresh_memory),
        TEST(test_over_other_bytes),
        TEST(test_verify_alone),
        TEST(test_damage),
        TEST(test_sums_of_another_size),
        TEST(test_cut_file),
        TEST(test_nothing),
    };
    return cmocka_run_group_tests_name("ram-reader", tests, NULL, NULL);
}
