/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol: a value that the input cut out becomes a command, is checked
 * against the command's row, run, and answered.  Nothing takes effect before
 * all of it was checked.  Called by control.c and the fuzz target.
 */
#include "qmp-session.h"

#include "log.h"
#include "qmp-command.h"
#include "qmp-value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The classes of errors that there are (QEMU, qapi/error.json: QapiErrorClass). */
#define GENERIC_ERROR     "GenericError"
#define COMMAND_NOT_FOUND "CommandNotFound"
#define DEVICE_NOT_FOUND  "DeviceNotFound"

struct mv_qmp_later {
    struct mv_qmp_session *session; /* NULL once that has ended */
    const struct mv_qmp_command *command;
    json_t *id;
};

static void send_value(struct mv_qmp_session *session, const json_t *value)
{
    char *text = mv_qmp_value_dump(value, JSON_ENSURE_ASCII);
    size_t len = text == NULL ? 0 : strlen(text);
    char *line = text == NULL ? NULL : realloc(text, len + 3);
    if (line == NULL) {
        /* A client that misses an answer would wait for ever: it is told in a few bytes. */
        static const char failed[] =
            "{\"error\": {\"class\": \"" GENERIC_ERROR "\", \"desc\": \"out of memory\"}}\r\n";
        free(text);
        session->send(session->opaque, failed, sizeof failed - 1);
        return;
    }
    strcpy(line + len, "\r\n");
    session->send(session->opaque, line, len + 2);
    free(line);
}

/* Send {name: body} with the id; takes body over. */
static void send_answer(struct mv_qmp_session *session, const char *name, json_t *body,
                        const json_t *id)
{
    json_t *answer = json_object();
    json_object_set_new(answer, name, body);
    if (id != NULL)
        json_object_set(answer, "id", (json_t *)(uintptr_t)id);
    send_value(session, answer);
    json_decref(answer);
}

static void send_error(struct mv_qmp_session *session, const char *class, const char *text,
                       const json_t *id)
{
    json_t *desc = json_string(text);
    if (desc == NULL) /* no UTF-8: a file's name may be in it */
        desc = json_string("an error whose text is no UTF-8");
    send_answer(session, "error", json_pack("{s:s, s:o}", "class", class, "desc", desc), id);
}

static void finish(struct mv_qmp_session *session, const struct mv_qmp_command *command, int r,
                   json_t *result, struct mv_error *err, const json_t *id)
{
    struct mv_error mismatch;
    if (r == 0 && result == NULL)
        result = json_object();
    if (r == 0 && mv_qmp_type_check(command->returns, result, &mismatch) < 0) {
        mv_warn("control socket: the answer to %s is not of its type: %s", command->name,
                mismatch.text);
        r = mv_error_set(err, EPROTO, "the answer cannot be told: %s", mismatch.text);
    }
    if (r == 0) {
        send_answer(session, "return", result, id);
        return;
    }
    json_decref(result);
    send_error(session, r == -ENODEV ? DEVICE_NOT_FOUND : GENERIC_ERROR, err->text, id);
}

struct mv_qmp_later *mv_qmp_session_later(struct mv_qmp_session *session)
{
    struct mv_qmp_later *later = calloc(1, sizeof *later);
    if (later != NULL) {
        later->session = session;
        session->later = later;
    }
    return later;
}

void mv_qmp_later_forget(struct mv_qmp_later *later)
{
    if (later != NULL)
        later->session->later = NULL;
    free(later);
}

void mv_qmp_later_finish(struct mv_qmp_later *later, int r, json_t *result, struct mv_error *err)
{
    struct mv_qmp_session *session = later->session;
    if (session != NULL) {
        session->later = NULL;
        finish(session, later->command, r, result, err, later->id);
    } else {
        json_decref(result);
    }
    json_decref(later->id);
    free(later);
    if (session != NULL && session->on_finished != NULL)
        session->on_finished(session->opaque);
}

