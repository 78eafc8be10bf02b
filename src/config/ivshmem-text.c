/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of --ivshmem, and those of device_add for the same devices. */

#include "config-text.h"

#include "cleanup.h"
#include "size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An MSI-X table's entries (PCI 3.0, 6.8.2.3). */
#define VECTORS_MAX 2048

/* --- without a server */

static int parse_plain_word(struct mv_config_device *device, char *word, uint32_t *seen,
                              struct mv_error *err)
{
    const char *value = mv_backing_split(word);
    int r = mv_device_text_place(device, word, value, err);
    if (r <= 0)
        return r;
    if (strcmp(word, "size") == 0)
        return mv_size_parse(value == NULL ? "" : value, &device->size, err);
    if (strcmp(word, "mem-id") == 0)
        return mv_device_text_copy(&device->mem_id, value == NULL ? "" : value, err);
    const struct mv_backing_key *key = mv_backing_find_key(strcmp(word, "mem") == 0 ? "file" : word);
    if (key == NULL)
        return mv_error_set(err, EINVAL,
                            "there is no key '%s' that this version knows: write "
                            "mem=FILE,size=64M, with addr=SLOT.0, bus=ID, id=ID or a bank's keys "
                            "behind it, or mem-id=ID, or SOCKET,vectors=N",
                            word);
    return mv_backing_set(&device->backing, key, value, seen, err);
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

static int check_plain(struct mv_config_device *device, uint32_t seen, struct mv_error *err)
{
    if (device->mem_id != NULL)
        return check_mem_id(device, seen, err);
    if (device->backing.file == NULL)
        return mv_error_set(err, EINVAL,
                            "it does not say whose memory it is: write mem=FILE,size=64M, or mem-id=ID "
                            "for that of a block");
    if (device->size == 0)
        return mv_error_set(err, EINVAL, "the size is missing: write mem=FILE,size=64M");
    /* Such memory is made to be shared with another guest. */
    device->backing.same_file = true;
    return mv_backing_check(&device->backing, err);
}

int mv_ivshmem_text_plain(struct mv_config_device *device, char *words, struct mv_error *err)
{
    uint32_t seen = 0;
    int r = mv_device_text_copy(&device->type, "ivshmem-plain", err);
    if (r == 0)
        r = mv_device_text_words(device, words, parse_plain_word, &seen, err);
    return r == 0 ? check_plain(device, seen, err) : r;
}

/* --- with one: the keys behind its socket */

static int set_socket(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    return mv_device_text_copy(&device->socket, value, err);
}

static int set_size(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    return mv_size_parse(value, &device->size, err);
}

static int set_vectors(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    size_t digits = strspn(value, "0123456789");
    unsigned long vectors = digits == 0 || digits > 4 ? 0 : strtoul(value, NULL, 10);
    if (vectors == 0 || vectors > VECTORS_MAX || value[digits] != '\0')
        return mv_error_set(err, EINVAL,
                            "vectors=%s is no number of vectors: give one from 1 to %d",
                            value, VECTORS_MAX);
    device->vectors = (unsigned)vectors;
    return 0;
}

/* The registers: today's, or the first patch's. */
static int set_model(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    static const char *const models[][2] = {{"1", "ivshmem-doorbell"}, {"2009", "ivshmem-2009"}};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        if (strcmp(value, models[i][0]) == 0)
            return mv_device_text_copy(&device->type, models[i][1], err);
    }
    return mv_error_set(err, EINVAL,
                        "there is no model=%s: give 1, which is revision 1 and the default, or "
                        "2009",
                        value);
}

static int set_ext(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return mv_error_set(err, EINVAL, "ext=%s: give on or off", value);
    device->ext = strcmp(value, "on") == 0;
    return 0;
}

static const struct server_key {
    const char *key;
    int (*set)(struct mv_config_device *device, const char *value, struct mv_error *err);
} server_keys[] = {
    {"vectors", set_vectors}, {"size", set_size}, {"model", set_model}, {"ext", set_ext},
    {"socket", set_socket}, /* of device_add, which has keys alone */
};

static int parse_server_word(struct mv_config_device *device, char *word, uint32_t *seen,
                             struct mv_error *err)
{
    (void)seen;
    const char *value = mv_backing_split(word);
    int r = mv_device_text_place(device, word, value, err);
    for (size_t i = 0; r > 0 && i < sizeof server_keys / sizeof server_keys[0]; i++) {
        if (strcmp(word, server_keys[i].key) == 0)
            r = server_keys[i].set(device, value == NULL ? "" : value, err);
    }
    if (r <= 0)
        return r;
    return mv_error_set(err, EINVAL,
                        "there is no key '%s' that this version knows: behind the server's socket "
                        "come vectors=N, size=SIZE, ext=on, model=2009, addr=SLOT.0, bus=ID and "
                        "id=ID",
                        word);
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

int mv_ivshmem_text_doorbell(struct mv_config_device *device, char *words, struct mv_error *err)
{
    uint32_t seen;
    device->vectors = 1;
    int r = mv_device_text_words(device, words, parse_server_word, &seen, err);
    return r == 0 ? check_server(device, err) : r;
}

static int parse_server(struct mv_config_device *device, const char *type, char *rest,
                        struct mv_error *err)
{
    int r = mv_device_text_copy(&device->type, type, err);
    if (r == 0)
        r = mv_device_text_copy(&device->socket, mv_backing_next_word(&rest), err);
    return r == 0 ? mv_ivshmem_text_doorbell(device, rest, err) : r;
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

/* The first word is the path of a server's socket, and no key. */
static bool begins_with_socket(const char *text)
{
    const char *end = text + strcspn(text, "=,/");
    return *end != '=';
}

int mv_config_parse_ivshmem(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    struct mv_config_device device = mv_device_text_fresh;
    CLEANUP_FREE char *words = strdup(text);
    if (words == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    int r = mv_device_text_copy(&device.text, text, err);
    if (r == 0 && is_of_2009(text))
        r = parse_2009(&device, words, err);
    else if (r == 0)
        r = begins_with_socket(text) ? parse_server(&device, "ivshmem-doorbell", words, err)
                                     : mv_ivshmem_text_plain(&device, words, err);
    return mv_device_text_finish(r, &device, ret);
}
