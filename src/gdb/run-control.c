/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs, and why it stopped.  This is "all-stop": at a stop of one vCPU all
 * have stopped, and the debugger says which go on.  A vCPU is a thread, numbered
 * from 1.
 */
#include "session.h"

#include "cleanup.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* GDB's numbers of signals, which stand for reasons here. */
enum { SIGNAL_INT = 2, SIGNAL_TRAP = 5 };

bool mv_gdb_parse_thread(struct mv_gdb_session *session, const char **text, unsigned *ret_cpu,
                         bool *ret_any)
{
    uint64_t thread;
    bool minus = **text == '-';
    *text += minus;
    if (!mv_gdb_parse_hex(text, &thread))
        return false;
    *ret_any = minus || thread == 0;
    *ret_cpu = *ret_any ? session->stopped_cpu : (unsigned)(thread - 1);
    return *ret_any || thread <= mv_machine_cpu_count(session->machine);
}

/* --- stops */

static uint64_t all_cpus(const struct mv_gdb_session *session)
{
    unsigned count = mv_machine_cpu_count(session->machine);
    return count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static void note_stop(struct mv_gdb_session *session, unsigned cpu, int number, const char *what)
{
    session->waiting = false;
    session->stopped_cpu = session->general_cpu = cpu;
    snprintf(session->stop_reply, sizeof session->stop_reply, "T%02xthread:%x;%s", (unsigned)number,
             cpu + 1, what);
}

/* The lowest of those that ran, where the one that stopped last did not. */
static unsigned one_that_ran(const struct mv_gdb_session *session)
{
    if (session->let_go == 0 || (session->let_go >> session->stopped_cpu & 1))
        return session->stopped_cpu;
    return (unsigned)__builtin_ctzll(session->let_go);
}

int mv_gdb_why(struct mv_gdb_session *session, const char *arguments)
{
    mv_gdb_text_print(&session->reply, "%s", session->stop_reply);
    return 0;
}

/* A stop is a reply to who waited for one. */
static bool tell_stop(struct mv_gdb_session *session, bool waited)
{
    if (waited)
        mv_gdb_why(session, "");
    return waited;
}

/* No vCPU is to step on when somebody else lets the machine run. */
static void end_steps(struct mv_gdb_session *session)
{
    for (unsigned i = 0; i < mv_machine_cpu_count(session->machine); i++) {
        struct mv_vcpu *vcpu = mv_machine_vcpu(session->machine, i);
        vcpu->ops->vcpu_debug(vcpu, false, false);
    }
}

static void pause_machine(struct mv_gdb_session *session)
{
    session->pausing = true;
    mv_machine_pause(session->machine);
    session->pausing = false;
    end_steps(session);
}

void mv_gdb_attach(struct mv_gdb_session *session)
{
    pause_machine(session);
    session->physical = false;
    session->stop_is_debug = false;
    note_stop(session, 0, SIGNAL_TRAP, "");
}

/* The guest goes on as if nobody had been there. */
void mv_gdb_detach(struct mv_gdb_session *session)
{
    /* What stands still for a while is not to stand for the debugger, too. */
    if (mv_machine_state(session->machine) == MV_MACHINE_RUNNING)
        pause_machine(session);
    else
        end_steps(session);
    mv_gdb_clear_points(session);
    session->waiting = false;
    struct mv_error err;
    if (mv_machine_check_resume(session->machine, &err) < 0)
        mv_log("the debugger is gone, and the guest stays paused: %s", err.text);
    else
        mv_machine_resume(session->machine);
}

bool mv_gdb_interrupt(struct mv_gdb_session *session)
{
    if (!session->waiting)
        return false;
    pause_machine(session);
    session->stop_is_debug = false;
    note_stop(session, one_that_ran(session), SIGNAL_INT, "");
    return tell_stop(session, true);
}

bool mv_gdb_machine_debug(struct mv_gdb_session *session, unsigned cpu)
{
    struct mv_vcpu *vcpu = mv_machine_vcpu(session->machine, cpu);
    struct mv_debug_stop stop;
    char what[64] = "";
    static const char *const names[] = {[MV_DEBUG_READ] = "rwatch",
                                        [MV_DEBUG_WRITE] = "watch",
                                        [MV_DEBUG_READ | MV_DEBUG_WRITE] = "awatch"};
    bool waited = session->waiting;
    end_steps(session);
    vcpu->ops->vcpu_debug_stop(vcpu, &stop);
    if (stop.reason == MV_DEBUG_WATCHPOINT)
        snprintf(what, sizeof what, "%s:%" PRIx64 ";", names[stop.kinds & 3], stop.address);
    session->stop_is_debug = true;
    note_stop(session, cpu, SIGNAL_TRAP, what);
    return tell_stop(session, waited);
}

/*
 * The debugger's stop and that of others are one state: who lets the machine
 * go on lets it go on, and the debugger that thinks it stands is told so when
 * it asks for what needs a vCPU that does.
 */
static void let_go_by_others(struct mv_gdb_session *session)
{
    for (unsigned i = 0; i < mv_machine_cpu_count(session->machine); i++) {
        struct mv_vcpu *vcpu = mv_machine_vcpu(session->machine, i);
        vcpu->ops->vcpu_debug(vcpu, false, session->stop_is_debug && i == session->stopped_cpu);
    }
    session->let_go = all_cpus(session);
}

static bool stopped_by_others(struct mv_gdb_session *session)
{
    bool waited = session->waiting;
    end_steps(session);
    session->stop_is_debug = false;
    note_stop(session, one_that_ran(session), SIGNAL_INT, "");
    return tell_stop(session, waited);
}

bool mv_gdb_machine_event(struct mv_gdb_session *session, enum mv_machine_event event,
                          enum mv_machine_cause cause)
{
    if (event == MV_MACHINE_EVENT_STOP && !session->pausing && cause != MV_CAUSE_HOST_DEBUGGER)
        return stopped_by_others(session);
    if (event == MV_MACHINE_EVENT_RESUME && !session->waiting)
        let_go_by_others(session);
    if (event == MV_MACHINE_EVENT_SHUTDOWN)
        mv_gdb_text_print(&session->reply, "W00");
    return event == MV_MACHINE_EVENT_SHUTDOWN;
}

/* --- going on */

/* Bit masks of vCPUs. */
static int resume(struct mv_gdb_session *session, uint64_t run, uint64_t step)
{
    /* Others may have let it go meanwhile; then it stands for as long as this takes. */
    if (mv_machine_state(session->machine) == MV_MACHINE_RUNNING)
        pause_machine(session);
    struct mv_error err;
    int r = mv_machine_check_resume(session->machine, &err);
    if (r < 0) {
        mv_log("the guest does not go on for the debugger: %s", err.text);
        return r;
    }
    for (unsigned i = 0; i < mv_machine_cpu_count(session->machine); i++) {
        struct mv_vcpu *vcpu = mv_machine_vcpu(session->machine, i);
        /* Where it stopped at a point, it goes on behind that. */
        bool pass = session->stop_is_debug && i == session->stopped_cpu;
        vcpu->ops->vcpu_debug(vcpu, step >> i & 1, pass);
    }
    session->waiting = true;
    session->let_go = run | step;
    mv_machine_resume_only(session->machine, run | step);
    return MV_GDB_SILENT;
}

/* An address to go on at, in the packets c and s. */
static int set_pc(struct mv_gdb_session *session, const char *arguments)
{
    struct mv_vcpu *vcpu = mv_gdb_vcpu(session);
    const struct mv_arch *arch = vcpu->ops->arch;
    uint64_t pc;
    if (!mv_gdb_parse_hex(&arguments, &pc))
        return 0;
    CLEANUP_FREE void *state = malloc(arch->state_size);
    if (state == NULL)
        return -ENOMEM;
    if (mv_machine_state(session->machine) == MV_MACHINE_RUNNING)
        pause_machine(session);
    vcpu->ops->vcpu_get_state(vcpu, state);
    arch->set_pc(state, pc);
    return vcpu->ops->vcpu_set_state(vcpu, state, NULL);
}

int mv_gdb_continue(struct mv_gdb_session *session, const char *arguments)
{
    int r = set_pc(session, arguments);
    return r < 0 ? r : resume(session, all_cpus(session), 0);
}

int mv_gdb_step(struct mv_gdb_session *session, const char *arguments)
{
    int r = set_pc(session, arguments);
    return r < 0 ? r : resume(session, 0, UINT64_C(1) << session->general_cpu);
}

/* ;ACTION[:THREAD]...: the first that fits a thread counts. */
int mv_gdb_vcont(struct mv_gdb_session *session, const char *arguments)
{
    uint64_t run = 0, step = 0;
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
            known = mv_gdb_parse_thread(session, &arguments, &cpu, &any);
        }
        if (!known)
            return -EINVAL;
        mask = (any ? all_cpus(session) : UINT64_C(1) << cpu) & ~(run | step);
        *(action == 's' || action == 'S' ? &step : &run) |= mask;
    }
    return *arguments != '\0' || (run | step) == 0 ? -EINVAL : resume(session, run, step);
}
