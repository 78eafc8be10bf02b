/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem-herd join SOCKET PEERS: connects peers one behind the other in one
 * process, which reads for all of them by epoll, until each has been told of
 * all.  ivshmem-herd queue SOCKET PEERS: the same, but reads nothing.
 * ivshmem-herd bare - PEERS: passes as many descriptors through a socket pair
 * by bare sendmsg and recvmsg.  Prints the seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAX 8192

static int socks[PEERS_MAX];
static long descriptors;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* One message; 1 where it had a descriptor, 0 where not, -1 where there is none. */
static int take(int sock)
{
    char bytes[8];
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = sizeof control.room};
    ssize_t n = recvmsg(sock, &header, MSG_DONTWAIT);
    if (n != sizeof bytes)
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    if (c == NULL)
        return 0;
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    close(fd);
    descriptors++;
    return 1;
}

static int bare(int count)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char bytes[8] = {0};
    long all = (long)count * count + count;
    int pair[2], fd = eventfd(0, 0);
    memset(&control, 0, sizeof control);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return 1;
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = sizeof control.room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    double start = now();
    while (descriptors < all) {
        /* As many at once as a socket holds. */
        while (sendmsg(pair[0], &header, MSG_DONTWAIT) == sizeof bytes)
            ;
        while (descriptors < all && take(pair[1]) >= 0)
            ;
    }
    printf("%.6f\n", now() - start);
    return 0;
}

/*
 * The server's time alone: nobody reads until all that is to come waits in the
 * sockets, which hold as much for up to 250 peers.
 */
static int queue(const char *path, int count)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int wanted = 8 * (count + 3), joined = 0;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    double start = now();
    while (joined < count && now() - start < 60) {
        socks[joined] = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(socks[joined], (struct sockaddr *)&address, sizeof address) < 0)
            return 1;
        joined++;
    }
    for (int i = 0; i < count; i++) {
        int waiting = 0;
        while (ioctl(socks[i], FIONREAD, &waiting) == 0 && waiting < wanted) {
            if (now() - start > 60) {
                fprintf(stderr, "peer %d has %d of %d bytes\n", i, waiting, wanted);
                return 1;
            }
            usleep(100);
        }
    }
    printf("%.6f\n", now() - start);
    return 0;
}

static int herd(const char *path, int count)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event events[256];
    int epoll_fd = epoll_create1(0), joined = 0;
    /* Each is told of each, itself included, and of the memory. */
    long wanted = (long)count * count + count;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    double start = now(), last = start;
    while (descriptors < wanted) {
        /* A server whose backlog is full is asked again later. */
        while (joined < count) {
            int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
            struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
            if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
                close(fd);
                break;
            }
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
            socks[joined++] = fd;
        }
        int n = epoll_wait(epoll_fd, events, 256, joined < count ? 0 : 1000);
        for (int i = 0; i < n; i++) {
            while (take(events[i].data.fd) >= 0)
                last = now();
        }
        if (now() - last > 20) {
            fprintf(stderr, "%ld of %ld descriptors came\n", descriptors, wanted);
            return 1;
        }
    }
    printf("%.6f\n", now() - start);
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    if (argc != 4 || atoi(argv[3]) < 1 || atoi(argv[3]) > PEERS_MAX)
        return 2;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int count = atoi(argv[3]);
    return strcmp(argv[1], "bare") == 0    ? bare(count)
           : strcmp(argv[1], "queue") == 0 ? queue(argv[2], count)
                                           : herd(argv[2], count);
}
