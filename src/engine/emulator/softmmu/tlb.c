/* SPDX-License-Identifier: Apache-2.0 */
#include "tlb.h"

/*
 * After so many TLBIs of others all is dropped, and with it what was seen: filling
 * the TLB again costs less than that mail did.
 */
#define FLUSHES_MAX 32

#define WITHOUT_TAG ((UINT64_C(1) << 56) - 1)
#define GIB_SHIFT   30

static void drop_streams(struct mv_tlb_set *set)
{
    for (unsigned i = 0; set->streaming && i < MV_TLB_STREAMS; i++)
        set->streams[i].read_tag = set->streams[i].write_tag = MV_TLB_NONE;
    set->streaming = false;
}

static void flush_set(struct mv_tlb_set *set, uint64_t va)
{
    if (!set->used)
        return;
    drop_streams(set);
    for (unsigned i = 0; i < MV_DTLB_ALL; i++)
        set->d[i].read_tag = set->d[i].write_tag = MV_TLB_NONE;
    for (unsigned i = 0; i < MV_ITLB_ENTRIES; i++)
        set->i[i].tag = MV_TLB_NONE;
    set->used = set->non_global = false;
    set->blocks = 0;
}

/* Call fn for each set of one half of the address space, or of both (-1). */
static void for_each_set(struct mv_tlb *tlb, int half,
                         void (*fn)(struct mv_tlb_set *set, uint64_t va), uint64_t va)
{
    for (unsigned el = 0; el < 2; el++) {
        if (half != 0)
            fn(&tlb->high[el], va);
        for (unsigned slot = 0; slot < MV_ASID_SLOTS && half != 1; slot++)
            fn(&tlb->low[slot][el], va);
    }
}

static void mark_used(struct mv_tlb_set *set, uint64_t va)
{
    set->used = set->streaming = true;
}

void mv_tlb_init(struct mv_tlb *tlb, bool alone)
{
    tlb->seen.unasked = alone;
    for_each_set(tlb, -1, mark_used, 0);
    mv_tlb_flush_all(tlb);
}

/* --- what was seen */

/* Two bits each: that another page has both, so that mail comes for nothing, is rare. */
struct seen_bits {
    atomic_uint *word[2];
    unsigned bit[2];
};

static struct seen_bits seen_bits(struct mv_tlb_seen *seen, uint64_t va, unsigned log_size)
{
    uint64_t page = (va & WITHOUT_TAG) >> log_size;
    uint64_t hash = (page * 64 + log_size) * UINT64_C(0x9e3779b97f4a7c15);
    struct seen_bits bits;
    for (unsigned i = 0; i < 2; i++) {
        unsigned n = (unsigned)(hash >> (i == 0 ? 48 : 32)) % MV_TLB_SEEN_BITS;
        bits.word[i] = &seen->pages[n / 32];
        bits.bit[i] = 1u << n % 32;
    }
    return bits;
}

static bool is_set(atomic_uint *word, unsigned bit)
{
    return (atomic_load_explicit(word, memory_order_relaxed) & bit) != 0;
}

static bool set_bit(atomic_uint *word, unsigned bit)
{
    if (MV_LIKELY(is_set(word, bit)))
        return false;
    atomic_fetch_or(word, bit);
    return true;
}

bool mv_tlb_see(struct mv_tlb *tlb, uint64_t va, unsigned log_size)
{
    struct mv_tlb_seen *seen = &tlb->seen;
    if (seen->unasked)
        return false;
    struct seen_bits bits = seen_bits(seen, va, log_size);
    bool news = set_bit(&seen->sizes[va >> 55 & 1], 1u << (log_size - 12));
    for (unsigned i = 0; i < 2; i++)
        news |= set_bit(bits.word[i], bits.bit[i]);
    if (MV_UNLIKELY(news))
        atomic_thread_fence(memory_order_seq_cst);
    return news;
}

