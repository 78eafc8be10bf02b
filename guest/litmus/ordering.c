/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each test is a few instructions in each of two to four threads on variables
 * x and y, done for every slot of an array, in step.  Names as in the
 * literature: MP message passing, SB store buffering, LB load buffering, and
 * so on, then how the accesses of each thread are ordered.
 */
#include "litmus.h"

#include <stdio.h>
#include <string.h>

#define SLOTS 512

struct slot {
    uint64_t x __attribute__((aligned(64)));
    uint64_t y __attribute__((aligned(64)));
    uint64_t r[4] __attribute__((aligned(64)));
};
static struct slot slots[SLOTS];

struct shape {
    void (*thread[THREADS])(struct slot *s); /* NULL: the rest have nothing to do */
    bool (*outcome)(const struct slot *s);   /* the one that is looked for */
    bool allowed;                            /* it may be seen */
};

/* A value that is 0, which depends on another. */
#define ZERO_FROM(value)                                                                           \
    ({                                                                                             \
        uint64_t zero_;                                                                            \
        __asm__ volatile("eor %0, %1, %1" : "=r"(zero_) : "r"(value));                             \
        zero_;                                                                                     \
    })
#define AT(s, member, zero) ((volatile uint64_t *)((char *)&(s)->member + (zero)))

#define THREAD(name, ...)                                                                          \
    static void name(struct slot *s)                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define OUTCOME(name, condition)                                                                   \
    static bool name(const struct slot *s)                                                         \
    {                                                                                              \
        return condition;                                                                          \
    }

THREAD(mp_send, store(&s->x, 1); store(&s->y, 1);)
THREAD(mp_send_dmb, store(&s->x, 1); dmb(ish); store(&s->y, 1);)
THREAD(mp_send_dmbst, store(&s->x, 1); dmb(ishst); store(&s->y, 1);)
THREAD(mp_send_stlr, store(&s->x, 1); store_release(&s->y, 1);)
THREAD(mp_receive, s->r[0] = load(&s->y); s->r[1] = load(&s->x);)
THREAD(mp_receive_dmb, s->r[0] = load(&s->y); dmb(ish); s->r[1] = load(&s->x);)
THREAD(mp_receive_dmbld, s->r[0] = load(&s->y); dmb(ishld); s->r[1] = load(&s->x);)
THREAD(mp_receive_ldar, s->r[0] = load_acquire(&s->y); s->r[1] = load(&s->x);)
THREAD(mp_receive_address, uint64_t r = load(&s->y); s->r[0] = r;
       s->r[1] = load(AT(s, x, ZERO_FROM(r)));)
OUTCOME(mp_outcome, s->r[0] == 1 && s->r[1] == 0)

THREAD(sb_0, store(&s->x, 1); s->r[0] = load(&s->y);)
THREAD(sb_1, store(&s->y, 1); s->r[1] = load(&s->x);)
THREAD(sb_0_dmb, store(&s->x, 1); dmb(ish); s->r[0] = load(&s->y);)
THREAD(sb_1_dmb, store(&s->y, 1); dmb(ish); s->r[1] = load(&s->x);)
THREAD(sb_0_stlr, store_release(&s->x, 1); s->r[0] = load_acquire(&s->y);)
THREAD(sb_1_stlr, store_release(&s->y, 1); s->r[1] = load_acquire(&s->x);)
OUTCOME(sb_outcome, s->r[0] == 0 && s->r[1] == 0)

THREAD(lb_0, s->r[0] = load(&s->x); store(&s->y, 1);)
THREAD(lb_1, s->r[1] = load(&s->y); store(&s->x, 1);)
THREAD(lb_0_data, uint64_t r = load(&s->x); s->r[0] = r; store(&s->y, 1 + ZERO_FROM(r));)
THREAD(lb_1_data, uint64_t r = load(&s->y); s->r[1] = r; store(&s->x, 1 + ZERO_FROM(r));)
THREAD(lb_0_ldar, s->r[0] = load_acquire(&s->x); store(&s->y, 1);)
THREAD(lb_1_ldar, s->r[1] = load_acquire(&s->y); store(&s->x, 1);)
OUTCOME(lb_outcome, s->r[0] == 1 && s->r[1] == 1)

