/* SPDX-License-Identifier: Apache-2.0 */
/* Types of what adds and removes devices (QEMU, qapi/qdev.json). */
#include "qmp-types.h"

/* What else there is depends on the driver. */
static const struct mv_qmp_member add_members[] = {
    {"driver", &mv_qmp_str}, {"bus", &mv_qmp_str, true}, {"id", &mv_qmp_str, true}, {NULL}};
const struct mv_qmp_type mv_type_device_add_args = {
    .kind = MV_QMP_OBJECT, .name = "q_obj_device_add-arg", .members = add_members, .open = true};

static const struct mv_qmp_member del_members[] = {{"id", &mv_qmp_str}, {NULL}};
const struct mv_qmp_type mv_type_device_del_args = {
    .kind = MV_QMP_OBJECT, .name = "q_obj_device_del-arg", .members = del_members};

static const struct mv_qmp_member deleted_members[] = {
    {"device", &mv_qmp_str, true}, {"path", &mv_qmp_str}, {NULL}};
const struct mv_qmp_type mv_type_device_deleted_data = {
    .kind = MV_QMP_OBJECT, .name = "q_obj_DEVICE_DELETED-arg", .members = deleted_members};
