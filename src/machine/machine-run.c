/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine as it runs: requests (power off, reset, end) are served in the
 * main thread, and whoever observes the machine is told.
 *
 * Requests are bits that any thread sets, and an eventfd that wakes the loop;
 * all else is the main thread's and needs no lock.  Callers: cli, control, gdb.
 */
#include "machine-state.h"

#include "block-info.h"
#include "block.h"
#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "os.h"
#include "platform-devices.h"
#include "space.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/* What a request wants, a bit for each; what ends the machine stands first. */
static const struct request {
    enum { WANT_END, WANT_GUEST_RESET, WANT_RESET, WANT_POWERDOWN, WANT_DEBUG, WANT_FAULT } want;
    enum mv_machine_cause cause;
    enum mv_machine_end end; /* of WANT_END, and of a guest's reset under --no-reboot */
} requests[] = {
    {WANT_END, MV_CAUSE_HOST_SIGNAL, MV_MACHINE_QUIT},
    {WANT_END, MV_CAUSE_HOST_UI, MV_MACHINE_QUIT},
    {WANT_END, MV_CAUSE_HOST_QMP, MV_MACHINE_QUIT},
    {WANT_END, MV_CAUSE_HOST_DEBUGGER, MV_MACHINE_QUIT},
    {WANT_END, MV_CAUSE_HOST_ERROR, MV_MACHINE_FAILED},
    {WANT_END, MV_CAUSE_HOST_MOVE, MV_MACHINE_QUIT},
    {WANT_END, MV_CAUSE_GUEST_SHUTDOWN, MV_MACHINE_POWERED_OFF},
    {WANT_GUEST_RESET, MV_CAUSE_GUEST_RESET, MV_MACHINE_RESET},
    {WANT_RESET, MV_CAUSE_HOST_UI},
    {WANT_POWERDOWN, MV_CAUSE_HOST_UI},
    {WANT_DEBUG, MV_CAUSE_HOST_DEBUGGER},
    {WANT_FAULT, MV_CAUSE_HOST_ERROR},
};
#define REQUESTS (sizeof requests / sizeof requests[0])

/* --- requests */

/* Call one of each observer's functions, if it has that; it may take itself away. */
#define TELL(machine, fn, ...)                                                                     \
    for (struct mv_machine_observer *o = (machine)->observers, *next; o != NULL; o = next) {       \
        next = o->next;                                                                            \
        if (o->fn != NULL)                                                                         \
            o->fn(o->opaque, __VA_ARGS__);                                                         \
    }

static void tell(struct mv_machine *machine, enum mv_machine_event event,
                 enum mv_machine_cause cause)
{
    TELL(machine, event, event, cause);
}

static void request(struct mv_machine *machine, int want, enum mv_machine_cause cause)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        if ((int)requests[i].want == want && requests[i].cause == cause)
            atomic_fetch_or(&machine->requests, 1u << i);
    }
    /* Fails only where the counter is full: then the loop is awake already. */
    eventfd_write(machine->request_fd, 1);
}

static void end_with(struct mv_machine *machine, enum mv_machine_end end,
                     enum mv_machine_cause cause)
{
    mv_vcpus_stop(machine->vcpus);
    machine->ended = true;
    machine->end = end;
    machine->end_cause = cause;
    tell(machine, MV_MACHINE_EVENT_SHUTDOWN, cause);
    mv_loop_stop(machine->loop);
}

void mv_machine_reset_parts(struct mv_machine *machine)
{
    mv_vcpus_reset(machine->vcpus);
    mv_power_button_release(machine->button);
    mv_hotplug_reset(&machine->hotplug);
    mv_device_tree_reset(&machine->devices);
}

int mv_machine_power_on_state(struct mv_machine *machine, struct mv_error *err)
{
    uint64_t pc, argument;
    mv_machine_reset_parts(machine);
    int r = mv_boot_load(machine->boot, machine->space, err);
    if (r < 0)
        return r;
    mv_boot_entry(machine->boot, &pc, &argument);
    mv_vcpus_power_on(machine->vcpus, 0, pc, argument);
    return 0;
}

/* A guest that reset itself has nothing to go on with until its files can be read. */
static void wait_for_files(struct mv_machine *machine, const struct mv_error *err)
{
    mv_log("cannot reset the guest: %s; the guest is paused: once that is mended, type 'memvisor "
           "cont %s'",
           err->text, machine->name == NULL ? "NAME" : machine->name);
    machine->reset_due = true;
    machine->faulted = true;
    mv_machine_pause(machine);
}

