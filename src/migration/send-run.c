/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a guest is sent: wire.h has what goes over the line, send.h what it means. */
#include "send-parts.h"

#include "channel.h"
#include "cleanup.h"
#include "os.h"
#include "size.h"
#include "statefile.h"

#include <stdlib.h>
#include <string.h>

#define SECOND      UINT64_C(1000000000)
#define CONNECT_NS  (20 * SECOND)
#define PATIENCE_NS (60 * SECOND) /* while the guest stands still */
#define EXPLAIN_NS  (3 * SECOND)
#define FINISH_NS   (3 * SECOND) /* an exec: command ends by itself */

static struct mv_channel *main_line(struct mv_send *send)
{
    return send->lines.channels[0];
}

/* --- errors */

/* Of a line that broke, the receiver may have said why before. */
static int explain(struct mv_send *send, int result, struct mv_error *err)
{
    struct mv_channel *channel = main_line(send);
    struct mv_error why;
    bool broke = result == -EPIPE || result == -ECONNRESET || result == -ENODATA;
    if (!broke || mv_channel_wait_readable(channel, EXPLAIN_NS, &why) != 1)
        return result;
    mv_channel_set_patience(channel, EXPLAIN_NS);
    int r = mv_wire_read_answer(channel, MV_WIRE_BIT(MV_WIRE_REFUSED) | MV_WIRE_BIT(MV_WIRE_FAILED),
                                &why);
    if (r == -EREMOTEIO)
        *err = why;
    return r == -EREMOTEIO ? r : result;
}

/* --- the line, and what the other end has to know */

static int connect_one(struct mv_send *send, struct mv_wire_hello *hello, unsigned number,
                       struct mv_error *err)
{
    struct mv_channel *channel;
    int r = mv_channel_connect(send->uri, send->tls, CONNECT_NS, send->cancelled, &channel, err);
    if (r < 0)
        return r;
    mv_lines_add(&send->lines, number, channel);
    hello->number = (uint16_t)number;
    return mv_wire_send_hello(channel, hello, err);
}

static int connect_all(struct mv_send *send, struct mv_error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < send->channels; i++)
        r = connect_one(send, &send->hello, i, err);
    return r;
}

static int send_manifest(struct mv_send *send, struct mv_error *err)
{
    const struct mv_save_plan *plan = &send->plan;
    CLEANUP_FREE char *text = NULL;
    size_t length;
    int r = mv_manifest_print(&plan->manifest, plan->ram_length, &text, &length, err);
    if (r == 0 && length > MV_STATEFILE_MANIFEST_MAX)
        r = mv_error_set(err, E2BIG, "the machine has too many parts to be described");
    if (r < 0)
        return r;
    const struct mv_wire_head head = {
        .type = MV_WIRE_MANIFEST, .length = (uint32_t)length, .size = plan->ram_length};
    return mv_wire_send(main_line(send), &head, text, err);
}

/* Nothing is written down of it where the receiver takes long, or asks somebody. */
static int introduce(struct mv_send *send, struct mv_error *err)
{
    int r = mv_wire_hello_make(send->channels, &send->hello, err);
    send->hello.follows = send->may_follow;
    if (r == 0)
        r = connect_all(send, err);
    if (r == 0)
        r = mv_send_have_done(send, mv_send_plan, err);
    if (r == 0 && send->may_follow)
        r = mv_send_follow_make(send, err);
    if (r == 0)
        r = mv_send_workers_create(send, err);
    if (r == 0)
        r = send_manifest(send, err);
    if (r == 0)
        r = mv_send_boot(send, err);
    if (r == 0)
        r = mv_wire_read_answer(main_line(send),
                                MV_WIRE_BIT(MV_WIRE_READY) | MV_WIRE_BIT(MV_WIRE_REFUSED) |
                                    MV_WIRE_BIT(MV_WIRE_FAILED),
                                err);
    return r;
}

/* --- memory */

static int pass(struct mv_send *send, bool all, uint64_t bytes, struct mv_error *err)
{
    mv_send_tell_pass(send);
    mv_send_pace_begin(&send->pace, &send->counts);
    int r = mv_send_pass(send, all, bytes, err);
    mv_send_pace_done(&send->pace, &send->counts);
    return r;
}

/* Whether memory follows the guest from here on. */
static bool follows_now(struct mv_send *send)
{
    if (send->may_follow && atomic_load(&send->passes) >= send->follow_after)
        mv_send_decide(send, MV_SEND_AFTER);
    return atomic_load(&send->way) == MV_SEND_AFTER;
}

