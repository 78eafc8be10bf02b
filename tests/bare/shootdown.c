/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maintenance that meets other CPUs, and wake-ups: TLBIs while a CPU starts,
 * code that runs on while all code is forgotten, permissions that end under
 * stores, a page that forbids its own execution, WFI in a ring, more mail than
 * fits for a CPU that sleeps.
 */
#include "lib/bare.h"

#define CPUS 4
#define CODE WINDOW
#define CODE_PAGES 24
#define DATA (WINDOW + 0x200000)
#define OFFSET 0x400 /* of the code in its pages */

#define MOVZ_X0(value) (0xd2800000 | (uint32_t)(value) << 5)
#define RET 0xd65f03c0
#define DSB_ISH 0xd5033b9f
#define TLBI_VAE1IS_X1 0xd5088321

typedef uint64_t fn(uint64_t a, uint64_t b, uint64_t c);

static uint64_t call(uint64_t address, uint64_t a, uint64_t b, uint64_t c)
{
    return ((fn *)address)(a, b, c);
}

static volatile bool over;
static volatile unsigned wrong;
static volatile unsigned lap;

static void tlbi_page(uint64_t va)
{
    __asm__ volatile("dsb ishst\n\ttlbi vae1is, %0\n\tdsb ish\n\tisb" ::"r"(va >> 12) : "memory");
}

/*
 * Page 0 issues a TLBI and waits for it, which is when the others' mail comes
 * in, and then returns 1000; page i, at the same place, returns i.
 */
static void make_code(void)
{
    for (unsigned i = 0; i < CODE_PAGES; i++) {
        uint32_t *page = page_alloc();
        uint32_t *code = page + OFFSET / 4;
        code[0] = TLBI_VAE1IS_X1;
        code[1] = DSB_ISH;
        code[2] = MOVZ_X0(i == 0 ? 1000 : i);
        code[3] = RET;
        sync_code(code, 16);
        mmu_set(CODE + i * PAGE, (uint64_t)page, PTE_NORMAL | PTE_RO | PTE_UXN);
    }
}

static void call_code(unsigned cpu)
{
    (void)cpu;
    mmu_on_this_cpu();
    uint64_t since = read_sysreg(cntvct_el0);
    for (unsigned round = 0; more_rounds(round, CODE_PAGES, 2000, since); round++) {
        unsigned when = round * 7 % (CODE_PAGES - 1) + 1;
        for (unsigned i = 1; i < CODE_PAGES; i++) {
            if (i == when)
                wrong += call(CODE + OFFSET, 0, DATA >> 12, 0) != 1000;
            wrong += call(CODE + i * PAGE + OFFSET + 8, 0, 0, 0) != i;
        }
    }
    over = true;
}

static void code_forgotten(void)
{
    over = false;
    wrong = 0;
    cpu_start(1, call_code);
    while (!over)
        __asm__ volatile("ic ialluis\n\tdsb ish\n\tisb" ::: "memory");
    cpu_wait(1);
    print("while code is forgotten: %u wrong\n", wrong);
}

/* --- stores of three CPUs to a page that becomes read-only */

static volatile unsigned denied[CPUS];

static bool on_denied(unsigned vector, struct frame *frame)
{
    if (vector != 4 || frame->esr >> 26 != 0x25 || (frame->esr & 0x7f) != 0x4f)
        return false;
    denied[read_sysreg(mpidr_el1) & 0xff]++;
    return true; /* to try again */
}

static unsigned all_denied(void)
{
    return denied[1] + denied[2] + denied[3];
}

static void store_on(unsigned cpu)
{
    volatile uint64_t *mine = (volatile uint64_t *)DATA + cpu * 8;
    mmu_on_this_cpu();
    for (uint64_t value = 1; !over; value++)
        *mine = value;
}

