/* SPDX-License-Identifier: Apache-2.0 */
/* The one writer and the one parser of the protocol that ivshmem-wire.h tells. */
#include "ivshmem-wire.h"

#include "cleanup.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 64
/* Room for two: a message with more than one is an error, and a server may send more. */
#define FDS_ROOM 4

enum phase { WANT_VERSION, WANT_OWN_ID, WANT_MEMORY, LIVE };

#define PHASE(p) (1u << (p))

struct form {
    const char *name;
    int64_t min, max;
    bool fd;
    unsigned phases; /* in which it may come */
    int next;        /* the phase behind it; -1: as before */
};

static const struct form forms[] = {
    [MV_IVSHMEM_VERSION] = {"the protocol's version", MV_IVSHMEM_WIRE_VERSION,
                            MV_IVSHMEM_WIRE_VERSION, false, PHASE(WANT_VERSION), WANT_OWN_ID},
    [MV_IVSHMEM_OWN_ID] = {"our ID", 0, MV_IVSHMEM_ID_COUNT - 1, false, PHASE(WANT_OWN_ID),
                           WANT_MEMORY},
    [MV_IVSHMEM_MEMORY] = {"the memory", -1, -1, true, PHASE(WANT_MEMORY), LIVE},
    [MV_IVSHMEM_CONNECT] = {"a peer's vector", 0, MV_IVSHMEM_ID_COUNT - 1, true,
                            PHASE(WANT_MEMORY) | PHASE(LIVE), -1},
    [MV_IVSHMEM_DISCONNECT] = {"a peer's end", 0, MV_IVSHMEM_ID_COUNT - 1, false,
                               PHASE(WANT_MEMORY) | PHASE(LIVE), -1},
};

/* What is due in each phase, in words. */
static const char *const due[] = {
    [WANT_VERSION] = "version 0 of the protocol, without a descriptor, is due",
    [WANT_OWN_ID] = "our ID, 0 to 65535 without a descriptor, is due",
    [WANT_MEMORY] = "the memory (-1 with a descriptor) or a peer (0 to 65535) is due",
    [LIVE] = "a peer (0 to 65535) is due",
};

static int64_t value_of(const struct mv_ivshmem_message *message)
{
    const struct form *form = &forms[message->kind];
    return form->min == form->max ? form->min : message->id;
}

int mv_ivshmem_wire_send(int socket_fd, const struct mv_ivshmem_message *messages, size_t count)
{
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    uint64_t values[BATCH];
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } controls[BATCH];
    if (count > BATCH)
        count = BATCH;
    for (size_t i = 0; i < count; i++) {
        values[i] = htole64((uint64_t)value_of(&messages[i]));
        parts[i] = (struct iovec){.iov_base = &values[i], .iov_len = sizeof values[i]};
        headers[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
        if (!forms[messages[i].kind].fd)
            continue;
        memset(&controls[i], 0, sizeof controls[i]);
        headers[i].msg_hdr.msg_control = controls[i].room;
        headers[i].msg_hdr.msg_controllen = sizeof controls[i].room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&headers[i].msg_hdr);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &messages[i].fd, sizeof(int));
    }
    int n;
    do {
        n = sendmmsg(socket_fd, headers, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void mv_ivshmem_decoder_init(struct mv_ivshmem_decoder *decoder)
{
    *decoder = (struct mv_ivshmem_decoder){.phase = WANT_VERSION, .fd = -1};
}

void mv_ivshmem_decoder_clear(struct mv_ivshmem_decoder *decoder)
{
    mv_cleanup_close(&decoder->fd);
}

/* Keep the first descriptor of a message; one more is an error. */
static int take_descriptors(struct mv_ivshmem_decoder *decoder, struct msghdr *header,
                            struct mv_error *err)
{
    bool excess = (header->msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (decoder->fd < 0) {
                decoder->fd = fd;
            } else {
                close(fd);
                excess = true;
            }
        }
    }
    return !excess ? 0
                   : mv_error_set(err, EPROTO,
                                  "the server sent more than one descriptor with a message, or "
                                  "this process has no room for one (ulimit -n)");
}

static int decode(struct mv_ivshmem_decoder *decoder, struct mv_ivshmem_message *ret,
                  struct mv_error *err)
{
    uint64_t raw;
    memcpy(&raw, decoder->bytes, sizeof raw);
    int64_t value = (int64_t)le64toh(raw);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const struct form *form = &forms[i];
        if ((form->phases & PHASE(decoder->phase)) == 0 || value < form->min || value > form->max ||
            form->fd != (decoder->fd >= 0))
            continue;
        *ret = (struct mv_ivshmem_message){.kind = (enum mv_ivshmem_kind)i,
                                           .id = form->min == form->max ? 0 : (uint16_t)value,
                                           .fd = decoder->fd};
        decoder->fd = -1;
        decoder->have = 0;
        if (form->next >= 0)
            decoder->phase = (unsigned)form->next;
        return 1;
    }
    return mv_error_set(err, EPROTO, "the server sent %" PRId64 " %s a descriptor, where %s", value,
                        decoder->fd >= 0 ? "with" : "without", due[decoder->phase]);
}

int mv_ivshmem_wire_receive(struct mv_ivshmem_decoder *decoder, int socket_fd,
                            struct mv_ivshmem_message *ret_message, struct mv_error *err)
{
    for (;;) {
        union {
            char room[CMSG_SPACE(sizeof(int) * FDS_ROOM)];
            struct cmsghdr align;
        } control;
        /* Never more than the message needs, so that descriptors stay with theirs. */
        struct iovec part = {.iov_base = decoder->bytes + decoder->have,
                             .iov_len = sizeof decoder->bytes - decoder->have};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control.room,
                                .msg_controllen = sizeof control.room};
        ssize_t n = recvmsg(socket_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n < 0)
            return mv_error_set_errno(err, errno, "the connection to the server");
        int r = take_descriptors(decoder, &header, err);
        if (r < 0)
            return r;
        if (n == 0 && decoder->have > 0)
            return mv_error_set(err, EPROTO,
                                "the server ended the connection inside a message, %zu of %d bytes",
                                decoder->have, MV_IVSHMEM_WIRE_BYTES);
        if (n == 0)
            return mv_error_set(err, ECONNRESET, "the server ended the connection");
        decoder->have += (size_t)n;
        if (decoder->have == sizeof decoder->bytes)
            return decode(decoder, ret_message, err);
    }
}
