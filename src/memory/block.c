/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks: made of a backing and a place in the host's address space (block.h). */
#include "block-registry.h"

#include "backing-nbd.h"
#include "cleanup.h"
#include "host-map.h"
#include "log.h"
#include "policy.h"
#include "size.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#define VMA_NAME_MAX 80
/* Huge pages, transparent ones too, need it. */
#define ALIGNMENT (2 * MV_MIB)

/* A device's that is unplugged; of a machine's end all has been written before. */
static void write_back(struct mv_block *block)
{
    struct mv_error err;
    if (block->backing == NULL || block->backing->nbd == NULL)
        return;
    if (mv_backing_nbd_sync(block, NULL, &err) < 0)
        mv_warn("block %s: %s", block->id, err.text);
    mv_backing_nbd_stop(block);
}

static void free_block(struct mv_block *block)
{
    write_back(block);
    mv_paging_free(block);
    mv_dirty_log_end(&block->log);
    if (block->host != NULL)
        mv_unreserve(block->host, block->size);
    if (block->backing != NULL)
        mv_backing_free(block->backing);
    free(block->touch.bits);
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
    if (r == 0)
        r = mv_block_registry_claim(block->registry, block, err);
    if (r < 0)
        return r;
    uint64_t page = block->backing->page_size;
    r = mv_reserve(block->size, page > ALIGNMENT ? page : ALIGNMENT, &host, err);
    if (r < 0)
        return r;
    block->host = host;
    return mv_backing_map(block->backing, host, block->size, err);
}

static int make_bytes(struct mv_block *block, const struct mv_backing_request *request,
                      struct mv_error *err)
{
    int r = mv_block_registry_check_limits(block->registry, request, &block->use, err);
    if (r < 0)
        return r;
    r = open_and_map(block, request, err);
    if (r == 0)
        r = mv_policy_apply(block, &request->wish, err);
    if (r == 0)
        r = mv_backing_note_keys(block->backing, &request->wish, err);
    if (r == 0)
        r = mv_backing_nbd_attach(block, block->registry->space, err);
    if (r < 0) {
        mv_error_prefix(err, "block %s", block->id);
        return r;
    }
    block->save =
        request->wish.save == MV_SWITCH_DEFAULT
            ? request->place != NULL || block->backing->path == NULL || !block->backing->share
            : request->wish.save == MV_SWITCH_ON;
    block->no_huge = request->wish.thp == MV_SWITCH_OFF || block->backing->cache != 0;
    return 0;
}

/* All of a mapping comes along in a fork, but for its being locked. */
static int take_bytes(struct mv_block *block, struct mv_block *from,
                      const struct mv_backing_request *request, struct mv_error *err)
{
    if (from->size != block->size)
        return mv_error_set(err, EINVAL, "block %s has %s, and had %s", block->id,
                            mv_size_text(block->size), mv_size_text(from->size));
    block->host = from->host;
    block->backing = from->backing;
    block->backing->nbd = NULL; /* all of it is here, and its thread is the other process's */
    block->use = from->use;
    block->save = from->save;
    block->no_huge = from->no_huge;
    from->host = NULL;
    from->backing = NULL;
    return mv_policy_apply(block, &(struct mv_config_backing){.lock = request->wish.lock}, err);
}

/* `fresh`: of bytes that the wish alone says where to find. */
static int create(struct mv_block_registry *registry, const char *path, const char *name,
                  uint64_t size, const struct mv_config_backing *wish, bool fresh,
                  struct mv_block **ret, struct mv_error *err)
{
    if (size == 0 || size % 4096 != 0)
        return mv_error_set(err, EINVAL, "block %s: a size of %s is no multiple of 4 KiB", name,
                            mv_size_text(size));
    struct mv_block *block = alloc_block(path, name);
    if (block == NULL)
        return mv_error_set(err, ENOMEM, "no memory for block %s", name);
    block->size = size;
    block->registry = registry;
    struct mv_backing_request request;
    int r = mv_block_registry_check_id(registry, block, err);
    if (r == 0)
        r = mv_block_registry_request(registry, block->id, size, wish, &request, err);
    struct mv_block *from = fresh ? NULL : mv_block_registry_find_inherited(registry, block->id);
    if (r == 0)
        r = from == NULL ? make_bytes(block, &request, err)
                         : take_bytes(block, from, &request, err);
    if (r < 0) {
        free_block(block);
        return r;
    }
    mv_block_registry_insert(registry, block);
    block->backing->created = false;
    block->backing->new_size = 0;
    name_mapping(block);
    *ret = block;
    return 0;
}

int mv_block_create_backed(struct mv_block_registry *registry, const char *path, const char *name,
                           uint64_t size, const struct mv_config_backing *wish,
                           struct mv_block **ret, struct mv_error *err)
{
    return create(registry, path, name, size, wish, false, ret, err);
}

