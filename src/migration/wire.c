/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "bytes.h"
#include "channel.h"
#include "cleanup.h"
#include "move.h"
#include "os.h"
#include "statefile.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The library chooses the widest vectors that the processor has, where it has this header. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#define MAGIC       UINT32_C(0x564f4d6d) /* "mMOV" */
#define SUM_AT      32
#define HELLO_BYTES 128
#define PAGE        4096
#define WORD_PAGES  64
#define BOOT_ID     "/proc/sys/kernel/random/boot_id"

static const char hello_magic[16] = "memvisor stream";

static const struct type {
    const char *name;
    uint32_t least, most; /* bytes of payload */
    bool has_kind, has_index, has_offset, has_size;
} types[] = {
    [MV_WIRE_HELLO] = {"HELLO", HELLO_BYTES, HELLO_BYTES, .has_kind = true},
    [MV_WIRE_MANIFEST] = {"MANIFEST", 1, MV_STATEFILE_MANIFEST_MAX, .has_size = true},
    [MV_WIRE_RAM] = {"RAM", 0, MV_WIRE_PIECE, true, true, true, true},
    [MV_WIRE_PASS] = {"PASS", 0, 0, .has_index = true},
    [MV_WIRE_SECTIONS] = {"SECTIONS", 1, MV_WIRE_PIECE},
    [MV_WIRE_END] = {"END", 0, 0, .has_size = true},
    [MV_WIRE_RUN] = {"RUN", 0, 0, .has_kind = true},
    [MV_WIRE_READY] = {"READY", 0, 0},
    [MV_WIRE_REFUSED] = {"REFUSED", 0, MV_WIRE_TEXT_MAX},
    [MV_WIRE_LOADED] = {"LOADED", 0, 0},
    [MV_WIRE_RUNNING] = {"RUNNING", 0, 0},
    [MV_WIRE_FAILED] = {"FAILED", 0, MV_WIRE_TEXT_MAX},
    [MV_WIRE_ABSENT] = {"ABSENT", 8, MV_WIRE_PIECE, false, true, true, true},
    [MV_WIRE_WANT] = {"WANT", 0, 0, false, true, true, true},
};
#define TYPES (sizeof types / sizeof types[0])

/* --- writing */

void mv_wire_seal(const struct mv_wire_head *head, const void *payload,
                  uint8_t bytes[MV_WIRE_HEAD_BYTES])
{
    uint8_t *at = bytes;
    at = mv_bytes_put(at, MAGIC, 4);
    at = mv_bytes_put(at, head->type, 2);
    at = mv_bytes_put(at, head->kind, 2);
    at = mv_bytes_put(at, head->length, 4);
    at = mv_bytes_put(at, head->index, 4);
    at = mv_bytes_put(at, head->offset, 8);
    at = mv_bytes_put(at, head->size, 8);
    XXH64_hash_t seed = XXH3_64bits(bytes, SUM_AT);
    mv_bytes_put(at, XXH3_64bits_withSeed(payload, head->length, seed), 8);
}

int mv_wire_send(struct mv_channel *channel, const struct mv_wire_head *head, const void *payload,
                 struct mv_error *err)
{
    uint8_t bytes[MV_WIRE_HEAD_BYTES];
    const struct iovec pieces[] = {{bytes, sizeof bytes}, {(void *)payload, head->length}};
    mv_wire_seal(head, payload, bytes);
    return mv_channel_writev(channel, pieces, head->length > 0 ? 2 : 1, err);
}

int mv_wire_say(struct mv_channel *channel, enum mv_wire_type type, const char *text,
                struct mv_error *err)
{
    size_t length = text == NULL ? 0 : strnlen(text, MV_WIRE_TEXT_MAX);
    return mv_wire_send(channel,
                        &(struct mv_wire_head){.type = (uint16_t)type, .length = (uint32_t)length},
                        text, err);
}

/* --- reading */

static int refuse(struct mv_channel *channel, struct mv_error *err, const char *what,
                  uint64_t value)
{
    return mv_error_set(err, EPROTO, "%s breaks the protocol: %s %" PRIu64,
                        mv_channel_name(channel), what, value);
}

static int check_ram(struct mv_channel *channel, const struct mv_wire_head *head,
                     struct mv_error *err)
{
    bool fits = head->size > 0;
    if (head->kind == MV_WIRE_DATA)
        fits &= head->size == head->length;
    else if (head->kind == MV_WIRE_ZERO)
        fits &= head->length == 0;
    else if (head->kind == MV_WIRE_FILL)
        fits &= head->length == 8 && head->size % 8 == 0;
    else if (head->kind == MV_WIRE_ZSTD)
        fits &= head->size <= MV_WIRE_PIECE && head->length > 0;
    else
        return refuse(channel, err, "memory of the unknown kind", head->kind);
    return fits ? 0
                : refuse(channel, err, "memory with a payload of the wrong length", head->length);
}

