/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory/block.c in a process that was forked: blocks take over those of another registry,
 * by their ids; and memory/block-collapse.c, what of a block comes together before a fork.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backing.h"
#include "block-collapse.h"
#include "block.h"
#include "config.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB  UINT64_C(1024)
#define MIB  (1024 * KIB)
#define HUGE (2 * MIB)

static struct mv_block_registry *first, *second;
static struct mv_error err;

static int make(void **state)
{
    return mv_block_registry_create(&first, &err) < 0 ||
           mv_block_registry_create(&second, &err) < 0;
}

static int destroy(void **state)
{
    mv_block_registry_destroy(second);
    mv_block_registry_destroy(first);
    return 0;
}

static struct mv_block *create(struct mv_block_registry *registry, const char *name, uint64_t size)
{
    struct mv_block *block;
    if (mv_block_create(registry, "", name, size, &block, &err) < 0)
        fail_msg("%s", err.text);
    return block;
}

/* The mapping is where it was, with its bytes; what is not there is made. */
static void test_takes_over(void **state)
{
    struct mv_block *old = create(first, "ram0", 4 * MIB), *taken, *made;
    uint8_t *host = old->host;
    memset(host + MIB, 0x5a, 100);
    mv_block_registry_inherit(second, first);
    taken = create(second, "ram0", 4 * MIB);
    assert_ptr_equal(taken->host, host);
    assert_int_equal(taken->host[MIB + 99], 0x5a);
    assert_true(taken->save);
    made = create(second, "ram1", MIB);
    assert_int_equal(made->host[0], 0);
    /* Once: there is nothing left to take. */
    mv_block_destroy(taken);
    taken = create(second, "ram0", 4 * MIB);
    assert_int_equal(taken->host[MIB], 0);
}

static void test_no_more(void **state)
{
    struct mv_block *old = create(first, "ram0", MIB);
    old->host[0] = 1;
    mv_block_registry_inherit(second, first);
    mv_block_registry_inherit(second, NULL);
    assert_int_equal(create(second, "ram0", MIB)->host[0], 0);
    assert_int_equal(old->host[0], 1);
}

static void test_another_size(void **state)
{
    struct mv_block *block;
    create(first, "ram0", MIB);
    mv_block_registry_inherit(second, first);
    assert_int_equal(mv_block_create(second, "", "ram0", 2 * MIB, &block, &err), -EINVAL);
    assert_non_null(strstr(err.text, "block ram0 has 2 MiB, and had 1 MiB"));
}

/* Given a descriptor, a block has its bytes, which are another server's by now. */
static void test_given_descriptor(void **state)
{
    struct mv_block *old, *block;
    int fds[2] = {memfd_create("one", 0), memfd_create("other", 0)};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ftruncate(fds[i], MIB), 0);
        assert_int_equal(pwrite(fds[i], i == 0 ? "1" : "2", 1, 0), 1);
    }
    assert_int_equal(mv_block_create_shared(first, "dev", "bar2", MIB, fds[0], NULL, &old, &err),
                     0);
    mv_block_registry_inherit(second, first);
    assert_int_equal(mv_block_create_shared(second, "dev", "bar2", MIB, fds[1], NULL, &block, &err),
                     0);
    assert_int_equal(block->host[0], '2');
    close(fds[0]);
    close(fds[1]);
}

/* In a process of its own, both have the page until one writes it. */
static void test_forked(void **state)
{
    struct mv_block *old = create(first, "ram0", MIB);
    int status;
    old->host[0] = 1;
    mv_block_fork_begin(first);
    pid_t pid = fork();
    mv_block_fork_end(first);
    if (pid == 0) {
        struct mv_block *block;
        mv_block_registry_inherit(second, first);
        bool right =
            mv_block_create(second, "", "ram0", MIB, &block, &err) == 0 && block->host[0] == 1;
        if (right)
            block->host[0] = 2;
        _exit(right ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(old->host[0], 1);
}

/* --- small pages that come together */

static uint64_t huge_bytes(const struct mv_block *block)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    char line[512];
    bool inside = false;
    uint64_t start, kib, bytes = 0;
    assert_non_null(smaps);
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-", &start) == 1 && strchr(line, '-') == line + strcspn(line, "- "))
            inside =
                start >= (uintptr_t)block->host && start < (uintptr_t)block->host + block->size;
        if (inside && sscanf(line, "AnonHugePages: %lu", &kib) == 1)
            bytes += kib * KIB;
    }
    fclose(smaps);
    return bytes;
}

