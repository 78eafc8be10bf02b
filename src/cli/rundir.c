/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run-time folders.  A VM holds a lock (flock) on its `pid` file as long as it
 * lives, however it ends; whoever gets the lock owns the folder.  A process
 * number alone could be somebody else's by now.
 *
 * Called by run.c in the main thread.
 */
#include "rundir.h"

#include "cleanup.h"
#include "log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define SWEEP_MS 200   /* more than it takes to empty a folder */
#define LOOK_MS  10000 /* the same of one that is nobody's yet, on a busy host */

/* A link to a block, which is taken away again without any memory or descriptor. */
struct link {
    struct link *next;
    size_t id; /* where in the path the block's id begins */
    char path[];
};

struct mv_rundir {
    struct link *links;
    char *path;
    char *pid_path;
    int pid_fd; /* locked */
};

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The folder of all VMs of this user; NULL where memory is out. */
static char *make_base_path(void)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    char *path = NULL;
    int n;
    if (xdg != NULL && xdg[0] == '/' && is_folder(xdg))
        n = asprintf(&path, "%s/memvisor", xdg);
    else if (geteuid() == 0)
        n = asprintf(&path, "/run/memvisor");
    else
        n = asprintf(&path, "/tmp/memvisor-%u", (unsigned)geteuid());
    return n < 0 ? NULL : path;
}

/*
 * Make a folder of ours.  /tmp is everybody's: one that is another user's, or
 * a link, would let that user choose what our files are.
 */
static int make_folder(const char *path, struct mv_error *err)
{
    struct stat st;
    int errnum;
    do {
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return mv_error_set_errno(err, errno, "cannot make the folder '%s'", path);
        /* Whoever lists VMs removes one that is nobody's yet, as between these two. */
        errnum = lstat(path, &st) < 0 ? errno : 0;
    } while (errnum == ENOENT);
    if (errnum != 0)
        return mv_error_set_errno(err, errnum, "cannot use the folder '%s'", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return mv_error_set(err, EPERM,
                            "'%s' is no folder that only this user can write: remove it", path);
    return 0;
}

/* What is in a folder; NULL with errno where it cannot be read, or is a link. */
static DIR *list_folder(int dir, const char *path)
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL)
        mv_cleanup_close(&fd);
    return list;
}

/* Remove what stands in the folder but `keep`.  Whether all of it is gone. */
static bool empty_folder(int dir, const char *path, const char *keep)
{
    bool emptied = true;
    DIR *list = list_folder(dir, path);
    if (list == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            (keep != NULL && strcmp(name, keep) == 0) || unlinkat(dirfd(list), name, 0) == 0)
            continue;
        empty_folder(dirfd(list), name, NULL);
        emptied &= unlinkat(dirfd(list), name, AT_REMOVEDIR) == 0;
    }
    closedir(list);
    return emptied;
}

/*
 * Remove the folder `name` of `base`, which is open as dir and whose pid file the caller
 * has locked.  The pid file goes last: a VM that finds none and makes one either does so
 * in an empty folder, which is then not removed, or fails and tries again.  If other files
 * are left the pid file stays, and shows to the next VM that they belong to nobody.
 */
static bool remove_folder(int base, const char *name, int dir)
{
    if (!empty_folder(dir, ".", "pid"))
        return false;
    unlinkat(dir, "pid", 0);
    unlinkat(base, name, AT_REMOVEDIR);
    return true;
}

static int read_pid(int fd)
{
    char text[16] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 ? atoi(text) : 0;
}

static int refuse_live(const char *name, int fd, struct mv_error *err)
{
    char text[32] = "";
    int pid = read_pid(fd);
    if (pid > 0)
        snprintf(text, sizeof text, " as process %d", pid);
    return mv_error_set(err, EEXIST, "a VM named '%s' runs already%s: choose another name with -n",
                        name, text);
}

/* Whether the path still leads to fd: its owner may have removed it meanwhile. */
static bool leads_to(int dir, const char *path, int fd)
{
    struct stat by_path, by_fd;
    return fstatat(dir, path, &by_path, 0) == 0 && fstat(fd, &by_fd) == 0 &&
           by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino;
}

/*
 * Another process that removes the folder of a dead VM holds the lock for a moment, too.
 * Without a process's number in it, the file is no VM's.
 */
static bool lock_soon(int fd)
{
    for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK; i++) {
        if (i >= (read_pid(fd) > 0 ? SWEEP_MS : LOOK_MS) / 10)
            return false;
        usleep(10 * 1000);
    }
    return true;
}

/* Lock the pid file: 0, -EAGAIN to be tried again, or another negative errno. */
static int lock_once(struct mv_rundir *rundir, const char *name, struct mv_error *err)
{
    int r = make_folder(rundir->path, err);
    if (r < 0)
        return r;
    CLEANUP_CLOSE int fd = open(rundir->pid_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == ENOENT)
        return -EAGAIN; /* the folder went away in between */
    if (fd < 0)
        return mv_error_set_errno(err, errno, "cannot write '%s'", rundir->pid_path);
    if (!lock_soon(fd))
        return refuse_live(name, fd, err);
    if (!leads_to(AT_FDCWD, rundir->pid_path, fd))
        return -EAGAIN;
    rundir->pid_fd = fd;
    fd = -1;
    return 0;
}

