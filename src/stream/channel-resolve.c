/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-resolve.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* What the thread and its caller share; who lets go of it last frees it. */
struct lookup {
    atomic_int holders;
    char *host, *port;
    int done_fd; /* an eventfd: the answer is there */
    atomic_bool done;
    int result; /* of getaddrinfo, with its errno */
    int error;
    struct addrinfo *found;
};

static void let_go(struct lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->holders, 1) > 1)
        return;
    if (lookup->found != NULL)
        freeaddrinfo(lookup->found);
    if (lookup->done_fd >= 0)
        close(lookup->done_fd);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static int ask(const char *host, const char *port, int flags, struct addrinfo **ret)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    return getaddrinfo(*host == '\0' ? NULL : host, port, &hints, ret);
}

static void *look_up(void *opaque)
{
    struct lookup *lookup = opaque;
    lookup->result = ask(lookup->host, lookup->port, 0, &lookup->found);
    lookup->error = errno;
    atomic_store(&lookup->done, true);
    eventfd_write(lookup->done_fd, 1);
    let_go(lookup);
    return NULL;
}

static int start(struct lookup *lookup, const char *host, const char *port)
{
    pthread_t thread;
    pthread_attr_t attr;
    lookup->host = strdup(host);
    lookup->port = strdup(port);
    lookup->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lookup->host == NULL || lookup->port == NULL || lookup->done_fd < 0)
        return lookup->done_fd < 0 ? -errno : -ENOMEM;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int r = pthread_create(&thread, &attr, look_up, lookup);
    pthread_attr_destroy(&attr);
    return -r;
}

static int tell(const char *uri, const char *host, int result, int error, struct mv_error *err)
{
    if (result == EAI_SYSTEM)
        return mv_error_set_errno(err, error, "%s: looking up '%s'", uri, host);
    return mv_error_set(err, result == EAI_MEMORY ? ENOMEM : ENOENT,
                        "%s: host '%s' has no address: %s", uri, host, gai_strerror(result));
}

int mv_channel_resolve(const char *uri, const char *host, const char *port,
                       const struct mv_channel_limit *limit, struct addrinfo **ret,
                       struct mv_error *err)
{
    int result = ask(host, port, AI_NUMERICHOST | (*host == '\0' ? AI_PASSIVE : 0), ret);
    if (result != EAI_NONAME)
        return result == 0 ? 0 : tell(uri, host, result, errno, err);
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s", uri);
    lookup->holders = 2;
    int r = start(lookup, host, port);
    if (r < 0) {
        lookup->holders = 1;
        let_go(lookup);
        return mv_error_set_errno(err, -r, "%s: looking up '%s'", uri, host);
    }
    r = mv_channel_wait(lookup->done_fd, POLLIN, limit);
    if (atomic_load(&lookup->done))
        r = 0;
    if (r == -ECANCELED)
        mv_error_set(err, ECANCELED, "%s: ended while '%s' was looked up", uri, host);
    else if (r < 0)
        mv_error_set(err, -r, "%s: no name server knew '%s' in time", uri, host);
    else if (lookup->result != 0)
        r = tell(uri, host, lookup->result, lookup->error, err);
    if (r == 0) {
        *ret = lookup->found;
        lookup->found = NULL;
    }
    let_go(lookup);
    return r;
}
