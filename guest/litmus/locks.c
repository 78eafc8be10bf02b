/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of each kind round a counter that is no atomic, barriers, and wake-ups. */
#include "litmus.h"

#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH 200

static struct {
    volatile uint32_t word __attribute__((aligned(64)));
    volatile uint32_t next __attribute__((aligned(64)));
    volatile uint64_t counter __attribute__((aligned(64)));
    volatile uint64_t second;
    uint64_t done[THREADS];
} lock;

struct kind {
    void (*take)(void);
    void (*give)(void);
};
static const struct kind *kind;

static void take_exclusive(void)
{
    uint32_t old, failed;
    __asm__ volatile("   sevl\n"
                     "1: wfe\n"
                     "   ldaxr %w0, %2\n"
                     "   cbnz %w0, 1b\n"
                     "   stxr %w1, %w3, %2\n"
                     "   cbnz %w1, 1b\n"
                     : "=&r"(old), "=&r"(failed), "+Q"(lock.word)
                     : "r"(1)
                     : "memory");
}

static void take_swap(void)
{
    uint32_t old;
    do {
        __asm__ volatile(".arch_extension lse\n\tswpa %w2, %w0, %1"
                         : "=&r"(old), "+Q"(lock.word)
                         : "r"(1)
                         : "memory");
    } while (old != 0);
}

static void take_cas(void)
{
    uint32_t old;
    do {
        old = 0;
        __asm__ volatile(".arch_extension lse\n\tcasa %w0, %w2, %1"
                         : "+r"(old), "+Q"(lock.word)
                         : "r"(1)
                         : "memory");
    } while (old != 0);
}

static void give(void)
{
    __asm__ volatile("stlr wzr, %0" : "=Q"(lock.word)::"memory");
}

/* Tickets as the kernel had them: an atomic add, then waiting by LDAXR and WFE. */
static void take_ticket(void)
{
    uint32_t mine, now;
    __asm__ volatile(".arch_extension lse\n\tldadda %w2, %w0, %1"
                     : "=&r"(mine), "+Q"(lock.next)
                     : "r"(1)
                     : "memory");
    __asm__ volatile("   sevl\n"
                     "1: wfe\n"
                     "   ldaxr %w0, %1\n"
                     "   cmp %w0, %w2\n"
                     "   b.ne 1b\n"
                     : "=&r"(now)
                     : "Q"(lock.word), "r"(mine)
                     : "memory", "cc");
}

static void give_ticket(void)
{
    uint32_t now = lock.word + 1;
    __asm__ volatile("stlr %w1, %0" : "=Q"(lock.word) : "r"(now) : "memory");
}

