/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for each channel takes in what comes; the main channel's is the first, and does the
 * rest.  At the end of a pass each waits for all others, so that newer memory finds the older
 * there.  The first failure is told to the sender; then all that comes is thrown away until the
 * sender has heard of it, since closing a line with unread bytes may cost it what we said.
 */
#include "receive-parts.h"

#include "block-info.h"
#include "block.h"
#include "channel.h"
#include "cleanup.h"
#include "fault.h"
#include "os.h"
#include "section.h"
#include "size.h"
#include "thread-slice.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <zstd.h>

#define PAGE MV_DIRTY_PAGE
/* How long a sender may take to hear that this end failed. */
#define DRAIN_NS (5 * UINT64_C(1000000000))
/* And to hear that it runs here: an exec: command has to pass that on. */
#define FINISH_NS (3 * UINT64_C(1000000000))

/* --- failure */

static bool has_failed(const struct mv_receive *receive)
{
    return atomic_load(&receive->failed) || atomic_load(&receive->cancelled);
}

static void fail(struct mv_receive *receive, int result, struct mv_error *err)
{
    if (result == -ENODATA || result == -ECONNRESET)
        mv_error_prefix(err, "the sender gave up, or the line broke, before the guest was to run "
                             "here");
    {
        MV_LOCK_SCOPE(&receive->lock);
        if (atomic_load(&receive->failed))
            return;
        receive->result = result;
        receive->err = *err;
        atomic_store(&receive->failed, true);
        pthread_cond_broadcast(&receive->changed_pass);
    }
    if (!atomic_load(&receive->cancelled))
        mv_receive_tell(receive, MV_WIRE_FAILED, err);
}

void mv_receive_drain(struct mv_receive *receive, unsigned number, const atomic_bool *cancelled)
{
    struct mv_channel *channel = receive->lines.channels[number];
    uint64_t end = mv_now_ns() + DRAIN_NS;
    struct mv_error ignored;
    uint8_t bytes[4096];
    mv_channel_set_patience(channel, DRAIN_NS);
    while (!atomic_load(cancelled) && mv_now_ns() < end &&
           mv_channel_read(channel, bytes, sizeof bytes, &ignored) == 0)
        ;
}

/* --- what a frame has */

int mv_receive_loader_make(struct mv_receive *receive, unsigned number, struct mv_error *err)
{
    struct mv_receive_loader *loader = &receive->loaders[number];
    loader->receive = receive;
    loader->number = number;
    if (loader->payload == NULL)
        loader->payload = malloc(MV_WIRE_PIECE);
    if (loader->bytes == NULL)
        loader->bytes = malloc(MV_WIRE_PIECE);
    return loader->payload != NULL && loader->bytes != NULL
               ? 0
               : mv_error_set_errno(err, ENOMEM, "receiving a guest");
}

int mv_receive_find(const struct mv_receive *receive, const struct mv_wire_head *head,
                    const struct mv_manifest_block **ret, struct mv_error *err)
{
    const struct mv_manifest *manifest = &receive->manifest;
    if (head->index >= manifest->block_count)
        return mv_error_set(err, EPROTO, "memory of block %" PRIu32 " came, and there are %zu",
                            head->index, manifest->block_count);
    const struct mv_manifest_block *block = &manifest->blocks[head->index];
    if (!block->saved)
        return mv_error_set(err, EPROTO, "block %s: memory came that was to stay where it is",
                            block->id);
    if (head->size > block->size || head->offset > block->size - head->size)
        return mv_error_set(err, EPROTO,
                            "block %s: memory came for 0x%" PRIx64 " bytes at 0x%" PRIx64
                            ", and it has %s",
                            block->id, head->size, head->offset, mv_size_text(block->size));
    *ret = block;
    return 0;
}

static int unpack_zstd(struct mv_receive_loader *loader, const struct mv_wire_head *head,
                       struct mv_error *err)
{
    size_t length = ZSTD_decompress(loader->bytes, head->size, loader->payload, head->length);
    if (!ZSTD_isError(length) && length == head->size)
        return 0;
    return mv_error_set(err, EPROTO, "compressed memory at 0x%" PRIx64 " cannot be unpacked: %s",
                        head->offset,
                        ZSTD_isError(length) ? ZSTD_getErrorName(length) : "it is of another size");
}

