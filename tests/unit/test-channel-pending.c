/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream/channel-pending.c: who has connected and says nothing, or little, holds nobody up.
 * Nobody's time runs out here where that is not what is tried: were one waited for, the test
 * would not end.
 */
#include "channel-fixture.h"

#include "channel-tls.h"

#include <poll.h>

#define LOCAL  "tcp:127.0.0.1:0"
#define PLACES MV_CHANNEL_PENDING_MAX
#define FIRST  40

static struct mv_channel_tls *server, *good, *wrong;

static void open_tls(const char *key, bool listens, struct mv_channel_tls **ret)
{
    char text[300];
    const char *path = in_folder(listens ? "server" : key);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(dprintf(fd, "alice:%s\n", key) > 0);
    close(fd);
    snprintf(text, sizeof text, "psk=%s", path);
    assert_done(mv_channel_tls_open(text, listens, ret, &err));
}

static int set_up(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    open_tls("000102030405060708090a0b0c0d0e0f", true, &server);
    open_tls("000102030405060708090a0b0c0d0e0f", false, &good);
    open_tls("ffeeddccbbaa99887766554433221100", false, &wrong);
    return 0;
}

static int tear_down(void **state)
{
    mv_channel_tls_close(server);
    mv_channel_tls_close(good);
    mv_channel_tls_close(wrong);
    return remove_folder(state);
}

/* --- who connects */

static struct mv_channel_listener *listen_for(const char *uri, const struct mv_channel_tls *tls)
{
    struct mv_channel_listener *listener;
    assert_done(mv_channel_listen(uri, tls, false, &listener, &err));
    mv_channel_listener_set_handshake(listener, AGES);
    return listener;
}

/* One who knows nothing of TLS, and says these bytes. */
static struct mv_channel *connect_stranger(struct mv_channel_listener *listener, const void *bytes,
                                           size_t len)
{
    struct mv_channel *channel;
    const char *uri = mv_channel_listener_uri(listener);
    assert_done(mv_channel_connect(uri, NULL, AGES, NULL, &channel, &err));
    assert_done(mv_channel_write(channel, bytes, len, &err));
    return channel;
}

static void assert_closed(struct mv_channel *channel)
{
    char byte;
    int r = mv_channel_read(channel, &byte, 1, &err);
    assert_true(r == -ENODATA || r == -ECONNRESET);
    mv_channel_close(channel);
}

static void assert_open(struct mv_channel *channel)
{
    assert_int_equal(mv_channel_wait_readable(channel, 0, &err), 0);
}

struct connecting {
    pthread_t thread;
    const char *uri;
    const struct mv_channel_tls *tls;
    struct mv_channel *channel;
    int result;
    struct mv_error err;
};

static void *connect_in_thread(void *opaque)
{
    struct connecting *by = opaque;
    by->result = mv_channel_connect(by->uri, by->tls, AGES, NULL, &by->channel, &by->err);
    return NULL;
}

static void start_connecting(struct connecting *by, struct mv_channel_listener *listener,
                             const struct mv_channel_tls *tls)
{
    *by = (struct connecting){.uri = mv_channel_listener_uri(listener), .tls = tls};
    assert_int_equal(pthread_create(&by->thread, NULL, connect_in_thread, by), 0);
}

/* A byte that goes from one to the other shows that they are the two ends. */
static void close_ends(struct mv_channel *from, struct mv_channel *to)
{
    char byte = 7;
    assert_done(mv_channel_write(from, &byte, 1, &err));
    byte = 0;
    assert_done(mv_channel_read(to, &byte, 1, &err));
    assert_int_equal(byte, 7);
    mv_channel_close(from);
    mv_channel_close(to);
}

/* The next one that is accepted is `by`. */
static void accept_it(struct mv_channel_listener *listener, struct connecting *by)
{
    struct mv_channel *channel = NULL;
    assert_done(mv_channel_accept(listener, NULL, &channel, &err));
    pthread_join(by->thread, NULL);
    if (by->result != 0)
        fail_msg("%s", by->err.text);
    close_ends(by->channel, channel);
}

