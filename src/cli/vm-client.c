/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs' side of the control socket.  What a VM sends is checked as far as
 * a verb relies on it: something else may listen there.  One thread; called by
 * the verbs' files.
 */
#include "vm-client.h"

#include "cleanup.h"
#include "process.h"
#include "qmp-json.h"
#include "rundir.h"
#include "unix-socket.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* More than the longest answer: the schema and a map of thousands of blocks. */
#define LINE_MAX_BYTES (64u << 20)

struct mv_vm_client {
    char *path;
    int fd;
    unsigned timeout_ms;
    bool negotiated;
    char *buf;
    size_t used, capacity;
};

int mv_vm_client_fd(const struct mv_vm_client *client)
{
    return client->fd;
}

void mv_vm_client_close(struct mv_vm_client *client)
{
    if (client == NULL)
        return;
    mv_cleanup_close(&client->fd);
    free(client->path);
    free(client->buf);
    free(client);
}

/* A command may take long; whoever greets another client in time is not hung. */
static bool greets(const struct mv_vm_client *client)
{
    struct mv_vm_client *other;
    struct mv_error err;
    if (mv_vm_client_open_at(client->path, client->timeout_ms, &other, &err) < 0)
        return false;
    mv_vm_client_close(other);
    return true;
}

static int wait_for(struct mv_vm_client *client, short events, struct mv_error *err)
{
    struct pollfd p = {client->fd, events, 0};
    for (;;) {
        int n = poll(&p, 1, (int)client->timeout_ms);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return mv_error_set_errno(err, errno, "the VM's control socket");
        if (n == 0 && !(client->negotiated && greets(client)))
            return mv_process_refuse_silent(client->fd, client->timeout_ms / 1000, err);
    }
}

int mv_vm_client_send(struct mv_vm_client *client, const char *text, size_t len,
                      struct mv_error *err)
{
    while (len > 0) {
        int r = wait_for(client, POLLOUT, err);
        if (r < 0)
            return r;
        ssize_t n = send(client->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return mv_error_set(err, ESHUTDOWN, "the VM closed the connection");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return mv_error_set_errno(err, errno, "the VM's control socket");
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int read_more(struct mv_vm_client *client, struct mv_error *err)
{
    if (client->used == client->capacity) {
        size_t capacity = client->capacity == 0 ? 4096 : 2 * client->capacity;
        char *buf = capacity > LINE_MAX_BYTES ? NULL : realloc(client->buf, capacity);
        if (buf == NULL)
            return mv_error_set(err, EMSGSIZE, "the VM's answer is too long");
        client->buf = buf;
        client->capacity = capacity;
    }
    int r = wait_for(client, POLLIN, err);
    if (r < 0)
        return r;
    ssize_t n = read(client->fd, client->buf + client->used, client->capacity - client->used);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n < 0 && errno != ECONNRESET)
        return mv_error_set_errno(err, errno, "the VM's control socket");
    if (n <= 0)
        return mv_error_set(err, ESHUTDOWN, "the VM closed the connection");
    client->used += (size_t)n;
    return 0;
}

bool mv_vm_client_has_line(const struct mv_vm_client *client)
{
    return client->used > 0 && memchr(client->buf, '\n', client->used) != NULL;
}

int mv_vm_client_receive(struct mv_vm_client *client, json_t **ret, struct mv_error *err)
{
    char *end;
    while (client->used == 0 || (end = memchr(client->buf, '\n', client->used)) == NULL) {
        int r = read_more(client, err);
        if (r < 0)
            return r;
    }
    size_t len = (size_t)(end - client->buf);
    json_t *line = mv_qmp_value_load(client->buf, len);
    client->used -= len + 1;
    memmove(client->buf, end + 1, client->used);
    if (!json_is_object(line)) {
        json_decref(line);
        return mv_error_set(err, EPROTO, "what the VM sent is no QMP");
    }
    *ret = line;
    return 0;
}

static int send_command(struct mv_vm_client *client, const char *command, json_t *arguments,
                        struct mv_error *err)
{
    json_t *request = json_pack("{s:s, s:o*}", "execute", command, "arguments", arguments);
    CLEANUP_FREE char *text = request == NULL ? NULL : mv_qmp_value_dump(request, JSON_COMPACT);
    json_decref(request);
    if (text == NULL)
        return mv_error_set(err, EINVAL, "the command cannot be put into JSON");
    return mv_vm_client_send(client, text, strlen(text), err);
}

/* What a command returned, that was sent. */
static int await_result(struct mv_vm_client *client, json_t **ret, struct mv_error *err)
{
    json_t *answer = NULL;
    int r;
    do { /* events may come before it */
        json_decref(answer);
        r = mv_vm_client_receive(client, &answer, err);
        if (r < 0)
            return r;
    } while (json_object_get(answer, "event") != NULL);
    json_t *result = json_object_get(answer, "return");
    const char *desc = json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));
    if (result == NULL)
        r = mv_error_set(err, EREMOTEIO, "%s", desc == NULL ? "the VM's answer is no QMP" : desc);
    else if (ret != NULL)
        *ret = json_incref(result);
    json_decref(answer);
    return r;
}

