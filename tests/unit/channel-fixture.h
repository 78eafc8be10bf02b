/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ends of a channel for tests, and bytes that go through both at once.  What
 * a thread finds out is looked at by the test's own, since cmocka's asserts are
 * for that one alone.
 */
#ifndef MV_TEST_CHANNEL_FIXTURE_H
#define MV_TEST_CHANNEL_FIXTURE_H

#include "channel-inside.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
/* For what is going to happen, on a machine however busy. */
#define AGES (600 * SECOND)

static struct mv_error err;
static char folder[] = "/tmp/memvisor-channel-XXXXXX";

#define assert_says(part)                                                                          \
    do {                                                                                           \
        if (strstr(err.text, part) == NULL)                                                        \
            fail_msg("'%s' is not in '%s'", part, err.text);                                       \
    } while (0)

#define assert_done(r)                                                                             \
    do {                                                                                           \
        int result_ = (r);                                                                         \
        if (result_ != 0)                                                                          \
            fail_msg("%s: %d: %s", #r, result_, err.text);                                         \
    } while (0)

/* A path in the tests' folder; a few of them are kept. */
static inline const char *in_folder(const char *name)
{
    static char paths[8][200];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static inline const char *uri_of(const char *scheme, const char *rest)
{
    static char uris[8][300];
    static unsigned next;
    char *uri = uris[next++ % 8];
    snprintf(uri, sizeof *uris, "%s%s", scheme, rest);
    return uri;
}

static inline int make_folder(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static inline int remove_folder(void **state)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* --- two ends, the one that connects and the one that accepts */

struct accepting {
    pthread_t thread;
    struct mv_channel_listener *listener;
    struct mv_channel *channel;
    int result;
    struct mv_error err;
};

static inline void *accept_in_thread(void *opaque)
{
    struct accepting *accepting = opaque;
    accepting->result =
        mv_channel_accept(accepting->listener, NULL, &accepting->channel, &accepting->err);
    return NULL;
}

static inline void start_accepting(struct accepting *accepting,
                                   struct mv_channel_listener *listener)
{
    *accepting = (struct accepting){.listener = listener};
    assert_int_equal(pthread_create(&accepting->thread, NULL, accept_in_thread, accepting), 0);
}

static inline void connect_both(const char *uri, const struct mv_channel_tls *client,
                                const struct mv_channel_tls *server, struct mv_channel *ends[2])
{
    struct mv_channel_listener *listener;
    struct accepting accepting;
    assert_done(mv_channel_listen(uri, server, false, &listener, &err));
    start_accepting(&accepting, listener);
    assert_done(
        mv_channel_connect(mv_channel_listener_uri(listener), client, AGES, NULL, &ends[0], &err));
    pthread_join(accepting.thread, NULL);
    if (accepting.result != 0)
        fail_msg("accepting: %s", accepting.err.text);
    ends[1] = accepting.channel;
    mv_channel_listener_close(listener);
}

static inline void close_both(struct mv_channel *ends[2])
{
    mv_channel_close(ends[0]);
    mv_channel_close(ends[1]);
}

/* --- bytes that say where they belong */

struct flow {
    pthread_t thread;
    struct mv_channel *channel;
    uint64_t total;
    unsigned seed;
    uint64_t wrong; /* bytes that came and should not have been so */
    int result;
    struct mv_error err;
};

static inline uint8_t byte_at(uint64_t at, unsigned seed)
{
    return (uint8_t)((at * 2654435761u + seed) >> 11);
}

/* Lengths of all kinds, the same each time. */
static inline size_t next_len(unsigned *random, uint64_t left)
{
    *random = *random * 1664525 + 1013904223;
    size_t len = 1 + (*random >> 8) % (*random & 1 ? 100 : 200000);
    return len < left ? len : (size_t)left;
}

static inline void *write_flow(void *opaque)
{
    struct flow *flow = opaque;
    static const size_t most = 200000;
    uint8_t *bytes = malloc(most);
    unsigned random = flow->seed;
    for (uint64_t done = 0; done < flow->total && flow->result == 0;) {
        size_t len = next_len(&random, flow->total - done);
        for (size_t i = 0; i < len; i++)
            bytes[i] = byte_at(done + i, flow->seed);
        flow->result = mv_channel_write(flow->channel, bytes, len, &flow->err);
        done += len;
    }
    free(bytes);
    return NULL;
}

static inline void *read_flow(void *opaque)
{
    struct flow *flow = opaque;
    static const size_t most = 200000;
    uint8_t *bytes = malloc(most);
    unsigned random = flow->seed + 77;
    for (uint64_t done = 0; done < flow->total && flow->result == 0;) {
        size_t len = next_len(&random, flow->total - done);
        flow->result = mv_channel_read(flow->channel, bytes, len, &flow->err);
        for (size_t i = 0; i < len && flow->result == 0; i++)
            flow->wrong += bytes[i] != byte_at(done + i, flow->seed);
        done += len;
    }
    free(bytes);
    return NULL;
}

static inline void start_flow(struct flow *flow, void *(*way)(void *), struct mv_channel *channel,
                              unsigned seed, uint64_t total)
{
    *flow = (struct flow){.channel = channel, .seed = seed, .total = total};
    assert_int_equal(pthread_create(&flow->thread, NULL, way, flow), 0);
}

static inline void end_flow(struct flow *flow)
{
    pthread_join(flow->thread, NULL);
    if (flow->result != 0)
        fail_msg("%s", flow->err.text);
    assert_int_equal(flow->wrong, 0);
}

/* So many bytes from each end to the other, at once; both may be the same channel. */
static inline void exchange(struct mv_channel *ends[2], uint64_t total)
{
    struct flow flows[4];
    int count = ends[0] == ends[1] ? 2 : 4;
    for (int i = 0; i < count; i += 2) {
        start_flow(&flows[i], write_flow, ends[i / 2], 5 + (unsigned)i, total);
        start_flow(&flows[i + 1], read_flow, ends[1 - i / 2], 5 + (unsigned)i, total);
    }
    for (int i = 0; i < count; i++)
        end_flow(&flows[i]);
}

#endif
