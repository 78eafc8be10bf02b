/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that tell of memory, and pmemsave (QEMU, qapi/machine.json).  The space is
 * walked in the main thread.  The host takes its time to count a block's pages, so this
 * is done in a job's thread, under the registry's lock, which keeps the blocks there.
 */
#include "bank.h"
#include "block-info.h"
#include "block.h"
#include "cleanup.h"
#include "job.h"
#include "machine.h"
#include "qmp-command.h"
#include "qmp-json.h"
#include "size.h"
#include "space.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define PARTS_MAX 4096
#define CHUNK     (256 * 1024)
#define WAIT_MS   100

/* --- types */

MV_QMP_OBJECT_TYPE(memory_size_summary_type, "MemoryInfo", {"base-memory", &mv_qmp_uint},
                   {"plugged-memory", &mv_qmp_uint, true});

/* No device of these kinds is built yet: the list is empty, and no kind has members. */
MV_QMP_ENUM_TYPE(device_kind_type, "MemoryDeviceInfoKind", "dimm", "nvdimm", "virtio-pmem",
                 "virtio-mem", "sgx-epc");
MV_QMP_VARIANT_TYPE(memory_device_type, "MemoryDeviceInfo", "type", NULL,
                    {"type", &device_kind_type});
MV_QMP_LIST_TYPE(memory_devices_type, "MemoryDeviceInfoList", memory_device_type);

MV_QMP_ENUM_TYPE(block_error_reason_type, "XBlockErrorReason", "shrunk", "no-space", "no-huge-page",
                 "source-lost", "io-error");
MV_QMP_OBJECT_TYPE(block_error_data_type, "q_obj_X_BLOCK_ERROR-arg", {"id", &mv_qmp_str},
                   {"offset", &mv_qmp_uint}, {"file", &mv_qmp_str, true},
                   {"reason", &block_error_reason_type}, {"message", &mv_qmp_str});

MV_QMP_ENUM_TYPE(policy_type, "HostMemPolicy", "default", "preferred", "bind", "interleave");
MV_QMP_OBJECT_TYPE(memdev_type, "Memdev", {"id", &mv_qmp_str, true}, {"size", &mv_qmp_uint},
                   {"merge", &mv_qmp_bool}, {"dump", &mv_qmp_bool}, {"prealloc", &mv_qmp_bool},
                   {"share", &mv_qmp_bool}, {"reserve", &mv_qmp_bool, true},
                   {"host-nodes", &mv_qmp_uint_list}, {"policy", &policy_type});
MV_QMP_LIST_TYPE(memdevs_type, "MemdevList", memdev_type);

/* How finely to tell where in a block the bytes are. */
MV_QMP_OBJECT_TYPE(blocks_args_type, "q_obj_x-query-blocks-arg", {"parts", &mv_qmp_uint, true});

/* "lock", "merge", "no-dump", "thp", "no-thp", "bind=0-1" and its like. */
MV_QMP_OBJECT_TYPE(block_type, "BlockInfo", {"id", &mv_qmp_str}, {"device", &mv_qmp_str},
                   {"generation", &mv_qmp_uint}, {"gpa", &mv_qmp_uint, true},
                   {"size", &mv_qmp_uint}, {"backing", &mv_qmp_str}, {"path", &mv_qmp_str, true},
                   {"offset", &mv_qmp_uint, true}, {"share", &mv_qmp_bool}, {"save", &mv_qmp_bool},
                   {"page-size", &mv_qmp_uint}, {"resident", &mv_qmp_uint}, {"huge", &mv_qmp_uint},
                   {"absent", &mv_qmp_uint, true},
                   {"policies", &mv_qmp_str_list}, {"residency", &mv_qmp_uint_list, true});
MV_QMP_LIST_TYPE(blocks_type, "BlockInfoList", block_type);

MV_QMP_ENUM_TYPE(range_kind_type, "SpaceRangeKind", "ram", "mmio", "reserved");
/* A RAM range shows `size` bytes of the block `name` from `offset` on. */
MV_QMP_OBJECT_TYPE(space_range_type, "SpaceRange", {"kind", &range_kind_type},
                   {"gpa", &mv_qmp_uint}, {"size", &mv_qmp_uint}, {"name", &mv_qmp_str},
                   {"offset", &mv_qmp_uint, true});
