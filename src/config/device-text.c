/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of --device, --ivshmem and device_add.  Whether the slot is
 * free is for the machine to say, once it is made.
 */
#include "run-options.h"

#include "backing-text.h"
#include "cleanup.h"
#include "size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_MAX        31
#define SLOT_NUMBER_MAX 8191 /* 13 bits of the slot capabilities (PCI Express 4.0, 7.5.3.9) */
#define CHASSIS_MAX     255
#define ID_MAX          63
/* An MSI-X table's entries (PCI 3.0, 6.8.2.3). */
#define VECTORS_MAX 2048

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

/* "03.0" or "3": hexadecimal, as lspci shows it; "0x3" as QEMU has it. */
static int set_addr(struct mv_config_device *device, const char *value, struct mv_error *err)
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

static int copy_text(char **field, const char *value, struct mv_error *err)
{
    free(*field);
    *field = strdup(value);
    return *field == NULL ? mv_error_set_errno(err, ENOMEM, "copying it") : 0;
}

/* As QEMU has them; a path of a device, which has a '/', is never one. */
static int set_id(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t first = strspn(value, letters), len = strlen(value);
    size_t good = first;
    while (value[good] != '\0' && (strchr(letters, value[good]) != NULL ||
                                   strchr("0123456789-._", value[good]) != NULL))
        good++;
    if (first == 0 || good != len || len > ID_MAX)
        return mv_error_set(err, EINVAL,
                            "id=%.80s is no name of a device: begin with a letter, and go on with "
                            "letters, digits, '-', '.' and '_', up to %d in all",
                            value, ID_MAX);
    return copy_text(&device->id, value, err);
}

static int set_bus(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    if (value[0] == '\0')
        return mv_error_set(err, EINVAL, "bus= is empty: write the id of a root port");
    return copy_text(&device->bus, value, err);
}

static int set_number(int *field, const char *key, const char *value, int max,
                      struct mv_error *err)
{
    size_t digits = strspn(value, "0123456789");
    unsigned long number = digits == 0 || digits > 9 ? (unsigned long)max + 1 : strtoul(value, NULL, 10);
    if (value[digits] != '\0' || number > (unsigned long)max)
        return mv_error_set(err, EINVAL, "%s=%s is not understood: give a number from 0 to %d", key,
                            value, max);
    *field = (int)number;
    return 0;
}

static int set_slot_number(struct mv_config_device *device, const char *value,
                           struct mv_error *err)
{
    return set_number(&device->slot_number, "slot", value, SLOT_NUMBER_MAX, err);
}

static int set_chassis(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    return set_number(&device->chassis, "chassis", value, CHASSIS_MAX, err);
}

/* The keys that say which device it is and where it sits. */
static const struct place_key {
    const char *key;
    const char *type; /* the only one that has it, or NULL */
    int (*set)(struct mv_config_device *device, const char *value, struct mv_error *err);
} place_keys[] = {
    {"addr", NULL, set_addr},
    {"bus", NULL, set_bus},
    {"id", NULL, set_id},
    {"slot", "pcie-root-port", set_slot_number},
    {"chassis", "pcie-root-port", set_chassis},
};

/* 1 where the word is none of these keys. */
static int set_place(struct mv_config_device *device, const char *key, const char *value,
                     struct mv_error *err)
{
    for (size_t i = 0; i < sizeof place_keys / sizeof place_keys[0]; i++) {
        const struct place_key *k = &place_keys[i];
        if (strcmp(key, k->key) == 0 && (k->type == NULL || strcmp(device->type, k->type) == 0))
            return k->set(device, value == NULL ? "" : value, err);
    }
    return 1;
}

/* One word of --device behind the type. */
static int parse_device_word(struct mv_config_device *device, char *word, uint32_t *seen,
                             struct mv_error *err)
{
    (void)seen;
    const char *value = mv_backing_split(word);
    int r = set_place(device, word, value, err);
    if (r <= 0)
        return r;
    return mv_error_set(err, EINVAL,
                        "there is no key '%s': behind the type come addr=SLOT.0, bus=ID and id=ID%s",
                        word,
                        strcmp(device->type, "pcie-root-port") == 0 ? ", slot=N and chassis=N" : "");
}

static int parse_ivshmem_word(struct mv_config_device *device, char *word, uint32_t *seen,
                              struct mv_error *err)
{
    const char *value = mv_backing_split(word);
    int r = set_place(device, word, value, err);
    if (r <= 0)
        return r;
    if (strcmp(word, "size") == 0)
        return mv_size_parse(value == NULL ? "" : value, &device->size, err);
    if (strcmp(word, "mem-id") == 0)
        return copy_text(&device->mem_id, value == NULL ? "" : value, err);
    const struct mv_backing_key *key = mv_backing_find_key(strcmp(word, "mem") == 0 ? "file" : word);
    if (key == NULL)
        return mv_error_set(err, EINVAL,
                            "there is no key '%s' that this version knows: write "
                            "mem=FILE,size=64M, with addr=SLOT.0, bus=ID, id=ID or a bank's keys "
                            "behind it, or mem-id=ID, or SOCKET,vectors=N",
                            word);
    return mv_backing_set(&device->backing, key, value, seen, err);
}