bool mv_tlb_may_hold(struct mv_tlb *tlb, uint64_t va)
{
    struct mv_tlb_seen *seen = &tlb->seen;
    unsigned sizes = atomic_load_explicit(&seen->sizes[va >> 55 & 1], memory_order_relaxed);
    for (; sizes != 0; sizes &= sizes - 1) {
        struct seen_bits bits = seen_bits(seen, va, 12 + (unsigned)__builtin_ctz(sizes));
        if (is_set(bits.word[0], bits.bit[0]) && is_set(bits.word[1], bits.bit[1]))
            return true;
    }
    return false;
}

/* Behind the flush: whoever finds a bit clear relies on the entry being gone. */
static void forget_seen(struct mv_tlb_seen *seen)
{
    for (size_t i = 0; i < MV_TLB_SEEN_BITS / 32; i++)
        atomic_store_explicit(&seen->pages[i], 0, memory_order_relaxed);
    for (size_t i = 0; i < 2; i++)
        atomic_store_explicit(&seen->sizes[i], 0, memory_order_relaxed);
    seen->flushes = 0;
}

/* --- flushes */

void mv_tlb_flush_all(struct mv_tlb *tlb)
{
    for (unsigned i = 0; i < MV_FOUND_COUNT; i++)
        tlb->found[i].size = 0;
    for_each_set(tlb, -1, flush_set, 0);
    forget_seen(&tlb->seen);
}

void mv_tlb_flush_asid(struct mv_tlb *tlb, uint16_t asid)
{
    for (unsigned el = 0; el < 2; el++) {
        if (tlb->high[el].non_global)
            flush_set(&tlb->high[el], 0);
        for (unsigned slot = 0; slot < MV_ASID_SLOTS; slot++)
            if (tlb->slot_valid[slot] && tlb->slot_asid[slot] == asid)
                flush_set(&tlb->low[slot][el], 0);
    }
}

/* Do two addresses, tags aside, lie in one block of 2^log_size bytes? */
static bool same_block(uint64_t tag, uint64_t va, unsigned log_size)
{
    return tag != MV_TLB_NONE && ((tag ^ va) & WITHOUT_TAG) >> log_size == 0;
}

static uint64_t blocks_bit(uint64_t va)
{
    uint64_t hash = ((va & WITHOUT_TAG) >> GIB_SHIFT) * UINT64_C(0x9e3779b97f4a7c15);
    return UINT64_C(1) << (hash >> 58);
}

void mv_tlb_note_size(struct mv_tlb_set *set, uint64_t va, unsigned log_size)
{
    if (log_size > 12)
        set->blocks |= log_size > GIB_SHIFT ? UINT64_MAX : blocks_bit(va);
}

static void flush_set_va(struct mv_tlb_set *set, uint64_t va)
{
    if (!set->used)
        return;
    drop_streams(set);
    struct mv_dtlb_entry *d = &set->d[mv_dtlb_index(va)];
    d->read_tag = d->write_tag = MV_TLB_NONE;
    for (unsigned i = MV_DTLB_ENTRIES; i < MV_DTLB_ALL; i++) {
        d = &set->d[i];
        if (same_block(d->read_tag, va, 12) || same_block(d->write_tag, va, 12))
            d->read_tag = d->write_tag = MV_TLB_NONE;
    }
    set->i[(va >> 12) % MV_ITLB_ENTRIES].tag = MV_TLB_NONE;
    if ((set->blocks & blocks_bit(va)) == 0)
        return;
    set->blocks = 0;
    for (unsigned i = 0; i < MV_DTLB_ALL; i++) {
        d = &set->d[i];
        unsigned log_size = mv_dtlb_log_size(d);
        if (log_size <= 12 || (d->read_tag & d->write_tag) == MV_TLB_NONE)
            continue;
        uint64_t tag = d->read_tag != MV_TLB_NONE ? d->read_tag : d->write_tag;
        if (same_block(tag, va, log_size))
            d->read_tag = d->write_tag = MV_TLB_NONE;
        else
            mv_tlb_note_size(set, tag, log_size);
    }
    for (unsigned i = 0; i < MV_ITLB_ENTRIES; i++) {
        struct mv_itlb_entry *entry = &set->i[i];
        if (entry->log_size <= 12 || entry->tag == MV_TLB_NONE)
            continue;
        if (same_block(entry->tag, va, entry->log_size))
            entry->tag = MV_TLB_NONE;
        else
            mv_tlb_note_size(set, entry->tag, entry->log_size);
    }
}