static void repeat(struct mv_receive_loader *loader, const struct mv_wire_head *head)
{
    uint64_t size = head->size < MV_WIRE_PIECE ? head->size : MV_WIRE_PIECE;
    if (head->kind == MV_WIRE_ZERO)
        memset(loader->bytes, 0, size);
    for (uint64_t at = 0; head->kind == MV_WIRE_FILL && at < size; at += 8)
        memcpy(loader->bytes + at, loader->payload, 8);
}

int mv_receive_unpack(struct mv_receive_loader *loader, const struct mv_wire_head *head,
                      const uint8_t **ret, struct mv_error *err)
{
    struct mv_receive *receive = loader->receive;
    struct mv_channel *channel = receive->lines.channels[loader->number];
    int r = mv_wire_read_payload(channel, head, loader->payload, err);
    if (r < 0)
        return r;
    if (head->kind == MV_WIRE_ZSTD)
        r = unpack_zstd(loader, head, err);
    else if (head->kind != MV_WIRE_DATA)
        repeat(loader, head);
    atomic_fetch_add_explicit(&receive->transferred, MV_WIRE_HEAD_BYTES + head->length,
                              memory_order_relaxed);
    *ret = head->kind == MV_WIRE_DATA ? loader->payload : loader->bytes;
    return r;
}

/* --- memory */

static int refuse_write(struct mv_block *block, uint64_t offset, struct mv_error *err)
{
    struct mv_block_fault fault;
    mv_block_fault_explain(block, offset, &fault);
    return mv_error_set(err, EIO, "%s: %s", fault.what.text, fault.remedy.text);
}

static int write_block(struct mv_block *block, const struct mv_wire_head *head,
                       const uint8_t *bytes, struct mv_error *err)
{
    uint64_t at = 0;
    if (head->kind == MV_WIRE_ZERO)
        return mv_block_zero(block, head->offset, head->size) < 0
                   ? refuse_write(block, head->offset, err)
                   : 0;
    while (at < head->size) {
        uint64_t left = head->size - at, len = left < MV_WIRE_PIECE ? left : MV_WIRE_PIECE;
        if (mv_block_write(block, head->offset + at, bytes, len) < 0)
            return refuse_write(block, head->offset + at, err);
        at += len;
    }
    return 0;
}

static void count(struct mv_receive *receive, const struct mv_wire_head *head)
{
    uint64_t pages = head->size / PAGE;
    atomic_fetch_add(&receive->sizes, head->size);
    if (head->kind == MV_WIRE_ZERO)
        atomic_fetch_add(&receive->zero_pages, pages);
    else if (head->kind == MV_WIRE_FILL)
        atomic_fetch_add(&receive->fill_pages, pages);
    else
        atomic_fetch_add(&receive->data_pages, pages);
    if (head->kind != MV_WIRE_ZSTD)
        return;
    atomic_fetch_add(&receive->compressed_pages, pages);
    atomic_fetch_add(&receive->compressed_bytes, head->length);
}

static int take_memory(struct mv_receive_loader *loader, const struct mv_wire_head *head,
                       struct mv_error *err)
{
    struct mv_receive *receive = loader->receive;
    const struct mv_manifest_block *entry;
    const uint8_t *bytes;
    int r = mv_receive_find(receive, head, &entry, err);
    if (r == 0 &&
        (mv_manifest_is_boot(entry) || head->offset % PAGE != 0 || head->size % PAGE != 0))
        r = mv_error_set(err, EPROTO, "block %s: memory came that is no pages of it", entry->id);
    if (r == 0)
        r = mv_receive_unpack(loader, head, &bytes, err);
    if (r < 0)
        return r;
    struct mv_block *block = receive->blocks[head->index];
    count(receive, head);
    if (atomic_load(&receive->follows))
        return mv_receive_follow_fill(receive, head, bytes, err);
    return block == NULL ? 0 : write_block(block, head, bytes, err);
}

/* --- passes */

static bool await_others(struct mv_receive *receive)
{
    MV_LOCK_SCOPE(&receive->lock);
    unsigned pass = receive->pass;
    if (++receive->arrived_count == receive->lines.count) {
        receive->arrived_count = 0;
        receive->pass++;
        atomic_store(&receive->passes, receive->pass);
        pthread_cond_broadcast(&receive->changed_pass);
    }
    while (receive->pass == pass && !has_failed(receive))
        pthread_cond_wait(&receive->changed_pass, &receive->lock);
    return receive->pass != pass;
}

