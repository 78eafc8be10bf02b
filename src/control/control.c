/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners, the list of clients, and the events that go to all of them.
 * Called by cli/run.c; no lock, for all of it is the main thread's.
 */
#include "control.h"

#include "block-info.h"
#include "block.h"
#include "cleanup.h"
#include "client.h"
#include "job.h"
#include "log.h"
#include "qmp-command.h"
#include "qmp-json.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#define CLIENTS_MAX 64

/* --- clients */

void mv_control_client_end(struct mv_control_client *client)
{
    struct mv_control *control = client->session.control;
    struct mv_control_client **link = &control->clients;
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    control->client_count--;
    control->refusing = false;
    mv_control_client_destroy(client);
}

/* Say so once, not for each that a client in a hurry tries. */
static void note_refusal(struct mv_control *control, const char *why)
{
    if (!control->refusing)
        mv_warn("control socket: clients are refused: %s", why);
    control->refusing = true;
}

static void on_client(void *opaque, int fd)
{
    struct mv_control *control = opaque;
    struct mv_control_client *client;
    struct mv_error err;
    if (control->client_count >= CLIENTS_MAX) {
        note_refusal(control, "64 are connected");
        mv_cleanup_close(&fd);
        return;
    }
    if (mv_control_client_create(control, fd, &client, &err) < 0) {
        note_refusal(control, err.text);
        return;
    }
    client->next = control->clients;
    control->clients = client;
    control->client_count++;
}

int mv_control_listen(struct mv_control *control, const char *path, struct mv_error *err)
{
    int r = mv_listener_open(&control->listeners[control->listener_count], control->loop, path,
                             "control socket", on_client, control, err);
    control->listener_count += r == 0;
    return r;
}

/* --- events */

/* The event as a line; NULL without memory. */
static char *dump_event(const char *name, const json_t *data)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_t *event = json_pack("{s:{s:I, s:I}, s:s}", "timestamp", "seconds", (json_int_t)now.tv_sec,
                              "microseconds", (json_int_t)(now.tv_nsec / 1000), "event", name);
    if (json_object_size(data) > 0)
        json_object_set(event, "data", (json_t *)(uintptr_t)data);
    char *line = event == NULL ? NULL : json_dumps(event, JSON_ENSURE_ASCII);
    json_decref(event);
    return line;
}

/*
 * A client could wait for ever for an event that it missed.  So without memory it is
 * dropped, and can connect and ask again.
 */
static void tell(struct mv_control *control, const char *line)
{
    for (struct mv_control_client *c = control->clients; c != NULL; c = c->next) {
        if (line != NULL)
            mv_qmp_session_event(&c->session, line);
        else if (c->session.negotiated)
            mv_control_client_drop(c, "there is no memory for an event");
    }
}

static bool is_event(const char *name, const json_t *data)
{
    struct mv_error err;
    const struct mv_qmp_command *type = mv_qmp_command_find(name, true);
    if (type != NULL && mv_qmp_type_check(type->arguments, data, &err) == 0)
        return true;
    mv_warn("control socket: the event %s is not of its type: %s", name,
            type == NULL ? "there is none" : err.text);
    return false;
}

/*
 * Memory that an event lacks must not be blamed on the command that is being served:
 * what that lacked before stays noted.
 */
bool mv_control_send_event(struct mv_control *control, const char *name, const char *format, ...)
{
    va_list ap;
    bool before = mv_json_memory_failed();
    va_start(ap, format);
    json_t *data = json_vpack_ex(NULL, 0, format, ap);
    va_end(ap);
    bool lacking = mv_json_memory_failed(), bad = data == NULL && !lacking;
    if (lacking || (!bad && is_event(name, data))) {
        CLEANUP_FREE char *line = lacking ? NULL : dump_event(name, data);
        tell(control, mv_json_memory_failed() ? NULL : line);
    }
    json_decref(data);
    if (before)
        mv_json_memory_note();
    return !bad;
}

