/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In a guest: a process debugs another by ptrace(2), with the processor's
 * breakpoints, watchpoints and single steps.  Prints what stopped it.
 */
#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct debug_state {
    uint32_t info, pad;
    struct {
        uint64_t address;
        uint32_t control, pad;
    } regs[16];
};
enum { EXECUTE = 0, LOAD = 1, STORE = 2 };

static volatile uint64_t variables[8] __attribute__((aligned(64)));
void target(void);
__asm__(".globl target\n"
        "target:\n"
        "nop\n"
        "mov x9, #3\n"
        "1: sub x9, x9, #1\n"
        "cbnz x9, 1b\n"
        "nop\n"
        "ret\n");

static void child(void)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (unsigned i = 0;; i++) {
        target();
        variables[2] = i;
        variables[3] += variables[4];
        __asm__ volatile("brk #0" ::: "memory");
    }
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void set_point(pid_t pid, int which, uint64_t address, unsigned type, unsigned bytes)
{
    struct debug_state state;
    struct iovec vec = {&state, sizeof state};
    if (ptrace(PTRACE_GETREGSET, pid, which, &vec) < 0)
        fail("PTRACE_GETREGSET");
    printf("%s slots: %u\n", which == NT_ARM_HW_BREAK ? "breakpoint" : "watchpoint",
           state.info & 0xff);
    state.regs[0].address = address;
    /* Privilege 2 is EL0. */
    state.regs[0].control = bytes ? bytes << 5 | type << 3 | 2u << 1 | 1u : 0;
    vec.iov_len = offsetof(struct debug_state, regs) + sizeof state.regs[0];
    if (ptrace(PTRACE_SETREGSET, pid, which, &vec) < 0)
        fail("PTRACE_SETREGSET");
}

static uint64_t pc_of(pid_t pid)
{
    struct user_regs_struct regs;
    struct iovec vec = {&regs, sizeof regs};
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vec) < 0)
        fail("PTRACE_GETREGSET");
    return regs.pc;
}

static void skip(pid_t pid)
{
    struct user_regs_struct regs;
    struct iovec vec = {&regs, sizeof regs};
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vec) < 0)
        fail("PTRACE_GETREGSET");
    regs.pc += 4;
    if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vec) < 0)
        fail("PTRACE_SETREGSET");
}

/* Goes on by `request` until the next stop, and says what it is. */
static void go(pid_t pid, int request, const char *what)
{
    int status;
    siginfo_t info;
    if (ptrace(request, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid)
        fail(what);
    if (!WIFSTOPPED(status) || ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) < 0) {
        printf("%s: ended, status %x\n", what, status);
        exit(1);
    }
    uint64_t pc = pc_of(pid), address = (uint64_t)info.si_addr;
    uint64_t base = (uint64_t)target, data = (uint64_t)variables;
    printf("%s: signal %d code %d", what, WSTOPSIG(status), info.si_code);
    if (pc - base < 64)
        printf(" at target+%lu", (unsigned long)(pc - base));
    if (address - data < sizeof variables)
        printf(" variable+%lu", (unsigned long)(address - data));
    printf("\n");
}

int main(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        child();
    waitpid(pid, &status, 0);
    set_point(pid, NT_ARM_HW_BREAK, (uint64_t)target + 16, EXECUTE, 0xf);
    go(pid, PTRACE_CONT, "breakpoint");
    set_point(pid, NT_ARM_HW_BREAK, 0, EXECUTE, 0);
    go(pid, PTRACE_CONT, "brk");
    skip(pid);
    set_point(pid, NT_ARM_HW_WATCH, (uint64_t)&variables[2], STORE, 0xff);
    go(pid, PTRACE_CONT, "watch a store");
    set_point(pid, NT_ARM_HW_WATCH, (uint64_t)&variables[4], LOAD, 0xff);
    go(pid, PTRACE_CONT, "watch a load");
    set_point(pid, NT_ARM_HW_WATCH, (uint64_t)&variables[4], STORE, 0xff);
    go(pid, PTRACE_CONT, "nobody stores there");
    skip(pid);
    set_point(pid, NT_ARM_HW_WATCH, 0, LOAD, 0);
    set_point(pid, NT_ARM_HW_BREAK, (uint64_t)target, EXECUTE, 0xf);
    go(pid, PTRACE_CONT, "the first instruction");
    set_point(pid, NT_ARM_HW_BREAK, 0, EXECUTE, 0);
    for (unsigned i = 0; i < 10; i++)
        go(pid, PTRACE_SINGLESTEP, "step");
    kill(pid, SIGKILL);
    puts("done");
    return 0;
}
