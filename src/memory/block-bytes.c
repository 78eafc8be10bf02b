/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of blocks, copied from and to the host's own memory.  vCPUs may write the
 * same bytes at that moment, so guest RAM is touched by relaxed atomic accesses alone:
 * aligned words of it where there are any, single bytes at the ends; and single accesses.
 * Whoever checks what a guest wrote copies it out once and checks the copy.  No state, no
 * lock; called by the space and by DMA.
 */
#include "block-registry.h"

#include "fault.h"
#include "size.h"

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
    static const uint8_t zeros[4096];
    for (size_t part; len > 0; guest += part, len -= part) {
        part = len < sizeof zeros ? len : sizeof zeros;
        copy_in(guest, zeros, part);
    }
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

/*
 * Run an access with a fault point around it: NULL, or the byte that the host could not
 * access.  What lies before it may have been copied.
 */
#define FAILED(access)                                                                             \
    ({                                                                                             \
        struct mv_fault_point point = {.address = NULL};                                           \
        mv_fault_enter(&point);                                                                    \
        if (sigsetjmp(point.jump, 0) == 0)                                                         \
            access;                                                                                \
        mv_fault_leave(&point);                                                                    \
        point.address;                                                                             \
    })

/* 0, or -EIO, which was told. */
#define GUARDED(block, access)                                                                     \
    ({                                                                                             \
        const uint8_t *failed = FAILED(access);                                                    \
        failed == NULL ? 0 : mv_block_registry_tell_fault(block, failed);                          \
    })

const uint8_t *mv_memory_copy_out(void *buf, const uint8_t *memory, uint64_t len)
{
    return FAILED(copy_out(buf, memory, len));
}

int mv_block_read(struct mv_block *block, uint64_t offset, void *buf, uint64_t len)
{
    mv_touch_mark(&block->touch, offset, len);
    mv_paging_hold(&block->paging);
    int r = len == 0 ? 0 : mv_paging_need(&block->paging, offset, len);
    if (r == 0)
        r = GUARDED(block, copy_out(buf, block->host + offset, len));
    mv_paging_let_go(&block->paging);
    return r;
}

/* The log is told behind each write (dirty-log.c). */
int mv_block_write(struct mv_block *block, uint64_t offset, const void *buf, uint64_t len)
{
    mv_touch_mark(&block->touch, offset, len);
    mv_paging_hold(&block->paging);
    int r = len == 0 ? 0 : mv_paging_replace(&block->paging, offset, len);
    if (r == 0) {
        r = GUARDED(block, copy_in(block->host + offset, buf, len));
        mv_dirty_mark(&block->log, offset, len);
    }
    mv_paging_let_go(&block->paging);
    return r;
}

int mv_block_load(struct mv_block *block, uint64_t offset, unsigned size, bool ordered,
                  uint64_t *ret)
{
    mv_touch_mark(&block->touch, offset, size);
    mv_paging_hold(&block->paging);
    int r = mv_paging_need(&block->paging, offset, size);
    if (r == 0)
        r = GUARDED(block, *ret = load(block->host + offset, size, ordered));
    mv_paging_let_go(&block->paging);
    return r;
}

int mv_block_store(struct mv_block *block, uint64_t offset, unsigned size, bool ordered,
                   uint64_t value)
{
    mv_touch_mark(&block->touch, offset, size);
    mv_paging_hold(&block->paging);
    int r = mv_paging_need(&block->paging, offset, size);
    if (r == 0) {
        r = GUARDED(block, store(block->host + offset, size, ordered, value));
        mv_dirty_mark(&block->log, offset, size);
    }
    mv_paging_let_go(&block->paging);
    return r;
}

static int zero_part(struct mv_block *block, uint64_t offset, uint64_t end)
{
    return GUARDED(block, zero(block->host + offset, end - offset));
}

static int zero_all(struct mv_block *block, uint64_t offset, uint64_t len)
{
    uint64_t page = block->backing->page_size, end = offset + len;
    uint64_t first = mv_align_up(offset, page), last = end & ~(page - 1);
    if (first >= last || mv_backing_punch(block->backing, block->host, first, last - first) < 0)
        first = last = end;
    int r = zero_part(block, offset, first);
    if (r == 0)
        r = zero_part(block, last, end);
    mv_dirty_mark(&block->log, offset, len);
    return r;
}

int mv_block_zero(struct mv_block *block, uint64_t offset, uint64_t len)
{
    mv_touch_mark(&block->touch, offset, len);
    mv_paging_hold(&block->paging);
    int r = len == 0 ? 0 : mv_paging_replace(&block->paging, offset, len);
    if (r == 0)
        r = zero_all(block, offset, len);
    mv_paging_let_go(&block->paging);
    return r;
}
