/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host that says no: preloaded into a program (LD_PRELOAD), it has the Nth
 * call of a kind fail, as a host that is out of it would.  Which one a page of
 * memory says that the test maps too: the file of MEMVISOR_FAULTS.  It may say so
 * before the program starts, and calls count from main on, or at any time later.
 *
 * The page also tells the test what came of it: how often a call failed, who made
 * it, and how many allocations there are, by which a test sees what leaks.
 *
 * tests/faults.py is the other side, and has the same page.  Any thread may come
 * here: all that is shared is atomic, but the stack, which the first failure writes.
 */
#undef _FILE_OFFSET_BITS /* else these names would be the same as others */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIND_SIZE 16
#define STACK_MAX 24

struct page {
    char kind[KIND_SIZE]; /* which calls; while it is not armed the test may write it */
    atomic_uint armed;    /* calls count */
    atomic_int error;     /* what they fail with; 0: what the kind's do most often */
    atomic_llong left;    /* so many pass before the first fails */
    atomic_llong times;   /* so many fail from then on */
    atomic_uint fired;    /* so many have failed */
    atomic_uint depth;    /* of the stack, once it is there */
    atomic_llong blocks;  /* allocated and not freed, since the program was loaded */
    uint64_t base;        /* where the program was loaded */
    uint64_t stack[STACK_MAX];
};

static struct page unused, *page = &unused;
static atomic_llong *blocks = &unused.blocks; /* the page's, in the process that was loaded */
static atomic_bool in_main;
static __thread bool inside; /* what this file calls does not count */

/* --- what fails */

static int note_base(struct dl_phdr_info *info, size_t size, void *opaque)
{
    (void)size;
    (void)opaque;
    page->base = info->dlpi_addr; /* the program comes first */
    return 1;
}

static void note_caller(void)
{
    void *stack[STACK_MAX];
    int depth = backtrace(stack, STACK_MAX);
    for (int i = 0; i < depth; i++)
        page->stack[i] = (uint64_t)(uintptr_t)stack[i];
    atomic_store(&page->depth, (unsigned)depth);
}

/* Whether this call, one of the kind, is to fail; errno is set where it is. */
static bool fails(const char *kind, int usual)
{
    if (!atomic_load(&in_main) || inside || !atomic_load(&page->armed) ||
        strcmp(page->kind, kind) != 0)
        return false;
    long long left = atomic_fetch_sub(&page->left, 1);
    if (left > 0 || -left >= atomic_load(&page->times))
        return false;
    inside = true;
    if (atomic_fetch_add(&page->fired, 1) == 0)
        note_caller();
    inside = false;
    errno = atomic_load(&page->error) != 0 ? atomic_load(&page->error) : usual;
    return true;
}

/* The function that stands behind ours. */
static void *real(const char *name)
{
    bool was = inside;
    inside = true;
    void *found = dlsym(RTLD_NEXT, name);
    inside = was;
    if (found == NULL) {
        static const char what[] = "fault-shim: this C library lacks a function\n";
        (void)!write(STDERR_FILENO, what, sizeof what - 1);
        _exit(70);
    }
    return found;
}

