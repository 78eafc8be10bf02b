/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/output.c and cli/input.c: console bytes in both directions against a
 * UART that stands here, with a receive FIFO of 16 bytes.
 */
#include "serial.h"

#include "loop.h"
#include "platform-devices.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the UART, as the backend's functions see it --- */

enum { FIFO = 16 };

static struct mv_device uart;
static pthread_mutex_t uart_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t uart_changed = PTHREAD_COND_INITIALIZER;
static uint8_t fifo[FIFO];
static unsigned fifo_used;
static unsigned tx_ready_calls;

unsigned mv_ns16550a_rx_room(struct mv_device *device)
{
    pthread_mutex_lock(&uart_mutex);
    unsigned room = FIFO - fifo_used;
    pthread_mutex_unlock(&uart_mutex);
    return room;
}

void mv_ns16550a_rx(struct mv_device *device, const uint8_t *buf, unsigned len)
{
    pthread_mutex_lock(&uart_mutex);
    assert_true(len <= FIFO - fifo_used);
    memcpy(fifo + fifo_used, buf, len);
    fifo_used += len;
    pthread_cond_broadcast(&uart_changed);
    pthread_mutex_unlock(&uart_mutex);
}

void mv_ns16550a_tx_ready(struct mv_device *device)
{
    pthread_mutex_lock(&uart_mutex);
    tx_ready_calls++;
    pthread_cond_broadcast(&uart_changed);
    pthread_mutex_unlock(&uart_mutex);
}

static int reset_uart(void **state)
{
    fifo_used = 0;
    tx_ready_calls = 0;
    return 0;
}

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

/* --- output --- */

static struct mv_output *make_output(int fd)
{
    struct mv_error err;
    struct mv_output *output = NULL;
    assert_int_equal(mv_output_create(fd, "a test", &output, &err), 0);
    return output;
}

static void test_output_in_order(void **state)
{
    int fds[2];
    assert_return_code(pipe2(fds, O_CLOEXEC), errno);
    struct mv_output *output = make_output(fds[1]);
    assert_true(mv_output_at_line_start(output));
    assert_int_equal(mv_output_write(output, (const uint8_t *)"hello\n", 6), 6);
    assert_true(mv_output_at_line_start(output));
    assert_int_equal(mv_output_write(output, (const uint8_t *)"$ ", 2), 2);
    assert_false(mv_output_at_line_start(output));
    assert_int_equal(mv_output_write(output, NULL, 0), 0);
    assert_true(mv_output_drain(output, 5000));
    char buf[16];
    assert_int_equal(read(fds[0], buf, sizeof buf), 8);
    assert_memory_equal(buf, "hello\n$ ", 8);
    mv_output_destroy(output);
    close(fds[0]);
    close(fds[1]);
}

struct sender {
    struct mv_output *output;
    size_t total;
};

/* A guest: sends, and where not all was taken waits for tx_ready. */
static void *send_all(void *opaque)
{
    struct sender *sender = opaque;
    uint8_t buf[100];
    size_t sent = 0;
    unsigned seen = 0;
    while (sent < sender->total) {
        size_t len = sender->total - sent < sizeof buf ? sender->total - sent : sizeof buf;
        for (size_t i = 0; i < len; i++)
            buf[i] = pattern(sent + i);
        unsigned taken = mv_output_write(sender->output, buf, (unsigned)len);
        sent += taken;
        pthread_mutex_lock(&uart_mutex);
        while (taken < len && tx_ready_calls == seen)
            pthread_cond_wait(&uart_changed, &uart_mutex);
        seen = tx_ready_calls;
        pthread_mutex_unlock(&uart_mutex);
    }
    return NULL;
}

static void test_output_flow_control(void **state)
{
    enum { TOTAL = 1000 * 1000 };
    int fds[2];
    assert_return_code(pipe2(fds, O_CLOEXEC), errno);
    struct sender sender = {make_output(fds[1]), TOTAL};
    mv_output_set_uart(sender.output, &uart);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_all, &sender), 0);

    size_t got = 0;
    usleep(50 * 1000); /* by now the pipe and the ring are full */
    while (got < TOTAL) {
        uint8_t buf[3000];
        ssize_t n = read(fds[0], buf, sizeof buf);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++, got++) {
            if (buf[i] != pattern(got))
                fail_msg("byte %zu is %u", got, buf[i]);
        }
    }
    pthread_join(thread, NULL);
    assert_true(mv_output_drain(sender.output, 5000));
    assert_true(tx_ready_calls > 0);
    mv_output_set_uart(sender.output, NULL);
    mv_output_destroy(sender.output);
    close(fds[0]);
    close(fds[1]);
}

static void test_output_stuck_reader(void **state)
{
    static uint8_t zeros[4096];
    int fds[2];
    assert_return_code(pipe2(fds, O_CLOEXEC), errno);
    struct mv_output *output = make_output(fds[1]);
    for (int i = 0; i < 200; i++) {
        if (mv_output_write(output, zeros, sizeof zeros) < sizeof zeros)
            usleep(1000);
    }
    assert_false(mv_output_drain(output, 50));
    /* The writer is blocked in write(), and yet can be ended. */
    mv_output_destroy(output);
    close(fds[0]);
    close(fds[1]);
}

