/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of loads and stores, as interpreter/op-memory.c has their handlers.  An access
 * looks its page up in the TLB inline; one that is not found there, has to be aligned, or
 * crosses the page is cold, and goes the interpreter's way.  Nothing of the guest's state changes
 * before the access has succeeded.
 */
#include "op-memory.h"

#include "sysreg.h"

enum mode { MODE_imm, MODE_post, MODE_pre, MODE_reg, MODE_ext };

/* What a page's entry is found by (mv_dtlb_index), times an entry's size. */
#define INDEX_BITS 0x7fe0

void mv_emit_index(struct mv_emit *e)
{
    _Static_assert(MV_DTLB_ENTRIES == 1024 && sizeof(struct mv_dtlb_entry) == 32,
                   "the index is bits 12-21");
    mv_rorx(e, false, MV_RCX, MV_RAX, 7);
    mv_alu_ri(e, false, MV_AND, MV_RCX, INDEX_BITS);
}

struct mv_host_mem mv_entry_at(enum mv_set_kind set, size_t member)
{
    int32_t at = (int32_t)(offsetof(struct mv_tlb_set, d) + member);
    return set == MV_SET_EL0 ? mv_at(MV_RCX, at) : mv_at_index(MV_SET, MV_RCX, 0, at);
}

/* In rdx, of an access at rax; or with what is not aligned of the address. */
static void emit_last_page(struct mv_translator *t, unsigned total, bool aligned)
{
    if (aligned || total == 1)
        mv_mov_rr(&t->e, true, MV_RDX, MV_RAX);
    else
        mv_lea(&t->e, true, MV_RDX, mv_at(MV_RAX, (int32_t)total - 1));
    mv_alu_ri(&t->e, true, MV_AND, MV_RDX, aligned ? -4096 | (int32_t)(total - 1) : -4096);
}

struct mv_host_mem mv_stream_at(unsigned stream, size_t member)
{
    return mv_at(MV_SET, (int32_t)(offsetof(struct mv_tlb_set, streams) +
                                   stream * sizeof(struct mv_tlb_stream) + member));
}

size_t mv_emit_tag(struct mv_translator *t, enum mv_set_kind set, bool write, unsigned total,
                   bool aligned)
{
    mv_emit_index(&t->e);
    if (set == MV_SET_EL0)
        mv_alu_rm(&t->e, true, MV_ADD, MV_RCX, MV_STATE(mmu.low_el0));
    emit_last_page(t, total, aligned);
    mv_alu_rm(&t->e, true, MV_CMP, MV_RDX,
              write ? MV_ENTRY(set, write_tag) : MV_ENTRY(set, read_tag));
    t->eflags = false;
    return mv_jcc(&t->e, MV_CC_NE);
}

/*
 * Whether an access goes by the stream of its base: that takes what is aligned to all of its
 * bytes, for nothing else says that both ends are in one page.  Two registers often are not,
 * but on the stack.  What was found to go astray all the time looks its page up.
 */
static bool is_stream(const struct mv_translator *t, bool pair)
{
    uint64_t bases = pair ? t->steady & MV_STACK_BASES : t->steady;
    return (bases >> t->op.rn & 1) && !(t->page->strays[t->slot / 64] >> t->slot % 64 & 1);
}

/* rcx + rax is the host's address from here on; what is cold then, of that kind, is returned. */
static struct mv_cold *emit_look_up(struct mv_translator *t, enum mv_cold_kind kind, bool write,
                                    unsigned total, bool pair)
{
    struct mv_cold *cold;
    if (!is_stream(t, pair)) {
        cold = mv_cold_at(t, kind, mv_emit_tag(t, MV_SET_OWN, write, total, false));
        mv_mov_rm(&t->e, true, MV_RCX, MV_ENTRY(MV_SET_OWN, addend));
        return cold;
    }
    unsigned stream = t->op.rn == MV_REG_SP ? MV_TLB_STREAMS - 1 : t->op.rn;
    emit_last_page(t, total, true);
    mv_alu_rm(&t->e, true, MV_CMP, MV_RDX,
              write ? MV_STREAM(stream, write_tag) : MV_STREAM(stream, read_tag));
    t->eflags = false;
    cold = mv_cold_at(t, kind, mv_jcc(&t->e, MV_CC_NE));
    mv_mov_rm(&t->e, true, MV_RCX, MV_STREAM(stream, addend));
    cold->streams = true;
    cold->writes = write;
    cold->total = (uint8_t)total;
    cold->stream = (uint8_t)stream;
    cold->hit = t->e.used;
    return cold;
}

