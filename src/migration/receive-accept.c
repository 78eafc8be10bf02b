/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a connection to a configuration: the sender is found among those who connect, and says
 * what machine it has and what a reset of that boots, which comes before the machine is made.
 */
#include "receive-parts.h"

#include "channel.h"
#include "cleanup.h"
#include "log.h"
#include "os.h"
#include "size.h"

#include <string.h>
#include <sys/mman.h>

/* For the first words, and for the rest of them once they have begun. */
#define HELLO_NS (10 * UINT64_C(1000000000))
/* Linux takes 2047 bytes; an argument of a program may have 128 KiB. */
#define CMDLINE_MAX (128 * MV_KIB)

/* --- who it is */

/* A connection with its HELLO; who sends none is dropped. */
static int accept_one(struct mv_receive *receive, const atomic_bool *cancelled,
                      struct mv_channel **ret, struct mv_wire_hello *hello, struct mv_error *err)
{
    int r;
    for (;;) {
        struct mv_channel *channel;
        struct mv_error last = *err;
        r = mv_channel_accept(receive->listener, cancelled, &channel, err);
        if (r == -EACCES) {
            mv_warn("%s", err->text);
            continue;
        }
        if (r == -ENXIO && last.text[0] != '\0')
            *err = last; /* what was wrong with the only one */
        if (r < 0)
            return r;
        mv_channel_set_patience(channel, HELLO_NS);
        mv_lines_visit(&receive->lines, channel);
        r = mv_wire_read_hello(channel, hello, err);
        mv_lines_visit(&receive->lines, NULL);
        mv_channel_set_patience(channel, MV_CHANNEL_FOREVER);
        *ret = channel;
        if (r == 0)
            return 0;
        mv_warn("a connection was dropped: %s", err->text);
        if (r == -ENOTSUP) /* one of ours, which had better know */
            mv_wire_say(channel, MV_WIRE_REFUSED, err->text, &last);
        mv_channel_close(channel);
        if (r == -ENOMEM && receive->lines.count > 0)
            return r; /* one of the move's, perhaps, whose sender would wait for ever */
    }
}

static bool is_gone(struct mv_receive *receive)
{
    struct mv_channel *channel = receive->lines.channels[0];
    return channel == NULL || mv_channel_is_hung_up(channel);
}

/* Of the move that channels are there of. */
static bool is_same_move(const struct mv_receive *receive, const struct mv_wire_hello *hello)
{
    return receive->lines.count > 0 &&
           memcmp(hello->id, receive->hello.id, sizeof hello->id) == 0 &&
           hello->channels == receive->hello.channels;
}

/* A line that loses packets may bring the first channel's HELLO after those of others. */
static bool has_early(struct mv_receive *receive)
{
    struct mv_error ignored;
    for (unsigned i = 1; i < MV_MOVE_CHANNELS_MAX; i++) {
        struct mv_channel *channel = receive->lines.channels[i];
        if (channel != NULL && mv_channel_wait_readable(channel, 0, &ignored) == 0)
            return true;
    }
    return false;
}

static bool is_wanted(struct mv_receive *receive, const struct mv_wire_hello *hello)
{
    bool follows = atomic_load(&receive->follows);
    if (hello->resumes != follows ||
        (follows && (memcmp(hello->id, receive->hello.id, sizeof hello->id) != 0 ||
                     hello->channels != receive->hello.channels)))
        return false;
    if (is_same_move(receive, hello) && receive->lines.channels[hello->number] == NULL)
        return true;
    return hello->number == 0 ? is_gone(receive)
                              : receive->lines.channels[0] == NULL && !has_early(receive);
}

int mv_receive_accept_lines(struct mv_receive *receive, const atomic_bool *cancelled,
                            struct mv_error *err)
{
    do {
        struct mv_channel *channel;
        struct mv_wire_hello hello;
        err->text[0] = '\0';
        int r = accept_one(receive, cancelled, &channel, &hello, err);
        if (r < 0)
            return r;
        if (!is_wanted(receive, &hello)) {
            if (hello.resumes && !atomic_load(&receive->follows))
                mv_wire_say(channel, MV_WIRE_REFUSED,
                            "no guest whose memory is to be taken up is here", err);
            mv_warn("a connection was dropped: %s is no channel of the move that is under way",
                    mv_channel_name(channel));
            mv_channel_close(channel);
            continue;
        }
        if (!is_same_move(receive, &hello) || receive->lines.channels[hello.number] != NULL) {
            mv_lines_drop(&receive->lines);
            receive->hello = hello;
            atomic_store(&receive->channels, hello.channels);
        }
        mv_lines_add(&receive->lines, hello.number, channel);
    } while (receive->lines.count == 0 || receive->lines.count < receive->hello.channels);
    return 0;
}

