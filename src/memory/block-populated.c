/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not zero, by what the host's kernel says:
 *
 *   anonymous memory: the pages that this process has, in memory or swapped out
 *   shared memory of a file or memfd: where the file has data (lseek(2), SEEK_DATA)
 *   private memory of a file: where the file has data, and the pages that were copied
 *   huge pages, of whose files the kernel tells no data: those mapped here where that is
 *   all that the file has, else all of the block
 *   block devices, and files that this process may not open again: all of the block
 *   what has pages that come later (paging.h): all of it, as long as some are absent
 *
 * Sources of runs, of which a block has one or two, are rows of a table.
 */
#include "block-populated.h"

#include "backing.h"
#include "block.h"
#include "cleanup.h"
#include "host-pages.h"
#include "size.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Offsets in the block; start is not below end unless it is empty. */
struct run {
    uint64_t start, end;
};

/* The first run at or behind `at`; an empty one at the block's end where none is left. */
typedef int next_run(struct mv_block_populated *populated, uint64_t at, struct run *ret,
                     struct mv_error *err);

enum { MOST_SOURCES = 2 };

struct mv_block_populated {
    uint64_t host; /* address */
    uint64_t size;
    uint64_t offset;            /* in the file */
    int fd;                     /* of the file, -1 where none is looked at */
    struct mv_host_pages pages; /* its fd is -1 where none are looked at */
    size_t count;
    struct source {
        next_run *next;
        struct run run; /* the last that it told; none yet where both are 0 */
    } sources[MOST_SOURCES];
};

static int next_of_all(struct mv_block_populated *populated, uint64_t at, struct run *ret,
                       struct mv_error *err)
{
    (void)err;
    *ret = (struct run){at, populated->size};
    return 0;
}

static int next_page(struct mv_block_populated *populated, uint64_t at, struct run *ret,
                     struct mv_error *err)
{
    uint64_t host = populated->host, end = host + mv_align_up(populated->size, getpagesize());
    struct mv_host_pages_run found;
    at &= ~((uint64_t)getpagesize() - 1);
    int r = mv_host_pages_next(&populated->pages, host + at, end, &found, err);
    if (r == 1)
        *ret = (struct run){found.start - host, found.end - host};
    else if (r == 0)
        *ret = (struct run){populated->size, populated->size};
    return r < 0 ? r : 0;
}

/* Bytes that a file has no longer are not zero: nobody can read them. */
static int next_lost(const struct mv_block_populated *populated, uint64_t at, struct run *ret,
                     struct mv_error *err)
{
    uint64_t has, size = populated->size;
    int r = mv_backing_fd_size(populated->fd, &has);
    if (r < 0)
        return mv_error_set_errno(err, -r, "cannot look at the file");
    has = has > populated->offset ? has - populated->offset : 0;
    *ret = (struct run){has < size && has > at ? has : at, size};
    if (has >= size)
        ret->start = size;
    return 0;
}

static int next_data(struct mv_block_populated *populated, uint64_t at, struct run *ret,
                     struct mv_error *err)
{
    off_t start = lseek(populated->fd, (off_t)(populated->offset + at), SEEK_DATA);
    if (start < 0 && errno == ENXIO)
        return next_lost(populated, at, ret, err);
    off_t end = start < 0 ? start : lseek(populated->fd, start, SEEK_HOLE);
    if (end < 0 && errno == ENXIO) /* it was shrunk in between */
        return next_lost(populated, at, ret, err);
    if (end < 0) /* the file system knows nothing of holes */
        return next_of_all(populated, at, ret, err);
    *ret = (struct run){(uint64_t)start - populated->offset, (uint64_t)end - populated->offset};
    return 0;
}

/* --- which sources a block has */

static void add(struct mv_block_populated *populated, next_run *next)
{
    populated->sources[populated->count++].next = next;
}

static int add_pages(struct mv_block_populated *populated, enum mv_host_pages_kind kind,
                     struct mv_error *err)
{
    add(populated, next_page);
    return mv_host_pages_open(kind, &populated->pages, err);
}

