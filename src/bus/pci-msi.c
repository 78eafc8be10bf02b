/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI: a capability in configuration space.  MSI-X: a capability, and a BAR with
 * the table and the pending bits.  Everything is under the bus's lock, which
 * whoever makes a device interrupt takes, and the callbacks of the BAR in vCPU
 * threads.
 */
#include "pci-msi.h"

#include "cleanup.h"
#include "size.h"

#include <string.h>

#define CAPABILITY_MSI  0x05
#define CAPABILITY_MSIX 0x11

/* Offsets in an MSI capability with 64-bit addresses and mask bits (6.8.1). */
#define MSI_CONTROL  0x02
#define MSI_ADDRESS  0x04
#define MSI_DATA     0x0c
#define MSI_MASK     0x10
#define MSI_PENDING  0x14
#define MSI_SIZE     0x18
#define MSI_ENABLE   1u
#define MSI_64BIT    (1u << 7)
#define MSI_MASKABLE (1u << 8)

/* Offsets in the capability (6.8.2.3 to 6.8.2.5), and message control's bits. */
#define MSIX_CONTROL 0x02
#define MSIX_TABLE   0x04
#define MSIX_PENDING 0x08
#define MSIX_SIZE    0x0c
#define MSIX_ENABLE  (1u << 15)
#define MSIX_MASK    (1u << 14)

/* Words of an entry. */
#define ENTRY_ADDRESS 0
#define ENTRY_DATA    2
#define ENTRY_CONTROL 3
#define ENTRY_BYTES   sizeof(struct mv_pci_msix_entry)

static const uint32_t writable[MV_PCI_MSIX_ENTRY_WORDS] = {MV_PCI_MSIX_ADDRESS_BITS, UINT32_MAX,
                                                           UINT32_MAX, MV_PCI_MSIX_CONTROL_BITS};

/* --- MSI */

static bool is_msi_on(const struct mv_pci_function *f)
{
    return f->msi != 0 && (mv_pci_config_get(f, f->msi + MSI_CONTROL, 2) & MSI_ENABLE) != 0;
}

static void post_msi(const struct mv_pci_function *f)
{
    mv_pci_bus_post(f, mv_pci_config_get(f, f->msi + MSI_ADDRESS, 8),
                    (uint32_t)mv_pci_config_get(f, f->msi + MSI_DATA, 2));
}

static bool is_msi_masked(const struct mv_pci_function *f)
{
    return (mv_pci_config_get(f, f->msi + MSI_MASK, 4) & 1) != 0;
}

void mv_pci_msi_send_locked(struct mv_pci_function *function)
{
    if (!function->plugged || !is_msi_on(function))
        return;
    if (is_msi_masked(function))
        mv_pci_config_set(function, function->msi + MSI_PENDING, 4, 1);
    else
        post_msi(function);
}

void mv_pci_msi_send(struct mv_pci_function *function)
{
    if (function->bus == NULL)
        return;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(function->bus));
    mv_pci_msi_send_locked(function);
}

/* Send what is pending, once its mask bit is clear. */
static void flush_msi(struct mv_pci_function *f)
{
    if (!is_msi_on(f) || is_msi_masked(f) || mv_pci_config_get(f, f->msi + MSI_PENDING, 4) == 0)
        return;
    mv_pci_config_set(f, f->msi + MSI_PENDING, 4, 0);
    post_msi(f);
}

/* --- MSI-X */

static unsigned control(const struct mv_pci_msix *msix)
{
    return (unsigned)mv_pci_config_get(msix->function, msix->capability + MSIX_CONTROL, 2);
}

static bool is_masked(const struct mv_pci_msix *msix, unsigned vector)
{
    return (control(msix) & MSIX_MASK) != 0 ||
           (msix->table[vector].word[ENTRY_CONTROL] & MV_PCI_MSIX_CONTROL_BITS) != 0;
}

