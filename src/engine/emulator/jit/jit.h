/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_jit: what translates a vCPU's hot code to the host's, and its state.  It belongs
 * to the vCPU's thread, as the code cache does, whose pages hold what was made of them.
 *
 * An op to which control is likely to come from elsewhere (a loop's head, a function, what a
 * call returns to) is marked: it becomes `count`, which counts and does what the op was.
 * Once it was there often enough, a *unit* is translated from it, and it becomes `native`,
 * which runs that.  So the interpreter needs no look-up of its own, and a unit is found by
 * the op of its address.
 *
 * Units keep some of the guest's registers in the host's (registers.h).  Wherever one is left,
 * calls C, or an access faults, all of the guest's state stands where the interpreter has it,
 * but for NZCV (mv_cpu_take_back).
 */
#ifndef MV_JIT_JIT_H
#define MV_JIT_JIT_H

#include "code-memory.h"
#include "op.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * NZCV as translated code keeps it: what lahf and seto of a comparison leave in ax, so that
 * CF, the lowest bit of ah, is the opposite of C.  One bit is always set there.
 */
#define MV_FLAGS_N     0x8000u
#define MV_FLAGS_Z     0x4000u
#define MV_FLAGS_ALONE 0x0200u
#define MV_FLAGS_NOT_C 0x0100u
#define MV_FLAGS_V     0x0001u

static inline uint32_t mv_flags_to_nzcv(uint16_t flags)
{
    return (flags & (MV_FLAGS_N | MV_FLAGS_Z)) << 16 | (~flags & MV_FLAGS_NOT_C) << 21 |
           (flags & MV_FLAGS_V) << 28;
}

static inline uint16_t mv_flags_of_nzcv(uint32_t nzcv)
{
    return (uint16_t)((nzcv >> 16 & (MV_FLAGS_N | MV_FLAGS_Z)) | (~nzcv >> 21 & MV_FLAGS_NOT_C) |
                      (nzcv >> 28 & MV_FLAGS_V) | MV_FLAGS_ALONE);
}

/* What translated code has to have in memory: each in all elements, but for the last ones. */
struct mv_jit_numbers {
    uint64_t magnitude64[2], sign64[2], normal64[2]; /* all but the sign; it; the smallest normal */
    uint32_t magnitude32[4], sign32[4], normal32[4];
    uint64_t crc32[2]; /* op-bits.c */
};

struct mv_cpu;
struct mv_fault_point;
struct mv_jit_page;
struct mv_jit_perf;
struct mv_translator;

/* Of the code that all units share (thunks.c): offsets in the code memory. */
enum mv_jit_thunk {
    MV_THUNK_ENTER,       /* of C: mv_jit_enter_fn */
    MV_THUNK_EXIT_OP,     /* eax: 16 * slot: the interpreter goes on there */
    MV_THUNK_INTERPRET,   /* the same, where the unit could not go on by itself */
    MV_THUNK_LEAVE,       /* eax: 4 * slot: to the run loop, at that op's PC */
    MV_THUNK_LEAVE_FOR,   /* the same at rdx + rax: a page, and where in it */
    MV_THUNK_CALL,        /* r8: a handler, esi: 16 * slot */
    MV_THUNK_CALL_FLAGS,  /* the same of one that has to do with NZCV */
    MV_THUNK_CALL_SYSTEM, /* and of one that may change whatever there is */
    MV_THUNK_BEGIN_FP,    /* mv_jit_fp_begin; esi: 16 * slot, of an op to interpret otherwise */
    /* esi: 16 * slot, rdx: the address; what is to be written in rcx (and r8); what was read
     * in rax (and rdx) */
    MV_THUNK_READ8,
    MV_THUNK_READ16,
    MV_THUNK_READ32,
    MV_THUNK_READ64,
    MV_THUNK_WRITE8,
    MV_THUNK_WRITE16,
    MV_THUNK_WRITE32,
    MV_THUNK_WRITE64,
    MV_THUNK_READ_PAIR32,
    MV_THUNK_READ_PAIR64,
    MV_THUNK_READ_PAIR128,
    MV_THUNK_WRITE_PAIR32,
    MV_THUNK_WRITE_PAIR64,
    MV_THUNK_WRITE_PAIR128,
    /* rax: an address, edx: MV_STREAM_MISS of the access, rcx: a stream of MV_SET, which is to
     * have the entry that takes it: ZF, and rcx is its addend; rdx is spoilt */
    MV_THUNK_STREAM_READ,
    MV_THUNK_STREAM_WRITE,
    MV_THUNK_COUNT,
};

#define MV_STREAM_MISS(slot, bytes) ((slot) << 8 | ((bytes) - 1))

/* What a unit returns: NULL to the run loop; an op where to go on, or with bit 0 set one that
 * the interpreter has to do. */
typedef const struct mv_op *mv_jit_enter_fn(struct mv_cpu *cpu, const uint8_t *unit);

#define MV_JIT_SLOTS 1024 /* of a page */

/* A page of ops as the code cache has it, and what was made of it. */
struct mv_jit_ops {
    struct mv_op ops[MV_JIT_SLOTS + 1]; /* the last one goes on to the next page */
    struct mv_jit_page *page;           /* or NULL */
#ifdef MV_HAS_JIT
    uint32_t entry[MV_JIT_SLOTS]; /* by slot, where its unit begins in the memory; 0: none */
#endif
};

