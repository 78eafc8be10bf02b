/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_arch: what an architecture is to the rooms that name none of its
 * registers: a vCPU's whole state as plain data, tables that describe it, and
 * what a machine does to it.  The debugger's server, saving and tests walk the
 * tables; machines start vCPUs and serve hypercalls through the functions.
 *
 * Nothing here has a lock or keeps anything: a state belongs to whoever holds it.
 */
#ifndef MV_ARCH_ARCH_H
#define MV_ARCH_ARCH_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_state_table;
struct mv_vcpus;

enum mv_register_group {
    MV_REGISTER_CORE,
    MV_REGISTER_VECTOR,
    MV_REGISTER_SYSTEM, /* a debugger is shown them; it does not write them */
    MV_REGISTER_ID,     /* what the engine's CPU is: compared, never set */
};

/* A register of a state. */
struct mv_register {
    const char *name; /* as a debugger knows it */
    enum mv_register_group group;
    unsigned size; /* bytes: up to MV_REGISTER_SIZE_MAX */
    size_t offset; /* in the state */
    uint64_t mask; /* the bits that there are, of each 8 bytes */
    const char *type; /* in the debugger's description; NULL: a number */
    /* Where it is no member of its own but one of several: that one's offset. */
    size_t (*place)(const void *state);
};
#define MV_REGISTER_SIZE_MAX 16

/* A part of a debugger's description of its target (GDB's manual, appendix G). */
struct mv_arch_feature {
    const char *name;
    enum mv_register_group group; /* whose registers it has */
    const char *types;            /* XML that defines the registers' types, or "" */
};

/* Whether a vCPU is on, as its guest has it. */
enum mv_vcpu_power {
    MV_VCPU_ON,
    MV_VCPU_OFF,
    MV_VCPU_ON_PENDING, /* it has not entered the guest yet */
};

/* What the machine does for a vCPU that makes a hypercall.  Any thread. */
struct mv_arch_calls {
    struct mv_vcpus *vcpus;
    unsigned count; /* of them */
    enum mv_vcpu_power (*power)(struct mv_vcpus *vcpus, unsigned index);
    /* Have one that is off start, as `enter` says; returns what it was, and does nothing else. */
    enum mv_vcpu_power (*power_on)(struct mv_vcpus *vcpus, unsigned index, uint64_t pc,
                                   uint64_t argument);
};

/* What comes of a hypercall, beside its result. */
enum mv_arch_end {
    MV_CALL_GOES_ON,
    MV_CALL_CPU_OFF, /* the caller runs no more guest code, nor does it after those below */
    MV_CALL_SYSTEM_OFF,
    MV_CALL_SYSTEM_RESET,
};

struct mv_arch {
    const char *name;
    size_t state_size;
    const struct mv_state_table *state; /* all of it, as it is saved */
    /* Core registers first, then vectors, system and ID registers: a debugger's numbers. */
    const struct mv_register *registers;
    size_t register_count;
    const char *gdb_name; /* of the architecture */
    const struct mv_arch_feature *features;
    size_t feature_count;

    /* A state at reset is to start at pc as a boot loader or firmware leaves it. */
    void (*enter)(void *state, uint64_t pc, uint64_t argument);
    /* Serve the call that a state has just made, and put the result into it. */
    enum mv_arch_end (*hypercall)(void *state, const struct mv_arch_calls *calls);
    void (*set_pc)(void *state, uint64_t pc);
};

/* A register's bytes in a state. */
void *mv_register_bytes(const struct mv_register *reg, void *state);
/* Set it from as many bytes, as far as its bits are there. */
void mv_register_write(const struct mv_register *reg, void *state, const void *bytes);
/*
 * Whether a vCPU whose state is `own` can take `state` on: its fields are legal
 * and go together, and say that the CPU is the same.  -EINVAL, and the error
 * names the field.
 */
int mv_arch_check(const struct mv_arch *arch, const void *state, const void *own,
                  struct mv_error *err);

#endif
