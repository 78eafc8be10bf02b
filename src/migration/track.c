/* SPDX-License-Identifier: Apache-2.0 */
#include "track.h"

#include "backing.h"
#include "block.h"
#include "chain.h"
#include "dirty-log.h"
#include "save-plan.h"
#include "statefile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct tracked {
    char *id;
    uint64_t generation, size;
    struct mv_dirty_cursor *cursor; /* NULL: what a reset boots, which never changes */
};

struct mv_track {
    uint8_t id[MV_MANIFEST_ID_BYTES];
    char *path;
    struct tracked *blocks;
    size_t count;
};

static int no_memory(struct mv_error *err)
{
    return mv_error_set(err, ENOMEM, "no memory to note what the guest will write");
}

static const char *id_of(const struct mv_ram_part *part)
{
    return part->block != NULL ? part->block->id : part->id;
}

static uint64_t size_of(const struct mv_ram_part *part)
{
    return part->block != NULL ? part->block->size : part->size;
}

/* --- how it comes and goes */

static int add(struct mv_track *track, const char *id, const struct mv_ram_part *part,
               struct mv_space *space, struct mv_error *err)
{
    struct mv_block *block = part->block;
    if (block != NULL && block->backing->share)
        return 0;
    struct tracked *entry = &track->blocks[track->count++];
    *entry = (struct tracked){.id = strdup(id),
                              .generation = block == NULL ? 0 : block->generation,
                              .size = size_of(part)};
    if (entry->id == NULL)
        return no_memory(err);
    return block == NULL ? 0 : mv_dirty_cursor_open(space, block, &entry->cursor, err);
}

int mv_track_open(const struct mv_save_plan *plan, const char *path, struct mv_space *space,
                  struct mv_track **ret, struct mv_error *err)
{
    struct mv_track *track = calloc(1, sizeof *track);
    if (track == NULL)
        return no_memory(err);
    memcpy(track->id, plan->manifest.id, sizeof track->id);
    track->path = strdup(path);
    track->blocks = calloc(plan->count + 1, sizeof *track->blocks);
    int r = track->path == NULL || track->blocks == NULL ? no_memory(err) : 0;
    /* The parts' own names may be those of a manifest that is gone. */
    for (size_t i = 0, part = 0; r == 0 && i < plan->manifest.block_count; i++)
        if (plan->manifest.blocks[i].saved)
            r = add(track, plan->manifest.blocks[i].id, &plan->parts[part++], space, err);
    if (r < 0)
        mv_track_close(track);
    else
        *ret = track;
    return r;
}

void mv_track_close(struct mv_track *track)
{
    if (track == NULL)
        return;
    for (size_t i = 0; i < track->count; i++) {
        mv_dirty_cursor_close(track->blocks[i].cursor);
        free(track->blocks[i].id);
    }
    free(track->blocks);
    free(track->path);
    free(track);
}

/* --- a state that builds on it */

static int check_chain(const struct mv_track *track, const struct mv_chain *chain, const char *path,
                       struct mv_error *err)
{
    const struct mv_chain_file *base = &chain->files[0];
    struct stat own, other;
    bool is_there = stat(path, &own) == 0;
    if (memcmp(base->state->id, track->id, sizeof track->id) != 0)
        return mv_error_set(err, EINVAL,
                            "'%s' is not the state that was saved of this guest last: that was "
                            "written to '%s'",
                            base->path, track->path);
    if (chain->count == MV_CHAIN_MAX)
        return mv_error_set(err, EINVAL,
                            "%d states build on each other already: save it without a base",
                            MV_CHAIN_MAX);
    for (size_t i = 0; is_there && i < chain->count; i++)
        if (fstat(chain->files[i].fd, &other) == 0 && own.st_dev == other.st_dev &&
            own.st_ino == other.st_ino)
            return mv_error_set(err, EINVAL,
                                "'%s' would be replaced by a state that builds on it: name "
                                "another file",
                                path);
    return 0;
}

int mv_track_check(const struct mv_track *track, const char *base, const char *path,
                   struct mv_error *err)
{
    struct mv_chain chain;
    if (track == NULL)
        return mv_error_set(err, EINVAL,
                            "'%s' cannot be a base: this guest was not saved yet since it was "
                            "started here",
                            base);
    int r = mv_chain_open(base, &chain, err);
    if (r < 0)
        return r;
    r = mv_chain_follow(&chain, err);
    if (r == 0)
        r = check_chain(track, &chain, path, err);
    mv_chain_close(&chain);
    return r;
}

/* NULL: the state has it not, or of another device or size. */
static const struct tracked *find(const struct mv_track *track, const struct mv_ram_part *part)
{
    uint64_t generation = part->block == NULL ? 0 : part->block->generation;
    for (size_t i = 0; i < track->count; i++) {
        const struct tracked *entry = &track->blocks[i];
        if (entry->generation == generation && entry->size == size_of(part) &&
            strcmp(entry->id, id_of(part)) == 0)
            return entry;
    }
    return NULL;
}

int mv_track_apply(const struct mv_track *track, const char *base, struct mv_save_plan *plan,
                   struct mv_error *err)
{
    struct mv_manifest *manifest = &plan->manifest;
    manifest->base_path = realpath(base, NULL);
    if (manifest->base_path == NULL)
        return mv_error_set_errno(err, errno, "'%s'", base);
    manifest->has_base = true;
    memcpy(manifest->base_id, track->id, sizeof manifest->base_id);
    for (size_t i = 0; i < plan->count; i++) {
        const struct tracked *entry = find(track, &plan->parts[i]);
        plan->parts[i].partial = entry != NULL;
        plan->parts[i].since = entry == NULL ? NULL : entry->cursor;
    }
    return 0;
}
