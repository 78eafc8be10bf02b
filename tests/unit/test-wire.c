/* SPDX-License-Identifier: Apache-2.0 */
/* migration/wire.c: the frames of a move, and what is refused of a peer's. */
#include "wire.h"

#include "channel.h"
#include "move.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#define ANY UINT32_MAX

static struct mv_error err;
static struct mv_channel *channel;
static int peer; /* the other end, as bytes */

static int setup(void **state)
{
    int fds[2];
    char uri[32];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    snprintf(uri, sizeof uri, "fd:%d", fds[0]);
    assert_int_equal(mv_channel_connect(uri, NULL, MV_CHANNEL_FOREVER, NULL, &channel, &err), 0);
    peer = fds[1];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mv_channel_close(channel);
    if (peer >= 0)
        close(peer);
    return 0;
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* A frame by hand, as the comment of wire.h has it, with a sum that is right. */
static void frame(const struct mv_wire_head *head, const void *payload)
{
    uint8_t bytes[MV_WIRE_HEAD_BYTES];
    memcpy(bytes, "mMOV", 4);
    put(bytes + 4, head->type, 2);
    put(bytes + 6, head->kind, 2);
    put(bytes + 8, head->length, 4);
    put(bytes + 12, head->index, 4);
    put(bytes + 16, head->offset, 8);
    put(bytes + 24, head->size, 8);
    put(bytes + 32,
        XXH3_64bits_withSeed(payload, payload == NULL ? 0 : head->length, XXH3_64bits(bytes, 32)),
        8);
    assert_int_equal(write(peer, bytes, sizeof bytes), sizeof bytes);
    if (payload != NULL)
        assert_int_equal(write(peer, payload, head->length), head->length);
}

static void expect_text(const char *part)
{
    if (strstr(err.text, part) == NULL)
        fail_msg("no '%s' in: %s", part, err.text);
}

static void test_a_frame_is_read_as_it_was_written(void **state)
{
    uint8_t bytes[8192], got[8192];
    const struct mv_wire_head head = {.type = MV_WIRE_RAM,
                                      .kind = MV_WIRE_DATA,
                                      .length = sizeof bytes,
                                      .index = 3,
                                      .offset = UINT64_C(0x123456789000),
                                      .size = sizeof bytes};
    struct mv_wire_head ret;
    uint8_t sealed[MV_WIRE_HEAD_BYTES], raw[MV_WIRE_HEAD_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    frame(&head, bytes);
    assert_int_equal(mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_RAM), &ret, &err), 0);
    assert_int_equal(mv_wire_read_payload(channel, &ret, got, &err), 0);
    assert_memory_equal(bytes, got, sizeof got);
    assert_int_equal(ret.index, 3);
    assert_int_equal(ret.offset, head.offset);
    assert_int_equal(ret.size, head.size);
    /* And ours are the same bytes. */
    assert_int_equal(mv_wire_send(channel, &head, bytes, &err), 0);
    assert_int_equal(read(peer, raw, sizeof raw), sizeof raw);
    mv_wire_seal(&head, bytes, sealed);
    assert_memory_equal(raw, sealed, sizeof raw);
    assert_int_equal(recv(peer, got, sizeof got, MSG_WAITALL), sizeof got);
    assert_memory_equal(bytes, got, sizeof got);
}

