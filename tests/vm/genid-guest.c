/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare-metal guest that waits for the interrupt of the VM's generation ID, and tells of each
 * one whether the ID is another one than before.  All else it does is to wait.
 */
#include "../bare/lib/bare.h"

#define GENERATION 0x01030000ul
#define INTID      40 /* the shared peripheral interrupt 8 */
#define ICFGR      0xc00

static volatile unsigned news;

static void on_irq(struct frame *frame)
{
    (void)frame;
    uint64_t intid = read_sysreg(s3_0_c12_c12_0);
    news += intid == INTID;
    write_sysreg(s3_0_c12_c12_1, intid);
}

static uint64_t half(unsigned which)
{
    return ((volatile uint64_t *)GENERATION)[which];
}

/* Masked meanwhile, so that none comes between the look and the wait; a WFI ends all the same. */
static void wait(unsigned known)
{
    __asm__ volatile("msr daifset, #2");
    if (news == known)
        __asm__ volatile("wfi");
    __asm__ volatile("msr daifclr, #2\n\tisb");
}

void bare_main(void)
{
    uint64_t low = half(0), high = half(1);
    irq_handler = on_irq;
    gic_init();
    gic_init_cpu(0);
    write32(machine.gicd + ICFGR + INTID / 16 * 4,
            read32(machine.gicd + ICFGR + INTID / 16 * 4) | 2u << INTID % 16 * 2);
    gic_enable(INTID, 0x80);
    print("ready\n");
    for (unsigned told = 0;;) {
        wait(told);
        if (news == told)
            continue;
        told = news;
        print("interrupt %u: %s ID\n", told, half(0) != low && half(1) != high ? "another" : "the same");
        low = half(0);
        high = half(1);
    }
}
