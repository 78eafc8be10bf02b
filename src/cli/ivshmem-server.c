/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor ivshmem-server: shared memory for peers that connect to a socket. */
#include "verb.h"

#include "cleanup.h"
#include "ivshmem-server.h"
#include "ivshmem-verbs.h"
#include "ivshmem-wire.h"
#include "log.h"
#include "loop.h"
#include "process.h"
#include "signals.h"
#include "size.h"
#include "unix-socket.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Descriptors that are no peer's: standard ones, sockets, the loop, status readers. */
#define OWN_FDS 64

struct server_options {
    char *socket, *size_text, *vectors_text, *mem, *mode_text, *owner_text, *max_peers_text,
        *control;
    bool status, json, watch, verbose;
    uint64_t size;
    unsigned vectors, max_peers;
    bool max_peers_asked, few_descriptors;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

/* Whether the text is a number, of at most `max`. */
static bool parse_number(const char *text, int base, unsigned long max, unsigned *ret)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, base);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || value > max)
        return false;
    *ret = (unsigned)value;
    return true;
}

static int parse_count(const char *name, const char *text, unsigned max, unsigned *ret,
                       struct mv_error *err)
{
    if (text == NULL || (parse_number(text, 10, max, ret) && *ret > 0))
        return 0;
    return mv_error_set(err, EINVAL, "--%s %s: it is a number from 1 to %u", name, text, max);
}

static int parse_mode(struct server_options *o, struct mv_error *err)
{
    o->mode = 0660;
    if (o->mode_text == NULL || parse_number(o->mode_text, 8, 0777, &o->mode))
        return 0;
    return mv_error_set(err, EINVAL, "--mode %s: it is octal, up to 0777, such as 0660",
                        o->mode_text);
}

/* A number, or a name, whose number is then `known`. */
static int parse_id(const char *what, const char *text, const unsigned *known, unsigned *ret,
                    struct mv_error *err)
{
    if (known != NULL)
        *ret = *known;
    else if (text[0] != '\0' && !parse_number(text, 10, UINT32_MAX - 1, ret))
        return mv_error_set(err, EINVAL, "--owner: there is no %s '%s'", what, text);
    return 0;
}

static int parse_owner(struct server_options *o, struct mv_error *err)
{
    o->uid = (uid_t)-1;
    o->gid = (gid_t)-1;
    if (o->owner_text == NULL)
        return 0;
    CLEANUP_FREE char *user = strdup(o->owner_text);
    if (user == NULL)
        return mv_error_set_errno(err, ENOMEM, "--owner");
    char *group = strchr(user, ':');
    if (group != NULL)
        *group++ = '\0';
    const struct passwd *of_user = getpwnam(user);
    int r = parse_id("user", user, of_user == NULL ? NULL : &of_user->pw_uid, &o->uid, err);
    if (r < 0 || group == NULL)
        return r;
    const struct group *of_group = getgrnam(group);
    return parse_id("group", group, of_group == NULL ? NULL : &of_group->gr_gid, &o->gid, err);
}

/* Asking takes the path of a socket, and none of what serving takes. */
static int check_status_options(const struct server_options *o, struct mv_error *err)
{
    const char *const serving[][2] = {{"size", o->size_text},   {"vectors", o->vectors_text},
                                      {"mem", o->mem},          {"mode", o->mode_text},
                                      {"owner", o->owner_text}, {"max-peers", o->max_peers_text}};
    for (size_t i = 0; i < sizeof serving / sizeof serving[0]; i++) {
        if (serving[i][1] != NULL)
            return mv_error_set(err, EINVAL, "--%s is for serving, and --status only asks",
                                serving[i][0]);
    }
    if (o->socket == NULL && o->control == NULL)
        return mv_error_set(err, EINVAL,
                            "--status needs the server's SOCKET, or --control with the path of "
                            "its status socket");
    if (o->control != NULL && strcmp(o->control, "none") == 0)
        return mv_error_set(err, EINVAL,
                            "--control none: a server without a status socket cannot be asked");
    return 0;
}

