/* SPDX-License-Identifier: Apache-2.0 */
#include "output-file.h"

#include "cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names that are taken already do not come by chance so often. */
enum { TRIES = 100 };

/* Of a temporary file: 16 digits are between them. */
#define PREFIX ".memvisor-"
#define SUFFIX ".tmp"
enum { DIGITS = 16, NAME_LENGTH = sizeof PREFIX - 1 + DIGITS + sizeof SUFFIX - 1 };

struct mv_output_file {
    char *path; /* as it was given */
    char *name; /* in the folder */
    int folder;
    int fd;
    char temporary[48]; /* its name in the folder now; "" where it has none */
};

/* The path that is to be replaced: where a link leads, or one where nothing is yet. */
static char *follow(const char *path)
{
    char *real = realpath(path, NULL);
    return real != NULL || errno != ENOENT ? real : strdup(path);
}

static int open_folder(struct mv_output_file *file, const char *real)
{
    /* Both may change what they are given. */
    CLEANUP_FREE char *first = strdup(real), *second = strdup(real);
    if (first == NULL || second == NULL)
        return -ENOMEM;
    file->name = strdup(basename(first));
    file->folder = open(dirname(second), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder < 0)
        return -errno;
    return file->name == NULL ? -ENOMEM : 0;
}

/* Calls `make` with temporary names until one is free. */
static int name_temporary(struct mv_output_file *file, int (*make)(struct mv_output_file *file))
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t number;
        if (getrandom(&number, sizeof number, 0) != sizeof number)
            return -EIO;
        snprintf(file->temporary, sizeof file->temporary, PREFIX "%0*llx" SUFFIX, DIGITS,
                 (unsigned long long)number);
        if (make(file) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    file->temporary[0] = '\0';
    return -errno;
}

/*
 * While a file has a temporary name it is locked, by which others know that it is no leftover.
 * A file system without locks is none where a process can be asked whether it lives.
 */
static void lock(const struct mv_output_file *file)
{
    while (flock(file->fd, LOCK_EX) < 0 && errno == EINTR)
        ;
}

/* Another process may have taken it for a leftover before it was locked. */
static int make_named(struct mv_output_file *file)
{
    struct stat st;
    file->fd = openat(file->folder, file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return -1;
    lock(file);
    if (fstat(file->fd, &st) == 0 && st.st_nlink > 0)
        return 0;
    mv_cleanup_close(&file->fd);
    errno = EEXIST;
    return -1;
}

/* open(2): file systems without such files, and kernels that know none, say these. */
static bool knows_no_unnamed(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == EISDIR || errnum == EINVAL;
}

static int make(struct mv_output_file *file)
{
    file->fd = openat(file->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return 0;
    return knows_no_unnamed(errno) ? name_temporary(file, make_named) : -errno;
}

/* --- leftovers */

static bool is_temporary(const char *name)
{
    size_t digits = strlen(PREFIX);
    return strlen(name) == NAME_LENGTH && strncmp(name, PREFIX, digits) == 0 &&
           strspn(name + digits, "0123456789abcdef") == DIGITS &&
           strcmp(name + digits + DIGITS, SUFFIX) == 0;
}

/* Whose process is gone: nobody has it locked.  What is another user's is that one's to remove. */
static void remove_leftover(int folder, const char *name)
{
    struct stat st;
    CLEANUP_CLOSE int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(folder, name, 0);
}

/* They are in nobody's way: whatever keeps them from being removed is no error. */
static void remove_leftovers(const struct mv_output_file *file)
{
    int fd = openat(file->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        mv_cleanup_close(&fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (is_temporary(entry->d_name))
            remove_leftover(file->folder, entry->d_name);
    }
    closedir(folder);
}

/* --- the beginning */

/* The file that will be replaced, if there is one. */
static int check_old(const struct mv_output_file *file, struct mv_error *err)
{
    struct stat st;
    if (fstatat(file->folder, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : mv_error_set_errno(err, errno, "'%s'", file->path);
    if (!S_ISREG(st.st_mode))
        return mv_error_set(err, EINVAL, "'%s' is no file: name one, or a new one", file->path);
    return 0;
}

static int open_all(struct mv_output_file *file, struct mv_error *err)
{
    struct stat st;
    CLEANUP_FREE char *real = follow(file->path);
    int r = real == NULL ? -errno : open_folder(file, real);
    if (r < 0)
        return mv_error_set_errno(err, -r, "cannot write '%s'", file->path);
    r = check_old(file, err);
    if (r < 0)
        return r;
    remove_leftovers(file);
    r = make(file);
    if (r < 0)
        return mv_error_set_errno(err, -r, "cannot make a file in the folder of '%s'", file->path);
    if (fstatat(file->folder, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        fchmod(file->fd, st.st_mode & 0777) < 0)
        return mv_error_set_errno(err, errno, "cannot give a file the mode of '%s'", file->path);
    return 0;
}

int mv_output_file_create(const char *path, struct mv_output_file **ret, struct mv_error *err)
{
    struct mv_output_file *file = malloc(sizeof *file);
    if (file == NULL)
        return mv_error_set(err, ENOMEM, "no memory to write '%s'", path);
    *file = (struct mv_output_file){.path = strdup(path), .folder = -1, .fd = -1};
    int r = file->path == NULL ? mv_error_set(err, ENOMEM, "no memory to write '%s'", path)
                               : open_all(file, err);
    if (r < 0) {
        mv_output_file_destroy(file);
        return r;
    }
    *ret = file;
    return 0;
}

int mv_output_file_fd(const struct mv_output_file *file)
{
    return file->fd;
}

const char *mv_output_file_path(const struct mv_output_file *file)
{
    return file->path;
}

/* --- the end */

static int make_link(struct mv_output_file *file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    return linkat(AT_FDCWD, path, file->folder, file->temporary, AT_SYMLINK_FOLLOW);
}

/* Not every file system can do that for a folder. */
static bool folder_needs_no_sync(int errnum)
{
    return errnum == EINVAL || errnum == EOPNOTSUPP;
}

int mv_output_file_commit(struct mv_output_file *file, struct mv_error *err)
{
    if (fsync(file->fd) < 0)
        return mv_error_set_errno(err, errno, "cannot have '%s' on stable storage", file->path);
    /* A link cannot take another file's place, but a file that has a name can. */
    lock(file);
    int r = file->temporary[0] == '\0' ? name_temporary(file, make_link) : 0;
    if (r == 0 && renameat(file->folder, file->temporary, file->folder, file->name) < 0)
        r = -errno;
    if (r < 0)
        return mv_error_set_errno(err, -r, "cannot give the new file the name '%s'", file->path);
    file->temporary[0] = '\0';
    flock(file->fd, LOCK_UN); /* a descriptor that goes on is no reason to keep it */
    if (fsync(file->folder) < 0 && !folder_needs_no_sync(errno))
        return mv_error_set_errno(err, errno,
                                  "'%s' is written and in its place, but cannot have its name on "
                                  "stable storage",
                                  file->path);
    return 0;
}

void mv_output_file_destroy(struct mv_output_file *file)
{
    if (file == NULL)
        return;
    if (file->temporary[0] != '\0')
        unlinkat(file->folder, file->temporary, 0);
    mv_cleanup_close(&file->fd);
    mv_cleanup_close(&file->folder);
    free(file->name);
    free(file->path);
    free(file);
}
