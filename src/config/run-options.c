/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of `memvisor run`, as data, with their setters.  An option that
 * a later version brings has a row as well, so that it is refused by name.
 * And struct mv_config as a whole: defaults, the checks that concern more than one
 * option, and its end.
 */
#include "config-text.h"

#include "cleanup.h"
#include "config.h"
#include "options.h"
#include "size.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS_MAX 64

int mv_config_set_name(void *target, const struct mv_option *option, const char *value,
                       struct mv_error *err)
{
    /* It becomes a folder's name, and an argument of other verbs. */
    if (value[0] == '\0')
        return mv_error_set(err, EINVAL, "the name is empty");
    if (strlen(value) > NAME_MAX)
        return mv_error_set(err, EINVAL, "the name is too long: at most %d bytes", NAME_MAX);
    if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0 || value[0] == '-')
        return mv_error_set(err, EINVAL, "a VM cannot have this name: use letters and digits");
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '/' || (unsigned char)*c < 0x20 || *c == 0x7f)
            return mv_error_set(err, EINVAL,
                                "a VM's name cannot hold '/' or control characters: use letters "
                                "and digits");
    }
    return mv_option_set_string(target, option, value, err);
}

int mv_config_set_cmdline(void *target, const struct mv_option *option, const char *value,
                          struct mv_error *err)
{
    struct mv_config *config = target;
    free(config->cmdline);
    config->cmdline = strdup(value);
    return config->cmdline == NULL ? mv_error_set_errno(err, ENOMEM, "copying it") : 0;
}

int mv_config_set_cpus(void *target, const struct mv_option *option, const char *value,
                       struct mv_error *err)
{
    struct mv_config *config = target;
    size_t digits = strspn(value, "0123456789");
    unsigned long cpus = strtoul(value, NULL, 10);
    if (digits == 0 || value[digits] != '\0')
        return mv_error_set(err, EINVAL, "no number of CPUs: give one from 1 to %d", CPUS_MAX);
    if (cpus < 1 || cpus > CPUS_MAX)
        return mv_error_set(err, EINVAL, "a machine has from 1 to %d CPUs", CPUS_MAX);
    config->cpus = (unsigned)cpus;
    return 0;
}

/* Room for one more at the end of a list; NULL where there is none, which is told. */
static void *more(void *list, size_t count, size_t size, struct mv_error *err)
{
    void *longer = reallocarray(list, count + 1, size);
    if (longer == NULL)
        mv_error_set_errno(err, ENOMEM, "keeping it");
    return longer;
}

static int add_bank(struct mv_config *config, const char *text, struct mv_error *err)
{
    struct mv_config_bank *banks = more(config->banks, config->bank_count, sizeof *banks, err);
    if (banks == NULL)
        return -ENOMEM;
    config->banks = banks;
    int r = mv_config_parse_bank(text, &banks[config->bank_count], err);
    config->bank_count += r == 0;
    return r;
}

int mv_config_set_bank(void *target, const struct mv_option *option, const char *value,
                       struct mv_error *err)
{
    return add_bank(target, value, err);
}

/* It becomes the configuration's, also where it cannot be kept. */
static int add_back(struct mv_config *config, struct mv_config_back *back, struct mv_error *err)
{
    struct mv_config_back *backs = more(config->backs, config->back_count, sizeof *backs, err);
    if (backs == NULL) {
        mv_config_back_clear(back);
        return -ENOMEM;
    }
    config->backs = backs;
    backs[config->back_count++] = *back;
    return 0;
}

int mv_config_set_back(void *target, const struct mv_option *option, const char *value,
                       struct mv_error *err)
{
    struct mv_config_back back;
    int r = mv_config_parse_back(value, &back, err);
    return r < 0 ? r : add_back(target, &back, err);
}

static int set_pcram_file(void *target, const struct mv_option *option, const char *value,
                          struct mv_error *err)
{
    struct mv_config_back back = {.backing = {.file = strdup(value), .share = MV_SWITCH_ON}};
    int r = value[0] == '\0' ? mv_error_set(err, EINVAL, "the PATH is empty") : 0;
    if (asprintf(&back.text, "--pcram-file %s", value) < 0)
        back.text = NULL;
    if (r == 0 && (back.text == NULL || back.backing.file == NULL))
        r = mv_error_set_errno(err, ENOMEM, "copying it");
    if (r < 0)
        mv_config_back_clear(&back);
    return r < 0 ? r : add_back(target, &back, err);
}