static int end_pass(struct mv_receive_loader *loader, const struct mv_wire_head *head,
                    unsigned *pass, struct mv_error *err)
{
    struct mv_receive *receive = loader->receive;
    int r = mv_wire_read_payload(receive->lines.channels[loader->number], head, NULL, err);
    if (r < 0)
        return r;
    if (atomic_load(&receive->follows))
        return mv_error_set(err, EPROTO, "the end of pass %" PRIu32 " came, and the guest runs",
                            head->index);
    if (head->index != ++*pass)
        return mv_error_set(err, EPROTO, "the end of pass %" PRIu32 " came where that of %u is due",
                            head->index, *pass);
    if (!await_others(receive))
        return mv_error_set(err, ECANCELED, "another channel failed");
    if (loader->number == 0)
        mv_receive_set_stage(receive, MV_MOVE_ACTIVE);
    return 0;
}

int mv_receive_take(struct mv_receive_loader *loader, uint32_t others, struct mv_wire_head *head,
                    struct mv_error *err)
{
    struct mv_receive *receive = loader->receive;
    struct mv_channel *channel = receive->lines.channels[loader->number];
    const uint32_t mine = MV_WIRE_BIT(MV_WIRE_RAM) | MV_WIRE_BIT(MV_WIRE_PASS);
    unsigned pass = 0;
    int r = 0;
    while (r == 0) {
        r = mv_wire_read_head(channel, mine | others, head, err);
        if (r == 0 && has_failed(receive))
            r = mv_error_set(err, ECANCELED, "another channel failed");
        if (r < 0 || (others & MV_WIRE_BIT(head->type)) != 0)
            return r;
        r = head->type == MV_WIRE_RAM ? take_memory(loader, head, err)
                                      : end_pass(loader, head, &pass, err);
    }
    return r;
}

static void *run_other(void *opaque)
{
    struct mv_receive_loader *loader = opaque;
    struct mv_receive *receive = loader->receive;
    struct mv_wire_head head;
    struct mv_error err;
    /* What is waited for comes by the last, where memory follows. */
    if (receive->hello.follows && loader->number + 1 == receive->lines.count)
        mv_thread_prompt();
    else
        mv_thread_bulk();
    int r = mv_receive_take(loader, 0, &head, &err);
    if (atomic_load(&receive->all_in))
        return NULL; /* it had no more to say */
    if (atomic_load(&receive->follows)) {
        mv_receive_follow_break(receive, &err);
        return NULL;
    }
    fail(receive, r, &err);
    mv_receive_drain(receive, loader->number, &receive->cancelled);
    mv_lines_end(&receive->lines);
    return NULL;
}

/* --- all of it */

/* Of what is not sent all is zero. */
static int make_zero(struct mv_receive *receive, struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < receive->manifest.block_count; i++) {
        struct mv_block *block = receive->blocks[i];
        if (block == NULL || mv_restore_is_fresh(block))
            continue;
        if (mv_block_zero(block, 0, block->size) < 0)
            r = refuse_write(block, 0, err);
    }
    return r;
}

int mv_receive_start_others(struct mv_receive *receive, struct mv_error *err)
{
    int r = 0;
    for (unsigned i = 1; r == 0 && i < receive->lines.count; i++) {
        struct mv_receive_loader *loader = &receive->loaders[i];
        r = mv_receive_loader_make(receive, i, err);
        int errnum = r < 0 ? 0 : pthread_create(&loader->thread, NULL, run_other, loader);
        if (errnum != 0)
            r = mv_error_set_errno(err, errnum, "cannot start a thread");
        loader->started = r == 0;
    }
    return r;
}

void mv_receive_join_others(struct mv_receive *receive)
{
    for (unsigned i = 1; i < MV_MOVE_CHANNELS_MAX; i++) {
        if (receive->loaders[i].started)
            pthread_join(receive->loaders[i].thread, NULL);
        receive->loaders[i].started = false;
    }
}

int mv_receive_step(struct mv_receive *receive, mv_main_step_fn *fn, struct mv_error *err)
{
    return mv_main_step_do(&receive->step, fn, receive, &receive->cancelled, err);
}