/*
 * Opened again, because a seek moves the offset that a descriptor has together with its
 * duplicates, some of them in other processes.
 */
static int add_data(struct mv_block_populated *populated, const struct mv_backing *backing,
                    struct mv_error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", backing->fd);
    populated->fd = backing->device_node ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (!backing->device_node && populated->fd < 0 && errno != EACCES && errno != EPERM)
        return mv_error_set_errno(err, errno, "cannot look at the file");
    add(populated, populated->fd < 0 ? next_of_all : next_data);
    return 0;
}

static int add_huge(struct mv_block_populated *populated, const struct mv_backing *backing,
                    struct mv_error *err)
{
    uint64_t mapped;
    struct stat st;
    int r = mv_host_pages_residency((const uint8_t *)(uintptr_t)populated->host, populated->size, 1,
                                    &mapped, err);
    if (r < 0)
        return r;
    if (fstat(backing->fd, &st) < 0)
        return mv_error_set_errno(err, errno, "cannot look at its huge pages");
    if ((uint64_t)st.st_blocks * 512 == (backing->share ? mapped : 0))
        return add_pages(populated, MV_HOST_PAGES_KEPT, err);
    add(populated, next_of_all);
    return 0;
}

static int add_sources(struct mv_block_populated *populated, const struct mv_block *block,
                       struct mv_error *err)
{
    const struct mv_backing *backing = block->backing;
    if (mv_paging_is_active(&block->paging)) {
        add(populated, next_of_all);
        return 0;
    }
    if (mv_backing_is_huge(backing))
        return add_huge(populated, backing, err);
    if (backing->fd < 0)
        return add_pages(populated, MV_HOST_PAGES_KEPT, err);
    int r = add_data(populated, backing, err);
    if (r == 0 && !backing->share)
        r = add_pages(populated, MV_HOST_PAGES_PRIVATE, err);
    return r;
}

/* --- for others */

int mv_block_populated_open(const struct mv_block *block, struct mv_block_populated **ret,
                            struct mv_error *err)
{
    struct mv_block_populated *populated = malloc(sizeof *populated);
    if (populated == NULL)
        return mv_error_set(err, ENOMEM, "block %s: no memory to look at it", block->id);
    *populated = (struct mv_block_populated){
        .host = (uintptr_t)block->host,
        .size = block->size,
        .offset = block->backing->offset,
        .fd = -1,
        .pages = {.fd = -1},
    };
    int r = add_sources(populated, block, err);
    if (r < 0) {
        mv_error_prefix(err, "block %s", block->id);
        mv_block_populated_close(populated);
        return r;
    }
    *ret = populated;
    return 0;
}

void mv_block_populated_close(struct mv_block_populated *populated)
{
    if (populated == NULL)
        return;
    mv_host_pages_close(&populated->pages);
    mv_cleanup_close(&populated->fd);
    free(populated);
}

/* A file's extents need not begin and end with a page. */
static struct run whole_pages(const struct mv_block_populated *populated, struct run run)
{
    run.start &= ~(MV_DIRTY_PAGE - 1);
    run.end = run.end < populated->size ? mv_align_up(run.end, MV_DIRTY_PAGE) : populated->size;
    return run;
}

int mv_block_populated_next(struct mv_block_populated *populated, uint64_t *io_offset,
                            uint64_t *ret_len, struct mv_error *err)
{
    struct run first = {populated->size, populated->size};
    uint64_t at = *io_offset;
    if (at >= populated->size)
        return 0;
    for (size_t i = 0; i < populated->count; i++) {
        struct source *source = &populated->sources[i];
        if (source->run.end <= at) {
            int r = source->next(populated, at, &source->run, err);
            if (r < 0)
                return r;
            source->run = whole_pages(populated, source->run);
        }
        uint64_t start = source->run.start > at ? source->run.start : at;
        if (start < first.start)
            first = (struct run){start, source->run.end};
    }
    if (first.start >= populated->size)
        return 0;
    *io_offset = first.start;
    *ret_len = first.end - first.start;
    return 1;
}
