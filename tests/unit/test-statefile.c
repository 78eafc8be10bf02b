/* SPDX-License-Identifier: Apache-2.0 */
/* stream/statefile.c: what a state file is, and that nothing else is taken for one. */
#include "statefile.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#define RAM_BYTES (3 * MV_MIB + 17) /* two pieces of 2 MiB in the file */
#define RAM_END   (6 * MV_MIB)
#define MANIFEST  "{\"name\": \"vm1\"}"
#define VERSION   "memvisor " MV_VERSION

static const uint8_t id[MV_STATEFILE_ID_BYTES] = "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17";
static const struct mv_section sections[] = {
    {MV_SECTION_OBJECT, 3, "vcpu/0", "arm64", (const uint8_t *)"registers", 9, NULL},
    {MV_SECTION_SUMS, 0, "ram0", "", (const uint8_t *)"0123456701234567", 16, NULL},
    {MV_SECTION_OBJECT, 1, "pci/03.0", "edu", (const uint8_t *)"", 0, NULL},
    {MV_SECTION_PAGES, 0, "ram0", "", (const uint8_t *)"pages", 5, NULL},
};
#define SECTIONS (sizeof sections / sizeof sections[0])

static struct mv_error err;
static int fd = -1;
static uint64_t length, ends[SECTIONS + 1]; /* of the file, and of each section in it */

static uint64_t file_length(void)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

/* A file with all kinds of sections, in fd. */
static int set_up(void **state)
{
    struct mv_statefile_writer writer;
    (void)state;
    fd = memfd_create("state", 0);
    assert_return_code(fd, errno);
    assert_int_equal(
        mv_statefile_begin(&writer, fd, id, RAM_BYTES, MANIFEST, strlen(MANIFEST), &err), 0);
    for (size_t i = 0; i < SECTIONS; i++) {
        assert_int_equal(mv_section_write(&writer.sections, &sections[i], &err), 0);
        ends[i] = writer.next;
    }
    assert_int_equal(mv_statefile_end(&writer, &err), 0);
    length = ends[SECTIONS] = file_length();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(fd);
    return 0;
}

static uint64_t get(uint64_t at, size_t size)
{
    uint8_t bytes[8];
    uint64_t value = 0;
    assert_int_equal(pread(fd, bytes, size, (off_t)at), size);
    while (size > 0)
        value = value << 8 | bytes[--size];
    return value;
}

static void put(uint64_t at, uint64_t value, size_t size)
{
    for (; size > 0; size--, value >>= 8)
        assert_int_equal(pwrite(fd, &(uint8_t){(uint8_t)value}, 1, (off_t)at++), 1);
}

/* Make the sum of the header (at 0) or the status (at 512) right again. */
static void sum_part(uint64_t at)
{
    uint8_t part[504];
    assert_int_equal(pread(fd, part, sizeof part, (off_t)at), sizeof part);
    put(at + sizeof part, XXH3_64bits(part, sizeof part), 8);
}

static void expect_refused(int expected, const char *begin, const char *part)
{
    struct mv_statefile file;
    int r = mv_statefile_read(fd, &file, &err);
    if (r != expected || strncmp(err.text, begin, strlen(begin)) != 0 ||
        strstr(err.text, part) == NULL)
        fail_msg("%d where %d is right, or '%s' lacks '%s' or '%s'", r, expected, err.text, begin,
                 part);
}

/* --- what is right */

