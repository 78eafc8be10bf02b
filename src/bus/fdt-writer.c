/* SPDX-License-Identifier: Apache-2.0 */
/* Writing device trees in libfdt's sequential mode.  No state, no lock. */
#include "fdt-writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libfdt.h>

static void note(struct mv_fdt *fdt, int error)
{
    if (fdt->error == 0)
        fdt->error = error;
}

void mv_fdt_begin(struct mv_fdt *fdt, const char *name)
{
    note(fdt, fdt_begin_node(fdt->bytes, name));
}

void mv_fdt_begin_at(struct mv_fdt *fdt, const char *name, uint64_t address)
{
    char full[64];
    snprintf(full, sizeof full, "%s@%" PRIx64, name, address);
    mv_fdt_begin(fdt, full);
}

void mv_fdt_end(struct mv_fdt *fdt)
{
    note(fdt, fdt_end_node(fdt->bytes));
}

void mv_fdt_bytes(struct mv_fdt *fdt, const char *name, const void *value, size_t len)
{
    note(fdt, fdt_property(fdt->bytes, name, value, (int)len));
}

void mv_fdt_text(struct mv_fdt *fdt, const char *name, const char *value)
{
    mv_fdt_bytes(fdt, name, value, strlen(value) + 1);
}

void mv_fdt_empty(struct mv_fdt *fdt, const char *name)
{
    mv_fdt_bytes(fdt, name, NULL, 0);
}

void mv_fdt_cells(struct mv_fdt *fdt, const char *name, const uint32_t *values, size_t count)
{
    void *value = NULL;
    note(fdt, fdt_property_placeholder(fdt->bytes, name, (int)(4 * count), &value));
    for (size_t i = 0; value != NULL && i < count; i++)
        fdt32_st((uint8_t *)value + 4 * i, values[i]);
}

void mv_fdt_reg(struct mv_fdt *fdt, uint64_t address, uint64_t size)
{
    MV_FDT_CELLS(fdt, "reg", MV_FDT_U64(address), MV_FDT_U64(size));
}

void mv_fdt_interrupt(struct mv_fdt *fdt, unsigned intid)
{
    MV_FDT_CELLS(fdt, "interrupts", MV_FDT_INTERRUPT(intid));
}

void mv_fdt_interrupt_edge(struct mv_fdt *fdt, unsigned intid)
{
    MV_FDT_CELLS(fdt, "interrupts", 0, intid - MV_INTID_SPI_BASE, 1);
}

int mv_fdt_make(void (*write)(struct mv_fdt *fdt, const void *opaque), const void *opaque,
                void **ret, struct mv_error *err)
{
    for (int size = 8192; size <= 1 << 30; size *= 2) {
        struct mv_fdt fdt = {calloc(1, (size_t)size), 0};
        if (fdt.bytes == NULL)
            return mv_error_set(err, ENOMEM, "no memory for the device tree");
        note(&fdt, fdt_create(fdt.bytes, size));
        note(&fdt, fdt_finish_reservemap(fdt.bytes));
        write(&fdt, opaque);
        note(&fdt, fdt_finish(fdt.bytes));
        if (fdt.error == 0) {
            *ret = fdt.bytes;
            return 0;
        }
        free(fdt.bytes);
        if (fdt.error != -FDT_ERR_NOSPACE)
            return mv_error_set(err, EINVAL, "the device tree: %s", fdt_strerror(fdt.error));
    }
    return mv_error_set(err, EFBIG, "the device tree would be larger than 1 GiB");
}
