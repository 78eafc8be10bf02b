/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board for tests alone: arm64 with one UART, at addresses that the arm64 board
 * has nothing at, no GPIO and no PCI.  Included by one file of a test program,
 * which gets it as "tiny", beside the arm64 board.
 */
#ifndef MV_TESTS_BOARD_TINY_H
#define MV_TESTS_BOARD_TINY_H

#include "arm64.h"
#include "board-arm64.h"
#include "engine.h"
#include "platform-devices.h"

#define TINY_DIST     UINT64_C(0x08000000)
#define TINY_REDIST   UINT64_C(0x08100000)
#define TINY_UART     UINT64_C(0x09000000)
#define TINY_UART_SPI 7
#define TINY_RAM      UINT64_C(0x20000000)
#define TINY_IPA_BITS 36

static const struct mv_window tiny_windows[] = {
    {"interrupts", TINY_DIST, TINY_REDIST - TINY_DIST + MV_VCPU_MAX * MV_GICV3_REDIST_SIZE},
    {"console", TINY_UART, 0x1000},
};

static const struct mv_gicv3_wiring tiny_gic = {.redist_gpa = TINY_REDIST, .params.spi_count = 32};

static const struct mv_platform_row tiny_rows[] = {
    {"chip", &mv_gicv3_type, TINY_DIST, 0, &tiny_gic},
    {NULL, &mv_timer_arm64_type},
    {"console", &mv_ns16550a_type, TINY_UART, MV_INTID_SPI_BASE + TINY_UART_SPI},
};

static const struct mv_board_ops board_tiny = {
    .name = "tiny",
    .arch = &mv_arm64,
    .loader = &mv_loader_arm64,
    .ipa_bits = TINY_IPA_BITS,
    .ram_base = TINY_RAM,
    .windows = tiny_windows,
    .window_count = sizeof tiny_windows / sizeof tiny_windows[0],
    .rows = tiny_rows,
    .row_count = sizeof tiny_rows / sizeof tiny_rows[0],
    .virtual_timer_intid = MV_ARM64_TIMER_VIRTUAL_INTID,
    .physical_timer_intid = MV_ARM64_TIMER_PHYSICAL_INTID,
};

/* One of another architecture, which no engine here runs. */
static const struct mv_arch foreign_arch = {.name = "foreign"};
static const struct mv_board_ops board_foreign = {.name = "other", .arch = &foreign_arch};

/* Their rows. */
const struct mv_board_ops *const mv_boards[] = {&mv_board_arm64, &board_tiny, &board_foreign, NULL};

#endif
