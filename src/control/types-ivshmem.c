/* SPDX-License-Identifier: Apache-2.0 */
/* Types of what is told of ivshmem devices. */
#include "qmp-types.h"

static const struct mv_qmp_member peer_members[] = {
    {"id", &mv_qmp_uint}, {"vectors", &mv_qmp_uint}, {NULL}};
static const struct mv_qmp_type peer = {
    .kind = MV_QMP_OBJECT, .name = "IvshmemPeer", .members = peer_members};
static const struct mv_qmp_type peers = {
    .kind = MV_QMP_ARRAY, .name = "IvshmemPeerList", .element = &peer};

static const struct mv_qmp_member server_members[] = {
    {"socket", &mv_qmp_str}, {"connected", &mv_qmp_bool},
    {"id", &mv_qmp_uint},    {"vectors", &mv_qmp_uint},
    {"sent", &mv_qmp_uint},  {"received", &mv_qmp_uint},
    {"peers", &peers},       {NULL}};
static const struct mv_qmp_type server = {
    .kind = MV_QMP_OBJECT, .name = "IvshmemServer", .members = server_members};

/* A device without a server, ivshmem-plain, has memory alone. */
static const struct mv_qmp_member ivshmem_members[] = {
    {"device", &mv_qmp_str}, {"kind", &mv_qmp_str},     {"memory", &mv_qmp_str},
    {"size", &mv_qmp_uint},  {"server", &server, true}, {NULL}};
static const struct mv_qmp_type ivshmem = {
    .kind = MV_QMP_OBJECT, .name = "IvshmemInfo", .members = ivshmem_members};
const struct mv_qmp_type mv_type_ivshmems = {
    .kind = MV_QMP_ARRAY, .name = "IvshmemInfoList", .element = &ivshmem};