/* --- what machine it is */

static int read_manifest(struct mv_receive *receive, struct mv_error *err)
{
    struct mv_channel *channel = receive->lines.channels[0];
    struct mv_wire_head head;
    int r = mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_MANIFEST), &head, err);
    if (r < 0)
        return r;
    CLEANUP_FREE char *text = malloc(head.length + 1);
    if (text == NULL)
        return mv_error_set_errno(err, ENOMEM, "receiving a guest");
    r = mv_wire_read_payload(channel, &head, text, err);
    if (r < 0)
        return r;
    text[head.length] = '\0';
    r = mv_manifest_parse(text, head.length, head.size, &receive->manifest, err);
    if (r == 0 && receive->manifest.has_base)
        r = mv_error_set(err, EPROTO, "manifest: it builds on another state");
    return r;
}

/* --- what a reset boots */

/* An image that is larger than memory never booted there. */
static uint64_t image_most(const struct mv_receive *receive)
{
    uint64_t most = 0;
    for (size_t i = 0; i < receive->manifest.block_count; i++) {
        const struct mv_manifest_block *block = &receive->manifest.blocks[i];
        if (mv_manifest_is_bank(block) && mv_add_overflows(most, block->size, &most))
            return UINT64_MAX;
    }
    return most;
}

static int make_image(struct mv_receive *receive, const char *id, struct mv_receive_boot *boot,
                      struct mv_error *err)
{
    const struct mv_manifest_block *block = mv_manifest_find_block(&receive->manifest, id);
    if (block == NULL || !block->saved)
        return 0;
    if (block->size > image_most(receive))
        return mv_error_set(err, E2BIG, "block %s: with %s it is larger than the guest's memory",
                            id, mv_size_text(block->size));
    boot->size = block->size;
    boot->fd = memfd_create(id, MFD_CLOEXEC);
    if (boot->fd < 0 || ftruncate(boot->fd, (off_t)block->size) < 0)
        return mv_error_set_errno(err, errno, "block %s", id);
    return 0;
}

static int make_boot(struct mv_receive *receive, struct mv_error *err)
{
    const struct mv_manifest_block *line =
        mv_manifest_find_block(&receive->manifest, MV_MANIFEST_CMDLINE);
    uint64_t size = line != NULL && line->saved ? line->size : 0;
    if (size > CMDLINE_MAX)
        return mv_error_set(err, E2BIG, "block %s: it has %s, and %s are the most", line->id,
                            mv_size_text(size), mv_size_text(CMDLINE_MAX));
    receive->cmdline = calloc(1, size + 1);
    if (receive->cmdline == NULL)
        return mv_error_set_errno(err, ENOMEM, "receiving a guest");
    int r = make_image(receive, MV_MANIFEST_KERNEL, &receive->kernel, err);
    return r < 0 ? r : make_image(receive, MV_MANIFEST_INITRD, &receive->initrd, err);
}

/* Where a frame's bytes go. */
static int put_boot(struct mv_receive *receive, const char *id, const struct mv_wire_head *head,
                    const uint8_t *bytes, struct mv_error *err)
{
    if (strcmp(id, MV_MANIFEST_CMDLINE) == 0) {
        memcpy(receive->cmdline + head->offset, bytes, head->size);
        return 0;
    }
    int fd = strcmp(id, MV_MANIFEST_KERNEL) == 0   ? receive->kernel.fd
             : strcmp(id, MV_MANIFEST_INITRD) == 0 ? receive->initrd.fd
                                                   : -1;
    if (fd < 0)
        return mv_error_set(err, EPROTO, "block %s: nothing that a reset boots has this name", id);
    int r = mv_pwrite_all(fd, bytes, head->size, head->offset);
    return r < 0 ? mv_error_set_errno(err, -r, "block %s", id) : 0;
}

