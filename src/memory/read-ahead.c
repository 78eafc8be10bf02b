/* SPDX-License-Identifier: Apache-2.0 */
#include "read-ahead.h"

#include "dirty-log.h"

#include <stdbool.h>

#define PLACE MV_READ_AHEAD_PLACE
/* Two misses that are further apart than that have nothing to do with each other. */
#define STRIDE_MAX (UINT64_C(1) << 20)
/* How far in steps, to begin with. */
#define STEPS_MIN 2

typedef typeof(((struct mv_read_ahead *)0)->streams[0]) stream_t;

static size_t add(struct mv_read_ahead_run *runs, size_t count, uint64_t offset, uint64_t len,
                  uint64_t size)
{
    if (offset >= size || len == 0 || count == MV_READ_AHEAD_RUNS)
        return count;
    runs[count] = (struct mv_read_ahead_run){offset, len < size - offset ? len : size - offset};
    return count + 1;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* It came to the end of what was brought for it. */
static bool goes_on(const stream_t *stream, uint64_t offset)
{
    return stream->turn != 0 && offset >= stream->next && offset - stream->next < PLACE;
}

static bool steps_on(const stream_t *stream, uint64_t offset)
{
    return stream->turn != 0 && stream->stride != 0 &&
           offset == stream->last + (uint64_t)stream->stride;
}

static stream_t *find(struct mv_read_ahead *ahead, uint64_t offset,
                      bool (*fits)(const stream_t *stream, uint64_t offset))
{
    for (size_t i = 0; i < MV_READ_AHEAD_STREAMS; i++) {
        if (fits(&ahead->streams[i], offset))
            return &ahead->streams[i];
    }
    return NULL;
}

/*
 * The one near this place that has not proved right yet, else the one that was right the
 * longest ago.
 */
static stream_t *find_nearest(struct mv_read_ahead *ahead, uint64_t offset)
{
    stream_t *oldest = &ahead->streams[0], *nearest = NULL;
    for (size_t i = 0; i < MV_READ_AHEAD_STREAMS; i++) {
        stream_t *stream = &ahead->streams[i];
        if (stream->turn < oldest->turn)
            oldest = stream;
        if (stream->turn != 0 && stream->window == 0 &&
            distance(stream->last, offset) <= STRIDE_MAX &&
            (nearest == NULL || distance(stream->last, offset) < distance(nearest->last, offset)))
            nearest = stream;
    }
    if (nearest != NULL)
        return nearest;
    *oldest = (stream_t){.last = offset};
    return oldest;
}

static uint64_t grow(uint64_t window, uint64_t least)
{
    window = window == 0 ? least : 2 * window;
    return window < MV_READ_AHEAD_MOST ? window : MV_READ_AHEAD_MOST;
}

/* It goes down, page by page: all from there on. */
static size_t add_below(stream_t *stream, uint64_t offset, uint64_t step,
                        struct mv_read_ahead_run *runs)
{
    uint64_t end = offset + MV_DIRTY_PAGE;
    uint64_t len = stream->window < end ? stream->window : end;
    stream->last = end - len - MV_DIRTY_PAGE + step;
    return add(runs, 0, end - len, len, end);
}

static size_t add_steps(stream_t *stream, uint64_t offset, uint64_t size,
                        struct mv_read_ahead_run *runs)
{
    uint64_t step = stream->stride < 0 ? -(uint64_t)stream->stride : (uint64_t)stream->stride;
    size_t count = 0;
    stream->window = grow(stream->window, STEPS_MIN * step);
    if (stream->stride < 0 && step <= PLACE)
        return add_below(stream, offset, step, runs);
    uint64_t steps = stream->window / step;
    steps = steps < STEPS_MIN ? STEPS_MIN : steps;
    steps = steps < MV_READ_AHEAD_RUNS ? steps : MV_READ_AHEAD_RUNS;
    for (uint64_t i = 1; i <= steps; i++) {
        uint64_t at = offset + i * (uint64_t)stream->stride;
        if (at >= size) /* below 0, too */
            break;
        count = add(runs, count, at, MV_DIRTY_PAGE, size);
        stream->last = at;
    }
    return count;
}

size_t mv_read_ahead_miss(struct mv_read_ahead *ahead, uint64_t offset, uint64_t size,
                          struct mv_read_ahead_run ret[MV_READ_AHEAD_RUNS])
{
    stream_t *stream = find(ahead, offset, goes_on);
    size_t count = 0;
    if (stream != NULL) {
        stream->window = grow(stream->window, 2 * PLACE);
        stream->stride = 0;
        stream->last = offset;
        stream->next = offset + stream->window;
        count = add(ret, 0, offset, stream->window, size);
    } else if ((stream = find(ahead, offset, steps_on)) != NULL) {
        stream->last = offset;
        stream->next = offset + MV_DIRTY_PAGE;
        count = add_steps(stream, offset, size, ret);
    } else {
        stream = find_nearest(ahead, offset);
        stream->stride = (int64_t)(offset - stream->last);
        stream->window = 0;
        stream->last = offset;
        stream->next = offset - offset % PLACE + PLACE;
        count = add(ret, 0, offset - offset % PLACE, PLACE, size);
    }
    stream->turn = ++ahead->turn;
    return count;
}
