/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors are opened under the registry's lock, which keeps the blocks there;
 * afterwards a block may go, and its cursor says so.  Called by
 * commands-dirty.c, in a job's thread.
 */
#include "dirty-meter.h"

#include "block.h"
#include "cleanup.h"
#include "dirty-log.h"
#include "machine.h"

#include <string.h>
#include <time.h>

#define NAP_MS 20

struct opening {
    struct mv_machine *machine;
    struct mv_dirty_meter *meter;
    struct mv_error *err;
    int result;
};

static void open_block(struct mv_block *block, void *opaque)
{
    struct opening *opening = opaque;
    struct mv_dirty_meter *meter = opening->meter;
    if (opening->result < 0)
        return;
    struct mv_dirty_entry *grown =
        reallocarray(meter->entries, meter->count + 1, sizeof *meter->entries);
    char *id = strdup(block->id);
    if (grown != NULL)
        meter->entries = grown;
    if (grown == NULL || id == NULL) {
        free(id);
        opening->result = mv_error_set_errno(opening->err, ENOMEM, "measuring what is written");
        return;
    }
    meter->entries[meter->count++] =
        (struct mv_dirty_entry){.id = id, .generation = block->generation, .size = block->size};
    opening->result = mv_dirty_cursor_open(mv_machine_space(opening->machine), block,
                                           &meter->entries[meter->count - 1].cursor, opening->err);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* In naps, for a VM that ends does not wait for this. */
static void sleep_until(uint64_t end, const atomic_bool *cancelled)
{
    for (uint64_t now; (now = now_ms()) < end && !atomic_load(cancelled);) {
        uint64_t nap = end - now < NAP_MS ? end - now : NAP_MS;
        nanosleep(&(struct timespec){.tv_nsec = (long)nap * 1000000}, NULL);
    }
}

static void take(struct mv_dirty_entry *entry)
{
    struct mv_error err;
    uint64_t pages;
    if (mv_dirty_cursor_take(entry->cursor, &pages, &err) == 0) {
        entry->dirty = pages * MV_DIRTY_PAGE;
        return;
    }
    mv_dirty_cursor_close(entry->cursor);
    entry->cursor = NULL;
}

int mv_dirty_meter_run(struct mv_machine *machine, uint64_t milliseconds,
                       const atomic_bool *cancelled, struct mv_dirty_meter *ret,
                       struct mv_error *err)
{
    struct mv_dirty_meter meter = {0};
    struct opening opening = {.machine = machine, .meter = &meter, .err = err};
    mv_block_for_each(mv_machine_blocks(machine), open_block, &opening);
    if (opening.result < 0) {
        mv_dirty_meter_free(&meter);
        return opening.result;
    }
    uint64_t start = now_ms();
    sleep_until(start + milliseconds, cancelled);
    for (size_t i = 0; i < meter.count; i++)
        take(&meter.entries[i]);
    meter.elapsed_ms = now_ms() - start;
    meter.elapsed_ms += meter.elapsed_ms == 0;
    *ret = meter;
    return 0;
}

void mv_dirty_meter_free(struct mv_dirty_meter *meter)
{
    for (size_t i = 0; i < meter->count; i++) {
        mv_dirty_cursor_close(meter->entries[i].cursor);
        free(meter->entries[i].id);
    }
    free(meter->entries);
    *meter = (struct mv_dirty_meter){0};
}

void mv_dirty_entry_map(const struct mv_dirty_entry *entry, size_t parts, uint64_t *ret_bytes)
{
    uint64_t offset = 0, len, step = entry->size / parts;
    memset(ret_bytes, 0, parts * sizeof *ret_bytes);
    while (entry->cursor != NULL && mv_dirty_cursor_next(entry->cursor, &offset, &len)) {
        for (uint64_t end = offset + len; offset < end;) {
            size_t part = step == 0 || offset / step >= parts ? parts - 1 : offset / step;
            uint64_t stop = part == parts - 1 ? end : (part + 1) * step;
            stop = stop < end ? stop : end;
            ret_bytes[part] += stop - offset;
            offset = stop;
        }
    }
}
