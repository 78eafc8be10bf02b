/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts by messages (PCI Local Bus Specification 3.0, 6.8): MSI with one
 * vector, whose registers are in configuration space, and struct mv_pci_msix,
 * which a device embeds: MSI-X, and the BAR that holds its table and its pending
 * bits.  Guarded by the lock of the bus that the function sits on.
 */
#ifndef MV_BUS_PCI_MSI_H
#define MV_BUS_PCI_MSI_H

#include "pci.h"

#define MV_PCI_MSIX_VECTORS_MAX 2048
#define MV_PCI_MSIX_ENTRY_WORDS 4

/* Message address, low and high, data, control (6.8.2.6 to 6.8.2.9). */
struct mv_pci_msix_entry {
    uint32_t word[MV_PCI_MSIX_ENTRY_WORDS];
};

/* Bits that a write changes: an address is a multiple of 4, and of control there is the mask. */
#define MV_PCI_MSIX_ADDRESS_BITS UINT32_C(0xfffffffc)
#define MV_PCI_MSIX_CONTROL_BITS UINT32_C(1)

struct mv_pci_msix {
    struct mv_pci_function *function;
    struct mv_mmio_region region;
    unsigned vectors;
    unsigned pending_at; /* offset of the pending bits in the BAR, bytes */
    uint8_t capability;  /* its offset in configuration space */
    struct mv_pci_msix_entry table[MV_PCI_MSIX_VECTORS_MAX];
    uint64_t pending[MV_PCI_MSIX_VECTORS_MAX / 64];
};

/* The part of it that a save carries; for devices' tables, whose check calls mv_pci_msix_check. */
#define MV_PCI_MSIX_STATE_FIELDS(struct_type, msix)                                                \
    MV_STATE_SAME("msix-vectors", struct_type, msix.vectors, MV_STATE_U32),                        \
        MV_STATE_EACH("msix-address", struct_type, msix.table, word[0], MV_STATE_U32,              \
                      MV_PCI_MSIX_ADDRESS_BITS),                                                   \
        MV_STATE_EACH("msix-address-high", struct_type, msix.table, word[1], MV_STATE_U32,         \
                      UINT32_MAX),                                                                 \
        MV_STATE_EACH("msix-data", struct_type, msix.table, word[2], MV_STATE_U32, UINT32_MAX),    \
        MV_STATE_EACH("msix-control", struct_type, msix.table, word[3], MV_STATE_U32,              \
                      MV_PCI_MSIX_CONTROL_BITS),                                                   \
        MV_STATE_ANY("msix-pending", struct_type, msix.pending, MV_STATE_U64)

/* --- making, before the function is put into a slot: either gives it its ops, too */

/* MSI with one vector, 64-bit addresses and a mask bit (6.8.1). */
void mv_pci_msi_add(struct mv_pci_function *function);
/*
 * MSI-X, and a 32-bit BAR of this index.  vectors: 1 to MV_PCI_MSIX_VECTORS_MAX.
 * Up to 128 the BAR has 4 KiB with the pending bits at 0x800; with more they
 * stand right behind the table, and the BAR is as large as it takes, a power of
 * two.
 */
void mv_pci_msix_add(struct mv_pci_function *function, struct mv_pci_msix *msix, unsigned bar,
                     unsigned vectors);

/* --- for devices, any thread */

/* Send the device's message, if the guest has enabled MSI. */
void mv_pci_msi_send(struct mv_pci_function *function);
/*
 * Send a vector's message, or hold it until the vector is unmasked.  False
 * where the guest has not enabled MSI-X, or there is no such vector: then
 * nothing happens.
 */
bool mv_pci_msix_send(struct mv_pci_function *function, unsigned vector);

/* --- under the bus's lock, for functions with ops of their own */

void mv_pci_msi_send_locked(struct mv_pci_function *function);
void mv_pci_messages_follow(struct mv_pci_function *function);

/* --- for state tables: vectors that are not there have no state, or mv_state_refuse */
int mv_pci_msix_check(const struct mv_pci_msix *msix, struct mv_error *err);

#endif
