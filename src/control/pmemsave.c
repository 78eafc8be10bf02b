/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pmemsave: guest-physical memory into a file, read through the space a chunk
 * at a time in a job's thread.  The guest may write meanwhile.
 */
#include "control.h"
#include "job.h"
#include "machine.h"
#include "qmp-command.h"
#include "qmp-json.h"
#include "size.h"
#include "space.h"

#include "cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define CHUNK   (256 * 1024)
#define WAIT_MS 100

/* --- types */

MV_QMP_OBJECT_TYPE(pmemsave_args_type, "q_obj_pmemsave-arg", {"val", &mv_qmp_uint},
                   {"size", &mv_qmp_uint}, {"filename", &mv_qmp_str});

/* --- commands */

struct save {
    struct mv_job job; /* first */
    struct mv_space *space;
    uint64_t gpa, size;
    char *path;
    int fd;
    uint8_t chunk[CHUNK];
};

static int write_chunk(struct save *save, size_t len, struct mv_error *err)
{
    for (size_t done = 0; done < len && !atomic_load(&save->job.cancelled);) {
        ssize_t n = write(save->fd, save->chunk + done, len - done);
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

static int run(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct save *save = (struct save *)job;
    int r = open_file(save, err);
    for (uint64_t done = 0; done < save->size && r == 0 && !atomic_load(&job->cancelled);) {
        size_t len = save->size - done < CHUNK ? (size_t)(save->size - done) : CHUNK;
        r = mv_space_read(save->space, save->gpa + done, save->chunk, len);
        if (r < 0)
            return mv_error_set(err, -r, "the memory at 0x%" PRIx64 " cannot be read",
                                save->gpa + done);
        r = write_chunk(save, len, err);
        done += len;
    }
    if (r == 0 && atomic_load(&job->cancelled))
        return mv_error_set(err, ECANCELED, "the VM ends");
    return r;
}

static void destroy(struct mv_job *job)
{
    struct save *save = (struct save *)job;
    mv_cleanup_close(&save->fd);
    free(save->path);
    free(save);
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
    struct mv_space *space = mv_machine_space(mv_control_machine(call->control));
    uint64_t gpa = mv_qmp_value_uint(json_object_get(arguments, "val"));
    uint64_t size = mv_qmp_value_uint(json_object_get(arguments, "size"));
    const char *path = json_string_value(json_object_get(arguments, "filename"));
    int r = check_range(space, gpa, size, err);
    if (r < 0)
        return r;
    struct save *save = malloc(sizeof *save);
    CLEANUP_FREE char *copy = strdup(path);
    if (save == NULL || copy == NULL) {
        free(save);
        return mv_error_set_errno(err, ENOMEM, "pmemsave");
    }
    save->job = (struct mv_job){.run = run, .destroy = destroy};
    save->space = space;
    save->gpa = gpa;
    save->size = size;
    save->path = copy;
    save->fd = -1;
    copy = NULL;
    return mv_jobs_start(mv_control_jobs(call->control), &save->job, call->session, err);
}

/* --- the table */

static const struct mv_qmp_command commands[] = {
    {"pmemsave", &pmemsave_args_type, &mv_qmp_empty, pmemsave},
    {NULL},
};

const struct mv_qmp_family mv_qmp_memory_file = {commands, NULL};