/* A function whose failure is `failure` with errno `usual`. */
#define FAILING(type, name, parameters, arguments, kind, usual, failure)                           \
    type name parameters;                                                                          \
    __attribute__((visibility("default"))) type name parameters                                    \
    {                                                                                              \
        static type(*_Atomic behind) parameters;                                                   \
        if (fails(kind, usual))                                                                    \
            return failure;                                                                        \
        if (behind == NULL)                                                                        \
            behind = (type(*) parameters)real(#name);                                              \
        return behind arguments;                                                                   \
    }
#define FAILING_INT(name, parameters, arguments, kind, usual)                                      \
    FAILING(int, name, parameters, arguments, kind, usual, -1)

/* --- allocations: those of the C library and of others' libraries too */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void *counted(void *block)
{
    if (block != NULL)
        atomic_fetch_add(blocks, 1);
    return block;
}

#define EXPORTED __attribute__((visibility("default")))

EXPORTED void *malloc(size_t size)
{
    return fails("alloc", ENOMEM) ? NULL : counted(__libc_malloc(size));
}

EXPORTED void *calloc(size_t count, size_t size)
{
    return fails("alloc", ENOMEM) ? NULL : counted(__libc_calloc(count, size));
}

EXPORTED void *realloc(void *old, size_t size)
{
    if (size > 0 && fails("alloc", ENOMEM))
        return NULL;
    void *block = __libc_realloc(old, size);
    if (old == NULL)
        return counted(block);
    if (size == 0 && block == NULL)
        atomic_fetch_sub(blocks, 1);
    return block;
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    return fails("alloc", ENOMEM) ? NULL : counted(__libc_memalign(alignment, size));
}

EXPORTED int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *block = aligned_alloc(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *ret = block;
    return 0;
}

EXPORTED void free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub(blocks, 1);
    __libc_free(block);
}

/* --- mappings.  Here as below: the names that programs with 64-bit offsets use. */

FAILING(void *, mmap64, (void *at, size_t len, int prot, int flags, int fd, off64_t offset),
        (at, len, prot, flags, fd, offset), "mmap", ENOMEM, MAP_FAILED)
FAILING_INT(madvise, (void *at, size_t len, int advice), (at, len, advice), "madvise", ENOMEM)
FAILING_INT(mlock2, (const void *at, size_t len, unsigned flags), (at, len, flags), "mlock", ENOMEM)

/* --- descriptors */

/* The mode that follows where a file may be made. */
static mode_t mode_of(int flags, va_list ap)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
}

EXPORTED int openat64(int folder, const char *path, int flags, ...)
{
    static int (*_Atomic behind)(int, const char *, int, ...);
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    if (fails("open", EMFILE))
        return -1;
    if (behind == NULL)
        behind = (int (*)(int, const char *, int, ...))real("openat64");
    return behind(folder, path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return openat64(AT_FDCWD, path, flags, mode);
}

FAILING(FILE *, fopen64, (const char *path, const char *mode), (path, mode), "open", EMFILE, NULL)
FAILING_INT(mkostemp64, (char *name, int flags), (name, flags), "open", EMFILE)
FAILING_INT(shm_open, (const char *name, int flags, mode_t mode), (name, flags, mode), "open",
            EMFILE)

FAILING_INT(memfd_create, (const char *name, unsigned flags), (name, flags), "memfd", EMFILE)
FAILING_INT(eventfd, (unsigned count, int flags), (count, flags), "eventfd", EMFILE)
FAILING(pid_t, fork, (void), (), "fork", EAGAIN, -1)
FAILING_INT(timerfd_create, (int clock, int flags), (clock, flags), "timer", EMFILE)
FAILING_INT(epoll_create1, (int flags), (flags), "epoll", EMFILE)
FAILING_INT(dup3, (int fd, int to, int flags), (fd, to, flags), "dup", EMFILE)

/* What watches already can be changed, and taken off, without any memory. */
EXPORTED int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    static int (*_Atomic behind)(int, int, int, struct epoll_event *);
    if (op == EPOLL_CTL_ADD && fails("epoll", ENOMEM))
        return -1;
    if (behind == NULL)
        behind = (int (*)(int, int, int, struct epoll_event *))real("epoll_ctl");
    return behind(epoll, op, fd, event);
}

static bool duplicates(int op)
{
    return op == F_DUPFD || op == F_DUPFD_CLOEXEC;
}

EXPORTED int fcntl64(int fd, int op, ...)
{
    static int (*_Atomic behind)(int, int, ...);
    va_list ap;
    va_start(ap, op);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    if (duplicates(op) && fails("dup", EMFILE))
        return -1;
    if (behind == NULL)
        behind = (int (*)(int, int, ...))real("fcntl64");
    return behind(fd, op, argument);
}

/* --- files and folders */

