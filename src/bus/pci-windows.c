/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether all BARs can be placed at once.  They are powers of two and aligned
 * to themselves, so that a window is so many aligned blocks of each size, and
 * the largest BAR first into the smallest block that holds it leaves as much
 * as any other order would.  A guest that finds no place for one loses it with
 * a line in its log, which is too late.  No state; called by pci-bus.c.
 */
#include "pci.h"

#include "size.h"

#include <string.h>

#define ORDERS 64

/* How many free blocks of 2^n bytes there are. */
struct orders {
    unsigned count[ORDERS];
};

static void split_window(uint64_t gpa, uint64_t size, struct orders *ret)
{
    memset(ret, 0, sizeof *ret);
    while (size > 0) {
        unsigned order = 63u - (unsigned)__builtin_clzll(size);
        unsigned aligned = gpa == 0 ? 63 : (unsigned)__builtin_ctzll(gpa);
        if (aligned < order)
            order = aligned;
        ret->count[order]++;
        gpa += UINT64_C(1) << order;
        size -= UINT64_C(1) << order;
    }
}

static bool take(struct orders *free, unsigned order)
{
    unsigned found = order;
    while (found < ORDERS && free->count[found] == 0)
        found++;
    if (found == ORDERS)
        return false;
    free->count[found]--;
    while (found > order)
        free->count[--found]++; /* the half that is left over */
    return true;
}

void mv_pci_demand_add(struct mv_pci_demand *demand, const struct mv_pci_function *function)
{
    for (unsigned i = 0; i < MV_PCI_BARS; i++) {
        const struct mv_pci_bar *bar = &function->bars[i];
        if (bar->size != 0)
            demand->bars[bar->wide][63u - (unsigned)__builtin_clzll(bar->size)]++;
    }
}

/* 64-bit BARs may stand in the low window too, where 32-bit ones leave room. */
static bool fits(const struct mv_pci_bus_params *params, const struct mv_pci_demand *demand)
{
    struct orders low, high;
    split_window(params->windows[0].gpa, params->windows[0].size, &low);
    split_window(params->windows[1].gpa, params->windows[1].size, &high);
    for (unsigned wide = 0; wide < 2; wide++) {
        for (unsigned order = ORDERS; order-- > 0;) {
            for (unsigned i = 0; i < demand->bars[wide][order]; i++) {
                if (!(wide && take(&high, order)) && !take(&low, order))
                    return false;
            }
        }
    }
    return true;
}

static uint64_t total(const struct mv_pci_demand *demand)
{
    uint64_t bytes = 0;
    for (unsigned order = 0; order < ORDERS; order++) {
        uint64_t count = (uint64_t)demand->bars[0][order] + demand->bars[1][order];
        if (count > UINT64_MAX >> order || mv_add_overflows(bytes, count << order, &bytes))
            return UINT64_MAX;
    }
    return bytes;
}

static uint64_t largest(const struct mv_pci_function *f)
{
    uint64_t size = 0;
    for (unsigned i = 0; i < MV_PCI_BARS; i++)
        size = f->bars[i].size > size ? f->bars[i].size : size;
    return size;
}

int mv_pci_windows_check(const struct mv_pci_bus_params *params,
                         const struct mv_pci_function *function, const struct mv_pci_demand *all,
                         struct mv_error *err)
{
    struct mv_pci_demand alone = {0};
    char size[MV_SIZE_TEXT], sum[MV_SIZE_TEXT], low[MV_SIZE_TEXT], high[MV_SIZE_TEXT];
    if (fits(params, all))
        return 0;
    mv_pci_demand_add(&alone, function);
    mv_size_format(largest(function), size);
    mv_size_format(total(all), sum);
    mv_size_format(params->windows[0].size, low);
    mv_size_format(params->windows[1].size, high);
    if (!fits(params, &alone))
        return mv_error_set(err, ENOSPC,
                            "a BAR of %s is too large: the windows for BARs have %s below 4 GiB "
                            "and %s above: give the device less memory",
                            size, low, high);
    return mv_error_set(err, ENOSPC,
                        "with this device, whose largest BAR has %s, all BARs have %s, and that "
                        "does not fit the windows for them, %s below 4 GiB and %s above: give "
                        "devices less memory, or leave some away",
                        size, sum, low, high);
}
