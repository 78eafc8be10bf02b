/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare-metal guest that means no good with PCI, on memvisor's arm64 board:
 * BARs over RAM, over each other and back; then, on all processors at once,
 * nonsense in every register there is, for some seconds; then it sees whether
 * the devices still work.  01.0 is a root port, 03.0 an edu, 04.0 an
 * ivshmem-plain of 64 KiB, 05.0 an ivshmem-doorbell of 1 MiB and 4 vectors.
 */
#include "../bare/lib/bare.h"

#define CPUS          4
#define STORM_SECONDS 4

#define ECAM         0x40000000ul
#define LOW          0x50000000ul
#define HIGH         0x8000000000ul
#define FRAME        0x3f7e0000ul
#define GICD_ISPENDR 0x200
#define GICD_ICPENDR 0x280
#define GICD_ICFGR   0xc00

enum { PORT = 1, EDU = 3, PLAIN = 4, BELL = 5, BEHIND = 32 }; /* slots; behind: bus 1 */

#define PLAIN_MEMORY   (HIGH + 0x100000)
#define BELL_MEMORY    (HIGH + 0x200000)
#define BELL_REGISTERS (LOW + 0x10000)
#define BELL_TABLE     (LOW + 0x20000)

static uint64_t config_at(unsigned slot, unsigned offset)
{
    return ECAM + ((uint64_t)slot << 15) + offset;
}

static uint32_t config_read(unsigned slot, unsigned offset)
{
    return read32(config_at(slot, offset));
}

static void config_write(unsigned slot, unsigned offset, uint32_t value)
{
    write32(config_at(slot, offset), value);
}

static void set_wide_bar(unsigned slot, uint64_t gpa)
{
    config_write(slot, 0x18, (uint32_t)gpa);
    config_write(slot, 0x1c, (uint32_t)(gpa >> 32));
}

static void configure(void)
{
    config_write(PORT, 0x18, 0x00010100);
    config_write(PORT, 0x20, 0x51005100);
    config_write(EDU, 0x10, LOW + 0x100000);
    config_write(PLAIN, 0x10, LOW);
    set_wide_bar(PLAIN, PLAIN_MEMORY);
    config_write(BELL, 0x10, BELL_REGISTERS);
    config_write(BELL, 0x14, BELL_TABLE);
    set_wide_bar(BELL, BELL_MEMORY);
    for (unsigned slot = PORT; slot <= BELL; slot++)
        config_write(slot, 4, 6);
}

static void map_pci(void)
{
    uint64_t device = PTE_VALID | PTE_ATTR(ATTR_DEVICE) | PTE_AF | PTE_UXN | PTE_PXN;
    for (uint64_t at = FRAME & ~0x1ffffful; at < 0x80000000; at += 0x200000)
        *mmu_entry(at, 2) = at | device;
    *mmu_entry(HIGH, 1) = HIGH | device;
    /* What RAM behind BARs is reached by like RAM. */
    *mmu_entry(WINDOW, 1) = HIGH | PTE_VALID | PTE_ATTR(ATTR_NORMAL) | PTE_SH | PTE_AF | PTE_UXN;
    /* RAM that a BAR is put over. */
    uint64_t ram = machine.ram + 0x4000000;
    *mmu_entry(ram, 2) = ram | PTE_VALID | PTE_ATTR(ATTR_NORMAL) | PTE_SH | PTE_AF | PTE_UXN;
    tlbi_all();
}

static void tell(const char *what, uint64_t gpa)
{
    uint64_t result = 0;
    extern const uint32_t h_load[];
    int r = trial(h_load, gpa, 0, &result);
    print_outcome(what, r, result);
}
STUB(h_load, "ldr w0, [x0]");

/* --- one thing over another */

static void over_ram(void)
{
    uint64_t ram = machine.ram + 0x4000000;
    write32(ram, 0x11111111);
    write32(WINDOW + 0x100000, 0x22222222);
    set_wide_bar(PLAIN, ram);
    tell("ram under a bar", ram);
    write32(ram, 0x33333333);
    tell("where the bar was", PLAIN_MEMORY);
    tell("where the bar was, as RAM", WINDOW + 0x100000);
    set_wide_bar(PLAIN, PLAIN_MEMORY);
    tell("the bar is back", PLAIN_MEMORY);
    tell("the bar is back, as RAM", WINDOW + 0x100000);
    tell("ram", ram);
}

