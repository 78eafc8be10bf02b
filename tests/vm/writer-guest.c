/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer-guest ADDRESS SIZE: adds to the first word of each page of the
 * device's memory there, all the time, and tells how it lost it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf lost;

static void on_bus_error(int signal)
{
    (void)signal;
    siglongjmp(lost, 1);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    uint64_t at = strtoull(argv[1], NULL, 0), size = strtoull(argv[2], NULL, 0);
    int fd = open("/dev/mem", O_RDWR | O_SYNC);
    volatile uint32_t *memory =
        fd < 0 ? MAP_FAILED
               : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
    if (memory == MAP_FAILED) {
        perror("/dev/mem");
        return 1;
    }
    signal(SIGBUS, on_bus_error);
    if (sigsetjmp(lost, 1) != 0) {
        printf("writer: lost it\n");
        return 0;
    }
    printf("writer: begins\n");
    fflush(stdout);
    for (;;) {
        for (uint64_t i = 0; i < size / 4; i += 1024)
            memory[i]++;
    }
}