static const struct refused {
    struct mv_wire_head head;
    uint32_t expected;
    const char *says;
} refused[] = {
    {{.type = 0}, ANY, "unknown type 0"},
    {{.type = MV_WIRE_WANT + 1}, ANY, "unknown type 15"},
    {{.type = 0xffff}, ANY, "unknown type 65535"},
    {{.type = MV_WIRE_RUN}, MV_WIRE_BIT(MV_WIRE_RAM), "RUN at a time when it is not due"},
    {{.type = MV_WIRE_HELLO, .length = 127}, ANY, "HELLO with values"},
    {{.type = MV_WIRE_MANIFEST, .length = (4 << 20) + 1}, ANY, "MANIFEST with values"},
    {{.type = MV_WIRE_MANIFEST, .length = 0}, ANY, "MANIFEST with values"},
    {{.type = MV_WIRE_PASS, .length = 1}, ANY, "PASS with values"},
    {{.type = MV_WIRE_PASS, .offset = 1}, ANY, "PASS with values"},
    {{.type = MV_WIRE_END, .kind = 1}, ANY, "END with values"},
    {{.type = MV_WIRE_SECTIONS, .length = MV_WIRE_PIECE + 1}, ANY, "SECTIONS with values"},
    {{.type = MV_WIRE_SECTIONS, .length = 8, .index = 1}, ANY, "SECTIONS with values"},
    {{.type = MV_WIRE_FAILED, .length = MV_WIRE_TEXT_MAX + 1}, ANY, "FAILED with values"},
    {{.type = MV_WIRE_ABSENT, .length = 0, .size = 4096}, ANY, "ABSENT with values"},
    {{.type = MV_WIRE_ABSENT, .length = MV_WIRE_PIECE + 8, .size = 4096},
     ANY,
     "ABSENT with values"},
    {{.type = MV_WIRE_ABSENT, .kind = 1, .length = 8, .size = 4096}, ANY, "ABSENT with values"},
    {{.type = MV_WIRE_WANT, .length = 1, .size = 4096}, ANY, "WANT with values"},
    {{.type = MV_WIRE_RAM, .kind = 0, .size = 4096}, ANY, "unknown kind 0"},
    {{.type = MV_WIRE_RAM, .kind = 5, .size = 4096}, ANY, "unknown kind 5"},
    {{.type = MV_WIRE_RAM, .kind = MV_WIRE_ZERO, .size = 0}, ANY, "wrong length 0"},
    {{.type = MV_WIRE_RAM, .kind = MV_WIRE_ZERO, .size = 4096, .length = 8}, ANY, "wrong length"},
    {{.type = MV_WIRE_RAM, .kind = MV_WIRE_DATA, .size = 4096, .length = 8}, ANY, "wrong length"},
    {{.type = MV_WIRE_RAM, .kind = MV_WIRE_DATA, .size = 1 << 19, .length = 1 << 19},
     ANY,
     "RAM with values"},
    {{.type = MV_WIRE_RAM, .kind = MV_WIRE_FILL, .size = 4096, .length = 7}, ANY, "wrong length"},
    {{.type = MV_WIRE_RAM, .kind = MV_WIRE_FILL, .size = 4097, .length = 8}, ANY, "wrong length"},
    {{.type = MV_WIRE_RAM, .kind = MV_WIRE_ZSTD, .size = 4096, .length = 0}, ANY, "wrong length"},
    {{.type = MV_WIRE_RAM, .kind = MV_WIRE_ZSTD, .size = MV_WIRE_PIECE + 1, .length = 9},
     ANY,
     "wrong length"},
};

static void test_heads_that_cannot_be_are_refused_before_their_payload(void **state)
{
    struct mv_wire_head ret = {.index = 77};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        frame(&refused[i].head, NULL);
        assert_int_equal(mv_wire_read_head(channel, refused[i].expected, &ret, &err), -EPROTO);
        expect_text(refused[i].says);
        assert_int_equal(ret.index, 77);
    }
    (void)state;
}

static void test_a_wrong_bit_is_found(void **state)
{
    for (unsigned bit = 0; bit < 8 * (MV_WIRE_HEAD_BYTES + 8); bit += 3) {
        const struct mv_wire_head head = {
            .type = MV_WIRE_RAM, .kind = MV_WIRE_FILL, .length = 8, .size = 4096};
        struct mv_wire_head ret;
        uint8_t bytes[MV_WIRE_HEAD_BYTES + 8] = {0}, got[4096];
        mv_wire_seal(&head, bytes + MV_WIRE_HEAD_BYTES, bytes);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        setup(state);
        assert_int_equal(write(peer, bytes, sizeof bytes), sizeof bytes);
        shutdown(peer, SHUT_WR);
        int r = mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_RAM), &ret, &err);
        if (r == 0 && ret.length <= sizeof got)
            r = mv_wire_read_payload(channel, &ret, got, &err);
        if (r != -EPROTO && r != -ECONNRESET)
            fail_msg("bit %u: %d", bit, r);
        tear_down(state);
        peer = -1;
        channel = NULL;
    }
}

