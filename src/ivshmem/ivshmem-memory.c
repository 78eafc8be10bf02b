/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of shared objects, in one table. */
#include "ivshmem-server.h"

#include "cleanup.h"
#include "size.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct kind {
    const char *prefix; /* the whole text where it takes no argument */
    const char *argument;
    uint64_t granule; /* 0: the system's page */
    unsigned memfd_flags;
    int (*open)(const char *name, mode_t mode);
};

static int open_shm(const char *name, mode_t mode)
{
    char path[256];
    if (strlen(name) + 2 > sizeof path)
        return errno = ENAMETOOLONG, -1;
    snprintf(path, sizeof path, "/%s", name[0] == '/' ? name + 1 : name);
    return shm_open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
}

static int open_file(const char *name, mode_t mode)
{
    return open(name, O_RDWR | O_CREAT | O_CLOEXEC, mode);
}

static const struct kind kinds[] = {
    {.prefix = "memfd"},
    {.prefix = "hugetlb", .granule = 2 * MV_MIB, .memfd_flags = MFD_HUGETLB | MFD_HUGE_2MB},
    {.prefix = "hugetlb:2M", .granule = 2 * MV_MIB, .memfd_flags = MFD_HUGETLB | MFD_HUGE_2MB},
    {.prefix = "hugetlb:1G", .granule = MV_GIB, .memfd_flags = MFD_HUGETLB | MFD_HUGE_1GB},
    {.prefix = "shm:", .argument = "NAME", .open = open_shm},
    {.prefix = "file:", .argument = "PATH", .open = open_file},
};

static const struct kind *find(const char *text, const char **ret_name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i].prefix);
        bool fits = kinds[i].argument == NULL
                        ? strcmp(text, kinds[i].prefix) == 0
                        : strncmp(text, kinds[i].prefix, len) == 0 && text[len] != '\0';
        if (fits) {
            *ret_name = text + len;
            return &kinds[i];
        }
    }
    return NULL;
}

int mv_ivshmem_memory_check(const char *text, struct mv_error *err)
{
    const char *name;
    const struct kind *kind = find(text, &name);
    if (kind == NULL)
        return mv_error_set(err, EINVAL,
                            "'%s' is no shared memory: it is memfd, shm:NAME, file:PATH, hugetlb, "
                            "hugetlb:2M or hugetlb:1G",
                            text);
    if (kind->open == open_shm && strchr(name[0] == '/' ? name + 1 : name, '/') != NULL)
        return mv_error_set(err, EINVAL, "'%s': the name of a shm object has no '/' inside", text);
    return 0;
}

static int round_size(const struct kind *kind, uint64_t wished, uint64_t *ret, struct mv_error *err)
{
    uint64_t granule = kind->granule != 0 ? kind->granule : (uint64_t)sysconf(_SC_PAGESIZE);
    /* off_t's last power of two. */
    if (wished == 0 || wished > UINT64_C(1) << 62)
        return mv_error_set(err, ERANGE, "a size of %s: %s",
                            wished == 0 ? "0" : "more than 4096 PiB",
                            wished == 0 ? "there has to be memory to share" : "too large");
    uint64_t size = granule;
    while (size < wished)
        size *= 2;
    *ret = size;
    return 0;
}

/* A memfd that nobody can shrink or grow, peers with its descriptor included. */
static int make_memfd(const struct kind *kind, uint64_t size, struct mv_ivshmem_memory *ret,
                      struct mv_error *err)
{
    char text[MV_SIZE_TEXT];
    CLEANUP_CLOSE int fd =
        memfd_create("memvisor-ivshmem", MFD_CLOEXEC | MFD_ALLOW_SEALING | kind->memfd_flags);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        return mv_error_set_errno(err, errno, "%s of shared memory", mv_size_format(size, text));
    /* Huge pages that are not there would be SIGBUS in a peer. */
    if (kind->granule != 0 && fallocate(fd, 0, 0, (off_t)size) < 0)
        return mv_error_set_errno(err, errno,
                                  "%s in huge pages (reserve them in "
                                  "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages)",
                                  mv_size_format(size, text),
                                  (unsigned long long)(kind->granule / MV_KIB));
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return mv_error_set_errno(err, errno, "sealing the shared memory");
    *ret = (struct mv_ivshmem_memory){.fd = fd, .size = size, .sealed = true};
    fd = -1;
    return 0;
}

static int open_named(const struct kind *kind, const char *name,
                      const struct mv_ivshmem_memory_config *config, uint64_t size,
                      struct mv_ivshmem_memory *ret, struct mv_error *err)
{
    struct stat st;
    char has[MV_SIZE_TEXT], wanted[MV_SIZE_TEXT];
    CLEANUP_CLOSE int fd = kind->open(name, config->mode);
    if (fd < 0 || fstat(fd, &st) < 0)
        return mv_error_set_errno(err, errno, "%s", config->text);
    if (!S_ISREG(st.st_mode))
        return mv_error_set(err, EINVAL, "%s: it is no regular file", config->text);
    if (st.st_size != 0 && (uint64_t)st.st_size != size)
        return mv_error_set(err, EINVAL,
                            "%s: it is there with %s, and --size asks for %s: give its size, or "
                            "remove it",
                            config->text, mv_size_format((uint64_t)st.st_size, has),
                            mv_size_format(size, wanted));
    if (st.st_size == 0) {
        if (ftruncate(fd, (off_t)size) < 0 || fchmod(fd, config->mode) < 0 ||
            fchown(fd, config->uid, config->gid) < 0)
            return mv_error_set_errno(err, errno, "%s", config->text);
    }
    *ret = (struct mv_ivshmem_memory){.fd = fd, .size = size, .found = st.st_size != 0};
    fd = -1;
    return 0;
}

int mv_ivshmem_memory_open(const struct mv_ivshmem_memory_config *config,
                           struct mv_ivshmem_memory *ret, struct mv_error *err)
{
    const char *name;
    uint64_t size = 0;
    int r = mv_ivshmem_memory_check(config->text, err);
    if (r < 0)
        return r;
    const struct kind *kind = find(config->text, &name);
    r = round_size(kind, config->size, &size, err);
    if (r < 0)
        return r;
    return kind->open == NULL ? make_memfd(kind, size, ret, err)
                              : open_named(kind, name, config, size, ret, err);
}