static void test_output_closed_reader(void **state)
{
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    assert_return_code(pipe2(fds, O_CLOEXEC), errno);
    close(fds[0]);
    struct mv_output *output = make_output(fds[1]);
    mv_output_write(output, (const uint8_t *)"x", 1);
    assert_true(mv_output_drain(output, 5000));
    /* From now on everything is taken at once. */
    static uint8_t zeros[4096];
    for (int i = 0; i < 100; i++)
        assert_int_equal(mv_output_write(output, zeros, sizeof zeros), sizeof zeros);
    assert_true(mv_output_drain(output, 0));
    mv_output_destroy(output);
    close(fds[1]);
}

/* --- input --- */

struct reader {
    struct mv_input *input;
    size_t total;
    size_t bad;
};

/* A guest: reads single bytes, and the UART says so. */
static void *read_all(void *opaque)
{
    struct reader *reader = opaque;
    for (size_t got = 0; got < reader->total; got++) {
        pthread_mutex_lock(&uart_mutex);
        while (fifo_used == 0)
            pthread_cond_wait(&uart_changed, &uart_mutex);
        reader->bad += fifo[0] != pattern(got);
        memmove(fifo, fifo + 1, --fifo_used);
        pthread_mutex_unlock(&uart_mutex);
        mv_input_rx_ready(reader->input);
    }
    return NULL;
}

struct feeder {
    struct mv_input *input;
    size_t sent;
    size_t total;
};

static void feed(void *opaque)
{
    struct feeder *feeder = opaque;
    uint8_t buf[1000];
    for (;;) {
        size_t left = feeder->total - feeder->sent;
        size_t len = left < sizeof buf ? left : sizeof buf;
        for (size_t i = 0; i < len; i++)
            buf[i] = pattern(feeder->sent + i);
        size_t taken = mv_input_put(feeder->input, buf, len);
        feeder->sent += taken;
        mv_input_push(feeder->input);
        if (taken == 0)
            break;
    }
    if (feeder->sent == feeder->total && feeder->input->used == 0)
        mv_loop_stop(feeder->input->loop);
}

static void test_input_flow_control(void **state)
{
    enum { TOTAL = 300 * 1000 };
    struct mv_error err;
    struct mv_loop *loop = NULL;
    assert_int_equal(mv_loop_create(&loop, &err), 0);
    struct mv_input *input = calloc(1, sizeof *input);
    struct feeder feeder = {input, 0, TOTAL};
    input->loop = loop;
    input->uart = &uart;
    input->on_room = feed;
    input->opaque = &feeder;
    struct reader reader = {input, TOTAL, 0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    mv_loop_defer(loop, feed, &feeder);
    mv_loop_run(loop);
    pthread_join(thread, NULL);
    assert_int_equal(reader.bad, 0);
    assert_int_equal(feeder.sent, TOTAL);
    mv_input_free(input);
    free(input);
    mv_loop_destroy(loop);
}

static void test_input_waits_for_a_uart(void **state)
{
    struct mv_input *input = calloc(1, sizeof *input);
    assert_int_equal(mv_input_room(input, 1), MV_INPUT_SIZE);
    assert_int_equal(mv_input_put(input, (const uint8_t *)"abc", 3), 3);
    mv_input_push(input);
    assert_int_equal(mv_input_room(input, 1), MV_INPUT_SIZE - 3);
    /* There is no more than that where no limit was set. */
    assert_int_equal(mv_input_room(input, MV_INPUT_SIZE), MV_INPUT_SIZE - 3);
    input->uart = &uart;
    mv_input_push(input);
    assert_int_equal(mv_input_room(input, 1), MV_INPUT_SIZE);
    assert_memory_equal(fifo, "abc", 3);
    mv_input_free(input);
    free(input);
}

/* A ring that becomes larger, also where what waits goes over its end, and smaller again. */
static void test_input_grows(void **state)
{
    enum { LIMIT = 5 * MV_INPUT_SIZE };
    static uint8_t bytes[LIMIT];
    struct mv_input *input = calloc(1, sizeof *input);
    input->limit = LIMIT;
    for (size_t i = 0; i < LIMIT; i++)
        bytes[i] = pattern(i);
    for (int round = 0; round < 3; round++) {
        size_t put = mv_input_put(input, bytes, MV_INPUT_SIZE - 100);
        size_t got = 0;
        input->uart = &uart;
        while (got < LIMIT) {
            mv_input_push(input);
            for (unsigned i = 0; i < fifo_used; i++, got++)
                assert_int_equal(fifo[i], pattern(got));
            fifo_used = 0;
            while (got > 1000 && put < LIMIT && mv_input_room(input, 3000) > 0) {
                size_t len = LIMIT - put < 3000 ? LIMIT - put : 3000;
                put += mv_input_put(input, bytes + put, len);
            }
        }
        assert_int_equal(put, LIMIT);
        assert_int_equal(input->used, 0);
        assert_int_equal(input->capacity, MV_INPUT_SIZE);
        input->uart = NULL;
    }
    assert_int_equal(mv_input_put(input, bytes, LIMIT), LIMIT);
    mv_input_free(input);
    free(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_output_in_order, reset_uart),
        cmocka_unit_test_setup(test_output_flow_control, reset_uart),
        cmocka_unit_test_setup(test_output_stuck_reader, reset_uart),
        cmocka_unit_test_setup(test_output_closed_reader, reset_uart),
        cmocka_unit_test_setup(test_input_flow_control, reset_uart),
        cmocka_unit_test_setup(test_input_waits_for_a_uart, reset_uart),
        cmocka_unit_test_setup(test_input_grows, reset_uart),
    };
    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
