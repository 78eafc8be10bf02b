/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: made of a backing and a place in the host's address space.  Boards
 * and devices create and destroy them from the main thread; any thread may
 * look one up.
 */
#include "block.h"

#include "backing.h"
#include "block-registry.h"
#include "cleanup.h"
#include "guest-copy.h"
#include "host-map.h"
#include "policy.h"
#include "size.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#define VMA_NAME_MAX 80
/* Huge pages, transparent ones too, need it. */
#define ALIGNMENT (2 * MV_MIB)

static void free_block(struct mv_block *block)
{
    mv_dirty_log_end(&block->log);
    if (block->host != NULL)
        mv_unreserve(block->host, block->size);
    if (block->backing != NULL)
        block->backing->ops->close(block->backing);
    free(block->path);
    free(block->name);
    free(block->id);
    free(block);
}

static struct mv_block *alloc_block(const char *path, const char *name)
{
    struct mv_block *block = calloc(1, sizeof *block);
    if (block == NULL)
        return NULL;
    block->path = strdup(path);
    block->name = strdup(name);
    if (asprintf(&block->id, "%s%s%s", path, *path ? "/" : "", name) < 0)
        block->id = NULL;
    if (block->path == NULL || block->name == NULL || block->id == NULL) {
        free_block(block);
        return NULL;
    }
    return block;
}

/* The name shows in /proc/PID/maps where the host's kernel has the feature. */
static void name_mapping(const struct mv_block *block)
{
    char name[VMA_NAME_MAX];
    snprintf(name, sizeof name, "memvisor:%s", block->id);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, block->host, block->size, name);
}

static int open_and_map(struct mv_block *block, const struct mv_backing_request *request,
                        struct mv_error *err)
{
    uint8_t *host;
    int r = mv_backing_open(request, &block->backing, err);
    if (r == 0)
        r = mv_block_registry_check_file(block->registry, block, err);
    if (r == 0 && block->backing->ops->claim != NULL)
        r = block->backing->ops->claim(block->backing, err);
    if (r == 0 && block->backing->short_of_part)
        r = mv_backing_fd_grow(block->backing, block->size, err);
    if (r < 0)
        return r;
    uint64_t page = block->backing->page_size;
    r = mv_reserve(block->size, page > ALIGNMENT ? page : ALIGNMENT, &host, err);
    if (r < 0)
        return r;
    block->host = host;
    return block->backing->ops->map(block->backing, host, block->size, err);
}

int mv_block_create_backed(struct mv_block_registry *registry, const char *path, const char *name,
                           uint64_t size, const struct mv_config_backing *wish,
                           struct mv_block **ret, struct mv_error *err)
{
    char text[MV_SIZE_TEXT];
    if (size == 0 || size % 4096 != 0)
        return mv_error_set(err, EINVAL, "block %s: a size of %s is no multiple of 4 KiB", name,
                            mv_size_format(size, text));
    struct mv_block *block = alloc_block(path, name);
    if (block == NULL)
        return mv_error_set(err, ENOMEM, "no memory for block %s", name);
    block->size = size;
    block->registry = registry;
    struct mv_config_backing merged;
    struct mv_backing_request request = {block->id, size, &merged, NULL};
    int r = mv_block_registry_check_id(registry, block, err);
    if (r == 0)
        r = mv_block_registry_merge_wish(registry, block->id, wish, &merged, &request.mem_dir,
                                         err);
    if (r == 0)
        r = mv_block_registry_check_limits(registry, &request, &block->use, err);
    if (r == 0) {
        r = open_and_map(block, &request, err);
        if (r == 0)
            r = mv_policy_apply(block, &merged, err);
        if (r < 0)
            mv_error_prefix(err, "block %s", block->id);
    }
    if (r == 0)
        r = mv_block_registry_insert(registry, block, err);
    if (r < 0) {
        free_block(block);
        return r;
    }
    block->save = merged.save == MV_SWITCH_DEFAULT
                      ? block->backing->path == NULL || !block->backing->share
                      : merged.save == MV_SWITCH_ON;
    block->backing->created = false;
    block->backing->new_size = 0;
    name_mapping(block);
    *ret = block;
    return 0;
}

int mv_block_create(struct mv_block_registry *registry, const char *path, const char *name,
                    uint64_t size, struct mv_block **ret, struct mv_error *err)
{
    return mv_block_create_backed(registry, path, name, size, NULL, ret, err);
}

int mv_block_create_shared(struct mv_block_registry *registry, const char *path, const char *name,
                           uint64_t size, int fd, struct mv_block **ret, struct mv_error *err)
{
    const struct mv_config_backing wish = {
        .has_fd = true,
        .fd = fd,
        .same_file = true, /* another device of this guest may show them, too */
        .share = MV_SWITCH_ON,
        .save = MV_SWITCH_OFF, /* they are not this guest's alone */
    };
    return mv_block_create_backed(registry, path, name, size, &wish, ret, err);
}

