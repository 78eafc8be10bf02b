/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is no RAM: all of it with the MMU off, devices' registers by
 * accesses of every kind, DC ZVA on each type, and addresses where nothing is.
 */
#include "lib/bare.h"

#define NORMAL (WINDOW)
#define DEVICE (WINDOW + 0x10000)
#define IPRIORITYR 0x400

STUB(d_ldr, "ldr w0, [x0]");
STUB(d_ldrx, "ldr x0, [x0]");
STUB(d_ldp, "ldp w0, w2, [x0]\n\torr x0, x0, x2, lsl #32");
STUB(d_ldpx, "ldp x0, x2, [x0]\n\teor x0, x0, x2");
STUB(d_ldpsw, "ldpsw x0, x2, [x0]\n\teor x0, x0, x2");
STUB(d_stp, "lsr x2, x1, #32\n\tstp w1, w2, [x0]\n\tmov x0, #0");
STUB(d_str, "str w1, [x0]\n\tmov x0, #0");
STUB(d_strb, "strb w1, [x0]\n\tmov x0, #0");
STUB(d_ldrb, "ldrb w0, [x0]");
STUB(d_ldrsb, "ldrsb x0, [x0]");
STUB(d_ldar, "ldar w0, [x0]");
STUB(d_stlr, "stlr w1, [x0]\n\tmov x0, #0");
STUB(d_ldrq, ".arch_extension simd\n\tldr d0, [x0]\n\tfmov x0, d0");
STUB(d_strq, ".arch_extension simd\n\tfmov d0, x1\n\tstr d0, [x0]\n\tmov x0, #0");
STUB(d_same, "ldp x0, x1, [x0]");
STUB(d_zva, "dc zva, x0\n\tmov x0, #0");
STUB(d_branch, "br x0");

static void run(const char *what, const uint32_t *stub, uint64_t a, uint64_t b)
{
    uint64_t result = 0;
    int r = trial(stub, a, b, &result);
    print_outcome(what, r, result);
}

static void mmu_off(void)
{
    static uint64_t words[8] __attribute__((aligned(64))) = {0x1122334455667788, 1, 2, 3};
    uint64_t at = (uint64_t)words;
    run("off ldr", d_ldrx, at, 0);
    run("off ldr +1", d_ldrx, at + 1, 0);
    run("off ldr w +2", d_ldr, at + 2, 0);
    run("off ldp +8", d_ldpx, at + 8, 0);
    run("off ldp +4", d_ldpx, at + 4, 0);
    run("off dc zva", d_zva, at, 0);
    print("after it %s\n", words[1] == 1 ? "kept" : "zero");
    /* Bits above the physical space, and the output size: Address size fault, level 0. */
    run("off beyond", d_ldr, 1ul << 48, 0);
    print(" far %lx\n", fault.far);
    run("off execute beyond", d_branch, 1ul << 49, 0);
}

/* Priorities of SPIs are plain bytes behind the distributor, with upper bits. */
static void registers(void)
{
    uint64_t at = machine.gicd + IPRIORITYR + 32;
    run("stp", d_stp, at, 0x8070605040302010);
    run("ldr", d_ldr, at, 0);
    run("ldr", d_ldr, at + 4, 0);
    run("ldp", d_ldp, at, 0);
    run("ldpsw", d_ldpsw, at, 0);
    run("strb", d_strb, at + 3, 0xf8);
    run("ldrb", d_ldrb, at + 3, 0);
    run("ldrsb", d_ldrsb, at + 3, 0);
    run("ldr", d_ldr, at, 0);
    run("stlr", d_stlr, at, 0x20202020);
    run("ldar", d_ldar, at, 0);
    run("irouter", d_ldrx, machine.gicd + 0x6100, 0);
    run("irouter by simd", d_strq, machine.gicd + 0x6100, 0x1);
    run("irouter by simd", d_ldrq, machine.gicd + 0x6100, 0);
    run("irouter's pair", d_stp, machine.gicd + 0x6100, 0x200000002);
    run("irouter", d_ldrx, machine.gicd + 0x6100, 0);
}

static void zva(void)
{
    uint64_t a = (uint64_t)page_alloc(), b = (uint64_t)page_alloc();
    mmu_set(NORMAL, a, PTE_NORMAL);
    mmu_set(NORMAL + PAGE, b, PTE_NORMAL);
    for (unsigned i = 0; i < PAGE / 8; i++)
        ((uint64_t *)a)[i] = ((uint64_t *)b)[i] = ~0ul;
    run("zva, last of a page", d_zva, NORMAL + PAGE - 1, 0);
    run("zva, first of the next", d_zva, NORMAL + PAGE + 17, 0);
    unsigned zeros = 0;
    for (unsigned i = 0; i < PAGE; i++)
        zeros += !((uint8_t *)a)[i] + !((uint8_t *)b)[i];
    print("%u bytes of zero, the last %u, the first %u\n", zeros, ((uint8_t *)a)[PAGE - 64],
          ((uint8_t *)b)[63]);
    mmu_set(NORMAL, a, PTE_NORMAL | PTE_RO);
    run("zva, read-only", d_zva, NORMAL + 0x123, 0);
    print(" far +%lx\n", fault.far - NORMAL);
    mmu_set(NORMAL, a, PTE_PAGE);
    run("zva, no access flag", d_zva, NORMAL + 0x123, 0);
    mmu_set(NORMAL, 0, 0);
    run("zva, nothing there", d_zva, NORMAL + 0x123, 0);
    print(" far +%lx\n", fault.far - NORMAL);
    mmu_set(DEVICE, a, PTE_PAGE | PTE_ATTR(ATTR_DEVICE) | PTE_AF);
    run("zva, device", d_zva, DEVICE + 0x40, 0);
    mmu_set(DEVICE, b, PTE_PAGE | PTE_ATTR(ATTR_NC) | PTE_AF);
    run("zva, not cached", d_zva, DEVICE + 0x40, 0);
}

/* A base that is also a destination keeps its value where the second half aborts. */
static void base_kept(void)
{
    uint64_t a = (uint64_t)page_alloc();
    mmu_set(NORMAL, a, PTE_NORMAL);
    mmu_set(NORMAL + PAGE, 0, 0);
    uint64_t result;
    int r = trial(d_same, NORMAL + PAGE - 8, 0, &result);
    print_outcome("ldp over its base", r, 0);
    print(" far +%lx\n", fault.far - NORMAL);
}

/* An address without anything behind it, in reach of the tables. */
static void nothing(void)
{
    mmu_set(NORMAL, 0x8000000000, PTE_PAGE | PTE_ATTR(ATTR_DEVICE) | PTE_AF);
    mmu_set(DEVICE, 0xff0000000000, PTE_NORMAL);
    run("external abort, normal", d_ldr, DEVICE + 8, 0);
    print(" far +%lx\n", fault.far - DEVICE);
    run("external abort, store", d_str, DEVICE + 12, 0);
    run("external abort, fetch", d_branch, DEVICE + 16, 0);
}

void bare_main(void)
{
    write_sysreg(cpacr_el1, 3ul << 20);
    mmu_off();
    mmu_on();
    registers();
    zva();
    base_kept();
    nothing();
}
