/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that clients hand over with getfd (QEMU, qapi/misc.json), for addresses such as
 * fd:NAME.  Each is a row of the control's list until it is used or closed.  Main thread.
 */
#include "cleanup.h"
#include "control.h"
#include "qmp-command.h"
#include "qmp-session.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDED_MAX 64

struct mv_handed_fd {
    struct mv_handed_fd *next;
    char *name;
    int fd;
};

MV_QMP_OBJECT_TYPE(name_type, "q_obj_getfd-arg", {"fdname", &mv_qmp_str});

/* The link that leads to the one of this name, or to the end. */
static struct mv_handed_fd **find(struct mv_control *control, const char *name, size_t len)
{
    struct mv_handed_fd **link = &control->handed;
    while (*link != NULL &&
           (strlen((*link)->name) != len || strncmp((*link)->name, name, len) != 0))
        link = &(*link)->next;
    return link;
}

static int unlink_fd(struct mv_handed_fd **link)
{
    struct mv_handed_fd *handed = *link;
    int fd = handed->fd;
    *link = handed->next;
    free(handed->name);
    free(handed);
    return fd;
}

int mv_handed_take(struct mv_control *control, const char *name, size_t len)
{
    struct mv_handed_fd **link = find(control, name, len);
    return *link == NULL ? -1 : unlink_fd(link);
}

void mv_handed_clear(struct mv_control *control)
{
    while (control->handed != NULL)
        close(unlink_fd(&control->handed));
}

static int check_room(struct mv_control *control, struct mv_error *err)
{
    size_t count = 0;
    for (const struct mv_handed_fd *h = control->handed; h != NULL; h = h->next)
        count++;
    return count < HANDED_MAX
               ? 0
               : mv_error_set(err, EMFILE, "%d descriptors wait to be used: 'closefd' closes one",
                              HANDED_MAX);
}

/* One that had the name before is closed, as with QEMU. */
static int getfd(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_qmp_session *session = call->session;
    struct mv_control *control = session->control;
    const char *name = json_string_value(json_object_get(call->arguments, "fdname"));
    CLEANUP_CLOSE int fd = mv_qmp_session_take_fd(session);
    if (fd < 0)
        return mv_error_set(err, EINVAL,
                            "no descriptor came with the command: send one along (SCM_RIGHTS)");
    if (name[0] == '\0' || isdigit((unsigned char)name[0]) || strchr(name, ',') != NULL)
        return mv_error_set(err, EINVAL,
                            "'fdname' '%.64s': a name that is not empty, begins with no digit and "
                            "has no comma is expected",
                            name);
    struct mv_handed_fd **link = find(control, name, strlen(name));
    int r = *link == NULL ? check_room(control, err) : 0;
    if (r < 0)
        return r;
    struct mv_handed_fd *handed = calloc(1, sizeof *handed);
    char *copy = strdup(name);
    if (handed == NULL || copy == NULL) {
        free(handed);
        free(copy);
        return mv_error_set_errno(err, ENOMEM, "a descriptor's name");
    }
    if (*link != NULL)
        close(unlink_fd(link));
    *handed = (struct mv_handed_fd){.next = control->handed, .name = copy, .fd = fd};
    control->handed = handed;
    fd = -1;
    return 0;
}

static int closefd(struct mv_qmp_call *call, struct mv_error *err)
{
    const char *name = json_string_value(json_object_get(call->arguments, "fdname"));
    int fd = mv_handed_take(call->session->control, name, strlen(name));
    if (fd < 0)
        return mv_error_set(err, ENOENT, "there is no descriptor of the name '%.64s'", name);
    close(fd);
    return 0;
}

/* --- addresses */

#define FD_SCHEME "fd:"

#define PART_TEXT 16

/* A part of the address as text: a name becomes the number of what it stands for. */
static int place_part(struct mv_control *control, const char *part, size_t len, int *ret_fd,
                      char ret_text[PART_TEXT], struct mv_error *err)
{
    if (len == 0 || isdigit((unsigned char)part[0])) {
        snprintf(ret_text, PART_TEXT, "%.*s", (int)len, part);
        return 0;
    }
    *ret_fd = mv_handed_take(control, part, len);
    if (*ret_fd < 0)
        return mv_error_set(
            err, ENOENT, "fd:%.*s: no descriptor of this name was handed over: 'getfd' does that",
            (int)len, part);
    /* As one that the process began with, which a channel takes over. */
    if (fcntl(*ret_fd, F_SETFD, 0) < 0)
        return mv_error_set_errno(err, errno, "fd:%.*s", (int)len, part);
    snprintf(ret_text, PART_TEXT, "%d", *ret_fd);
    return 0;
}

void mv_handed_close(int fds[2])
{
    for (int i = 0; i < 2; i++) {
        int flags = fds[i] < 0 ? -1 : fcntl(fds[i], F_GETFD);
        if (flags >= 0 && (flags & FD_CLOEXEC) == 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

int mv_handed_place(struct mv_control *control, const char *uri, int fds[2], char **ret,
                    struct mv_error *err)
{
    char in_text[PART_TEXT], out_text[PART_TEXT];
    bool is_fd = strncmp(uri, FD_SCHEME, strlen(FD_SCHEME)) == 0;
    const char *in = uri + (is_fd ? strlen(FD_SCHEME) : 0);
    size_t len = strcspn(in, ",");
    fds[0] = fds[1] = -1;
    int r = !is_fd ? 0 : place_part(control, in, len, &fds[0], in_text, err);
    if (r == 0 && is_fd && in[len] == ',')
        r = place_part(control, in + len + 1, strlen(in + len + 1), &fds[1], out_text, err);
    if (r == 0 && fds[0] < 0 && fds[1] < 0)
        *ret = strdup(uri);
    else if (r == 0 && asprintf(ret, FD_SCHEME "%s%s%s", in_text, in[len] == ',' ? "," : "",
                                in[len] == ',' ? out_text : "") < 0)
        *ret = NULL;
    if (r == 0 && *ret == NULL)
        r = mv_error_set_errno(err, ENOMEM, "an address");
    if (r < 0)
        mv_handed_close(fds);
    return r;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_fd[] = {
    {"getfd", &name_type, &mv_qmp_empty, getfd, MV_QMP_ALWAYS},
    {"closefd", &name_type, &mv_qmp_empty, closefd, MV_QMP_ALWAYS},
    {NULL},
};
