/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSCI 1.1 over HVC (Arm DEN 0022) and SMCCC 1.1's discovery (Arm DEN 0028).
 * A call runs in the calling vCPU's thread under the machine's lock.
 */
#include "board.h"

#include <stddef.h>

enum {
    PSCI_SUCCESS = 0,
    PSCI_NOT_SUPPORTED = -1,
    PSCI_INVALID_PARAMETERS = -2,
    PSCI_ALREADY_ON = -4,
};
#define PSCI_VERSION 0x10001
#define SMCCC_VERSION 0x10001
#define TOS_NOT_PRESENT 2
#define AFFINITY_ON 0
#define AFFINITY_OFF 1
/* Of MPIDR, what names a CPU: Aff3, Aff2, Aff1, Aff0. */
#define MPIDR_AFFINITY UINT64_C(0xff00ffffff)
#define PSTATE_EL1H_MASKED 0x3c5

typedef int64_t psci_fn(struct mv_vcpu_thread *caller, const uint64_t x[4]);

static struct mv_vcpu_thread *find_cpu(struct mv_machine *machine, uint64_t affinity)
{
    for (unsigned i = 0; i < machine->config->cpus; i++) {
        struct mv_vcpu *vcpu = machine->vcpus[i].vcpu;
        if ((vcpu->ops->vcpu_mpidr(vcpu) & MPIDR_AFFINITY) == affinity)
            return &machine->vcpus[i];
    }
    return NULL;
}

static int64_t psci_version(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    (void)caller;
    (void)x;
    return PSCI_VERSION;
}

static int64_t cpu_off(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    (void)x;
    caller->powered = false;
    return PSCI_SUCCESS; /* seen by nobody */
}

/* x1: MPIDR of the target, x2: entry address, x3: its x0. */
static int64_t cpu_on(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    struct mv_machine *machine = caller->machine;
    struct mv_vcpu_thread *target = find_cpu(machine, x[1]);
    if (target == NULL)
        return PSCI_INVALID_PARAMETERS;
    /* One that called CPU_OFF is off once its thread has left the engine. */
    if (target->powered || target->running)
        return PSCI_ALREADY_ON;
    struct mv_vcpu_regs regs = {.pc = x[2], .pstate = PSTATE_EL1H_MASKED};
    regs.x[0] = x[3];
    target->vcpu->ops->vcpu_reset(target->vcpu);
    target->vcpu->ops->vcpu_set_regs(target->vcpu, &regs);
    target->powered = true;
    pthread_cond_broadcast(&machine->changed);
    return PSCI_SUCCESS;
}

static int64_t affinity_info(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    const struct mv_vcpu_thread *target = find_cpu(caller->machine, x[1]);
    if (target == NULL || x[2] != 0)
        return PSCI_INVALID_PARAMETERS;
    return target->powered ? AFFINITY_ON : AFFINITY_OFF;
}

static int64_t migrate_info_type(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    (void)caller;
    (void)x;
    return TOS_NOT_PRESENT;
}

static int64_t system_off(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    (void)x;
    caller->powered = false;
    mv_machine_guest_off(caller->machine);
    return PSCI_SUCCESS;
}

static int64_t system_reset(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    (void)x;
    caller->powered = false;
    mv_machine_guest_reset(caller->machine);
    return PSCI_SUCCESS;
}

static int64_t smccc_version(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    (void)caller;
    (void)x;
    return SMCCC_VERSION;
}

static psci_fn psci_features;
static psci_fn arch_features;

/* 32-bit calls take the lower halves of their arguments. */
static const struct psci_call {
    uint32_t id;
    psci_fn *fn;
} calls[] = {
    {0x84000000, psci_version},      {0x84000002, cpu_off},
    {0x84000003, cpu_on},            {0xc4000003, cpu_on},
    {0x84000004, affinity_info},     {0xc4000004, affinity_info},
    {0x84000006, migrate_info_type}, {0x84000008, system_off},
    {0x84000009, system_reset},      {0x8400000a, psci_features},
    {0x80000000, smccc_version},     {0x80000001, arch_features},
};
#define SMCCC_64 (1u << 30)

static const struct psci_call *find_call(uint32_t id)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (calls[i].id == id)
            return &calls[i];
    return NULL;
}

static int64_t psci_features(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    (void)caller;
    return find_call((uint32_t)x[1]) ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED;
}

/* SMCCC_ARCH_FEATURES: of the Arm architecture calls only the first two. */
static int64_t arch_features(struct mv_vcpu_thread *caller, const uint64_t x[4])
{
    (void)caller;
    uint32_t id = (uint32_t)x[1];
    return id == 0x80000000 || id == 0x80000001 ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED;
}

void mv_psci_call(struct mv_vcpu_thread *thread)
{
    struct mv_vcpu *vcpu = thread->vcpu;
    struct mv_vcpu_regs regs;
    vcpu->ops->vcpu_get_regs(vcpu, &regs);
    uint32_t id = (uint32_t)regs.x[0];
    const struct psci_call *call = find_call(id);
    uint64_t x[4];
    for (unsigned i = 0; i < 4; i++)
        x[i] = id & SMCCC_64 ? regs.x[i] : (uint32_t)regs.x[i];
    regs.x[0] = (uint64_t)(call ? call->fn(thread, x) : PSCI_NOT_SUPPORTED);
    vcpu->ops->vcpu_set_regs(vcpu, &regs);
}