MV_QMP_LIST_TYPE(space_ranges_type, "SpaceRangeList", space_range_type);

MV_QMP_OBJECT_TYPE(pmemsave_args_type, "q_obj_pmemsave-arg", {"val", &mv_qmp_uint},
                   {"size", &mv_qmp_uint}, {"filename", &mv_qmp_str});

/* --- the space */

/* Memory in a device's BAR is the device's: only the board's is without a path. */
static int add_size(const struct mv_range *range, void *opaque)
{
    json_int_t *total = opaque;
    if (range->kind == MV_RANGE_RAM && range->block->path[0] == '\0')
        *total += (json_int_t)range->size;
    return 0;
}

static int query_memory_size_summary(struct mv_qmp_call *call, struct mv_error *err)
{
    json_int_t total = 0;
    mv_space_for_each(mv_machine_space(call->machine), add_size, &total);
    call->result = json_pack("{s:I, s:i}", "base-memory", total, "plugged-memory", 0);
    return 0;
}

static int query_memory_devices(struct mv_qmp_call *call, struct mv_error *err)
{
    call->result = json_array();
    return 0;
}

static json_t *describe_range(const char *kind, uint64_t gpa, uint64_t size, const char *name)
{
    return json_pack("{s:s, s:I, s:I, s:s}", "kind", kind, "gpa", (json_int_t)gpa, "size",
                     (json_int_t)size, "name", name);
}

static int add_range(const struct mv_range *range, void *opaque)
{
    json_t *list = opaque;
    bool ram = range->kind == MV_RANGE_RAM;
    json_t *entry = describe_range(ram ? "ram" : "mmio", range->gpa, range->size,
                                   ram ? range->block->id : range->region->name);
    if (ram)
        json_object_set_new(entry, "offset", json_integer((json_int_t)range->offset));
    json_array_append_new(list, entry);
    return 0;
}

/* What is mapped, in address order, and then what the board keeps for devices. */
static int query_space(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_machine *machine = call->machine;
    struct mv_window window;
    call->result = json_array();
    mv_space_for_each(mv_machine_space(machine), add_range, call->result);
    for (size_t i = 0; mv_machine_window(machine, i, &window); i++)
        json_array_append_new(call->result,
                              describe_range("reserved", window.gpa, window.size, window.name));
    return 0;
}

/* --- blocks */

struct query {
    struct mv_job job; /* first */
    struct mv_machine *machine;
    json_t *(*describe)(struct query *query, const struct mv_block *block,
                        const struct mv_block_info *info, struct mv_error *err);
    size_t parts; /* 0: no residency */
    json_t *list;
    struct mv_error *err;
    int result;
};

static json_t *list_residency(const struct mv_block *block, size_t parts, struct mv_error *err)
{
    CLEANUP_FREE uint64_t *bytes = calloc(parts, sizeof *bytes);
    if (bytes == NULL || mv_block_residency(block, parts, bytes, err) < 0)
        return NULL;
    return mv_qmp_value_uints(bytes, parts);
}

static json_t *list_nodes(const struct mv_numa_policy *numa)
{
    json_t *list = json_array();
    for (unsigned n = 0; n < MV_NUMA_NODES; n++) {
        if (numa->nodes[n / 64] >> n % 64 & 1)
            json_array_append_new(list, json_integer(n));
    }
    return list;
}

static json_t *list_policies(const struct mv_block_info *info)
{
    const struct {
        bool stands;
        const char *word;
    } policies[] = {{info->locked, "lock"},
                    {info->merge, "merge"},
                    {!info->dump, "no-dump"},
                    {info->thp, "thp"},
                    {info->no_thp, "no-thp"}};
    char nodes[MV_NUMA_TEXT];
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (policies[i].stands)
            json_array_append_new(list, json_string(policies[i].word));
    }
    if (strcmp(info->numa.word, "default") != 0)
        json_array_append_new(
            list, json_sprintf("%s=%s", info->numa.word, mv_numa_policy_nodes(&info->numa, nodes)));
    return list;
}

