/* SPDX-License-Identifier: Apache-2.0 */
#include "host-pages.h"

#include "cleanup.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*
 * Linux 6.7: the kernel walks its page tables and passes over what is not there, which
 * matters where most of a large block was never touched.  linux/fs.h has it since then.
 */
#ifndef PAGEMAP_SCAN
#define PAGE_IS_FILE    (1 << 2)
#define PAGE_IS_PRESENT (1 << 3)
#define PAGE_IS_SWAPPED (1 << 4)
#define PAGE_IS_PFNZERO (1 << 5)
struct page_region {
    __u64 start;
    __u64 end;
    __u64 categories;
};
struct pm_scan_arg {
    __u64 size;
    __u64 flags;
    __u64 start;
    __u64 end;
    __u64 walk_end;
    __u64 vec;
    __u64 vec_len;
    __u64 max_pages;
    __u64 category_inverted;
    __u64 category_mask;
    __u64 category_anyof_mask;
    __u64 return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#endif

/* An entry of pagemap. */
#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define FILED   (UINT64_C(1) << 61) /* of a file, or shared */

enum { ENTRIES = 1024 };

static uint64_t host_page(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int open_pagemap(struct mv_error *err)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? mv_error_set_errno(err, errno, "cannot read /proc/self/pagemap") : fd;
}

/* How many of the entries from page number `first` on were read, at least 1. */
static int read_entries(int fd, uint64_t first, uint64_t pages, uint64_t entries[ENTRIES],
                        struct mv_error *err)
{
    size_t count = pages < ENTRIES ? pages : ENTRIES;
    ssize_t n = pread(fd, entries, count * sizeof *entries, (off_t)(first * sizeof *entries));
    if (n <= 0 || n % (ssize_t)sizeof *entries != 0)
        return mv_error_set_errno(err, n < 0 ? errno : EIO, "cannot read /proc/self/pagemap");
    return (int)((size_t)n / sizeof *entries);
}

/* --- how much */

int mv_host_pages_residency(const uint8_t *host, uint64_t size, size_t parts, uint64_t *ret_bytes,
                            struct mv_error *err)
{
    uint64_t entries[ENTRIES], page = host_page(), pages = size / page;
    uint64_t first = (uintptr_t)host / page;
    CLEANUP_CLOSE int fd = open_pagemap(err);
    if (fd < 0)
        return fd;
    for (size_t part = 0; part < parts; part++) {
        uint64_t at = pages * part / parts, end = pages * (part + 1) / parts, present = 0;
        while (at < end) {
            int count = read_entries(fd, first + at, end - at, entries, err);
            if (count < 0)
                return count;
            for (int i = 0; i < count; i++)
                present += (entries[i] & PRESENT) != 0;
            at += (uint64_t)count;
        }
        ret_bytes[part] = present * page;
    }
    return 0;
}

/* --- which */

int mv_host_pages_open(enum mv_host_pages_kind kind, struct mv_host_pages *ret,
                       struct mv_error *err)
{
    int fd = open_pagemap(err);
    if (fd < 0)
        return fd;
    *ret = (struct mv_host_pages){.fd = fd, .kind = kind};
    return 0;
}

void mv_host_pages_close(struct mv_host_pages *pages)
{
    mv_cleanup_close(&pages->fd);
    pages->fd = -1;
}

/* Pages that are mapped to the one of zeros are left out, too. */
static int scan(struct mv_host_pages *pages, uint64_t at, uint64_t end)
{
    struct page_region regions[MV_HOST_PAGES_RUNS];
    uint64_t not = PAGE_IS_PFNZERO | (pages->kind == MV_HOST_PAGES_PRIVATE ? PAGE_IS_FILE : 0);
    struct pm_scan_arg arg = {
        .size = sizeof arg,
        .start = at,
        .end = end,
        .vec = (uintptr_t)regions,
        .vec_len = MV_HOST_PAGES_RUNS,
        .category_inverted = not,
        .category_mask = not,
        .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        /* Else there would be a run for each mix of what a page is. */
        .return_mask = 0,
    };
    int n = ioctl(pages->fd, PAGEMAP_SCAN, &arg);
    if (n < 0 || arg.walk_end <= at)
        return -ENOTTY;
    for (int i = 0; i < n; i++)
        pages->runs[i] = (struct mv_host_pages_run){regions[i].start, regions[i].end};
    pages->count = (size_t)n;
    pages->last = arg.walk_end;
    return 0;
}

static bool wanted(enum mv_host_pages_kind kind, uint64_t entry)
{
    return (entry & (PRESENT | SWAPPED)) != 0 &&
           (kind == MV_HOST_PAGES_KEPT || (entry & FILED) == 0);
}

static int read_runs(struct mv_host_pages *pages, uint64_t at, uint64_t end, struct mv_error *err)
{
    uint64_t entries[ENTRIES], page = host_page();
    int count = read_entries(pages->fd, at / page, (end - at) / page, entries, err);
    for (int i = 0; i < count; i++, at += page) {
        if (!wanted(pages->kind, entries[i]))
            continue;
        if (pages->count > 0 && pages->runs[pages->count - 1].end == at)
            pages->runs[pages->count - 1].end = at + page;
        else if (pages->count < MV_HOST_PAGES_RUNS)
            pages->runs[pages->count++] = (struct mv_host_pages_run){at, at + page};
        else
            break;
    }
    pages->last = at;
    return count < 0 ? count : 0;
}

static int look(struct mv_host_pages *pages, uint64_t at, uint64_t end, struct mv_error *err)
{
    pages->next = 0;
    pages->count = 0;
    int r = pages->no_scan ? -ENOTTY : scan(pages, at, end);
    if (r == 0)
        return 0;
    pages->no_scan = true;
    return read_runs(pages, at, end, err);
}

int mv_host_pages_next(struct mv_host_pages *pages, uint64_t at, uint64_t end,
                       struct mv_host_pages_run *ret, struct mv_error *err)
{
    for (;;) {
        while (pages->next < pages->count && pages->runs[pages->next].end <= at)
            pages->next++;
        if (pages->next < pages->count) {
            *ret = pages->runs[pages->next];
            ret->start = ret->start > at ? ret->start : at;
            return ret->start < end;
        }
        uint64_t from = pages->last > at ? pages->last : at;
        if (from >= end)
            return 0;
        int r = look(pages, from, end, err);
        if (r < 0)
            return r;
    }
}
