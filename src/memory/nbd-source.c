/* SPDX-License-Identifier: Apache-2.0 */
#include "nbd-source.h"

#include "block.h"
#include "cleanup.h"
#include "fault.h"
#include "nbd-wishes.h"
#include "os.h"
#include "size.h"

#include <inttypes.h>
#include <libnbd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* A request's bytes at most, and how many are under way: of these, for read-ahead. */
#define PIECE      (UINT64_C(64) << 10)
#define SLOTS      32
#define AHEAD_MOST 16
/* How often a server that is silent is looked at. */
#define LOOK_NS UINT64_C(1000000000)

enum purpose { FREE, DEMAND, AHEAD, WRITE, FLUSH };

struct slot {
    struct mv_nbd_source *source;
    enum purpose purpose;
    bool answered;
    int errnum;           /* of the answer */
    uint64_t offset, len; /* in the block */
    uint8_t *bytes;       /* PIECE, once it was used */
};

struct mv_nbd_source {
    struct mv_block *block;
    char *uri;
    uint64_t offset;
    struct mv_nbd_export export;
    struct mv_nbd_wishes wishes;
    pthread_t thread;
    int stop_fd;
    void (*filled)(void *opaque);
    void *opaque;

    /* --- the thread's own */
    struct nbd_handle *nbd; /* NULL: none is there */
    bool unproved;          /* it took the place of one that was lost, and has brought nothing */
    struct slot slots[SLOTS];
    unsigned busy, ahead_busy, write_busy;
    uint64_t *asked;                      /* a bit for each page that is under way */
    uint64_t last_ns;                     /* when something came last, or was asked for first */
    const struct mv_dirty_cursor *cursor; /* that is being written */
    uint64_t write_next;                  /* in the block */
    bool flushed;
};

static bool is_read(const struct slot *slot)
{
    return slot->purpose == DEMAND || slot->purpose == AHEAD;
}

/* --- what is to be asked for */

static bool is_asked(const struct mv_nbd_source *source, uint64_t page)
{
    return source->asked[page / 64] >> page % 64 & 1;
}

static void note_asked(struct mv_nbd_source *source, const struct slot *slot, bool asked)
{
    uint64_t end = (slot->offset + slot->len) / MV_DIRTY_PAGE;
    for (uint64_t page = slot->offset / MV_DIRTY_PAGE; page < end; page++) {
        uint64_t bit = UINT64_C(1) << page % 64, *word = &source->asked[page / 64];
        *word = asked ? *word | bit : *word & ~bit;
    }
}

/* Somebody waits for what was asked for only in case. */
static void wait_for(struct mv_nbd_source *source, uint64_t offset)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &source->slots[i];
        if (slot->purpose != AHEAD || offset < slot->offset || offset - slot->offset >= slot->len)
            continue;
        slot->purpose = DEMAND;
        source->ahead_busy--;
    }
}

/* The next absent page that is not under way, and how many follow. */
static bool next_run(struct mv_nbd_source *source, uint64_t *io_offset, uint64_t end, bool waits,
                     uint64_t *ret_len)
{
    uint64_t at = *io_offset, len;
    for (; mv_paging_next_absent(source->block, &at, &len) && at < end; at += MV_DIRTY_PAGE) {
        if (!is_asked(source, at / MV_DIRTY_PAGE)) {
            *io_offset = at;
            *ret_len = len < end - at ? len : end - at;
            return true;
        }
        if (waits)
            wait_for(source, at);
    }
    return false;
}

/* A server's least request divides PIECE, and the block (backing-nbd.c). */
static bool next_piece(void *opaque, uint64_t *io_offset, uint64_t end, bool waits,
                       uint64_t *ret_len)
{
    struct mv_nbd_source *source = opaque;
    uint64_t len, minimum = source->export.minimum;
    if (!next_run(source, io_offset, end, waits, &len))
        return false;
    uint64_t start = *io_offset - *io_offset % minimum, stop = *io_offset + len;
    stop = stop < start + PIECE ? stop : start + PIECE;
    for (uint64_t at = *io_offset; at < stop; at += MV_DIRTY_PAGE) {
        if (is_asked(source, at / MV_DIRTY_PAGE))
            stop = at;
    }
    *io_offset = start;
    *ret_len = mv_align_up(stop, minimum) - start;
    return true;
}

