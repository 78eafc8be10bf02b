/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP below a channel: all addresses of a name are tried, nothing waits in the
 * kernel for more to send, and a host that is gone is noticed.  No state; any
 * thread.  Called by channel-open.c.
 */
#include "channel-inside.h"

#include "channel-resolve.h"
#include "cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/*
 * A host that answers nothing is gone after these. The last one counts also where the
 * other side lives and takes nothing for so long.
 */
#define IDLE_S          10
#define PROBE_S         5
#define PROBES          5
#define USER_TIMEOUT_MS 40000

static void clear_addresses(struct addrinfo **addresses)
{
    if (*addresses != NULL)
        freeaddrinfo(*addresses);
}
#define CLEANUP_ADDRESSES __attribute__((cleanup(clear_addresses)))

void mv_channel_tcp_tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},       {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S}, {IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S},
        {IPPROTO_TCP, TCP_KEEPCNT, PROBES},  {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };
    int protocol = 0;
    socklen_t len = sizeof protocol;
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0 || protocol != IPPROTO_TCP)
        return;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                   sizeof options[i].value);
}

void mv_channel_tcp_name(int fd, bool peer, char ret[MV_CHANNEL_TCP_NAME])
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    int r = peer ? getpeername(fd, (struct sockaddr *)&address, &len)
                 : getsockname(fd, (struct sockaddr *)&address, &len);
    if (r < 0 || getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                             NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(ret, MV_CHANNEL_TCP_NAME, "tcp:(unknown)");
    else
        snprintf(ret, MV_CHANNEL_TCP_NAME,
                 strchr(host, ':') != NULL ? "tcp:[%.62s]:%s" : "tcp:%.62s:%s", host, port);
}

static int open_socket(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    return fd < 0 ? -errno : fd;
}

bool mv_channel_tcp_is_own(int fd)
{
    struct sockaddr_storage own = {0}, other = {0};
    socklen_t own_len = sizeof own, other_len = sizeof other;
    return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&other, &other_len) == 0 && own_len == other_len &&
           memcmp(&own, &other, own_len) == 0;
}

/* One address: its socket, or a negative errno. */
static int connect_one(const struct addrinfo *address, const struct mv_channel_limit *limit)
{
    CLEANUP_CLOSE int fd = open_socket(address);
    if (fd < 0)
        return fd;
    mv_channel_tcp_tune(fd);
    int error = connect(fd, address->ai_addr, address->ai_addrlen) < 0 ? errno : 0;
    if (error == EINPROGRESS || error == EINTR) {
        int r = mv_channel_wait(fd, POLLOUT, limit);
        socklen_t len = sizeof error;
        if (r < 0)
            return r;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
            return -errno;
    }
    if (error == 0 && mv_channel_tcp_is_own(fd))
        error = ECONNREFUSED;
    if (error != 0)
        return -error;
    int connected = fd;
    fd = -1;
    return connected;
}

static int tell_connect(const char *uri, int error, struct mv_error *err)
{
    switch (error) {
    case ECANCELED:
        return mv_error_set(err, error, "%s: ended before it was connected", uri);
    case ETIMEDOUT:
        return mv_error_set(err, error,
                            "%s: no answer in time: does that host run, and does its firewall let "
                            "the port through?",
                            uri);
    case ECONNREFUSED:
        return mv_error_set(err, error,
                            "%s: nobody listens there: start 'memvisor receive' on that host first",
                            uri);
    default:
        return mv_error_set_errno(err, error, "%s", uri);
    }
}

/* An even part of the time for the first of some addresses, which may answer nothing. */
static struct mv_channel_limit share(const struct mv_channel_limit *limit,
                                     const struct addrinfo *addresses)
{
    struct mv_channel_limit part = *limit;
    uint64_t now = mv_now_ns(), count = 0;
    for (; addresses != NULL; addresses = addresses->ai_next)
        count++;
    if (limit->until_ns != UINT64_MAX && limit->until_ns > now)
        part.until_ns = now + (limit->until_ns - now) / count;
    return part;
}

int mv_channel_tcp_connect_any(const struct addrinfo *addresses,
                               const struct mv_channel_limit *limit)
{
    int last = -ENOENT;
    for (const struct addrinfo *one = addresses; one != NULL && last != -ECANCELED;
         one = one->ai_next) {
        const struct mv_channel_limit part = share(limit, one);
        last = connect_one(one, &part);
        if (last >= 0)
            break;
    }
    return last;
}

int mv_channel_tcp_connect(const char *uri, const char *host, const char *port,
                           const struct mv_channel_limit *limit, int *ret_fd, struct mv_error *err)
{
    CLEANUP_ADDRESSES struct addrinfo *addresses = NULL;
    int r = mv_channel_resolve(uri, host, port, limit, &addresses, err);
    if (r < 0)
        return r;
    int fd = mv_channel_tcp_connect_any(addresses, limit);
    if (fd < 0)
        return tell_connect(uri, -fd, err);
    *ret_fd = fd;
    return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return address->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127));
}

/* One address: its socket, or a negative errno. */
static int listen_one(const struct addrinfo *address)
{
    const int on = 1, off = 0;
    CLEANUP_CLOSE int fd = open_socket(address);
    if (fd < 0)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    int listening = fd;
    fd = -1;
    return listening;
}

static int tell_listen(const char *uri, int error, struct mv_error *err)
{
    switch (error) {
    case EADDRINUSE:
        return mv_error_set(err, error,
                            "%s: another process listens there: choose another port, or 0 for one "
                            "that is free",
                            uri);
    case EADDRNOTAVAIL:
        return mv_error_set(err, error,
                            "%s: this host has no such address: name one of its own ('ip addr' "
                            "lists them), or none for all",
                            uri);
    default:
        return mv_error_set_errno(err, error, "%s", uri);
    }
}

/* IPv6 first where every address is meant: such a socket takes IPv4 as well. */
static int listen_any(const struct addrinfo *addresses, bool all)
{
    int last = -ENOENT;
    for (int pass = all ? 0 : 1; pass < 2; pass++)
        for (const struct addrinfo *one = addresses; one != NULL; one = one->ai_next) {
            if (pass == 0 && one->ai_family != AF_INET6)
                continue;
            last = listen_one(one);
            if (last >= 0)
                return last;
        }
    return last;
}

int mv_channel_tcp_listen(const char *uri, const char *host, const char *port, bool open_to_others,
                          int *ret_fd, struct mv_error *err)
{
    CLEANUP_ADDRESSES struct addrinfo *addresses = NULL;
    int r = mv_channel_resolve(uri, host, port, &MV_CHANNEL_NO_LIMIT, &addresses, err);
    if (r < 0)
        return r;
    for (const struct addrinfo *one = addresses; one != NULL && !open_to_others; one = one->ai_next)
        if (!is_loopback(one->ai_addr))
            return mv_error_set(err, EPERM,
                                "%s: anybody who reaches this host could send a guest or read one: "
                                "give --tls, listen on tcp:127.0.0.1:%s, or say --insecure",
                                uri, port);
    int fd = listen_any(addresses, *host == '\0');
    if (fd < 0)
        return tell_listen(uri, -fd, err);
    *ret_fd = fd;
    return 0;
}