/* One who begins with TLS and goes on when the test has it so. */
static struct mv_channel *begin_slowly(struct mv_channel_listener *listener)
{
    struct pollfd wait;
    struct mv_channel *channel = connect_stranger(listener, "", 0);
    assert_done(mv_tls_begin(channel, good, "127.0.0.1", &err));
    assert_int_equal(mv_tls_step(channel, &wait, &err), -EAGAIN);
    return channel;
}

static void *go_on_slowly(void *opaque)
{
    struct connecting *by = opaque;
    struct pollfd wait;
    while ((by->result = mv_tls_step(by->channel, &wait, &by->err)) == -EAGAIN)
        poll(&wait, 1, -1);
    return NULL;
}

static void accept_slow(struct mv_channel_listener *listener, struct mv_channel *slow)
{
    struct connecting by = {.channel = slow};
    assert_int_equal(pthread_create(&by.thread, NULL, go_on_slowly, &by), 0);
    accept_it(listener, &by);
}

/* --- TLS */

/* Of a record that is never whole. */
static const uint8_t hello[] = {22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb, 3, 3};

static void *send_slowly(void *opaque)
{
    struct mv_channel *channel = opaque;
    for (size_t i = 0; mv_channel_write(channel, &hello[i], 1, NULL) == 0;
         i += i + 1 < sizeof hello)
        usleep(10000);
    return NULL;
}

static void test_who_says_nothing_or_little_holds_nobody_up(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *strangers[4];
    struct connecting by;
    pthread_t thread;
    for (size_t i = 0; i < 3; i++)
        strangers[i] = connect_stranger(listener, hello, i * 5);
    strangers[3] = connect_stranger(listener, "", 0);
    assert_int_equal(pthread_create(&thread, NULL, send_slowly, strangers[3]), 0);
    for (int i = 0; i < 3; i++) {
        start_connecting(&by, listener, good);
        accept_it(listener, &by);
    }
    for (size_t i = 0; i < 4; i++)
        assert_open(strangers[i]);
    mv_channel_listener_close(listener);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < 4; i++)
        assert_closed(strangers[i]);
}

static void test_a_handshake_goes_on_in_the_next_call(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *slow = begin_slowly(listener);
    struct connecting by;
    start_connecting(&by, listener, good);
    accept_it(listener, &by);
    accept_slow(listener, slow);
    mv_channel_listener_close(listener);
}

static void test_the_oldest_gives_way(void **state)
{
    enum { MORE = 3 };
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *strangers[PLACES + MORE], *channel = NULL;
    struct connecting by;
    for (size_t i = 0; i < PLACES + MORE; i++)
        strangers[i] = connect_stranger(listener, hello, i % 2);
    start_connecting(&by, listener, good);
    for (size_t i = 0; i <= MORE; i++) {
        assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
        assert_says("had not shown who it is, and gave way");
        assert_closed(strangers[i]);
    }
    accept_it(listener, &by);
    for (size_t i = MORE + 1; i < PLACES + MORE; i++)
        assert_open(strangers[i]);
    mv_channel_listener_close(listener);
    for (size_t i = MORE + 1; i < PLACES + MORE; i++)
        assert_closed(strangers[i]);
}

/* Two are refused, one of whom does not go by itself, and one is not: in any order. */
static void test_who_is_refused_takes_nobody_along(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *silent = connect_stranger(listener, "", 0);
    struct mv_channel *plain = connect_stranger(listener, "GET / HTTP/1.1\r\n\r\n", 18);
    struct mv_channel *slow = begin_slowly(listener), *channel = NULL;
    struct connecting bad, by;
    int refused = 0, keys = 0;
    start_connecting(&bad, listener, wrong);
    start_connecting(&by, listener, good);
    for (int i = 0; i < 3; i++) {
        int r = mv_channel_accept(listener, NULL, &channel, &err);
        if (r == -EACCES) {
            refused++;
            keys += strstr(err.text, "key of 'alice' is another than that in") != NULL;
        }
    }
    assert_int_equal(refused, 2);
    assert_int_equal(keys, 1);
    pthread_join(bad.thread, NULL);
    assert_int_equal(bad.result, -EACCES);
    assert_non_null(strstr(bad.err.text, "it does not take this side's identity and key"));
    pthread_join(by.thread, NULL);
    assert_int_equal(by.result, 0);
    close_ends(by.channel, channel);
    accept_slow(listener, slow);
    assert_open(silent);
    mv_channel_listener_close(listener);
    assert_closed(silent);
    mv_channel_close(plain);
}