static void test_layout(void **state)
{
    uint64_t manifest_end = RAM_END + strlen(MANIFEST);
    char bytes[64];
    assert_int_equal(pread(fd, bytes, 16, 0), 16);
    assert_memory_equal(bytes, "memvisor state\0\0", 16);
    assert_int_equal(get(16, 4), 1);
    assert_int_equal(get(20, 4), 512);
    assert_int_equal(pread(fd, bytes, 16, 24), 16);
    assert_memory_equal(bytes, id, 16);
    assert_int_equal(get(40, 8), length);
    assert_int_equal(get(48, 8), 2 * MV_MIB);
    assert_int_equal(get(56, 8), 4 * MV_MIB);
    assert_int_equal(get(64, 8), RAM_END);
    assert_int_equal(get(72, 8), strlen(MANIFEST));
    assert_int_equal(get(80, 8), manifest_end);
    assert_int_equal(get(88, 8), length - manifest_end);
    assert_int_equal(pread(fd, bytes, 64, 96), 64);
    assert_string_equal(bytes, VERSION);
    assert_int_equal(get(160, 8), XXH3_64bits(MANIFEST, strlen(MANIFEST)));
    assert_int_equal(pread(fd, bytes, 4, 512), 4);
    assert_memory_equal(bytes, "mSTA", 4);
    assert_int_equal(get(516, 4), 0);
    assert_int_equal(pread(fd, bytes, strlen(MANIFEST), RAM_END), strlen(MANIFEST));
    assert_memory_equal(bytes, MANIFEST, strlen(MANIFEST));
    assert_int_equal(pread(fd, bytes, 4, (off_t)manifest_end), 4);
    assert_memory_equal(bytes, "mSEC", 4);
    /* Sparse: no page of RAM was written. */
    assert_int_equal(lseek(fd, 4096, SEEK_DATA), RAM_END);
}

static void test_round_trip(void **state)
{
    struct mv_statefile file;
    assert_int_equal(mv_statefile_read(fd, &file, &err), 0);
    assert_memory_equal(file.id, id, sizeof id);
    assert_int_equal(file.status, MV_STATEFILE_WHOLE);
    assert_string_equal(file.writer, VERSION);
    assert_int_equal(file.length, length);
    assert_int_equal(file.ram_length, 4 * MV_MIB);
    assert_int_equal(file.manifest_length, strlen(MANIFEST));
    assert_string_equal(file.manifest, MANIFEST);
    assert_int_equal(file.section_count, SECTIONS);
    for (size_t i = 0; i < SECTIONS; i++) {
        const struct mv_section *section = &file.sections[i];
        assert_int_equal(section->type, sections[i].type);
        assert_int_equal(section->version, sections[i].version);
        assert_string_equal(section->name, sections[i].name);
        assert_string_equal(section->kind, sections[i].kind);
        assert_int_equal(section->length, sections[i].length);
        assert_memory_equal(section->payload, sections[i].payload, section->length);
        assert_ptr_equal(mv_statefile_find(&file, section->type, section->name), section);
    }
    assert_null(mv_statefile_find(&file, MV_SECTION_OBJECT, "ram0"));
    assert_null(mv_statefile_find(&file, MV_SECTION_SUMS, "ram"));
    assert_null(mv_statefile_find(&file, MV_SECTION_SUMS, "ram00"));
    mv_statefile_clear(&file);
}

static void test_empty(void **state)
{
    struct mv_statefile_writer writer;
    struct mv_statefile file;
    /* Over the longer one, which it cuts. */
    assert_int_equal(mv_statefile_begin(&writer, fd, id, 0, "", 0, &err), 0);
    assert_int_equal(mv_statefile_end(&writer, &err), 0);
    assert_int_equal(file_length(), 2 * MV_MIB + MV_SECTION_BYTES_MIN);
    assert_int_equal(mv_statefile_read(fd, &file, &err), 0);
    assert_int_equal(file.ram_length, 0);
    assert_string_equal(file.manifest, "");
    assert_int_equal(file.section_count, 0);
    assert_null(mv_statefile_find(&file, MV_SECTION_SUMS, "ram0"));
    mv_statefile_clear(&file);
}

static void test_status(void **state)
{
    static const enum mv_statefile_status all[] = {MV_STATEFILE_STALE, MV_STATEFILE_IN_USE,
                                                   MV_STATEFILE_RAM_STALE, MV_STATEFILE_RAM_IN_USE,
                                                   MV_STATEFILE_WHOLE};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct mv_statefile file;
        assert_int_equal(mv_statefile_mark(fd, all[i], &err), 0);
        assert_int_equal(mv_statefile_read(fd, &file, &err), 0);
        assert_int_equal(file.status, all[i]);
        mv_statefile_clear(&file);
    }
    assert_int_equal(file_length(), length);
    put(516, 5, 4);
    sum_part(512);
    expect_refused(-EINVAL, "status: ", "0x5");
}

/* --- what is damaged */

static const char *region_of(uint64_t at, char begin[32])
{
    unsigned number = 1;
    if (at < 1024)
        return at < 512 ? "header: " : "status: ";
    if (at < RAM_END + strlen(MANIFEST))
        return "manifest: damaged: ";
    while (at >= ends[number - 1])
        number++;
    snprintf(begin, 32, "section %u", number);
    return begin;
}

