/* SPDX-License-Identifier: Apache-2.0 */
/* A table of states.  Called by vm-client.c, quit.c and ivshmem-status.c. */
#include "process-hint.h"

#include "cleanup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

pid_t mv_process_of_peer(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? 0 : peer.pid;
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
        if (cause->state != state ||
            (cause->waits != NULL && strstr(waits, cause->waits) == NULL))
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
