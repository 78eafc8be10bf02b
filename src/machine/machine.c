/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include "board-arm64.h"
#include "board.h"
#include "cleanup.h"
#include "log.h"
#include "loop.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define PSTATE_EL1H_MASKED 0x3c5
/* How long the power button stays down: longer than a driver's debouncing. */
#define BUTTON_NS 100000000L

static int choose_engine(const char *name, const struct mv_engine_ops **ret, struct mv_error *err)
{
    struct mv_error why = {""};
    bool automatic = strcmp(name, "auto") == 0;
    for (const struct mv_engine_ops *const *ops = mv_engines; *ops; ops++) {
        if (!automatic && strcmp((*ops)->name, name) != 0)
            continue;
        int r = (*ops)->probe(&why);
        if (r == 0) {
            *ret = *ops;
            return 0;
        }
        if (!automatic)
            return mv_error_set(err, -r, "engine %s cannot run here: %s", name, why.text);
    }
    return mv_error_set(err, ENODEV, "no engine %s here; see memvisor engines",
                        automatic ? "can run" : name);
}

static int create_ram(struct mv_machine *machine, struct mv_error *err)
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

static int create_cpus(struct mv_machine *machine, struct mv_error *err)
{
    const struct mv_engine_ops *ops;
    int r = choose_engine(machine->config->engine, &ops, err);
    if (r < 0)
        return r;
    const struct mv_engine_params params = {
        .space = machine->space,
        .irqchip = mv_gicv3_irqchip(machine->gic),
        .loop = machine->loop,
        .cpus = machine->config->cpus,
        .virtual_timer_intid = MV_ARM64_TIMER_VIRTUAL,
        .physical_timer_intid = MV_ARM64_TIMER_PHYSICAL,
    };
    r = ops->create(&params, &machine->engine, err);
    for (unsigned i = 0; i < params.cpus && r == 0; i++) {
        machine->vcpus[i].machine = machine;
        r = ops->vcpu_create(machine->engine, i, &machine->vcpus[i].vcpu, err);
    }
    return r;
}

/*
 * Load what a boot needs and set vCPU 0 to enter it; the others are off.  The
 * device tree is made anew each time, for a fresh rng-seed.
 */
static int load(struct mv_machine *machine, struct mv_error *err)
{
    void *dtb;
    uint32_t size;
    int r = mv_fdt_build(machine, &dtb, &size, err);
    if (r < 0)
        return r;
    free(machine->dtb);
    machine->dtb = dtb;
    machine->dtb_size = size;
    r = mv_boot_load(&machine->boot, machine->space, dtb, size, err);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < machine->config->cpus; i++) {
        machine->vcpus[i].vcpu->ops->vcpu_reset(machine->vcpus[i].vcpu);
        machine->vcpus[i].powered = i == 0;
    }
    struct mv_vcpu_regs regs = {.pc = machine->boot.entry, .pstate = PSTATE_EL1H_MASKED};
    regs.x[0] = machine->boot.dtb_gpa;
    machine->vcpus[0].vcpu->ops->vcpu_set_regs(machine->vcpus[0].vcpu, &regs);
    return 0;
}

/* Place kernel, initrd and FDT; the FDT's size does not depend on addresses. */
static int place(struct mv_machine *machine, struct mv_error *err)
{
    CLEANUP_FREE void *dtb = NULL;
    uint32_t size;
    int r = mv_fdt_build(machine, &dtb, &size, err);
    if (r == 0)
        r = mv_boot_place(&machine->boot, &machine->layout, size, err);
    return r;
}

static void button_released(void *opaque, uint32_t events)
{
    (void)events;
    struct mv_machine *machine = opaque;
    uint64_t count;
    if (read(machine->button_fd, &count, sizeof count) == sizeof count)
        mv_pl061_set_input(machine->gpio, MV_ARM64_POWER_LINE, false);
}

static int create_button(struct mv_machine *machine, struct mv_error *err)
{
    machine->button_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (machine->button_fd < 0)
        return mv_error_set_errno(err, errno, "cannot make the power button's timer");
    return mv_loop_add(machine->loop, machine->button_fd, EPOLLIN, button_released, machine,
                       &machine->button_source, err);
}

static int create_parts(struct mv_machine *machine, struct mv_serial_backend *serial,
                        struct mv_error *err)
{
    const struct mv_config *config = machine->config;
    int r = mv_bank_layout_make(config->banks, config->bank_count, mv_arm64_windows,
                                mv_arm64_window_count, MV_ARM64_RAM_BASE, MV_ARM64_IPA_BITS,
                                &machine->layout, err);
    if (r == 0)
        r = mv_boot_open(&machine->boot, config, err);
    if (r == 0)
        r = mv_space_create(&machine->space, err);
    if (r == 0)
        r = mv_block_registry_create(&machine->blocks, err);
    if (r == 0)
        r = mv_board_arm64_create(machine, serial, err);
    if (r == 0)
        r = create_cpus(machine, err);
    if (r == 0)
        r = create_button(machine, err);
    if (r == 0)
        r = place(machine, err);
    if (r == 0)
        r = create_ram(machine, err);
    if (r == 0)
        r = load(machine, err);
    return r;
}

