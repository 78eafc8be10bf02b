/* SPDX-License-Identifier: Apache-2.0 */
/* AT and PAR_EL1, the upper half, tags, and smaller address spaces. */
#include "lib/bare.h"

static uint64_t page;

#define AT(kind, va)                                                                               \
    ({                                                                                             \
        __asm__ volatile("at " #kind ", %0\n\tisb" ::"r"(va) : "memory");                          \
        read_sysreg(par_el1);                                                                      \
    })

static void par(const char *what, uint64_t value)
{
    if (value & 1)
        print("%s: fault %lx\n", what, value);
    else
        print("%s: attr %lx sh %lx page %s\n", what, value >> 56, value >> 7 & 3,
              (value & 0xfffffffff000ul) == page ? "right" : "other");
}

static void all(const char *what, uint64_t va)
{
    print("%s\n", what);
    par(" e1r", AT(s1e1r, va));
    par(" e1w", AT(s1e1w, va));
    par(" e0r", AT(s1e0r, va));
    par(" e0w", AT(s1e0w, va));
}

void bare_main(void)
{
    mmu_on();
    page = (uint64_t)page_alloc();
    *(uint64_t *)page = 0xabcd;
    mmu_set(WINDOW, page, PTE_NORMAL);
    all("el1 rw", WINDOW + 0x123);
    mmu_set(WINDOW, page, PTE_NORMAL | PTE_USER | PTE_RO);
    all("all ro", WINDOW);
    mmu_set(WINDOW, page, PTE_PAGE | PTE_ATTR(ATTR_DEVICE) | PTE_AF | PTE_USER);
    all("device", WINDOW);
    mmu_set(WINDOW, page, PTE_PAGE | PTE_ATTR(ATTR_NC) | PTE_AF | PTE_USER);
    all("not cached", WINDOW);
    mmu_set(WINDOW, page, PTE_PAGE | PTE_SH);
    all("no access flag", WINDOW);
    all("not mapped", WINDOW + 0x100000);
    all("no half", 0x00f0000000000000);

    uint64_t result, tcr = read_sysreg(tcr_el1);
    mmu_set(WINDOW, page, PTE_NORMAL);
    uint64_t upper = WINDOW | 0xffff000000000000;
    print_outcome("upper half", trial(stub_load, upper, 0, &result), 0);
    print(" %lx\n", result);
    print_outcome("tag without tbi", trial(stub_load, WINDOW | 0x5a00000000000000, 0, &result), 0);
    write_sysreg(tcr_el1, tcr | 1ul << 37);
    print_outcome("tag with tbi0", trial(stub_load, WINDOW | 0x5a00000000000000, 0, &result), 0);
    print(" %lx\n", result);
    print_outcome("tag in the upper half",
                  trial(stub_load, upper & ~0x0f00000000000000, 0, &result), 0);
    write_sysreg(tcr_el1, tcr | 3ul << 37);
    print_outcome("tag with tbi1", trial(stub_load, upper & ~0x0f00000000000000, 0, &result), 0);
    print(" %lx\n", result);
    print_outcome("tagged fault",
                  trial(stub_load, (WINDOW + 0x100000) | 0x5a00000000000000, 0, &result), 0);
    print(" far %lx\n", fault.far);

    /* TTBR1 with other sizes: the walk starts at a lower level. */
    static const unsigned sizes[] = {16, 20, 24, 25, 28, 33, 34, 36, 39};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned bits = 64 - sizes[i];
        unsigned start = 4 - (bits - 12 + 8) / 9;
        uint64_t *tables[4] = {0};
        uint64_t va = -(1ul << bits) + (1ul << (bits - 1)) + (1ul << (bits - 2)) + 0x5000;
        for (unsigned level = start; level < 4; level++)
            tables[level] = page_alloc();
        for (unsigned level = start; level < 4; level++) {
            unsigned shift = 39 - 9 * level;
            uint64_t low = level == start ? va & ((1ul << bits) - 1) : va;
            tables[level][low >> shift & 511] =
                level == 3 ? page | PTE_NORMAL : (uint64_t)tables[level + 1] | 3;
        }
        write_sysreg(tcr_el1, (tcr & ~(0x3ful << 16)) | (uint64_t)sizes[i] << 16);
        write_sysreg(ttbr1_el1, (uint64_t)tables[start]);
        tlbi_all();
        int r = trial(stub_load, va, 0, &result);
        print("t1sz %u ", sizes[i]);
        print_outcome("inside", r, result);
        r = trial(stub_load, -(1ul << bits) - PAGE, 0, &result);
        print("t1sz %u ", sizes[i]);
        print_outcome("outside", r, 0);
    }
}