/* Check the shape of a command: NULL, or what is wrong. */
static const char *check_shape(const json_t *request, struct mv_error *err)
{
    const char *name;
    json_t *member;
    if (!json_is_object(request))
        return "a command must be a JSON object";
    json_object_foreach((json_t *)(uintptr_t)request, name, member)
    {
        if (strcmp(name, "execute") == 0 && !json_is_string(member))
            return "'execute' must be a string";
        if (strcmp(name, "arguments") == 0 && !json_is_object(member))
            return "'arguments' must be an object";
        if (strcmp(name, "execute") != 0 && strcmp(name, "arguments") != 0 &&
            strcmp(name, "id") != 0) {
            mv_error_set(err, EINVAL, "a command has no member '%.64s'", name);
            return err->text;
        }
    }
    return json_object_get(request, "execute") == NULL ? "the command lacks 'execute'" : NULL;
}

static void run(struct mv_qmp_session *session, const struct mv_qmp_command *command,
                const json_t *arguments, const json_t *id)
{
    struct mv_error err;
    struct mv_qmp_call call = {
        .control = session->control, .session = session, .arguments = arguments};
    int r = mv_qmp_type_check(command->arguments, arguments, &err);
    if (r == 0)
        r = command->run(&call, &err);
    if (r == MV_QMP_LATER) {
        session->later->command = command;
        session->later->id = json_incref((json_t *)(uintptr_t)id);
        return;
    }
    finish(session, command, r, call.result, &err, id);
}

static void serve(struct mv_qmp_session *session, const json_t *request)
{
    struct mv_error err;
    const json_t *id = json_is_object(request) ? json_object_get(request, "id") : NULL;
    const char *wrong = check_shape(request, &err);
    if (wrong != NULL) {
        send_error(session, GENERIC_ERROR, wrong, id);
        return;
    }
    const char *name = json_string_value(json_object_get(request, "execute"));
    bool negotiates = strcmp(name, "qmp_capabilities") == 0;
    const struct mv_qmp_command *command = mv_qmp_command_find(name);
    wrong = NULL;
    if (!session->negotiated && !negotiates)
        wrong = "the capabilities are to be negotiated first, by 'qmp_capabilities'";
    else if (session->negotiated && negotiates)
        wrong = "the capabilities are negotiated already";
    if (wrong == NULL && command == NULL) {
        mv_error_set(&err, ENOENT, "there is no command '%.128s'", name);
        wrong = err.text;
    }
    if (wrong != NULL) {
        send_error(session, COMMAND_NOT_FOUND, wrong, id);
        return;
    }
    json_t *none = json_object();
    const json_t *arguments = json_object_get(request, "arguments");
    run(session, command, arguments == NULL ? none : arguments, id);
    json_decref(none);
}

static void serve_text(struct mv_qmp_session *session)
{
    json_error_t why;
    char text[256];
    json_t *request = mv_qmp_value_parse(session->input.text, session->input.len, &why);
    if (request == NULL) {
        snprintf(text, sizeof text, "no JSON: %s", why.text);
        send_error(session, GENERIC_ERROR, text, NULL);
        return;
    }
    serve(session, request);
    json_decref(request);
}

size_t mv_qmp_session_take(struct mv_qmp_session *session, const char *buf, size_t len)
{
    size_t taken = 0;
    char text[256];
    if (session->later != NULL)
        return 0;
    switch (mv_qmp_input_take(&session->input, buf, len, &taken)) {
    case MV_QMP_INPUT_VALUE:
        serve_text(session);
        break;
    case MV_QMP_INPUT_ERROR:
        snprintf(text, sizeof text, "no JSON: %s", session->input.error);
        send_error(session, GENERIC_ERROR, text, NULL);
        break;
    case MV_QMP_INPUT_MORE:
        break;
    }
    return taken;
}

void mv_qmp_session_start(struct mv_qmp_session *session)
{
    mv_qmp_input_init(&session->input);
    json_t *greeting =
        json_pack("{s:{s:o, s:[]}}", "QMP", "version", mv_qmp_version(), "capabilities");
    send_value(session, greeting);
    json_decref(greeting);
}

void mv_qmp_session_end(struct mv_qmp_session *session)
{
    mv_qmp_input_clear(&session->input);
    if (session->later != NULL)
        session->later->session = NULL;
    session->later = NULL;
}

void mv_qmp_session_event(struct mv_qmp_session *session, const json_t *event)
{
    if (session->negotiated)
        send_value(session, event);
}