static bool take_write(struct mv_nbd_source *source, uint64_t *ret_offset, uint64_t *ret_len)
{
    *ret_offset = source->write_next;
    if (source->cursor == NULL || source->flushed ||
        !mv_dirty_cursor_next(source->cursor, ret_offset, ret_len))
        return false;
    if (*ret_len > PIECE)
        *ret_len = PIECE;
    source->write_next = *ret_offset + *ret_len;
    return true;
}

/* --- answers */

static void end_write(struct mv_nbd_source *source, int result, const char *why)
{
    source->cursor = NULL;
    mv_nbd_wishes_written(&source->wishes, result, why);
}

/* What is waited for cannot be had now. */
static void give_up(struct mv_nbd_source *source, int error, const char *why, const char *remedy)
{
    if (mv_nbd_wishes_drop(&source->wishes))
        mv_paging_fail(source->block, why, remedy);
    end_write(source, error, why);
}

static void refuse_bytes(struct mv_nbd_source *source, const struct slot *slot)
{
    struct mv_error why;
    mv_error_set(&why, slot->errnum, "the server does not %s byte 0x%" PRIx64 ": %s",
                 is_read(slot) ? "give" : "keep", source->offset + slot->offset,
                 strerror(slot->errnum));
    if (is_read(slot)) {
        mv_nbd_wishes_drop(&source->wishes);
        mv_paging_fail(source->block, why.text, "see the server's own messages");
    } else {
        end_write(source, -slot->errnum, why.text);
    }
}

/* What was asked of a connection that is lost is asked for anew. */
static void take_answer(struct mv_nbd_source *source, struct slot *slot, bool lost)
{
    if (is_read(slot))
        note_asked(source, slot, false);
    source->busy--;
    source->ahead_busy -= slot->purpose == AHEAD;
    source->write_busy -= !is_read(slot);
    source->unproved &= slot->errnum != 0;
    if (slot->errnum == 0 && is_read(slot)) {
        mv_paging_fill(source->block, slot->offset, slot->bytes, slot->len);
        if (source->filled != NULL)
            source->filled(source->opaque);
    } else if (slot->errnum != 0 && slot->purpose != AHEAD && !lost) {
        refuse_bytes(source, slot);
    } else if (slot->errnum != 0 && slot->purpose == DEMAND) {
        mv_nbd_wishes_return(&source->wishes, slot->offset, slot->len);
    } else if (slot->errnum != 0 && !is_read(slot)) {
        end_write(source, -slot->errnum, "the connection to the server was lost");
    }
    slot->purpose = FREE;
}

static void take_answers(struct mv_nbd_source *source, bool lost)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &source->slots[i];
        if (slot->purpose != FREE && slot->answered)
            take_answer(source, slot, lost);
    }
}

/* Called by libnbd, in the thread, with a lock of the handle's: nothing can be asked of that. */
static int on_answer(void *opaque, int *error)
{
    struct slot *slot = opaque;
    slot->answered = true;
    slot->errnum = *error;
    slot->source->last_ns = mv_now_ns();
    return 1; /* libnbd keeps nothing of it */
}

/* --- asking */

static struct slot *find_slot(struct mv_nbd_source *source)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &source->slots[i];
        if (slot->purpose != FREE)
            continue;
        if (slot->bytes == NULL)
            slot->bytes = aligned_alloc(MV_DIRTY_PAGE, PIECE);
        return slot->bytes == NULL ? NULL : slot;
    }
    return NULL;
}

static int64_t submit(const struct mv_nbd_source *source, struct slot *slot)
{
    const nbd_completion_callback done = {.callback = on_answer, .user_data = slot};
    uint64_t at = source->offset + slot->offset;
    if (slot->purpose == FLUSH)
        return nbd_aio_flush(source->nbd, done, 0);
    if (slot->purpose == WRITE)
        return nbd_aio_pwrite(source->nbd, slot->bytes, slot->len, at, done, 0);
    return nbd_aio_pread(source->nbd, slot->bytes, slot->len, at, done, 0);
}

/* What the guest writes meanwhile is in the cursor's next take. */
static bool copy_out(struct mv_nbd_source *source, const struct slot *slot, uint64_t offset,
                     uint64_t len)
{
    if (slot == NULL)
        end_write(source, -ENOMEM, "no memory to send it");
    else if (mv_memory_copy_out(slot->bytes, source->block->host + offset, len) != NULL)
        end_write(source, -EIO, "the host cannot read the block's memory");
    return source->cursor != NULL;
}

