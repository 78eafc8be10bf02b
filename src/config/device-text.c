/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of --device, --ivshmem and device_add: what stands before the keys, one
 * table of keys, and which of them go together.  Whether the slot is free is for the
 * machine to say, once it is made.
 */
#include "config-text.h"

#include "cleanup.h"
#include "size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_MAX        31
#define SLOT_NUMBER_MAX 8191 /* 13 bits of the slot capabilities (PCI Express 4.0, 7.5.3.9) */
#define CHASSIS_MAX     255
#define ID_MAX          63
#define VECTORS_MAX     2048 /* An MSI-X table's entries (PCI 3.0, 6.8.2.3) */
/* QEMU's, which reaches no RAM of this board: its drivers set none, and its users do. */
#define DMA_MASK ((UINT64_C(1) << 28) - 1)

/* What the keys are of: --device's, memory without a server, or with one. */
enum form { DEVICE = 1 << 0, MEMORY = 1 << 1, SERVER = 1 << 2 };

struct key {
    const char *name;
    unsigned forms;
    const char *type; /* the only one that has it, or NULL */
    int (*set)(struct mv_config_device *device, const struct key *key, const char *value,
               struct mv_error *err);
    /* The reverse, which may stand in buf; NULL: it is as without the key. */
    const char *(*get)(const struct mv_config_device *device, const struct key *key,
                       char buf[MV_VALUE_TEXT]);
    size_t offset; /* of the field, where one of the two has several keys */
    int max;       /* of a number */
};

void mv_config_device_clear(struct mv_config_device *device)
{
    free(device->type);
    free(device->text);
    free(device->mem_id);
    free(device->socket);
    free(device->id);
    free(device->bus);
    mv_backing_clear(&device->backing);
    *device = (struct mv_config_device){0};
}

/* In the place of what the field held. */
static int copy(char **field, const char *value, struct mv_error *err)
{
    free(*field);
    *field = strdup(value);
    return *field == NULL ? mv_error_set_errno(err, ENOMEM, "copying it") : 0;
}

/* "03.0" or "3": hexadecimal, as lspci shows it; "0x3" as QEMU has it. */
static int set_addr(struct mv_config_device *device, const struct key *key, const char *value,
                    struct mv_error *err)
{
    char *end = NULL;
    const char *number = strncmp(value, "0x", 2) == 0 ? value + 2 : value;
    size_t digits = strspn(number, "0123456789abcdefABCDEF");
    unsigned long slot = digits == 0 || digits > 2 ? SLOT_MAX + 1 : strtoul(number, &end, 16);
    if (slot > SLOT_MAX || (strcmp(end, "") != 0 && strcmp(end, ".0") != 0))
        return mv_error_set(err, EINVAL,
                            "addr=%s is no PCI slot: give one from 00.0 to 1f.0, such as addr=03.0",
                            value);
    device->slot = (int)slot;
    return 0;
}

/* As QEMU has them; a path of a device, which has a '/', is never one. */
static int set_id(struct mv_config_device *device, const struct key *key, const char *value,
                  struct mv_error *err)
{
    static const char characters[] = "0123456789-._"
                                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t len = strlen(value);
    if (strspn(value, characters + strlen("0123456789-._")) == 0 ||
        strspn(value, characters) != len || len > ID_MAX)
        return mv_error_set(err, EINVAL,
                            "id=%.80s is no name of a device: begin with a letter, and go on with "
                            "letters, digits, '-', '.' and '_', up to %d in all",
                            value, ID_MAX);
    return copy(&device->id, value, err);
}

static int set_bus(struct mv_config_device *device, const struct key *key, const char *value,
                   struct mv_error *err)
{
    if (value[0] == '\0')
        return mv_error_set(err, EINVAL, "bus= is empty: write the id of a root port");
    return copy(&device->bus, value, err);
}

static int set_text(struct mv_config_device *device, const struct key *key, const char *value,
                    struct mv_error *err)
{
    return copy((char **)((char *)device + key->offset), value, err);
}

static int set_number(struct mv_config_device *device, const struct key *key, const char *value,
                      struct mv_error *err)
{
    unsigned long number;
    if (!mv_config_number(value, (unsigned long)key->max, &number))
        return mv_error_set(err, EINVAL, "%s=%s is not understood: give a number from 0 to %d",
                            key->name, value, key->max);
    *(int *)((char *)device + key->offset) = (int)number;
    return 0;
}

