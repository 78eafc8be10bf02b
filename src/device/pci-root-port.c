/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pci_root_port: the root port of QEMU's name, a bus with one slot
 * for devices that come and go.  What it does is bus/pcie-port.c's; it owns the
 * bus behind it.
 */
#include "pci-devices.h"

#include "pcie-port.h"

#include <stdlib.h>

struct mv_pci_root_port {
    struct mv_pcie_port port;
};

static const struct mv_state_field state_fields[] = {
    MV_PCIE_PORT_STATE_FIELDS(struct mv_pci_root_port, port),
};

static int check_state(const void *object, struct mv_error *err)
{
    return mv_pcie_port_check(&((const struct mv_pci_root_port *)object)->port, err);
}

static void state_loaded(void *object)
{
    mv_pcie_port_loaded(&((struct mv_pci_root_port *)object)->port);
}

static const struct mv_state_table state_table =
    MV_STATE_TABLE(struct mv_pci_root_port, "pcie-root-port", 1, state_fields,
                   .lock = mv_pci_function_mutex, .check = check_state, .loaded = state_loaded);

static void reset(struct mv_device *device)
{
    mv_pcie_port_reset((struct mv_pcie_port *)device);
}

static void destroy(struct mv_device *device)
{
    struct mv_pci_root_port *root_port = (struct mv_pci_root_port *)device;
    mv_pci_bus_unplug(&root_port->port.bridge.function);
    mv_pci_bridge_clear(&root_port->port.bridge);
    free(root_port);
}

static const struct mv_device_ops device_ops = {
    .type = "pcie-root-port", .state = &state_table, .reset = reset, .destroy = destroy};

int mv_pci_root_port_create(const struct mv_pci_device_params *params,
                            struct mv_pci_function **ret, struct mv_error *err)
{
    static const struct mv_pci_ids ids = {
        .vendor = 0x1b36,
        .device = 0x000c,
        .class_code = 0x060400, /* PCI-PCI bridge */
        .interrupt = true,
    };
    struct mv_pci_root_port *root_port = calloc(1, sizeof *root_port);
    if (root_port == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    int r = mv_pcie_port_init(&root_port->port, &device_ops, &ids, &params->place, params->eject,
                              params->eject_opaque, err);
    if (r < 0) {
        free(root_port);
        return r;
    }
    *ret = &root_port->port.bridge.function;
    return 0;
}

struct mv_pcie_port *mv_pci_root_port_of(struct mv_device *device)
{
    return device->ops == &device_ops ? &((struct mv_pci_root_port *)device)->port : NULL;
}
