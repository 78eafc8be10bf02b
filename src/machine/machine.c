/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: makes its parts in order and takes them apart in the reverse
 * one, and serves requests (power off, reset, end) in the main thread.
 *
 * Requests are bits that any thread sets, and an eventfd that wakes the loop;
 * all else is the main thread's and needs no lock.  Callers: cli.
 */
#include "machine.h"

#include "block.h"
#include "block-fault.h"
#include "board-arm64.h"
#include "boot.h"
#include "cleanup.h"
#include "fault-queue.h"
#include "hotplug.h"
#include "log.h"
#include "loop.h"
#include "power-button.h"
#include "space.h"
#include "vcpu-thread.h"

#include <stdatomic.h>
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
    {WANT_END, MV_CAUSE_GUEST_SHUTDOWN, MV_MACHINE_POWERED_OFF},
    {WANT_GUEST_RESET, MV_CAUSE_GUEST_RESET, MV_MACHINE_RESET},
    {WANT_RESET, MV_CAUSE_HOST_UI},
    {WANT_POWERDOWN, MV_CAUSE_HOST_UI},
    {WANT_DEBUG, MV_CAUSE_HOST_DEBUGGER},
    {WANT_FAULT, MV_CAUSE_HOST_ERROR},
};
#define REQUESTS (sizeof requests / sizeof requests[0])

struct mv_machine {
    struct mv_loop *loop;
    struct mv_bank_layout layout;
    struct mv_boot *boot;
    struct mv_config_back *backs; /* the configuration's, each with an id */
    struct mv_block_registry *blocks;
    struct mv_space *space;
    struct mv_device_tree devices;
    struct mv_board board;
    struct mv_hotplug *hotplug;
    struct mv_power_button *button;
    struct mv_engine *engine;
    struct mv_vcpus *vcpus;

    int request_fd;
    struct mv_loop_source *request_source;
    atomic_uint requests;

    struct mv_fault_queue faults;
    const char *name; /* the configuration's, for messages; may be NULL */

    bool no_reboot;
    bool paused;
    bool faulted;   /* and paused for that */
    bool reset_due; /* a reset could not be finished: it comes before the vCPUs run */
    bool launched; /* the vCPUs were let go once */
    bool ended;
    enum mv_machine_end end;
    enum mv_machine_cause end_cause;
    struct mv_machine_observer *observers;
};

/* --- requests */

static void tell(struct mv_machine *machine, enum mv_machine_event event,
                 enum mv_machine_cause cause)
{
    for (struct mv_machine_observer *o = machine->observers, *next; o != NULL; o = next) {
        next = o->next;
        if (o->event != NULL)
            o->event(o->opaque, event, cause);
    }
}