/*
 * False where it ended the machine, or waits for files that cannot be booted, or
 * for guest memory that the host has not got.
 */
static bool reset(struct mv_machine *machine, enum mv_machine_cause cause)
{
    struct mv_error err;
    int r = mv_boot_reload(machine->boot, &machine->layout, &err);
    if (r < 0) {
        wait_for_files(machine, &err);
        return false;
    }
    r = mv_machine_power_on_state(machine, &err);
    machine->reset_due = r == -EIO;
    if (r < 0 && r != -EIO) {
        mv_log("cannot reset the guest: %s", err.text);
        end_with(machine, MV_MACHINE_FAILED, MV_CAUSE_HOST_ERROR);
    }
    if (r == 0)
        tell(machine, MV_MACHINE_EVENT_RESET, cause);
    return r == 0;
}

static void reset_and_go(struct mv_machine *machine, enum mv_machine_cause cause)
{
    if (reset(machine, cause) && !machine->paused)
        mv_vcpus_go(machine->vcpus);
}

static int ask_observers(struct mv_machine *machine, struct mv_error *err)
{
    int r = 0;
    for (struct mv_machine_observer *o = machine->observers; r == 0 && o != NULL; o = o->next) {
        if (o->resuming != NULL)
            r = o->resuming(o->opaque, err);
    }
    return r;
}

int mv_machine_reset(struct mv_machine *machine, enum mv_machine_cause cause, struct mv_error *err)
{
    if (machine->ended)
        return 0;
    mv_vcpus_stop(machine->vcpus);
    int r = mv_boot_reload(machine->boot, &machine->layout, err);
    if (r == 0)
        r = mv_machine_check_change(machine, err);
    if (r == 0)
        reset_and_go(machine, cause);
    else if (!machine->paused)
        mv_vcpus_go(machine->vcpus);
    return r;
}

int mv_machine_check_change(struct mv_machine *machine, struct mv_error *err)
{
    return machine->paused ? ask_observers(machine, err) : 0;
}

int mv_machine_check_resume(struct mv_machine *machine, struct mv_error *err)
{
    int r = machine->reset_due ? mv_boot_reload(machine->boot, &machine->layout, err) : 0;
    return r < 0 ? r : mv_machine_check_change(machine, err);
}

void mv_machine_powerdown(struct mv_machine *machine)
{
    if (machine->ended)
        return;
    mv_power_button_press(machine->button);
    tell(machine, MV_MACHINE_EVENT_POWERDOWN, MV_CAUSE_HOST_UI);
}

/* What of the devices goes on with the vCPUs. */
static void let_devices_run(struct mv_machine *machine, bool run)
{
    mv_guest_timers_run(&machine->timers, run);
    mv_ns16550a_hold(mv_machine_uart(machine), !run);
}

/* A vCPU left for the debugger, and the others are about to: nobody else is asked. */
static void stop_for_debugger(struct mv_machine *machine)
{
    unsigned cpu;
    if (!mv_vcpus_take_debug_stop(machine->vcpus, &cpu))
        return;
    mv_vcpus_stop(machine->vcpus);
    let_devices_run(machine, false);
    machine->paused = true;
    machine->stops++;
    TELL(machine, debug, cpu);
    tell(machine, MV_MACHINE_EVENT_STOP, MV_CAUSE_HOST_DEBUGGER);
}

static void tell_fault(struct mv_machine *machine, const struct mv_block *block, uint64_t offset)
{
    struct mv_block_fault why;
    mv_block_fault_explain(block, offset, &why);
    mv_log("%s; the guest is paused: %s, then type 'memvisor cont %s'", why.what.text,
           why.remedy.text, machine->name == NULL ? "NAME" : machine->name);
    TELL(machine, fault, block, offset, &why);
}

/* Guest memory is not to be had: nothing goes on until somebody has seen to it. */
static void stop_for_fault(struct mv_machine *machine)
{
    const struct mv_block *block;
    uint64_t offset;
    mv_vcpus_stop(machine->vcpus);
    while (mv_machine_take_fault(machine, &block, &offset))
        tell_fault(machine, block, offset);
    machine->faulted = true;
    /* Who had it stand still before may let it go on as before. */
    if (!machine->paused)
        mv_machine_pause(machine);
}

static void host_reset(struct mv_machine *machine, enum mv_machine_cause cause)
{
    struct mv_error err;
    if (mv_machine_reset(machine, cause, &err) < 0)
        mv_log("cannot reset the guest, which goes on: %s", err.text);
}

