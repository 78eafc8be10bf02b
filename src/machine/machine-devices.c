/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's PCI devices: those of its configuration, and those that come and
 * go while it runs.  No lock: the main thread's, called by machine.c and control.
 */
#include "machine-state.h"

#include "pci-devices.h"

uint64_t mv_machine_guest_ns(void *opaque)
{
    struct mv_engine *engine = ((struct mv_machine *)opaque)->engine;
    return engine->ops->clock_ns(engine);
}

static struct mv_board_pci pci_of(struct mv_machine *machine, struct mv_ivshmem_hello *hello)
{
    return (struct mv_board_pci){.host = machine->board.platform.pci,
                                 .devices = &machine->devices,
                                 .blocks = machine->blocks,
                                 .hotplug = machine->hotplug,
                                 .loop = machine->loop,
                                 .timers = &machine->timers,
                                 .hello = hello};
}

/* On the host bridge's bus, those with a slot of their own first; then what is behind ports. */
static unsigned turn_of(const struct mv_config_device *wish)
{
    if (!mv_pci_host_is_meant(wish->bus))
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

int mv_machine_make_devices(struct mv_machine *machine, const struct mv_config *config,
                            struct mv_error *err)
{
    const struct mv_hotplug_params params = {.loop = machine->loop,
                                             .devices = &machine->devices,
                                             .space = machine->space,
                                             .blocks = machine->blocks,
                                             .changed = mv_machine_tell_device,
                                             .guest_ns = mv_machine_guest_ns,
                                             .opaque = machine};
    int r = mv_hotplug_create(&params, &machine->hotplug, err);
    return r == 0 ? plug_devices(machine, config, err) : r;
}

/* --- while the guest runs */

int mv_machine_device_check(struct mv_machine *machine, const struct mv_config_device *wish,
                            struct mv_error *err)
{
    const struct mv_board_pci pci = pci_of(machine, NULL);
    mv_hotplug_collect(machine->hotplug);
    return mv_board_check_plug(&pci, wish, err);
}

int mv_machine_device_add_greeted(struct mv_machine *machine, const struct mv_config_device *wish,
                                  struct mv_ivshmem_hello *hello, struct mv_error *err)
{
    const struct mv_board_pci pci = pci_of(machine, hello);
    struct mv_device *device;
    mv_hotplug_collect(machine->hotplug);
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

bool mv_machine_ivshmem(struct mv_device *device, const struct mv_block **ret_block,
                        struct mv_ivshmem_link **ret_link)
{
    return mv_ivshmem_parts(device, ret_block, ret_link);
}
