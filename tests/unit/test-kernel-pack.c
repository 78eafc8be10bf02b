/* SPDX-License-Identifier: Apache-2.0 */
/* machine/kernel-pack.c: what comes out of packed files, and of broken ones. */
#include "boot.h"

#include "cleanup.h"
#include "fake-kernel.h"
#include "size.h"

#include <zlib.h>
#include <zstd.h>

#define RAM (16 * MV_MIB)
#define PACKED_MAX 16384
#define PAYLOAD_AT 512

static struct mv_error err;
static uint8_t kernel[FAKE_KERNEL_SIZE];

/* A file of these bytes, unpacked: what mv_kernel_unpack returns; ret->fd is to be closed. */
static int unpack(const uint8_t *bytes, size_t len, uint64_t ram, struct mv_boot_file *ret)
{
    char path[64];
    const char *packed;
    err.text[0] = '\0';
    fake_file(path, bytes, len);
    *ret = (struct mv_boot_file){.role = "kernel", .path = path, .fd = -1};
    assert_int_equal(mv_boot_file_read(ret, RAM, false, &err), 0);
    unlink(path);
    return mv_kernel_unpack(ret, ram, &packed, &err);
}

static bool holds_kernel(const struct mv_boot_file *file)
{
    uint8_t bytes[FAKE_KERNEL_SIZE];
    return file->size == sizeof kernel &&
           mv_boot_file_bytes(file, 0, bytes, sizeof bytes, &err) == sizeof bytes &&
           memcmp(bytes, kernel, sizeof kernel) == 0;
}

static size_t pack_gzip(uint8_t *ret)
{
    z_stream z = {.next_in = kernel, .avail_in = sizeof kernel, .next_out = ret,
                  .avail_out = PACKED_MAX - PAYLOAD_AT};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static size_t pack_zstd(uint8_t *ret)
{
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
    size_t len = ZSTD_compress2(zstd, ret, PACKED_MAX - PAYLOAD_AT, kernel, sizeof kernel);
    ZSTD_freeCCtx(zstd);
    assert_false(ZSTD_isError(len));
    return len;
}

static size_t pack_zboot(uint8_t *ret)
{
    memset(ret, 0, PAYLOAD_AT);
    size_t len = pack_gzip(ret + PAYLOAD_AT);
    memcpy(ret, "MZ\0\0zimg", 8);
    for (unsigned i = 0; i < 4; i++) {
        ret[8 + i] = (uint8_t)(PAYLOAD_AT >> 8 * i);
        ret[12 + i] = (uint8_t)(len >> 8 * i);
    }
    memcpy(ret + 24, "gzip", 5);
    return PAYLOAD_AT + len;
}

static size_t (*const packers[])(uint8_t *ret) = {pack_gzip, pack_zstd, pack_zboot};
#define PACKERS (sizeof packers / sizeof packers[0])

static void test_whole(void **state)
{
    for (size_t i = 0; i < PACKERS; i++) {
        uint8_t packed[PACKED_MAX];
        struct mv_boot_file file;
        size_t len = packers[i](packed);
        assert_int_equal(unpack(packed, len, RAM, &file), 0);
        assert_true(holds_kernel(&file));
        mv_cleanup_close(&file.fd);
        /* To the byte, and no further. */
        assert_int_equal(unpack(packed, len, sizeof kernel, &file), 0);
        mv_cleanup_close(&file.fd);
        assert_int_equal(unpack(packed, len, sizeof kernel - 1, &file), -EFBIG);
        assert_non_null(strstr(err.text, "-m"));
        assert_int_equal(file.size, len);
        mv_cleanup_close(&file.fd);
    }
}

/* What is not packed stays as it is. */
static void test_not_packed(void **state)
{
    struct mv_boot_file file;
    assert_int_equal(unpack(kernel, sizeof kernel, RAM, &file), 0);
    assert_true(holds_kernel(&file));
    mv_cleanup_close(&file.fd);
}

static void test_cut(void **state)
{
    for (size_t i = 0; i < PACKERS; i++) {
        uint8_t packed[PACKED_MAX];
        size_t len = packers[i](packed);
        for (size_t n = packers[i] == pack_zboot ? 64 : 4; n < len; n += 1 + len / 150) {
            struct mv_boot_file file;
            int r = unpack(packed, n, RAM, &file);
            assert_true(r == -EBADMSG || r == -ENOEXEC);
            assert_non_null(strstr(err.text, "truncated"));
            assert_int_equal(file.size, n);
            mv_cleanup_close(&file.fd);
        }
    }
}

/* Some bytes are others: the kernel comes out all the same, or a refusal does. */
static void test_broken(void **state)
{
    unsigned seed = 3, refused = 0;
    for (unsigned round = 0; round < 1500; round++) {
        uint8_t packed[PACKED_MAX];
        struct mv_boot_file file;
        size_t (*pack)(uint8_t *ret) = packers[round % PACKERS];
        size_t len = pack(packed), skip = pack == pack_zboot ? 8 : 4;
        for (int n = rand_r(&seed) % 8; n >= 0; n--)
            packed[skip + (size_t)rand_r(&seed) % (len - skip)] = (uint8_t)rand_r(&seed);
        int r = unpack(packed, len, RAM, &file);
        if (r == 0)
            assert_true(holds_kernel(&file));
        else
            assert_non_null(strstr(err.text, "the kernel '/tmp/"));
        refused += r < 0;
        mv_cleanup_close(&file.fd);
    }
    assert_true(refused > 1000);
}

static int setup(void **state)
{
    fake_kernel_fill(kernel, 0, 0x10000, 0xa);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_not_packed),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests_name("kernel-pack", tests, setup, NULL);
}
