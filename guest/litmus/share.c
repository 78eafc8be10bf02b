/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A word that this guest's processors and a process of the host increment
 * together.  The page's guest-physical address is printed; the host, which maps
 * the guest's memory, writes 1 to the second word when it begins, and 2 when it
 * is done.
 */
#include "litmus.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile uint64_t *shared;
static uint64_t done[THREADS];

/* Documentation/admin-guide/mm/pagemap.rst: bits 54-0 are the page's frame. */
static uint64_t physical(const volatile void *address)
{
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    off_t at = (off_t)((uintptr_t)address / 4096 * 8);
    if (fd < 0 || pread(fd, &entry, sizeof entry, at) != sizeof entry || !(entry >> 63)) {
        perror("litmus: cannot learn the physical address");
        exit(1);
    }
    close(fd);
    return (entry & ((UINT64_C(1) << 55) - 1)) * 4096;
}

static void increment(unsigned number)
{
    while (!litmus_over()) {
        for (unsigned i = 0; i < 256; i++) {
            uint64_t value;
            uint32_t failed = 1;
            if (number % 2 == 0)
                __asm__ volatile(".arch_extension lse\n\tldadd %2, %0, %1"
                                 : "=&r"(value), "+Q"(shared[0])
                                 : "r"(1ul)
                                 : "memory");
            while (number % 2 == 1 && failed)
                __asm__ volatile("ldxr %0, %2\n\tadd %0, %0, #1\n\tstxr %w1, %0, %2"
                                 : "=&r"(value), "=&r"(failed), "+Q"(shared[0])::"memory");
        }
        done[number] += 256;
    }
}

int litmus_share(double seconds)
{
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (shared == MAP_FAILED || mlock((void *)shared, 4096) < 0) {
        perror("litmus: a page to share");
        return 1;
    }
    shared[0] = 0;
    printf("shared at 0x%" PRIx64 "\n", physical(shared));
    fflush(stdout);
    while (load_acquire(&shared[1]) != 1)
        usleep(1000);
    litmus_begin(seconds);
    litmus_threads(increment);
    uint64_t sum = 0;
    for (unsigned i = 0; i < THREADS; i++)
        sum += done[i];
    while (load_acquire(&shared[1]) != 2)
        usleep(1000);
    printf("guest added %" PRIu64 ", found %" PRIu64 "\n", sum, load_acquire(&shared[0]));
    return 0;
}