static int add_device(struct mv_config *config, const char *text, struct mv_error *err,
                      int (*parse)(const char *text, struct mv_config_device *ret,
                                   struct mv_error *err))
{
    struct mv_config_device *devices =
        more(config->devices, config->device_count, sizeof *devices, err);
    if (devices == NULL)
        return -ENOMEM;
    config->devices = devices;
    int r = parse(text, &devices[config->device_count], err);
    config->device_count += r == 0;
    return r;
}

int mv_config_set_device(void *target, const struct mv_option *option, const char *value,
                         struct mv_error *err)
{
    return add_device(target, value, err, mv_config_parse_device);
}

int mv_config_set_ivshmem(void *target, const struct mv_option *option, const char *value,
                          struct mv_error *err)
{
    return add_device(target, value, err, mv_config_parse_ivshmem);
}

/* One of a few words, some of which later versions bring. */
struct choice {
    const char *word;
    const char *later;
};

static int set_choice(void *target, const struct mv_option *option, const char *value,
                      const struct choice *choices, size_t count, struct mv_error *err)
{
    char list[128] = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(value, choices[i].word) != 0) {
            if (choices[i].later == NULL)
                snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                         list[0] == '\0' ? "" : " or ", choices[i].word);
            continue;
        }
        if (choices[i].later != NULL) {
            char shown[64];
            snprintf(shown, sizeof shown, "the %s '%s'", option->name, value);
            return mv_later_refuse(shown, choices[i].later, "run", err);
        }
        return mv_option_set_string(target, option, value, err);
    }
    return mv_error_set(err, EINVAL, "there is no %s of this name: choose %s", option->name, list);
}

static int set_perf(void *target, const struct mv_option *option, const char *value,
                    struct mv_error *err)
{
    static const struct choice kinds[] = {{"map", NULL}, {"jitdump", NULL}};
    return set_choice(target, option, value, kinds, sizeof kinds / sizeof kinds[0], err);
}

/* --- --engine emulator,KEY=VALUE… */

#define JIT_CACHE_MIN (UINT64_C(64) << 10)
#define JIT_CACHE_MAX (UINT64_C(1) << 30)
#define JIT_AFTER_MAX 200

static int set_jit(struct mv_config *config, const char *value, struct mv_error *err)
{
    if (strcmp(value, "2") == 0)
        return mv_later_refuse("jit=2", "translate hot loops a second time", "run", err);
    bool off = strcmp(value, "off") == 0;
    if (!off && strcmp(value, "on") != 0 && strcmp(value, "1") != 0)
        return mv_error_set(err, EINVAL, "jit=%s is not understood: write jit=on|off|1", value);
    config->jit = off ? MV_SWITCH_OFF : MV_SWITCH_ON;
    return 0;
}

static int set_jit_cache(struct mv_config *config, const char *value, struct mv_error *err)
{
    int r = mv_size_parse(value, &config->jit_cache, err);
    if (r == 0 && (config->jit_cache < JIT_CACHE_MIN || config->jit_cache > JIT_CACHE_MAX))
        r = mv_error_set(err, ERANGE, "jit-cache=%s: choose from 64K to 1G", value);
    return r;
}

static int set_jit_after(struct mv_config *config, const char *value, struct mv_error *err)
{
    char *end;
    unsigned long times = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || times < 1 || times > JIT_AFTER_MAX)
        return mv_error_set(err, ERANGE, "jit-after=%s: choose from 1 to %d", value, JIT_AFTER_MAX);
    config->jit_after = (unsigned)times;
    return 0;
}

static int set_jit_check(struct mv_config *config, const char *value, struct mv_error *err)
{
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0)
        return mv_error_set(err, EINVAL, "jit-check=%s is not understood: write jit-check=on|off",
                            value);
    config->jit_check = on ? MV_SWITCH_ON : MV_SWITCH_OFF;
    return 0;
}

/* keys: ",KEY=VALUE" each; they are changed. */
static int set_engine_keys(struct mv_config *config, char *keys, struct mv_error *err)
{
    static const struct {
        const char *key;
        int (*set)(struct mv_config *config, const char *value, struct mv_error *err);
    } known[] = {{"jit=", set_jit},
                 {"jit-cache=", set_jit_cache},
                 {"jit-after=", set_jit_after},
                 {"jit-check=", set_jit_check}};
    int r = 0;
    for (char *rest = keys, *word; r == 0 && (word = strsep(&rest, ",")) != NULL;) {
        size_t i = 0, count = sizeof known / sizeof known[0];
        while (i < count && strncmp(word, known[i].key, strlen(known[i].key)) != 0)
            i++;
        if (i < count)
            r = known[i].set(config, word + strlen(known[i].key), err);
        else if (word != keys) /* what is before the first comma is nothing */
            r = mv_error_set(
                err, EINVAL,
                "the emulator has no key '%s': choose jit=, jit-cache=, jit-after= or jit-check=",
                word);
    }
    return r;
}