static void touch(struct mv_block *block, uint64_t from, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++)
        block->host[from + i * 4 * KIB] = (uint8_t)(i + 1);
}

/* Where the host's kernel cannot, all stays as it is. */
static bool host_can(void)
{
    uint8_t *memory =
        mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *aligned = (uint8_t *)(((uintptr_t)memory + HUGE - 1) & ~(HUGE - 1));
    memset(aligned, 1, HUGE);
    bool can = madvise(aligned, HUGE, 25 /* MADV_COLLAPSE */) == 0;
    munmap(memory, 2 * HUGE);
    return can;
}

/* The huge bytes of a block that is touched here and there, and brought together. */
static uint64_t collapsed(const char *name)
{
    const atomic_bool never = false;
    struct mv_block *block = create(first, name, 16 * HUGE);
    uint64_t leave = 0;
    madvise(block->host, block->size, MADV_NOHUGEPAGE);
    touch(block, 0, 512);        /* all of one */
    touch(block, 2 * HUGE, 460); /* nearly */
    touch(block, 4 * HUGE, 440); /* too few of one */
    touch(block, 6 * HUGE, 3);
    assert_int_equal(mv_block_collapsible(block), (512 + 460 + 440 + 3) * 4 * KIB);
    madvise(block->host, block->size, MADV_HUGEPAGE);
    mv_block_collapse(block, &leave, UINT64_MAX, &never);
    uint64_t huge = huge_bytes(block);
    for (uint64_t i = 0; i < 460; i++)
        assert_int_equal(block->host[2 * HUGE + i * 4 * KIB], (uint8_t)(i + 1));
    assert_int_equal(block->host[2 * HUGE + 500 * 4 * KIB], 0);
    return huge;
}

/*
 * The host's kernel brings pages of the test's memory together by itself now and then: what
 * was found counts where it is found once in so many tries.
 */
#define TRIES 5

static void test_collapse(void **state)
{
    char name[] = "ram0";
    bool can = host_can();
    uint64_t huge = 0;
    for (; name[3] < '0' + TRIES && huge != 2 * HUGE; name[3]++) {
        huge = collapsed(name);
        if (!can)
            return;
    }
    assert_int_equal(huge, 2 * HUGE);
}

/* So much may stay small, and what others have, too, is not copied. */
static bool collapse_leaves(const char *name, bool can)
{
    const atomic_bool never = false, at_once = true;
    struct mv_block *block = create(first, name, 16 * HUGE);
    uint64_t leave = 3 * HUGE;
    int status;
    madvise(block->host, block->size, MADV_NOHUGEPAGE);
    touch(block, 0, 4 * 512);
    madvise(block->host, block->size, MADV_HUGEPAGE);
    mv_block_collapse(block, &leave, UINT64_MAX, &at_once);
    mv_block_collapse(block, &leave, 0, &never);
    bool good = huge_bytes(block) == 0;
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    leave = 0;
    mv_block_collapse(block, &leave, UINT64_MAX, &never);
    good &= huge_bytes(block) == 0;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    leave = 3 * HUGE;
    mv_block_collapse(block, &leave, UINT64_MAX, &never);
    return good && (!can || huge_bytes(block) == HUGE) && leave == 0;
}

static void test_collapse_leaves(void **state)
{
    char name[] = "ram0";
    bool can = host_can(), good = false;
    for (; name[3] < '0' + TRIES && !good; name[3]++)
        good = collapse_leaves(name, can);
    assert_true(good);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)
    const struct CMUnitTest tests[] = {
        TEST(test_takes_over),       TEST(test_no_more), TEST(test_another_size),
        TEST(test_given_descriptor), TEST(test_forked),  TEST(test_collapse),
        TEST(test_collapse_leaves),
    };
    return cmocka_run_group_tests_name("block-inherit", tests, NULL, NULL);
}
