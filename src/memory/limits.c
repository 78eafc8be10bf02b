/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of the host, one function each.  What is there now may be gone
 * when the guest wants it, which fault.h is for; this is about what is known to
 * be too little.  No state; called by block.c and reserve.c.
 */
#include "limits.h"

#include "backing.h"
#include "block.h"
#include "cleanup.h"
#include "host-memory.h"
#include "log.h"
#include "size.h"

#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"
#define HUGE_POOL  "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s"

/* Of the file system of a block's file; 0 where there is none. */
static unsigned long file_system(const struct mv_block *block, struct statfs *ret)
{
    if (block->backing->fd < 0 || fstatfs(block->backing->fd, ret) < 0)
        return 0;
    return (unsigned long)ret->f_type;
}

/* What there is, for people: no fractions of a MiB. */
static const char *whole_mib(uint64_t size, char buf[MV_SIZE_TEXT])
{
    return mv_size_format(size < MV_MIB ? size : size & ~(MV_MIB - 1), buf);
}

/* --- file systems */

/* Bytes of the file that its file system has not got yet. */
static uint64_t missing_of(const struct mv_block *block)
{
    struct stat st;
    if (fstat(block->backing->fd, &st) < 0)
        return 0;
    uint64_t has = (uint64_t)st.st_blocks * 512;
    return has < block->size ? block->size - has : 0;
}

static int refuse_tmpfs(const struct mv_block *block, const struct statfs *fs, uint64_t missing,
                        struct mv_error *err)
{
    char size[MV_SIZE_TEXT], room[MV_SIZE_TEXT];
    uint64_t block_size = (uint64_t)fs->f_bsize;
    uint64_t used = (fs->f_blocks - fs->f_bfree) * block_size;
    CLEANUP_FREE char *mount = mv_host_memory_tmpfs(block->backing->device);
    return mv_error_set(err, ENOSPC,
                        "its file needs %s more, and the tmpfs at %s has %s: type 'mount -o "
                        "remount,size=%" PRIu64 "M %s'",
                        mv_size_format(missing, size), mount == NULL ? "its place" : mount,
                        whole_mib(fs->f_bavail * block_size, room),
                        (used + missing + MV_MIB - 1) / MV_MIB,
                        mount == NULL ? "MOUNTPOINT" : mount);
}

static int check_file_system(const struct mv_block *block, struct mv_error *err)
{
    char size[MV_SIZE_TEXT], room[MV_SIZE_TEXT];
    struct statfs fs;
    unsigned long type = file_system(block, &fs);
    /* A memfd's tmpfs, like one without a limit, has no blocks. */
    if (type == 0 || type == HUGETLBFS_MAGIC || !block->backing->share || fs.f_blocks == 0)
        return 0;
    uint64_t missing = missing_of(block);
    if (missing / (uint64_t)fs.f_bsize <= fs.f_bavail)
        return 0;
    if (type == TMPFS_MAGIC)
        return refuse_tmpfs(block, &fs, missing, err);
    return mv_error_set(err, ENOSPC,
                        "its file needs %s more, and its file system has %s: free some space "
                        "there, or keep the file elsewhere",
                        mv_size_format(missing, size),
                        whole_mib(fs.f_bavail * (uint64_t)fs.f_bsize, room));
}

/* --- the pool of huge pages */

static uint64_t pool_number(uint64_t page_size, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, HUGE_POOL, page_size / 1024, name);
    uint64_t value = mv_host_memory_number(path);
    return value == UINT64_MAX ? 0 : value;
}

static int check_huge_pages(const struct mv_block *block, struct mv_error *err)
{
    char page[MV_SIZE_TEXT], path[128];
    uint64_t page_size = block->backing->page_size;
    struct statfs fs;
    if (file_system(block, &fs) != HUGETLBFS_MAGIC)
        return 0;
    uint64_t needed = missing_of(block) / page_size;
    uint64_t all = pool_number(page_size, "nr_hugepages");
    uint64_t unused = pool_number(page_size, "free_hugepages");
    uint64_t promised = pool_number(page_size, "resv_hugepages");
    uint64_t more = pool_number(page_size, "nr_overcommit_hugepages");
    uint64_t surplus = pool_number(page_size, "surplus_hugepages");
    unused = (unused > promised ? unused - promised : 0) + (more > surplus ? more - surplus : 0);
    if (needed <= unused)
        return 0;
    uint64_t wanted = all + needed - unused;
    snprintf(path, sizeof path, HUGE_POOL, page_size / 1024, "nr_hugepages");
    if (page_size == mv_host_memory_info("Hugepagesize"))
        return mv_error_set(err, ENOMEM,
                            "of huge pages of %s it needs %" PRIu64 ", and %" PRIu64
                            " are left in the host's pool: type 'sysctl vm.nr_hugepages=%" PRIu64
                            "'",
                            mv_size_format(page_size, page), needed, unused, wanted);
    return mv_error_set(err, ENOMEM,
                        "of huge pages of %s it needs %" PRIu64 ", and %" PRIu64
                        " are left in the host's pool: type 'echo %" PRIu64 " > %s'",
                        mv_size_format(page_size, page), needed, unused, wanted, path);
}

