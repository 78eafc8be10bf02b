/* SPDX-License-Identifier: Apache-2.0 */
/* What the softmmu finds, for handlers: a fault is an exception, and unwinds. */
#include "memory.h"

#include <string.h>

static _Noreturn void give_up(struct mv_cpu *cpu, const struct mv_op *op,
                              const struct mv_mmu_fault *fault)
{
    mv_exception_fault(cpu, fault, mv_op_pc(cpu, op));
    mv_exception_unwind(cpu);
}

/* From here on the softmmu has the PC of the access, and no handler its op. */
static uint64_t begin(struct mv_cpu *cpu, const struct mv_op *op)
{
    mv_access_begin(cpu, NULL);
    return mv_op_pc(cpu, op);
}

uint64_t mv_memory_read(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned size,
                        unsigned access)
{
    uint64_t value;
    const struct mv_mmu_fault *fault =
        mv_softmmu_read(&cpu->mmu, begin(cpu, op), va, size, access, &value);
    if (MV_UNLIKELY(fault != NULL))
        give_up(cpu, op, fault);
    return value;
}

void mv_memory_write(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t value,
                     unsigned size, unsigned access)
{
    const struct mv_mmu_fault *fault =
        mv_softmmu_write(&cpu->mmu, begin(cpu, op), va, value, size, access);
    if (MV_UNLIKELY(fault != NULL))
        give_up(cpu, op, fault);
}

void mv_memory_probe(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned len,
                     unsigned size, unsigned access)
{
    const struct mv_mmu_fault *fault =
        mv_softmmu_probe(&cpu->mmu, begin(cpu, op), va, len, size, access);
    if (MV_UNLIKELY(fault != NULL))
        give_up(cpu, op, fault);
}

void *mv_memory_atomic(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned size,
                       unsigned access)
{
    if (mv_sp_misaligned(cpu, op)) {
        mv_exception_at(cpu, op, MV_EC_SP_ALIGNMENT, 0);
        mv_exception_unwind(cpu);
    }
    void *host;
    const struct mv_mmu_fault *fault =
        mv_softmmu_atomic(&cpu->mmu, begin(cpu, op), va, size, access, &host);
    if (MV_UNLIKELY(fault != NULL))
        give_up(cpu, op, fault);
    return host;
}

const struct mv_dtlb_entry *mv_memory_entry(struct mv_cpu *cpu, const struct mv_op *op,
                                            uint64_t va, unsigned access)
{
    const struct mv_dtlb_entry *entry;
    const struct mv_mmu_fault *fault =
        mv_softmmu_entry(&cpu->mmu, begin(cpu, op), va, access, &entry);
    if (MV_UNLIKELY(fault != NULL))
        give_up(cpu, op, fault);
    return entry;
}

void mv_memory_check_watch(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned len,
                           unsigned access)
{
    const struct mv_mmu_fault *fault = mv_softmmu_check_watch(&cpu->mmu, va, len, access);
    if (MV_UNLIKELY(fault != NULL))
        give_up(cpu, op, fault);
}

void mv_memory_read128(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t ret[2])
{
    uint64_t value[2];
    mv_memory_probe(cpu, op, va, 16, 16, 0);
    value[0] = mv_memory_read(cpu, op, va, 8, 0);
    value[1] = mv_memory_read(cpu, op, va + 8, 8, 0);
    memcpy(ret, value, sizeof value);
}

void mv_memory_write128(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t low,
                        uint64_t high)
{
    mv_memory_probe(cpu, op, va, 16, 16, MV_ACCESS_WRITE);
    mv_memory_write(cpu, op, va, low, 8, 0);
    mv_memory_write(cpu, op, va + 8, high, 8, 0);
}

_Noreturn void mv_memory_abort(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                               enum mv_fault_status fsc, bool write)
{
    give_up(cpu, op,
            &(struct mv_mmu_fault){
                .kind = MV_MMU_FAULT_DATA, .fsc = (uint8_t)fsc, .write = write, .address = va});
}