#define HOST(disp) mv_at_index(MV_RCX, MV_RAX, 0, disp)

static enum mv_host_reg use_base(struct mv_translator *t)
{
    enum mv_host_reg base = mv_use(t, t->op.rn, MV_RAX);
    if (t->op.rn == MV_REG_SP) {
        mv_test_ri(&t->e, false, base, 15);
        mv_cold_at(t, MV_COLD_INTERPRET, mv_jcc(&t->e, MV_CC_NE));
        t->eflags = false;
    }
    return base;
}

void mv_emit_base(struct mv_translator *t)
{
    enum mv_host_reg base = use_base(t);
    if (base != MV_RAX)
        mv_mov_rr(&t->e, true, MV_RAX, base);
}

/* The address in rax. */
static void emit_address(struct mv_translator *t, enum mode mode)
{
    if (mode == MODE_post || ((mode == MODE_imm || mode == MODE_pre) && t->op.imm == 0)) {
        mv_emit_base(t);
        return;
    }
    enum mv_host_reg base = use_base(t);
    if (mode == MODE_reg) {
        mv_lea(&t->e, true, MV_RAX,
               mv_at_index(base, mv_use(t, t->op.rm, MV_RCX), (unsigned)t->op.imm, 0));
    } else if (mode == MODE_ext) {
        enum mv_host_reg m = mv_use(t, t->op.rm, MV_RCX);
        mv_extend_rr(&t->e, 1u << (t->op.aux & 3), t->op.aux & 4, true, MV_RCX, m);
        mv_lea(&t->e, true, MV_RAX, mv_at_index(base, MV_RCX, (unsigned)t->op.imm, 0));
    } else {
        mv_lea(&t->e, true, MV_RAX, mv_at(base, (int32_t)t->op.imm));
    }
}

static void emit_writeback(struct mv_translator *t, enum mode mode)
{
    if (mode != MODE_post && mode != MODE_pre)
        return;
    enum mv_host_reg to = mv_def(t, t->op.rn, MV_RAX);
    mv_lea(&t->e, true, to, mv_at(mv_use(t, t->op.rn, MV_RAX), (int32_t)t->op.imm));
    mv_set(t, t->op.rn, to);
}

/* Numbers that no addressing mode of the host has, and bases that are written twice. */
static bool is_odd(const struct mv_translator *t, enum mode mode, bool loads, bool pair)
{
    bool back = mode == MODE_post || mode == MODE_pre;
    return (back || mode == MODE_imm ? (int64_t)t->op.imm != (int32_t)t->op.imm : t->op.imm > 3) ||
           (back && loads && (t->op.rd == t->op.rn || (pair && t->op.ra == t->op.rn)));
}

/* --- of general registers */

static enum mv_jit_thunk thunk_of(enum mv_jit_thunk first, unsigned size)
{
    return first + (unsigned)__builtin_ctz(size);
}

static void emit_load(struct mv_translator *t, unsigned size, bool is_signed, bool wide)
{
    enum mv_host_reg to = mv_def(t, t->op.rd, MV_RAX);
    struct mv_cold *cold = emit_look_up(t, MV_COLD_READ, false, size, false);
    cold->thunk = thunk_of(MV_THUNK_READ8, size);
    cold->size = (uint8_t)size;
    cold->is_signed = is_signed;
    cold->wide = wide;
    cold->host[0] = (uint8_t)to;
    cold->guest[0] = t->op.rd;
    mv_load(&t->e, size, is_signed, wide, to, HOST(0));
    mv_access_here(t);
    mv_cold_back(t, cold);
    mv_set(t, t->op.rd, to);
}

static bool load(struct mv_translator *t, enum mode mode, unsigned size, bool is_signed, bool wide)
{
    if (is_odd(t, mode, true, false))
        return false;
    emit_address(t, mode);
    emit_load(t, size, is_signed, wide);
    emit_writeback(t, mode);
    return true;
}

