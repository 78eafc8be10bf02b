/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_softmmu: a vCPU's addresses (stage 1 of EL1&0, Arm ARM D8), and its
 * loads and stores off the hit path.  It has the translation registers as they
 * were when the vCPU changed them last, and knows no vCPU and nothing that runs
 * one: an access that cannot be is handed back as a fault, and what becomes of it
 * is the caller's.  Callers: the interpreter (memory.h, run.c), system
 * instructions, a debugger.  It belongs to its vCPU's thread; a debugger calls
 * mv_softmmu_translate while no vCPU runs.
 *
 * The host may not have the memory (fault.h).  Each access therefore comes with
 * the PC it belongs to, which stands in access_pc for whoever catches that.
 */
#ifndef MV_SOFTMMU_SOFTMMU_H
#define MV_SOFTMMU_SOFTMMU_H

#include "tlb.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint16_t mv_u16_any __attribute__((aligned(1)));
typedef uint32_t mv_u32_any __attribute__((aligned(1)));
typedef uint64_t mv_u64_any __attribute__((aligned(1)));

/* What an access is. */
enum {
    MV_ACCESS_WRITE = 1,
    MV_ACCESS_EXEC = 2,
    MV_ACCESS_EL0 = 4,    /* with EL0's permissions (LDTR, STTR) */
    MV_ACCESS_ALIGNED = 8, /* faults when misaligned, whatever SCTLR.A */
    MV_ACCESS_CM = 16,    /* a cache maintenance instruction */
    MV_ACCESS_BOTH = 32,  /* reads as well as writes, with MV_ACCESS_WRITE */
    MV_ACCESS_DEBUG = 64, /* a debugger's: translation changes nothing */
};

/* Fault status codes (without the level). */
enum mv_fault_status {
    MV_FSC_ADDRESS_SIZE = 0x00,
    MV_FSC_TRANSLATION = 0x04,
    MV_FSC_ACCESS_FLAG = 0x08,
    MV_FSC_PERMISSION = 0x0c,
    MV_FSC_EXTERNAL = 0x10,
    MV_FSC_EXTERNAL_WALK = 0x14,
    MV_FSC_ALIGNMENT = 0x21,
    MV_FSC_DEBUG = 0x22,
    MV_FSC_UNSUPPORTED_ATOMIC = 0x35,
};

enum mv_mmu_fault_kind {
    MV_MMU_FAULT_DATA,
    MV_MMU_FAULT_FETCH,
    MV_MMU_FAULT_PC_ALIGNMENT,
    MV_MMU_FAULT_WATCHPOINT, /* one of the guest's */
    MV_MMU_FAULT_STOP,       /* a debugger's watchpoint: debug.h knows which */
};

struct mv_mmu_fault {
    enum mv_mmu_fault_kind kind;
    uint8_t fsc; /* with the level */
    bool write;  /* ISS.WnR */
    bool cm;     /* ISS.CM */
    uint64_t address;
};

/*
 * What watches addresses, where something does: a page that is watched is not for
 * the hit path, and an access is checked once its translation succeeded and
 * before anything of it has happened.
 */
struct mv_softmmu_watch {
    bool (*page)(const struct mv_softmmu_watch *watch, uint64_t va);
    /* True where it is met: as *ret says. */
    bool (*access)(const struct mv_softmmu_watch *watch, uint64_t va, unsigned len,
                   unsigned access, struct mv_mmu_fault *ret);
};

struct mv_softmmu_registers {
    uint64_t sctlr, tcr, ttbr[2], mair;
};

/* What the registers say of one half of the address space (walk.c). */
struct mv_softmmu_half {
    uint64_t table;   /* physical */
    uint8_t granule;  /* log2 of its pages' size */
    uint8_t in_bits;  /* of an address */
    uint8_t level;    /* of the first table */
    uint8_t shift;    /* of the first table's index */
    bool tbi;
    bool disabled; /* EPDn */
    bool e0pd;
};

struct mv_softmmu {
    /* The TLB's sets in use: for addresses with bit 55 clear, set. */
    struct mv_tlb_set *set[2];
    struct mv_tlb_set *low_el0; /* the set of EL0's, whatever the level, for those with it clear */
    unsigned el;
    uint64_t access_pc; /* of the access that is made, or was made last */
    uint64_t access_pa; /* of the last mv_softmmu_atomic */

    /* --- the registers as they were last */
    struct mv_softmmu_registers registers;
    struct mv_softmmu_half half[2];
    uint8_t output_bits;
    bool on;            /* SCTLR.M */
    bool aligned;       /* SCTLR.A */
    bool wxn;           /* SCTLR.WXN */
    bool set_af;        /* TCR.HA */
    bool set_dirty;     /* TCR.HD */