/* The first that is there stays, and the other comes once it has left. */
static void over_each_other(void)
{
    write32(BELL_MEMORY, 0x44444444);
    set_wide_bar(PLAIN, BELL_MEMORY);
    tell("two at one place", BELL_MEMORY);
    set_wide_bar(BELL, HIGH + 0x400000);
    tell("the first moved on", HIGH + 0x400000);
    tell("the second is left", BELL_MEMORY);
    set_wide_bar(BELL, BELL_MEMORY);
    tell("the first is back", BELL_MEMORY);
    set_wide_bar(PLAIN, PLAIN_MEMORY);
    tell("the second moved on", BELL_MEMORY);
    tell("the second", PLAIN_MEMORY);
}

/* Where no PCI memory is. */
static void over_the_board(void)
{
    static const uint32_t places[] = {0x3fff0000, 0x40000000, 0x3f7e0000, 0x01000000, 0x80000000};
    uint32_t id = config_read(PLAIN, 0), type = read32(machine.gicd + 4);
    uint32_t frame = read32(FRAME + 8);
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        config_write(PLAIN, 0x10, places[i]);
        config_write(BELL, 0x14, places[i]);
    }
    print("board %s\n", id == config_read(PLAIN, 0) && type == read32(machine.gicd + 4) &&
                                frame == read32(FRAME + 8)
                            ? "kept"
                            : "changed");
    configure();
}

/* --- the storm */

static uint64_t rng[CPUS];
static uint32_t steps[CPUS];
static uint64_t storm_end;

static uint32_t any(unsigned cpu)
{
    rng[cpu] ^= rng[cpu] << 13;
    rng[cpu] ^= rng[cpu] >> 7;
    rng[cpu] ^= rng[cpu] << 17;
    return (uint32_t)(rng[cpu] >> 16);
}

static unsigned any_slot(unsigned cpu)
{
    static const unsigned slots[] = {PORT, EDU, PLAIN, BELL, PORT, BELL, BEHIND};
    unsigned pick = any(cpu) % 8;
    return pick < 7 ? slots[pick] : any(cpu) % 128;
}

/* Accesses to nothing abort, and are passed over. */
static bool pass_over(unsigned vector, struct frame *frame)
{
    if (vector != 4 || frame->esr >> 26 != 0x25)
        return false;
    frame->elr += 4;
    return true;
}

static void write_any_size(uint64_t at, unsigned size, uint32_t value)
{
    if (size == 1)
        *(volatile uint8_t *)at = (uint8_t)value;
    else if (size == 2)
        *(volatile uint16_t *)(at & ~1ul) = (uint16_t)value;
    else
        write32(at & ~3ul, value);
}

static void storm_config(unsigned cpu)
{
    uint32_t value = any(cpu);
    unsigned offset = any(cpu) & (value & 8 ? 0xff : 0x3f);
    write_any_size(config_at(any_slot(cpu), offset), 1u << any(cpu) % 3, value);
}

/* BARs at the same few places, decoded. */
static void storm_place(unsigned cpu)
{
    static const uint32_t places[] = {LOW,        LOW + 0x10000, LOW + 0x20000, 0x51000000,
                                      0x60000000, 0x80000000,    0x40000000,    0x3f7e0000};
    unsigned slot = any_slot(cpu);
    config_write(slot, 0x10 + 4 * (any(cpu) % 2), places[any(cpu) % 8]);
    set_wide_bar(slot, any(cpu) % 4 ? HIGH + (any(cpu) % 8 << 20) : places[any(cpu) % 8]);
    config_write(slot, 4, 6);
}

/* Wherever a BAR's registers say that it is. */
static void storm_bar(unsigned cpu)
{
    unsigned slot = any_slot(cpu), bar = any(cpu) % 3;
    uint64_t at = config_read(slot, 0x10 + 4 * bar) & ~15u;
    if (bar == 2 && config_read(slot, 0x1c) == HIGH >> 32)
        at |= HIGH;
    if ((at & ~0x3ffffffful) != HIGH && (at < LOW || at >= 0x80000000))
        return;
    at += any(cpu) & 0xffc;
    if (at >= HIGH && any(cpu) % 2)
        at += WINDOW - HIGH;
    if (at >= WINDOW && any(cpu) % 2)
        __atomic_fetch_add((volatile uint32_t *)at, 1, __ATOMIC_ACQ_REL);
    else if (any(cpu) % 2)
        write32(at, any(cpu));
    else
        read32(at);
}

