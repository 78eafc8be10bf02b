/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that tell what the guest writes into each block during some time, by
 * dirty logs of their own in a job's thread.  x-dirty-map answers once it has
 * measured; calc-dirty-rate (QEMU, qapi/migration.json) answers at once, and
 * query-dirty-rate tells what came of it.  `struct mv_dirty_rate` is the main
 * thread's: a job writes to it where it is cleared, which is there.
 */
#include "block.h"
#include "cleanup.h"
#include "control.h"
#include "dirty-log.h"
#include "job.h"
#include "machine.h"
#include "os.h"
#include "qmp-json.h"
#include "qmp-session.h"

#include <string.h>
#include <time.h>

#define NAP_MS     20
#define PARTS_MAX  4096
#define MAP_MS     250 /* x-dirty-map's time where none is given */
#define MAP_MS_MAX 60000
#define CALC_S_MAX 60 /* QEMU's own limit */

/* --- types */

/* Of QEMU's modes, the one that there is here. */
MV_QMP_ENUM_TYPE(mode_type, "DirtyRateMeasureMode", "dirty-bitmap");
MV_QMP_OBJECT_TYPE(calc_dirty_rate_args_type, "q_obj_calc-dirty-rate-arg",
                   {"calc-time", &mv_qmp_int}, {"mode", &mode_type, true});

MV_QMP_ENUM_TYPE(status_type, "DirtyRateStatus", "unstarted", "measuring", "measured");
MV_QMP_OBJECT_TYPE(dirty_rate_type, "DirtyRateInfo", {"dirty-rate", &mv_qmp_int, true},
                   {"status", &status_type}, {"start-time", &mv_qmp_int},
                   {"calc-time", &mv_qmp_int}, {"sample-pages", &mv_qmp_uint},
                   {"mode", &mode_type});

MV_QMP_OBJECT_TYPE(dirty_map_args_type, "q_obj_x-dirty-map-arg",
                   {"milliseconds", &mv_qmp_uint, true}, {"parts", &mv_qmp_uint, true});

MV_QMP_OBJECT_TYPE(dirty_map_row_type, "DirtyMap", {"id", &mv_qmp_str},
                   {"generation", &mv_qmp_uint}, {"size", &mv_qmp_uint},
                   {"milliseconds", &mv_qmp_uint}, {"dirty", &mv_qmp_uint},
                   {"map", &mv_qmp_uint_list, true});
MV_QMP_LIST_TYPE(dirty_map_type, "DirtyMapList", dirty_map_row_type);

/*
 * --- measuring: cursors are opened under the registry's lock, which keeps the blocks
 * there; afterwards a block may go, and its cursor says so.
 */

struct entry {
    char *id;
    uint64_t generation;
    uint64_t size;                  /* bytes */
    uint64_t dirty;                 /* bytes of the pages that were written */
    struct mv_dirty_cursor *cursor; /* NULL: the block went meanwhile */
};

struct measurement {
    struct mv_job job; /* first */
    struct mv_machine *machine;
    uint64_t milliseconds;
    size_t parts;               /* x-dirty-map: 0 for no map */
    struct mv_dirty_rate *rate; /* calc-dirty-rate; NULL for x-dirty-map */
    struct entry *entries;
    size_t count;
    int result; /* of opening the cursors */
    bool measured;
    uint64_t bytes_per_second;
};

static void open_block(struct mv_block *block, void *opaque)
{
    struct measurement *m = opaque;
    if (m->result < 0)
        return;
    struct entry *grown = reallocarray(m->entries, m->count + 1, sizeof *m->entries);
    char *id = strdup(block->id);
    if (grown != NULL)
        m->entries = grown;
    if (grown == NULL || id == NULL) {
        free(id);
        m->result = mv_error_set_errno(&m->job.err, ENOMEM, "measuring what is written");
        return;
    }
    struct entry *entry = &m->entries[m->count++];
    *entry = (struct entry){.id = id, .generation = block->generation, .size = block->size};
    m->result =
        mv_dirty_cursor_open(mv_machine_space(m->machine), block, &entry->cursor, &m->job.err);
}

/* Sleeps in short naps, so that a VM that ends need not wait for this. */
static void sleep_until(int64_t end, const atomic_bool *cancelled)
{
    for (int64_t now; (now = mv_now_ms()) < end && !atomic_load(cancelled);) {
        int64_t nap = end - now < NAP_MS ? end - now : NAP_MS;
        nanosleep(&(struct timespec){.tv_nsec = (long)nap * 1000000}, NULL);
    }
}

static void take(struct entry *entry)
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

/*
 * Bytes written in each of `parts` stretches of size / parts bytes, the last one
 * what is left; zeroed before.
 */