    const struct mv_softmmu_watch *watch; /* NULL: nothing is watched */
    struct mv_space *space;
    struct mv_mmu_fault fault; /* the last one */
    struct mv_tlb tlb;
};

struct mv_translation {
    uint64_t pa;       /* of the address itself */
    uint8_t fsc;       /* where it failed: fault status code with level */
    uint8_t attr;      /* MAIR's byte; 0 is Device-nGnRnE */
    uint8_t sh;        /* shareability field */
    uint8_t log_size;  /* of the page or block */
    bool device;
    bool global;
    bool readable;     /* for the exception level asked for */
    bool writable;     /* now, with no dirty state to record */
    bool executable;
};

/* With all registers zero, at EL0.  `alone`: of a machine that has one vCPU. */
void mv_softmmu_init(struct mv_softmmu *mmu, struct mv_space *space, bool alone);
/* The registers have changed: what was translated by others is dropped. */
void mv_softmmu_set_registers(struct mv_softmmu *mmu, const struct mv_softmmu_registers *registers);
/* The exception level has changed. */
static inline void mv_softmmu_set_el(struct mv_softmmu *mmu, unsigned el)
{
    mmu->el = el;
    mmu->low_el0 = &mmu->tlb.low[mmu->tlb.slot][0];
    mmu->set[0] = &mmu->tlb.low[mmu->tlb.slot][el];
    mmu->set[1] = &mmu->tlb.high[el];
}

/*
 * Translate va for an access from exception level `el`.  Updates the access flag
 * and dirty state where TCR_EL1.HA and HD ask for it.  False with ret->fsc where
 * the access faults.  The PC in access_pc stays.
 */
bool mv_softmmu_translate(struct mv_softmmu *mmu, uint64_t va, unsigned el, unsigned access,
                          struct mv_translation *ret);

/*
 * --- accesses: NULL, or the fault (which stands until the next one), with nothing
 * done of them.  size: 1, 2, 4, 8 bytes.
 */
const struct mv_mmu_fault *mv_softmmu_read(struct mv_softmmu *mmu, uint64_t pc, uint64_t va,
                                           unsigned size, unsigned access, uint64_t *ret);
const struct mv_mmu_fault *mv_softmmu_write(struct mv_softmmu *mmu, uint64_t pc, uint64_t va,
                                            uint64_t value, unsigned size, unsigned access);
/*
 * Whether len bytes (at most a page) at va, in elements of size, may be accessed:
 * for pairs and structures that cross a page, before anything changes.  Faults in
 * the order of D1.3.5: what SCTLR.A forbids, then what translation finds, then
 * what Device memory does.
 */
const struct mv_mmu_fault *mv_softmmu_probe(struct mv_softmmu *mmu, uint64_t pc, uint64_t va,
                                            unsigned len, unsigned size, unsigned access);
/*
 * The host's address of size (1-16) aligned bytes of RAM for an atomic or
 * exclusive access; misaligned is an alignment fault.  NULL where the address is
 * MMIO.  Leaves the physical address in access_pa.
 */
const struct mv_mmu_fault *mv_softmmu_atomic(struct mv_softmmu *mmu, uint64_t pc, uint64_t va,
                                             unsigned size, unsigned access, void **ret);
/* The entry of va's page, filled if need be; watchpoints are not asked. */
const struct mv_mmu_fault *mv_softmmu_entry(struct mv_softmmu *mmu, uint64_t pc, uint64_t va,
                                            unsigned access, const struct mv_dtlb_entry **ret);
/* Ask the watchpoints of an access whose entry was had. */
const struct mv_mmu_fault *mv_softmmu_check_watch(struct mv_softmmu *mmu, uint64_t va,
                                                  unsigned len, unsigned access);

/* A page of code. */
struct mv_softmmu_code {
    uint64_t pa; /* of the page */
    const uint8_t *host;
    uint8_t log_size;
    bool global;
};
const struct mv_mmu_fault *mv_softmmu_fetch(struct mv_softmmu *mmu, uint64_t pc,
                                            struct mv_softmmu_code *ret);
/* Have what was made of the page that was fetched found by its address from now on. */
void mv_softmmu_keep_code(struct mv_softmmu *mmu, uint64_t pc, const struct mv_softmmu_code *code,
                          const struct mv_op *ops);

#define MV_SCTLR_M (1u << 0)
#define MV_SCTLR_A (1u << 1)
#define MV_SCTLR_WXN (1u << 19)

#endif