FAILING_INT(ftruncate64, (int fd, off64_t size), (fd, size), "space", ENOSPC)
FAILING_INT(fallocate64, (int fd, int mode, off64_t at, off64_t len), (fd, mode, at, len), "space",
            ENOSPC)
FAILING_INT(mkdir, (const char *path, mode_t mode), (path, mode), "folder", ENOSPC)
FAILING_INT(symlink, (const char *to, const char *path), (to, path), "folder", ENOSPC)
FAILING_INT(rename, (const char *from, const char *to), (from, to), "folder", ENOSPC)
/* "short": of more than one byte the half is done. */
static size_t shortened(size_t len)
{
    return len > 1 && fails("short", 0) ? len / 2 : len;
}
FAILING(ssize_t, pwrite64, (int fd, const void *buf, size_t len, off64_t at),
        (fd, buf, shortened(len), at), "write", ENOSPC, -1)
FAILING(ssize_t, pread64, (int fd, void *buf, size_t len, off64_t at),
        (fd, buf, shortened(len), at), "read", EIO, -1)
FAILING_INT(fsync, (int fd), (fd), "sync", EIO)
FAILING_INT(linkat, (int from, const char *path, int to, const char *name, int flags),
            (from, path, to, name, flags), "link", ENOSPC)
FAILING_INT(renameat, (int from, const char *path, int to, const char *name),
            (from, path, to, name), "link", ENOSPC)
FAILING_INT(fstat64, (int fd, struct stat64 *st), (fd, st), "stat", EIO)

/* --- sockets */

#define ADDRESS int fd, const struct sockaddr *address, socklen_t len
FAILING_INT(socket, (int domain, int type, int protocol), (domain, type, protocol), "socket",
            EMFILE)
FAILING_INT(bind, (ADDRESS), (fd, address, len), "socket", ENOBUFS)
FAILING_INT(listen, (int fd, int backlog), (fd, backlog), "socket", ENOBUFS)
FAILING_INT(connect, (ADDRESS), (fd, address, len), "socket", ENOBUFS)
FAILING_INT(accept4, (int fd, struct sockaddr *address, socklen_t *len, int flags),
            (fd, address, len, flags), "accept", EMFILE)
FAILING(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags),
        "receive", ENOMEM, -1)
FAILING(ssize_t, recv, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags), "receive",
        ENOMEM, -1)
FAILING_INT(sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),
            (fd, messages, count, flags), "send", ENOMEM)
FAILING(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags),
        "send", ENOMEM, -1)
FAILING(ssize_t, send, (int fd, const void *buf, size_t len, int flags), (fd, buf, len, flags),
        "send", ENOMEM, -1)

/* --- threads */

EXPORTED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                            void *(*run)(void *), void *argument)
{
    static int (*_Atomic behind)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int before = errno;
    if (fails("thread", EAGAIN)) {
        int error = errno;
        errno = before;
        return error;
    }
    if (behind == NULL)
        behind = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))real(
            "pthread_create");
    return behind(thread, attributes, run, argument);
}

/* --- the page, and main */

static void leave_blocks(void)
{
    blocks = &unused.blocks;
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("MEMVISOR_FAULTS");
    void *warm[1];
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED)
        return;
    page = mapped;
    blocks = &page->blocks;
    pthread_atfork(NULL, NULL, leave_blocks);
    dl_iterate_phdr(note_base, NULL);
    backtrace(warm, 1); /* the first one loads a library */
}

static int (*program)(int argc, char **argv, char **env);

static int count_from_here(int argc, char **argv, char **env)
{
    atomic_store(&in_main, true);
    return program(argc, argv, env);
}

typedef int start_fn(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                     void (*)(void), void *);
start_fn __libc_start_main;
EXPORTED int __libc_start_main(int (*run)(int, char **, char **), int argc, char **argv,
                               void (*init)(void), void (*fini)(void), void (*end)(void), void *top)
{
    program = run;
    return ((start_fn *)real("__libc_start_main"))(count_from_here, argc, argv, init, fini, end,
                                                   top);
}
