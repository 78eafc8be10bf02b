/* SPDX-License-Identifier: Apache-2.0 */
/* System calls, faults and processes, and code that is written and run. */
#define _GNU_SOURCE
#include "compute.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void get_pid(unsigned long n)
{
    while (n-- > 0)
        result = (uint64_t)syscall(SYS_getpid);
}

#define PAGES 256

/* A page a round, for the first time. */
static void page_faults(unsigned long n)
{
    size_t size = PAGES * 4096;
    while (n > 0) {
        unsigned pages = n < PAGES ? (unsigned)n : PAGES;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            abort();
        madvise(memory, size, MADV_NOHUGEPAGE);
        for (unsigned i = 0; i < pages; i++)
            memory[i * 4096] = 1;
        munmap(memory, size);
        n -= pages;
    }
}

static void protect(unsigned long n)
{
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    while (n-- > 0) {
        memory[0] = 1;
        mprotect(memory, 4096, PROT_READ);
        result = (uint64_t)memory[0];
        mprotect(memory, 4096, PROT_READ | PROT_WRITE);
    }
    munmap(memory, 4096);
}

static void fork_once(unsigned long n)
{
    while (n-- > 0) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            abort();
    }
}

static void fork_and_exec(unsigned long n)
{
    while (n-- > 0) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/proc/self/exe", "compute", CHILD_WORD, (char *)NULL);
            _exit(127);
        }
        int status;
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            abort();
    }
}

static void move_byte(int from, int to, unsigned long n)
{
    char byte = 0;
    while (n-- > 0) {
        if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1)
            _exit(1);
    }
}

/* To another process and back. */
static void pipes(unsigned long n)
{
    int there[2], back[2];
    if (pipe(there) < 0 || pipe(back) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        move_byte(there[0], back[1], n);
        _exit(0);
    }
    char byte = 0;
    if (n > 0 && write(there[1], &byte, 1) != 1)
        abort();
    if (n > 0)
        move_byte(back[0], there[1], n - 1);
    if (n > 0 && read(back[0], &byte, 1) != 1)
        abort();
    waitpid(pid, NULL, 0);
    for (unsigned i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
}

/* 64 KiB a round from the kernel's to the program's. */
static void read_zeroes(unsigned long n)
{
    static char buffer[64 << 10];
    int fd = open("/dev/zero", O_RDONLY);
    while (n-- > 0) {
        if (read(fd, buffer, sizeof buffer) != (ssize_t)sizeof buffer)
            abort();
    }
    close(fd);
}

/* A function of three instructions is written anew, made visible, and called. */
static void rewritten_code(unsigned long n)
{
    uint32_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        abort();
    uint64_t sum = 0;
    while (n-- > 0) {
        code[0] = 0xd2800000u | (uint32_t)(n & 0xffff) << 5; /* mov x0, #n */
        code[1] = 0x91000400u;                               /* add x0, x0, #1 */
        code[2] = 0xd65f03c0u;                               /* ret */
        __builtin___clear_cache((char *)code, (char *)&code[3]);
        uint64_t (*function)(void);
        memcpy(&function, &code, sizeof function);
        sum += function();
    }
    result = sum;
    munmap(code, 4096);
}

const struct work system_works[] = {
    {"system", "getpid", get_pid, 0},
    {"system", "read", read_zeroes, 0},
    {"system", "mprotect", protect, 0},
    {"system", "pipe", pipes, 100},
    {"faults", "page-faults", page_faults, 0},
    {"forks", "fork", fork_once, 0},
    {"forks", "fork-exec", fork_and_exec, 0},
    {"code", "rewritten-code", rewritten_code, 0},
    {NULL, NULL, NULL, 0},
};