static void test_each_byte_flipped(void **state)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    for (uint64_t at = 0; at < length; at = at == 1023 ? RAM_END : at + 1) {
        char begin[32];
        uint64_t byte = get(at, 1);
        for (size_t i = 0; i < sizeof masks; i++) {
            put(at, byte ^ masks[i], 1);
            expect_refused(at >= 16 && at < 20 ? -ENOTSUP : -EINVAL, region_of(at, begin), "");
        }
        put(at, byte, 1);
    }
    struct mv_statefile file;
    assert_int_equal(mv_statefile_read(fd, &file, &err), 0);
    mv_statefile_clear(&file);
    put(ends[0] - 9, 0, 1);
    expect_refused(-EINVAL, "section 1 'vcpu/0' (arm64): damaged: ", "");
}

/* With the length that the header has, and with one that the header was given. */
static void test_other_lengths(void **state)
{
    static const uint64_t longer[] = {1, 512, 4096, MV_GIB};
    char numbers[80];
    for (uint64_t cut = 0; cut < length; cut = cut == 1100 ? RAM_END - 10 : cut + 1) {
        assert_int_equal(ftruncate(fd, (off_t)cut), 0);
        snprintf(numbers, sizeof numbers, "the file has %" PRIu64 " bytes, and ", cut);
        expect_refused(-EINVAL, "header: ", numbers);
        if (cut >= 1024)
            assert_non_null(strstr(err.text, "was written with "));
        tear_down(NULL);
        set_up(NULL);
    }
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++) {
        assert_int_equal(ftruncate(fd, (off_t)(length + longer[i])), 0);
        snprintf(numbers, sizeof numbers, "has %" PRIu64 " bytes, and was written with %" PRIu64,
                 length + longer[i], length);
        expect_refused(-EINVAL, "header: ", numbers);
        put(40, length + longer[i], 8);
        sum_part(0);
        expect_refused(-EINVAL, "header: the sections end at byte ", "and the file at byte ");
        put(40, length, 8);
        sum_part(0);
    }
    assert_int_equal(ftruncate(fd, (off_t)length - 1), 0);
    put(40, length - 1, 8);
    sum_part(0);
    expect_refused(-EINVAL, "header: the sections have ", "beyond the file's end");
    put(88, get(88, 8) - 1, 8);
    sum_part(0);
    expect_refused(-EINVAL, "section 5: ", " are due, and ");
}

