/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/emulator/softmmu without a vCPU: the walk of tables of every granule and
 * what it finds wrong with them (Arm ARM D8.2, D17.2.37), accesses and their
 * faults, the TLB, the snapshot of the registers.
 */
#include "softmmu.h"

#include "block.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RAM UINT64_C(0x40000000)
#define RAM_SIZE UINT64_C(0x400000)
#define TABLES (RAM + 0x200000) /* as many pages of the granule as it takes */
#define DATA (RAM + 0x100000)
#define REGION UINT64_C(0x9000000) /* of MMIO */
#define HOLE UINT64_C(0xc0000000)
#define PC UINT64_C(0x1234)
#define HIGH (UINT64_MAX << 48)

/* Descriptors. */
#define VALID 1u
#define TABLE 3u
#define PAGE 3u
#define AF (1u << 10)
#define NG (1u << 11)
#define READ_ONLY (1u << 7)
#define EL0 (1u << 6)
#define DEVICE (1u << 2) /* MAIR's second attribute */
#define DBM (UINT64_C(1) << 51)
#define PXN (UINT64_C(1) << 53)
#define UXN (UINT64_C(1) << 54)
#define BEYOND_44 (UINT64_C(1) << 44) /* not in an output of 44 bits */

#define TCR_IPS_44 (UINT64_C(4) << 32)
#define TCR_IPS_48 (UINT64_C(5) << 32)
#define TCR_AS (UINT64_C(1) << 36)
#define TCR_HA (UINT64_C(1) << 39)
#define TCR_HD (UINT64_C(1) << 40)

static struct mv_error err;
static struct mv_block_registry *registry;
static struct mv_space *space;
static struct mv_softmmu *mmu;
static uint8_t *ram;

static struct {
    uint64_t offset, value;
    unsigned size;
} last_write;

static uint64_t region_read(void *opaque, uint64_t offset, unsigned size)
{
    return UINT64_C(0xfedcba9876543210) + offset;
}

static void region_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    last_write.offset = offset;
    last_write.value = value;
    last_write.size = size;
}

static const struct mv_mmio_ops region_ops = {
    .read = region_read, .write = region_write, .min_access = 2, .max_access = 4};
static const struct mv_mmio_region region = {.name = "region", .ops = &region_ops};

/* --- tables */

static const struct granule {
    unsigned log_size;
    unsigned tg[2]; /* TCR_EL1.TG0, TG1 */
    unsigned first_block;
} granules[] = {
    {12, {0, 2}, 1},
    {14, {2, 1}, 2},
    {16, {1, 3}, 2},
};

/* How tables translate an address of in_bits: of which level is the first, and each one's shift. */
struct shape {
    const struct granule *granule;
    unsigned half, in_bits, first;
};

static unsigned shift_of(const struct shape *s, unsigned level)
{
    return s->granule->log_size + (3 - level) * (s->granule->log_size - 3);
}

static struct shape shape_of(const struct granule *granule, unsigned half, unsigned tsz)
{
    struct shape s = {.granule = granule, .half = half, .in_bits = 64 - tsz, .first = 3};
    while (shift_of(&s, s.first) + granule->log_size - 3 < s.in_bits)
        s.first--;
    return s;
}

static uint64_t tcr_of(const struct shape *s, uint64_t more)
{
    uint64_t fields = (64 - s->in_bits) | (uint64_t)s->granule->tg[s->half] << 14;
    return fields << (s->half ? 16 : 0) | more;
}

static uint64_t *word_at(uint64_t gpa)
{
    return (uint64_t *)(ram + (gpa - RAM));
}

/* The table of a level of the one way that the tests make. */
static uint64_t table_at(const struct shape *s, unsigned level)
{
    return TABLES + ((uint64_t)(level - s->first) << s->granule->log_size);
}

static uint64_t *descriptor(const struct shape *s, unsigned level, uint64_t va)
{
    unsigned top = level == s->first ? s->in_bits : shift_of(s, level - 1);
    uint64_t index = (va & ((UINT64_C(1) << top) - 1)) >> shift_of(s, level);
    return word_at(table_at(s, level) + 8 * index);
}

/* Tables down to `level`, whose descriptor is given; everything else is invalid. */
static void map(const struct shape *s, unsigned level, uint64_t va, uint64_t desc)
{
    memset(word_at(TABLES), 0, UINT64_C(4) << s->granule->log_size);
    for (unsigned l = s->first; l < level; l++)
        *descriptor(s, l, va) = table_at(s, l + 1) | TABLE;
    *descriptor(s, level, va) = desc;
}

static struct mv_softmmu_registers registers_of(const struct shape *s, uint64_t tcr)
{
    struct mv_softmmu_registers registers = {
        .sctlr = MV_SCTLR_M, .tcr = tcr_of(s, tcr), .mair = 0x00ff};
    registers.ttbr[s->half] = TABLES;
    return registers;
}