int mv_config_set_engine(void *target, const struct mv_option *option, const char *value,
                         struct mv_error *err)
{
    static const struct choice engines[] = {
        {"auto", NULL}, {"emulator", NULL}, {"kvm", "run vCPUs on the host's own CPUs"}};
    struct mv_config *config =
        (struct mv_config *)((char *)target + option->offset - offsetof(struct mv_config, engine));
    size_t len = strcspn(value, ",");
    CLEANUP_FREE char *name = strndup(value, len), *keys = strdup(value + len);
    if (name == NULL || keys == NULL)
        return mv_error_set_errno(err, ENOMEM, "--engine");
    int r = set_choice(target, option, name, engines, sizeof engines / sizeof engines[0], err);
    if (r == 0 && value[len] != '\0' && strcmp(name, "emulator") != 0)
        r = mv_error_set(err, EINVAL, "'%s' has no keys: write emulator%s", name, value + len);
    return r < 0 ? r : set_engine_keys(config, keys, err);
}

int mv_config_set_machine(void *target, const struct mv_option *option, const char *value,
                          struct mv_error *err)
{
    static const struct choice machines[] = {{"arm64", NULL}, {"pc", "be an x86 board for KVM"}};
    return set_choice(target, option, value, machines, sizeof machines / sizeof machines[0], err);
}

int mv_config_set_serial(void *target, const struct mv_option *option, const char *value,
                         struct mv_error *err)
{
    static const struct {
        const char *prefix;
        enum mv_config_serial kind;
        bool path;
    } kinds[] = {
        {"stdio", MV_SERIAL_STDIO, false},
        {"none", MV_SERIAL_NONE, false},
        {"file:", MV_SERIAL_FILE, true},
        {"unix:", MV_SERIAL_UNIX, true},
    };
    struct mv_config *config = target;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i].prefix);
        if (strncmp(value, kinds[i].prefix, len) != 0 || (!kinds[i].path && value[len] != '\0'))
            continue;
        if (kinds[i].path && value[len] == '\0')
            return mv_error_set(err, EINVAL, "the path is missing: write %sPATH", value);
        config->serial = kinds[i].kind;
        return kinds[i].path ? mv_option_set_string(target, option, value + len, err) : 0;
    }
    return mv_error_set(err, EINVAL,
                        "no console of this kind: choose stdio, none, file:PATH or unix:PATH");
}

static int set_reload(void *target, const struct mv_option *option, const char *value,
                      struct mv_error *err)
{
    struct mv_config *config = target;
    config->reload = strcmp(value, "on") == 0;
    if (!config->reload && strcmp(value, "off") != 0)
        return mv_error_set(err, EINVAL, "neither on nor off: choose one of them");
    return 0;
}

#define TEXT(name) mv_option_set_string, offsetof(struct mv_config, name)
#define FLAG(name) mv_option_set_flag, offsetof(struct mv_config, name)

