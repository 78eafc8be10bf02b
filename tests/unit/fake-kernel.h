/* SPDX-License-Identifier: Apache-2.0 */
/* Files to boot from, made up by tests. */
#ifndef MV_TESTS_FAKE_KERNEL_H
#define MV_TESTS_FAKE_KERNEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FAKE_KERNEL_SIZE 8192

/* An arm64 Image's header, and a pattern behind it. */
static inline void fake_kernel_fill(uint8_t kernel[FAKE_KERNEL_SIZE], uint64_t text_offset,
                                    uint64_t image_size, uint64_t flags)
{
    for (size_t i = 0; i < FAKE_KERNEL_SIZE; i++)
        kernel[i] = (uint8_t)(i * 3 + i / 256 + 1);
    memset(kernel, 0, 64);
    for (unsigned i = 0; i < 8; i++) {
        kernel[8 + i] = (uint8_t)(text_offset >> (8 * i));
        kernel[16 + i] = (uint8_t)(image_size >> (8 * i));
        kernel[24 + i] = (uint8_t)(flags >> (8 * i));
    }
    memcpy(kernel + 56, "ARM\x64", 4);
}

/* Write a new temporary file; path is filled in. */
static inline void fake_file(char path[64], const void *data, size_t len)
{
    strcpy(path, "/tmp/memvisor-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

#endif