static int parse_vectors(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    size_t digits = value == NULL ? 0 : strspn(value, "0123456789");
    unsigned long vectors = digits == 0 || digits > 4 ? 0 : strtoul(value, NULL, 10);
    if (vectors == 0 || vectors > VECTORS_MAX || value[digits] != '\0')
        return mv_error_set(err, EINVAL,
                            "vectors=%s is no number of vectors: give one from 1 to %d",
                            value == NULL ? "" : value, VECTORS_MAX);
    device->vectors = (unsigned)vectors;
    return 0;
}

/* The registers: today's, or the first patch's. */
static int parse_model(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    static const char *const models[][2] = {{"1", "ivshmem-doorbell"}, {"2009", "ivshmem-2009"}};
    for (size_t i = 0; value != NULL && i < sizeof models / sizeof models[0]; i++) {
        if (strcmp(value, models[i][0]) != 0)
            continue;
        free(device->type);
        device->type = NULL;
        return copy_text(&device->type, models[i][1], err);
    }
    return mv_error_set(err, EINVAL,
                        "there is no model=%s: give 1, which is revision 1 and the default, or "
                        "2009",
                        value == NULL ? "" : value);
}

static int parse_ext(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    if (value == NULL || (strcmp(value, "on") != 0 && strcmp(value, "off") != 0))
        return mv_error_set(err, EINVAL, "ext=%s: give on or off", value == NULL ? "" : value);
    device->ext = strcmp(value, "on") == 0;
    return 0;
}

/* One word behind the server's socket. */
static int parse_server_word(struct mv_config_device *device, char *word, uint32_t *seen,
                             struct mv_error *err)
{
    (void)seen;
    const char *value = mv_backing_split(word);
    int r = set_place(device, word, value, err);
    if (r <= 0)
        return r;
    if (strcmp(word, "vectors") == 0)
        return parse_vectors(device, value, err);
    if (strcmp(word, "size") == 0)
        return mv_size_parse(value == NULL ? "" : value, &device->size, err);
    if (strcmp(word, "model") == 0)
        return parse_model(device, value, err);
    if (strcmp(word, "ext") == 0)
        return parse_ext(device, value, err);
    return mv_error_set(err, EINVAL,
                        "there is no key '%s' that this version knows: behind the server's socket "
                        "come vectors=N, size=SIZE, ext=on, model=2009, addr=SLOT.0, bus=ID and "
                        "id=ID",
                        word);
}

/* The first word is the path of a server's socket, and no key. */
static bool begins_with_socket(const char *text)
{
    const char *end = text + strcspn(text, "=,/");
    return *end != '=';
}

/* The block has all else. */
static int check_mem_id(const struct mv_config_device *device, uint32_t seen, struct mv_error *err)
{
    if (device->mem_id[0] == '\0')
        return mv_error_set(err, EINVAL, "mem-id= is empty: write the id of a block, such as ram1");
    if (device->size == 0 && seen == 0)
        return 0;
    return mv_error_set(err, EINVAL,
                        "mem-id=%s shows a block as it is: leave size= and a bank's keys away",
                        device->mem_id);
}

static int check_ivshmem(struct mv_config_device *device, uint32_t seen, struct mv_error *err)
{
    if (device->mem_id != NULL)
        return check_mem_id(device, seen, err);
    if (device->backing.file == NULL)
        return mv_error_set(err, EINVAL,
                            "it does not say whose memory it is: write mem=FILE,size=64M, or mem-id=ID "
                            "for that of a block");
    if (device->size == 0)
        return mv_error_set(err, EINVAL, "the size is missing: write mem=FILE,size=64M");
    /* It is there for being shared with another guest. */
    device->backing.same_file = true;
    return mv_backing_check(&device->backing, err);
}

typedef int word_fn(struct mv_config_device *device, char *word, uint32_t *seen,
                    struct mv_error *err);

/* ret_seen: the keys of a backing that were given, a bit each. */
static int parse_words_seen(struct mv_config_device *device, char *rest, word_fn *fn,
                            uint32_t *ret_seen, struct mv_error *err)
{
    int r = 0;
    *ret_seen = 0;
    while (r == 0 && rest != NULL)
        r = fn(device, mv_backing_next_word(&rest), ret_seen, err);
    return r;
}

static int parse_words(struct mv_config_device *device, char *rest, word_fn *fn,
                       struct mv_error *err)
{
    uint32_t seen;
    return parse_words_seen(device, rest, fn, &seen, err);
}

static int finish(int r, struct mv_config_device *device, struct mv_config_device *ret)
{
    if (r < 0)
        mv_config_device_clear(device);
    else
        *ret = *device;
    return r;
}

static const struct mv_config_device fresh = {.slot = -1, .slot_number = -1, .chassis = -1};