static void map_entry(const struct entry *entry, size_t parts, uint64_t *ret_bytes)
{
    uint64_t offset = 0, len, step = entry->size / parts;
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

static json_t *describe_entry(const struct entry *entry, uint64_t elapsed_ms, size_t parts)
{
    json_t *row =
        json_pack("{s:s, s:I, s:I, s:I, s:I}", "id", entry->id, "generation",
                  (json_int_t)entry->generation, "size", (json_int_t)entry->size, "milliseconds",
                  (json_int_t)elapsed_ms, "dirty", (json_int_t)entry->dirty);
    CLEANUP_FREE uint64_t *bytes = parts == 0 ? NULL : calloc(parts, sizeof *bytes);
    if (bytes == NULL && parts > 0)
        mv_json_memory_note();
    if (bytes == NULL)
        return row;
    map_entry(entry, parts, bytes);
    json_object_set_new(row, "map", mv_qmp_value_uints(bytes, parts));
    return row;
}

/* Listen to all blocks for so long, or until it is cancelled. */
static int measure(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct measurement *m = (struct measurement *)job;
    uint64_t bytes = 0;
    mv_block_for_each(mv_machine_blocks(m->machine), open_block, m);
    if (m->result < 0)
        return m->result;
    int64_t start = mv_now_ms();
    sleep_until(start + (int64_t)m->milliseconds, &job->cancelled);
    for (size_t i = 0; i < m->count; i++)
        take(&m->entries[i]);
    uint64_t elapsed_ms = (uint64_t)(mv_now_ms() - start);
    elapsed_ms += elapsed_ms == 0;
    json_t *list = m->rate == NULL ? json_array() : NULL;
    for (size_t i = 0; i < m->count; i++) {
        bytes += m->entries[i].dirty;
        if (m->rate == NULL && m->entries[i].cursor != NULL)
            json_array_append_new(list, describe_entry(&m->entries[i], elapsed_ms, m->parts));
    }
    m->bytes_per_second = (uint64_t)((double)bytes * 1000 / (double)elapsed_ms);
    m->measured = !atomic_load(&job->cancelled);
    *ret = list;
    return 0;
}

static void clear(struct mv_job *job)
{
    struct measurement *m = (struct measurement *)job;
    for (size_t i = 0; i < m->count; i++) {
        mv_dirty_cursor_close(m->entries[i].cursor);
        free(m->entries[i].id);
    }
    free(m->entries);
    if (m->rate == NULL)
        return;
    m->rate->state = m->measured ? MV_DIRTY_RATE_MEASURED : MV_DIRTY_RATE_UNSTARTED;
    m->rate->bytes_per_second = m->bytes_per_second;
}

/* --- commands */

/* An optional number from 1 to max: *ret stays where it is not given. */
static int take_number(const struct mv_qmp_call *call, const char *key, uint64_t max, uint64_t *ret,
                       struct mv_error *err)
{
    const json_t *value = json_object_get(call->arguments, key);
    if (value == NULL)
        return 0;
    uint64_t number = mv_qmp_value_uint(value);
    if (number < 1 || number > max)
        return mv_error_set(err, ERANGE, "'%s': from 1 to %llu are possible", key,
                            (unsigned long long)max);
    *ret = number;
    return 0;
}

static int dirty_map(struct mv_qmp_call *call, struct mv_error *err)
{
    uint64_t parts = 0, milliseconds = MAP_MS;
    int r = take_number(call, "parts", PARTS_MAX, &parts, err);
    if (r == 0)
        r = take_number(call, "milliseconds", MAP_MS_MAX, &milliseconds, err);
    if (r < 0)
        return r;
    struct measurement m = {.job = {.run = measure, .clear = clear},
                            .machine = call->machine,
                            .milliseconds = milliseconds,
                            .parts = parts};
    return mv_jobs_start(call, &m.job, sizeof m, err);
}

static int calc_dirty_rate(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_dirty_rate *rate = &call->session->control->dirty_rate;
    struct timespec now;
    uint64_t seconds = 1;
    int r = take_number(call, "calc-time", CALC_S_MAX, &seconds, err);
    if (r < 0)
        return r;
    if (rate->state == MV_DIRTY_RATE_MEASURING)
        return mv_error_set(err, EBUSY,
                            "a measurement is under way: query-dirty-rate tells when it is over");
    clock_gettime(CLOCK_BOOTTIME, &now);
    const struct mv_dirty_rate before = *rate;
    *rate = (struct mv_dirty_rate){
        .state = MV_DIRTY_RATE_MEASURING, .start_s = (uint64_t)now.tv_sec, .calc_s = seconds};
    struct measurement m = {.job = {.run = measure, .clear = clear, .at_once = true},
                            .machine = call->machine,
                            .milliseconds = seconds * 1000,
                            .rate = rate};
    r = mv_jobs_start(call, &m.job, sizeof m, err);
    if (r < 0)
        *rate = before;
    return r;
}

static int query_dirty_rate(struct mv_qmp_call *call, struct mv_error *err)
{
    static const char *const words[] = {
        [MV_DIRTY_RATE_UNSTARTED] = "unstarted",
        [MV_DIRTY_RATE_MEASURING] = "measuring",
        [MV_DIRTY_RATE_MEASURED] = "measured",
    };
    const struct mv_dirty_rate *rate = &call->session->control->dirty_rate;
    call->result = json_pack("{s:s, s:I, s:I, s:i, s:s}", "status", words[rate->state],
                             "start-time", (json_int_t)rate->start_s, "calc-time",
                             (json_int_t)rate->calc_s, "sample-pages", 0, "mode", "dirty-bitmap");
    if (rate->state == MV_DIRTY_RATE_MEASURED)
        json_object_set_new(call->result, "dirty-rate",
                            json_integer((json_int_t)(rate->bytes_per_second >> 20)));
    return 0;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_dirty[] = {
    {"calc-dirty-rate", &calc_dirty_rate_args_type, &mv_qmp_empty, calc_dirty_rate},
    {"query-dirty-rate", &mv_qmp_empty, &dirty_rate_type, query_dirty_rate},
    {"x-dirty-map", &dirty_map_args_type, &dirty_map_type, dirty_map},
    {NULL},
};