static void futex(volatile uint32_t *word, int operation, uint32_t value)
{
    syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* 0 free, 1 taken, 2 taken and waited for (Drepper's second mutex). */
static void take_futex(void)
{
    uint32_t state = 0;
    if (__atomic_compare_exchange_n(&lock.word, &state, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
        return;
    if (state != 2)
        state = __atomic_exchange_n(&lock.word, 2, __ATOMIC_ACQUIRE);
    while (state != 0) {
        futex(&lock.word, FUTEX_WAIT_PRIVATE, 2);
        state = __atomic_exchange_n(&lock.word, 2, __ATOMIC_ACQUIRE);
    }
}

static void give_futex(void)
{
    if (__atomic_exchange_n(&lock.word, 0, __ATOMIC_RELEASE) == 2)
        futex(&lock.word, FUTEX_WAKE_PRIVATE, 1);
}

static void use_lock(unsigned number)
{
    while (!litmus_over()) {
        for (unsigned i = 0; i < BATCH; i++) {
            kind->take();
            uint64_t value = lock.counter;
            lock.second = value + 1;
            lock.counter = lock.second;
            kind->give();
        }
        lock.done[number] += BATCH;
    }
}

static void run_lock(const struct kind *which, struct litmus_result *result)
{
    kind = which;
    lock.word = lock.next = 0;
    lock.counter = 0;
    for (unsigned i = 0; i < THREADS; i++)
        lock.done[i] = 0;
    litmus_threads(use_lock);
    uint64_t sum = 0;
    for (unsigned i = 0; i < THREADS; i++)
        sum += lock.done[i];
    result->rounds = sum;
    result->wrong += sum > lock.counter ? sum - lock.counter : lock.counter - sum;
}

#define LOCK(function, take_fn, give_fn)                                                           \
    static void function(struct litmus_result *result)                                             \
    {                                                                                              \
        static const struct kind k = {take_fn, give_fn};                                           \
        run_lock(&k, result);                                                                      \
    }
LOCK(lock_exclusive, take_exclusive, give)
LOCK(lock_swap, take_swap, give)
LOCK(lock_cas, take_cas, give)
LOCK(lock_ticket, take_ticket, give_ticket)
LOCK(lock_futex, take_futex, give_futex)

/* --- barriers: nobody is a round ahead of another */

static volatile uint64_t round_of[THREADS];
static uint64_t out_of_step;

static void use_barrier(unsigned number)
{
    do {
        store(&round_of[number], round_of[number] + 1);
        litmus_meet(THREADS);
        for (unsigned i = 0; i < THREADS; i++) {
            if (load(&round_of[i]) != round_of[number])
                __atomic_add_fetch(&out_of_step, 1, __ATOMIC_RELAXED);
        }
    } while (litmus_meet_again());
}

static void barrier(struct litmus_result *result)
{
    out_of_step = 0;
    for (unsigned i = 0; i < THREADS; i++)
        round_of[i] = 0;
    litmus_threads(use_barrier);
    result->rounds = round_of[0];
    result->wrong += out_of_step;
}

/* --- a word handed round in a circle, by who waits how */

static volatile uint32_t token __attribute__((aligned(64)));
static volatile bool ended;
static uint64_t handed;
static void (*wait_for_token)(uint32_t until);
static void (*wake_others)(void);

/* LDXR arms the monitor, so the other's store is the event. */
static void wait_by_monitor(uint32_t until)
{
    uint32_t now;
    __asm__ volatile("   sevl\n"
                     "1: wfe\n"
                     "   ldaxr %w0, %1\n"
                     "   cmp %w0, %w2\n"
                     "   b.ne 1b\n"
                     : "=&r"(now)
                     : "Q"(token), "r"(until)
                     : "memory", "cc");
}

static void wait_by_sev(uint32_t until)
{
    while (__atomic_load_n(&token, __ATOMIC_ACQUIRE) != until)
        __asm__ volatile("wfe" ::: "memory");
}

static void wait_by_futex(uint32_t until)
{
    for (uint32_t now; (now = __atomic_load_n(&token, __ATOMIC_ACQUIRE)) != until;)
        futex(&token, FUTEX_WAIT_PRIVATE, now);
}

static void wake_nobody(void)
{
}

static void wake_by_sev(void)
{
    __asm__ volatile("dsb ishst\n\tsev" ::: "memory");
}

static void wake_by_futex(void)
{
    futex(&token, FUTEX_WAKE_PRIVATE, THREADS);
}

/* Thread 0 decides the end, when the token is its own. */
static void hand_round(unsigned number)
{
    for (uint32_t turn = number;; turn += THREADS) {
        wait_for_token(turn);
        if (number == 0) {
            handed = turn;
            ended = litmus_over();
        }
        bool last = ended;
        __atomic_store_n(&token, turn + 1, __ATOMIC_RELEASE);
        wake_others();
        if (last)
            return;
    }
}

static void run_token(void (*wait)(uint32_t), void (*wake)(void), struct litmus_result *result)
{
    wait_for_token = wait;
    wake_others = wake;
    token = 0;
    ended = false;
    litmus_threads(hand_round);
    result->rounds = handed;
}

static void token_monitor(struct litmus_result *result)
{
    run_token(wait_by_monitor, wake_nobody, result);
}
static void token_sev(struct litmus_result *result)
{
    run_token(wait_by_sev, wake_by_sev, result);
}
static void token_futex(struct litmus_result *result)
{
    run_token(wait_by_futex, wake_by_futex, result);
}

const struct litmus_test litmus_locks[] = {
    {"lock by exclusives and WFE", lock_exclusive},
    {"lock by SWPA", lock_swap},
    {"lock by CASA", lock_cas},
    {"ticket lock", lock_ticket},
    {"futex lock", lock_futex},
    {"barrier", barrier},
    {"token by monitor and WFE", token_monitor},
    {"token by SEV", token_sev},
    {"token by futex", token_futex},
    {0},
};
