/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Z and z packets.  Breakpoints of both kinds go through the engine and never
 * into the guest's memory, which a guest may look at, check or save.
 */
#include "session.h"

#include <errno.h>

enum { Z_SOFTWARE, Z_HARDWARE, Z_WRITE, Z_READ, Z_ACCESS };

static void publish(struct mv_gdb_session *session)
{
    const struct mv_debug_points points = {session->breaks, session->break_count, session->watches,
                                           session->watch_count};
    struct mv_engine *engine = mv_machine_engine(session->machine);
    engine->ops->debug_points(engine, &points);
}

/* TYPE,ADDRESS,KIND; the `kinds` of a breakpoint are 0. */
static bool parse(const char *text, struct mv_debug_watch *ret)
{
    static const unsigned kinds[] = {[Z_WRITE] = MV_DEBUG_WRITE,
                                     [Z_READ] = MV_DEBUG_READ,
                                     [Z_ACCESS] = MV_DEBUG_READ | MV_DEBUG_WRITE};
    uint64_t type, address, size;
    if (!mv_gdb_parse_hex(&text, &type) || *text++ != ',' || !mv_gdb_parse_hex(&text, &address) ||
        *text++ != ',' || !mv_gdb_parse_hex(&text, &size) || type > Z_ACCESS)
        return false;
    *ret = (struct mv_debug_watch){address, size, kinds[type]};
    return true;
}

static unsigned find_break(const struct mv_gdb_session *session, uint64_t address)
{
    unsigned i = 0;
    while (i < session->break_count && session->breaks[i] != address)
        i++;
    return i;
}

static unsigned find_watch(const struct mv_gdb_session *session, const struct mv_debug_watch *watch)
{
    unsigned i = 0;
    for (; i < session->watch_count; i++) {
        const struct mv_debug_watch *w = &session->watches[i];
        if (w->address == watch->address && w->size == watch->size && w->kinds == watch->kinds)
            break;
    }
    return i;
}

int mv_gdb_insert_point(struct mv_gdb_session *session, const char *arguments)
{
    struct mv_debug_watch point;
    if (!parse(arguments, &point) || (point.kinds != 0 && point.size == 0))
        return -EINVAL;
    if (session->break_count + session->watch_count == MV_GDB_POINTS_MAX)
        return -E2BIG;
    if (point.kinds != 0)
        session->watches[session->watch_count++] = point;
    else if (find_break(session, point.address) == session->break_count)
        session->breaks[session->break_count++] = point.address;
    publish(session);
    return MV_GDB_OK;
}

int mv_gdb_remove_point(struct mv_gdb_session *session, const char *arguments)
{
    struct mv_debug_watch point;
    unsigned i;
    if (!parse(arguments, &point))
        return -EINVAL;
    if (point.kinds == 0 && (i = find_break(session, point.address)) < session->break_count)
        session->breaks[i] = session->breaks[--session->break_count];
    if (point.kinds != 0 && (i = find_watch(session, &point)) < session->watch_count)
        session->watches[i] = session->watches[--session->watch_count];
    publish(session);
    return MV_GDB_OK;
}

void mv_gdb_clear_points(struct mv_gdb_session *session)
{
    session->break_count = session->watch_count = 0;
    publish(session);
}
