/* SPDX-License-Identifier: Apache-2.0 */
#include "ivshmem-ext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BAR_SIZE 0x100
#define VERSION  1

void mv_ivshmem_ext_init(struct mv_ivshmem_ext *ext, unsigned vectors)
{
    *ext = (struct mv_ivshmem_ext){.vectors = vectors};
    mv_ivshmem_ext_reset(ext);
}

void mv_ivshmem_ext_destroy(struct mv_ivshmem_ext *ext)
{
    free(ext->peers);
}

void mv_ivshmem_ext_reset(struct mv_ivshmem_ext *ext)
{
    ext->notify = MV_IVSHMEM_EXT_NOTIFY_NONE;
    ext->select = 0;
}

/* Index of the first peer whose ID is not below id. */
static size_t lower_bound(const struct mv_ivshmem_ext *ext, uint32_t id)
{
    size_t low = 0, high = ext->peer_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ext->peers[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t window_entry(const struct mv_ivshmem_ext *ext, unsigned index)
{
    size_t at = lower_bound(ext, ext->select) + index;
    if (at >= ext->peer_count)
        return MV_IVSHMEM_EXT_NO_PEER;
    return (uint32_t)ext->peers[at].id << 16 | ext->peers[at].vectors;
}

uint32_t mv_ivshmem_ext_read(const struct mv_ivshmem_ext *ext, unsigned offset)
{
    const uint32_t state = ext->connected ? MV_IVSHMEM_EXT_STATE_CONNECTED : 0;
    /* In the order of enum mv_ivshmem_ext_register. */
    const uint32_t registers[] = {
        MV_IVSHMEM_EXT_MAGIC,      VERSION,      state,       ext->changes,
        (uint32_t)ext->peer_count, ext->vectors, ext->notify, ext->select};
    size_t index = (offset - MV_IVSHMEM_EXT_START) / 4;
    if (index < sizeof registers / sizeof registers[0])
        return registers[index];
    return offset >= MV_IVSHMEM_EXT_REG_WINDOW && offset < BAR_SIZE
               ? window_entry(ext, (offset - MV_IVSHMEM_EXT_REG_WINDOW) / 4)
               : 0;
}

void mv_ivshmem_ext_write(struct mv_ivshmem_ext *ext, unsigned offset, uint32_t value)
{
    if (offset == MV_IVSHMEM_EXT_REG_NOTIFY)
        ext->notify = value < ext->vectors ? value : MV_IVSHMEM_EXT_NOTIFY_NONE;
    else if (offset == MV_IVSHMEM_EXT_REG_SELECT)
        ext->select = value & MV_IVSHMEM_EXT_IDS;
}

static bool changed(struct mv_ivshmem_ext *ext)
{
    ext->changes++;
    return ext->notify != MV_IVSHMEM_EXT_NOTIFY_NONE;
}

int mv_ivshmem_ext_check(const struct mv_ivshmem_ext *ext, struct mv_error *err)
{
    if (ext->notify < ext->vectors || ext->notify == MV_IVSHMEM_EXT_NOTIFY_NONE)
        return 0;
    return mv_state_refuse(err, "ext-notify", "vector %" PRIu32 " of %" PRIu32, ext->notify,
                           ext->vectors);
}

bool mv_ivshmem_ext_loaded(struct mv_ivshmem_ext *ext)
{
    return changed(ext);
}

static bool make_room(struct mv_ivshmem_ext *ext)
{
    size_t room = ext->peer_room == 0 ? 16 : 2 * ext->peer_room;
    if (ext->peer_count < ext->peer_room)
        return true;
    struct mv_ivshmem_ext_peer *peers = reallocarray(ext->peers, room, sizeof *peers);
    if (peers == NULL)
        return false;
    ext->peers = peers;
    ext->peer_room = room;
    return true;
}

bool mv_ivshmem_ext_set_peer(struct mv_ivshmem_ext *ext, unsigned id, unsigned vectors)
{
    size_t at = lower_bound(ext, id), behind = ext->peer_count - at;
    bool there = behind > 0 && ext->peers[at].id == id;
    if (!there && (vectors == 0 || !make_room(ext)))
        return false;
    struct mv_ivshmem_ext_peer *peer = &ext->peers[at];
    if (there && vectors == 0) {
        memmove(peer, peer + 1, (behind - 1) * sizeof *peer);
        ext->peer_count--;
    } else if (there) {
        peer->vectors = (uint16_t)vectors;
    } else {
        memmove(peer + 1, peer, behind * sizeof *peer);
        *peer = (struct mv_ivshmem_ext_peer){(uint16_t)id, (uint16_t)vectors};
        ext->peer_count++;
    }
    return changed(ext);
}

bool mv_ivshmem_ext_set_connected(struct mv_ivshmem_ext *ext, bool connected)
{
    if (connected == ext->connected)
        return false;
    ext->connected = connected;
    if (connected)
        ext->peer_count = 0;
    return changed(ext);
}
