/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks and their registry, which is a list in order of creation under a
 * mutex.  Boards and devices create blocks from the main thread; any thread
 * may look one up.
 */
#include "block.h"

#include "backing.h"
#include "cleanup.h"
#include "guest-copy.h"
#include "size.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#define VMA_NAME_MAX 80

struct mv_block_registry {
    pthread_mutex_t lock;
    struct mv_block *first; /* in order of creation */
};

int mv_block_registry_create(struct mv_block_registry **ret, struct mv_error *err)
{
    struct mv_block_registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the block registry");
    pthread_mutex_init(&registry->lock, NULL);
    *ret = registry;
    return 0;
}

void mv_block_registry_destroy(struct mv_block_registry *registry)
{
    if (registry == NULL)
        return;
    while (registry->first != NULL)
        mv_block_destroy(registry->first);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static struct mv_block *find_locked(struct mv_block_registry *registry, const char *id)
{
    struct mv_block *block = registry->first;
    while (block != NULL && strcmp(block->id, id) != 0)
        block = block->next;
    return block;
}

struct mv_block *mv_block_find(struct mv_block_registry *registry, const char *id)
{
    MV_LOCK_SCOPE(&registry->lock);
    return find_locked(registry, id);
}

static void free_block(struct mv_block *block)
{
    if (block->host != NULL)
        block->backing->ops->unmap(block->backing, block->host, block->size);
    if (block->backing != NULL)
        block->backing->ops->destroy(block->backing);
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

/* Add to the registry unless the identity is taken. */
static int insert(struct mv_block_registry *registry, struct mv_block *block, struct mv_error *err)
{
    MV_LOCK_SCOPE(&registry->lock);
    const struct mv_block *other = find_locked(registry, block->id);
    if (other != NULL)
        return mv_error_set(err, EEXIST, "block %s of %s exists already: it belongs to %s",
                            block->id, *block->path ? block->path : "the board",
                            *other->path ? other->path : "the board");
    struct mv_block **last = &registry->first;
    while (*last != NULL)
        last = &(*last)->next;
    *last = block;
    block->registry = registry;
    return 0;
}

/* The name shows in /proc/PID/maps where the host's kernel has the feature. */
static void name_mapping(const struct mv_block *block)
{
    char name[VMA_NAME_MAX];
    snprintf(name, sizeof name, "memvisor:%s", block->id);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, block->host, block->size, name);
}

int mv_block_create(struct mv_block_registry *registry, const char *path, const char *name,
                    uint64_t size, struct mv_block **ret, struct mv_error *err)
{
    char text[MV_SIZE_TEXT];
    if (size == 0 || size % 4096 != 0)
        return mv_error_set(err, EINVAL, "block %s: a size of %s is no multiple of 4 KiB", name,
                            mv_size_format(size, text));
    struct mv_block *block = alloc_block(path, name);
    if (block == NULL)
        return mv_error_set(err, ENOMEM, "no memory for block %s", name);
    block->size = size;
    int r = mv_backing_anonymous_create(&block->backing, err);
    if (r == 0)
        r = block->backing->ops->map(block->backing, size, &block->host, err);
    if (r == 0)
        r = insert(registry, block, err);
    if (r < 0) {
        if (r != -EEXIST)
            mv_error_prefix(err, "block %s", block->id);
        free_block(block);
        return r;
    }
    name_mapping(block);
    *ret = block;
    return 0;
}

void mv_block_destroy(struct mv_block *block)
{
    {
        MV_LOCK_SCOPE(&block->registry->lock);
        struct mv_block **link = &block->registry->first;
        while (*link != block)
            link = &(*link)->next;
        *link = block->next;
    }
    free_block(block);
}

void mv_block_zero(struct mv_block *block, uint64_t offset, uint64_t len)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = offset + len;
    uint64_t first = mv_align_up(offset, page), last = end & ~(page - 1);
    if (first >= last ||
        block->backing->ops->punch(block->backing, block->host + first, last - first) < 0) {
        mv_guest_zero(block->host + offset, len);
        return;
    }
    mv_guest_zero(block->host + offset, first - offset);
    mv_guest_zero(block->host + last, end - last);
}

void mv_block_for_each(struct mv_block_registry *registry,
                       void (*fn)(struct mv_block *block, void *opaque), void *opaque)
{
    MV_LOCK_SCOPE(&registry->lock);
    for (struct mv_block *block = registry->first; block != NULL; block = block->next)
        fn(block, opaque);
}
