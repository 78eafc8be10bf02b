/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI functions, the bus they sit on and bridges (PCI Local Bus Specification
 * 3.0, PCI-to-PCI Bridge Architecture Specification 1.2).
 *
 * Calls go one way: devices and bridges call the bus, the bus calls what
 * configuration spaces offer, and what it has to tell a function goes through
 * the function's ops.  A bridge tells the bus behind it what it lets through.
 *
 * The bus's mutex guards configuration spaces, where BARs are mapped and the
 * interrupt lines.  It is taken by configuration accesses (vCPU threads), and
 * by devices that interrupt (any thread), which may hold their own lock: the
 * bus calls no device but through ops, which take no lock.  What a guest writes
 * never fails the process: a BAR that would stand on something else, or outside
 * the host bridge's windows, is not mapped, and is tried again whenever another
 * one moves.
 */
#ifndef MV_BUS_PCI_H
#define MV_BUS_PCI_H

#include "device.h"
#include "dma.h"
#include "error.h"
#include "irqchip.h"
#include "space.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define MV_PCI_CONFIG_SIZE 256
#define MV_PCI_BARS        6
#define MV_PCI_SLOTS       32
#define MV_PCI_LINES       4

/* Offsets in configuration space (6.1). */
#define MV_PCI_COMMAND        0x04
#define MV_PCI_STATUS         0x06
#define MV_PCI_BAR0           0x10
#define MV_PCI_CAPABILITIES   0x34
#define MV_PCI_INTERRUPT_LINE 0x3c
#define MV_PCI_INTERRUPT_PIN  0x3d

#define MV_PCI_COMMAND_MEMORY       (1u << 1)
#define MV_PCI_COMMAND_MASTER       (1u << 2)
#define MV_PCI_COMMAND_INTX_DISABLE (1u << 10)
#define MV_PCI_STATUS_INTERRUPT     (1u << 3)
#define MV_PCI_STATUS_CAPABILITIES  (1u << 4)

struct mv_pci_bus;
struct mv_pci_function;
struct mv_pci_msix;

struct mv_pci_bar {
    uint64_t size;                       /* bytes, a power of two; 0: there is none */
    bool wide;                           /* takes the next BAR's register as its high half */
    struct mv_block *block;              /* RAM-like, or */
    const struct mv_mmio_region *region; /* registers */
    bool mapped;
    uint64_t gpa; /* while mapped */
};

/* What the bus tells a function, under its lock; each may be NULL. */
struct mv_pci_function_ops {
    /* The guest wrote to configuration space, which has taken it. */
    void (*written)(struct mv_pci_function *function, unsigned offset, unsigned size,
                    uint32_t value);
    /* Configuration space has its power-on values: what else the function has is to follow. */
    void (*power_on)(struct mv_pci_function *function);
    /* Configuration space has changed, by whatever: behind the two others. */
    void (*follow)(struct mv_pci_function *function);
};

/* A device embeds it as its first member. */
struct mv_pci_function {
    struct mv_device device;
    const struct mv_pci_function_ops *ops; /* or NULL */
    struct mv_dma dma;      /* allowed while it is a master of the bus, and all bridges before it */
    struct mv_pci_bus *bus; /* NULL before it is put into a slot */
    unsigned slot;
    bool plugged;              /* in the slot */
    struct mv_pci_bus *behind; /* of a bridge, else NULL */
    uint8_t config[MV_PCI_CONFIG_SIZE];
    uint8_t power_on[MV_PCI_CONFIG_SIZE];
    uint8_t writable[MV_PCI_CONFIG_SIZE]; /* the bits that a write changes */
    uint8_t own[MV_PCI_CONFIG_SIZE];      /* the bits that the device itself changes */
    uint8_t capability_end;               /* where the next capability goes */
    uint8_t msi;                          /* its capability's offset, or 0 */
    struct mv_pci_msix *msix;             /* or NULL */
    bool intx_wanted;                     /* by the device */
    bool intx_driven;                     /* on its line */
    bool messages;                        /* interrupts go out as messages: the line is silent */
    struct mv_pci_bar bars[MV_PCI_BARS];
};

