/* SPDX-License-Identifier: Apache-2.0 */
#include "code-cache.h"

#include "a64.h"
#include "jit.h"
#include "tlb.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OPS_PER_PAGE MV_JIT_SLOTS
#define HASH_SIZE    4096
/* Lines of 64 bytes; those 16 MiB apart share a bit, which costs mail that does nothing. */
#define LINE_BITS (1u << 18)

struct code_page {
    struct mv_jit_ops code; /* first: who has its ops has the page */
    uint64_t pa;
    const uint8_t *host;
    struct code_page *hash_next;
};

struct mv_code_cache {
    unsigned max_pages;
    unsigned used;   /* pages that were ever taken */
    unsigned oldest; /* taken over next, once all are used */
    struct code_page *pages;
    struct mv_jit *jit; /* NULL: nothing is translated */
    struct code_page *hash[HASH_SIZE];
    atomic_uint lines[LINE_BITS / 32]; /* a bit for what has decoded code, for other threads */
};

static unsigned hash_of(uint64_t pa)
{
    return (unsigned)(pa >> 12 ^ pa >> 24) % HASH_SIZE;
}

int mv_code_cache_create(unsigned max_pages, struct mv_jit *jit, struct mv_code_cache **ret,
                         struct mv_error *err)
{
    struct mv_code_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the code cache");
    cache->max_pages = max_pages;
    cache->jit = jit;
    /* Untouched pages of the mapping cost nothing. */
    cache->pages = mmap(NULL, max_pages * sizeof *cache->pages, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cache->pages == MAP_FAILED) {
        free(cache);
        return mv_error_set(err, ENOMEM, "no memory for the code cache");
    }
    *ret = cache;
    return 0;
}

void mv_code_cache_destroy(struct mv_code_cache *cache)
{
    if (cache == NULL)
        return;
    for (unsigned i = 0; i < cache->used; i++)
        mv_jit_drop_page(cache->jit, &cache->pages[i].code.page);
    munmap(cache->pages, cache->max_pages * sizeof *cache->pages);
    free(cache);
}

static struct code_page *find(struct mv_code_cache *cache, uint64_t pa)
{
    struct code_page *page = cache->hash[hash_of(pa)];
    while (page != NULL && page->pa != pa)
        page = page->hash_next;
    return page;
}

static void unhash(struct mv_code_cache *cache, struct code_page *page)
{
    struct code_page **link = &cache->hash[hash_of(page->pa)];
    while (*link != page)
        link = &(*link)->hash_next;
    *link = page->hash_next;
}

const struct mv_op *mv_code_cache_page(struct mv_code_cache *cache, uint64_t pa,
                                       const uint8_t *host, bool *ret_dropped)
{
    *ret_dropped = false;
    struct code_page *page = find(cache, pa);
    if (page != NULL)
        return page->code.ops;
    if (cache->used < cache->max_pages) {
        page = &cache->pages[cache->used++];
    } else {
        page = &cache->pages[cache->oldest];
        cache->oldest = (cache->oldest + 1) % cache->max_pages;
        unhash(cache, page);
        mv_jit_drop_page(cache->jit, &page->code.page);
        memset(page->code.ops, 0, sizeof page->code.ops);
        *ret_dropped = true;
    }
    page->pa = pa;
    page->host = host;
    page->code.ops[OPS_PER_PAGE].code = MV_OPCODE_page_end;
    page->hash_next = cache->hash[hash_of(pa)];
    cache->hash[hash_of(pa)] = page;
    return page->code.ops;
}

static atomic_uint *line_word(struct mv_code_cache *cache, uint64_t pa, unsigned *ret_bit)
{
    unsigned line = (unsigned)(pa >> 6 ^ pa >> 24) % LINE_BITS;
    *ret_bit = 1u << line % 32;
    return &cache->lines[line / 32];
}

/*
 * Before a word of the line is read: whoever changes it then either sees the
 * bit and sends mail, or had changed it before it was read.
 */
