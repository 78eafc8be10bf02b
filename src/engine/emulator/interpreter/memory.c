/* SPDX-License-Identifier: Apache-2.0 */
/* What the softmmu finds, for handlers: a fault is an exception, and unwinds. */
#include "memory.h"

static _Noreturn void give_up(struct mv_cpu *cpu, const struct mv_op *op,
                              const struct mv_mmu_fault *fault)
{
    mv_exception_fault(cpu, fault, mv_op_pc(cpu, op));
    mv_exception_unwind(cpu);
}

static inline void check(struct mv_cpu *cpu, const struct mv_op *op,
                         const struct mv_mmu_fault *fault)
{
    if (MV_UNLIKELY(fault != NULL))
        give_up(cpu, op, fault);
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
    check(cpu, op, mv_softmmu_read(&cpu->mmu, begin(cpu, op), va, size, access, &value));
    return value;
}

void mv_memory_write(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t value,
                     unsigned size, unsigned access)
{
    check(cpu, op, mv_softmmu_write(&cpu->mmu, begin(cpu, op), va, value, size, access));
}

void mv_memory_probe(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned len,
                     unsigned size, unsigned access)
{
    check(cpu, op, mv_softmmu_probe(&cpu->mmu, begin(cpu, op), va, len, size, access));
}

void *mv_memory_atomic(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned size,
                       unsigned access)
{
    if (mv_sp_misaligned(cpu, op)) {
        mv_exception_at(cpu, op, MV_EC_SP_ALIGNMENT, 0);
        mv_exception_unwind(cpu);
    }
    void *host;
    check(cpu, op, mv_softmmu_atomic(&cpu->mmu, begin(cpu, op), va, size, access, &host));
    return host;
}

const struct mv_dtlb_entry *mv_memory_entry(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                            unsigned access)
{
    const struct mv_dtlb_entry *entry;
    check(cpu, op, mv_softmmu_entry(&cpu->mmu, begin(cpu, op), va, access, &entry));
    return entry;
}

struct mv_memory_pair mv_memory_read_pair(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                          unsigned size)
{
    unsigned bytes = size == 16 ? 8 : size;
    mv_memory_probe(cpu, op, va, 2 * bytes, size, 0);
    uint64_t first = mv_memory_read(cpu, op, va, bytes, 0);
    return (struct mv_memory_pair){first, mv_memory_read(cpu, op, va + bytes, bytes, 0)};
}

void mv_memory_write_pair(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                          struct mv_memory_pair pair, unsigned size)
{
    unsigned bytes = size == 16 ? 8 : size;
    mv_memory_probe(cpu, op, va, 2 * bytes, size, MV_ACCESS_WRITE);
    mv_memory_write(cpu, op, va, pair.first, bytes, 0);
    mv_memory_write(cpu, op, va + bytes, pair.second, bytes, 0);
}

void mv_memory_check_watch(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned len,
                           unsigned access)
{
    check(cpu, op, mv_softmmu_check_watch(&cpu->mmu, va, len, access));
}

_Noreturn void mv_memory_abort(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                               enum mv_fault_status fsc, bool write)
{
    give_up(cpu, op,
            &(struct mv_mmu_fault){
                .kind = MV_MMU_FAULT_DATA, .fsc = (uint8_t)fsc, .write = write, .address = va});
}
