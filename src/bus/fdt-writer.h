/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_fdt: a flattened device tree while it is written, by libfdt
 * (Devicetree Specification v0.3; bindings in Linux, Documentation/devicetree/
 * bindings).  Devices describe themselves with it; boards begin and end it.
 */
#ifndef MV_BUS_FDT_WRITER_H
#define MV_BUS_FDT_WRITER_H

#include "error.h"
#include "irqchip.h"

#include <stddef.h>
#include <stdint.h>

/* What nodes of a board are to others: the phandle of the one that plays the part. */
enum mv_fdt_phandle {
    MV_FDT_INTERRUPTS = 1,
    MV_FDT_MESSAGES, /* where message-signalled interrupts go */
    MV_FDT_CLOCK,    /* of what hangs on the peripheral bus */
    MV_FDT_GPIO,
    MV_FDT_CACHE, /* that all CPUs share */
};

/* Keeps the first error; what is written after it goes nowhere. */
struct mv_fdt {
    void *bytes;
    int error; /* libfdt's */
};

/*
 * Have `write` write a tree, from its root's node on, into a buffer that doubles
 * until all fits, so that nothing is counted beforehand; free() it.
 */
int mv_fdt_make(void (*write)(struct mv_fdt *fdt, const void *opaque), const void *opaque,
                void **ret, struct mv_error *err);

void mv_fdt_begin(struct mv_fdt *fdt, const char *name);
/* "name@address". */
void mv_fdt_begin_at(struct mv_fdt *fdt, const char *name, uint64_t address);
void mv_fdt_end(struct mv_fdt *fdt);

void mv_fdt_bytes(struct mv_fdt *fdt, const char *name, const void *value, size_t len);
void mv_fdt_text(struct mv_fdt *fdt, const char *name, const char *value);
void mv_fdt_empty(struct mv_fdt *fdt, const char *name);
void mv_fdt_cells(struct mv_fdt *fdt, const char *name, const uint32_t *values, size_t count);
void mv_fdt_reg(struct mv_fdt *fdt, uint64_t address, uint64_t size);
/* A property of one interrupt: a level, of an INTID (bindings, arm,gic-v3.yaml). */
void mv_fdt_interrupt(struct mv_fdt *fdt, unsigned intid);
/* A shared one of which rising edges count. */
void mv_fdt_interrupt_edge(struct mv_fdt *fdt, unsigned intid);

#define MV_FDT_CELLS(fdt, name, ...)                                                               \
    mv_fdt_cells(fdt, name, (const uint32_t[]){__VA_ARGS__},                                       \
                 sizeof(const uint32_t[]){__VA_ARGS__} / sizeof(uint32_t))
/* Two cells of them. */
#define MV_FDT_U64(value) (uint32_t)((uint64_t)(value) >> 32), (uint32_t)(value)
/* Three of them: shared (0) or private (1), which one, level-sensitive and active high (4). */
#define MV_FDT_INTERRUPT(intid)                                                                    \
    (intid) < MV_INTID_SPI_BASE,                                                                   \
        (intid) - ((intid) < MV_INTID_SPI_BASE ? MV_INTID_PPI_BASE : MV_INTID_SPI_BASE), 4
/* A string list: its strings end in a zero each, the last one by the compiler. */
#define MV_FDT_STRINGS(fdt, name, list) mv_fdt_bytes(fdt, name, list, sizeof(list))

#endif
