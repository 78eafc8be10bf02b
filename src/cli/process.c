/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other processes: a table of the states in which one does not answer, and the service
 * manager's protocols, which are small enough to need no library.  Called by the verbs
 * that wait for another process, by ivshmem-server.c, and by vm-notify.c.
 */
#include "process.h"

#include "cleanup.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* --- hints */

struct cause {
    char state;         /* the letter of proc(5) */
    const char *waits;  /* a part of what wchan says; NULL for any */
    const char *format; /* with the process, and its number again */
};

/* The first that fits. */
static const struct cause causes[] = {
    {'T', NULL, "process %d is stopped by a signal: 'kill -CONT %d' lets it go on"},
    {'t', NULL, "a debugger holds process %d: see TracerPid in /proc/%d/status"},
    {'Z', NULL, "process %d has ended, and its parent has not seen that: see 'ps -l %d'"},
    {'D', "refrigerator", "process %d is frozen: see the freezer in /proc/%d/cgroup"},
    {'D', NULL, "process %d waits for the host's disk or file system: see /proc/%d/stack"},
    {'S', "freezer", "process %d is frozen: see cgroup.freeze in the group of /proc/%d/cgroup"},
    {'S', NULL, "process %d sleeps: see where with 'gdb -p %d'"},
    {'R', NULL, "process %d computes: see where with 'gdb -p %d'"},
};

static void read_text(const char *format, pid_t pid, char *buf, size_t size)
{
    char path[64];
    buf[0] = '\0';
    snprintf(path, sizeof path, format, (int)pid);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);
    buf[n > 0 ? n : 0] = '\0';
}

void mv_process_hint(pid_t pid, char buf[MV_PROCESS_HINT])
{
    char stat[512] = "", waits[128] = "";
    if (pid > 0) {
        read_text("/proc/%d/stat", pid, stat, sizeof stat);
        read_text("/proc/%d/wchan", pid, waits, sizeof waits);
    }
    /* "7 (a name) S ...": the name may hold anything. */
    const char *paren = strrchr(stat, ')');
    char state = paren != NULL && paren[1] == ' ' ? paren[2] : '\0';
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        const struct cause *cause = &causes[i];
        if (cause->state != state || (cause->waits != NULL && strstr(waits, cause->waits) == NULL))
            continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(buf, MV_PROCESS_HINT, cause->format, (int)pid, (int)pid);
#pragma GCC diagnostic pop
        return;
    }
    if (pid > 0)
        snprintf(buf, MV_PROCESS_HINT, "nothing can be learnt of process %d: has it ended?",
                 (int)pid);
    else
        snprintf(buf, MV_PROCESS_HINT, "its process is not seen from here: is it in a container?");
}

int mv_process_refuse_silent(int fd, unsigned seconds, struct mv_error *err)
{
    char hint[MV_PROCESS_HINT];
    struct ucred peer;
    socklen_t len = sizeof peer;
    mv_process_hint(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? 0 : peer.pid, hint);
    return mv_error_set(err, ETIMEDOUT, "no answer within %u seconds: %s", seconds, hint);
}

/* --- the service manager */

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
