/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's part of `litmus --share`: host-adder FILE OFFSET SECONDS maps the
 * page of the guest's memory that stands at OFFSET of FILE, says that it begins
 * (second word 1), adds to the first word, and says that it is done (2).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int fd = open(argv[1], O_RDWR);
    uint64_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                          (off_t)strtoull(argv[2], NULL, 0));
    if (fd < 0 || word == MAP_FAILED) {
        perror("host-adder");
        return 1;
    }
    double end = now() + atof(argv[3]);
    uint64_t added = 0;
    __atomic_store_n(&word[1], 1, __ATOMIC_RELEASE);
    for (; added % 1024 != 0 || now() < end; added++)
        __atomic_add_fetch(&word[0], 1, __ATOMIC_SEQ_CST);
    printf("host added %" PRIu64 "\n", added);
    __atomic_store_n(&word[1], 2, __ATOMIC_RELEASE);
    return 0;
}