/* --- the host's memory */

uint64_t mv_limits_memory_of(const struct mv_block *block)
{
    struct statfs fs;
    unsigned long type = file_system(block, &fs);
    if (type == HUGETLBFS_MAGIC)
        return 0;
    return type == 0 || type == TMPFS_MAGIC || !block->backing->share ? block->size : 0;
}

/* All of it is going to be used at once. */
static int check_now(const struct mv_block *block, const struct mv_config_backing *wish,
                     struct mv_error *err)
{
    char size[MV_SIZE_TEXT], has[MV_SIZE_TEXT];
    bool lock = wish->lock == MV_SWITCH_ON;
    uint64_t needed = mv_limits_memory_of(block);
    if (!lock && wish->prealloc != MV_SWITCH_ON)
        return 0;
    uint64_t available = mv_host_memory_available(!lock);
    if (needed <= available)
        return 0;
    return mv_error_set(err, ENOMEM,
                        "%s=on: %s is more than the %s that the host has left: give a smaller "
                        "bank, or leave %s=on out",
                        lock ? "lock" : "prealloc", mv_size_format(needed, size),
                        whole_mib(available, has),
                        lock ? "lock" : "prealloc");
}

static int check_memory(const struct mv_block *block, const struct mv_config_backing *wish,
                        uint64_t others, struct mv_error *err)
{
    char size[MV_SIZE_TEXT], has[MV_SIZE_TEXT];
    const char *who;
    uint64_t all, total = mv_host_memory_total(&who), mine = mv_limits_memory_of(block);
    bool now = wish->lock == MV_SWITCH_ON || wish->prealloc == MV_SWITCH_ON;
    if (mine == 0 || mv_add_overflows(others, mine, &all) || all <= total)
        return check_now(block, wish, err);
    if (now)
        return mv_error_set(err, ENOMEM,
                            "%s=on: the guest's memory is %s with it, more than the %s that %s: "
                            "give smaller banks, or leave %s=on out",
                            wish->lock == MV_SWITCH_ON ? "lock" : "prealloc",
                            mv_size_format(all, size), whole_mib(total, has),
                            who, wish->lock == MV_SWITCH_ON ? "lock" : "prealloc");
    if (others <= total)
        mv_warn("block %s: the guest's memory is %s with it, more than the %s that %s: should the "
                "guest use all of it, the kernel ends memvisor",
                block->id, mv_size_format(all, size), whole_mib(total, has),
                who);
    return 0;
}

int mv_limits_check(const struct mv_block *block, const struct mv_config_backing *wish,
                    uint64_t others, struct mv_error *err)
{
    int r = check_file_system(block, err);
    if (r == 0)
        r = check_huge_pages(block, err);
    if (r == 0)
        r = check_memory(block, wish, others, err);
    return r;
}

/* --- mmap */

int mv_limits_refuse_map(int errnum, uint64_t size, struct mv_error *err)
{
    char text[MV_SIZE_TEXT], limit[MV_SIZE_TEXT], used[MV_SIZE_TEXT];
    struct rlimit rlimit;
    mv_size_format(size, text);
    if (errnum == ENOMEM && getrlimit(RLIMIT_AS, &rlimit) == 0 && rlimit.rlim_cur != RLIM_INFINITY)
        return mv_error_set(err, errnum,
                            "the host cannot map %s: this process may have %s of address space: "
                            "type 'ulimit -v unlimited'",
                            text, whole_mib(rlimit.rlim_cur, limit));
    if (errnum == ENOMEM && mv_host_memory_number(OVERCOMMIT) == 2)
        return mv_error_set(err, errnum,
                            "the host cannot map %s: it has promised %s of the %s that it lets "
                            "itself promise: type 'sysctl vm.overcommit_memory=0', or keep the "
                            "bytes in a file with file=PATH",
                            text, whole_mib(mv_host_memory_info("Committed_AS"), used),
                            whole_mib(mv_host_memory_info("CommitLimit"), limit));
    return mv_error_set_errno(err, errnum, "the host cannot map %s: give the guest less memory",
                              text);
}
