/* SPDX-License-Identifier: Apache-2.0 */
/* What the arguments of devices have in common (device-text.c).  Within config. */
#ifndef MV_CONFIG_DEVICE_TEXT_H
#define MV_CONFIG_DEVICE_TEXT_H

#include "run-options.h"

#include <stdint.h>

/* What a device is before its arguments are read. */
extern const struct mv_config_device mv_device_text_fresh;

/* In the place of what the field held. */
int mv_device_text_copy(char **field, const char *value, struct mv_error *err);
/* A key that says which device it is and where it sits; 1 where it is none of these. */
int mv_device_text_place(struct mv_config_device *device, const char *key, const char *value,
                         struct mv_error *err);

typedef int mv_device_text_fn(struct mv_config_device *device, char *word, uint32_t *seen,
                              struct mv_error *err);
/* Each word, to fn.  ret_seen: the keys of a backing that were given, a bit each. */
int mv_device_text_words(struct mv_config_device *device, char *rest, mv_device_text_fn *fn,
                         uint32_t *ret_seen, struct mv_error *err);
/* Hand the device out where r is 0, and else clear it; returns r. */
int mv_device_text_finish(int r, struct mv_config_device *device, struct mv_config_device *ret);

/* --- ivshmem-text.c: the words of device_add behind the type */
int mv_ivshmem_text_plain(struct mv_config_device *device, char *words, struct mv_error *err);
int mv_ivshmem_text_doorbell(struct mv_config_device *device, char *words, struct mv_error *err);

#endif