static int take_boot(struct mv_receive *receive, const struct mv_wire_head *head,
                     struct mv_error *err)
{
    struct mv_receive_loader *loader = &receive->loaders[0];
    const uint8_t *bytes;
    const struct mv_manifest_block *block;
    int r = mv_receive_find(receive, head, &block, err);
    if (r == 0 && !mv_manifest_is_boot(block))
        r = mv_error_set(err, EPROTO, "block %s: its memory comes before the machine is there",
                         block->id);
    if (r == 0 && head->size > MV_WIRE_PIECE)
        r = mv_error_set(err, EPROTO, "block %s: too much of it at once", block->id);
    if (r == 0)
        r = mv_receive_unpack(loader, head, &bytes, err);
    return r < 0 ? r : put_boot(receive, block->id, head, bytes, err);
}

static int read_boot(struct mv_receive *receive, struct mv_error *err)
{
    struct mv_channel *channel = receive->lines.channels[0];
    struct mv_wire_head head = {0};
    int r = make_boot(receive, err);
    if (r == 0)
        r = mv_receive_loader_make(receive, 0, err);
    while (r == 0 && head.type != MV_WIRE_PASS) {
        r = mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_RAM) | MV_WIRE_BIT(MV_WIRE_PASS), &head,
                              err);
        if (r == 0 && head.type == MV_WIRE_RAM)
            r = take_boot(receive, &head, err);
        else if (r == 0)
            r = mv_wire_read_payload(channel, &head, NULL, err);
    }
    if (r == 0 && head.index != 0)
        r = mv_error_set(err, EPROTO, "%s breaks the protocol: a pass before the machine is there",
                         mv_channel_name(channel));
    return r;
}

static int check_cmdline(const struct mv_receive *receive, struct mv_error *err)
{
    const struct mv_manifest_block *line =
        mv_manifest_find_block(&receive->manifest, MV_MANIFEST_CMDLINE);
    if (line == NULL || !line->saved || strlen(receive->cmdline) == line->size)
        return 0;
    return mv_error_set(err, EINVAL, "block %s: a command line with a zero byte in it", line->id);
}

/* --- all of it */

static int take_machine(struct mv_receive *receive, struct mv_config_restore *wish,
                        struct mv_error *err)
{
    struct mv_wire_hello own;
    int r = read_manifest(receive, err);
    if (r == 0)
        r = read_boot(receive, err);
    if (r == 0)
        r = check_cmdline(receive, err);
    if (r == 0)
        r = mv_wire_hello_make(1, &own, err);
    if (r < 0)
        return r;
    receive->given.elsewhere = memcmp(own.boot, receive->hello.boot, sizeof own.boot) != 0;
    wish->ram = MV_RAM_COPY;
    r = mv_restore_complete(wish, &receive->manifest, receive->cmdline, &receive->config,
                            &receive->given, err);
    return r < 0 ? r
                 : mv_restore_match_config(&receive->config, &receive->given, &receive->manifest,
                                           err);
}

int mv_receive_accept(struct mv_receive *receive, struct mv_config_restore *wish,
                      const atomic_bool *cancelled, struct mv_error *err)
{
    receive->config = wish->config;
    wish->config = (struct mv_config){0};
    /* Before a head of a frame is there, others are listened to as well. */
    mv_channel_listener_set_first(receive->listener, MV_WIRE_HEAD_BYTES, HELLO_NS);
    int r = mv_lines_watch(&receive->lines, cancelled, err);
    if (r == 0)
        r = mv_receive_accept_lines(receive, cancelled, err);
    atomic_store(&receive->began_ns, mv_now_ns());
    if (r == 0)
        r = take_machine(receive, wish, err);
    mv_channel_listener_close(receive->listener);
    receive->listener = NULL;
    if (r < 0 && atomic_load(cancelled))
        r = mv_error_set(err, ECANCELED, "receiving a guest was cancelled");
    else if (r < 0 && receive->lines.channels[0] != NULL) {
        mv_receive_tell(receive, MV_WIRE_REFUSED, err);
        mv_receive_drain(receive, 0, cancelled);
    }
    mv_lines_unwatch(&receive->lines);
    return r;
}
