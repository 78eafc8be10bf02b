/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of --device and device_add, and what all devices' have in
 * common.  Whether the slot is free is for the machine to say, once it is made.
 */

#include "config-text.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

#define SLOT_MAX        31
#define SLOT_NUMBER_MAX 8191 /* 13 bits of the slot capabilities (PCI Express 4.0, 7.5.3.9) */
#define CHASSIS_MAX     255
#define ID_MAX          63
/* QEMU's, which reaches no RAM of this board: its drivers set none, and its users do. */
#define DMA_MASK        ((UINT64_C(1) << 28) - 1)

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

int mv_device_text_copy(char **field, const char *value, struct mv_error *err)
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
    return mv_device_text_copy(&device->id, value, err);
}

static int set_bus(struct mv_config_device *device, const char *value, struct mv_error *err)
{
    if (value[0] == '\0')
        return mv_error_set(err, EINVAL, "bus= is empty: write the id of a root port");
    return mv_device_text_copy(&device->bus, value, err);
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

/* In bytes, hexadecimal or not. */
static int set_dma_mask(struct mv_config_device *device, const char *value, struct mv_error *err)
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
    {"dma_mask", "edu", set_dma_mask},
};

int mv_device_text_place(struct mv_config_device *device, const char *key, const char *value,
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
    int r = mv_device_text_place(device, word, value, err);
    if (r <= 0)
        return r;
    return mv_error_set(err, EINVAL,
                        "there is no key '%s': behind the type come addr=SLOT.0, bus=ID and id=ID%s",
                        word,
                        strcmp(device->type, "pcie-root-port") == 0 ? ", slot=N and chassis=N"
                        : strcmp(device->type, "edu") == 0          ? ", and dma_mask=MASK"
                                                                    : "");
}

int mv_device_text_words(struct mv_config_device *device, char *rest, mv_device_text_fn *fn,
                         uint32_t *ret_seen, struct mv_error *err)
{
    int r = 0;
    *ret_seen = 0;
    while (r == 0 && rest != NULL)
        r = fn(device, mv_backing_next_word(&rest), ret_seen, err);
    return r;
}

int mv_device_text_finish(int r, struct mv_config_device *device, struct mv_config_device *ret)
{
    if (r < 0)
        mv_config_device_clear(device);
    else
        *ret = *device;
    return r;
}

const struct mv_config_device mv_device_text_fresh = {
    .slot = -1, .slot_number = -1, .chassis = -1, .dma_mask = DMA_MASK};

static int parse_plain_device(struct mv_config_device *device, char *words, struct mv_error *err)
{
    uint32_t seen;
    return mv_device_text_words(device, words, parse_device_word, &seen, err);
}

int mv_config_parse_device(const char *text, struct mv_config_device *ret, struct mv_error *err)
{
    struct mv_config_device device = mv_device_text_fresh;
    CLEANUP_FREE char *words = strdup(text);
    char *rest = words;
    if (words == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    int r = mv_device_text_copy(&device.text, text, err);
    if (r == 0)
        r = mv_device_text_copy(&device.type, mv_backing_next_word(&rest), err);
    if (r == 0)
        r = parse_plain_device(&device, rest, err);
    return mv_device_text_finish(r, &device, ret);
}

int mv_config_parse_device_add(const char *text, struct mv_config_device *ret,
                               struct mv_error *err)
{
    static const struct {
        const char *type;
        int (*parse)(struct mv_config_device *device, char *words, struct mv_error *err);
    } adds[] = {
        {"ivshmem-plain", mv_ivshmem_text_plain},
        {"ivshmem-doorbell", mv_ivshmem_text_doorbell},
        {"ivshmem-2009", mv_ivshmem_text_doorbell},
        {NULL, parse_plain_device},
    };
    struct mv_config_device device = mv_device_text_fresh;
    CLEANUP_FREE char *words = strdup(text);
    char *rest = words;
    size_t i = 0;
    if (words == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    int r = mv_device_text_copy(&device.text, text, err);
    if (r == 0)
        r = mv_device_text_copy(&device.type, mv_backing_next_word(&rest), err);
    while (r == 0 && adds[i].type != NULL && strcmp(device.type, adds[i].type) != 0)
        i++;
    if (r == 0)
        r = adds[i].parse(&device, rest, err);
    return mv_device_text_finish(r, &device, ret);
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
