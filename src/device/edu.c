/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_edu: the PCI function of QEMU's docs/specs/edu.txt, made for those
 * who write drivers and for tests of interrupts and DMA: identification,
 * liveness, factorial, a register that interrupts by INTx or MSI, and a buffer
 * that is copied to and from guest memory 100 ms after it was asked for.  `lock`
 * guards the registers and the buffer; called by vCPU threads, and by the main
 * thread's timer.
 */
#include "pci-devices.h"

#include "cleanup.h"
#include "guest-timer.h"
#include "pci-msi.h"

#include <pthread.h>
#include <stdlib.h>
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
    REG_DMA_SOURCE = 0x80, /* from here on of 64 bits */
    REG_DMA_DESTINATION = 0x88,
    REG_DMA_COUNT = 0x90,
    REG_DMA_COMMAND = 0x98,
};

#define ID 0x010000ed /* version 1.0, and "ed" for the device */
#define STATUS_INTERRUPT    0x80 /* interrupt when a factorial is done */
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
    struct mv_mmio_region registers;
    pthread_mutex_t lock;
    uint32_t liveness;
    uint32_t factorial;
    uint32_t status;
    uint32_t interrupts;
    uint64_t dma_mask; /* of the addresses that it can send */
    struct mv_guest_timer *timer;
    uint64_t source;
    uint64_t destination;
    uint64_t count;
    uint64_t command;
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
    return address >= BUFFER && *ret_at <= BUFFER_SIZE && edu->count <= BUFFER_SIZE - *ret_at;
}

static void transfer(struct mv_edu *edu)
{
    struct mv_dma *dma = &edu->function.dma;
    struct mv_error ignored;
    uint64_t at;
    if (edu->command & COMMAND_TO_MEMORY) {
        if (find_in_buffer(edu, edu->source, &at))
            mv_dma_write(dma, edu->destination & edu->dma_mask, edu->buffer + at, edu->count,
                         &ignored);
    } else if (find_in_buffer(edu, edu->destination, &at) &&
               mv_dma_read(dma, edu->source & edu->dma_mask, edu->buffer + at, edu->count,
                           &ignored) < 0) {
        memset(edu->buffer + at, 0, edu->count); /* as QEMU's */
    }
}

static void finish_dma(void *opaque)
{
    struct mv_edu *edu = opaque;
    MV_LOCK_SCOPE(&edu->lock);
    if (!(edu->command & COMMAND_RUN))
        return;
    transfer(edu);
    edu->command &= ~(uint64_t)COMMAND_RUN;
    if (edu->command & COMMAND_INTERRUPT)
        raise_interrupts(edu, INTERRUPT_DMA);
}

static uint64_t *dma_register(struct mv_edu *edu, uint64_t offset)
{
    switch (offset) {
    case REG_DMA_SOURCE:
        return &edu->source;
    case REG_DMA_DESTINATION:
        return &edu->destination;
    case REG_DMA_COUNT:
        return &edu->count;
    case REG_DMA_COMMAND:
        return &edu->command;
    default:
        return NULL;
    }
}

/* Nothing changes while it runs, and a command that is not to run is none. */
static void write_dma(struct mv_edu *edu, uint64_t offset, uint64_t value)
{
    uint64_t *reg = dma_register(edu, offset);
    bool starts = offset == REG_DMA_COMMAND;
    if (reg == NULL || (edu->command & COMMAND_RUN) || (starts && !(value & COMMAND_RUN)))
        return;
    *reg = value;
    if (starts)
        mv_guest_timer_set(edu->timer, DMA_NS);
}

/* --- registers */

static uint64_t registers_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_edu *edu = opaque;
    MV_LOCK_SCOPE(&edu->lock);
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
    MV_LOCK_SCOPE(&edu->lock);
    if (offset >= REG_DMA_SOURCE)
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
    edu->source = edu->destination = edu->count = edu->command = 0;
    memset(edu->buffer, 0, sizeof edu->buffer);
    mv_guest_timer_set(edu->timer, MV_GUEST_TIMER_UNSET);
    mv_pci_function_reset(&edu->function);
}

static void destroy(struct mv_device *device)
{
    struct mv_edu *edu = (struct mv_edu *)device;
    mv_pci_bus_unplug(&edu->function);
    mv_guest_timer_destroy(edu->timer);
    pthread_mutex_destroy(&edu->lock);
    free(edu);
}

static const struct mv_state_field state_fields[] = {
    MV_PCI_STATE_FIELD(struct mv_edu, function),
    MV_STATE_ANY("liveness", struct mv_edu, liveness, MV_STATE_U32),
    MV_STATE_ANY("factorial", struct mv_edu, factorial, MV_STATE_U32),
    MV_STATE_BITS("status", struct mv_edu, status, MV_STATE_U32, STATUS_INTERRUPT),
    MV_STATE_ANY("interrupts", struct mv_edu, interrupts, MV_STATE_U32),
    MV_STATE_SAME("dma-mask", struct mv_edu, dma_mask, MV_STATE_U64),
    MV_STATE_ANY("dma-source", struct mv_edu, source, MV_STATE_U64),
    MV_STATE_ANY("dma-destination", struct mv_edu, destination, MV_STATE_U64),
    MV_STATE_ANY("dma-count", struct mv_edu, count, MV_STATE_U64),
    MV_STATE_ANY("dma-command", struct mv_edu, command, MV_STATE_U64),
    MV_STATE_RANGE("dma-left-ns", struct mv_edu, left_ns, MV_STATE_U64, 0, DMA_NS),
    MV_STATE_ANY("dma-buffer", struct mv_edu, buffer, MV_STATE_U8),
};

static void save_state(void *object)
{
    struct mv_edu *edu = object;
    MV_LOCK_SCOPE(&edu->lock);
    edu->left_ns = (edu->command & COMMAND_RUN) ? mv_guest_timer_left(edu->timer) : 0;
}

static int check_state(const void *object, struct mv_error *err)
{
    const struct mv_edu *edu = object;
    if (edu->left_ns != 0 && !(edu->command & COMMAND_RUN))
        return mv_state_refuse(err, "dma-left-ns", "no DMA is under way");
    return mv_pci_function_check(&edu->function, err);
}

static void state_loaded(void *object)
{
    struct mv_edu *edu = object;
    MV_LOCK_SCOPE(&edu->lock);
    mv_guest_timer_set(edu->timer,
                       (edu->command & COMMAND_RUN) ? edu->left_ns : MV_GUEST_TIMER_UNSET);
    mv_pci_intx_set(&edu->function, edu->interrupts != 0);
    mv_pci_function_loaded(&edu->function);
}

static const struct mv_state_table state_table =
    MV_STATE_TABLE(struct mv_edu, "edu", 1, state_fields, .mutex = offsetof(struct mv_edu, lock),
                   .lock = mv_pci_function_mutex, .saving = save_state, .check = check_state, .loaded = state_loaded);

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
    struct mv_edu *edu = calloc(1, sizeof *edu);
    if (edu == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    int r = mv_guest_timer_create(params->timers, finish_dma, edu, &edu->timer, err);
    if (r < 0) {
        free(edu);
        return r;
    }
    edu->dma_mask = params->dma_mask;
    pthread_mutex_init(&edu->lock, NULL);
    mv_pci_function_init(&edu->function, &device_ops, &ids);
    edu->registers =
        (struct mv_mmio_region){.name = "edu registers", .ops = &registers_ops, .opaque = edu};
    mv_pci_bar_mmio(&edu->function, 0, REGISTERS_SIZE, &edu->registers);
    mv_pci_msi_add(&edu->function);
    *ret = &edu->function;
    return 0;
}
