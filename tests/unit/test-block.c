/* SPDX-License-Identifier: Apache-2.0 */
/* memory/block.c and backing.c: identities, alignment, cost, zeroing. */
#include "backing.h"
#include "block-claim.h"
#include "block-info.h"
#include "block.h"

#include "size.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct mv_block_registry *registry;
static struct mv_error err;

static int setup(void **state)
{
    err.text[0] = '\0';
    return mv_block_registry_create(&registry, &err);
}

static int teardown(void **state)
{
    mv_block_registry_destroy(registry);
    return 0;
}

static struct mv_block *make(const char *path, const char *name, uint64_t size)
{
    struct mv_block *block = NULL;
    assert_int_equal(mv_block_create(registry, path, name, size, &block, &err), 0);
    return block;
}

static void test_identity(void **state)
{
    struct mv_block *ram = make("", "ram0", MV_MIB);
    struct mv_block *bar = make("pci/03.0", "bar2", 4096);
    assert_string_equal(ram->id, "ram0");
    assert_string_equal(bar->id, "pci/03.0/bar2");
    assert_ptr_equal(mv_block_find(registry, "ram0"), ram);
    assert_ptr_equal(mv_block_find(registry, "pci/03.0/bar2"), bar);
    assert_null(mv_block_find(registry, "ram1"));

    char path[3000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(strlen(make(path, "bar", 4096)->id), sizeof path + 3);
}

/* A file of a block changes hands: at any time one registry has it locked, or nobody. */
static void test_claims_change_hands(void **state)
{
    static const char *const left[] = {"ram0"};
    struct mv_block_registry *other;
    struct mv_block *block;
    char path[] = "/tmp/test-block-XXXXXX";
    int fd = mkstemp(path);
    const struct mv_config_backing wish = {.file = path, .share = MV_SWITCH_ON};
    assert_int_equal(ftruncate(fd, MV_MIB), 0);
    close(fd);
    assert_int_equal(mv_block_create_backed(registry, "", "ram0", MV_MIB, &wish, &block, &err), 0);
    assert_int_equal(mv_block_registry_create(&other, &err), 0);
    assert_int_equal(mv_block_create_backed(other, "", "ram0", MV_MIB, &wish, &block, &err),
                     -EBUSY);
    mv_block_claims_leave(other, left, 1);
    assert_int_equal(mv_block_create_backed(other, "", "ram0", MV_MIB, &wish, &block, &err), 0);
    mv_block_claims_leave(other, NULL, 0);
    assert_int_equal(mv_block_claims_take(other, &err), -EBUSY);
    assert_non_null(strstr(err.text, "block ram0: file '"));
    assert_int_equal(mv_block_claims_take(registry, &err), 0); /* it has it */
    mv_block_claims_release(registry);
    assert_int_equal(mv_block_claims_take(other, &err), 0);
    assert_int_equal(mv_block_claims_take(registry, &err), -EBUSY);
    mv_block_claims_release(other);
    assert_int_equal(mv_block_claims_take(registry, &err), 0);
    mv_block_registry_destroy(other);
    unlink(path);
}

static void test_taken(void **state)
{
    make("pci/03.0", "bar2", 4096);
    struct mv_block *block = NULL;
    assert_int_equal(mv_block_create(registry, "pci/03.0", "bar2", 8192, &block, &err), -EEXIST);
    assert_null(block);
    assert_non_null(strstr(err.text, "pci/03.0/bar2"));
    /* Another pair that is written the same: both owners are named. */
    assert_int_equal(mv_block_create(registry, "pci", "03.0/bar2", 8192, &block, &err), -EEXIST);
    assert_non_null(strstr(err.text, "of pci "));
    assert_non_null(strstr(err.text, "belongs to pci/03.0"));

    struct mv_block *again = mv_block_find(registry, "pci/03.0/bar2");
    mv_block_destroy(again);
    assert_null(mv_block_find(registry, "pci/03.0/bar2"));
    make("pci/03.0", "bar2", 4096);
}

static void test_sizes(void **state)
{
    static const uint64_t refused[] = {0, 1, 4095, 4097, UINT64_MAX};
    struct mv_block *block = NULL;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(mv_block_create(registry, "", "ram0", refused[i], &block, &err), -EINVAL);

    static const uint64_t too_large[] = {UINT64_C(1) << 56, ~UINT64_C(4095)};
    for (size_t i = 0; i < sizeof too_large / sizeof too_large[0]; i++) {
        char words[MV_SIZE_TEXT];
        assert_int_equal(mv_block_create(registry, "", "ram0", too_large[i], &block, &err),
                         -ENOMEM);
        assert_non_null(strstr(err.text, "ram0"));
        assert_non_null(strstr(err.text, mv_size_format(too_large[i], words)));
    }
    assert_null(block);
    assert_null(mv_block_find(registry, "ram0"));
}

static void test_alignment(void **state)
{
    static const uint64_t sizes[] = {4096, 5 * 4096, 2 * MV_MIB, 2 * MV_MIB + 4096, 64 * MV_MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "ram%zu", i);
        struct mv_block *block = make("", name, sizes[i]);
        assert_int_equal((uintptr_t)block->host % (2 * MV_MIB), 0);
        block->host[0] = 1;
        block->host[sizes[i] - 1] = 1;
    }
}

