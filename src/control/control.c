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
#include "loop.h"
#include "machine.h"
#include "qmp-command.h"
#include "qmp-json.h"
#include "unix-socket.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 64

struct listener {
    struct mv_listener socket;
    char *path;
    struct listener *next;
};

struct mv_control {
    struct mv_loop *loop;
    struct mv_machine *machine;
    struct mv_machine_observer observer;
    struct mv_jobs *jobs;
    struct mv_dirty_rate dirty_rate;
    struct listener *listeners;
    struct mv_control_client *clients;
    unsigned client_count;
    bool refusing; /* which was logged */
};

struct mv_machine *mv_control_machine(struct mv_control *control)
{
    return control->machine;
}

struct mv_dirty_rate *mv_control_dirty_rate(struct mv_control *control)
{
    return &control->dirty_rate;
}

struct mv_loop *mv_control_loop(struct mv_control *control)
{
    return control->loop;
}

struct mv_jobs *mv_control_jobs(struct mv_control *control)
{
    return control->jobs;
}

/* --- clients */

static void end_client(struct mv_control_client *client, void *opaque)
{
    struct mv_control *control = opaque;
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
    if (mv_control_client_create(control->loop, control, fd, end_client, control, &client, &err) <
        0) {
        note_refusal(control, err.text);
        return;
    }
    client->next = control->clients;
    control->clients = client;
    control->client_count++;
}

/* --- listeners */

static void close_listener(struct listener *listener)
{
    if (listener->socket.fd >= 0)
        unlink(listener->path);
    mv_listener_stop(&listener->socket);
    free(listener->path);
    free(listener);
}

int mv_control_listen(struct mv_control *control, const char *path, struct mv_error *err)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL || (listener->path = strdup(path)) == NULL) {
        free(listener);
        return mv_error_set_errno(err, ENOMEM, "control socket");
    }
    listener->socket.fd = -1;
    int fd, r = mv_unix_listen("control socket", path, &fd, err);
    if (r == 0) {
        r = mv_listener_start(&listener->socket, control->loop, fd, "control socket", on_client,
                              control, err);
        if (r < 0)
            unlink(path);
    }
    if (r < 0) {
        close_listener(listener);
        return r;
    }
    listener->next = control->listeners;
    control->listeners = listener;
    return 0;
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
    const struct mv_qmp_event *type = mv_qmp_event_find(name);
    if (type != NULL && mv_qmp_type_check(type->data, data, &err) == 0)
        return true;
    mv_warn("control socket: the event %s is not of its type: %s", name,
            type == NULL ? "there is none" : err.text);
    return false;
}

/*
 * Memory that an event lacks must not be blamed on the command that is being served: note
 * what the command lacked so far, until send_event.
 */
static bool begin_event(void)
{
    return mv_json_memory_failed();
}

/* `data` is given away, `before` is begin_event's. */
static void send_event(struct mv_control *control, const char *name, json_t *data, bool before)
{
    CLEANUP_FREE char *line = NULL;
    if (data == NULL)
        data = json_object();
    bool lacking = mv_json_memory_failed();
    if (lacking || is_event(name, data)) {
        line = lacking ? NULL : dump_event(name, data);
        tell(control, mv_json_memory_failed() ? NULL : line);
    }
    json_decref(data);
    if (before)
        mv_json_memory_note();
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
    [MV_CAUSE_HOST_ERROR] = {false, "host-error", "host-error"},
};

static void on_machine_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause)
{
    static const char *const names[] = {
        [MV_MACHINE_EVENT_STOP] = "STOP",         [MV_MACHINE_EVENT_RESUME] = "RESUME",
        [MV_MACHINE_EVENT_RESET] = "RESET",       [MV_MACHINE_EVENT_POWERDOWN] = "POWERDOWN",
        [MV_MACHINE_EVENT_SHUTDOWN] = "SHUTDOWN",
    };
    json_t *data = NULL;
    bool before = begin_event();
    if (event == MV_MACHINE_EVENT_RESET || event == MV_MACHINE_EVENT_SHUTDOWN)
        data = json_pack("{s:b, s:s}", "guest", causes[cause].guest, "reason",
                         event == MV_MACHINE_EVENT_RESET ? causes[cause].reset
                                                         : causes[cause].shutdown);
    send_event(opaque, names[event], data, before);
}

static void on_machine_fault(void *opaque, const struct mv_block *block, uint64_t offset,
                             const struct mv_block_fault *why)
{
    const char *file = mv_block_file(block);
    bool before = begin_event();
    json_t *data = json_pack("{s:s, s:I, s:s, s:s}", "id", block->id, "offset", (json_int_t)offset,
                             "reason", why->reason, "message", why->what.text);
    if (data == NULL) /* a file's name that is no UTF-8 */
        data = json_pack("{s:s, s:I, s:s, s:s}", "id", block->id, "offset", (json_int_t)offset,
                         "reason", why->reason, "message", "see standard error");
    else if (file != NULL)
        json_object_set_new(data, "file", json_string(file));
    send_event(opaque, "X_BLOCK_ERROR", data, before);
}

static void on_device(void *opaque, const char *path, const char *id, bool is_there)
{
    if (is_there)
        return;
    bool before = begin_event();
    json_t *qom_path = json_sprintf("/machine/%s/%s", id != NULL ? "peripheral" : "peripheral-anon",
                                    id != NULL ? id : path);
    send_event(opaque, "DEVICE_DELETED", json_pack("{s:s*, s:o}", "device", id, "path", qom_path),
               before);
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
    control->machine = machine;
    int r = mv_jobs_create(loop, &control->jobs, err);
    if (r < 0) {
        free(control);
        return r;
    }
    control->observer = (struct mv_machine_observer){.event = on_machine_event,
                                                     .fault = on_machine_fault,
                                                     .device = on_device,
                                                     .opaque = control};
    mv_machine_observe(machine, &control->observer);
    *ret = control;
    return 0;
}

void mv_control_destroy(struct mv_control *control)
{
    if (control == NULL)
        return;
    mv_machine_unobserve(control->machine, &control->observer);
    while (control->listeners != NULL) {
        struct listener *next = control->listeners->next;
        close_listener(control->listeners);
        control->listeners = next;
    }
    while (control->clients != NULL)
        end_client(control->clients, control);
    mv_jobs_destroy(control->jobs);
    free(control);
}