/* A header with a right sum that says what cannot be. */
static void test_hostile_headers(void **state)
{
    const struct {
        uint64_t at, value;
        unsigned size;
        const char *part;
    } cases[] = {
        {20, 1024, 4, "it has 1024 bytes, and of format 1 are 512"},
        {40, 0, 8, "and was written with 0"},
        {40, UINT64_MAX, 8, "and was written with 18446744073709551615"},
        {48, 4096, 8, "RAM is at byte 4096, and byte 2097152 is where"},
        {48, UINT64_MAX, 8, "RAM is at byte 18446744073709551615"},
        {56, 4 * MV_MIB - 1, 8, "the manifest is at byte"},
        {56, 8 * MV_MIB, 8, "RAM has 8388608 bytes from byte 2097152 on, beyond the file's end"},
        {56, INT64_MAX, 8, "beyond the file's end"},
        {56, UINT64_MAX, 8, "RAM has 18446744073709551615 bytes: 9223372036854775807 are the most"},
        {64, 0, 8, "the manifest is at byte 0"},
        {72, 0, 8, "the sections are at byte"},
        {72, 4 * MV_MIB + 1, 8, "the manifest has 4194305 bytes: 4194304 are the most"},
        {72, 4 * MV_MIB, 8, "beyond the file's end"},
        {72, UINT64_MAX, 8, "are the most"},
        {80, UINT64_MAX, 8, "the sections are at byte"},
        {88, 40 * MV_MIB + 1, 8, "the sections have 41943041 bytes: 41943040 are the most"},
        {88, 40 * MV_MIB, 8, "beyond the file's end"},
        {88, 0, 8, "the sections end at byte"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t was = get(cases[i].at, cases[i].size);
        put(cases[i].at, cases[i].value, cases[i].size);
        sum_part(0);
        expect_refused(-EINVAL, "header: ", cases[i].part);
        put(cases[i].at, was, cases[i].size);
    }
    /* RAM's end would be a guest's page that ends in the manifest. */
    put(40, length - 1, 8);
    put(56, 4 * MV_MIB - 1, 8);
    put(64, RAM_END - 1, 8);
    put(80, RAM_END - 1 + strlen(MANIFEST), 8);
    sum_part(0);
    assert_int_equal(ftruncate(fd, (off_t)length - 1), 0);
    expect_refused(-EINVAL, "header: ", "no multiple of 2 MiB");
}

static void test_other_formats(void **state)
{
    static const char writer[64] = "memvisor 9.9\n";
    assert_int_equal(pwrite(fd, writer, sizeof writer, 96), sizeof writer);
    put(16, 2, 4);
    sum_part(0);
    expect_refused(-ENOTSUP, "header: format 2 is unknown to " VERSION ", which knows 1; ",
                   "'memvisor 9.9?' wrote it");
    assert_null(strstr(err.text, "damaged"));
    put(16, 0, 4);
    expect_refused(-ENOTSUP, "header: format 0 ", ", or it is damaged");
    /* All 64 bytes of it, none of them a zero. */
    for (unsigned i = 0; i < 64; i++)
        put(96 + i, 'w', 1);
    expect_refused(-ENOTSUP, "header: ",
                   "'wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww' wrote");
}

/* --- what the sections are together */

static void begin(struct mv_statefile_writer *writer)
{
    assert_int_equal(mv_statefile_begin(writer, fd, id, 0, "{}", 2, &err), 0);
}

static void add(struct mv_statefile_writer *writer, const struct mv_section *section)
{
    assert_int_equal(mv_section_write(&writer->sections, section, &err), 0);
}

static void test_doubled(void **state)
{
    struct mv_statefile_writer writer;
    begin(&writer);
    for (size_t i = 0; i < SECTIONS; i++)
        add(&writer, &sections[i]);
    add(&writer, &(struct mv_section){.type = MV_SECTION_OBJECT, .name = "vcpu/0", .kind = "new"});
    assert_int_equal(mv_statefile_end(&writer, &err), 0);
    expect_refused(-EINVAL, "section ", " 'vcpu/0': type 1 of that name is there twice");
}

static void test_unknown_type(void **state)
{
    struct mv_statefile_writer writer;
    begin(&writer);
    add(&writer, &sections[0]);
    add(&writer, &(struct mv_section){.type = 5, .name = "pci/04.0", .kind = "later"});
    assert_int_equal(mv_statefile_end(&writer, &err), 0);
    expect_refused(-ENOTSUP, "section 2 'pci/04.0' (later): type 5 is unknown to " VERSION "; ",
                   "'" VERSION "' wrote it");
}

static void test_end_in_the_middle(void **state)
{
    struct mv_statefile_writer writer;
    begin(&writer);
    add(&writer, &sections[0]);
    add(&writer, &(struct mv_section){.type = MV_SECTION_END});
    assert_int_equal(mv_statefile_end(&writer, &err), 0);
    expect_refused(-EINVAL, "section 2: ", "32 bytes are behind the end");
}

/* Kilobytes, the most that the process has had. */
static long peak(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* As many sections as there can be and more, and as large ones. */
static void test_memory(void **state)
{
    struct mv_statefile_writer writer;
    struct mv_statefile file;
    long before = peak();
    begin(&writer);
    for (unsigned i = 0; i < 80 * MV_SECTIONS_COUNT_MAX; i++) {
        writer.sections.count = 0;
        if (writer.sections.written + 2 * MV_SECTION_BYTES_MIN + 1 < MV_SECTIONS_BYTES_MAX)
            add(&writer, &(struct mv_section){.type = MV_SECTION_SUMS, .name = "a"});
    }
    assert_int_equal(mv_statefile_end(&writer, &err), 0);
    expect_refused(-EINVAL, "section 16385: ", "16384 are the most");

    uint8_t *zeros =
        mmap(NULL, MV_SECTIONS_BYTES_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(zeros, MAP_FAILED);
    begin(&writer);
    add(&writer, &(struct mv_section){.type = MV_SECTION_SUMS,
                                      .payload = zeros,
                                      .length = MV_SECTIONS_BYTES_MAX - 64});
    assert_int_equal(mv_statefile_end(&writer, &err), 0);
    assert_int_equal(mv_statefile_read(fd, &file, &err), 0);
    mv_statefile_clear(&file);
    munmap(zeros, MV_SECTIONS_BYTES_MAX);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const long most = 1024 * 1024; /* with what a sanitizer keeps of it */
#else
    const long most = 64 * 1024;
#endif
    assert_true(peak() - before < most);
}

/* --- files that are none, and hosts that refuse */

static void test_no_files(void **state)
{
    static const char *const paths[] = {"/dev/zero", "/", "/dev/null"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        tear_down(NULL);
        fd = open(paths[i], O_RDONLY);
        expect_refused(-EINVAL, "header: ", "no regular file");
    }
    tear_down(NULL);
    fd = memfd_create("zeros", 0);
    assert_int_equal(ftruncate(fd, 3 * MV_MIB), 0);
    expect_refused(-EINVAL, "header: ", "no state file of memvisor's");
    assert_int_equal(ftruncate(fd, 0), 0);
    expect_refused(-EINVAL, "header: ", "the file has 0 bytes");
    tear_down(NULL);
    fd = -1;
    expect_refused(-EBADF, "header: ", "Bad file descriptor");
}

static void test_failing_host(void **state)
{
    struct mv_statefile_writer writer;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int read_only = open(path, O_RDONLY), write_only = open(path, O_WRONLY);
    assert_return_code(read_only, errno);
    assert_return_code(write_only, errno);
    assert_int_equal(mv_statefile_begin(&writer, read_only, id, 0, "{}", 2, &err), -EBADF);
    assert_non_null(strstr(err.text, "manifest: writing 2 bytes at 2097152: Bad file descriptor"));
    assert_int_equal(mv_statefile_mark(read_only, MV_STATEFILE_STALE, &err), -EBADF);
    assert_non_null(strstr(err.text, "status: writing 512 bytes at 512: "));
    begin(&writer);
    writer.fd = read_only;
    assert_int_equal(mv_section_write(&writer.sections, &sections[0], &err), -EBADF);
    assert_non_null(strstr(err.text, "section 1 'vcpu/0' (arm64): writing 35 bytes at 2097154: "));
    assert_int_equal(mv_statefile_end(&writer, &err), -EBADF);
    assert_non_null(strstr(err.text, "section 1: writing 24 bytes at "));
    tear_down(NULL);
    fd = write_only;
    expect_refused(-EBADF, "header: reading 1024 bytes at 0: ", "Bad file descriptor");
    close(read_only);
}

static void test_written_limits(void **state)
{
    static const struct {
        uint64_t ram;
        size_t manifest;
    } cases[] = {{0, MV_STATEFILE_MANIFEST_MAX + 1}, {UINT64_MAX, 2}, {INT64_MAX, 2}};
    struct mv_statefile_writer writer;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            mv_statefile_begin(&writer, fd, id, cases[i].ram, "{}", cases[i].manifest, &err),
            -E2BIG);
        assert_non_null(strstr(err.text, "manifest: "));
    }
    char *text = malloc(MV_STATEFILE_MANIFEST_MAX);
    struct mv_statefile file;
    assert_non_null(text);
    memset(text, ' ', MV_STATEFILE_MANIFEST_MAX);
    assert_int_equal(mv_statefile_begin(&writer, fd, id, 0, text, MV_STATEFILE_MANIFEST_MAX, &err),
                     0);
    assert_int_equal(mv_statefile_end(&writer, &err), 0);
    assert_int_equal(mv_statefile_read(fd, &file, &err), 0);
    assert_int_equal(file.manifest_length, MV_STATEFILE_MANIFEST_MAX);
    mv_statefile_clear(&file);
    free(text);
}

/* Killed before the end, it is no state file. */
static void test_without_an_end(void **state)
{
    struct mv_statefile_writer writer;
    tear_down(NULL);
    fd = memfd_create("half", 0);
    begin(&writer);
    add(&writer, &sections[0]);
    expect_refused(-EINVAL, "header: ", "no state file of memvisor's");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_layout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_byte_flipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_formats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_doubled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_in_the_middle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_written_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_an_end, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("statefile", tests, NULL, NULL);
}
