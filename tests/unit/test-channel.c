/* SPDX-License-Identifier: Apache-2.0 */
/* stream/channel*.c without TLS: each kind of address, and peers that do not do as they should. */
#include "channel-fixture.h"

#include "cleanup.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#define MEGABYTES (3 * 1024 * 1024 + 17)

/* --- addresses */

static void test_what_is_no_address_is_told_with_the_remedy(void **state)
{
    static const struct {
        const char *uri;
        bool listens;
        const char *says;
    } bad[] = {
        {"", false, "write tcp:HOST:PORT, unix:PATH, exec:COMMAND, fd:N or fd:IN,OUT"},
        {"file:/x", false, "'file:/x': that is no address of a stream"},
        {"tcp", false, "no address of a stream"},
        {"tcp:", false, "there is no port: write tcp:HOST:PORT"},
        {"tcp:host", false, "there is no port"},
        {"tcp:host:", false, "port '' is none: it is a number from 1 to 65535"},
        {"tcp:host:0", false, "port '0' is none: it is a number from 1"},
        {"tcp:host:65536", false, "port '65536' is none"},
        {"tcp:host:99999999999999999999", false, "is none"},
        {"tcp:host:+1", false, "port '+1' is none"},
        {"tcp:host:http", true, "port 'http' is none: it is a number from 0 to 65535"},
        {"tcp::1", false, "there is no host to connect to"},
        {"tcp:::1:4444", false, "Write an IPv6 address in brackets"},
        {"tcp:[::1]", false, "there is no port"},
        {"tcp:[::1:4444", false, "there is no port"},
        {"tcp:[]:4444", true, "is no name or address of a host"},
        {"tcp:a b:4444", false, "'a b' is no name or address of a host"},
        {"unix:", false, "there is no path: write unix:PATH"},
        {"exec:", false, "there is no command: write exec:COMMAND"},
        {"exec:  ", false, "there is no command"},
        {"fd:", false, "that is no descriptor: write fd:N"},
        {"fd:-1", false, "that is no descriptor"},
        {"fd:3,", false, "that is no descriptor"},
        {"fd:3,4,5", false, "that is no descriptor"},
        {"fd:99999999999", false, "that is no descriptor"},
    };
    static const char *const good[] = {"tcp:host:1", "tcp:[::1]:65535", "unix:x", "exec:ssh -T",
                                       "fd:0",       "fd:0,1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = '\0';
        assert_int_equal(mv_channel_check(bad[i].uri, bad[i].listens, &err), -EINVAL);
        assert_says(bad[i].says);
        struct mv_channel *channel = NULL;
        if (!bad[i].listens)
            assert_int_equal(mv_channel_connect(bad[i].uri, NULL, AGES, NULL, &channel, &err),
                             -EINVAL);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_done(mv_channel_check(good[i], false, &err));
        assert_done(mv_channel_check(good[i], true, &err));
        assert_int_equal(mv_channel_is_shared(good[i]), i < 3);
    }
    assert_done(mv_channel_check("tcp::0", true, &err));
}

/* --- both ends, over each transport */

static void test_bytes_go_both_ways_at_once(void **state)
{
    const char *const uris[] = {"tcp:127.0.0.1:0", "tcp:[::1]:0", "tcp:localhost:0",
                                uri_of("unix:", in_folder("both"))};
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        struct mv_channel *ends[2];
        connect_both(uris[i], NULL, NULL, ends);
        exchange(ends, MEGABYTES);
        close_both(ends);
    }
}

static void test_a_command_takes_and_gives(void **state)
{
    struct mv_channel *ends[2];
    assert_done(mv_channel_connect("exec:cat", NULL, AGES, NULL, &ends[0], &err));
    ends[1] = ends[0];
    exchange(ends, MEGABYTES);
    assert_done(mv_channel_finish(ends[0], AGES, &err));
    mv_channel_close(ends[0]);
}

