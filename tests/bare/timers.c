/* SPDX-License-Identifier: Apache-2.0 */
/* The generic timers: views, status, masks, and their interrupts. */
#include "lib/bare.h"

static volatile unsigned taken[32];

static void on_irq(struct frame *frame)
{
    (void)frame;
    uint64_t intid = read_sysreg(s3_0_c12_c12_0);
    if (intid < 32)
        taken[intid]++;
    /* Off at the source, or the level stays. */
    if (intid == 27)
        write_sysreg(cntv_ctl_el0, 0);
    if (intid == 30)
        write_sysreg(cntp_ctl_el0, 0);
    write_sysreg(s3_0_c12_c12_1, intid);
}

#define TIMER_TEST(v, intid)                                                                       \
    do {                                                                                           \
        uint64_t hz = read_sysreg(cntfrq_el0);                                                     \
        write_sysreg(cnt##v##_ctl_el0, 0);                                                         \
        write_sysreg(cnt##v##_cval_el0, read_sysreg(cnt##v##ct_el0) + hz * 1000);                  \
        write_sysreg(cnt##v##_ctl_el0, 1);                                                         \
        print(#v " far: ctl %lu\n", read_sysreg(cnt##v##_ctl_el0));                                \
        int64_t tval = (int32_t)read_sysreg(cnt##v##_tval_el0);                                    \
        (void)tval;                                                                                \
        write_sysreg(cnt##v##_tval_el0, -1);                                                       \
        write_sysreg(cnt##v##_ctl_el0, 3);                                                         \
        print(#v " past, masked: ctl %lu\n", read_sysreg(cnt##v##_ctl_el0));                       \
        write_sysreg(cnt##v##_ctl_el0, 0);                                                         \
        print(#v " past, off: ctl %lu\n", read_sysreg(cnt##v##_ctl_el0) & 3);                      \
        uint64_t now = read_sysreg(cnt##v##ct_el0);                                                \
        write_sysreg(cnt##v##_tval_el0, 1000);                                                     \
        uint64_t cval = read_sysreg(cnt##v##_cval_el0);                                            \
        print(#v " tval sets cval: %s\n",                                                          \
              cval >= now + 1000 && cval < now + hz ? "yes" : "no");                               \
        write_sysreg(cnt##v##_tval_el0, hz / 50);                                                  \
        gic_enable(intid, 0x80);                                                                   \
        write_sysreg(cnt##v##_ctl_el0, 1);                                                         \
        __asm__ volatile("msr daifclr, #2");                                                       \
        while (!taken[intid])                                                                      \
            __asm__ volatile("wfi");                                                               \
        __asm__ volatile("msr daifset, #2");                                                       \
        uint64_t late = read_sysreg(cnt##v##ct_el0) - read_sysreg(cnt##v##_cval_el0);              \
        print(#v " interrupts: %u, not early: %s\n", taken[intid],                                 \
              (int64_t)late >= 0 ? "yes" : "no");                                                  \
    } while (0)

/*
 * What a vCPU has read, its interrupt controller knows: once ISTATUS is 1, the
 * interrupt is pending (Arm ARM, D11.2.4, Operation of the timers).
 */
static void settled(void)
{
    unsigned behind[2] = {0, 0};
    write_sysreg(cntv_ctl_el0, 1);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t when = read_sysreg(cntvct_el0) + 100 + i % 7 * 300;
        write_sysreg(cntv_cval_el0, when);
        if (i % 2 == 0) {
            while (!(read_sysreg(cntv_ctl_el0) & 4))
                ;
        } else {
            while ((int32_t)read_sysreg(cntv_tval_el0) > 0)
                ;
        }
        __asm__ volatile("isb");
        behind[i % 2] += !(read_sysreg(isr_el1) & 0x80);
    }
    write_sysreg(cntv_ctl_el0, 0);
    print("not pending though the status says so: %u\n", behind[0]);
    print("not pending though the count says so: %u\n", behind[1]);
}

void bare_main(void)
{
    mmu_on();
    gic_init();
    gic_init_cpu(0);
    irq_handler = on_irq;
    TIMER_TEST(v, 27);
    TIMER_TEST(p, 30);

    uint64_t last = read_sysreg(cntvct_el0);
    unsigned backwards = 0;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t now = read_sysreg(cntvct_el0);
        backwards += now < last;
        last = now;
    }
    print("backwards %u\n", backwards);

    settled();

    /* Pending without being taken wakes WFI all the same. */
    taken[27] = 0;
    write_sysreg(cntv_tval_el0, read_sysreg(cntfrq_el0) / 100);
    write_sysreg(cntv_ctl_el0, 1);
    __asm__ volatile("msr daifset, #2\n\twfi");
    while (!(read_sysreg(isr_el1) & 0x80))
        ;
    print("masked: taken %u isr %lx\n", taken[27], read_sysreg(isr_el1));
    __asm__ volatile("msr daifclr, #2\n\tisb\n\tmsr daifset, #2");
    print("unmasked: taken %u isr %lx\n", taken[27], read_sysreg(isr_el1));
}
