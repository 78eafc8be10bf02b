/* SPDX-License-Identifier: Apache-2.0 */
#include "debug.h"

#include "a64.h"
#include "code-cache.h"
#include "emulator.h"
#include "exception.h"
#include "interpreter.h"

#include <stddef.h>

#define MDSCR_SS 1u
#define MDSCR_KDE (1u << 13)
#define MDSCR_MDE (1u << 15)
#define OSDLR_DLK 1u

/* Fields of DBGBCR<n>_EL1 and DBGWCR<n>_EL1 (Arm ARM D17.3.2, D17.3.11). */
#define CR_E(cr) ((cr) & 1)
#define CR_PRIVILEGE(cr) ((cr) >> 1 & 3)
#define CR_SSC(cr) ((cr) >> 14 & 3)
#define CR_LBN(cr) ((cr) >> 16 & 15)
#define BCR_BT(cr) ((cr) >> 20 & 15)
#define WCR_LSC(cr) ((cr) >> 3 & 3)
#define WCR_BAS(cr) ((cr) >> 5 & 0xff)
#define WCR_LINKED(cr) ((cr) >> 20 & 1)
#define WCR_MASK(cr) ((cr) >> 24 & 31)
enum { BT_ADDRESS, BT_LINKED_ADDRESS, BT_CONTEXT, BT_LINKED_CONTEXT };

/* ID_AA64DFR0_EL1.CTX_CMPs: the last two know contexts. */
#define FIRST_CONTEXT_BREAKPOINT 4
#define BREAKPOINTS 6
#define WATCHPOINTS 4

#define STEP_ISV (1u << 24)
#define STEP_EX (1u << 6)

/* --- when the guest's debug exceptions are enabled (D2.4) */

static bool enabled_from(const struct mv_cpu *cpu, unsigned el, bool masked)
{
    if ((cpu->sys.oslsr & MV_OSLSR_OSLK) || (cpu->sys.osdlr & OSDLR_DLK))
        return false;
    return el == 0 || ((cpu->sys.mdscr & MDSCR_KDE) && !masked);
}

static bool enabled(const struct mv_cpu *cpu)
{
    return enabled_from(cpu, cpu->el, cpu->daif & MV_DAIF_D);
}

bool mv_debug_step_on_return(const struct mv_cpu *cpu, uint64_t spsr)
{
    return (cpu->sys.mdscr & MDSCR_SS) && !enabled(cpu) &&
           enabled_from(cpu, spsr >> 2 & 3, spsr & MV_DAIF_D) && (spsr & MV_SPSR_SS);
}

static bool step_active(const struct mv_cpu *cpu)
{
    return (cpu->sys.mdscr & MDSCR_SS) && enabled(cpu);
}

/* --- matching (D2.8.3, D2.9.4) */

/* By exception level and security state; this is Non-secure, without EL2 and EL3. */
static bool state_matches(uint64_t cr, unsigned el)
{
    if (CR_SSC(cr) == 2)
        return false;
    return el == 0 ? CR_PRIVILEGE(cr) & 2 : CR_PRIVILEGE(cr) & 1;
}

static bool context_matches(const struct mv_cpu *cpu, unsigned n)
{
    return (uint32_t)cpu->sys.contextidr == (uint32_t)cpu->sys.dbgbvr[n];
}

static bool link_matches(const struct mv_cpu *cpu, unsigned n)
{
    return n >= FIRST_CONTEXT_BREAKPOINT && n < BREAKPOINTS && CR_E(cpu->sys.dbgbcr[n]) &&
           BCR_BT(cpu->sys.dbgbcr[n]) == BT_LINKED_CONTEXT && context_matches(cpu, n);
}

/* BVR has address bits 48-2, and above them copies of bit 48. */
static uint64_t breakpoint_address(const struct mv_cpu *cpu, unsigned n)
{
    return (uint64_t)((int64_t)(cpu->sys.dbgbvr[n] << 15) >> 15) & ~UINT64_C(3);
}

static bool breakpoint_matches(const struct mv_cpu *cpu, unsigned n, uint64_t pc)
{
    uint64_t cr = cpu->sys.dbgbcr[n];
    if (!state_matches(cr, cpu->el))
        return false;
    switch (BCR_BT(cr)) {
    case BT_ADDRESS:
        return breakpoint_address(cpu, n) == pc;
    case BT_LINKED_ADDRESS:
        return breakpoint_address(cpu, n) == pc && link_matches(cpu, CR_LBN(cr));
    case BT_CONTEXT:
        return n >= FIRST_CONTEXT_BREAKPOINT && context_matches(cpu, n);
    default:
        return false;
    }
}

