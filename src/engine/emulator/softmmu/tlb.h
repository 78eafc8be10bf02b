/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_tlb: the software TLBs of a vCPU, whose thread alone reaches them but
 * for what was seen.  Callers: the softmmu and shootdowns; whoever runs the guest's
 * code compares its addresses with the tags of the sets in use inline (memory.h,
 * branch.h).
 *
 * A set translates one half of the address space (bit 55) for one exception
 * level; sets of the lower half exist once for each of the few most recent
 * ASIDs, so a context switch picks another set and flushes nothing.  The
 * first inline compare takes any access to RAM within the page; what has to be aligned
 * there (Device memory, or all with SCTLR.A) has a bit in its tag, and a second
 * compare; the rest, MMIO above all, has one that matches neither, and is access.c's.
 *
 * An entry that has to make room goes to the set's victims for a while, so that
 * two pages that meet at one entry are not translated anew at each access.
 */
#ifndef MV_SOFTMMU_TLB_H
#define MV_SOFTMMU_TLB_H

#include "space.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_op;

#define MV_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define MV_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define MV_PAGE_SIZE UINT64_C(4096)
#define MV_PAGE_MASK (~UINT64_C(4095))
#define MV_DTLB_ENTRIES 1024
#define MV_DTLB_VICTIMS 8
#define MV_DTLB_ALL (MV_DTLB_ENTRIES + MV_DTLB_VICTIMS)
#define MV_ITLB_ENTRIES 512
#define MV_ASID_SLOTS 4
#define MV_TLB_NONE UINT64_MAX /* a tag that no address has */
/* In a tag, where no alignment's bits are: take the slow path; accesses have to be aligned. */
#define MV_TLB_SLOW   0x800u
#define MV_TLB_STRICT 0x400u
#define MV_TLB_MARKS  (UINT64_C(0) | MV_TLB_SLOW | MV_TLB_STRICT)

struct mv_dtlb_entry {
    uint64_t read_tag;  /* page of the address, or MV_TLB_NONE */
    uint64_t write_tag;
    uintptr_t addend;   /* host address = virtual address + addend (RAM) */
    /* page, with MV_TLB_ATTR_* and the size of the page or block it was made of below */
    uint64_t pa;
};
_Static_assert(sizeof(struct mv_dtlb_entry) == 32, "found by a shift");
#define MV_TLB_ATTR_DEVICE 1u
#define MV_TLB_ATTR_MMIO 2u
#define MV_TLB_LOG_SIZE_SHIFT 4

static inline unsigned mv_dtlb_log_size(const struct mv_dtlb_entry *entry)
{
    return entry->pa >> MV_TLB_LOG_SIZE_SHIFT & 0x3f;
}

/*
 * Where a page's entry stands.  Neighbours must not meet at one entry, since an access
 * that begins in one and ends in the other looks there for both.
 */
static inline unsigned mv_dtlb_index(uint64_t va)
{
    return (va >> 12) % MV_DTLB_ENTRIES;
}

struct mv_itlb_entry {
    uint64_t tag;
    const struct mv_op *ops; /* of the page */
    uint64_t log_size;
    uint64_t unused;
};
_Static_assert(sizeof(struct mv_itlb_entry) == 32, "found by a shift");

/*
 * For translated code: the page that accesses by one of the guest's registers went to last, as
 * its entry has it.  These may outlive the entry, but nothing that drops it.
 */
struct mv_tlb_stream {
    uint64_t read_tag;
    uint64_t write_tag;
    uintptr_t addend;
    uint64_t unused;
};
#define MV_TLB_STREAMS 32 /* x0 to x30, and the stack pointer */

struct mv_tlb_set {
    struct mv_dtlb_entry d[MV_DTLB_ALL]; /* the victims last */
    struct mv_itlb_entry i[MV_ITLB_ENTRIES];
    uint8_t next_victim; /* to be taken over next */
    bool used;       /* holds anything: an empty set needs no flush */
    bool non_global; /* holds entries of one ASID */
    bool streaming;  /* any of the streams has a page */
    /*
     * Where it holds pages of blocks, each of which one TLBI drops together: a bit for
     * each GiB, which others may share.  What a kernel maps and unmaps all the time, its
     * fixmap above all, is elsewhere.
     */
    uint64_t blocks;
    struct mv_tlb_stream streams[MV_TLB_STREAMS];
};

