/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: makes its parts in order and takes them apart in the reverse
 * one.  The main thread's.  Callers: cli, control, gdb.
 */
#include "machine-state.h"

#include "block-claim.h"
#include "block-info.h"
#include "block.h"
#include "cleanup.h"
#include "loop.h"
#include "pci-devices.h"
#include "platform-devices.h"
#include "space.h"

#include <string.h>

/* --- making */

static int probe_engine(const struct mv_engine_ops *engine, const struct mv_board_ops *board,
                        struct mv_error *err)
{
    if (engine->arch != board->arch)
        return mv_error_set(err, ENOTSUP,
                            "it runs vCPUs of %s, and the machine '%s' has those of %s",
                            engine->arch->name, board->name, board->arch->name);
    return engine->probe == NULL ? 0 : engine->probe(err);
}

static int choose_engine(const char *name, const struct mv_board_ops *board,
                         const struct mv_engine_ops **ret, struct mv_error *err)
{
    bool automatic = strcmp(name, "auto") == 0;
    struct mv_error why = {"there is none"};
    for (size_t i = 0; mv_engines[i] != NULL; i++) {
        if (!automatic && strcmp(name, mv_engines[i]->name) != 0)
            continue;
        int r = probe_engine(mv_engines[i], board, &why);
        if (r == 0) {
            *ret = mv_engines[i];
            return 0;
        }
        if (!automatic)
            return mv_error_set(err, -r, "engine '%s' cannot run here: %s", name, why.text);
    }
    if (!automatic)
        return mv_error_set(err, ENOENT, "engine '%s' is not built in: see memvisor engines", name);
    return mv_error_set(err, ENODEV, "no engine can run here: %s", why.text);
}

