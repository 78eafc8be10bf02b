/* SPDX-License-Identifier: Apache-2.0 */
/* stream/section.c and buffer.c: how sections are framed, and what is refused. */
#include "section.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

#define HEAD 24

static struct mv_buffer buffer;
static struct mv_error err;

static int tear_down(void **state)
{
    (void)state;
    mv_buffer_clear(&buffer);
    return 0;
}

static struct mv_section_writer writer_of(struct mv_buffer *to)
{
    return (struct mv_section_writer){.write = mv_buffer_write, .opaque = to};
}

static struct mv_section_reader reader_of(struct mv_buffer *from, uint64_t left)
{
    from->next = 0;
    return (struct mv_section_reader){
        .read = mv_buffer_read, .opaque = from, .left = left, .origin = "memvisor 9.9"};
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* A section by hand, with a sum that is right, behind what the buffer has. */
static void frame(uint16_t type, const void *name, size_t name_length, const void *kind,
                  size_t kind_length, uint16_t zero, const void *payload, size_t length)
{
    size_t all = HEAD + name_length + kind_length + length;
    uint8_t *bytes = calloc(1, all + 8);
    assert_non_null(bytes);
    memcpy(bytes, "mSEC", 4);
    put(bytes + 4, type, 2);
    put(bytes + 6, name_length, 2);
    put(bytes + 8, kind_length, 2);
    put(bytes + 10, zero, 2);
    put(bytes + 12, 0x01020304, 4);
    put(bytes + 16, length, 8);
    memcpy(bytes + HEAD, name, name_length);
    memcpy(bytes + HEAD + name_length, kind, kind_length);
    memcpy(bytes + HEAD + name_length + kind_length, payload, length);
    put(bytes + all, XXH3_64bits(bytes, all), 8);
    assert_int_equal(mv_buffer_write(&buffer, bytes, all + 8, &err), 0);
    free(bytes);
}

/* All sections up to the end or an error; which of them, the reader says. */
static int read_all(struct mv_section_reader *reader)
{
    struct mv_section section;
    int r;
    while ((r = mv_section_read(reader, &section, &err)) > 0)
        mv_section_clear(&section);
    return r;
}

static void expect_refused(int r, int expected, const char *begin, const char *part)
{
    if (r != expected || strncmp(err.text, begin, strlen(begin)) != 0 ||
        strstr(err.text, part) == NULL)
        fail_msg("%d where %d is right, or '%s' lacks '%s' or '%s'", r, expected, err.text, begin,
                 part);
}

static void test_bytes(void **state)
{
    static const struct mv_section section = {.type = MV_SECTION_OBJECT,
                                              .version = 0x01020304,
                                              .name = "pci/03.0",
                                              .kind = "edu",
                                              .payload = (const uint8_t *)"\0\1\2",
                                              .length = 3};
    struct mv_buffer written = {0};
    struct mv_section_writer writer = writer_of(&written);
    assert_int_equal(mv_section_write(&writer, &section, &err), 0);
    frame(1, "pci/03.0", 8, "edu", 3, 0, "\0\1\2", 3);
    assert_int_equal(written.length, 32 + 8 + 3 + 3);
    assert_int_equal(written.length, buffer.length);
    assert_memory_equal(written.bytes, buffer.bytes, buffer.length);
    assert_int_equal(writer.written, written.length);
    assert_int_equal(writer.count, 1);
    mv_buffer_clear(&written);
}

static void test_round_trip(void **state)
{
    static char longest[MV_SECTION_NAME_MAX + 1];
    static uint8_t bytes[100000];
    memset(longest, 'x', MV_SECTION_NAME_MAX);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    const struct mv_section sections[] = {
        {MV_SECTION_OBJECT, 1, "vcpu/0", "arm64", bytes, 1, NULL},
        {MV_SECTION_OBJECT, UINT32_MAX, "", "", bytes, sizeof bytes, NULL},
        {MV_SECTION_SUMS, 0, "ram0", "", bytes, 0, NULL},
        {MV_SECTION_PAGES, 0, longest, longest, bytes, 300, NULL},
        {MV_SECTION_SUMS, 0, "k\xc3\xa4se", "", bytes, 8, NULL},
    };
    struct mv_section_writer writer = writer_of(&buffer);
    struct mv_section got;
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        assert_int_equal(mv_section_write(&writer, &sections[i], &err), 0);
    assert_int_equal(mv_section_write_end(&writer, &err), 0);
    assert_int_equal(writer.written, buffer.length);
    struct mv_section_reader reader = reader_of(&buffer, buffer.length);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        assert_int_equal(mv_section_read(&reader, &got, &err), 1);
        assert_int_equal(got.type, sections[i].type);
        assert_int_equal(got.version, sections[i].version);
        assert_string_equal(got.name, sections[i].name);
        assert_string_equal(got.kind, sections[i].kind);
        assert_int_equal(got.length, sections[i].length);
        assert_memory_equal(got.payload, sections[i].payload, got.length);
        mv_section_clear(&got);
    }
    assert_int_equal(mv_section_read(&reader, &got, &err), 0);
    assert_int_equal(reader.left, 0);
}