/*
 * The bytes that a watchpoint watches, as a first address and a mask of the
 * address bits that do not count.  BAS picks bytes of a doubleword; 0: none.
 */
static bool watched_bytes(const struct mv_cpu *cpu, unsigned n, uint64_t *ret_base,
                          uint64_t *ret_len)
{
    uint64_t cr = cpu->sys.dbgwcr[n];
    uint64_t address = (uint64_t)((int64_t)(cpu->sys.dbgwvr[n] << 15) >> 15) & ~UINT64_C(3);
    unsigned bits = (unsigned)WCR_MASK(cr);
    unsigned bas = (unsigned)WCR_BAS(cr);
    if (bits >= 3) {
        *ret_len = UINT64_C(1) << bits;
        *ret_base = address & ~(*ret_len - 1);
        return true;
    }
    if (address & 4)
        bas &= 0xf;
    if (bas == 0 || bits != 0)
        return false;
    /* Bytes that are not contiguous: the run from the first to the last (D2.9.3). */
    unsigned first = (unsigned)__builtin_ctz(bas), last = 31 - (unsigned)__builtin_clz(bas);
    *ret_base = address + first;
    *ret_len = last - first + 1;
    return true;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a - b < b_len || b - a < a_len;
}

/* --- what follows from the registers */

static const struct mv_debug_points *host_points(const struct mv_cpu *cpu)
{
    return &cpu->emulator->debug_points;
}

static void update_on(struct mv_cpu *cpu)
{
    struct mv_debug *d = &cpu->debug;
    d->on = d->breakpoints != 0 || host_points(cpu)->break_count != 0 || d->host_step || d->pass ||
            (cpu->sys.mdscr & MDSCR_SS);
}

/* One instruction alone may pass a point, and it is done or was tried. */
static void end_pass(struct mv_cpu *cpu)
{
    if (!cpu->debug.pass)
        return;
    cpu->debug.pass = false;
    update_on(cpu);
}

bool mv_debug_in_page(const struct mv_cpu *cpu, uint64_t pc)
{
    const struct mv_debug *d = &cpu->debug;
    const struct mv_debug_points *host = host_points(cpu);
    uint64_t page = pc & MV_PAGE_MASK;
    if (d->any_page)
        return true;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        if ((d->breakpoints >> n & 1) && (breakpoint_address(cpu, n) & MV_PAGE_MASK) == page)
            return true;
    }
    for (unsigned i = 0; i < host->break_count; i++) {
        if ((host->breaks[i] & MV_PAGE_MASK) == page)
            return true;
    }
    return false;
}

static const struct mv_cpu *cpu_of(const struct mv_softmmu_watch *watch)
{
    return (const struct mv_cpu *)((const char *)watch - offsetof(struct mv_cpu, debug.watch));
}

static bool watches_page(const struct mv_softmmu_watch *watch, uint64_t va)
{
    const struct mv_cpu *cpu = cpu_of(watch);
    uint64_t base, len, page = va & MV_PAGE_MASK;
    const struct mv_debug_points *host = host_points(cpu);
    for (unsigned n = 0; n < WATCHPOINTS; n++) {
        if ((cpu->debug.watchpoints >> n & 1) && watched_bytes(cpu, n, &base, &len) &&
            overlap(page, MV_PAGE_SIZE, base, len))
            return true;
    }
    for (unsigned i = 0; i < host->watch_count; i++) {
        if (overlap(page, MV_PAGE_SIZE, host->watches[i].address, host->watches[i].size))
            return true;
    }
    return false;
}

/* --- watchpoints */

/* For the outer debugger: the thread leaves, the instruction has not happened. */
static void stop_for_host(struct mv_cpu *cpu, uint64_t pc, const struct mv_debug_stop *stop)
{
    cpu->debug.stop = *stop;
    mv_debug_stop_at(cpu, pc);
}

void mv_debug_stop_at(struct mv_cpu *cpu, uint64_t pc)
{
    cpu->debug.stop_pc = pc;
    cpu->exit = MV_EXIT_DEBUG;
    cpu->exit_wanted = true;
    cpu->pc = pc;
}

/* Whether it is let past this point, since that is where it stopped. */
static bool passes(const struct mv_cpu *cpu, enum mv_debug_reason reason, uint64_t address,
                   unsigned kinds)
{
    const struct mv_debug *d = &cpu->debug;
    return d->pass && d->stop.reason == reason && d->stop.address == address &&
           d->stop.kinds == kinds;
}