static int check_head(struct mv_channel *channel, uint32_t expected,
                      const struct mv_wire_head *head, struct mv_error *err)
{
    const struct type *type = head->type < TYPES ? &types[head->type] : NULL;
    if (type == NULL || type->name == NULL)
        return refuse(channel, err, "a frame of the unknown type", head->type);
    if ((expected & MV_WIRE_BIT(head->type)) == 0)
        return mv_error_set(err, EPROTO, "%s breaks the protocol: %s at a time when it is not due",
                            mv_channel_name(channel), type->name);
    if (head->length < type->least || head->length > type->most ||
        (head->kind != 0 && !type->has_kind) || (head->index != 0 && !type->has_index) ||
        (head->offset != 0 && !type->has_offset) || (head->size != 0 && !type->has_size))
        return mv_error_set(err, EPROTO,
                            "%s breaks the protocol: %s with values that it cannot have",
                            mv_channel_name(channel), type->name);
    return head->type == MV_WIRE_RAM ? check_ram(channel, head, err) : 0;
}

int mv_wire_read_head(struct mv_channel *channel, uint32_t expected, struct mv_wire_head *ret,
                      struct mv_error *err)
{
    uint8_t bytes[MV_WIRE_HEAD_BYTES];
    int r = mv_channel_read(channel, bytes, sizeof bytes, err);
    if (r < 0)
        return r;
    if (mv_bytes_get(bytes, 4) != MAGIC)
        return mv_error_set(err, EPROTO, "%s breaks the protocol: no frame begins where one is due",
                            mv_channel_name(channel));
    const struct mv_wire_head head = {
        .type = (uint16_t)mv_bytes_get(bytes + 4, 2),
        .kind = (uint16_t)mv_bytes_get(bytes + 6, 2),
        .length = (uint32_t)mv_bytes_get(bytes + 8, 4),
        .index = (uint32_t)mv_bytes_get(bytes + 12, 4),
        .offset = mv_bytes_get(bytes + 16, 8),
        .size = mv_bytes_get(bytes + 24, 8),
        .seed = XXH3_64bits(bytes, SUM_AT),
        .sum = mv_bytes_get(bytes + SUM_AT, 8),
    };
    r = check_head(channel, expected, &head, err);
    if (r == 0)
        *ret = head;
    return r;
}

int mv_wire_read_payload(struct mv_channel *channel, const struct mv_wire_head *head, void *bytes,
                         struct mv_error *err)
{
    int r = head->length == 0 ? 0 : mv_channel_read(channel, bytes, head->length, err);
    if (r == -ENODATA) /* the frame was cut */
        r = -ECONNRESET;
    if (r == 0 && XXH3_64bits_withSeed(bytes, head->length, head->seed) != head->sum)
        return mv_error_set(err, EPROTO, "%s breaks the protocol: the sum of %s is wrong",
                            mv_channel_name(channel), types[head->type].name);
    return r;
}

/* What a peer says is shown on a terminal. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        *text = c < 0x20 || c >= 0x7f ? '?' : (char)c;
    }
}

int mv_wire_read_answer(struct mv_channel *channel, uint32_t expected, struct mv_error *err)
{
    char text[MV_WIRE_TEXT_MAX + 1] = "";
    struct mv_wire_head head;
    int r = mv_wire_read_head(channel, expected, &head, err);
    if (r == 0)
        r = mv_wire_read_payload(channel, &head, text, err);
    if (r < 0)
        return r;
    make_printable(text);
    if (head.type != MV_WIRE_REFUSED && head.type != MV_WIRE_FAILED)
        return 0;
    return mv_error_set(err, EREMOTEIO, "the receiver %s: %.1500s",
                        head.type == MV_WIRE_REFUSED ? "refuses the guest" : "failed", text);
}

/* --- pages that are absent */

static uint64_t words_of(uint64_t pages)
{
    return (pages + WORD_PAGES - 1) / WORD_PAGES;
}

int mv_wire_send_absent(struct mv_channel *channel, uint32_t index, const uint64_t *bits,
                        uint64_t pages, struct mv_error *err)
{
    const uint64_t all = words_of(pages), most = MV_WIRE_PIECE / 8;
    CLEANUP_FREE uint8_t *payload = malloc((all < most ? all : most) * 8);
    int r = payload == NULL ? mv_error_set_errno(err, ENOMEM, "a list of pages") : 0;
    for (uint64_t first = 0, words; r == 0 && first < all; first += words) {
        uint64_t any = 0, left = pages - first * WORD_PAGES;
        words = all - first < most ? all - first : most;
        for (uint64_t i = 0; i < words; i++) {
            any |= bits[first + i];
            mv_bytes_put(payload + i * 8, bits[first + i], 8);
        }
        const struct mv_wire_head head = {
            .type = MV_WIRE_ABSENT,
            .length = (uint32_t)(words * 8),
            .index = index,
            .offset = first * WORD_PAGES * PAGE,
            .size = (left < words * WORD_PAGES ? left : words * WORD_PAGES) * PAGE};
        if (any != 0)
            r = mv_wire_send(channel, &head, payload, err);
    }
    return r;
}

