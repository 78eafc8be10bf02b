/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs, and why it stopped.  This is "all-stop": at a stop of one vCPU all
 * have stopped, and the debugger says which go on.  A vCPU is a thread, numbered
 * from 1.
 */
#include "stub.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* GDB's numbers of signals, which stand for reasons here. */
enum { SIGNAL_INT = 2, SIGNAL_TRAP = 5 };

bool mv_gdb_parse_thread(struct mv_gdb *gdb, const char **text, unsigned *ret_cpu, bool *ret_any)
{
    uint64_t thread;
    bool minus = **text == '-';
    *text += minus;
    if (!mv_gdb_parse_hex(text, &thread))
        return false;
    *ret_any = minus || thread == 0;
    *ret_cpu = *ret_any ? gdb->stopped_cpu : (unsigned)(thread - 1);
    return *ret_any || thread <= mv_machine_cpu_count(gdb->machine);
}

/* --- stops */

static uint64_t all_cpus(const struct mv_gdb *gdb)
{
    unsigned count = mv_machine_cpu_count(gdb->machine);
    return count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static void note_stop(struct mv_gdb *gdb, unsigned cpu, int number, const char *what)
{
    gdb->waiting = false;
    gdb->stopped_cpu = gdb->general_cpu = cpu;
    mv_gdb_text_clear(&gdb->stop_reply);
    mv_gdb_text_print(&gdb->stop_reply, "T%02xthread:%x;%s", (unsigned)number, cpu + 1, what);
}

/* The lowest of those that ran, where the one that stopped last did not. */
static unsigned one_that_ran(const struct mv_gdb *gdb)
{
    if (gdb->let_go == 0 || (gdb->let_go >> gdb->stopped_cpu & 1))
        return gdb->stopped_cpu;
    return (unsigned)__builtin_ctzll(gdb->let_go);
}

static void tell_stop(struct mv_gdb *gdb)
{
    mv_gdb_send(gdb, gdb->stop_reply.bytes, gdb->stop_reply.len);
}

/* No vCPU is to step on when somebody else lets the machine run. */
static void end_steps(struct mv_gdb *gdb)
{
    for (unsigned i = 0; i < mv_machine_cpu_count(gdb->machine); i++) {
        struct mv_vcpu *vcpu = mv_machine_vcpu(gdb->machine, i);
        vcpu->ops->vcpu_debug(vcpu, false, false);
    }
}

static void pause_machine(struct mv_gdb *gdb)
{
    gdb->pausing = true;
    mv_machine_pause(gdb->machine);
    gdb->pausing = false;
    end_steps(gdb);
}

void mv_gdb_attach(struct mv_gdb *gdb)
{
    pause_machine(gdb);
    gdb->physical = false;
    gdb->stop_is_debug = false;
    note_stop(gdb, 0, SIGNAL_TRAP, "");
}

/* The guest goes on as if nobody had been there. */
void mv_gdb_detach(struct mv_gdb *gdb)
{
    pause_machine(gdb);
    mv_gdb_clear_points(gdb);
    gdb->waiting = false;
    mv_machine_resume(gdb->machine);
}

void mv_gdb_interrupt(struct mv_gdb *gdb)
{
    if (!gdb->waiting)
        return;
    pause_machine(gdb);
    gdb->stop_is_debug = false;
    note_stop(gdb, one_that_ran(gdb), SIGNAL_INT, "");
    tell_stop(gdb);
}

void mv_gdb_why(struct mv_gdb *gdb, const char *arguments)
{
    (void)arguments;
    tell_stop(gdb);
}

void mv_gdb_on_debug(void *opaque, unsigned cpu)
{
    struct mv_gdb *gdb = opaque;
    struct mv_vcpu *vcpu = mv_machine_vcpu(gdb->machine, cpu);
    struct mv_debug_stop stop;
    char what[64] = "";
    static const char *const names[] = {[MV_DEBUG_READ] = "rwatch", [MV_DEBUG_WRITE] = "watch",
                                        [MV_DEBUG_READ | MV_DEBUG_WRITE] = "awatch"};
    if (gdb->fd < 0)
        return;
    bool waited = gdb->waiting;
    end_steps(gdb);
    vcpu->ops->vcpu_debug_stop(vcpu, &stop);
    if (stop.reason == MV_DEBUG_WATCHPOINT)
        snprintf(what, sizeof what, "%s:%" PRIx64 ";", names[stop.kinds & 3], stop.address);
    gdb->stop_is_debug = true;
    note_stop(gdb, cpu, SIGNAL_TRAP, what);
    if (waited)
        tell_stop(gdb);
}

/*
 * The debugger's stop and that of others are one state: who lets the machine
 * go on lets it go on, and the debugger that thinks it stands is told so when
 * it asks for what needs a vCPU that does.
 */
static void let_go_by_others(struct mv_gdb *gdb)
{
    for (unsigned i = 0; i < mv_machine_cpu_count(gdb->machine); i++) {
        struct mv_vcpu *vcpu = mv_machine_vcpu(gdb->machine, i);
        vcpu->ops->vcpu_debug(vcpu, false, gdb->stop_is_debug && i == gdb->stopped_cpu);
    }
    gdb->let_go = all_cpus(gdb);
}

static void stopped_by_others(struct mv_gdb *gdb)
{
    bool waited = gdb->waiting;
    end_steps(gdb);
    gdb->stop_is_debug = false;
    note_stop(gdb, one_that_ran(gdb), SIGNAL_INT, "");
    if (waited)
        tell_stop(gdb);
}

void mv_gdb_on_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause)
{
    struct mv_gdb *gdb = opaque;
    if (gdb->fd < 0)
        return;
    if (event == MV_MACHINE_EVENT_SHUTDOWN) {
        mv_gdb_send_string(gdb, "W00");
    } else if (event == MV_MACHINE_EVENT_STOP && !gdb->pausing &&
               cause != MV_CAUSE_HOST_DEBUGGER) {
        stopped_by_others(gdb);
    } else if (event == MV_MACHINE_EVENT_RESUME && !gdb->waiting) {
        let_go_by_others(gdb);
    }
}

