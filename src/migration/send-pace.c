/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bandwidth is a bucket that is empty when time has caught up with what was let through;
 * up to BURST of it is not waited for, so that short waits are few.
 */
#include "send-parts.h"

#include "cleanup.h"
#include "os.h"
#include "size.h"

#define BURST_NS (10 * 1000 * 1000)
/* A wait is looked at again after so long, for a limit that was changed, and an end. */
#define SLICE_NS (20 * 1000 * 1000)
/* What is not measured yet is thought to go at this rate, bytes a second. */
#define GUESS (100 * MV_MIB)
/* A pass with fewer bytes than these tells of waits and not of the line. */
#define MEASURED_MIN (256 * MV_KIB)
/* For less than this no pass is worth its while. */
#define LITTLE_NS   (3 * 1000 * 1000)
#define MOST_PASSES 60

void mv_send_limits_init(struct mv_send_limits *limits)
{
    *limits = (struct mv_send_limits){.downtime_ns = UINT64_C(300000000),
                                      .throttles = true,
                                      .throttle_initial = 20,
                                      .throttle_increment = 10,
                                      .throttle_max = 99};
}

void mv_send_pace_init(struct mv_send_pace *pace, const struct mv_send_limits *limits,
                       const atomic_bool *over)
{
    *pace = (struct mv_send_pace){.limits = limits, .over = over, .before = UINT64_MAX};
    pthread_mutex_init(&pace->lock, NULL);
}

void mv_send_pace_end(struct mv_send_pace *pace)
{
    pthread_mutex_destroy(&pace->lock);
}

/* --- how fast */

static uint64_t time_of(uint64_t bytes, uint64_t rate)
{
    return rate == 0 ? 0 : (uint64_t)((double)bytes * 1e9 / (double)rate);
}

/* Let them through: until when to wait. */
static uint64_t let_through(struct mv_send_pace *pace, uint64_t bytes, uint64_t bandwidth)
{
    uint64_t now = mv_now_ns();
    MV_LOCK_SCOPE(&pace->lock);
    if (pace->due_ns < now)
        pace->due_ns = now;
    pace->due_ns += time_of(bytes, bandwidth);
    return pace->due_ns;
}

/* Of the moment: memory that follows has its own. */
static uint64_t limit_of(struct mv_send_pace *pace)
{
    return atomic_load(atomic_load(&pace->follows) ? &pace->limits->follow_bandwidth
                                                   : &pace->limits->bandwidth);
}

void mv_send_pace_wait(struct mv_send_pace *pace, uint64_t bytes, const atomic_bool *cancelled)
{
    uint64_t bandwidth = limit_of(pace), now;
    if (bandwidth == 0 || atomic_load(&pace->unlimited))
        return;
    uint64_t due = let_through(pace, bytes, bandwidth);
    while (now = mv_now_ns(),
           due > now + BURST_NS && !atomic_load(cancelled) && !atomic_load(pace->over)) {
        uint64_t left = due - now < SLICE_NS ? due - now : SLICE_NS;
        struct timespec wait = {.tv_nsec = (long)left};
        nanosleep(&wait, NULL);
        if (limit_of(pace) != bandwidth)
            break; /* what is let through from now on goes by the new one */
    }
}

/* --- how far */

void mv_send_pace_begin(struct mv_send_pace *pace, const struct mv_send_counts *counts)
{
    pace->pass_ns = mv_now_ns();
    pace->pass_transferred = atomic_load(&counts->transferred);
}

void mv_send_pace_done(struct mv_send_pace *pace, const struct mv_send_counts *counts)
{
    uint64_t ns = mv_now_ns() - pace->pass_ns;
    uint64_t bytes = atomic_load(&counts->transferred) - pace->pass_transferred;
    if (bytes >= MEASURED_MIN && ns > 0)
        atomic_store(&pace->rate, (uint64_t)((double)bytes * 1e9 / (double)ns));
}

static uint64_t expect(struct mv_send_pace *pace, uint64_t bytes)
{
    uint64_t rate = atomic_load(&pace->rate);
    uint64_t expected = time_of(bytes, rate == 0 ? GUESS : rate);
    uint64_t ns = mv_now_ns() - pace->pass_ns;
    atomic_store(&pace->expected_ns, expected == 0 ? 1 : expected);
    atomic_store(&pace->dirty_rate, ns == 0 ? 0 : (uint64_t)((double)bytes * 1e9 / (double)ns));
    return expected;
}

/* Percent with which the guest would write half as fast as that can be sent, by what was seen. */
static unsigned needed(struct mv_send_pace *pace, unsigned now)
{
    double rate = (double)atomic_load(&pace->rate);
    double dirty_rate = (double)atomic_load(&pace->dirty_rate);
    double runs = dirty_rate < 1 || rate < 1 ? 100 : (100 - now) * rate / dirty_rate / 2;
    return runs < 100 ? (unsigned)(100 - runs) : 0;
}

/* Passes that do not get shorter will not by themselves. */
static void throttle(struct mv_send_pace *pace)
{
    const struct mv_send_limits *limits = pace->limits;
    unsigned now = atomic_load(&pace->throttle), most = atomic_load(&limits->throttle_max);
    unsigned least = needed(pace, now);
    if (!atomic_load(&limits->throttles))
        return;
    now += now == 0 ? atomic_load(&limits->throttle_initial)
                    : atomic_load(&limits->throttle_increment);
    now = now < least ? least : now;
    atomic_store(&pace->throttle, now < most ? now : most);
}

bool mv_send_pace_is_enough(struct mv_send_pace *pace, uint64_t bytes, unsigned passes)
{
    uint64_t expected = expect(pace, bytes);
    bool fits = expected <= atomic_load(&pace->limits->downtime_ns);
    bool shrinks = bytes < pace->before - pace->before / 4;
    pace->before = bytes;
    if (fits && (!shrinks || expected <= LITTLE_NS || passes >= MOST_PASSES))
        return true;
    if (!shrinks && !fits)
        throttle(pace);
    return false;
}