static void post_vector(const struct mv_pci_msix *msix, unsigned vector)
{
    const uint32_t *entry = msix->table[vector].word;
    uint64_t address = entry[ENTRY_ADDRESS] | (uint64_t)entry[ENTRY_ADDRESS + 1] << 32;
    mv_pci_bus_post(msix->function, address, entry[ENTRY_DATA]);
}

static void flush_vector(struct mv_pci_msix *msix, unsigned vector)
{
    uint64_t bit = UINT64_C(1) << vector % 64;
    if ((msix->pending[vector / 64] & bit) == 0 || (control(msix) & MSIX_ENABLE) == 0 ||
        is_masked(msix, vector))
        return;
    msix->pending[vector / 64] &= ~bit;
    post_vector(msix, vector);
}

/* The BAR: accesses of 4 and 8 bytes, aligned (6.8.2) */

/* A word of the table, by its offset in the BAR. */
static uint32_t *table_word(struct mv_pci_msix *msix, unsigned offset)
{
    return &msix->table[offset / ENTRY_BYTES].word[offset / 4 % MV_PCI_MSIX_ENTRY_WORDS];
}

static uint32_t read_word(struct mv_pci_msix *msix, unsigned offset)
{
    unsigned pending_end = msix->pending_at + (unsigned)mv_align_up(msix->vectors, 64) / 8;
    if (offset < msix->vectors * ENTRY_BYTES)
        return *table_word(msix, offset);
    if (offset < msix->pending_at || offset >= pending_end)
        return 0;
    unsigned at = offset - msix->pending_at;
    return (uint32_t)(msix->pending[at / 8] >> (8 * (at % 8)));
}

static void write_word(struct mv_pci_msix *msix, unsigned offset, uint32_t value)
{
    if (offset >= msix->vectors * ENTRY_BYTES)
        return;
    *table_word(msix, offset) = value & writable[offset / 4 % MV_PCI_MSIX_ENTRY_WORDS];
}

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_pci_msix *msix = opaque;
    if (msix->function->bus == NULL)
        return UINT64_MAX;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(msix->function->bus));
    uint64_t value = read_word(msix, (unsigned)offset);
    if (size == 8)
        value |= (uint64_t)read_word(msix, (unsigned)offset + 4) << 32;
    return value;
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_pci_msix *msix = opaque;
    if (msix->function->bus == NULL)
        return;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(msix->function->bus));
    write_word(msix, (unsigned)offset, (uint32_t)value);
    if (size == 8)
        write_word(msix, (unsigned)offset + 4, (uint32_t)(value >> 32));
    if (offset < msix->vectors * ENTRY_BYTES)
        flush_vector(msix, (unsigned)(offset / ENTRY_BYTES));
}

static const struct mv_mmio_ops bar_ops = {
    .read = bar_read, .peek = bar_read, .write = bar_write, .min_access = 4, .max_access = 8};

bool mv_pci_msix_send(struct mv_pci_function *function, unsigned vector)
{
    struct mv_pci_msix *msix = function->msix;
    if (function->bus == NULL || msix == NULL || vector >= msix->vectors)
        return false;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(function->bus));
    if ((control(msix) & MSIX_ENABLE) == 0)
        return false;
    if (is_masked(msix, vector))
        msix->pending[vector / 64] |= UINT64_C(1) << vector % 64;
    else
        post_vector(msix, vector);
    return true;
}

/* Send what is pending and no longer masked. */
static void flush_msix(struct mv_pci_msix *msix)
{
    if ((control(msix) & (MSIX_ENABLE | MSIX_MASK)) != MSIX_ENABLE)
        return;
    for (unsigned word = 0; word < MV_PCI_MSIX_VECTORS_MAX / 64; word++) {
        for (uint64_t bits = msix->pending[word]; bits != 0; bits &= bits - 1)
            flush_vector(msix, 64 * word + (unsigned)__builtin_ctzll(bits));
    }
}