int mv_config_parse_device(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    struct mv_config_device device = fresh;
    CLEANUP_FREE char *words = strdup(text);
    char *rest = words;
    if (words == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    int r = copy_text(&device.text, text, err);
    if (r == 0)
        r = copy_text(&device.type, mv_backing_next_word(&rest), err);
    if (r == 0)
        r = parse_words(&device, rest, parse_device_word, err);
    return finish(r, &device, ret);
}

static int parse_plain(struct mv_config_device *device, char *words, struct mv_error *err)
{
    uint32_t seen = 0;
    int r = copy_text(&device->type, "ivshmem-plain", err);
    if (r == 0)
        r = parse_words_seen(device, words, parse_ivshmem_word, &seen, err);
    return r == 0 ? check_ivshmem(device, seen, err) : r;
}

static int check_server(const struct mv_config_device *device, struct mv_error *err)
{
    if (device->ext && strcmp(device->type, "ivshmem-2009") == 0)
        return mv_error_set(err, EINVAL,
                            "ext=on goes with the registers of revision 1, not with those of 2009");
    return 0;
}

static int parse_server(struct mv_config_device *device, const char *type, char *rest,
                        struct mv_error *err)
{
    const char *socket = mv_backing_next_word(&rest);
    device->vectors = 1;
    if (socket == NULL || *socket == '\0')
        return mv_error_set(err, EINVAL,
                            "it does not say whose memory it is: write mem=FILE,size=64M, or the "
                            "socket of a server");
    int r = copy_text(&device->type, type, err);
    if (r == 0)
        r = copy_text(&device->socket, socket, err);
    if (r == 0)
        r = parse_words(device, rest, parse_server_word, err);
    return r == 0 ? check_server(device, err) : r;
}

/* SIZE_IN_MB,unix:PATH, as the first patch had it, with keys behind it. */
static bool is_of_2009(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && strncmp(text + digits, ",unix:", 6) == 0;
}

static int parse_2009(struct mv_config_device *device, char *rest, struct mv_error *err)
{
    char size[32];
    snprintf(size, sizeof size, "%sM", mv_backing_next_word(&rest));
    int r = mv_size_parse(size, &device->size, err);
    return r == 0 ? parse_server(device, "ivshmem-2009", rest + strlen("unix:"), err) : r;
}

int mv_config_parse_ivshmem(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    struct mv_config_device device = fresh;
    CLEANUP_FREE char *words = strdup(text);
    if (words == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    int r = copy_text(&device.text, text, err);
    if (r == 0 && is_of_2009(text))
        r = parse_2009(&device, words, err);
    else if (r == 0)
        r = begins_with_socket(text) ? parse_server(&device, "ivshmem-doorbell", words, err)
                                     : parse_plain(&device, words, err);
    return finish(r, &device, ret);
}

/* For device_add, which has keys alone. */
static int parse_doorbell_add_word(struct mv_config_device *device, char *word, uint32_t *seen,
                                   struct mv_error *err)
{
    static const char key[] = "socket=";
    if (strncmp(word, key, sizeof key - 1) == 0)
        return copy_text(&device->socket, word + sizeof key - 1, err);
    return parse_server_word(device, word, seen, err);
}

static int parse_doorbell_add(struct mv_config_device *device, char *words, struct mv_error *err)
{
    device->vectors = 1;
    int r = parse_words(device, words, parse_doorbell_add_word, err);
    if (r == 0 && (device->socket == NULL || *device->socket == '\0'))
        r = mv_error_set(err, EINVAL,
                         "it does not say whose memory it is: give the socket of a server as "
                         "socket=");
    return r == 0 ? check_server(device, err) : r;
}

static int parse_other_add(struct mv_config_device *device, char *words, struct mv_error *err)
{
    return parse_words(device, words, parse_device_word, err);
}

int mv_config_parse_device_add(const char *text, struct mv_config_device *ret,
                               struct mv_error *err)
{
    static const struct {
        const char *type;
        int (*parse)(struct mv_config_device *device, char *words, struct mv_error *err);
    } adds[] = {
        {"ivshmem-plain", parse_plain},
        {"ivshmem-doorbell", parse_doorbell_add},
        {NULL, parse_other_add},
    };
    struct mv_config_device device = fresh;
    CLEANUP_FREE char *words = strdup(text);
    char *rest = words;
    size_t i = 0;
    if (words == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    int r = copy_text(&device.text, text, err);
    if (r == 0)
        r = copy_text(&device.type, mv_backing_next_word(&rest), err);
    while (r == 0 && adds[i].type != NULL && strcmp(device.type, adds[i].type) != 0)
        i++;
    if (r == 0)
        r = adds[i].parse(&device, rest, err);
    return finish(r, &device, ret);
}

int mv_config_add_device(struct mv_config *config, struct mv_config_device *device,
                         struct mv_error *err)
{
    struct mv_config_device *devices =
        reallocarray(config->devices, config->device_count + 1, sizeof *devices);
    if (devices == NULL) {
        mv_config_device_clear(device);
        return mv_error_set_errno(err, ENOMEM, "keeping it");
    }
    config->devices = devices;
    devices[config->device_count++] = *device;
    return 0;
}