static void test_each_has_its_own_time(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *slow = begin_slowly(listener), *strangers[3], *channel = NULL;
    struct connecting by;
    start_connecting(&by, listener, good);
    accept_it(listener, &by);
    mv_channel_listener_set_handshake(listener, SECOND / 20);
    for (int i = 0; i < 3; i++)
        strangers[i] = connect_stranger(listener, hello, (size_t)i);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
        assert_says("did not show in time who it is");
    }
    for (int i = 0; i < 3; i++)
        assert_closed(strangers[i]);
    accept_slow(listener, slow); /* who came when more time was given */
    mv_channel_listener_close(listener);
}

static void test_they_outlive_a_cancel(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *slow = begin_slowly(listener), *silent = connect_stranger(listener, "", 0);
    struct mv_channel *channel = NULL;
    struct connecting by;
    atomic_bool cancelled = true;
    assert_int_equal(mv_channel_accept(listener, &cancelled, &channel, &err), -ECANCELED);
    assert_says("ended before anybody connected");
    start_connecting(&by, listener, good);
    accept_it(listener, &by);
    assert_int_equal(mv_channel_accept(listener, &cancelled, &channel, &err), -ECANCELED);
    assert_says("ended before anybody had shown who it is");
    accept_slow(listener, slow);
    mv_channel_listener_close(listener);
    assert_closed(silent);
}

static void *cancel_when_heard(void *opaque)
{
    atomic_bool *cancelled = opaque;
    usleep(1000); /* mostly it is being waited by then; both ways must work */
    atomic_store(cancelled, true);
    return NULL;
}

static void test_a_cancel_is_noticed_while_they_wait(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *silent = connect_stranger(listener, "", 0), *channel = NULL;
    atomic_bool cancelled = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_heard, &cancelled), 0);
    assert_int_equal(mv_channel_accept(listener, &cancelled, &channel, &err), -ECANCELED);
    pthread_join(thread, NULL);
    mv_channel_listener_close(listener);
    assert_closed(silent);
}

/* In each state: nothing said, a part of a handshake, refused and not gone. */
static void test_they_are_closed_with_the_listener(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *silent = connect_stranger(listener, "", 0), *slow = begin_slowly(listener);
    struct mv_channel *plain = connect_stranger(listener, "GET / HTTP/1.1\r\n\r\n", 18);
    struct connecting by;
    start_connecting(&by, listener, good);
    struct mv_channel *channel = NULL;
    int r;
    while ((r = mv_channel_accept(listener, NULL, &channel, &err)) == -EACCES)
        ;
    assert_done(r);
    pthread_join(by.thread, NULL);
    mv_channel_listener_close(listener);
    assert_closed(silent);
    mv_channel_close(slow);
    mv_channel_close(plain);
    close_ends(by.channel, channel);
}

/* --- who is to speak first */

static const char words[FIRST] = "as many bytes as are waited for, no more";