static void use(const struct shape *s, uint64_t tcr)
{
    struct mv_softmmu_registers registers = registers_of(s, tcr);
    mv_softmmu_set_registers(mmu, &registers);
}

/* An address of the half that differs in every level's index. */
static uint64_t address_of(const struct shape *s)
{
    uint64_t mask = (UINT64_C(1) << s->in_bits) - 1;
    uint64_t va = UINT64_C(0x0000a4926db6db6d) & mask & ~UINT64_C(7);
    return s->half ? va | ~mask : va;
}

/* The 4 KiB shape that most tests make do with, of 39 bits. */
static struct shape plain;
#define VA UINT64_C(0x4012345000)

static void plain_page(uint64_t va, uint64_t pa, uint64_t flags)
{
    *descriptor(&plain, 1, va) = table_at(&plain, 2) | TABLE;
    *descriptor(&plain, 2, va) = table_at(&plain, 3) | TABLE;
    *descriptor(&plain, 3, va) = pa | flags | AF | PAGE;
}

/* --- the walk */

static void expect_fault(const struct shape *s, unsigned access, unsigned status, unsigned level,
                         const char *what)
{
    struct mv_translation t;
    if (mv_softmmu_translate(mmu, address_of(s), 1, access, &t))
        fail_msg("%s: no fault at level %u of granule %u, %u bits", what, level,
                 1u << (s->granule->log_size - 10), s->in_bits);
    if (t.fsc != (status | level))
        fail_msg("%s: status %02x for %02x of granule %u KiB, %u bits", what, t.fsc,
                 status | level, 1u << (s->granule->log_size - 10), s->in_bits);
}

/* A leaf at a level: where blocks are, it translates; elsewhere it is a hole. */
static void check_leaf(const struct shape *s, unsigned level)
{
    struct mv_translation t;
    uint64_t va = address_of(s), size = UINT64_C(1) << shift_of(s, level);
    uint64_t leaf = level == 3 ? PAGE : VALID;
    /* Any address will do: nothing is accessed. */
    uint64_t pa = UINT64_C(0x0ffe00000000) & ~(size - 1);
    use(s, TCR_IPS_44);
    map(s, level, va, pa | AF | leaf);
    if (level < 3 && level < s->granule->first_block) {
        expect_fault(s, 0, MV_FSC_TRANSLATION, level, "a block where none is");
        return;
    }
    if (!mv_softmmu_translate(mmu, va, 1, 0, &t))
        fail_msg("fault %02x at level %u of granule %u KiB, %u bits", t.fsc, level,
                 1u << (s->granule->log_size - 10), s->in_bits);
    assert_int_equal(t.pa, pa | (va & (size - 1)));
    assert_int_equal(t.log_size, shift_of(s, level));
    map(s, level, va, pa | leaf);
    expect_fault(s, 0, MV_FSC_ACCESS_FLAG, level, "no access flag");
    map(s, level, va, pa | AF | READ_ONLY | leaf);
    expect_fault(s, MV_ACCESS_WRITE, MV_FSC_PERMISSION, level, "a write to what is read-only");
    map(s, level, va, pa | AF | PXN | leaf);
    expect_fault(s, MV_ACCESS_EXEC, MV_FSC_PERMISSION, level, "code that is none");
    map(s, level, va, pa | BEYOND_44 | AF | leaf);
    expect_fault(s, 0, MV_FSC_ADDRESS_SIZE, level, "an output that is too large");
    if (level == 3) {
        map(s, level, va, pa | AF | VALID);
        expect_fault(s, 0, MV_FSC_TRANSLATION, level, "a page that is reserved");
    }
}

/* A descriptor of no table, and of one that is not there. */
static void check_table(const struct shape *s, unsigned level)
{
    uint64_t va = address_of(s);
    use(s, TCR_IPS_44);
    map(s, level, va, 0);
    expect_fault(s, 0, MV_FSC_TRANSLATION, level, "a hole");
    if (level == 3)
        return;
    map(s, level, va, HOLE | TABLE);
    expect_fault(s, 0, MV_FSC_EXTERNAL_WALK, level + 1, "a table where no RAM is");
    map(s, level, va, REGION | TABLE);
    expect_fault(s, 0, MV_FSC_EXTERNAL_WALK, level + 1, "a table of registers");
    map(s, level, va, BEYOND_44 | TABLE);
    expect_fault(s, 0, MV_FSC_ADDRESS_SIZE, level, "a table that is too far");
}

static void test_walk(void **state)
{
    for (size_t g = 0; g < sizeof granules / sizeof granules[0]; g++) {
        for (unsigned tsz = 16; tsz <= 39; tsz++) {
            struct shape s = shape_of(&granules[g], tsz & 1, tsz);
            for (unsigned level = s.first; level <= 3; level++) {
                check_leaf(&s, level);
                check_table(&s, level);
            }
            struct mv_softmmu_registers registers = registers_of(&s, TCR_IPS_44);
            registers.ttbr[s.half] = BEYOND_44;
            mv_softmmu_set_registers(mmu, &registers);
            expect_fault(&s, 0, MV_FSC_ADDRESS_SIZE, 0, "a first table that is too far");
            registers.ttbr[s.half] = HOLE;
            mv_softmmu_set_registers(mmu, &registers);
            expect_fault(&s, 0, MV_FSC_EXTERNAL_WALK, s.first, "no first table");
        }
    }
}

