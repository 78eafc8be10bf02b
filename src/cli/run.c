/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor run: from the command line to a machine.  Everything here is the main thread's.
 */
#include "verb.h"

#include "cleanup.h"
#include "config-text.h"
#include "log.h"
#include "loop.h"
#include "machine.h"
#include "os.h"
#include "vm.h"

#include <fcntl.h>

static int write_dtb(const struct mv_config *config, struct mv_machine *machine,
                     struct mv_error *err)
{
    uint32_t size;
    const void *dtb = mv_machine_dtb(machine, &size);
    CLEANUP_CLOSE int fd = open(config->dump_dtb, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : mv_write_all(fd, dtb, size);
    if (r < 0)
        return mv_error_set_errno(err, -r, "cannot write the device tree to '%s'",
                                  config->dump_dtb);
    return 0;
}

static int dump_dtb(const struct mv_config *config)
{
    struct mv_machine *machine = NULL;
    struct mv_loop *loop = NULL;
    struct mv_error err;
    int r = mv_loop_create(&loop, &err);
    if (r == 0)
        r = mv_machine_create(config, loop, NULL, &machine, &err);
    if (r == 0)
        r = write_dtb(config, machine, &err);
    mv_machine_destroy(machine);
    mv_loop_destroy(loop);
    if (r < 0)
        mv_log("%s", err.text);
    return r < 0 ? MV_STATUS_ERROR : MV_STATUS_OK;
}

static int make(void *opaque, struct mv_loop *loop, struct mv_serial_backend *serial,
                struct mv_machine **ret, struct mv_error *err)
{
    return mv_machine_create(opaque, loop, serial, ret, err);
}

static int main_of_run(int argc, char **argv)
{
    struct mv_config config;
    struct mv_error err;
    int r = mv_config_parse_run(argc, argv, &config, &err);
    if (r != 0)
        return mv_verb_answer(&mv_run_verb, r, &err);
    const struct mv_vm vm = {.config = &config, .make = make, .opaque = &config};
    int status = config.dump_dtb != NULL ? dump_dtb(&config) : mv_vm_run(&vm);
    mv_config_free(&config);
    return status;
}

const struct mv_verb mv_run_verb = {
    .name = "run",
    .summary = "Boot a guest.",
    .synopsis = "memvisor run -k KERNEL | --firmware FILE [-i INITRD] [-a CMDLINE]\n"
                "                    [-c CPUS] [-m SIZE[@ADDR]]... [OPTION]...",
    .options = &mv_run_options,
    .notes = "At a terminal Ctrl-A X ends memvisor, Ctrl-A H shows the keys, and all others go\n"
             "to the guest. SIGINT and SIGTERM end it in order, a second one at once.\n"
             "\n"
             "Examples:\n"
             "  memvisor run -k vmlinuz -i initrd -a console=ttyS0\n"
             "  memvisor run -k vmlinuz -i initrd -m 256M@2G -m 256M@8G -c 2 \\\n"
             "      -a 'console=ttyS0 panic=-1'\n"
             "  memvisor run --firmware test.bin -m 64M --no-reboot\n"
             "  memvisor run -k vmlinuz -c 4 --dump-dtb guest.dtb\n"
             "\n"
             "Exit status: 0 where the guest powered itself off or the user left it, 1 on an\n"
             "error, 2 on wrong usage, 3 where the guest reset itself under --no-reboot, 130\n"
             "after SIGINT and 143 after SIGTERM.\n",
    .main = main_of_run,
};