/* Two sections and the end, of which `ret_ends` says where each ends. */
static void write_some(size_t ret_ends[3])
{
    frame(1, "pci/03.0", 8, "edu", 3, 0, "payload", 7);
    ret_ends[0] = buffer.length;
    frame(2, "ram0", 4, "", 0, 0, "12345678", 8);
    ret_ends[1] = buffer.length;
    frame(0xffff, "", 0, "", 0, 0, "", 0);
    ret_ends[2] = buffer.length;
}

static void test_each_byte_flipped(void **state)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    size_t ends[3];
    write_some(ends);
    for (size_t i = 0; i < 3 * buffer.length; i++) {
        char begin[16];
        size_t at = i / 3;
        buffer.bytes[at] ^= masks[i % 3];
        struct mv_section_reader reader = reader_of(&buffer, buffer.length);
        int r = read_all(&reader);
        snprintf(begin, sizeof begin, "section %d", at < ends[0] ? 1 : at < ends[1] ? 2 : 3);
        expect_refused(r, -EINVAL, begin, "");
        buffer.bytes[at] ^= masks[i % 3];
    }
    buffer.bytes[ends[0] - 9] ^= 1;
    struct mv_section_reader reader = reader_of(&buffer, buffer.length);
    expect_refused(read_all(&reader), -EINVAL, "section 1 'pci/03.0' (edu): ", "damaged");
}

/* Where the bytes end, and where the reader may not go on. */
static void test_each_truncation(void **state)
{
    size_t ends[3], all;
    write_some(ends);
    all = buffer.length;
    for (size_t left = 0; left < all; left++) {
        char begin[16];
        struct mv_section_reader reader = reader_of(&buffer, left);
        snprintf(begin, sizeof begin, "section %d", left < ends[0] ? 1 : left < ends[1] ? 2 : 3);
        expect_refused(read_all(&reader), -EINVAL, begin, " are due, and ");
        reader = reader_of(&buffer, all);
        buffer.length = left;
        expect_refused(read_all(&reader), -EINVAL, begin, " are due, and ");
        buffer.length = all;
    }
}