int mv_machine_create(const struct mv_config *config, struct mv_loop *loop,
                      struct mv_serial_backend *serial, struct mv_machine **ret,
                      struct mv_error *err)
{
    struct mv_machine *machine = calloc(1, sizeof *machine);
    if (machine == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the machine");
    machine->config = config;
    machine->loop = loop;
    machine->boot.image.fd = machine->boot.initrd.fd = -1;
    machine->button_fd = -1;
    machine->paused = true;
    pthread_mutex_init(&machine->lock, NULL);
    pthread_cond_init(&machine->changed, NULL);
    mv_device_tree_init(&machine->devices);
    int r = create_parts(machine, serial, err);
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
    mv_vcpu_threads_join(machine);
    for (unsigned i = machine->config->cpus; i-- > 0;)
        if (machine->vcpus[i].vcpu != NULL)
            machine->vcpus[i].vcpu->ops->vcpu_destroy(machine->vcpus[i].vcpu);
    if (machine->engine != NULL)
        machine->engine->ops->destroy(machine->engine);
    if (machine->button_source != NULL)
        mv_loop_remove(machine->button_source);
    if (machine->button_fd >= 0)
        close(machine->button_fd);
    mv_device_tree_destroy(&machine->devices);
    mv_space_destroy(machine->space);
    mv_block_registry_destroy(machine->blocks);
    mv_boot_close(&machine->boot);
    mv_bank_layout_free(&machine->layout);
    free(machine->dtb);
    pthread_cond_destroy(&machine->changed);
    pthread_mutex_destroy(&machine->lock);
    free(machine);
}

struct mv_device *mv_machine_uart(struct mv_machine *machine)
{
    return machine->uart;
}

const void *mv_machine_dtb(struct mv_machine *machine, uint32_t *ret_size)
{
    *ret_size = machine->dtb_size;
    return machine->dtb;
}

int mv_machine_start(struct mv_machine *machine, bool paused, struct mv_error *err)
{
    int r = mv_vcpu_threads_start(machine, err);
    if (r == 0 && !paused)
        mv_vcpu_threads_resume(machine);
    return r;
}

void mv_machine_pause(struct mv_machine *machine)
{
    mv_vcpu_threads_pause(machine);
}

void mv_machine_resume(struct mv_machine *machine)
{
    mv_vcpu_threads_resume(machine);
}

/* --- what others ask for, in the main thread */

static void end_with(struct mv_machine *machine, enum mv_machine_end end)
{
    machine->end = end;
    mv_loop_stop(machine->loop);
}

static void do_powerdown(void *opaque)
{
    struct mv_machine *machine = opaque;
    const struct itimerspec when = {.it_value.tv_nsec = BUTTON_NS};
    mv_pl061_set_input(machine->gpio, MV_ARM64_POWER_LINE, true);
    timerfd_settime(machine->button_fd, 0, &when, NULL);
}

static void do_reset(void *opaque)
{
    struct mv_machine *machine = opaque;
    struct mv_error err;
    bool was_paused = machine->paused;
    mv_vcpu_threads_pause(machine);
    mv_device_tree_reset(&machine->devices);
    if (load(machine, &err) < 0) {
        mv_log("cannot boot the guest again: %s", err.text);
        end_with(machine, MV_MACHINE_FAILED);
        return;
    }
    if (!was_paused)
        mv_vcpu_threads_resume(machine);
}

static void do_guest_reset(void *opaque)
{
    struct mv_machine *machine = opaque;
    if (machine->config->no_reboot)
        end_with(machine, MV_MACHINE_RESET);
    else
        do_reset(machine);
}

static void do_off(void *opaque)
{
    end_with(opaque, MV_MACHINE_POWERED_OFF);
}

static void do_quit(void *opaque)
{
    end_with(opaque, MV_MACHINE_QUIT);
}

void mv_machine_request_powerdown(struct mv_machine *machine)
{
    mv_loop_defer(machine->loop, do_powerdown, machine);
}

void mv_machine_request_reset(struct mv_machine *machine)
{
    mv_loop_defer(machine->loop, do_reset, machine);
}

void mv_machine_request_quit(struct mv_machine *machine)
{
    mv_loop_defer(machine->loop, do_quit, machine);
}

void mv_machine_guest_off(struct mv_machine *machine)
{
    mv_loop_defer(machine->loop, do_off, machine);
}

void mv_machine_guest_reset(struct mv_machine *machine)
{
    mv_loop_defer(machine->loop, do_guest_reset, machine);
}

enum mv_machine_end mv_machine_wait(struct mv_machine *machine)
{
    mv_loop_run(machine->loop);
    mv_vcpu_threads_pause(machine);
    return machine->end;
}