static void note_line(struct mv_code_cache *cache, uint64_t pa)
{
    unsigned bit;
    atomic_uint *word = line_word(cache, pa, &bit);
    if (MV_LIKELY(atomic_load_explicit(word, memory_order_relaxed) & bit))
        return;
    atomic_fetch_or(word, bit);
    atomic_thread_fence(memory_order_seq_cst);
}

bool mv_code_cache_may_hold(struct mv_code_cache *cache, uint64_t pa)
{
    unsigned bit;
    atomic_uint *word = line_word(cache, pa, &bit);
    return (atomic_load_explicit(word, memory_order_relaxed) & bit) != 0;
}

void mv_code_cache_drop_line(struct mv_code_cache *cache, uint64_t pa)
{
    struct code_page *page = find(cache, pa & MV_PAGE_MASK);
    if (page == NULL)
        return;
    mv_jit_drop_lines(cache->jit, page->code.page, UINT64_C(1) << (pa >> 6 & 63));
    memset(&page->code.ops[(pa & 0xfc0) / 4], 0, 16 * sizeof page->code.ops[0]);
}

void mv_code_cache_drop_all(struct mv_code_cache *cache)
{
    for (unsigned i = 0; i < cache->used; i++) {
        mv_jit_drop_page(cache->jit, &cache->pages[i].code.page);
        memset(cache->pages[i].code.ops, 0, OPS_PER_PAGE * sizeof(struct mv_op));
    }
    memset(cache->hash, 0, sizeof cache->hash);
    for (size_t i = 0; i < LINE_BITS / 32; i++)
        atomic_store_explicit(&cache->lines[i], 0, memory_order_relaxed);
    cache->used = cache->oldest = 0;
}

static void mark(struct mv_code_cache *cache, struct code_page *page, unsigned slot)
{
    if (cache->jit != NULL)
        mv_jit_mark(cache->jit, &page->code.page, page->code.ops, slot);
}

/*
 * A direct branch within its page becomes a pointer addition.  One that leads back ends a
 * loop, and a call leads to a function.
 */
static void localise_branch(struct mv_code_cache *cache, struct code_page *page, unsigned slot)
{
    struct mv_op *op = &page->code.ops[slot];
    if (!(mv_op_traits[op->code].flags & MV_OP_LOCAL))
        return;
    int64_t target = (int64_t)slot * 4 + (int64_t)op->imm;
    if (target < 0 || target >= OPS_PER_PAGE * 4)
        return;
    op->code++;
    op->imm *= MV_OP_SCALE;
    if (target <= (int64_t)slot * 4 || op->code == MV_OPCODE_bl_page)
        mark(cache, page, (unsigned)target / 4);
}

uint32_t mv_code_cache_word(const struct mv_op *ops, unsigned slot)
{
    const struct code_page *page = (const struct code_page *)ops;
    return __atomic_load_n((const uint32_t *)(page->host + slot * 4), __ATOMIC_RELAXED);
}

void mv_code_cache_decode(struct mv_code_cache *cache, const struct mv_op *ops,
                          const struct mv_op *op)
{
    struct code_page *page = (struct code_page *)(uintptr_t)ops;
    unsigned slot = (unsigned)(op - ops);
    bool marked = op->code != MV_OPCODE_decode;
    note_line(cache, page->pa + slot * 4);
    mv_a64_decode(mv_code_cache_word(ops, slot), &page->code.ops[slot]);
    localise_branch(cache, page, slot);
    if (marked && page->code.ops[slot].code != MV_OPCODE_count) /* a loop of one marks itself */
        mv_jit_decoded(page->code.page, &page->code.ops[slot]);
}

void mv_code_cache_mark(struct mv_code_cache *cache, const struct mv_op *ops,
                        const struct mv_op *op)
{
    mark(cache, (struct code_page *)(uintptr_t)ops, (unsigned)(op - ops));
}
