/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>

static __thread struct mv_fault_point *innermost;
static struct sigaction before;

/* Whose instruction it was, for code that keeps more in registers than its compiler says. */
static void take_registers(struct mv_fault_point *point, const ucontext_t *context)
{
#ifdef __x86_64__
    static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                      REG_R12, REG_R13, REG_R14, REG_R15};
    for (unsigned i = 0; i < 16; i++)
        point->registers[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
    if (context->uc_mcontext.fpregs != NULL)
        memcpy(point->vectors, context->uc_mcontext.fpregs->_xmm, sizeof point->vectors);
    point->code = (const void *)context->uc_mcontext.gregs[REG_RIP];
#endif
}

void mv_fault_catch(const siginfo_t *info, const void *context)
{
    struct mv_fault_point *point = innermost;
    sigset_t bus;
    /* A code of 0 or less: somebody sent it. */
    if (point == NULL || info->si_code <= 0)
        return;
    point->address = info->si_addr;
    take_registers(point, context);
    /* SIGBUS is blocked in its handler, and siglongjmp does not unblock it. */
    sigemptyset(&bus);
    sigaddset(&bus, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
    siglongjmp(point->jump, MV_FAULT_CAUGHT);
}

/* With the old handler back in place, the access is made again when this one returns. */
static void handle(int number, siginfo_t *info, void *context)
{
    mv_fault_catch(info, context);
    sigaction(number, &before, NULL);
    if (info->si_code <= 0)
        raise(number);
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &before);
}

void mv_fault_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}

void mv_fault_enter(struct mv_fault_point *point)
{
    point->outer = innermost;
    point->waiter = NULL;
    innermost = point;
}

void mv_fault_leave(const struct mv_fault_point *point)
{
    innermost = point->outer;
}

struct mv_fault_waiter *mv_fault_waiter_of_thread(void)
{
    return innermost == NULL ? NULL : innermost->waiter;
}

void mv_fault_jump(int why, const uint8_t *address)
{
    if (innermost == NULL)
        return;
    innermost->address = address;
    siglongjmp(innermost->jump, why);
}

void mv_fault_fill_mask(sigset_t *ret)
{
    sigfillset(ret);
    sigdelset(ret, SIGBUS);
}