struct mv_jit_params {
    size_t size;              /* of the code at most, in bytes */
    unsigned after;           /* so many visits, 1-200 */
    bool check;               /* units run beside the interpreter (lockstep.h) */
    struct mv_jit_perf *perf; /* NULL: nobody is told; outlives all that have it */
};

struct mv_jit {
    struct mv_code_memory memory;
    uint32_t thunks[MV_THUNK_COUNT];
    size_t first;              /* behind the thunks */
    struct mv_jit_params params;
    bool has_aes, has_pclmul, has_sha; /* the host's CPU */
    struct mv_jit_page *pages; /* all that have any */
    /* So many misses of streams until somebody looks whose it is (run.c): a MV_STREAM_MISS in a
     * page, or NULL; and when that was before, by TSC. */
    uint32_t misses_left, miss;
    const struct mv_op *missed_ops;
    uint64_t missed_at;
    struct mv_translator *translator;
    struct mv_lockstep *lockstep; /* NULL: units are trusted */
    /* For others to look at: written by the owner alone. */
    struct mv_jit_counts {
        atomic_ullong used, units, refused, evictions, strays, entries;
        atomic_ullong interpreted, elsewhere, left;
        atomic_ullong checked, unchecked; /* in lockstep: ops, and entries that could not be */
    } counts;
};

#ifdef MV_HAS_JIT
/* -ENODEV where this host's CPU lacks what it needs. */
int mv_jit_create(const struct mv_jit_params *params, struct mv_jit **ret, struct mv_error *err);
void mv_jit_destroy(struct mv_jit *jit);
void mv_jit_numbers_set(struct mv_jit_numbers *ret);

static inline struct mv_jit_ops *mv_jit_ops_of(const struct mv_op *ops)
{
    return (struct mv_jit_ops *)(uintptr_t)ops;
}

static inline struct mv_jit_page **mv_jit_page_place(const struct mv_op *ops)
{
    return &mv_jit_ops_of(ops)->page;
}

static inline uint32_t *mv_jit_entries(const struct mv_op *ops)
{
    return mv_jit_ops_of(ops)->entry;
}

/* One more; no other thread does. */
static inline void mv_jit_count(atomic_ullong *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* --- for the code cache, of a page of ops; *io_page is NULL until it has any */

/* Control may come to the slot from elsewhere. */
void mv_jit_mark(struct mv_jit *jit, struct mv_jit_page **io_page, struct mv_op *ops,
                 unsigned slot);
/* What the slot's op is, whatever it was made. */
uint16_t mv_jit_code(const struct mv_jit_page *page, const struct mv_op *op);
/* A slot that is marked was decoded now. */
void mv_jit_decoded(struct mv_jit_page *page, struct mv_op *op);
/* Forget what was made of these lines (a bit for each 64 bytes). */
void mv_jit_drop_lines(struct mv_jit *jit, struct mv_jit_page *page, uint64_t lines);
void mv_jit_drop_page(struct mv_jit *jit, struct mv_jit_page **io_page);
/* Forget all units; marks stay.  No unit may be running. */
void mv_jit_flush(struct mv_jit *jit);

/*
 * Translated code does floating point with the host's: MXCSR has the guest's rounding and
 * collects what is FPSR's, from when it first needs it until it is left.  False: not now,
 * since V registers are trapped or numbers are flushed (FPCR.FZ).
 */
bool mv_jit_fp_begin(struct mv_cpu *cpu);
void mv_jit_fp_end(struct mv_cpu *cpu);

/* Run the op's unit; it returns what mv_jit_enter_fn does. */
const struct mv_op *mv_jit_enter(struct mv_cpu *cpu, const struct mv_op *op);

/* --- for the run loop */

/*
 * Where a fault was an access of the unit's that runs: its op, before which all of the guest's
 * state is now.  NULL: it was none.
 */
const struct mv_op *mv_jit_take_access(struct mv_cpu *cpu, const struct mv_fault_point *point);

#else

static inline int mv_jit_create(const struct mv_jit_params *params, struct mv_jit **ret,
                                struct mv_error *err)
{
    return mv_error_set(err, ENODEV, "jit=on: code is translated for x86-64 alone: say jit=off");
}
static inline void mv_jit_destroy(struct mv_jit *jit)
{
}
static inline void mv_jit_numbers_set(struct mv_jit_numbers *ret)
{
}
static inline void mv_jit_mark(struct mv_jit *jit, struct mv_jit_page **io_page, struct mv_op *ops,
                               unsigned slot)
{
}
static inline void mv_jit_decoded(struct mv_jit_page *page, struct mv_op *op)
{
}
static inline void mv_jit_drop_lines(struct mv_jit *jit, struct mv_jit_page *page, uint64_t lines)
{
}
static inline void mv_jit_drop_page(struct mv_jit *jit, struct mv_jit_page **io_page)
{
}
static inline void mv_jit_fp_end(struct mv_cpu *cpu)
{
}
static inline const struct mv_op *mv_jit_take_access(struct mv_cpu *cpu,
                                                     const struct mv_fault_point *point)
{
    return NULL;
}
#endif

#endif