static bool store(struct mv_translator *t, enum mode mode, unsigned size)
{
    if (is_odd(t, mode, false, false))
        return false;
    emit_address(t, mode);
    struct mv_cold *cold = emit_look_up(t, MV_COLD_WRITE, true, size, false);
    cold->thunk = thunk_of(MV_THUNK_WRITE8, size);
    cold->guest[0] = t->op.rd;
    mv_store(&t->e, size, HOST(0), mv_use(t, t->op.rd, MV_RDX));
    mv_access_here(t);
    mv_cold_back(t, cold);
    emit_writeback(t, mode);
    return true;
}

static bool load_pair(struct mv_translator *t, enum mode mode, unsigned size, bool is_signed)
{
    if (is_odd(t, mode, true, true))
        return false;
    emit_address(t, mode);
    enum mv_host_reg first = mv_def(t, t->op.rd, MV_RDX), second = mv_def(t, t->op.ra, MV_RAX);
    struct mv_cold *cold = emit_look_up(t, MV_COLD_READ, false, 2 * size, true);
    cold->thunk = size == 4 ? MV_THUNK_READ_PAIR32 : MV_THUNK_READ_PAIR64;
    cold->size = (uint8_t)size;
    cold->is_signed = is_signed;
    cold->wide = true;
    cold->host[0] = (uint8_t)first;
    cold->host[1] = (uint8_t)second;
    cold->guest[0] = t->op.rd;
    cold->guest[1] = t->op.ra;
    /* Neither may change before both are there. */
    mv_load(&t->e, size, is_signed, true, MV_RDX, HOST(0));
    mv_access_here(t);
    mv_load(&t->e, size, is_signed, true, MV_RAX, HOST((int32_t)size));
    mv_access_here(t);
    if (first != MV_RDX)
        mv_mov_rr(&t->e, true, first, MV_RDX);
    if (second != MV_RAX)
        mv_mov_rr(&t->e, true, second, MV_RAX);
    mv_cold_back(t, cold);
    mv_set(t, t->op.rd, first);
    mv_set(t, t->op.ra, second);
    emit_writeback(t, mode);
    return true;
}

static bool store_pair(struct mv_translator *t, enum mode mode, unsigned size)
{
    if (is_odd(t, mode, false, true))
        return false;
    emit_address(t, mode);
    struct mv_cold *cold = emit_look_up(t, MV_COLD_WRITE, true, 2 * size, true);
    cold->thunk = size == 4 ? MV_THUNK_WRITE_PAIR32 : MV_THUNK_WRITE_PAIR64;
    cold->guest[0] = t->op.rd;
    cold->guest[1] = t->op.ra;
    mv_store(&t->e, size, HOST(0), mv_use(t, t->op.rd, MV_RDX));
    mv_access_here(t);
    mv_store(&t->e, size, HOST((int32_t)size), mv_use(t, t->op.ra, MV_RDX));
    mv_access_here(t);
    mv_cold_back(t, cold);
    emit_writeback(t, mode);
    return true;
}

#define MODE(name, how, call)                                                                      \
    bool mv_emit_##name##_##how(struct mv_translator *t)                                           \
    {                                                                                              \
        const enum mode m = MODE_##how;                                                            \
        return call;                                                                               \
    }
#define PAIR(name, call)   MODE(name, imm, call) MODE(name, post, call) MODE(name, pre, call)
#define SINGLE(name, call) PAIR(name, call) MODE(name, reg, call) MODE(name, ext, call)
SINGLE(ldr8, load(t, m, 1, false, false))
SINGLE(ldr16, load(t, m, 2, false, false))
SINGLE(ldr32, load(t, m, 4, false, false))
SINGLE(ldr64, load(t, m, 8, false, false))
SINGLE(ldrs8_x, load(t, m, 1, true, true))
SINGLE(ldrs16_x, load(t, m, 2, true, true))
SINGLE(ldrs32_x, load(t, m, 4, true, true))
SINGLE(ldrs8_w, load(t, m, 1, true, false))
SINGLE(ldrs16_w, load(t, m, 2, true, false))
SINGLE(str8, store(t, m, 1))
SINGLE(str16, store(t, m, 2))
SINGLE(str32, store(t, m, 4))
SINGLE(str64, store(t, m, 8))
PAIR(ldp32, load_pair(t, m, 4, false))
PAIR(ldp64, load_pair(t, m, 8, false))
PAIR(ldps32, load_pair(t, m, 4, true))
PAIR(stp32, store_pair(t, m, 4))
PAIR(stp64, store_pair(t, m, 8))