/* Each vector is masked. */
static void reset_msix(struct mv_pci_msix *msix)
{
    memset(msix->table, 0, sizeof msix->table);
    memset(msix->pending, 0, sizeof msix->pending);
    for (unsigned i = 0; i < msix->vectors; i++)
        msix->table[i].word[ENTRY_CONTROL] = MV_PCI_MSIX_CONTROL_BITS;
}

int mv_pci_msix_check(const struct mv_pci_msix *msix, struct mv_error *err)
{
    static const char *const names[MV_PCI_MSIX_ENTRY_WORDS] = {"msix-address", "msix-address-high",
                                                               "msix-data", "msix-control"};
    for (unsigned i = msix->vectors; i < MV_PCI_MSIX_VECTORS_MAX; i++) {
        const char *name = (msix->pending[i / 64] >> i % 64 & 1) != 0 ? "msix-pending" : NULL;
        for (unsigned word = 0; word < MV_PCI_MSIX_ENTRY_WORDS; word++) {
            if (msix->table[i].word[word] != 0)
                name = names[word];
        }
        if (name != NULL)
            return mv_state_refuse(err, name, "vector %u is not there: there are %u", i,
                                   msix->vectors);
    }
    return 0;
}

/* --- what the bus tells a function */

void mv_pci_messages_follow(struct mv_pci_function *function)
{
    struct mv_pci_msix *msix = function->msix;
    function->messages =
        is_msi_on(function) || (msix != NULL && (control(msix) & MSIX_ENABLE) != 0);
    flush_msi(function);
    if (msix != NULL)
        flush_msix(msix);
}

static void power_on(struct mv_pci_function *function)
{
    if (function->msix != NULL)
        reset_msix(function->msix);
}

static const struct mv_pci_function_ops message_ops = {
    .power_on = power_on, .follow = mv_pci_messages_follow};

/* --- making */

void mv_pci_msi_add(struct mv_pci_function *function)
{
    uint8_t at = mv_pci_capability_add(function, CAPABILITY_MSI, MSI_SIZE);
    function->msi = at;
    function->ops = &message_ops;
    mv_pci_config_define(function, at + MSI_CONTROL, 2, MSI_64BIT | MSI_MASKABLE, MSI_ENABLE);
    mv_pci_config_define(function, at + MSI_ADDRESS, 8, 0, ~UINT64_C(3));
    mv_pci_config_define(function, at + MSI_DATA, 2, 0, 0xffff);
    mv_pci_config_define(function, at + MSI_MASK, 4, 0, 1);
    mv_pci_config_own(function, at + MSI_PENDING, 4, 1);
}

static uint64_t bar_size(unsigned pending_at, unsigned vectors)
{
    uint64_t size = 4096;
    while (size < pending_at + mv_align_up(vectors, 64) / 8)
        size *= 2;
    return size;
}

void mv_pci_msix_add(struct mv_pci_function *function, struct mv_pci_msix *msix, unsigned bar,
                     unsigned vectors)
{
    uint8_t at = mv_pci_capability_add(function, CAPABILITY_MSIX, MSIX_SIZE);
    msix->function = function;
    msix->region = (struct mv_mmio_region){.name = "MSI-X", .ops = &bar_ops, .opaque = msix};
    msix->vectors = vectors;
    msix->pending_at = vectors * ENTRY_BYTES > 0x800 ? vectors * (unsigned)ENTRY_BYTES : 0x800;
    msix->capability = at;
    function->msix = msix;
    function->ops = &message_ops;
    mv_pci_config_define(function, at + MSIX_CONTROL, 2, vectors - 1, MSIX_ENABLE | MSIX_MASK);
    mv_pci_config_define(function, at + MSIX_TABLE, 4, bar, 0);
    mv_pci_config_define(function, at + MSIX_PENDING, 4, msix->pending_at | bar, 0);
    mv_pci_bar_mmio(function, bar, bar_size(msix->pending_at, vectors), &msix->region);
    reset_msix(msix);
}
