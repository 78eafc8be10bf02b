/* SPDX-License-Identifier: Apache-2.0 */
/* How emitters of accesses find the host's memory (op-memory.c). */
#ifndef MV_JIT_OP_MEMORY_H
#define MV_JIT_OP_MEMORY_H

#include "emitters.h"

/* rax is what the op's base register has; a stack pointer that is not aligned is cold. */
void mv_emit_base(struct mv_translator *t);

/* Whose permissions an access has: the exception level's, or EL0's in any case. */
enum mv_set_kind { MV_SET_OWN, MV_SET_EL0 };

/*
 * Compare the tag of the page's entry with the address in rax, of `total` bytes, a power of two
 * to which they have to be aligned or not.  The entry stands at mv_entry_at behind that; the
 * jump to what is cold, where it does not take the access, is returned.
 */
size_t mv_emit_tag(struct mv_translator *t, enum mv_set_kind set, bool write, unsigned total,
                   bool aligned);
struct mv_host_mem mv_entry_at(enum mv_set_kind set, size_t member);
struct mv_host_mem mv_stream_at(unsigned stream, size_t member);
#define MV_STREAM(stream, member) mv_stream_at(stream, offsetof(struct mv_tlb_stream, member))
/* In rcx, of rax, of which entry d[0] stands at MV_SET with that added; rdx is spoilt. */
void mv_emit_index(struct mv_emit *e);
#define MV_ENTRY(set, member) mv_entry_at(set, offsetof(struct mv_dtlb_entry, member))

#endif
