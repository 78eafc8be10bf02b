/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include "cpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_ours(const struct mv_op *op)
{
    return op->code == MV_OPCODE_count || op->code == MV_OPCODE_native;
}

static struct mv_jit_page *make(struct mv_jit *jit, struct mv_jit_page **io_page, struct mv_op *ops)
{
    struct mv_jit_page *page = calloc(1, sizeof *page);
    if (page == NULL)
        return NULL;
    page->ops = ops;
    page->next = jit->pages;
    page->at = &jit->pages;
    if (page->next != NULL)
        page->next->at = &page->next;
    jit->pages = page;
    *io_page = page;
    return page;
}

/* Where there is no memory for it, the page is interpreted. */
void mv_jit_mark(struct mv_jit *jit, struct mv_jit_page **io_page, struct mv_op *ops, unsigned slot)
{
    struct mv_op *op = &ops[slot];
    if (is_ours(op) || (*io_page == NULL && make(jit, io_page, ops) == NULL))
        return;
    struct mv_jit_page *page = *io_page;
    if (page->count[slot] == UINT8_MAX) /* it was tried */
        return;
    page->code[slot] = op->code;
    op->code = MV_OPCODE_count;
}

uint16_t mv_jit_code(const struct mv_jit_page *page, const struct mv_op *op)
{
    return is_ours(op) ? page->code[op - page->ops] : op->code;
}

void mv_jit_decoded(struct mv_jit_page *page, struct mv_op *op)
{
    page->code[op - page->ops] = op->code;
    op->code = MV_OPCODE_count;
}

/* --- links */

static void set_jump(struct mv_jit *jit, uint32_t place, uint32_t target)
{
    int32_t delta = (int32_t)target - (int32_t)(place + 4);
    memcpy(jit->memory.write + place, &delta, sizeof delta);
}

int mv_jit_page_link(struct mv_jit *jit, struct mv_jit_page *page, const struct mv_jit_link *link)
{
    struct mv_jit_link *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return -ENOMEM;
    *copy = *link;
    copy->next = page->links;
    page->links = copy;
    uint32_t entry = mv_jit_entries(page->ops)[link->target];
    set_jump(jit, link->place, entry != 0 ? entry : link->stub);
    return 0;
}

void mv_jit_page_unlink(struct mv_jit_page *page, const struct mv_jit_unit *from)
{
    for (struct mv_jit_link **at = &page->links, *link; (link = *at) != NULL;) {
        if (link->from == from) {
            *at = link->next;
            free(link);
        } else {
            at = &link->next;
        }
    }
}

void mv_jit_page_add(struct mv_jit *jit, struct mv_jit_page *page, struct mv_jit_unit *unit)
{
    unit->next = page->units;
    page->units = unit;
    page->ops[unit->slot].code = MV_OPCODE_native;
    for (struct mv_jit_link *link = page->links; link != NULL; link = link->next) {
        if (link->target == unit->slot)
            set_jump(jit, link->place, mv_jit_entries(page->ops)[unit->slot]);
    }
}

/* --- units go */

static void drop(struct mv_jit *jit, struct mv_jit_page *page, struct mv_jit_unit *unit)
{
    unsigned slot = unit->slot;
    mv_jit_entries(page->ops)[slot] = 0;
    page->count[slot] = 0;
    page->ops[slot].code = MV_OPCODE_count;
    mv_jit_page_unlink(page, unit);
    for (struct mv_jit_link *link = page->links; link != NULL; link = link->next) {
        if (link->target == slot)
            set_jump(jit, link->place, link->stub);
    }
    free(unit);
}

static void drop_units(struct mv_jit *jit, struct mv_jit_page *page, uint64_t lines)
{
    for (struct mv_jit_unit **at = &page->units, *unit; (unit = *at) != NULL;) {
        if (unit->lines & lines) {
            *at = unit->next;
            drop(jit, page, unit);
        } else {
            at = &unit->next;
        }
    }
}

void mv_jit_drop_lines(struct mv_jit *jit, struct mv_jit_page *page, uint64_t lines)
{
    if (page == NULL)
        return;
    drop_units(jit, page, lines);
    for (unsigned line = 0; line < 64; line++) {
        if (lines >> line & 1)
            memset(&page->count[line * 16], 0, 16);
    }
}

void mv_jit_drop_page(struct mv_jit *jit, struct mv_jit_page **io_page)
{
    struct mv_jit_page *page = *io_page;
    if (page == NULL)
        return;
    drop_units(jit, page, UINT64_MAX);
    *page->at = page->next;
    if (page->next != NULL)
        page->next->at = page->at;
    *io_page = NULL;
    free(page);
}

void mv_jit_flush(struct mv_jit *jit)
{
    for (struct mv_jit_page *page = jit->pages; page != NULL; page = page->next)
        drop_units(jit, page, UINT64_MAX);
    mv_code_memory_use(&jit->memory, jit->first);
    atomic_store_explicit(&jit->counts.used, jit->memory.used, memory_order_relaxed);
    mv_jit_count(&jit->counts.evictions);
}

static const struct mv_jit_unit *find_unit(const struct mv_jit_page *page, uint32_t at)
{
    const struct mv_jit_unit *unit = page != NULL ? page->units : NULL;
    while (unit != NULL && (at < unit->start || at >= unit->end))
        unit = unit->next;
    return unit;
}

static void take_registers(struct mv_cpu *cpu, const struct mv_jit_unit *unit,
                           const struct mv_fault_point *point)
{
    for (unsigned r = 0; r < 16; r++) {
        if (unit->guest[r] != 0)
            cpu->x[unit->guest[r] - 1] = point->registers[r];
        if (unit->guest_v[r] != 0)
            memcpy(&cpu->v[unit->guest_v[r] - 1], point->vectors[r], sizeof point->vectors[r]);
    }
}

const struct mv_op *mv_jit_take_access(struct mv_cpu *cpu, const struct mv_fault_point *point)
{
    uint32_t at;
    const struct mv_jit_page *page = *mv_jit_page_place(cpu->page_ops);
    if (page == NULL || !mv_code_memory_find(&cpu->jit->memory, point->code, &at))
        return NULL;
    const struct mv_jit_unit *unit = find_unit(page, at);
    for (unsigned i = 0; unit != NULL && i < unit->access_count; i++) {
        if (at >= unit->accesses[i].at)
            continue;
        take_registers(cpu, unit, point);
        return &page->ops[unit->accesses[i].slot];
    }
    return NULL;
}
