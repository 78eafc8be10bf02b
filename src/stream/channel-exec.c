/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command below a channel: /bin/sh -c, its input and output two pipes (which,
 * unlike sockets, it can open anew as /dev/stdin).  It is a session of its own:
 * all its processes can be ended together, and none can wait for a password at
 * a terminal that the guest's console has.  Called by channel.c, channel-open.c.
 */
#include "channel-inside.h"

#include "cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PIPE_BYTES   (1 << 20)
#define NAME_MAX_LEN 100                  /* of a command in messages */
#define SLICE_NS     UINT64_C(2000000)    /* how often an ended command is looked for */
#define STATUS_NS    UINT64_C(1000000000) /* for a command that closed, to end */
#define GRACE_NS     UINT64_C(2000000000) /* for one whose input has ended */

extern char **environ;

/* Both ends beyond the standard ones, of which a child's are made. */
static int make_pipe(int ret_fds[2])
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);
    int r = 0;
    for (int i = 0; i < 2; i++) {
        ret_fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        r = ret_fds[i] < 0 && r == 0 ? -errno : r;
        close(fds[i]);
    }
    return r;
}

static int spawn(const char *command, int in_fd, int out_fd, pid_t *ret_pid)
{
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return -r;
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    r = posix_spawn_file_actions_adddup2(&actions, in_fd, STDIN_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn(ret_pid, "/bin/sh", &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

int mv_channel_exec_start(const char *uri, const char *command, struct mv_channel **ret,
                          struct mv_error *err)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    int r = make_pipe(to);
    if (r == 0)
        r = make_pipe(from);
    CLEANUP_CLOSE int child_in = to[0];
    CLEANUP_CLOSE int child_out = from[1];
    CLEANUP_CLOSE int in = from[0];
    CLEANUP_CLOSE int out = to[1];
    pid_t pid = 0;
    if (r == 0)
        r = spawn(command, child_in, child_out, &pid);
    if (r < 0)
        return mv_error_set_errno(err, -r, "%.*s", NAME_MAX_LEN, uri);
    char name[NAME_MAX_LEN + 4];
    snprintf(name, sizeof name, strlen(uri) > NAME_MAX_LEN ? "%.*s..." : "%.*s", NAME_MAX_LEN, uri);
    int in_fd = in, out_fd = out;
    in = out = -1;
    struct mv_channel *channel = NULL;
    r = mv_channel_create(name, in_fd, out_fd, &channel, err);
    if (r < 0) {
        kill(-pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        return r;
    }
    channel->child = pid;
    channel->had_child = true;
    *ret = channel;
    return 0;
}

/* Whether the child is gone, and reaped; a reader and a writer may ask at once. */
static bool is_gone(struct mv_channel *channel)
{
    MV_LOCK_SCOPE(&channel->child_lock);
    if (channel->child == 0)
        return true;
    pid_t pid;
    do
        pid = waitpid(channel->child, &channel->child_status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid != 0)
        channel->child = 0;
    return pid != 0;
}

int mv_channel_exec_wait(struct mv_channel *channel, const struct mv_channel_limit *limit)
{
    while (!is_gone(channel)) {
        struct mv_channel_limit slice = *limit;
        uint64_t until = mv_channel_until(SLICE_NS);
        slice.until_ns = until < limit->until_ns ? until : limit->until_ns;
        int r = mv_channel_wait(-1, 0, &slice);
        if (r != -ETIMEDOUT || mv_now_ns() >= limit->until_ns)
            return r;
    }
    return 0;
}

void mv_channel_exec_stop(struct mv_channel *channel)
{
    static const int signals[] = {SIGTERM, SIGKILL};
    const pid_t session = channel->child;
    struct mv_channel_limit limit = MV_CHANNEL_NO_LIMIT;
    limit.until_ns = mv_channel_until(atomic_load(&channel->ended) ? 0 : GRACE_NS);
    for (size_t i = 0; i < 2 && mv_channel_exec_wait(channel, &limit) < 0; i++) {
        kill(-session, signals[i]);
        limit.until_ns = signals[i] == SIGKILL ? UINT64_MAX : mv_channel_until(GRACE_NS);
    }
    mv_channel_exec_wait(channel, &limit);
}

const char *mv_channel_exec_status(struct mv_channel *channel, char buf[MV_CHANNEL_STATUS_TEXT])
{
    static const struct {
        int status;
        const char *meaning;
    } known[] = {{126, " (it could not be run)"}, {127, " (sh did not find it)"}, {0, ""}};
    struct mv_channel_limit limit = MV_CHANNEL_NO_LIMIT;
    limit.until_ns = mv_channel_until(STATUS_NS);
    limit.end_fd = channel->end_fd;
    *buf = '\0';
    if (mv_channel_exec_wait(channel, &limit) < 0)
        return buf;
    int status = channel->child_status;
    size_t i = 0;
    while (i < 2 && WEXITSTATUS(status) != known[i].status)
        i++;
    if (WIFSIGNALED(status))
        snprintf(buf, MV_CHANNEL_STATUS_TEXT, ": its command was ended by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(buf, MV_CHANNEL_STATUS_TEXT, ": its command ended with status %d%s",
                 WEXITSTATUS(status), known[i].meaning);
    return buf;
}