static const struct mv_option options[] = {
    {"kernel", 'k', "FILE", TEXT(kernel),
     "Kernel to boot: an arm64 Linux Image, which may be compressed by gzip or zstd, or an EFI "
     "zboot image with one of these in it."},
    {"firmware", 0, "FILE", TEXT(firmware),
     "Flat bare-metal binary to run instead of a kernel: loaded 512 KiB into the lowest bank and "
     "entered as a kernel is."},
    {"initrd", 'i', "FILE", TEXT(initrd), "Initial RAM disk for the kernel."},
    {"append", 'a', "TEXT", mv_config_set_cmdline, 0, "Kernel command line.", .alias = "cmdline",
     .dash_value = true},
    {"cpus", 'c', "N", mv_config_set_cpus, 0, "Number of virtual CPUs, from 1 to 64; default 1."},
    {"memory", 'm', "BANK", mv_config_set_bank, 0,
     "One bank of RAM, as SIZE[@ADDR][,key=value...]; once for each bank. SIZE is a number with "
     "K, M, G, T or P, or a number of MiB. ADDR is 0x... in bytes, or a number with such a letter. "
     "A bank without one takes the lowest free place from 2G up. Default 512M. The keys are listed "
     "below.",
     .alias = "mem", .repeatable = true},
    {"back", 0, "ID=FILE", mv_config_set_back, 0,
     "Keep the bytes of the block ID, such as ram0, in FILE; a bank's keys, such as share=off, "
     "may follow behind commas.",
     .repeatable = true},
    {"pcram-file", 0, "PATH", set_pcram_file, 0,
     "Keep the first bank's bytes in this file, shared with others who map it."},
    {"mem-dir", 0, "DIR", TEXT(mem_dir),
     "Keep the bytes of banks that name no place of their own in unnamed files in this folder; "
     "default $MEMVISOR_MEM_DIR."},
    {"name", 'n', "NAME", mv_config_set_name, offsetof(struct mv_config, name),
     "Name of the VM; default vm-PID. Two VMs of one name cannot run at once."},
    {"serial", 0, "WHERE", mv_config_set_serial, offsetof(struct mv_config, serial_path),
     "Where the guest's console is: stdio, none, file:PATH (output only) or unix:PATH (a socket "
     "that memvisor listens on); default stdio."},
    {"engine", 0, "NAME", mv_config_set_engine, offsetof(struct mv_config, engine),
     "What runs the virtual CPUs: auto or emulator[,KEY=VALUE]...; default auto. The keys: with "
     "jit=on, guest code that has run more than jit-after=N times (32) is translated to the "
     "host's, in up to jit-cache=SIZE of memory (8M); with jit-check=on the interpreter does all "
     "of it beside, and compares. "
     "'memvisor engines' lists them."},
    {"perf", 0, "map|jitdump", set_perf, offsetof(struct mv_config, perf),
     "Tell perf(1) of translated code: map writes its addresses to /tmp/perf-PID.map, jitdump all "
     "of it to jit-PID.dump."},
    {"machine", 0, "NAME", mv_config_set_machine, offsetof(struct mv_config, machine),
     "The board: arm64, which is the default."},
    {"qmp", 0, "PATH", TEXT(qmp_path),
     "Listen for QMP clients on a socket at PATH as well as on qmp.sock in the VM's run-time "
     "folder."},
    {"gdb", 0, "ADDRESS", TEXT(gdb),
     "Listen for GDB at [HOST]:PORT (loopback where HOST is left out) or on a Unix socket, whose "
     "path has a '/'. With --paused the guest waits for the debugger's continue."},
    {"dump-dtb", 0, "FILE", TEXT(dump_dtb),
     "Write the guest's device tree to FILE and exit without running."},
    {"paused", 0, NULL, FLAG(paused), "Start with the virtual CPUs paused."},
    {"no-reboot", 0, NULL, FLAG(no_reboot),
     "End with exit status 3 where the guest resets itself, instead of booting it again."},
    {"reload", 0, "on|off", set_reload, 0,
     "Whether a reset reads kernel (or firmware) and initrd anew; off, the default: it boots the "
     "bytes of the start, of which a copy is kept."},
    {"ivshmem", 0, "SPEC", mv_config_set_ivshmem, 0,
     "Memory that other guests and programs share, as a PCI device. With doorbells, of QEMU's kind "
     "ivshmem-doorbell, from a server (ivshmem-server): SOCKET[,vectors=N][,addr=SLOT.0][,bus=ID]"
     "[,id=ID]; ext=on tells the guest who is connected, and SIZE_IN_MB,unix:SOCKET gives it the "
     "registers of 2009. Without, of its kind ivshmem-plain: mem=FILE,size=SIZE and the same; a "
     "bank's keys, such as create=on, may follow. SIZE is a power of two. mem-id=ID shows the "
     "guest a block that it has, such as a bank, in such a device.",
     .repeatable = true},
    {"device", 0, "SPEC", mv_config_set_device, 0,
     "A PCI device, as TYPE[,addr=SLOT.0][,bus=ID][,id=ID]; without addr it takes the next free "
     "slot. Types: pcie-root-port[,slot=N][,chassis=N], a slot for one device, with bus= its id, "
     "that may come and go while the guest runs; edu[,dma_mask=MASK], QEMU's device for writers "
     "of drivers.",
     .repeatable = true},
    {.name = "disk", .argument = "SPEC", .later = "give the guest a disk"},
    {.name = "net", .argument = "SPEC", .later = "connect the guest to a network"},
    {.name = "vhost-user", .argument = "SPEC", .later = "have another process be a device"},
    {.name = "sandbox", .argument = "on|off", .later = "confine memvisor itself"},
};