static void test_who_speaks_first_is_first(void **state)
{
    const char *const uris[] = {LOCAL, uri_of("unix:", in_folder("first"))};
    for (int i = 0; i < 2; i++) {
        struct mv_channel_listener *listener = listen_for(uris[i], NULL);
        struct mv_channel *channels[4], *channel = NULL;
        char bytes[FIRST];
        mv_channel_listener_set_first(listener, FIRST, AGES);
        for (size_t j = 0; j < 4; j++) /* the last one says all */
            channels[j] = connect_stranger(listener, words, j == 3 ? FIRST : j);
        assert_done(mv_channel_accept(listener, NULL, &channel, &err));
        assert_done(mv_channel_read(channel, bytes, FIRST, &err));
        assert_memory_equal(bytes, words, FIRST);
        close_ends(channels[3], channel);

        for (size_t j = 2; j < FIRST; j++) /* the rest, byte by byte */
            assert_done(mv_channel_write(channels[2], &words[j], 1, &err));
        assert_done(mv_channel_accept(listener, NULL, &channel, &err));
        assert_done(mv_channel_read(channel, bytes, FIRST, &err));
        assert_memory_equal(bytes, words, FIRST);
        close_ends(channels[2], channel);

        for (size_t j = 0; j < 2; j++) { /* an end is handed out, too */
            mv_channel_close(channels[j]);
            assert_done(mv_channel_accept(listener, NULL, &channel, &err));
            assert_int_equal(mv_channel_read(channel, bytes, FIRST, &err),
                             j == 0 ? -ENODATA : -ECONNRESET);
            mv_channel_close(channel);
        }
        mv_channel_listener_close(listener);
    }
}

static void test_who_does_not_speak_in_time_is_refused(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, NULL);
    struct mv_channel *strangers[PLACES + 1], *channel = NULL;
    mv_channel_listener_set_first(listener, FIRST, AGES);
    for (size_t i = 0; i <= PLACES; i++)
        strangers[i] = connect_stranger(listener, words, i % FIRST);
    assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
    assert_says("had not said what it wants, and gave way");
    mv_channel_listener_set_first(listener, FIRST, SECOND / 20);
    struct mv_channel *late = connect_stranger(listener, words, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
    assert_says("did not say in time what it wants");
    mv_channel_listener_close(listener);
    for (size_t i = 0; i <= PLACES; i++)
        assert_closed(strangers[i]);
    assert_closed(late);
}

/* Who has shown who it is stays, however many come who have not. */
static void test_who_has_shown_who_it_is_gives_way_to_no_stranger(void **state)
{
    struct mv_channel_listener *listener = listen_for(LOCAL, server);
    struct mv_channel *strangers[2 * PLACES], *channel = NULL;
    struct connecting quiet, by;
    mv_channel_listener_set_first(listener, FIRST, AGES);
    start_connecting(&quiet, listener, good);
    struct accepting accepting;
    start_accepting(&accepting, listener);
    pthread_join(quiet.thread, NULL);
    assert_int_equal(quiet.result, 0);
    for (size_t i = 0; i < 2 * PLACES; i++)
        strangers[i] = connect_stranger(listener, hello, i % 2);
    pthread_join(accepting.thread, NULL);
    assert_int_equal(accepting.result, -EACCES);
    for (size_t i = 0; i < PLACES; i++) {
        assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
        assert_says("had not shown who it is, and gave way");
    }
    start_connecting(&by, listener, good);
    assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
    assert_done(mv_channel_write(quiet.channel, words, 1, &err));
    assert_done(mv_channel_accept(listener, NULL, &channel, &err));
    char byte;
    assert_done(mv_channel_read(channel, &byte, 1, &err));
    close_ends(quiet.channel, channel);
    mv_channel_listener_close(listener);
    pthread_join(by.thread, NULL);
    mv_channel_close(by.channel);
    for (size_t i = 0; i < 2 * PLACES; i++)
        assert_closed(strangers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_says_nothing_or_little_holds_nobody_up),
        cmocka_unit_test(test_a_handshake_goes_on_in_the_next_call),
        cmocka_unit_test(test_the_oldest_gives_way),
        cmocka_unit_test(test_who_is_refused_takes_nobody_along),
        cmocka_unit_test(test_each_has_its_own_time),
        cmocka_unit_test(test_they_outlive_a_cancel),
        cmocka_unit_test(test_a_cancel_is_noticed_while_they_wait),
        cmocka_unit_test(test_they_are_closed_with_the_listener),
        cmocka_unit_test(test_who_speaks_first_is_first),
        cmocka_unit_test(test_who_does_not_speak_in_time_is_refused),
        cmocka_unit_test(test_who_has_shown_who_it_is_gives_way_to_no_stranger),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
