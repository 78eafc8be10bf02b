/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_power_button: a button on a GPIO line, held down for a moment when
 * it is pressed.  Main thread.  A board without a GPIO has none: NULL, which does
 * nothing.
 */
#ifndef MV_MACHINE_POWER_BUTTON_H
#define MV_MACHINE_POWER_BUTTON_H

#include "error.h"

#include <stdbool.h>

struct mv_device;
struct mv_loop;
struct mv_power_button;
struct mv_state_table;

/* The GPIO (a PL061, or NULL) is to outlive the button. */
int mv_power_button_create(struct mv_loop *loop, struct mv_device *gpio, unsigned line,
                           struct mv_power_button **ret, struct mv_error *err);
void mv_power_button_destroy(struct mv_power_button *button);

/* Down now, up by itself a little later. */
void mv_power_button_press(struct mv_power_button *button);
/* The machine goes on or stands still, and the time that the button is held with it. */
void mv_power_button_run(struct mv_power_button *button, bool on);
/* Whether it is down: a press that a save carries lasts on where it is loaded. */
extern const struct mv_state_table mv_power_button_state;
/* Up now. */
void mv_power_button_release(struct mv_power_button *button);

#endif