/* --- going on */

struct wish {
    uint64_t run;  /* bit masks of vCPUs */
    uint64_t step;
};

static void resume(struct mv_gdb *gdb, const struct wish *wish)
{
    /* Others may have let it go meanwhile; then it stands for as long as this takes. */
    if (mv_machine_state(gdb->machine) == MV_MACHINE_RUNNING)
        pause_machine(gdb);
    for (unsigned i = 0; i < mv_machine_cpu_count(gdb->machine); i++) {
        struct mv_vcpu *vcpu = mv_machine_vcpu(gdb->machine, i);
        /* Where it stopped at a point, it goes on behind that. */
        bool pass = gdb->stop_is_debug && i == gdb->stopped_cpu;
        vcpu->ops->vcpu_debug(vcpu, wish->step >> i & 1, pass);
    }
    gdb->waiting = true;
    gdb->let_go = wish->run | wish->step;
    mv_machine_resume_only(gdb->machine, wish->run | wish->step);
}

/* An address to go on at, in the packets c and s. */
static void set_pc(struct mv_gdb *gdb, const char *arguments)
{
    struct mv_vcpu *vcpu = mv_gdb_vcpu(gdb);
    struct mv_vcpu_regs regs;
    uint64_t pc;
    if (!mv_gdb_parse_hex(&arguments, &pc))
        return;
    if (mv_machine_state(gdb->machine) == MV_MACHINE_RUNNING)
        pause_machine(gdb);
    vcpu->ops->vcpu_get_regs(vcpu, &regs);
    regs.pc = pc;
    vcpu->ops->vcpu_set_regs(vcpu, &regs);
}

void mv_gdb_continue(struct mv_gdb *gdb, const char *arguments)
{
    set_pc(gdb, arguments);
    resume(gdb, &(struct wish){.run = all_cpus(gdb)});
}

void mv_gdb_step(struct mv_gdb *gdb, const char *arguments)
{
    set_pc(gdb, arguments);
    resume(gdb, &(struct wish){.step = UINT64_C(1) << gdb->general_cpu});
}

/* ;ACTION[:THREAD]...: the first that fits a thread counts. */
void mv_gdb_vcont(struct mv_gdb *gdb, const char *arguments)
{
    struct wish wish = {0};
    uint64_t decided = 0;
    while (*arguments == ';') {
        char action = arguments[1];
        unsigned cpu;
        bool any = true;
        uint64_t number, mask;
        arguments += action == '\0' ? 1 : 2;
        /* C and S have a signal, which means nothing to a machine. */
        bool known = action == 'c' || action == 's' ||
                     ((action == 'C' || action == 'S') && mv_gdb_parse_hex(&arguments, &number));
        if (known && *arguments == ':') {
            arguments++;
            known = mv_gdb_parse_thread(gdb, &arguments, &cpu, &any);
        }
        if (!known) {
            mv_gdb_send_error(gdb, EINVAL);
            return;
        }
        mask = (any ? all_cpus(gdb) : UINT64_C(1) << cpu) & ~decided;
        decided |= mask;
        *(action == 's' || action == 'S' ? &wish.step : &wish.run) |= mask;
    }
    if (*arguments != '\0' || decided == 0) {
        mv_gdb_send_error(gdb, EINVAL);
        return;
    }
    resume(gdb, &wish);
}
