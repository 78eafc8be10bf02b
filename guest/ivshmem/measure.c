/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measurements between guests: see ivshmem.h.
 *
 * ping writes a number into the shared word ASKED, rings the peer and waits
 * until the word ANSWERED holds the same; answer does the other half.  Each
 * word has a cache line of its own.  echo looks at them after an interrupt
 * alone, and says at TALLY how many it has had.
 */
#include "ivshmem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ASKED = 0, ANSWERED = 64, TALLY = 128, PING_SIZE = 128, ECHO_SIZE = 192 };

static double seconds(const struct timespec *time)
{
    return time->tv_sec + time->tv_nsec * 1e-9;
}

double ivs_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return seconds(&now);
}

static uint32_t *word_at(const struct ivs_device *device, uint64_t offset)
{
    return (uint32_t *)(void *)(device->memory + offset);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void wait_for_answer(const struct ivs_device *device, struct ivs_uio *uio,
                            const struct ivs_options *options, uint32_t number)
{
    double deadline = options->timeout > 0 ? ivs_now() + options->timeout : 0;
    uint32_t *answered = word_at(device, options->offset + ANSWERED);
    for (unsigned spins = 1; __atomic_load_n(answered, __ATOMIC_ACQUIRE) != number; spins++) {
        if (!options->poll && !ivs_uio_wait(uio, device, options->timeout))
            ivs_die("no interrupt for %g s while ping %" PRIu32 " was out", options->timeout,
                    number);
        if (options->poll && deadline > 0 && spins % 4096 == 0 && ivs_now() > deadline)
            ivs_die("no answer for %g s to ping %" PRIu32, options->timeout, number);
    }
}

/* Opens the device; what to write to its doorbell for the arguments PEER VECTOR. */
static uint32_t begin(const struct ivs_options *options, char **arguments, uint64_t size,
                      struct ivs_device *device)
{
    ivs_device_open(device, options);
    uint32_t peer = ivs_number(arguments[0], 0xffff, "PEER");
    uint32_t vector = ivs_number(arguments[1], 0xffff, "VECTOR");
    ivs_check_range(device, options->offset, size);
    return peer << 16 | vector;
}

void ivs_ping(const struct ivs_options *options, char **arguments)
{
    struct ivs_device device;
    struct ivs_uio uio;
    uint32_t ring = begin(options, arguments, PING_SIZE, &device);
    if (!options->poll)
        ivs_uio_open(&uio, &device, options->vector);
    double *times = malloc(options->count * sizeof *times);
    if (!times)
        ivs_die("no memory for %" PRIu64 " times", options->count);

    uint32_t *asked = word_at(&device, options->offset + ASKED);
    uint32_t number = __atomic_load_n(asked, __ATOMIC_RELAXED);
    for (uint64_t i = 0; i < options->count; i++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        __atomic_store_n(asked, ++number, __ATOMIC_RELEASE);
        ivs_register_write(&device, IVS_DOORBELL, ring);
        wait_for_answer(&device, &uio, options, number);
        clock_gettime(CLOCK_MONOTONIC, &end);
        times[i] = seconds(&end) - seconds(&start);
    }
    qsort(times, options->count, sizeof *times, compare_doubles);
    printf("%" PRIu64 " round trips: median %.2f us, 99 %% %.2f us, least %.2f us, most %.2f us\n",
           options->count, times[options->count / 2] * 1e6, times[options->count * 99 / 100] * 1e6,
           times[0] * 1e6, times[options->count - 1] * 1e6);
    free(times);
}

/* Answers `count` pings, each by the word and a ring of the peer that asked. */
void ivs_answer(const struct ivs_options *options, char **arguments)
{
    struct ivs_device device;
    struct ivs_uio uio;
    uint32_t ring = begin(options, arguments, PING_SIZE, &device);
    if (!options->poll)
        ivs_uio_open(&uio, &device, options->vector);

    uint32_t *asked = word_at(&device, options->offset + ASKED);
    uint32_t *answered = word_at(&device, options->offset + ANSWERED);
    uint32_t last = __atomic_load_n(answered, __ATOMIC_RELAXED);
    printf("answering on vector %u\n", options->vector);
    fflush(stdout);
    for (uint64_t done = 0; done < options->count;) {
        uint32_t number = __atomic_load_n(asked, __ATOMIC_ACQUIRE);
        if (number != last) {
            last = number;
            __atomic_store_n(answered, number, __ATOMIC_RELEASE);
            ivs_register_write(&device, IVS_DOORBELL, ring);
            done++;
        } else if (!options->poll && !ivs_uio_wait(&uio, &device, options->timeout)) {
            ivs_die("no interrupt for %g s, after %" PRIu64 " of %" PRIu64 " pings",
                    options->timeout, done, options->count);
        }
    }
    printf("answered %" PRIu64 " pings\n", options->count);
}

/* Whoever asks learns whether each of its rings became one interrupt. */
void ivs_echo(const struct ivs_options *options, char **arguments)
{
    struct ivs_device device;
    struct ivs_uio uio;
    uint32_t ring = begin(options, arguments, ECHO_SIZE, &device);
    ivs_uio_open(&uio, &device, options->vector);
    uint32_t *asked = word_at(&device, options->offset + ASKED);
    uint32_t *answered = word_at(&device, options->offset + ANSWERED);
    uint32_t *tally = word_at(&device, options->offset + TALLY);
    __atomic_store_n(tally, 0, __ATOMIC_RELEASE);
    printf("echoing vector %u (%s)\n", options->vector, uio.intx ? "INTx" : "MSI-X");
    fflush(stdout);
    for (uint64_t seen = 0; seen < options->count;) {
        uint32_t events = ivs_uio_wait(&uio, &device, options->timeout);
        if (!events)
            ivs_die("no interrupt for %g s, after %" PRIu64 " of %" PRIu64, options->timeout, seen,
                    options->count);
        seen += events;
        __atomic_store_n(answered, __atomic_load_n(asked, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
        __atomic_store_n(tally, (uint32_t)seen, __ATOMIC_RELEASE);
        ivs_register_write(&device, IVS_DOORBELL, ring);
    }
    printf("echoed %" PRIu64 " interrupts\n", options->count);
}

/* Seconds of `rounds` copies of a buffer. */
static double copy(uint8_t *to, const uint8_t *from, size_t size, unsigned rounds)
{
    double start = ivs_now();
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(to, from, size);
        __asm__ volatile("" ::: "memory");
    }
    return ivs_now() - start;
}

/* Copies into the shared memory and into the guest's own, in turns, and prints
 * both rates with the median of their ratios. */
void ivs_bandwidth(const struct ivs_options *options, char **arguments)
{
    (void)arguments;
    enum { PAIRS = 15, ROUNDS = 4 };
    struct ivs_device device;
    ivs_device_open(&device, options);
    size_t size = options->size ? options->size : device.memory_size;
    if (size > 16 << 20 && !options->size)
        size = 16 << 20;
    ivs_check_range(&device, options->offset, size);
    if (options->offset % 64 || size % 64)
        ivs_die("--offset and --size are to be multiples of 64: device memory takes only aligned "
                "accesses");
    uint8_t *from = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
    uint8_t *own = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
    if (!from || !own)
        ivs_die("no memory for two buffers of %zu bytes", size);
    memset(from, 0x5a, size);
    uint8_t *shared = device.memory + options->offset;
    copy(own, from, size, 1);
    copy(shared, from, size, 1);

    double own_time[PAIRS], shared_time[PAIRS], ratio[PAIRS];
    for (unsigned i = 0; i < PAIRS; i++) {
        own_time[i] = copy(own, from, size, ROUNDS);
        shared_time[i] = copy(shared, from, size, ROUNDS);
        ratio[i] = own_time[i] / shared_time[i];
    }
    qsort(own_time, PAIRS, sizeof(double), compare_doubles);
    qsort(shared_time, PAIRS, sizeof(double), compare_doubles);
    qsort(ratio, PAIRS, sizeof(double), compare_doubles);
    double bytes = (double)size * ROUNDS;
    printf("shared %.1f MiB/s, own %.1f MiB/s, ratio %.3f\n",
           bytes / shared_time[PAIRS / 2] / 0x100000, bytes / own_time[PAIRS / 2] / 0x100000,
           ratio[PAIRS / 2]);
    free(from);
    free(own);
}

/* Adds 1 to the 64-bit word at `offset`, for `timeout` seconds or `count` times,
 * and prints how often, so that the word can be checked against the sum of all
 * who added. */
void ivs_add(const struct ivs_options *options, char **arguments)
{
    (void)arguments;
    struct ivs_device device;
    ivs_device_open(&device, options);
    ivs_check_range(&device, options->offset, 8);
    if (options->offset % 8)
        ivs_die("the offset %" PRIu64 " is no multiple of 8", options->offset);
    uint64_t *word = (uint64_t *)(void *)(device.memory + options->offset);
    double end = options->timeout > 0 ? ivs_now() + options->timeout : 0;
    uint64_t added = 0;
    while (end > 0 ? added % 1024 || ivs_now() < end : added < options->count) {
        __atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
        added++;
    }
    printf("added %" PRIu64 "\n", added);
}