/* Bytes of the process that are mapped, or resident. */
static uint64_t process_bytes(int column)
{
    unsigned long long pages[2];
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%llu %llu", &pages[0], &pages[1]), 2);
    fclose(f);
    return pages[column] * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void test_untouched_memory_costs_nothing(void **state)
{
    uint64_t mapped = process_bytes(0), resident = process_bytes(1);
    struct mv_block *block = make("", "ram0", 64 * MV_GIB);
    /* What was reserved for the alignment went back. */
    assert_true(process_bytes(0) - mapped < 64 * MV_GIB + MV_MIB);
    assert_true(process_bytes(1) - resident < 16 * MV_MIB);
    mv_block_destroy(block);
    assert_true(process_bytes(0) < mapped + MV_MIB);
}

static void test_zero(void **state)
{
    struct mv_block *block = make("", "ram0", MV_MIB);
    static const struct {
        uint64_t offset, len;
    } cases[] = {{0, MV_MIB},  {1, 2},        {4095, 2},       {4096, 4096}, {3, 12286},
                 {4090, 8200}, {12288, 4095}, {MV_MIB - 1, 1}, {77, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(block->host, 0xa5, MV_MIB);
        mv_block_zero(block, cases[i].offset, cases[i].len);
        for (uint64_t at = 0; at < MV_MIB; at++) {
            bool inside = at >= cases[i].offset && at < cases[i].offset + cases[i].len;
            if (block->host[at] != (inside ? 0 : 0xa5))
                fail_msg("case %zu: byte %llu", i, (unsigned long long)at);
        }
    }
}

static void test_zero_gives_pages_back(void **state)
{
    struct mv_block *block = make("", "ram0", 32 * MV_MIB);
    memset(block->host, 1, block->size);
    mv_block_zero(block, 100, block->size - 200);
    unsigned char resident[8192];
    assert_int_equal(mincore(block->host, block->size, resident), 0);
    size_t left = 0;
    for (size_t i = 0; i < block->size / 4096; i++)
        left += resident[i] & 1;
    assert_int_equal(left, 2);
    assert_int_equal(block->host[99], 1);
    assert_int_equal(block->host[100], 0);
}

static void count(struct mv_block *block, void *opaque)
{
    char *ids = opaque;
    strcat(ids, block->id);
    strcat(ids, " ");
}

static void test_for_each(void **state)
{
    char ids[64] = "";
    make("", "b", 4096);
    make("", "a", 4096);
    make("x", "c", 4096);
    mv_block_for_each(registry, count, ids);
    assert_string_equal(ids, "b a x/c ");
}

/* What another process maps by the descriptor and the offset is the block's bytes. */
static void test_shared_by_descriptor(void **state)
{
    char path[] = "/tmp/memvisor-block-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, 3 * 4096), 0);
    struct mv_config_backing wishes[] = {
        {.file = path, .share = MV_SWITCH_ON, .has_offset = true, .offset = 2 * 4096},
        {.memfd = true},
        {.file = path, .share = MV_SWITCH_OFF, .same_file = true},
        {0},
    };
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        char name[] = {(char)('a' + i), '\0'};
        struct mv_block *block = NULL;
        struct mv_block_handle handle = {-1, 0};
        wishes[i].same_file = true;
        assert_int_equal(mv_block_create_backed(registry, "", name, 4096 * (i == 2 ? 3 : 1),
                                                &wishes[i], &block, &err),
                         0);
        assert_int_equal(mv_block_share(block, &handle), i < 2);
        if (i >= 2)
            continue;
        uint8_t *seen =
            mmap(NULL, block->size, PROT_READ, MAP_SHARED, handle.fd, (off_t)handle.offset);
        assert_ptr_not_equal(seen, MAP_FAILED);
        block->host[5] = 0x5a;
        assert_int_equal(seen[5], 0x5a);
        munmap(seen, block->size);
    }
    close(fd);
    unlink(path);
}

/* A memory object of one page of the letter. */
static int letters(char letter)
{
    char page[4096];
    int fd = memfd_create("letters", MFD_CLOEXEC);
    memset(page, letter, sizeof page);
    assert_int_equal(write(fd, page, sizeof page), sizeof page);
    return fd;
}

/* No descriptor is left for the old object's copy: what was mapped stays, in full. */
static void test_replaced_without_descriptors(void **state)
{
    struct mv_block *block = NULL;
    struct rlimit limit, none;
    int first = letters('A'), second = letters('B');
    const struct mv_config_backing wish = {
        .has_fd = true, .fd = first, .same_file = true, .share = MV_SWITCH_ON};
    assert_int_equal(mv_block_create_backed(registry, "", "shared", 4096, &wish, &block, &err), 0);
    const volatile char *seen = block->host;
    int free_fd = dup(first);
    close(free_fd);
    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){(rlim_t)free_fd, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    int r = mv_block_replace_fd(block, second, &err);
    setrlimit(RLIMIT_NOFILE, &limit);

    assert_int_equal(r, -EMFILE);
    assert_int_equal(seen[0], 'A');
    struct stat kept, was;
    assert_int_equal(fstat(block->backing->fd, &kept), 0);
    assert_int_equal(fstat(first, &was), 0);
    assert_int_equal(kept.st_ino, was.st_ino);
    assert_int_equal(block->backing->inode, was.st_ino);
    assert_int_equal(mv_block_replace_fd(block, second, &err), 0);
    assert_int_equal(seen[0], 'B');
    close(second);
    close(first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_claims_change_hands),
        TEST(test_taken),
        TEST(test_sizes),
        TEST(test_alignment),
        TEST(test_untouched_memory_costs_nothing),
        TEST(test_zero),
        TEST(test_zero_gives_pages_back),
        TEST(test_for_each),
        TEST(test_shared_by_descriptor),
        TEST(test_replaced_without_descriptors),
    };
    return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