THREAD(write_x, store(&s->x, 1);)
THREAD(write_y, store(&s->y, 1);)
THREAD(iriw_0_dmb, s->r[0] = load(&s->x); dmb(ish); s->r[1] = load(&s->y);)
THREAD(iriw_1_dmb, s->r[2] = load(&s->y); dmb(ish); s->r[3] = load(&s->x);)
THREAD(write_x_stlr, store_release(&s->x, 1);)
THREAD(write_y_stlr, store_release(&s->y, 1);)
THREAD(iriw_0_ldar, s->r[0] = load_acquire(&s->x); s->r[1] = load_acquire(&s->y);)
THREAD(iriw_1_ldar, s->r[2] = load_acquire(&s->y); s->r[3] = load_acquire(&s->x);)
OUTCOME(iriw_outcome, s->r[0] == 1 && s->r[1] == 0 && s->r[2] == 1 && s->r[3] == 0)

THREAD(w22_0, store(&s->x, 1); store(&s->y, 2);)
THREAD(w22_1, store(&s->y, 1); store(&s->x, 2);)
THREAD(w22_0_dmb, store(&s->x, 1); dmb(ish); store(&s->y, 2);)
THREAD(w22_1_dmb, store(&s->y, 1); dmb(ish); store(&s->x, 2);)
THREAD(w22_0_stlr, store_release(&s->x, 1); store_release(&s->y, 2);)
THREAD(w22_1_stlr, store_release(&s->y, 1); store_release(&s->x, 2);)
OUTCOME(w22_outcome, s->x == 1 && s->y == 1)

THREAD(corr_read, s->r[0] = load(&s->x); s->r[1] = load(&s->x);)
OUTCOME(corr_outcome, s->r[0] == 1 && s->r[1] == 0)
THREAD(cowr, store(&s->x, 1); s->r[0] = load(&s->x);)
THREAD(cowr_other, store(&s->x, 2);)
OUTCOME(cowr_outcome, s->r[0] == 0)

THREAD(s_0, store(&s->x, 2); dmb(ish); store(&s->y, 1);)
THREAD(s_1, uint64_t r = load(&s->y); s->r[0] = r; store(&s->x, 1 + ZERO_FROM(r));)
OUTCOME(s_outcome, s->r[0] == 1 && s->x == 2)

THREAD(r_0, store(&s->x, 1); dmb(ish); store(&s->y, 1);)
THREAD(r_1, store(&s->y, 2); dmb(ish); s->r[0] = load(&s->x);)
OUTCOME(r_outcome, s->y == 2 && s->r[0] == 0)

THREAD(wrc_1, uint64_t r = load(&s->x); s->r[0] = r; dmb(ish); store(&s->y, 1);)
THREAD(wrc_2, uint64_t r = load(&s->y); s->r[1] = r; s->r[2] = load(AT(s, x, ZERO_FROM(r)));)
OUTCOME(wrc_outcome, s->r[0] == 1 && s->r[1] == 1 && s->r[2] == 0)

static const struct shape *shape;
static uint64_t seen, rounds;

static void run_slots(unsigned number)
{
    do {
        if (number == 0)
            memset(slots, 0, sizeof slots);
        litmus_meet(THREADS);
        /* Threads that start a little apart meet in the middle. */
        for (unsigned spin = litmus_random() % 64; spin > 0; spin--)
            __asm__ volatile("");
        for (unsigned i = 0; i < SLOTS && shape->thread[number]; i++)
            shape->thread[number](&slots[i]);
        litmus_meet(THREADS);
        for (unsigned i = 0; number == 0 && i < SLOTS; i++)
            seen += shape->outcome(&slots[i]);
        rounds += number == 0 ? SLOTS : 0;
    } while (litmus_meet_again());
}