/*
 * What a save carries of a function, for devices' tables, which have the function
 * checked, and it follow what was loaded.  The device itself raises INTx again.
 */
#define MV_PCI_STATE_FIELD(struct_type, function)                                                  \
    MV_STATE_ANY("config", struct_type, function.config, MV_STATE_U8)

/* --- pci-function.c: making a function, before it is put into a slot */

struct mv_pci_ids {
    uint16_t vendor;
    uint16_t device;
    uint16_t subsystem_vendor;
    uint16_t subsystem;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    uint8_t revision;
    bool interrupt; /* uses INTA# */
};

void mv_pci_function_init(struct mv_pci_function *function, const struct mv_device_ops *ops,
                          const struct mv_pci_ids *ids);
/* size: a power of two, at least 16; below 2 GiB for a 32-bit BAR. */
void mv_pci_bar_mmio(struct mv_pci_function *function, unsigned index, uint64_t size,
                     const struct mv_mmio_region *region);
/* A 64-bit prefetchable BAR whose bytes are the block's, as long as the block. */
void mv_pci_bar_ram(struct mv_pci_function *function, unsigned index, struct mv_block *block);
/* What a register (1 to 8 bytes) holds at power-on, and which of its bits a write changes. */
void mv_pci_config_define(struct mv_pci_function *function, unsigned offset, unsigned size,
                          uint64_t value, uint64_t writable);
/* Which bits of a register the device changes by itself, beside those that a write changes. */
void mv_pci_config_own(struct mv_pci_function *function, unsigned offset, unsigned size,
                       uint64_t bits);
/* Put a capability of `size` bytes at the head of the list; its offset. */
uint8_t mv_pci_capability_add(struct mv_pci_function *function, uint8_t id, unsigned size);

/* --- pci-function.c: for the bus, which holds its lock */

/* Bits of configuration space that nobody changes are as at power-on, or mv_state_refuse. */
int mv_pci_function_check(const struct mv_pci_function *function, struct mv_error *err);

uint32_t mv_pci_config_read(const struct mv_pci_function *function, unsigned offset, unsigned size);
/* Registers as the device sees and sets them, 1 to 8 bytes. */
uint64_t mv_pci_config_get(const struct mv_pci_function *function, unsigned offset, unsigned size);
void mv_pci_config_set(struct mv_pci_function *function, unsigned offset, unsigned size,
                       uint64_t value);
void mv_pci_config_write(struct mv_pci_function *function, unsigned offset, uint32_t value,
                         unsigned size);
/* Where a BAR is to be seen, as the registers stand; false where nowhere. */
bool mv_pci_bar_address(const struct mv_pci_function *function, unsigned index, uint64_t *ret_gpa);

/* --- pci-bus.c */

struct mv_pci_bus_params {
    struct mv_space *space;
    /* Where BARs may be: a 32-bit and a 64-bit window. */
    struct {
        uint64_t gpa;
        uint64_t size;
    } windows[2];
    struct mv_irq lines[MV_PCI_LINES]; /* INTA# of slot n is line n % 4 */
    /* Where messages go; writes to anywhere else are dropped. */
    uint64_t msi_gpa;
    uint64_t msi_size;
    const struct mv_mmio_region *msi_region;
};

int mv_pci_bus_create(const struct mv_pci_bus_params *params, struct mv_pci_bus **ret,
                      struct mv_error *err);
/*
 * Make the function a bridge with a bus behind it, to which nothing leads yet
 * and which gets its lock and its place where the function is plugged.
 */
int mv_pci_bus_create_behind(struct mv_pci_function *function, struct mv_error *err);
/* No function sits in it any more. */
void mv_pci_bus_destroy(struct mv_pci_bus *bus);
/* What guards it, all buses behind it, and the one before it. */
pthread_mutex_t *mv_pci_bus_mutex(struct mv_pci_bus *bus);

