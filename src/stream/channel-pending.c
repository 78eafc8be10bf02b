/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-pending.h"

#include "channel-tls.h"

#include <string.h>
#include <sys/socket.h>

#define PART_NS UINT64_C(20000000) /* how often one is looked at that poll would say is ready */

static struct mv_channel *take_out(struct mv_channel_pending *pending, size_t i)
{
    struct mv_channel_peer *peer = &pending->peers[i];
    struct mv_channel *channel = peer->channel;
    pending->count--;
    memmove(peer, peer + 1, (pending->count - i) * sizeof *peer);
    channel->opening = MV_CHANNEL_NO_LIMIT;
    return channel;
}

static int give_way(struct mv_channel_pending *pending, struct mv_error *err)
{
    size_t i = 0;
    while (i < pending->count && pending->peers[i].shown)
        i++;
    bool shakes = i < pending->count && pending->peers[i].channel->tls != NULL;
    struct mv_channel *channel = take_out(pending, i < pending->count ? i : 0);
    int r = shakes ? mv_tls_give_up(channel, -EBUSY, err)
                   : mv_error_set(err, EACCES,
                                  "%s: the other side had not said what it wants, and gave way to "
                                  "others who connected",
                                  channel->name);
    mv_channel_close(channel);
    return r;
}

int mv_channel_pending_add(struct mv_channel_pending *pending, struct mv_channel *channel,
                           const struct mv_channel_tls *tls, uint64_t handshake_ns,
                           struct mv_error *err)
{
    channel->accepted = true;
    channel->opening.until_ns = mv_channel_until(tls != NULL ? handshake_ns : pending->first_ns);
    int r = tls == NULL ? 0 : mv_tls_begin(channel, tls, NULL, err);
    if (r < 0) {
        mv_channel_close(channel);
        return r;
    }
    if (pending->count == MV_CHANNEL_PENDING_MAX)
        r = give_way(pending, err);
    pending->peers[pending->count++] = (struct mv_channel_peer){.channel = channel};
    return r;
}

/* Whether it has spoken, or has closed, which its reader is to find. */
static int hear(const struct mv_channel_pending *pending, struct mv_channel_peer *peer)
{
    struct mv_channel *channel = peer->channel;
    uint8_t bytes[MV_CHANNEL_FIRST_MAX];
    struct pollfd now = {.fd = channel->in.fd, .events = POLLIN | POLLRDHUP};
    if (pending->first_least == 0 || (channel->tls != NULL && mv_tls_has_bytes(channel)))
        return 0;
    peer->wait = (struct pollfd){.fd = channel->in.fd, .events = POLLIN};
    if (poll(&now, 1, 0) <= 0)
        return -EAGAIN;
    if (channel->tls != NULL || (now.revents & ~POLLIN) != 0)
        return 0;
    ssize_t n = recv(now.fd, bytes, pending->first_least, MSG_PEEK | MSG_DONTWAIT);
    peer->has_part = n >= 0 && (size_t)n < pending->first_least;
    peer->wait.events = POLLRDHUP;
    return peer->has_part ? -EAGAIN : 0;
}

static int go_on(const struct mv_channel_pending *pending, struct mv_channel_peer *peer,
                 struct mv_error *err)
{
    struct mv_channel *channel = peer->channel;
    bool shakes = channel->tls != NULL && !peer->shown;
    int r = shakes ? mv_tls_step(channel, &peer->wait, err) : 0;
    if (shakes && r == 0) {
        shakes = false;
        peer->shown = true;
        channel->opening.until_ns = mv_channel_until(pending->first_ns);
    }
    if (r == 0)
        r = hear(pending, peer);
    if (r != -EAGAIN || mv_now_ns() < channel->opening.until_ns)
        return r;
    return shakes
               ? mv_tls_give_up(channel, -ETIMEDOUT, err)
               : mv_error_set(err, EACCES, "%s: the other side did not say in time what it wants",
                              channel->name);
}

int mv_channel_pending_take(struct mv_channel_pending *pending, struct mv_channel **ret,
                            struct mv_error *err)
{
    for (size_t i = 0; i < pending->count; i++) {
        int r = go_on(pending, &pending->peers[i], err);
        if (r == -EAGAIN)
            continue;
        struct mv_channel *channel = take_out(pending, i);
        if (r == 0)
            *ret = channel;
        else
            mv_channel_close(channel);
        return r;
    }
    return -EAGAIN;
}

int mv_channel_pending_wait(const struct mv_channel_pending *pending, int fd,
                            const struct mv_channel_limit *limit)
{
    struct pollfd fds[MV_CHANNEL_PENDING_MAX + 1] = {{.fd = fd, .events = POLLIN}};
    struct mv_channel_limit first = *limit;
    for (size_t i = 0; i < pending->count; i++) {
        const struct mv_channel_peer *peer = &pending->peers[i];
        uint64_t until = peer->channel->opening.until_ns, part = mv_channel_until(PART_NS);
        if (peer->has_part && part < until)
            until = part;
        if (until < first.until_ns)
            first.until_ns = until;
        fds[i + 1] = peer->wait;
    }
    int r = mv_channel_wait_any(fds, pending->count + 1, &first);
    return r == -ETIMEDOUT ? 0 : r;
}

void mv_channel_pending_close(struct mv_channel_pending *pending)
{
    while (pending->count > 0)
        mv_channel_close(take_out(pending, pending->count - 1));
}