/* In bytes, hexadecimal or not. */
static int set_dma_mask(struct mv_config_device *device, const struct key *key, const char *value,
                        struct mv_error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long long mask = strtoull(value, &end, 0);
    if (strspn(value, "0123456789") == 0 || *end != '\0' || errno == ERANGE)
        return mv_error_set(err, EINVAL,
                            "dma_mask=%s is no mask of addresses: give the bits that the device "
                            "can send, such as dma_mask=0xffffffff",
                            value);
    device->dma_mask = mask;
    return 0;
}

static int set_size(struct mv_config_device *device, const struct key *key, const char *value,
                    struct mv_error *err)
{
    return mv_size_parse(value, &device->size, err);
}

static int set_vectors(struct mv_config_device *device, const struct key *key, const char *value,
                       struct mv_error *err)
{
    unsigned long vectors;
    if (!mv_config_number(value, VECTORS_MAX, &vectors) || vectors == 0)
        return mv_error_set(err, EINVAL,
                            "vectors=%s is no number of vectors: give one from 1 to %d", value,
                            VECTORS_MAX);
    device->vectors = (unsigned)vectors;
    return 0;
}

/* The registers: today's, or the first patch's. */
static int set_model(struct mv_config_device *device, const struct key *key, const char *value,
                     struct mv_error *err)
{
    bool is_first = strcmp(value, "2009") == 0;
    if (!is_first && strcmp(value, "1") != 0)
        return mv_error_set(err, EINVAL,
                            "there is no model=%s: give 1, which is revision 1 and the default, or "
                            "2009",
                            value);
    return copy(&device->type, is_first ? "ivshmem-2009" : "ivshmem-doorbell", err);
}

static int set_ext(struct mv_config_device *device, const struct key *key, const char *value,
                   struct mv_error *err)
{
    device->ext = strcmp(value, "on") == 0;
    if (!device->ext && strcmp(value, "off") != 0)
        return mv_error_set(err, EINVAL, "ext=%s: give on or off", value);
    return 0;
}

/* --- and back to text */

static const char *get_addr(const struct mv_config_device *device, const struct key *key,
                            char buf[MV_VALUE_TEXT])
{
    snprintf(buf, MV_VALUE_TEXT, "%02x.0", (unsigned)device->slot);
    return device->slot < 0 ? NULL : buf;
}

static const char *get_text(const struct mv_config_device *device, const struct key *key,
                            char buf[MV_VALUE_TEXT])
{
    return *(char *const *)((const char *)device + key->offset);
}

static const char *get_number(const struct mv_config_device *device, const struct key *key,
                              char buf[MV_VALUE_TEXT])
{
    int number = *(const int *)((const char *)device + key->offset);
    snprintf(buf, MV_VALUE_TEXT, "%d", number);
    return number < 0 ? NULL : buf;
}

static const char *get_dma_mask(const struct mv_config_device *device, const struct key *key,
                                char buf[MV_VALUE_TEXT])
{
    snprintf(buf, MV_VALUE_TEXT, "0x%llx", (unsigned long long)device->dma_mask);
    return device->dma_mask == DMA_MASK ? NULL : buf;
}

static const char *get_size(const struct mv_config_device *device, const struct key *key,
                            char buf[MV_VALUE_TEXT])
{
    return device->size == 0 ? NULL : mv_size_word(device->size, buf);
}

static const char *get_vectors(const struct mv_config_device *device, const struct key *key,
                               char buf[MV_VALUE_TEXT])
{
    snprintf(buf, MV_VALUE_TEXT, "%u", device->vectors);
    return device->vectors == 1 ? NULL : buf;
}

static const char *get_ext(const struct mv_config_device *device, const struct key *key,
                           char buf[MV_VALUE_TEXT])
{
    return device->ext ? "on" : NULL;
}

/* --- the table */

#define FIELD(name) offsetof(struct mv_config_device, name)

