/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_edu: the PCI function of QEMU's docs/specs/edu.txt, made for those
 * who write drivers and for tests of interrupts and DMA: identification,
 * liveness, factorial, a register that interrupts by INTx or MSI, and a buffer
 * that is copied to and from guest memory 100 ms after it was asked for.  The
 * device's lock guards the registers and the buffer; called by vCPU threads, and by
 * the main thread's timer.
 */
#include "pci-devices.h"

#include "cleanup.h"
#include "guest-timer.h"
#include "pci-msi.h"

#include <string.h>

#define REGISTERS_SIZE 0x100000

enum reg {
    REG_ID = 0x00,
    REG_LIVENESS = 0x04,
    REG_FACTORIAL = 0x08,
    REG_STATUS = 0x20,
    REG_INTERRUPT_STATUS = 0x24,
    REG_INTERRUPT_RAISE = 0x60,
    REG_INTERRUPT_ACKNOWLEDGE = 0x64,
    REG_DMA = 0x80, /* from here on of 64 bits */
};

/* Of the DMA, in their order. */
enum { SOURCE, DESTINATION, COUNT, COMMAND, DMA_REGISTERS };

#define ID                  0x010000ed /* version 1.0, and "ed" for the device */
#define STATUS_INTERRUPT    0x80       /* interrupt when a factorial is done */
#define INTERRUPT_FACTORIAL 1u
#define INTERRUPT_DMA       0x100u

#define COMMAND_RUN       1u /* until it is done */
#define COMMAND_TO_MEMORY 2u /* else from guest memory into the buffer */
#define COMMAND_INTERRUPT 4u /* when it is done */
#define DMA_NS            (100 * 1000 * 1000)

/* The buffer's address, to the device alone. */
#define BUFFER      0x40000
#define BUFFER_SIZE 4096

