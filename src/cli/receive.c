/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor receive: waits for a guest that is sent, and from there on is the machine that it goes
 * on in.  While the sender is awaited, by a thread, the loop serves the control socket; then the
 * machine is made, and receive.h brings the guest into it.  All but that thread is the main
 * thread's.
 */
#include "verb.h"

#include "cleanup.h"
#include "config-text.h"
#include "control.h"
#include "fault.h"
#include "log.h"
#include "loop.h"
#include "move-view.h"
#include "receive-resume.h"
#include "receive.h"
#include "ticker.h"
#include "vm.h"
#include "work.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

struct verb {
    struct mv_vm vm;
    struct mv_config_receive wish;
    struct mv_incoming incoming; /* with the receive, once somebody listens */
    struct mv_control *control;
    struct mv_loop *loop;
    struct mv_ticker ticker;
    bool drawn;
    atomic_bool cancelled;
    /* Of the configuration, which is the receive's while that waits for the sender: */
    char *name;
    bool has_stdout;  /* lines of JSON may go there */
    bool has_console; /* the guest's is on this terminal */
    /* The thread that waits for the sender, and what came of it: */
    pthread_t thread;
    bool waits;
    int result;
    struct mv_error err;
};

/* --- what is told */

/* Whether the guest comes over standard input or output, as from ssh. */
static bool has_stdio(const char *uri)
{
    const char *comma = strchr(uri, ',');
    if (strncmp(uri, "fd:", 3) != 0)
        return false;
    return strtoul(uri + 3, NULL, 10) <= 1 || (comma != NULL && strtoul(comma + 1, NULL, 10) <= 1);
}

/* Where the console has standard output, or the sender, a line in it is theirs.  Takes `line`. */
static void print_line(const struct verb *verb, json_t *line)
{
    FILE *out = verb->has_stdout ? stdout : stderr;
    if (mv_move_view_print(out, line) < 0)
        mv_warn("--json: no memory, or a name that is no UTF-8");
    fflush(out);
}

static void tell_where(const struct verb *verb)
{
    const char *uri = mv_receive_uri(verb->incoming.receive);
    if (verb->wish.json)
        print_line(verb,
                   json_pack("{s:s, s:s, s:s}", "status", "setup", "name", verb->name, "uri", uri));
    else
        mv_log("a guest is awaited at %s: 'memvisor send NAME URI' sends it, Ctrl-C ends the wait",
               uri);
}

static void wipe(struct verb *verb)
{
    if (verb->drawn)
        mv_move_view_wipe();
    verb->drawn = false;
}

static void tick(void *opaque)
{
    struct verb *verb = opaque;
    struct mv_move_progress progress;
    mv_receive_progress(verb->incoming.receive, &progress);
    mv_incoming_tell_progress(verb->control);
    const char *status = mv_move_stage_word(progress.stage);
    if (verb->wish.json)
        print_line(verb, mv_move_view_progress(status, &progress));
    bool taken = progress.stage >= MV_MOVE_FOLLOWING && verb->has_console;
    if (taken)
        wipe(verb);
    verb->drawn = !verb->wish.json && !taken && mv_work_has_bar();
    if (verb->drawn)
        mv_move_view_draw(status, &progress);
}

static void tell_end(struct verb *verb)
{
    struct mv_move_progress progress;
    const char *uri = mv_receive_uri(verb->incoming.receive);
    mv_receive_progress(verb->incoming.receive, &progress);
    if (verb->wish.json) {
        print_line(verb, mv_move_view_end(&progress, uri));
        return;
    }
    CLEANUP_FREE char *sentence = mv_move_view_sentence(&progress);
    if (sentence != NULL)
        mv_log("%s is here as %s: %s", mv_receive_name(verb->incoming.receive), verb->name,
               sentence);
}

/* --- what the receive calls */

static void on_changed(void *opaque)
{
    const struct verb *verb = opaque;
    mv_incoming_changed(verb->control);
}

static void on_ended(void *opaque, int result, const struct mv_error *err)
{
    struct verb *verb = opaque;
    mv_ticker_stop(&verb->ticker);
    wipe(verb);
    mv_incoming_changed(verb->control);
    if (result < 0)
        mv_log("%s", err->text);
    else
        tell_end(verb);
}

/* --- waiting for the sender */

static void on_accepted(void *opaque)
{
    const struct verb *verb = opaque;
    mv_loop_stop(verb->loop);
}

static void *await_sender(void *opaque)
{
    struct verb *verb = opaque;
    verb->result = mv_receive_accept(verb->incoming.receive, &verb->wish.restore, &verb->cancelled,
                                     &verb->err);
    mv_loop_defer(verb->loop, on_accepted, verb);
    return NULL;
}

/* Signals are for the main thread. */
static int start_thread(struct verb *verb, struct mv_error *err)
{
    sigset_t all, before;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&verb->thread, NULL, await_sender, verb);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    verb->waits = errnum == 0;
    return errnum == 0 ? 0 : mv_error_set_errno(err, errnum, "cannot start a thread");
}

static int listen_at(void *opaque, const char *uri, const char *tls, struct mv_error *err)
{
    struct verb *verb = opaque;
    const struct mv_receive_params params = {.uri = uri,
                                             .tls = tls,
                                             .insecure = verb->wish.insecure,
                                             .ended = on_ended,
                                             .changed = on_changed,
                                             .opaque = verb};
    if (verb->incoming.receive != NULL)
        return mv_error_set(err, EBUSY, "the guest is awaited at '%s' already",
                            mv_receive_uri(verb->incoming.receive));
    struct mv_receive *receive;
    int r = mv_receive_listen(&params, &receive, err);
    if (r < 0)
        return r;
    verb->incoming.receive = receive;
    r = start_thread(verb, err);
    if (r < 0) {
        verb->incoming.receive = NULL;
        mv_receive_end(receive);
        return r;
    }
    mv_incoming_changed(verb->control);
    tell_where(verb);
    return 0;
}

