/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that is busy with all it has, and checks all of it all the time, for
 * tests/busy_guest.py.  Each CPU goes through its pages of each bank: every word
 * is what the page's round makes of its address, and then the next round's.  It holds
 * values in vector and system registers, takes timer interrupts and a token that goes
 * round the CPUs by SGIs, and looks at the clock.  The CPUs count under a lock.  The
 * first one writes to the console, always the same text.
 *
 * With an ivshmem device in slot 4, half of its memory is one more bank.  Behind that is
 * the desk, at which somebody outside puts questions (tests/desk.py): a page of words to
 * be checked, for which a page of words goes back.  With a doorbell device (ext=on) each
 * side rings when it has written; after a change among the peers, and so after a move,
 * the guest rings in any case, since a ring may have been for nobody.
 *
 * What is wrong is said there, too: "\nWRONG: ...".  How far it came is at STATUS.
 */
#include "../bare/lib/bare.h"

/* The test's -m options, and the device. */
#define RAM_BANKS  3
#define BANKS      4
#define BANK_PAGES 512
#define STATUS     (machine.load + 0x400000)
#define CPUS_MAX   4
#define TIMER      27
#define TOKEN      3
#define IDLE_EVERY 16

#define FRAME     0x3f7e0000ul /* the GIC's, for messages */
#define FUNCTION  0x40020000ul /* the device's configuration */
#define REGISTERS 0x50000000ul /* its BARs */
#define TABLE     0x50010000ul
#define SHARED    0x50400000ul
#define QUESTION  (SHARED + 0x201000)
#define ANSWER    (SHARED + 0x202000)
#define RUNG      0 /* vectors */
#define CHANGED   1

struct status {
    uint64_t cpus; /* once all of them run */
    uint64_t wrong;
    uint64_t clock; /* the latest that anyone saw */
    uint64_t hz;
    uint64_t token;           /* how often it was passed on */
    uint64_t first, second;   /* under the lock; the same unless somebody is between */
    uint64_t lines;           /* complete ones */
    uint64_t pages[CPUS_MAX]; /* checked */
    uint64_t ticks[CPUS_MAX];
    uint64_t rings[2]; /* by vector */
};

/* In the shared memory, behind the bank. */
struct desk {
    uint64_t question; /* its number */
    uint64_t peer;     /* whom to ring */
    uint64_t answered; /* the last question that was */
    uint64_t position; /* the guest's own ID */
};

static struct status *status;
static volatile struct desk *const desk = (struct desk *)(SHARED + 0x200000);
static unsigned bank_count = RAM_BANKS;
static uint64_t bell; /* the first vector's interrupt; 0: there is none */
static uint64_t banks[BANKS];
static uint32_t rounds[BANKS][BANK_PAGES];
static uint32_t lock;
static volatile uint32_t has_token[CPUS_MAX];
static volatile uint32_t ready[CPUS_MAX];
static uint64_t period;
static unsigned cpus;

static void wrong(const char *what, uint64_t at, uint64_t is, uint64_t want)
{
    __atomic_fetch_add(&status->wrong, 1, __ATOMIC_SEQ_CST);
    print("\nWRONG: cpu %lu: %s at %lx: %lx, not %lx\n", read_sysreg(mpidr_el1) & 0xff, what, at,
          is, want);
}

/* --- memory */

static inline uint64_t word_of(uint64_t at, uint64_t round)
{
    uint64_t x = (at + round * 0x9e3779b97f4a7c15ul) * 0xd6e8feb86659fd93ul;
    return x ^ x >> 32;
}

static void fill_page(uint64_t at, uint64_t round)
{
    for (uint64_t end = at + PAGE; at < end; at += 8)
        write64(at, word_of(at, round));
}

static void check_page(uint64_t at, uint64_t round)
{
    for (uint64_t end = at + PAGE; at < end; at += 8) {
        uint64_t is = *(volatile uint64_t *)at;
        if (is != word_of(at, round)) {
            wrong("memory", at, is, word_of(at, round));
            return;
        }
    }
}

/* --- registers */

#define FOUR_VECTORS(op, list) op " {" list "}, [x9], #64\n\t"
#define ALL_VECTORS(op)                                                                            \
    FOUR_VECTORS(op, "v0.16b-v3.16b")                                                              \
    FOUR_VECTORS(op, "v4.16b-v7.16b")                                                              \
    FOUR_VECTORS(op, "v8.16b-v11.16b")                                                             \
    FOUR_VECTORS(op, "v12.16b-v15.16b")                                                            \
    FOUR_VECTORS(op, "v16.16b-v19.16b")                                                            \
    FOUR_VECTORS(op, "v20.16b-v23.16b")                                                            \
    FOUR_VECTORS(op, "v24.16b-v27.16b")                                                            \
    FOUR_VECTORS(op, "v28.16b-v31.16b")