static void serve(struct mv_machine *machine, const struct request *r)
{
    if (r->want == WANT_END || (r->want == WANT_GUEST_RESET && machine->no_reboot))
        end_with(machine, r->end, r->cause);
    else if (r->want == WANT_POWERDOWN)
        mv_machine_powerdown(machine);
    else if (r->want == WANT_DEBUG)
        stop_for_debugger(machine);
    else if (r->want == WANT_FAULT)
        stop_for_fault(machine);
    else if (r->want == WANT_RESET)
        host_reset(machine, r->cause);
    else {
        mv_vcpus_stop(machine->vcpus);
        reset_and_go(machine, r->cause);
    }
}

/* Of several requests the first of the table counts; a stop for one of the last two does always. */
static void serve_requests(void *opaque, uint32_t events)
{
    struct mv_machine *machine = opaque;
    mv_drain(machine->request_fd);
    unsigned wanted = atomic_exchange(&machine->requests, 0);
    for (size_t i = 0; i < REQUESTS; i++) {
        bool counts = requests[i].want >= WANT_DEBUG || (wanted & ((1u << i) - 1)) == 0;
        if ((wanted >> i & 1) && counts && !machine->ended)
            serve(machine, &requests[i]);
    }
}

int mv_machine_quiesce(struct mv_machine *machine, struct mv_error *err)
{
    if (!machine->paused)
        return mv_error_set(err, EBUSY, "the guest runs: stop it first");
    serve_requests(machine, 0);
    if (machine->ended)
        return mv_error_set(err, ESHUTDOWN, "the guest has ended");
    if (machine->reset_due)
        return mv_error_set(err, EAGAIN,
                            "the guest waits to be reset, for which its files cannot be read: have "
                            "it go on first");
    return mv_hotplug_finish(&machine->hotplug, err);
}

/* Of a block by its generation; where the queue is full it is forgotten: it will come again. */
static void note_fault(struct mv_machine *machine, uint64_t generation, uint64_t offset)
{
    struct mv_fault_queue *queue = &machine->faults;
    MV_LOCK_SCOPE(&queue->lock);
    for (size_t i = 0; i < queue->count; i++) {
        if (queue->notes[i].generation == generation)
            return;
    }
    if (queue->count < MV_FAULT_QUEUE_MAX)
        queue->notes[queue->count++] = (struct mv_fault_note){generation, offset};
}

void mv_machine_memory_fault(void *opaque, const struct mv_block *block, uint64_t offset)
{
    note_fault(opaque, block->generation, offset);
    request(opaque, WANT_FAULT, MV_CAUSE_HOST_ERROR);
}

/* In a vCPU's thread, for which unplugging does not wait here: it holds no pointer to a block. */
static void vcpu_fault(struct mv_machine *machine, const uint8_t *fault)
{
    uint64_t generation, offset;
    if (mv_block_find_host(machine->blocks, fault, &generation, &offset))
        note_fault(machine, generation, offset);
    else
        mv_warn("the host reports an error of its memory at %p, where no block of the guest is",
                (const void *)fault);
    request(machine, WANT_FAULT, MV_CAUSE_HOST_ERROR);
}

static bool take_note(struct mv_fault_queue *queue, struct mv_fault_note *ret)
{
    MV_LOCK_SCOPE(&queue->lock);
    if (queue->count == 0)
        return false;
    *ret = queue->notes[0];
    queue->count--;
    memmove(&queue->notes[0], &queue->notes[1], queue->count * sizeof queue->notes[0]);
    return true;
}

struct search {
    uint64_t generation;
    const struct mv_block *found;
};

static void match(struct mv_block *block, void *opaque)
{
    struct search *search = opaque;
    if (block->generation == search->generation)
        search->found = block;
}

bool mv_machine_take_fault(struct mv_machine *machine, const struct mv_block **ret_block,
                           uint64_t *ret_offset)
{
    struct mv_fault_note note = {0};
    struct search search = {.found = NULL};
    while (search.found == NULL && take_note(&machine->faults, &note)) {
        search.generation = note.generation;
        mv_block_for_each(machine->blocks, match, &search);
    }
    if (search.found == NULL)
        return false;
    *ret_block = search.found;
    *ret_offset = note.offset;
    return true;
}

