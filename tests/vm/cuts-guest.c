/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that does the same each time, instruction by instruction, for
 * tests/vm/test_state_cuts.py, which cuts it at many places: stages of each kind of what a
 * CPU has to keep (flags, vectors, exceptions, EL0, translations, code that changes, an
 * interrupt that waits, half of a line).  Their results are in x0 to x9 at `finished`.
 */
#include "../bare/lib/bare.h"

#define STAGES 10
#define STAGE  __attribute__((noinline, noclone, used)) static void

static uint64_t results[STAGES];
static uint64_t source[64], target[64];
static uint64_t vectors[64];
static uint64_t *page;
static uint32_t *code;
static volatile unsigned interrupts;

static void note(unsigned at, uint64_t value)
{
    results[at] = (results[at] << 7 | results[at] >> 57) ^ value;
}

STAGE stage_0(void)
{
    uint64_t a = 0x123456789abcdef0, b = 0xfedcba9876543210, carry, over;
    for (unsigned i = 1; i < 8; i++) {
        __asm__ volatile("adds %0, %0, %1\n\tadcs %1, %1, %0\n\tcset %2, cs\n\tcset %3, vs\n\t"
                         "ror %0, %0, #13\n\tccmp %0, %1, #5, hi\n\tcsinv %1, %1, %0, le\n\t"
                         "umulh %0, %0, %1\n\trbit %1, %1\n\textr %0, %0, %1, #17\n\t"
                         "udiv %1, %1, %4\n\tmsub %0, %1, %4, %0\n\tbfi %1, %0, #9, #30"
                         : "+r"(a), "+r"(b), "=&r"(carry), "=&r"(over)
                         : "r"((uint64_t)i)
                         : "cc");
        note(0, a ^ carry);
        note(1, b ^ over);
    }
}

STAGE stage_1(void)
{
    for (unsigned i = 0; i < 64; i++)
        source[i] = i * 0x9e3779b97f4a7c15;
    uint64_t from = (uint64_t)source, to = (uint64_t)target + 3, x, y;
    for (unsigned i = 0; i < 12; i++) {
        __asm__ volatile("ldp %2, %3, [%0], #16\n\tstr %2, [%1], #8\n\tstp %3, %2, [%1, #8]\n\t"
                         "ldrsh %2, [%0, #3]\n\tstrb %w2, [%1, #1]!\n\tldur %3, [%1, #-7]\n\tprfm "
                         "pldl1keep, [%0]"
                         : "+r"(from), "+r"(to), "=&r"(x), "=&r"(y)
                         :
                         : "memory");
        note(2, x ^ y);
    }
    for (unsigned i = 0; i < 64; i++)
        note(2, target[i]);
}

STUB(c_load, "ldr x0, [x0]");
STUB(c_store, "str x1, [x0]");
STUB(c_break, "brk #77");
STUB(c_call, "svc #5");
STUB(c_undefined, "udf #0");

STAGE stage_2(void)
{
    static const uint32_t *const codes[] = {c_load, c_store, c_break, c_call, c_undefined, c_load};
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        uint64_t value = 1;
        int r = trial(codes[i], i == 5 ? (uint64_t)source : 0x6fff00001000ul + i, i, &value);
        note(3,
             (uint64_t)r << 60 ^ value ^ fault.esr << 8 ^ fault.far ^ (fault.elr - machine.load));
    }
}

/* The debugger's steps, and a cut, make a store-exclusive fail, as any exception may. */
STAGE stage_3(void)
{
    uint64_t old, other;
    uint32_t failed;
    for (unsigned i = 0; i < 10; i++) {
        do {
            __asm__ volatile("ldxr %0, [%2]\n\tadd %0, %0, %3\n\tstxr %w1, %0, [%2]"
                             : "=&r"(old), "=&r"(failed)
                             : "r"(&source[i]), "r"((uint64_t)i)
                             : "memory");
        } while (failed);
        __asm__ volatile("ldadd %1, %0, [%2]\n\tswpal %1, %1, [%3]\n\tldclr %0, %1, [%2]"
                         : "=&r"(other), "+r"(old)
                         : "r"(&source[i + 1]), "r"(&target[i])
                         : "memory");
        note(4, old ^ other);
    }
}

STAGE stage_4(void)
{
    write_sysreg(cpacr_el1, 3ul << 20);
    __asm__ volatile(
        ".arch_extension simd\n\t.arch_extension fp\n\t"
        "mov x9, #0x400000\n\tmsr fpcr, x9\n\tmsr fpsr, xzr\n\t" /* towards plus infinity */
        "mov x9, #10\n\tscvtf d0, x9\n\tmov x9, #3\n\tscvtf d1, x9\n\tfdiv d2, d0, d1\n\t"
        "fsqrt d3, d2\n\tfmadd d4, d2, d3, d1\n\tfcvt s5, d4\n\tfcvtzs x10, d4\n\t"
        "dup v6.4s, w10\n\tld1 {v7.16b, v8.16b}, [%0]\n\tadd v9.16b, v7.16b, v8.16b\n\t"
        "mul v10.4s, v7.4s, v8.4s\n\tuzp1 v11.8h, v9.8h, v10.8h\n\ttbl v12.16b, {v7.16b, v8.16b}, "
        "v11.16b\n\tsqadd v13.8h, v9.8h, v10.8h\n\tfmul v14.2d, v2.2d, v4.d[0]\n\t"
        "uaddlv d15, v9.4s\n\trev64 v16.16b, v12.16b\n\tfcmp d2, d3\n\tcset x11, gt\n\t"
        "fdiv d17, d0, d31\n\tins v18.d[1], x11\n\text v19.16b, v12.16b, v13.16b, #5\n\t"
        "st1 {v16.16b-v19.16b}, [%1]\n\tmrs x9, fpsr\n\tstr x9, [%1, #64]"
        :
        : "r"(source), "r"(vectors)
        : "memory", "cc", "x9", "x10", "x11");
    for (unsigned i = 0; i < 9; i++)
        note(5, vectors[i]);
}

