/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring between the vCPU threads and one writer thread.  `mutex` guards
 * everything but the bytes that are just being written: those leave the ring
 * only after write() has returned.  The writer holds no lock while it writes
 * or calls the UART.
 */
#include "serial.h"

#include "cleanup.h"
#include "log.h"
#include "os.h"
#include "platform-devices.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define RING_SIZE  (64 * 1024)
#define WRITE_SIZE (16 * 1024)

/* Linux's console hands over single bytes; a pause lets a few come together. */
#define GATHER_NS (1000 * 1000)

#define INTERRUPT_SIGNAL SIGUSR2

struct mv_output {
    int fd;
    const char *what;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    pthread_cond_t changed; /* emptied, failed, or done with the UART */
    uint8_t ring[RING_SIZE];
    size_t head;
    size_t used;
    uint8_t last;
    bool failed;
    bool stopping;
    bool stopped;
    bool uart_waits;
    bool in_uart;
    struct mv_device *uart;
};

unsigned mv_output_write(struct mv_output *output, const uint8_t *buf, unsigned len)
{
    MV_LOCK_SCOPE(&output->mutex);
    if (len == 0)
        return 0;
    if (output->failed)
        return len;
    size_t room = RING_SIZE - output->used;
    unsigned take = len < room ? len : (unsigned)room;
    for (unsigned i = 0; i < take; i++)
        output->ring[(output->head + output->used + i) % RING_SIZE] = buf[i];
    if (take > 0) {
        if (output->used == 0)
            pthread_cond_signal(&output->filled);
        output->used += take;
        output->last = buf[take - 1];
    }
    output->uart_waits |= take < len;
    return take;
}

/* Called with the mutex held, which is released meanwhile. */
static void tell_uart(struct mv_output *output)
{
    struct mv_device *uart = output->uart;
    if (!output->uart_waits || uart == NULL || output->used > RING_SIZE / 2)
        return;
    output->uart_waits = false;
    output->in_uart = true;
    pthread_mutex_unlock(&output->mutex);
    mv_ns16550a_tx_ready(uart);
    pthread_mutex_lock(&output->mutex);
    output->in_uart = false;
    pthread_cond_broadcast(&output->changed);
}

/* Bytes written, 0 where it has to be tried again, or a negative errno. */
static ssize_t write_some(int fd, const uint8_t *buf, size_t len)
{
    ssize_t n = write(fd, buf, len);
    if (n >= 0)
        return n;
    if (errno == EAGAIN) {
        /* Somebody who shares the description made it non-blocking. */
        struct pollfd pfd = {.fd = fd, .events = POLLOUT};
        poll(&pfd, 1, -1);
        return 0;
    }
    return errno == EINTR ? 0 : -errno;
}

/* Take what write_some did into account; the mutex is held. */
static void account(struct mv_output *output, ssize_t written)
{
    if (written >= 0) {
        output->head = (output->head + (size_t)written) % RING_SIZE;
        output->used -= (size_t)written;
    } else {
        mv_warn("cannot write to %s (%s): the guest's output is dropped from here on", output->what,
                strerror((int)-written));
        output->failed = true;
        output->used = 0;
    }
    tell_uart(output);
    if (output->used == 0)
        pthread_cond_broadcast(&output->changed);
}

static void *write_all(void *opaque)
{
    struct mv_output *output = opaque;
    pthread_mutex_lock(&output->mutex);
    while (!output->stopping) {
        if (output->used == 0) {
            pthread_cond_wait(&output->filled, &output->mutex);
            continue;
        }
        pthread_mutex_unlock(&output->mutex);
        nanosleep(&(struct timespec){.tv_nsec = GATHER_NS}, NULL);
        pthread_mutex_lock(&output->mutex);

        size_t len = RING_SIZE - output->head;
        len = len < output->used ? len : output->used;
        len = len < WRITE_SIZE ? len : WRITE_SIZE;
        const uint8_t *start = output->ring + output->head;
        pthread_mutex_unlock(&output->mutex);
        ssize_t written = write_some(output->fd, start, len);
        pthread_mutex_lock(&output->mutex);
        account(output, written);
    }
    output->stopped = true;
    pthread_cond_broadcast(&output->changed);
    pthread_mutex_unlock(&output->mutex);
    return NULL;
}

static void interrupt(int number)
{
}

/* The thread takes no signal but the one that gets it out of a blocked write. */
static int start_thread(struct mv_output *output)
{
    struct sigaction action = {.sa_handler = interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(INTERRUPT_SIGNAL, &action, NULL);

    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, INTERRUPT_SIGNAL);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int errnum = pthread_create(&output->thread, NULL, write_all, output);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return errnum;
}

int mv_output_create(int fd, const char *what, struct mv_output **ret, struct mv_error *err)
{
    struct mv_output *output = calloc(1, sizeof *output);
    if (output == NULL)
        return mv_error_set_errno(err, ENOMEM, "console output");
    output->fd = fd;
    output->what = what;
    output->last = '\n';
    pthread_mutex_init(&output->mutex, NULL);
    pthread_cond_init(&output->filled, NULL);
    pthread_cond_init(&output->changed, NULL);
    int errnum = start_thread(output);
    if (errnum != 0) {
        free(output);
        return mv_error_set_errno(err, errnum, "console output: cannot start a thread");
    }
    *ret = output;
    return 0;
}

/* Wait for a change until `ns` of mv_now_ns: false where that is over; the mutex is held. */
static bool await_change(struct mv_output *output, uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    return pthread_cond_clockwait(&output->changed, &output->mutex, CLOCK_MONOTONIC, &until) !=
           ETIMEDOUT;
}

/* Sent again and again: a signal that arrives before write() begins would interrupt nothing. */
static void stop_thread(struct mv_output *output)
{
    pthread_mutex_lock(&output->mutex);
    output->stopping = true;
    pthread_cond_signal(&output->filled);
    while (!output->stopped) {
        pthread_kill(output->thread, INTERRUPT_SIGNAL);
        await_change(output, mv_now_ns() + 10 * 1000 * 1000);
    }
    pthread_mutex_unlock(&output->mutex);
    pthread_join(output->thread, NULL);
}

void mv_output_destroy(struct mv_output *output)
{
    if (output == NULL)
        return;
    stop_thread(output);
    pthread_cond_destroy(&output->changed);
    pthread_cond_destroy(&output->filled);
    pthread_mutex_destroy(&output->mutex);
    free(output);
}

void mv_output_set_uart(struct mv_output *output, struct mv_device *uart)
{
    MV_LOCK_SCOPE(&output->mutex);
    output->uart = uart;
    while (output->in_uart)
        pthread_cond_wait(&output->changed, &output->mutex);
}

bool mv_output_drain(struct mv_output *output, unsigned timeout_ms)
{
    uint64_t until = mv_now_ns() + timeout_ms * UINT64_C(1000000);
    MV_LOCK_SCOPE(&output->mutex);
    /* The UART may be putting bytes of its own queue in at this moment. */
    while ((output->used > 0 || output->in_uart) && await_change(output, until))
        ;
    return output->used == 0 && !output->in_uart;
}

bool mv_output_at_line_start(struct mv_output *output)
{
    MV_LOCK_SCOPE(&output->mutex);
    return output->last == '\n';
}