static bool meets_watchpoint(const struct mv_cpu *cpu, uint64_t va, unsigned len, unsigned kinds,
                             unsigned el, struct mv_mmu_fault *ret)
{
    for (unsigned n = 0; n < WATCHPOINTS && enabled(cpu); n++) {
        uint64_t cr = cpu->sys.dbgwcr[n], base, size;
        if (!(cpu->debug.watchpoints >> n & 1) || !(WCR_LSC(cr) & kinds) ||
            !state_matches(cr, el) || !watched_bytes(cpu, n, &base, &size) ||
            !overlap(va, len, base, size) ||
            (WCR_LINKED(cr) && !link_matches(cpu, (unsigned)CR_LBN(cr))))
            continue;
        *ret = (struct mv_mmu_fault){
            .kind = MV_MMU_FAULT_WATCHPOINT,
            .fsc = MV_FSC_DEBUG,
            /* WnR is 0 where a read alone would have done (D17.2.37). */
            .write = !(WCR_LSC(cr) & kinds & MV_DEBUG_READ),
            .address = va - base < size ? va : base,
        };
        return true;
    }
    return false;
}

static bool meets_host_watch(struct mv_cpu *cpu, uint64_t va, unsigned len, unsigned kinds)
{
    const struct mv_debug_points *host = host_points(cpu);
    for (unsigned i = 0; i < host->watch_count; i++) {
        const struct mv_debug_watch *w = &host->watches[i];
        if ((w->kinds & kinds) == 0 || !overlap(va, len, w->address, w->size) ||
            passes(cpu, MV_DEBUG_WATCHPOINT, w->address, w->kinds))
            continue;
        cpu->debug.stop = (struct mv_debug_stop){
            .reason = MV_DEBUG_WATCHPOINT, .address = w->address, .kinds = w->kinds};
        return true;
    }
    return false;
}

static bool watches_access(const struct mv_softmmu_watch *watch, uint64_t va, unsigned len,
                           unsigned access, struct mv_mmu_fault *ret)
{
    struct mv_cpu *cpu = (struct mv_cpu *)(uintptr_t)cpu_of(watch);
    unsigned el = access & MV_ACCESS_EL0 ? 0 : cpu->el;
    unsigned kinds = access & MV_ACCESS_BOTH    ? MV_DEBUG_READ | MV_DEBUG_WRITE
                     : access & MV_ACCESS_WRITE ? MV_DEBUG_WRITE
                                                : MV_DEBUG_READ;
    if (meets_watchpoint(cpu, va, len, kinds, el, ret))
        return true;
    *ret = (struct mv_mmu_fault){.kind = MV_MMU_FAULT_STOP};
    return meets_host_watch(cpu, va, len, kinds);
}

void mv_debug_update(struct mv_cpu *cpu)
{
    struct mv_debug *d = &cpu->debug;
    bool mde = cpu->sys.mdscr & MDSCR_MDE;
    const struct mv_debug_points *host = host_points(cpu);
    d->breakpoints = d->watchpoints = 0;
    d->any_page = false;
    for (unsigned n = 0; n < BREAKPOINTS && mde; n++) {
        uint64_t cr = cpu->sys.dbgbcr[n];
        d->breakpoints |= (uint8_t)(CR_E(cr) << n);
        d->any_page |= CR_E(cr) && BCR_BT(cr) == BT_CONTEXT;
    }
    for (unsigned n = 0; n < WATCHPOINTS && mde; n++)
        d->watchpoints |= (uint8_t)(CR_E(cpu->sys.dbgwcr[n]) << n);
    bool watching = d->watchpoints != 0 || host->watch_count != 0;
    d->watch = (struct mv_softmmu_watch){.page = watches_page, .access = watches_access};
    cpu->mmu.watch = watching ? &d->watch : NULL;
    update_on(cpu);
    /* Pages that are marked, or are to be. */
    mv_tlb_flush_all(&cpu->mmu.tlb);
}

/* --- running */

static bool is_exclusive_load(const struct mv_op_traits *traits)
{
    return (traits->writes & (MV_OPERAND_MONITOR | MV_OPERAND_MEMORY)) == MV_OPERAND_MONITOR &&
           (traits->reads & MV_OPERAND_MEMORY);
}

/*
 * Run the instruction at pc alone.  Its op stands apart, before one that goes
 * back to the run loop; what would go elsewhere goes back as well, for attention
 * is due.
 */
