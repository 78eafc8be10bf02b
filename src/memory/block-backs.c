/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of a VM's blocks are to live, seen over all of them: what --back and
 * --mem-dir say of blocks that may come, and that no two blocks have the same bytes
 * unless both say so.  The main thread's; called by block.c, host-limits.c and the
 * machine.
 */
#include "block-registry.h"

#include "cleanup.h"
#include "config.h"
#include "size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- --back and --mem-dir */

void mv_block_registry_set_backs(struct mv_block_registry *registry,
                                 const struct mv_config_back *backs, size_t count,
                                 const char *mem_dir)
{
    registry->backs = backs;
    registry->back_count = count;
    registry->mem_dir = mem_dir;
}

void mv_block_registry_set_space(struct mv_block_registry *registry, struct mv_space *space)
{
    registry->space = space;
}

void mv_block_registry_set_places(struct mv_block_registry *registry,
                                  const struct mv_block_place *places, size_t count)
{
    registry->places = places;
    registry->place_count = count;
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
    return wish->file != NULL || wish->nbd != NULL || wish->has_fd || wish->memfd ||
           wish->hugetlb != 0;
}

/* What `over` says, else what `under` does. */
static void overlay(struct mv_config_backing *under, const struct mv_config_backing *over)
{
#define SWITCH(name) offsetof(struct mv_config_backing, name)
    static const size_t switches[] = {SWITCH(share), SWITCH(thp),  SWITCH(prealloc), SWITCH(lock),
                                      SWITCH(merge), SWITCH(dump), SWITCH(save)};
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        const enum mv_config_switch *said = (const void *)((const char *)over + switches[i]);
        if (*said != MV_SWITCH_DEFAULT)
            *(enum mv_config_switch *)((char *)under + switches[i]) = *said;
    }
    under->file = over->file;
    under->nbd = over->nbd;
    under->cache = over->cache;
    under->has_offset = over->has_offset;
    under->offset = over->offset;
    under->create = over->create;
    under->same_file = over->same_file;
    if (over->policy != NULL) {
        under->policy = over->policy;
        under->host_nodes = over->host_nodes;
    }
}

/* What has a place of its own that others may look into stays there. */
static bool may_move(const struct mv_backing_request *request, const struct mv_block_place *place)
{
    const struct mv_config_backing *wish = &request->wish;
    if (wish->memfd || wish->hugetlb != 0)
        return false;
    if (wish->file != NULL || wish->has_fd)
        return wish->share == MV_SWITCH_OFF;
    if (wish->nbd != NULL)
        return wish->share != MV_SWITCH_ON;
    return place->share || (wish->share != MV_SWITCH_ON && request->mem_dir == NULL);
}

static const struct mv_block_place *find_place(const struct mv_block_registry *registry,
                                               const struct mv_backing_request *request)
{
    for (size_t i = 0; i < registry->place_count; i++) {
        const struct mv_block_place *place = &registry->places[i];
        if (strcmp(place->id, request->id) == 0)
            return may_move(request, place) ? place : NULL;
    }
    return NULL;
}

int mv_block_registry_request(struct mv_block_registry *registry, const char *id, uint64_t size,
                              const struct mv_config_backing *wish, struct mv_backing_request *ret,
                              struct mv_error *err)
{
    const struct mv_config_back *back = find_back(registry, id);
    if (back != NULL && names_place(wish))
        return mv_error_set(err, EINVAL,
                            "block %s has a place for its bytes already, so that '%s' cannot "
                            "give it another: give it one",
                            id, back->text);
    *ret = (struct mv_backing_request){
        .id = id, .size = size, .wish = *wish, .mem_dir = registry->mem_dir};
    if (back != NULL)
        overlay(&ret->wish, &back->backing);
    ret->place = find_place(registry, ret);
    return 0;
}

/* --- the same bytes */

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
            !(mine->share || its->share) || mine->device != its->device ||
            mine->inode != its->inode || mine->offset >= its->offset + other->size ||
            its->offset >= mine->offset + block->size)
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
