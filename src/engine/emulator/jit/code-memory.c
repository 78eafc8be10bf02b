/* SPDX-License-Identifier: Apache-2.0 */
#include "code-memory.h"

#include "cleanup.h"
#include "size.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A process that is forked (a clone) makes its own. */
static void *map(int fd, size_t size, int protection)
{
    void *at = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return NULL;
    madvise(at, size, MADV_DONTFORK);
    return at;
}

int mv_code_memory_init(struct mv_code_memory *memory, size_t size, struct mv_error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("memvisor-jit", MFD_CLOEXEC);
    memset(memory, 0, sizeof *memory);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        return mv_error_set_errno(err, errno, "memory for translated code");
    memory->size = size;
    memory->write = map(fd, size, PROT_READ | PROT_WRITE);
    memory->run = memory->write == NULL ? NULL : map(fd, size, PROT_READ | PROT_EXEC);
    if (memory->run != NULL)
        return 0;
    int r = mv_error_set_errno(err, errno, "memory for translated code");
    mv_code_memory_clear(memory);
    return r;
}

/* A page that is mapped twice counts twice. */
#define UNMAP_STEP (1u << 20)

void mv_code_memory_use(struct mv_code_memory *memory, size_t used)
{
    bool forgotten = used < memory->used;
    size_t from = forgotten ? mv_align_up(used, (size_t)sysconf(_SC_PAGESIZE)) : memory->written;
    size_t to = forgotten ? memory->size : used & ~(size_t)(UNMAP_STEP - 1);
    if (from < to)
        madvise(memory->write + from, to - from, forgotten ? MADV_REMOVE : MADV_DONTNEED);
    memory->written = forgotten ? 0 : to > from ? to : from;
    memory->used = used;
}

void mv_code_memory_clear(struct mv_code_memory *memory)
{
    if (memory->write != NULL)
        munmap(memory->write, memory->size);
    if (memory->run != NULL)
        munmap((void *)(uintptr_t)memory->run, memory->size);
    memset(memory, 0, sizeof *memory);
}
