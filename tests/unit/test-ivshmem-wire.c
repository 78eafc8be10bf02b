/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol's one writer and one parser: bytes, order, descriptors. */
#include "ivshmem-wire.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
    int server, client;
    struct mv_ivshmem_decoder decoder;
};

static int set_up(void **state)
{
    static struct pair pair;
    int fds[2];
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), errno);
    pair = (struct pair){.server = fds[0], .client = fds[1]};
    mv_ivshmem_decoder_init(&pair.decoder);
    *state = &pair;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    mv_ivshmem_decoder_clear(&pair->decoder);
    close(pair->server);
    close(pair->client);
    return 0;
}

/* Raw bytes with descriptors, not by the code under test. */
static void send_raw(const struct pair *pair, const void *bytes, size_t size, int fds)
{
    union {
        char room[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    int fd = open("/dev/null", O_RDONLY);
    if (fds > 0) {
        header.msg_control = control.room;
        header.msg_controllen = CMSG_SPACE((size_t)fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)fds * sizeof(int));
        for (int i = 0; i < fds; i++)
            memcpy(CMSG_DATA(c) + (size_t)i * sizeof fd, &fd, sizeof fd);
    }
    assert_int_equal(sendmsg(pair->server, &header, 0), size);
    close(fd);
}

static void send_value(const struct pair *pair, int64_t value, int fds)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    send_raw(pair, bytes, sizeof bytes, fds);
}

static int receive(struct pair *pair, struct mv_ivshmem_message *message, struct mv_error *err)
{
    int r = mv_ivshmem_wire_receive(&pair->decoder, pair->client, message, err);
    if (r == 1 && message->fd >= 0)
        close(message->fd);
    return r;
}

static void expect(struct pair *pair, enum mv_ivshmem_kind kind, int id, bool fd)
{
    struct mv_ivshmem_message message;
    struct mv_error err;
    assert_int_equal(receive(pair, &message, &err), 1);
    assert_int_equal(message.kind, kind);
    assert_int_equal(message.id, id);
    assert_int_equal(message.fd >= 0, fd);
}

static void test_writer_sends_the_bytes_of_the_table(void **state)
{
    struct pair *pair = *state;
    int fd = open("/dev/null", O_RDONLY);
    struct mv_ivshmem_message messages[] = {
        {.kind = MV_IVSHMEM_VERSION, .fd = -1},
        {.kind = MV_IVSHMEM_OWN_ID, .id = 0x1234, .fd = -1},
        {.kind = MV_IVSHMEM_MEMORY, .fd = fd},
        {.kind = MV_IVSHMEM_CONNECT, .id = 65535, .fd = fd},
        {.kind = MV_IVSHMEM_DISCONNECT, .id = 7, .fd = -1},
    };
    static const uint8_t wanted[] = {0,    0,    0,    0,    0,    0,    0,    0,    0x34, 0x12,
                                     0,    0,    0,    0,    0,    0,    0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,
                                     0,    0,    7,    0,    0,    0,    0,    0,    0,    0};
    assert_int_equal(mv_ivshmem_wire_send(pair->server, messages, 5), 5);
    uint8_t bytes[sizeof wanted + 1];
    size_t have = 0;
    while (have < sizeof wanted) {
        ssize_t n = recv(pair->client, bytes + have, sizeof bytes - have, MSG_DONTWAIT);
        assert_true(n > 0);
        have += (size_t)n;
    }
    assert_memory_equal(bytes, wanted, sizeof wanted);
    close(fd);
}

static void test_parser_takes_a_whole_session_cut_at_any_byte(void **state)
{
    struct pair *pair = *state;
    struct mv_ivshmem_message message;
    struct mv_error err;
    for (int byte = 0; byte < 8; byte++) {
        assert_int_equal(receive(pair, &message, &err), 0);
        send_raw(pair, "", 1, 0);
    }
    expect(pair, MV_IVSHMEM_VERSION, 0, false);
    send_value(pair, 300, 0);
    expect(pair, MV_IVSHMEM_OWN_ID, 300, false);
    send_value(pair, 5, 1); /* a peer before the memory: QEMU takes that too */
    send_value(pair, -1, 1);
    send_raw(pair, "\x2c\x01", 2, 1);
    expect(pair, MV_IVSHMEM_CONNECT, 5, true);
    expect(pair, MV_IVSHMEM_MEMORY, 0, true);
    assert_int_equal(receive(pair, &message, &err), 0);
    send_raw(pair, "\0\0\0\0\0\0", 6, 0);
    expect(pair, MV_IVSHMEM_CONNECT, 300, true);
    send_value(pair, 5, 0);
    expect(pair, MV_IVSHMEM_DISCONNECT, 5, false);
    close(pair->server);
    pair->server = -1;
    assert_int_equal(receive(pair, &message, &err), -ECONNRESET);
}

/* The good messages first, then the bad one with so many descriptors. */
static const struct bad {
    int good;
    int64_t value;
    int fds;
    const char *words;
} bad[] = {
    {0, 1, 0, "sent 1 without a descriptor, where version 0"},
    {0, 0, 1, "sent 0 with a descriptor, where version 0"},
    {0, -1, 1, "version 0"},
    {1, -1, 1, "our ID"},
    {1, 65536, 0, "sent 65536"},
    {1, 3, 1, "our ID"},
    {2, -1, 0, "the memory (-1 with a descriptor)"},
    {2, -2, 1, "sent -2"},
    {2, 65536, 1, "sent 65536"},
    {2, 3, 2, "more than one descriptor"},
    {2, 3, 8, "more than one descriptor"},
    {3, -1, 1, "a peer (0 to 65535) is due"},
    {3, INT64_MIN, 0, "a peer"},
    {3, INT64_MAX, 1, "a peer"},
};

static int open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_parser_refuses_what_the_table_does_not_have(void **state)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        void *one;
        struct mv_error err;
        struct mv_ivshmem_message message;
        int before = open_fds();
        set_up(&one);
        struct pair *pair = one;
        static const int64_t good[] = {0, 9, -1};
        for (int g = 0; g < bad[i].good; g++) {
            send_value(pair, good[g], good[g] == -1);
            assert_int_equal(receive(pair, &message, &err), 1);
        }
        send_value(pair, bad[i].value, bad[i].fds);
        assert_int_equal(receive(pair, &message, &err), -EPROTO);
        if (strstr(err.text, bad[i].words) == NULL)
            fail_msg("case %zu: '%s'", i, err.text);
        tear_down(&one);
        assert_int_equal(open_fds(), before);
    }
}

static void test_parser_tells_an_end_inside_a_message(void **state)
{
    struct pair *pair = *state;
    struct mv_error err;
    struct mv_ivshmem_message message;
    send_raw(pair, "abc", 3, 1);
    close(pair->server);
    pair->server = -1;
    assert_int_equal(receive(pair, &message, &err), -EPROTO);
    assert_non_null(strstr(err.text, "3 of 8 bytes"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_writer_sends_the_bytes_of_the_table),
        TEST(test_parser_takes_a_whole_session_cut_at_any_byte),
        cmocka_unit_test(test_parser_refuses_what_the_table_does_not_have),
        TEST(test_parser_tells_an_end_inside_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