static int check_options(void *config, struct mv_error *err)
{
    struct server_options *o = config;
    o->vectors = 1;
    o->max_peers = MV_IVSHMEM_ID_COUNT;
    o->max_peers_asked = o->max_peers_text != NULL;
    if ((o->json || o->watch) && !o->status)
        return mv_error_set(err, EINVAL, "--%s goes with --status", o->json ? "json" : "watch");
    if (o->status)
        return check_status_options(o, err);
    if (o->socket == NULL && getenv("LISTEN_FDS") == NULL)
        return mv_error_set(err, EINVAL, "SOCKET is missing: the path where peers connect");
    if (o->size_text == NULL)
        return mv_error_set(err, EINVAL,
                            "--size is missing: how much memory to share, such as "
                            "--size 64M");
    int r = mv_size_parse(o->size_text, &o->size, err);
    if (r < 0)
        mv_error_prefix(err, "--size %s", o->size_text);
    if (r == 0)
        r = parse_count("vectors", o->vectors_text, MV_IVSHMEM_VECTORS_MAX, &o->vectors, err);
    if (r == 0)
        r = parse_count("max-peers", o->max_peers_text, MV_IVSHMEM_ID_COUNT, &o->max_peers, err);
    if (r == 0)
        r = parse_mode(o, err);
    if (r == 0)
        r = parse_owner(o, err);
    if (r == 0 && o->mem != NULL)
        r = mv_ivshmem_memory_check(o->mem, err);
    return r;
}