static void open_fd(const char *uri, struct mv_channel **ret)
{
    struct mv_channel_listener *listener;
    assert_done(mv_channel_listen(uri, NULL, false, &listener, &err));
    assert_done(mv_channel_accept(listener, NULL, ret, &err));
    struct mv_channel *second = NULL;
    assert_int_equal(mv_channel_accept(listener, NULL, &second, &err), -ENXIO);
    assert_says("it is one connection");
    mv_channel_listener_close(listener);
}

static void test_descriptors_that_are_given(void **state)
{
    int pair[2], to[2], from[2];
    char uri[60];
    struct mv_channel *ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(uri, sizeof uri, "fd:%d", pair[i]);
        open_fd(uri, &ends[i]);
        assert_int_not_equal(fcntl(pair[i], F_GETFD), 0); /* it was taken over */
    }
    exchange(ends, MEGABYTES);
    close_both(ends);

    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    int kept = dup(from[0]);
    snprintf(uri, sizeof uri, "fd:%d,%d", from[0], to[1]);
    open_fd(uri, &ends[0]);
    snprintf(uri, sizeof uri, "fd:%d,%d", to[0], from[1]);
    open_fd(uri, &ends[1]);
    exchange(ends, MEGABYTES);
    assert_true(fcntl(kept, F_GETFL) & O_NONBLOCK);
    close_both(ends);
    assert_false(fcntl(kept, F_GETFL) & O_NONBLOCK); /* the file is others', too */
    close(kept);
}

static void refuse_fd(int fd, int error, const char *says)
{
    char uri[30];
    struct mv_channel *channel = NULL;
    struct mv_channel_listener *listener = NULL;
    snprintf(uri, sizeof uri, "fd:%d", fd);
    assert_int_equal(mv_channel_connect(uri, NULL, AGES, NULL, &channel, &err), error);
    assert_says(says);
    assert_int_equal(mv_channel_listen(uri, NULL, false, &listener, &err), error);
    assert_says(says);
}

static void test_descriptors_that_are_no_stream(void **state)
{
    CLEANUP_CLOSE int file = open(in_folder("file"), O_RDWR | O_CREAT, 0600);
    CLEANUP_CLOSE int ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP_CLOSE int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    CLEANUP_CLOSE int listens = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(listen(listens, 1), 0);
    refuse_fd(999, -EBADF, "fd:999: this process was not started with a descriptor 999");
    refuse_fd(ours, -EBADF, "was not started with");
    refuse_fd(file, -EINVAL, "is a file or a disk");
    refuse_fd(datagrams, -EINVAL, "is no connected stream");
    refuse_fd(listens, -EINVAL, "is no connected stream");
    int ends[2];
    struct mv_channel_listener *listener = NULL;
    char uri[40];
    assert_int_equal(pipe(ends), 0);
    refuse_fd(ends[0], -EINVAL, "can only be read: give fd:IN,OUT");
    refuse_fd(ends[1], -EINVAL, "can only be written: give fd:IN,OUT");
    snprintf(uri, sizeof uri, "fd:%d,%d", ends[1], ends[0]);
    assert_int_equal(mv_channel_listen(uri, NULL, false, &listener, &err), -EINVAL);
    assert_says("the one to be read first");
    close(ends[0]);
    close(ends[1]);
}

static void test_pieces_are_gathered(void **state)
{
    enum { PIECES = 50 };
    struct mv_channel *ends[2];
    struct iovec pieces[PIECES];
    uint8_t from[PIECES * PIECES], to[PIECES * PIECES] = {0};
    size_t len = 0;
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = byte_at(i, 1);
    for (size_t i = 0; i < PIECES; i++) { /* each third is empty, the first and last too */
        pieces[i] = (struct iovec){.iov_base = from + len, .iov_len = i % 3 == 0 ? 0 : i};
        len += pieces[i].iov_len;
    }
    connect_both("tcp:127.0.0.1:0", NULL, NULL, ends);
    assert_done(mv_channel_writev(ends[0], pieces, PIECES, &err));
    assert_done(mv_channel_writev(ends[0], pieces, 0, &err));
    assert_done(mv_channel_write(ends[0], from, 0, &err));
    assert_int_equal(mv_channel_finish(ends[0], 0, &err), -ETIMEDOUT);
    assert_done(mv_channel_read(ends[1], to, len, &err));
    assert_memory_equal(from, to, len);
    assert_int_equal(mv_channel_read(ends[1], to, 1, &err), -ENODATA);
    close_both(ends);
}

