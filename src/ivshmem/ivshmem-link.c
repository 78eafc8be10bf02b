/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link of a device: see ivshmem-link.h for which threads may do what.  `lock` guards
 * the view of the peers and the ID, which vCPU threads read and the loop's thread changes;
 * all else is the loop's thread's.  A storm of rings or messages costs it one reading for
 * each turn that the loop gives everybody else.
 */
#include "ivshmem-link.h"

#include "cleanup.h"
#include "ivshmem-session.h"
#include "ivshmem-view.h"
#include "log.h"
#include "loop.h"
#include "os.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#define RETRY_MS         200
#define RETRY_MAX_MS     6400
#define RETRY_REFUSED_MS 1000
#define STEADY_MS        5000
#define NEWS_PER_TURN    64
/* Descriptors that no peer gets, for the control socket's clients among others. */
#define KEPT_DESCRIPTORS 192

/* One of our own, whose descriptor is in the view. */
struct mv_ivshmem_link_vector {
    struct mv_ivshmem_link *link;
    unsigned number;
    int fd;
    struct mv_loop_source *source;
};

struct mv_ivshmem_link {
    struct mv_ivshmem_link_config config;
    char *path, *name;
    int timer_fd;
    struct mv_loop_source *socket_source, *timer_source;
    struct mv_ivshmem_session session; /* its ID is the view's once it is up */
    int descriptors_end;               /* peers' are below it */
    bool up;                           /* its memory is taken, and the view is its */
    bool was_lost;
    int64_t up_since_ms;
    long retry_ms;        /* longer after each of a row of connections that were short */
    struct mv_error told; /* the last refusal that was logged */
    struct mv_ivshmem_link_vector *own; /* config.vectors of them */
    unsigned own_count;
    pthread_rwlock_t lock;
    struct mv_ivshmem_view view;
    unsigned id;
    _Atomic uint64_t sent;
    uint64_t received;
};

/* --- our vectors */

static void serve_vector(void *opaque, uint32_t events)
{
    struct mv_ivshmem_link_vector *vector = opaque;
    struct mv_ivshmem_link *link = vector->link;
    uint64_t count;
    if (!mv_ivshmem_view_count(vector->fd, &count))
        return;
    link->received += count;
    link->config.ops->rung(link->config.opaque, vector->number, count);
}

void mv_ivshmem_link_collect(struct mv_ivshmem_link *link)
{
    for (unsigned i = 0; i < link->own_count; i++)
        serve_vector(&link->own[i], 0);
}

static void forget_vectors(struct mv_ivshmem_link *link)
{
    while (link->own_count > 0)
        mv_loop_remove(link->own[--link->own_count].source);
}

/* Takes the descriptor in any case. */
static int add_own_vector(struct mv_ivshmem_link *link, int fd, struct mv_error *err)
{
    struct mv_ivshmem_link_vector *vector = &link->own[link->own_count];
    if (link->own_count == link->config.vectors) {
        close(fd);
        return 0;
    }
    int r = mv_ivshmem_view_add(&link->view, (uint16_t)link->id, fd, err);
    if (r < 0)
        return r;
    *vector = (struct mv_ivshmem_link_vector){.link = link, .number = link->own_count, .fd = fd};
    r = mv_loop_add(link->config.loop, fd, EPOLLIN, serve_vector, vector, &vector->source, err);
    if (r == 0)
        link->own_count++;
    return r;
}

/* --- what the server says */

/* The connection's view takes the place of the one before. */
static int take_memory(struct mv_ivshmem_link *link, int fd, struct mv_error *err)
{
    CLEANUP_CLOSE int owned = fd;
    uint64_t size;
    int r = mv_ivshmem_view_check_memory(fd, &size, err);
    if (r == 0)
        r = link->config.ops->memory(link->config.opaque, fd, size, err);
    if (r < 0)
        return r;
    forget_vectors(link);
    pthread_rwlock_wrlock(&link->lock);
    mv_ivshmem_view_clear(&link->view);
    link->id = link->session.id;
    pthread_rwlock_unlock(&link->lock);
    link->up = true;
    link->up_since_ms = mv_now_ms();
    if (link->config.ops->connected != NULL)
        link->config.ops->connected(link->config.opaque, true);
    if (link->was_lost)
        mv_log("%s: the ivshmem server at '%s' is back; the guest is peer %u now", link->name,
               link->path, link->id);
    link->was_lost = false;
    link->told.text[0] = '\0';
    return 0;
}