static void test_a_line_that_ends_is_told_apart_from_one_that_is_cut(void **state)
{
    const struct mv_wire_head head = {.type = MV_WIRE_SECTIONS, .length = 100};
    struct mv_wire_head ret;
    uint8_t bytes[100] = {0};
    (void)state;
    frame(&head, NULL);
    assert_int_equal(write(peer, bytes, 50), 50);
    shutdown(peer, SHUT_WR);
    assert_int_equal(mv_wire_read_head(channel, ANY, &ret, &err), 0);
    assert_int_equal(mv_wire_read_payload(channel, &ret, bytes, &err), -ECONNRESET);
}

static void test_what_a_receiver_says_is_shown_and_harmless(void **state)
{
    const uint32_t set = MV_WIRE_BIT(MV_WIRE_READY) | MV_WIRE_BIT(MV_WIRE_REFUSED);
    (void)state;
    frame(&(struct mv_wire_head){.type = MV_WIRE_READY}, NULL);
    assert_int_equal(mv_wire_read_answer(channel, set, &err), 0);
    frame(&(struct mv_wire_head){.type = MV_WIRE_REFUSED, .length = 11}, "no\n\x1b[2J \xff%s!");
    assert_int_equal(mv_wire_read_answer(channel, set, &err), -EREMOTEIO);
    assert_string_equal(err.text, "the receiver refuses the guest: no??[2J ?%s");
    frame(&(struct mv_wire_head){.type = MV_WIRE_RUNNING}, NULL);
    assert_int_equal(mv_wire_read_answer(channel, set, &err), -EPROTO);
    /* A text that is too long is cut. */
    char *text = calloc(1, 5001), got[MV_WIRE_HEAD_BYTES + MV_WIRE_TEXT_MAX];
    memset(text, 'x', 5000);
    assert_int_equal(mv_wire_say(channel, MV_WIRE_FAILED, text, &err), 0);
    assert_int_equal(recv(peer, got, sizeof got, MSG_WAITALL), sizeof got);
    assert_int_equal(recv(peer, got, 1, MSG_DONTWAIT), -1);
    free(text);
}

static void test_hello(void **state)
{
    struct mv_wire_hello hello, got;
    uint8_t raw[MV_WIRE_HEAD_BYTES + 128];
    const struct mv_wire_head head = {.type = MV_WIRE_HELLO, .length = 128};
    (void)state;
    assert_int_equal(mv_wire_hello_make(4, &hello, &err), 0);
    hello.number = 3;
    assert_int_equal(mv_wire_send_hello(channel, &hello, &err), 0);
    assert_int_equal(recv(peer, raw, sizeof raw, MSG_WAITALL), sizeof raw);
    assert_int_equal(write(peer, raw, sizeof raw), sizeof raw);
    assert_int_equal(mv_wire_read_hello(channel, &got, &err), 0);
    assert_memory_equal(got.id, hello.id, sizeof got.id);
    assert_memory_equal(got.boot, hello.boot, sizeof got.boot);
    assert_int_equal(got.channels, 4);
    assert_int_equal(got.number, 3);
    uint8_t *payload = raw + MV_WIRE_HEAD_BYTES;
    put(payload + 22, 4, 2);
    frame(&head, payload);
    assert_int_equal(mv_wire_read_hello(channel, &got, &err), -EPROTO);
    put(payload + 20, MV_MOVE_CHANNELS_MAX + 1, 2);
    frame(&head, payload);
    assert_int_equal(mv_wire_read_hello(channel, &got, &err), -EPROTO);
    put(payload + 16, MV_WIRE_FORMAT + 1, 4);
    memcpy(payload + 64, "memvisor 9\n", 12);
    frame(&head, payload);
    assert_int_equal(mv_wire_read_hello(channel, &got, &err), -ENOTSUP);
    expect_text("'memvisor 9?', sends in format 3, and this memvisor (" MV_VERSION
                ") knows those up to 2");
    payload[0] = 'M';
    frame(&head, payload);
    assert_int_equal(mv_wire_read_hello(channel, &got, &err), -EPROTO);
    expect_text("is no memvisor");
}