int mv_wire_take_absent(const struct mv_wire_head *head, const void *payload, uint64_t *bits,
                        uint64_t pages, struct mv_error *err)
{
    const uint8_t *bytes = payload;
    uint64_t first = head->offset / PAGE, count = head->size / PAGE, behind = 0;
    bool fits = head->offset % (WORD_PAGES * PAGE) == 0 && head->size % PAGE == 0 && count > 0 &&
                first < pages && count <= pages - first && head->length == words_of(count) * 8;
    if (fits && count % WORD_PAGES != 0)
        behind = mv_bytes_get(bytes + head->length - 8, 8) >> count % WORD_PAGES;
    if (!fits || behind != 0)
        return mv_error_set(err, EPROTO,
                            "pages that are not there were told of, 0x%" PRIx64
                            " bytes at 0x%" PRIx64 ", in a list that does not fit",
                            head->size, head->offset);
    for (uint64_t i = 0; i < words_of(count); i++)
        bits[first / WORD_PAGES + i] |= mv_bytes_get(bytes + i * 8, 8);
    return 0;
}

/* --- HELLO */

/* The host's boot as 32 digits with dashes among them; of a host that does not tell, zeros. */
static void read_boot_id(uint8_t id[MV_WIRE_ID_BYTES])
{
    char text[64] = "", digits[3] = "";
    size_t count = 0;
    memset(id, 0, MV_WIRE_ID_BYTES);
    int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < len && count < 2 * MV_WIRE_ID_BYTES; i++) {
        if (strchr("0123456789abcdef", text[i]) == NULL)
            continue;
        digits[count++ % 2] = text[i];
        if (count % 2 == 0)
            id[count / 2 - 1] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

int mv_wire_hello_make(unsigned channels, struct mv_wire_hello *ret, struct mv_error *err)
{
    *ret = (struct mv_wire_hello){.channels = (uint16_t)channels, .writer = "memvisor " MV_VERSION};
    read_boot_id(ret->boot);
    int r = mv_random(ret->id, sizeof ret->id);
    return r < 0 ? mv_error_set_errno(err, -r, "a random number") : 0;
}

int mv_wire_send_hello(struct mv_channel *channel, const struct mv_wire_hello *hello,
                       struct mv_error *err)
{
    uint8_t bytes[HELLO_BYTES] = {0}, *at = bytes;
    memcpy(at, hello_magic, sizeof hello_magic);
    at = mv_bytes_put(at + sizeof hello_magic, hello->follows ? 2 : 1, 4);
    at = mv_bytes_put(at, hello->channels, 2);
    at = mv_bytes_put(at, hello->number, 2);
    memcpy(at, hello->id, MV_WIRE_ID_BYTES);
    memcpy(at + MV_WIRE_ID_BYTES, hello->boot, MV_WIRE_ID_BYTES);
    memcpy(bytes + 64, hello->writer, strnlen(hello->writer, 64));
    const struct mv_wire_head head = {
        .type = MV_WIRE_HELLO, .kind = hello->resumes, .length = sizeof bytes};
    return mv_wire_send(channel, &head, bytes, err);
}

static int check_hello(struct mv_channel *channel, const uint8_t bytes[HELLO_BYTES],
                       struct mv_wire_hello *hello, struct mv_error *err)
{
    uint32_t format = (uint32_t)mv_bytes_get(bytes + 16, 4);
    memcpy(hello->writer, bytes + 64, 64);
    make_printable(hello->writer);
    if (memcmp(bytes, hello_magic, sizeof hello_magic) != 0)
        return mv_error_set(err, EPROTO, "%s is no memvisor that sends a guest",
                            mv_channel_name(channel));
    if (format < 1 || format > MV_WIRE_FORMAT)
        return mv_error_set(err, ENOTSUP,
                            "%s, '%s', sends in format %" PRIu32 ", and this memvisor (" MV_VERSION
                            ") knows those up to %d",
                            mv_channel_name(channel), hello->writer, format, MV_WIRE_FORMAT);
    if (hello->channels < 1 || hello->channels > MV_MOVE_CHANNELS_MAX)
        return refuse(channel, err, "its number of channels is", hello->channels);
    return hello->number < hello->channels
               ? 0
               : refuse(channel, err, "there is no channel of the number", hello->number);
}

int mv_wire_read_hello(struct mv_channel *channel, struct mv_wire_hello *ret, struct mv_error *err)
{
    uint8_t bytes[HELLO_BYTES];
    struct mv_wire_head head;
    int r = mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_HELLO), &head, err);
    if (r == 0)
        r = mv_wire_read_payload(channel, &head, bytes, err);
    if (r < 0)
        return r;
    struct mv_wire_hello hello = {.follows = mv_bytes_get(bytes + 16, 4) > 1,
                                  .resumes = head.kind != 0,
                                  .channels = (uint16_t)mv_bytes_get(bytes + 20, 2),
                                  .number = (uint16_t)mv_bytes_get(bytes + 22, 2)};
    memcpy(hello.id, bytes + 24, sizeof hello.id);
    memcpy(hello.boot, bytes + 40, sizeof hello.boot);
    r = check_hello(channel, bytes, &hello, err);
    if (r == 0)
        *ret = hello;
    return r;
}
