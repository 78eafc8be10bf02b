/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd SOCKET PEERS ROUNDS: peers, a process each, join a server, die by
 * SIGKILL in random order and return, while some stay in this process and
 * watch, and one connection never reads.  Prints how long joining took at most
 * when the crowd is there, and how long the greeting while it comes and goes.
 * Both without the time that the server and this process waited for a CPU: a
 * thousand processes share the machine, which is no waiting for a peer.
 */
#include "memvisor-ivshmem.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WATCHERS   4
#define PEERS_MAX  4096
#define PATIENCE_S 120
#define PROBES     8 /* of the greeting, each time the crowd comes or goes */

static struct mv_ivshmem *watchers[WATCHERS];
static pid_t pids[PEERS_MAX];
static pid_t server_pid;
static double slowest_join_ms, slowest_greeting_ms;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

__attribute__((noreturn)) static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "crowd: %s: %s\n", what, detail);
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    exit(1);
}

/* How long a process's threads have been ready to run and did not (proc(5), schedstat). */
static double starved_ms(pid_t pid)
{
    char path[64];
    double sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        unsigned long long ran, waited;
        char name[384];
        snprintf(name, sizeof name, "%s/%s/schedstat", path, task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(name, "r");
        if (file == NULL)
            continue;
        if (fscanf(file, "%llu %llu", &ran, &waited) == 2)
            sum += (double)waited / 1e6;
        fclose(file);
    }
    if (tasks != NULL)
        closedir(tasks);
    return sum;
}

struct watch {
    double start, starved;
};

static struct watch start_watch(void)
{
    double starved = starved_ms(server_pid) + starved_ms(getpid());
    return (struct watch){.start = now_ms(), .starved = starved};
}

static void read_watch(struct watch watch, double *slowest)
{
    double ms = now_ms() - watch.start;
    ms -= starved_ms(server_pid) + starved_ms(getpid()) - watch.starved;
    *slowest = ms > *slowest ? ms : *slowest;
}

static struct mv_ivshmem *join(const char *path)
{
    char error[MV_IVSHMEM_ERROR_SIZE];
    struct mv_ivshmem *shm = mv_ivshmem_open(path, 0, PATIENCE_S * 1000, error);
    if (shm == NULL)
        fail("joining", error);
    return shm;
}

static void drain(void)
{
    struct mv_ivshmem_event event;
    for (int w = 0; w < WATCHERS; w++) {
        int r;
        while ((r = mv_ivshmem_wait(watchers[w], 0, &event)) > 0)
            ;
        if (r < 0)
            fail("watching", mv_ivshmem_error(watchers[w]));
    }
}

/* Each watcher's view, with itself, is the same. */
static bool views_agree(size_t *ret_count)
{
    static unsigned ids[WATCHERS][PEERS_MAX + WATCHERS + 16];
    static bool seen[65536];
    size_t first = 0;
    memset(seen, 0, sizeof seen);
    for (int w = 0; w < WATCHERS; w++) {
        size_t room = sizeof ids[w] / sizeof ids[w][0];
        size_t count = mv_ivshmem_peers(watchers[w], ids[w], room - 1);
        if (count >= room)
            fail("a view", "it has more peers than there ever were");
        ids[w][count++] = mv_ivshmem_id(watchers[w]);
        if (w > 0 && count != first)
            return false;
        first = count;
        for (size_t i = 0; i < count; i++) {
            if (w > 0 && !seen[ids[w][i]])
                return false;
            seen[ids[w][i]] = true;
        }
    }
    *ret_count = first;
    return true;
}

/* Until the watchers see so many peers, or one more: that which does not read. */
static void expect_peers(size_t wanted)
{
    double end = now_ms() + PATIENCE_S * 1e3;
    for (;;) {
        size_t count = 0;
        drain();
        if (views_agree(&count) && (count == wanted || count == wanted + 1))
            return;
        if (now_ms() > end) {
            char text[64];
            snprintf(text, sizeof text, "%zu in place of %zu", count, wanted);
            fail("peers", text);
        }
        usleep(2000);
    }
}

static void live(const char *path, int ready_fd)
{
    struct mv_ivshmem_event event;
    struct mv_ivshmem *shm = join(path);
    if (write(ready_fd, "", 1) != 1)
        _exit(1);
    while (mv_ivshmem_wait(shm, -1, &event) >= 0)
        ;
    fail("a peer was dropped", mv_ivshmem_error(shm));
}

static int connect_and_never_read(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        fail("connect", path);
    return fd;
}

/* Until version, ID and memory have come, whoever else comes and goes. */
static void time_greeting(const char *path)
{
    struct watch watch = start_watch();
    int fd = connect_and_never_read(path);
    char bytes[24];
    for (size_t have = 0; have < sizeof bytes;) {
        ssize_t n = recv(fd, bytes + have, sizeof bytes - have, 0);
        if (n <= 0)
            fail("a greeting", "the connection ended");
        have += (size_t)n;
    }
    read_watch(watch, &slowest_greeting_ms);
    close(fd);
}

static void start_peers(const char *path, int count)
{
    int ready[2];
    if (pipe(ready) < 0)
        fail("pipe", "no descriptors");
    for (int i = 0; i < count; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            fail("fork", "no processes");
        if (pids[i] == 0)
            live(path, ready[1]);
        if (i % (count / PROBES) == 0)
            time_greeting(path);
        drain();
    }
    close(ready[1]);
    for (int in = 0; in < count;) {
        char bytes[256];
        ssize_t n = read(ready[0], bytes, sizeof bytes);
        if (n <= 0)
            fail("peers", "some ended before they had joined");
        in += (int)n;
        drain();
    }
    close(ready[0]);
}

/* With the whole crowd there, and the one that does not read. */
static void time_joins(const char *path)
{
    for (int i = 0; i < 5; i++) {
        struct watch watch = start_watch();
        struct mv_ivshmem *shm = join(path);
        read_watch(watch, &slowest_join_ms);
        mv_ivshmem_close(shm);
        drain();
    }
}

static void kill_peers(const char *path, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int other = rand() % (i + 1);
        pid_t pid = pids[i];
        pids[i] = pids[other];
        pids[other] = pid;
    }
    for (int i = 0; i < count; i++) {
        kill(pids[i], SIGKILL);
        if (i % (count / PROBES) == 0)
            time_greeting(path);
        if (i % 16 == 0)
            drain();
    }
    for (int i = 0; i < count; i++)
        waitpid(pids[i], NULL, 0);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    if (argc != 4 || atoi(argv[2]) < PROBES || atoi(argv[2]) > PEERS_MAX)
        return 2;
    setpgid(0, 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int count = atoi(argv[2]), rounds = atoi(argv[3]);
    int stalled = connect_and_never_read(argv[1]);
    struct ucred server;
    if (getsockopt(stalled, SOL_SOCKET, SO_PEERCRED, &server, &(socklen_t){sizeof server}) < 0)
        fail("SO_PEERCRED", argv[1]);
    server_pid = server.pid;
    for (int w = 0; w < WATCHERS; w++)
        watchers[w] = join(argv[1]);
    for (int round = 0; round < rounds; round++) {
        start_peers(argv[1], count);
        expect_peers((size_t)count + WATCHERS);
        time_joins(argv[1]);
        kill_peers(argv[1], count);
        expect_peers(WATCHERS);
    }
    for (int w = 0; w < WATCHERS; w++)
        mv_ivshmem_close(watchers[w]);
    close(stalled);
    printf("{\"slowest_join_ms\": %.1f, \"slowest_greeting_ms\": %.1f}\n", slowest_join_ms,
           slowest_greeting_ms);
    return 0;
}
