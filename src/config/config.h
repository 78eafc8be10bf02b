/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_config: what the user asked for, as validated plain values.  The
 * config room turns text into it and opens nothing.
 */
#ifndef MV_CONFIG_CONFIG_H
#define MV_CONFIG_CONFIG_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A wish that may be left to the backing. */
enum mv_config_switch { MV_SWITCH_DEFAULT, MV_SWITCH_ON, MV_SWITCH_OFF };

/* Where a block's bytes live, and how the host is to treat them. */
struct mv_config_backing {
    uint32_t seen;   /* a bit for each key that was given (backing-text.c) */
    char *file;      /* or NULL */
    char *nbd;       /* the URI of an NBD export, or NULL */
    uint64_t cache;  /* bytes of it that may be in memory; 0: all */
    bool has_offset; /* the bytes are a part of the file */
    uint64_t offset; /* in bytes, where that begins */
    bool create;     /* make the file where there is none */
    bool same_file;  /* others may map the file, too */
    bool memfd;
    bool has_fd;
    int fd;           /* a descriptor that the parent opened */
    uint64_t hugetlb; /* bytes of a huge page; 0: none wanted */
    enum mv_config_switch share, thp, prealloc, lock, merge, dump, save;
    char *policy;     /* "default", "bind", "interleave", "preferred", or NULL */
    char *host_nodes; /* a list of NUMA nodes, such as "0-1,3", or NULL */
};

struct mv_config_bank {
    uint64_t size; /* bytes, not checked for alignment here */
    bool has_gpa;
    uint64_t gpa;
    char *id;   /* NULL: by address order */
    char *text; /* as the user wrote it, for messages */
    struct mv_config_backing backing;
};

/* --back: a file for the block of this id. */
struct mv_config_back {
    char *id;   /* NULL: the first bank's block (--pcram-file) */
    char *text; /* as the user wrote it, for messages */
    struct mv_config_backing backing;
};

/* --device, --ivshmem and device_add: a PCI function. */
struct mv_config_device {
    char *type;        /* "edu", "ivshmem-plain", "ivshmem-doorbell", "ivshmem-2009" */
    char *text;        /* as the user wrote it, for messages */
    char *id;          /* or NULL */
    char *bus;         /* the id of a root port; NULL: the host bridge's bus */
    int slot;          /* 0 to 31; -1: the next free one */
    int slot_number;   /* of a root port, up to 8191; -1: the slot that it is in */
    int chassis;       /* of a root port, up to 255; -1: none given */
    uint64_t dma_mask; /* of edu: the addresses that it can send */
    uint64_t size;     /* of a memory device: bytes */
    struct mv_config_backing backing;
    char *mem_id;     /* of a memory device: the block that it shows, or NULL */
    char *socket;     /* of a device with a server, or NULL */
    unsigned vectors; /* of that device */
    bool ext;         /* it tells who is there */
};

enum mv_config_serial { MV_SERIAL_STDIO, MV_SERIAL_NONE, MV_SERIAL_FILE, MV_SERIAL_UNIX };

struct mv_config {
    char *name;     /* NULL: vm-PID */
    char *kernel;   /* one of kernel and firmware is set */
    char *firmware; /* flat bare-metal binary */
    char *initrd;   /* or NULL */
    char *cmdline;  /* never NULL */
    unsigned cpus;
    struct mv_config_bank *banks; /* at least one */
    size_t bank_count;
    struct mv_config_back *backs;
    size_t back_count;
    struct mv_config_device *devices;
    size_t device_count;
    char *mem_dir; /* or NULL */
    char *engine;  /* "auto", "emulator", "kvm" */
    enum mv_config_switch jit; /* the emulator's */
    uint64_t jit_cache;        /* bytes; 0: as the engine likes it, as the next one */
    unsigned jit_after;        /* how often code runs before it is translated */
    enum mv_config_switch jit_check; /* what is translated runs beside the interpreter */
    char *perf;    /* "map", "jitdump" or NULL */
    char *machine; /* "arm64", "pc" */
    enum mv_config_serial serial;
    char *serial_path; /* file:, unix: */
    char *qmp_path;    /* of a control socket besides the VM's own; or NULL */
    char *gdb;         /* where the debugger's server listens; or NULL */
    char *dump_dtb;    /* or NULL */
    bool paused;
    bool no_reboot;
    bool reload; /* read kernel, firmware and initrd anew at each reset */
};

