/* SPDX-License-Identifier: Apache-2.0 */
/* machine/image-arm64.c: headers that are right, and files that are no arm64 Image. */
#include "board-arm64.h"

#include "fake-kernel.h"
#include "size.h"

static struct mv_error err;

static int parse(const uint8_t *bytes, size_t len, uint64_t file_size, struct mv_image *image)
{
    err.text[0] = '\0';
    return mv_image_parse("some/file", bytes, len, file_size, image, &err);
}

static void test_headers(void **state)
{
    static const struct {
        uint64_t text_offset, image_size, flags, file_size;
        struct mv_image expected;
    } cases[] = {
        /* Debian's: 4 KiB pages, placed anywhere. */
        {0, 0x1aa0000, 0xa, FAKE_KERNEL_SIZE, {0, 0x1aa0000}},
        {0x80000, 0x100000, 0, FAKE_KERNEL_SIZE, {0x80000, 0x100000}},
        /* Before Linux 3.17: neither size nor offset. */
        {0, 0, 0, 0x100000, {0x80000, 0x100000 + 16 * MV_MIB}},
        /* A signature behind the Image: the file is longer. */
        {0, 0x1000, 0xa, FAKE_KERNEL_SIZE, {0, FAKE_KERNEL_SIZE}},
        /* Nonsense, which fits nowhere; placing it is what fails. */
        {0xfffffffffffffffc, UINT64_MAX, 0xa, FAKE_KERNEL_SIZE, {0xfffffffffffffffc, UINT64_MAX}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t kernel[FAKE_KERNEL_SIZE];
        struct mv_image image;
        fake_kernel_fill(kernel, cases[i].text_offset, cases[i].image_size, cases[i].flags);
        assert_int_equal(parse(kernel, MV_IMAGE_HEAD, cases[i].file_size, &image), 0);
        assert_int_equal(image.text_offset, cases[i].expected.text_offset);
        assert_int_equal(image.memory_size, cases[i].expected.memory_size);
    }
}

static void test_flags(void **state)
{
    uint8_t kernel[FAKE_KERNEL_SIZE];
    struct mv_image image;
    /* Pages of unknown size, of 4, of 16 and of 64 KiB. */
    for (uint64_t pages = 0; pages < 4; pages++) {
        fake_kernel_fill(kernel, 0, 0x10000, 8 | pages << 1);
        assert_int_equal(parse(kernel, sizeof kernel, sizeof kernel, &image), 0);
    }
    fake_kernel_fill(kernel, 0, 0x10000, 1);
    assert_int_equal(parse(kernel, sizeof kernel, sizeof kernel, &image), -ENOEXEC);
    assert_non_null(strstr(err.text, "big-endian"));
    fake_kernel_fill(kernel, 2, 0x10000, 0xa);
    assert_int_equal(parse(kernel, sizeof kernel, sizeof kernel, &image), -ENOEXEC);
    assert_non_null(strstr(err.text, "0x2"));
}

#define BYTES(at, text) {at, text, sizeof(text) - 1}

static void test_impostors(void **state)
{
    static const struct {
        struct {
            size_t at;
            const char *bytes;
            size_t len;
        } part[3];
        const char *word[2];
    } cases[] = {
        {{BYTES(0, "\x1f\x8b\x08")}, {"gzip", "gunzip"}},
        {{BYTES(0, "\xfd\x37\x7a\x58\x5a\x00")}, {"xz", "unxz"}},
        {{BYTES(0, "\x28\xb5\x2f\xfd")}, {"zstd", "unzstd"}},
        {{BYTES(0, "\x02\x21\x4c\x18")}, {"lz4", "unlz4"}},
        {{BYTES(0, "BZh9")}, {"bzip2", "bunzip2"}},
        {{BYTES(0, "MZ"), BYTES(0x1fe, "\x55\xaa"), BYTES(0x202, "HdrS")}, {"bzImage", "x86"}},
        {{BYTES(0, "\x7f" "ELF\2\1\1"), BYTES(18, "\x3e\0")}, {"ELF", "x86-64"}},
        {{BYTES(0, "\x7f" "ELF\2\1\1"), BYTES(18, "\xb7\0")}, {"ELF", "arch/arm64/boot/Image"}},
        {{BYTES(0, "\x7f" "ELF\1\2\1"), BYTES(18, "\0\x08")}, {"ELF", "MIPS"}},
        {{BYTES(0, "\x7f" "ELF\2\1\1"), BYTES(18, "\x34\x12")}, {"another", "4660"}},
        {{BYTES(0x24, "\x18\x28\x6f\x01")}, {"zImage", "32-bit ARM"}},
        {{BYTES(0, "MZ\0\0zimg"), BYTES(0x18, "gzip\0")}, {"zboot", "gzip"}},
        {{BYTES(0, "MZ\0\0zimg"), BYTES(0x18, "\x1b[2J")}, {"zboot", "unknown"}},
        {{BYTES(0, "MZ\x90")}, {"EFI", NULL}},
        {{BYTES(0x38, "RSC\x05")}, {"RISC-V", NULL}},
        {{BYTES(0, "\x27\x05\x19\x56")}, {"uImage", NULL}},
        {{BYTES(0, "070701")}, {"cpio", "-i"}},
        {{BYTES(0, "#!/bin/sh\n")}, {"script", NULL}},
        {{BYTES(0, "plain words")}, {"0x38", "--firmware"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t file[MV_IMAGE_HEAD] = {0};
        for (size_t p = 0; p < 3; p++)
            if (cases[i].part[p].bytes != NULL)
                memcpy(file + cases[i].part[p].at, cases[i].part[p].bytes, cases[i].part[p].len);
        struct mv_image image = {1, 2};
        assert_int_equal(parse(file, sizeof file, 1 << 20, &image), -ENOEXEC);
        assert_non_null(strstr(err.text, "some/file"));
        assert_non_null(strstr(err.text, "arm64 Image"));
        for (size_t w = 0; w < 2; w++)
            if (cases[i].word[w] != NULL && strstr(err.text, cases[i].word[w]) == NULL)
                fail_msg("case %zu lacks '%s': %s", i, cases[i].word[w], err.text);
        for (const char *c = err.text; *c != '\0'; c++)
            assert_true(*c >= ' ' && *c <= '~');
        assert_int_equal(image.text_offset, 1);
    }
}

/* Every length of a header that is cut short, each in memory of its own. */
static void test_truncated(void **state)
{
    uint8_t kernel[FAKE_KERNEL_SIZE];
    struct mv_image image;
    fake_kernel_fill(kernel, 0, 0x10000, 0xa);
    for (size_t len = 1; len < 64; len++) {
        uint8_t *part = malloc(len);
        memcpy(part, kernel, len);
        assert_int_equal(parse(part, len, len, &image), -ENOEXEC);
        assert_non_null(strstr(err.text, "truncated"));
        free(part);
    }
    assert_int_equal(parse(kernel, 64, 64, &image), 0);
}

static void put(uint8_t *at, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* The PE header of a kernel with an EFI stub tells how long the file is. */
static void test_truncated_behind_the_header(void **state)
{
    uint8_t kernel[FAKE_KERNEL_SIZE];
    struct mv_image image;
    fake_kernel_fill(kernel, 0, 0x100000, 0xa);
    memcpy(kernel, "MZ", 2);
    put(kernel + 0x3c, 0x40, 4);
    memcpy(kernel + 0x40, "PE\0\0", 4);
    put(kernel + 0x40 + 6, 2, 2);     /* sections */
    put(kernel + 0x40 + 20, 0xa0, 2); /* optional header */
    uint8_t *section = kernel + 0x40 + 24 + 0xa0;
    put(section + 16, 0x8000, 4);
    put(section + 20, 0x1000, 4);
    put(section + 40 + 16, 0x2000, 4);
    put(section + 40 + 20, 0x9000, 4);
    assert_int_equal(parse(kernel, MV_IMAGE_HEAD, 0xb000, &image), 0);
    assert_int_equal(parse(kernel, MV_IMAGE_HEAD, 0xafff, &image), -ENOEXEC);
    assert_non_null(strstr(err.text, "truncated"));
    assert_non_null(strstr(err.text, "45056")); /* 0xb000 */

    /* Headers that point anywhere are not followed out of the file. */
    put(kernel + 0x40 + 6, 0xffff, 2);
    put(kernel + 0x40 + 20, 0xffff, 2);
    assert_int_equal(parse(kernel, MV_IMAGE_HEAD, 0xb000, &image), 0);
    put(kernel + 0x3c, 0xffffffff, 4);
    assert_int_equal(parse(kernel, MV_IMAGE_HEAD, 0xb000, &image), 0);
}

/* Whatever the bytes, an answer comes; the sanitizers watch the reads. */
static void test_random_bytes(void **state)
{
    unsigned seed = 7;
    for (unsigned round = 0; round < 20000; round++) {
        size_t len = (size_t)rand_r(&seed) % 700;
        uint8_t *file = malloc(len + 1);
        for (size_t i = 0; i < len; i++)
            file[i] = (uint8_t)rand_r(&seed);
        if (len >= 64 && round % 2 == 0) {
            memcpy(file, "MZ", 2);
            memcpy(file + 56, "ARM\x64", 4);
            put(file + 0x3c, (uint32_t)rand_r(&seed) % 600, 4);
        }
        struct mv_image image;
        int r = parse(file, len, len, &image);
        assert_true(r == 0 || (r == -ENOEXEC && err.text[0] != '\0'));
        free(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_impostors),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_truncated_behind_the_header),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