/* Permissions of tables, of EL0, of what is writable and executable (D8.4). */
static void test_permissions(void **state)
{
    const uint64_t no_el0 = UINT64_C(1) << 61, read_only = UINT64_C(1) << 62,
                   pxn = UINT64_C(1) << 59, uxn = UINT64_C(1) << 60;
    const struct {
        uint64_t table, page, sctlr;
        const char *el1, *el0;
    } cases[] = {
        {0, 0, 0, "rwx", "x"},
        {0, READ_ONLY, 0, "rx", "x"},
        {0, EL0, 0, "rw", "rwx"},
        {0, EL0 | READ_ONLY, 0, "rx", "rx"},
        {0, EL0 | UXN, 0, "rw", "rw"},
        {0, PXN, 0, "rw", "x"},
        {no_el0, EL0, 0, "rwx", "x"},
        {read_only, EL0, 0, "rx", "rx"},
        {pxn, 0, 0, "rw", "x"},
        {uxn, EL0, 0, "rw", "rw"},
        {0, 0, MV_SCTLR_WXN, "rw", "x"},
        {0, EL0, MV_SCTLR_WXN, "rw", "rw"},
        {0, EL0 | READ_ONLY, MV_SCTLR_WXN, "rx", "rx"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_softmmu_registers registers = registers_of(&plain, TCR_IPS_48);
        registers.sctlr |= cases[i].sctlr;
        mv_softmmu_set_registers(mmu, &registers);
        map(&plain, 3, VA, DATA | cases[i].page | AF | PAGE);
        *descriptor(&plain, 2, VA) |= cases[i].table;
        for (unsigned el = 0; el < 2; el++) {
            const char *may = el ? cases[i].el1 : cases[i].el0;
            struct mv_translation t;
            if (mv_softmmu_translate(mmu, VA, el, 0, &t) != (strchr(may, 'r') != NULL) ||
                mv_softmmu_translate(mmu, VA, el, MV_ACCESS_WRITE, &t) !=
                    (strchr(may, 'w') != NULL) ||
                mv_softmmu_translate(mmu, VA, el, MV_ACCESS_EXEC, &t) !=
                    (strchr(may, 'x') != NULL))
                fail_msg("case %zu: EL%u is not '%s'", i, el, may);
        }
    }
}

/* Addresses that belong to no table: level 0, whatever the first level is. */
static void test_ranges(void **state)
{
    const uint64_t tbi = UINT64_C(1) << 37, epd = 1u << 7, e0pd = UINT64_C(1) << 55;
    const struct {
        uint64_t tcr, va;
        unsigned el;
        bool found;
    } cases[] = {
        {0, VA, 1, true},
        {0, VA | UINT64_C(1) << 39, 1, false},
        {0, VA | UINT64_C(1) << 63, 1, false},
        {tbi, VA | UINT64_C(0xa5) << 56, 1, true},
        {tbi, VA | UINT64_C(1) << 54, 1, false},
        {epd, VA, 1, false},
        {e0pd, VA, 1, true},
        {e0pd, VA, 0, false},
    };
    map(&plain, 3, VA, DATA | EL0 | AF | PAGE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_translation t = {.fsc = 0xff};
        use(&plain, TCR_IPS_48 | cases[i].tcr);
        if (mv_softmmu_translate(mmu, cases[i].va, cases[i].el, 0, &t) != cases[i].found)
            fail_msg("case %zu", i);
        assert_true(cases[i].found || t.fsc == MV_FSC_TRANSLATION);
    }
}

/* The access flag and the dirty state are set where TCR asks for it, by real accesses alone. */
static void test_updates(void **state)
{
    struct mv_translation t;
    const uint64_t clean = DATA | READ_ONLY | DBM | PAGE;
    map(&plain, 3, VA, clean);
    uint64_t *desc = descriptor(&plain, 3, VA);
    use(&plain, TCR_IPS_48 | TCR_HA | TCR_HD);
    assert_true(mv_softmmu_translate(mmu, VA, 1, MV_ACCESS_DEBUG, &t));
    assert_int_equal(*desc, clean);
    assert_true(mv_softmmu_translate(mmu, VA, 1, 0, &t));
    assert_false(t.writable);
    assert_int_equal(*desc, clean | AF);
    assert_true(mv_softmmu_translate(mmu, VA, 1, MV_ACCESS_WRITE, &t));
    assert_true(t.writable);
    assert_int_equal(*desc, (clean | AF) & ~(uint64_t)READ_ONLY);
    /* Without HD a page with DBM is what its AP says. */
    *desc = clean | AF;
    use(&plain, TCR_IPS_48 | TCR_HA);
    assert_false(mv_softmmu_translate(mmu, VA, 1, MV_ACCESS_WRITE, &t));
    assert_int_equal(t.fsc, MV_FSC_PERMISSION | 3);
    assert_int_equal(*desc, clean | AF);
}

/* --- accesses */

static void expect(const struct mv_mmu_fault *fault, enum mv_mmu_fault_kind kind, unsigned fsc,
                   bool write, uint64_t address)
{
    assert_non_null(fault);
    assert_int_equal(fault->kind, kind);
    assert_int_equal(fault->fsc, fsc);
    assert_int_equal(fault->write, write);
    assert_int_equal(fault->address, address);
}

static void test_accesses(void **state)
{
    uint64_t value = 0;
    plain_page(VA, DATA, 0);
    plain_page(VA + 4096, DATA + 8192, 0);
    assert_null(mv_softmmu_write(mmu, PC, VA + 4092, 0x1122334455667788, 8, 0));
    assert_int_equal(mmu->access_pc, PC);
    assert_memory_equal(word_at(DATA + 4088), "\0\0\0\0\x88\x77\x66\x55", 8);
    assert_memory_equal(word_at(DATA + 8192), "\x44\x33\x22\x11", 4);
    for (unsigned size = 1; size <= 8; size *= 2) {
        assert_null(mv_softmmu_read(mmu, PC + size, VA + 4092, size, 0, &value));
        assert_int_equal(value, UINT64_C(0x1122334455667788) & (UINT64_MAX >> (64 - 8 * size)));
        assert_int_equal(mmu->access_pc, PC + size);
    }
    void *host;
    assert_null(mv_softmmu_atomic(mmu, PC, VA + 16, 16, MV_ACCESS_WRITE, &host));
    assert_ptr_equal(host, word_at(DATA + 16));
    assert_int_equal(mmu->access_pa, DATA + 16);
}

static void test_data_faults(void **state)
{
    uint64_t value = 77;
    void *host;
    plain_page(VA, DATA, 0);
    plain_page(VA + 0x2000, DATA, READ_ONLY);
    plain_page(VA + 0x3000, HOLE, 0);
    plain_page(VA + 0x4000, DATA, DEVICE);
    const enum mv_mmu_fault_kind data = MV_MMU_FAULT_DATA;
    /* The second page's, with nothing done of the first. */
    memset(word_at(DATA), 0, 4096);
    expect(mv_softmmu_write(mmu, PC, VA + 4093, UINT64_MAX, 4, 0), data, MV_FSC_TRANSLATION | 3,
           true, VA + 4096);
    assert_int_equal(*word_at(DATA + 4088), 0);
    expect(mv_softmmu_read(mmu, PC, VA + 4093, 4, 0, &value), data, MV_FSC_TRANSLATION | 3, false,
           VA + 4096);
    assert_int_equal(value, 77);
    expect(mv_softmmu_probe(mmu, PC, VA + 4080, 32, 16, 0), data, MV_FSC_TRANSLATION | 3, false,
           VA + 4096);
    /* Of what reads and writes, the read faults first; a mere write is one. */
    const unsigned both = MV_ACCESS_WRITE | MV_ACCESS_BOTH;
    expect(mv_softmmu_atomic(mmu, PC, VA + 0x2000, 8, both, &host), data, MV_FSC_PERMISSION | 3,
           true, VA + 0x2000);
    expect(mv_softmmu_atomic(mmu, PC, VA + 0x1000, 8, both, &host), data, MV_FSC_TRANSLATION | 3,
           false, VA + 0x1000);
    expect(mv_softmmu_write(mmu, PC, VA + 0x1000, 0, 8, 0), data, MV_FSC_TRANSLATION | 3, true,
           VA + 0x1000);
    expect(mv_softmmu_read(mmu, PC, VA + 0x3008, 8, 0, &value), data, MV_FSC_EXTERNAL, false,
           VA + 0x3008);
    /* Cache maintenance is a write in the syndrome. */
    const struct mv_dtlb_entry *entry;
    expect(mv_softmmu_entry(mmu, PC, VA + 0x1000, MV_ACCESS_CM, &entry), data,
           MV_FSC_TRANSLATION | 3, true, VA + 0x1000);
    assert_true(mmu->fault.cm);
    /* Alignment: of Device memory, of atomics, and of all with SCTLR.A, before the walk. */
    expect(mv_softmmu_read(mmu, PC, VA + 0x4002, 4, 0, &value), data, MV_FSC_ALIGNMENT, false,
           VA + 0x4002);
    expect(mv_softmmu_atomic(mmu, PC, VA + 4, 8, 0, &host), data, MV_FSC_ALIGNMENT, false, VA + 4);
    expect(mv_softmmu_read(mmu, PC, VA + 0x1001, 2, 0, &value), data, MV_FSC_TRANSLATION | 3, false,
           VA + 0x1001);
    struct mv_softmmu_registers registers = mmu->registers;
    registers.sctlr |= MV_SCTLR_A;
    mv_softmmu_set_registers(mmu, &registers);
    expect(mv_softmmu_read(mmu, PC, VA + 0x1001, 2, 0, &value), data, MV_FSC_ALIGNMENT, false,
           VA + 0x1001);
}

static void test_mmio(void **state)
{
    uint64_t value;
    void *host = &value;
    plain_page(VA, REGION, DEVICE);
    assert_null(mv_softmmu_read(mmu, PC, VA + 0x10, 2, 0, &value));
    assert_int_equal(value, 0x3220);
    assert_null(mv_softmmu_write(mmu, PC, VA + 0x20, UINT64_MAX, 4, 0));
    assert_int_equal(last_write.offset, 0x20);
    assert_int_equal(last_write.value, UINT32_MAX);
    assert_int_equal(last_write.size, 4);
    expect(mv_softmmu_read(mmu, PC, VA, 1, 0, &value), MV_MMU_FAULT_DATA, MV_FSC_EXTERNAL, false,
           VA);
    expect(mv_softmmu_write(mmu, PC, VA, 0, 8, 0), MV_MMU_FAULT_DATA, MV_FSC_EXTERNAL, true, VA);
    /* The region has less than the page. */
    expect(mv_softmmu_read(mmu, PC, VA + 0x800, 4, 0, &value), MV_MMU_FAULT_DATA, MV_FSC_EXTERNAL,
           false, VA + 0x800);
    assert_null(mv_softmmu_atomic(mmu, PC, VA, 4, 0, &host));
    assert_null(host);
}

static void test_fetch(void **state)
{
    struct mv_softmmu_code code;
    plain_page(VA, DATA, NG);
    plain_page(VA + 0x1000, REGION, 0);
    plain_page(VA + 0x2000, DATA, PXN);
    expect(mv_softmmu_fetch(mmu, VA + 2, &code), MV_MMU_FAULT_PC_ALIGNMENT, 0, false, VA + 2);
    expect(mv_softmmu_fetch(mmu, VA + 0x1004, &code), MV_MMU_FAULT_FETCH, MV_FSC_EXTERNAL, false,
           VA + 0x1004);
    expect(mv_softmmu_fetch(mmu, VA + 0x2004, &code), MV_MMU_FAULT_FETCH, MV_FSC_PERMISSION | 3,
           false, VA + 0x2004);
    expect(mv_softmmu_fetch(mmu, VA + 0x3004, &code), MV_MMU_FAULT_FETCH, MV_FSC_TRANSLATION | 3,
           false, VA + 0x3004);
    assert_int_equal(mmu->access_pc, VA + 0x3004);
    assert_null(mv_softmmu_fetch(mmu, VA + 0x124, &code));
    assert_int_equal(code.pa, DATA);
    assert_ptr_equal(code.host, word_at(DATA));
    assert_int_equal(code.log_size, 12);
    assert_false(code.global);
    const struct mv_op *ops = (const struct mv_op *)&code;
    const struct mv_itlb_entry *entry = &mmu->set[0]->i[(VA >> 12) % MV_ITLB_ENTRIES];
    mv_softmmu_keep_code(mmu, VA + 0x124, &code, ops);
    assert_int_equal(entry->tag, VA);
    assert_ptr_equal(entry->ops, ops);
    mv_tlb_flush_code(&mmu->tlb);
    assert_int_equal(entry->tag, MV_TLB_NONE);
}

/* --- watching */

static bool watch_page(const struct mv_softmmu_watch *watch, uint64_t va)
{
    return (va & MV_PAGE_MASK) == VA;
}

static bool watch_access(const struct mv_softmmu_watch *watch, uint64_t va, unsigned len,
                         unsigned access, struct mv_mmu_fault *ret)
{
    if (va > VA + 16 || va + len <= VA + 16)
        return false;
    *ret = (struct mv_mmu_fault){.kind = MV_MMU_FAULT_WATCHPOINT, .fsc = MV_FSC_DEBUG,
                                 .write = access & MV_ACCESS_WRITE, .address = va};
    return true;
}

static void test_watch(void **state)
{
    static const struct mv_softmmu_watch watch = {.page = watch_page, .access = watch_access};
    uint64_t value = 5;
    plain_page(VA, DATA, 0);
    plain_page(VA + 0x1000, DATA + 4096, 0);
    memset(word_at(DATA), 0, 8192);
    mmu->watch = &watch;
    expect(mv_softmmu_write(mmu, PC, VA + 12, UINT64_MAX, 8, 0), MV_MMU_FAULT_WATCHPOINT,
           MV_FSC_DEBUG, true, VA + 12);
    assert_int_equal(*word_at(DATA + 8), 0);
    assert_null(mv_softmmu_write(mmu, PC, VA + 8, UINT64_MAX, 8, 0));
    assert_int_equal(*word_at(DATA + 8), UINT64_MAX);
    expect(mv_softmmu_read(mmu, PC, VA + 16, 1, 0, &value), MV_MMU_FAULT_WATCHPOINT, MV_FSC_DEBUG,
           false, VA + 16);
    assert_int_equal(value, 5);
    /* Only the page that is watched is kept from the hit path. */
    assert_int_equal(mmu->set[0]->d[mv_dtlb_index(VA)].read_tag, VA | MV_TLB_SLOW);
    assert_null(mv_softmmu_read(mmu, PC, VA + 0x1000, 8, 0, &value));
    assert_int_equal(mmu->set[0]->d[mv_dtlb_index(VA + 0x1000)].read_tag, VA + 0x1000);
    /* A translation that fails comes before the watchpoint. */
    *descriptor(&plain, 3, VA) = 0;
    mv_tlb_flush_va(&mmu->tlb, VA);
    expect(mv_softmmu_read(mmu, PC, VA + 16, 8, 0, &value), MV_MMU_FAULT_DATA,
           MV_FSC_TRANSLATION | 3, false, VA + 16);
}

/* --- the TLB; its tables change without a TLBI, so that what it knows can be told apart */

static bool readable(uint64_t va)
{
    uint64_t value;
    return mv_softmmu_read(mmu, PC, va, 8, 0, &value) == NULL;
}

static void unmap(uint64_t va)
{
    *descriptor(&plain, 3, va) = 0;
}

static void test_flush_va(void **state)
{
    plain_page(VA, DATA, 0);
    plain_page(VA + 0x1000, DATA, 0);
    assert_true(readable(VA) && readable(VA + 0x1000));
    unmap(VA);
    unmap(VA + 0x1000);
    assert_true(readable(VA) && readable(VA + 0x1000));
    mv_tlb_flush_va(&mmu->tlb, VA + 0x123);
    assert_false(readable(VA));
    assert_true(readable(VA + 0x1000));
    mv_tlb_flush_all(&mmu->tlb);
    assert_false(readable(VA + 0x1000));
}

/* A block goes with all the pages that were made of it. */
static void test_flush_block(void **state)
{
    uint64_t base = VA & ~UINT64_C(0x1fffff);
    *descriptor(&plain, 1, VA) = table_at(&plain, 2) | TABLE;
    *descriptor(&plain, 2, VA) = RAM | AF | VALID;
    assert_true(readable(base) && readable(base + 0x5000) && readable(base + 0x6000));
    *descriptor(&plain, 2, VA) = 0;
    assert_true(readable(base + 0x5000));
    mv_tlb_flush_va(&mmu->tlb, base + 0x1ff000);
    assert_false(readable(base) || readable(base + 0x5000) || readable(base + 0x6000));
}

static bool executable(uint64_t va)
{
    struct mv_softmmu_code code;
    if (mv_softmmu_fetch(mmu, va, &code) != NULL)
        return false;
    mv_softmmu_keep_code(mmu, va, &code, (const struct mv_op *)ram);
    return true;
}

/* Is code of va known without a walk? */
static bool is_kept(uint64_t va)
{
    const struct mv_itlb_entry *entry = &mmu->set[va >> 55 & 1]->i[(va >> 12) % MV_ITLB_ENTRIES];
    return entry->tag == (va & MV_PAGE_MASK);
}

/* A block stays when another goes, near or far, and goes itself when its turn comes. */
static void flush_other_block(bool (*touch)(uint64_t va), bool (*is_there)(uint64_t va))
{
    uint64_t base = VA & ~UINT64_C(0x1fffff), other = base ^ 0x200000;
    uint64_t page = base + 0x11000, other_page = other + 0x12000;
    *descriptor(&plain, 1, VA) = table_at(&plain, 2) | TABLE;
    *descriptor(&plain, 2, base) = RAM | AF | VALID;
    *descriptor(&plain, 2, other) = RAM | AF | VALID;
    assert_true(touch(page) && touch(other_page));
    *descriptor(&plain, 2, base) = 0;
    *descriptor(&plain, 2, other) = 0;
    mv_tlb_flush_va(&mmu->tlb, base ^ UINT64_C(0x4000000000));
    assert_true(is_there(page) && is_there(other_page));
    mv_tlb_flush_va(&mmu->tlb, base + 0x3000);
    assert_false(is_there(page));
    assert_true(is_there(other_page));
    mv_tlb_flush_va(&mmu->tlb, other + 0x3000);
    assert_false(is_there(other_page));
}

static void test_flush_other_block(void **state)
{
    flush_other_block(readable, readable);
}

static void test_flush_other_code(void **state)
{
    flush_other_block(executable, is_kept);
}

/* Two pages that meet at one entry both stay. */
static void test_victims(void **state)
{
    uint64_t other = VA + 0x1000;
    while (mv_dtlb_index(other) != mv_dtlb_index(VA))
        other += 0x1000;
    plain_page(VA, DATA, 0);
    plain_page(other, DATA + 4096, 0);
    assert_true(readable(VA) && readable(other));
    unmap(VA);
    unmap(other);
    for (unsigned i = 0; i < 8; i++)
        assert_true(readable(VA) && readable(other));
    /* Whichever of them is the victim. */
    assert_true(readable(other));
    mv_tlb_flush_va(&mmu->tlb, VA);
    assert_false(readable(VA));
    plain_page(VA, DATA, 0);
    plain_page(other, DATA + 4096, 0);
    assert_true(readable(other) && readable(VA));
    unmap(VA);
    mv_tlb_flush_va(&mmu->tlb, VA);
    assert_false(readable(VA));
}

static void test_flush_writes(void **state)
{
    uint64_t value;
    plain_page(VA, DATA, 0);
    assert_null(mv_softmmu_write(mmu, PC, VA, 1, 8, 0));
    unmap(VA);
    mv_tlb_flush_writes(&mmu->tlb);
    assert_null(mv_softmmu_read(mmu, PC, VA, 8, 0, &value));
    expect(mv_softmmu_write(mmu, PC, VA, 1, 8, 0), MV_MMU_FAULT_DATA, MV_FSC_TRANSLATION | 3, true,
           VA);
}

/* What may be held is told by address and size, until all is dropped. */
static void test_seen(void **state)
{
    plain_page(VA, DATA, 0);
    assert_false(mv_tlb_may_hold(&mmu->tlb, VA));
    assert_true(readable(VA));
    assert_true(mv_tlb_may_hold(&mmu->tlb, VA + 0xfff));
    assert_false(mv_tlb_may_hold(&mmu->tlb, VA + 0x1000));
    assert_false(mv_tlb_may_hold(&mmu->tlb, VA | HIGH));
    /* As many TLBIs of others as cost more than filling it anew. */
    unmap(VA);
    for (unsigned i = 0; i < 32; i++)
        mv_tlb_flush_va_of_other(&mmu->tlb, VA + 0x100000);
    assert_true(mv_tlb_may_hold(&mmu->tlb, VA));
    assert_true(readable(VA));
    mv_tlb_flush_va_of_other(&mmu->tlb, VA + 0x100000);
    assert_false(mv_tlb_may_hold(&mmu->tlb, VA));
    assert_false(readable(VA));
}

/* --- the snapshot */

static void set_asid(unsigned asid)
{
    struct mv_softmmu_registers registers = registers_of(&plain, TCR_IPS_48 | TCR_AS);
    registers.ttbr[0] |= (uint64_t)asid << 48;
    mv_softmmu_set_registers(mmu, &registers);
}

static bool readable_as(const struct mv_softmmu_registers *registers, uint64_t va)
{
    mv_softmmu_set_registers(mmu, registers);
    return readable(va);
}

/* Each ASID has its own entries; the fifth takes the first one's place. */
static void test_asids(void **state)
{
    set_asid(1);
    plain_page(VA, DATA, NG);
    assert_true(readable(VA));
    unmap(VA);
    set_asid(2);
    assert_false(readable(VA));
    set_asid(1);
    assert_true(readable(VA));
    mv_tlb_flush_asid(&mmu->tlb, 2);
    assert_true(readable(VA));
    mv_tlb_flush_asid(&mmu->tlb, 1);
    assert_false(readable(VA));
    plain_page(VA, DATA, NG);
    assert_true(readable(VA));
    unmap(VA);
    for (unsigned asid = 3; asid < 3 + MV_ASID_SLOTS; asid++) {
        set_asid(asid);
        assert_false(readable(VA));
    }
    set_asid(1);
    assert_false(readable(VA));
}

/* Nor does one that takes another's place find what EL0 had there. */
static void test_asids_of_el0(void **state)
{
    uint64_t value;
    set_asid(1);
    plain_page(VA, DATA, NG | EL0);
    assert_null(mv_softmmu_read(mmu, PC, VA, 8, MV_ACCESS_EL0, &value));
    unmap(VA);
    assert_null(mv_softmmu_read(mmu, PC, VA, 8, MV_ACCESS_EL0, &value));
    for (unsigned asid = 2; asid < 2 + MV_ASID_SLOTS; asid++) {
        set_asid(asid);
        assert_non_null(mv_softmmu_read(mmu, PC, VA, 8, MV_ACCESS_EL0, &value));
    }
}

/* The upper half has one set for all: what is of one ASID goes with it, what is global stays. */
static void test_asids_of_the_upper_half(void **state)
{
    const struct shape high = {plain.granule, 1, plain.in_bits, plain.first};
    const uint64_t va = VA | UINT64_MAX << plain.in_bits;
    struct mv_softmmu_registers registers = registers_of(&high, TCR_IPS_48 | TCR_AS);
    for (unsigned round = 0; round < 3; round++) {
        plain_page(va, DATA, round < 2 ? NG : 0);
        assert_true(readable_as(&registers, va));
        unmap(va);
        assert_true(readable_as(&registers, va));
        if (round == 0)
            registers.ttbr[0] += UINT64_C(1) << 48;
        else
            mv_tlb_flush_asid(&mmu->tlb, mmu->tlb.slot_asid[mmu->tlb.slot]);
        assert_int_equal(readable_as(&registers, va), round == 2);
    }
    registers.ttbr[0] += UINT64_C(1) << 48;
    assert_true(readable_as(&registers, va));
}

/* Eight bits of an ASID count where TCR_EL1.AS is 0, and TTBR1's where A1 is set. */
static void test_asid_fields(void **state)
{
    struct mv_softmmu_registers registers = registers_of(&plain, TCR_IPS_48);
    registers.ttbr[0] |= UINT64_C(0x1207) << 48;
    registers.ttbr[1] |= UINT64_C(0x3409) << 48;
    mv_softmmu_set_registers(mmu, &registers);
    assert_int_equal(mmu->tlb.slot_asid[mmu->tlb.slot], 0x07);
    registers.tcr |= TCR_AS;
    mv_softmmu_set_registers(mmu, &registers);
    assert_int_equal(mmu->tlb.slot_asid[mmu->tlb.slot], 0x1207);
    registers.tcr |= 1u << 22;
    mv_softmmu_set_registers(mmu, &registers);
    assert_int_equal(mmu->tlb.slot_asid[mmu->tlb.slot], 0x3409);
}

/* What makes entries wrong drops them; another table alone does not. */
static void test_registers(void **state)
{
    static const struct {
        struct mv_softmmu_registers change; /* or-ed */
        bool drops;
    } cases[] = {
        {{.sctlr = MV_SCTLR_A}, true},
        {{.sctlr = MV_SCTLR_WXN}, true},
        {{.sctlr = 1u << 12}, false},
        {{.tcr = TCR_HA}, true},
        {{.mair = 0x440000}, true},
        {{.ttbr = {1u << 13, 0}}, false},
        {{.ttbr = {0, 1u << 13}}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_softmmu_registers registers = registers_of(&plain, TCR_IPS_48);
        mv_softmmu_set_registers(mmu, &registers);
        mv_tlb_flush_all(&mmu->tlb);
        plain_page(VA, DATA, 0);
        assert_true(readable(VA));
        unmap(VA);
        mv_softmmu_set_registers(mmu, &registers);
        assert_true(readable(VA));
        registers.sctlr |= cases[i].change.sctlr;
        registers.tcr |= cases[i].change.tcr;
        registers.mair |= cases[i].change.mair;
        registers.ttbr[0] |= cases[i].change.ttbr[0];
        registers.ttbr[1] |= cases[i].change.ttbr[1];
        mv_softmmu_set_registers(mmu, &registers);
        if (readable(VA) == cases[i].drops)
            fail_msg("case %zu", i);
    }
}

/* Without translation an address is its own, Device memory, and 48 bits wide. */
static void test_off(void **state)
{
    uint64_t value;
    mv_softmmu_set_registers(mmu, &(struct mv_softmmu_registers){0});
    assert_null(mv_softmmu_write(mmu, PC, DATA + 8, 99, 8, 0));
    assert_int_equal(*word_at(DATA + 8), 99);
    expect(mv_softmmu_read(mmu, PC, DATA + 1, 2, 0, &value), MV_MMU_FAULT_DATA, MV_FSC_ALIGNMENT,
           false, DATA + 1);
    expect(mv_softmmu_read(mmu, PC, UINT64_C(1) << 48, 1, 0, &value), MV_MMU_FAULT_DATA,
           MV_FSC_ADDRESS_SIZE, false, UINT64_C(1) << 48);
}

static int setup(void **state)
{
    mmu = calloc(1, sizeof *mmu);
    struct mv_block *block;
    if (mmu == NULL || mv_block_registry_create(&registry, &err) != 0 ||
        mv_space_create(&space, &err) != 0 ||
        mv_block_create(registry, "", "ram", RAM_SIZE, &block, &err) != 0 ||
        mv_space_add_ram(space, RAM, block, 0, RAM_SIZE, &err) != 0 ||
        mv_space_add_mmio(space, REGION, 0x800, &region, &err) != 0)
        return -1;
    ram = block->host;
    mv_softmmu_init(mmu, space, false);
    mv_softmmu_set_el(mmu, 1);
    plain = shape_of(&granules[0], 0, 25);
    use(&plain, TCR_IPS_48);
    return 0;
}

static int teardown(void **state)
{
    mv_space_destroy(space);
    mv_block_registry_destroy(registry);
    free(mmu);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_walk),      TEST(test_permissions), TEST(test_ranges),
        TEST(test_updates),   TEST(test_accesses),    TEST(test_data_faults),
        TEST(test_mmio),      TEST(test_fetch),       TEST(test_watch),
        TEST(test_flush_va),  TEST(test_flush_block), TEST(test_flush_other_block),
        TEST(test_flush_other_code), TEST(test_victims),
        TEST(test_flush_writes), TEST(test_seen),     TEST(test_asids),
        TEST(test_asids_of_el0), TEST(test_asids_of_the_upper_half),
        TEST(test_asid_fields), TEST(test_registers), TEST(test_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