/*
 * Parse one -m argument: SIZE[@ADDR][,key=value…].  -EINVAL or -ERANGE with a
 * message that says what is wrong with which part.  Free with mv_config_free,
 * or mv_config_bank_clear for one bank alone.
 */
int mv_config_parse_bank(const char *text, struct mv_config_bank *ret, struct mv_error *err);
void mv_config_bank_clear(struct mv_config_bank *bank);

/*
 * Parse one --back argument: ID=FILE[,key=value…], with the keys that a bank
 * has.  As mv_config_parse_bank.
 */
int mv_config_parse_back(const char *text, struct mv_config_back *ret, struct mv_error *err);
void mv_config_back_clear(struct mv_config_back *back);

/*
 * Parse one --device argument, TYPE[,key=value…], or one --ivshmem argument,
 * SOCKET[,vectors=N] or mem=FILE,size=SIZE[,key=value…] with the keys that a
 * bank has.  All have addr=SLOT.0, bus=ID and id=ID.  Of device_add, TYPE may
 * be what --ivshmem makes, with its keys, and socket=SOCKET.
 */
int mv_config_parse_device(const char *text, struct mv_config_device *ret, struct mv_error *err);
int mv_config_parse_ivshmem(const char *text, struct mv_config_device *ret, struct mv_error *err);
int mv_config_parse_device_add(const char *text, struct mv_config_device *ret,
                               struct mv_error *err);
void mv_config_device_clear(struct mv_config_device *device);

/*
 * Parse the keys of a bank that say where its bytes live, key=value,… or nothing.
 * As mv_config_parse_bank; free with mv_backing_clear (config-text.h).
 */
int mv_config_parse_backing(const char *text, struct mv_config_backing *ret, struct mv_error *err);

/*
 * The reverse of the parsers, of mv_config_parse_device_add for all devices: text
 * to be freed, of which they make the same struct.  -EINVAL, which says why, where
 * none would: the id of a --back with '=' or none, a size of odd bytes, an empty
 * value.  The text of a bank has its id and its address where the struct has them.
 */
int mv_config_print_bank(const struct mv_config_bank *bank, char **ret, struct mv_error *err);
int mv_config_print_back(const struct mv_config_back *back, char **ret, struct mv_error *err);
int mv_config_print_backing(const struct mv_config_backing *backing, char **ret,
                            struct mv_error *err);
int mv_config_print_device(const struct mv_config_device *device, char **ret, struct mv_error *err);

/*
 * Parse the words behind `memvisor run` and fill in the defaults: 0,
 * MV_OPTIONS_HELP (options.h) where help was asked for, or a negative errno.
 * On 0 *ret is to be freed with mv_config_free; else it is untouched.
 */
int mv_config_parse_run(int argc, char *const *argv, struct mv_config *ret, struct mv_error *err);
/* Frees what config holds, not config itself. */
void mv_config_free(struct mv_config *config);

/* How a restored guest gets its memory from the state file. */
enum mv_config_ram {
    MV_RAM_PRIVATE, /* mapped, copied on write: the file stays as it is */
    MV_RAM_COPY,    /* read, and its sums checked */
    MV_RAM_SHARED,  /* mapped, and written by the guest */
};

/* `memvisor restore`: what takes the place of what the state says. */
struct mv_config_restore {
    /*
     * First, for setters of run's.  Nothing is in it that was not given: no banks,
     * no devices, 0 CPUs; `reload` is below.
     */
    struct mv_config config;
    char *file;
    enum mv_config_ram ram;
    enum mv_config_switch reload;
    bool json;
};

/* As mv_config_parse_run, for the words behind `memvisor restore`. */
int mv_config_parse_restore(int argc, char *const *argv, struct mv_config_restore *ret,
                            struct mv_error *err);
void mv_config_restore_free(struct mv_config_restore *restore);

/* `memvisor receive`: where a guest comes from, and the same of it. */
struct mv_config_receive {
    struct mv_config_restore restore; /* first, for setters of restore's; without a file */
    char *uri;
    char *tls; /* as it was given, or NULL */
    bool insecure;
    bool json;
    bool resume; /* by the VM of restore's name */
};

/* As mv_config_parse_run, for the words behind `memvisor receive`. */
int mv_config_parse_receive(int argc, char *const *argv, struct mv_config_receive *ret,
                            struct mv_error *err);
void mv_config_receive_free(struct mv_config_receive *receive);

#endif