static void permissions_end(void)
{
    volatile uint64_t *page = page_alloc();
    uint64_t *entry = mmu_entry(DATA, 3);
    unsigned moved = 0, progress = 0;
    uint64_t since;
    mmu_set(DATA, (uint64_t)page, PTE_NORMAL | PTE_PXN | PTE_UXN);
    sync_handler = on_denied;
    over = false;
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_start(cpu, store_on);
    since = read_sysreg(cntvct_el0);
    for (unsigned round = 0; more_rounds(round, 20, 200, since); round++) {
        uint64_t seen[CPUS];
        *entry |= PTE_RO;
        tlbi_page(DATA);
        for (unsigned cpu = 1; cpu < CPUS; cpu++)
            seen[cpu] = page[cpu * 8];
        for (volatile unsigned spin = 0; spin < 500; spin++)
            ;
        /* Where the host has no processor for them, none may come to a store by then. */
        for (unsigned before = all_denied(); round < 10 && all_denied() == before;)
            ;
        for (unsigned cpu = 1; cpu < CPUS; cpu++)
            moved += page[cpu * 8] != seen[cpu];
        *entry &= ~PTE_RO;
        tlbi_page(DATA);
        while (page[(1 + round % 3) * 8] == seen[1 + round % 3])
            ;
        progress++;
    }
    over = true;
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_wait(cpu);
    sync_handler = NULL;
    print("read-only: %u not still, %s, %s\n", moved, progress >= 20 ? "progress" : "no progress",
          all_denied() ? "some denied" : "none denied");
}

/* --- TLBIs, for which two CPUs are waited for, while a third one starts */

static void be_busy(unsigned cpu)
{
    (void)cpu;
    while (!over)
        ;
}

static void mmu_secondary(unsigned cpu)
{
    (void)cpu;
    mmu_on_this_cpu();
}

static void start_ups(void)
{
    unsigned count = 0;
    uint64_t since = read_sysreg(cntvct_el0);
    over = false;
    cpu_start(1, be_busy);
    cpu_start(2, be_busy);
    for (unsigned round = 0; more_rounds(round, 20, 200, since); round++) {
        cpu_start(3, mmu_secondary);
        tlbi_page(DATA);
        cpu_wait(3);
        count++;
    }
    over = true;
    cpu_wait(1);
    cpu_wait(2);
    print("starts among TLBIs: %s\n", count >= 20 ? "all" : "too few");
}

/* --- a page that forbids its own execution; x0: its descriptor, x1: the new one */

STUB(stub_forbid, "str x1, [x0]\n\tdsb ishst\n\ttlbi vae1, x2\n\tdsb nsh\n\tisb\n\tmov x0, #5");

/* Goes there with the page's number for the TLBI. */
__asm__(".pushsection .text\n.globl forbid_call\nforbid_call:\n\t"
        "mov x9, #0x700000000000\n\tlsr x2, x9, #12\n\tbr x9\n.popsection\n");
extern const uint32_t forbid_call[];

static void own_execution(void)
{
    uint32_t *page = page_alloc();
    for (unsigned i = 0; i < 7; i++)
        page[i] = stub_forbid[i];
    sync_code(page, 28);
    mmu_set(CODE, (uint64_t)page, PTE_NORMAL | PTE_RO | PTE_UXN);
    uint64_t *entry = mmu_entry(CODE, 3);
    uint64_t result = 0;
    int faulted = trial(forbid_call, (uint64_t)entry, *entry | PTE_PXN, &result);
    print_outcome("own execution forbidden", faulted, result);
    print("at the TLBI's successors: %u\n",
          faulted && fault.elr > CODE + 8 && fault.elr <= CODE + 20);
}

/* --- interrupts that wake from WFI, round and round */

#define LAPS 3000

static void send_to(unsigned cpu)
{
    write_sysreg(s3_0_c12_c11_5, 1ul << cpu);
}

static volatile bool last_lap;

static void ring(unsigned cpu)
{
    uint64_t since = read_sysreg(cntvct_el0);
    for (bool end = false; !end;) {
        uint64_t intid;
        if (cpu == 0) {
            last_lap = !more_rounds(lap + 1, 100, LAPS, since);
            dsb();
            send_to(1);
        }
        while ((intid = read_sysreg(s3_0_c12_c12_0)) == 1023)
            __asm__ volatile("dsb sy\n\twfi");
        write_sysreg(s3_0_c12_c12_1, intid);
        end = last_lap;
        if (cpu != 0)
            send_to((cpu + 1) % CPUS);
        else
            lap++;
    }
}