/* 512 bytes. */
static void vectors_load(const void *from)
{
    __asm__ volatile(".arch_extension simd\n\tmov x9, %0\n\t" ALL_VECTORS("ld1")::"r"(from)
                     : "memory", "x9");
}

static void vectors_store(void *to)
{
    __asm__ volatile(".arch_extension simd\n\tmov x9, %0\n\t" ALL_VECTORS("st1")::"r"(to)
                     : "memory", "x9");
}

static uint64_t vectors[CPUS_MAX][64], seen[CPUS_MAX][64];

static void set_registers(unsigned cpu)
{
    write_sysreg(cpacr_el1, 3ul << 20);
    for (unsigned i = 0; i < 64; i++)
        vectors[cpu][i] = word_of(cpu, i);
    vectors_load(vectors[cpu]);
    write_sysreg(tpidr_el0, word_of(cpu, 100));
    write_sysreg(tpidrro_el0, word_of(cpu, 101));
    write_sysreg(tpidr_el1, word_of(cpu, 102));
    write_sysreg(sp_el0, word_of(cpu, 103));
    write_sysreg(far_el1, word_of(cpu, 104));
}

static void check_registers(unsigned cpu)
{
    vectors_store(seen[cpu]);
    for (unsigned i = 0; i < 64; i++) {
        if (seen[cpu][i] != vectors[cpu][i])
            wrong("vector", i, seen[cpu][i], vectors[cpu][i]);
    }
    const uint64_t is[] = {read_sysreg(tpidr_el0), read_sysreg(tpidrro_el0), read_sysreg(tpidr_el1),
                           read_sysreg(sp_el0), read_sysreg(far_el1)};
    for (unsigned i = 0; i < sizeof is / sizeof is[0]; i++) {
        if (is[i] != word_of(cpu, 100 + i))
            wrong("system register", i, is[i], word_of(cpu, 100 + i));
    }
}

/* --- the desk; the first CPU's */

static void answer(void)
{
    uint64_t question = __atomic_load_n(&desk->question, __ATOMIC_ACQUIRE);
    if (question == desk->answered)
        return;
    if (question != desk->answered + 1)
        wrong("question", 0, question, desk->answered + 1);
    check_page(QUESTION, question);
    fill_page(ANSWER, question);
    __atomic_store_n(&desk->answered, question, __ATOMIC_RELEASE);
}

static void hear(unsigned vector)
{
    status->rings[vector]++;
    if (vector == CHANGED)
        desk->position = read32(REGISTERS + 8);
    answer();
    write32(REGISTERS + 12, (uint32_t)desk->peer << 16);
}

static unsigned msix_capability(void)
{
    unsigned at = read32(FUNCTION + 0x34) & 0xff;
    while (at != 0 && (read32(FUNCTION + at) & 0xff) != 0x11)
        at = read32(FUNCTION + at) >> 8 & 0xff;
    return at;
}

static void hang_bell(unsigned capability)
{
    unsigned first = read32(FRAME + 8) >> 16 & 0x3ff;
    for (unsigned vector = 0; vector < 2; vector++) {
        uint64_t entry = TABLE + 16 * vector,
                 edge = machine.gicd + 0xc00 + (first + vector) / 16 * 4;
        write32(entry, FRAME + 0x40);
        write32(entry + 4, 0);
        write32(entry + 8, first + vector);
        write32(entry + 12, 0);
        write32(edge, read32(edge) | 2u << (first + vector) % 16 * 2);
        gic_enable(first + vector, 0x70);
    }
    bell = first;
    write32(FUNCTION + capability, 0x80000000);
    write32(REGISTERS + 0x28, CHANGED); /* ext=on: Notify */
    desk->position = read32(REGISTERS + 8);
}

static void use_shared_memory(void)
{
    if (read32(FUNCTION) != 0x11101af4)
        return;
    const uint32_t bars[] = {REGISTERS, TABLE, SHARED, 0};
    for (unsigned i = 0; i < 4; i++)
        write32(FUNCTION + 0x10 + 4 * i, bars[i]);
    write32(FUNCTION + 4, 6);
    banks[bank_count++] = SHARED;
    if (msix_capability() != 0)
        hang_bell(msix_capability());
}

/* --- time */

static uint64_t now(void)
{
    __asm__ volatile("isb" ::: "memory");
    return read_sysreg(cntvct_el0);
}

