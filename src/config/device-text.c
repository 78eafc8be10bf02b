/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of --device and --ivshmem.  Whether the slot is free is for
 * the machine to say, once it is made.
 */
#include "run-options.h"

#include "backing-text.h"
#include "cleanup.h"
#include "size.h"

#include <stdlib.h>
#include <string.h>

#define SLOT_MAX 31
/* An MSI-X table's entries (PCI 3.0, 6.8.2.3). */
#define VECTORS_MAX 2048

void mv_config_device_clear(struct mv_config_device *device)
{
    free(device->type);
    free(device->text);
    free(device->socket);
    mv_backing_clear(&device->backing);
    *device = (struct mv_config_device){0};
}

/* "03.0" or "3": hexadecimal, as lspci shows it. */
static int parse_slot(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    char *end = NULL;
    size_t digits = value == NULL ? 0 : strspn(value, "0123456789abcdefABCDEF");
    unsigned long slot = digits == 0 || digits > 2 ? SLOT_MAX + 1 : strtoul(value, &end, 16);
    if (slot > SLOT_MAX || (strcmp(end, "") != 0 && strcmp(end, ".0") != 0))
        return mv_error_set(err, EINVAL,
                            "addr=%s is no PCI slot: give one from 00.0 to 1f.0, such as addr=03.0",
                            value == NULL ? "" : value);
    device->slot = (int)slot;
    return 0;
}

static int copy_text(char **field, const char *value, struct mv_error *err)
{
    *field = strdup(value);
    return *field == NULL ? mv_error_set_errno(err, ENOMEM, "copying it") : 0;
}

/* One word of --device behind the type. */
static int parse_device_word(struct mv_config_device *device, char *word, uint32_t *seen,
                             struct mv_error *err)
{
    (void)seen;
    const char *value = mv_backing_split(word);
    if (strcmp(word, "addr") == 0)
        return parse_slot(device, value, err);
    return mv_error_set(err, EINVAL, "there is no key '%s': behind the type comes addr=SLOT.0",
                        word);
}

static int parse_ivshmem_word(struct mv_config_device *device, char *word, uint32_t *seen,
                              struct mv_error *err)
{
    const char *value = mv_backing_split(word);
    if (strcmp(word, "addr") == 0)
        return parse_slot(device, value, err);
    if (strcmp(word, "size") == 0)
        return mv_size_parse(value == NULL ? "" : value, &device->size, err);
    const struct mv_backing_key *key = mv_backing_find_key(strcmp(word, "mem") == 0 ? "file" : word);
    if (key == NULL)
        return mv_error_set(err, EINVAL,
                            "there is no key '%s' that this version knows: write "
                            "mem=FILE,size=64M, with addr=SLOT.0 or a bank's keys behind it, or "
                            "SOCKET,vectors=N",
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

/* One word behind the server's socket. */
static int parse_server_word(struct mv_config_device *device, char *word, uint32_t *seen,
                             struct mv_error *err)
{
    (void)seen;
    const char *value = mv_backing_split(word);
    if (strcmp(word, "addr") == 0)
        return parse_slot(device, value, err);
    if (strcmp(word, "vectors") == 0)
        return parse_vectors(device, value, err);
    return mv_error_set(err, EINVAL,
                        "there is no key '%s' that this version knows: behind the server's socket "
                        "come vectors=N and addr=SLOT.0",
                        word);
}

/* The first word is the path of a server's socket, and no key. */
static bool begins_with_socket(const char *text)
{
    const char *end = text + strcspn(text, "=,/");
    return *end != '=';
}

static int check_ivshmem(struct mv_config_device *device, struct mv_error *err)
{
    if (device->backing.file == NULL)
        return mv_error_set(err, EINVAL,
                            "it does not say whose memory it is: write mem=FILE,size=64M");
    if (device->size == 0)
        return mv_error_set(err, EINVAL, "the size is missing: write mem=FILE,size=64M");
    /* It is there for being shared with another guest. */
    device->backing.same_file = true;
    return mv_backing_check(&device->backing, err);
}

typedef int word_fn(struct mv_config_device *device, char *word, uint32_t *seen,
                    struct mv_error *err);

static int parse_words(struct mv_config_device *device, char *rest, word_fn *fn,
                       struct mv_error *err)
{
    uint32_t seen = 0;
    int r = 0;
    while (r == 0 && rest != NULL)
        r = fn(device, mv_backing_next_word(&rest), &seen, err);
    return r;
}

static int finish(int r, struct mv_config_device *device, struct mv_config_device *ret)
{
    if (r < 0)
        mv_config_device_clear(device);
    else
        *ret = *device;
    return r;
}

int mv_config_parse_device(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    struct mv_config_device device = {.slot = -1};
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
    int r = copy_text(&device->type, "ivshmem-plain", err);
    if (r == 0)
        r = parse_words(device, words, parse_ivshmem_word, err);
    return r == 0 ? check_ivshmem(device, err) : r;
}

static int parse_doorbell(struct mv_config_device *device, char *rest, struct mv_error *err)
{
    const char *socket = mv_backing_next_word(&rest);
    device->vectors = 1;
    if (socket == NULL || *socket == '\0')
        return mv_error_set(err, EINVAL,
                            "it does not say whose memory it is: write mem=FILE,size=64M, or the "
                            "socket of a server");
    int r = copy_text(&device->type, "ivshmem-doorbell", err);
    if (r == 0)
        r = copy_text(&device->socket, socket, err);
    return r == 0 ? parse_words(device, rest, parse_server_word, err) : r;
}

int mv_config_parse_ivshmem(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    struct mv_config_device device = {.slot = -1};
    CLEANUP_FREE char *words = strdup(text);
    if (words == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    int r = copy_text(&device.text, text, err);
    if (r == 0)
        r = begins_with_socket(text) ? parse_doorbell(&device, words, err)
                                     : parse_plain(&device, words, err);
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
