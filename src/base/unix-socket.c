/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path that is too long for an address goes by way of its folder, which is
 * opened and named through /proc/self/fd.  No state; called by cli, control.
 */
#include "unix-socket.h"

#include "cleanup.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 5

struct address {
    struct sockaddr_un un;
    int folder_fd; /* as long as the address is used; or -1 */
};

static void clear_address(struct address *address)
{
    mv_cleanup_close(&address->folder_fd);
}
#define CLEANUP_ADDRESS __attribute__((cleanup(clear_address)))

static int set_address(const char *what, const char *path, struct address *address,
                       struct mv_error *err)
{
    *address = (struct address){.un.sun_family = AF_UNIX, .folder_fd = -1};
    size_t room = sizeof address->un.sun_path;
    if (strlen(path) < room) {
        strcpy(address->un.sun_path, path);
        return 0;
    }
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    CLEANUP_FREE char *folder = strndup(path, (size_t)(name - path));
    if (folder == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s '%s'", what, path);
    if (strlen(name) + sizeof "/proc/self/fd/2147483647/" > room)
        return mv_error_set(err, ENAMETOOLONG,
                            "%s '%s': the name is too long: a socket's has at most %zu bytes", what,
                            path, room - sizeof "/proc/self/fd/2147483647/");
    address->folder_fd = open(*folder == '\0' ? "." : folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (address->folder_fd < 0)
        return mv_error_set_errno(err, errno, "%s '%s'", what, path);
    snprintf(address->un.sun_path, room, "/proc/self/fd/%d/%s", address->folder_fd, name);
    return 0;
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Whether somebody listens at the address: 0 no, or a negative errno. */
static int refuse_live(const char *what, const char *path, const struct address *address,
                       struct mv_error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return mv_error_set(
            err, EEXIST, "%s '%s': the path exists and is no socket: choose another", what, path);
    CLEANUP_CLOSE int fd = open_socket();
    if (fd < 0)
        return mv_error_set_errno(err, errno, "%s", what);
    if (connect(fd, (const struct sockaddr *)&address->un, sizeof address->un) < 0 &&
        errno == ECONNREFUSED)
        return 0;
    return mv_error_set(err, EADDRINUSE,
                        "%s '%s': another process listens there: choose another path", what, path);
}

/* A name in the same folder that no other process or thread uses, and that is short enough. */
static char *early_name(const char *path)
{
    static atomic_uint count;
    const char *slash = strrchr(path, '/');
    int folder_len = slash == NULL ? 0 : (int)(slash + 1 - path);
    char *name;
    int n = asprintf(&name, "%.*s.%x-%x", folder_len, path, (unsigned)getpid(),
                     atomic_fetch_add(&count, 1));
    return n < 0 ? NULL : name;
}

int mv_unix_listen(const char *what, const char *path, int *ret_fd, struct mv_error *err)
{
    CLEANUP_ADDRESS struct address address;
    int r = set_address(what, path, &address, err);
    if (r == 0)
        r = refuse_live(what, path, &address, err);
    if (r < 0)
        return r;
    CLEANUP_FREE char *early = early_name(path);
    CLEANUP_ADDRESS struct address early_address = {.folder_fd = -1};
    if (early == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s '%s'", what, path);
    r = set_address(what, early, &early_address, err);
    if (r < 0)
        return r;
    CLEANUP_CLOSE int fd = open_socket();
    if (fd < 0 || bind(fd, (const struct sockaddr *)&early_address.un, sizeof early_address.un) < 0)
        return mv_error_set_errno(err, errno, "%s '%s'", what, path);
    if (listen(fd, SOMAXCONN) < 0 || rename(early, path) < 0) {
        r = mv_error_set_errno(err, errno, "%s '%s'", what, path);
        unlink(early);
        return r;
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int mv_unix_connect_now(const char *what, const char *path, int *ret_fd, struct mv_error *err)
{
    CLEANUP_ADDRESS struct address address;
    int r = set_address(what, path, &address, err);
    if (r < 0)
        return r;
    CLEANUP_CLOSE int fd = open_socket();
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address.un, sizeof address.un) < 0)
        return mv_error_set_errno(err, errno, "%s '%s'", what, path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int mv_unix_connect_within(const char *what, const char *path, int timeout_ms, int *ret_fd,
                           struct mv_error *err)
{
    const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000};
    int r;
    for (int left = timeout_ms;; left -= timeout_ms < 0 ? 0 : RETRY_MS) {
        r = mv_unix_connect_now(what, path, ret_fd, err);
        if (r != -EAGAIN)
            return r;
        if (timeout_ms >= 0 && left <= 0)
            return mv_error_set(err, ETIMEDOUT,
                                "%s '%s': nobody took the connection within %d milliseconds", what,
                                path, timeout_ms);
        nanosleep(&pause, NULL);
    }
}
