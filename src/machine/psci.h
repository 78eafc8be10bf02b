/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's calls to its firmware, which is us: PSCI 1.1 (Arm DEN 0022) and
 * the discovery calls of SMCCC 1.1 (Arm DEN 0028), over HVC.
 */
#ifndef MV_MACHINE_PSCI_H
#define MV_MACHINE_PSCI_H

struct mv_vcpu;
struct mv_vcpus;

/*
 * Serve the call whose arguments stand in the registers of a vCPU that came
 * back with MV_EXIT_HYPERCALL; the result goes to x0.  Its own thread.
 */
void mv_psci_call(struct mv_vcpus *vcpus, unsigned index, struct mv_vcpu *vcpu);

#endif
