/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path that is too long for an address goes by way of its folder, which is
 * opened and named through /proc/self/fd.  No state; called by cli, control.
 */
#include "unix-socket.h"

#include "cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

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

static int open_socket(int flags)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
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
    CLEANUP_CLOSE int fd = open_socket(SOCK_NONBLOCK);
    if (fd < 0)
        return mv_error_set_errno(err, errno, "%s", what);
    if (connect(fd, (const struct sockaddr *)&address->un, sizeof address->un) < 0 &&
        errno == ECONNREFUSED)
        return 0;
    return mv_error_set(err, EADDRINUSE,
                        "%s '%s': another process listens there: choose another path", what, path);
}

int mv_unix_listen(const char *what, const char *path, int *ret_fd, struct mv_error *err)
{
    CLEANUP_ADDRESS struct address address;
    int r = set_address(what, path, &address, err);
    if (r == 0)
        r = refuse_live(what, path, &address, err);
    if (r < 0)
        return r;
    unlink(path); /* the socket of a process that is gone */
    CLEANUP_CLOSE int fd = open_socket(SOCK_NONBLOCK);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address.un, sizeof address.un) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        return mv_error_set_errno(err, errno, "%s '%s'", what, path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int connect_to(const char *what, const char *path, int flags, int *ret_fd,
                      struct mv_error *err)
{
    CLEANUP_ADDRESS struct address address;
    int r = set_address(what, path, &address, err);
    if (r < 0)
        return r;
    CLEANUP_CLOSE int fd = open_socket(flags);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address.un, sizeof address.un) < 0)
        return mv_error_set_errno(err, errno, "%s '%s'", what, path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int mv_unix_connect(const char *what, const char *path, int *ret_fd, struct mv_error *err)
{
    return connect_to(what, path, 0, ret_fd, err);
}

int mv_unix_connect_now(const char *what, const char *path, int *ret_fd, struct mv_error *err)
{
    return connect_to(what, path, SOCK_NONBLOCK, ret_fd, err);
}
