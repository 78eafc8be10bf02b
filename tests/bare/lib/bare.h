/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime of the bare-metal tests: a program defines bare_main and prints
 * what it sees; the same must come out under memvisor and under QEMU.
 */
#ifndef BARE_H
#define BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096ul
#define MAX_CPUS 8

void bare_main(void);

/* --- console: %d %u %x %s %c, l for 64 bits */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- the machine, from its device tree */
struct machine {
    uint64_t ram, ram_size;
    uint64_t uart, uart_is_pl011;
    uint64_t gicd, gicr, gicr_stride;
    uint64_t load; /* where the program stands */
};
extern struct machine machine;

/* --- exceptions */
struct frame {
    uint64_t x[31], sp_el0, elr, spsr, esr, far;
};
/* What the last exception in a trial looked like; vector counts as the table. */
struct fault {
    unsigned vector;
    uint64_t esr, far, elr, spsr;
};
extern struct fault fault;
/* Called for IRQs (vectors 5 and 9) where set. */
extern void (*irq_handler)(struct frame *frame);
/* Called for synchronous exceptions where set; false: it is the trial's. */
extern bool (*sync_handler)(unsigned vector, struct frame *frame);

/* Run code(a, b); true where it took an exception, which `fault` has. */
int trial(const void *code, uint64_t a, uint64_t b, uint64_t *result);
/* The same at EL0; its SVC ends it well, with x0 as the result. */
int trial_el0(const void *code, uint64_t a, uint64_t b, uint64_t *result);
/* "ok VALUE" or the syndrome of the fault. */
void print_outcome(const char *what, int faulted, uint64_t result);

/* --- second CPUs by PSCI */
int64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
uint64_t mpidr_of(unsigned cpu);
/* Start a CPU in fn(number); it is off again when fn returns. */
void cpu_start(unsigned cpu, void (*fn)(unsigned cpu));
void cpu_wait(unsigned cpu);

/* --- MMU (mmu.c): identity map of RAM and devices, and a window to play in */
#define WINDOW 0x700000000000ul
#define ATTR_NORMAL 0
#define ATTR_DEVICE 1
#define ATTR_NC 2
#define PTE_VALID 1ul
#define PTE_PAGE 3ul
#define PTE_ATTR(index) ((uint64_t)(index) << 2)
#define PTE_USER (1ul << 6)
#define PTE_RO (1ul << 7)
#define PTE_SH (3ul << 8)
#define PTE_AF (1ul << 10)
#define PTE_NG (1ul << 11)
#define PTE_DBM (1ul << 51)
#define PTE_PXN (1ul << 53)
#define PTE_UXN (1ul << 54)
#define PTE_NORMAL (PTE_PAGE | PTE_ATTR(ATTR_NORMAL) | PTE_SH | PTE_AF)
void mmu_on(void);
void mmu_on_this_cpu(void);
/* The descriptor of va at a level, its tables made as needed. */
uint64_t *mmu_entry(uint64_t va, unsigned level);
void mmu_set(uint64_t va, uint64_t pa, uint64_t attributes); /* a page, with TLBI */
void tlbi_all(void);
void *page_alloc(void); /* zeroed, 4 KiB */

/* --- GIC (gic.c) */
void gic_init(void);          /* distributor; first CPU */
void gic_init_cpu(unsigned cpu);
void gic_enable(unsigned intid, unsigned priority);
void gic_disable(unsigned intid);
uint32_t gicr_read(unsigned cpu, unsigned offset);
void gicr_write(unsigned cpu, unsigned offset, uint32_t value);

/* --- code in a page of its own, for EL0 and for changing it */
extern const uint32_t stub_load[], stub_store[], stub_ret[], stub_svc[];
void sync_code(void *address, size_t len);

/* A function of one instruction, or some; global, as the GOT knows no others. */
#define STUB(name, insn)                                                                           \
    __asm__(".pushsection .text\n.globl " #name "\n" #name ": " insn "\n\tret\n.popsection\n");      \
    extern const uint32_t name[]

#define read_sysreg(name)                                                                          \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mrs %0, " #name : "=r"(value_)::"memory");                               \
        value_;                                                                                    \
    })
#define write_sysreg(name, value)                                                                  \
    __asm__ volatile("msr " #name ", %0\n\tisb" ::"r"((uint64_t)(value)) : "memory")

static inline uint32_t read32(uint64_t address)
{
    return *(volatile uint32_t *)address;
}
static inline void write32(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}
static inline void write64(uint64_t address, uint64_t value)
{
    *(volatile uint64_t *)address = value;
}

/*
 * Whether to go on with a loop whose rounds wait for other CPUs, each as long as
 * the host's scheduler makes it: for `most` rounds where they are quick, for as
 * many as fit into two seconds where they are not, but for no fewer than `least`.
 */
static inline bool more_rounds(unsigned round, unsigned least, unsigned most, uint64_t since)
{
    return round < least ||
           (round < most && read_sysreg(cntvct_el0) - since < 2 * read_sysreg(cntfrq_el0));
}

static inline void dsb(void)
{
    __asm__ volatile("dsb sy\n\tisb" ::: "memory");
}

#endif
