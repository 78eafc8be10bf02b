/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions as masks over the 16 values of NZCV (Arm ARM C1.2.4). */
#ifndef MV_EMULATOR_CONDITIONS_H
#define MV_EMULATOR_CONDITIONS_H

#include <stdint.h>

/* Indexed by the instruction's cond field; bit (N<<3|Z<<2|C<<1|V). */
extern const uint16_t mv_condition_masks[16];

#endif