static int write_pid(struct mv_rundir *rundir, struct mv_error *err)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(rundir->pid_fd, 0) < 0 ||
        pwrite(rundir->pid_fd, text, (size_t)len, 0) != (ssize_t)len)
        return mv_error_set_errno(err, errno, "cannot write '%s'", rundir->pid_path);
    return 0;
}

static int claim(struct mv_rundir *rundir, const char *name, struct mv_error *err)
{
    int r;
    do {
        r = lock_once(rundir, name, err);
    } while (r == -EAGAIN);
    if (r < 0)
        return r;
    empty_folder(AT_FDCWD, rundir->path, "pid");
    return write_pid(rundir, err);
}

/* Remove what claim has made so far, unless it has become somebody else's. */
static void unclaim(struct mv_rundir *rundir)
{
    if (rundir->pid_fd >= 0)
        unlink(rundir->pid_path);
    rmdir(rundir->path);
}

static void free_rundir(struct mv_rundir *rundir)
{
    while (rundir->links != NULL) {
        struct link *link = rundir->links;
        rundir->links = link->next;
        free(link);
    }
    mv_cleanup_close(&rundir->pid_fd);
    free(rundir->pid_path);
    free(rundir->path);
    free(rundir);
}

int mv_rundir_create(const char *name, struct mv_rundir **ret, struct mv_error *err)
{
    struct mv_rundir *rundir = calloc(1, sizeof *rundir);
    CLEANUP_FREE char *base = make_base_path();
    if (rundir == NULL || base == NULL) {
        free(rundir);
        return mv_error_set_errno(err, ENOMEM, "run-time folder");
    }
    rundir->pid_fd = -1;
    int r = 0;
    if (asprintf(&rundir->path, "%s/%s", base, name) < 0 ||
        asprintf(&rundir->pid_path, "%s/pid", rundir->path) < 0)
        r = mv_error_set_errno(err, ENOMEM, "run-time folder");
    if (r == 0)
        r = make_folder(base, err);
    if (r == 0)
        r = claim(rundir, name, err);
    if (r < 0) {
        if (rundir->pid_path != NULL)
            unclaim(rundir);
        free_rundir(rundir);
        return r;
    }
    *ret = rundir;
    return 0;
}

char *mv_rundir_file(const struct mv_rundir *rundir, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", rundir->path, name) < 0 ? NULL : path;
}

/* Whether a part of the id is "", "." or "..", which are no names of files. */
static bool leads_elsewhere(const char *id)
{
    for (;;) {
        size_t len = strcspn(id, "/");
        if (len == 0 || (len == 1 && id[0] == '.') || (len == 2 && id[0] == '.' && id[1] == '.'))
            return true;
        if (id[len] == '\0')
            return false;
        id += len + 1;
    }
}

/* Remove the folders that path leads through, as far as nothing is in them, up to `ram`. */
static void remove_folders(const struct mv_rundir *rundir, char *path)
{
    const char *ram = path + strlen(rundir->path) + sizeof "/ram" - 1;
    for (char *slash; (slash = strrchr(path, '/')) > ram;) {
        *slash = '\0';
        if (rmdir(path) < 0)
            return;
    }
}

static int make_link(const struct mv_rundir *rundir, char *path, const char *target,
                     struct mv_error *err)
{
    for (char *slash = path + strlen(rundir->path) + 1; (slash = strchr(slash, '/')) != NULL;
         slash++) {
        *slash = '\0';
        int r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        if (r < 0)
            return mv_error_set_errno(err, -r, "cannot make the folder '%s'", path);
        *slash = '/';
    }
    if (symlink(target, path) < 0)
        return mv_error_set_errno(err, errno, "cannot make the link '%s'", path);
    return 0;
}

int mv_rundir_link_block(struct mv_rundir *rundir, const char *id, const char *target,
                         struct mv_error *err)
{
    if (leads_elsewhere(id))
        return mv_error_set(err, EINVAL, "block '%s' gets no link: its id is no name of a file",
                            id);
    size_t head = strlen(rundir->path) + sizeof "/ram/" - 1, size = head + strlen(id) + 1;
    struct link *link = malloc(sizeof *link + size);
    if (link == NULL)
        return mv_error_set_errno(err, ENOMEM, "a link to block '%s'", id);
    link->id = head;
    snprintf(link->path, size, "%s/ram/%s", rundir->path, id);
    int r = make_link(rundir, link->path, target, err);
    if (r < 0) {
        remove_folders(rundir, link->path);
        free(link);
        return r;
    }
    link->next = rundir->links;
    rundir->links = link;
    return 0;
}

void mv_rundir_unlink_blocks(struct mv_rundir *rundir, const char *path)
{
    size_t len = strlen(path);
    for (struct link **at = &rundir->links; *at != NULL;) {
        struct link *link = *at;
        const char *id = link->path + link->id;
        if (strncmp(id, path, len) != 0 || id[len] != '/') {
            at = &link->next;
            continue;
        }
        *at = link->next;
        unlink(link->path);
        remove_folders(rundir, link->path);
        free(link);
    }
}

