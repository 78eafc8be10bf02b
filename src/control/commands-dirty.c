/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that tell what the guest writes.  x-dirty-map answers once it has
 * measured; calc-dirty-rate (QEMU, qapi/migration.json) answers at once, and
 * query-dirty-rate tells what came of it.  `struct mv_dirty_rate` is the main
 * thread's: a job writes to it where it is destroyed, which is there.
 */
#include "control.h"
#include "dirty-meter.h"
#include "job.h"
#include "json-memory.h"
#include "machine.h"
#include "qmp-command.h"
#include "qmp-value.h"

#include "cleanup.h"

#include <time.h>

#define PARTS_MAX  4096
#define MAP_MS     250 /* x-dirty-map's time where none is given */
#define MAP_MS_MAX 60000
#define CALC_S_MAX 60 /* QEMU's own limit */

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

static json_t *describe_entry(const struct mv_dirty_entry *entry, uint64_t elapsed_ms, size_t parts)
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
    mv_dirty_entry_map(entry, parts, bytes);
    for (size_t i = 0; i < parts; i++)
        json_array_append_new(map, json_integer((json_int_t)bytes[i]));
    json_object_set_new(row, "map", map);
    return row;
}

static int run_map(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct measurement *measurement = (struct measurement *)job;
    struct mv_dirty_meter meter;
    int r = mv_dirty_meter_run(measurement->machine, measurement->milliseconds, &job->cancelled,
                               &meter, err);
    if (r < 0)
        return r;
    json_t *list = json_array();
    for (size_t i = 0; i < meter.count; i++) {
        if (meter.entries[i].cursor != NULL)
            json_array_append_new(
                list, describe_entry(&meter.entries[i], meter.elapsed_ms, measurement->parts));
    }
    mv_dirty_meter_free(&meter);
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

int mv_qmp_dirty_map(struct mv_qmp_call *call, struct mv_error *err)
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
    struct mv_dirty_meter meter;
    uint64_t bytes = 0;
    int r = mv_dirty_meter_run(measurement->machine, measurement->milliseconds, &job->cancelled,
                               &meter, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < meter.count; i++)
        bytes += meter.entries[i].dirty;
    measurement->bytes_per_second = (uint64_t)((double)bytes * 1000 / (double)meter.elapsed_ms);
    measurement->measured = !atomic_load(&job->cancelled);
    mv_dirty_meter_free(&meter);
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

int mv_qmp_calc_dirty_rate(struct mv_qmp_call *call, struct mv_error *err)
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

int mv_qmp_query_dirty_rate(struct mv_qmp_call *call, struct mv_error *err)
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
