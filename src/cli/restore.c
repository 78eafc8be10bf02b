/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor restore: from a state file to a machine that goes on.  Everything here is the
 * main thread's.
 */
#include "verb.h"

#include "cleanup.h"
#include "config-text.h"
#include "log.h"
#include "os.h"
#include "restore.h"
#include "vm.h"

#include <jansson.h>

struct verb {
    struct mv_restore *restore;
    bool json;
};

static int make(void *opaque, struct mv_loop *loop, struct mv_serial_backend *serial,
                struct mv_machine **ret, struct mv_error *err)
{
    struct verb *verb = opaque;
    return mv_restore_machine(verb->restore, loop, serial, ret, err);
}

static int begin(void *opaque, struct mv_error *err)
{
    struct verb *verb = opaque;
    return mv_restore_begin(verb->restore, err);
}

/* Where the console has standard output, a line in it would be the guest's.  Takes `line`. */
static void print_line(const struct verb *verb, json_t *line)
{
    CLEANUP_FREE char *text = line == NULL ? NULL : json_dumps(line, JSON_ENSURE_ASCII);
    json_decref(line);
    if (text == NULL) {
        mv_warn("--json: no memory, or a name that is no UTF-8");
        return;
    }
    FILE *out = mv_restore_config(verb->restore)->serial == MV_SERIAL_STDIO ? stderr : stdout;
    fprintf(out, "%s\n", text);
    fflush(out);
}

static void tell(void *opaque)
{
    struct verb *verb = opaque;
    struct mv_restore_info info;
    if (!verb->json)
        return;
    mv_restore_describe(verb->restore, &info);
    json_t *first = info.has_begun ? json_integer((json_int_t)info.first_ns) : json_null();
    print_line(verb, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o}", "name",
                               mv_restore_config(verb->restore)->name, "file", info.file, "ram",
                               mv_restore_ram_word(info.ram), "saved-name", info.name, "writer",
                               info.writer, "saved-at", (json_int_t)info.saved_at,
                               "first-instruction-ns", first));
}

/* Of a guest that never went on there is nothing to tell. */
static void tell_end(const struct verb *verb)
{
    struct mv_restore_info info;
    mv_restore_describe(verb->restore, &info);
    if (!verb->json || !info.has_begun)
        return;
    json_t *done = info.set_is_there ? json_integer((json_int_t)info.set_ns) : json_null();
    json_t *set = json_null();
    if (info.has_set)
        set = json_pack("{s:I, s:I, s:O}", "bytes", (json_int_t)info.set_bytes, "brought-bytes",
                        (json_int_t)info.brought_bytes, "complete-ns", done);
    json_decref(done);
    print_line(verb,
               json_pack("{s:s, s:b, s:I, s:I, s:I, s:o}", "name",
                         mv_restore_config(verb->restore)->name, "ended", 1, "first-instruction-ns",
                         (json_int_t)info.first_ns, "minor-faults", (json_int_t)info.minor_faults,
                         "major-faults", (json_int_t)info.major_faults, "working-set", set));
}

static void ending(void *opaque)
{
    struct verb *verb = opaque;
    tell_end(verb);
    mv_restore_stop(verb->restore);
}

static int main_of_restore(int argc, char **argv)
{
    uint64_t begun = mv_now_ns();
    struct mv_config_restore wish;
    struct verb verb = {0};
    struct mv_error err;
    int r = mv_config_parse_restore(argc, argv, &wish, &err);
    if (r != 0)
        return mv_verb_answer(&mv_restore_verb, r, &err);
    verb.json = wish.json;
    r = mv_restore_open(&wish, begun, &verb.restore, &err);
    mv_config_restore_free(&wish);
    if (r < 0) {
        mv_log("%s", err.text);
        return MV_STATUS_ERROR;
    }
    const struct mv_vm vm = {.config = mv_restore_config(verb.restore),
                             .restore = verb.restore,
                             .make = make,
                             .begin = begin,
                             .begun = tell,
                             .ending = ending,
                             .opaque = &verb};
    int status = mv_vm_run(&vm);
    mv_restore_end(verb.restore);
    return status;
}

const struct mv_verb mv_restore_verb = {
    .name = "restore",
    .summary = "Let a saved guest go on.",
    .synopsis = "memvisor restore FILE [-n NAME] [--ram private|copy|shared] [--serial WHERE]\n"
                "                        [--qmp PATH] [--paused] [--json] [OPTION]...",
    .options = &mv_restore_options,
    .notes = "The machine, its banks and its devices come from FILE. -m, or --ivshmem and\n"
             "--device, replace them all; blocks and devices are matched by their names and\n"
             "paths, and what differs is refused by name before the guest runs.\n"
             "\n"
             "Examples:\n"
             "  memvisor restore vm.state\n"
             "  memvisor restore vm.state -n second --serial unix:/tmp/second.console\n"
             "  memvisor restore vm.state --ram copy --paused\n"
             "  memvisor restore nbd://host/vm.state, whose memory comes as it is needed\n"
             "\n"
             "Exit status: as that of 'memvisor run'.\n",
    .main = main_of_restore,
};
