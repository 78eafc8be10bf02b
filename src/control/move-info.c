/* SPDX-License-Identifier: Apache-2.0 */
#include "move-info.h"

#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE   4096
#define MS(ns) ((json_int_t)((ns) / 1000000))

/* --- types */

#define STATUS_WORDS                                                                               \
    "none", "setup", "cancelling", "cancelled", "active", "postcopy-active", "postcopy-paused",    \
        "postcopy-recover", "completed", "failed", "pre-switchover", "device"
const struct mv_qmp_type mv_move_status_type = {.kind = MV_QMP_ENUM,
                                                .name = "MigrationStatus",
                                                .values =
                                                    (const char *const[]){STATUS_WORDS, NULL}};

MV_QMP_OBJECT_TYPE(stats_type, "MigrationStats", {"transferred", &mv_qmp_int},
                   {"remaining", &mv_qmp_int}, {"total", &mv_qmp_int}, {"duplicate", &mv_qmp_int},
                   {"skipped", &mv_qmp_int}, {"normal", &mv_qmp_int}, {"normal-bytes", &mv_qmp_int},
                   {"dirty-pages-rate", &mv_qmp_int}, {"mbps", &mv_qmp_number},
                   {"dirty-sync-count", &mv_qmp_int}, {"postcopy-requests", &mv_qmp_int},
                   {"page-size", &mv_qmp_int}, {"multifd-bytes", &mv_qmp_int},
                   {"pages-per-second", &mv_qmp_int}, {"precopy-bytes", &mv_qmp_int},
                   {"downtime-bytes", &mv_qmp_int}, {"postcopy-bytes", &mv_qmp_int},
                   {"dirty-sync-missed-zero-copy", &mv_qmp_int});

MV_QMP_ENUM_TYPE(address_kind_type, "SocketAddressType", "inet", "unix", "fd");
MV_QMP_OBJECT_TYPE(inet_type, "InetSocketAddress", {"host", &mv_qmp_str}, {"port", &mv_qmp_str});
MV_QMP_OBJECT_TYPE(unix_type, "UnixSocketAddress", {"path", &mv_qmp_str});
MV_QMP_OBJECT_TYPE(fd_type, "String", {"str", &mv_qmp_str});
static const struct mv_qmp_variant addresses[] = {
    {"inet", &inet_type}, {"unix", &unix_type}, {"fd", &fd_type}, {NULL}};
MV_QMP_VARIANT_TYPE(address_type, "SocketAddress", "type", addresses, {"type", &address_kind_type});
MV_QMP_LIST_TYPE(address_list_type, "SocketAddressList", address_type);

/* Microseconds: how long vCPUs waited for memory that followed them. */
MV_QMP_OBJECT_TYPE(waits_type, "XPostcopyWaits", {"count", &mv_qmp_uint}, {"total", &mv_qmp_uint},
                   {"median", &mv_qmp_uint}, {"longest", &mv_qmp_uint});

const struct mv_qmp_type mv_move_info_type = {
    .kind = MV_QMP_OBJECT,
    .name = "MigrationInfo",
    .members = (const struct mv_qmp_member[]){{"status", &mv_move_status_type, true},
                                              {"ram", &stats_type, true},
                                              {"total-time", &mv_qmp_int, true},
                                              {"expected-downtime", &mv_qmp_int, true},
                                              {"downtime", &mv_qmp_int, true},
                                              {"setup-time", &mv_qmp_int, true},
                                              {"cpu-throttle-percentage", &mv_qmp_int, true},
                                              {"error-desc", &mv_qmp_str, true},
                                              {"socket-address", &address_list_type, true},
                                              {"x-postcopy-waits", &waits_type, true},
                                              {NULL}}};

/* Bytes, bytes a second, microseconds, percent. */
const struct mv_qmp_type mv_move_progress_type = {
    .kind = MV_QMP_OBJECT,
    .name = "q_obj_X_MIGRATION_PROGRESS-arg",
    .members = (const struct mv_qmp_member[]){{"status", &mv_move_status_type},
                                              {"pass", &mv_qmp_uint},
                                              {"transferred", &mv_qmp_uint},
                                              {"remaining", &mv_qmp_uint},
                                              {"total", &mv_qmp_uint},
                                              {"rate", &mv_qmp_uint},
                                              {"dirty-rate", &mv_qmp_uint},
                                              {"expected-downtime", &mv_qmp_uint},
                                              {"throttle", &mv_qmp_uint},
                                              {NULL}}};