int mv_block_create(struct mv_block_registry *registry, const char *path, const char *name,
                    uint64_t size, struct mv_block **ret, struct mv_error *err)
{
    static const struct mv_config_backing anonymous;
    return create(registry, path, name, size, &anonymous, false, ret, err);
}

int mv_block_create_shared(struct mv_block_registry *registry, const char *path, const char *name,
                           uint64_t size, int fd, const struct mv_config_backing *wish,
                           struct mv_block **ret, struct mv_error *err)
{
    bool save = wish != NULL && wish->save == MV_SWITCH_ON;
    const struct mv_config_backing own = {
        .has_fd = true,
        .fd = fd,
        .same_file = true, /* another device of this guest may show them, too */
        .share = MV_SWITCH_ON,
        .save = save ? MV_SWITCH_ON : MV_SWITCH_OFF, /* they are not this guest's alone */
    };
    return create(registry, path, name, size, &own, true, ret, err);
}

void mv_block_destroy(struct mv_block *block)
{
    do
        mv_block_await_pins(block);
    while (!mv_block_registry_remove(block->registry, block));
    free_block(block);
}

int mv_block_sync(struct mv_block *block, const atomic_bool *cancelled, struct mv_error *err)
{
    const struct mv_backing *backing = block->backing;
    int r = 0;
    if (backing->nbd != NULL)
        r = mv_backing_nbd_sync(block, cancelled, err);
    else if (backing->share && backing->path != NULL && fsync(backing->fd) < 0 && errno != EINVAL)
        r = mv_error_set_errno(err, errno, "%s", backing->what);
    if (r < 0)
        mv_error_prefix(err, "block %s", block->id);
    return r;
}

struct writing_back {
    int result;
    struct mv_error *err;
};

static void write_back_last(struct mv_block *block, void *opaque)
{
    struct writing_back *all = opaque;
    struct mv_error err;
    if (block->backing->nbd == NULL)
        return;
    int r = mv_block_sync(block, NULL, &err);
    mv_backing_nbd_stop(block);
    if (r < 0 && all->result == 0) {
        all->result = r;
        *all->err = err;
    } else if (r < 0) {
        mv_warn("%s", err.text);
    }
}

static void keep(struct mv_block *block, void *opaque)
{
    mv_backing_nbd_keep(block);
}

void mv_block_registry_stop(struct mv_block_registry *registry)
{
    mv_block_for_each(registry, keep, NULL);
}

int mv_block_registry_write_back(struct mv_block_registry *registry, struct mv_error *err)
{
    struct writing_back all = {.err = err};
    mv_block_for_each(registry, write_back_last, &all);
    return all.result;
}

bool mv_block_is_placed(const struct mv_block *block)
{
    return block->backing->kind == &mv_backing_placed;
}

const char *mv_block_file(const struct mv_block *block)
{
    return block->backing->path;
}

/*
 * --- bytes that come to live in another object while vCPUs run: the mapping changes in
 * one step, and the descriptor keeps its number, which others may know
 */

static int check_replacement(const struct mv_block *block, struct mv_backing *fresh,
                             struct mv_error *err)
{
    const struct mv_backing_request request = {.id = block->id, .size = block->size};
    struct stat st;
    if (fstat(fresh->fd, &st) < 0)
        return mv_error_set_errno(err, errno, "block %s", block->id);
    if ((uint64_t)st.st_size != block->size)
        return mv_error_set(err, EINVAL, "%s has %s, and block %s has %s", fresh->what,
                            mv_size_text((uint64_t)st.st_size), block->id,
                            mv_size_text(block->size));
    int r = mv_backing_fd_check(fresh, &request, err);
    if (r == 0 && fresh->page_size != block->backing->page_size)
        return mv_error_set(err, EINVAL, "%s has pages of %s, and block %s has pages of %s",
                            fresh->what, mv_size_text(fresh->page_size), block->id,
                            mv_size_text(block->backing->page_size));
    return r;
}

int mv_block_replace_fd(struct mv_block *block, int fd, struct mv_error *err)
{
    char what[] = "its memory";
    struct mv_backing *old = block->backing;
    struct mv_backing fresh = {
        .what = what, .fd = fd, .page_size = (uint64_t)sysconf(_SC_PAGESIZE)};
    int r = check_replacement(block, &fresh, err);
    if (r < 0 || (fresh.device == old->device && fresh.inode == old->inode))
        return r;
    /* First all that can fail, or can be undone without failing. */
    CLEANUP_CLOSE int before = fcntl(old->fd, F_DUPFD_CLOEXEC, 0);
    if (before < 0 || dup3(fd, old->fd, O_CLOEXEC) < 0)
        return mv_error_set_errno(err, errno, "block %s", block->id);
    fresh.share = true;
    r = mv_backing_map(&fresh, block->host, block->size, err);
    if (r < 0) {
        dup3(before, old->fd, O_CLOEXEC);
        return r;
    }
    old->device = fresh.device;
    old->inode = fresh.inode;
    mv_dirty_mark(&block->log, 0, block->size);
    return 0;
}
