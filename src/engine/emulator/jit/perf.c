/* SPDX-License-Identifier: Apache-2.0 */
#include "perf.h"

#include "cleanup.h"
#include "log.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct mv_jit_perf {
    pthread_mutex_t lock;
    FILE *file; /* NULL: it could not be written any more */
    bool dumps;
    char path[64];
    void *mark; /* the dump's first page: that it is mapped is how perf finds it */
    size_t mark_size;
    uint64_t count; /* of what was told */
};

/* --- the dump: Linux, tools/perf/Documentation/jitdump-specification.txt */

struct dump_head {
    uint32_t magic, version, total_size, machine, pad, pid;
    uint64_t timestamp, flags;
};
#define DUMP_MAGIC   0x4a695444u
#define DUMP_VERSION 1u

struct dump_code {
    uint32_t id, total_size; /* JIT_CODE_LOAD is 0 */
    uint64_t timestamp;
    uint32_t pid, tid;
    uint64_t vma, address, size, index;
    /* the name, with its end; the code */
};

/* As `perf record -k mono` counts. */
static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int begin_dump(struct mv_jit_perf *perf)
{
    const struct dump_head head = {
        DUMP_MAGIC, DUMP_VERSION, sizeof head, EM_X86_64, 0, (uint32_t)getpid(), now(), 0};
    if (fwrite(&head, sizeof head, 1, perf->file) != 1 || fflush(perf->file) != 0)
        return -errno;
    perf->mark_size = (size_t)sysconf(_SC_PAGESIZE);
    perf->mark = mmap(NULL, perf->mark_size, PROT_READ | PROT_EXEC, MAP_PRIVATE,
                      fileno(perf->file), 0);
    if (perf->mark == MAP_FAILED) {
        perf->mark = NULL;
        return -errno;
    }
    return 0;
}

static bool write_code(struct mv_jit_perf *perf, const char *name, const void *code, size_t size)
{
    size_t name_size = strlen(name) + 1;
    const struct dump_code record = {
        .total_size = (uint32_t)(sizeof record + name_size + size),
        .timestamp = now(),
        .pid = (uint32_t)getpid(),
        .tid = (uint32_t)syscall(SYS_gettid),
        .vma = (uintptr_t)code,
        .address = (uintptr_t)code,
        .size = size,
        .index = perf->count,
    };
    return fwrite(&record, sizeof record, 1, perf->file) == 1 &&
           fwrite(name, name_size, 1, perf->file) == 1 && fwrite(code, size, 1, perf->file) == 1;
}

/* --- either */

static int fail(struct mv_jit_perf *perf, int code, struct mv_error *err)
{
    int r = mv_error_set(err, code, "cannot write %s for perf: %s", perf->path, strerror(code));
    mv_jit_perf_destroy(perf);
    return r;
}

int mv_jit_perf_create(const char *kind, struct mv_jit_perf **ret, struct mv_error *err)
{
    struct mv_jit_perf *perf = calloc(1, sizeof *perf);
    if (perf == NULL)
        return mv_error_set(err, ENOMEM, "no memory for what perf is told");
    pthread_mutex_init(&perf->lock, NULL);
    perf->dumps = strcmp(kind, "jitdump") == 0;
    snprintf(perf->path, sizeof perf->path, perf->dumps ? "jit-%d.dump" : "/tmp/perf-%d.map",
             getpid());
    /* Others may have made something of that name. */
    int fd = open(perf->path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_uid != geteuid()) {
        int code = fd < 0 ? errno : EPERM;
        if (fd >= 0)
            close(fd);
        return fail(perf, code, err);
    }
    perf->file = fdopen(fd, "w");
    if (perf->file == NULL) {
        int code = errno;
        close(fd);
        return fail(perf, code, err);
    }
    int r = perf->dumps ? begin_dump(perf) : 0;
    if (r < 0)
        return fail(perf, -r, err);
    *ret = perf;
    return 0;
}

/* The file stays: it is read when the process is gone. */
void mv_jit_perf_destroy(struct mv_jit_perf *perf)
{
    if (perf == NULL)
        return;
    if (perf->mark != NULL)
        munmap(perf->mark, perf->mark_size);
    if (perf->file != NULL)
        fclose(perf->file);
    pthread_mutex_destroy(&perf->lock);
    free(perf);
}

void mv_jit_perf_tell(struct mv_jit_perf *perf, const void *code, size_t size, uint64_t pc)
{
    char name[32];
    snprintf(name, sizeof name, "guest_%" PRIx64, pc);
    MV_LOCK_SCOPE(&perf->lock);
    if (perf->file == NULL)
        return;
    bool ok = perf->dumps ? write_code(perf, name, code, size)
                          : fprintf(perf->file, "%" PRIxPTR " %zx %s\n", (uintptr_t)code, size,
                                    name) > 0;
    perf->count++;
    /* Whoever looks at a guest that runs is to find all of it. */
    if (ok && fflush(perf->file) == 0)
        return;
    mv_warn("cannot write %s for perf: %s; it ends there", perf->path, strerror(errno));
    fclose(perf->file);
    perf->file = NULL;
}