/* The pages that went over, by kind; compressed ones are among the normal ones. */
const struct mv_qmp_type mv_move_end_type = {
    .kind = MV_QMP_OBJECT,
    .name = "XSendInfo",
    .members = (const struct mv_qmp_member[]){{"memory", &mv_qmp_uint},
                                              {"transferred", &mv_qmp_uint},
                                              {"passes", &mv_qmp_uint},
                                              {"channels", &mv_qmp_uint},
                                              {"normal", &mv_qmp_uint},
                                              {"zero", &mv_qmp_uint},
                                              {"repeated", &mv_qmp_uint},
                                              {"compressed", &mv_qmp_uint},
                                              {"compressed-bytes", &mv_qmp_uint},
                                              {"postcopy-bytes", &mv_qmp_uint},
                                              {"postcopy-requests", &mv_qmp_uint},
                                              {"setup-microseconds", &mv_qmp_uint},
                                              {"microseconds", &mv_qmp_uint},
                                              {"downtime-microseconds", &mv_qmp_uint},
                                              {NULL}}};

/* --- query-migrate */

static json_t *describe_stats(const struct mv_move_progress *p)
{
    json_int_t pages = (json_int_t)p->data_pages, bytes = (json_int_t)p->transferred;
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:f, s:I, s:I, s:i, s:I, s:I, s:I, "
        "s:i, s:I, s:i}",
        "transferred", bytes, "remaining", (json_int_t)p->remaining, "total", (json_int_t)p->memory,
        "duplicate", (json_int_t)(p->zero_pages + p->fill_pages), "skipped", 0, "normal", pages,
        "normal-bytes", pages * PAGE, "dirty-pages-rate", (json_int_t)(p->dirty_rate / PAGE),
        "mbps", (double)p->rate * 8 / 1e6, "dirty-sync-count", (json_int_t)p->passes,
        "postcopy-requests", (json_int_t)p->requests, "page-size", PAGE, "multifd-bytes",
        p->channels > 1 ? bytes : 0, "pages-per-second", (json_int_t)(p->rate / PAGE),
        "precopy-bytes", bytes - (json_int_t)p->followed, "downtime-bytes", 0, "postcopy-bytes",
        (json_int_t)p->followed, "dirty-sync-missed-zero-copy", 0);
}

/* NULL for what is no socket, as with QEMU. */
static json_t *describe_address(const char *uri)
{
    char host[256];
    const char *port = strrchr(uri, ':');
    if (strncmp(uri, "unix:", 5) == 0)
        return json_pack("{s:s, s:s}", "type", "unix", "path", uri + 5);
    if (strncmp(uri, "tcp:", 4) != 0 || port == NULL || port < uri + 4)
        return NULL;
    bool bracketed = uri[4] == '[' && port[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(port - uri) - 4 - 2 * bracketed, uri + 4 + bracketed);
    return json_pack("{s:s, s:s, s:s}", "type", "inet", "host", host, "port", port + 1);
}

static json_t *describe_waits(const struct mv_wait_times *waits)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)waits->count, "total",
                     (json_int_t)(waits->total_ns / 1000), "median",
                     (json_int_t)(mv_wait_times_median(waits) / 1000), "longest",
                     (json_int_t)(waits->worst_ns / 1000));
}

/* What a status has is QEMU's (migration.c, populate_time_info and its callers). */
json_t *mv_move_info(const struct mv_move_progress *progress, const char *status,
                     const char *failure, const char *uri)
{
    enum mv_move_stage stage = progress->stage;
    json_t *info =
        json_pack("{s:s}", "status", status != NULL ? status : mv_move_stage_word(stage));
    json_t *address = uri == NULL ? NULL : describe_address(uri);
    if (stage != MV_MOVE_SETUP && progress->memory > 0) {
        json_object_set_new(info, "ram", describe_stats(progress));
        json_object_set_new(info, "total-time", json_integer(MS(progress->total_ns)));
        json_object_set_new(info, "setup-time", json_integer(MS(progress->setup_ns)));
    }
    if (stage >= MV_MOVE_FOLLOWING && stage <= MV_MOVE_COMPLETED)
        json_object_set_new(info, "downtime", json_integer(MS(progress->downtime_ns)));
    else if (stage >= MV_MOVE_ACTIVE && stage < MV_MOVE_FOLLOWING)
        json_object_set_new(info, "expected-downtime",
                            json_integer(MS(progress->expected_downtime_ns)));
    if (progress->throttle > 0)
        json_object_set_new(info, "cpu-throttle-percentage", json_integer(progress->throttle));
    if (failure != NULL) {
        json_t *text = json_string(failure);
        json_object_set_new(info, "error-desc",
                            text != NULL ? text : json_string("an error whose text is no UTF-8"));
    }
    if (progress->waits.count > 0)
        json_object_set_new(info, "x-postcopy-waits", describe_waits(&progress->waits));
    if (address != NULL)
        json_object_set_new(info, "socket-address", json_pack("[o]", address));
    return info;
}

