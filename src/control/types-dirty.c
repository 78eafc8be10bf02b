/* SPDX-License-Identifier: Apache-2.0 */
/* Types of what tells which memory is written. */
#include "qmp-types.h"

#define OBJECT(id, what, list)                                                                     \
    const struct mv_qmp_type id = {.kind = MV_QMP_OBJECT, .name = what, .members = list}

/* Of QEMU's modes, the one that there is here. */
static const char *const mode_values[] = {"dirty-bitmap", NULL};
static const struct mv_qmp_type mode = {
    .kind = MV_QMP_ENUM, .name = "DirtyRateMeasureMode", .values = mode_values};
static const struct mv_qmp_member calc_members[] = {
    {"calc-time", &mv_qmp_int}, {"mode", &mode, true}, {NULL}};
OBJECT(mv_type_calc_dirty_rate_args, "q_obj_calc-dirty-rate-arg", calc_members);

static const char *const status_values[] = {"unstarted", "measuring", "measured", NULL};
static const struct mv_qmp_type status = {
    .kind = MV_QMP_ENUM, .name = "DirtyRateStatus", .values = status_values};
static const struct mv_qmp_member rate_members[] = {{"dirty-rate", &mv_qmp_int, true},
                                                    {"status", &status},
                                                    {"start-time", &mv_qmp_int},
                                                    {"calc-time", &mv_qmp_int},
                                                    {"sample-pages", &mv_qmp_uint},
                                                    {"mode", &mode},
                                                    {NULL}};
OBJECT(mv_type_dirty_rate, "DirtyRateInfo", rate_members);

/* --- our own */

static const struct mv_qmp_member map_args_members[] = {
    {"milliseconds", &mv_qmp_uint, true}, {"parts", &mv_qmp_uint, true}, {NULL}};
OBJECT(mv_type_dirty_map_args, "q_obj_x-dirty-map-arg", map_args_members);

static const struct mv_qmp_member map_members[] = {{"id", &mv_qmp_str},
                                                   {"generation", &mv_qmp_uint},
                                                   {"size", &mv_qmp_uint},
                                                   {"milliseconds", &mv_qmp_uint},
                                                   {"dirty", &mv_qmp_uint},
                                                   {"map", &mv_type_uint_list, true},
                                                   {NULL}};
static OBJECT(dirty_map, "DirtyMap", map_members);
const struct mv_qmp_type mv_type_dirty_map = {
    .kind = MV_QMP_ARRAY, .name = "DirtyMapList", .element = &dirty_map};