static const struct key keys[] = {
    {"addr", DEVICE | MEMORY | SERVER, NULL, set_addr, get_addr},
    {"bus", DEVICE | MEMORY | SERVER, NULL, set_bus, get_text, FIELD(bus)},
    {"id", DEVICE | MEMORY | SERVER, NULL, set_id, get_text, FIELD(id)},
    {"slot", DEVICE, "pcie-root-port", set_number, get_number, FIELD(slot_number), SLOT_NUMBER_MAX},
    {"chassis", DEVICE, "pcie-root-port", set_number, get_number, FIELD(chassis), CHASSIS_MAX},
    {"dma_mask", DEVICE, "edu", set_dma_mask, get_dma_mask},
    {"size", MEMORY | SERVER, NULL, set_size, get_size},
    {"mem-id", MEMORY, NULL, set_text, get_text, FIELD(mem_id)},
    {"vectors", SERVER, NULL, set_vectors, get_vectors},
    {"model", SERVER, NULL, set_model}, /* the type says it already */
    {"ext", SERVER, NULL, set_ext, get_ext},
    /* Of device_add, which has keys alone. */
    {"socket", SERVER, NULL, set_text, get_text, FIELD(socket)},
};

/* Whether a device of that kind has the key. */
static bool has_key(const struct mv_config_device *device, enum form form, const struct key *key)
{
    return (key->forms & form) && (key->type == NULL || strcmp(device->type, key->type) == 0);
}

static int refuse_key(const struct mv_config_device *device, enum form form, const char *word,
                      struct mv_error *err)
{
    if (form == MEMORY)
        return mv_error_set(err, EINVAL,
                            "there is no key '%s' that this version knows: write "
                            "mem=FILE,size=64M, with addr=SLOT.0, bus=ID, id=ID or a bank's keys "
                            "behind it, or mem-id=ID, or SOCKET,vectors=N",
                            word);
    if (form == SERVER)
        return mv_error_set(err, EINVAL,
                            "there is no key '%s' that this version knows: behind the server's "
                            "socket come vectors=N, size=SIZE, ext=on, model=2009, save=on, "
                            "addr=SLOT.0, bus=ID and id=ID",
                            word);
    return mv_error_set(
        err, EINVAL, "there is no key '%s': behind the type come addr=SLOT.0, bus=ID and id=ID%s",
        word,
        strcmp(device->type, "pcie-root-port") == 0 ? ", slot=N and chassis=N"
        : strcmp(device->type, "edu") == 0          ? ", and dma_mask=MASK"
                                                    : "");
}

static int parse_word(struct mv_config_device *device, enum form form, char *word,
                      struct mv_error *err)
{
    const char *value = mv_backing_split(word);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct key *k = &keys[i];
        if (strcmp(word, k->name) == 0 && has_key(device, form, k))
            return k->set(device, k, value == NULL ? "" : value, err);
    }
    /* What a server has is the server's, but for whether a state is to have it, too. */
    const struct mv_backing_key *key =
        form == MEMORY ? mv_backing_find_key(strcmp(word, "mem") == 0 ? "file" : word)
        : form == SERVER && strcmp(word, "save") == 0 ? mv_backing_find_key(word)
                                                      : NULL;
    if (key == NULL)
        return refuse_key(device, form, word, err);
    return mv_backing_set(&device->backing, key, value, err);
}

static int check_memory(struct mv_config_device *device, struct mv_error *err)
{
    const char *block = device->mem_id;
    if (block != NULL && block[0] == '\0')
        return mv_error_set(err, EINVAL, "mem-id= is empty: write the id of a block, such as ram1");
    if (block != NULL && (device->size != 0 || device->backing.seen != 0))
        return mv_error_set(err, EINVAL,
                            "mem-id=%s shows a block as it is: leave size= and a bank's keys away",
                            block);
    if (block != NULL)
        return 0;
    if (device->backing.file == NULL)
        return mv_error_set(
            err, EINVAL,
            "it does not say whose memory it is: write mem=FILE,size=64M, or mem-id=ID "
            "for that of a block");
    if (device->size == 0)
        return mv_error_set(err, EINVAL, "the size is missing: write mem=FILE,size=64M");
    /* Such memory is made to be shared with another guest. */
    device->backing.same_file = true;
    return mv_backing_check(&device->backing, err);
}

static int check_server(const struct mv_config_device *device, struct mv_error *err)
{
    if (device->socket == NULL || device->socket[0] == '\0')
        return mv_error_set(err, EINVAL,
                            "it does not say whose memory it is: write mem=FILE,size=64M, or the "
                            "socket of a server");
    if (device->ext && strcmp(device->type, "ivshmem-2009") == 0)
        return mv_error_set(err, EINVAL,
                            "ext=on goes with the registers of revision 1, not with those of 2009");
    return 0;
}

