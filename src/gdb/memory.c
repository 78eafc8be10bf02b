/* SPDX-License-Identifier: Apache-2.0 */
/*
 * m, M and X packets: guest memory at virtual addresses, as the chosen vCPU
 * translates them at EL1, or at physical ones (qemu.PhyMemMode).  Registers of
 * devices are looked at without a change; they are not written.
 */
#include "session.h"

#include "log.h"
#include "space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

/* The guest-physical address of va, and how many bytes up to len lie there in a row. */
static bool locate(struct mv_gdb_session *session, uint64_t va, uint64_t len, uint64_t *ret_gpa,
                   uint64_t *ret_run)
{
    uint64_t in_page = PAGE - va % PAGE;
    struct mv_vcpu *vcpu = mv_gdb_vcpu(session);
    *ret_run = len < in_page ? len : in_page;
    *ret_gpa = va;
    return session->physical || vcpu->ops->vcpu_translate(vcpu, va, ret_gpa);
}

/*
 * Registers of a device in accesses that it knows: up to 4 bytes, aligned, and
 * where it wants larger ones, of those the bytes that are asked for.  A device
 * that cannot be looked at without a change has none to show.
 */
static uint64_t peek(const struct mv_range *range, uint64_t gpa, uint8_t *buf, uint64_t len)
{
    const struct mv_mmio_ops *ops = range->region->ops;
    uint64_t end = range->gpa + range->size, done = 0;
    while (ops->peek != NULL && done < len && gpa + done < end) {
        uint64_t offset = gpa + done - range->gpa;
        uint64_t size = ops->max_access < 4 ? ops->max_access : 4;
        while (size > ops->min_access && (offset % size != 0 || size > len - done))
            size /= 2;
        uint64_t skip = offset % size, n = size - skip < len - done ? size - skip : len - done;
        uint64_t value =
            ops->peek(range->region->opaque, offset - skip, (unsigned)size) >> 8 * skip;
        memcpy(buf + done, &value, n);
        done += n;
    }
    return done < len ? done : len;
}

static uint64_t read_run(struct mv_space *space, uint64_t gpa, uint8_t *buf, uint64_t len)
{
    struct mv_range range;
    if (mv_space_find(space, gpa, &range) && range.kind == MV_RANGE_MMIO)
        return peek(&range, gpa, buf, len);
    return mv_space_read(space, gpa, buf, len) < 0 ? 0 : len;
}

/* Copies up to len bytes; returns how many there were. */
static uint64_t copy(struct mv_gdb_session *session, uint64_t va, uint8_t *buf, uint64_t len,
                     bool write)
{
    struct mv_space *space = mv_machine_space(session->machine);
    uint64_t done = 0, gpa, run;
    while (done < len && locate(session, va + done, len - done, &gpa, &run)) {
        if (!write)
            run = read_run(space, gpa, buf + done, run);
        else if (mv_space_write(space, gpa, buf + done, run) < 0)
            run = 0;
        if (run == 0)
            break;
        done += run;
    }
    return done;
}

/* ADDRESS,LENGTH up to `end`; moves *text behind it. */
static bool parse_range(const char **text, char end, uint64_t *ret_va, uint64_t *ret_len)
{
    return mv_gdb_parse_hex(text, ret_va) && *(*text)++ == ',' && mv_gdb_parse_hex(text, ret_len) &&
           *(*text)++ == end && *ret_len <= MV_GDB_PACKET_MAX / 2;
}

int mv_gdb_read_memory(struct mv_gdb_session *session, const char *arguments)
{
    uint8_t buf[MV_GDB_PACKET_MAX / 2];
    uint64_t va, len;
    if (!parse_range(&arguments, '\0', &va, &len))
        return -EINVAL;
    uint64_t done = copy(session, va, buf, len, false);
    mv_gdb_text_hex(&session->reply, buf, done);
    return done == 0 && len > 0 ? -EFAULT : 0;
}

static int write_bytes(struct mv_gdb_session *session, uint64_t va, uint8_t *buf, uint64_t len)
{
    struct mv_engine *engine = mv_machine_engine(session->machine);
    struct mv_error err;
    int r = mv_machine_check_change(session->machine, &err);
    if (r < 0) {
        mv_log("the debugger does not write to the guest's memory: %s", err.text);
        return r;
    }
    uint64_t done = copy(session, va, buf, len, true);
    engine->ops->memory_changed(engine);
    return done < len ? -EFAULT : MV_GDB_OK;
}

int mv_gdb_write_memory(struct mv_gdb_session *session, const char *arguments)
{
    uint8_t buf[MV_GDB_PACKET_MAX / 2];
    uint64_t va, len;
    if (!parse_range(&arguments, ':', &va, &len) || !mv_gdb_parse_bytes(arguments, buf, len))
        return -EINVAL;
    return write_bytes(session, va, buf, len);
}

int mv_gdb_write_binary(struct mv_gdb_session *session, const char *arguments)
{
    uint8_t buf[MV_GDB_PACKET_MAX / 2];
    uint64_t va, len;
    if (!parse_range(&arguments, ':', &va, &len) ||
        (size_t)(session->packet_end - arguments) != len)
        return -EINVAL;
    memcpy(buf, arguments, len);
    return write_bytes(session, va, buf, len);
}
