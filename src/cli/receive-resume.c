/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor receive --resume: asks a VM, whose guest's memory was following it when the line
 * broke, to listen for its sender again.  It is the VM that opens the address.
 */
#include "receive-resume.h"

#include "cleanup.h"
#include "log.h"
#include "vm-client.h"
#include "work.h"

#include <stdlib.h>
#include <string.h>

static int check(const struct mv_config_receive *wish, struct mv_error *err)
{
    if (wish->restore.config.name == NULL)
        return mv_error_set(err, EINVAL,
                            "--resume: name the VM that has the guest: -n NAME; 'memvisor ps' "
                            "lists them");
    if (wish->tls != NULL || wish->insecure || wish->json)
        return mv_error_set(err, EINVAL,
                            "--resume: --tls, --insecure and --json are as when the guest came: "
                            "leave them out");
    if (strncmp(wish->uri, "fd:", 3) == 0)
        return mv_error_set(err, EINVAL,
                            "%s: descriptors go to the VM by QMP: getfd, then migrate-recover "
                            "uri=fd:NAME",
                            wish->uri);
    return 0;
}

/* With the port that was found, where it was asked for one that is free. */
static void tell_where(struct mv_vm_client *client, const char *name, const char *uri)
{
    struct mv_error ignored;
    const char *host = NULL, *port = NULL;
    json_t *info = NULL;
    if (mv_vm_client_execute(client, "query-migrate", NULL, &info, &ignored) == 0)
        json_unpack(info, "{s:[{s:s, s:s}]}", "socket-address", "host", &host, "port", &port);
    bool found = host != NULL && port != NULL;
    mv_log("%s waits for the rest of its memory at %s%s%s%s: 'memvisor send --resume NAME URI' "
           "sends it",
           name, found ? "tcp:" : uri, found ? host : "", found ? ":" : "", found ? port : "");
    json_decref(info);
}

int mv_receive_resume(const struct mv_config_receive *wish, struct mv_error *err)
{
    const char *name = wish->restore.config.name;
    struct mv_vm_client *client;
    int r = check(wish, err);
    if (r < 0)
        return r;
    CLEANUP_FREE char *uri = mv_address_absolute(wish->uri);
    if (uri == NULL)
        return mv_error_set_errno(err, ENOMEM, "--resume");
    r = mv_vm_client_open(name, &client, err);
    if (r < 0)
        return r;
    r = mv_vm_client_execute(client, "migrate-recover", json_pack("{s:s}", "uri", uri), NULL, err);
    if (r == 0)
        tell_where(client, name, uri);
    mv_vm_client_close(client);
    return r;
}