static int option_of(const struct mv_channel *channel, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    getsockopt(channel->in.fd, level, name, &value, &len);
    return value;
}

static void test_tcp_waits_for_no_more_and_notices_a_host_that_is_gone(void **state)
{
    struct mv_channel *ends[2];
    connect_both("tcp:127.0.0.1:0", NULL, NULL, ends);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(option_of(ends[i], IPPROTO_TCP, TCP_NODELAY), 1);
        assert_int_equal(option_of(ends[i], SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_in_range(option_of(ends[i], IPPROTO_TCP, TCP_USER_TIMEOUT), 10000, 60000);
        assert_in_range(option_of(ends[i], IPPROTO_TCP, TCP_KEEPIDLE) +
                            option_of(ends[i], IPPROTO_TCP, TCP_KEEPINTVL) *
                                option_of(ends[i], IPPROTO_TCP, TCP_KEEPCNT),
                        10, 60);
        assert_ptr_equal(strstr(mv_channel_name(ends[i]), "tcp:127.0.0.1:"),
                         mv_channel_name(ends[i]));
    }
    close_both(ends);
}

/* --- listening */

static void test_others_may_connect_only_where_that_was_said(void **state)
{
    static const char *const open[] = {"tcp::0", "tcp:0.0.0.0:0", "tcp:[::]:0"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        struct mv_channel_listener *listener = NULL;
        assert_int_equal(mv_channel_listen(open[i], NULL, false, &listener, &err), -EPERM);
        assert_says(open[i]);
        assert_says("--insecure");
        assert_says("--tls");
        assert_done(mv_channel_listen(open[i], NULL, true, &listener, &err));
        mv_channel_listener_close(listener);
    }
}

static void test_listeners_in_the_way(void **state)
{
    struct mv_channel_listener *listener, *second = NULL;
    struct stat st;
    assert_done(mv_channel_listen("tcp:127.0.0.1:0", NULL, false, &listener, &err));
    assert_int_equal(
        mv_channel_listen(mv_channel_listener_uri(listener), NULL, false, &second, &err),
        -EADDRINUSE);
    assert_says("choose another port");
    mv_channel_listener_close(listener);

    assert_int_equal(mv_channel_listen("tcp:192.0.2.1:0", NULL, true, &second, &err),
                     -EADDRNOTAVAIL);
    assert_says("this host has no such address");

    const char *uri = uri_of("unix:", in_folder("way"));
    assert_done(mv_channel_listen(uri, NULL, false, &listener, &err));
    assert_int_equal(mv_channel_listen(uri, NULL, false, &second, &err), -EADDRINUSE);
    mv_channel_listener_close(listener);
    assert_int_equal(stat(in_folder("way"), &st), -1);
    assert_int_equal(mv_channel_listen(uri_of("unix:", folder), NULL, false, &second, &err),
                     -EEXIST);
}

static void test_nobody_listens(void **state)
{
    struct mv_channel_listener *listener;
    struct mv_channel *channel = NULL;
    char uri[MV_CHANNEL_TCP_NAME];
    assert_done(mv_channel_listen("tcp:127.0.0.1:0", NULL, false, &listener, &err));
    snprintf(uri, sizeof uri, "%s", mv_channel_listener_uri(listener));
    mv_channel_listener_close(listener);
    assert_int_equal(mv_channel_connect(uri, NULL, AGES, NULL, &channel, &err), -ECONNREFUSED);
    assert_says(uri);
    assert_says("start 'memvisor receive' on that host first");
    assert_int_equal(
        mv_channel_connect(uri_of("unix:", in_folder("none")), NULL, AGES, NULL, &channel, &err),
        -ENOENT);
    assert_says("nobody listens there");
    /* The reserved name is known to no server; some of them do not say so. */
    int r = mv_channel_connect("tcp:nobody.invalid:1", NULL, SECOND / 2, NULL, &channel, &err);
    assert_true(r == -ENOENT || r == -ETIMEDOUT);
    assert_says("'nobody.invalid'");
}

/* --- peers that do not do as they should */

static void test_a_peer_that_closes(void **state)
{
    struct mv_channel *ends[2];
    char bytes[100] = {0};
    for (size_t sent = 0; sent <= 60; sent += 60) {
        connect_both("tcp:127.0.0.1:0", NULL, NULL, ends);
        assert_done(mv_channel_write(ends[1], bytes, sent, &err));
        mv_channel_close(ends[1]);
        assert_int_equal(mv_channel_read(ends[0], bytes, 100, &err),
                         sent == 0 ? -ENODATA : -ECONNRESET);
        assert_says(sent == 0 ? "the other side has closed the connection"
                              : "the other side closed after 60 of 100 bytes");
        assert_true(mv_channel_read(ends[0], bytes, 1, &err) < 0);
        int r = 0;
        while (r == 0)
            r = mv_channel_write(ends[0], bytes, sizeof bytes, &err);
        assert_true(r == -EPIPE || r == -ECONNRESET);
        assert_true(mv_channel_write(ends[0], bytes, 1, &err) < 0);
        mv_channel_close(ends[0]);
    }
}

static void test_a_peer_that_resets(void **state)
{
    const struct linger now = {.l_onoff = 1};
    struct mv_channel *ends[2];
    char byte;
    connect_both("tcp:127.0.0.1:0", NULL, NULL, ends);
    setsockopt(ends[1]->in.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    mv_channel_close(ends[1]);
    assert_int_equal(mv_channel_read(ends[0], &byte, 1, &err), -ECONNRESET);
    assert_says("connection reset");
    mv_channel_close(ends[0]);
}

static void test_a_peer_that_does_nothing_wears_patience_out(void **state)
{
    struct mv_channel *ends[2];
    struct flow flow;
    char byte;
    const char *const uris[] = {"tcp:127.0.0.1:0", uri_of("unix:", in_folder("idle"))};
    for (int i = 0; i < 2; i++) {
        connect_both(uris[i], NULL, NULL, ends);
        mv_channel_set_patience(ends[0], SECOND / 20);
        assert_int_equal(mv_channel_read(ends[0], &byte, 1, &err), -ETIMEDOUT);
        assert_says("does not answer any more");
        start_flow(&flow, write_flow, ends[0], 3, UINT64_C(1) << 40);
        pthread_join(flow.thread, NULL);
        assert_int_equal(flow.result, -ETIMEDOUT);
        close_both(ends);
    }
}

static void test_an_end_is_heard_in_reading_and_writing(void **state)
{
    const char *const uris[] = {"tcp:127.0.0.1:0", uri_of("unix:", in_folder("end"))};
    for (int i = 0; i < 2; i++) {
        struct mv_channel *ends[2];
        struct flow reading, writing;
        connect_both(uris[i], NULL, NULL, ends);
        start_flow(&reading, read_flow, ends[0], 3, UINT64_C(1) << 40);
        start_flow(&writing, write_flow, ends[0], 3, UINT64_C(1) << 40);
        /* What is readable on the other side shows that the writer is at it. */
        assert_int_equal(mv_channel_wait_readable(ends[1], AGES, &err), 1);
        mv_channel_end(ends[0]);
        pthread_join(reading.thread, NULL);
        pthread_join(writing.thread, NULL);
        assert_int_equal(reading.result, -ECANCELED);
        assert_int_equal(writing.result, -ECANCELED);
        assert_int_equal(mv_channel_write(ends[0], "", 1, &err), -ECANCELED);
        assert_says("ended on this side");
        close_both(ends);
    }
}

static void test_waiting_for_bytes(void **state)
{
    struct mv_channel *ends[2];
    char byte = 0;
    connect_both("tcp:127.0.0.1:0", NULL, NULL, ends);
    assert_int_equal(mv_channel_wait_readable(ends[0], 0, &err), 0);
    assert_int_equal(mv_channel_wait_readable(ends[0], 1000000, &err), 0);
    assert_done(mv_channel_write(ends[1], &byte, 1, &err));
    assert_int_equal(mv_channel_wait_readable(ends[0], AGES, &err), 1);
    assert_done(mv_channel_read(ends[0], &byte, 1, &err));
    mv_channel_end(ends[0]);
    assert_int_equal(mv_channel_wait_readable(ends[0], AGES, &err), -ECANCELED);
    mv_channel_close(ends[1]);
    mv_channel_close(ends[0]);
}

static void test_a_peer_that_hung_up_behind_its_words(void **state)
{
    const char *const uris[] = {"tcp:127.0.0.1:0", uri_of("unix:", in_folder("hung"))};
    for (int i = 0; i < 2; i++) {
        struct mv_channel *ends[2];
        connect_both(uris[i], NULL, NULL, ends);
        assert_false(mv_channel_is_hung_up(ends[0]));
        assert_done(mv_channel_write(ends[1], "word", 4, &err));
        assert_int_equal(mv_channel_wait_readable(ends[0], AGES, &err), 1);
        assert_false(mv_channel_is_hung_up(ends[0]));
        mv_channel_close(ends[1]);
        while (!mv_channel_is_hung_up(ends[0]))
            sched_yield();
        mv_channel_close(ends[0]);
    }
}

static void test_tls_is_known_where_it_was_not_asked_for(void **state)
{
    static const uint8_t hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
                         alert[] = {21, 3, 3, 0, 2};
    struct mv_channel *ends[2];
    uint8_t bytes[sizeof hello];
    connect_both("tcp:127.0.0.1:0", NULL, NULL, ends);
    assert_done(mv_channel_write(ends[0], hello, sizeof hello, &err));
    assert_done(mv_channel_write(ends[1], alert, sizeof alert, &err));
    assert_int_equal(mv_channel_read(ends[1], bytes, sizeof hello, &err), -EPROTO);
    assert_says("the other side speaks TLS: give --tls");
    assert_int_equal(mv_channel_read(ends[0], bytes, sizeof alert, &err), -EPROTO);
    assert_says("the other side speaks TLS: give --tls");
    close_both(ends);
}

/* --- cancelled, or out of time, before there is a channel */

struct later {
    pthread_t thread;
    atomic_bool cancelled;
};

static void *cancel(void *opaque)
{
    struct later *later = opaque;
    usleep(1000); /* mostly it is being waited by then; both ways must work */
    atomic_store(&later->cancelled, true);
    return NULL;
}

static void start_cancel(struct later *later)
{
    atomic_init(&later->cancelled, false);
    assert_int_equal(pthread_create(&later->thread, NULL, cancel, later), 0);
}

/* A listener whose queue is full, so that who connects has to wait. */
static int fill_queue(int fd, const struct sockaddr *address, socklen_t len, int fds[4])
{
    assert_int_equal(bind(fd, address, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    getsockname(fd, (struct sockaddr *)&bound, &size);
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(fds[i], (struct sockaddr *)&bound, size);
    }
    return ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

static void wait_in_vain(const char *uri)
{
    struct later later;
    struct mv_channel *channel = NULL;
    assert_int_equal(mv_channel_connect(uri, NULL, SECOND / 20, NULL, &channel, &err), -ETIMEDOUT);
    assert_says(uri);
    assert_says("in time");
    start_cancel(&later);
    assert_int_equal(mv_channel_connect(uri, NULL, AGES, &later.cancelled, &channel, &err),
                     -ECANCELED);
    assert_says("ended before it was connected");
    pthread_join(later.thread, NULL);
}

/* The kernel connects a socket of the same port to itself. */
static void test_nobody_is_connected_to_himself(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof in;
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, len), 0);
    assert_true(mv_channel_tcp_is_own(fd));
    struct mv_channel *ends[2];
    connect_both("tcp:127.0.0.1:0", NULL, NULL, ends);
    assert_false(mv_channel_tcp_is_own(ends[0]->in.fd));
    close_both(ends);
}

static void test_connecting_can_be_cancelled_and_ends_in_time(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    strcpy(un.sun_path, in_folder("full"));
    int fds[8], tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char uri[40];
    snprintf(uri, sizeof uri, "tcp:127.0.0.1:%d",
             fill_queue(tcp, (struct sockaddr *)&in, sizeof in, fds));
    fill_queue(local, (struct sockaddr *)&un, sizeof un, fds + 4);
    wait_in_vain(uri);
    wait_in_vain(uri_of("unix:", un.sun_path));
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    close(tcp);
    close(local);
}

static void test_an_address_that_answers_nothing_leaves_time_for_the_next(void **state)
{
    struct sockaddr_in in[2];
    int fds[2][4], listens[2];
    for (int i = 0; i < 2; i++) {
        in[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        listens[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        in[i].sin_port = htons(
            (uint16_t)fill_queue(listens[i], (struct sockaddr *)&in[i], sizeof in[i], fds[i]));
    }
    assert_int_equal(listen(listens[1], 100), 0);
    struct addrinfo second = {
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&in[1], .ai_addrlen = sizeof in[1]};
    struct addrinfo first = second;
    first.ai_addr = (struct sockaddr *)&in[0];
    first.ai_next = &second;
    struct mv_channel_limit limit = MV_CHANNEL_NO_LIMIT;
    limit.until_ns = mv_channel_until(4 * SECOND);
    int fd = mv_channel_tcp_connect_any(&first, &limit);
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 4; j++)
            close(fds[i][j]);
        close(listens[i]);
    }
}

static void test_accepting_can_be_cancelled(void **state)
{
    const char *const uris[] = {"tcp:127.0.0.1:0", uri_of("unix:", in_folder("cancel"))};
    for (int i = 0; i < 2; i++) {
        struct later later;
        struct mv_channel_listener *listener;
        struct mv_channel *channel = NULL;
        assert_done(mv_channel_listen(uris[i], NULL, false, &listener, &err));
        start_cancel(&later);
        assert_int_equal(mv_channel_accept(listener, &later.cancelled, &channel, &err), -ECANCELED);
        assert_says("ended before anybody connected");
        pthread_join(later.thread, NULL);
        mv_channel_listener_close(listener);
    }
}

/* --- commands that do not do as they should */

static void test_a_command_that_fails_is_told_with_its_status(void **state)
{
    static const struct {
        const char *uri, *says;
    } commands[] = {
        {"exec:exit 3", "its command ended with status 3"},
        {"exec:no-such-command-here 2>/dev/null", "ended with status 127 (sh did not find it)"},
        {"exec:kill -9 $$", "was ended by signal 9 (Killed)"},
        {"exec:true", "ended with status 0"},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct mv_channel *channel;
        char byte = 0;
        assert_done(mv_channel_connect(commands[i].uri, NULL, AGES, NULL, &channel, &err));
        assert_int_equal(mv_channel_read(channel, &byte, 1, &err), -ENODATA);
        assert_says(commands[i].uri);
        assert_says(commands[i].says);
        assert_int_equal(mv_channel_write(channel, &byte, 1, &err), -EPIPE);
        assert_says(commands[i].says);
        mv_channel_close(channel);
    }
}

static void test_what_a_command_got_is_whole_once_it_has_finished(void **state)
{
    char uri[200], copy[1000];
    struct mv_channel *channel;
    struct stat st;
    snprintf(uri, sizeof uri, "exec:cat >%s", in_folder("copy"));
    assert_done(mv_channel_connect(uri, NULL, AGES, NULL, &channel, &err));
    memset(copy, 7, sizeof copy);
    assert_done(mv_channel_write(channel, copy, sizeof copy, &err));
    assert_done(mv_channel_finish(channel, AGES, &err));
    assert_true(mv_channel_write(channel, copy, 1, &err) < 0);
    mv_channel_close(channel);
    assert_int_equal(stat(in_folder("copy"), &st), 0);
    assert_int_equal(st.st_size, sizeof copy);

    assert_done(
        mv_channel_connect("exec:cat >/dev/null; exit 5", NULL, AGES, NULL, &channel, &err));
    assert_int_equal(mv_channel_finish(channel, AGES, &err), -EIO);
    assert_says("status 5");
    mv_channel_close(channel);
    assert_done(mv_channel_connect("exec:echo more", NULL, AGES, NULL, &channel, &err));
    assert_int_equal(mv_channel_finish(channel, AGES, &err), -EPROTO);
    assert_says("5 bytes behind the end");
    mv_channel_close(channel);
}

static void test_a_command_does_not_outlive_its_channel(void **state)
{
    static const char *const uris[] = {"exec:sleep 1000", "exec:sleep 1000 | sleep 1000",
                                       "exec:trap '' TERM; echo; while :; do sleep 1; done"};
    for (int i = 0; i < 3; i++) {
        struct mv_channel *channel;
        assert_done(mv_channel_connect(uris[i], NULL, AGES, NULL, &channel, &err));
        pid_t session = channel->child;
        char byte;
        if (i == 2)
            assert_done(mv_channel_read(channel, &byte, 1, &err));
        mv_channel_end(channel);
        mv_channel_close(channel);
        assert_int_equal(kill(session, 0), -1); /* it was reaped */
        while (kill(-session, 0) == 0)          /* its own children are init's to reap */
            usleep(1000);
    }
}

static void test_both_sides_finish(void **state)
{
    struct mv_channel *ends[2];
    char byte;
    connect_both("tcp:127.0.0.1:0", NULL, NULL, ends);
    assert_int_equal(mv_channel_finish(ends[0], SECOND / 50, &err), -ETIMEDOUT);
    assert_int_equal(mv_channel_read(ends[1], &byte, 1, &err), -ENODATA);
    assert_done(mv_channel_finish(ends[1], AGES, &err));
    close_both(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_address_is_told_with_the_remedy),
        cmocka_unit_test(test_bytes_go_both_ways_at_once),
        cmocka_unit_test(test_a_command_takes_and_gives),
        cmocka_unit_test(test_descriptors_that_are_given),
        cmocka_unit_test(test_descriptors_that_are_no_stream),
        cmocka_unit_test(test_pieces_are_gathered),
        cmocka_unit_test(test_tcp_waits_for_no_more_and_notices_a_host_that_is_gone),
        cmocka_unit_test(test_others_may_connect_only_where_that_was_said),
        cmocka_unit_test(test_listeners_in_the_way),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_a_peer_that_closes),
        cmocka_unit_test(test_a_peer_that_resets),
        cmocka_unit_test(test_a_peer_that_does_nothing_wears_patience_out),
        cmocka_unit_test(test_an_end_is_heard_in_reading_and_writing),
        cmocka_unit_test(test_waiting_for_bytes),
        cmocka_unit_test(test_a_peer_that_hung_up_behind_its_words),
        cmocka_unit_test(test_tls_is_known_where_it_was_not_asked_for),
        cmocka_unit_test(test_connecting_can_be_cancelled_and_ends_in_time),
        cmocka_unit_test(test_nobody_is_connected_to_himself),
        cmocka_unit_test(test_an_address_that_answers_nothing_leaves_time_for_the_next),
        cmocka_unit_test(test_accepting_can_be_cancelled),
        cmocka_unit_test(test_a_command_that_fails_is_told_with_its_status),
        cmocka_unit_test(test_what_a_command_got_is_whole_once_it_has_finished),
        cmocka_unit_test(test_a_command_does_not_outlive_its_channel),
        cmocka_unit_test(test_both_sides_finish),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
