/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of a VM's blocks: a list in order of creation under a mutex,
 * and what --back says of blocks that may come.  The main thread changes it;
 * any thread may look a block up.
 */
#include "block-registry.h"

#include "backing.h"
#include "bank.h"
#include "cleanup.h"
#include "fault.h"
#include "size.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mv_block_registry {
    pthread_mutex_t lock; /* of the list and last_generation */
    struct mv_block *first; /* in order of creation */
    uint64_t last_generation;
    const struct mv_config_back *backs; /* the main thread's, as what follows */
    size_t back_count;
    const char *mem_dir;
    bool planned; /* what the host lacks was told for all blocks that come */
    struct mv_limits_use plan; /* of these and those there were before */
    mv_block_fault_fn *fault_fn; /* NULL: nobody */
    void *fault_opaque;
};

int mv_block_registry_create(struct mv_block_registry **ret, struct mv_error *err)
{
    struct mv_block_registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the block registry");
    pthread_mutex_init(&registry->lock, NULL);
    mv_fault_init();
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

/* --- the list */

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

struct mv_block *mv_block_find_generation(struct mv_block_registry *registry, const char *id,
                                          uint64_t generation)
{
    MV_LOCK_SCOPE(&registry->lock);
    struct mv_block *block = find_locked(registry, id);
    return block != NULL && block->generation == generation ? block : NULL;
}

static int check_id_locked(struct mv_block_registry *registry, const struct mv_block *block,
                           struct mv_error *err)
{
    const struct mv_block *other = find_locked(registry, block->id);
    if (other == NULL)
        return 0;
    return mv_error_set(err, EEXIST, "block %s of %s exists already: it belongs to %s", block->id,
                        *block->path ? block->path : "the board",
                        *other->path ? other->path : "the board");
}

int mv_block_registry_check_id(struct mv_block_registry *registry, const struct mv_block *block,
                               struct mv_error *err)
{
    MV_LOCK_SCOPE(&registry->lock);
    return check_id_locked(registry, block, err);
}

static int refuse_parts(const struct mv_block *block, const struct mv_block *other,
                        struct mv_error *err)
{
    const struct mv_backing *mine = block->backing, *its = other->backing;
    return mv_error_set(err, EBUSY,
                        "its bytes 0x%" PRIx64 "-0x%" PRIx64 " of %s overlap those of block "
                        "%s, 0x%" PRIx64 "-0x%" PRIx64 ": give another offset=, such as "
                        "offset=0x%" PRIx64 ", or both same-file=ok where they shall share the "
                        "bytes",
                        mine->offset, mine->offset + block->size - 1,
                        mine->path == NULL ? "the descriptor" : mine->path, other->id, its->offset,
                        its->offset + other->size - 1,
                        mv_align_up(its->offset + other->size, mine->page_size));
}

int mv_block_registry_check_file(struct mv_block_registry *registry, const struct mv_block *block,
                                 struct mv_error *err)
{
    const struct mv_backing *mine = block->backing;
    MV_LOCK_SCOPE(&registry->lock);
    for (const struct mv_block *other = registry->first; other != NULL; other = other->next) {
        const struct mv_backing *its = other->backing;
        if ((mine->same_file && its->same_file) || mine->fd < 0 || its->fd < 0 ||
            !(mine->share || its->share) ||
            mine->device != its->device || mine->inode != its->inode ||
            mine->offset >= its->offset + other->size || its->offset >= mine->offset + block->size)
            continue;
        if (mine->part || its->part)
            return refuse_parts(block, other, err);
        return mv_error_set(err, EBUSY,
                            "%s%s%s is block %s already: give each block a file of its own, or "
                            "both same-file=ok where they shall share the bytes",
                            mine->path == NULL ? "its descriptor" : "file '",
                            mine->path == NULL ? "" : mine->path, mine->path == NULL ? "" : "'",
                            other->id);
    }
    return 0;
}

int mv_block_registry_insert(struct mv_block_registry *registry, struct mv_block *block,
                             struct mv_error *err)
{
    MV_LOCK_SCOPE(&registry->lock);
    int r = check_id_locked(registry, block, err);
    if (r < 0)
        return r;
    struct mv_block **last = &registry->first;
    while (*last != NULL)
        last = &(*last)->next;
    *last = block;
    block->generation = ++registry->last_generation;
    return 0;
}

void mv_block_registry_remove(struct mv_block_registry *registry, struct mv_block *block)
{
    MV_LOCK_SCOPE(&registry->lock);
    struct mv_block **link = &registry->first;
    while (*link != block)
        link = &(*link)->next;
    *link = block->next;
}

void mv_block_for_each(struct mv_block_registry *registry,
                       void (*fn)(struct mv_block *block, void *opaque), void *opaque)
{
    MV_LOCK_SCOPE(&registry->lock);
    for (struct mv_block *block = registry->first; block != NULL; block = block->next)
        fn(block, opaque);
}

/* --- faults */

bool mv_block_find_host(struct mv_block_registry *registry, const uint8_t *host,
                        uint64_t *ret_generation, uint64_t *ret_offset)
{
    MV_LOCK_SCOPE(&registry->lock);
    for (struct mv_block *block = registry->first; block != NULL; block = block->next) {
        uint64_t offset = (uint64_t)((uintptr_t)host - (uintptr_t)block->host);
        if (offset >= block->size)
            continue;
        *ret_generation = block->generation;
        *ret_offset = offset;
        return true;
    }
    return false;
}

void mv_block_registry_on_fault(struct mv_block_registry *registry, mv_block_fault_fn *fn,
                                void *opaque)
{
    registry->fault_fn = fn;
    registry->fault_opaque = opaque;
}

int mv_block_registry_tell_fault(struct mv_block *block, const uint8_t *host)
{
    const struct mv_block_registry *registry = block->registry;
    if (registry->fault_fn != NULL)
        registry->fault_fn(registry->fault_opaque, block, (uint64_t)(host - block->host));
    return -EIO;
}

/* --- --back and --mem-dir */

void mv_block_registry_set_backs(struct mv_block_registry *registry,
                                 const struct mv_config_back *backs, size_t count,
                                 const char *mem_dir)
{
    registry->backs = backs;
    registry->back_count = count;
    registry->mem_dir = mem_dir;
}

/* The first that names the id, NULL for none. */
static const struct mv_config_back *find_back(const struct mv_block_registry *registry,
                                              const char *id)
{
    for (size_t i = 0; i < registry->back_count; i++) {
        if (strcmp(registry->backs[i].id, id) == 0)
            return &registry->backs[i];
    }
    return NULL;
}

static void list_ids(struct mv_block_registry *registry, char *buf, size_t size)
{
    size_t used = 0;
    buf[0] = '\0';
    MV_LOCK_SCOPE(&registry->lock);
    for (const struct mv_block *block = registry->first; block != NULL && used < size;
         block = block->next)
        used += (size_t)snprintf(buf + used, size - used, "%s%s", used == 0 ? "" : ", ", block->id);
}

int mv_block_registry_check_backs(struct mv_block_registry *registry, struct mv_error *err)
{
    for (size_t i = 0; i < registry->back_count; i++) {
        const struct mv_config_back *back = &registry->backs[i];
        const struct mv_config_back *first = find_back(registry, back->id);
        char ids[1024];
        if (first == back && mv_block_find(registry, back->id) != NULL)
            continue;
        list_ids(registry, ids, sizeof ids);
        if (first != back)
            return mv_error_set(err, EEXIST,
                                "block %s is given a file twice, by '%s' and by '%s': give it "
                                "once: the blocks there are: %s",
                                back->id, first->text, back->text, ids);
        return mv_error_set(err, ENOENT, "--back %s: no block is named '%s': there are %s",
                            back->text, back->id, ids);
    }
    return 0;
}

static bool names_place(const struct mv_config_backing *wish)
{
    return wish->file != NULL || wish->has_fd || wish->memfd || wish->hugetlb != 0;
}

static void overlay_switch(enum mv_config_switch *under, enum mv_config_switch over)
{
    if (over != MV_SWITCH_DEFAULT)
        *under = over;
}

/* What `over` says, else what `under` does. */
static void overlay(struct mv_config_backing *under, const struct mv_config_backing *over)
{
    under->file = over->file;
    under->has_offset = over->has_offset;
    under->offset = over->offset;
    under->create |= over->create;
    under->same_file |= over->same_file;
    overlay_switch(&under->share, over->share);
    overlay_switch(&under->thp, over->thp);
    overlay_switch(&under->prealloc, over->prealloc);
    overlay_switch(&under->lock, over->lock);
    overlay_switch(&under->merge, over->merge);
    overlay_switch(&under->dump, over->dump);
    overlay_switch(&under->save, over->save);
    if (over->policy != NULL) {
        under->policy = over->policy;
        under->host_nodes = over->host_nodes;
    }
}

int mv_block_registry_merge_wish(struct mv_block_registry *registry, const char *id,
                                 const struct mv_config_backing *wish,
                                 struct mv_config_backing *ret, const char **ret_mem_dir,
                                 struct mv_error *err)
{
    struct mv_config_backing merged = {0};
    if (wish != NULL)
        merged = *wish;
    const struct mv_config_back *back = find_back(registry, id);
    if (back != NULL && names_place(&merged))
        return mv_error_set(err, EINVAL,
                            "block %s has a place for its bytes already, so that '%s' cannot "
                            "give it another: give it one",
                            id, back->text);
    if (back != NULL)
        overlay(&merged, &back->backing);
    *ret = merged;
    *ret_mem_dir = registry->mem_dir;
    return 0;
}

/* --- limits of the host */

static void add_use(struct mv_limits_use *sum, const struct mv_limits_use *use)
{
    sum->memory += use->memory;
    sum->early += use->early;
    sum->locked += use->locked;
}

static void sum_uses(struct mv_block_registry *registry, struct mv_limits_use *ret)
{
    *ret = (struct mv_limits_use){0};
    MV_LOCK_SCOPE(&registry->lock);
    for (const struct mv_block *block = registry->first; block != NULL; block = block->next)
        add_use(ret, &block->use);
}

int mv_block_registry_check_limits(struct mv_block_registry *registry,
                                   const struct mv_backing_request *request,
                                   struct mv_limits_use *ret, struct mv_error *err)
{
    struct mv_limits_use there;
    sum_uses(registry, &there);
    return mv_limits_check(request, 1, &there, registry->planned, ret, err);
}

uint64_t mv_block_registry_locked(const struct mv_block *block)
{
    struct mv_limits_use there;
    sum_uses(block->registry, &there);
    return block->registry->planned ? block->registry->plan.locked
                                    : there.locked + block->use.locked;
}

int mv_block_registry_plan(struct mv_block_registry *registry, const struct mv_bank_layout *layout,
                           struct mv_error *err)
{
    CLEANUP_FREE struct mv_backing_request *requests = calloc(layout->count, sizeof *requests);
    CLEANUP_FREE struct mv_config_backing *wishes = calloc(layout->count, sizeof *wishes);
    CLEANUP_FREE struct mv_limits_use *uses = calloc(layout->count, sizeof *uses);
    int r = 0;
    if (requests == NULL || wishes == NULL || uses == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the banks");
    for (size_t i = 0; r == 0 && i < layout->count; i++) {
        const struct mv_bank *bank = &layout->banks[i];
        requests[i] = (struct mv_backing_request){bank->id, bank->size, &wishes[i], NULL};
        r = mv_block_registry_merge_wish(registry, bank->id, &bank->wish->backing, &wishes[i],
                                         &requests[i].mem_dir, err);
    }
    sum_uses(registry, &registry->plan);
    if (r == 0)
        r = mv_limits_check(requests, layout->count, &registry->plan, false, uses, err);
    for (size_t i = 0; r == 0 && i < layout->count; i++)
        add_use(&registry->plan, &uses[i]);
    registry->planned = r == 0;
    return r;
}

void mv_block_registry_plan_end(struct mv_block_registry *registry)
{
    registry->planned = false;
}
