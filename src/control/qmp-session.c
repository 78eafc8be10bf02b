/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol: a value that the input cut out becomes a command, is checked
 * against the command's row, run, and answered.  Nothing takes effect before
 * all of it was checked.  Called by control.c and the fuzz target.
 */
#include "qmp-session.h"

#include "cleanup.h"
#include "control.h"
#include "job.h"
#include "log.h"
#include "qmp-json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The classes of errors that there are (QEMU, qapi/error.json: QapiErrorClass). */
#define COMMAND_NOT_FOUND "CommandNotFound"
#define DEVICE_NOT_FOUND  "DeviceNotFound"

#define GREETING_HEAD "{\"QMP\": {\"version\": "
#define GREETING_TAIL ", \"capabilities\": []}}\r\n"

/* What is sent where there is no memory for another error. */
static const char out_of_memory[] = MV_QMP_ERROR("out of memory");

/* The text of a value, to be freed; NULL where the value or its text lacks memory. */
static char *dump(const json_t *value)
{
    char *text =
        value == NULL ? NULL : mv_qmp_value_dump(value, JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    if (mv_json_memory_failed()) {
        free(text);
        return NULL;
    }
    return text;
}

/* Send {name: body} with the id, which may be NULL; all are texts, and this allocates nothing. */
static void send_answer(struct mv_qmp_session *session, const char *name, const char *body,
                        const char *id)
{
    const char *const texts[] = {
        "{\"", name, "\": ", body, id == NULL ? "" : ", \"id\": ", id == NULL ? "" : id, "}\r\n"};
    struct iovec parts[sizeof texts / sizeof texts[0]];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        parts[i] = (struct iovec){(void *)(uintptr_t)texts[i], strlen(texts[i])};
    session->send(session->opaque, parts, sizeof texts / sizeof texts[0]);
}

static void send_error(struct mv_qmp_session *session, const char *class, const char *text,
                       const char *id)
{
    (void)mv_json_memory_failed();
    json_t *desc = json_string(text);
    if (desc == NULL) /* no UTF-8: a file's name may be in it */
        desc = json_string("an error whose text is no UTF-8");
    json_t *value = json_pack("{s:s, s:o}", "class", class, "desc", desc);
    CLEANUP_FREE char *body = dump(value);
    json_decref(value);
    send_answer(session, "error", body == NULL ? out_of_memory : body, id);
}

/* The text of what a command returns: *ret NULL for an empty object. */
static int dump_result(const struct mv_qmp_command *command, const json_t *result, char **ret,
                       struct mv_error *err)
{
    struct mv_error mismatch = {"there is none"};
    bool empty = result == NULL && command->returns == &mv_qmp_empty;
    if (!empty && (result == NULL || mv_qmp_type_check(command->returns, result, &mismatch) < 0)) {
        mv_warn("control socket: the answer to %s is not of its type: %s", command->name,
                mismatch.text);
        return mv_error_set(err, EPROTO, "the answer cannot be told: %s", mismatch.text);
    }
    *ret = empty ? NULL : dump(result);
    return !empty && *ret == NULL ? mv_error_set(err, ENOMEM, "out of memory") : 0;
}

/*
 * A result that was made while memory ran out (`lacking`) may be incomplete: it is not sent.
 * `lost` is in its place.
 */
static void finish(struct mv_qmp_session *session, const struct mv_qmp_command *command, int r,
                   json_t *result, bool lacking, const char *lost, struct mv_error *err,
                   const char *id)
{
    CLEANUP_FREE char *body = NULL;
    bool done = r == 0;
    if (done)
        r = lacking ? -ENOMEM : dump_result(command, result, &body, err);
    json_decref(result);
    if (r == 0)
        send_answer(session, "return", body == NULL ? "{}" : body, id);
    else if (done && r == -ENOMEM)
        send_answer(session, "error", lost == NULL ? out_of_memory : lost, id);
    else
        send_error(session, r == -ENODEV ? DEVICE_NOT_FOUND : MV_QMP_GENERIC_ERROR, err->text, id);
}

void mv_qmp_session_finish(struct mv_job *job)
{
    struct mv_qmp_session *session = job->session;
    if (session == NULL) {
        json_decref(job->answer);
        return;
    }
    session->job = NULL;
    (void)mv_json_memory_failed();
    finish(session, job->command, job->result, job->answer, job->lacking, job->lost, &job->err,
           job->id);
    if (session->on_finished != NULL)
        session->on_finished(session->opaque);
}

/* Check the shape of a command. */
static int check_shape(const json_t *request, struct mv_error *err)
{
    const char *name;
    json_t *member;
    if (!json_is_object(request))
        return mv_error_set(err, EINVAL, "a command must be a JSON object");
    json_object_foreach((json_t *)(uintptr_t)request, name, member)
    {
        bool execute = strcmp(name, "execute") == 0, arguments = strcmp(name, "arguments") == 0;
        if (execute && !json_is_string(member))
            return mv_error_set(err, EINVAL, "'execute' must be a string");
        if (arguments && !json_is_object(member))
            return mv_error_set(err, EINVAL, "'arguments' must be an object");
        if (!execute && !arguments && strcmp(name, "id") != 0)
            return mv_error_set(err, EINVAL, "a command has no member '%.64s'", name);
    }
    return json_object_get(request, "execute") != NULL
               ? 0
               : mv_error_set(err, EINVAL, "the command lacks 'execute'");
}

/* A guest that is on its way is nobody's to be steered yet. */
static int check_when(const struct mv_control *control, const struct mv_qmp_command *command,
                      struct mv_error *err)
{
    if (command->when == MV_QMP_ALWAYS || !mv_incoming_is_due(control) ||
        (command->when == MV_QMP_MADE && control->machine != NULL))
        return 0;
    return mv_error_set(err, EBUSY,
                        "the guest is not here yet (inmigrate): wait until query-status says that "
                        "it runs, or end this by 'quit'");
}

/* Takes the id's text over. */
static void run(struct mv_qmp_session *session, const struct mv_qmp_command *command,
                const json_t *arguments, char *id_text)
{
    CLEANUP_FREE char *id = id_text;
    struct mv_error err;
    struct mv_qmp_call call = {
        .machine = session->control->machine, .session = session, .arguments = arguments};
    int r = mv_qmp_type_check(command->arguments, arguments, &err);
    if (r == 0)
        r = check_when(session->control, command, &err);
    if (r == 0)
        r = command->run(&call, &err);
    if (r == MV_QMP_LATER) {
        session->job->command = command;
        session->job->id = id;
        id = NULL;
        return;
    }
    finish(session, command, r, call.result, mv_json_memory_failed(), NULL, &err, id);
}

/* NULL and what is wrong where it cannot be run. */
static const struct mv_qmp_command *find_command(const struct mv_qmp_session *session,
                                                 const char *name, struct mv_error *err)
{
    bool negotiates = strcmp(name, "qmp_capabilities") == 0;
    const struct mv_qmp_command *command = mv_qmp_command_find(name, false);
    if (!session->negotiated && !negotiates)
        mv_error_set(err, EPROTO,
                     "the capabilities are to be negotiated first, by 'qmp_capabilities'");
    else if (session->negotiated && negotiates)
        mv_error_set(err, EPROTO, "the capabilities are negotiated already");
    else if (command == NULL)
        mv_error_set(err, ENOENT, "there is no command '%.128s'", name);
    else
        return command;
    return NULL;
}

/*
 * Memory for the answer is there before the command runs, so that what was done is also
 * reported.
 */
static void serve(struct mv_qmp_session *session, const json_t *request)
{
    struct mv_error err;
    const json_t *id = json_is_object(request) ? json_object_get(request, "id") : NULL;
    json_t *none = json_object();
    CLEANUP_FREE char *id_text = id == NULL ? NULL : dump(id);
    const struct mv_qmp_command *command = NULL;
    int r = none == NULL || (id != NULL && id_text == NULL)
                ? mv_error_set(&err, ENOMEM, "out of memory")
                : check_shape(request, &err);
    if (r == 0)
        command =
            find_command(session, json_string_value(json_object_get(request, "execute")), &err);
    if (command == NULL) {
        send_error(session, r == 0 ? COMMAND_NOT_FOUND : MV_QMP_GENERIC_ERROR, err.text, id_text);
    } else {
        const json_t *arguments = json_object_get(request, "arguments");
        run(session, command, arguments == NULL ? none : arguments, id_text);
        id_text = NULL;
    }
    json_decref(none);
}

static void refuse_text(struct mv_qmp_session *session, const char *why)
{
    char text[256];
    snprintf(text, sizeof text, "no JSON: %s", why);
    send_error(session, MV_QMP_GENERIC_ERROR, text, NULL);
}

static void serve_text(struct mv_qmp_session *session)
{
    json_error_t why;
    (void)mv_json_memory_failed();
    if (!mv_json_memory_begin_parse(session->input.len)) {
        send_answer(session, "error", out_of_memory, NULL);
        return;
    }
    json_t *request = mv_qmp_value_parse(session->input.text, session->input.len, &why);
    mv_json_memory_end_parse();
    if (request == NULL)
        refuse_text(session, why.text);
    else
        serve(session, request);
    json_decref(request);
    mv_json_memory_free_parsed();
}

size_t mv_qmp_session_take(struct mv_qmp_session *session, const char *buf, size_t len)
{
    size_t taken;
    if (session->job != NULL)
        return 0;
    enum mv_qmp_input_result result = mv_qmp_input_take(&session->input, buf, len, &taken);
    if (result == MV_QMP_INPUT_VALUE)
        serve_text(session);
    else if (result == MV_QMP_INPUT_ERROR)
        refuse_text(session, session->input.error);
    return taken;
}

int mv_qmp_session_start(struct mv_qmp_session *session, struct mv_error *err)
{
    mv_qmp_input_init(&session->input);
    (void)mv_json_memory_failed();
    json_t *version = mv_qmp_version();
    CLEANUP_FREE char *text = dump(version);
    json_decref(version);
    if (text == NULL)
        return mv_error_set_errno(err, ENOMEM, "a client");
    struct iovec parts[] = {{(void *)(uintptr_t)GREETING_HEAD, sizeof GREETING_HEAD - 1},
                            {text, strlen(text)},
                            {(void *)(uintptr_t)GREETING_TAIL, sizeof GREETING_TAIL - 1}};
    session->send(session->opaque, parts, sizeof parts / sizeof parts[0]);
    return 0;
}

int mv_qmp_session_take_fd(struct mv_qmp_session *session)
{
    int fd = session->has_fd ? session->fd : -1;
    session->has_fd = false;
    return fd;
}

void mv_qmp_session_give_fd(struct mv_qmp_session *session, int fd)
{
    int before = mv_qmp_session_take_fd(session);
    mv_cleanup_close(&before);
    session->fd = fd;
    session->has_fd = true;
}

void mv_qmp_session_end(struct mv_qmp_session *session)
{
    int fd = mv_qmp_session_take_fd(session);
    mv_cleanup_close(&fd);
    mv_qmp_input_clear(&session->input);
    if (session->job != NULL)
        session->job->session = NULL;
    session->job = NULL;
}

void mv_qmp_session_event(struct mv_qmp_session *session, const char *event)
{
    struct iovec parts[] = {{(void *)(uintptr_t)event, strlen(event)},
                            {(void *)(uintptr_t) "\r\n", 2}};
    if (session->negotiated)
        session->send(session->opaque, parts, sizeof parts / sizeof parts[0]);
}
