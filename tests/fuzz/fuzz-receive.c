/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer against all that a receiver makes of what a sender says: frames, the manifest, the
 * machine, memory and what is loaded into the parts.  An input is a byte, of which the lowest bit
 * says whether the sender is on this host and the next whether vCPUs take any state, and the
 * bytes of the first channel; those are put right as far as nothing behind them would be reached
 * otherwise: where frames begin, how long the last one is, and the sums of frames and sections.
 * Memory has 16 MiB at most.
 *
 * Beside that it takes less than 64 MiB, whatever comes, and answers in the protocol's order.
 */
#include "bytes.h"
#include "fuzz-engine.h"
#include "fuzz-folder.h"
#include "fuzz-sections.h"
#include "fuzz.h"
#include "loop.h"
#include "machine.h"
#include "receive.h"
#include "size.h"
#include "wire.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define HEAD      MV_WIRE_HEAD_BYTES
#define INPUT_MAX (512 * 1024)
#define PIPE_MAX  (1024 * 1024)
#define RAM       (16 * MV_MIB)
#define BESIDE    (64 * MV_MIB)
#define BOOT_AT   40 /* in HELLO's payload: the host's boot */

/* The sanitizer's: no header that both compilers have says so. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *p);

static struct mv_error err;
static struct mv_loop *loop;
static struct mv_wire_hello own;
static _Atomic int64_t allocated, most;

/* --- memory beside blocks */

static void on_malloc(const volatile void *p, size_t size)
{
    int64_t now = atomic_fetch_add(&allocated, (int64_t)size) + (int64_t)size;
    int64_t before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
        ;
}

static void on_free(const volatile void *p)
{
    if (p != NULL)
        atomic_fetch_sub(&allocated, (int64_t)__sanitizer_get_allocated_size(p));
}

/* --- what is put right */

static size_t length_of(const uint8_t *frame)
{
    return (size_t)mv_bytes_get(frame + 8, 4);
}

static unsigned type_of(const uint8_t *frame)
{
    return (unsigned)mv_bytes_get(frame + 4, 2);
}

/* Frames follow each other, up to the end. */
static void put_heads(uint8_t *bytes, size_t size, bool same_host)
{
    for (size_t at = 0; size - at >= HEAD; at += HEAD + length_of(bytes + at)) {
        uint8_t *frame = bytes + at;
        size_t left = size - at - HEAD;
        memcpy(frame, "mMOV", 4);
        if (length_of(frame) > left)
            mv_bytes_put(frame + 8, left, 4);
        if (type_of(frame) == MV_WIRE_MANIFEST && mv_bytes_get(frame + 24, 8) > RAM)
            mv_bytes_put(frame + 24, RAM, 8);
        if (type_of(frame) == MV_WIRE_HELLO && same_host && length_of(frame) >= BOOT_AT + 16)
            memcpy(frame + HEAD + BOOT_AT, own.boot, sizeof own.boot);
    }
}

/* All payloads of SECTIONS, to `joined` or from there. */
static size_t join_sections(uint8_t *bytes, size_t size, uint8_t *joined, bool back)
{
    size_t used = 0;
    for (size_t at = 0; size - at >= HEAD; at += HEAD + length_of(bytes + at)) {
        uint8_t *payload = bytes + at + HEAD;
        size_t length = length_of(bytes + at);
        if (type_of(bytes + at) != MV_WIRE_SECTIONS)
            continue;
        memcpy(back ? payload : joined + used, back ? joined + used : payload, length);
        used += length;
    }
    return used;
}

static void sum_frames(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; size - at >= HEAD; at += HEAD + length_of(bytes + at)) {
        uint8_t *frame = bytes + at;
        uint64_t seed = XXH3_64bits(frame, HEAD - 8);
        mv_bytes_put(frame + HEAD - 8, XXH3_64bits_withSeed(frame + HEAD, length_of(frame), seed),
                     8);
    }
}

static void put_right(uint8_t *bytes, size_t size, bool same_host)
{
    static uint8_t joined[INPUT_MAX];
    put_heads(bytes, size, same_host);
    size_t length = join_sections(bytes, size, joined, false);
    sum_sections(joined, length);
    join_sections(bytes, size, joined, true);
    sum_frames(bytes, size);
}

/* --- the line */

/* A pipe with all that the sender says. */
static int say(const uint8_t *bytes, size_t size)
{
    int ends[2];
    CHECK(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, PIPE_MAX) >= (int)size);
    CHECK(write(ends[1], bytes, size) == (ssize_t)size);
    close(ends[1]);
    return ends[0];
}