static volatile bool ready[CPUS];

static void ring_second(unsigned cpu)
{
    mmu_on_this_cpu();
    gic_init_cpu(cpu);
    gic_enable(0, 0x80);
    ready[cpu] = true;
    ring(cpu);
}

static void wake_ups(void)
{
    gic_init();
    gic_init_cpu(0);
    gic_enable(0, 0x80);
    for (unsigned cpu = 1; cpu < CPUS; cpu++) {
        cpu_start(cpu, ring_second);
        while (!ready[cpu])
            ;
    }
    ring(0);
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_wait(cpu);
    print("laps of a wake-up: %s\n", lap >= 100 ? "all" : "too few");
}

/* --- more mail than a mailbox may hold, for a CPU that sleeps meanwhile */

#define MANY 100

static volatile bool asleep;
static volatile unsigned old_data, new_data, old_code, new_code;

static void look(volatile unsigned *data, volatile unsigned *code)
{
    unsigned sum = 0, results = 0;
    for (unsigned i = 0; i < MANY; i++)
        sum += *(volatile uint32_t *)(DATA + i * PAGE);
    for (unsigned line = 0; line < 64; line++)
        results += call(CODE + line * 64, 0, 0, 0) + call(CODE + PAGE + line * 64, 0, 0, 0);
    *data = sum;
    *code = results;
}

static void sleeper(unsigned cpu)
{
    uint64_t intid;
    mmu_on_this_cpu();
    gic_init_cpu(cpu);
    gic_enable(0, 0x80);
    look(&old_data, &old_code);
    asleep = true;
    while ((intid = read_sysreg(s3_0_c12_c12_0)) == 1023)
        __asm__ volatile("dsb sy\n\twfi");
    write_sysreg(s3_0_c12_c12_1, intid);
    look(&new_data, &new_code);
}

static void write_lines(uint32_t *page, unsigned value)
{
    for (unsigned line = 0; line < 64; line++) {
        page[line * 16] = MOVZ_X0(value);
        page[line * 16 + 1] = RET;
    }
    for (unsigned line = 0; line < 64; line++)
        __asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0" ::"r"(page + line * 16) : "memory");
    dsb();
}

static void much_mail(void)
{
    uint32_t *data[2] = {page_alloc(), page_alloc()}, *code[2] = {page_alloc(), page_alloc()};
    data[0][0] = 1;
    data[1][0] = 2;
    for (unsigned i = 0; i < MANY; i++)
        mmu_set(DATA + i * PAGE, (uint64_t)data[0], PTE_NORMAL | PTE_PXN | PTE_UXN);
    for (unsigned i = 0; i < 2; i++) {
        write_lines(code[i], 3);
        mmu_set(CODE + i * PAGE, (uint64_t)code[i], PTE_NORMAL | PTE_RO | PTE_UXN);
    }
    cpu_start(1, sleeper);
    while (!asleep)
        ;
    for (volatile unsigned spin = 0; spin < 20000; spin++)
        ;
    for (unsigned i = 0; i < 2; i++)
        write_lines(code[i], 4);
    for (unsigned i = 0; i < MANY; i++) {
        uint64_t *entry = mmu_entry(DATA + i * PAGE, 3), value = *entry;
        *entry = 0;
        tlbi_page(DATA + i * PAGE);
        *entry = value - (uint64_t)data[0] + (uint64_t)data[1];
    }
    dsb();
    send_to(1);
    cpu_wait(1);
    print("much mail: data %u %u, code %u %u\n", old_data, new_data, old_code, new_code);
}

void bare_main(void)
{
    mmu_on();
    make_code();
    start_ups();
    code_forgotten();
    permissions_end();
    own_execution();
    wake_ups();
    much_mail();
}