static int make_banks(struct mv_machine *machine, struct mv_error *err)
{
    int r = mv_block_registry_plan(machine->blocks, &machine->layout, err);
    for (size_t i = 0; r == 0 && i < machine->layout.count; i++) {
        const struct mv_bank *bank = &machine->layout.banks[i];
        struct mv_block *block;
        r = mv_block_create_backed(machine->blocks, "", bank->id, bank->size, &bank->wish->backing,
                                   &block, err);
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
                    const struct mv_machine_places *places, struct mv_error *err)
{
    int r = mv_block_registry_create(&machine->blocks, err);
    if (r < 0)
        return r;
    mv_block_registry_on_fault(machine->blocks, mv_machine_memory_fault, machine);
    mv_block_registry_set_places(machine->blocks, places->list, places->count);
    mv_block_registry_inherit(machine->blocks, places->inherited);
    mv_block_claims_leave(machine->blocks, places->unclaimed, places->unclaimed_count);
    if (r == 0)
        r = set_backs(machine, config, err);
    if (r == 0)
        r = mv_space_create(&machine->space, err);
    if (r == 0)
        mv_block_registry_set_space(machine->blocks, machine->space);
    return r;
}

/* Before the board: an engine may have parts of it, such as the interrupt controller. */
static int make_engine(struct mv_machine *machine, const struct mv_engine_ops *engine,
                       const struct mv_config *config, struct mv_error *err)
{
    struct mv_engine_params params = {
        .space = machine->space,
        .loop = machine->loop,
        .cpus = config->cpus,
        .jit = config->jit == MV_SWITCH_ON,
        .jit_cache = config->jit_cache,
        .jit_after = config->jit_after,
        .jit_check = config->jit_check == MV_SWITCH_ON,
        .perf = config->perf,
        .virtual_timer_intid = machine->board.ops->virtual_timer_intid,
        .physical_timer_intid = machine->board.ops->physical_timer_intid,
    };
    return engine->create(&params, &machine->engine, err);
}

static int make_board(struct mv_machine *machine, unsigned cpus, struct mv_serial_backend *serial,
                      struct mv_error *err)
{
    machine->board.platform = (struct mv_platform){
        .cpus = cpus,
        .loop = machine->loop,
        .space = machine->space,
        .devices = &machine->devices,
        .serial = serial,
    };
    int r = mv_board_create(&machine->board, &machine->layout, err);
    if (r == 0)
        machine->engine->ops->set_irqchip(machine->engine, machine->board.platform.irqchip);
    return r;
}

/* On the host bridge's bus, those with a slot of their own first; then what is behind ports. */
static unsigned turn_of(const struct mv_config_device *wish)
{
    if (!mv_pci_host_is_meant(wish->bus))
        return 2;
    return wish->slot >= 0 ? 0 : 1;
}

static int make_devices(struct mv_machine *machine, const struct mv_config *config,
                        struct mv_error *err)
{
    struct mv_device *device;
    int r = 0;
    machine->hotplug = (struct mv_hotplug){.loop = machine->loop,
                                           .host = machine->board.platform.pci,
                                           .devices = &machine->devices,
                                           .space = machine->space,
                                           .blocks = machine->blocks,
                                           .timers = &machine->timers,
                                           .changed = mv_machine_tell_device,
                                           .opaque = machine};
    for (size_t i = 0; r == 0 && i < 3 * config->device_count; i++) {
        const struct mv_config_device *wish = &config->devices[i % config->device_count];
        if (turn_of(wish) == i / config->device_count)
            r = mv_board_plug(&machine->hotplug, wish, NULL, false, &device, err);
    }
    return r;
}

static int make(struct mv_machine *machine, const struct mv_config *config,
                const struct mv_machine_boot *carried, const struct mv_machine_places *places,
                struct mv_serial_backend *serial, struct mv_error *err)
{
    const struct mv_engine_ops *engine = NULL;
    const struct mv_board_ops *board = NULL;
    int r = mv_board_find(config->machine, &board, err);
    machine->board.ops = board;
    if (r == 0)
        r = choose_engine(config->engine, board, &engine, err);
    if (r == 0)
        r = mv_bank_layout_make(config->banks, config->bank_count, board->windows,
                                board->window_count, board->ram_base, board->ipa_bits,
                                &machine->layout, err);
    if (r == 0)
        r = mv_boot_create(config, carried, board->loader, &machine->layout, &machine->boot, err);
    if (r == 0)
        r = make_map(machine, config, places, err);
    if (r == 0)
        r = make_engine(machine, engine, config, err);
    if (r == 0)
        r = make_board(machine, config->cpus, serial, err);
    if (r == 0)
        r = mv_power_button_create(&machine->timers, machine->board.platform.gpio,
                                   board->power_line, &machine->button, err);
    if (r == 0)
        r = mv_vcpus_create(machine->engine, config->cpus, mv_machine_guest_event, machine,
                            &machine->vcpus, err);
    if (r == 0)
        r = mv_boot_place(machine->boot, &machine->board, &machine->layout, engine->caches, err);
    if (r == 0)
        r = make_banks(machine, err);
    if (r == 0)
        r = make_devices(machine, config, err);
    if (r == 0) {
        mv_block_registry_set_places(machine->blocks, NULL, 0);
        mv_block_registry_inherit(machine->blocks, NULL);
        mv_block_claims_leave(machine->blocks, NULL, 0);
        r = mv_block_registry_check_backs(machine->blocks, err);
    }
    if (r == 0)
        r = mv_machine_watch_requests(machine, err);
    if (r == 0 && carried != NULL)
        mv_machine_reset_parts(machine);
    else if (r == 0)
        r = mv_machine_power_on_state(machine, err);
    return r;
}

/* What the host could not give while the guest was loaded says more than the loader. */
static void explain_first_fault(struct mv_machine *machine, struct mv_error *err)
{
    const struct mv_block *block;
    struct mv_block_fault why;
    uint64_t offset;
    if (!mv_machine_take_fault(machine, &block, &offset))
        return;
    mv_block_fault_explain(block, offset, &why);
    mv_error_set(err, EIO, "%s: %s", why.what.text, why.remedy.text);
}

static uint64_t guest_ns(void *opaque)
{
    struct mv_engine *engine = ((struct mv_machine *)opaque)->engine;
    return engine->ops->clock_ns(engine);
}

static int create(const struct mv_config *config, const struct mv_machine_boot *carried,
                  const struct mv_machine_places *places, struct mv_loop *loop,
                  struct mv_serial_backend *serial, struct mv_machine **ret, struct mv_error *err)
{
    struct mv_machine *machine = calloc(1, sizeof *machine);
    if (machine == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the machine");
    machine->config = config;
    machine->loop = loop;
    machine->request_fd = -1;
    machine->no_reboot = config->no_reboot;
    machine->name = config->name;
    machine->paused = true;
    pthread_mutex_init(&machine->faults.lock, NULL);
    machine->hotplug = (struct mv_hotplug){.loop = loop, .devices = &machine->devices};
    mv_guest_timers_init(&machine->timers, loop, guest_ns, machine);
    int r = make(machine, config, carried, places, serial, err);
    if (r == -EIO)
        explain_first_fault(machine, err);
    if (r < 0) {
        mv_machine_destroy(machine);
        return r;
    }
    mv_ns16550a_hold(mv_machine_uart(machine), true);
    *ret = machine;
    return 0;
}

int mv_machine_create(const struct mv_config *config, struct mv_loop *loop,
                      struct mv_serial_backend *serial, struct mv_machine **ret,
                      struct mv_error *err)
{
    static const struct mv_machine_places nowhere;
    return create(config, NULL, &nowhere, loop, serial, ret, err);
}

int mv_machine_create_saved(const struct mv_config *config, const struct mv_machine_boot *boot,
                            const struct mv_machine_places *places, struct mv_loop *loop,
                            struct mv_serial_backend *serial, struct mv_machine **ret,
                            struct mv_error *err)
{
    return create(config, boot, places, loop, serial, ret, err);
}

void mv_machine_destroy(struct mv_machine *machine)
{
    if (machine == NULL)
        return;
    mv_throttle_destroy(machine->throttle);
    mv_vcpus_destroy(machine->vcpus);
    if (machine->blocks != NULL)
        mv_block_registry_stop(machine->blocks);
    if (machine->engine != NULL)
        machine->engine->ops->destroy(machine->engine);
    mv_loop_remove(machine->request_source);
    mv_cleanup_close(&machine->request_fd);
    mv_power_button_destroy(machine->button);
    mv_hotplug_destroy(&machine->hotplug);
    mv_device_tree_destroy(&machine->devices);
    mv_guest_timers_clear(&machine->timers);
    mv_block_registry_destroy(machine->blocks);
    mv_space_destroy(machine->space);
    free(machine->backs);
    mv_boot_destroy(machine->boot);
    mv_bank_layout_free(&machine->layout);
    pthread_mutex_destroy(&machine->faults.lock);
    free(machine);
}

/* --- devices while the guest runs */

int mv_machine_device_check(struct mv_machine *machine, const struct mv_config_device *wish,
                            struct mv_error *err)
{
    mv_hotplug_collect(&machine->hotplug);
    return mv_board_check_plug(&machine->hotplug, wish, err);
}

int mv_machine_device_add(struct mv_machine *machine, const struct mv_config_device *wish,
                          struct mv_ivshmem_hello *hello, struct mv_error *err)
{
    struct mv_device *device;
    mv_hotplug_collect(&machine->hotplug);
    int r = mv_board_plug(&machine->hotplug, wish, hello, true, &device, err);
    if (r == 0)
        mv_hotplug_added(&machine->hotplug, device);
    return r;
}

int mv_machine_device_remove(struct mv_machine *machine, const char *name, struct mv_error *err)
{
    return mv_hotplug_remove(&machine->hotplug, name, err);
}

/* --- its parts */

bool mv_machine_ivshmem(struct mv_device *device, const struct mv_block **ret_block,
                        struct mv_ivshmem_link **ret_link)
{
    return mv_ivshmem_parts(device, ret_block, ret_link);
}

void mv_machine_for_each_device(struct mv_machine *machine,
                                void (*fn)(void *opaque, struct mv_device *device), void *opaque)
{
    for (struct mv_device *device = machine->devices.first; device != NULL; device = device->next)
        fn(opaque, device);
}

struct mv_pci_bus *mv_machine_pci_bus(struct mv_machine *machine)
{
    struct mv_device *host = machine->board.platform.pci;
    return host == NULL ? NULL : mv_pci_host_bus(host);
}

struct mv_device *mv_machine_uart(struct mv_machine *machine)
{
    return machine->board.platform.console;
}

static int find_generation(struct mv_machine *machine, struct mv_device **ret, struct mv_error *err)
{
    *ret = machine->board.platform.vmgenid;
    return *ret != NULL ? 0
                        : mv_error_set(err, ENODEV, "machine '%s' has no VM generation ID",
                                       machine->board.ops->name);
}

int mv_machine_generation(struct mv_machine *machine, uint8_t ret_id[MV_GENERATION_SIZE],
                          struct mv_error *err)
{
    struct mv_device *device;
    int r = find_generation(machine, &device, err);
    if (r == 0)
        mv_vmgenid_read(device, ret_id);
    return r;
}

int mv_machine_renew_generation(struct mv_machine *machine, struct mv_error *err)
{
    struct mv_device *device;
    int r = find_generation(machine, &device, err);
    return r < 0 ? r : mv_vmgenid_renew(device, err);
}

struct mv_space *mv_machine_space(struct mv_machine *machine)
{
    return machine->space;
}

struct mv_block_registry *mv_machine_blocks(struct mv_machine *machine)
{
    return machine->blocks;
}

/* Last the one whose place the banks decide. */
bool mv_machine_window(const struct mv_machine *machine, size_t index, struct mv_window *ret)
{
    const struct mv_board *board = &machine->board;
    if (index < board->ops->window_count) {
        *ret = board->ops->windows[index];
        return true;
    }
    if (index > board->ops->window_count || board->platform.pci64.size == 0)
        return false;
    *ret = (struct mv_window){"PCI 64-bit", board->platform.pci64.gpa, board->platform.pci64.size};
    return true;
}

unsigned mv_machine_cpu_count(const struct mv_machine *machine)
{
    return mv_vcpus_count(machine->vcpus);
}

struct mv_engine *mv_machine_engine(struct mv_machine *machine)
{
    return machine->engine;
}

bool mv_machine_jit(struct mv_machine *machine, struct mv_machine_jit *ret)
{
    struct mv_engine *engine = machine->engine;
    struct mv_engine_jit jit;
    if (engine->ops->jit_info == NULL || !engine->ops->jit_info(engine, &jit))
        return false;
    *ret = (struct mv_machine_jit){jit.size,      jit.used,    jit.units,   jit.refused,
                                   jit.evictions, jit.strays,  jit.entries, jit.interpreted,
                                   jit.elsewhere, jit.left,    jit.checked, jit.unchecked};
    return true;
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

const struct mv_config *mv_machine_config(const struct mv_machine *machine)
{
    return machine->config;
}

void mv_machine_boot(const struct mv_machine *machine, struct mv_machine_boot *ret)
{
    mv_boot_describe(machine->boot, ret);
}

const void *mv_machine_dtb(struct mv_machine *machine, uint32_t *ret_size)
{
    return mv_boot_fdt(machine->boot, ret_size);
}
