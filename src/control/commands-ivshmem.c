/* SPDX-License-Identifier: Apache-2.0 */
/* x-query-ivshmem: memory that guests share, and who is connected.  Main thread. */
#include "block.h"
#include "control.h"
#include "device.h"
#include "ivshmem-link.h"
#include "machine.h"
#include "qmp-command.h"

/* --- types */

MV_QMP_OBJECT_TYPE(peer_type, "IvshmemPeer", {"id", &mv_qmp_uint}, {"vectors", &mv_qmp_uint});
MV_QMP_LIST_TYPE(peers_type, "IvshmemPeerList", peer_type);

MV_QMP_OBJECT_TYPE(server_type, "IvshmemServer", {"socket", &mv_qmp_str},
                   {"connected", &mv_qmp_bool}, {"id", &mv_qmp_uint}, {"vectors", &mv_qmp_uint},
                   {"sent", &mv_qmp_uint}, {"received", &mv_qmp_uint}, {"peers", &peers_type});

/* A device without a server, ivshmem-plain, has memory alone. */
MV_QMP_OBJECT_TYPE(ivshmem_type, "IvshmemInfo", {"device", &mv_qmp_str}, {"kind", &mv_qmp_str},
                   {"memory", &mv_qmp_str}, {"size", &mv_qmp_uint}, {"server", &server_type, true});
MV_QMP_LIST_TYPE(ivshmems_type, "IvshmemInfoList", ivshmem_type);

/* --- commands */

struct query {
    json_t *list;
    const char *unprintable; /* a device whose socket's path is no UTF-8 */
};

static void add_peer(void *opaque, unsigned id, unsigned vectors)
{
    json_t *peers = opaque;
    json_array_append_new(peers, json_pack("{s:i, s:i}", "id", (int)id, "vectors", (int)vectors));
}

static json_t *describe_server(struct mv_ivshmem_link *link)
{
    struct mv_ivshmem_link_info info;
    json_t *peers = json_array();
    mv_ivshmem_link_describe(link, &info);
    mv_ivshmem_link_for_each(link, add_peer, peers);
    return json_pack("{s:s, s:b, s:i, s:i, s:I, s:I, s:o}", "socket", info.path, "connected",
                     info.connected, "id", (int)info.id, "vectors", (int)info.vectors, "sent",
                     (json_int_t)info.sent, "received", (json_int_t)info.received, "peers", peers);
}

static void add_device(void *opaque, struct mv_device *device)
{
    struct query *query = opaque;
    const struct mv_block *block;
    struct mv_ivshmem_link *link;
    if (!mv_machine_ivshmem(device, &block, &link))
        return;
    json_t *entry =
        json_pack("{s:s, s:s, s:s, s:I}", "device", device->path, "kind", device->ops->type,
                  "memory", block->id, "size", (json_int_t)block->size);
    if (link != NULL) {
        json_t *server = describe_server(link);
        if (server == NULL)
            query->unprintable = device->path;
        json_object_set_new(entry, "server", server);
    }
    json_array_append_new(query->list, entry);
}

static int query_ivshmem(struct mv_qmp_call *call, struct mv_error *err)
{
    struct query query = {.list = json_array()};
    mv_machine_for_each_device(mv_control_machine(call->control), add_device, &query);
    if (query.unprintable != NULL) {
        json_decref(query.list);
        return mv_error_set(err, EILSEQ, "%s: its socket's path is no UTF-8", query.unprintable);
    }
    call->result = query.list;
    return 0;
}

/* --- the table */

static const struct mv_qmp_command commands[] = {
    {"x-query-ivshmem", &mv_qmp_empty, &ivshmems_type, query_ivshmem},
    {NULL},
};

const struct mv_qmp_family mv_qmp_ivshmem = {commands, NULL};