/* QEMU's words (qapi/run-state.json: ShutdownCause). */
static const struct {
    bool guest;
    const char *shutdown;
    const char *reset;
} causes[] = {
    [MV_CAUSE_GUEST_SHUTDOWN] = {true, "guest-shutdown", "guest-shutdown"},
    [MV_CAUSE_GUEST_RESET] = {true, "guest-reset", "guest-reset"},
    [MV_CAUSE_HOST_SIGNAL] = {false, "host-signal", "host-signal"},
    [MV_CAUSE_HOST_UI] = {false, "host-ui", "host-ui"},
    [MV_CAUSE_HOST_QMP] = {false, "host-qmp-quit", "host-qmp-system-reset"},
    [MV_CAUSE_HOST_DEBUGGER] = {false, "host-ui", "host-ui"},
    [MV_CAUSE_HOST_MOVE] = {false, "host-qmp-quit", "host-qmp-system-reset"},
    [MV_CAUSE_HOST_ERROR] = {false, "host-error", "host-error"},
};

static void on_machine_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause)
{
    static const char *const names[] = {
        [MV_MACHINE_EVENT_STOP] = "STOP",         [MV_MACHINE_EVENT_RESUME] = "RESUME",
        [MV_MACHINE_EVENT_RESET] = "RESET",       [MV_MACHINE_EVENT_POWERDOWN] = "POWERDOWN",
        [MV_MACHINE_EVENT_SHUTDOWN] = "SHUTDOWN",
    };
    if (event == MV_MACHINE_EVENT_RESET || event == MV_MACHINE_EVENT_SHUTDOWN)
        mv_control_send_event(
            opaque, names[event], "{s:b, s:s}", "guest", causes[cause].guest, "reason",
            event == MV_MACHINE_EVENT_RESET ? causes[cause].reset : causes[cause].shutdown);
    else
        mv_control_send_event(opaque, names[event], "{}");
    if (event == MV_MACHINE_EVENT_RESUME)
        mv_moving_resumed(opaque);
}

static void on_machine_fault(void *opaque, const struct mv_block *block, uint64_t offset,
                             const struct mv_block_fault *why)
{
    const char *file = mv_block_file(block);
    if (!mv_control_send_event(opaque, "X_BLOCK_ERROR", "{s:s, s:I, s:s, s:s, s:o*}", "id",
                               block->id, "offset", (json_int_t)offset, "reason", why->reason,
                               "message", why->what.text, "file",
                               file == NULL ? NULL : json_string(file)))
        mv_control_send_event(opaque, "X_BLOCK_ERROR", "{s:s, s:I, s:s, s:s}", "id", block->id,
                              "offset", (json_int_t)offset, "reason", why->reason, "message",
                              "see standard error");
}

static void on_device(void *opaque, const char *path, const char *id, bool is_there)
{
    if (!is_there)
        mv_control_send_event(opaque, "DEVICE_DELETED", "{s:s*, s:s+}", "device", id, "path",
                              id != NULL ? "/machine/peripheral/" : "/machine/peripheral-anon/",
                              id != NULL ? id : path);
}

static int on_resuming(void *opaque, struct mv_error *err)
{
    return mv_saving_end_pause(opaque, err);
}

/* --- life */

int mv_control_create(struct mv_loop *loop, struct mv_machine *machine, struct mv_control **ret,
                      struct mv_error *err)
{
    struct mv_control *control = calloc(1, sizeof *control);
    if (control == NULL)
        return mv_error_set_errno(err, ENOMEM, "control socket");
    mv_json_memory_watch();
    control->loop = loop;
    control->saving.ticker.fd = -1;
    mv_moving_init(&control->moving);
    control->observer = (struct mv_machine_observer){.event = on_machine_event,
                                                     .fault = on_machine_fault,
                                                     .device = on_device,
                                                     .resuming = on_resuming,
                                                     .opaque = control};
    if (machine != NULL)
        mv_control_take_machine(control, machine);
    *ret = control;
    return 0;
}

void mv_control_take_machine(struct mv_control *control, struct mv_machine *machine)
{
    control->machine = machine;
    mv_machine_observe(machine, &control->observer);
}

void mv_control_destroy(struct mv_control *control)
{
    if (control == NULL)
        return;
    if (control->machine != NULL)
        mv_machine_unobserve(control->machine, &control->observer);
    while (control->listener_count > 0)
        mv_listener_stop(&control->listeners[--control->listener_count]);
    while (control->clients != NULL)
        mv_control_client_end(control->clients);
    mv_jobs_end(control);
    mv_moving_end(control);
    mv_saving_end(control);
    mv_handed_clear(control);
    mv_loop_forget(control->loop, control);
    free(control);
}
