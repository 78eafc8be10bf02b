/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_vmgenid: the generation of a virtual machine, a random number that a copy of
 * the machine has another of (Microsoft, "Virtual Machine Generation ID"; Linux,
 * Documentation/devicetree/bindings/rng/microsoft,vmgenid.yaml and drivers/virt/vmgenid.c).
 * Two guests that go on from one state would draw the same random numbers; a guest that is
 * interrupted here, and finds another ID, seeds its own anew.
 *
 * The ID is state of the device, and no block of memory: who compares, shares or maps
 * blocks need not leave out one that differs in each copy.  It stays through a reset.  The
 * device's lock guards it; vCPU threads read it, the main thread makes a new one.
 */
#include "platform-devices.h"

#include "cleanup.h"
#include "fdt-writer.h"
#include "os.h"

#include <string.h>

struct mv_vmgenid {
    struct mv_device device;
    struct mv_irq irq;
    uint8_t id[MV_VMGENID_ID_SIZE];
};

/* Behind the ID there are zeros. */
static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_vmgenid *vmgenid = opaque;
    uint64_t value = 0;
    MV_LOCK_SCOPE(&vmgenid->device.lock);
    for (unsigned i = 0; i < size && offset + i < sizeof vmgenid->id; i++)
        value |= (uint64_t)vmgenid->id[offset + i] << (8 * i);
    return value;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    /* The host alone writes it. */
}

static const struct mv_mmio_ops mmio_ops = {
    .read = mmio_read, .peek = mmio_read, .write = mmio_write, .min_access = 1, .max_access = 8};

int mv_vmgenid_renew(struct mv_device *device, struct mv_error *err)
{
    struct mv_vmgenid *vmgenid = (struct mv_vmgenid *)device;
    uint8_t id[sizeof vmgenid->id];
    int r = mv_random(id, sizeof id);
    if (r < 0)
        return mv_error_set_errno(err, -r, "random bytes for the VM's generation ID");
    MV_LOCK_SCOPE(&device->lock);
    memcpy(vmgenid->id, id, sizeof id);
    /* An edge: the guest has nothing to take a level back with. */
    mv_irq_set(&vmgenid->irq, true);
    mv_irq_set(&vmgenid->irq, false);
    return 0;
}

void mv_vmgenid_read(struct mv_device *device, uint8_t ret_id[MV_VMGENID_ID_SIZE])
{
    struct mv_vmgenid *vmgenid = (struct mv_vmgenid *)device;
    MV_LOCK_SCOPE(&device->lock);
    memcpy(ret_id, vmgenid->id, sizeof vmgenid->id);
}

static const struct mv_state_field state_fields[] = {
    MV_STATE_ANY("id", struct mv_vmgenid, id, MV_STATE_U8),
};

static const struct mv_state_table state_table =
    MV_STATE_TABLE(struct mv_vmgenid, "vmgenid", 1, state_fields,
                   .mutex = offsetof(struct mv_vmgenid, device.lock));

static const struct mv_device_ops device_ops = {"vmgenid", &state_table};

/* --- on a board */

static int create(const struct mv_platform *platform, const struct mv_platform_row *row,
                  struct mv_device **ret, struct mv_error *err)
{
    struct mv_vmgenid *vmgenid =
        mv_device_alloc(sizeof *vmgenid, &device_ops, "VM generation ID", &mmio_ops, err);
    if (vmgenid == NULL)
        return -ENOMEM;
    int r = mv_vmgenid_renew(&vmgenid->device, err); /* which has no wire yet */
    if (r < 0) {
        mv_device_destroy(&vmgenid->device);
        return r;
    }
    vmgenid->irq = mv_platform_irq(platform, row);
    *ret = &vmgenid->device;
    return 0;
}

static void describe(struct mv_fdt *fdt, const struct mv_platform *platform,
                     const struct mv_platform_row *row)
{
    mv_fdt_text(fdt, "compatible", "microsoft,vmgenid");
    mv_fdt_reg(fdt, row->gpa, MV_VMGENID_SIZE);
    mv_fdt_interrupt_edge(fdt, row->intid);
}

const struct mv_platform_type mv_vmgenid_type = {"rng", offsetof(struct mv_platform, vmgenid),
                                                 create, MV_VMGENID_SIZE, .describe = describe};
