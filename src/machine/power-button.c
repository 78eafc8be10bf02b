/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power button.  Linux's gpio-keys looks at the line again after 5 ms (unless
 * the device tree says otherwise), when a real button has stopped bouncing.  So a
 * press must last: a timer of guest time ends it, since a guest that stands still
 * would miss the press otherwise.  No lock: the main thread's, called by machine.c
 * and machine-run.c.
 */
#include "machine-state.h"

#include "guest-timer.h"
#include "platform-devices.h"
#include "state.h"

#include <stdlib.h>

#define HELD_NS (100 * 1000 * 1000)

struct mv_power_button {
    struct mv_device *gpio;
    unsigned line;
    bool down;
    struct mv_guest_timer *timer;
};

static void timer_expired(void *opaque)
{
    mv_power_button_release(opaque);
}

int mv_power_button_create(struct mv_guest_timers *timers, struct mv_device *gpio, unsigned line,
                           struct mv_power_button **ret, struct mv_error *err)
{
    struct mv_power_button *button = calloc(1, sizeof *button);
    if (button == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the power button");
    button->gpio = gpio;
    button->line = line;
    int r = mv_guest_timer_create(timers, timer_expired, button, &button->timer, err);
    if (r < 0) {
        free(button);
        return r;
    }
    *ret = button;
    return 0;
}

void mv_power_button_destroy(struct mv_power_button *button)
{
    if (button == NULL)
        return;
    mv_guest_timer_destroy(button->timer);
    free(button);
}

static void set(struct mv_power_button *button, bool down)
{
    button->down = down;
    if (button->gpio != NULL)
        mv_pl061_set_input(button->gpio, button->line, down);
    mv_guest_timer_set(button->timer, down ? HELD_NS : MV_GUEST_TIMER_UNSET);
}

void mv_power_button_press(struct mv_power_button *button)
{
    set(button, true);
}

void mv_power_button_release(struct mv_power_button *button)
{
    set(button, false);
}

static const struct mv_state_field state_fields[] = {
    MV_STATE_FLAG("down", struct mv_power_button, down),
};

/* The line is the GPIO's, which has it in its own state; the time it is held begins anew. */
static void state_loaded(void *object)
{
    struct mv_power_button *button = object;
    set(button, button->down);
}

const struct mv_state_table mv_power_button_state =
    MV_STATE_TABLE(struct mv_power_button, "power-button", 1, state_fields, .loaded = state_loaded);