int mv_vm_client_execute(struct mv_vm_client *client, const char *command, json_t *arguments,
                         json_t **ret, struct mv_error *err)
{
    int r = send_command(client, command, arguments, err);
    return r < 0 ? r : await_result(client, ret, err);
}

/* The descriptor comes with the first byte, and its command reads that with the rest. */
int mv_vm_client_give_fd(struct mv_vm_client *client, const char *name, int fd,
                         struct mv_error *err)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof fd)];
    } ancillary = {.header = {.cmsg_len = CMSG_LEN(sizeof fd),
                              .cmsg_level = SOL_SOCKET,
                              .cmsg_type = SCM_RIGHTS}};
    char blank = ' ';
    struct iovec part = {&blank, 1};
    const struct msghdr message = {.msg_iov = &part,
                                   .msg_iovlen = 1,
                                   .msg_control = &ancillary,
                                   .msg_controllen = sizeof ancillary};
    memcpy(CMSG_DATA(&ancillary.header), &fd, sizeof fd);
    int r = wait_for(client, POLLOUT, err);
    if (r < 0)
        return r;
    if (sendmsg(client->fd, &message, MSG_NOSIGNAL) < 0)
        return mv_error_set_errno(err, errno, "handing descriptor %d to the VM", fd);
    return mv_vm_client_execute(client, "getfd", json_pack("{s:s}", "fdname", name), NULL, err);
}

static int negotiate(struct mv_vm_client *client, struct mv_error *err)
{
    json_t *greeting;
    int r = mv_vm_client_receive(client, &greeting, err);
    if (r < 0)
        return r;
    bool is_qmp = json_object_get(greeting, "QMP") != NULL;
    json_decref(greeting);
    if (!is_qmp)
        return mv_error_set(err, EPROTO, "what listens there is no QMP server");
    r = mv_vm_client_execute(client, "qmp_capabilities", NULL, NULL, err);
    client->negotiated = r == 0;
    return r;
}

int mv_vm_client_open_at(const char *path, unsigned timeout_ms, struct mv_vm_client **ret,
                         struct mv_error *err)
{
    struct mv_vm_client *client = calloc(1, sizeof *client);
    CLEANUP_FREE char *socket_path = NULL;
    if (client == NULL)
        return mv_error_set_errno(err, ENOMEM, "control socket");
    client->fd = -1;
    client->timeout_ms = timeout_ms;
    client->path = strdup(path);
    int r = 0;
    if (client->path == NULL || asprintf(&socket_path, "%s/" MV_RUNDIR_QMP, path) < 0)
        r = mv_error_set_errno(err, ENOMEM, "control socket");
    if (r == 0)
        r = mv_unix_connect_within("control socket", socket_path, (int)timeout_ms, &client->fd,
                                   err);
    if (r == 0)
        r = negotiate(client, err);
    if (r < 0) {
        mv_vm_client_close(client);
        return r;
    }
    *ret = client;
    return 0;
}

/* "there is no VM 'x': a and b run" */
static int refuse_unknown(const char *name, const struct mv_rundir_vm *vms, size_t count,
                          struct mv_error *err)
{
    char list[1024] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s",
                 i == 0 ? "" : (i + 1 == count ? " and " : ", "), vms[i].name);
    }
    if (count == 0)
        return mv_error_set(err, ENOENT, "no VM named '%s' runs, and no other of this user's",
                            name);
    return mv_error_set(err, ENOENT, "no VM named '%s' runs: there %s %s", name,
                        count == 1 ? "is" : "are", list);
}

int mv_vm_client_find(const char *name, char **ret_path, int *ret_pid, struct mv_error *err)
{
    struct mv_rundir_vm *vms;
    size_t count, i = 0;
    int r = mv_rundir_list(&vms, &count, err);
    if (r < 0)
        return r;
    while (i < count && strcmp(vms[i].name, name) != 0)
        i++;
    if (i == count) {
        r = refuse_unknown(name, vms, count, err);
    } else {
        *ret_path = vms[i].path;
        *ret_pid = vms[i].pid;
        vms[i].path = NULL;
    }
    mv_rundir_list_free(vms, count);
    return r;
}

int mv_vm_client_open(const char *name, struct mv_vm_client **ret, struct mv_error *err)
{
    CLEANUP_FREE char *path = NULL;
    int pid;
    int r = mv_vm_client_find(name, &path, &pid, err);
    if (r < 0)
        return r;
    r = mv_vm_client_open_at(path, MV_VM_CLIENT_TIMEOUT_MS, ret, err);
    if (r < 0)
        mv_error_prefix(err, "%s", name);
    return r;
}