static json_t *describe_block(struct query *query, const struct mv_block *block,
                              const struct mv_block_info *info, struct mv_error *err)
{
    uint64_t gpa;
    json_t *residency = NULL;
    if (query->parts > 0 && (residency = list_residency(block, query->parts, err)) == NULL)
        return NULL;
    json_t *entry = json_pack("{s:s, s:s, s:I}", "id", info->id, "device", info->device,
                              "generation", (json_int_t)info->generation);
    if (mv_space_find_block(mv_machine_space(query->machine), block, &gpa))
        json_object_set_new(entry, "gpa", json_integer((json_int_t)gpa));
    json_t *rest = json_pack("{s:I, s:s, s:s*, s:b, s:b, s:I, s:I, s:I, s:o*}", "size",
                             (json_int_t)info->size, "backing", info->backing, "path", info->path,
                             "share", info->share, "save", info->save, "page-size",
                             (json_int_t)info->page_size, "resident", (json_int_t)info->resident,
                             "huge", (json_int_t)info->huge, "residency", residency);
    if (rest == NULL) { /* a path that is no UTF-8 */
        json_decref(entry);
        mv_error_set(err, EILSEQ, "block %s: its file's name is no UTF-8", info->id);
        return NULL;
    }
    json_object_update(entry, rest);
    if (info->from_source)
        json_object_set_new(entry, "absent", json_integer((json_int_t)info->absent));
    if (info->part)
        json_object_set_new(entry, "offset", json_integer((json_int_t)info->offset));
    json_object_set_new(entry, "policies", list_policies(info));
    json_decref(rest);
    return entry;
}

static json_t *describe_memdev(struct query *query, const struct mv_block *block,
                               const struct mv_block_info *info, struct mv_error *err)
{
    /*
     * The host says which policies are in effect, but not whether memory was preallocated:
     * memory that is all resident counts as such.
     */
    return json_pack("{s:s, s:I, s:b, s:b, s:b, s:b, s:b, s:o, s:s}", "id", info->id, "size",
                     (json_int_t)info->size, "merge", info->merge, "dump", info->dump, "prealloc",
                     info->resident == info->size, "share", info->share, "reserve", 0, "host-nodes",
                     list_nodes(&info->numa), "policy", info->numa.word);
}

static void add_block(struct mv_block *block, void *opaque)
{
    struct query *query = opaque;
    struct mv_block_info info;
    if (query->result < 0 || atomic_load(&query->job.cancelled))
        return;
    query->result = mv_block_describe(block, &info, query->err);
    if (query->result < 0)
        return;
    json_t *entry = query->describe(query, block, &info, query->err);
    if (entry == NULL)
        query->result = -EIO;
    else
        json_array_append_new(query->list, entry);
}

static int run_query(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct query *query = (struct query *)job;
    query->err = err;
    query->list = json_array();
    mv_error_set(err, 0, "out of memory");
    mv_block_for_each(mv_machine_blocks(query->machine), add_block, query);
    if (query->result < 0) {
        json_decref(query->list);
        return query->result;
    }
    *ret = query->list;
    return 0;
}

static int start(struct mv_qmp_call *call, struct query query, struct mv_error *err)
{
    query.job.run = run_query;
    query.machine = call->machine;
    return mv_jobs_start(call, &query.job, sizeof query, err);
}

static int query_blocks(struct mv_qmp_call *call, struct mv_error *err)
{
    const json_t *parts = json_object_get(call->arguments, "parts");
    uint64_t count = mv_qmp_value_uint(parts);
    if (parts != NULL && (count < 1 || count > PARTS_MAX))
        return mv_error_set(err, ERANGE, "'parts': from 1 to %d are possible", PARTS_MAX);
    return start(call, (struct query){.describe = describe_block, .parts = count}, err);
}

static int query_memdev(struct mv_qmp_call *call, struct mv_error *err)
{
    return start(call, (struct query){.describe = describe_memdev}, err);
}

/* --- pmemsave: read through the space a chunk at a time; the guest may write meanwhile */

struct save {
    struct mv_job job; /* first */
    struct mv_space *space;
    uint64_t gpa, size;
    char *path;
    int fd;
};

