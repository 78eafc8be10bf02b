/* SPDX-License-Identifier: Apache-2.0 */
/* GICv3: distributor, redistributors, system register interface. */
#include "bare.h"

uint32_t gicr_read(unsigned cpu, unsigned offset)
{
    return read32(machine.gicr + cpu * machine.gicr_stride + offset);
}

void gicr_write(unsigned cpu, unsigned offset, uint32_t value)
{
    write32(machine.gicr + cpu * machine.gicr_stride + offset, value);
}

static unsigned this_cpu(void)
{
    return read_sysreg(mpidr_el1) & 0xff;
}

void gic_init(void)
{
    write32(machine.gicd, 0x12); /* ARE, group 1 */
    while (read32(machine.gicd) >> 31)
        ;
}

void gic_init_cpu(unsigned cpu)
{
    gicr_write(cpu, 0x14, gicr_read(cpu, 0x14) & ~2u);
    while (gicr_read(cpu, 0x14) & 4)
        ;
    gicr_write(cpu, 0x10080, 0xffffffff); /* group 1 */
    write_sysreg(s3_0_c12_c12_5, 7);      /* SRE */
    write_sysreg(s3_0_c4_c6_0, 0xff);     /* PMR */
    write_sysreg(s3_0_c12_c12_7, 1);      /* IGRPEN1 */
}

void gic_enable(unsigned intid, unsigned priority)
{
    if (intid < 32) {
        unsigned cpu = this_cpu();
        volatile uint8_t *base =
            (volatile uint8_t *)(machine.gicr + cpu * machine.gicr_stride + 0x10400);
        base[intid] = (uint8_t)priority;
        gicr_write(cpu, 0x10100, 1u << intid);
    } else {
        ((volatile uint8_t *)(machine.gicd + 0x400))[intid] = (uint8_t)priority;
        write32(machine.gicd + 0x80 + intid / 32 * 4,
                read32(machine.gicd + 0x80 + intid / 32 * 4) | 1u << intid % 32);
        write64(machine.gicd + 0x6000 + intid * 8, this_cpu());
        write32(machine.gicd + 0x100 + intid / 32 * 4, 1u << intid % 32);
    }
    dsb();
}

void gic_disable(unsigned intid)
{
    if (intid < 32)
        gicr_write(this_cpu(), 0x10180, 1u << intid);
    else
        write32(machine.gicd + 0x180 + intid / 32 * 4, 1u << intid % 32);
    dsb();
}
