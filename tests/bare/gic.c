/* SPDX-License-Identifier: Apache-2.0 */
/* GIC: states, priorities and preemption, SGIs to self and others, EOImode. */
#include "lib/bare.h"

#define ISPENDR0 0x10200
#define ICPENDR0 0x10280
#define ISACTIVER0 0x10300
#define ICACTIVER0 0x10380

static unsigned order[32], order_count;
static unsigned nested_intid;

static void state(const char *what)
{
    print("%s: pending %x active %x rpr %lx\n", what, gicr_read(0, ISPENDR0) & 0xffff,
          gicr_read(0, ISACTIVER0) & 0xffff, read_sysreg(s3_0_c12_c11_3));
}

static void send(unsigned intid, uint64_t target)
{
    write_sysreg(s3_0_c12_c11_5, (uint64_t)intid << 24 | target);
    dsb();
}

static void on_irq(struct frame *frame)
{
    (void)frame;
    uint64_t intid = read_sysreg(s3_0_c12_c12_0);
    order[order_count++ % 32] = (unsigned)intid;
    if (intid == 1023)
        return;
    if (nested_intid && intid != nested_intid) {
        send(nested_intid, 1);
        __asm__ volatile("msr daifclr, #2\n\tisb\n\tmsr daifset, #2");
        order[order_count++ % 32] = 100 + (unsigned)intid;
    }
    write_sysreg(s3_0_c12_c12_1, intid);
}

static void open_window(const char *what)
{
    order_count = 0;
    __asm__ volatile("msr daifclr, #2\n\tisb\n\tmsr daifset, #2");
    print("%s:", what);
    for (unsigned i = 0; i < order_count; i++)
        print(" %u", order[i]);
    print("\n");
}

static volatile unsigned got[MAX_CPUS];

static void on_secondary_irq(struct frame *frame)
{
    (void)frame;
    uint64_t intid = read_sysreg(s3_0_c12_c12_0);
    got[read_sysreg(mpidr_el1) & 0xff] |= 1u << (intid & 31);
    write_sysreg(s3_0_c12_c12_1, intid);
}

static volatile unsigned ready[MAX_CPUS];

static void secondary(unsigned cpu)
{
    mmu_on_this_cpu();
    gic_init_cpu(cpu);
    for (unsigned i = 0; i < 16; i++)
        gic_enable(i, 0x80);
    ready[cpu] = 1;
    __asm__ volatile("msr daifclr, #2");
    while ((got[cpu] & 0xc) != 0xc)
        __asm__ volatile("wfi");
    __asm__ volatile("msr daifset, #2");
}

static void spi_states(void)
{
    unsigned spi = 100;
    gic_enable(spi, 0x60);
    write32(machine.gicd + 0xc00 + spi / 16 * 4, 2u << spi % 16 * 2); /* edge */
    write32(machine.gicd + 0x200 + spi / 32 * 4, 1u << spi % 32);
    print("spi pending %x\n", read32(machine.gicd + 0x200 + spi / 32 * 4) >> spi % 32 & 1);
    print("hppir %lu\n", read_sysreg(s3_0_c12_c12_2));
    write32(machine.gicd + 0x280 + spi / 32 * 4, 1u << spi % 32);
    print("hppir %lu\n", read_sysreg(s3_0_c12_c12_2));
    write32(machine.gicd + 0x200 + spi / 32 * 4, 1u << spi % 32);
    open_window("spi taken");
    gic_disable(spi);
    write32(machine.gicd + 0x200 + spi / 32 * 4, 1u << spi % 32);
    open_window("spi disabled");
    gic_enable(spi, 0x60);
    open_window("spi enabled again");
}

void bare_main(void)
{
    mmu_on();
    gic_init();
    gic_init_cpu(0);
    irq_handler = on_irq;
    write_sysreg(s3_0_c12_c12_3, 0);
    for (unsigned i = 0; i < 8; i++)
        gic_enable(i, 0xa0 - 0x10 * i);
    state("idle");
    open_window("nothing");
    send(1, 1);
    state("sgi 1 sent");
    open_window("sgi 1");
    send(1, 1), send(5, 1), send(3, 1);
    state("three sent");
    open_window("by priority");
    gic_enable(2, 0x40), gic_enable(4, 0x40);
    send(4, 1), send(2, 1);
    open_window("same priority, lowest number first");

    nested_intid = 7;
    send(0, 1);
    open_window("preempted by a higher one");
    nested_intid = 0;
    gic_enable(6, 0xf0);
    nested_intid = 6;
    send(1, 1);
    open_window("not by a lower one");
    nested_intid = 0;
    order_count = 0;
    open_window("which comes after");

    write_sysreg(s3_0_c4_c6_0, 0x60);
    send(0, 1);
    open_window("below the mask");
    write_sysreg(s3_0_c4_c6_0, 0xff);
    open_window("mask lifted");

    /* EOImode 1: priority drop, then deactivation. */
    write_sysreg(s3_0_c12_c12_4, read_sysreg(s3_0_c12_c12_4) | 2);
    send(3, 1);
    uint64_t intid = read_sysreg(s3_0_c12_c12_0);
    state("acknowledged");
    write_sysreg(s3_0_c12_c12_1, intid);
    state("dropped");
    send(3, 1);
    print("again while active: %lu\n", read_sysreg(s3_0_c12_c12_0));
    write_sysreg(s3_0_c12_c11_1, intid);
    state("deactivated");
    intid = read_sysreg(s3_0_c12_c12_0);
    print("now: %lu\n", intid);
    write_sysreg(s3_0_c12_c12_1, intid);
    write_sysreg(s3_0_c12_c11_1, intid);
    write_sysreg(s3_0_c12_c12_4, read_sysreg(s3_0_c12_c12_4) & ~2ul);
    gicr_write(0, ISPENDR0, 1u << 20);
    print("ppi pending %x\n", gicr_read(0, ISPENDR0) >> 20 & 1);
    gicr_write(0, ICPENDR0, 1u << 20);
    print("ppi pending %x\n", gicr_read(0, ISPENDR0) >> 20 & 1);
    gicr_write(0, ISACTIVER0, 1u << 5);
    send(5, 1);
    open_window("active already");
    gicr_write(0, ICACTIVER0, 1u << 5);
    open_window("active no more");
    spi_states();

    irq_handler = on_secondary_irq;
    for (unsigned cpu = 1; cpu < 4; cpu++) {
        cpu_start(cpu, secondary);
        while (!ready[cpu])
            ;
    }
    send(2, 0xe);            /* by list */
    send(3, 1ul << 40);      /* all but self */
    for (unsigned cpu = 1; cpu < 4; cpu++) {
        cpu_wait(cpu);
        print("cpu %u got %x\n", cpu, got[cpu]);
    }
    print("self: pending %x\n", gicr_read(0, ISPENDR0) & 0xc);
}
