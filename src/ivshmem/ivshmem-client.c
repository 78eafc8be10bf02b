/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client: owns a connection, the view of the peers that it gives, and the
 * mapping of the memory.  Whatever a server sends ends in an error and a lost
 * connection at most.  No lock: a handle belongs to one thread at a time.
 *
 * One epoll set has the connection, our vectors and the timer of reconnecting,
 * so that a program's own loop can wait for it.
 */
#include "memvisor-ivshmem.h"

#include "cleanup.h"
#include "error.h"
#include "ivshmem-session.h"
#include "ivshmem-view.h"
#include "os.h"
#include "unix-socket.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>

#define RETRY_MS 100
/* Our own vectors come one by one; the last are often a moment behind the first. */
#define QUIET_MS 10

/* epoll's word: a vector's number, or one of these. */
#define WORD_SOCKET (UINT64_C(1) << 32)
#define WORD_TIMER  (UINT64_C(2) << 32)

struct mv_ivshmem {
    char *path; /* to connect to again; NULL: never */
    int epoll_fd, timer_fd;
    struct mv_ivshmem_session session;
    void *memory; /* NULL: none so far */
    uint64_t size;
    bool ready; /* our first vector has come, which is behind all peers */
    bool was_lost;
    struct mv_ivshmem_view view;
    struct mv_error err;
};

/* Our own vectors; NULL: none so far. */
static const struct mv_ivshmem_view_peer *self_of(const struct mv_ivshmem *shm)
{
    return shm->session.has_id ? shm->view.peers[shm->session.id] : NULL;
}

static void disconnect(struct mv_ivshmem *shm)
{
    const struct mv_ivshmem_view_peer *self = self_of(shm);
    /* Peers hold our eventfds too, so closing one does not take it out of the epoll set. */
    for (unsigned i = 0; self != NULL && i < self->count; i++)
        epoll_ctl(shm->epoll_fd, EPOLL_CTL_DEL, self->fds[i], NULL);
    mv_ivshmem_view_clear(&shm->view);
    mv_ivshmem_session_end(&shm->session);
    shm->ready = false;
}

static void set_timer(struct mv_ivshmem *shm, long ms)
{
    struct itimerspec when = {.it_value = {.tv_nsec = ms * 1000000},
                              .it_interval = {.tv_nsec = ms * 1000000}};
    timerfd_settime(shm->timer_fd, 0, &when, NULL);
}

static int watch(struct mv_ivshmem *shm, int fd, uint64_t word)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = word};
    return epoll_ctl(shm->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0
               ? 0
               : mv_error_set_errno(&shm->err, errno, "watching a descriptor");
}

static int start_session(struct mv_ivshmem *shm, int fd)
{
    mv_ivshmem_session_begin(&shm->session, fd);
    return watch(shm, fd, WORD_SOCKET);
}

/* A later connection's memory takes the place of the earlier one's. */
static int map_memory(struct mv_ivshmem *shm, int fd)
{
    CLEANUP_CLOSE int owned = fd;
    uint64_t size;
    int r = mv_ivshmem_view_check_memory(fd, &size, &shm->err);
    if (r < 0)
        return r;
    if (shm->memory != NULL && size != shm->size)
        return mv_error_set(&shm->err, EPROTO,
                            "the server is back with %" PRIu64 " bytes of memory in the place of "
                            "%" PRIu64,
                            size, shm->size);
    void *at = mmap(shm->memory, (size_t)size, PROT_READ | PROT_WRITE,
                    MAP_SHARED | (shm->memory == NULL ? 0 : MAP_FIXED), fd, 0);
    if (at == MAP_FAILED)
        return mv_error_set_errno(&shm->err, errno, "mapping the server's memory");
    shm->memory = at;
    shm->size = size;
    return 0;
}