static void test_refused_content(void **state)
{
    static const char longest[5000];
    static const struct {
        uint16_t type;
        const char *name;
        size_t name_length;
        const char *kind;
        size_t kind_length;
        uint16_t zero;
        size_t length;
        int result;
        const char *begin, *part;
    } cases[] = {
        {77, "pci/03.0", 8, "edu", 3, 0, 3, -ENOTSUP, "section 1 'pci/03.0' (edu): type 77 ",
         "is unknown to memvisor " MV_VERSION "; 'memvisor 9.9' wrote it"},
        {0, "a", 1, "", 0, 0, 0, -ENOTSUP, "section 1 'a': type 0 ", "memvisor 9.9"},
        {4, "a", 1, "", 0, 0, 0, -ENOTSUP, "section 1 'a': type 4 ", "memvisor 9.9"},
        {0xfffe, "a", 1, "", 0, 0, 0, -ENOTSUP, "section 1 'a': type 65534 ", "memvisor 9.9"},
        {1, "a", 1, "", 0, 0x8000, 0, -ENOTSUP, "section 1 'a': flags 0x8000 ", "memvisor 9.9"},
        {1, "a\0b", 3, "", 0, 0, 0, -EINVAL,
         "section 1 'a': ", "name has the control character 0x0"},
        {1, "a\nb", 3, "", 0, 0, 0, -EINVAL, "section 1 'a?b': ", "control character 0xa"},
        {1, "a", 1, "e\033[m", 4, 0, 0, -EINVAL, "section 1 'a' (e?[m): ", "kind has the control"},
        {1, longest, 4097, "", 0, 0, 0, -EINVAL, "section 1: ", "its name has 4097 bytes"},
        {1, "", 0, longest, 4097, 0, 0, -EINVAL,
         "section 1: ", "its kind has 4097 bytes: 4096 are the most"},
        {0xffff, "a", 1, "", 0, 0, 0, -EINVAL, "section 1 'a': ", "an end"},
        {0xffff, "", 0, "a", 1, 0, 0, -EINVAL, "section 1 (a): ", "an end"},
        {0xffff, "", 0, "", 0, 0, 1, -EINVAL, "section 1: ", "an end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buffer.length = 0;
        frame(cases[i].type, cases[i].name, cases[i].name_length, cases[i].kind,
              cases[i].kind_length, cases[i].zero, longest, cases[i].length);
        struct mv_section_reader reader = reader_of(&buffer, buffer.length);
        expect_refused(read_all(&reader), cases[i].result, cases[i].begin, cases[i].part);
    }
}

static void test_other_magic(void **state)
{
    frame(1, "a", 1, "", 0, 0, "", 0);
    buffer.bytes[3] = 'D';
    put(buffer.bytes + HEAD + 1, XXH3_64bits(buffer.bytes, HEAD + 1), 8);
    struct mv_section_reader reader = reader_of(&buffer, buffer.length);
    expect_refused(read_all(&reader), -EINVAL,
                   "section 1: ", "begins with 0x4445536d, and sections with 0x4345536d");
}

/* A payload's length is believed only as far as there can be bytes. */
static void test_lengths(void **state)
{
    static const uint64_t lengths[] = {8,         1 << 20,         UINT32_MAX,
                                       INT64_MAX, UINT64_MAX - 12, UINT64_MAX};
    frame(1, "a", 1, "", 0, 0, "1234567", 7);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        put(buffer.bytes + 16, lengths[i], 8);
        struct mv_section_reader reader = reader_of(&buffer, buffer.length);
        expect_refused(read_all(&reader), -EINVAL, "section 1: ", " are due, and 16 are left");
    }
}

static void test_counts(void **state)
{
    const struct mv_section section = {.type = MV_SECTION_OBJECT, .name = "a"};
    struct mv_section_writer writer = writer_of(&buffer);
    for (unsigned i = 1; i < MV_SECTIONS_COUNT_MAX; i++)
        assert_int_equal(mv_section_write(&writer, &section, &err), 0);
    expect_refused(mv_section_write(&writer, &section, &err), -E2BIG,
                   "section 16384 'a': ", "16384 sections are the most");
    size_t without_end = buffer.length;
    assert_int_equal(mv_section_write_end(&writer, &err), 0);
    struct mv_section_reader reader = reader_of(&buffer, buffer.length);
    assert_int_equal(read_all(&reader), 0);
    assert_int_equal(reader.count, MV_SECTIONS_COUNT_MAX);

    buffer.length = without_end;
    frame(1, "a", 1, "", 0, 0, "", 0);
    frame(0xffff, "", 0, "", 0, 0, "", 0);
    reader = reader_of(&buffer, buffer.length);
    expect_refused(read_all(&reader), -EINVAL, "section 16385: ", "16384 are the most");
}

