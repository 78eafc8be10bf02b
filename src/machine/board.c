/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a board of its rows, and the PCI window that makes room for banks.  No
 * lock: the main thread's, called by machine.c.
 */
#include "board.h"

#include "device.h"
#include "space.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int mv_board_find(const char *name, const struct mv_board_ops **ret, struct mv_error *err)
{
    char names[128] = "";
    size_t count = 0, used = 0;
    for (; mv_boards[count] != NULL; count++) {
        if (strcmp(mv_boards[count]->name, name) == 0) {
            *ret = mv_boards[count];
            return 0;
        }
        const char *join = count == 0 ? "" : mv_boards[count + 1] == NULL ? " and " : ", ";
        int n = snprintf(names + used, sizeof names - used, "%s%s", join, mv_boards[count]->name);
        used = used + (size_t)n < sizeof names ? used + (size_t)n : sizeof names - 1;
    }
    return mv_error_set(err, ENOENT, "machine '%s' is not built in: %s %s", name, names,
                        count == 1 ? "is" : "are");
}

/* --- the window among the banks */

/* The highest free aligned place of that size between two banks, or none: 0. */
static uint64_t highest_gap(const struct mv_board_ops *ops, const struct mv_bank_layout *layout,
                            uint64_t size)
{
    uint64_t end = UINT64_C(1) << ops->ipa_bits;
    for (size_t i = layout->count + 1; i-- > 0;) {
        const struct mv_bank *below = i == 0 ? NULL : &layout->banks[i - 1];
        uint64_t start = below == NULL ? 0 : below->gpa + below->size;
        if (start < ops->ram_base)
            start = ops->ram_base;
        if (end > start && end - start >= size && ((end - size) & ~(size - 1)) >= start)
            return (end - size) & ~(size - 1);
        if (below != NULL)
            end = below->gpa;
    }
    return 0;
}

static bool is_free(const struct mv_bank_layout *layout, uint64_t gpa, uint64_t size)
{
    for (size_t i = 0; i < layout->count; i++) {
        const struct mv_bank *bank = &layout->banks[i];
        if (bank->gpa < gpa + size && gpa < bank->gpa + bank->size)
            return false;
    }
    return true;
}

uint64_t mv_board_pci64(const struct mv_board_ops *ops, const struct mv_bank_layout *layout,
                        uint64_t *ret_size)
{
    uint64_t size = ops->pci64.size;
    uint64_t gpa = is_free(layout, ops->pci64.gpa, size) ? ops->pci64.gpa : 0;
    while (gpa == 0 && size >= ops->pci64.least && size != 0) {
        gpa = highest_gap(ops, layout, size);
        if (gpa == 0)
            size /= 2;
    }
    *ret_size = gpa == 0 ? 0 : size;
    return gpa;
}

/* --- devices */

/* Later rows, and the machine, know it by the part that it plays. */
static void give_part(struct mv_platform *platform, size_t part, struct mv_device *device)
{
    struct mv_device **member = (struct mv_device **)(void *)((char *)platform + part);
    if (part != 0 && *member == NULL)
        *member = device;
}

static int add_device(struct mv_platform *platform, const struct mv_platform_row *row,
                      struct mv_error *err)
{
    struct mv_device *device;
    int r = row->type->create(platform, row, &device, err);
    if (r < 0)
        return r;
    r = mv_device_tree_add(platform->devices, device, row->path, err);
    if (r < 0) {
        mv_device_destroy(device);
        return r;
    }
    r = mv_space_add_mmio(platform->space, row->gpa, row->type->size, &device->region, err);
    give_part(platform, row->type->part, device);
    if (r == 0 && row->type->added != NULL)
        r = row->type->added(platform, row, device, err);
    return r;
}

int mv_board_create(struct mv_board *board, const struct mv_bank_layout *layout,
                    struct mv_error *err)
{
    const struct mv_board_ops *ops = board->ops;
    struct mv_platform *platform = &board->platform;
    int r = 0;
    platform->pci64.gpa = mv_board_pci64(ops, layout, &platform->pci64.size);
    if (platform->pci64.size < ops->pci64.least)
        return mv_error_set(err, ENOSPC,
                            "the banks leave no 1 GiB free and aligned for devices' 64-bit memory: "
                            "give fewer banks with -m, or put them closer together");
    for (size_t i = 0; r == 0 && i < ops->row_count; i++) {
        if (ops->rows[i].type->create != NULL)
            r = add_device(platform, &ops->rows[i], err);
    }
    return r;
}