STAGE stage_5(void)
{
    uint64_t value;
    static const uint32_t words[] = {
        0xd2800029 /* mov x9, #1 */,     0xd51bd049 /* msr tpidr_el0, x9 */,
        0x8b010000 /* add x0, x0, x1 */, 0xd53b4202 /* mrs x2, nzcv */,
        0xca020000 /* eor x0, x0, x2 */, 0xd401ffe1 /* svc #0xfff */};
    for (unsigned i = 0; i < 6; i++)
        code[i] = words[i];
    sync_code(code, sizeof words);
    mmu_set(WINDOW, (uint64_t)code, PTE_NORMAL | PTE_USER | PTE_RO | PTE_PXN);
    for (unsigned i = 0; i < 3; i++) {
        int r = trial_el0((const void *)WINDOW, 1000, i, &value);
        note(6, value ^ (uint64_t)r << 40 ^ fault.spsr ^ read_sysreg(tpidr_el0));
    }
}

STAGE stage_6(void)
{
    uint64_t va = WINDOW + 0x5000, value;
    page[0] = 0x1111;
    source[0] = 0x2222;
    for (unsigned i = 0; i < 4; i++) {
        mmu_set(va, i & 1 ? (uint64_t)source & ~(PAGE - 1) : (uint64_t)page, PTE_NORMAL);
        note(7, *(volatile uint64_t *)(va + (i & 1 ? (uint64_t)source & (PAGE - 1) : 0)));
        mmu_set(va, (uint64_t)page, PTE_NORMAL | PTE_RO);
        int r = trial(c_store, va, i, &value);
        note(7, (uint64_t)r << 32 ^ fault.esr);
        __asm__ volatile("at s1e1w, %0\n\tisb" ::"r"(va));
        note(7, read_sysreg(par_el1) & 0xff);
    }
}

STAGE stage_7(void)
{
    for (unsigned i = 0; i < 5; i++) {
        code[0] = 0xd2800000 | (0x100 + i) << 5; /* mov x0, #... */
        code[1] = 0xd65f03c0;                    /* ret */
        sync_code(code, 8);
        note(8, ((uint64_t(*)(void))code)());
    }
}

STAGE stage_8(void)
{
    print("half of a line, ");
    print("and its other half: %lx\n", results[0]);
}

static void on_irq(struct frame *frame)
{
    (void)frame;
    uint64_t intid = read_sysreg(s3_0_c12_c12_0);
    interrupts += (unsigned)intid + 1;
    write_sysreg(s3_0_c12_c12_1, intid);
}

STAGE stage_9(void)
{
    for (unsigned i = 1; i < 4; i++) {
        gic_enable(i, 0x40 + 0x10 * i);
        write_sysreg(s3_0_c12_c11_5, (uint64_t)i << 24 | 1); /* to itself */
    }
    dsb();
    note(9, gicr_read(0, 0x10200)); /* they wait */
    __asm__ volatile("msr daifclr, #2" ::: "memory");
    while (interrupts < 9)
        ;
    __asm__ volatile("msr daifset, #2" ::: "memory");
    note(9, interrupts);
    /* Between which instructions they came is seen here and on the stack: no longer. */
    write_sysreg(elr_el1, 0);
    write_sysreg(spsr_el1, 0);
    __asm__ volatile(
        "mov x9, sp\n\tsub x10, x9, #0x800\n1:\tstr xzr, [x10], #8\n\tcmp x10, x9\n\tb.lo 1b" ::
            : "x9", "x10", "cc", "memory");
}

/* Stops in front of nothing: a debugger's place. */
__attribute__((noinline, used)) static void finished(const uint64_t *from)
{
    __asm__ volatile(
        "mov x16, %0\n\tldp x0, x1, [x16]\n\tldp x2, x3, [x16, #16]\n\t"
        "ldp x4, x5, [x16, #32]\n\tldp x6, x7, [x16, #48]\n\tldp x8, x9, [x16, #64]\n\t"
        ".globl end_of_it\nend_of_it: nop" ::"r"(from)
        : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x16", "memory");
}

void bare_main(void)
{
    static void (*const stages[STAGES])(void) = {stage_0, stage_1, stage_2, stage_3, stage_4,
                                                 stage_5, stage_6, stage_7, stage_8, stage_9};
    mmu_on();
    page = page_alloc();
    code = page_alloc();
    irq_handler = on_irq;
    gic_init();
    gic_init_cpu(0);
    for (unsigned i = 0; i < STAGES; i++)
        stages[i]();
    finished(results);
}
