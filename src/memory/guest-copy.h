/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between the host's own memory and guest RAM.  vCPUs may write the
 * same bytes at that moment, so guest RAM is touched by relaxed atomic
 * accesses alone: whoever checks what a guest wrote copies it out once and
 * checks the copy.
 *
 * Each returns NULL, or the address in guest RAM that the host could not
 * access (fault.h); what lies before it may have been copied.
 */
#ifndef MV_MEMORY_GUEST_COPY_H
#define MV_MEMORY_GUEST_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From guest RAM into a buffer of the host. */
const uint8_t *mv_guest_copy_out(void *buf, const uint8_t *guest, size_t len);
/* From a buffer of the host into guest RAM. */
const uint8_t *mv_guest_copy_in(uint8_t *guest, const void *buf, size_t len);
const uint8_t *mv_guest_zero(uint8_t *guest, size_t len);


/*
 * One access of 1, 2, 4 or 8 bytes, little-endian and aligned to its size, which
 * is never torn.  Ordered, a load is an acquire and a store a release.
 */
const uint8_t *mv_guest_load(const uint8_t *guest, unsigned size, bool ordered, uint64_t *ret);
const uint8_t *mv_guest_store(uint8_t *guest, unsigned size, bool ordered, uint64_t value);

#endif