/* False where there is no memory, or libnbd does not take it, as over a lost connection. */
static bool ask(struct mv_nbd_source *source, enum purpose purpose, uint64_t offset, uint64_t len)
{
    struct slot *slot = find_slot(source);
    if (slot == NULL && purpose == DEMAND) /* it is in no list any more */
        mv_nbd_wishes_lack_memory(&source->wishes);
    if ((purpose == WRITE && !copy_out(source, slot, offset, len)) || slot == NULL)
        return false;
    *slot = (struct slot){source, purpose, .offset = offset, .len = len, .bytes = slot->bytes};
    if (source->busy++ == 0)
        source->last_ns = mv_now_ns();
    source->ahead_busy += purpose == AHEAD;
    source->write_busy += !is_read(slot);
    if (is_read(slot))
        note_asked(source, slot, true);
    if (submit(source, slot) >= 0)
        return true;
    slot->answered = true;
    slot->errnum = nbd_get_errno() > 0 ? nbd_get_errno() : EIO;
    return false;
}

/* Once all has been sent and answered, the server is to keep it. */
static void finish_write(struct mv_nbd_source *source)
{
    uint64_t offset = source->write_next, len;
    if (source->cursor == NULL || source->write_busy > 0)
        return;
    if (source->flushed ||
        (!source->export.can_flush && !mv_dirty_cursor_next(source->cursor, &offset, &len)))
        end_write(source, 0, "");
    else if (!mv_dirty_cursor_next(source->cursor, &offset, &len))
        source->flushed = ask(source, FLUSH, 0, 0);
}

static void begin_write(struct mv_nbd_source *source)
{
    const struct mv_dirty_cursor *cursor = mv_nbd_wishes_cursor(&source->wishes);
    if (source->cursor != NULL || cursor == NULL || source->write_busy > 0)
        return; /* what is under way may be another's, who was cancelled */
    source->cursor = cursor;
    source->write_next = 0;
    source->flushed = false;
}

static void ask_for_all(struct mv_nbd_source *source)
{
    struct mv_nbd_wishes *wishes = &source->wishes;
    uint64_t offset, len;
    bool goes_on = true;
    begin_write(source);
    while (goes_on && source->busy < SLOTS &&
           mv_nbd_wishes_take(wishes, true, next_piece, source, &offset, &len))
        goes_on = ask(source, DEMAND, offset, len);
    while (goes_on && source->busy < SLOTS && take_write(source, &offset, &len))
        goes_on = ask(source, WRITE, offset, len);
    while (goes_on && source->busy < SLOTS && source->ahead_busy < AHEAD_MOST &&
           mv_nbd_wishes_take(wishes, false, next_piece, source, &offset, &len))
        goes_on = ask(source, AHEAD, offset, len);
    if (goes_on && source->busy < SLOTS)
        finish_write(source);
}

/* --- the connection */

/* Nothing that is under way will be answered. */
static void disconnect(struct mv_nbd_source *source)
{
    mv_nbd_close(source->nbd);
    source->nbd = NULL;
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &source->slots[i];
        if (slot->purpose == FREE || slot->answered)
            continue;
        slot->answered = true;
        slot->errnum = ENOTCONN;
    }
    take_answers(source, true);
}

static int check_same(const struct mv_nbd_source *source, const struct mv_nbd_export *fresh,
                      struct mv_error *err)
{
    const struct mv_nbd_export *old = &source->export;
    if (fresh->size != old->size)
        return mv_error_set(err, EINVAL, "the export has %s now, and had %s",
                            mv_size_text(fresh->size), mv_size_text(old->size));
    if (fresh->read_only && !old->read_only)
        return mv_error_set(err, EROFS, "the export is read-only now");
    if (old->minimum % fresh->minimum != 0)
        return mv_error_set(err, EINVAL, "the export takes no requests of %s now",
                            mv_size_text(old->minimum));
    return 0;
}

static void connect_again(struct mv_nbd_source *source)
{
    struct mv_nbd_export fresh;
    struct mv_error err;
    struct nbd_handle *nbd = NULL;
    int r = mv_nbd_open(source->uri, source->stop_fd, &nbd, &fresh, &err);
    if (r == 0)
        r = check_same(source, &fresh, &err);
    if (r == 0) {
        source->nbd = nbd;
        source->unproved = true;
        return;
    }
    mv_nbd_close(nbd);
    give_up(source, r, err.text, MV_NBD_REMEDY);
}