static void run_shape(const struct shape *which, struct litmus_result *result)
{
    shape = which;
    seen = rounds = 0;
    litmus_threads(run_slots);
    result->rounds = rounds;
    if (which->allowed)
        result->weak += seen;
    else
        result->wrong += seen;
}

#define SHAPE(function, may_be, what, ...)                                                         \
    static void function(struct litmus_result *result)                                             \
    {                                                                                              \
        static const struct shape s = {{__VA_ARGS__}, what, may_be};                               \
        run_shape(&s, result);                                                                     \
    }
SHAPE(mp_plain, true, mp_outcome, mp_send, mp_receive)
SHAPE(mp_dmbs, false, mp_outcome, mp_send_dmb, mp_receive_dmb)
SHAPE(mp_dmbst_dmbld, false, mp_outcome, mp_send_dmbst, mp_receive_dmbld)
SHAPE(mp_stlr_ldar, false, mp_outcome, mp_send_stlr, mp_receive_ldar)
SHAPE(mp_dmb_address, false, mp_outcome, mp_send_dmb, mp_receive_address)
SHAPE(sb_plain, true, sb_outcome, sb_0, sb_1)
SHAPE(sb_dmbs, false, sb_outcome, sb_0_dmb, sb_1_dmb)
SHAPE(sb_stlr_ldar, false, sb_outcome, sb_0_stlr, sb_1_stlr)
SHAPE(lb_plain, true, lb_outcome, lb_0, lb_1)
SHAPE(lb_datas, false, lb_outcome, lb_0_data, lb_1_data)
SHAPE(lb_ldars, false, lb_outcome, lb_0_ldar, lb_1_ldar)
SHAPE(iriw_dmbs, false, iriw_outcome, write_x, write_y, iriw_0_dmb, iriw_1_dmb)
SHAPE(iriw_ldars, false, iriw_outcome, write_x_stlr, write_y_stlr, iriw_0_ldar, iriw_1_ldar)
SHAPE(w22_plain, true, w22_outcome, w22_0, w22_1)
SHAPE(w22_dmbs, false, w22_outcome, w22_0_dmb, w22_1_dmb)
SHAPE(w22_stlrs, false, w22_outcome, w22_0_stlr, w22_1_stlr)
SHAPE(corr, false, corr_outcome, write_x, corr_read)
SHAPE(cowr_shape, false, cowr_outcome, cowr, cowr_other)
SHAPE(s_dmb_data, false, s_outcome, s_0, s_1)
SHAPE(r_dmbs, false, r_outcome, r_0, r_1)
SHAPE(wrc_dmb_address, false, wrc_outcome, write_x, wrc_1, wrc_2)

const struct litmus_test litmus_ordering[] = {
    {"MP", mp_plain},
    {"MP+dmbs", mp_dmbs},
    {"MP+dmb.st+dmb.ld", mp_dmbst_dmbld},
    {"MP+stlr+ldar", mp_stlr_ldar},
    {"MP+dmb+address", mp_dmb_address},
    {"SB", sb_plain},
    {"SB+dmbs", sb_dmbs},
    {"SB+stlr-ldars", sb_stlr_ldar},
    {"LB", lb_plain},
    {"LB+datas", lb_datas},
    {"LB+ldars", lb_ldars},
    {"IRIW+dmbs", iriw_dmbs},
    {"IRIW+stlr+ldars", iriw_ldars},
    {"2+2W", w22_plain},
    {"2+2W+dmbs", w22_dmbs},
    {"2+2W+stlrs", w22_stlrs},
    {"CoRR", corr},
    {"CoWR", cowr_shape},
    {"S+dmb+data", s_dmb_data},
    {"R+dmbs", r_dmbs},
    {"WRC+dmb+address", wrc_dmb_address},
    {0},
};
