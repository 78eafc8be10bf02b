/* SPDX-License-Identifier: Apache-2.0 */
#include "arch.h"

#include <inttypes.h>
#include <string.h>

static size_t offset_of(const struct mv_register *reg, const void *state)
{
    return reg->place == NULL ? reg->offset : reg->place(state);
}

void *mv_register_bytes(const struct mv_register *reg, void *state)
{
    return (char *)state + offset_of(reg, state);
}

void mv_register_write(const struct mv_register *reg, void *state, const void *bytes)
{
    uint64_t parts[MV_REGISTER_SIZE_MAX / sizeof(uint64_t)] = {0};
    memcpy(parts, bytes, reg->size);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        parts[i] &= reg->mask;
    memcpy(mv_register_bytes(reg, state), parts, reg->size);
}

int mv_registers_check(const struct mv_arch *arch, const void *state, const void *own,
                       struct mv_error *err)
{
    for (size_t i = 0; i < arch->register_count; i++) {
        const struct mv_register *reg = &arch->registers[i];
        uint64_t value[MV_REGISTER_SIZE_MAX / sizeof(uint64_t)] = {0}, mine[2] = {0};
        memcpy(value, (const char *)state + offset_of(reg, state), reg->size);
        memcpy(mine, (const char *)own + offset_of(reg, own), reg->size);
        if ((value[0] | value[1]) & ~reg->mask)
            return mv_error_set(err, EINVAL, "%s is 0x%" PRIx64 ": its bits are 0x%" PRIx64,
                                reg->name, value[0], reg->mask);
        if (reg->group == MV_REGISTER_ID && value[0] != mine[0])
            return mv_error_set(err, EINVAL, "%s is 0x%" PRIx64 ": the CPU here has 0x%" PRIx64,
                                reg->name, value[0], mine[0]);
    }
    return 0;
}
