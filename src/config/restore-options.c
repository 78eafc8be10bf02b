/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of `memvisor restore`, as data: those of run that replace what the state
 * says, which `memvisor receive` has, too, and those that say how it is restored.  No state;
 * called by the cli room.
 */
#include "config-text.h"

#include <stdlib.h>
#include <string.h>

static int set_ram(void *target, const struct mv_option *option, const char *value,
                   struct mv_error *err)
{
    static const char *const words[] = {
        [MV_RAM_PRIVATE] = "private", [MV_RAM_COPY] = "copy", [MV_RAM_SHARED] = "shared"};
    struct mv_config_restore *restore = target;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(value, words[i]) == 0) {
            restore->ram = (enum mv_config_ram)i;
            return 0;
        }
    }
    return mv_error_set(err, EINVAL, "no such way: choose private, copy or shared");
}

static int set_reload(void *target, const struct mv_option *option, const char *value,
                      struct mv_error *err)
{
    struct mv_config_restore *restore = target;
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0)
        return mv_error_set(err, EINVAL, "neither on nor off: choose one of them");
    restore->reload = on ? MV_SWITCH_ON : MV_SWITCH_OFF;
    return 0;
}

#define TEXT(name) mv_option_set_string, offsetof(struct mv_config_restore, config.name)
#define FLAG(name) mv_option_set_flag, offsetof(struct mv_config_restore, name)

static const struct mv_option options[] = {
    {"ram", 0, "WAY", set_ram, 0,
     "How the guest gets its memory: private, the default, maps the file, copies what the guest "
     "writes and leaves the file as it is; copy reads it and checks its sums; shared maps it and "
     "has the guest write to it, so that it is no saved state any more."},
    {"json", 0, NULL, FLAG(json),
     "Tell in a line of JSON what was restored and how long it took, on standard output, or on "
     "standard error where the console is there."},
};

const struct mv_option mv_restore_shared[] = {
    {"name", 'n', "NAME", mv_config_set_name, offsetof(struct mv_config_restore, config.name),
     "Name of the VM; default vm-PID. Two VMs of one name cannot run at once."},
    {"paused", 0, NULL, FLAG(config.paused), "Start with the virtual CPUs paused."},
    {"serial", 0, "WHERE", mv_config_set_serial,
     offsetof(struct mv_config_restore, config.serial_path),
     "Where the guest's console is: stdio, none, file:PATH (output only) or unix:PATH (a socket "
     "that memvisor listens on); default stdio."},
    {"qmp", 0, "PATH", TEXT(qmp_path),
     "Listen for QMP clients on a socket at PATH as well as on qmp.sock in the VM's run-time "
     "folder."},
    {"gdb", 0, "ADDRESS", TEXT(gdb),
     "Listen for GDB at [HOST]:PORT (loopback where HOST is left out) or on a Unix socket, whose "
     "path has a '/'. With --paused the guest waits for the debugger's continue."},
    {"memory", 'm', "BANK", mv_config_set_bank, 0,
     "Build these banks in place of the state's, as SIZE[@ADDR][,key=value...]; once for each. "
     "Each has to be one of the state's by id, size and address.",
     .alias = "mem", .repeatable = true},
    {"back", 0, "ID=FILE", mv_config_set_back, 0,
     "Keep the bytes of the block ID, such as ram0, in FILE; a bank's keys, such as share=off, "
     "may follow behind commas.",
     .repeatable = true},
    {"mem-dir", 0, "DIR", TEXT(mem_dir),
     "Keep the bytes of banks that name no place of their own in unnamed files in this folder; "
     "default $MEMVISOR_MEM_DIR."},
    {"ivshmem", 0, "SPEC", mv_config_set_ivshmem, 0,
     "Memory that other guests and programs share, as 'memvisor run' takes it. This and --device "
     "take the place of all devices that the state's user added; each has to be where the state "
     "has one of its type.",
     .repeatable = true},
    {"device", 0, "SPEC", mv_config_set_device, 0,
     "A PCI device, as 'memvisor run' takes it; see --ivshmem.", .repeatable = true},
    {"cpus", 'c', "N", mv_config_set_cpus, 0,
     "Number of virtual CPUs; the state's, or it is refused."},
    {"engine", 0, "NAME", mv_config_set_engine, offsetof(struct mv_config_restore, config.engine),
     "What runs the virtual CPUs: auto or emulator; default the state's."},
    {"machine", 0, "NAME", mv_config_set_machine,
     offsetof(struct mv_config_restore, config.machine),
     "The board; the state's, or it is refused."},
    {"append", 'a', "TEXT", mv_config_set_cmdline, 0,
     "Kernel command line for when the guest resets itself; default the state's.",
     .alias = "cmdline", .dash_value = true},
    {"no-reboot", 0, NULL, FLAG(config.no_reboot),
     "End with exit status 3 where the guest resets itself, also where the state's guest would "
     "boot again."},
    {"reload", 0, "on|off", set_reload, 0,
     "Whether a reset reads kernel (or firmware) and initrd anew, from -k and -i, or boots what "
     "the "
     "state carries; default the state's."},
    {"kernel", 'k', "FILE", TEXT(kernel), "Kernel that a reset reads under --reload on."},
    {"firmware", 0, "FILE", TEXT(firmware),
     "Bare-metal binary that a reset reads under --reload on."},
    {"initrd", 'i', "FILE", TEXT(initrd), "Initial RAM disk that a reset reads under --reload on."},
    {.name = "disk", .argument = "SPEC", .later = "give the guest a disk"},
    {.name = "net", .argument = "SPEC", .later = "connect the guest to a network"},
    {.name = NULL},
};

static const struct mv_option words[] = {
    {.argument = "FILE",
     .set = mv_option_set_string,
     .offset = offsetof(struct mv_config_restore, file),
     .help = "The state, as 'memvisor save' wrote it."},
};

const struct mv_option_table mv_restore_options = {.verb = "restore",
                                                   .options = options,
                                                   .count = sizeof options / sizeof options[0],
                                                   .words = words,
                                                   .word_count = 1,
                                                   .words_needed = 1,
                                                   .shared = mv_restore_shared};

void mv_config_restore_free(struct mv_config_restore *restore)
{
    mv_config_free(&restore->config);
    free(restore->file);
    *restore = (struct mv_config_restore){0};
}

int mv_config_check_restore(const struct mv_config_restore *restore, struct mv_error *err)
{
    if (restore->config.kernel != NULL && restore->config.firmware != NULL)
        return mv_error_set(err, EINVAL,
                            "-k and --firmware exclude each other: a guest starts with a kernel or "
                            "with a bare-metal binary");
    return 0;
}

int mv_config_parse_restore(int argc, char *const *argv, struct mv_config_restore *ret,
                            struct mv_error *err)
{
    struct mv_config_restore restore = {.config.serial = MV_SERIAL_STDIO};
    int r = mv_options_parse(&mv_restore_options, argc, argv, &restore, err);
    if (r == 0)
        r = mv_config_check_restore(&restore, err);
    if (r != 0) {
        mv_config_restore_free(&restore);
        return r;
    }
    *ret = restore;
    return 0;
}