/* --- the VMs of others */

/* Whether all that the folder has is what a VM puts there: others' files are left alone. */
static bool has_only_ours(int dir)
{
    bool only = true;
    DIR *list = list_folder(dir, ".");
    if (list == NULL)
        return false;
    for (struct dirent *entry; only && (entry = readdir(list)) != NULL;) {
        static const char *const ours[] = {".",   "..",          "pid",
                                           "ram", MV_RUNDIR_QMP, MV_RUNDIR_SERIAL};
        only = false;
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
            only = only || strcmp(entry->d_name, ours[i]) == 0;
    }
    closedir(list);
    return only;
}

/* A folder without a pid file gets one, whose lock then says whose the folder is, as a VM does. */
static int open_pid(int dir)
{
    int fd = openat(dir, "pid", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && has_only_ours(dir))
        fd = openat(dir, "pid", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd;
}

/*
 * Whether the VM whose folder is `name` in `base` runs; the folder of one that
 * does not is removed, under its lock.  A VM that is about to start waits for
 * that, and makes its folder anew.
 */
static bool look_at(int base, const char *name, int *ret_pid)
{
    CLEANUP_CLOSE int dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP_CLOSE int fd = dir < 0 ? -1 : open_pid(dir);
    if (fd < 0)
        return false;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        *ret_pid = read_pid(fd);
        return true;
    }
    if (leads_to(dir, "pid", fd))
        (void)remove_folder(base, name, dir);
    return false;
}

static int add_vm(struct mv_rundir_vm **vms, size_t *count, const char *base, const char *name,
                  int pid)
{
    struct mv_rundir_vm *more = reallocarray(*vms, *count + 1, sizeof **vms);
    struct mv_rundir_vm vm = {.name = strdup(name), .pid = pid};
    if (more != NULL)
        *vms = more;
    if (asprintf(&vm.path, "%s/%s", base, name) < 0)
        vm.path = NULL;
    if (more == NULL || vm.name == NULL || vm.path == NULL) {
        free(vm.name);
        free(vm.path);
        return -ENOMEM;
    }
    (*vms)[(*count)++] = vm;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct mv_rundir_vm *)a)->name, ((const struct mv_rundir_vm *)b)->name);
}

void mv_rundir_list_free(struct mv_rundir_vm *vms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(vms[i].name);
        free(vms[i].path);
    }
    free(vms);
}

/* Open the folder of all VMs, of which only this user may be the owner: *ret NULL where none is. */
static int open_base(const char *base, DIR **ret, struct mv_error *err)
{
    struct stat st;
    DIR *list = list_folder(AT_FDCWD, base);
    if (list == NULL)
        return errno == ENOENT
                   ? 0
                   : mv_error_set_errno(err, errno, "cannot read the folder '%s'", base);
    if (fstat(dirfd(list), &st) < 0 || st.st_uid != geteuid()) {
        closedir(list);
        return mv_error_set(err, EPERM, "the folder '%s' belongs to another user: remove it", base);
    }
    *ret = list;
    return 0;
}

int mv_rundir_list(struct mv_rundir_vm **ret, size_t *ret_count, struct mv_error *err)
{
    struct mv_rundir_vm *vms = NULL;
    size_t count = 0;
    CLEANUP_FREE char *base = make_base_path();
    if (base == NULL)
        return mv_error_set_errno(err, ENOMEM, "run-time folder");
    DIR *dir = NULL;
    int r = open_base(base, &dir, err);
    if (r < 0)
        return r;
    for (struct dirent *entry; dir != NULL && r == 0 && (entry = readdir(dir)) != NULL;) {
        int pid = 0;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            look_at(dirfd(dir), entry->d_name, &pid))
            r = add_vm(&vms, &count, base, entry->d_name, pid);
    }
    if (dir != NULL)
        closedir(dir);
    if (r < 0) {
        mv_rundir_list_free(vms, count);
        return mv_error_set_errno(err, -r, "the list of VMs");
    }
    if (count > 0)
        qsort(vms, count, sizeof *vms, by_name);
    *ret = vms;
    *ret_count = count;
    return 0;
}

bool mv_rundir_await_end(const char *path, unsigned timeout_ms)
{
    for (unsigned ms = 0; access(path, F_OK) == 0; ms += 10) {
        if (ms >= timeout_ms)
            return false;
        usleep(10 * 1000);
    }
    return true;
}

/* --- the end */

/*
 * While the lock is held, so that nobody takes the folder over half removed.  The pid
 * file goes last: by it others see that what could not be removed is nobody's.
 */
void mv_rundir_destroy(struct mv_rundir *rundir)
{
    if (rundir == NULL)
        return;
    CLEANUP_CLOSE int dir = open(rundir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (!remove_folder(AT_FDCWD, rundir->path, dir) && is_folder(rundir->path))
        mv_warn("the folder '%s' could not be removed: 'memvisor ps' does so", rundir->path);
    free_rundir(rundir);
}
