/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_edu: the PCI function of QEMU's docs/specs/edu.txt, made for those
 * who write drivers and for tests of interrupts: identification, liveness,
 * factorial, and a register that interrupts by INTx or MSI.  Its DMA engine is
 * not here.  `lock` guards the registers; called by vCPU threads.
 */
#include "pci-devices.h"

#include "cleanup.h"
#include "pci-msi.h"

#include <pthread.h>
#include <stdlib.h>

#define REGISTERS_SIZE 0x100000

enum reg {
    REG_ID = 0x00,
    REG_LIVENESS = 0x04,
    REG_FACTORIAL = 0x08,
    REG_STATUS = 0x20,
    REG_INTERRUPT_STATUS = 0x24,
    REG_INTERRUPT_RAISE = 0x60,
    REG_INTERRUPT_ACKNOWLEDGE = 0x64,
};

#define ID 0x010000ed /* version 1.0, and "ed" for the device */
#define STATUS_INTERRUPT    0x80 /* interrupt when a factorial is done */
#define INTERRUPT_FACTORIAL 1u

struct mv_edu {
    struct mv_pci_function function;
    struct mv_mmio_region registers;
    pthread_mutex_t lock;
    uint32_t liveness;
    uint32_t factorial;
    uint32_t status;
    uint32_t interrupts;
};

static void raise_interrupts(struct mv_edu *edu, uint32_t bits)
{
    edu->interrupts |= bits;
    if (edu->interrupts == 0)
        return;
    mv_pci_intx_set(&edu->function, true);
    mv_pci_msi_send(&edu->function);
}

/* Modulo 2^32 it is 0 from 34 on, so that no value takes long. */
static uint32_t factorial(uint32_t n)
{
    uint32_t product = 1;
    for (uint32_t i = 2; i <= n && product != 0; i++)
        product *= i;
    return product;
}

static uint64_t registers_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_edu *edu = opaque;
    MV_LOCK_SCOPE(&edu->lock);
    switch (offset) {
    case REG_ID:
        return ID;
    case REG_LIVENESS:
        return edu->liveness;
    case REG_FACTORIAL:
        return edu->factorial;
    case REG_STATUS:
        return edu->status;
    case REG_INTERRUPT_STATUS:
        return edu->interrupts;
    default:
        return UINT64_MAX;
    }
}

static void registers_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_edu *edu = opaque;
    MV_LOCK_SCOPE(&edu->lock);
    switch (offset) {
    case REG_LIVENESS:
        edu->liveness = ~(uint32_t)value;
        break;
    case REG_FACTORIAL:
        edu->factorial = factorial((uint32_t)value);
        if (edu->status & STATUS_INTERRUPT)
            raise_interrupts(edu, INTERRUPT_FACTORIAL);
        break;
    case REG_STATUS:
        edu->status = value & STATUS_INTERRUPT;
        break;
    case REG_INTERRUPT_RAISE:
        raise_interrupts(edu, (uint32_t)value);
        break;
    case REG_INTERRUPT_ACKNOWLEDGE:
        edu->interrupts &= ~(uint32_t)value;
        mv_pci_intx_set(&edu->function, edu->interrupts != 0);
        break;
    default:
        break;
    }
}

static const struct mv_mmio_ops registers_ops = {
    .read = registers_read,
    .peek = registers_read,
    .write = registers_write,
    .min_access = 4,
    .max_access = 8,
};

static void reset(struct mv_device *device)
{
    struct mv_edu *edu = (struct mv_edu *)device;
    MV_LOCK_SCOPE(&edu->lock);
    edu->liveness = edu->factorial = edu->status = edu->interrupts = 0;
    mv_pci_function_reset(&edu->function);
}

static void destroy(struct mv_device *device)
{
    struct mv_edu *edu = (struct mv_edu *)device;
    mv_pci_bus_unplug(&edu->function);
    pthread_mutex_destroy(&edu->lock);
    free(edu);
}

static const struct mv_state_field state_fields[] = {
    MV_PCI_STATE_FIELD(struct mv_edu, function),
    MV_STATE_ANY("liveness", struct mv_edu, liveness, MV_STATE_U32),
    MV_STATE_ANY("factorial", struct mv_edu, factorial, MV_STATE_U32),
    MV_STATE_BITS("status", struct mv_edu, status, MV_STATE_U32, STATUS_INTERRUPT),
    MV_STATE_ANY("interrupts", struct mv_edu, interrupts, MV_STATE_U32),
};

static int check_state(const void *object, struct mv_error *err)
{
    return mv_pci_function_check(&((const struct mv_edu *)object)->function, err);
}

static void state_loaded(void *object)
{
    struct mv_edu *edu = object;
    MV_LOCK_SCOPE(&edu->lock);
    mv_pci_intx_set(&edu->function, edu->interrupts != 0);
    mv_pci_function_loaded(&edu->function);
}

static const struct mv_state_table state_table =
    MV_STATE_TABLE(struct mv_edu, "edu", 1, state_fields, .mutex = offsetof(struct mv_edu, lock),
                   .lock = mv_pci_function_mutex, .check = check_state, .loaded = state_loaded);

static const struct mv_device_ops device_ops = {
    .type = "edu", .state = &state_table, .reset = reset, .destroy = destroy};

int mv_edu_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                  struct mv_error *err)
{
    static const struct mv_pci_ids ids = {
        .vendor = 0x1234,
        .device = 0x11e8,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = 0x00ff00, /* of no class */
        .revision = 0x10,
        .interrupt = true,
    };
    (void)params;
    struct mv_edu *edu = calloc(1, sizeof *edu);
    if (edu == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    pthread_mutex_init(&edu->lock, NULL);
    mv_pci_function_init(&edu->function, &device_ops, &ids);
    edu->registers =
        (struct mv_mmio_region){.name = "edu registers", .ops = &registers_ops, .opaque = edu};
    mv_pci_bar_mmio(&edu->function, 0, REGISTERS_SIZE, &edu->registers);
    mv_pci_msi_add(&edu->function);
    *ret = &edu->function;
    return 0;
}