/* QEMU's and Firecracker's, where the name alone does not lead to ours. */
static const struct mv_foreign_option foreign[] = {
    {"smp", "the number of CPUs is -c N"},
    {"M", "the board is --machine NAME, and 'arm64' without it"},
    {"cpu", "there is one kind of CPU, and no option for it"},
    {"accel", "what runs the guest is --engine NAME, and 'auto' without it"},
    {"enable-kvm", "KVM is not in this version; what runs the guest is --engine NAME"},
    {"nographic", "leave it out: the console is on this terminal already (--serial)"},
    {"display", "there is no display: the guest's console is --serial"},
    {"monitor", "a VM is steered by QMP (--qmp PATH) and by verbs such as 'memvisor stop NAME'"},
    {"drive",
     "disks are not in this version; a bank of RAM is kept in a file by -m SIZE,file=PATH"},
    {"hda", "disks are not in this version; the guest's files come in an initrd, -i FILE"},
    {"blockdev", "disks are not in this version; the guest's files come in an initrd, -i FILE"},
    {"netdev", "networks are not in this version"},
    {"nic", "networks are not in this version; there is none to be switched off"},
    {"object", "memory is a bank's matter: -m SIZE,file=PATH and the like"},
    {"mem-path", "a bank is kept in a file by -m SIZE,file=PATH"},
    {"s", "a debugger's port is --gdb :1234"},
    {"S", "the guest waits to be started under --paused"},
    {"daemonize", "start it in the background with '&' and --serial file:PATH"},
    {"api-sock", "the control socket is --qmp PATH; it speaks QMP"},
    {"config-file", "a VM is described by options alone: 'memvisor help run' lists them"},
};

const struct mv_option_table mv_run_options = {.verb = "run",
                                               .options = options,
                                               .count = sizeof options / sizeof options[0],
                                               .foreign = foreign,
                                               .foreign_count = sizeof foreign / sizeof foreign[0]};

/* --- the whole */

#define DEFAULT_BANK "512M"

void mv_config_free(struct mv_config *config)
{
    char *texts[] = {config->name,     config->kernel, config->firmware, config->initrd,
                     config->cmdline,  config->engine, config->machine,  config->serial_path,
                     config->qmp_path, config->gdb,    config->dump_dtb, config->mem_dir,
                     config->perf};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (size_t i = 0; i < config->bank_count; i++)
        mv_config_bank_clear(&config->banks[i]);
    free(config->banks);
    for (size_t i = 0; i < config->back_count; i++)
        mv_config_back_clear(&config->backs[i]);
    free(config->backs);
    for (size_t i = 0; i < config->device_count; i++)
        mv_config_device_clear(&config->devices[i]);
    free(config->devices);
    *config = (struct mv_config){0};
}

static int default_text(char **field, const char *text, struct mv_error *err)
{
    if (*field == NULL && (*field = strdup(text)) == NULL)
        return mv_error_set_errno(err, ENOMEM, "options");
    return 0;
}

static int fill_defaults(struct mv_config *config, struct mv_error *err)
{
    int r = default_text(&config->cmdline, "", err);
    if (r == 0)
        r = default_text(&config->engine, "auto", err);
    if (r == 0)
        r = default_text(&config->machine, "arm64", err);
    if (r == 0 && config->bank_count == 0)
        r = add_bank(config, DEFAULT_BANK, err);
    return r;
}

static int check_what_boots(const struct mv_config *config, struct mv_error *err)
{
    if (config->kernel != NULL && config->firmware != NULL)
        return mv_error_set(err, EINVAL,
                            "-k and --firmware exclude each other: a guest starts with a kernel "
                            "or with a bare-metal binary");
    if (config->kernel == NULL && config->firmware == NULL)
        return mv_error_set(err, EINVAL,
                            "nothing to run: give a kernel with -k FILE, or a bare-metal binary "
                            "with --firmware FILE");
    return 0;
}

int mv_config_parse_run(int argc, char *const *argv, struct mv_config *ret, struct mv_error *err)
{
    struct mv_config config = {.cpus = 1, .serial = MV_SERIAL_STDIO};
    int r = mv_options_parse(&mv_run_options, argc, argv, &config, err);
    if (r == 0)
        r = check_what_boots(&config, err);
    if (r == 0)
        r = fill_defaults(&config, err);
    if (r != 0) {
        mv_config_free(&config);
        return r;
    }
    *ret = config;
    return 0;
}
