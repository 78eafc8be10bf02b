/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side of the new processes: the template, and each clone.  They have one thread, the one
 * that forked, and the memory of the process that it was in.  What they find there of that
 * process's machine, loop and sockets is looked at and never used or freed: its descriptors
 * are closed, its threads are not here, and its epoll set is still the other's.
 */
#include "fork-parts.h"

#include "backing.h"
#include "block.h"
#include "cleanup.h"
#include "device.h"
#include "os.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct mv_clone {
    struct mv_fork *fork;
    size_t index;
    struct mv_config config;
    bool told;
    struct mv_machine_observer observer;
    uint64_t first_ns;    /* when it was let go; 0: not yet */
    struct rusage before; /* what the process had used by then */
};

/* --- descriptors */

struct kept {
    int *fds;
    size_t count, room;
};

static void keep(struct kept *kept, int fd)
{
    if (fd >= 0 && kept->count < kept->room)
        kept->fds[kept->count++] = fd;
}

static void count_block(struct mv_block *block, void *opaque)
{
    ++*(size_t *)opaque;
}

static void keep_block(struct mv_block *block, void *opaque)
{
    keep(opaque, block->backing->fd);
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/*
 * All but those of memory, of what a reset boots, and of the pipe.  In the place of standard
 * input and output there is nothing, and a pipe for errors is not held open: whoever reads
 * the other process's would wait for the clones' end.
 */
static int drop_descriptors(struct mv_fork *fork, struct mv_error *err)
{
    struct mv_machine_boot boot;
    struct stat st;
    struct kept kept = {.room = 3};
    mv_block_for_each(mv_machine_blocks(fork->machine), count_block, &kept.room);
    CLEANUP_FREE int *fds = calloc(kept.room, sizeof *fds);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fds == NULL || null < 0)
        return mv_error_set_errno(err, fds == NULL ? ENOMEM : errno, "descriptors of the clones");
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (fstat(STDERR_FILENO, &st) < 0 || S_ISFIFO(st.st_mode))
        dup2(null, STDERR_FILENO);
    kept.fds = fds;
    keep(&kept, fork->reports[1]);
    mv_machine_boot(fork->machine, &boot);
    keep(&kept, boot.kernel.fd);
    keep(&kept, boot.initrd.fd);
    mv_block_for_each(mv_machine_blocks(fork->machine), keep_block, &kept);
    qsort(fds, kept.count, sizeof *fds, by_number);
    unsigned next = STDERR_FILENO + 1;
    for (size_t i = 0; i < kept.count; i++) {
        unsigned fd = (unsigned)fds[i];
        if (fd > next)
            close_range(next, fd - 1, 0);
        next = fd >= next ? fd + 1 : next;
    }
    close_range(next, ~0u, 0);
    return 0;
}

/* --- what a clone is made of */

static void count_device(void *opaque, struct mv_device *device)
{
    *(size_t *)opaque += device->options != NULL;
}

struct devices {
    struct mv_config *config;
    int result;
    struct mv_error *err;
};

/* As it is plugged now, whatever the other process began with. */
static void add_device(void *opaque, struct mv_device *device)
{
    struct devices *devices = opaque;
    struct mv_config *config = devices->config;
    if (devices->result < 0 || device->options == NULL)
        return;
    devices->result = mv_config_parse_device_add(
        device->options, &config->devices[config->device_count], devices->err);
    config->device_count += devices->result == 0;
}

static int make_devices(struct mv_clone *clone, struct mv_error *err)
{
    struct mv_machine *machine = clone->fork->machine;
    size_t count = 0;
    mv_machine_for_each_device(machine, count_device, &count);
    clone->config.devices = calloc(count + 1, sizeof *clone->config.devices);
    clone->config.device_count = 0;
    if (clone->config.devices == NULL)
        return mv_error_set_errno(err, ENOMEM, "the devices");
    struct devices devices = {&clone->config, 0, err};
    mv_machine_for_each_device(machine, add_device, &devices);
    return devices.result;
}

/* The text with the name in the place of each %n, to be freed; NULL without memory. */
static char *put_name(const char *text, const char *name)
{
    size_t size = 1;
    for (const char *at = text; *at != '\0'; at++)
        size += strlen(name) + 1;
    char *result = malloc(size), *end = result;
    while (result != NULL && *text != '\0') {
        if (strncmp(text, "%n", 2) == 0) {
            end = stpcpy(end, name);
            text += 2;
        } else {
            *end++ = *text++;
        }
    }
    if (result != NULL)
        *end = '\0';
    return result;
}