static void request(struct mv_machine *machine, int want, enum mv_machine_cause cause)
{
    uint64_t one = 1;
    for (size_t i = 0; i < REQUESTS; i++) {
        if ((int)requests[i].want == want && requests[i].cause == cause)
            atomic_fetch_or(&machine->requests, 1u << i);
    }
    /* Fails only where the counter is full: then the loop is awake already. */
    ssize_t n = write(machine->request_fd, &one, sizeof one);
    (void)n;
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

/* Power-on state: of devices, vCPUs and what the boot loader puts into RAM. */
static int set_power_on_state(struct mv_machine *machine, struct mv_error *err)
{
    uint64_t pc, x0;
    mv_vcpus_reset(machine->vcpus);
    mv_power_button_release(machine->button);
    mv_hotplug_reset(machine->hotplug);
    mv_device_tree_reset(&machine->devices);
    int r = mv_boot_load(machine->boot, machine->space, err);
    if (r < 0)
        return r;
    mv_boot_entry(machine->boot, &pc, &x0);
    mv_vcpus_power_on(machine->vcpus, 0, pc, x0);
    return 0;
}

/* False where it ended the machine, or waits for guest memory that the host has not got. */
static bool reset(struct mv_machine *machine, enum mv_machine_cause cause)
{
    struct mv_error err;
    int r = set_power_on_state(machine, &err);
    machine->reset_due = r == -EIO;
    if (r < 0 && r != -EIO) {
        mv_log("cannot reset the guest: %s", err.text);
        end_with(machine, MV_MACHINE_FAILED, MV_CAUSE_HOST_ERROR);
    }
    if (r == 0)
        tell(machine, MV_MACHINE_EVENT_RESET, cause);
    return r == 0;
}

void mv_machine_reset(struct mv_machine *machine, enum mv_machine_cause cause)
{
    if (machine->ended)
        return;
    mv_vcpus_stop(machine->vcpus);
    if (reset(machine, cause) && !machine->paused)
        mv_vcpus_go(machine->vcpus);
}

void mv_machine_powerdown(struct mv_machine *machine)
{
    if (machine->ended)
        return;
    mv_power_button_press(machine->button);
    tell(machine, MV_MACHINE_EVENT_POWERDOWN, MV_CAUSE_HOST_UI);
}

/* A vCPU left for the debugger, and the others are about to: nobody else is asked. */
static void stop_for_debugger(struct mv_machine *machine)
{
    unsigned cpu;
    if (!mv_vcpus_take_debug_stop(machine->vcpus, &cpu))
        return;
    mv_vcpus_stop(machine->vcpus);
    machine->paused = true;
    for (struct mv_machine_observer *o = machine->observers, *next; o != NULL; o = next) {
        next = o->next;
        if (o->debug != NULL)
            o->debug(o->opaque, cpu);
    }
    tell(machine, MV_MACHINE_EVENT_STOP, MV_CAUSE_HOST_DEBUGGER);
}

static void tell_fault(struct mv_machine *machine, const struct mv_block *block, uint64_t offset)
{
    struct mv_block_fault why;
    mv_block_fault_explain(block, offset, &why);
    mv_log("%s; the guest is paused: %s, then type 'memvisor cont %s'", why.what.text,
           why.remedy.text, machine->name == NULL ? "NAME" : machine->name);
    for (struct mv_machine_observer *o = machine->observers, *next; o != NULL; o = next) {
        next = o->next;
        if (o->fault != NULL)
            o->fault(o->opaque, block, offset, &why);
    }
}

/* Guest memory is not to be had: nothing goes on until somebody has seen to it. */
static void stop_for_fault(struct mv_machine *machine)
{
    const struct mv_block *block;
    uint64_t offset;
    mv_vcpus_stop(machine->vcpus);
    while (mv_fault_queue_take(&machine->faults, machine->blocks, &block, &offset))
        tell_fault(machine, block, offset);
    machine->faulted = true;
    mv_machine_pause(machine);
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
    else
        mv_machine_reset(machine, r->cause);
}

/* Of several requests the first of the table counts; a stop for one of the last two does always. */
static void serve_requests(void *opaque, uint32_t events)
{
    struct mv_machine *machine = opaque;
    uint64_t count;
    (void)events;
    ssize_t n = read(machine->request_fd, &count, sizeof count);
    (void)n;
    unsigned wanted = atomic_exchange(&machine->requests, 0);
    for (size_t i = 0; i < REQUESTS; i++) {
        bool counts = requests[i].want >= WANT_DEBUG || (wanted & ((1u << i) - 1)) == 0;
        if ((wanted >> i & 1) && counts && !machine->ended)
            serve(machine, &requests[i]);
    }
}

/* Of a device's copy, the loader's or a vCPU's; any thread. */
static void memory_fault(void *opaque, const struct mv_block *block, uint64_t offset)
{
    struct mv_machine *machine = opaque;
    mv_fault_queue_add(&machine->faults, block, offset);
    request(machine, WANT_FAULT, MV_CAUSE_HOST_ERROR);
}

static void vcpu_fault(struct mv_machine *machine, const uint8_t *fault)
{
    uint64_t offset;
    const struct mv_block *block = mv_block_find_host(machine->blocks, fault, &offset);
    if (block != NULL)
        memory_fault(machine, block, offset);
    else
        mv_warn("the host reports an error of its memory at %p, where no block of the guest is",
                (const void *)fault);
    request(machine, WANT_FAULT, MV_CAUSE_HOST_ERROR);
}

/* In the thread of the vCPU that asked. */
static void guest_event(void *opaque, enum mv_vcpu_event event, const uint8_t *fault)
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

/* --- making */

static int choose_engine(const char *name, const struct mv_engine_ops **ret, struct mv_error *err)
{
    bool automatic = strcmp(name, "auto") == 0;
    struct mv_error why = {"there is none"};
    for (size_t i = 0; mv_engines[i] != NULL; i++) {
        if (!automatic && strcmp(name, mv_engines[i]->name) != 0)
            continue;
        int r = mv_engines[i]->probe(&why);
        if (r == 0) {
            *ret = mv_engines[i];
            return 0;
        }
        if (!automatic)
            return mv_error_set(err, -r, "engine '%s' cannot run here: %s", name, why.text);
    }
    if (!automatic)
        return mv_error_set(err, ENOENT, "engine '%s' is not built in: see memvisor engines",
                            name);
    return mv_error_set(err, ENODEV, "no engine can run here: %s", why.text);
}

static int make_banks(struct mv_machine *machine, struct mv_error *err)
{
    int r = mv_block_registry_plan(machine->blocks, &machine->layout, err);
    for (size_t i = 0; r == 0 && i < machine->layout.count; i++) {
        const struct mv_bank *bank = &machine->layout.banks[i];
        struct mv_block *block;
        r = mv_block_create_backed(machine->blocks, "", bank->id, bank->size,
                                   &bank->wish->backing, &block, err);
        if (r == 0)
            r = mv_space_add_ram(machine->space, bank->gpa, block, 0, bank->size, err);
    }
    mv_block_registry_plan_end(machine->blocks);
    return r;
}

/* The id of the bank that was given first, whatever its address. */
static char *first_bank_id(const struct mv_machine *machine, const struct mv_config *config)
{
    size_t i = 0;
    while (machine->layout.banks[i].wish != &config->banks[0])
        i++;
    return machine->layout.banks[i].id;
}

static int set_backs(struct mv_machine *machine, const struct mv_config *config,
                     struct mv_error *err)
{
    const char *folder = config->mem_dir == NULL ? getenv("MEMVISOR_MEM_DIR") : config->mem_dir;
    machine->backs = calloc(config->back_count + 1, sizeof *machine->backs);
    if (machine->backs == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the machine");
    for (size_t i = 0; i < config->back_count; i++) {
        machine->backs[i] = config->backs[i];
        if (machine->backs[i].id == NULL)
            machine->backs[i].id = first_bank_id(machine, config);
    }
    mv_block_registry_set_backs(machine->blocks, machine->backs, config->back_count,
                                folder != NULL && folder[0] != '\0' ? folder : NULL);
    return 0;
}

static int make_map(struct mv_machine *machine, const struct mv_config *config,
                    struct mv_error *err)
{
    int r = mv_block_registry_create(&machine->blocks, err);
    if (r < 0)
        return r;
    mv_block_registry_on_fault(machine->blocks, memory_fault, machine);
    if (r == 0)
        r = set_backs(machine, config, err);
    if (r == 0)
        r = mv_space_create(&machine->space, err);
    return r;
}

static int make_vcpus(struct mv_machine *machine, const struct mv_engine_ops *engine,
                      unsigned cpus, struct mv_error *err)
{
    struct mv_engine_params params = {
        .space = machine->space,
        .irqchip = mv_gicv3_irqchip(machine->board.gic),
        .loop = machine->loop,
        .cpus = cpus,
        .virtual_timer_intid = MV_BOARD_TIMER_VIRTUAL_INTID,
        .physical_timer_intid = MV_BOARD_TIMER_PHYSICAL_INTID,
    };
    int r = engine->create(&params, &machine->engine, err);
    if (r == 0)
        r = mv_vcpus_create(machine->engine, cpus, guest_event, machine, &machine->vcpus, err);
    return r;
}

static int place_boot(struct mv_machine *machine, unsigned cpus, struct mv_error *err)
{
    uint64_t mpidr[MV_VCPU_MAX];
    for (unsigned i = 0; i < cpus; i++)
        mpidr[i] = mv_vcpus_mpidr(machine->vcpus, i);
    return mv_boot_place(machine->boot, &machine->layout, cpus, mpidr, err);
}

static int watch_requests(struct mv_machine *machine, struct mv_error *err)
{
    machine->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (machine->request_fd < 0)
        return mv_error_set_errno(err, errno, "the machine's requests");
    return mv_loop_add(machine->loop, machine->request_fd, EPOLLIN, serve_requests, machine,
                       &machine->request_source, err);
}

/* --- devices */

static void device_changed(void *opaque, const char *path, const char *id, bool is_there)
{
    struct mv_machine *machine = opaque;
    for (struct mv_machine_observer *o = machine->observers, *next; o != NULL; o = next) {
        next = o->next;
        if (o->device != NULL)
            o->device(o->opaque, path, id, is_there);
    }
}

static int make_hotplug(struct mv_machine *machine, struct mv_error *err)
{
    struct mv_hotplug_params params = {.loop = machine->loop,
                                       .devices = &machine->devices,
                                       .space = machine->space,
                                       .changed = device_changed,
                                       .opaque = machine};
    return mv_hotplug_create(&params, &machine->hotplug, err);
}

static struct mv_board_pci pci_of(struct mv_machine *machine, struct mv_ivshmem_hello *hello)
{
    return (struct mv_board_pci){.host = machine->board.pci,
                                 .devices = &machine->devices,
                                 .blocks = machine->blocks,
                                 .hotplug = machine->hotplug,
                                 .loop = machine->loop,
                                 .hello = hello};
}

/* On the host bridge's bus, those with a slot of their own first; then what is behind ports. */
static unsigned turn_of(const struct mv_config_device *wish)
{
    if (wish->bus != NULL && strcmp(wish->bus, MV_BOARD_PCI_BUS) != 0)
        return 2;
    return wish->slot >= 0 ? 0 : 1;
}

static int plug_devices(struct mv_machine *machine, const struct mv_config *config,
                        struct mv_error *err)
{
    const struct mv_board_pci pci = pci_of(machine, NULL);
    struct mv_device *device;
    int r = 0;
    for (size_t i = 0; r == 0 && i < 3 * config->device_count; i++) {
        const struct mv_config_device *wish = &config->devices[i % config->device_count];
        if (turn_of(wish) == i / config->device_count)
            r = mv_board_plug(&pci, wish, false, &device, err);
    }
    return r;
}

int mv_machine_device_check(struct mv_machine *machine, const struct mv_config_device *wish,
                            struct mv_error *err)
{
    const struct mv_board_pci pci = pci_of(machine, NULL);
    mv_hotplug_settle(machine->hotplug);
    return mv_board_check_plug(&pci, wish, err);
}

int mv_machine_device_add_greeted(struct mv_machine *machine, const struct mv_config_device *wish,
                                  struct mv_ivshmem_hello *hello, struct mv_error *err)
{
    const struct mv_board_pci pci = pci_of(machine, hello);
    struct mv_device *device;
    mv_hotplug_settle(machine->hotplug);
    int r = mv_board_plug(&pci, wish, true, &device, err);
    if (r == 0)
        mv_hotplug_added(machine->hotplug, device);
    return r;
}

int mv_machine_device_add(struct mv_machine *machine, const struct mv_config_device *wish,
                          struct mv_error *err)
{
    return mv_machine_device_add_greeted(machine, wish, NULL, err);
}

int mv_machine_device_remove(struct mv_machine *machine, const char *name, struct mv_error *err)
{
    return mv_hotplug_remove(machine->hotplug, name, err);
}

static int make(struct mv_machine *machine, const struct mv_config *config,
                struct mv_serial_backend *serial, struct mv_error *err)
{
    const struct mv_engine_ops *engine = NULL;
    int r = choose_engine(config->engine, &engine, err);
    if (r == 0)
        r = mv_bank_layout_make(config->banks, config->bank_count, mv_board_windows,
                                mv_board_window_count, MV_BOARD_RAM_BASE, MV_BOARD_IPA_BITS,
                                &machine->layout, err);
    if (r == 0)
        r = mv_boot_create(config, &machine->layout, &machine->boot, err);
    if (r == 0)
        r = make_map(machine, config, err);
    if (r == 0)
        r = mv_board_create(config->cpus, &machine->layout, machine->loop, serial, &machine->devices,
                            machine->space, &machine->board, err);
    if (r == 0)
        r = mv_power_button_create(machine->loop, machine->board.gpio, MV_BOARD_POWER_LINE,
                                   &machine->button, err);
    if (r == 0)
        r = make_vcpus(machine, engine, config->cpus, err);
    if (r == 0)
        r = place_boot(machine, config->cpus, err);
    if (r == 0)
        r = make_banks(machine, err);
    if (r == 0)
        r = make_hotplug(machine, err);
    if (r == 0)
        r = plug_devices(machine, config, err);
    if (r == 0)
        r = mv_block_registry_check_backs(machine->blocks, err);
    if (r == 0)
        r = watch_requests(machine, err);
    if (r == 0)
        r = set_power_on_state(machine, err);
    return r;
}

/* What the host could not give while the guest was loaded says more than the loader. */
static void explain_first_fault(struct mv_machine *machine, struct mv_error *err)
{
    const struct mv_block *block;
    struct mv_block_fault why;
    uint64_t offset;
    if (!mv_fault_queue_take(&machine->faults, machine->blocks, &block, &offset))
        return;
    mv_block_fault_explain(block, offset, &why);
    mv_error_set(err, EIO, "%s: %s", why.what.text, why.remedy.text);
}

int mv_machine_create(const struct mv_config *config, struct mv_loop *loop,
                      struct mv_serial_backend *serial, struct mv_machine **ret,
                      struct mv_error *err)
{
    if (strcmp(config->machine, "arm64") != 0)
        return mv_error_set(err, ENOENT, "machine '%s' is not built in: arm64 is",
                            config->machine);
    struct mv_machine *machine = calloc(1, sizeof *machine);
    if (machine == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the machine");
    machine->loop = loop;
    machine->request_fd = -1;
    machine->no_reboot = config->no_reboot;
    machine->name = config->name;
    machine->paused = true;
    mv_fault_queue_init(&machine->faults);
    mv_device_tree_init(&machine->devices);
    int r = make(machine, config, serial, err);
    if (r == -EIO)
        explain_first_fault(machine, err);
    if (r < 0) {
        mv_machine_destroy(machine);
        return r;
    }
    *ret = machine;
    return 0;
}

void mv_machine_destroy(struct mv_machine *machine)
{
    if (machine == NULL)
        return;
    mv_vcpus_destroy(machine->vcpus);
    if (machine->engine != NULL)
        machine->engine->ops->destroy(machine->engine);
    if (machine->request_source != NULL)
        mv_loop_remove(machine->request_source);
    mv_cleanup_close(&machine->request_fd);
    mv_power_button_destroy(machine->button);
    mv_hotplug_destroy(machine->hotplug);
    mv_device_tree_destroy(&machine->devices);
    mv_space_destroy(machine->space);
    mv_block_registry_destroy(machine->blocks);
    free(machine->backs);
    mv_boot_destroy(machine->boot);
    mv_bank_layout_free(&machine->layout);
    mv_fault_queue_destroy(&machine->faults);
    free(machine);
}

/* --- running */

void mv_machine_for_each_device(struct mv_machine *machine,
                                void (*fn)(void *opaque, struct mv_device *device), void *opaque)
{
    for (struct mv_device *device = machine->devices.first; device != NULL; device = device->next)
        fn(opaque, device);
}

struct mv_pci_bus *mv_machine_pci_bus(struct mv_machine *machine)
{
    return mv_pci_host_bus(machine->board.pci);
}

struct mv_device *mv_machine_uart(struct mv_machine *machine)
{
    return machine->board.uart;
}

struct mv_space *mv_machine_space(struct mv_machine *machine)
{
    return machine->space;
}

struct mv_block_registry *mv_machine_blocks(struct mv_machine *machine)
{
    return machine->blocks;
}

const struct mv_window *mv_machine_windows(const struct mv_machine *machine, size_t *ret_count)
{
    *ret_count = mv_board_window_count;
    return mv_board_windows;
}

unsigned mv_machine_cpu_count(const struct mv_machine *machine)
{
    return mv_vcpus_count(machine->vcpus);
}

struct mv_engine *mv_machine_engine(struct mv_machine *machine)
{
    return machine->engine;
}

struct mv_vcpu *mv_machine_vcpu(struct mv_machine *machine, unsigned index)
{
    return mv_vcpus_get(machine->vcpus, index);
}

bool mv_machine_cpu_is_on(struct mv_machine *machine, unsigned index)
{
    return mv_vcpus_power(machine->vcpus, index) != MV_VCPU_OFF;
}

int mv_machine_cpu_thread_id(const struct mv_machine *machine, unsigned index)
{
    return mv_vcpus_thread_id(machine->vcpus, index);
}

const void *mv_machine_dtb(struct mv_machine *machine, uint32_t *ret_size)
{
    return mv_boot_fdt(machine->boot, ret_size);
}

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
    mv_vcpus_stop(machine->vcpus);
    if (ran)
        tell(machine, MV_MACHINE_EVENT_STOP, MV_CAUSE_HOST_QMP);
}

void mv_machine_resume_only(struct mv_machine *machine, uint64_t mask)
{
    bool stood = machine->paused;
    if (machine->ended || (machine->reset_due && !reset(machine, MV_CAUSE_HOST_ERROR)))
        return;
    machine->faulted = false;
    machine->paused = false;
    machine->launched = true;
    if (stood)
        tell(machine, MV_MACHINE_EVENT_RESUME, MV_CAUSE_HOST_QMP);
    mv_vcpus_go_only(machine->vcpus, mask);
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