/*
 * Global entries match every ASID, and dropping more than asked for is
 * allowed, so an address goes from all ASIDs' sets.
 */
void mv_tlb_flush_va(struct mv_tlb *tlb, uint64_t va)
{
    for_each_set(tlb, va >> 55 & 1, flush_set_va, va);
}

void mv_tlb_flush_va_of_other(struct mv_tlb *tlb, uint64_t va)
{
    if (++tlb->seen.flushes > FLUSHES_MAX)
        mv_tlb_flush_all(tlb);
    else
        mv_tlb_flush_va(tlb, va);
}

static void flush_set_writes(struct mv_tlb_set *set, uint64_t va)
{
    if (!set->used)
        return;
    drop_streams(set);
    for (unsigned i = 0; i < MV_DTLB_ALL; i++)
        set->d[i].write_tag = MV_TLB_NONE;
}

void mv_tlb_flush_writes(struct mv_tlb *tlb)
{
    for_each_set(tlb, -1, flush_set_writes, 0);
}

static void flush_set_code(struct mv_tlb_set *set, uint64_t va)
{
    if (!set->used)
        return;
    for (unsigned i = 0; i < MV_ITLB_ENTRIES; i++)
        set->i[i].tag = MV_TLB_NONE;
}

void mv_tlb_flush_code(struct mv_tlb *tlb)
{
    for_each_set(tlb, -1, flush_set_code, 0);
}

const struct mv_range *mv_tlb_find_range(struct mv_tlb *tlb, struct mv_space *space,
                                         enum mv_found kind, uint64_t gpa)
{
    struct mv_range *range = &tlb->found[kind];
    if (gpa - range->gpa < range->size)
        return range;
    range->size = 0;
    return mv_space_find(space, gpa, range) ? range : NULL;
}

void mv_tlb_select_asid(struct mv_tlb *tlb, uint16_t asid)
{
    if (tlb->slot_valid[tlb->slot] && tlb->slot_asid[tlb->slot] == asid)
        return;
    for (unsigned el = 0; el < 2; el++)
        if (tlb->high[el].non_global)
            flush_set(&tlb->high[el], 0);
    unsigned slot = 0;
    while (slot < MV_ASID_SLOTS && !(tlb->slot_valid[slot] && tlb->slot_asid[slot] == asid))
        slot++;
    if (slot == MV_ASID_SLOTS) {
        slot = tlb->next_slot;
        tlb->next_slot = (slot + 1) % MV_ASID_SLOTS;
        flush_set(&tlb->low[slot][0], 0);
        flush_set(&tlb->low[slot][1], 0);
        tlb->slot_asid[slot] = asid;
        tlb->slot_valid[slot] = true;
    }
    tlb->slot = slot;
}

/* --- entries */

static bool holds_page(const struct mv_dtlb_entry *entry, uint64_t va)
{
    uint64_t page = va & MV_PAGE_MASK;
    return (entry->read_tag & ~MV_TLB_MARKS) == page ||
           (entry->write_tag & ~MV_TLB_MARKS) == page;
}

struct mv_dtlb_entry *mv_tlb_recall(struct mv_tlb_set *set, uint64_t va)
{
    struct mv_dtlb_entry *entry = &set->d[mv_dtlb_index(va)];
    if (holds_page(entry, va))
        return entry;
    for (unsigned i = MV_DTLB_ENTRIES; i < MV_DTLB_ALL; i++)
        if (holds_page(&set->d[i], va)) {
            struct mv_dtlb_entry other = *entry;
            *entry = set->d[i];
            set->d[i] = other;
            break;
        }
    return entry;
}

struct mv_dtlb_entry *mv_tlb_take(struct mv_tlb_set *set, uint64_t va)
{
    struct mv_dtlb_entry *entry = &set->d[mv_dtlb_index(va)];
    if ((entry->read_tag & entry->write_tag) != MV_TLB_NONE && !holds_page(entry, va)) {
        set->d[MV_DTLB_ENTRIES + set->next_victim] = *entry;
        set->next_victim = (set->next_victim + 1) % MV_DTLB_VICTIMS;
    }
    return entry;
}