/* --- with EL0's permissions, as kernels copy from and to users */

bool mv_emit_ldtr(struct mv_translator *t)
{
    enum mv_host_reg to = mv_def(t, t->op.rd, MV_RAX);
    unsigned size = t->op.aux;
    emit_address(t, MODE_imm);
    size_t place = mv_emit_tag(t, MV_SET_EL0, false, size, false);
    struct mv_cold *cold = mv_cold_at(t, MV_COLD_HANDLER, place);
    mv_mov_rm(&t->e, true, MV_RCX, MV_ENTRY(MV_SET_EL0, addend));
    mv_load(&t->e, size, t->op.ra != 0, t->op.ra != 32, to, HOST(0));
    mv_access_here(t);
    mv_set(t, t->op.rd, to);
    mv_cold_back(t, cold);
    return true;
}

bool mv_emit_sttr(struct mv_translator *t)
{
    unsigned size = t->op.aux;
    emit_address(t, MODE_imm);
    size_t place = mv_emit_tag(t, MV_SET_EL0, true, size, false);
    struct mv_cold *cold = mv_cold_at(t, MV_COLD_HANDLER, place);
    mv_mov_rm(&t->e, true, MV_RCX, MV_ENTRY(MV_SET_EL0, addend));
    mv_store(&t->e, size, HOST(0), mv_use(t, t->op.rd, MV_RDX));
    mv_access_here(t);
    mv_cold_back(t, cold);
    return true;
}

/* --- of V registers: the rest becomes zero */

static void emit_load_vector(struct mv_translator *t, unsigned size)
{
    static const unsigned loads[] = {[4] = MV_VMOVSS, [8] = MV_VMOVSD, [16] = MV_VMOVUPS};
    unsigned to = t->xmm[t->op.rd];
    struct mv_cold *cold = emit_look_up(t, MV_COLD_READ, false, size, false);
    cold->thunk = size == 16 ? MV_THUNK_READ_PAIR128 : thunk_of(MV_THUNK_READ8, size);
    cold->is_vector = true;
    cold->guest[0] = t->op.rd;
    if (size >= 4) {
        mv_v_rm(&t->e, false, loads[size], to, 0, HOST(0));
        mv_access_here(t);
    } else {
        mv_load(&t->e, size, false, false, MV_RAX, HOST(0));
        mv_access_here(t);
        mv_v_rr(&t->e, true, MV_VMOVD_GENERAL, to, 0, MV_RAX);
    }
    /* By one store, which loads of any size can be served from. */
    mv_v_set(t, t->op.rd, to);
    mv_cold_back(t, cold);
}

static bool load_vector(struct mv_translator *t, enum mode mode, unsigned size)
{
    if (is_odd(t, mode, false, false) || (size == 16 && t->op.imm > 3 && mode >= MODE_reg))
        return false;
    mv_check_vector(t);
    emit_address(t, mode);
    emit_load_vector(t, size);
    emit_writeback(t, mode);
    return true;
}

static bool store_vector(struct mv_translator *t, enum mode mode, unsigned size)
{
    bool whole = size == 16;
    if (is_odd(t, mode, false, false))
        return false;
    mv_check_vector(t);
    emit_address(t, mode);
    struct mv_cold *cold = emit_look_up(t, MV_COLD_WRITE, true, size, false);
    cold->thunk = whole ? MV_THUNK_WRITE_PAIR128 : thunk_of(MV_THUNK_WRITE8, size);
    cold->is_vector = true;
    cold->guest[0] = t->op.rd;
    if (whole) {
        mv_vstore(&t->e, HOST(0), mv_v_use(t, t->op.rd, 0));
    } else if (size >= 4 && t->xmm[t->op.rd] != 0) {
        mv_v_rm(&t->e, false, (size == 4 ? MV_VMOVSS : MV_VMOVSD) + 1, t->xmm[t->op.rd], 0, HOST(0));
    } else {
        mv_mov_rm(&t->e, true, MV_RDX, mv_v_stored_at(t, t->op.rd, 0));
        mv_store(&t->e, size, HOST(0), MV_RDX);
    }
    mv_access_here(t);
    mv_cold_back(t, cold);
    emit_writeback(t, mode);
    return true;
}

