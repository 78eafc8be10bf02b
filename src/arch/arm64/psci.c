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

static int64_t cpu_on(const struct call *call)
{
    int cpu = mv_arm64_cpu_of(call->arg[0], call->machine->count);
    if (cpu < 0)
        return INVALID_PARAMETERS;
    if (call->arg[1] % 4 != 0)
        return INVALID_ADDRESS;
    switch (call->machine->power_on(call->machine->vcpus, (unsigned)cpu, call->arg[1],
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
    return states[call->machine->power(call->machine->vcpus, (unsigned)cpu)];
}

static psci_fn psci_features, smccc_arch_features;

static const struct function {
    uint32_t id;
    bool has_64; /* a second id for 64-bit arguments */
    psci_fn *fn; /* or NULL: always the same */
    int64_t result;
    enum mv_arch_end end;
} functions[] = {
    {UINT32_C(0x80000000), .result = SMCCC_VERSION_1_1},
    {UINT32_C(0x80000001), .fn = smccc_arch_features},
    {UINT32_C(0x84000000), .result = PSCI_VERSION_1_1},
    /*
     * CPU_SUSPEND: every power state is taken as the shallowest standby, out of which any
     * event may wake a CPU: at once, here.  An idle guest has WFI to sleep.
     */
    {UINT32_C(0x84000001), .has_64 = true, .result = SUCCESS},
    {UINT32_C(0x84000002), .end = MV_CALL_CPU_OFF},
    {UINT32_C(0x84000003), .has_64 = true, .fn = cpu_on},
    {UINT32_C(0x84000004), .has_64 = true, .fn = affinity_info},
    {UINT32_C(0x84000006), .result = NO_TRUSTED_OS},
    {UINT32_C(0x84000008), .end = MV_CALL_SYSTEM_OFF},
    {UINT32_C(0x84000009), .end = MV_CALL_SYSTEM_RESET},
    {UINT32_C(0x8400000a), .fn = psci_features},
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

/* Behind the call stands an ERET of ours, which sets the event register and clears the monitor. */
enum mv_arch_end mv_psci_call(void *opaque, const struct mv_arch_calls *calls)
{
    struct mv_arm64_state *state = opaque;
    /* W0 has the function; the 32-bit ones have 32-bit arguments (DEN 0028, 2.6). */
    uint64_t *x = state->x;
    uint64_t mask = x[0] & FUNCTION_64 ? UINT64_MAX : UINT32_MAX;
    struct call call = {calls, {x[1] & mask, x[2] & mask, x[3] & mask}};
    const struct function *f = find_function((uint32_t)x[0]);
    x[0] = (uint64_t)(f == NULL ? NOT_SUPPORTED : f->fn == NULL ? f->result : f->fn(&call));
    state->event = true;
    state->monitor.armed = false;
    return f == NULL ? MV_CALL_GOES_ON : f->end;
}
