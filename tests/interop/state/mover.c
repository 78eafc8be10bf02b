/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state-mover EVERY_MS WORDS: runs a machine of `memvisor run`'s words, and every so
 * often stops it and goes on with another one of the same words, to which the
 * state tables and the memory of the first are all that is carried over.  What
 * the guest says goes to standard output, and how often it was moved to standard
 * error.  For tests/vm/test_state_moves.py.
 */
#include "arch.h"
#include "block.h"
#include "config.h"
#include "engine.h"
#include "error.h"
#include "loop.h"
#include "machine-state.h"
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
static struct mv_config config;
static unsigned moves;

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

/* --- a state from one object to another, as bytes */

static void move_object(const struct mv_state_table *table, void *from, void *to, const char *path)
{
    size_t size = mv_state_size(table);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        abort();
    mv_state_save(table, from, bytes);
    check(mv_state_load(table, to, path, bytes, size, &err));
    free(bytes);
}

static void move_device(struct mv_machine *to, struct mv_device *device)
{
    struct mv_device *other = mv_device_tree_find(&to->devices, device->path);
    if (other == NULL || other->ops != device->ops)
        abort();
    if (device->ops->state != NULL)
        move_object(device->ops->state, device, other, device->path);
}

static void move_vcpu(struct mv_vcpu *from, struct mv_vcpu *to)
{
    const struct mv_arch *arch = from->ops->arch;
    void *state = calloc(1, arch->state_size), *other = calloc(1, arch->state_size);
    if (state == NULL || other == NULL)
        abort();
    from->ops->vcpu_get_state(from, state);
    to->ops->vcpu_get_state(to, other);
    move_object(arch->state, state, other, "vcpu");
    check(to->ops->vcpu_set_state(to, other, &err));
    free(state);
    free(other);
}

static void move_block(struct mv_block *block, void *opaque)
{
    struct mv_machine *to = opaque;
    if (block->path[0] != '\0')
        return; /* a device's, or what a reset boots, which is the same */
    struct mv_block *other = mv_block_find(to->blocks, block->id);
    if (other == NULL || other->size != block->size)
        abort();
    check(mv_block_read(block, 0, other->host, block->size));
}

static struct mv_machine *make(void)
{
    struct mv_machine *machine;
    check(mv_machine_create(&config, loop, &serial, &machine, &err));
    return machine;
}

static struct mv_machine *move(struct mv_machine *from)
{
    struct mv_machine *to = make();
    struct mv_vcpus_state state, other;
    check(mv_machine_start(to, true, &err));
    mv_hotplug_collect(&from->hotplug);
    mv_device_tree_saving(&from->devices);
    mv_block_for_each(from->blocks, move_block, to);
    for (struct mv_device *d = from->devices.first; d != NULL; d = d->next)
        move_device(to, d);
    move_object(&mv_power_button_state, from->button, to->button, "button");
    mv_vcpus_get_state(from->vcpus, &state);
    mv_vcpus_get_state(to->vcpus, &other);
    move_object(&mv_vcpus_state_table, &state, &other, "vcpus");
    check(mv_vcpus_set_state(to->vcpus, &other, &err));
    for (unsigned i = 0; i < mv_vcpus_count(from->vcpus); i++)
        move_vcpu(mv_vcpus_get(from->vcpus, i), mv_vcpus_get(to->vcpus, i));
    mv_machine_destroy(from);
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
    check(mv_config_parse_run(argc - 2, argv + 2, &config, &err));
    check(mv_loop_create(&loop, &err));
    check(mv_loop_add(loop, fd, EPOLLIN, on_timer, &fd, &source, &err));
    struct mv_machine *machine = make();
    check(mv_machine_start(machine, true, &err));
    while (mv_machine_state(machine) != MV_MACHINE_ENDED) {
        const struct itimerspec when = {.it_value.tv_nsec = ns};
        mv_machine_resume(machine);
        timerfd_settime(fd, 0, &when, NULL);
        mv_loop_run(loop);
        fflush(stdout);
        if (mv_machine_state(machine) == MV_MACHINE_ENDED)
            break;
        mv_machine_pause(machine);
        machine = move(machine);
    }
    enum mv_machine_end end = mv_machine_wait(machine);
    mv_machine_destroy(machine);
    mv_loop_remove(source);
    mv_loop_destroy(loop);
    mv_config_free(&config);
    close(fd);
    fprintf(stderr, "state-mover: moved %u times\n", moves);
    return end == MV_MACHINE_POWERED_OFF ? 0 : 1;
}