#define VECTOR(bits)                                                                               \
    SINGLE(ldr_v##bits, load_vector(t, m, bits / 8))                                               \
    SINGLE(str_v##bits, store_vector(t, m, bits / 8))
VECTOR(8)
VECTOR(16)
VECTOR(32)
VECTOR(64)
VECTOR(128)

static struct mv_cold *emit_pair_address(struct mv_translator *t, enum mode mode, bool write,
                                         unsigned size)
{
    mv_check_vector(t);
    emit_address(t, mode);
    return emit_look_up(t, MV_COLD_HANDLER, write, 2 * size, true);
}

static void move_scalar(struct mv_translator *t, unsigned size, bool store, unsigned xmm,
                        struct mv_host_mem m)
{
    static const unsigned loads[] = {[4] = MV_VMOVSS, [8] = MV_VMOVSD, [16] = MV_VMOVUPS};
    mv_v_rm(&t->e, false, loads[size] + store, xmm, 0, m);
    mv_access_here(t);
}

static bool load_vector_pair(struct mv_translator *t, enum mode mode, unsigned size)
{
    if (is_odd(t, mode, false, false))
        return false;
    struct mv_cold *cold = emit_pair_address(t, mode, false, size);
    move_scalar(t, size, false, 0, HOST(0));
    move_scalar(t, size, false, 1, HOST((int32_t)size));
    mv_v_set(t, t->op.rd, 0);
    mv_v_set(t, t->op.ra, 1);
    emit_writeback(t, mode);
    mv_cold_back(t, cold);
    return true;
}

static bool store_vector_pair(struct mv_translator *t, enum mode mode, unsigned size)
{
    if (is_odd(t, mode, false, false))
        return false;
    struct mv_cold *cold = emit_pair_address(t, mode, true, size);
    move_scalar(t, size, true, mv_v_use(t, t->op.rd, 0), HOST(0));
    move_scalar(t, size, true, mv_v_use(t, t->op.ra, 1), HOST((int32_t)size));
    emit_writeback(t, mode);
    mv_cold_back(t, cold);
    return true;
}

#define VECTOR_PAIR(bits)                                                                          \
    PAIR(ldp_v##bits, load_vector_pair(t, m, bits / 8))                                            \
    PAIR(stp_v##bits, store_vector_pair(t, m, bits / 8))
VECTOR_PAIR(32)
VECTOR_PAIR(64)
VECTOR_PAIR(128)

/* --- PC-relative literals */

static bool literal(struct mv_translator *t, unsigned size, bool is_signed)
{
    mv_use_pc(t, MV_RAX, t->slot * UINT64_C(4) + t->op.imm);
    emit_load(t, size, is_signed, true);
    return true;
}

bool mv_emit_ldr32_lit(struct mv_translator *t)
{
    return literal(t, 4, false);
}

bool mv_emit_ldr64_lit(struct mv_translator *t)
{
    return literal(t, 8, false);
}

bool mv_emit_ldrs32_lit(struct mv_translator *t)
{
    return literal(t, 4, true);
}

/* --- DC ZVA, where EL0 has it, too; of Device memory it is a fault */

bool mv_emit_dc_zva(struct mv_translator *t)
{
    mv_test_mi(&t->e, MV_STATE(sys.sctlr), MV_SCTLR_DZE);
    mv_cold_at(t, MV_COLD_INTERPRET, mv_jcc(&t->e, MV_CC_E));
    mv_use_in(t, true, t->op.rd, MV_RAX);
    mv_alu_ri(&t->e, true, MV_AND, MV_RAX, -64);
    mv_emit_index(&t->e);
    mv_mov_rr(&t->e, true, MV_RDX, MV_RAX);
    mv_alu_ri(&t->e, true, MV_AND, MV_RDX, -4096);
    mv_alu_rm(&t->e, true, MV_CMP, MV_RDX, MV_ENTRY(MV_SET_OWN, write_tag));
    mv_cold_at(t, MV_COLD_INTERPRET, mv_jcc(&t->e, MV_CC_NE));
    mv_mov_rm(&t->e, true, MV_RCX, MV_ENTRY(MV_SET_OWN, addend));
    mv_vzero(&t->e, 0);
    for (int32_t at = 0; at < 64; at += 16)
        mv_vstore(&t->e, HOST(at), 0);
    mv_access_here(t);
    t->eflags = false;
    return true;
}