/* Raise RLIMIT_NOFILE for max_peers, or take fewer where nobody asked for so many. */
static int make_room(struct server_options *o, struct mv_error *err)
{
    struct rlimit limit;
    uint64_t each = 1 + (uint64_t)o->vectors;
    /* Queues may hold vectors of peers that are gone. */
    uint64_t besides = OWN_FDS + (uint64_t)MV_IVSHMEM_QUEUE_LIMIT;
    uint64_t wanted = o->max_peers * each + besides;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted) {
        rlim_t hard = limit.rlim_max;
        limit.rlim_cur = wanted < hard ? wanted : hard;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            getrlimit(RLIMIT_NOFILE, &limit);
        /* Those who may raise the hard limit too, do. */
        struct rlimit more = {.rlim_cur = wanted, .rlim_max = wanted};
        if (o->max_peers_asked && hard < wanted && setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    uint64_t fit = limit.rlim_cur > OWN_FDS ? (limit.rlim_cur - OWN_FDS) / each : 0;
    if (limit.rlim_cur > 2 * besides)
        fit = (limit.rlim_cur - besides) / each;
    if (fit >= o->max_peers)
        return 0;
    if (o->max_peers_asked || fit == 0)
        return mv_error_set(err, EMFILE,
                            "--max-peers %u with %u vectors each needs %llu descriptors, and this "
                            "process may have %llu: raise the limit (ulimit -Hn, LimitNOFILE=) or "
                            "ask for %llu",
                            o->max_peers, o->vectors, (unsigned long long)wanted,
                            (unsigned long long)limit.rlim_cur, (unsigned long long)fit);
    o->max_peers = (unsigned)fit;
    o->few_descriptors = true;
    return 0;
}

/* A listening socket, and its file where that is ours to remove. */
struct listener {
    int fd;
    const char *path;
    struct stat st;
};

static void end_listener(struct listener *listener)
{
    struct stat st;
    mv_cleanup_close(&listener->fd);
    /* Not one that another server has put in its place. */
    if (listener->path != NULL && lstat(listener->path, &st) == 0 &&
        st.st_ino == listener->st.st_ino && st.st_dev == listener->st.st_dev)
        unlink(listener->path);
}
#define CLEANUP_LISTENER __attribute__((cleanup(end_listener)))

/* A socket that is there with its permissions from its first moment on. */
static int open_listener(const struct server_options *o, const char *what, const char *path,
                         struct listener *listener, struct mv_error *err)
{
    mode_t old = umask(0777 & ~o->mode);
    int r = mv_unix_listen(what, path, &listener->fd, err);
    umask(old);
    if (r < 0)
        return r;
    listener->path = path;
    lstat(path, &listener->st);
    if (lchown(path, o->uid, o->gid) < 0)
        return mv_error_set_errno(err, errno, "--owner %s: %s", o->owner_text, path);
    return 0;
}

static int open_listeners(const struct server_options *o, const char *control_path,
                          struct listener *peers, struct listener *control, struct mv_error *err)
{
    int fds[2] = {-1, -1};
    int r = mv_service_sockets(fds, 2, err);
    if (r < 0)
        return r;
    peers->fd = fds[0];
    control->fd = fds[1];
    if (r == 0 && o->socket == NULL)
        return mv_error_set(err, EINVAL, "SOCKET is missing: the path where peers connect");
    bool passed = r > 0;
    /* Whoever sees SOCKET finds the other there, too. */
    if (control->fd < 0 && control_path != NULL)
        r = open_listener(o, o->control == NULL ? "SOCKET's status socket" : "--control",
                          control_path, control, err);
    if (r >= 0 && !passed)
        r = open_listener(o, "SOCKET", o->socket, peers, err);
    return r < 0 ? r : 0;
}

static void on_end(void *opaque)
{
    mv_loop_stop(opaque);
}

static int serve_until_signal(struct mv_loop *loop, const struct mv_ivshmem_server_config *config,
                              struct mv_error *err)
{
    struct mv_ivshmem_server *server = NULL;
    int r = mv_ivshmem_server_create(loop, config, &server, err);
    if (r == 0) {
        mv_service_notify("READY=1");
        mv_loop_run(loop);
        mv_service_notify("STOPPING=1");
        mv_log("ivshmem-server: ends on SIG%s, %zu peers connected",
               sigabbrev_np(mv_signals_caught()), mv_ivshmem_server_peers(server));
    }
    mv_ivshmem_server_destroy(server);
    return r;
}

static void say_ready(const struct server_options *o, const char *mem,
                      const struct mv_ivshmem_memory *memory)
{
    if (memory->size != o->size)
        mv_log("ivshmem-server: --size %s becomes %s, the next power of two", mv_size_text(o->size),
               mv_size_text(memory->size));
    if (o->vectors > 256)
        mv_warn("ivshmem-server: guests of QEMU ring vectors up to 255 alone");
    mv_log("ivshmem-server: %s in %s%s, %u vectors, up to %u peers, on %s",
           mv_size_text(memory->size), mem, memory->found ? " with what is in it" : "", o->vectors,
           o->max_peers, o->socket == NULL ? "the sockets passed" : o->socket);
}

static int open_and_serve(struct server_options *o, const char *control_path, struct mv_loop *loop,
                          struct mv_error *err)
{
    CLEANUP_LISTENER struct listener peers = {.fd = -1}, control = {.fd = -1};
    struct mv_ivshmem_memory memory;
    const char *mem = o->mem == NULL ? "memfd" : o->mem;
    int r = open_listeners(o, control_path, &peers, &control, err);
    if (r < 0)
        return r;
    struct mv_ivshmem_memory_config wish = {
        .text = mem, .size = o->size, .mode = o->mode, .uid = o->uid, .gid = o->gid};
    r = mv_ivshmem_memory_open(&wish, &memory, err);
    if (r < 0)
        return r;
    say_ready(o, mem, &memory);
    struct mv_ivshmem_server_config config = {.listen_fd = peers.fd,
                                              .control_fd = control.fd,
                                              .memory_fd = memory.fd,
                                              .size = memory.size,
                                              .memory = mem,
                                              .vectors = o->vectors,
                                              .max_peers = o->max_peers,
                                              .few_descriptors = o->few_descriptors,
                                              .verbose = o->verbose};
    r = serve_until_signal(loop, &config, err);
    close(memory.fd);
    return r;
}

/* Signals are caught first: whoever sees a socket may end the server, and no file stays. */
static int serve(struct server_options *o, const char *control_path, struct mv_error *err)
{
    struct mv_loop *loop;
    int r = make_room(o, err);
    if (r == 0)
        r = mv_loop_create(&loop, err);
    if (r < 0)
        return r;
    r = mv_signals_catch(loop, on_end, loop, err);
    if (r == 0)
        r = mv_log_begin(err);
    if (r == 0)
        r = open_and_serve(o, control_path, loop, err);
    mv_log_end();
    mv_signals_release();
    mv_loop_destroy(loop);
    return r;
}

static int run(void *config, struct mv_error *err)
{
    struct server_options *o = config;
    CLEANUP_FREE char *default_path = NULL;
    const char *control_path = o->control;
    if (control_path == NULL && o->socket != NULL) {
        if (asprintf(&default_path, "%s.control", o->socket) < 0)
            return mv_error_set_errno(err, ENOMEM, "ivshmem-server");
        control_path = default_path;
    } else if (control_path != NULL && strcmp(control_path, "none") == 0) {
        control_path = NULL;
    }
    return o->status ? mv_ivshmem_status_show(control_path, o->json, o->watch, err)
                     : serve(o, control_path, err);
}

static const struct mv_option options[] = {
    {MV_TEXT(server_options, size_text, "size", "SIZE",
             "How much memory to share, rounded up to a power of two; a bare number counts MiB.")},
    {MV_TEXT(server_options, vectors_text, "vectors", "N",
             "Interrupt vectors a peer, 1 to 2048; default 1. QEMU rings up to 256.")},
    {MV_TEXT(server_options, mem, "mem", "KIND",
             "Where the bytes are: memfd (default; sealed, so that no peer can shrink it), "
             "shm:NAME, file:PATH, hugetlb, hugetlb:2M or hugetlb:1G. Named memory stays when "
             "the server ends, and is found again.")},
    {MV_TEXT(server_options, mode_text, "mode", "MODE",
             "Permissions of the socket and of named memory that is made; octal, default 0660.")},
    {MV_TEXT(server_options, owner_text, "owner", "USER:GROUP",
             "Owner of the same; USER, USER:GROUP or :GROUP, names or numbers.")},
    {MV_TEXT(server_options, max_peers_text, "max-peers", "N",
             "Turn away more than so many; default as many as the limit of descriptors allows, "
             "at most 65536.")},
    {MV_TEXT(server_options, control, "control", "PATH",
             "Where the status socket is; default SOCKET.control; 'none' for none.")},
    {MV_FLAG(server_options, status,
             "Do not serve: print what the server of SOCKET, or the one whose status socket "
             "--control names, says of itself and its peers.")},
    {MV_FLAG(server_options, json,
             "With --status: print an object with pid, uptime (seconds), memory, size (bytes), "
             "vectors, max-peers, joined, left, dropped, refused and peers, a list of objects "
             "with id, pid, uid, gid, vectors, since and queue.")},
    {MV_FLAG(server_options, watch, "With --status: again each second.")},
    {.letter = 'v', MV_FLAG(server_options, verbose, "Say when a peer comes or goes.")},
};

static const struct mv_option words[] = {
    {MV_WORD(server_options, socket, "SOCKET",
             "Path where peers connect. Sockets passed by a service manager (LISTEN_FDS) take "
             "its place: the first is for peers, the second for the status.")},
};

const struct mv_verb mv_ivshmem_server_verb = {
    .name = "ivshmem-server",
    .summary = "Serve memory that guests and programs share, or show the status of a server.",
    .synopsis = "memvisor ivshmem-server SOCKET --size SIZE [OPTION]...\n"
                "       memvisor ivshmem-server SOCKET|--control PATH --status [--json] [--watch]",
    .options = MV_OPTIONS("ivshmem-server", 0),
    .names_itself = true,
    .config_size = sizeof(struct server_options),
    .check = check_options,
    .run = run,
};
