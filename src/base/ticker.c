/* SPDX-License-Identifier: Apache-2.0 */
#include "ticker.h"

#include "cleanup.h"
#include "loop.h"
#include "os.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

static void on_time(void *opaque, uint32_t events)
{
    struct mv_ticker *ticker = opaque;
    mv_drain(ticker->fd);
    ticker->tick(ticker->opaque);
}

int mv_ticker_start(struct mv_ticker *ticker, struct mv_loop *loop, void (*tick)(void *opaque),
                    void *opaque, struct mv_error *err)
{
    static const struct itimerspec often = {.it_interval.tv_nsec = MV_TICKER_MS * 1000000,
                                            .it_value.tv_nsec = MV_TICKER_MS * 1000000};
    ticker->tick = tick;
    ticker->opaque = opaque;
    ticker->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int r = 0;
    if (ticker->fd < 0 || timerfd_settime(ticker->fd, 0, &often, NULL) < 0)
        r = mv_error_set_errno(err, errno, "a timer");
    if (r == 0)
        r = mv_loop_add(loop, ticker->fd, EPOLLIN, on_time, ticker, &ticker->source, err);
    if (r < 0)
        mv_ticker_stop(ticker);
    return r;
}

void mv_ticker_stop(struct mv_ticker *ticker)
{
    mv_loop_remove(ticker->source);
    ticker->source = NULL;
    mv_cleanup_close(&ticker->fd);
}