static void run_single(struct mv_cpu *cpu, const struct mv_op *ops)
{
    struct mv_debug *d = &cpu->debug;
    uint64_t slot = (cpu->pc & ~MV_PAGE_MASK) / 4;
    mv_a64_decode(mv_code_cache_word(ops, (unsigned)slot), &d->single[0]);
    d->single[1] = (struct mv_op){.code = MV_OPCODE_single_end};
    const struct mv_op_traits *traits = &mv_op_traits[d->single[0].code];
    d->stepped_exclusive = is_exclusive_load(traits);
    cpu->page_va = cpu->pc & MV_PAGE_MASK;
    cpu->page_ops = (const struct mv_op *)((uintptr_t)d->single - slot * sizeof(struct mv_op));
    if (traits->flags & MV_OP_ENDS)
        atomic_fetch_or(&cpu->attention, MV_ATTENTION_STEP);
    const struct mv_op *op = &d->single[0];
    while (op != NULL)
        op = mv_op_handlers[op->code](cpu, op);
    atomic_fetch_and(&cpu->attention, ~MV_ATTENTION_STEP);
}

MV_OP(single_end)
{
    return mv_cpu_leave(cpu, mv_op_pc(cpu, op));
}

void mv_debug_forget_step(struct mv_cpu *cpu)
{
    atomic_fetch_and(&cpu->attention, ~MV_ATTENTION_STEP);
    cpu->debug.stepped = false;
}

void mv_debug_end_step(struct mv_cpu *cpu)
{
    mv_debug_forget_step(cpu);
    end_pass(cpu);
    if (cpu->debug.host_step && !cpu->exit_wanted)
        stop_for_host(cpu, cpu->pc, &(struct mv_debug_stop){.reason = MV_DEBUG_STEP});
}

/* A breakpoint of the outer debugger's or the guest's at pc: true where one was met. */
static bool meet_breakpoint(struct mv_cpu *cpu, uint64_t pc)
{
    const struct mv_debug_points *host = host_points(cpu);
    for (unsigned i = 0; i < host->break_count; i++) {
        if (host->breaks[i] != pc || passes(cpu, MV_DEBUG_BREAKPOINT, pc, 0))
            continue;
        stop_for_host(cpu, pc,
                      &(struct mv_debug_stop){.reason = MV_DEBUG_BREAKPOINT, .address = pc});
        return true;
    }
    if (cpu->debug.breakpoints == 0 || !enabled(cpu))
        return false;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        if ((cpu->debug.breakpoints >> n & 1) && breakpoint_matches(cpu, n, pc)) {
            mv_exception_take(cpu, MV_EC_BREAKPOINT, MV_FSC_DEBUG, pc);
            return true;
        }
    }
    return false;
}

static void take_step(struct mv_cpu *cpu)
{
    uint32_t iss = MV_FSC_DEBUG;
    if (cpu->debug.stepped)
        iss |= STEP_ISV | (cpu->debug.stepped_exclusive ? STEP_EX : 0);
    cpu->debug.stepped = false;
    mv_exception_take(cpu, MV_EC_STEP, iss, cpu->pc);
}

/* The order is that of D1.3.5, "Prioritization of synchronous exceptions". */
void mv_debug_run(struct mv_cpu *cpu)
{
    struct mv_debug *d = &cpu->debug;
    bool stepping = step_active(cpu);
    if (cpu->pc != d->stop_pc)
        end_pass(cpu);
    if (stepping && !cpu->pstate_ss) {
        take_step(cpu);
        return;
    }
    const struct mv_op *ops = mv_cpu_fetch(cpu, cpu->pc);
    if (ops == NULL || meet_breakpoint(cpu, cpu->pc)) {
        if (ops == NULL && d->host_step)
            stop_for_host(cpu, cpu->pc, &(struct mv_debug_stop){.reason = MV_DEBUG_STEP});
        return;
    }
    if (cpu->pstate_il) {
        mv_exception_take(cpu, MV_EC_ILLEGAL_STATE, 0, cpu->pc);
        return;
    }
    if (!stepping && !d->host_step && !d->pass && !mv_debug_in_page(cpu, cpu->pc)) {
        mv_cpu_run_from(cpu, ops);
        return;
    }
    bool took_no_exception = cpu->pstate_ss;
    run_single(cpu, ops);
    end_pass(cpu);
    if (stepping) {
        /* An exception has kept PSTATE.SS in SPSR and cleared it. */
        d->stepped = took_no_exception && cpu->pstate_ss;
        cpu->pstate_ss = false;
    }
    if (d->host_step && !cpu->exit_wanted)
        stop_for_host(cpu, cpu->pc, &(struct mv_debug_stop){.reason = MV_DEBUG_STEP});
}