/* What the receiver answered, a letter each. */
static void hear(int fd, char *words, size_t size)
{
    static const char letters[] = {[MV_WIRE_READY] = 'y',
                                   [MV_WIRE_REFUSED] = 'n',
                                   [MV_WIRE_LOADED] = 'l',
                                   [MV_WIRE_RUNNING] = 'r',
                                   [MV_WIRE_FAILED] = 'f'};
    static uint8_t bytes[PIPE_MAX];
    ssize_t length = read(fd, bytes, sizeof bytes);
    size_t at = 0, count = 0;
    CHECK(length >= 0);
    while (at < (size_t)length) {
        CHECK((size_t)length - at >= HEAD && length_of(bytes + at) <= MV_WIRE_TEXT_MAX);
        CHECK(type_of(bytes + at) < sizeof letters && letters[type_of(bytes + at)] != '\0');
        CHECK(count + 1 < size);
        words[count++] = letters[type_of(bytes + at)];
        at += HEAD + length_of(bytes + at);
    }
    CHECK(at == (size_t)length);
    words[count] = '\0';
}

/* --- what always holds */

static void check_error(void)
{
    CHECK(err.text[0] != '\0');
    for (const char *c = err.text; *c != '\0'; c++)
        CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
}

struct end {
    struct mv_receive *receive;
    bool arrived;
    bool broken; /* it runs here, and the line ended before all of its memory was */
};

static void check_words(const char *words, const struct end *end)
{
    static const char *const failures[] = {"", "n", "yf", "ylf"};
    bool fits = false;
    for (size_t i = 0; !end->arrived && !end->broken && i < sizeof failures / sizeof *failures; i++)
        fits |= strcmp(words, failures[i]) == 0;
    if (end->arrived || end->broken)
        fits |= strcmp(words, "ylr") == 0;
    fits |= end->arrived && strcmp(words, "ylrl") == 0;
    if (fits)
        return;
    snprintf(err.text, sizeof err.text, "the answers were '%s'", words);
    CHECK(fits);
}

/* --- the receiver */

static void on_changed(void *opaque)
{
    struct end *end = opaque;
    struct mv_move_progress progress;
    mv_receive_progress(end->receive, &progress);
    if (progress.stage != MV_MOVE_BROKEN)
        return;
    end->broken = true;
    mv_loop_stop(loop);
}

static void on_ended(void *opaque, int result, const struct mv_error *error)
{
    struct end *end = opaque;
    end->arrived = result == 0;
    if (result < 0)
        err = *error;
    mv_loop_stop(loop);
}

static void receive(int in, int out, struct end *end)
{
    static atomic_bool cancelled;
    struct mv_config_restore wish = {.config = {.paused = true}};
    struct mv_machine *machine = NULL;
    struct mv_receive *receive;
    char uri[64];
    snprintf(uri, sizeof uri, "fd:%d,%d", in, out);
    const struct mv_receive_params params = {
        .uri = uri, .ended = on_ended, .changed = on_changed, .opaque = end};
    err.text[0] = '\0';
    CHECK(mv_receive_listen(&params, &receive, &err) == 0);
    end->receive = receive;
    int r = mv_receive_accept(receive, &wish, &cancelled, &err);
    mv_config_restore_free(&wish);
    if (r == 0)
        r = mv_receive_machine(receive, loop, NULL, &machine, &err);
    if (r == 0) {
        CHECK(mv_receive_begin(receive, &err) == 0);
        mv_loop_run(loop);
        mv_receive_stop(receive);
    }
    if (!end->arrived && !end->broken)
        check_error();
    mv_machine_destroy(machine);
    mv_receive_end(receive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[INPUT_MAX];
    int answers[2];
    char words[64];
    if (size < 1 || size > INPUT_MAX)
        return 0;
    memcpy(bytes, data + 1, size - 1);
    put_right(bytes, size - 1, (data[0] & 1) != 0);
    idle_takes_any = (data[0] & 2) != 0;
    CHECK(pipe(answers) == 0);
    int64_t before = atomic_load(&allocated);
    atomic_store(&most, before);
    struct end end = {NULL};
    receive(say(bytes, size - 1), answers[1], &end);
    CHECK(atomic_load(&most) - before < (int64_t)BESIDE);
    hear(answers[0], words, sizeof words);
    check_words(words, &end);
    close(answers[0]);
    return 0;
}

static void tidy_up(void)
{
    rmdir(folder);
}

/* Files that a manifest names are where nobody else has any. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    enter_folder(tidy_up);
    CHECK(mv_wire_hello_make(1, &own, &err) == 0);
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    return mv_loop_create(&loop, &err);
}