static void look_after(struct mv_nbd_source *source)
{
    bool lost = mv_nbd_is_lost(source->nbd);
    take_answers(source, lost);
    if (lost) {
        disconnect(source);
        if (source->unproved) /* a server that hangs up whenever it is asked for something */
            give_up(source, -ENOTCONN, "the connection to the server was lost", MV_NBD_REMEDY);
    } else if (source->busy > 0 && mv_now_ns() - source->last_ns >= MV_NBD_PATIENCE_NS) {
        disconnect(source);
        give_up(source, -ETIMEDOUT, "the server does not answer", MV_NBD_REMEDY);
    }
}

static void step(struct mv_nbd_source *source)
{
    struct pollfd wanted = {.fd = source->wishes.fd, .events = POLLIN};
    if (source->nbd == NULL && mv_nbd_wishes_is_any(&source->wishes))
        connect_again(source);
    if (source->nbd == NULL) {
        poll(&wanted, 1, -1);
    } else {
        ask_for_all(source);
        mv_nbd_step(source->nbd, wanted.fd, source->busy > 0 ? LOOK_NS : UINT64_MAX);
        look_after(source);
    }
    if (poll(&wanted, 1, 0) > 0)
        mv_drain(wanted.fd);
}

static void *run(void *opaque)
{
    struct mv_nbd_source *source = opaque;
    while (!mv_nbd_wishes_is_stopped(&source->wishes)) {
        int r = mv_nbd_wishes_check(&source->wishes);
        if (r == -ENOMEM)
            give_up(source, r, "no memory to ask for it", "give memvisor more memory");
        else if (r == -ECANCELED)
            end_write(source, r, "cancelled");
        step(source);
    }
    if (source->nbd != NULL)
        disconnect(source);
    give_up(source, -ECANCELED, "the block goes", "");
    return NULL;
}

/* --- for others */

static void want(void *opaque, uint64_t offset, uint64_t len, bool waits)
{
    mv_nbd_wishes_want(&((struct mv_nbd_source *)opaque)->wishes, offset, len, waits);
}

static void end(void *opaque)
{
    struct mv_nbd_source *source = opaque;
    eventfd_write(source->stop_fd, 1);
    mv_nbd_wishes_stop(&source->wishes);
    pthread_join(source->thread, NULL);
}

int mv_nbd_source_write(struct mv_nbd_source *source, const struct mv_dirty_cursor *cursor,
                        const atomic_bool *cancelled, struct mv_error *err)
{
    return mv_nbd_wishes_write(&source->wishes, cursor, cancelled, err);
}

static int start(struct mv_nbd_source *source)
{
    sigset_t all, before;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&source->thread, NULL, run, source);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errnum == 0)
        pthread_setname_np(source->thread, "nbd");
    return -errnum;
}

static int make(struct mv_block *block, const struct mv_nbd_source_params *params,
                struct mv_nbd_source **ret)
{
    struct mv_nbd_source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return -ENOMEM;
    source->block = block;
    source->offset = params->offset;
    source->export = *params->export;
    source->filled = params->filled;
    source->opaque = params->opaque;
    source->uri = strdup(params->uri);
    source->asked = calloc(block->size / MV_DIRTY_PAGE / 64 + 1, sizeof *source->asked);
    source->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = source->stop_fd < 0 ? -errno : 0;
    int failed = mv_nbd_wishes_init(&source->wishes, block->size);
    *ret = source;
    if (source->uri == NULL || source->asked == NULL)
        return -ENOMEM;
    return r < 0 ? r : failed;
}

int mv_nbd_source_begin(struct mv_block *block, const struct mv_nbd_source_params *params,
                        struct mv_nbd_source **ret, struct mv_error *err)
{
    struct mv_nbd_source *source = NULL;
    int r = make(block, params, &source);
    if (r == 0) {
        source->nbd = params->nbd;
        r = start(source);
    }
    if (r < 0) {
        mv_nbd_close(params->nbd);
        mv_nbd_source_free(source);
        return mv_error_set_errno(err, -r, "%s", params->uri);
    }
    const struct mv_paging_source paging = {source->uri, params->takes_back, want, end, source};
    r = mv_paging_begin(block, &paging, NULL, err);
    if (r < 0) {
        end(source);
        mv_nbd_source_free(source);
        return r;
    }
    *ret = source;
    return 0;
}

void mv_nbd_source_free(struct mv_nbd_source *source)
{
    if (source == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free(source->slots[i].bytes);
    mv_nbd_wishes_clear(&source->wishes);
    mv_cleanup_close(&source->stop_fd);
    free(source->asked);
    free(source->uri);
    free(source);
}