static void give_up(void *opaque)
{
    struct verb *verb = opaque;
    atomic_store(&verb->cancelled, true);
    if (!verb->waits)
        mv_loop_stop(verb->loop);
}

static int await(struct verb *verb, struct mv_error *err)
{
    int r = 0;
    if (strcmp(verb->wish.uri, "defer") != 0)
        r = listen_at(verb, verb->wish.uri, verb->wish.tls, err);
    else if (!verb->wish.json)
        mv_log("a guest is awaited once 'memvisor qmp %s migrate-incoming uri=URI' says where",
               verb->name);
    if (r < 0)
        return r;
    mv_loop_run(verb->loop);
    if (!verb->waits)
        return MV_VM_NONE;
    pthread_join(verb->thread, NULL);
    verb->waits = false;
    mv_loop_forget(verb->loop, verb);
    if (atomic_load(&verb->cancelled) && verb->result < 0)
        return MV_VM_NONE;
    if (verb->result < 0)
        *err = verb->err;
    return verb->result;
}

/* --- the machine */

static void controlled(void *opaque, struct mv_control *control)
{
    struct verb *verb = opaque;
    verb->control = control;
    verb->incoming.told_stage = -1;
    control->incoming = &verb->incoming;
}

static int make(void *opaque, struct mv_loop *loop, struct mv_serial_backend *serial,
                struct mv_machine **ret, struct mv_error *err)
{
    struct verb *verb = opaque;
    verb->loop = loop;
    verb->name = strdup(verb->vm.config->name);
    if (verb->name == NULL)
        return mv_error_set_errno(err, ENOMEM, "the VM's name");
    int r = await(verb, err);
    if (r != 0)
        return r;
    verb->vm.config = mv_receive_config(verb->incoming.receive);
    return mv_receive_machine(verb->incoming.receive, loop, serial, ret, err);
}

static int begin(void *opaque, struct mv_error *err)
{
    struct verb *verb = opaque;
    int r = mv_ticker_start(&verb->ticker, verb->loop, tick, verb, err);
    if (r == 0)
        return mv_receive_begin(verb->incoming.receive, err);
    mv_receive_refuse(verb->incoming.receive, err);
    return r;
}

static void ending(void *opaque)
{
    struct verb *verb = opaque;
    mv_ticker_stop(&verb->ticker);
    wipe(verb);
    mv_receive_stop(verb->incoming.receive);
}

static int main_of_receive(int argc, char **argv)
{
    struct verb verb = {.ticker = MV_TICKER_INIT};
    struct mv_error err;
    int r = mv_config_parse_receive(argc, argv, &verb.wish, &err);
    if (r == 0 && verb.wish.resume) {
        r = mv_receive_resume(&verb.wish, &err);
        mv_config_receive_free(&verb.wish);
        return r == 0 ? 0 : mv_verb_answer(&mv_receive_verb, r, &err);
    }
    if (r == 0 && has_stdio(verb.wish.uri) && verb.wish.restore.config.serial == MV_SERIAL_STDIO) {
        r = mv_error_set(&err, EINVAL,
                         "%s: that is the guest's console, too: give --serial none, or another "
                         "place for it",
                         verb.wish.uri);
        mv_config_receive_free(&verb.wish);
    }
    if (r != 0)
        return mv_verb_answer(&mv_receive_verb, r, &err);
    verb.has_console = verb.wish.restore.config.serial == MV_SERIAL_STDIO;
    verb.has_stdout =
        verb.wish.restore.config.serial != MV_SERIAL_STDIO && !has_stdio(verb.wish.uri);
    verb.incoming.listen = listen_at;
    verb.incoming.quit = give_up;
    verb.incoming.opaque = &verb;
    verb.vm = (struct mv_vm){.config = &verb.wish.restore.config,
                             .make = make,
                             .begin = begin,
                             .ending = ending,
                             .awaits = true,
                             .controlled = controlled,
                             .interrupted = give_up,
                             .opaque = &verb};
    int status = mv_vm_run(&verb.vm);
    mv_receive_end(verb.incoming.receive);
    mv_config_receive_free(&verb.wish);
    free(verb.name);
    return status;
}

const struct mv_verb mv_receive_verb = {
    .name = "receive",
    .summary = "Wait for a VM that is sent, and let it go on here.",
    .synopsis = "memvisor receive URI [-n NAME] [--serial WHERE] [--qmp PATH] [--paused]\n"
                "                        [--tls SPEC | --insecure] [--json] [OPTION]...\n"
                "       memvisor receive --resume URI -n NAME",
    .options = &mv_receive_options,
    .notes = "The machine, its banks and its devices are the sender's. -m, or --ivshmem and\n"
             "--device, replace them all; blocks and devices are matched by their names and\n"
             "paths, and what differs is refused by name: then the guest stays where it was.\n"
             "\n"
             "Examples:\n"
             "  memvisor receive unix:/tmp/demo.move -n demo2\n"
             "  memvisor receive tcp:127.0.0.1:0 --serial unix:/tmp/demo2.console\n"
             "  memvisor receive tcp::4444 --tls psk=mover.psk\n"
             "  memvisor receive --resume tcp:127.0.0.1:4445 -n demo2\n"
             "\n"
             "Exit status: as that of 'memvisor run', once the guest is here.\n",
    .main = main_of_receive,
};
