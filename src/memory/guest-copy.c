/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest copies: aligned words of guest RAM where there are any, single bytes
 * at the ends; and single accesses.  No state, no lock; called by blocks.
 */
#include "guest-copy.h"

#include "fault.h"

#include <endian.h>
#include <string.h>

#define WORD sizeof(uint64_t)

/* Bytes before the first aligned word, at most len. */
static size_t head_bytes(const uint8_t *guest, size_t len)
{
    size_t head = -(uintptr_t)guest % WORD;
    return head < len ? head : len;
}

static void bytes_out(uint8_t *buf, const uint8_t *guest, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = __atomic_load_n(guest + i, __ATOMIC_RELAXED);
}

static void bytes_in(uint8_t *guest, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        __atomic_store_n(guest + i, buf[i], __ATOMIC_RELAXED);
}

static void copy_out(uint8_t *to, const uint8_t *guest, size_t len)
{
    size_t i = head_bytes(guest, len);
    bytes_out(to, guest, i);
    for (; i + WORD <= len; i += WORD) {
        uint64_t word = __atomic_load_n((const uint64_t *)(guest + i), __ATOMIC_RELAXED);
        memcpy(to + i, &word, WORD);
    }
    bytes_out(to + i, guest + i, len - i);
}

static void copy_in(uint8_t *guest, const uint8_t *from, size_t len)
{
    size_t i = head_bytes(guest, len);
    bytes_in(guest, from, i);
    for (; i + WORD <= len; i += WORD) {
        uint64_t word;
        memcpy(&word, from + i, WORD);
        __atomic_store_n((uint64_t *)(guest + i), word, __ATOMIC_RELAXED);
    }
    bytes_in(guest + i, from + i, len - i);
}

static void zero(uint8_t *guest, size_t len)
{
    size_t i = 0, head = head_bytes(guest, len);
    for (; i < head; i++)
        __atomic_store_n(guest + i, 0, __ATOMIC_RELAXED);
    for (; i + WORD <= len; i += WORD)
        __atomic_store_n((uint64_t *)(guest + i), 0, __ATOMIC_RELAXED);
    for (; i < len; i++)
        __atomic_store_n(guest + i, 0, __ATOMIC_RELAXED);
}

/* The order of an atomic access has to be a constant. */
#define LOAD(type)                                                                                 \
    (ordered ? __atomic_load_n((const type *)guest, __ATOMIC_ACQUIRE)                              \
             : __atomic_load_n((const type *)guest, __ATOMIC_RELAXED))

static uint64_t load(const uint8_t *guest, unsigned size, bool ordered)
{
    switch (size) {
    case 1:
        return LOAD(uint8_t);
    case 2:
        return le16toh(LOAD(uint16_t));
    case 4:
        return le32toh(LOAD(uint32_t));
    default:
        return le64toh(LOAD(uint64_t));
    }
}

#define STORE(type, value)                                                                         \
    (ordered ? __atomic_store_n((type *)guest, (type)(value), __ATOMIC_RELEASE)                    \
             : __atomic_store_n((type *)guest, (type)(value), __ATOMIC_RELAXED))

static void store(uint8_t *guest, unsigned size, bool ordered, uint64_t value)
{
    switch (size) {
    case 1:
        STORE(uint8_t, value);
        break;
    case 2:
        STORE(uint16_t, htole16((uint16_t)value));
        break;
    case 4:
        STORE(uint32_t, htole32((uint32_t)value));
        break;
    default:
        STORE(uint64_t, htole64(value));
        break;
    }
}

/* Run a copy with a fault point around it. */
#define GUARDED(call)                                                                              \
    struct mv_fault_point point = {.address = NULL};                                               \
    mv_fault_enter(&point);                                                                        \
    if (sigsetjmp(point.jump, 0) == 0)                                                             \
        call;                                                                                      \
    mv_fault_leave(&point);                                                                        \
    return point.address

const uint8_t *mv_guest_copy_out(void *buf, const uint8_t *guest, size_t len)
{
    GUARDED(copy_out(buf, guest, len));
}

const uint8_t *mv_guest_copy_in(uint8_t *guest, const void *buf, size_t len)
{
    GUARDED(copy_in(guest, buf, len));
}

const uint8_t *mv_guest_zero(uint8_t *guest, size_t len)
{
    GUARDED(zero(guest, len));
}

const uint8_t *mv_guest_load(const uint8_t *guest, unsigned size, bool ordered, uint64_t *ret)
{
    GUARDED(*ret = load(guest, size, ordered));
}

const uint8_t *mv_guest_store(uint8_t *guest, unsigned size, bool ordered, uint64_t value)
{
    GUARDED(store(guest, size, ordered, value));
}
