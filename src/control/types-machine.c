/* SPDX-License-Identifier: Apache-2.0 */
/* Types of what the machine does: run states, CPUs, and its events' data. */
#include "qmp-types.h"

static const char *const run_state_values[] = {
    "debug",     "inmigrate",      "internal-error", "io-error", "paused",  "postmigrate",
    "prelaunch", "finish-migrate", "restore-vm",     "running",  "save-vm", "shutdown",
    "suspended", "watchdog",       "guest-panicked", "colo",     NULL};
static const struct mv_qmp_type run_state = {
    .kind = MV_QMP_ENUM, .name = "RunState", .values = run_state_values};
static const struct mv_qmp_member status_members[] = {
    {"running", &mv_qmp_bool}, {"singlestep", &mv_qmp_bool}, {"status", &run_state}, {NULL}};
const struct mv_qmp_type mv_type_status_info = {
    .kind = MV_QMP_OBJECT, .name = "StatusInfo", .members = status_members};

static const char *const cause_values[] = {
    "none",        "host-error",      "host-qmp-quit",  "host-qmp-system-reset",
    "host-signal", "host-ui",         "guest-shutdown", "guest-reset",
    "guest-panic", "subsystem-reset", "snapshot-load",  NULL};
static const struct mv_qmp_type shutdown_cause = {
    .kind = MV_QMP_ENUM, .name = "ShutdownCause", .values = cause_values};
static const struct mv_qmp_member end_members[] = {
    {"guest", &mv_qmp_bool}, {"reason", &shutdown_cause}, {NULL}};
const struct mv_qmp_type mv_type_reset_data = {
    .kind = MV_QMP_OBJECT, .name = "q_obj_RESET-arg", .members = end_members};
const struct mv_qmp_type mv_type_shutdown_data = {
    .kind = MV_QMP_OBJECT, .name = "q_obj_SHUTDOWN-arg", .members = end_members};

/* Of QEMU's targets, those that there are boards for. */
static const char *const target_values[] = {"aarch64", NULL};
static const struct mv_qmp_type target = {
    .kind = MV_QMP_ENUM, .name = "SysEmuTarget", .values = target_values};
static const struct mv_qmp_member props_members[] = {{"node-id", &mv_qmp_int, true},
                                                     {"socket-id", &mv_qmp_int, true},
                                                     {"die-id", &mv_qmp_int, true},
                                                     {"cluster-id", &mv_qmp_int, true},
                                                     {"core-id", &mv_qmp_int, true},
                                                     {"thread-id", &mv_qmp_int, true},
                                                     {NULL}};
static const struct mv_qmp_type cpu_properties = {
    .kind = MV_QMP_OBJECT, .name = "CpuInstanceProperties", .members = props_members};
static const struct mv_qmp_member cpu_members[] = {
    {"cpu-index", &mv_qmp_int},       {"qom-path", &mv_qmp_str}, {"thread-id", &mv_qmp_int},
    {"props", &cpu_properties, true}, {"target", &target},       {NULL}};
static const struct mv_qmp_variant cpu_variants[] = {{NULL}};
static const struct mv_qmp_type cpu_info = {.kind = MV_QMP_OBJECT,
                                            .name = "CpuInfoFast",
                                            .members = cpu_members,
                                            .tag = "target",
                                            .variants = cpu_variants};
const struct mv_qmp_type mv_type_cpu_list = {
    .kind = MV_QMP_ARRAY, .name = "CpuInfoFastList", .element = &cpu_info};
