/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager's protocols, which are small enough to need no library. */
#include "service.h"

#include "cleanup.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FIRST_FD 3

static int take_socket(int fd, struct mv_error *err)
{
    int listens = 0;
    socklen_t len = sizeof listens;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens)
        return mv_error_set(err, EINVAL,
                            "LISTEN_FDS: descriptor %d is no listening socket: the unit needs "
                            "ListenStream=",
                            fd);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

int mv_service_sockets(int *fds, int max, struct mv_error *err)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
        return 0;
    int n = (int)strtol(count, NULL, 10);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    if (n < 0 || n > max)
        return mv_error_set(err, EINVAL, "LISTEN_FDS is %d: at most %d sockets are of use", n, max);
    for (int i = 0; i < n; i++) {
        int r = take_socket(FIRST_FD + i, err);
        if (r < 0)
            return r;
        fds[i] = FIRST_FD + i;
    }
    return n;
}

void mv_service_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof address.sun_path)
        return;
    strcpy(address.sun_path, path);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&address, size);
}