/* While the guest runs; what the cursors have taken at the end is still to be sent. */
static int send_live(struct mv_send *send, uint64_t *ret_bytes, struct mv_error *err)
{
    unsigned throttle = 0;
    follows_now(send);
    int r = pass(send, true, atomic_load(&send->counts.memory), err);
    while (r == 0) {
        r = mv_send_take(send, ret_bytes, err);
        if (r < 0 || follows_now(send) ||
            mv_send_pace_is_enough(&send->pace, *ret_bytes, atomic_load(&send->passes)))
            return r;
        if (throttle != atomic_load(&send->pace.throttle))
            r = mv_send_have_done(send, mv_send_slow_down, err);
        throttle = atomic_load(&send->pace.throttle);
        if (r == 0)
            r = pass(send, false, *ret_bytes, err);
    }
    return r;
}

static int send_rest(struct mv_send *send, uint64_t bytes, struct mv_error *err)
{
    int r = pass(send, false, bytes, err);
    if (r == 0)
        r = mv_send_take(send, &bytes, err);
    return r < 0 || bytes == 0 ? r : pass(send, false, bytes, err);
}

/* --- what it is beside memory */

struct pieces {
    struct mv_channel *channel;
    uint8_t *bytes;
    size_t used;
};

static int flush(struct pieces *pieces, struct mv_error *err)
{
    const struct mv_wire_head head = {.type = MV_WIRE_SECTIONS, .length = (uint32_t)pieces->used};
    pieces->used = 0;
    return head.length == 0 ? 0 : mv_wire_send(pieces->channel, &head, pieces->bytes, err);
}

static int write_piece(void *opaque, const void *bytes, size_t len, struct mv_error *err)
{
    struct pieces *pieces = opaque;
    const uint8_t *next = bytes;
    int r = 0;
    while (r == 0 && len > 0) {
        size_t room = MV_WIRE_PIECE - pieces->used, part = len < room ? len : room;
        memcpy(pieces->bytes + pieces->used, next, part);
        pieces->used += part;
        next += part;
        len -= part;
        if (pieces->used == MV_WIRE_PIECE)
            r = flush(pieces, err);
    }
    return r;
}

static int send_sections(struct mv_send *send, struct mv_error *err)
{
    CLEANUP_FREE uint8_t *bytes = malloc(MV_WIRE_PIECE);
    struct pieces pieces = {main_line(send), bytes, 0};
    struct mv_section_writer sections = {.write = write_piece, .opaque = &pieces};
    if (bytes == NULL)
        return mv_error_set_errno(err, ENOMEM, "sending the devices");
    int r = mv_save_write_objects(&send->objects, &sections, err);
    if (r == 0)
        r = mv_section_write_end(&sections, err);
    return r < 0 ? r : flush(&pieces, err);
}

static int send_end(struct mv_send *send, struct mv_error *err)
{
    int r = send_sections(send, err);
    const struct mv_wire_head head = {.type = MV_WIRE_END,
                                      .size = atomic_load(&send->counts.sizes)};
    if (r == 0)
        r = mv_wire_send(main_line(send), &head, NULL, err);
    return r < 0 ? r
                 : mv_wire_read_answer(main_line(send),
                                       MV_WIRE_BIT(MV_WIRE_LOADED) | MV_WIRE_BIT(MV_WIRE_FAILED),
                                       err);
}

/* --- all of it */

static void be_impatient(struct mv_send *send)
{
    for (unsigned i = 0; i < send->channels; i++)
        mv_channel_set_patience(send->lines.channels[i], PATIENCE_NS);
}

static int send_all_memory(struct mv_send *send, struct mv_error *err)
{
    uint64_t bytes = 0;
    mv_send_set_stage(send, MV_MOVE_ACTIVE);
    int r = send_live(send, &bytes, err);
    if (r == 0)
        r = mv_send_have_done(send, mv_send_stop_guest, err);
    if (r < 0)
        return r;
    be_impatient(send);
    mv_send_set_stage(send, MV_MOVE_DEVICE);
    return mv_send_decide(send, MV_SEND_BEFORE) == MV_SEND_AFTER
               ? mv_send_follow_announce(send, err)
               : send_rest(send, bytes, err);
}

