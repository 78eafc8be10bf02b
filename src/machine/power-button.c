/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power button.  Linux's gpio-keys looks at the line again after 5 ms (unless
 * the device tree says otherwise), when a real button has stopped bouncing.  So a
 * press must last: a timer of the loop ends it, and stands still while the guest
 * does, which would miss the press otherwise.  No lock: the main thread's, called
 * by machine.c and machine-run.c.
 */
#include "machine-state.h"

#include "cleanup.h"
#include "loop.h"
#include "primecell.h"
#include "state.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#define HELD_NS (100 * 1000 * 1000)

struct mv_power_button {
    struct mv_device *gpio;
    unsigned line;
    bool running; /* the machine is */
    bool down;
    int timer_fd;
    struct mv_loop_source *source;
};

static void timer_expired(void *opaque, uint32_t events)
{
    (void)events;
    mv_power_button_release(opaque);
}

int mv_power_button_create(struct mv_loop *loop, struct mv_device *gpio, unsigned line,
                           struct mv_power_button **ret, struct mv_error *err)
{
    struct mv_power_button *button = calloc(1, sizeof *button);
    if (button == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the power button");
    button->gpio = gpio;
    button->line = line;
    button->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int r = button->timer_fd < 0
                ? mv_error_set_errno(err, errno, "the power button's timer")
                : mv_loop_add(loop, button->timer_fd, EPOLLIN, timer_expired, button,
                              &button->source, err);
    if (r < 0) {
        mv_power_button_destroy(button);
        return r;
    }
    *ret = button;
    return 0;
}

void mv_power_button_destroy(struct mv_power_button *button)
{
    if (button == NULL)
        return;
    if (button->source != NULL)
        mv_loop_remove(button->source);
    mv_cleanup_close(&button->timer_fd);
    free(button);
}

static void drive(struct mv_power_button *button, bool down)
{
    button->down = down;
    if (button->gpio != NULL)
        mv_pl061_set_input(button->gpio, button->line, down);
}

static void set_timer(struct mv_power_button *button, long ns)
{
    struct itimerspec when = {.it_value.tv_nsec = ns};
    timerfd_settime(button->timer_fd, 0, &when, NULL);
}

void mv_power_button_press(struct mv_power_button *button)
{
    drive(button, true);
    set_timer(button, button->running ? HELD_NS : 0);
}

void mv_power_button_run(struct mv_power_button *button, bool on)
{
    if (on != button->running && button->down)
        set_timer(button, on ? HELD_NS : 0);
    button->running = on;
}

void mv_power_button_release(struct mv_power_button *button)
{
    /* Setting a timer also clears an expiry that nobody has read. */
    set_timer(button, 0);
    drive(button, false);
}

static const struct mv_state_field state_fields[] = {
    MV_STATE_FLAG("down", struct mv_power_button, down),
};

/* The line is the GPIO's, which has it in its own state; the time it is held begins anew. */
static void state_loaded(void *object)
{
    struct mv_power_button *button = object;
    drive(button, button->down);
    set_timer(button, button->down && button->running ? HELD_NS : 0);
}

const struct mv_state_table mv_power_button_state =
    MV_STATE_TABLE(struct mv_power_button, "power-button", 1, state_fields, .loaded = state_loaded);
