/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state-mover EVERY_MS WORDS: runs a machine of `memvisor run`'s words, and every so
 * often stops it and goes on with another one, to which the state, the memory, what a
 * reset boots, and the texts of banks and devices are all that is carried over.  What
 * the guest says goes to standard output, and how often it was moved to standard
 * error.  For tests/vm/test_state_moves.py.
 */
#include "block.h"
#include "config.h"
#include "device.h"
#include "error.h"
#include "loop.h"
#include "machine.h"
#include "platform-devices.h"
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static struct mv_error err;
static struct mv_loop *loop;
static struct mv_config *config; /* the machine's */
static unsigned moves;
static const struct mv_machine_places nowhere;

static void check(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "state-mover: %s\n", err.text);
    exit(1);
}

static unsigned say(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len)
{
    return (unsigned)fwrite(buf, 1, len, stdout);
}

static void has_room(struct mv_serial_backend *backend)
{
}

static struct mv_serial_backend serial = {.write = say, .rx_ready = has_room};

/* --- all parts of a machine, as bytes */

#define PARTS_MAX 256

static struct mv_machine_saved parts[PARTS_MAX];
static size_t part_count;

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static int save(void *opaque, const char *path, const struct mv_state_table *table, void *object,
                struct mv_error *error)
{
    struct mv_machine_saved *part = &parts[part_count++];
    uint8_t *bytes = must(malloc(mv_state_size(table)));
    if (part_count > PARTS_MAX)
        abort();
    mv_state_save(table, object, bytes);
    *part = (struct mv_machine_saved){must(strdup(path)), table->type, table->version, bytes,
                                      mv_state_size(table)};
    return 0;
}

static void forget_parts(void)
{
    while (part_count > 0) {
        const struct mv_machine_saved *part = &parts[--part_count];
        free((char *)(uintptr_t)part->path);
        free((uint8_t *)(uintptr_t)part->bytes);
    }
}

/* --- what the next machine is made of: texts, and no file to boot from by its path */

static void again_device(void *opaque, struct mv_device *device)
{
    struct mv_config *to = opaque;
    if (device->options != NULL)
        check(mv_config_parse_device_add(device->options, &to->devices[to->device_count++], &err));
}

static struct mv_config *describe(struct mv_machine *from)
{
    const struct mv_config *old = mv_machine_config(from);
    struct mv_config *next = must(calloc(1, sizeof *next));
    *next =
        (struct mv_config){.cmdline = must(strdup(old->cmdline)),
                           .engine = must(strdup(old->engine)),
                           .machine = must(strdup(old->machine)),
                           .cpus = old->cpus,
                           .banks = must(calloc(old->bank_count, sizeof *next->banks)),
                           .devices = must(calloc(old->device_count + 1, sizeof *next->devices))};
    for (; next->bank_count < old->bank_count; next->bank_count++) {
        char *text;
        check(mv_config_print_bank(&old->banks[next->bank_count], &text, &err));
        check(mv_config_parse_bank(text, &next->banks[next->bank_count], &err));
        free(text);
    }
    mv_machine_for_each_device(from, again_device, next);
    return next;
}

static void use_config(struct mv_config *next)
{
    if (config != NULL)
        mv_config_free(config);
    free(config);
    config = next;
}

static void move_block(struct mv_block *block, void *opaque)
{
    if (block->path[0] != '\0')
        return; /* a device's */
    struct mv_block *other = mv_block_find(opaque, block->id);
    if (other == NULL || other->size != block->size)
        abort();
    check(mv_block_read(block, 0, other->host, block->size));
}

static struct mv_machine *move(struct mv_machine *from)
{
    struct mv_machine *to;
    struct mv_machine_boot boot;
    struct mv_config *next = describe(from);
    mv_machine_boot(from, &boot);
    check(mv_machine_create_saved(next, &boot, &nowhere, loop, &serial, &to, &err));
    check(mv_machine_save_objects(from, save, NULL, &err));
    mv_block_for_each(mv_machine_blocks(from), move_block, mv_machine_blocks(to));
    check(mv_machine_load_objects(to, parts, part_count, &err));
    check(mv_machine_start(to, true, &err));
    forget_parts();
    mv_machine_destroy(from);
    use_config(next);
    moves++;
    return to;
}

static void on_timer(void *opaque, uint32_t events)
{
    uint64_t count;
    if (read(*(int *)opaque, &count, sizeof count) > 0)
        mv_loop_stop(loop);
}

int main(int argc, char **argv)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct mv_loop_source *source;
    long ns = atol(argv[1]) * 1000000;
    struct mv_machine *machine;
    use_config(must(calloc(1, sizeof *config)));
    check(mv_config_parse_run(argc - 2, argv + 2, config, &err));
    check(mv_loop_create(&loop, &err));
    check(mv_loop_add(loop, fd, EPOLLIN, on_timer, &fd, &source, &err));
    check(mv_machine_create(config, loop, &serial, &machine, &err));
    check(mv_machine_start(machine, true, &err));
    while (mv_machine_state(machine) != MV_MACHINE_ENDED) {
        const struct itimerspec when = {.it_value.tv_nsec = ns};
        mv_machine_resume(machine);
        timerfd_settime(fd, 0, &when, NULL);
        mv_loop_run(loop);
        fflush(stdout);
        mv_machine_pause(machine);
        if (mv_machine_quiesce(machine, &err) != -ESHUTDOWN)
            machine = move(machine);
    }
    enum mv_machine_end end = mv_machine_wait(machine);
    mv_machine_destroy(machine);
    mv_loop_remove(source);
    mv_loop_destroy(loop);
    use_config(NULL);
    close(fd);
    fprintf(stderr, "state-mover: moved %u times\n", moves);
    return end == MV_MACHINE_POWERED_OFF ? 0 : 1;
}
