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
#include "board-arm64.h"
#include "boot.h"
#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "power-button.h"
#include "space.h"
#include "vcpu-thread.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum request {
    REQUEST_QUIT = 1 << 0,
    REQUEST_GUEST_OFF = 1 << 1,
    REQUEST_GUEST_RESET = 1 << 2,
    REQUEST_RESET = 1 << 3,
    REQUEST_POWERDOWN = 1 << 4,
};

struct mv_machine {
    struct mv_loop *loop;
    struct mv_bank_layout layout;
    struct mv_boot *boot;
    struct mv_block_registry *blocks;
    struct mv_space *space;
    struct mv_device_tree devices;
    struct mv_board board;
    struct mv_power_button *button;
    struct mv_engine *engine;
    struct mv_vcpus *vcpus;

    int request_fd;
    struct mv_loop_source *request_source;
    atomic_uint requests;

    bool no_reboot;
    bool paused;
    bool ended;
    enum mv_machine_end end;
};

/* --- requests */

static void request(struct mv_machine *machine, enum request what)
{
    uint64_t one = 1;
    atomic_fetch_or(&machine->requests, (unsigned)what);
    /* Fails only where the counter is full: then the loop is awake already. */
    ssize_t n = write(machine->request_fd, &one, sizeof one);
    (void)n;
}

static void end_with(struct mv_machine *machine, enum mv_machine_end end)
{
    mv_vcpus_stop(machine->vcpus);
    machine->ended = true;
    machine->end = end;
    mv_loop_stop(machine->loop);
}

/* Power-on state: of devices, vCPUs and what the boot loader puts into RAM. */
static int set_power_on_state(struct mv_machine *machine, struct mv_error *err)
{
    uint64_t pc, x0;
    mv_vcpus_reset(machine->vcpus);
    mv_power_button_release(machine->button);
    mv_device_tree_reset(&machine->devices);
    int r = mv_boot_load(machine->boot, machine->space, err);
    if (r < 0)
        return r;
    mv_boot_entry(machine->boot, &pc, &x0);
    mv_vcpus_power_on(machine->vcpus, 0, pc, x0);
    return 0;
}

static void reset(struct mv_machine *machine)
{
    struct mv_error err;
    mv_vcpus_stop(machine->vcpus);
    if (set_power_on_state(machine, &err) < 0) {
        mv_log("cannot reset the guest: %s", err.text);
        end_with(machine, MV_MACHINE_FAILED);
        return;
    }
    if (!machine->paused)
        mv_vcpus_go(machine->vcpus);
}

/* What ends the machine comes first. */
static void serve_requests(void *opaque, uint32_t events)
{
    struct mv_machine *machine = opaque;
    uint64_t count;
    (void)events;
    ssize_t n = read(machine->request_fd, &count, sizeof count);
    (void)n;
    unsigned wanted = atomic_exchange(&machine->requests, 0);
    if (machine->ended)
        return;
    if (wanted & REQUEST_QUIT)
        end_with(machine, MV_MACHINE_QUIT);
    else if (wanted & REQUEST_GUEST_OFF)
        end_with(machine, MV_MACHINE_POWERED_OFF);
    else if ((wanted & REQUEST_GUEST_RESET) && machine->no_reboot)
        end_with(machine, MV_MACHINE_RESET);
    else if (wanted & (REQUEST_GUEST_RESET | REQUEST_RESET))
        reset(machine);
    else if (wanted & REQUEST_POWERDOWN)
        mv_power_button_press(machine->button);
}

/* In the thread of the vCPU that asked. */
static void guest_event(void *opaque, enum mv_vcpu_event event)
{
    request(opaque, event == MV_VCPU_SYSTEM_OFF ? REQUEST_GUEST_OFF : REQUEST_GUEST_RESET);
}

void mv_machine_request_powerdown(struct mv_machine *machine)
{
    request(machine, REQUEST_POWERDOWN);
}

void mv_machine_request_reset(struct mv_machine *machine)
{
    request(machine, REQUEST_RESET);
}

void mv_machine_request_quit(struct mv_machine *machine)
{
    request(machine, REQUEST_QUIT);
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
    for (size_t i = 0; i < machine->layout.count; i++) {
        const struct mv_bank *bank = &machine->layout.banks[i];
        struct mv_block *block;
        int r = mv_block_create(machine->blocks, "", bank->id, bank->size, &block, err);
        if (r == 0)
            r = mv_space_add_ram(machine->space, bank->gpa, block, 0, bank->size, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int make_map(struct mv_machine *machine, struct mv_error *err)
{
    int r = mv_block_registry_create(&machine->blocks, err);
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
        r = make_map(machine, err);
    if (r == 0)
        r = mv_board_create(config->cpus, machine->loop, serial, &machine->devices,
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
        r = watch_requests(machine, err);
    if (r == 0)
        r = set_power_on_state(machine, err);
    return r;
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
    machine->paused = true;
    mv_device_tree_init(&machine->devices);
    int r = make(machine, config, serial, err);
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
    mv_device_tree_destroy(&machine->devices);
    mv_space_destroy(machine->space);
    mv_block_registry_destroy(machine->blocks);
    mv_boot_destroy(machine->boot);
    mv_bank_layout_free(&machine->layout);
    free(machine);
}

/* --- running */

struct mv_device *mv_machine_uart(struct mv_machine *machine)
{
    return machine->board.uart;
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
    machine->paused = true;
    mv_vcpus_stop(machine->vcpus);
}

void mv_machine_resume(struct mv_machine *machine)
{
    machine->paused = false;
    if (!machine->ended)
        mv_vcpus_go(machine->vcpus);
}

enum mv_machine_end mv_machine_wait(struct mv_machine *machine)
{
    /* Someone else may stop the loop; only an end ends the machine. */
    while (!machine->ended)
        mv_loop_run(machine->loop);
    return machine->end;
}