static void test_hello_of_what_follows_and_is_taken_up(void **state)
{
    struct mv_wire_hello hello, got;
    uint8_t raw[MV_WIRE_HEAD_BYTES + 128];
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(mv_wire_hello_make(1, &hello, &err), 0);
        hello.follows = i & 1;
        hello.resumes = i & 2;
        assert_int_equal(mv_wire_send_hello(channel, &hello, &err), 0);
        assert_int_equal(recv(peer, raw, sizeof raw, MSG_WAITALL), sizeof raw);
        assert_int_equal(raw[MV_WIRE_HEAD_BYTES + 16], i & 1 ? 2 : 1);
        assert_int_equal(write(peer, raw, sizeof raw), sizeof raw);
        assert_int_equal(mv_wire_read_hello(channel, &got, &err), 0);
        assert_int_equal(got.follows, hello.follows);
        assert_int_equal(got.resumes, hello.resumes);
    }
}

/* --- pages that are absent */

#define PAGES (MV_WIRE_ABSENT_PAGES + 130)

static uint64_t given[PAGES / 64 + 1], taken[PAGES / 64 + 1];

/* The frames come back to who sent them. */
static void reflect(size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_int_equal(recv(peer, bytes, len, MSG_WAITALL), len);
    assert_int_equal(write(peer, bytes, len), len);
    free(bytes);
}

static void test_absent_pages_arrive_as_they_were_told(void **state)
{
    uint8_t payload[64];
    struct mv_wire_head head;
    (void)state;
    memset(given, 0, sizeof given);
    memset(taken, 0, sizeof taken);
    /* A run that has none is left out, though it is longer than a socket takes at once. */
    given[PAGES / 64] = 2;
    assert_int_equal(mv_wire_send_absent(channel, 7, given, PAGES, &err), 0);
    reflect(MV_WIRE_HEAD_BYTES + 24);
    assert_int_equal(mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_ABSENT), &head, &err), 0);
    assert_int_equal(head.index, 7);
    assert_int_equal(head.offset, MV_WIRE_ABSENT_PAGES * 4096);
    assert_int_equal(head.size, 130 * 4096);
    assert_int_equal(mv_wire_read_payload(channel, &head, payload, &err), 0);
    taken[0] = 9; /* what was told before stays */
    assert_int_equal(mv_wire_take_absent(&head, payload, taken, PAGES, &err), 0);
    given[0] = 9;
    assert_memory_equal(given, taken, sizeof given);
}

static void test_absent_pages_that_are_none_are_refused(void **state)
{
    static const struct {
        uint64_t offset, size;
        uint32_t length;
    } bad[] = {
        {1, 64 * 4096, 8},                  /* no page */
        {4096, 4096, 8},                    /* in the middle of a word */
        {0, 4095, 8},                       /* no page */
        {0, 0, 8},                          /* none */
        {0, 201 * 4096, 32},                /* more than the block has */
        {UINT64_MAX - 0x3ffff, 4096, 8},    /* and far behind it */
        {0, UINT64_MAX & ~0xfffull, 8},     /* and beyond all */
        {0, 64 * 4096, 16},                 /* a list that is too long */
        {0, 65 * 4096, 8},                  /* too short */
        {128 * 4096, 72 * 4096 - 4096, 16}, /* a bit behind the last page of the list */
    };
    uint8_t payload[64];
    (void)state;
    memset(payload, 0xff, sizeof payload);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct mv_wire_head head = {
            .length = bad[i].length, .offset = bad[i].offset, .size = bad[i].size};
        memset(taken, 0, sizeof taken);
        assert_int_equal(mv_wire_take_absent(&head, payload, taken, 200, &err), -EPROTO);
        expect_text("that does not fit");
        for (size_t word = 0; word < 16; word++)
            assert_int_equal(taken[word], 0);
    }
    const struct mv_wire_head whole = {.length = 8, .offset = 128 * 4096, .size = 64 * 4096};
    assert_int_equal(mv_wire_take_absent(&whole, payload, taken, 200, &err), 0);
    assert_true(taken[2] == UINT64_MAX && taken[3] == 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_frame_is_read_as_it_was_written),
        TEST(test_heads_that_cannot_be_are_refused_before_their_payload),
        cmocka_unit_test(test_a_wrong_bit_is_found),
        TEST(test_a_line_that_ends_is_told_apart_from_one_that_is_cut),
        TEST(test_what_a_receiver_says_is_shown_and_harmless),
        TEST(test_hello),
        TEST(test_hello_of_what_follows_and_is_taken_up),
        TEST(test_absent_pages_arrive_as_they_were_told),
        cmocka_unit_test(test_absent_pages_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
