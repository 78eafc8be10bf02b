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

static int add(struct mv_track *track, const struct mv_ram_part *part, struct mv_space *space,
               struct mv_error *err)
{
    struct mv_block *block = part->block;
    if (block != NULL && block->backing->share)
        return 0;
    struct tracked *entry = &track->blocks[track->count++];
    *entry = (struct tracked){.id = strdup(id_of(part)),
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
    for (size_t i = 0; r == 0 && i < plan->count; i++)
        r = add(track, &plan->parts[i], space, err);
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

void mv_tracks_add(struct mv_tracks *tracks, struct mv_track *track)
{
    if (tracks->count == MV_TRACKS_MAX) {
        mv_track_close(tracks->list[0]);
        memmove(tracks->list, tracks->list + 1, --tracks->count * sizeof tracks->list[0]);
        tracks->let_go = true;
    }
    tracks->list[tracks->count++] = track;
}

void mv_tracks_clear(struct mv_tracks *tracks)
{
    while (tracks->count > 0)
        mv_track_close(tracks->list[--tracks->count]);
    *tracks = (struct mv_tracks){0};
}

/* --- a state that builds on one of them */

static int refuse_base(const struct mv_tracks *tracks, const char *base, struct mv_error *err)
{
    const struct mv_track *newest = tracks->list[tracks->count - 1];
    if (!tracks->let_go)
        return mv_error_set(err, EINVAL,
                            "'%s' cannot be a base: it was not saved of this guest since it was "
                            "started here; what was saved of it last is in '%s'",
                            base, newest->path);
    return mv_error_set(err, EINVAL,
                        "'%s' cannot be a base: it is none of the %d states that were saved of "
                        "this guest last, and what changed since older ones is let go: name one "
                        "of these, such as '%s', or save without a base",
                        base, MV_TRACKS_MAX, newest->path);
}

static int find_track(const struct mv_tracks *tracks, const struct mv_chain_file *base,
                      const struct mv_track **ret, struct mv_error *err)
{
    for (size_t i = 0; i < tracks->count; i++) {
        if (memcmp(base->state->id, tracks->list[i]->id, sizeof base->state->id) == 0) {
            *ret = tracks->list[i];
            return 0;
        }
    }
    return refuse_base(tracks, base->path, err);
}

static int check_chain(const struct mv_chain *chain, const char *path, struct mv_error *err)
{
    struct stat own, other;
    bool is_there = stat(path, &own) == 0;
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

int mv_tracks_find(const struct mv_tracks *tracks, const char *base, const char *path,
                   const struct mv_track **ret, struct mv_error *err)
{
    const struct mv_track *track = NULL;
    struct mv_chain chain;
    if (tracks->count == 0)
        return mv_error_set(err, EINVAL,
                            "'%s' cannot be a base: this guest was not saved yet since it was "
                            "started here",
                            base);
    int r = mv_chain_open(base, &chain, err);
    if (r < 0)
        return r;
    r = mv_chain_follow(&chain, err);
    if (r == 0)
        r = find_track(tracks, &chain.files[0], &track, err);
    if (r == 0)
        r = check_chain(&chain, path, err);
    mv_chain_close(&chain);
    if (r == 0)
        *ret = track;
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
