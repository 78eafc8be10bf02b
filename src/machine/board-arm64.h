/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and interrupts of the arm64 board, for its devices and its FDT. */
#ifndef MV_MACHINE_BOARD_ARM64_H
#define MV_MACHINE_BOARD_ARM64_H

#include "device-list.h"
#include "engine.h"

#include <stdint.h>

#define MV_ARM64_UART UINT64_C(0x01000000)
#define MV_ARM64_RTC UINT64_C(0x01010000)
#define MV_ARM64_GPIO UINT64_C(0x01020000)
#define MV_ARM64_GIC_DIST UINT64_C(0x3fff0000)
#define MV_ARM64_GIC_REDIST (MV_ARM64_GIC_DIST - MV_VCPU_MAX * MV_GICV3_REDIST_SIZE)
#define MV_ARM64_GICV2M (MV_ARM64_GIC_REDIST - 0x10000)

/* Shared interrupts, counted from the first SPI. */
#define MV_ARM64_UART_SPI 1
#define MV_ARM64_RTC_SPI 2
#define MV_ARM64_GPIO_SPI 3
#define MV_ARM64_MSI_SPI 32
#define MV_ARM64_MSI_COUNT 896
#define MV_ARM64_SPI_COUNT 928

/* Private interrupts of the generic timer (INTIDs). */
#define MV_ARM64_TIMER_SECURE 29
#define MV_ARM64_TIMER_PHYSICAL 30
#define MV_ARM64_TIMER_VIRTUAL 27
#define MV_ARM64_TIMER_HYP 26

/* The line of the GPIO that the power button is on. */
#define MV_ARM64_POWER_LINE 3

#endif
