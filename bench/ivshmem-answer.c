/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem-answer SOCKET: a client on the host that answers a guest's pings
 * (guest/ivshmem, measure.c): at each ring of vector 0 it copies the number that
 * was asked to where the answer is looked for.  Ends with its server.
 */
#include <memvisor-ivshmem.h>

#include <stdio.h>

#define ASKED    0
#define ANSWERED 64

int main(int argc, char **argv)
{
    char error[MV_IVSHMEM_ERROR_SIZE];
    struct mv_ivshmem_event event;
    struct mv_ivshmem *shm = argc == 2 ? mv_ivshmem_open(argv[1], 0, 10000, error) : NULL;
    if (shm == NULL) {
        fprintf(stderr, "ivshmem-answer: %s\n", argc == 2 ? error : "usage: ivshmem-answer SOCKET");
        return 1;
    }
    char *memory = mv_ivshmem_memory(shm);
    unsigned *asked = (unsigned *)(memory + ASKED), *answered = (unsigned *)(memory + ANSWERED);
    puts("answering");
    fflush(stdout);
    while (mv_ivshmem_wait(shm, -1, &event) == 1) {
        if (event.kind == MV_IVSHMEM_RUNG)
            __atomic_store_n(answered, __atomic_load_n(asked, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
    }
    mv_ivshmem_close(shm);
    return 0;
}
