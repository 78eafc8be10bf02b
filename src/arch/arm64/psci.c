/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSCI as a table of functions.  No state of its own: power states belong to
 * the machine, which has its lock; called by the vCPUs' threads.
 */
#include "arm64.h"

/* Return values (DEN 0022, 5.2.2; DEN 0028, 7.1). */
#define SUCCESS            0
#define NOT_SUPPORTED      (-1)
#define INVALID_PARAMETERS (-2)
#define ALREADY_ON         (-4)
#define ON_PENDING         (-5)
#define INVALID_ADDRESS    (-9)

#define PSCI_VERSION_1_1     0x10001
#define SMCCC_VERSION_1_1    0x10001
#define NO_TRUSTED_OS        2 /* MIGRATE_INFO_TYPE: nothing has to migrate */
#define FUNCTION_64          (UINT32_C(1) << 30)

struct call {
    const struct mv_arch_calls *machine;
    uint64_t arg[3];
};

typedef int64_t psci_fn(const struct call *call);

static int64_t psci_version(const struct call *call)
{
    (void)call;
    return PSCI_VERSION_1_1;
}

/*
 * Every power state is taken as the shallowest standby, out of which any event
 * may wake a CPU: at once, here.  An idle guest has WFI to sleep.
 */
static int64_t cpu_suspend(const struct call *call)
{
    (void)call;
    return SUCCESS;
}

static int64_t cpu_off(const struct call *call)
{
    call->machine->power_off(call->machine->opaque, call->machine->caller);
    return SUCCESS;
}

static int64_t cpu_on(const struct call *call)
{
    int cpu = mv_arm64_cpu_of(call->arg[0], call->machine->count);
    if (cpu < 0)
        return INVALID_PARAMETERS;
    if (call->arg[1] % 4 != 0)
        return INVALID_ADDRESS;
    switch (call->machine->power_on(call->machine->opaque, (unsigned)cpu, call->arg[1],
                                    call->arg[2])) {
    case MV_VCPU_ON:
        return ALREADY_ON;
    case MV_VCPU_ON_PENDING:
        return ON_PENDING;
    default:
        return SUCCESS;
    }
}

/* Level 0 is enough from PSCI 1.0 on (DEN 0022, 5.7). */
static int64_t affinity_info(const struct call *call)
{
    static const int64_t states[] = {
        [MV_VCPU_ON] = 0, [MV_VCPU_OFF] = 1, [MV_VCPU_ON_PENDING] = 2};
    int cpu = mv_arm64_cpu_of(call->arg[0], call->machine->count);
    if (cpu < 0 || call->arg[1] != 0)
        return INVALID_PARAMETERS;
    return states[call->machine->power(call->machine->opaque, (unsigned)cpu)];
}

static int64_t migrate_info_type(const struct call *call)
{
    (void)call;
    return NO_TRUSTED_OS;
}

static int64_t system_off(const struct call *call)
{
    call->machine->system_off(call->machine->opaque, call->machine->caller);
    return SUCCESS;
}

static int64_t system_reset(const struct call *call)
{
    call->machine->system_reset(call->machine->opaque, call->machine->caller);
    return SUCCESS;
}

static int64_t smccc_version(const struct call *call)
{
    (void)call;
    return SMCCC_VERSION_1_1;
}

static psci_fn psci_features, smccc_arch_features;

static const struct function {
    uint32_t id;
    bool has_64; /* a second id for 64-bit arguments */
    psci_fn *fn;
} functions[] = {
    {UINT32_C(0x80000000), false, smccc_version},
    {UINT32_C(0x80000001), false, smccc_arch_features},
    {UINT32_C(0x84000000), false, psci_version},
    {UINT32_C(0x84000001), true, cpu_suspend},
    {UINT32_C(0x84000002), false, cpu_off},
    {UINT32_C(0x84000003), true, cpu_on},
    {UINT32_C(0x84000004), true, affinity_info},
    {UINT32_C(0x84000006), false, migrate_info_type},
    {UINT32_C(0x84000008), false, system_off},
    {UINT32_C(0x84000009), false, system_reset},
    {UINT32_C(0x8400000a), false, psci_features},
};

static const struct function *find_function(uint32_t id)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        const struct function *f = &functions[i];
        if (id == f->id || (f->has_64 && id == (f->id | FUNCTION_64)))
            return f;
    }
    return NULL;
}

/* SMCCC_VERSION is asked for here too (DEN 0028, "SMCCC_VERSION", discovery). */
static int64_t psci_features(const struct call *call)
{
    return find_function((uint32_t)call->arg[0]) == NULL ? NOT_SUPPORTED : SUCCESS;
}

/*
 * The architecture's own calls.  Workarounds are not among them: the CPU's ID
 * registers say that it needs none.
 */
static int64_t smccc_arch_features(const struct call *call)
{
    static const uint32_t known[] = {UINT32_C(0x80000000), UINT32_C(0x80000001)};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if ((uint32_t)call->arg[0] == known[i])
            return SUCCESS;
    }
    return NOT_SUPPORTED;
}

void mv_psci_call(struct mv_arm64_state *state, const struct mv_arch_calls *calls)
{
    /* W0 has the function; the 32-bit ones have 32-bit arguments (DEN 0028, 2.6). */
    const uint64_t *x = state->x;
    uint32_t id = (uint32_t)x[0];
    uint64_t mask = id & FUNCTION_64 ? UINT64_MAX : UINT32_MAX;
    struct call call = {calls, {x[1] & mask, x[2] & mask, x[3] & mask}};
    const struct function *f = find_function(id);
    state->x[0] = (uint64_t)(f == NULL ? NOT_SUPPORTED : f->fn(&call));
}