static void tell_peer(struct mv_ivshmem_link *link, unsigned id)
{
    if (link->config.ops->peer != NULL && id != link->id)
        link->config.ops->peer(link->config.opaque, id, mv_ivshmem_view_vectors(&link->view, id));
}

/* The kernel gives the lowest number that is free. */
static int check_room(const struct mv_ivshmem_link *link, unsigned id, int fd, struct mv_error *err)
{
    if (fd < link->descriptors_end)
        return 0;
    return mv_error_set(err, EMFILE,
                        "with peer %u there are more vectors than this process may have "
                        "descriptors for: raise the hard limit (ulimit -n)",
                        id);
}

static int take_vector(struct mv_ivshmem_link *link, unsigned id, int fd, struct mv_error *err)
{
    int room = check_room(link, id, fd, err);
    if (room < 0) {
        close(fd);
        return room;
    }
    pthread_rwlock_wrlock(&link->lock);
    int r = id == link->id ? add_own_vector(link, fd, err)
                           : mv_ivshmem_view_add(&link->view, (uint16_t)id, fd, err);
    pthread_rwlock_unlock(&link->lock);
    if (r < 0)
        return r;
    tell_peer(link, id);
    return 0;
}

static void remove_peer(struct mv_ivshmem_link *link, unsigned id)
{
    pthread_rwlock_wrlock(&link->lock);
    mv_ivshmem_view_remove(&link->view, id);
    pthread_rwlock_unlock(&link->lock);
    tell_peer(link, id);
}

static int take_news(struct mv_ivshmem_link *link, const struct mv_ivshmem_news *news,
                     struct mv_error *err)
{
    if (news->kind == MV_IVSHMEM_NEWS_MEMORY)
        return take_memory(link, news->fd, err);
    if (news->kind == MV_IVSHMEM_NEWS_VECTOR)
        return take_vector(link, news->id, news->fd, err);
    remove_peer(link, news->id);
    return 0;
}

