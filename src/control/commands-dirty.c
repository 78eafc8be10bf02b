/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that tell what the guest writes into each block during some time, by
 * dirty logs of their own in a job's thread.  x-dirty-map answers once it has
 * measured; calc-dirty-rate (QEMU, qapi/migration.json) answers at once, and
 * query-dirty-rate tells what came of it.  `struct mv_dirty_rate` is the main
 * thread's: a job writes to it where it is destroyed, which is there.
 */
#include "block.h"
#include "cleanup.h"
#include "control.h"
#include "dirty-log.h"
#include "job.h"
#include "machine.h"
#include "os.h"
#include "qmp-command.h"
#include "qmp-json.h"

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
 * --- the meter: its cursors are opened under the registry's lock, which keeps the
 * blocks there; afterwards a block may go, and its cursor says so.
 */

struct entry {
    char *id;
    uint64_t generation;
    uint64_t size;                  /* bytes */
    uint64_t dirty;                 /* bytes of the pages that were written */
    struct mv_dirty_cursor *cursor; /* NULL: the block went meanwhile */
};

struct meter {
    struct entry *entries;
    size_t count;
    uint64_t elapsed_ms; /* how long it listened, at least 1 */
};

struct opening {
    struct mv_machine *machine;
    struct meter *meter;
    struct mv_error *err;
    int result;
};

static void open_block(struct mv_block *block, void *opaque)
{
    struct opening *opening = opaque;
    struct meter *meter = opening->meter;
    if (opening->result < 0)
        return;
    struct entry *grown = reallocarray(meter->entries, meter->count + 1, sizeof *meter->entries);
    char *id = strdup(block->id);
    if (grown != NULL)
        meter->entries = grown;
    if (grown == NULL || id == NULL) {
        free(id);
        opening->result = mv_error_set_errno(opening->err, ENOMEM, "measuring what is written");
        return;
    }
    meter->entries[meter->count++] =
        (struct entry){.id = id, .generation = block->generation, .size = block->size};
    opening->result = mv_dirty_cursor_open(mv_machine_space(opening->machine), block,
                                           &meter->entries[meter->count - 1].cursor, opening->err);
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

static void free_meter(struct meter *meter)
{
    for (size_t i = 0; i < meter->count; i++) {
        mv_dirty_cursor_close(meter->entries[i].cursor);
        free(meter->entries[i].id);
    }
    free(meter->entries);
    *meter = (struct meter){0};
}

/*
 * Listen to all blocks for so long, or until *cancelled; then the entries' cursors
 * hold what was written.  Any thread but a vCPU's.  -ENOMEM.
 */
static int measure(struct mv_machine *machine, uint64_t milliseconds, const atomic_bool *cancelled,
                   struct meter *ret, struct mv_error *err)
{
    struct meter meter = {0};
    struct opening opening = {.machine = machine, .meter = &meter, .err = err};
    mv_block_for_each(mv_machine_blocks(machine), open_block, &opening);
    if (opening.result < 0) {
        free_meter(&meter);
        return opening.result;
    }
    int64_t start = mv_now_ms();
    sleep_until(start + (int64_t)milliseconds, cancelled);
    for (size_t i = 0; i < meter.count; i++)
        take(&meter.entries[i]);
    meter.elapsed_ms = (uint64_t)(mv_now_ms() - start);
    meter.elapsed_ms += meter.elapsed_ms == 0;
    *ret = meter;
    return 0;
}

/* Bytes written in each of `parts` stretches of size / parts bytes, the last one what is left. */
static void map_entry(const struct entry *entry, size_t parts, uint64_t *ret_bytes)
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

/* --- jobs */

struct measurement {
    struct mv_job job; /* first */
    struct mv_machine *machine;
    uint64_t milliseconds;
    size_t parts;               /* x-dirty-map: 0 for no map */
    struct mv_dirty_rate *rate; /* calc-dirty-rate */
    bool measured;
    uint64_t bytes_per_second;
};

static int start(struct mv_qmp_call *call, struct measurement wish, struct mv_qmp_session *session,
                 struct mv_error *err)
{
    struct measurement *measurement = malloc(sizeof *measurement);
    if (measurement == NULL)
        return mv_error_set_errno(err, ENOMEM, "measuring what is written");
    *measurement = wish;
    measurement->machine = mv_control_machine(call->control);
    return mv_jobs_start(mv_control_jobs(call->control), &measurement->job, session, err);
}

/* --- x-dirty-map */

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
    json_t *map = json_array();
    map_entry(entry, parts, bytes);
    for (size_t i = 0; i < parts; i++)
        json_array_append_new(map, json_integer((json_int_t)bytes[i]));
    json_object_set_new(row, "map", map);
    return row;
}

