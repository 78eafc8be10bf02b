/* SPDX-License-Identifier: Apache-2.0 */
#include "arch.h"

#include "state.h"

#include <inttypes.h>
#include <string.h>

void *mv_register_bytes(const struct mv_register *reg, void *state)
{
    return (char *)state + (reg->place == NULL ? reg->offset : reg->place(state));
}

void mv_register_write(const struct mv_register *reg, void *state, const void *bytes)
{
    uint64_t parts[MV_REGISTER_SIZE_MAX / sizeof(uint64_t)] = {0};
    memcpy(parts, bytes, reg->size);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        parts[i] &= reg->mask;
    memcpy(mv_register_bytes(reg, state), parts, reg->size);
}

int mv_arch_check(const struct mv_arch *arch, const void *state, const void *own,
                  struct mv_error *err)
{
    const struct mv_state_table *table = arch->state;
    int r = mv_state_check(table, state, "vcpu", err);
    for (size_t i = 0; r == 0 && i < table->field_count; i++) {
        const struct mv_state_field *field = &table->fields[i];
        uint64_t value = mv_state_get(field, state, 0), mine = mv_state_get(field, own, 0);
        if (field->is_same && value != mine)
            r = mv_error_set(err, EINVAL, "vcpu/%s: 0x%" PRIx64 ": the CPU here has 0x%" PRIx64,
                             field->name, value, mine);
    }
    return r;
}