static void check_clock(void)
{
    uint64_t before = __atomic_load_n(&status->clock, __ATOMIC_SEQ_CST);
    uint64_t time = now();
    if (time < before)
        wrong("clock", 0, time, before);
    while (before < time && !__atomic_compare_exchange_n(&status->clock, &before, time, false,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
}

static void on_irq(struct frame *frame)
{
    unsigned cpu = read_sysreg(mpidr_el1) & 0xff;
    uint64_t intid = read_sysreg(s3_0_c12_c12_0);
    (void)frame;
    if (intid == TIMER) {
        uint64_t due = read_sysreg(cntv_cval_el0), time = now();
        if (time < due)
            wrong("timer before its time", 0, time, due);
        status->ticks[cpu]++;
        write_sysreg(cntv_cval_el0, time + period);
    } else if (intid == TOKEN) {
        has_token[cpu] = 1;
    } else if (bell != 0 && intid - bell < 2) {
        hear((unsigned)(intid - bell));
    } else if (intid == 1023) {
        return;
    } else {
        wrong("interrupt", 0, intid, 0);
    }
    write_sysreg(s3_0_c12_c12_1, intid);
}

static void start_ticks(unsigned cpu)
{
    gic_init_cpu(cpu);
    gic_enable(TIMER, 0x80);
    gic_enable(TOKEN, 0x60);
    write_sysreg(cntv_cval_el0, now() + period);
    write_sysreg(cntv_ctl_el0, 1);
    __asm__ volatile("msr daifclr, #2" ::: "memory");
}

/* --- what the CPUs do together */

static void pass_token(unsigned cpu)
{
    if (!has_token[cpu])
        return;
    has_token[cpu] = 0;
    status->token++;
    dsb();
    write_sysreg(s3_0_c12_c11_5, (uint64_t)TOKEN << 24 | 1ul << (cpu + 1) % cpus);
}

static void count_under_lock(void)
{
    uint32_t other, failed;
    do {
        __asm__ volatile("ldaxr %w0, [%2]\n\tstxr %w1, %w3, [%2]"
                         : "=&r"(other), "=&r"(failed)
                         : "r"(&lock), "r"(1)
                         : "memory");
    } while (failed || other);
    uint64_t first = status->first, second = status->second;
    if (first != second)
        wrong("counts under the lock", 0, first, second);
    *(volatile uint64_t *)&status->first = first + 1;
    for (volatile unsigned i = 0; i < 20; i++)
        ;
    *(volatile uint64_t *)&status->second = second + 1;
    __asm__ volatile("stlr wzr, [%0]" ::"r"(&lock) : "memory");
}

static void write_line(void)
{
    print("%lu: the quick brown fox jumps over the lazy dog, %lx\n", status->lines,
          word_of(status->lines, 7));
    status->lines++;
}

/* --- CPUs */

static void check_all(unsigned cpu, unsigned bank, unsigned page)
{
    uint64_t at = banks[bank] + page * PAGE;
    check_page(at, rounds[bank][page]);
    fill_page(at, rounds[bank][page] + 1);
    rounds[bank][page]++;
    check_registers(cpu);
    check_clock();
    count_under_lock();
    pass_token(cpu);
    if (cpu == 0 && bell == 0 && bank_count == BANKS)
        answer();
    if (cpu == 0)
        write_line();
    if (++status->pages[cpu] % IDLE_EVERY == 0)
        __asm__ volatile("wfi"); /* a tick comes */
}

static void work(unsigned cpu)
{
    for (unsigned page = cpu;; page = page + cpus < BANK_PAGES ? page + cpus : cpu) {
        for (unsigned bank = 0; bank < bank_count; bank++)
            check_all(cpu, bank, page);
    }
}

static void fill_share(unsigned cpu)
{
    for (unsigned bank = 0; bank < bank_count; bank++) {
        for (unsigned page = cpu; page < BANK_PAGES; page += cpus)
            fill_page(banks[bank] + page * PAGE, 0);
    }
    set_registers(cpu);
    start_ticks(cpu);
    ready[cpu] = 1;
}

static void secondary(unsigned cpu)
{
    mmu_on_this_cpu();
    fill_share(cpu);
    work(cpu);
}

static void map(uint64_t at, uint64_t attributes)
{
    at &= ~0x1ffffful;
    *mmu_entry(at, 2) = at | PTE_VALID | PTE_AF | PTE_UXN | PTE_PXN | attributes;
}

static void map_all(void)
{
    const uint64_t memory = PTE_ATTR(ATTR_NORMAL) | PTE_SH, device = PTE_ATTR(ATTR_DEVICE);
    for (unsigned bank = 0; bank < RAM_BANKS; bank++)
        map(banks[bank], memory);
    map(SHARED, memory);
    map((uint64_t)desk, memory);
    map(FRAME, device);
    map(FUNCTION, device);
    map(REGISTERS, device);
    tlbi_all();
}

void bare_main(void)
{
    banks[0] = machine.ram + 0x600000;
    banks[1] = 0x200000000;
    banks[2] = 0x240000000;
    status = (struct status *)STATUS;
    mmu_on();
    map_all();
    irq_handler = on_irq;
    status->hz = read_sysreg(cntfrq_el0);
    period = status->hz / 200;
    gic_init();
    use_shared_memory();
    for (cpus = 1; cpus < CPUS_MAX && psci(0xc4000004, mpidr_of(cpus), 0, 0) == 1; cpus++)
        ;
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        cpu_start(cpu, secondary);
    fill_share(0);
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        while (!ready[cpu])
            ;
    has_token[0] = 1;
    status->cpus = cpus;
    work(0);
}