static void test_written_limits(void **state)
{
    static char name[MV_SECTION_NAME_MAX + 2];
    size_t most = MV_SECTIONS_BYTES_MAX - 2 * MV_SECTION_BYTES_MIN;
    struct mv_section section = {.type = MV_SECTION_SUMS, .name = ""};
    struct mv_section_writer writer = writer_of(&buffer);
    uint8_t *payload = calloc(1, most + 1);
    assert_non_null(payload);
    section.payload = payload;
    memset(name, 'x', sizeof name - 1);
    section.name = name;
    expect_refused(mv_section_write(&writer, &section, &err), -EINVAL, "section 1 'xxx",
                   "its name has 4097 bytes: 4096 are the most");
    section.name = "a";
    section.kind = "b\nc";
    expect_refused(mv_section_write(&writer, &section, &err), -EINVAL,
                   "section 1 'a' (b?c): ", "control character 0xa");
    section.name = section.kind = NULL;
    for (size_t over = 1; over < 3; over++) {
        section.length = over == 1 ? most + 1 : SIZE_MAX;
        expect_refused(mv_section_write(&writer, &section, &err), -E2BIG, "section 1: ", "40 MiB");
    }
    assert_int_equal(buffer.length, 0);
    section.length = most;
    assert_int_equal(mv_section_write(&writer, &section, &err), 0);
    section.length = 0;
    expect_refused(mv_section_write(&writer, &section, &err), -E2BIG, "section 2: ", "40 MiB");
    assert_int_equal(mv_section_write_end(&writer, &err), 0);
    assert_int_equal(writer.written, MV_SECTIONS_BYTES_MAX);
    struct mv_section_reader reader = reader_of(&buffer, MV_SECTIONS_BYTES_MAX);
    assert_int_equal(read_all(&reader), 0);
    free(payload);
}

struct failing {
    unsigned calls, fails_at;
};

static int fail_sometime(void *opaque, struct mv_error *ret)
{
    struct failing *failing = opaque;
    return failing->calls++ == failing->fails_at ? mv_error_set(ret, EIO, "the line is cut") : 0;
}

static int failing_write(void *opaque, const void *bytes, size_t len, struct mv_error *ret)
{
    (void)bytes;
    (void)len;
    return fail_sometime(opaque, ret);
}

/* Bytes of the buffer, until it fails. */
static int failing_read(void *opaque, void *bytes, size_t len, struct mv_error *ret)
{
    int r = fail_sometime(opaque, ret);
    return r < 0 ? r : mv_buffer_read(&buffer, bytes, len, ret);
}

static void test_functions_that_fail(void **state)
{
    const struct mv_section section = {
        .type = MV_SECTION_OBJECT, .name = "a", .payload = (const uint8_t *)"12", .length = 2};
    frame(1, "a", 1, "", 0, 0, "12", 2);
    for (unsigned i = 0; i < 3; i++) {
        struct failing failing = {.fails_at = i};
        struct mv_section_writer writer = {.write = failing_write, .opaque = &failing};
        expect_refused(mv_section_write(&writer, &section, &err), -EIO,
                       "section 1 'a': ", "the line is cut");
    }
    for (unsigned i = 0; i < 5; i++) {
        struct failing failing = {.fails_at = i};
        struct mv_section_reader reader = reader_of(&buffer, buffer.length);
        reader.read = failing_read;
        reader.opaque = &failing;
        expect_refused(read_all(&reader), -EIO,
                       i < 2 ? "section 1: " : "section 1 'a': ", "the line is cut");
    }
}

static void test_text(void **state)
{
    char buf[MV_SECTION_TEXT], longest[300];
    memset(longest, 'y', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_string_equal(mv_section_text("pci/03.0", buf), "pci/03.0");
    assert_string_equal(mv_section_text("\x1b\x7f\xff ~\n", buf), "??? ~?");
    assert_int_equal(strlen(mv_section_text(longest, buf)), MV_SECTION_TEXT - 1);
    assert_string_equal(buf + MV_SECTION_TEXT - 5, "y...");
    longest[MV_SECTION_TEXT - 1] = '\0';
    assert_string_equal(mv_section_text(longest, buf), longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_bytes, tear_down),
        cmocka_unit_test_teardown(test_round_trip, tear_down),
        cmocka_unit_test_teardown(test_each_byte_flipped, tear_down),
        cmocka_unit_test_teardown(test_each_truncation, tear_down),
        cmocka_unit_test_teardown(test_refused_content, tear_down),
        cmocka_unit_test_teardown(test_other_magic, tear_down),
        cmocka_unit_test_teardown(test_lengths, tear_down),
        cmocka_unit_test_teardown(test_counts, tear_down),
        cmocka_unit_test_teardown(test_written_limits, tear_down),
        cmocka_unit_test_teardown(test_functions_that_fail, tear_down),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests_name("section", tests, NULL, NULL);
}