static int await_permission(struct mv_receive *receive, struct mv_error *err)
{
    struct mv_channel *channel = receive->lines.channels[0];
    struct mv_wire_head head;
    int r = mv_wire_say(channel, MV_WIRE_LOADED, NULL, err);
    if (r == 0)
        r = mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_RUN), &head, err);
    if (r == 0)
        r = mv_wire_read_payload(channel, &head, NULL, err);
    if (r < 0)
        return r;
    receive->runs = head.kind != 0;
    return mv_receive_step(receive, mv_receive_let_go, err);
}

static int load_all(struct mv_receive *receive, struct mv_error *err)
{
    const uint32_t behind_memory = MV_WIRE_BIT(MV_WIRE_SECTIONS) | MV_WIRE_BIT(MV_WIRE_ABSENT);
    struct mv_wire_head head;
    int r = make_zero(receive, err);
    if (r == 0)
        r = mv_receive_start_others(receive, err);
    if (r == 0)
        r = mv_receive_take(&receive->loaders[0], behind_memory, &head, err);
    atomic_store(&receive->stopped_ns, mv_now_ns());
    while (r == 0 && head.type == MV_WIRE_ABSENT) {
        r = mv_receive_follow_note(receive, &head, err);
        if (r == 0)
            r = mv_wire_read_head(receive->lines.channels[0], behind_memory, &head, err);
    }
    if (r < 0)
        return r;
    mv_receive_set_stage(receive, MV_MOVE_DEVICE);
    r = mv_receive_read_sections(&receive->loaders[0], &head, err);
    if (r == 0)
        r = mv_receive_read_end(receive, err);
    atomic_store(&receive->all_in, r == 0 && !mv_receive_follow_is_due(receive));
    if (r == 0)
        r = mv_receive_step(receive, mv_receive_load_objects, err);
    return r < 0 ? r : await_permission(receive, err);
}

/*
 * The guest runs: where all of it is here, that nobody hears of it changes nothing.  True
 * unless its memory is still to come, and the line is broken.
 */
static bool tell_running(struct mv_receive *receive)
{
    struct mv_channel *channel = receive->lines.channels[0];
    struct mv_error err;
    int r = mv_wire_say(channel, MV_WIRE_RUNNING, NULL, &err);
    if (mv_receive_follow_is_due(receive))
        return mv_receive_follow(receive, r, &err);
    if (r == 0)
        mv_channel_finish(channel, FINISH_NS, &err);
    return true;
}

static void *run_main(void *opaque)
{
    struct mv_receive_loader *loader = opaque;
    struct mv_receive *receive = loader->receive;
    struct mv_error err;
    bool over = true;
    mv_thread_bulk();
    int r = load_all(receive, &err);
    if (r == 0) {
        over = tell_running(receive);
    } else {
        fail(receive, r, &err);
        mv_receive_drain(receive, loader->number, &receive->cancelled);
    }
    mv_lines_end(&receive->lines);
    mv_receive_join_others(receive);
    if (over)
        mv_receive_defer_end(receive);
    return NULL;
}

int mv_receive_start_main(struct mv_receive *receive, void *(*run)(void *loader),
                          struct mv_error *err)
{
    struct mv_receive_loader *loader = &receive->loaders[0];
    sigset_t all, before;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&loader->thread, NULL, run, loader);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    loader->started = errnum == 0;
    return errnum == 0 ? 0 : mv_error_set_errno(err, errnum, "cannot start a thread");
}

int mv_receive_load(struct mv_receive *receive, struct mv_error *err)
{
    mv_fault_init();
    return mv_receive_start_main(receive, run_main, err);
}

void mv_receive_join(struct mv_receive *receive)
{
    struct mv_receive_loader *loader = &receive->loaders[0];
    if (loader->started)
        pthread_join(loader->thread, NULL);
    loader->started = false;
}

void mv_receive_forget(struct mv_receive *receive)
{
    for (size_t i = 0; receive->blocks != NULL && i < receive->manifest.block_count; i++) {
        if (receive->blocks[i] != NULL)
            mv_block_unpin(receive->blocks[i]);
    }
    free(receive->blocks);
    receive->blocks = NULL;
    for (size_t i = 0; i < receive->section_count; i++)
        mv_section_clear(&receive->sections[i]);
    free(receive->sections);
    receive->sections = NULL;
    receive->section_count = 0;
    for (unsigned i = 0; i < MV_MOVE_CHANNELS_MAX; i++) {
        free(receive->loaders[i].payload);
        free(receive->loaders[i].bytes);
        receive->loaders[i].payload = receive->loaders[i].bytes = NULL;
    }
}