/*
 * The ranges of the guest-physical space that a vCPU has looked up last, so that
 * most of its lookups need no lock.  Each belongs to one kind of lookup; a
 * change of the space empties them with everything else.
 */
enum mv_found { MV_FOUND_TABLES, MV_FOUND_DATA, MV_FOUND_CODE, MV_FOUND_MMIO, MV_FOUND_COUNT };

/*
 * What a vCPU may have translated since its TLB was emptied last, by address
 * and size, so that others need not send it a TLBI of what it has never seen.
 * Written by its owner, read by all.
 */
#define MV_TLB_SEEN_BITS (1u << 16)
struct mv_tlb_seen {
    atomic_uint sizes[2];                       /* by half: a bit for each log2 of a size */
    atomic_uint pages[MV_TLB_SEEN_BITS / 32]; /* bits for pages and blocks, which may share them */
    unsigned flushes;                           /* TLBIs of others since: the owner's */
    bool unasked;                               /* there are no others, so no account is kept */
};

struct mv_tlb {
    struct mv_tlb_set high[2];                /* by EL */
    struct mv_tlb_set low[MV_ASID_SLOTS][2];  /* by ASID slot and EL */
    uint16_t slot_asid[MV_ASID_SLOTS];
    bool slot_valid[MV_ASID_SLOTS];
    unsigned slot;      /* in use */
    unsigned next_slot; /* to be taken over next */
    struct mv_range found[MV_FOUND_COUNT]; /* size 0: none */
    struct mv_tlb_seen seen;
};

/* An entry for va is kept in the set that was made of a page or block of 2^log_size bytes. */
void mv_tlb_note_size(struct mv_tlb_set *set, uint64_t va, unsigned log_size);

/* All sets empty, whatever they held.  `alone`: no other vCPU ever asks mv_tlb_may_hold. */
void mv_tlb_init(struct mv_tlb *tlb, bool alone);
void mv_tlb_flush_all(struct mv_tlb *tlb);
void mv_tlb_flush_asid(struct mv_tlb *tlb, uint16_t asid);
/* Drop what translates va, and the block it lies in. */
void mv_tlb_flush_va(struct mv_tlb *tlb, uint64_t va);
/* The same for another vCPU, whose TLBIs may be many of one address that is long gone from here. */
void mv_tlb_flush_va_of_other(struct mv_tlb *tlb, uint64_t va);
/*
 * Before a walk whose result is kept: that this vCPU looks at the page or block
 * of 2^log_size bytes.  True where that is news, and a walk that found a block
 * before it is to be made again.
 */
bool mv_tlb_see(struct mv_tlb *tlb, uint64_t va, unsigned log_size);
/* Whether it may hold a translation of va; any thread, behind a full fence. */
bool mv_tlb_may_hold(struct mv_tlb *tlb, uint64_t va);
/* Forget which pages may be written. */
void mv_tlb_flush_writes(struct mv_tlb *tlb);
/* Forget which ops stand for which page (the code cache gave some up). */
void mv_tlb_flush_code(struct mv_tlb *tlb);
/* The range at a guest-physical address, or NULL; good until the next flush of everything. */
const struct mv_range *mv_tlb_find_range(struct mv_tlb *tlb, struct mv_space *space,
                                         enum mv_found kind, uint64_t gpa);
/* Choose the lower half's slot for an ASID that became current. */
void mv_tlb_select_asid(struct mv_tlb *tlb, uint16_t asid);
/* The set of an address's half for an exception level. */
static inline struct mv_tlb_set *mv_tlb_set_of(struct mv_tlb *tlb, uint64_t va, unsigned el)
{
    return va >> 55 & 1 ? &tlb->high[el] : &tlb->low[tlb->slot][el];
}
/* The entry that va is found at, with what the set knows of va's page in it. */
struct mv_dtlb_entry *mv_tlb_recall(struct mv_tlb_set *set, uint64_t va);
/* The entry of va, for another page than it holds: that goes to the victims. */
struct mv_dtlb_entry *mv_tlb_take(struct mv_tlb_set *set, uint64_t va);

#endif
