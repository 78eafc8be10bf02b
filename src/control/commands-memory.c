/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that tell of memory.  Called by qmp-session.c. */
#include "bank.h"
#include "block.h"
#include "control.h"
#include "machine.h"
#include "qmp-command.h"
#include "space.h"

/* Memory in a device's BAR is the device's: only the board's is without a path. */
static int add_size(const struct mv_range *range, void *opaque)
{
    json_int_t *total = opaque;
    if (range->kind == MV_RANGE_RAM && range->block->path[0] == '\0')
        *total += (json_int_t)range->size;
    return 0;
}

int mv_qmp_query_memory_size_summary(struct mv_qmp_call *call, struct mv_error *err)
{
    json_int_t total = 0;
    mv_space_for_each(mv_machine_space(mv_control_machine(call->control)), add_size, &total);
    call->result = json_pack("{s:I, s:i}", "base-memory", total, "plugged-memory", 0);
    return 0;
}

int mv_qmp_query_memory_devices(struct mv_qmp_call *call, struct mv_error *err)
{
    call->result = json_array();
    return 0;
}

static json_t *describe_range(const char *kind, uint64_t gpa, uint64_t size, const char *name)
{
    return json_pack("{s:s, s:I, s:I, s:s}", "kind", kind, "gpa", (json_int_t)gpa, "size",
                     (json_int_t)size, "name", name);
}

static int add_range(const struct mv_range *range, void *opaque)
{
    json_t *list = opaque;
    bool ram = range->kind == MV_RANGE_RAM;
    json_t *entry = describe_range(ram ? "ram" : "mmio", range->gpa, range->size,
                                   ram ? range->block->id : range->region->name);
    if (ram)
        json_object_set_new(entry, "offset", json_integer((json_int_t)range->offset));
    json_array_append_new(list, entry);
    return 0;
}

/* What is mapped, in address order, and then what the board keeps for devices. */
int mv_qmp_query_space(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_machine *machine = mv_control_machine(call->control);
    struct mv_window window;
    call->result = json_array();
    mv_space_for_each(mv_machine_space(machine), add_range, call->result);
    for (size_t i = 0; mv_machine_window(machine, i, &window); i++)
        json_array_append_new(call->result, describe_range("reserved", window.gpa, window.size,
                                                           window.name));
    return 0;
}