void mv_machine_guest_event(void *opaque, enum mv_vcpu_event event, const uint8_t *fault)
{
    if (event == MV_VCPU_FAULT)
        vcpu_fault(opaque, fault);
    else if (event == MV_VCPU_SYSTEM_OFF)
        request(opaque, WANT_END, MV_CAUSE_GUEST_SHUTDOWN);
    else if (event == MV_VCPU_DEBUG)
        request(opaque, WANT_DEBUG, MV_CAUSE_HOST_DEBUGGER);
    else
        request(opaque, WANT_GUEST_RESET, MV_CAUSE_GUEST_RESET);
}

void mv_machine_request_powerdown(struct mv_machine *machine)
{
    request(machine, WANT_POWERDOWN, MV_CAUSE_HOST_UI);
}

void mv_machine_request_reset(struct mv_machine *machine, enum mv_machine_cause cause)
{
    request(machine, WANT_RESET, cause);
}

void mv_machine_request_quit(struct mv_machine *machine, enum mv_machine_cause cause)
{
    request(machine, WANT_END, cause);
}

enum mv_machine_cause mv_machine_end_cause(const struct mv_machine *machine)
{
    return machine->end_cause;
}

void mv_machine_observe(struct mv_machine *machine, struct mv_machine_observer *observer)
{
    observer->next = machine->observers;
    machine->observers = observer;
}

void mv_machine_unobserve(struct mv_machine *machine, struct mv_machine_observer *observer)
{
    struct mv_machine_observer **link = &machine->observers;
    while (*link != NULL && *link != observer)
        link = &(*link)->next;
    if (*link != NULL)
        *link = observer->next;
}

enum mv_machine_state mv_machine_state(const struct mv_machine *machine)
{
    if (machine->ended)
        return MV_MACHINE_ENDED;
    if (!machine->paused)
        return MV_MACHINE_RUNNING;
    if (machine->faulted)
        return MV_MACHINE_IO_ERROR;
    return machine->launched ? MV_MACHINE_PAUSED : MV_MACHINE_PRELAUNCH;
}

void mv_machine_tell_device(void *opaque, const char *path, const char *id, bool is_there)
{
    struct mv_machine *machine = opaque;
    TELL(machine, device, path, id, is_there);
}

int mv_machine_watch_requests(struct mv_machine *machine, struct mv_error *err)
{
    machine->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (machine->request_fd < 0)
        return mv_error_set_errno(err, errno, "the machine's requests");
    return mv_loop_add(machine->loop, machine->request_fd, EPOLLIN, serve_requests, machine,
                       &machine->request_source, err);
}

/* --- running */

int mv_machine_start(struct mv_machine *machine, bool paused, struct mv_error *err)
{
    int r = mv_vcpus_start(machine->vcpus, err);
    if (r == 0 && !paused)
        mv_machine_resume(machine);
    return r;
}

void mv_machine_pause(struct mv_machine *machine)
{
    bool ran = !machine->paused && !machine->ended;
    machine->paused = true;
    machine->stops++;
    mv_vcpus_stop(machine->vcpus);
    let_devices_run(machine, false);
    if (ran)
        tell(machine, MV_MACHINE_EVENT_STOP, MV_CAUSE_HOST_QMP);
}

uint64_t mv_machine_stops(const struct mv_machine *machine)
{
    return machine->stops;
}

void mv_machine_resume_only(struct mv_machine *machine, uint64_t mask)
{
    bool stood = machine->paused;
    if (machine->ended || (machine->reset_due && !reset(machine, MV_CAUSE_HOST_ERROR)))
        return;
    mv_paging_retry_all(machine->blocks);
    machine->faulted = false;
    machine->paused = false;
    machine->launched = true;
    if (stood)
        tell(machine, MV_MACHINE_EVENT_RESUME, MV_CAUSE_HOST_QMP);
    let_devices_run(machine, true);
    mv_vcpus_go_only(machine->vcpus, mask);
}

int mv_machine_throttle(struct mv_machine *machine, unsigned percent, struct mv_error *err)
{
    int r = 0;
    if (percent == 0) {
        mv_throttle_destroy(machine->throttle);
        machine->throttle = NULL;
        return 0;
    }
    if (machine->throttle == NULL)
        r = mv_throttle_create(machine->vcpus, &machine->throttle, err);
    if (r == 0)
        mv_throttle_set(machine->throttle, percent);
    return r;
}

void mv_machine_resume(struct mv_machine *machine)
{
    mv_machine_resume_only(machine, UINT64_MAX);
}

enum mv_machine_end mv_machine_wait(struct mv_machine *machine)
{
    /* Someone else may stop the loop; only an end ends the machine. */
    while (!machine->ended)
        mv_loop_run(machine->loop);
    return machine->end;
}