static int run_map(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct measurement *measurement = (struct measurement *)job;
    struct meter meter;
    int r = measure(measurement->machine, measurement->milliseconds, &job->cancelled, &meter, err);
    if (r < 0)
        return r;
    json_t *list = json_array();
    for (size_t i = 0; i < meter.count; i++) {
        if (meter.entries[i].cursor != NULL)
            json_array_append_new(
                list, describe_entry(&meter.entries[i], meter.elapsed_ms, measurement->parts));
    }
    free_meter(&meter);
    *ret = list;
    return 0;
}

static void destroy_map(struct mv_job *job)
{
    free(job);
}

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
    return start(call,
                 (struct measurement){.job = {.run = run_map, .destroy = destroy_map},
                                      .milliseconds = milliseconds,
                                      .parts = parts},
                 call->session, err);
}

/* --- calc-dirty-rate, query-dirty-rate */

static int run_rate(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct measurement *measurement = (struct measurement *)job;
    struct meter meter;
    uint64_t bytes = 0;
    int r = measure(measurement->machine, measurement->milliseconds, &job->cancelled, &meter, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < meter.count; i++)
        bytes += meter.entries[i].dirty;
    measurement->bytes_per_second = (uint64_t)((double)bytes * 1000 / (double)meter.elapsed_ms);
    measurement->measured = !atomic_load(&job->cancelled);
    free_meter(&meter);
    return 0;
}

static void destroy_rate(struct mv_job *job)
{
    struct measurement *measurement = (struct measurement *)job;
    struct mv_dirty_rate *rate = measurement->rate;
    rate->state = measurement->measured ? MV_DIRTY_RATE_MEASURED : MV_DIRTY_RATE_UNSTARTED;
    rate->bytes_per_second = measurement->bytes_per_second;
    free(measurement);
}

static int calc_dirty_rate(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_dirty_rate *rate = mv_control_dirty_rate(call->control);
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
    r = start(call,
              (struct measurement){.job = {.run = run_rate, .destroy = destroy_rate},
                                   .milliseconds = seconds * 1000,
                                   .rate = rate},
              NULL, err);
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
    const struct mv_dirty_rate *rate = mv_control_dirty_rate(call->control);
    call->result = json_pack("{s:s, s:I, s:I, s:i, s:s}", "status", words[rate->state],
                             "start-time", (json_int_t)rate->start_s, "calc-time",
                             (json_int_t)rate->calc_s, "sample-pages", 0, "mode", "dirty-bitmap");
    if (rate->state == MV_DIRTY_RATE_MEASURED)
        json_object_set_new(call->result, "dirty-rate",
                            json_integer((json_int_t)(rate->bytes_per_second >> 20)));
    return 0;
}

/* --- the table */

static const struct mv_qmp_command commands[] = {
    {"calc-dirty-rate", &calc_dirty_rate_args_type, &mv_qmp_empty, calc_dirty_rate},
    {"query-dirty-rate", &mv_qmp_empty, &dirty_rate_type, query_dirty_rate},
    {"x-dirty-map", &dirty_map_args_type, &dirty_map_type, dirty_map},
    {NULL},
};

const struct mv_qmp_family mv_qmp_dirty = {commands, NULL};