static int parse_words(struct mv_config_device *device, enum form form, char *rest,
                       struct mv_error *err)
{
    int r = 0;
    while (r == 0 && rest != NULL)
        r = parse_word(device, form, mv_backing_next_word(&rest), err);
    if (r == 0 && form == MEMORY)
        r = check_memory(device, err);
    if (r == 0 && form == SERVER)
        r = check_server(device, err);
    return r;
}

/* --- what stands before the keys */

static int parse_device(struct mv_config_device *device, char *words, struct mv_error *err)
{
    int r = copy(&device->type, mv_backing_next_word(&words), err);
    return r == 0 ? parse_words(device, DEVICE, words, err) : r;
}

static enum form form_of(const char *type)
{
    static const struct {
        const char *type;
        enum form form;
    } others[] = {
        {"ivshmem-plain", MEMORY}, {"ivshmem-doorbell", SERVER}, {"ivshmem-2009", SERVER}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(type, others[i].type) == 0)
            return others[i].form;
    }
    return DEVICE;
}

static int parse_device_add(struct mv_config_device *device, char *words, struct mv_error *err)
{
    int r = copy(&device->type, mv_backing_next_word(&words), err);
    return r == 0 ? parse_words(device, form_of(device->type), words, err) : r;
}

static int parse_server(struct mv_config_device *device, const char *type, char *words,
                        struct mv_error *err)
{
    int r = copy(&device->type, type, err);
    if (r == 0)
        r = copy(&device->socket, mv_backing_next_word(&words), err);
    return r == 0 ? parse_words(device, SERVER, words, err) : r;
}

static int parse_ivshmem(struct mv_config_device *device, char *words, struct mv_error *err)
{
    size_t digits = strspn(words, "0123456789");
    int r;
    /* SIZE_IN_MB,unix:PATH, as the first patch had it, with keys behind it. */
    if (digits > 0 && strncmp(words + digits, ",unix:", 6) == 0) {
        words[digits] = '\0';
        r = mv_size_parse(words, &device->size, err);
        return r < 0 ? r : parse_server(device, "ivshmem-2009", words + digits + 6, err);
    }
    /* The first word is the path of a server's socket, and no key. */
    if (words[strcspn(words, "=,/")] != '=')
        return parse_server(device, "ivshmem-doorbell", words, err);
    r = copy(&device->type, "ivshmem-plain", err);
    return r < 0 ? r : parse_words(device, MEMORY, words, err);
}

static int parse(const char *text, struct mv_config_device *ret,
                 int (*fn)(struct mv_config_device *device, char *words, struct mv_error *err),
                 struct mv_error *err)
{
    struct mv_config_device device = {
        .slot = -1, .slot_number = -1, .chassis = -1, .dma_mask = DMA_MASK, .vectors = 1};
    CLEANUP_FREE char *words = strdup(text);
    int r = words == NULL ? mv_error_set_errno(err, ENOMEM, "copying it")
                          : copy(&device.text, text, err);
    if (r == 0)
        r = fn(&device, words, err);
    if (r < 0)
        mv_config_device_clear(&device);
    else
        *ret = device;
    return r;
}

int mv_config_parse_device(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    return parse(text, ret, parse_device, err);
}

int mv_config_parse_device_add(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    return parse(text, ret, parse_device_add, err);
}

int mv_config_parse_ivshmem(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    return parse(text, ret, parse_ivshmem, err);
}

void mv_device_print(FILE *out, const struct mv_config_device *device)
{
    enum form form = form_of(device->type);
    struct mv_config_backing backing = device->backing;
    char buf[MV_VALUE_TEXT];
    mv_text_word(out, device->type);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct key *k = &keys[i];
        const char *value =
            k->get != NULL && has_key(device, form, k) ? k->get(device, k, buf) : NULL;
        if (value != NULL)
            mv_text_key(out, k->name, value);
    }
    /* That others may map its file is understood. */
    if (!mv_backing_is_seen(&backing, mv_backing_find_key("same-file")))
        backing.same_file = false;
    mv_backing_print(out, &backing);
}
