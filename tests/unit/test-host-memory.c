/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory/host-memory.c: hosts that this one is not, as files in a folder of the
 * test's.  What cgroups mean by their files is said in the kernel's
 * Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
 */
#include "host-memory.h"

#include "limits-ask.h"

#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_LIMIT_V1 "9223372036854771712\n"

static char folder[64];

static char *in_folder(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *buf = path[next++ % 4];
    snprintf(buf, sizeof path[0], "%s/%s", folder, name);
    return buf;
}

/* Also makes the folders on the way. */
static void put(const char *name, const char *text)
{
    char *path = in_folder(name);
    for (char *at = strchr(path + strlen(folder) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

static void put_mountinfo(const char *before, const char *root, const char *where,
                          const char *after)
{
    char text[1024];
    snprintf(text, sizeof text,
             "23 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
             "24 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,memory\n"
             "%s31 24 0:27 %s %s/%s rw,relatime shared:9 - %s\n",
             before, root, folder, where, after);
    put("mountinfo", text);
}

static struct mv_host_memory host(void)
{
    struct mv_host_memory memory;
    struct mv_error err = {""};
    const struct mv_host_memory_files files = {in_folder("meminfo"), in_folder("cgroup"),
                                               in_folder("mountinfo")};
    int r = mv_host_memory_read(&files, &memory, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(r, 0);
    return memory;
}

static void check(const struct mv_host_limit *limit, uint64_t bytes, const char *file)
{
    assert_int_equal(limit->bytes, bytes);
    assert_string_equal(limit->file, file == NULL ? "" : in_folder(file));
}

static int set_up(void **state)
{
    strcpy(folder, "/tmp/memvisor-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    put("meminfo", "MemTotal:        8388608 kB\nMemFree:         1000000 kB\n"
                   "MemAvailable:    2097152 kB\nSwapTotal:       4194304 kB\n"
                   "SwapFree:        1048576 kB\nHugepagesize:       2048 kB\n"
                   "Hugetlb:         1048576 kB\n");
    return 0;
}

static int tear_down(void **state)
{
    remove_folder();
    return 0;
}

/* The pool of huge pages is no memory that others can use. */
static void test_no_cgroup(void **state)
{
    struct mv_host_memory memory = host();
    check(&memory.memory, 7 * MV_GIB, NULL);
    check(&memory.whole, 11 * MV_GIB, NULL);
    assert_int_equal(memory.swap, 4 * MV_GIB);
    assert_int_equal(memory.available, 3 * MV_GIB);
}

/* The lowest of all levels counts; the root has no such files. */
static void test_v2(void **state)
{
    put("cgroup", "0::/user.slice/a:b/vm\n");
    put_mountinfo("", "/", "fs", "cgroup2 cgroup2 rw,nsdelegate");
    put("fs/cgroup.procs", "");
    put("fs/user.slice/memory.max", "1073741824\n");
    put("fs/user.slice/memory.swap.max", "max\n");
    put("fs/user.slice/a:b/memory.max", "max\n");
    put("fs/user.slice/a:b/vm/memory.max", "2147483648\n");
    put("fs/user.slice/a:b/vm/memory.swap.max", "0\n");
    struct mv_host_memory memory = host();
    check(&memory.memory, MV_GIB, "fs/user.slice/memory.max");
    check(&memory.whole, 2 * MV_GIB, "fs/user.slice/a:b/vm/memory.max");
}

static void test_v2_without_limits(void **state)
{
    put("cgroup", "0::/vm\n");
    put_mountinfo("", "/", "fs", "cgroup2 cgroup2 rw");
    put("fs/vm/memory.max", "max\n");
    put("fs/vm/memory.swap.max", "max\n");
    struct mv_host_memory memory = host();
    check(&memory.memory, 7 * MV_GIB, NULL);
    check(&memory.whole, 11 * MV_GIB, NULL);
}

/* v1 has the controller although v2 is mounted, too; memsw is memory and swap. */
static void test_v1(void **state)
{
    put("cgroup", "12:cpu,cpuacct:/other\n4:blkio,memory:/vm\n1:name=memory:/no\n0::/v2\n");
    put_mountinfo("30 24 0:30 / /cpu rw - cgroup cgroup rw,cpu,cpuacct\n", "/", "memory",
                  "cgroup cgroup rw,memory");
    put("memory/memory.limit_in_bytes", NO_LIMIT_V1);
    put("memory/vm/memory.limit_in_bytes", "1073741824\n");
    put("memory/vm/memory.memsw.limit_in_bytes", "1610612736\n");
    put("memory/other/memory.limit_in_bytes", "4096\n");
    struct mv_host_memory memory = host();
    check(&memory.memory, MV_GIB, "memory/vm/memory.limit_in_bytes");
    check(&memory.whole, 3 * MV_GIB / 2, "memory/vm/memory.memsw.limit_in_bytes");
    put("memory/vm/memory.memsw.limit_in_bytes", NO_LIMIT_V1);
    memory = host();
    check(&memory.whole, 5 * MV_GIB, "memory/vm/memory.limit_in_bytes");
}

/* A container sees a part of the hierarchy, under a name that needs quoting in mountinfo. */
static void test_part_of_a_hierarchy(void **state)
{
    put("cgroup", "4:memory:/docker/abc/vm\n");
    put_mountinfo("", "/docker/abc", "a\\040b", "cgroup cgroup rw,memory");
    put("a b/memory.limit_in_bytes", "536870912\n");
    put("a b/vm/memory.limit_in_bytes", NO_LIMIT_V1);
    struct mv_host_memory memory = host();
    check(&memory.memory, 512 * MV_MIB, "a b/memory.limit_in_bytes");
    /* One of a namespace that is elsewhere: what is mounted is all that can be seen. */
    put("cgroup", "4:memory:/../elsewhere\n");
    memory = host();
    check(&memory.memory, 512 * MV_MIB, "a b/memory.limit_in_bytes");
}

static void test_files_that_say_nothing(void **state)
{
    struct mv_host_memory memory;
    struct mv_error err = {""};
    put("cgroup", "\n:\nnonsense\n4:memory\n4:memory:vm\n");
    put_mountinfo("\nx\n - \n1 2 3 - cgroup\n", "/", "memory", "cgroup cgroup rw,memory");
    put("memoryvm/memory.limit_in_bytes", "");
    put("memoryvm/memory.memsw.limit_in_bytes", "words\n");
    memory = host();
    check(&memory.memory, 7 * MV_GIB, NULL);
    put("meminfo", "MemFree: 5 kB\n");
    const struct mv_host_memory_files files = {in_folder("meminfo"), in_folder("cgroup"),
                                               in_folder("mountinfo")};
    assert_int_equal(mv_host_memory_read(&files, &memory, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/meminfo does not tell how much memory there is"));
}

/* --- huge pages: "" where the cgroups allow so many bytes more */

static const char *refusal(uint64_t page_size, uint64_t missing)
{
    static struct mv_error err;
    const struct mv_host_memory_files files = {in_folder("meminfo"), in_folder("cgroup"),
                                               in_folder("mountinfo")};
    err.text[0] = '\0';
    int r = mv_limits_refuse_hugetlb(&files, page_size, missing, &err);
    assert_int_equal(r, err.text[0] == '\0' ? 0 : -ENOMEM);
    return err.text;
}

static void expect_refusal(uint64_t page_size, uint64_t missing, const char *numbers,
                           const char *value, const char *file)
{
    char words[1024];
    snprintf(words, sizeof words, "%s taken: type as root 'echo %s > %s'", numbers, value,
             in_folder(file));
    const char *text = refusal(page_size, missing);
    if (strstr(text, words) == NULL)
        fail_msg("no '%s' in '%s'", words, text);
}

static void test_hugetlb_v2(void **state)
{
    put("cgroup", "3:memory:/m\n0::/a/b\n");
    put_mountinfo("", "/", "fs", "cgroup2 cgroup2 rw,nsdelegate");
    assert_string_equal(refusal(2 * MV_MIB, 64 * MV_MIB), "");
    put("fs/a/b/hugetlb.2MB.max", "max\n");
    put("fs/a/b/hugetlb.2MB.current", "0\n");
    put("fs/a/hugetlb.2MB.rsvd.max", "33554432\n");
    put("fs/a/hugetlb.2MB.rsvd.current", "4194304\n");
    assert_string_equal(refusal(2 * MV_MIB, 28 * MV_MIB), "");
    expect_refusal(2 * MV_MIB, 30 * MV_MIB, "30 MiB are needed, and memvisor's cgroup may have "
                   "32 MiB of them, of which 4 MiB are", "34M", "fs/a/hugetlb.2MB.rsvd.max");
    /* Other sizes have limits of their own. */
    assert_string_equal(refusal(MV_GIB, MV_GIB), "");
    put("fs/a/b/hugetlb.1GB.max", "0\n");
    put("fs/a/b/hugetlb.1GB.current", "0\n");
    expect_refusal(MV_GIB, MV_GIB, "1 GiB are needed, and memvisor's cgroup may have 0 bytes of "
                   "them, of which 0 bytes are", "1G", "fs/a/b/hugetlb.1GB.max");
    put("fs/a/b/hugetlb.64KB.max", "65536\n");
    put("fs/a/b/hugetlb.64KB.current", "0\n");
    assert_string_not_equal(refusal(64 * MV_KIB, 128 * MV_KIB), "");
}

static void test_hugetlb_v1(void **state)
{
    put("cgroup", "4:hugetlb:/x\n0::/\n");
    put_mountinfo("", "/", "huge", "cgroup none rw,hugetlb");
    put("huge/x/hugetlb.2MB.limit_in_bytes", NO_LIMIT_V1);
    put("huge/x/hugetlb.2MB.usage_in_bytes", "2097152\n");
    assert_string_equal(refusal(2 * MV_MIB, 64 * MV_MIB), "");
    put("huge/x/hugetlb.2MB.limit_in_bytes", "8388608\n");
    assert_string_equal(refusal(2 * MV_MIB, 6 * MV_MIB), "");
    expect_refusal(2 * MV_MIB, 8 * MV_MIB, "8 MiB are needed, and memvisor's cgroup may have 8 MiB "
                   "of them, of which 2 MiB are", "10M", "huge/x/hugetlb.2MB.limit_in_bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hugetlb_v2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hugetlb_v1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_cgroup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v2_without_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_part_of_a_hierarchy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_say_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