/* The lowest free slot from 1 on; -1 where all are taken.  Main thread. */
int mv_pci_bus_free_slot(struct mv_pci_bus *bus);
/* -EBUSY where the slot is taken, -ENOSPC where its BARs have no place.  Main thread. */
int mv_pci_bus_plug(struct mv_pci_bus *bus, unsigned slot, struct mv_pci_function *function,
                    struct mv_error *err);
/*
 * Its BARs are gone from the space afterwards, but vCPUs may use them until
 * the space has settled; does nothing for one in no slot.
 */
void mv_pci_bus_unplug(struct mv_pci_function *function);
/* Whatever sits in the slot, or NULL.  Under the bus's lock. */
struct mv_pci_function *mv_pci_bus_function(const struct mv_pci_bus *bus, unsigned slot);

/* A function as the guest has set it up, at one moment. */
struct mv_pci_info {
    const char *id; /* the device's, or NULL */
    uint8_t header[64];
    struct mv_pci_bar bars[MV_PCI_BARS];
    struct mv_pci_bus *behind; /* of a bridge, else NULL */
};
/* False where the slot is empty.  Main thread. */
bool mv_pci_bus_describe(struct mv_pci_bus *bus, unsigned slot, struct mv_pci_info *ret);

/* Power-on values. */
void mv_pci_function_reset(struct mv_pci_function *function);
/* For devices' tables, whose object starts with its function: the bus's mutex; NULL: in no slot. */
pthread_mutex_t *mv_pci_function_mutex(void *object);
/* What was loaded is followed by BARs, lines, and what a bridge lets through.  Bridges first. */
void mv_pci_function_loaded(struct mv_pci_function *function);

/*
 * A configuration access (1, 2 or 4 bytes, aligned); all ones where nothing is.
 * On the host bridge's bus; `address` is the slot and, from bit 5 on, the bus
 * number as the guest has given them to bridges.
 */
uint32_t mv_pci_bus_read(struct mv_pci_bus *bus, unsigned address, unsigned offset, unsigned size);
void mv_pci_bus_write(struct mv_pci_bus *bus, unsigned address, unsigned offset, uint32_t value,
                      unsigned size);

/* --- for devices, any thread */

/* The level of INTA#; it stays off the line while MSI or MSI-X is enabled. */
void mv_pci_intx_set(struct mv_pci_function *function, bool level);

/* --- for bridges and message interrupts, under the bus's lock */

void mv_pci_intx_set_locked(struct mv_pci_function *function, bool level);
/* An interrupt's message on its way out: a write of 4 bytes, while the function is a master. */
void mv_pci_bus_post(const struct mv_pci_function *function, uint64_t address, uint32_t data);
/* What is in the slot leaves it. */
void mv_pci_bus_unplug_locked(struct mv_pci_function *function);

/* What is let through to a bus; the ends are included, and nothing is where first > last. */
struct mv_pci_route {
    unsigned first_number, last_number; /* of buses; the first one is its own */
    struct {
        uint64_t first, last; /* guest-physical addresses */
    } windows[2];
};
/* For the bus behind a bridge, as the bridge's registers stand now; BARs there follow. */
void mv_pci_bus_set_route(struct mv_pci_bus *bus, const struct mv_pci_route *route);
/* Whether what sits on the bus is to be reset when the write that is followed is over. */
void mv_pci_bus_set_reset_due(struct mv_pci_bus *bus, bool due);

/* --- pci-windows.c: for the bus */

/* How many BARs of 2^n bytes there are, by whether they are wide. */
struct mv_pci_demand {
    unsigned bars[2][64];
};
void mv_pci_demand_add(struct mv_pci_demand *demand, const struct mv_pci_function *function);
/*
 * Whether the host bridge's windows hold `all` BARs, those of the function among
 * them; -ENOSPC tells of sizes and limits.
 */
int mv_pci_windows_check(const struct mv_pci_bus_params *params,
                         const struct mv_pci_function *function, const struct mv_pci_demand *all,
                         struct mv_error *err);

#endif