struct mv_edu {
    struct mv_pci_function function;
    uint32_t liveness;
    uint32_t factorial;
    uint32_t status;
    uint32_t interrupts;
    uint64_t dma_mask; /* of the addresses that it can send */
    struct mv_guest_timer *timer;
    uint64_t dma[DMA_REGISTERS];
    uint64_t left_ns; /* until the DMA is done, of guest time; for a save */
    uint8_t buffer[BUFFER_SIZE];
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

/* --- DMA */

/* What the guest asks for may lie outside the buffer, and is nothing then. */
static bool find_in_buffer(const struct mv_edu *edu, uint64_t address, uint64_t *ret_at)
{
    *ret_at = address - BUFFER;
    return address >= BUFFER && *ret_at <= BUFFER_SIZE && edu->dma[COUNT] <= BUFFER_SIZE - *ret_at;
}

static void transfer(struct mv_edu *edu)
{
    bool to_memory = edu->dma[COMMAND] & COMMAND_TO_MEMORY;
    uint64_t gpa = edu->dma[to_memory ? DESTINATION : SOURCE] & edu->dma_mask;
    uint64_t at, count = edu->dma[COUNT];
    if (!find_in_buffer(edu, edu->dma[to_memory ? SOURCE : DESTINATION], &at))
        return;
    if (to_memory)
        mv_dma_write(&edu->function.dma, gpa, edu->buffer + at, count, NULL);
    else if (mv_dma_read(&edu->function.dma, gpa, edu->buffer + at, count, NULL) < 0)
        memset(edu->buffer + at, 0, count); /* as QEMU's */
}

static void finish_dma(void *opaque)
{
    struct mv_edu *edu = opaque;
    MV_LOCK_SCOPE(&edu->function.device.lock);
    if (!(edu->dma[COMMAND] & COMMAND_RUN))
        return;
    transfer(edu);
    edu->dma[COMMAND] &= ~(uint64_t)COMMAND_RUN;
    if (edu->dma[COMMAND] & COMMAND_INTERRUPT)
        raise_interrupts(edu, INTERRUPT_DMA);
}

/* NULL: there is none. */
static uint64_t *dma_register(struct mv_edu *edu, uint64_t offset)
{
    uint64_t index = (offset - REG_DMA) / sizeof edu->dma[0];
    return offset % sizeof edu->dma[0] == 0 && index < DMA_REGISTERS ? &edu->dma[index] : NULL;
}

/* Nothing changes while it runs, and a command that is not to run is none. */
static void write_dma(struct mv_edu *edu, uint64_t offset, uint64_t value)
{
    uint64_t *reg = dma_register(edu, offset);
    bool starts = reg == &edu->dma[COMMAND];
    if (reg == NULL || (edu->dma[COMMAND] & COMMAND_RUN) || (starts && !(value & COMMAND_RUN)))
        return;
    *reg = value;
    if (starts)
        mv_guest_timer_set(edu->timer, DMA_NS);
}

/* --- registers */

static uint64_t registers_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_edu *edu = opaque;
    MV_LOCK_SCOPE(&edu->function.device.lock);
    const uint64_t *dma = dma_register(edu, offset);
    if (dma != NULL)
        return *dma;
    if (size != 4)
        return UINT64_MAX;
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
    MV_LOCK_SCOPE(&edu->function.device.lock);
    if (offset >= REG_DMA)
        write_dma(edu, offset, value);
    if (size != 4)
        return;
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

static const struct mv_mmio_ops registers_ops = {registers_read, registers_write, registers_read, 4,
                                                 8};

static void reset(struct mv_device *device)
{
    struct mv_edu *edu = (struct mv_edu *)device;
    MV_LOCK_SCOPE(&edu->function.device.lock);
    edu->liveness = edu->factorial = edu->status = edu->interrupts = 0;
    memset(edu->dma, 0, sizeof edu->dma);
    memset(edu->buffer, 0, sizeof edu->buffer);
    mv_guest_timer_set(edu->timer, MV_GUEST_TIMER_UNSET);
    mv_pci_function_reset(&edu->function);
}

static void destroy(struct mv_device *device)
{
    struct mv_edu *edu = (struct mv_edu *)device;
    mv_pci_bus_unplug(&edu->function);
    mv_guest_timer_destroy(edu->timer);
}

static const struct mv_state_field state_fields[] = {
    MV_PCI_STATE_FIELD(struct mv_edu, function),
    MV_STATE_ANY("liveness", struct mv_edu, liveness, MV_STATE_U32),
    MV_STATE_ANY("factorial", struct mv_edu, factorial, MV_STATE_U32),
    MV_STATE_BITS("status", struct mv_edu, status, MV_STATE_U32, STATUS_INTERRUPT),
    MV_STATE_ANY("interrupts", struct mv_edu, interrupts, MV_STATE_U32),
    MV_STATE_SAME("dma-mask", struct mv_edu, dma_mask, MV_STATE_U64),
    MV_STATE_ANY("dma", struct mv_edu, dma, MV_STATE_U64),
    MV_STATE_RANGE("dma-left-ns", struct mv_edu, left_ns, MV_STATE_U64, 0, DMA_NS),
    MV_STATE_ANY("dma-buffer", struct mv_edu, buffer, MV_STATE_U8),
};

static void save_state(void *object)
{
    struct mv_edu *edu = object;
    MV_LOCK_SCOPE(&edu->function.device.lock);
    edu->left_ns = (edu->dma[COMMAND] & COMMAND_RUN) ? mv_guest_timer_left(edu->timer) : 0;
}

static int check_state(const void *object, struct mv_error *err)
{
    const struct mv_edu *edu = object;
    if (edu->left_ns != 0 && !(edu->dma[COMMAND] & COMMAND_RUN))
        return mv_state_refuse(err, "dma-left-ns", "no DMA is under way");
    return mv_pci_function_check(&edu->function, err);
}

static void state_loaded(void *object)
{
    struct mv_edu *edu = object;
    MV_LOCK_SCOPE(&edu->function.device.lock);
    mv_guest_timer_set(edu->timer,
                       (edu->dma[COMMAND] & COMMAND_RUN) ? edu->left_ns : MV_GUEST_TIMER_UNSET);
    mv_pci_intx_set(&edu->function, edu->interrupts != 0);
    mv_pci_function_loaded(&edu->function);
}

static const struct mv_state_table state_table = MV_STATE_TABLE(
    struct mv_edu, "edu", 1, state_fields, .mutex = offsetof(struct mv_edu, function.device.lock),
    .lock = mv_pci_function_mutex, .saving = save_state, .check = check_state,
    .loaded = state_loaded);

static const struct mv_device_ops device_ops = {"edu", &state_table, reset, destroy};

int mv_edu_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                  struct mv_error *err)
{
    static const struct mv_pci_ids ids = {
        0x1234, 0x11e8, 0x1af4, 0x1100, .class_code = 0x00ff00 /* none */, 0x10, true};
    struct mv_edu *edu =
        mv_device_alloc(sizeof *edu, &device_ops, "edu registers", &registers_ops, err);
    if (edu == NULL)
        return -ENOMEM;
    int r = mv_guest_timer_create(params->timers, finish_dma, edu, &edu->timer, err);
    if (r < 0) {
        mv_device_destroy(&edu->function.device);
        return r;
    }
    edu->dma_mask = params->dma_mask;
    mv_pci_function_init(&edu->function, &device_ops, &ids);
    mv_pci_bar_mmio(&edu->function, 0, REGISTERS_SIZE, &edu->function.device.region);
    mv_pci_msi_add(&edu->function);
    *ret = &edu->function;
    return 0;
}