/* 0 once no more messages are there, or the loop's other sources are to have their turn. */
static int take_all_news(struct mv_ivshmem_link *link, struct mv_error *err)
{
    struct mv_ivshmem_news news;
    for (unsigned i = 0; i < NEWS_PER_TURN; i++) {
        int r = mv_ivshmem_session_receive(&link->session, &news, err);
        if (r > 0)
            r = take_news(link, &news, err);
        else if (r == 0)
            break;
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- connections */

static void set_timer(struct mv_ivshmem_link *link, long ms)
{
    struct timespec every = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    struct itimerspec when = {.it_value = every, .it_interval = every};
    timerfd_settime(link->timer_fd, 0, &when, NULL);
}

static void end_connection(struct mv_ivshmem_link *link)
{
    mv_loop_remove(link->socket_source);
    link->socket_source = NULL;
    mv_ivshmem_session_end(&link->session);
    link->up = false;
}

/*
 * With too few descriptors for all peers, none are kept: other parts of the VM need
 * descriptors too.
 */
static void drop_peers(struct mv_ivshmem_link *link)
{
    forget_vectors(link);
    for (unsigned id = 0; id < MV_IVSHMEM_ID_COUNT && link->view.count > 0; id++) {
        if (mv_ivshmem_view_vectors(&link->view, id) > 0)
            remove_peer(link, id);
    }
}

/* The pause before the next try grows while connections end soon after they were made. */
static long retry_after(struct mv_ivshmem_link *link, bool refused)
{
    bool steady = mv_now_ms() - link->up_since_ms >= STEADY_MS;
    if (link->up)
        link->retry_ms = steady ? RETRY_MS : MIN(2 * link->retry_ms, RETRY_MAX_MS);
    return refused ? MAX(link->retry_ms, RETRY_REFUSED_MS) : link->retry_ms;
}

/* The same refusal is told once, however often the server repeats its cause. */
static void lose(struct mv_ivshmem_link *link, int error, const struct mv_error *why)
{
    bool refused = !link->up || (error != -ECONNRESET && error != -EPIPE);
    if (!refused)
        mv_log("%s: the ivshmem server at '%s' is gone: memory and peers stay as they are, "
               "waiting for another",
               link->name, link->path);
    else if (strcmp(link->told.text, why->text) != 0)
        mv_log("%s: the ivshmem server at '%s' is of no use: %s; waiting for another", link->name,
               link->path, why->text);
    if (refused)
        link->told = *why;
    if (link->up && link->config.ops->connected != NULL)
        link->config.ops->connected(link->config.opaque, false);
    link->was_lost = true;
    long ms = retry_after(link, refused);
    end_connection(link);
    if (error == -EMFILE)
        drop_peers(link);
    set_timer(link, ms);
}

static void serve_socket(void *opaque, uint32_t events)
{
    struct mv_ivshmem_link *link = opaque;
    struct mv_error err;
    int r = take_all_news(link, &err);
    if (r < 0)
        lose(link, r, &err);
}

static int watch_socket(struct mv_ivshmem_link *link, struct mv_error *err)
{
    return mv_loop_add(link->config.loop, link->session.socket_fd, EPOLLIN, serve_socket, link,
                       &link->socket_source, err);
}

static void retry(void *opaque, uint32_t events)
{
    struct mv_ivshmem_link *link = opaque;
    struct mv_error err;
    mv_drain(link->timer_fd);
    if (link->session.socket_fd >= 0 ||
        mv_ivshmem_session_connect(&link->session, link->path, &err) < 0)
        return;
    set_timer(link, 0);
    int r = watch_socket(link, &err);
    if (r < 0)
        lose(link, r, &err);
}

/* --- opening and closing */

static int allocate(const struct mv_ivshmem_link_config *config, struct mv_ivshmem_link **ret,
                    struct mv_error *err)
{
    struct mv_ivshmem_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return mv_error_set_errno(err, ENOMEM, "ivshmem");
    link->config = *config;
    mv_ivshmem_session_init(&link->session);
    link->retry_ms = RETRY_MS;
    mv_rwlock_init(&link->lock);
    mv_ivshmem_bell_init(&link->view.bell);
    link->path = strdup(config->path);
    link->name = strdup(config->name);
    link->own = calloc(config->vectors, sizeof *link->own);
    link->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int r = 0;
    if (link->path == NULL || link->name == NULL || link->own == NULL)
        r = mv_error_set_errno(err, ENOMEM, "ivshmem");
    else if (link->timer_fd < 0)
        r = mv_error_set_errno(err, errno, "ivshmem");
    else
        r = mv_loop_add(config->loop, link->timer_fd, EPOLLIN, retry, link, &link->timer_source,
                        err);
    if (r < 0)
        mv_ivshmem_link_close(link);
    else
        *ret = link;
    return r;
}

/* The server alone knows how many eventfds it will hand out. */
static void allow_many_descriptors(struct mv_ivshmem_link *link)
{
    struct rlimit limit = {.rlim_max = 1024};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    rlim_t most = MIN(limit.rlim_max, (rlim_t)INT_MAX);
    link->descriptors_end = (int)(most - MIN(most / 4, (rlim_t)KEPT_DESCRIPTORS));
}

/* What the hello has got becomes the link's. */
static int take_hello(struct mv_ivshmem_link *link, struct mv_ivshmem_hello *hello,
                      struct mv_error *err)
{
    int memory_fd = hello->memory_fd;
    link->session = hello->session;
    mv_ivshmem_session_init(&hello->session);
    hello->memory_fd = -1;
    int r = take_memory(link, memory_fd, err);
    if (r < 0)
        mv_error_prefix(err, "the ivshmem server at '%s'", link->path);
    return r == 0 ? watch_socket(link, err) : r;
}

static bool is_interrupted(void *opaque)
{
    return mv_progress_cancelled();
}

/* The hello that was given, or one that is waited for here. */
static int begin(struct mv_ivshmem_link *link, struct mv_error *err)
{
    struct mv_ivshmem_hello *own = NULL, *hello = link->config.hello;
    int r = 0;
    if (hello == NULL)
        r = mv_ivshmem_hello_create(link->path, is_interrupted, NULL, &own, err);
    if (r == 0)
        r = take_hello(link, hello == NULL ? own : hello, err);
    mv_ivshmem_hello_destroy(own);
    return r;
}

int mv_ivshmem_link_open(const struct mv_ivshmem_link_config *config, struct mv_ivshmem_link **ret,
                         struct mv_error *err)
{
    struct mv_ivshmem_link *link = NULL;
    int r = allocate(config, &link, err);
    if (r < 0)
        return r;
    allow_many_descriptors(link);
    r = begin(link, err);
    link->config.hello = NULL;
    if (r < 0)
        mv_ivshmem_link_close(link);
    else
        *ret = link;
    return r;
}

void mv_ivshmem_link_close(struct mv_ivshmem_link *link)
{
    if (link == NULL)
        return;
    end_connection(link);
    forget_vectors(link);
    mv_ivshmem_view_clear(&link->view);
    mv_loop_remove(link->timer_source);
    mv_cleanup_close(&link->timer_fd);
    mv_ivshmem_bell_destroy(&link->view.bell);
    pthread_rwlock_destroy(&link->lock);
    free(link->own);
    free(link->path);
    free(link->name);
    free(link);
}

/* --- for the device */

int mv_ivshmem_link_ring(struct mv_ivshmem_link *link, unsigned peer, unsigned vector,
                         uint64_t value)
{
    pthread_rwlock_rdlock(&link->lock);
    int r = mv_ivshmem_view_ring(&link->view, peer, vector, value);
    pthread_rwlock_unlock(&link->lock);
    if (r == 0)
        atomic_fetch_add_explicit(&link->sent, 1, memory_order_relaxed);
    return r;
}

void mv_ivshmem_link_broadcast(struct mv_ivshmem_link *link, unsigned vector, uint64_t value)
{
    uint64_t sent = 0;
    pthread_rwlock_rdlock(&link->lock);
    size_t left = link->view.count;
    for (unsigned id = 0; id < MV_IVSHMEM_ID_COUNT && left > 0; id++) {
        if (mv_ivshmem_view_vectors(&link->view, id) == 0)
            continue;
        left--;
        sent += id != link->id && mv_ivshmem_view_ring(&link->view, id, vector, value) == 0;
    }
    pthread_rwlock_unlock(&link->lock);
    atomic_fetch_add_explicit(&link->sent, sent, memory_order_relaxed);
}

unsigned mv_ivshmem_link_vectors(struct mv_ivshmem_link *link, unsigned peer)
{
    pthread_rwlock_rdlock(&link->lock);
    unsigned vectors = mv_ivshmem_view_vectors(&link->view, peer);
    pthread_rwlock_unlock(&link->lock);
    return vectors;
}

unsigned mv_ivshmem_link_id(struct mv_ivshmem_link *link)
{
    pthread_rwlock_rdlock(&link->lock);
    unsigned id = link->id;
    pthread_rwlock_unlock(&link->lock);
    return id;
}

void mv_ivshmem_link_describe(struct mv_ivshmem_link *link, struct mv_ivshmem_link_info *ret)
{
    *ret = (struct mv_ivshmem_link_info){
        .path = link->path,
        .connected = link->up,
        .id = link->id,
        .vectors = link->own_count,
        .sent = atomic_load_explicit(&link->sent, memory_order_relaxed),
        .received = link->received,
    };
}

void mv_ivshmem_link_resume(struct mv_ivshmem_link *link, const struct mv_ivshmem_link_info *then)
{
    atomic_store_explicit(&link->sent, then->sent, memory_order_relaxed);
    link->received = then->received;
    if (link->id != then->id)
        mv_log("%s: the guest was peer %u of its ivshmem server, and is peer %u now", link->name,
               then->id, link->id);
}

void mv_ivshmem_link_for_each(struct mv_ivshmem_link *link,
                              void (*fn)(void *opaque, unsigned peer, unsigned vectors),
                              void *opaque)
{
    size_t left = link->view.count;
    for (unsigned id = 0; id < MV_IVSHMEM_ID_COUNT && left > 0; id++) {
        unsigned vectors = mv_ivshmem_view_vectors(&link->view, id);
        left -= vectors > 0;
        if (vectors > 0 && id != link->id)
            fn(opaque, id, vectors);
    }
}