static int take_vector(struct mv_ivshmem *shm, const struct mv_ivshmem_news *news,
                       struct mv_ivshmem_event *event)
{
    bool ours = news->id == shm->session.id;
    int r = mv_ivshmem_view_add(&shm->view, news->id, news->fd, &shm->err);
    unsigned last = mv_ivshmem_vectors(shm, news->id) - 1;
    int watched = r >= 0 && ours ? watch(shm, news->fd, last) : 0;
    if (r <= 0 || watched < 0)
        return watched < 0 ? watched : r;
    if (!ours) {
        *event = (struct mv_ivshmem_event){.kind = MV_IVSHMEM_JOINED, .peer = news->id};
        return shm->ready;
    }
    shm->ready = true;
    *event = (struct mv_ivshmem_event){.kind = MV_IVSHMEM_BACK, .peer = news->id};
    bool back = shm->was_lost;
    shm->was_lost = false;
    return back;
}

static int take_leave(struct mv_ivshmem *shm, unsigned id, struct mv_ivshmem_event *event)
{
    /* One that left before it was told of is no news. */
    if (shm->view.peers[id] == NULL)
        return 0;
    mv_ivshmem_view_remove(&shm->view, id);
    *event = (struct mv_ivshmem_event){.kind = MV_IVSHMEM_LEFT, .peer = id};
    return shm->ready;
}

/* 1 with an event, 0 without, or an error after which the connection is of no use. */
static int take_news(struct mv_ivshmem *shm, const struct mv_ivshmem_news *news,
                     struct mv_ivshmem_event *event)
{
    return news->kind == MV_IVSHMEM_NEWS_MEMORY   ? map_memory(shm, news->fd)
           : news->kind == MV_IVSHMEM_NEWS_VECTOR ? take_vector(shm, news, event)
                                                  : take_leave(shm, news->id, event);
}

/* News until some is an event (1) or there is no more (0). */
static int serve_socket(struct mv_ivshmem *shm, struct mv_ivshmem_event *event)
{
    for (;;) {
        struct mv_ivshmem_news news;
        int r = mv_ivshmem_session_receive(&shm->session, &news, &shm->err);
        if (r <= 0 || (r = take_news(shm, &news, event)) != 0)
            return r;
    }
}

/* 1 where this is news for the program. */
static int lose(struct mv_ivshmem *shm, int error, struct mv_ivshmem_event *event)
{
    bool told = shm->was_lost;
    disconnect(shm);
    if (shm->path == NULL)
        return error;
    set_timer(shm, RETRY_MS);
    shm->was_lost = true;
    *event = (struct mv_ivshmem_event){.kind = MV_IVSHMEM_LOST};
    return !told;
}

static void retry(struct mv_ivshmem *shm)
{
    struct mv_error ignored;
    int fd;
    mv_drain(shm->timer_fd);
    if (shm->session.socket_fd >= 0 ||
        mv_unix_connect_now("the server's socket", shm->path, &fd, &ignored) < 0)
        return;
    set_timer(shm, 0);
    if (start_session(shm, fd) < 0) {
        disconnect(shm);
        set_timer(shm, RETRY_MS);
    }
}

static int serve_vector(struct mv_ivshmem *shm, unsigned vector, struct mv_ivshmem_event *event)
{
    const struct mv_ivshmem_view_peer *self = self_of(shm);
    uint64_t count;
    if (self == NULL || vector >= self->count || !mv_ivshmem_view_count(self->fds[vector], &count))
        return 0;
    *event = (struct mv_ivshmem_event){
        .kind = MV_IVSHMEM_RUNG, .peer = shm->session.id, .vector = vector, .count = count};
    return 1;
}

/* What epoll has, up to the deadline: 1 with an event, 0, or an error. */
static int step(struct mv_ivshmem *shm, int timeout_ms, struct mv_ivshmem_event *event,
                bool *ret_idle)
{
    struct epoll_event ready;
    int n = epoll_wait(shm->epoll_fd, &ready, 1, timeout_ms);
    *ret_idle = n == 0;
    if (n < 0)
        return errno == EINTR ? 0 : mv_error_set_errno(&shm->err, errno, "epoll_wait");
    if (n == 0)
        return 0;
    if (ready.data.u64 == WORD_TIMER) {
        retry(shm);
        return 0;
    }
    if (ready.data.u64 != WORD_SOCKET)
        return serve_vector(shm, (unsigned)ready.data.u64, event);
    int r = serve_socket(shm, event);
    return r < 0 ? lose(shm, r, event) : r;
}