void mv_block_destroy(struct mv_block *block)
{
    mv_block_await_pins(block);
    mv_block_registry_remove(block->registry, block);
    free_block(block);
}

const char *mv_block_file(const struct mv_block *block)
{
    return block->backing->path;
}

/* --- its bytes */

static int outcome(struct mv_block *block, const uint8_t *failed)
{
    return failed == NULL ? 0 : mv_block_registry_tell_fault(block, failed);
}

int mv_block_read(struct mv_block *block, uint64_t offset, void *buf, uint64_t len)
{
    return outcome(block, mv_guest_copy_out(buf, block->host + offset, len));
}

/* The log is told behind each write (dirty-log.c). */
int mv_block_write(struct mv_block *block, uint64_t offset, const void *buf, uint64_t len)
{
    const uint8_t *failed = mv_guest_copy_in(block->host + offset, buf, len);
    mv_dirty_mark(&block->log, offset, len);
    return outcome(block, failed);
}

int mv_block_load(struct mv_block *block, uint64_t offset, unsigned size, bool ordered,
                  uint64_t *ret)
{
    return outcome(block, mv_guest_load(block->host + offset, size, ordered, ret));
}

int mv_block_store(struct mv_block *block, uint64_t offset, unsigned size, bool ordered,
                   uint64_t value)
{
    const uint8_t *failed = mv_guest_store(block->host + offset, size, ordered, value);
    mv_dirty_mark(&block->log, offset, size);
    return outcome(block, failed);
}

/* Returns the address that the host could not access, or NULL (guest-copy.h). */
static const uint8_t *zero(struct mv_block *block, uint64_t offset, uint64_t len)
{
    struct mv_backing *backing = block->backing;
    uint64_t page = backing->page_size, end = offset + len;
    uint64_t first = mv_align_up(offset, page), last = end & ~(page - 1);
    if (first >= last || backing->ops->punch(backing, block->host, first, last - first) < 0)
        return mv_guest_zero(block->host + offset, len);
    const uint8_t *failed = mv_guest_zero(block->host + offset, first - offset);
    return failed != NULL ? failed : mv_guest_zero(block->host + last, end - last);
}

int mv_block_zero(struct mv_block *block, uint64_t offset, uint64_t len)
{
    const uint8_t *failed = zero(block, offset, len);
    mv_dirty_mark(&block->log, offset, len);
    return outcome(block, failed);
}

/*
 * --- bytes that come to live in another object while vCPUs run: the mapping changes in
 * one step, and the descriptor keeps its number, which others may know
 */

static int check_replacement(const struct mv_block *block, struct mv_backing *new, struct mv_error *err)
{
    static const struct mv_config_backing wish;
    const struct mv_backing_request request = {block->id, block->size, &wish, NULL};
    char has[MV_SIZE_TEXT], wants[MV_SIZE_TEXT];
    struct stat st;
    if (fstat(new->fd, &st) < 0)
        return mv_error_set_errno(err, errno, "block %s", block->id);
    if ((uint64_t)st.st_size != block->size)
        return mv_error_set(err, EINVAL, "its memory has %s, and block %s has %s",
                            mv_size_format((uint64_t)st.st_size, has), block->id,
                            mv_size_format(block->size, wants));
    int r = mv_backing_fd_check(new, &request, "its memory", err);
    if (r == 0 && new->page_size != block->backing->page_size)
        return mv_error_set(err, EINVAL, "its memory has pages of %s, and block %s has pages of %s",
                            mv_size_format(new->page_size, has), block->id,
                            mv_size_format(block->backing->page_size, wants));
    return r;
}

int mv_block_replace_fd(struct mv_block *block, int fd, struct mv_error *err)
{
    struct mv_backing *old = block->backing;
    struct mv_backing new = {.fd = fd, .page_size = (uint64_t)sysconf(_SC_PAGESIZE)};
    int r = check_replacement(block, &new, err);
    if (r < 0 || (new.device == old->device && new.inode == old->inode))
        return r;
    /* First all that can fail, or can be undone without failing. */
    CLEANUP_CLOSE int before = fcntl(old->fd, F_DUPFD_CLOEXEC, 0);
    if (before < 0 || dup3(fd, old->fd, O_CLOEXEC) < 0)
        return mv_error_set_errno(err, errno, "block %s", block->id);
    r = mv_backing_mmap(&new, block->host, block->size, MAP_SHARED, err);
    if (r < 0) {
        dup3(before, old->fd, O_CLOEXEC);
        return r;
    }
    old->device = new.device;
    old->inode = new.inode;
    mv_dirty_mark(&block->log, 0, block->size);
    return 0;
}