static int permit(struct mv_send *send, struct mv_error *err)
{
    const struct mv_wire_head head = {.type = MV_WIRE_RUN, .kind = send->runs};
    atomic_store(&send->is_theirs, true);
    int r = mv_wire_send(main_line(send), &head, NULL, err);
    if (r == 0)
        r = mv_wire_read_answer(main_line(send),
                                MV_WIRE_BIT(MV_WIRE_RUNNING) | MV_WIRE_BIT(MV_WIRE_FAILED), err);
    struct mv_error why = *err;
    if (r == -EREMOTEIO)
        atomic_store(&send->is_theirs, false);
    atomic_store(&send->runs_ns, mv_now_ns());
    if (r == 0 || r == -EREMOTEIO || atomic_load(&send->follows))
        return r;
    return mv_error_set(err, EIO,
                        "nothing more was heard of '%s' once it was permitted to let the guest "
                        "run: the guest stays paused here, as it was; where it does not run there, "
                        "and only then, let it go on with 'memvisor cont': %.1000s",
                        send->uri, why.text);
}

/* An exec: command has to pass on what was said last. */
static void end_line(struct mv_send *send)
{
    struct mv_error ignored;
    atomic_store(&send->ended_ns, mv_now_ns());
    mv_channel_finish(main_line(send), FINISH_NS, &ignored);
}

static int send_all(struct mv_send *send, struct mv_error *err)
{
    int r = introduce(send, err);
    atomic_store(&send->ready_ns, mv_now_ns());
    if (r == 0)
        r = send_all_memory(send, err);
    if (r == 0)
        r = send_end(send, err);
    if (r < 0)
        return main_line(send) == NULL ? r : explain(send, r, err);
    r = mv_send_have_done(send, mv_send_hand_over, err);
    if (r == 0)
        r = permit(send, err);
    if (r == 0 && atomic_load(&send->follows))
        r = mv_send_follow_run(send, err);
    return r;
}

/* What the guest lacks is here still: that is told. */
static int note_broken(struct mv_send *send, struct mv_error *err)
{
    struct mv_error why = *err;
    if (send->follow.count == 0)
        return mv_error_set(
            err, EPIPE,
            "all of the guest's memory was sent to '%s', and the line broke before anybody said "
            "that it is there: look whether 'memvisor qmp NAME query-migrate' says completed "
            "there, "
            "and then end this process by 'memvisor quit'; else 'memvisor receive --resume' there, "
            "then 'memvisor send --resume' here: %.500s",
            send->uri, why.text);
    return mv_error_set(
        err, EPIPE,
        "the line to '%s' broke, and %s of the guest's memory had not followed it: 'memvisor "
        "receive --resume' where it is, then 'memvisor send --resume' here take that up; where "
        "it is lost there, 'memvisor qmp NAME x-send-give-up' and then 'memvisor cont NAME' let it "
        "go on here as it was when it left: %.700s",
        send->uri, mv_size_text(send->follow.count * 4096), why.text);
}

static int take_up(struct mv_send *send, struct mv_error *err)
{
    send->hello.resumes = true;
    int r = connect_all(send, err);
    if (r < 0)
        return r;
    be_impatient(send);
    return mv_send_follow_again(send, err);
}

void mv_send_forget(struct mv_send *send)
{
    mv_send_workers_destroy(send);
    mv_send_follow_clear(send);
    for (size_t i = 0; i < send->source_count; i++)
        mv_ram_source_clear(&send->sources[i]);
    free(send->sources);
    free(send->indexes);
    send->sources = NULL;
    send->indexes = NULL;
    send->source_count = send->block_count = 0;
    mv_save_objects_clear(&send->objects);
    mv_save_plan_clear(&send->plan);
}

int mv_send_all(struct mv_send *send, struct mv_error *err)
{
    bool again = atomic_load(&send->stage) == MV_MOVE_RECOVERING;
    int r = mv_lines_watch(&send->lines, send->cancelled, err);
    if (r == 0)
        r = again ? take_up(send, err) : send_all(send, err);
    if (r == 0)
        end_line(send);
    mv_lines_unwatch(&send->lines);
    mv_lines_drop(&send->lines);
    if (r < 0 && atomic_load(&send->follows) && atomic_load(&send->is_theirs)) {
        mv_send_set_stage(send, MV_MOVE_BROKEN);
        return note_broken(send, err);
    }
    mv_send_forget(send);
    if (r < 0 && atomic_load(send->cancelled) && !atomic_load(&send->is_theirs))
        return mv_error_set(err, ECANCELED, "sending the guest to '%s' was cancelled", send->uri);
    return r;
}