static void storm_table(unsigned cpu)
{
    uint64_t at = BELL_TABLE + (any(cpu) & 0x8ff & ~3u);
    uint32_t value = any(cpu);
    write32(at, value & 1 ? value : value & 2 ? 0 : (uint32_t)FRAME + 0x40);
    write32(config_at(BELL, 0x40 + (any(cpu) & 0x3c)), any(cpu) | 0x80000000);
}

static void storm_ring(unsigned cpu)
{
    uint32_t value = any(cpu);
    write32(BELL_REGISTERS + 12, value & 0x100 ? value : value & 0x30007);
    write32(BELL_REGISTERS + (any(cpu) & 12), any(cpu));
}

static void storm(unsigned cpu)
{
    static void (*const kinds[])(unsigned cpu) = {storm_config, storm_config, storm_place,
                                                  storm_bar,    storm_bar,    storm_table,
                                                  storm_ring,   storm_config};
    rng[cpu] = 0x9e3779b97f4a7c15ul * (cpu + 1);
    while (read_sysreg(cntvct_el0) < storm_end) {
        kinds[any(cpu) % 8](cpu);
        steps[cpu]++;
    }
}

static void storm_on_another(unsigned cpu)
{
    mmu_on_this_cpu();
    storm(cpu);
}

static void all_storm(void)
{
    uint64_t total = 0;
    storm_end = read_sysreg(cntvct_el0) + STORM_SECONDS * read_sysreg(cntfrq_el0);
    sync_handler = pass_over;
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_start(cpu, storm_on_another);
    storm(0);
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_wait(cpu);
    sync_handler = NULL;
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        total += steps[cpu];
    print("steps: %lu\n", total);
}

/* --- what is left */

static unsigned capability(unsigned slot, uint8_t id)
{
    unsigned at = config_read(slot, 0x34) & 0xff;
    while (at != 0 && (config_read(slot, at) & 0xff) != id)
        at = config_read(slot, at) >> 8 & 0xff;
    return at;
}

static void forget(unsigned intid)
{
    write32(machine.gicd + GICD_ICPENDR + intid / 32 * 4, 1u << intid % 32);
}

static void set_up_bell(unsigned spi)
{
    unsigned at = capability(BELL, 0x11);
    for (unsigned vector = 0; vector < 2; vector++) {
        uint64_t entry = BELL_TABLE + 16 * vector;
        write32(entry, FRAME + 0x40);
        write32(entry + 4, 0);
        write32(entry + 8, spi + vector);
        write32(entry + 12, 0);
    }
    config_write(BELL, at, 0x80000000);
    for (unsigned intid = spi; intid < spi + 2; intid++) {
        uint64_t config = machine.gicd + GICD_ICFGR + intid / 16 * 4;
        write32(config, read32(config) | 2u << intid % 16 * 2);
        forget(intid);
    }
}

static bool is_heard(unsigned intid)
{
    uint64_t end = read_sysreg(cntvct_el0) + 30 * read_sysreg(cntfrq_el0);
    bool pending = false;
    while (!pending && read_sysreg(cntvct_el0) < end)
        pending = read32(machine.gicd + GICD_ISPENDR + intid / 32 * 4) >> intid % 32 & 1;
    return pending;
}

/*
 * The storm rang, too, and the host may be behind with it: what is heard of the
 * third ring tells that all before the first has arrived, and is forgotten.
 */
static void hear_own_rings(unsigned spi)
{
    bool heard = true;
    for (int i = 0; i < 3; i++) {
        write32(BELL_REGISTERS + 12, read32(BELL_REGISTERS + 8) << 16);
        heard = heard && is_heard(spi);
        forget(spi);
    }
    forget(spi + 1);
    print("own ring %s\n", heard ? "heard" : "not heard");
}

static void what_is_left(void)
{
    unsigned spi = read32(FRAME + 8) >> 16 & 0x3ff;
    for (unsigned slot = PORT; slot <= BELL; slot++)
        print("%u: %x\n", slot, config_read(slot, 0));
    config_write(PORT, 0x3c, 0);
    configure();
    write32(PLAIN_MEMORY, 0x55555555);
    tell("plain", WINDOW + 0x100000);
    write32(BELL_MEMORY, 0x66666666);
    tell("doorbell", WINDOW + 0x200000);
    set_up_bell(spi);
    hear_own_rings(spi);
    print("listening\n");
    print("ring %s\n", is_heard(spi + 1) ? "heard" : "not heard");
}

void bare_main(void)
{
    mmu_on();
    map_pci();
    configure();
    over_ram();
    over_each_other();
    over_the_board();
    print("storm\n");
    all_storm();
    what_is_left();
}