static int remaining(int64_t deadline)
{
    if (deadline < 0)
        return -1;
    int64_t left = deadline - mv_now_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int mv_ivshmem_wait(struct mv_ivshmem *shm, int timeout_ms, struct mv_ivshmem_event *ret_event)
{
    int64_t deadline = timeout_ms < 0 ? -1 : mv_now_ms() + timeout_ms;
    if (shm->session.socket_fd < 0 && shm->path == NULL)
        return -ECONNRESET;
    for (;;) {
        struct mv_ivshmem_event event;
        bool idle;
        int left = remaining(deadline);
        int r = step(shm, left, &event, &idle);
        if (r > 0)
            *ret_event = event;
        if (r != 0)
            return r;
        if (left == 0 && (idle || timeout_ms > 0))
            return 0;
    }
}

/* Wait for our own vectors, or until nothing more comes after the memory. */
static int join(struct mv_ivshmem *shm, int timeout_ms)
{
    struct mv_ivshmem_event event;
    int64_t deadline = timeout_ms < 0 ? -1 : mv_now_ms() + timeout_ms;
    for (;;) {
        int left = remaining(deadline);
        struct pollfd readable = {.fd = shm->session.socket_fd, .events = POLLIN};
        int wait = shm->ready && (left < 0 || left > QUIET_MS) ? QUIET_MS : left;
        int n = poll(&readable, 1, wait);
        if (n == 0 && shm->ready)
            return 0;
        if (n == 0)
            return mv_error_set(&shm->err, ETIMEDOUT,
                                "the server did not send %s within %d milliseconds",
                                !shm->session.has_id       ? "our ID"
                                : !shm->session.has_memory ? "its memory"
                                                           : "our vectors",
                                timeout_ms);
        int r = serve_socket(shm, &event);
        if (r < 0)
            return r;
        /* Others may come and go all the time. */
        if (r > 0 && shm->ready && left == 0)
            return 0;
    }
}

static struct mv_ivshmem *create(struct mv_error *err)
{
    struct mv_ivshmem *shm = calloc(1, sizeof *shm);
    if (shm == NULL) {
        mv_error_set_errno(err, ENOMEM, "ivshmem");
        return NULL;
    }
    mv_ivshmem_session_init(&shm->session);
    mv_ivshmem_bell_init(&shm->view.bell);
    shm->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shm->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (shm->epoll_fd >= 0 && shm->timer_fd >= 0 && watch(shm, shm->timer_fd, WORD_TIMER) == 0)
        return shm;
    mv_error_set_errno(err, errno, "ivshmem");
    mv_ivshmem_close(shm);
    return NULL;
}

static struct mv_ivshmem *fail(struct mv_ivshmem *shm, const struct mv_error *err, char *ret_error)
{
    if (ret_error != NULL)
        snprintf(ret_error, MV_IVSHMEM_ERROR_SIZE, "%.*s", MV_IVSHMEM_ERROR_SIZE - 1,
                 shm == NULL ? err->text : shm->err.text);
    mv_ivshmem_close(shm);
    return NULL;
}

struct mv_ivshmem *mv_ivshmem_open_fd(int socket_fd, int timeout_ms, char *ret_error)
{
    struct mv_error err;
    struct mv_ivshmem *shm = create(&err);
    if (shm == NULL)
        close(socket_fd);
    if (shm == NULL || start_session(shm, socket_fd) < 0 || join(shm, timeout_ms) < 0)
        return fail(shm, &err, ret_error);
    return shm;
}

struct mv_ivshmem *mv_ivshmem_open(const char *path, unsigned flags, int timeout_ms,
                                   char *ret_error)
{
    struct mv_error err = {""};
    int64_t deadline = timeout_ms < 0 ? -1 : mv_now_ms() + timeout_ms;
    int fd;
    if (mv_unix_connect_within("the server's socket", path, timeout_ms, &fd, &err) < 0)
        return fail(NULL, &err, ret_error);
    struct mv_ivshmem *shm = mv_ivshmem_open_fd(fd, remaining(deadline), ret_error);
    if (shm == NULL || (flags & MV_IVSHMEM_RECONNECT) == 0)
        return shm;
    shm->path = strdup(path);
    if (shm->path != NULL)
        return shm;
    mv_error_set_errno(&shm->err, ENOMEM, "ivshmem");
    return fail(shm, &err, ret_error);
}

void mv_ivshmem_close(struct mv_ivshmem *shm)
{
    if (shm == NULL)
        return;
    disconnect(shm);
    if (shm->memory != NULL)
        munmap(shm->memory, shm->size);
    mv_ivshmem_bell_destroy(&shm->view.bell);
    mv_cleanup_close(&shm->timer_fd);
    mv_cleanup_close(&shm->epoll_fd);
    free(shm->path);
    free(shm);
}

unsigned mv_ivshmem_id(const struct mv_ivshmem *shm)
{
    return shm->session.id;
}

void *mv_ivshmem_memory(const struct mv_ivshmem *shm)
{
    return shm->memory;
}

uint64_t mv_ivshmem_size(const struct mv_ivshmem *shm)
{
    return shm->size;
}

size_t mv_ivshmem_peers(const struct mv_ivshmem *shm, unsigned *ret_ids, size_t room)
{
    size_t count = 0;
    for (unsigned id = 0; id < MV_IVSHMEM_ID_COUNT; id++) {
        if (shm->view.peers[id] == NULL || (shm->session.has_id && id == shm->session.id))
            continue;
        if (count < room)
            ret_ids[count] = id;
        count++;
    }
    return count;
}

unsigned mv_ivshmem_vectors(const struct mv_ivshmem *shm, unsigned peer)
{
    return mv_ivshmem_view_vectors(&shm->view, peer);
}

int mv_ivshmem_ring(struct mv_ivshmem *shm, unsigned peer, unsigned vector)
{
    int r = mv_ivshmem_view_ring(&shm->view, peer, vector, 1);
    if (r == -ENOENT)
        return mv_error_set(&shm->err, ENOENT, "there is no peer %u", peer);
    if (r == -EINVAL)
        return mv_error_set(&shm->err, EINVAL, "peer %u has no vector %u: its last is %u", peer,
                            vector, mv_ivshmem_vectors(shm, peer) - 1);
    return r < 0 ? mv_error_set_errno(&shm->err, -r, "ringing peer %u", peer) : 0;
}

int mv_ivshmem_fd(const struct mv_ivshmem *shm)
{
    return shm->epoll_fd;
}

/* Copied by the kernel: a page that no longer exists is then an error and not a SIGBUS. */
static int copy(struct mv_ivshmem *shm, uint64_t offset, void *bytes, size_t size, bool out)
{
    if (offset > shm->size || size > shm->size - offset)
        return mv_error_set(&shm->err, ERANGE,
                            "%zu bytes at offset %" PRIu64 " reach beyond the memory, which has "
                            "%" PRIu64,
                            size, offset, shm->size);
    size_t done = 0;
    while (done < size) {
        struct iovec ours = {.iov_base = (char *)bytes + done, .iov_len = size - done};
        struct iovec theirs = {.iov_base = (char *)shm->memory + offset + done,
                               .iov_len = size - done};
        ssize_t n =
            process_vm_readv(getpid(), out ? &ours : &theirs, 1, out ? &theirs : &ours, 1, 0);
        if (n <= 0)
            return mv_error_set(&shm->err, EFAULT,
                                "the memory at offset %" PRIu64 " is gone: the object behind it "
                                "has shrunk",
                                offset + done);
        done += (size_t)n;
    }
    return 0;
}

int mv_ivshmem_read(struct mv_ivshmem *shm, uint64_t offset, void *to, size_t size)
{
    return copy(shm, offset, to, size, true);
}

int mv_ivshmem_write(struct mv_ivshmem *shm, uint64_t offset, const void *from, size_t size)
{
    return copy(shm, offset, (void *)from, size, false);
}

const char *mv_ivshmem_error(const struct mv_ivshmem *shm)
{
    return shm->err.text;
}