static int write_chunk(struct save *save, const uint8_t *chunk, size_t len, struct mv_error *err)
{
    for (size_t done = 0; done < len && !atomic_load(&save->job.cancelled);) {
        ssize_t n = write(save->fd, chunk + done, len - done);
        if (n < 0 && errno == EAGAIN) { /* a pipe: its reader may never come */
            struct pollfd p = {save->fd, POLLOUT, 0};
            poll(&p, 1, WAIT_MS);
        } else if (n < 0 && errno != EINTR) {
            return mv_error_set_errno(err, errno, "cannot write '%s'", save->path);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Called in the thread: a command that is refused earlier must leave the file as it is. */
static int open_file(struct save *save, struct mv_error *err)
{
    save->fd =
        open(save->path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    return save->fd < 0 ? mv_error_set_errno(err, errno, "cannot open '%s'", save->path) : 0;
}

static int run_save(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct save *save = (struct save *)job;
    CLEANUP_FREE uint8_t *chunk = malloc(CHUNK);
    int r = chunk == NULL ? mv_error_set_errno(err, ENOMEM, "pmemsave") : open_file(save, err);
    for (uint64_t done = 0; done < save->size && r == 0 && !atomic_load(&job->cancelled);) {
        size_t len = save->size - done < CHUNK ? (size_t)(save->size - done) : CHUNK;
        r = mv_space_read(save->space, save->gpa + done, chunk, len);
        if (r < 0)
            return mv_error_set(err, -r, "the memory at 0x%" PRIx64 " cannot be read",
                                save->gpa + done);
        r = write_chunk(save, chunk, len, err);
        done += len;
    }
    if (r == 0 && atomic_load(&job->cancelled))
        return mv_error_set(err, ECANCELED, "the VM ends");
    return r;
}

static void clear_save(struct mv_job *job)
{
    struct save *save = (struct save *)job;
    mv_cleanup_close(&save->fd);
    free(save->path);
}

static int check_range(struct mv_space *space, uint64_t gpa, uint64_t size, struct mv_error *err)
{
    char text[MV_SIZE_TEXT];
    uint64_t run = mv_space_ram_run(space, gpa);
    if (size == 0)
        return mv_error_set(err, EINVAL, "'size': 0 bytes are nothing to save");
    if (run == 0)
        return mv_error_set(
            err, EFAULT,
            "'val': there is no memory at 0x%" PRIx64 ": x-query-space tells where there is", gpa);
    if (run < size)
        return mv_error_set(err, EFAULT,
                            "'size': %s from 0x%" PRIx64
                            " are too many: the memory ends at 0x%" PRIx64,
                            mv_size_format(size, text), gpa, gpa + run);
    return 0;
}

static int pmemsave(struct mv_qmp_call *call, struct mv_error *err)
{
    const json_t *arguments = call->arguments;
    struct mv_space *space = mv_machine_space(call->machine);
    uint64_t gpa = mv_qmp_value_uint(json_object_get(arguments, "val"));
    uint64_t size = mv_qmp_value_uint(json_object_get(arguments, "size"));
    const char *path = json_string_value(json_object_get(arguments, "filename"));
    int r = check_range(space, gpa, size, err);
    if (r < 0)
        return r;
    struct save save = {.job = {.run = run_save, .clear = clear_save},
                        .space = space,
                        .gpa = gpa,
                        .size = size,
                        .path = strdup(path),
                        .fd = -1};
    if (save.path == NULL)
        return mv_error_set_errno(err, ENOMEM, "pmemsave");
    return mv_jobs_start(call, &save.job, sizeof save, err);
}

/* --- the table */

const struct mv_qmp_command mv_qmp_memory[] = {
    {"query-memory-size-summary", &mv_qmp_empty, &memory_size_summary_type,
     query_memory_size_summary, MV_QMP_MADE},
    {"query-memory-devices", &mv_qmp_empty, &memory_devices_type, query_memory_devices,
     MV_QMP_MADE},
    {"query-memdev", &mv_qmp_empty, &memdevs_type, query_memdev, MV_QMP_MADE},
    {"x-query-space", &mv_qmp_empty, &space_ranges_type, query_space, MV_QMP_MADE},
    {"x-query-blocks", &blocks_args_type, &blocks_type, query_blocks, MV_QMP_MADE},
    {"pmemsave", &pmemsave_args_type, &mv_qmp_empty, pmemsave},
    {"X_BLOCK_ERROR", &block_error_data_type},
    {NULL},
};