json_t *mv_move_end(const struct mv_move_progress *p)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                     "memory", (json_int_t)p->memory, "transferred", (json_int_t)p->transferred,
                     "passes", (json_int_t)p->passes, "channels", (json_int_t)p->channels, "normal",
                     (json_int_t)p->data_pages, "zero", (json_int_t)p->zero_pages, "repeated",
                     (json_int_t)p->fill_pages, "compressed", (json_int_t)p->compressed_pages,
                     "compressed-bytes", (json_int_t)p->compressed_bytes, "postcopy-bytes",
                     (json_int_t)p->followed, "postcopy-requests", (json_int_t)p->requests,
                     "setup-microseconds", (json_int_t)(p->setup_ns / 1000), "microseconds",
                     (json_int_t)(p->total_ns / 1000), "downtime-microseconds",
                     (json_int_t)(p->downtime_ns / 1000));
}

/* --- events */

void mv_move_tell_progress(struct mv_control *control, const struct mv_move_progress *p)
{
    mv_control_send_event(
        control, "X_MIGRATION_PROGRESS", "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "status",
        mv_move_stage_word(p->stage), "pass", (json_int_t)p->passes, "transferred",
        (json_int_t)p->transferred, "remaining", (json_int_t)p->remaining, "total",
        (json_int_t)p->memory, "rate", (json_int_t)p->rate, "dirty-rate", (json_int_t)p->dirty_rate,
        "expected-downtime", (json_int_t)(p->expected_downtime_ns / 1000), "throttle",
        (json_int_t)p->throttle);
}

static void tell_passes(struct mv_control *control, unsigned up_to, unsigned *told)
{
    for (; *told < up_to; (*told)++)
        if (control->moving.params.events)
            mv_control_send_event(control, "MIGRATION_PASS", "{s:I}", "pass",
                                  (json_int_t)*told + 1);
}

static void tell_stage(struct mv_control *control, enum mv_move_stage stage)
{
    if (stage != MV_MOVE_HANDED && control->moving.params.events)
        mv_control_send_event(control, "MIGRATION", "{s:s}", "status", mv_move_stage_word(stage));
}

/* Stages that a move need not come by, and may come by again. */
static bool is_of_following(int stage)
{
    return stage >= 0 && mv_move_follows((enum mv_move_stage)stage);
}

/* Of those that lie between, each is told once, in order, where it was come by. */
static bool was_passed(const struct mv_move_progress *progress, int stage)
{
    if (stage == (int)progress->stage)
        return true;
    if (progress->stage > MV_MOVE_COMPLETED)
        return false; /* a failure cuts them short */
    return !is_of_following(stage) || (stage == MV_MOVE_FOLLOWING && progress->follows);
}

void mv_move_tell(struct mv_control *control, const struct mv_move_progress *progress,
                  int *told_stage, unsigned *told_passes)
{
    int stage = (int)progress->stage;
    if (is_of_following(stage) && *told_stage > stage) {
        *told_stage = stage;
        tell_stage(control, progress->stage);
    }
    for (; *told_stage < stage; (*told_stage)++) {
        /* Clients rely on the order, also where this comes late: the end comes last. */
        if (*told_stage + 1 == stage && stage >= MV_MOVE_COMPLETED)
            tell_passes(control, progress->passes, told_passes);
        if (was_passed(progress, *told_stage + 1))
            tell_stage(control, (enum mv_move_stage)(*told_stage + 1));
    }
    tell_passes(control, progress->passes, told_passes);
}