/* What it has in common with the other process's is in memory that nobody frees. */
static int make_config(struct mv_clone *clone, struct mv_error *err)
{
    const struct mv_fork *fork = clone->fork;
    struct mv_config *config = &clone->config;
    *config = *mv_machine_config(fork->machine);
    config->name = fork->clones[clone->index].name;
    config->qmp_path = config->gdb = config->dump_dtb = config->serial_path = NULL;
    config->paused = fork->paused;
    config->serial = fork->has_serial ? fork->serial : MV_SERIAL_NONE;
    if (fork->serial_path != NULL) {
        config->serial_path = put_name(fork->serial_path, config->name);
        if (config->serial_path == NULL)
            return mv_error_set_errno(err, ENOMEM, "the console's path");
    }
    return make_devices(clone, err);
}

static void on_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause)
{
    struct mv_clone *clone = opaque;
    if (event != MV_MACHINE_EVENT_RESUME || clone->first_ns != 0)
        return;
    clone->first_ns = mv_now_ns();
    getrusage(RUSAGE_SELF, &clone->before);
}

void mv_clone_describe(const struct mv_clone *clone, struct mv_clone_info *ret)
{
    struct rusage now;
    *ret = (struct mv_clone_info){.parent = mv_machine_config(clone->fork->machine)->name,
                                  .has_begun = clone->first_ns != 0};
    if (!ret->has_begun || getrusage(RUSAGE_SELF, &now) < 0)
        return;
    ret->first_ns = clone->first_ns - clone->fork->stopped_ns;
    ret->minor_faults = (uint64_t)(now.ru_minflt - clone->before.ru_minflt);
    ret->major_faults = (uint64_t)(now.ru_majflt - clone->before.ru_majflt);
}

struct mv_config *mv_clone_config(struct mv_clone *clone)
{
    return &clone->config;
}

bool mv_clone_has_own_serial(const struct mv_clone *clone)
{
    return !clone->fork->has_serial;
}

int mv_clone_machine(struct mv_clone *clone, struct mv_loop *loop, struct mv_serial_backend *serial,
                     struct mv_machine **ret, struct mv_error *err)
{
    const struct mv_fork *fork = clone->fork;
    const struct mv_machine_places places = {.inherited = mv_machine_blocks(fork->machine)};
    struct mv_machine_boot boot;
    struct mv_machine *machine;
    mv_machine_boot(fork->machine, &boot);
    int r = mv_machine_create_saved(&clone->config, &boot, &places, loop, serial, &machine, err);
    if (r < 0)
        return r;
    r = mv_machine_load_objects(machine, fork->saved, fork->saved_count, err);
    int renewed = r == 0 ? mv_machine_renew_generation(machine, err) : 0;
    if (renewed < 0 && renewed != -ENODEV)
        r = renewed;
    if (r < 0) {
        mv_machine_destroy(machine);
        return r;
    }
    clone->observer = (struct mv_machine_observer){.event = on_event, .opaque = clone};
    mv_machine_observe(machine, &clone->observer);
    *ret = machine;
    return 0;
}

/* --- processes */

static void report(struct mv_fork *fork, size_t index, const struct mv_error *failure)
{
    struct mv_fork_report report = {.index = index, .pid = getpid(), .failed = failure != NULL};
    if (failure != NULL)
        report.failure = *failure;
    (void)mv_write_all(fork->reports[1], &report, sizeof report);
}

bool mv_clone_tell(struct mv_clone *clone, const struct mv_error *failure)
{
    if (clone->told)
        return false;
    clone->told = true;
    report(clone->fork, clone->index, failure);
    mv_cleanup_close(&clone->fork->reports[1]);
    return true;
}

/* Exit handlers are those of the first process, such as for its terminal. */
static _Noreturn void be_clone(struct mv_fork *fork, size_t index)
{
    struct mv_clone clone = {.fork = fork, .index = index};
    struct mv_error err;
    setsid();
    int status = make_config(&clone, &err);
    if (status < 0)
        mv_clone_tell(&clone, &err);
    else
        status = fork->run(&clone);
    _exit(status < 0 ? EXIT_FAILURE : status);
}

_Noreturn void mv_fork_template(struct mv_fork *state)
{
    struct mv_error err;
    int r = drop_descriptors(state, &err);
    for (size_t i = 0; i < state->count; i++) {
        pid_t pid = r < 0 ? -1 : fork();
        if (pid == 0)
            be_clone(state, i);
        if (pid < 0 && r == 0)
            mv_error_set_errno(&err, errno, "cannot fork");
        if (pid < 0)
            report(state, i, &err);
    }
    _exit(0);
}
