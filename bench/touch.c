/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The yardstick of prealloc=on: touch MIB THREADS maps as much anonymous memory
 * in small pages and writes to each page, in as many threads as said.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

struct part {
    pthread_t thread;
    volatile uint8_t *from;
    size_t size;
};

static void *touch(void *opaque)
{
    struct part *part = opaque;
    for (size_t at = 0; at < part->size; at += 4096)
        part->from[at] = 1;
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    size_t size = strtoull(argv[1], NULL, 10) << 20;
    unsigned count = (unsigned)atoi(argv[2]);
    struct part *parts = calloc(count, sizeof *parts);
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (parts == NULL || memory == MAP_FAILED || madvise(memory, size, MADV_NOHUGEPAGE) < 0) {
        perror("touch");
        return 1;
    }
    for (unsigned i = 0; i < count; i++) {
        parts[i].from = memory + size / count * i;
        parts[i].size = size / count;
        pthread_create(&parts[i].thread, NULL, touch, &parts[i]);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(parts[i].thread, NULL);
    return 0;
}
