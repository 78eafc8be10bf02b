/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine's state beside its memory, part by part: out of one that is paused, and
 * into one that has not run.  Parts are known by path and type alone.  No state, no
 * lock: the main thread's, called by whoever saves and restores.
 */
#include "machine-state.h"

#include "arch.h"
#include "cleanup.h"
#include "state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- all parts, in the order in which they are loaded */

/* What is done with each, and whether it goes back where it came from. */
struct visit {
    mv_machine_object_fn *fn;
    void *opaque;
    bool put;
};

static int visit_power(struct mv_machine *machine, const struct visit *visit, struct mv_error *err)
{
    struct mv_vcpus_state state;
    mv_vcpus_get_state(machine->vcpus, &state);
    int r = visit->fn(visit->opaque, "vcpus", &mv_vcpus_state_table, &state, err);
    return r == 0 && visit->put ? mv_vcpus_set_state(machine->vcpus, &state, err) : r;
}

static int visit_devices(struct mv_machine *machine, const struct visit *visit,
                         struct mv_error *err)
{
    int r = 0;
    for (struct mv_device *d = machine->devices.first; r == 0 && d != NULL; d = d->next) {
        if (d->ops->state != NULL)
            r = visit->fn(visit->opaque, d->path, d->ops->state, d, err);
    }
    return r;
}

static int visit_vcpu(struct mv_vcpu *vcpu, const struct visit *visit, struct mv_error *err)
{
    const struct mv_arch *arch = vcpu->ops->arch;
    char path[16];
    CLEANUP_FREE void *state = calloc(1, arch->state_size);
    if (state == NULL)
        return mv_error_set_errno(err, ENOMEM, "the state of vCPU %u", vcpu->index);
    snprintf(path, sizeof path, "vcpu/%u", vcpu->index);
    vcpu->ops->vcpu_get_state(vcpu, state);
    int r = visit->fn(visit->opaque, path, arch->state, state, err);
    if (r < 0 || !visit->put)
        return r;
    r = vcpu->ops->vcpu_set_state(vcpu, state, err);
    if (r < 0)
        mv_error_prefix(err, "%s", path);
    return r;
}

/*
 * Guest time first, by which devices set their timers; the interrupt controller, which
 * is the tree's first device, before the vCPUs, whose timers drive its lines.
 */
static int visit_all(struct mv_machine *machine, const struct visit *visit, struct mv_error *err)
{
    int r = visit_power(machine, visit, err);
    if (r == 0)
        r = visit_devices(machine, visit, err);
    if (r == 0)
        r = visit->fn(visit->opaque, "power-button", &mv_power_button_state, machine->button, err);
    for (unsigned i = 0; r == 0 && i < mv_vcpus_count(machine->vcpus); i++)
        r = visit_vcpu(mv_vcpus_get(machine->vcpus, i), visit, err);
    return r;
}

int mv_machine_save_objects(struct mv_machine *machine, mv_machine_object_fn *fn, void *opaque,
                            struct mv_error *err)
{
    const struct visit visit = {.fn = fn, .opaque = opaque};
    int r = mv_machine_quiesce(machine, err);
    if (r < 0)
        return r;
    mv_device_tree_saving(&machine->devices);
    return visit_all(machine, &visit, err);
}

/* --- what is to be loaded, against what is there */

struct loading {
    const struct mv_machine_saved *saved;
    size_t count;
    bool *known;             /* of each: the machine has it */
    struct mv_error missing; /* the first that the state has not; or empty */
};

static const struct mv_machine_saved *find(const struct loading *loading, const char *path)
{
    for (size_t i = 0; i < loading->count; i++) {
        if (strcmp(loading->saved[i].path, path) == 0)
            return &loading->saved[i];
    }
    return NULL;
}

static int check_table(const struct mv_machine_saved *saved, const struct mv_state_table *table,
                       struct mv_error *err)
{
    if (strcmp(saved->type, table->type) != 0)
        return mv_error_set(err, EINVAL, "%s: the state's is a %.80s, and the machine's a %s",
                            saved->path, saved->type, table->type);
    if (saved->version > table->version)
        return mv_error_set(err, ENOTSUP,
                            "%s: the state of the %s is of version %" PRIu32
                            ", and this memvisor knows %" PRIu32,
                            saved->path, table->type, saved->version, table->version);
    return 0;
}

static int match(void *opaque, const char *path, const struct mv_state_table *table, void *object,
                 struct mv_error *err)
{
    struct loading *loading = opaque;
    const struct mv_machine_saved *saved = find(loading, path);
    if (saved != NULL) {
        loading->known[saved - loading->saved] = true;
        return check_table(saved, table, err);
    }
    if (loading->missing.text[0] == '\0')
        mv_error_set(&loading->missing, ENODEV,
                     "%s: the machine has a %s there, and the state has none", path, table->type);
    return 0;
}

static int refuse_unknown(const struct loading *loading, const struct mv_machine_saved *saved,
                          struct mv_error *err)
{
    if (find(loading, saved->path) != saved)
        return mv_error_set(err, EEXIST, "%.80s: the state has it twice", saved->path);
    return mv_error_set(err, ENODEV, "%.80s: the state has a %.80s there, and the machine has none",
                        saved->path, saved->type);
}

static int count_one(void *opaque, const char *path, const struct mv_state_table *table,
                     void *object, struct mv_error *err)
{
    ++*(size_t *)opaque;
    return 0;
}

/* Of more than the machine has, one is unknown or there twice, and that among the first of them. */
static int match_all(struct loading *loading, struct mv_machine *machine, struct mv_error *err)
{
    size_t own = 0;
    int r = visit_all(machine, &(struct visit){.fn = count_one, .opaque = &own}, err);
    if (loading->count > own)
        loading->count = own + 1;
    CLEANUP_FREE bool *known = calloc(own + 1, sizeof *known);
    loading->known = known;
    if (r == 0 && known == NULL)
        r = mv_error_set_errno(err, ENOMEM, "loading a state");
    if (r == 0)
        r = visit_all(machine, &(struct visit){.fn = match, .opaque = loading}, err);
    for (size_t i = 0; r == 0 && i < loading->count; i++) {
        if (!known[i])
            r = refuse_unknown(loading, &loading->saved[i], err);
    }
    if (r == 0 && loading->missing.text[0] != '\0')
        r = mv_error_set(err, ENODEV, "%s", loading->missing.text);
    return r;
}

static int load(void *opaque, const char *path, const struct mv_state_table *table, void *object,
                struct mv_error *err)
{
    const struct mv_machine_saved *saved = find(opaque, path);
    return mv_state_load(table, object, path, saved->bytes, saved->len, err);
}

int mv_machine_load_objects(struct mv_machine *machine, const struct mv_machine_saved *saved,
                            size_t count, struct mv_error *err)
{
    struct loading loading = {.saved = saved, .count = count};
    if (machine->launched)
        return mv_error_set(err, EBUSY, "the machine has run: a state goes into a new one");
    int r = match_all(&loading, machine, err);
    if (r == 0)
        r = visit_all(machine, &(struct visit){.fn = load, .opaque = &loading, .put = true}, err);
    return r;
}
