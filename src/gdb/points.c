/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Z and z packets.  Breakpoints of both kinds go through the engine and never
 * into the guest's memory, which a guest may look at, check or save.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>

#define POINTS_MAX 4096

enum { Z_SOFTWARE, Z_HARDWARE, Z_WRITE, Z_READ, Z_ACCESS };

static void publish(struct mv_gdb_session *session)
{
    const struct mv_debug_points points = {session->points.breaks, session->points.break_count,
                                           session->points.watches, session->points.watch_count};
    struct mv_engine *engine = mv_machine_engine(session->machine);
    engine->ops->debug_points(engine, &points);
}

/* TYPE,ADDRESS,KIND */
static bool parse(const char *text, unsigned *ret_type, struct mv_debug_watch *ret)
{
    static const unsigned kinds[] = {
        [Z_WRITE] = MV_DEBUG_WRITE, [Z_READ] = MV_DEBUG_READ,
        [Z_ACCESS] = MV_DEBUG_READ | MV_DEBUG_WRITE};
    uint64_t type, address, size;
    if (!mv_gdb_parse_hex(&text, &type) || *text++ != ',' || !mv_gdb_parse_hex(&text, &address) ||
        *text++ != ',' || !mv_gdb_parse_hex(&text, &size) || type > Z_ACCESS)
        return false;
    *ret_type = (unsigned)type;
    *ret = (struct mv_debug_watch){address, size, kinds[type]};
    return true;
}

static int insert_break(struct mv_gdb_points *points, uint64_t address)
{
    for (unsigned i = 0; i < points->break_count; i++) {
        if (points->breaks[i] == address)
            return 0;
    }
    uint64_t *breaks = realloc(points->breaks, (points->break_count + 1) * sizeof *breaks);
    if (breaks == NULL)
        return ENOMEM;
    points->breaks = breaks;
    breaks[points->break_count++] = address;
    return 0;
}

static int insert_watch(struct mv_gdb_points *points, const struct mv_debug_watch *watch)
{
    struct mv_debug_watch *watches =
        realloc(points->watches, (points->watch_count + 1) * sizeof *watches);
    if (watches == NULL)
        return ENOMEM;
    points->watches = watches;
    watches[points->watch_count++] = *watch;
    return 0;
}

void mv_gdb_insert_point(struct mv_gdb_session *session, const char *arguments,
                         struct mv_gdb_reply *reply)
{
    struct mv_debug_watch point;
    unsigned type;
    if (!parse(arguments, &type, &point) || (type >= Z_WRITE && point.size == 0)) {
        mv_gdb_reply_error(reply, EINVAL);
        return;
    }
    int errnum = E2BIG;
    if (session->points.break_count + session->points.watch_count < POINTS_MAX)
        errnum = type >= Z_WRITE ? insert_watch(&session->points, &point)
                                 : insert_break(&session->points, point.address);
    if (errnum != 0) {
        mv_gdb_reply_error(reply, errnum);
        return;
    }
    publish(session);
    mv_gdb_reply_print(reply, "OK");
}

static void remove_break(struct mv_gdb_points *points, uint64_t address)
{
    for (unsigned i = 0; i < points->break_count; i++) {
        if (points->breaks[i] == address) {
            points->breaks[i] = points->breaks[--points->break_count];
            return;
        }
    }
}

static void remove_watch(struct mv_gdb_points *points, const struct mv_debug_watch *watch)
{
    for (unsigned i = 0; i < points->watch_count; i++) {
        const struct mv_debug_watch *w = &points->watches[i];
        if (w->address == watch->address && w->size == watch->size && w->kinds == watch->kinds) {
            points->watches[i] = points->watches[--points->watch_count];
            return;
        }
    }
}

void mv_gdb_remove_point(struct mv_gdb_session *session, const char *arguments,
                         struct mv_gdb_reply *reply)
{
    struct mv_debug_watch point;
    unsigned type;
    if (!parse(arguments, &type, &point)) {
        mv_gdb_reply_error(reply, EINVAL);
        return;
    }
    if (type >= Z_WRITE)
        remove_watch(&session->points, &point);
    else
        remove_break(&session->points, point.address);
    publish(session);
    mv_gdb_reply_print(reply, "OK");
}

void mv_gdb_clear_points(struct mv_gdb_session *session)
{
    session->points.break_count = session->points.watch_count = 0;
    publish(session);
    free(session->points.breaks);
    free(session->points.watches);
    session->points = (struct mv_gdb_points){0};
}
