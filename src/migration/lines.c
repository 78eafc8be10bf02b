/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include "channel.h"
#include "cleanup.h"
#include "fault.h"
#include "os.h"

#include <signal.h>

#define LOOK_NS (20 * 1000 * 1000)

void mv_lines_init(struct mv_lines *lines)
{
    *lines = (struct mv_lines){.count = 0};
    pthread_mutex_init(&lines->lock, NULL);
    pthread_cond_init(&lines->unwatched, NULL);
}

void mv_lines_close(struct mv_lines *lines)
{
    for (unsigned i = 0; i < MV_MOVE_CHANNELS_MAX; i++)
        mv_channel_close(lines->channels[i]);
    pthread_cond_destroy(&lines->unwatched);
    pthread_mutex_destroy(&lines->lock);
}

void mv_lines_add(struct mv_lines *lines, unsigned number, struct mv_channel *channel)
{
    MV_LOCK_SCOPE(&lines->lock);
    lines->channels[number] = channel;
    lines->count++;
    if (lines->ended)
        mv_channel_end(channel);
}

void mv_lines_visit(struct mv_lines *lines, struct mv_channel *channel)
{
    MV_LOCK_SCOPE(&lines->lock);
    lines->visitor = channel;
    if (lines->ended && channel != NULL)
        mv_channel_end(channel);
}

void mv_lines_drop(struct mv_lines *lines)
{
    MV_LOCK_SCOPE(&lines->lock);
    for (unsigned i = 0; i < MV_MOVE_CHANNELS_MAX; i++) {
        mv_channel_close(lines->channels[i]);
        lines->channels[i] = NULL;
    }
    lines->count = 0;
}

static void end_all(struct mv_lines *lines)
{
    lines->ended = true;
    if (lines->visitor != NULL)
        mv_channel_end(lines->visitor);
    for (unsigned i = 0; i < MV_MOVE_CHANNELS_MAX; i++) {
        if (lines->channels[i] != NULL)
            mv_channel_end(lines->channels[i]);
    }
}

void mv_lines_end(struct mv_lines *lines)
{
    MV_LOCK_SCOPE(&lines->lock);
    end_all(lines);
}

static void *watch(void *opaque)
{
    struct mv_lines *lines = opaque;
    MV_LOCK_SCOPE(&lines->lock);
    while (lines->watched && !atomic_load(lines->cancelled)) {
        uint64_t until = mv_now_ns() + LOOK_NS;
        struct timespec when = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        pthread_cond_clockwait(&lines->unwatched, &lines->lock, CLOCK_MONOTONIC, &when);
    }
    if (lines->watched)
        end_all(lines);
    return NULL;
}

int mv_lines_watch(struct mv_lines *lines, const atomic_bool *cancelled, struct mv_error *err)
{
    sigset_t all, before;
    {
        MV_LOCK_SCOPE(&lines->lock);
        lines->cancelled = cancelled;
        lines->ended = false;
        lines->watched = true;
    }
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&lines->watcher, NULL, watch, lines);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    lines->watched = errnum == 0;
    return errnum == 0 ? 0 : mv_error_set_errno(err, errnum, "cannot start a thread");
}

void mv_lines_unwatch(struct mv_lines *lines)
{
    {
        MV_LOCK_SCOPE(&lines->lock);
        if (!lines->watched)
            return;
        lines->watched = false;
        pthread_cond_signal(&lines->unwatched);
    }
    pthread_join(lines->watcher, NULL);
}
